"""ESR's renewal, a local period and the LMS's own expiry, each with its reason."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.competency.renewal.esr import Counting, DayRule, by_esr, by_lms, by_local_period
from services.competency.renewal.periods import MonthRule, Period, Unit


def test_an_expiry_by_esr_s_definition_says_which() -> None:
    found = by_esr(date(2024, 4, 10), 3, "Year", "3100002")
    assert found.day == date(2027, 4, 10)
    assert found.reason == "3 years from 2024-04-10 by ESR definition 3100002"


@pytest.mark.parametrize(
    ("units", "day"),
    [("Years", "2026-01-31"), ("Month", "2025-02-28"), ("Weeks", "2025-02-07"), ("Day", "2025-02-01")],
)
def test_every_unit_of_esr_is_read(units: str, day: str) -> None:
    assert by_esr(date(2025, 1, 31), 1, units, "1").day == date.fromisoformat(day)


@pytest.mark.parametrize("frequency", [None, 0])
def test_a_definition_without_renewal_does_not_expire(frequency: int | None) -> None:
    found = by_esr(date(2024, 4, 10), frequency, "Year", "31")
    assert (found.day, found.known) == (None, True)
    assert found.reason == "does not expire: ESR definition 31 has no renewal period"


@pytest.mark.parametrize(("frequency", "units"), [(3, "Fortnight"), (3, ""), (9999, "Year"), (-1, "Year")])
def test_a_renewal_period_that_cannot_be_used_is_not_guessed(frequency: int, units: str) -> None:
    found = by_esr(date(2024, 4, 10), frequency, units, "31")
    assert (found.day, found.known) == (None, False)
    assert found.reason == "not known: the renewal period of ESR definition 31 cannot be used"


def test_the_day_before_the_anniversary_is_a_switch() -> None:
    counting = Counting(MonthRule.SHORTEN, DayRule.DAY_BEFORE)
    found = by_esr(date(2024, 2, 29), 1, "Year", "31", counting)
    assert found.day == date(2025, 2, 27)
    assert found.reason == "1 year from 2024-02-29 by ESR definition 31, the day before"


def test_a_local_period_says_that_it_is_the_trust_s() -> None:
    found = by_local_period(date(2024, 4, 10), Period(2, Unit.YEAR), "FIRE-L1")
    assert (found.day, found.reason) == (date(2026, 4, 10), "2 years from 2024-04-10 by the trust's rule for FIRE-L1")
    assert by_local_period(date(2024, 4, 10), None, "FIRE-L1").day is None


def test_the_lms_s_expiry_is_taken_at_its_uk_day() -> None:
    found = by_lms(datetime(2027, 6, 30, 23, tzinfo=UTC), "FIRE-L1")
    assert (found.day, found.reason) == (date(2027, 7, 1), "the LMS shows 2027-07-01 for FIRE-L1")
    before = by_lms(date(2027, 7, 1), "FIRE-L1", DayRule.DAY_BEFORE)
    assert (before.day, before.reason) == (date(2027, 6, 30), "the LMS shows 2027-07-01 for FIRE-L1, the day before")
    assert by_lms(None, "FIRE-L1").day is None


@given(st.dates(date(1990, 1, 1), date(2090, 1, 1)), st.integers(1, 30), st.sampled_from(["Year", "Months", "Weeks"]))
def test_the_day_before_is_always_one_day_before(achieved: date, frequency: int, units: str) -> None:
    same = by_esr(achieved, frequency, units, "1").day
    before = by_esr(achieved, frequency, units, "1", Counting(day=DayRule.DAY_BEFORE)).day
    assert same is not None
    assert before is not None
    assert (same - before).days == 1
    assert achieved <= before
