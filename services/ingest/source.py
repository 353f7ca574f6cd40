"""What ingest needs to know of a file's format. One implementation reads ESR's files, one the LMS's CSV files."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

from shared.accounting import Fate
from shared.esr.faults import Fault


@dataclass(frozen=True, slots=True)
class Checked:
    """What one pass over a file found out. ``faults`` empty: every record may be split off."""

    stream: str
    kind: str
    mode: str
    number: int
    seq: int
    records: int
    faults: tuple[Fault, ...] = ()
    previous_run: datetime | None = None
    current_run: datetime | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A place between two records, from which reading can go on."""

    offset: int = 0
    line: int = 0
    position: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """A file that tells everything anew each time: of its rows only those are sent that are new or different.

    ``name``: the form of such reports; those of one form are compared with each other. ``current``: it tells what
    stands now, so that who is missing is gone.
    """

    name: str
    current: bool


@dataclass(frozen=True, slots=True)
class RowKey:
    """What a row of a report is about. ``moment`` tells rows of the history apart, else it is empty."""

    user_idnumber: str
    certification_idnumber: str
    moment: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One data record. ``after`` is the place behind it.

    ``ignored`` is the fate of a record that is not to be sent; ``warned`` tells of faults that do not keep it back.
    ``key`` is there for a row of a report.
    """

    line: int
    type: str
    fields: dict[str, str]
    after: Place
    faults: tuple[Fault, ...] = ()
    ignored: Fate | None = None
    warned: bool = False
    key: RowKey | None = None


@dataclass(frozen=True, slots=True)
class Mention:
    """A person of whom a record speaks. ``gone``: it says to delete them."""

    person_id: str
    gone: bool


class Source(Protocol):
    """A file format."""

    exchange: str

    def name_of(self, name: str) -> str:
        """Return the name as the format spells it; a name that is not of the format comes back unchanged."""
        ...

    def check(self, path: Path, name: str, vpd: str) -> Checked:
        """Read the whole file once in bounded memory. Never raises for bad content; OSError goes through."""
        ...

    def people(self, path: Path, name: str) -> Iterator[Mention]:
        """Yield the people of whom the person records of a sound file speak, in file order."""
        ...

    def lines(self, path: Path, name: str, start: Place) -> Iterator[Line]:
        """Yield the data records after ``start`` of a file that ``check`` found sound."""
        ...


@runtime_checkable
class ReportSource(Protocol):
    """A file format that has reports."""

    def report(self, name: str) -> Report | None:
        """Return what report the file of this name is; None for one that tells only what is new."""
        ...
