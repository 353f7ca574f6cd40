"""Periods as PHP counts them, and as Oracle does."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.competency.renewal.periods import MonthRule, Period, Unit, instant, midnight, minus, plus, uk_day
from shared.clock import LONDON
from shared.errors import ConfigurationError

DAYS = st.dates(date(1990, 1, 1), date(2080, 12, 31))
PERIODS = st.builds(Period, st.integers(1, 60), st.sampled_from(Unit))


def period(text: str) -> Period:
    read = Period.parse(text)
    assert read is not None
    return read


@pytest.mark.parametrize(
    ("day", "added", "reached"),
    [
        ("2025-01-31", "1 month", "2025-03-03"),
        ("2024-01-31", "1 month", "2024-03-02"),
        ("2024-02-29", "1 year", "2025-03-01"),
        ("2024-02-29", "3 year", "2027-03-01"),
        ("2024-02-29", "4 year", "2028-02-29"),
        ("2025-08-31", "6 month", "2026-03-03"),
        ("2025-12-15", "1 month", "2026-01-15"),
        ("2026-03-20", "3 week", "2026-04-10"),
        ("2026-12-30", "10 days", "2027-01-09"),
    ],
)
def test_a_period_added_as_php_does_runs_over_the_end_of_the_month(day: str, added: str, reached: str) -> None:
    start = midnight(date.fromisoformat(day))
    assert uk_day(plus(start, period(added))) == date.fromisoformat(reached)


@pytest.mark.parametrize(
    ("day", "taken", "reached"),
    [
        ("2025-03-31", "1 month", "2025-03-03"),
        ("2024-02-29", "1 year", "2023-03-01"),
        ("2025-01-15", "1 month", "2024-12-15"),
        ("2025-03-03", "3 week", "2025-02-10"),
    ],
)
def test_a_period_taken_away_as_php_does_runs_over_as_well(day: str, taken: str, reached: str) -> None:
    start = midnight(date.fromisoformat(day))
    assert uk_day(minus(start, period(taken))) == date.fromisoformat(reached)


def test_the_wall_clock_is_kept_over_summer_time() -> None:
    assert midnight(date(2026, 6, 1)) == datetime(2026, 5, 31, 23, tzinfo=UTC)
    start = datetime(2026, 3, 29, tzinfo=UTC)  # midnight, an hour before the clocks change
    assert plus(start, period("1 year")) == datetime(2027, 3, 28, 23, tzinfo=UTC)
    assert plus(datetime(2026, 3, 28, 12, tzinfo=UTC), period("1 day")) == datetime(2026, 3, 29, 11, tzinfo=UTC)


def test_a_time_that_is_skipped_is_moved_on_and_one_that_comes_twice_is_the_first() -> None:
    assert plus(datetime(2026, 3, 28, 1, 30, tzinfo=UTC), period("1 day")) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert plus(datetime(2026, 10, 24, 0, 30, tzinfo=UTC), period("1 day")) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_the_uk_day_of_a_moment_late_in_the_evening_utc_is_the_next_one_in_summer() -> None:
    assert uk_day(datetime(2026, 5, 31, 23, 30, tzinfo=UTC)) == date(2026, 6, 1)
    assert uk_day(datetime(2026, 1, 31, 23, 30, tzinfo=UTC)) == date(2026, 1, 31)
    assert uk_day(datetime(2026, 6, 1, 0, 0)) == date(2026, 6, 1)  # noqa: DTZ001 - no offset is UK time


@pytest.mark.parametrize(
    ("rule", "day", "reached"),
    [
        (MonthRule.LAST_DAY_STAYS, "2025-01-31", "2025-02-28"),
        (MonthRule.LAST_DAY_STAYS, "2025-02-28", "2025-03-31"),
        (MonthRule.LAST_DAY_STAYS, "2025-02-27", "2025-03-27"),
        (MonthRule.SHORTEN, "2025-01-31", "2025-02-28"),
        (MonthRule.SHORTEN, "2025-02-28", "2025-03-28"),
        (MonthRule.OVERFLOW, "2025-01-31", "2025-03-03"),
    ],
)
def test_what_becomes_of_a_day_a_month_does_not_have_is_a_switch(rule: MonthRule, day: str, reached: str) -> None:
    assert period("1 month").after(date.fromisoformat(day), rule) == date.fromisoformat(reached)


def test_a_last_day_of_february_is_the_last_day_years_later_as_in_oracle() -> None:
    assert period("3 Years").after(date(2025, 2, 28)) == date(2028, 2, 29)
    assert period("1 Year").after(date(2024, 2, 29)) == date(2025, 2, 28)
    assert period("1 month").before(date(2025, 3, 31)) == date(2025, 2, 28)


@pytest.mark.parametrize("text", ["", "  ", "0 year"])
def test_no_period_is_none(text: str) -> None:
    assert Period.parse(text) is None


@pytest.mark.parametrize("text", ["year", "3", "3 fortnight", "-1 year", "3 s", "three years", "99999 day"])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        Period.parse(text)


def test_a_period_that_leads_out_of_the_calendar_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        period("9999 year").after(date(2026, 1, 1))
    with pytest.raises(ConfigurationError):
        period("9999 year").before(date(2026, 1, 1))
    with pytest.raises(ConfigurationError):
        Period(0, Unit.DAY)


@given(PERIODS)
def test_a_period_reads_what_it_says(one: Period) -> None:
    assert Period.parse(str(one)) == one


@given(DAYS, DAYS, PERIODS, st.sampled_from(MonthRule))
def test_a_later_day_never_runs_out_before_an_earlier_one_but_for_days_that_run_over(
    one: date, other: date, span: Period, rule: MonthRule
) -> None:
    first, second = sorted((one, other))
    slack = timedelta(days=3 if rule is MonthRule.OVERFLOW else 0)
    assert span.after(first, rule) <= span.after(second, rule) + slack


@given(DAYS, PERIODS, st.sampled_from(MonthRule))
def test_after_is_later_and_before_is_earlier(day: date, span: Period, rule: MonthRule) -> None:
    assert span.before(day, rule) < day < span.after(day, rule)


@given(DAYS, PERIODS)
def test_php_and_oracle_are_never_more_than_three_days_apart(day: date, span: Period) -> None:
    apart = span.after(day, MonthRule.OVERFLOW) - span.after(day, MonthRule.LAST_DAY_STAYS)
    assert timedelta(days=-3) <= apart <= timedelta(days=3)


@given(DAYS, PERIODS)
def test_midnight_stays_midnight(day: date, span: Period) -> None:
    for moved in (plus(midnight(day), span), minus(midnight(day), span)):
        local = moved.astimezone(LONDON)
        assert (local.hour, local.minute, local.second) == (0, 0, 0)
        assert instant(local) == moved
