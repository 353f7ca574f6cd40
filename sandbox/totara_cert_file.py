"""What the completion upload makes of a file: refused as a whole, or stored row by row with what is wrong in each."""

import csv
import io
import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

#: Columns of the file and the longest value each can store.
COLUMNS: Final = {
    "username": 100, "certificationshortname": 255, "certificationidnumber": 100, "completiondate": 10, "duedate": 10,
}  # fmt: skip

_PARTS: Final = {"Y": r"(?P<Y>\d{4})", "y": r"(?P<y>\d{2})", "m": r"(?P<m>\d{1,2})", "d": r"(?P<d>\d{1,2})"}


class RefusedFileError(Exception):
    """The form refuses the file; nothing of it is stored. The text is what the form shows."""


@dataclass(frozen=True, slots=True)
class UploadSettings:
    """What is chosen on the upload form. The zones belong to the one who uploads and to the one the task runs as."""

    action: int = 0
    """0: save to history; 1: certify if more recent; 2: certify the uncertified."""
    date_format: str = "Y-m-d"
    separator: str = ","
    quote: str = '"'
    encoding: str = "UTF-8"
    create_evidence: bool = False
    force_case_insensitive: bool = False
    """Made no difference where the product was observed, and makes none here."""
    uploader_zone: str = "Europe/London"
    task_zone: str = "Europe/London"


def read(content: bytes, settings: UploadSettings) -> list[dict[str, str]]:
    """Return the rows of a file by column. Raises RefusedFileError."""
    text = content.decode(settings.encoding, errors="ignore").removeprefix("\ufeff")
    lines = [
        line
        for line in csv.reader(io.StringIO(text, newline=""), delimiter=settings.separator, quotechar=settings.quote)
        if line
    ]
    if not lines:
        raise RefusedFileError("The CSV file is empty")
    header = [name.strip() for name in lines[0]]
    wrong = [f"Unknown column '{name}'" for name in header if name not in COLUMNS]
    wrong += [f"Missing required column '{name}'" for name in COLUMNS if name not in header]
    if wrong:
        raise RefusedFileError("\n".join(wrong))
    if any(len(line) != len(header) for line in lines):
        raise RefusedFileError("Invalid CSV file format - number of columns is not constant!")
    return [dict(zip(header, line, strict=True)) for line in lines[1:]]


def shortened(row: dict[str, str]) -> tuple[dict[str, str], str]:
    """Return a row as it can be stored, and the errors for values that were cut."""
    cut = [name for name, limit in COLUMNS.items() if len(row[name]) > limit]
    stored = {name: f"{row[name][: COLUMNS[name] - 3]}..." if name in cut else row[name] for name in COLUMNS}
    return stored, "".join(f"fieldtoolarge_{name};" for name in cut)


def day_of(text: str, date_format: str) -> date | None:
    """Return a date that is in the calendar and in the format, else None."""
    found = _parts(text, date_format)
    try:
        return date(*found) if found else None
    except ValueError:
        return None


def rolled(text: str, date_format: str) -> date | None:
    """Return a date in the format, impossible ones rolled over: 31 February is 3 March. Else None."""
    found = _parts(text, date_format)
    if found is None or found[0] == 0:
        return None
    year, month, number = found
    index = year * 12 + month - 1
    return date(index // 12, index % 12 + 1, 1) + timedelta(days=number - 1)


def midnight(day: date, zone: str) -> int:
    """Return when a day begins in a zone, in seconds since 1970."""
    return int(datetime.combine(day, time(), ZoneInfo(zone)).timestamp())


def same_idnumber(rows: list[dict[str, str]]) -> set[str]:
    """Return the idnumbers that stand beside two different short names."""
    names: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row["certificationidnumber"].strip() and row["certificationshortname"].strip():
            names[row["certificationidnumber"].strip()].add(row["certificationshortname"].strip())
    return {idnumber for idnumber, found in names.items() if len(found) > 1}


def _parts(text: str, date_format: str) -> tuple[int, int, int] | None:
    pattern = "".join(_PARTS.get(letter) or re.escape(letter) for letter in date_format)
    found = re.fullmatch(pattern, text, re.ASCII)
    if not found:
        return None
    named = found.groupdict()
    year = int(named["Y"]) if "Y" in named else int(named["y"]) + (1900 if int(named["y"]) >= 70 else 2000)
    return year, int(named["m"]), int(named["d"])
