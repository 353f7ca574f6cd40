"""When the steps of a night are due, what was missed, and what is late. No I/O here.

A step is due once for each of its days, at a local time of Europe/London (ESR's days are UK days). A local time that
does not exist, when the clocks go forward, is due at the first moment after it; one that comes twice, when they go
back, is due the first time only. Which days are settled is stored by whoever asks; a clock that jumps makes nothing
run twice and leaves nothing out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal

from shared.clock import LONDON
from shared.config import WEEKDAYS, Weekday

LATE_MINUTES: Final = 30
"""A step that has not ended so long after it was due is late, unless it says otherwise."""

MOST_EACH: Final = 31
"""Missed days that are run one by one after an outage; those before are covered by the oldest of them."""

LONGEST_PAUSE: Final = timedelta(hours=1)
"""Between two attempts of a step that fails."""

_MINUTE: Final = timedelta(minutes=1)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a trust's night."""

    name: str
    at: str
    """Local time, ``HH:MM``."""
    missed: Literal["each", "latest"] = "latest"
    """After an outage ``each`` missed day is run, oldest first, or only the ``latest``, which covers those before."""
    days: tuple[Weekday, ...] = WEEKDAYS
    late_minutes: int = LATE_MINUTES


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A step's day, and the moment (UTC) at which it is due."""

    day: date
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Pending:
    """A day that has begun to be due and is not settled. ``next_at``: not to be tried before."""

    day: date
    next_at: datetime


@dataclass(frozen=True, slots=True)
class Choice:
    """The day to run now, and the missed days it stands for."""

    day: date
    covered: tuple[date, ...] = ()


def due_at(day: date, at: str) -> datetime:
    """Return the first moment (UTC) at which a clock in London shows this time of that day, or has passed it."""
    wanted = datetime.combine(day, time.fromisoformat(at))
    moment = min(wanted.replace(tzinfo=LONDON, fold=fold).astimezone(UTC) for fold in (0, 1))
    while moment.astimezone(LONDON).replace(tzinfo=None) < wanted:  # only where the clocks go forward over it
        moment += _MINUTE
    return moment


def plan(step: Step, newest: date | None, now: datetime) -> list[Occurrence]:
    """Return the occurrences after ``newest`` (None: the trust is new), up to the first that is not due yet.

    None where ``newest`` is not due itself, or the step has no days. The day on which a trust is first served counts: a
    step whose time has passed is due at once.
    """
    if not step.days or (newest is not None and due_at(newest, step.at) > now):
        return []
    today = now.astimezone(LONDON).date()
    day = today if newest is None else newest + _DAY
    found: list[Occurrence] = []
    while not found or found[-1].due_at <= now:
        if WEEKDAYS[day.weekday()] in step.days:
            moment = due_at(day, step.at)
            found.append(Occurrence(day, max(moment, now) if newest is None and day == today else moment))
        day += _DAY
    return found


def choose(step: Step, pending: Sequence[Pending], now: datetime) -> Choice | None:
    """Return what to run of the days that are due, None when all of it waits for another attempt.

    ``pending`` must not be empty; its order does not matter.
    """
    days = sorted(pending, key=lambda one: one.day)
    if step.missed == "latest":
        *before, chosen = days
        return Choice(chosen.day, _days(before)) if chosen.next_at <= now else None
    covered, days = days[:-MOST_EACH], days[-MOST_EACH:]
    ready = next((one for one in days if one.next_at <= now), None)
    return Choice(ready.day, _days(covered)) if ready else None


def pause(attempts: int) -> timedelta:
    """Return how long to wait after so many attempts: not at all before the first, an hour at the longest."""
    return min(timedelta(minutes=2 ** min(attempts - 1, 10)), LONGEST_PAUSE) if attempts > 0 else timedelta()


def is_late(step: Step, due: datetime, ended_or_now: datetime) -> bool:
    """Whether a step that ended then, or has not ended until now, is late."""
    return ended_or_now > due + timedelta(minutes=step.late_minutes)


def _days(pending: Sequence[Pending]) -> tuple[date, ...]:
    return tuple(one.day for one in pending)
