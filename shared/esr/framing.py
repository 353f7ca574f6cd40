"""From lines to rows: which lines belong together, and what kind of row each is.

Both passes over a file (``structure`` and ``reader``) stand on this one, so that they cannot disagree about how many
data records a file has, where each begins and where it ends.

A line break inside a value breaks a record in two. It is mended here: lines that begin with no record type of their
file belong to the record before them if together they have exactly its columns. So one stray byte parks one record,
not the file (HEE's TIS-ESR lost whole batches to a single character).
"""

import re
from collections.abc import Iterator, Sequence
from enum import Enum, auto
from typing import NamedTuple

from shared.esr.layout import Kind
from shared.esr.lines import MAX_LINE_BYTES, Readable, read_blocks
from shared.esr.profile import Profile

#: Lines one record may be broken into. More is not a value with a line break in it, but a damaged file.
MAX_PARTS = 8


class Position(NamedTuple):
    """A place between two rows: bytes, lines and data records before it."""

    offset: int
    line: int
    position: int


START = Position(0, 0, 0)


class Form(Enum):
    """What a row is.

    RECORD: a record of this kind of file with its columns. BROKEN: the same, with line breaks in values. MISCOUNTED: a
    record of this kind with a wrong number of columns. OTHER: a record of a type this kind does not have. HEADER,
    TRAILER: control lines. UNTYPED: a line that begins with no record type. TOO_LONG: a line too long for any record.
    """

    RECORD = auto()
    BROKEN = auto()
    MISCOUNTED = auto()
    OTHER = auto()
    HEADER = auto()
    TRAILER = auto()
    UNTYPED = auto()
    TOO_LONG = auto()


#: Forms that count as data records, for positions and for the trailer.
DATA = frozenset(Form) - {Form.HEADER, Form.TRAILER}

#: Form, record type, the whole row (line breaks as LF), number of its first line, of its last, offset after its end.
#: A plain tuple: there is one for every record, twice.
Row = tuple[Form, bytes, bytes, int, int, int]


class _Line(NamedTuple):
    """One line that is held back. ``text`` is None for one that is too long."""

    number: int
    code: bytes
    text: bytes | None
    end: int


class Frame:
    """What the lines of one kind of file may be. Safe to share."""

    def __init__(self, profile: Profile, kind: Kind) -> None:
        self.delimiter = profile.delimiter.encode("ascii")
        self.by_record = profile.syntax.column_count == "record"
        self.widths = {code.encode("ascii"): len(profile.records[code].columns) for code in kind.records}
        self.controls = {profile.records[kind.header].code.encode("ascii"): Form.HEADER}
        if kind.trailer is not None:
            self.controls[profile.records[kind.trailer].code.encode("ascii")] = Form.TRAILER
        self.starts = {*self.widths, *self.controls, *(code.encode("ascii") for code in profile.ignored_types)}
        self._type = _type_pattern({*profile.ignored_types, *(layout.code for layout in profile.records.values())})

    def typed(self, code: bytes) -> bool:
        """Whether a first column has the shape of a record type, known or not.

        A line that begins otherwise is a broken line, and its beginning may be anybody's name: it is never repeated.
        """
        return self._type.fullmatch(code) is not None

    def starts_record(self, code: bytes) -> bool:
        """Whether a line with this first column begins a data record."""
        return self.typed(code) and code not in self.controls


def _type_pattern(known: set[str]) -> re.Pattern[bytes]:
    """Capitals and digits, as long as the profile's own types."""
    lengths = sorted({len(code) for code in known})
    return re.compile("|".join(rf"[A-Z][A-Z0-9]{{{length - 1}}}" for length in lengths).encode("ascii"))


def read_rows(file: Readable, frame: Frame, start: Position = START) -> Iterator[Row]:
    """The rows after ``start``, where ``file`` must stand; blank lines are passed over.

    A row is held back until the next line has shown that it does not go on there.
    """
    delimiter, delimiters = frame.delimiter, {code: width - 1 for code, width in frame.widths.items()}
    record, end, number = Form.RECORD, start.offset, start.line
    whole: Row | None = None  # held back: a record that has its columns, as nearly all have
    parts: list[_Line] = []  # held back: any other row, with the lines that seem to belong to it
    for lines, more in read_blocks(file):
        end += more
        for raw in lines:
            number += 1
            end += len(raw) + 1
            line = raw.removesuffix(b"\r")
            code = line.partition(delimiter)[0]
            if delimiters.get(code) == line.count(delimiter) and len(raw) < MAX_LINE_BYTES:
                if whole is not None:
                    yield whole
                elif parts:
                    yield from _rows(frame, parts)
                    parts = []
                whole = (record, code, line, number, number, end)
            elif line.strip() or len(raw) >= MAX_LINE_BYTES:
                here = _Line(number, code, line, end) if len(raw) < MAX_LINE_BYTES else _Line(number, b"", None, end)
                if whole is not None:
                    parts, whole = [_Line(whole[3], whole[1], whole[2], whole[5])], None
                if parts and _goes_on(frame, parts, here):
                    parts.append(here)
                else:
                    yield from _rows(frame, parts)
                    parts = [here]
    if whole is not None:
        yield whole
    yield from _rows(frame, parts)


def _goes_on(frame: Frame, parts: Sequence[_Line], line: _Line) -> bool:
    """Whether a line seems to belong to the row before it."""
    head = parts[0]
    if line.text is None or line.code in frame.starts or not frame.starts_record(head.code):
        return False
    if len(parts) == MAX_PARTS or sum(len(part.text or b"") for part in (*parts, line)) > MAX_LINE_BYTES:
        return False
    typed, width = frame.typed(line.code), frame.widths.get(head.code)
    if width is None or (frame.by_record and not typed):
        return not typed
    return _columns(frame, parts[:1]) > 1 and (not typed or _columns(frame, parts) < width)


def _rows(frame: Frame, parts: Sequence[_Line]) -> Iterator[Row]:
    """One row if the lines held back belong together, else as many as they seem to be."""
    if not parts:
        return
    width = frame.widths.get(parts[0].code)
    together = width is None or _columns(frame, parts) == width
    rows = [[parts[0]]]
    for line in parts[1:]:
        if together or (frame.by_record and not frame.typed(line.code)):
            rows[-1].append(line)
        else:
            rows.append([line])
    for row in rows:
        whole = b"\n".join(part.text or b"" for part in row)
        yield _form(frame, row), row[0].code, whole, row[0].number, row[-1].number, row[-1].end


def _form(frame: Frame, row: Sequence[_Line]) -> Form:
    head = row[0]
    if head.text is None:
        return Form.TOO_LONG
    if head.code in frame.controls:
        return frame.controls[head.code]
    if head.code in frame.widths:
        if _columns(frame, row) != frame.widths[head.code]:
            return Form.MISCOUNTED
        return Form.RECORD if len(row) == 1 else Form.BROKEN
    return Form.OTHER if frame.typed(head.code) else Form.UNTYPED


def _columns(frame: Frame, parts: Sequence[_Line]) -> int:
    return sum((part.text or b"").count(frame.delimiter) for part in parts) + 1
