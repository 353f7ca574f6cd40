"""What became of each line of each file: the vocabulary of fates, and the rules by which they are kept.

A file adds up when every data record has a fate:
``records = applied + unchanged + superseded + parked + ignored + dead-lettered``.

Each line has one *owner*, the service its record type is routed to. The owner writes the fate in the same
transaction as the effect, with a *revision* that grows when a fate changes (parked, later applied). Whoever hears
of fates keeps the highest revision per line, so outcomes may arrive late, twice or in any order. Revision 0 is
for those who speak for the owner when it never got to speak (a record refused by ingest, a message that the broker
dead-lettered); the owner's word, revision 1 or more, stands above it.

Fates are stored two bytes a line (fate, revision) in blocks of ``BLOCK`` lines, which also serve as the inbox:
a redelivered record finds its fate settled.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import msgspec

BLOCK: Final = 512
"""Lines in a block. Two bytes a line keep a block at 1 KiB: one small row, never moved out of line by PostgreSQL."""

MAX_REVISION: Final = 255


class Fate(IntEnum):
    """What became of one line. The high nibble is the class that is summed, the low nibble the named rule."""

    PENDING = 0x00
    APPLIED = 0x10
    UNCHANGED = 0x20
    SUPERSEDED = 0x30
    PARKED_PERSON_UNKNOWN = 0x40
    PARKED_COMPETENCE_UNKNOWN = 0x41
    PARKED_NOTHING_SENT = 0x42
    IGNORED_LIST_OF_VALUES = 0x50
    IGNORED_UNKNOWN_TYPE = 0x51
    IGNORED_HELD_BY_ESR = 0x52
    IGNORED_UNMAPPED_CERTIFICATION = 0x53
    IGNORED_NOT_USED = 0x54
    DEAD_LETTERED = 0x60

    @property
    def group(self) -> str:
        """The class that is summed: ``pending``, ``applied`` ... ``dead_lettered``."""
        return GROUPS[self >> 4]

    @property
    def settled(self) -> bool:
        """Whether this fate is final. Parked and dead-lettered lines may still be applied later."""
        return self >> 4 in (1, 2, 3, 5)

    @property
    def reason(self) -> str:
        """One sentence for an operator."""
        return REASONS[self]


GROUPS: Final = ("pending", "applied", "unchanged", "superseded", "parked", "ignored", "dead_lettered")

REASONS: Final = {
    Fate.PENDING: "not handled yet",
    Fate.APPLIED: "stored and acted on",
    Fate.UNCHANGED: "said what was already held",
    Fate.SUPERSEDED: "a newer record or a deletion was already held",
    Fate.PARKED_PERSON_UNKNOWN: "waits for its person, whom no file has brought yet as applicant, employee or leaver",
    Fate.PARKED_COMPETENCE_UNKNOWN: "waits for its competence, whose definition no file has brought yet",
    Fate.PARKED_NOTHING_SENT: "answers something this bridge has not sent",
    Fate.IGNORED_LIST_OF_VALUES: "record type that the profile says to ignore",
    Fate.IGNORED_UNKNOWN_TYPE: "record type that the profile does not know (R105)",
    Fate.IGNORED_HELD_BY_ESR: "ESR already holds this achievement, so it is not sent back",
    Fate.IGNORED_UNMAPPED_CERTIFICATION: "the certification is mapped to no ESR competence",
    Fate.IGNORED_NOT_USED: "nothing here has a use for such a record",
    Fate.DEAD_LETTERED: "cannot succeed as it stands; see the dead letter",
}


class LineFate(msgspec.Struct, frozen=True, gc=False):
    """The fate of one line, as one statement of its owner."""

    line: int
    fate: Fate
    revision: int


@dataclass(slots=True)
class Block:
    """The fates of ``BLOCK`` lines of one file: lines ``index * BLOCK + 1`` to ``(index + 1) * BLOCK``."""

    index: int
    cells: bytearray

    @classmethod
    def empty(cls, index: int) -> "Block":
        """Return a block in which every line is pending."""
        return cls(index, bytearray(2 * BLOCK))

    def get(self, line: int) -> LineFate:
        """Return the fate held for ``line``."""
        cell = 2 * (line - 1 - self.index * BLOCK)
        return LineFate(line, Fate(self.cells[cell]), self.cells[cell + 1])

    def decide(self, line: int, fate: Fate) -> LineFate:
        """Record the owner's fate for ``line`` and return what now stands.

        A settled fate never changes, so that a redelivered record cannot undo what a later one settled.
        """
        cell = 2 * (line - 1 - self.index * BLOCK)
        if not (self.cells[cell] or self.cells[cell + 1]):  # nearly always: nobody has spoken of it yet
            self.cells[cell], self.cells[cell + 1] = fate, 1
            return LineFate(line, fate, 1)
        held = self.get(line)
        if held.fate.settled or (held.fate is fate and held.revision):
            return held
        decided = LineFate(line, fate, min(held.revision + 1, MAX_REVISION))
        self._put(decided)
        return decided

    def adopt(self, said: LineFate) -> LineFate | None:
        """Take over what the owner said; return the fate that was replaced, or None when nothing changed."""
        held = self.get(said.line)
        old = said.revision <= held.revision and not (said.revision == MAX_REVISION and said.fate is not held.fate)
        if old and held.fate is not Fate.PENDING:
            return None
        self._put(said)
        return held

    def lines(self) -> Iterator[LineFate]:
        """Yield every line that has a fate."""
        first = self.index * BLOCK + 1
        for offset in range(BLOCK):
            if self.cells[2 * offset]:
                yield self.get(first + offset)

    def _put(self, said: LineFate) -> None:
        cell = 2 * (said.line - 1 - self.index * BLOCK)
        self.cells[cell] = said.fate
        self.cells[cell + 1] = said.revision


def block_of(line: int) -> int:
    """Return the index of the block that holds ``line`` (lines count from 1)."""
    return (line - 1) // BLOCK


def to_ranges(fates: Iterable[LineFate]) -> list[tuple[int, int, int, int]]:
    """Fold line fates into ``(first line, last line, fate, revision)``: neighbours that agree travel as one."""
    ranges: list[tuple[int, int, int, int]] = []
    for said in sorted(fates, key=lambda one: one.line):
        if ranges and ranges[-1][1:] == (said.line - 1, said.fate, said.revision):
            ranges[-1] = (ranges[-1][0], said.line, said.fate, said.revision)
        else:
            ranges.append((said.line, said.line, said.fate, said.revision))
    return ranges


def from_ranges(ranges: Iterable[tuple[int, int, int, int]]) -> Iterator[LineFate]:
    """Unfold what ``to_ranges`` folded. Raises ValueError for a fate this release does not know."""
    for first, last, fate, revision in ranges:
        for line in range(first, last + 1):
            yield LineFate(line, Fate(fate), revision)


def summary(counts: Counter[Fate]) -> dict[str, int]:
    """Sum fates by group: every group of the accounting identity, zero when it did not occur."""
    sums = dict.fromkeys(GROUPS[1:], 0)
    for fate, number in counts.items():
        if fate is not Fate.PENDING:
            sums[fate.group] += number
    return sums
