"""Whether ESR's files come when they should. No I/O here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final, Literal

from shared.config import WEEKDAYS, FileCalendar

LOOK_BACK: Final = 7
"""Days for which a missing file is still told, after the bridge itself was away."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A feed file that came. ``received`` is naive UK local time."""

    name: str
    number: int
    day: date
    received: datetime


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something an operator has to hear of once. ``subject`` tells it from others of its kind.

    ``name`` and ``number`` are those of the file it is about: the one that came early, else the last that came.
    """

    kind: Literal["silent", "late", "early"]
    subject: str
    name: str = ""
    number: int = 0
    days: int = 0
    """Days of silence."""


def look(calendar: FileCalendar, arrivals: Sequence[Arrival], since: datetime, now: datetime) -> list[Alarm]:
    """Return every alarm that holds at ``now``, new or known. Times are naive UK local times.

    ``since``: when the bridge began to look; no file is missed before that.
    """
    last = max(arrivals, key=lambda one: (one.received, one.number), default=None)
    return [*_early(calendar, arrivals), *_late(calendar, arrivals, since, now), *_silent(calendar, last, since, now)]


def _early(calendar: FileCalendar, arrivals: Sequence[Arrival]) -> list[Alarm]:
    opens = time.fromisoformat(calendar.earliest)
    return [
        Alarm("early", one.name, one.name, one.number)
        for one in arrivals
        if one.received < datetime.combine(one.day, opens)
    ]


def _late(calendar: FileCalendar, arrivals: Sequence[Arrival], since: datetime, now: datetime) -> list[Alarm]:
    came = {one.day for one in arrivals}
    newest = max(arrivals, key=lambda one: one.number, default=None)
    alarms = []
    for back in range(LOOK_BACK, -1, -1):
        day = now.date() - timedelta(days=back)
        due = datetime.combine(day, time.fromisoformat(calendar.latest))
        expected = WEEKDAYS[day.weekday()] in calendar.days and since <= due <= now
        # A file of a later day closes the matter: what is missing before it is a gap, which is told as one.
        if expected and day not in came and not (newest and newest.day > day):
            alarms.append(Alarm("late", day.isoformat(), *((newest.name, newest.number) if newest else ())))
    return alarms


def _silent(calendar: FileCalendar, last: Arrival | None, since: datetime, now: datetime) -> list[Alarm]:
    heard = max(last.received, since) if last else since
    days = (now - heard).days
    if days < calendar.silent_after_days:
        return []
    return [Alarm("silent", heard.isoformat(), last.name if last else "", last.number if last else 0, days)]
