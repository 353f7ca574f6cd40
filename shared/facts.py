"""Versioned facts: what each record said, kept so that arrival order does not matter.

A fact is stored under the version (file number, line) that said it. An older version never overwrites a newer one,
and a deletion leaves a tombstone with its version, so the stored facts are the same after any order and any number of
deliveries. What follows from facts is derived elsewhere, after the facts are committed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Version:
    """Which line of which file said it; compares as ESR's order of files."""

    file: str
    file_no: int
    line: int

    @property
    def order(self) -> tuple[int, int]:
        """What versions are compared by."""
        return (self.file_no, self.line)


@dataclass(frozen=True, slots=True)
class Fact:
    """One record as it was said. ``slice`` is the effective start for date-sliced entities, else empty."""

    vpd: str
    entity: str
    key: str
    slice: str
    owner: str
    version: Version
    data: dict[str, Any]

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """The primary key."""
        return (self.vpd, self.entity, self.key, self.slice)


@dataclass(frozen=True, slots=True)
class Deletion:
    """All slices of a key are deleted as of this version."""

    vpd: str
    entity: str
    key: str
    version: Version


def newest(facts: Sequence[Fact]) -> Version:
    """Return the newest version among facts; version zero when there are none."""
    return max((fact.version for fact in facts), key=lambda version: version.order, default=Version("", 0, 0))
