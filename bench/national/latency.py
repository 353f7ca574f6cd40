"""How long a changes file of 300 records takes, from the file to its last effect out, quiet and beside a full file.

The trust's LMS is a folder, so an effect is out when its CSV file appears. Two beginnings are told: the file appearing
in the folder, and the splitter taking its first line (which leaves out how seldom folders are looked at: every two
seconds, as in a service that was told nothing else).
"""

import math
import shutil
import time
from pathlib import Path
from typing import Any, Final

from bench.national import files
from bench.national.files import Written
from bench.national.watching import until
from bench.national.whole import PATIENCE, VPD, hand_in
from bench.national.world import AWAY, FILES, Servers, World, world

SMALL: Final = "902"
PEOPLE: Final = 1_000
RECORDS: Final = 300
SECONDS: Final = 300.0
"""A changes file that takes longer than this ends the run."""

_COMPLETE: Final = "SELECT 1 FROM ingest.files WHERE vpd = $1 AND name = $2 AND status = 'complete'"


def run(servers: Servers, quiet: int, beside: int, full: int) -> dict[str, Any]:
    """Measure ``quiet`` files, then up to ``beside`` while another trust's full file of ``full`` records runs."""
    lms = {VPD: AWAY, SMALL: FILES | {"batch": "5000"}}
    with world(servers, lms) as bridge:
        bridge.start()
        _settle(bridge, files.write_full(bridge.folder / "written", SMALL, PEOPLE))
        numbers = iter(range(2, 1_000_000))
        alone = [_one(bridge, next(numbers)) for _ in range(quiet)]
        large = files.write_full(bridge.folder / "written", VPD, files.people_for(full))
        hand_in(bridge, large)
        until("the full file on its way", PATIENCE, lambda: _has(bridge, large, "splitting", "split", "complete"), 0.02)
        crowded: list[tuple[float, float]] = []
        start, over = time.perf_counter(), False
        while len(crowded) < beside and not over:
            taken = _one(bridge, next(numbers))
            over = _has(bridge, large, "complete")
            if not over or not crowded:
                crowded.append(taken)
        lasted = time.perf_counter() - start
    return {
        "records": RECORDS,
        "full file": large.records,
        "full file outlasted them": not over,
        "seconds beside": round(lasted, 1),
        "quiet": _told(alone),
        "beside": _told(crowded),
    }


def _settle(bridge: World, one: Written) -> None:
    """Let the small trust's full file in, and wait until its LMS has everything."""
    hand_in(bridge, one)
    until("the small full file complete", PATIENCE, lambda: bool(bridge.ask(_COMPLETE, one.vpd, one.path.name)))
    rows = one.people + one.certifications + one.evidence
    until("the small trust's LMS filled", SECONDS, lambda: _rows(bridge) >= rows)


def _one(bridge: World, number: int) -> tuple[float, float]:
    """Hand in a changes file; return its milliseconds from the file, and from its first line, to the last effect."""
    shutil.rmtree(_out(bridge), ignore_errors=True)
    one = files.write_changes(bridge.folder / "written", SMALL, number, PEOPLE, RECORDS)
    rows = one.people + one.certifications + one.evidence
    start = time.time()
    hand_in(bridge, one)
    until(f"effects of changes file {number}", SECONDS, lambda: _rows(bridge) >= rows, 0.004)
    end = max(path.stat().st_mtime for path in _out(bridge).glob("*.csv"))
    (row,) = bridge.ask(
        "SELECT extract(epoch FROM last_turn)::float8 AS first FROM ingest.files WHERE vpd = $1 AND name = $2",
        SMALL, one.path.name,
    )  # fmt: skip
    until("the changes file complete", SECONDS, lambda: bool(bridge.ask(_COMPLETE, SMALL, one.path.name)), 0.01)
    return 1000 * (end - start), 1000 * (end - row["first"])


def _out(bridge: World) -> Path:
    return bridge.folder / SMALL / "to-lms"


def _rows(bridge: World) -> int:
    """Count what has left for the LMS; a file's first line is its header."""
    return sum(path.read_bytes().count(b"\n") - 1 for path in _out(bridge).glob("*.csv"))


def _has(bridge: World, one: Written, *statuses: str) -> bool:
    rows = bridge.ask("SELECT status FROM ingest.files WHERE vpd = $1 AND name = $2", one.vpd, one.path.name)
    return bool(rows) and rows[0]["status"] in statuses


def _told(taken: list[tuple[float, float]]) -> dict[str, Any]:
    from_file, from_line = (sorted(column) for column in zip(*taken, strict=True))
    return {
        "files": len(taken),
        "p50 ms": _share(from_line, 0.50),
        "p99 ms": _share(from_line, 0.99),
        "p50 ms from file": _share(from_file, 0.50),
        "p99 ms from file": _share(from_file, 0.99),
        "all": [[round(one, 1) for one in pair] for pair in taken],
    }


def _share(ordered: list[float], share: float) -> float:
    """Return the smallest value that such a share of them does not exceed: the nearest rank."""
    return round(ordered[math.ceil(share * len(ordered)) - 1], 1)
