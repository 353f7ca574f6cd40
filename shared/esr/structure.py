"""The structure of a file: name, header, columns, trailer. Says whether its records may be read at all."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.errors import FileRefusedError
from shared.esr.faults import Fault, FaultList, FileCode
from shared.esr.header import Header, read_header
from shared.esr.layout import FileName, Flow, Kind
from shared.esr.lines import HashingFile, read_lines
from shared.esr.profile import Profile

_COUNT = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Structure:
    """What one pass over a file found. ``faults`` is empty for a file whose records may be read.

    ``name`` is None if the name does not follow the profile; then nothing but ``sha256`` and ``size`` is known.
    ``records_by_type`` counts every line between header and trailer, by its record type. ``faults`` lists the first
    ones, ``fault_counts`` counts all by code.
    """

    name: FileName | None
    header: Header | None
    records_by_type: Mapping[str, int]
    data_records: int
    sha256: str
    size: int
    faults: tuple[Fault, ...]
    fault_counts: Mapping[str, int]


def check_structure(
    path: Path,
    profile: Profile,
    *,
    name: str | None = None,
    vpd: str | None = None,
    flow: Flow | None = None,
    max_faults: int = 100,
) -> Structure:
    """Stream the whole file once, in bounded memory, and check its structure.

    ``name``: the name it was delivered under, if not ``path.name``. ``vpd``: the VPD it must be for. ``flow``: the
    direction it must travel in. Bad content is never an exception; OSError goes through.
    """
    faults = FaultList(max_faults)
    file_name = _check_name(profile, name or path.name, vpd, flow, faults)
    scan = _Scan(profile, file_name, faults) if file_name is not None else None
    with HashingFile(path) as source:
        for number, (body, _) in enumerate(read_lines(source.file), start=1):
            if scan is not None:
                scan.take(number, body)
        if scan is not None:
            scan.finish()
        return Structure(
            name=file_name,
            header=scan.header if scan else None,
            records_by_type=dict(scan.by_type) if scan else {},
            data_records=scan.data_records if scan else 0,
            sha256=source.sha256,
            size=source.size,
            faults=tuple(faults.listed),
            fault_counts=dict(faults.counts),
        )


def _check_name(profile: Profile, name: str, vpd: str | None, flow: Flow | None, faults: FaultList) -> FileName | None:
    try:
        file_name = profile.parse_file_name(name)
    except FileRefusedError as error:
        faults.add(Fault(error.file_code, 0, None, error.sentence))
        return None
    if vpd is not None and file_name.vpd != vpd:
        text = f"VPD {file_name.vpd} is not configured for this connection; expected {vpd}"
        faults.add(Fault(FileCode.F004, 0, None, text))
    kind = profile.kinds[file_name.kind]
    if flow is not None and kind.flow != flow:
        text = f"A {kind.code} file goes {_DIRECTIONS[kind.flow]}, not {_DIRECTIONS[flow]}"
        faults.add(Fault(FileCode.F011, 0, None, text))
    return file_name


_DIRECTIONS = {"esr_to_lms": "from ESR to the LMS", "lms_to_esr": "from the LMS to ESR"}


class _Scan:
    """Walks through the lines of one file: a header, records, perhaps a trailer, nothing after it."""

    def __init__(self, profile: Profile, name: FileName, faults: FaultList) -> None:
        self._profile = profile
        self._name = name
        self._kind: Kind = profile.kinds[name.kind]
        self._faults = faults
        self._delimiter = profile.delimiter.encode("ascii")
        self._widths = {code.encode("ascii"): profile.rows[code].width for code in self._kind.records}
        self._header_code = profile.records[self._kind.header].code.encode("ascii")
        trailer = self._kind.trailer
        self._trailer_code = profile.records[trailer].code.encode("ascii") if trailer else None
        self._type = record_type_pattern(profile)
        self._started = False
        self._trailer_line = 0
        self._trailer_count: int | None = None
        self._counts: dict[bytes, int] = {}
        self.data_records = 0
        self.header: Header | None = None

    @property
    def by_type(self) -> dict[str, int]:
        return {code.decode("ascii"): count for code, count in self._counts.items()}

    def take(self, number: int, body: bytes | None) -> None:
        if body is None:
            self._started = True
            self.data_records += 1
            self._add(FileCode.F012, number, f"Line {number} is too long for any record")
            return
        code = body.partition(self._delimiter)[0]
        if code not in self._widths or self._trailer_line or not self._started:
            if not self._take_unusual(number, code, body):
                return
        elif (columns := body.count(self._delimiter) + 1) != self._widths[code]:
            self._wrong_columns(number, code, columns, self._widths[code])
        self.data_records += 1
        self._counts[code] = self._counts.get(code, 0) + 1

    def _take_unusual(self, number: int, code: bytes, body: bytes) -> bool:
        """Every line that is not an ordinary record in its place. True if it counts as a record all the same."""
        if not body.strip():
            return False
        first, self._started = not self._started, True
        if code == self._header_code:
            self._take_header(number, body, first=first)
            return False
        if first:
            self._add(FileCode.F002, number, "The file does not begin with a header")
        if code == self._trailer_code and not self._trailer_line:
            self._trailer_line = number
            self._take_trailer(number, body)
            return False
        return self._take_misplaced(number, code, body)

    def _take_misplaced(self, number: int, code: bytes, body: bytes) -> bool:
        if self._trailer_line:
            self._add(FileCode.F005, number, f"Line {number} stands after the trailer")
        if code in self._widths:
            columns = body.count(self._delimiter) + 1
            if columns != self._widths[code]:
                self._wrong_columns(number, code, columns, self._widths[code])
            return True
        if self._type.fullmatch(code.decode(self._profile.encoding, "replace")):
            return True  # a type this kind does not know: a warning at its record, not a fault of the file
        self._add(FileCode.F010, number, f"Line {number} does not begin with a record type")
        self.data_records += 1
        return False

    def _wrong_columns(self, number: int, code: bytes, columns: int, width: int) -> None:
        text = f"Line {number}: {code.decode('ascii')} has {columns} columns, {width} expected"
        self._add(FileCode.F010, number, text)

    def _take_header(self, number: int, body: bytes, *, first: bool) -> None:
        if first:
            self.header = read_header(self._profile, self._name, body, number, self._faults)
        else:
            self._add(FileCode.F002, number, f"Line {number} is a second header")

    def _take_trailer(self, number: int, body: bytes) -> None:
        parts = body.decode(self._profile.encoding, "replace").split(self._profile.delimiter)
        if len(parts) != 2 or not _COUNT.fullmatch(parts[1]):
            self._add(FileCode.F005, number, "Trailer is not readable")
            return
        self._trailer_count = int(parts[1])

    def finish(self) -> None:
        if not self._started:
            self._add(FileCode.F013, 0, "The file is empty")
            return
        if self._trailer_code is None:
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


def record_type_pattern(profile: Profile) -> re.Pattern[str]:
    """The shape of a record type, known or not: capitals and digits, as long as the profile's own types.

    A line that begins otherwise is a broken line, and its beginning may be anybody's name: it is never repeated.
    """
    known = {*profile.ignored_types, *(layout.code for layout in profile.records.values())}
    lengths = sorted({len(code) for code in known})
    return re.compile("|".join(rf"[A-Z][A-Z0-9]{{{length - 1}}}" for length in lengths))
