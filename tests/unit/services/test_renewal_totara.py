"""Totara's recertification methods: its own test vectors, the edges, and what a site was seen to store."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.competency.renewal.periods import Period, Unit, instant, midnight, minus, plus, uk_day
from services.competency.renewal.totara import Dates, Method, Renewal, by_history, by_learner, by_upload, dates
from shared.clock import LONDON
from shared.errors import ConfigurationError

YEAR = ("1 year", "1 month")


def moment(text: str) -> datetime | None:
    return instant(datetime.fromisoformat(text)) if text else None


def at(text: str) -> datetime:
    return instant(datetime.fromisoformat(text))


def local(one: datetime) -> str:
    return one.astimezone(LONDON).strftime("%Y-%m-%d %H:%M").removesuffix(" 00:00")


def fixed(minimum: str = "6 month", window: str = "2 month") -> Renewal:
    return Renewal.parse("fixed", "1 year", window, minimum)


@pytest.mark.parametrize(
    ("method", "expires", "completed", "due", "window", "new", "opens"),
    [
        ("expiry", "2013-05-03 08:14", "2013-04-15 12:01", "", "1 month", "2014-05-03 08:14", "2014-04-03 08:14"),
        ("expiry", "2013-05-03 08:14", "2013-02-15 12:01", "", "1 month", "2013-05-03 08:14", "2013-04-03 08:14"),
        ("expiry", "", "2013-04-15 12:01", "2013-05-03 08:14", "1 month", "2014-05-03 08:14", "2014-04-03 08:14"),
        ("expiry", "", "2013-04-15 12:01", "", "1 month", "2014-04-15 12:01", "2014-03-15 12:01"),
        ("completion", "2013-01-01", "2013-04-15 12:01", "2013-02-01", "1 month", "2014-04-15 12:01",
         "2014-03-15 12:01"),
        ("completion", "2013-01-01", "2013-04-15 12:01", "", "3 week", "2014-04-15 12:01", "2014-03-25 12:01"),
        ("fixed", "", "2012-01-04 08:14", "2012-12-31", "2 month", "2012-12-31", "2012-10-31"),
        ("fixed", "2012-12-31", "2012-11-05 08:14", "2012-12-31", "2 month", "2013-12-31", "2013-10-31"),
        ("fixed", "", "2013-02-04 08:14", "2012-12-31", "2 month", "2013-12-31", "2013-10-31"),
        ("fixed", "", "2012-06-15", "2012-12-15", "2 month", "2012-12-15", "2012-10-15"),  # exactly the least time
    ],
)  # fmt: skip
def test_the_product_s_own_vectors_hold_and_the_least_time_is_enough(
    method: str, expires: str, completed: str, due: str, window: str, new: str, opens: str
) -> None:
    renewal = Renewal.parse(method, "1 year", window, "6 month" if method == "fixed" else "")
    found = dates(renewal, at(completed), moment(expires), moment(due))
    assert (local(found.expires), local(found.window_opens)) == (new, opens)
    assert found.baseline == found.expires


@pytest.mark.parametrize(
    ("completed", "expires"),
    [
        ("2026-11-01 00:00:00", "2027-12-01"),  # exactly when the window opens
        ("2026-12-01 00:00:00", "2027-12-01"),  # exactly at the expiry
        ("2026-12-01 00:00:01", "2027-12-01 00:00:01"),  # a second late
        ("2026-10-31 23:59:59", "2026-12-01"),  # a second early: the expiry stays
        ("2026-10-20", "2026-12-01"),
    ],
)
def test_both_ends_of_the_window_belong_to_it(completed: str, expires: str) -> None:
    found = by_upload(Renewal.parse("expiry", *YEAR), at(completed), moment("2026-12-01"), None)
    assert found.expires == at(expires)


def test_an_overflow_carries_into_expiry_and_window() -> None:
    found = by_history(Renewal.parse("completion", "1 month", "1 week"), at("2025-01-31"), None)
    assert (local(found.expires), local(found.window_opens)) == ("2025-03-03", "2025-02-24")
    found = by_history(Renewal.parse("completion", "3 year", "1 month"), at("2024-02-29"), None)
    assert (local(found.expires), local(found.window_opens)) == ("2027-03-01", "2027-02-01")


def test_midnight_of_a_summer_day_is_stored_as_the_evening_before_in_utc() -> None:
    found = by_upload(Renewal.parse("completion", *YEAR), midnight(date(2026, 3, 29)), None, None)
    assert found.completed == datetime(2026, 3, 29, tzinfo=UTC)
    assert found.expires == datetime(2027, 3, 28, 23, tzinfo=UTC)


def test_an_expired_person_s_next_expiry_depends_on_the_due_date_of_the_file() -> None:
    renewal = Renewal.parse("expiry", *YEAR)
    kept = by_upload(renewal, at("2026-01-10"), moment("2026-01-15"), None)
    lost = by_upload(renewal, at("2026-01-10"), None, None)
    restored = by_upload(renewal, at("2026-01-10"), None, moment("2026-01-15"))
    assert [local(one.expires) for one in (kept, lost, restored)] == ["2027-01-15", "2027-01-10", "2027-01-15"]


def test_a_fixed_anniversary_is_lost_without_the_due_date_and_kept_by_the_learner() -> None:
    assert local(by_upload(fixed(), at("2025-10-15"), None, None).expires) == "2026-10-15"
    assert local(by_upload(fixed(), at("2025-10-15"), None, moment("2025-03-31")).expires) == "2027-03-31"
    assert local(by_learner(fixed(), at("2026-11-22 10:00"), None, moment("2025-03-31")).expires) == "2028-03-31"


def test_after_an_extension_the_upload_and_the_learner_count_differently() -> None:
    renewal = Renewal.parse("expiry", *YEAR)
    upload = by_upload(renewal, at("2026-11-10"), moment("2026-12-01"), None)
    learner = by_learner(renewal, at("2026-11-22"), moment("2027-01-15"), moment("2027-01-15"))
    assert local(upload.expires) == "2027-12-01"
    assert (local(learner.expires), local(learner.window_opens)) == ("2027-01-15", "2026-12-15")


def test_a_fixed_date_without_minimum_is_never_moved_however_far_away() -> None:
    renewal = fixed(minimum="")
    assert local(by_upload(renewal, at("2026-06-01"), moment("2019-03-31"), None).expires) == "2020-03-31"
    assert local(by_upload(renewal, at("2026-06-01"), None, None).expires) == "2027-06-01"


def test_an_upload_of_today_s_bare_date_is_older_than_the_learner_s_own_completion() -> None:
    renewal = Renewal.parse("completion", *YEAR)
    learner = by_learner(renewal, at("2026-11-22 03:46:41"), None, None)
    assert by_history(renewal, at("2026-11-22"), None).completed < learner.completed


def test_a_window_longer_than_the_active_period_leaves_dates_out_of_order() -> None:
    assert not by_upload(Renewal.parse("completion", "1 month", "1 year"), at("2026-06-01"), None, None).ordered
    assert by_upload(Renewal.parse("completion", "1 month", "1 month"), at("2026-06-01"), None, None).ordered


@pytest.mark.parametrize(("active", "window"), [("", "1 month"), ("0 year", "1 month"), ("1 year", ""), ("x", "y")])
def test_unusable_settings_are_refused(active: str, window: str) -> None:
    with pytest.raises(ConfigurationError):
        Renewal.parse("expiry", active, window)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        Renewal.parse("yearly", *YEAR)


def test_a_fixed_date_that_would_take_for_ever_to_find_is_refused() -> None:
    renewal = Renewal.parse("fixed", "1 day", "1 day", "1 day")
    with pytest.raises(ConfigurationError, match="fixed renewal date"):
        by_upload(renewal, at("2026-06-01"), moment("1950-01-01"), None)
    with pytest.raises(ConfigurationError, match="fixed renewal date"):
        by_upload(renewal, at("1950-06-01"), moment("2026-01-01"), None)


def test_each_result_says_why() -> None:
    renewal = Renewal.parse("expiry", *YEAR)
    late = by_upload(renewal, at("2027-01-10"), moment("2026-12-01"), None)
    assert late.reason == "1 year from 2027-01-10, the completion, as it came after the expiry"
    timed = by_learner(renewal, at("2026-11-10 14:05"), moment("2026-12-01 09:30"), None)
    assert timed.reason == "1 year from 2026-12-01 09:30, the expiry before, as it was renewed in its window"


MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1)).map(lambda one: instant(one.replace(microsecond=0)))  # noqa: DTZ001
SPANS = st.builds(Period, st.integers(1, 5), st.just(Unit.YEAR)) | st.builds(
    Period, st.integers(3, 30), st.just(Unit.MONTH)
)
RENEWALS = st.builds(Renewal, st.sampled_from(Method), SPANS, SPANS, st.none() | SPANS)
BY_COMPLETION = st.builds(Renewal, st.just(Method.COMPLETION), SPANS, SPANS)
BY_EXPIRY = st.builds(Renewal, st.just(Method.EXPIRY), SPANS, SPANS)
BY_FIXED = st.builds(Renewal, st.just(Method.FIXED), SPANS, SPANS, SPANS)
WHOLE_YEARS = st.builds(Period, st.integers(1, 5), st.just(Unit.YEAR))


def result(renewal: Renewal, completed: datetime, expires: datetime | None, due: datetime | None) -> Dates:
    return dates(renewal, completed, expires, due)


@given(RENEWALS, MOMENTS, st.none() | MOMENTS, st.none() | MOMENTS)
def test_the_window_always_opens_before_the_expiry(
    renewal: Renewal, completed: datetime, expires: datetime | None, due: datetime | None
) -> None:
    found = result(renewal, completed, expires, due)
    assert found.window_opens < found.expires
    assert found.completed == completed


@given(BY_COMPLETION, MOMENTS, st.none() | MOMENTS, st.none() | MOMENTS)
def test_by_completion_nothing_else_counts(
    renewal: Renewal, completed: datetime, expires: datetime | None, due: datetime | None
) -> None:
    found = result(renewal, completed, expires, due)
    assert found.expires == plus(completed, renewal.active) == result(renewal, completed, None, None).expires


@given(BY_EXPIRY, MOMENTS, MOMENTS)
def test_by_expiry_a_later_completion_never_ends_earlier_but_for_days_that_run_over(
    renewal: Renewal, completed: datetime, expires: datetime
) -> None:
    found = result(renewal, completed, expires, None)
    later = result(renewal, completed + timedelta(days=40), expires, None)
    assert later.expires >= found.expires - timedelta(days=3)


@given(BY_FIXED, MOMENTS, st.none() | MOMENTS, st.none() | MOMENTS)
def test_a_fixed_date_leaves_the_least_time_and_not_a_whole_period_more(
    renewal: Renewal, completed: datetime, expires: datetime | None, due: datetime | None
) -> None:
    assert renewal.minimum is not None
    found = result(renewal, completed, expires, due)
    slack = timedelta(days=7)
    assert found.expires >= plus(completed, renewal.minimum) - slack
    assert minus(found.expires, renewal.active) <= plus(completed, renewal.minimum) + slack


@given(MOMENTS, MOMENTS.filter(lambda one: uk_day(one).day <= 28), WHOLE_YEARS)
def test_a_fixed_anniversary_keeps_its_day(completed: datetime, due: datetime, active: Period) -> None:
    found = result(Renewal(Method.FIXED, active, active, active), completed, None, due)
    assert found.expires.astimezone(LONDON).strftime("%m-%d") == due.astimezone(LONDON).strftime("%m-%d")
