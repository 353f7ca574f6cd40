"""Runs the embedded loop on a full file and prints records a second, from the file to the desired state in outbound."""

import asyncio
import tempfile
import time
from datetime import date, datetime
from pathlib import Path

from esrbridge.embedded import open_bridge
from esrbridge.report import collect
from esrbridge.simulation import write_simulation
from shared.clock import FixedClock
from shared.config import load_config

PEOPLE = 2_000


async def run(folder: Path) -> None:
    write_simulation(folder, trusts=1, people=PEOPLE, days=0, seed=1, start=date(2026, 3, 2))
    config = load_config(folder / "bridge.yaml")
    async with open_bridge(config, folder, FixedClock(datetime.fromisoformat("2026-03-02T06:00"))) as bridge:
        start = time.perf_counter()
        await bridge.until_idle()
        taken = time.perf_counter() - start
        report = await collect(bridge)
    (file,) = report["trusts"]["901"]["files"]
    if sum(file["accounted"].values()) != file["records"]:
        raise SystemExit("the file does not add up")
    print(f"{file['records']:,} records in {taken:.1f} s: {file['records'] / taken:,.0f} records/s, all accounted for")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


if __name__ == "__main__":
    main()
