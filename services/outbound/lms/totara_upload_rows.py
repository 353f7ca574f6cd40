"""Rows of Totara's completion upload: what it could not take, what must not share a file, and the file itself.

The upload refuses a whole file for one row of another width, takes an impossible due date for another day, certifies
on dates that are yet to come, and where a file holds two dates of one person and certification it can lose completions
of other people in it. So every value is checked before, and a file has one row of each person and certification.
"""

import csv
import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

from services.outbound.lms.port import Certification, Evidence
from services.outbound.lms.totara_rules import TOO_LONG, is_day, text_fault
from shared.lms_settings import CompletionUploadSettings

COLUMNS: Final = ("username", "certificationshortname", "certificationidnumber", "completiondate", "duedate")
"""The form asks for exactly these."""

EVIDENCE_MARK: Final = "ESR-"
"""Before the reference of an evidence item: no certification's idnumber begins so, or evidence would certify."""

_USERNAME: Final = 100
_SHORTNAME: Final = 255
_IDNUMBER: Final = 100
_FIRST_YEAR: Final = 1970
"""Dates are kept as seconds since then, and nought is no date."""

_STRFTIME: Final = {
    "Y-m-d": "%Y-%m-%d",
    "Y/m/d": "%Y/%m/%d",
    "d/m/Y": "%d/%m/%Y",
    "d-m-Y": "%d-%m-%Y",
    "d.m.Y": "%d.%m.%Y",
    "m/d/Y": "%m/%d/%Y",
}


@dataclass(frozen=True, slots=True)
class UploadRow:
    """One row. A file holds one of each ``group``; rows with equal ``digest`` say the same."""

    cells: tuple[str, ...]
    group: str
    day: str
    digest: str


def completion_row(
    one: Certification, username: str, today: date, settings: CompletionUploadSettings
) -> UploadRow | str:
    """Return the row of a completion, or the code of what keeps it from being sent.

    The certification is named by its idnumber alone: with two names, of which one is not right, nothing is matched.
    ``username`` has to be exactly as the LMS holds it. Whether the date would certify for any time at all is not looked
    at: that depends on the certification's terms, and was decided before (``services/competency``).
    """
    certification = one.certification.strip()
    fault = (
        _username_fault(username)
        or _text_fault(certification, _IDNUMBER, "certification-missing")
        or _day_fault(one.completed_on, today)
        or ("due-date-invalid" if one.due_on and not _storable(one.due_on) else "")
    )
    cells = (username, "", certification)
    return fault or _row(cells, one.completed_on, one.due_on, f"{username}\x1f{certification}", settings)


def evidence_row(one: Evidence, username: str, today: date, settings: CompletionUploadSettings) -> UploadRow | str:
    """Return the row of an item of evidence, or the code of what keeps it from being sent.

    It has a short name, which becomes the item's, and an idnumber that no certification has: so it is evidence for
    certain, even where a certification has that short name. An idnumber that stands beside two short names fails.
    """
    idnumber = f"{EVIDENCE_MARK}{one.reference.strip()}"
    name = one.name.strip()
    fault = (
        _username_fault(username)
        or ("" if one.reference.strip() else "reference-missing")
        or _text_fault(idnumber, _IDNUMBER, "reference-missing")
        or _text_fault(name, _SHORTNAME, "name-blank")
        or _day_fault(one.completed_on, today)
    )
    digest = _digest(one.idnumber, one.reference)
    return fault or _row((username, name, idnumber), one.completed_on, "", idnumber, settings, digest)


def choose(rows: Iterable[UploadRow], limit: int) -> list[UploadRow]:
    """Return the rows of the next file: of each group the oldest, ``limit`` at most.

    The oldest first, so that each later one is counted from what the one before left behind.
    """
    oldest: dict[str, UploadRow] = {}
    for row in rows:
        held = oldest.get(row.group)
        if held is None or row.day < held.day:
            oldest[row.group] = row
    return list(oldest.values())[:limit]


def written(rows: Iterable[UploadRow], settings: CompletionUploadSettings) -> bytes:
    """Return the file."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=settings.delimiter)
    writer.writerow(COLUMNS)
    writer.writerows(row.cells for row in rows)
    return text.getvalue().encode(settings.encoding)


def _row(
    names: tuple[str, str, str],
    day: str,
    due: str,
    group: str,
    settings: CompletionUploadSettings,
    digest: str = "",
) -> UploadRow | str:
    cells = (*names, _shown(day, settings), _shown(due, settings))
    try:
        "".join(cells).encode(settings.encoding)
    except UnicodeEncodeError:
        return "encoding"
    return UploadRow(cells, group, day, digest or _digest(*names, day))


def _username_fault(username: str) -> str:
    if username != username.lower():
        return "username-invalid"  # Totara keeps user names in small letters and compares exactly
    return _text_fault(username, _USERNAME, "username-invalid", "username-invalid")


def _text_fault(value: str, limit: int, missing: str, unclean: str = "value-invalid") -> str:
    fault = text_fault(value, limit, needed=True)
    return {"": "", "missing": missing, "characters": unclean}.get(fault, TOO_LONG)


def _day_fault(day: str, today: date) -> str:
    if not _storable(day):
        return "date-invalid"
    return "date-in-future" if day > today.isoformat() else ""


def _storable(day: str) -> bool:
    return is_day(day) and date.fromisoformat(day).year > _FIRST_YEAR


def _shown(day: str, settings: CompletionUploadSettings) -> str:
    return date.fromisoformat(day).strftime(_STRFTIME[settings.date_format]) if day else ""


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]
