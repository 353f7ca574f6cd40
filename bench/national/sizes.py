"""How large everything is: from the environment, by default for a quarter of an hour on two quiet cores."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

PREFIX: Final = "ESRBRIDGE_BENCH_"
RESULTS: Final = Path(__file__).parents[1] / "results"
LARGEST: Final = 1_000_000
"""Records from which the goals of memory, of cost per record, and beside a full file can be judged."""


def _number(name: str, default: float) -> Callable[[], float]:
    return lambda: float(os.environ.get(PREFIX + name, default))


def _numbers(name: str, default: str) -> Callable[[], tuple[int, ...]]:
    return lambda: tuple(int(float(one)) for one in os.environ.get(PREFIX + name, default).split(","))


@dataclass(frozen=True, slots=True)
class Sizes:
    """Each is read from ``ESRBRIDGE_BENCH_`` and its name in capitals."""

    records: tuple[int, ...] = field(default_factory=_numbers("RECORDS", "10000,100000,300000"))
    """Records of the full files of the whole, one run each: 10000,100000,1000000,5000000 judges every goal."""
    trusts: float = field(default_factory=_number("TRUSTS", 1))
    """Trusts among which the records of a run of the whole are shared."""
    alone_records: float = field(default_factory=_number("ALONE_RECORDS", 100_000))
    """Records of the run that is compared with peers and limits: nobody listens to its events."""
    part_records: float = field(default_factory=_number("PART_RECORDS", 180_000))
    part_rounds: float = field(default_factory=_number("PART_ROUNDS", 3))
    limit_records: float = field(default_factory=_number("LIMIT_RECORDS", 200_000))
    peer_records: float = field(default_factory=_number("PEER_RECORDS", 10_000))
    changes_quiet: float = field(default_factory=_number("CHANGES_QUIET", 100))
    changes_beside: float = field(default_factory=_number("CHANGES_BESIDE", 100))
    full_beside: float = field(default_factory=_number("FULL_BESIDE", 60_000))
    """Records of the full file that runs beside the changes files; the goal speaks of a million."""
    letters: float = field(default_factory=_number("LETTERS", 5_000))
    """Dead letters to replay; the goal speaks of 100,000."""
    outage_seconds: float = field(default_factory=_number("OUTAGE_SECONDS", 20))
    outage_records: float = field(default_factory=_number("OUTAGE_RECORDS", 5_000))
    """Records of each file that arrives in an outage."""
    replicas: tuple[int, ...] = field(default_factory=_numbers("REPLICAS", "1,2,3"))
    replica_records: float = field(default_factory=_number("REPLICA_RECORDS", 20_000))
