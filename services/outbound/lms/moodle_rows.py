"""Accounts as Moodle shows them, and how they differ from what we want."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.outbound.lms.moodle_form import Entry
from services.outbound.lms.port import Account, Candidate, ProfileField
from shared.errors import LmsUnavailableError

_CORE: Final = ("username", "firstname", "lastname", "email", "auth")
_ZONES_APART: Final = timedelta(hours=26)
"""No two time zones are further apart."""


@dataclass(frozen=True, slots=True)
class Row:
    """An account. ``missing``: core fields Moodle did not show, because the token may not see them.

    ``days`` holds the moments of its date fields, ``fields`` all of its profile fields as text: a date is an ISO day
    when it is a midnight in the zone we share with the site, else a date and time.
    """

    id: int
    idnumber: str
    core: Mapping[str, str]
    suspended: bool
    timezone: str
    missing: tuple[str, ...]
    fields: Mapping[str, str]
    days: Mapping[str, datetime]

    @property
    def username(self) -> str:
        """The username."""
        return self.core.get("username", "")

    @property
    def email(self) -> str:
        """The e-mail address."""
        return self.core.get("email", "")


def read_rows(value: object, zone: ZoneInfo) -> list[Row]:
    """Return the accounts of an answer. Raises LmsUnavailableError when it has another shape than Moodle's."""
    if not isinstance(value, list):
        raise LmsUnavailableError("what answered a look-up is not Moodle: it sent no list")
    try:
        return [_row(one, zone) for one in value]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise LmsUnavailableError(f"Moodle sent an account of another shape ({type(error).__name__})") from None


def _row(given: Mapping[str, Any], zone: ZoneInfo) -> Row:
    fields: dict[str, str] = {}
    days: dict[str, datetime] = {}
    for one in given.get("customfields", ()):
        name, value = one["shortname"], one["value"] or ""
        if one["type"] == "datetime" and value in ("", "0"):
            continue
        if one["type"] == "datetime":
            days[name] = datetime.fromtimestamp(int(value), UTC).astimezone(zone)
            value = _day_or_moment(days[name])
        fields[name] = value
    return Row(
        id=int(given["id"]),
        idnumber=given.get("idnumber", ""),
        core={name: given[name] for name in _CORE if name in given},
        suspended=bool(given.get("suspended")),
        timezone=given.get("timezone", "99"),
        missing=tuple(name for name in _CORE if name not in given),
        fields=fields,
        days=days,
    )


def _day_or_moment(moment: datetime) -> str:
    midnight = moment.time() == time()
    return moment.date().isoformat() if midnight else moment.replace(tzinfo=None).isoformat(timespec="seconds")


def candidate(row: Row) -> Candidate:
    """Return an account in the words of the port; of dates the day only."""
    days = {name: moment.date().isoformat() for name, moment in row.days.items()}
    return Candidate(
        lms_id=str(row.id),
        idnumber=row.idnumber,
        username=row.username,
        first_name=row.core.get("firstname", ""),
        last_name=row.core.get("lastname", ""),
        email=row.email,
        suspended=row.suspended,
        fields={**row.fields, **days},
    )


def core_of(account: Account) -> dict[str, str]:
    """Return the fields of an account that Moodle shows again; all but the middle names, which it never shows."""
    return {
        "username": account.username,
        "firstname": account.first_name,
        "lastname": account.last_name,
        "email": account.email,
        "auth": account.auth,
    }


def sent(field: ProfileField) -> str:
    """Return the value a profile field is sent with: an empty checkbox is one that is not ticked."""
    return field.value or ("0" if field.kind == "checkbox" else "")


def differences(row: Row, account: Account) -> Entry:
    """Return what must be written to bring an account to what is wanted. Its suspension is not among it."""
    values = {name: value for name, value in core_of(account).items() if row.core.get(name) != value}
    custom = [(one.name, sent(one)) for one in account.fields if _held(row, one) != sent(one)]
    return Entry({"id": str(row.id), **values}, custom)


def _held(row: Row, field: ProfileField) -> str:
    return row.fields.get(field.name, "0" if field.kind == "checkbox" else "")


def in_another_zone(row: Row, account: Account, zone: ZoneInfo) -> bool:
    """Whether a date we wrote was kept as midnight of another time zone: every date would be falsified so."""
    for one in account.fields:
        if one.kind == "date" and one.value and one.name in row.days:
            wanted = datetime.combine(date.fromisoformat(one.value), time(), zone)
            apart = abs(row.days[one.name].astimezone(UTC) - wanted.astimezone(UTC))
            if timedelta() < apart <= _ZONES_APART:
                return True
    return False
