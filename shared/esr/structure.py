"""The structure of a file: name, header, columns, trailer. Says whether its records may be read at all."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.errors import FileRefusedError
from shared.esr.faults import Fault, FaultList, FileCode
from shared.esr.framing import Form, Frame, Row, read_rows
from shared.esr.header import Header, read_header
from shared.esr.layout import FileName, Flow, Kind
from shared.esr.lines import READ_BYTES, Content
from shared.esr.profile import Profile
from shared.esr.seeds import kind_of

_COUNT = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Structure:
    """What one pass over a file found. ``faults`` is empty for a file whose records may be read.

    ``name`` is None if the name does not follow the profile; then nothing but ``sha256`` and ``size`` is known.
    ``kind`` is the kind the file really is: where a full file may be named like the request it answers, the name alone
    does not tell. ``records_by_type`` counts every record between header and trailer, by its type. ``faults`` lists the
    first ones, ``fault_counts`` counts all by code.
    """

    name: FileName | None
    kind: Kind | None
    header: Header | None
    records_by_type: Mapping[str, int]
    data_records: int
    sha256: str
    size: int
    faults: tuple[Fault, ...]
    fault_counts: Mapping[str, int]


def check_structure(
    content: Path | bytes,
    profile: Profile,
    *,
    name: str | None = None,
    vpd: str | None = None,
    flow: Flow | None = None,
    max_faults: int = 100,
    on_fault: Callable[[Fault], None] | None = None,
    on_read: Callable[[int], None] | None = None,
) -> Structure:
    """Stream the whole file once, in bounded memory, and check its structure.

    ``content`` is a file, or the bytes of one. ``name``: the name it was delivered under, if not the path's. ``vpd``:
    the VPD it must be for. ``flow``: the direction it must travel in. ``on_fault`` hears of every fault, also those
    beyond ``max_faults``; ``on_read`` how many bytes have been read. Bad content is never an exception; OSError goes
    through.
    """
    faults = FaultList(max_faults, on_fault)
    file_name = _parse_name(profile, name or (content.name if isinstance(content, Path) else ""), faults)
    kind = kind_of(profile, file_name.kind, content) if file_name is not None else None
    with Content(content, on_read) as source:
        if file_name is None or kind is None:
            scan = None
            while source.read(READ_BYTES):
                pass
        else:
            _check_addressee(file_name, kind, vpd, flow, faults)
            scan = _Scan(profile, file_name, kind, faults)
            scan.run(source)
        return Structure(
            name=file_name,
            kind=kind,
            header=scan.header if scan else None,
            records_by_type=scan.by_type if scan else {},
            data_records=scan.data_records if scan else 0,
            sha256=source.sha256,
            size=source.size,
            faults=tuple(faults.listed),
            fault_counts=dict(faults.counts),
        )


def _parse_name(profile: Profile, name: str, faults: FaultList) -> FileName | None:
    try:
        return profile.parse_file_name(name)
    except FileRefusedError as error:
        faults.add(Fault(error.file_code, 0, None, error.sentence))
        return None


def _check_addressee(name: FileName, kind: Kind, vpd: str | None, flow: Flow | None, faults: FaultList) -> None:
    if vpd is not None and name.vpd != vpd:
        text = f"VPD {name.vpd} is not configured for this connection; expected {vpd}"
        faults.add(Fault(FileCode.F004, 0, None, text))
    if flow is not None and kind.flow != flow:
        text = f"A {kind.code} file goes {_DIRECTIONS[kind.flow]}, not {_DIRECTIONS[flow]}"
        faults.add(Fault(FileCode.F011, 0, None, text))


_DIRECTIONS = {"esr_to_lms": "from ESR to the LMS", "lms_to_esr": "from the LMS to ESR"}


class _Scan:
    """Walks through the rows of one file: a header, records, perhaps a trailer, nothing after it."""

    def __init__(self, profile: Profile, name: FileName, kind: Kind, faults: FaultList) -> None:
        self._profile = profile
        self._name = name
        self._kind = kind
        self._faults = faults
        self._frame = Frame(profile, kind)
        self._started = False
        self._trailer_line = 0
        self._trailer_count: int | None = None
        self._counts: dict[bytes, int] = {}
        self._uncounted = 0  # rows that count as data records but have no type
        self.header: Header | None = None

    @property
    def by_type(self) -> dict[str, int]:
        return {code.decode("ascii"): count for code, count in self._counts.items()}

    @property
    def data_records(self) -> int:
        return sum(self._counts.values()) + self._uncounted

    def run(self, source: Content) -> None:
        counts, ordinary = self._counts, Form.RECORD
        for row in read_rows(source, self._frame):
            if row[0] is not ordinary or not self._started or self._trailer_line:
                self._take(row)
            else:
                code = row[1]
                counts[code] = counts.get(code, 0) + 1
        self._finish()

    def _take(self, row: Row) -> None:
        """Every row that is not an ordinary record between header and trailer."""
        form, _, body, line, _, _ = row
        first, self._started = not self._started, True
        if form is Form.HEADER:
            self._take_header(line, body, first=first)
        elif form is Form.TOO_LONG:
            self._add(FileCode.F012, line, f"Line {line} is too long for any record")
            self._uncounted += 1
        else:
            if first:
                self._add(FileCode.F002, line, "The file does not begin with a header")
            if form is Form.TRAILER and not self._trailer_line:
                self._take_trailer(line, body)
            else:
                self._take_data(row)

    def _take_header(self, line: int, body: bytes, *, first: bool) -> None:
        if first:
            self.header = read_header(self._profile, self._name, self._kind, body, line, self._faults)
        else:
            self._add(FileCode.F002, line, f"Line {line} is a second header")

    def _take_trailer(self, line: int, body: bytes) -> None:
        self._trailer_line = line
        parts = body.decode(self._profile.encoding, "replace").split(self._profile.delimiter)
        if len(parts) != 2 or not _COUNT.fullmatch(parts[1]):
            self._add(FileCode.F005, line, "Trailer is not readable")
            return
        self._trailer_count = int(parts[1])

    def _take_data(self, row: Row) -> None:
        form, code, body, line, _, _ = row
        if self._trailer_line:
            self._add(FileCode.F005, line, f"Line {line} stands after the trailer")
        if form is Form.UNTYPED:
            self._add(FileCode.F010, line, f"Line {line} does not begin with a record type")
            self._uncounted += 1
            return
        if form is Form.MISCOUNTED and not self._frame.by_record:
            self._add(FileCode.F010, line, miscounted(self._frame, code, body, line))
        self._counts[code] = self._counts.get(code, 0) + 1

    def _finish(self) -> None:
        if not self._started:
            self._add(FileCode.F013, 0, "The file is empty")
        elif self._kind.trailer is None:
            if self.data_records:
                text = f"A {self._kind.code} file is a single header line, but {self.data_records} lines follow"
                self._add(FileCode.F005, 0, text)
        elif not self._trailer_line:
            self._add(FileCode.F005, 0, f"Trailer is missing after {self.data_records} records")
        elif self._trailer_count is not None and self._profile.trailer_count != "ignore":
            self._check_count(self._trailer_count)

    def _check_count(self, count: int) -> None:
        records = self.data_records
        expected = records if self._profile.trailer_count == "data_records" else records + 2
        if count != expected:
            text = f"Trailer counts {count}, but the file has {expected}"
            self._add(FileCode.F005, self._trailer_line, text, "record_count")

    def _add(self, code: FileCode, line: int, text: str, column: str | None = None) -> None:
        self._faults.add(Fault(code, line, column, text))


def miscounted(frame: Frame, code: bytes, body: bytes, line: int) -> str:
    """The sentence of F010 for a record with a wrong number of columns."""
    columns = body.count(frame.delimiter) + 1
    return f"Line {line}: {code.decode('ascii')} has {columns} columns, {frame.widths[code]} expected"
