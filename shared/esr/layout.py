"""The parts a profile is made of: columns, record layouts, kinds of file, file names."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

Flow = Literal["esr_to_lms", "lms_to_esr"]
Mode = Literal["full", "changes", "confirm", "request"]

#: Leaves 8 digits for the file's number behind the 8 digits of its date.
SEQUENCE_SPAN = 10**8


@dataclass(frozen=True, slots=True)
class ValueList:
    """The values a column may hold. In an open list another value is kept with a warning, in a closed one refused."""

    name: str
    values: frozenset[str]
    closed: bool


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a record.

    ``type``: X text up to ``length``, F text of exactly ``length``, N number of up to ``length`` digits with ``scale``
    of them after the point, L number of exactly ``length`` digits, D date, T timestamp, DT either (HEE's notation for
    the DE interface, with our D, T, DT). ``use``: M mandatory, C conditional, O optional, I present but never kept,
    U unused.
    """

    name: str
    type: Literal["X", "F", "N", "L", "D", "T", "DT"]
    length: int
    scale: int
    use: Literal["M", "C", "O", "I", "U"]
    list: ValueList | None
    key: bool

    @property
    def kept(self) -> bool:
        """Whether values of this column leave the parser."""
        return self.use not in ("I", "U") and self.name != "record_type"

    @property
    def required(self) -> bool:
        """Whether the column must be filled: it is mandatory or part of the key."""
        return self.use == "M" or self.key

    @property
    def form(self) -> str:
        """The type as the profile writes it, for messages."""
        if self.type in ("D", "T", "DT"):
            return self.type
        return f"{self.type}({self.length},{self.scale})" if self.scale else f"{self.type}({self.length})"


@dataclass(frozen=True, slots=True)
class RecordLayout:
    """One record type.

    ``code`` stands in column 1. ``routing`` is ``<entity>.<action>``; ``""`` for control lines and for records that
    nothing uses, which are read and checked all the same.
    """

    code: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    routing: str


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of file: where it goes, what it holds, which kind answers it and which kinds it answers.

    ``seed``, at a request: the kind a file of this name is when it holds more than the single line of a request. Public
    sources disagree whether the full file that answers a request is named like a full file or like the request.
    """

    code: str
    flow: Flow
    mode: Mode
    counter: str
    header: str
    trailer: str | None
    records: frozenset[str]
    confirmed_by: str | None
    confirms: tuple[str, ...]
    seed: str | None


@dataclass(frozen=True, slots=True)
class FileName:
    """A file's name, taken apart. ``name`` is spelt as the profile spells it, whatever the case on disk."""

    name: str
    vpd: str
    kind: str
    date: date
    seq: int

    @property
    def number(self) -> int:
        """Date and number as one integer: sorts the files of a counter; the version of every fact in the file."""
        day = self.date.year * 10_000 + self.date.month * 100 + self.date.day
        return day * SEQUENCE_SPAN + self.seq
