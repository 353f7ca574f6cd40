"""Completion files from the LMS: UTF-8, comma, a header row with exactly our columns, in any order."""

import csv
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Final

import msgspec

from services.ingest.domain import LMS as STREAM
from services.ingest.source import Checked, Line, Place
from shared.codes import LmsCode
from shared.esr.faults import Fault
from shared.messaging.topology import LMS

COLUMNS: Final = (
    "reference",
    "user_idnumber",
    "certification_idnumber",
    "completed_at",
    "expires_on",
    "course_idnumber",
    "method",
)

MANDATORY: Final = ("reference", "user_idnumber", "certification_idnumber", "completed_at")

LONGEST_FIELD: Final = 64 * 1024


class LmsFiles:
    """Reads completion files."""

    exchange = LMS

    def name_of(self, name: str) -> str:
        """Any name ending in .csv will do."""
        return name

    def check(self, path: Path, name: str, vpd: str) -> Checked:
        """Check that the file is text, has our header, and that every row has its columns."""
        del name, vpd
        number, records, fault = 0, 0, None
        try:
            for number, row in _rows(path):
                if number == 1:
                    if sorted(row) != sorted(COLUMNS):
                        fault = _fault(LmsCode.L002, 1)
                        break
                elif len(row) != len(COLUMNS):
                    fault = _fault(LmsCode.L003, number)
                    break
                else:
                    records += 1
            else:
                if number == 0:
                    fault = _fault(LmsCode.L002, 1)
        except UnicodeDecodeError:
            fault = _fault(LmsCode.L001, number + 1)
        except csv.Error:
            fault = _fault(LmsCode.L004, number + 1)
        return Checked(STREAM, "completions", "changes", 0, 0, records, (fault,) if fault else ())

    def lines(self, path: Path, name: str, start: Place) -> Iterator[Line]:
        """Yield rows. A quoted value may span lines, so reading starts over and skips what was read before."""
        del name
        header: list[str] = []
        position = 0
        for number, row in _rows(path):
            if number == 1:
                header = row
                continue
            position += 1
            if position > start.position:
                fields = {name: value.strip() for name, value in zip(header, row, strict=True) if value.strip()}
                line = position + 1
                yield Line(line, "completion.upsert", fields, Place(0, line, position), _faults(fields, line))


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield rows with their number, the header being 1; blank lines do not count."""
    csv.field_size_limit(LONGEST_FIELD)
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from enumerate((row for row in csv.reader(file, strict=True) if row), start=1)


def _faults(fields: dict[str, str], line: int) -> tuple[Fault, ...]:
    faults = [_fault(LmsCode.L101, line, column) for column in MANDATORY if column not in fields]
    if "completed_at" in fields and not _is(datetime, fields["completed_at"]):
        faults.append(_fault(LmsCode.L103, line, "completed_at"))
    if "expires_on" in fields and not _is(date, fields["expires_on"]):
        faults.append(_fault(LmsCode.L103, line, "expires_on"))
    return tuple(faults)


def _is(kind: type[date], value: str) -> bool:
    """Tell whether the text is what the service that owns the record will accept: the same check, made here first."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _fault(code: LmsCode, line: int, column: str | None = None) -> Fault:
    return Fault(code, line, column, f"{column}: {code.meaning}" if column else code.meaning)
