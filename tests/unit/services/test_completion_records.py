"""What a record says to ESR, and the window of the file it is in."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.outbound.towards_esr.content import Content, completion_record, content_of, reference
from services.outbound.towards_esr.gather import run_after
from shared.clock import LONDON
from shared.esr import load_profile
from shared.events import Person

ZOE = Person(person_id="9000001", state="employee", employee_number="29900012", last_name="O'Placeholder")
FIRE = Content(
    competence_id="5001",
    competence_name="NHS|CSTF|Fire Safety - 1 Year|",
    achieved_on="2026-06-02",
    expires_on="2027-06-02",
    completed_at="2026-06-02T00:30:00.250000+01:00",
    method="E-LEARNING",
    course="C1",
)


def test_a_completion_record_has_the_columns_of_the_profile_and_no_blanks() -> None:
    record = completion_record("999", "L999-0000000001", ZOE, FIRE)
    assert set(record) <= {column.name for column in load_profile("esr-cstf").records["TCA"].columns}
    assert "" not in record.values()
    assert (record["lms_reference"], record["vpd_code"], record["competence_id"]) == ("L999-0000000001", "999", "5001")
    assert (record["date_from"], record["date_to"]) == ("2026-06-02", "2027-06-02")


def test_a_record_says_why_it_comes_and_what_it_replaces() -> None:
    assert completion_record("999", "r", ZOE, FIRE)["change_reason"] == "NEW"
    assert completion_record("999", "r", ZOE, FIRE, "resend")["change_reason"] == "RESEND"
    corrected = completion_record("999", "r", ZOE, FIRE, "correction", "q")
    assert (corrected["change_reason"], corrected["replaces_reference"]) == ("CORRECTION", "q")


def test_the_last_update_is_local_time_to_the_second() -> None:
    assert completion_record("999", "r", ZOE, FIRE)["last_update"] == "2026-06-02T00:30:00"


def test_an_applicant_is_named_by_the_applicant_number_and_an_employee_is_not() -> None:
    applicant = Person(person_id="9000001", state="applicant", applicant_number="30001")
    both = Person(person_id="9000001", state="employee", applicant_number="30001", employee_number="2990")
    assert completion_record("999", "r", applicant, FIRE)["applicant_number"] == "30001"
    assert "applicant_number" not in completion_record("999", "r", both, FIRE)


def test_a_completion_without_a_moment_is_dated_at_the_start_of_its_day() -> None:
    record = completion_record("999", "r", ZOE, Content("5001", "n", "2026-06-02"))
    assert record["last_update"] == "2026-06-02T00:00:00"
    assert not {"date_to", "certification_method", "source_course"} & set(record)


def test_content_is_read_from_the_event_and_the_event_may_say_more() -> None:
    assert content_of({"vpd": "999", "competence_id": "5001", "revision": 7}) == Content("5001")


@given(st.integers(1, 10**10 - 1), st.integers(1, 10**10 - 1))
def test_references_are_unique_in_a_trust_and_sort_by_number(one: int, other: int) -> None:
    assert (reference("999", one) < reference("999", other)) == (one < other)
    assert len(reference("999", one)) == len(reference("999", other))
    assert reference("998", one) != reference("999", one)


def test_a_window_ends_a_second_later_where_local_time_comes_twice() -> None:
    before = datetime(2026, 10, 25, 1, 30, tzinfo=LONDON)
    after = datetime(2026, 10, 25, 1, 0, fold=1, tzinfo=LONDON)
    last = run_after(None, before)
    assert run_after(last, after) == datetime(2026, 10, 25, 1, 30, 1)  # noqa: DTZ001 - UK local time


@given(st.lists(st.integers(-(10**6), 10**6), max_size=30))
def test_windows_end_later_and_later_whatever_the_clock_does(steps: list[int]) -> None:
    now, last = datetime(2026, 10, 25, tzinfo=LONDON), None
    for step in steps:
        now += timedelta(seconds=step)
        run = run_after(last, now)
        assert last is None or run > last
        assert run >= now.replace(tzinfo=None)
        last = run
