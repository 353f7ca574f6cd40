"""What Totara can hold: checked before anything is sent, because what it does with other values is not good.

The API repeats a refused value in its error; HR Import creates accounts under names nobody gave them, drops letters it
cannot read, or refuses everyone else's rows too. The codes are the same for both channels.
"""

import re
import unicodedata
from dataclasses import replace
from datetime import date
from typing import Final

from services.outbound.lms.port import Account, HierarchyItem, JobAssignment, ProfileField

NOT_BY_THIS_DRIVER: Final = "not-by-this-driver"
TOO_LONG: Final = "value-too-long"

_USERNAME: Final = re.compile(r"[-._@a-z0-9]+")
_EMAIL: Final = re.compile(r"[^@\s<>(),;:\"\\]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_UNCLEAN: Final = re.compile(r"[\x00-\x1f\x7f<>]")
"""Control characters, and what is taken for a tag and removed."""

_AUTH: Final = re.compile(r"[a-z][a-z0-9_]*")

TEXT_LIMIT: Final = 255


def tidy_account(account: Account) -> Account:
    """Return an account with its texts as Totara keeps them: without outer blanks, letters composed (NFC)."""
    return replace(
        account,
        first_name=_tidy(account.first_name),
        last_name=_tidy(account.last_name),
        middle_names=_tidy(account.middle_names),
        email=account.email.strip(),
        fields=tuple(replace(one, value=_tidy(one.value)) for one in account.fields),
    )


def tidy_job(job: JobAssignment) -> JobAssignment:
    """Return a job assignment with its name as Totara keeps it."""
    return replace(job, full_name=_tidy(job.full_name))


def tidy_item(item: HierarchyItem) -> HierarchyItem:
    """Return an organisation or a position with its name as Totara keeps it."""
    return replace(item, full_name=_tidy(item.full_name))


def account_fault(account: Account) -> str:
    """Return the code of what Totara could not hold of an account, or nothing."""
    for value, limit, needed, missing, unclean in (
        (account.idnumber, 255, True, "idnumber-invalid", "idnumber-invalid"),
        (account.username, 100, True, "username-invalid", "username-invalid"),
        (account.first_name, 100, True, "name-blank", "name-invalid"),
        (account.last_name, 100, True, "name-blank", "name-invalid"),
        (account.middle_names, 255, False, "", "name-invalid"),
        (account.email, 100, True, "email-invalid", "email-invalid"),
        (account.auth, 20, True, "auth-invalid", "auth-invalid"),
    ):
        if fault := text_fault(value, limit, needed=needed):
            return {"missing": missing, "characters": unclean}.get(fault, TOO_LONG)
    if not _USERNAME.fullmatch(account.username):
        return "username-invalid"
    if not _EMAIL.fullmatch(account.email):
        return "email-invalid"
    if not _AUTH.fullmatch(account.auth):
        return "auth-invalid"
    if len({one.name for one in account.fields}) < len(account.fields):
        return "field-twice"
    return next((fault for one in account.fields if (fault := field_fault(one))), "")


def field_fault(field: ProfileField) -> str:
    """Return the code of what Totara could not hold of a profile field, or nothing. Empty values erase."""
    if fault := text_fault(field.value, TEXT_LIMIT, needed=False):
        return TOO_LONG if fault == "too-long" else "value-invalid"
    if field.value and field.kind == "checkbox" and field.value not in ("0", "1"):
        return "checkbox-invalid"
    if field.value and field.kind == "date" and not is_day(field.value):
        return "date-invalid"
    return ""


def job_fault(job: JobAssignment) -> str:
    """Return the code of what Totara could not hold of a job assignment, or nothing."""
    parts = (
        (job.idnumber, 100, "job-missing"),
        (job.account, 255, "account-missing"),
        (job.full_name, TEXT_LIMIT, "name-blank"),
        (job.organisation, 100, ""),
        (job.position, 100, ""),
        (job.manager, 255, ""),
        (job.manager_job, 100, "manager-job-missing" if job.manager else ""),
    )
    if fault := _first_fault(parts):
        return fault
    if any(day and not is_day(day) for day in (job.start, job.end)):
        return "date-invalid"
    if job.start and job.end and job.start > job.end:
        return "dates-reversed"
    return "own-manager" if job.manager == job.account else ""


def item_fault(item: HierarchyItem) -> str:
    """Return the code of what Totara could not hold of an organisation or a position, or nothing."""
    parts = ((item.idnumber, 100, "item-missing"), (item.full_name, TEXT_LIMIT, "name-blank"), (item.parent, 100, ""))
    return _first_fault(parts) or ("own-parent" if item.parent == item.idnumber else "")


def text_fault(value: str, limit: int, *, needed: bool) -> str:
    """Return ``missing``, ``too-long`` or ``characters``, or nothing."""
    if not value.strip():
        return "missing" if needed or value else ""
    if len(value) > limit:
        return "too-long"
    return "characters" if _UNCLEAN.search(value) or value != value.strip() else ""


def _first_fault(parts: tuple[tuple[str, int, str], ...]) -> str:
    """Return the first fault of values with their limits, and the code where one is missing that is needed."""
    for value, limit, missing in parts:
        if fault := text_fault(value, limit, needed=bool(missing)):
            return {"missing": missing or "value-invalid", "characters": "value-invalid"}.get(fault, TOO_LONG)
    return ""


def _tidy(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


def is_day(text: str) -> bool:
    """Whether a text is a day of the calendar as ``YYYY-MM-DD``."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
