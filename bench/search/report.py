"""What was measured in words: printed, kept as JSON, and written into the marked section of ``docs/performance.md``."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench.search.asking import GOAL, TIMES, Asked

RESULTS: Final = Path(__file__).parents[1] / "results" / "search.json"
DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "performance.md"
BEGIN: Final = "<!-- searched: written by `make bench-search`, not by hand -->"
END: Final = "<!-- end of searched -->"


@dataclass(frozen=True, slots=True)
class Results:
    """A run: how much there was, how busy the machine was when it began, and how long each question took."""

    letters: int
    lines: int
    postgresql: str
    load: float
    asked: Sequence[Asked]


def write(results: Results) -> None:
    """Keep the figures, and put the table into the document."""
    said = asdict(results) | {"goal_ms": GOAL, "times": TIMES, "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"}
    RESULTS.write_text(json.dumps(said, indent=2) + "\n")
    DOCUMENT.write_text(put(DOCUMENT.read_text(), table(results)))
    print(table(results))


def put(document: str, said: str) -> str:
    """Return a document with this between its marks. Raises SystemExit when it has none."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"There is no place for what was measured: {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n\n{said}\n{END}{after}"


def table(results: Results) -> str:
    """Return the figures as Markdown: the slowest question of each group, and every question by its group."""
    met = sum(one.met for one in results.asked)
    said = (
        f"{results.letters:,} dead letters and {results.lines:,} accounted lines of one trust, beside two small ones; "
        f"PostgreSQL {results.postgresql} and the bridge on {os.cpu_count()} cores, {platform.system()}; "
        f"{datetime.now(UTC):%Y-%m-%d}, load {results.load:.1f} when it began. Of {len(results.asked)} questions, "
        f"each asked {TIMES} times with other values, "
        f"{met} are answered within {GOAL:.0f} ms at the 95th percentile."
    )
    lines = [said, "", "| Asked | | 95th percentile, ms | Slowest, ms |", "|---|---|---:|---:|"]
    lines += [f"| {one.group} | {one.name} | {_ms(one.p95)} | {_ms(one.slowest)} |" for one in results.asked]
    return "\n".join(lines) + "\n"


def _ms(value: float) -> str:
    said = f"{value:.0f}" if value >= 10 else f"{value:.1f}"
    return said if value < GOAL else f"**{said}**"
