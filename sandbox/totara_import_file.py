"""What HR Import makes of a file before it looks at what the rows mean, and the log it writes."""

import csv
import io
import re
import sqlite3
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sandbox.totara_state import TotaraSettings

Rows = list[dict[str, str]]

_HEADER: Final = re.compile(r"[^A-Za-z0-9 ?!_-]")
_TAGS: Final = re.compile(r"<[^<>]*>")
_DATES: Final = {
    "d/m/Y": (re.compile(r"^(?P<d>\d{1,2})/(?P<m>\d{1,2})/(?P<y>\d{4})$")),
    "m/d/Y": (re.compile(r"^(?P<m>\d{1,2})/(?P<d>\d{1,2})/(?P<y>\d{4})$")),
    "Y-m-d": (re.compile(r"^(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})$")),
}


class InvalidFileError(Exception):
    """The file as a whole is refused; the text goes to the log."""


class EmptyFileError(Exception):
    """A file of no bytes: the importer breaks off."""


class Journal:
    """The log table, for one element of one run."""

    def __init__(self, db: sqlite3.Connection, element: str, runid: int, now: int) -> None:
        self._db = db
        self._element = element
        self._runid = runid
        self._now = now

    def did(self, action: str, text: str) -> None:
        """Log what was done."""
        self._add("info", action, text)

    def warned(self, action: str, text: str) -> None:
        """Log what was done otherwise than it was said."""
        self._add("warn", action, text)

    def refused(self, action: str, text: str) -> None:
        """Log what was not done."""
        self._add("error", action, text)

    def _add(self, kind: str, action: str, text: str) -> None:
        self._db.execute(
            "insert into log (time, element, logtype, action, info, runid) values (?, ?, ?, ?, ?, ?)",
            (self._now, self._element, kind, action, text[:255], self._runid),
        )


def read(content: bytes, settings: TotaraSettings, wanted: tuple[str, ...], journal: Journal) -> Rows:
    """Return the rows of a file by column. Raises InvalidFileError and EmptyFileError.

    Bytes that are not of the source's encoding vanish without a word; so do columns that are not enabled.
    """
    if not content:
        raise EmptyFileError
    text = content.decode(settings.encoding, errors="ignore").removeprefix("\ufeff")
    lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=settings.delimiter))
    header = [name.strip() for name in lines[0]] if lines else []
    for name in header:
        if wrong := _HEADER.search(name):
            raise InvalidFileError(
                f'CSV file not valid. It contains invalid characters ("{wrong[0]}"). Fields in a CSV file must be '
                f'separated by a selected delimiter ("{settings.delimiter}").'
            )
    for name in wanted:
        if name not in header:
            raise InvalidFileError(f'CSV file not valid, missing field "{name}"')
    rows = []
    for number, line in enumerate(lines[1:], start=1):
        if len(line) != len(header):
            journal.refused(
                "populatesynctablecsv",
                f"Skipping row {number} in CSV file - {len(line)} fields found but {len(header)} fields expected. "
                "Please check the delimiters for this row.",
            )
            continue
        rows.append(dict(zip(header, (_TAGS.sub("", value).strip() for value in line), strict=True)))
    return rows


def day(text: str, date_format: str) -> date | None:
    """Return a date as PHP reads it: 31 February is 3 March. None where the format does not fit."""
    found = _DATES[date_format].match(text)
    if not found:
        return None
    year, month, number = (int(found[part]) for part in "ymd")
    if not 1 <= month <= 12:
        year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    return date(year, month, 1) + timedelta(days=number - 1)


def moment(text: str, settings: TotaraSettings) -> int | None:
    """Return a date's midnight in the server's zone, or what is taken as seconds since 1970; None when neither."""
    found = day(text, settings.date_format)
    if found:
        return int(datetime.combine(found, time(), ZoneInfo(settings.zone)).timestamp())
    return int(text) if text.isdigit() else None


def noon(found: date) -> str:
    """Return a profile date as it is stored."""
    return str(int(datetime.combine(found, time(12), UTC).timestamp()))
