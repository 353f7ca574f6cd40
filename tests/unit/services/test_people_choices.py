"""Whom a trust wants, and who may be the same human: decided without looking anything up."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.people.derived import Rules
from services.people.domain import derive
from services.people.duplicates import Identity, agreement, identity_of, spelt, stands_for
from services.people.hierarchy import derive_place
from services.people.restriction import EVERYONE, Post, Restriction
from shared.events import Person
from shared.facts import Fact, Version
from shared.people_settings import PeopleSettings
from tests.unit.services.test_people_cases import TODAY, TOMORROW, YESTERDAY, application, assignment, iso, person

NURSE = Post(
    payroll="Monthly", position_id="P1", position_name="Nurse", organisation_id="O1", staff_group="Nursing",
    category="Permanent", number="A1",
)  # fmt: skip
PORTER = Post(payroll="Bank", position_id="P2", organisation_id="O2", staff_group="Estates", number="A2")


def restriction(**said: Any) -> Restriction:
    return Restriction(PeopleSettings.model_validate(said))


@pytest.mark.parametrize(
    "include",
    [
        {"payrolls": ["monthly"]},
        {"positions": ["P1"]},
        {"positions": ["NURSE"]},
        {"organisations": ["O1"]},
        {"staff_groups": [" nursing "]},
        {"assignment_categories": ["Permanent"]},
        {"assignment_numbers": ["A1"]},
        {"organisations": ["O9"], "payrolls": ["Monthly"]},
    ],
)
def test_any_value_of_any_list_chooses_a_job(include: Mapping[str, list[str]]) -> None:
    assert restriction(include=include).admits([NURSE])
    assert not restriction(include=include).admits([PORTER])
    assert not restriction(exclude=include).admits([NURSE])
    assert restriction(exclude=include).admits([PORTER])


def test_one_job_that_is_wanted_is_enough() -> None:
    assert restriction(include={"payrolls": ["Monthly"]}).admits([PORTER, NURSE])
    assert restriction(exclude={"payrolls": ["Bank"]}).admits([PORTER, NURSE])


def test_what_is_left_out_stands_above_what_is_chosen() -> None:
    assert not restriction(include={"organisations": ["O1"]}, exclude={"positions": ["P1"]}).admits([NURSE])


def test_one_without_a_job_is_wanted_unless_the_trust_says_whom_it_wants() -> None:
    assert EVERYONE.admits([])
    assert restriction(exclude={"payrolls": ["Bank"]}).admits([])
    assert not restriction(include={"payrolls": ["Monthly"]}).admits([])


def test_a_blank_value_of_a_job_is_chosen_by_nothing() -> None:
    assert not restriction(include={"payrolls": ["Monthly"]}).admits([Post()])


RULES = Rules(restriction(include={"payrolls": ["Monthly"]}))


def state(*facts: Fact, day: date = TODAY) -> str:
    return derive("1", facts, day, rules=RULES).person.state


def test_an_applicant_is_judged_by_the_application_and_an_employee_by_the_jobs_in_force() -> None:
    assert state(person("APL"), application(payroll_name="Monthly")) == "applicant"
    assert state(person("APL"), application()) == "out_of_scope"
    assert state(person(), assignment(payroll_name="Monthly")) == "employee"
    assert state(person(), assignment(payroll_name="Monthly", end=YESTERDAY), assignment("9")) == "out_of_scope"


def test_a_leaver_is_judged_by_all_jobs_they_have_held() -> None:
    left = person(actual_termination_date=iso(YESTERDAY))
    assert state(left, assignment(payroll_name="Monthly", end=YESTERDAY)) == "leaver"
    assert state(left, assignment(end=YESTERDAY)) == "out_of_scope"


def test_a_job_that_moves_into_the_restriction_counts_from_its_day() -> None:
    facts = (person(), assignment(end=TODAY), assignment(start=TOMORROW, payroll_name="Monthly"))
    assert [state(*facts, day=day) for day in (TODAY, TOMORROW)] == ["out_of_scope", "employee"]


# Who may be the same human

SELF = Identity("QQ123456C", "1990-01-15", frozenset({"mockford"}))


@pytest.mark.parametrize(
    ("other", "agree"),
    [
        (SELF, ("ni_number", "birth_date", "last_name")),
        (Identity("QQ999999D", "1990-01-15", frozenset({"mockford"})), ("birth_date", "last_name")),
        (Identity("QQ123456C", "1990-01-15", frozenset({"rowan"})), ("ni_number", "birth_date")),
        (Identity("QQ123456C", "", frozenset({"rowan", "mockford"})), ("ni_number", "last_name")),
        (Identity("QQ123456C", "", frozenset()), ()),
        (Identity("", "1990-01-15", frozenset()), ()),
        (Identity(), ()),
    ],
)
def test_two_of_three_in_common_are_a_suspicion(other: Identity, agree: tuple[str, ...]) -> None:
    assert agreement(SELF, other) == agreement(other, SELF) == agree


def test_nothing_in_common_because_nothing_is_known_is_no_agreement() -> None:
    assert agreement(Identity(), Identity()) == ()
    assert Identity("QQ123456C").digest == ""


@pytest.mark.parametrize("name", ["O'Placeholder", "o placeholder", "O-PLACEHOLDER"])
def test_spelling_makes_no_difference_to_a_name(name: str) -> None:
    assert spelt(name) == "oplaceholder"


def test_an_identity_has_the_name_before_and_the_names_of_earlier_slices() -> None:
    facts = [
        person(end=YESTERDAY, last_name="Rowan"),
        person(start=TODAY, last_name="Mockford", previous_last_name="Sampleton", ni_number=" qq 12 34 56 c "),
        person(start=TOMORROW, last_name="Tomorrow"),
    ]
    now = identity_of(facts, TODAY)
    assert (now.names, now.ni_number) == (frozenset({"rowan", "mockford", "sampleton"}), "QQ123456C")
    assert identity_of(facts[2:], TODAY).names == frozenset({"tomorrow"})


def test_a_temporary_ni_number_is_none() -> None:
    assert identity_of([person(ni_number="TN010190M0")], TODAY).ni_number == ""


def record(person_id: str, state: Any, hired: str = "") -> Person:
    return Person(person_id=person_id, state=state, hire_date=hired)


def test_an_employee_stands_for_the_human_before_an_applicant_before_a_leaver() -> None:
    group = [record("1", "leaver", "2026"), record("2", "applicant"), record("3", "employee", "2001")]
    assert stands_for(group) == "3"
    assert stands_for(group[:2]) == "2"
    assert stands_for([*group, record("4", "employee", "2025")]) == "4"
    assert stands_for([record("6", "employee"), record("5", "employee")]) == "5"


@given(st.permutations([record("1", "leaver"), record("2", "employee", "2020"), record("3", "employee", "2020")]))
def test_the_same_record_stands_for_a_human_whatever_the_order(group: list[Person]) -> None:
    assert stands_for(group) == "2"


# Places


def post(start: date, end: date | None = None, name: str = "Nurse") -> Fact:
    data = {"position_id": "P1", "position_name": name, "effective_from": iso(start), "organisation_id": "O1"}
    return Fact(
        "999", "position", "P1", iso(start), "", Version("A", 1, 1), data | ({"effective_to": iso(end)} if end else {})
    )


def test_a_post_is_active_from_its_first_day_to_its_last_and_keeps_its_name() -> None:
    facts = [post(TODAY, TODAY)]
    found = [derive_place("position", facts, day) for day in (YESTERDAY, TODAY, TOMORROW)]
    assert [(one.item.name, one.item.active, one.due) for one in found] == [
        ("Nurse", False, TODAY), ("Nurse", True, TOMORROW), ("Nurse", False, None),
    ]  # fmt: skip


def test_of_overlapping_slices_of_a_post_the_later_one_speaks() -> None:
    facts = [post(YESTERDAY, name="Old"), post(TODAY, name="New"), post(TOMORROW, name="Next")]
    assert [derive_place("position", facts, day).item.name for day in (YESTERDAY, TODAY, TOMORROW)] == [
        "Old", "New", "Next",
    ]  # fmt: skip
    assert (
        derive_place("position", [post(TOMORROW, TOMORROW), post(YESTERDAY, YESTERDAY, "Ended")], TODAY).item.name
        == "Ended"
    )


def test_a_slice_of_a_post_in_force_stands_above_a_later_one_that_has_ended() -> None:
    facts = [post(date(2020, 1, 1), name="Open"), post(YESTERDAY, YESTERDAY, "Ended")]
    assert derive_place("position", facts, TODAY).item.name == "Open"
