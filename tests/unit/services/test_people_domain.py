"""Who a person is on a day, from all that ESR has said, and what is told when that changes."""

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from services.people import transitions
from services.people.derived import Derived, with_cause
from services.people.domain import derive
from services.people.transitions import difference, revised
from shared import events
from shared.events import Cause, Person, PersonState
from shared.facts import Fact, Version

PERSON = "9000001"
TODAY = date(2026, 3, 3)
YESTERDAY, TOMORROW = TODAY - timedelta(days=1), TODAY + timedelta(days=1)
LONG_AGO = date(2020, 1, 1)


def person(
    kind: str = "EMP", start: date = LONG_AGO, *, end: date | None = None, left: date | None = None, **said: str
) -> Fact:
    data = {
        "person_id": PERSON,
        "effective_start": start.isoformat(),
        "system_person_type": kind,
        "last_name": "O'Placeholder",
        "first_name": "Zoë",
    } | said
    if end:
        data["effective_end"] = end.isoformat()
    if left:
        data["actual_termination_date"] = left.isoformat()
    return Fact("999", "person", PERSON, data["effective_start"], PERSON, Version("A.DAT", 1, 1), data)


def assignment(
    kind: str = "E",
    status: str = "Active Assignment",
    start: date = LONG_AGO,
    *,
    system: str = "ACTIVE_ASSIGN",
    end: date | None = None,
    number: str = "8100001",
    line: int = 2,
    **said: str,
) -> Fact:
    data = {
        "person_id": PERSON,
        "assignment_id": number,
        "effective_start": start.isoformat(),
        "assignment_type": kind,
        "user_assignment_status": status,
        "system_assignment_status": system,
        "assignment_number": f"N{number}",
    } | said
    if end:
        data["effective_end"] = end.isoformat()
    return Fact("999", "assignment", number, data["effective_start"], PERSON, Version("A.DAT", 1, line), data)


def application(status: str = "Offered Post Conditional", start: date = LONG_AGO, *, end: date | None = None) -> Fact:
    return assignment("A", status, start, system="OFFER", end=end, number="8200001")


def on(day: date, *facts: Fact) -> Derived:
    return derive(PERSON, facts, day)


def state(*facts: Fact, day: date = TODAY) -> PersonState:
    return on(day, *facts).person.state


# What is told of a change


def test_the_table_has_every_pair_of_different_states_and_no_other() -> None:
    states = get_args(PersonState)
    assert set(transitions.TRANSITIONS) == {pair for pair in product(states, repeat=2) if pair[0] != pair[1]}


TOLD = {
    ("unknown", "out_of_scope"): None,
    ("unknown", "applicant"): "ApplicantOffered",
    ("unknown", "employee"): "EmployeeHired",
    ("unknown", "leaver"): "EmployeeTerminated",
    ("out_of_scope", "unknown"): None,
    ("out_of_scope", "applicant"): "ApplicantOffered",
    ("out_of_scope", "employee"): "EmployeeHired",
    ("out_of_scope", "leaver"): "EmployeeTerminated",
    ("applicant", "unknown"): "ApplicantWithdrawn",
    ("applicant", "out_of_scope"): "ApplicantWithdrawn",
    ("applicant", "employee"): "EmployeeHired",
    ("applicant", "leaver"): "EmployeeTerminated",
    ("employee", "unknown"): "EmployeeTerminated",
    ("employee", "out_of_scope"): "EmployeeTerminated",
    ("employee", "applicant"): "ApplicantOffered",
    ("employee", "leaver"): "EmployeeTerminated",
    ("leaver", "unknown"): "EmployeeTerminated",
    ("leaver", "out_of_scope"): "EmployeeTerminated",
    ("leaver", "applicant"): "ApplicantOffered",
    ("leaver", "employee"): "EmployeeRehired",
    ("unknown", "non_staff"): "NonStaffRegistered",
    ("out_of_scope", "non_staff"): "NonStaffRegistered",
    ("applicant", "non_staff"): "NonStaffRegistered",
    ("employee", "non_staff"): "NonStaffRegistered",
    ("leaver", "non_staff"): "NonStaffRegistered",
    ("non_staff", "unknown"): "NonStaffEnded",
    ("non_staff", "out_of_scope"): "NonStaffEnded",
    ("non_staff", "applicant"): "ApplicantOffered",
    ("non_staff", "employee"): "EmployeeHired",
    ("non_staff", "leaver"): "NonStaffEnded",
}


@pytest.mark.parametrize(
    ("old", "new"), [pair for pair in product(get_args(PersonState), repeat=2) if len({*pair}) > 1]
)
def test_each_change_of_state_is_told_by_its_event(old: PersonState, new: PersonState) -> None:
    told = difference(Person(person_id=PERSON, state=old), Person(person_id=PERSON, state=new))
    assert (told.__name__ if told else None) == TOLD[old, new]


