"""ESR's renewal arithmetic, a trust's local period, and the day an expiry is said to fall on; each with its reason.

ESR works out an expiry from the renewal period of the competence's definition (``CD`` record) where a completion brings
none. ESR is an Oracle system: that it counts as ``add_months`` does is taken from that and not from a specification, so
the rule for days a month does not have is a switch (``MonthRule``), and so is whether the anniversary itself or the day
before it is the expiry (``DayRule``).
"""

import functools
from datetime import date, datetime, timedelta
from enum import StrEnum

import msgspec

from services.competency.renewal.periods import MonthRule, Period, uk_day
from shared.errors import ConfigurationError


class DayRule(StrEnum):
    """Which day an expiry is, seen from the anniversary."""

    SAME_DAY = "same-day"
    DAY_BEFORE = "day-before"


class Counting(msgspec.Struct, frozen=True, gc=False):
    """How a trust's ESR counts; the defaults are those of the built-in profile."""

    months: MonthRule = MonthRule.LAST_DAY_STAYS
    day: DayRule = DayRule.SAME_DAY


class Expiry(msgspec.Struct, frozen=True, gc=False):
    """An expiry date and why it is that; ``day`` None: does not expire, or with ``known`` false, cannot be told."""

    day: date | None
    reason: str
    known: bool = True


@functools.lru_cache(maxsize=16_384)  # a day's batches are full of the same days, and nothing but values goes in
def by_esr(
    achieved: date, frequency: int | None, units: str, competence_id: str, counting: Counting | None = None
) -> Expiry:
    """Return the expiry by the renewal period of an ESR definition; without one it does not expire.

    ``frequency`` and ``units`` are the definition's own (``3``, ``Year``). Where they cannot be read, or lead out of
    the calendar, nothing is guessed: ``known`` is false and the reason says so.
    """
    try:
        return _by_definition(achieved, frequency, units, competence_id, counting or Counting())
    except ConfigurationError:
        return Expiry(
            None, f"not known: the renewal period of ESR definition {competence_id} cannot be used", known=False
        )


def _by_definition(achieved: date, frequency: int | None, units: str, competence_id: str, counting: Counting) -> Expiry:
    period = Period.parse(f"{frequency} {units}") if frequency else None
    if period is None:
        return Expiry(None, f"does not expire: ESR definition {competence_id} has no renewal period")
    return _counted(achieved, period, f"by ESR definition {competence_id}", counting)


def by_local_period(
    achieved: date, period: Period | None, certification: str, counting: Counting | None = None
) -> Expiry:
    """Return the expiry by the trust's own period for a certification; None means it does not expire."""
    if period is None:
        return Expiry(None, f"does not expire: the trust's rule for {certification} has no period")
    return _counted(achieved, period, f"by the trust's rule for {certification}", counting or Counting())


def by_lms(expires: datetime | date | None, certification: str, day: DayRule = DayRule.SAME_DAY) -> Expiry:
    """Return the UK day of the expiry the LMS shows; a moment without offset is UK time."""
    if expires is None:
        return Expiry(None, f"does not expire: the LMS shows no expiry for {certification}")
    shown = uk_day(expires) if isinstance(expires, datetime) else expires
    return Expiry(_ruled(shown, day), f"the LMS shows {shown} for {certification}{_said(day)}")


def _counted(achieved: date, period: Period, source: str, counting: Counting) -> Expiry:
    expires = _ruled(period.after(achieved, counting.months), counting.day)
    return Expiry(expires, f"{period} from {achieved} {source}{_said(counting.day)}")


def _ruled(anniversary: date, rule: DayRule) -> date:
    return anniversary - timedelta(days=1) if rule is DayRule.DAY_BEFORE else anniversary


def _said(rule: DayRule) -> str:
    return ", the day before" if rule is DayRule.DAY_BEFORE else ""
