"""Reads one generated ESR file by our reader and by Python's bare csv reader, in turn, and prints the ratio.

"Both passes" is what every file goes through: the check of its structure, then parsing, typing and checking records.
Memory is the peak of a process of its own that does both with a file of a million records.
"""

import csv
import json
import resource
import statistics
import subprocess
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
ROUNDS = 7
DAY = date(2026, 3, 2)
LARGE = 1_000_000
PROFILE = "esr-cstf"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        esr = SandboxEsr(Path(folder) / "esr.sqlite", "999")
        esr.populate(PEOPLE, DAY)
        path = esr.write_full(Path(folder), DAY)
        profile = load_profile(PROFILE)
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
        large = _enlarged(path, Path(folder) / "large")
        memory = {"nothing": _peak(None), "large file": _peak(large)}
        size = large.stat().st_size
    print(f"{records:,} records, {ROUNDS} rounds in turn, medians")
    times["both passes"] = [sum(pair) for pair in zip(times["structure"], times["records"], strict=True)]
    ratios = {name: _ratio(taken, times["csv reader"]) for name, taken in times.items()}
    for name, taken in times.items():
        print(f"  {name:11} {records / statistics.median(taken):12,.0f} records/s   {ratios[name]:5.2f} x csv")
    print(f"peak memory of both passes over {LARGE:,} records ({size >> 20} MiB): {memory['large file']} MiB,")
    print(f"  of which {memory['nothing']} MiB before the first byte was read")
    _keep("reader", {"records": records, "seconds": times, "times_csv": ratios, "peak_mib": memory})


def _ratio(taken: list[float], peer: list[float]) -> float:
    """The median of the ratios within each round: what else the machine did at the time hit both."""
    return statistics.median(one / other for one, other in zip(taken, peer, strict=True))


def _csv(path: Path) -> int:
    with path.open(encoding="iso-8859-1", newline="") as file:
        return sum(1 for _ in csv.reader(file, delimiter="~", quoting=csv.QUOTE_NONE))


def _enlarged(path: Path, folder: Path) -> Path:
    """A file of the same name with its records over and over."""
    header, *records, _ = path.read_bytes().splitlines(keepends=True)
    folder.mkdir()
    large = folder / path.name
    with large.open("wb") as file:
        file.write(header)
        for first in range(0, LARGE, len(records)):
            file.writelines(records[: LARGE - first])
        file.write(b"TRL~%d\r\n" % LARGE)
    return large


def _peak(path: Path | None) -> int:
    """Peak memory in MiB of a process that loads the profile and reads the file, if there is one."""
    command = [sys.executable, "-m", "bench.reader", "peak", *([str(path)] if path else [])]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _print_peak(path: Path | None) -> None:
    profile = load_profile(PROFILE)
    if path is not None:
        found = check_structure(path, profile)
        assert not found.faults
        assert found.data_records == sum(1 for _ in read_records(path, profile)) == LARGE
    status = Path("/proc/self/status")
    if status.exists():  # getrusage also counts what the parent had before it became this process
        print(int(status.read_text().partition("VmHWM:")[2].split()[0]) // 1024)
    else:
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 20)


def _keep(name: str, figures: dict[str, object]) -> None:
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    (results / f"{name}.json").write_text(json.dumps({"python": sys.version, **figures}, indent=2))


if __name__ == "__main__":
    if sys.argv[1:2] == ["peak"]:
        _print_peak(Path(sys.argv[2]) if sys.argv[2:] else None)
    else:
        main()