@pytest.mark.parametrize("now", get_args(PersonState))
def test_someone_never_seen_before_is_like_someone_unknown(now: PersonState) -> None:
    after = Person(person_id=PERSON, state=now)
    assert difference(None, after) is difference(Person(person_id=PERSON, state="unknown"), after)


@pytest.mark.parametrize(
    ("now", "event"),
    [
        ("unknown", None),
        ("out_of_scope", None),
        ("applicant", events.ApplicantOffered),
        ("employee", events.EmployeeChanged),
        ("leaver", events.EmployeeTerminated),
        ("non_staff", events.NonStaffRegistered),
    ],
)
def test_changed_details_are_told_of_those_who_have_an_account(now: PersonState, event: object) -> None:
    before = Person(person_id=PERSON, state=now, last_name="Placeholder", revision=3)
    assert difference(before, revised(before, 0)) is None
    assert difference(before, Person(person_id=PERSON, state=now, last_name="Other")) is event


# Applicants


@pytest.mark.parametrize("status", ["Offered Post Conditional", "OFFERED POST UNCONDITIONAL", "Offer Accepted"])
def test_from_the_conditional_offer_on_someone_is_an_applicant(status: str) -> None:
    assert state(person("APL"), application(status)) == "applicant"


@pytest.mark.parametrize("status", ["Active Application", "Shortlisted", "Interview 1", "Withdrawn", ""])
def test_before_the_offer_or_after_withdrawing_someone_is_out_of_scope(status: str) -> None:
    assert state(person("APL"), application(status)) == "out_of_scope"


def test_the_status_of_an_offer_counts_only_on_an_application() -> None:
    assert state(person("APL"), assignment("E", "Offer Accepted")) == "out_of_scope"


def test_an_offer_counts_from_its_day_on_and_until_its_last() -> None:
    facts = (person("APL"), application(start=TODAY, end=TOMORROW))
    days = [YESTERDAY, TODAY, TOMORROW, TOMORROW + timedelta(days=1)]
    assert [state(*facts, day=day) for day in days] == ["out_of_scope", "applicant", "applicant", "out_of_scope"]


def test_a_deleted_application_withdraws_the_applicant() -> None:
    before, after = on(TODAY, person("APL"), application()), on(TODAY, person("APL"))
    assert difference(before.person, after.person) is events.ApplicantWithdrawn


def test_a_deleted_person_is_unknown_whatever_assignments_are_left() -> None:
    assert state(application()) == "unknown"
    assert state() == "unknown"


def test_a_leaver_with_a_new_offer_is_an_applicant() -> None:
    assert state(person("EX_EMP_APL"), application("Offer Accepted")) == "applicant"


# Employees


@pytest.mark.parametrize("kind", ["EMP", "EMP_APL", "CWK"])
def test_the_person_type_makes_an_employee(kind: str) -> None:
    assert state(person(kind)) == "employee"


def test_an_employee_who_applies_for_another_post_stays_an_employee() -> None:
    assert state(person("EMP_APL"), application("Offer Accepted")) == "employee"


@pytest.mark.parametrize("kind", ["APL", "OTHER", ""])
def test_other_person_types_are_out_of_scope(kind: str) -> None:
    assert state(person(kind)) == "out_of_scope"


def test_a_person_who_begins_tomorrow_is_unknown_today_and_due_tomorrow() -> None:
    derived = on(TODAY, person(start=TOMORROW))
    assert (derived.person.state, derived.due) == ("unknown", TOMORROW)
    assert state(person(start=TOMORROW), day=TOMORROW) == "employee"


def test_a_future_hire_is_an_applicant_until_the_second_slice_begins() -> None:
    facts = (person("APL", end=TODAY), application("Offer Accepted", end=TODAY), person("EMP", TOMORROW))
    today, tomorrow = on(TODAY, *facts), on(TOMORROW, *facts)
    assert (today.person.state, today.due) == ("applicant", TOMORROW)
    assert (tomorrow.person.state, tomorrow.due) == ("employee", None)
    assert difference(today.person, tomorrow.person) is events.EmployeeHired


def test_a_later_slice_speaks_from_its_day_on() -> None:
    facts = (person(last_name="Old", end=YESTERDAY), person(start=TODAY, last_name="New"))
    assert [on(day, *facts).person.last_name for day in (YESTERDAY, TODAY)] == ["Old", "New"]


def test_of_open_slices_the_one_that_began_last_speaks() -> None:
    assert on(TODAY, person(last_name="Old"), person(start=TODAY, last_name="New")).person.last_name == "New"


def test_a_slice_in_force_stands_above_a_later_one_that_has_ended() -> None:
    facts = (person(last_name="Open"), person(start=YESTERDAY, end=YESTERDAY, last_name="Ended"))
    assert on(TODAY, *facts).person.last_name == "Open"


