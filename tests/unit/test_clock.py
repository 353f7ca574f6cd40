"""Europe/London decides what a day is."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from shared.clock import LONDON, FixedClock, SystemClock


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2026, 6, 1, 23, 30, tzinfo=UTC), date(2026, 6, 2)),
        (datetime(2026, 6, 1, 22, 59, tzinfo=UTC), date(2026, 6, 1)),
        (datetime(2026, 1, 1, 23, 30, tzinfo=UTC), date(2026, 1, 1)),
        (datetime(2026, 3, 29, 0, 30, tzinfo=UTC), date(2026, 3, 29)),
        (datetime(2026, 6, 2, 0, 30, tzinfo=timezone(timedelta(hours=2))), date(2026, 6, 1)),
    ],
)
def test_the_business_day_is_the_day_in_london(moment: datetime, day: date) -> None:
    assert FixedClock(moment).today() == day


def test_a_naive_moment_is_uk_local_time() -> None:
    clock = FixedClock(datetime(2026, 6, 1, 0, 30))  # noqa: DTZ001 - naive on purpose
    assert clock.now().astimezone(UTC) == datetime(2026, 5, 31, 23, 30, tzinfo=UTC)
    assert clock.today() == date(2026, 6, 1)


def test_a_fixed_clock_stands_still_until_it_is_set() -> None:
    clock = FixedClock(datetime(2026, 3, 3, 6, tzinfo=LONDON))
    assert clock.now() == clock.now()
    clock.set(datetime(2026, 3, 4, 6))  # noqa: DTZ001 - naive on purpose
    assert clock.now() == datetime(2026, 3, 4, 6, tzinfo=LONDON)


def test_the_day_on_which_clocks_go_forward_has_23_hours() -> None:
    start, end = FixedClock(datetime(2026, 3, 29, tzinfo=LONDON)), FixedClock(datetime(2026, 3, 30, tzinfo=LONDON))
    assert end.now().astimezone(UTC) - start.now().astimezone(UTC) == timedelta(hours=23)


def test_the_machines_clock_tells_the_present_in_london() -> None:
    before = datetime.now(UTC)
    now = SystemClock().now()
    assert before <= now <= datetime.now(UTC)
    assert now.tzinfo is LONDON


def test_the_machines_day_is_the_day_of_its_moment() -> None:
    clock = SystemClock()
    before = clock.now().date()
    assert before <= clock.today() <= clock.now().date()
