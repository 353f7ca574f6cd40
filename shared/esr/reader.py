"""Reads the records of a file one by one, as services understand them. The public face of reading.

Fields hold only what is kept and not empty; dates are ISO text; the record type and columns marked I or U are left
out. See ``shared.esr.structure`` for the check that must come first.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from shared.errors import FileRefusedError
from shared.esr.faults import Fault, FileCode, RecordCode
from shared.esr.framing import START, Form, Frame, Position, Row, read_rows
from shared.esr.header import Header
from shared.esr.layout import Kind
from shared.esr.lines import open_content
from shared.esr.profile import Profile
from shared.esr.seeds import kind_of
from shared.esr.structure import Structure, check_structure, miscounted

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


class Record(msgspec.Struct, gc=False):
    """One data record.

    ``line`` counts from 1 in the file, ``position`` from 1 among the data records (confirmations speak of it).
    ``end_line`` is above ``line`` only where line breaks stand in values. ``routing`` is empty for a record that
    nothing uses. ``ignored``: accounted for, but not read, because its type is passed over by the profile (no faults)
    or is not known in this kind of file (R105); then ``fields`` and ``routing`` are empty. A record with other than
    warning faults is not to be loaded; it carries its fields all the same, raw where faulty, so that a person can mend
    it.
    """

    line: int
    position: int
    code: str
    routing: str
    fields: dict[str, str]
    faults: tuple[Fault, ...]
    end_offset: int
    end_line: int
    ignored: bool = False

    @property
    def after(self) -> Position:
        """Where to start to get the next record."""
        return Position(self.end_offset, self.end_line, self.position)

    @property
    def sound(self) -> bool:
        """Whether the record may be loaded: it has no faults but warnings, and is not ignored."""
        return not self.ignored and all(fault.warning for fault in self.faults)


def read_records(
    content: Path | bytes,
    profile: Profile,
    *,
    start: Position = START,
    name: str | None = None,
    leave_out_broken: bool = False,
) -> Iterator[Record]:
    """The data records of a file after ``start``; header, trailer and blank lines are not among them.

    ``check_structure`` should have found no fault. If the file is broken all the same, FileRefusedError is raised at
    the line where it shows (F001, F010, F012); ``leave_out_broken`` passes such lines over instead, for a check that
    has told of them. ``content``: a file, or the bytes of one. ``name``: the name it was delivered under, if not the
    path's. OSError goes through.
    """
    code_in_name = profile.parse_file_name(name or (content.name if isinstance(content, Path) else "")).kind
    kind = kind_of(profile, code_in_name, content)
    frame = Frame(profile, kind)
    formats = {code.encode("ascii"): (profile.rows[code], code, profile.records[code].routing) for code in kind.records}
    encoding, ordinary, position = profile.encoding, Form.RECORD, start.position
    with open_content(content) as file:
        file.seek(start.offset)
        for row in read_rows(file, frame, start):
            form, code, body, line, end_line, end = row
            if form is ordinary or form is Form.BROKEN or (form is Form.MISCOUNTED and frame.by_record):
                row_format, text, routing = formats[code]
                fields, faults = row_format.read(body.decode(encoding, "replace"), line)
                position += 1
                yield Record(line, position, text, routing, fields, faults, end, end_line)
            elif form is Form.TRAILER:
                return
            elif form is Form.OTHER:
                position += 1
                yield _ignored(profile, kind, row, position)
            elif form is not Form.HEADER:
                position += 1
                if not leave_out_broken:
                    raise _refusal(frame, row)


def _ignored(profile: Profile, kind: Kind, row: Row, position: int) -> Record:
    """A record of a type that is passed over in silence, or with the warning R105."""
    _, code, _, line, end_line, end = row
    text = code.decode("ascii")
    faults: tuple[Fault, ...] = ()
    if text not in profile.ignored_types:
        faults = (Fault(RecordCode.R105, line, None, f"Record type {text} is not known in {kind.code} files"),)
    return Record(line, position, text, "", {}, faults, end, end_line, ignored=True)


def _refusal(frame: Frame, row: Row) -> FileRefusedError:
    form, code, body, line, _, _ = row
    if form is Form.TOO_LONG:
        return FileRefusedError(FileCode.F012, f"Line {line} is too long for any record")
    if form is Form.MISCOUNTED:
        return FileRefusedError(FileCode.F010, miscounted(frame, code, body, line))
    return FileRefusedError(FileCode.F010, f"Line {line} does not begin with a record type")


def check_fields(profile: Profile, code: str, fields: Mapping[str, str]) -> tuple[Fault, ...]:
    """What is wrong with an already decoded record, for one that a person has edited. Line numbers are 0.

    ``fields`` is in the form the reader gives: ISO dates, no empty fields needed. A value no file could carry (with
    the delimiter, a line end or characters outside the encoding) is a fault too. An unknown ``code`` is R110.
    """
    if not any(code in kind.records for kind in profile.kinds.values()):
        return (Fault(RecordCode.R110, 0, None, "The record type has no layout in this profile"),)
    return profile.rows[code].check(fields)
