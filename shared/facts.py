"""Versioned facts: what each record said, kept so that arrival order does not matter.

A fact is stored under the version (file number, line) that said it. An older version never overwrites a newer one,
and a deletion leaves a tombstone with its version, so the stored facts are the same after any order and any number of
deliveries. What follows from facts is derived elsewhere, after the facts are committed.
"""

import operator
from collections.abc import Sequence
from typing import Any, Final

import msgspec


class Version(msgspec.Struct, frozen=True, gc=False):
    """Which line of which file said it; compares as ESR's order of files."""

    file: str
    file_no: int
    line: int

    @property
    def order(self) -> tuple[int, int]:
        """What versions are compared by."""
        return (self.file_no, self.line)


class Fact(msgspec.Struct, frozen=True, gc=False):
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


class Deletion(msgspec.Struct, frozen=True, gc=False):
    """All slices of a key are deleted as of this version."""

    vpd: str
    entity: str
    key: str
    version: Version


def newest(facts: Sequence[Fact]) -> Version:
    """Return the newest version among facts; version zero when there are none."""
    return max([fact.version for fact in facts], key=_ORDER, default=_NOTHING)


_ORDER: Final = operator.attrgetter("file_no", "line")
_NOTHING: Final = Version("", 0, 0)
