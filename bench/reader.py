"""Reads one generated ESR file by our reader and by Python's bare csv reader, in turn, and prints the ratio."""

import csv
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

from sandbox.esr import SandboxEsr
from shared.esr.profile import load_profile
from shared.esr.reader import read_records
from shared.esr.structure import check_structure

PEOPLE = 20_000
ROUNDS = 5


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        esr = SandboxEsr(Path(folder) / "esr.sqlite", "999")
        esr.populate(PEOPLE, date(2026, 3, 2))
        path = esr.write_full(Path(folder), date(2026, 3, 2))
        profile = load_profile("esr-cstf")
        jobs: dict[str, Callable[[], int]] = {
            "csv reader": lambda: _csv(path),
            "structure": lambda: check_structure(path, profile).data_records,
            "records": lambda: sum(1 for _ in read_records(path, profile)),
        }
        times: dict[str, list[float]] = {name: [] for name in jobs}
        records = jobs["records"]()
        for _ in range(ROUNDS):
            for name, job in jobs.items():
                start = time.perf_counter()
                job()
                times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    print(f"{records:,} records, {ROUNDS} rounds in turn, medians")
    for name, taken in medians.items():
        print(f"  {name:11} {records / taken:12,.0f} records/s   {taken / medians['csv reader']:5.2f} x csv")
    both = medians["structure"] + medians["records"]
    print(f"  {'both passes':11} {records / both:12,.0f} records/s   {both / medians['csv reader']:5.2f} x csv")
    _keep("reader", {"records": records, "seconds": times})


def _csv(path: Path) -> int:
    with path.open(encoding="iso-8859-1", newline="") as file:
        return sum(1 for _ in csv.reader(file, delimiter="~", quoting=csv.QUOTE_NONE))


def _keep(name: str, figures: dict[str, object]) -> None:
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    (results / f"{name}.json").write_text(json.dumps({"python": sys.version, **figures}, indent=2))


if __name__ == "__main__":
    main()