def test_a_person_whose_last_slice_ended_is_still_known_by_it() -> None:
    derived = on(TODAY, person(end=YESTERDAY))
    assert (derived.person.state, derived.due) == ("employee", None)


# Leavers


def test_the_last_day_is_worked_and_the_day_after_makes_a_leaver() -> None:
    fact = person(left=TODAY)
    today, tomorrow = on(TODAY, fact), on(TOMORROW, fact)
    assert (today.person.state, today.due) == ("employee", TOMORROW)
    assert (tomorrow.person.state, tomorrow.due) == ("leaver", None)
    assert tomorrow.person.termination_date == TODAY.isoformat()


@pytest.mark.parametrize("kind", ["EX_EMP", "EX_EMP_APL"])
def test_the_person_type_alone_makes_a_leaver(kind: str) -> None:
    assert state(person(kind)) == "leaver"


def test_a_new_slice_without_termination_date_is_a_rehire() -> None:
    gone = person(end=YESTERDAY, left=TODAY - timedelta(days=9))
    before, after = on(YESTERDAY, gone), on(TODAY, gone, person(start=TODAY))
    assert difference(before.person, after.person) is events.EmployeeRehired


@pytest.mark.parametrize("end", ["4712-12-31", "9999-12-31"])
def test_an_end_of_time_is_no_day_on_which_anything_happens(end: str) -> None:
    fact = person(effective_end=end, actual_termination_date=end)
    assert (state(fact), on(TODAY, fact).due) == ("employee", None)


# The assignment that stands for the person


def main(*assignments: Fact, kind: str = "EMP") -> str:
    return on(TODAY, person(kind), *assignments).person.assignment_number


def test_the_one_flagged_primary_is_chosen_whatever_began_later() -> None:
    flagged = assignment(number="1", primary_assignment="Y")
    assert main(flagged, assignment(start=TODAY, number="2")) == "N1"
    assert main(assignment(number="1", primary_assignment="Yes"), assignment(start=TODAY, number="2")) == "N1"


def test_without_a_flag_the_latest_start_is_chosen() -> None:
    assert main(assignment(start=TODAY, number="1"), assignment(number="2", primary_assignment="N")) == "N1"


def test_with_two_flags_the_latest_start_of_all_is_chosen() -> None:
    first = assignment(number="1", primary_assignment="Y")
    second = assignment(start=YESTERDAY, number="2", primary_assignment="Y")
    assert main(first, second) == "N2"
    assert main(first, second, assignment(start=TODAY, number="0")) == "N0"


def test_of_two_that_began_on_one_day_always_the_same_is_chosen() -> None:
    first, second = assignment(number="1"), assignment(number="2")
    assert main(first, second) == main(second, first) == "N2"


def test_a_flag_on_an_ended_assignment_does_not_count() -> None:
    ended = assignment(number="1", primary_assignment="Y", end=YESTERDAY)
    assert main(ended, assignment(number="2")) == "N2"


@pytest.mark.parametrize(
    ("status", "system"),
    [
        ("Terminated", "ACTIVE_ASSIGN"),
        ("Assignment Costing Deletion", "ACTIVE_ASSIGN"),
        ("INACTIVE NOT WORKED", "ACTIVE_ASSIGN"),
        ("Active Assignment", "TERM_ASSIGN"),
        ("A status invented last week", "TERM_ASSIGN"),
    ],
)
def test_a_closed_assignment_stands_for_nobody(status: str, system: str) -> None:
    assert main(assignment(status=status, system=system)) == ""


def test_an_unknown_user_status_is_read_by_its_system_status() -> None:
    assert main(assignment(status="A status invented last week")) == "N8100001"


def test_an_applicants_assignment_is_the_application_and_an_employees_is_not() -> None:
    assert main(application(), assignment(), kind="APL") == "N8200001"
    assert main(application(start=TODAY), assignment(), kind="EMP_APL") == "N8100001"


def test_post_and_organisation_come_from_the_main_assignment() -> None:
    told = on(TODAY, person(), assignment(position_name="Nurse", organisation_id="77")).person
    assert (told.position_name, told.organisation_id) == ("Nurse", "77")


@pytest.mark.parametrize("status", ["Maternity", "Career Break", "Suspend No Pay", "OUT ON EXTERNAL SECONDMENT - PAID"])
def test_someone_away_is_still_an_employee_and_paused(status: str) -> None:
    told = on(TODAY, person(), assignment(status=status)).person
    assert (told.state, told.paused) == ("employee", True)


def test_an_unknown_status_whose_system_status_is_suspended_is_paused() -> None:
    assert on(TODAY, person(), assignment(status="Sabbatical", system="SUSP_ASSIGN")).person.paused
    assert not on(TODAY, person(), assignment(status="Sabbatical")).person.paused


# Details


