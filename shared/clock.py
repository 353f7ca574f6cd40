"""Business time is a value: every rule that depends on "today" is given a clock.

ESR's days are UK days, so Europe/London decides what a day is; a day may have 23 or 25 hours.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

LONDON = ZoneInfo("Europe/London")


class Clock(Protocol):
    """Tells business time."""

    def now(self) -> datetime:
        """Return the present moment, aware, in Europe/London."""
        ...

    def today(self) -> date:
        """Return the business day: the calendar day in Europe/London."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present moment in Europe/London."""
        return datetime.now(UTC).astimezone(LONDON)

    def today(self) -> date:
        """Return today's date in Europe/London."""
        return self.now().date()


@dataclass(slots=True)
class FixedClock:
    """A clock that stands still until it is set: for one-shot runs with ``--now`` and for simulations."""

    moment: datetime

    def __post_init__(self) -> None:
        """Read a naive moment as UK local time."""
        self.set(self.moment)

    def now(self) -> datetime:
        """Return the moment that was set, in Europe/London."""
        return self.moment

    def today(self) -> date:
        """Return the date of the moment that was set."""
        return self.moment.date()

    def set(self, moment: datetime) -> None:
        """Move to ``moment``; a naive value is UK local time."""
        self.moment = moment.replace(tzinfo=LONDON) if moment.tzinfo is None else moment.astimezone(LONDON)
