"""Until when ESR has to answer, by the file calendar, on every day of the year."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.confirmations.deadlines import due_at, overdue_upto
from shared.clock import LONDON
from shared.config import WEEKDAYS, FileCalendar

DAILY, WORKING = FileCalendar(), FileCalendar(days=("mon", "tue", "wed", "thu", "fri"), latest="09:30")
FRIDAY = date(2026, 3, 6)

calendars = st.builds(
    FileCalendar,
    days=st.lists(st.sampled_from(WEEKDAYS), min_size=1, unique=True).map(tuple),
    latest=st.sampled_from(["00:00", "00:59", "01:00", "01:30", "02:00", "10:00", "23:59"]),
)
days = st.dates(date(2024, 1, 1), date(2030, 12, 31))


def test_an_answer_is_due_at_the_latest_time_of_the_file_day_after() -> None:
    assert due_at(DAILY, 1, FRIDAY) == datetime(2026, 3, 7, 10, tzinfo=UTC)
    assert due_at(DAILY, 3, FRIDAY) == datetime(2026, 3, 9, 10, tzinfo=UTC)


def test_days_without_a_file_do_not_count() -> None:
    assert due_at(WORKING, 1, FRIDAY) == datetime(2026, 3, 9, 9, 30, tzinfo=UTC)
    assert due_at(WORKING, 6, FRIDAY) == datetime(2026, 3, 16, 9, 30, tzinfo=UTC)
    assert due_at(WORKING, 1, FRIDAY + timedelta(days=1)) == datetime(2026, 3, 9, 9, 30, tzinfo=UTC)


def test_the_deadline_is_uk_local_time_on_both_sides_of_a_clock_change() -> None:
    assert due_at(DAILY, 1, date(2026, 3, 28)) == datetime(2026, 3, 29, 9, tzinfo=UTC)
    assert due_at(DAILY, 1, date(2026, 10, 24)) == datetime(2026, 10, 25, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("sent", "due"),
    [
        (date(2026, 3, 28), datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),  # 01:30 does not exist: 02:30 summer time
        (date(2026, 10, 24), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),  # 01:30 comes twice: the first
    ],
)
def test_a_latest_time_within_the_hour_of_a_clock_change_happens_once(sent: date, due: datetime) -> None:
    assert due_at(FileCalendar(latest="01:30"), 1, sent) == due


def test_without_a_day_that_has_a_file_nothing_is_ever_due() -> None:
    assert due_at(FileCalendar(days=()), 1, FRIDAY) is None
    assert overdue_upto(FileCalendar(days=()), 1, datetime(2030, 1, 1, tzinfo=UTC)) is None


def test_what_is_due_at_this_very_moment_is_overdue() -> None:
    due = datetime(2026, 3, 7, 10, tzinfo=UTC)
    assert overdue_upto(DAILY, 1, due) == FRIDAY
    assert overdue_upto(DAILY, 1, due - timedelta(seconds=1)) == FRIDAY - timedelta(days=1)


@given(calendars, st.integers(1, 31), days, st.integers(0, 86399))
def test_a_day_is_overdue_exactly_when_its_deadline_has_passed(
    calendar: FileCalendar, answer_days: int, day: date, seconds: int
) -> None:
    now = (datetime.combine(day, datetime.min.time(), UTC) + timedelta(seconds=seconds)).astimezone(LONDON)
    newest = overdue_upto(calendar, answer_days, now)
    assert newest is not None
    for offset in range(-3, 50):
        sent = newest + timedelta(days=offset)
        due = due_at(calendar, answer_days, sent)
        assert due is not None
        assert (due <= now.astimezone(UTC)) == (offset <= 0)


@given(calendars, st.integers(1, 31), days)
def test_a_deadline_lies_on_a_file_day_after_the_day_of_sending_and_never_falls(
    calendar: FileCalendar, answer_days: int, day: date
) -> None:
    due, following = due_at(calendar, answer_days, day), due_at(calendar, answer_days, day + timedelta(days=1))
    assert due is not None
    assert following is not None
    assert due.astimezone(LONDON).date() > day
    assert WEEKDAYS[due.astimezone(LONDON).weekday()] in calendar.days
    assert due <= following
