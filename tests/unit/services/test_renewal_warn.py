"""Where ESR and the LMS would come apart: each warning, and silence where all is well."""

from dataclasses import replace
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.competency.renewal.esr import Expiry, by_esr
from services.competency.renewal.periods import instant, midnight
from services.competency.renewal.predict import Action, Held, State, Upload, after_upload, hourly, predict
from services.competency.renewal.totara import Renewal
from services.competency.renewal.warn import WITHHOLD, Code, Warned, warn_file, warnings

COMPLETION = Renewal.parse("completion", "1 year", "1 month")
EXPIRY = Renewal.parse("expiry", "1 year", "1 month")
NOW = "2026-03-01"


def at(text: str) -> datetime:
    return instant(datetime.fromisoformat(text))


def upload(day: str, action: int = 1, due: str = "") -> Upload:
    return Upload(Action(action), at(day), at(due) if due else None)


def certified(day: str, renewal: Renewal = COMPLETION, now: str = NOW) -> Held:
    return hourly(after_upload(Held(), renewal, upload(day)).held, at(now))[0]


def found(
    held: Held, row: Upload, renewal: Renewal = COMPLETION, esr: Expiry | None = None, now: str = NOW
) -> list[Warned]:
    return list(warnings(held, renewal, row, at(now), esr))


def codes(held: Held, row: Upload, renewal: Renewal = COMPLETION, esr: Expiry | None = None) -> set[Code]:
    return {one.code for one in found(held, row, renewal, esr)}


def test_a_newer_completion_that_esr_dates_alike_gives_no_warning() -> None:
    esr = by_esr(date(2026, 2, 10), 1, "Year", "31")
    assert found(certified("2025-06-01"), upload("2026-02-10"), esr=esr) == []
    assert found(Held(), upload("2026-02-10"), esr=esr) == []


def test_dates_that_differ_by_a_day_are_told_with_both_reasons() -> None:
    esr = by_esr(date(2024, 2, 29), 3, "Year", "31")
    three = Renewal.parse("completion", "3 year", "1 month")
    assert found(Held(), upload("2024-02-29"), three, esr) == [
        Warned(
            Code.DATES_DIFFER,
            "1 day apart: the LMS would expire on 2027-03-01 (3 years from 2024-02-29, the completion; the person is "
            "assigned, and any date certifies), ESR on 2027-02-28 (3 years from 2024-02-29 by ESR definition 31).",
        )
    ]


def test_an_expiry_that_esr_does_not_have_is_told_and_one_that_is_not_known_is_not() -> None:
    never = by_esr(date(2026, 2, 10), None, "", "31")
    assert codes(Held(), upload("2026-02-10"), esr=never) == {Code.ONE_SIDE_EXPIRES}
    unknown = by_esr(date(2026, 2, 10), 3, "Fortnight", "31")
    assert codes(Held(), upload("2026-02-10"), esr=unknown) == set()


@pytest.mark.parametrize(
    ("held", "row", "expected"),
    [
        (Held(), upload("2024-01-01"), {Code.PAST_EXPIRY}),
        (Held(), upload("2025-03-10"), {Code.PAST_WINDOW}),
        (certified("2025-06-01"), upload("2025-05-01"), {Code.OLDER_THAN_HELD}),
        (certified("2025-06-01"), upload("2025-06-01"), {Code.HELD_ALREADY}),
        (certified("2024-06-01"), upload("2024-06-01"), {Code.HELD_ALREADY, Code.PAST_EXPIRY}),
        (certified("2024-06-01"), upload("2022-01-01"), {Code.STALE_FOR_UNCERTIFIED, Code.PAST_EXPIRY}),
        (Held(), upload("2026-09-01"), {Code.IN_THE_FUTURE}),
        (Held(), upload("2026-02-01", 0), {Code.NOT_CERTIFYING}),
        (replace(certified("2025-06-01"), suspended=True), upload("2026-02-01"), {Code.SUSPENDED}),
        (replace(certified("2025-06-01"), baseline=None), upload("2026-02-01"), {Code.INCONSISTENT}),
    ],
)
def test_each_harm_of_a_row_has_its_code(held: Held, row: Upload, expected: set[Code]) -> None:
    assert codes(held, row) == expected


def test_an_expired_person_without_due_date_loses_the_anniversary_except_by_completion() -> None:
    held = certified("2024-06-01", EXPIRY)
    assert held.state is State.EXPIRED
    assert Code.ANNIVERSARY_LOST in codes(held, upload("2026-02-01"), EXPIRY)
    assert Code.ANNIVERSARY_LOST not in codes(held, upload("2026-02-01", due="2025-06-01"), EXPIRY)
    assert Code.ANNIVERSARY_LOST not in codes(held, upload("2026-02-01"), COMPLETION)


def test_a_window_longer_than_the_active_period_is_told() -> None:
    assert codes(Held(), upload("2026-02-10"), Renewal.parse("completion", "1 year", "2 year")) == {Code.NEVER_OPENS}


def test_an_upload_that_takes_an_extension_back_is_told() -> None:
    opened = certified("2025-03-10", EXPIRY)
    extended = replace(opened, expires=at("2026-09-01"), due=at("2026-09-01"))
    assert codes(extended, upload("2026-02-20"), EXPIRY) == {Code.EXTENSION_LOST}


def test_a_completion_before_the_window_leaves_the_expiry_and_says_so() -> None:
    row = found(certified("2025-08-01", EXPIRY), upload("2026-02-20"), EXPIRY)
    text = "It was completed before the window opened, so the expiry stays 2026-08-01."
    assert row == [Warned(Code.BEFORE_WINDOW, text)]


def test_two_rows_of_one_person_in_a_file_and_a_date_that_is_current_are_told_by_their_place() -> None:
    rows = [("a", "F", date(2026, 1, 1)), ("b", "F", date(2026, 1, 2)), ("a", "F", date(2026, 2, 1))]
    told = warn_file(rows, {("a", "F"): date(2026, 1, 1), ("b", "G"): date(2026, 1, 2)})
    assert [(place, one.code) for place, one in told] == [
        (0, Code.TWICE_IN_FILE),
        (0, Code.CURRENT_IN_FILE),
        (2, Code.TWICE_IN_FILE),
    ]


def test_what_is_kept_back_does_not_include_what_is_only_worth_knowing() -> None:
    assert {Code.PAST_WINDOW, Code.DATES_DIFFER, Code.IN_THE_FUTURE, Code.SUSPENDED} & WITHHOLD == set()


DAYS = st.dates(date(2018, 1, 1), date(2027, 1, 1)).map(midnight)
UPLOADS = st.builds(Upload, st.sampled_from(Action), DAYS, st.none() | DAYS)


@given(st.sampled_from([COMPLETION, EXPIRY]), st.lists(UPLOADS, max_size=5), DAYS, DAYS)
def test_a_row_without_warning_to_withhold_leaves_the_person_certified_on_its_date(
    renewal: Renewal, before: list[Upload], done: datetime, now: datetime
) -> None:
    held = Held()
    for one in before:
        held = hourly(after_upload(held, renewal, one).held, now)[0]
    row = Upload(Action.CERTIFY_IF_NEWER, done)
    if not {one.code for one in warnings(held, renewal, row, now)} & WITHHOLD:
        after = predict(held, renewal, row, now).held
        assert (after.certified, after.completed) == (True, done)
