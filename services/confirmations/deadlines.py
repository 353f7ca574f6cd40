"""Until when ESR has to answer a completion file, by the trust's file calendar. No I/O here.

A file delivered on a UK day is answered by ``calendar.latest`` (UK local time) of the ``answer_days``-th file day after
it. Nothing is stored: a changed calendar counts at once, for what was sent before too.
"""

from datetime import UTC, date, datetime, time, timedelta

from shared.clock import LONDON
from shared.config import WEEKDAYS, FileCalendar


def due_at(calendar: FileCalendar, answer_days: int, sent_on: date) -> datetime | None:
    """Return the moment (UTC) by which what left on a day is to be answered; None when no day has a file.

    A time that the clocks skip in spring is taken as an hour later; of a time that comes twice in autumn the first.
    """
    if not calendar.days:
        return None
    day, left = sent_on, answer_days
    while left:
        day += timedelta(days=1)
        left -= WEEKDAYS[day.weekday()] in calendar.days
    return datetime.combine(day, time.fromisoformat(calendar.latest), LONDON).astimezone(UTC)


def overdue_upto(calendar: FileCalendar, answer_days: int, now: datetime) -> date | None:
    """Return the newest day of sending whose answers are overdue at ``now``; older days' are so too."""
    if not calendar.days:
        return None
    day = now.astimezone(LONDON).date()
    while True:
        day -= timedelta(days=1)
        due = due_at(calendar, answer_days, day)
        if due is not None and due <= now:
            return day
