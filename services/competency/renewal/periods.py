"""Adding and taking away periods, as Totara does (PHP ``strtotime``) and as ESR does (Oracle ``add_months``).

Totara counts in UK wall-clock time and lets days that a month does not have run over into the next: 31 January plus one
month is 3 March, 29 February plus one year is 1 March. ESR's database shortens instead, and keeps a last day of a
month a last day. The two differ on few dates, and there by up to three days.
"""

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final, Self
from zoneinfo import ZoneInfo

from shared.clock import LONDON
from shared.errors import ConfigurationError

#: Longest count that is read; with it no date of this century leaves the calendar.
LONGEST: Final = 9999

_TEXT: Final = re.compile(r"^\s*(\d{1,4})\s+([A-Za-z]+)\s*$")


class Unit(StrEnum):
    """What a period counts."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


class MonthRule(StrEnum):
    """What becomes of a day that the month reached does not have."""

    LAST_DAY_STAYS = "last-day-stays"
    """Oracle's ``add_months``: shortened to the last day; and from a last day always to a last day."""
    SHORTEN = "shorten"
    """Shortened to the last day of the month; 28 February stays the 28th."""
    OVERFLOW = "overflow"
    """PHP: the days too many run over into the next month."""


@dataclass(frozen=True, slots=True)
class Period:
    """A count of days, weeks, months or years, at least one."""

    count: int
    unit: Unit

    def __post_init__(self) -> None:
        """Raises ConfigurationError for a count of no days, or of more than ``LONGEST``."""
        if not 1 <= self.count <= LONGEST:
            raise ConfigurationError(f"A period counts from 1 to {LONGEST}, not {self.count}.")

    def __str__(self) -> str:
        return f"{self.count} {self.unit}{'' if self.count == 1 else 's'}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read ``3 year``, ``6 months`` or ESR's ``3 Year``; empty, or none of something, is None: no period.

        Raises ConfigurationError when it is neither.
        """
        if not text.strip():
            return None
        found = _TEXT.match(text)
        name = found[2].lower().removesuffix("s") if found else ""
        if found is None or name not in tuple(Unit):
            raise ConfigurationError("A period is a number and day, week, month or year, for example 3 year.")
        return cls(int(found[1]), Unit(name)) if int(found[1]) else None

    def after(self, day: date, rule: MonthRule = MonthRule.LAST_DAY_STAYS) -> date:
        """Return the day this period after ``day``. Raises ConfigurationError beyond the calendar."""
        return _moved(day, self, 1, rule)

    def before(self, day: date, rule: MonthRule = MonthRule.LAST_DAY_STAYS) -> date:
        """Return the day this period before ``day``. Raises ConfigurationError beyond the calendar."""
        return _moved(day, self, -1, rule)


def plus(moment: datetime, period: Period, zone: ZoneInfo = LONDON) -> datetime:
    """Return ``moment`` plus a period as PHP's ``strtotime`` counts in ``zone``; an instant in UTC.

    The wall clock is kept over changes of summer time; a time of day that is skipped is moved an hour on, one that
    comes twice is the first. Raises ConfigurationError beyond the calendar.
    """
    return _shifted(moment, period, 1, zone)


def minus(moment: datetime, period: Period, zone: ZoneInfo = LONDON) -> datetime:
    """Return ``moment`` minus a period, counted as ``plus`` does: 31 March minus one month is 3 March."""
    return _shifted(moment, period, -1, zone)


def instant(moment: datetime) -> datetime:
    """Return a moment in UTC, where moments compare truly; one without offset is UK time."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=LONDON)).astimezone(UTC)


def midnight(day: date, zone: ZoneInfo = LONDON) -> datetime:
    """Return the moment a day begins, in UTC. In summer a UK day begins at 23:00 UTC of the day before."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def uk_day(moment: datetime) -> date:
    """Return the UK calendar day of a moment; one without offset is UK time."""
    return instant(moment).astimezone(LONDON).date()


def _shifted(moment: datetime, period: Period, sign: int, zone: ZoneInfo) -> datetime:
    local = instant(moment).astimezone(zone)
    day = _moved(local.date(), period, sign, MonthRule.OVERFLOW)
    return datetime.combine(day, local.time().replace(fold=0), zone).astimezone(UTC)


def _moved(day: date, period: Period, sign: int, rule: MonthRule) -> date:
    count = sign * period.count
    try:
        if period.unit in (Unit.DAY, Unit.WEEK):
            return day + timedelta(days=count * (7 if period.unit is Unit.WEEK else 1))
        return _months(day, count * (12 if period.unit is Unit.YEAR else 1), rule)
    except (ValueError, OverflowError):
        raise ConfigurationError("A renewal period leads to a date that is not in the calendar.") from None


def _months(day: date, count: int, rule: MonthRule) -> date:
    years, month = divmod(day.year * 12 + day.month - 1 + count, 12)
    first = date(years, month + 1, 1)
    if rule is MonthRule.OVERFLOW:
        return first + timedelta(days=day.day - 1)
    last = calendar.monthrange(first.year, first.month)[1]
    was_last = day.day == calendar.monthrange(day.year, day.month)[1]
    if rule is MonthRule.LAST_DAY_STAYS and was_last:
        return first.replace(day=last)
    return first.replace(day=min(day.day, last))
