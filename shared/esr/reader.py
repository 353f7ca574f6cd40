"""Reads the records of a file one by one, as services understand them. The public face of reading.

Fields hold only what is kept and not empty; dates are ISO text; the record type and columns marked I or U are left
out. See ``shared.esr.structure`` for the check that must come first.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from shared.errors import FileRefusedError
from shared.esr.faults import Fault, FileCode, RecordCode
from shared.esr.header import Header
from shared.esr.lines import BLANKS, READ_BYTES, read_lines
from shared.esr.profile import Profile
from shared.esr.rows import forbidden
from shared.esr.structure import Structure, check_structure, record_type_pattern

__all__ = [
    "START",
    "Header",
    "Position",
    "Record",
    "Structure",
    "check_fields",
    "check_structure",
    "read_records",
]


class Position(NamedTuple):
    """A place between two lines: bytes, lines and data records before it."""

    offset: int
    line: int
    position: int


START = Position(0, 0, 0)


@dataclass(slots=True)
class Record:
    """One data record.

    ``line`` counts from 1 in the file, ``position`` from 1 among the data records (confirmations speak of it).
    ``ignored``: accounted for, but not routed, because its type is passed over by the profile (no faults) or is not
    known in this kind of file (R105); then ``fields`` and ``routing`` are empty. A record with other than warning
    faults is not to be loaded; it carries its fields all the same, raw where faulty, so that a person can mend it.
    """

    line: int
    position: int
    code: str
    routing: str
    fields: dict[str, str]
    faults: tuple[Fault, ...]
    end_offset: int
    ignored: bool = False

    @property
    def after(self) -> Position:
        """Where to start to get the next record."""
        return Position(self.end_offset, self.line, self.position)

    @property
    def sound(self) -> bool:
        """Whether the record may be loaded: it has no faults but warnings, and is not ignored."""
        return not self.ignored and all(fault.warning for fault in self.faults)


def read_records(path: Path, profile: Profile, *, start: Position = START, name: str | None = None) -> Iterator[Record]:
    """The data records of a file after ``start``; header, trailer and blank lines are not among them.

    ``check_structure`` should have found no fault. If the file is broken all the same, FileRefusedError is raised at
    the line where it shows (F001, F010, F012). ``name``: the name it was delivered under, if not ``path.name``.
    OSError goes through.
    """
    kind = profile.kinds[profile.parse_file_name(name or path.name).kind]
    rows = {code: (profile.rows[code], profile.rows[code].width, profile.routing[code]) for code in kind.records}
    others = _Others(profile, kind.code)
    encoding, delimiter = profile.encoding, profile.delimiter
    _, line, position = start
    with path.open("rb", buffering=READ_BYTES) as file:
        file.seek(start.offset)
        for body, offset in read_lines(file, start.offset):
            line += 1
            if body is None:
                raise FileRefusedError(FileCode.F012, f"Line {line} is too long for any record")
            text = body.decode(encoding, "replace")
            parts = text.split(delimiter)
            code = parts[0]
            row = rows.get(code)
            if row is None:
                if others.is_end(code):
                    return
                ignored = others.record(text, code, line, position + 1, offset)
                if ignored is not None:
                    position += 1
                    yield ignored
                continue
            row_format, width, routing = row
            if len(parts) != width:
                text = f"Line {line}: {code} has {len(parts)} columns, {width} expected"
                raise FileRefusedError(FileCode.F010, text)
            position += 1
            fields, faults = row_format.parse(parts, line, suspect=forbidden(text))
            yield Record(line, position, code, routing, fields, faults, offset)


class _Others:
    """What to do with a line that is not a record of its kind of file."""

    def __init__(self, profile: Profile, kind_code: str) -> None:
        kind = profile.kinds[kind_code]
        self._kind = kind_code
        self._header = profile.records[kind.header].code
        self._trailer = profile.records[kind.trailer].code if kind.trailer else None
        self._ignored_types = profile.ignored_types
        self._type = record_type_pattern(profile)

    def is_end(self, code: str) -> bool:
        return code == self._trailer

    def record(self, text: str, code: str, line: int, position: int, offset: int) -> Record | None:
        """An ignored record; None for a header or a blank line."""
        if code == self._header or not text.strip(BLANKS):
            return None
        if code in self._ignored_types:
            return Record(line, position, code, "", {}, (), offset, ignored=True)
        if not self._type.fullmatch(code):
            raise FileRefusedError(FileCode.F010, f"Line {line} does not begin with a record type")
        fault = Fault(RecordCode.R105, line, None, f"Record type {code} is not known in {self._kind} files")
        return Record(line, position, code, "", {}, (fault,), offset, ignored=True)


def check_fields(profile: Profile, code: str, fields: Mapping[str, str]) -> tuple[Fault, ...]:
    """What is wrong with an already decoded record, for one that a person has edited. Line numbers are 0.

    ``fields`` is in the form the reader gives: ISO dates, no empty fields needed. A value no file could carry (with
    the delimiter, a line end or characters outside the encoding) is a fault too. An unknown ``code`` is R110.
    """
    if code not in profile.routing:
        return (Fault(RecordCode.R110, 0, None, "The record type has no layout in this profile"),)
    return profile.rows[code].check(fields)