def test_the_office_address_stands_above_the_private_one() -> None:
    both = person(office_email="z@trust.example", contact_email="z@home.example")
    assert on(TODAY, both).person.email == "z@trust.example"
    assert on(TODAY, person(contact_email="z@home.example")).person.email == "z@home.example"


def test_all_that_is_told_of_a_person_is_carried_over() -> None:
    fact = person(title="Dr", middle_names="Q", preferred_name="Zo", hire_date="2020-01-01", employee_number="20000001")
    told = on(TODAY, fact).person
    assert (told.title, told.middle_names, told.preferred_name) == ("Dr", "Q", "Zo")
    assert (told.hire_date, told.employee_number, told.applicant_number) == ("2020-01-01", "20000001", "")
    assert (told.person_id, told.first_name, told.last_name) == (PERSON, "Zoë", "O'Placeholder")


def test_a_derivation_rests_on_the_newest_file_that_said_anything() -> None:
    newer = replace(assignment(), version=Version("B.DAT", 2, 1))
    assert on(TODAY, newer, person()).cause == Cause("feed", "B.DAT", 2)
    assert on(TODAY).cause == Cause("feed", "", 0)


def test_a_deletion_is_the_cause_when_it_is_newer_than_every_fact_that_is_left() -> None:
    derived = on(TODAY, person())
    assert with_cause(derived, Cause("feed", "B.DAT", 2)).cause.file == "B.DAT"
    assert with_cause(derived, Cause("feed", "0.DAT", 0)) is derived
    assert with_cause(derived, Cause("feed", "same", 1)) is derived


def test_facts_of_other_entities_are_not_looked_at() -> None:
    position = Fact("999", "position", "5", "", "", Version("A.DAT", 1, 9), {"position_id": "5"})
    assert on(TODAY, person(), position) == on(TODAY, person())


# Rules that hold for any facts

DAYS = [TODAY + timedelta(days=offset) for offset in range(-4, 8)]
days = st.sampled_from(DAYS)


@st.composite
def people(draw: st.DrawFn) -> list[Fact]:
    """Draw slices of one person: at most one begins on a day, as their keys say."""
    facts: list[Fact] = []
    for start in draw(st.sets(days, max_size=4)):
        left, hired = draw(st.none() | days), draw(st.none() | days)
        kind = draw(st.sampled_from(["EMP", "EMP_APL", "APL", "EX_EMP", "EX_EMP_APL", "OTHER"]))
        said = {"hire_date": hired.isoformat()} if hired else {}
        facts.append(person(kind, start, end=draw(st.none() | days), left=left, last_name=f"N{start:%d}", **said))
    return facts


@st.composite
def slices(draw: st.DrawFn) -> list[Fact]:
    """Draw slices of a person and of up to two assignments."""
    facts = draw(people())
    for number in draw(st.sets(st.sampled_from(["1", "2"]))):
        for start in draw(st.sets(days, max_size=3)):
            facts.append(
                assignment(
                    draw(st.sampled_from(["E", "A", "C"])),
                    draw(st.sampled_from(["Active Assignment", "Offer Accepted", "Maternity", "Terminated"])),
                    start,
                    system=draw(st.sampled_from(["ACTIVE_ASSIGN", "SUSP_ASSIGN", "TERM_ASSIGN"])),
                    end=draw(st.none() | days),
                    number=number,
                    primary_assignment=draw(st.sampled_from(["", "Y"])),
                )
            )
    return [replace(fact, version=Version("A.DAT", 1, line)) for line, fact in enumerate(facts, start=1)]


@given(slices().flatmap(lambda facts: st.tuples(st.just(facts), st.permutations(facts))), days)
def test_the_order_of_facts_does_not_matter(both: tuple[Sequence[Fact], Sequence[Fact]], day: date) -> None:
    given_order, other = both
    assert derive(PERSON, other, day) == derive(PERSON, given_order, day)


@given(slices())
def test_nothing_changes_before_the_day_that_due_names(facts: Sequence[Fact]) -> None:
    day = DAYS[0] - timedelta(days=1)
    last = DAYS[-1] + timedelta(days=3)
    derived = derive(PERSON, facts, day)
    while day < last:
        day += timedelta(days=1)
        now = derive(PERSON, facts, day)
        if derived.due is None or day < derived.due:
            assert now == derived
        else:
            assert day == derived.due
            assert now.due is None or now.due > day
            derived = now
    assert derived.due is None


@given(slices(), days)
def test_an_event_tells_every_difference_and_only_differences(facts: Sequence[Fact], day: date) -> None:
    before, after = derive(PERSON, facts, day).person, derive(PERSON, facts, day + timedelta(days=2)).person
    event = difference(before, after)
    if before == after:
        assert event is None
    elif {before.state, after.state} - {"unknown", "out_of_scope"}:
        assert event is not None
