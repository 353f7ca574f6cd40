"""How long lists and searches take. ``python -m bench.search``; see bench/README.md."""

import argparse
import asyncio
import os
import secrets
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.search import filling, letters, lines, pages, report
from bench.search.asking import Asked, Question, asked
from esrbridge.embedded import STATE, open_bridge
from esrbridge.local import postgres
from shared.clock import FixedClock
from shared.config import BridgeConfig, TrustConfig
from shared.db.engine import make_engine
from shared.db.migrate import SERVICES, migrate

TABLES = (
    "console.dead_letters, console.letter_staff, console.operations, console.operation_letters, console.actions, "
    "ingest.files, ingest.line_fates, ingest.line_codes, ingest.answers, ingest.roster"
)


async def fill(admin: AsyncEngine, many: int, accounted: int) -> None:
    """Write everything that is asked about, unless an earlier run has left it."""
    await migrate(admin, {service: secrets.token_urlsafe(24) for service in SERVICES})
    async with admin.connect() as connection:
        if await connection.scalar(text("SELECT 1 FROM console.dead_letters LIMIT 1")):
            return
    await filling.fill(admin, many)
    await lines.fill(admin, accounted)
    async with admin.connect() as connection:
        raw = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await raw.execute(text(f"VACUUM (FREEZE, ANALYZE) {TABLES}"))
        await raw.execute(text("CHECKPOINT"))


async def ask(questions: Sequence[Question], only: str) -> list[Asked]:
    """Ask every question whose name says ``only``; print what each takes."""
    found = []
    for question in questions:
        if only in f"{question.group}/{question.name}":
            found.append(await asked(question))
            print(f"{found[-1].p95:>9.1f} {found[-1].slowest:>9.1f} ms  {question.group}: {question.name}", flush=True)
    return found


async def measure(folder: Path, said: argparse.Namespace) -> None:
    """Fill a database in a folder, ask, and write down how long it took."""
    trusts = tuple(TrustConfig(vpd=vpd, name=f"Trust {vpd}") for vpd in (filling.VPD, *filling.OTHERS))
    clock = FixedClock(datetime.now(UTC) + timedelta(minutes=1))
    with postgres(folder / STATE / "postgres", prefer_wheel=True) as server:
        admin = make_engine(server.url, name="bench", statement_seconds=None)
        begun = clock.now()
        await fill(admin, said.letters, said.lines)
        print(f"filled in {(datetime.now(UTC) - begun).total_seconds() + 60:.0f} s", flush=True)
        async with admin.connect() as connection:
            version = await connection.scalar(text("SHOW server_version"))
        load = os.getloadavg()[0]
        await admin.dispose()
        async with open_bridge(BridgeConfig(trusts=trusts), folder, clock) as bridge:
            found = await ask(await letters.questions(bridge.readers["console"], said.letters), said.only)
            async with pages.routes(bridge, said.lines) as questions:
                found += await ask(questions, said.only)
            async with pages.pages(bridge, clock, said.letters) as questions:
                found += await ask(questions, said.only)
    if not said.only:
        report.write(report.Results(said.letters, said.lines, str(version), load, found))


def main() -> None:
    """Measure, in a folder of its own unless one is named."""
    parser = argparse.ArgumentParser(prog="python -m bench.search", description=__doc__)
    parser.add_argument("--letters", type=int, default=1_000_000, help="dead letters of the trust")
    parser.add_argument("--lines", type=int, default=5_000_000, help="accounted lines of the trust")
    parser.add_argument("--folder", type=Path, help="keep the filled database here, and use it when it is there")
    parser.add_argument("--only", default="", help="questions that say this; nothing is written then")
    said = parser.parse_args()
    if said.folder:
        said.folder.mkdir(parents=True, exist_ok=True)
        asyncio.run(measure(said.folder, said))
        return
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), said))


if __name__ == "__main__":
    main()
