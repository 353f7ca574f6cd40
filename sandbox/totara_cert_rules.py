"""The dates of the sandbox's certifications: its own reading of Totara's three recertification methods.

Moments are seconds since 1970, 0 where there is none, as the product stores them. Periods are texts like ``3 year``.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

#: What the hourly step counts with, as stored by the product in ``recertifydatetype``.
COMPLETION: Final = 1
EXPIRY: Final = 2
FIXED: Final = 3

METHODS: Final = {"completion": COMPLETION, "expiry": EXPIRY, "fixed": FIXED}

_MONTHS: Final = {"month": 1, "year": 12}
_DAYS: Final = {"day": 1, "week": 7}
_STEPS: Final = 10_000


class UnusableSettingsError(Exception):
    """A certification's periods are empty, none or make no way: whoever computes with them breaks off."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a certification is renewed."""

    method: int
    active: str
    minimum: str
    window: str
    zone: ZoneInfo


def shifted(moment: int, period: str, sign: int, zone: ZoneInfo) -> int:
    """Return a moment moved by a period on the wall clock; days a month does not have run over into the next."""
    number, _, unit = period.strip().partition(" ")
    unit = unit.strip().removesuffix("s")
    if not number.isdigit() or int(number) == 0 or unit not in _MONTHS | _DAYS:
        raise UnusableSettingsError
    count = sign * int(number)
    here = datetime.fromtimestamp(moment, zone)
    day = here.date() + timedelta(days=count * _DAYS.get(unit, 0))
    if unit in _MONTHS:
        index = here.year * 12 + here.month - 1 + count * _MONTHS[unit]
        day = date(index // 12, index % 12 + 1, 1) + timedelta(days=here.day - 1)
    return int(datetime.combine(day, time(here.hour, here.minute, here.second), zone).timestamp())


def recertified(terms: Terms, completed: int, expires: int, due: int) -> tuple[int, int]:
    """Return new expiry and opening of the window. Raises UnusableSettingsError."""
    base = {COMPLETION: _from_completion, EXPIRY: _from_expiry, FIXED: _from_fixed}[terms.method](
        terms, completed, expires, due
    )
    new = shifted(base, terms.active, 1, terms.zone)
    return new, shifted(new, terms.window, -1, terms.zone)


def _from_completion(_: Terms, completed: int, __: int, ___: int) -> int:
    return completed


def _from_expiry(terms: Terms, completed: int, expires: int, due: int) -> int:
    if not expires:
        return max(completed, due)
    if completed > expires:
        return completed
    if completed < shifted(expires, terms.window, -1, terms.zone):
        return shifted(expires, terms.active, -1, terms.zone)
    return expires


def _from_fixed(terms: Terms, completed: int, expires: int, due: int) -> int:
    base = expires or due or completed
    if not terms.minimum.strip():
        return base
    least = shifted(completed, terms.minimum, 1, terms.zone)
    for _ in range(_STEPS):
        if shifted(base, terms.minimum, -1, terms.zone) < completed:
            break
        base = shifted(base, terms.active, -1, terms.zone)
    for _ in range(_STEPS):
        further = shifted(base, terms.active, 1, terms.zone)
        if further >= least:
            return base
        base = further
    raise UnusableSettingsError
