"""Figures and lists as CSV and as XLSX. No I/O here.

A cell that begins like a formula would be worked out by the spreadsheet that opens it, whoever wrote the name of a
ward or a person. In CSV such a cell gets an apostrophe in front (the usual counsel against CSV injection); in XLSX
every text is written as text.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final, Literal

import xlsxwriter  # type: ignore[import-untyped]

from services.competency.compliance.status import STATUSES

Format = Literal["json", "csv", "xlsx"]

MEDIA: Final[dict[Format, str]] = {
    "json": "application/json",
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

FIGURES: Final = ("key", "name", "people", "lacking_people", "required", "valid", "percent", *STATUSES)
PEOPLE: Final = (
    "person_id", "name", "employee_number", "organisation_id", "organisation", "staff_group", "position", "subject",
    "requirement", "status", "expires_on",
)  # fmt: skip

_DANGEROUS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_WIDTH: Final = 18
_WIDE: Final = 36
_WIDE_COLUMNS: Final = ("name", "organisation", "position", "requirement")

Row = Mapping[str, Any]


def rows_of(said: Mapping[str, Any]) -> tuple[tuple[str, ...], Sequence[Row]]:
    """Return columns and rows of what ``figures`` or ``people`` answered; the total is the last row."""
    if "total" in said and isinstance(said["total"], Mapping):
        return FIGURES, [*said["rows"], {**said["total"], "key": "", "name": "total"}]
    named = any("name" in row for row in said["rows"])
    return tuple(one for one in PEOPLE if named or one != "name"), said["rows"]


def as_csv(said: Mapping[str, Any]) -> str:
    """Return an answer as CSV (RFC 4180) with a header row."""
    columns, rows = rows_of(said)
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(columns)
    writer.writerows([_safe(row[one]) for one in columns] for row in rows)
    return written.getvalue()


def as_xlsx(said: Mapping[str, Any]) -> bytes:
    """Return an answer as a workbook of one sheet, named after the day; dates are dates and numbers are numbers."""
    columns, rows = rows_of(said)
    written = io.BytesIO()
    with xlsxwriter.Workbook(written, {"constant_memory": True}) as book:
        sheet = book.add_worksheet(str(said["day"]))
        bold, day = book.add_format({"bold": True}), book.add_format({"num_format": "yyyy-mm-dd"})
        for place, one in enumerate(columns):
            sheet.set_column(place, place, _WIDE if one in _WIDE_COLUMNS else _WIDTH)
            sheet.write_string(0, place, one, bold)
        for line, row in enumerate(rows, start=1):
            for place, one in enumerate(columns):
                value = row[one]
                if value is None:
                    continue
                if one == "expires_on":
                    sheet.write_datetime(line, place, date.fromisoformat(value), day)
                elif isinstance(value, int | float):
                    sheet.write_number(line, place, value)
                else:
                    sheet.write_string(line, place, str(value))
        sheet.freeze_panes(1, 0)
        sheet.autofilter(0, 0, len(rows), len(columns) - 1)
    return written.getvalue()


def written_as(said: Mapping[str, Any], form: Format) -> bytes:
    """Return an answer as the bytes of a CSV (UTF-8) or XLSX file."""
    return as_xlsx(said) if form == "xlsx" else as_csv(said).encode()


def _safe(value: Any) -> Any:  # noqa: ANN401 - a cell
    if isinstance(value, str) and value.startswith(_DANGEROUS):
        return f"'{value}"
    return value
