"""What a person should have: the account, the day it closes, and the jobs."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.outbound.lms.port import HierarchyItem, JobAssignment, ProfileField
from services.outbound.wanted import AT_ONCE, closes_on, ended_jobs, looked_up, title, wanted_account, wanted_item
from services.outbound.wanted import wanted_jobs as jobs_for
from shared.account_settings import AccountPolicy
from shared.events import Cause, HierarchyChanged, Job, Person, PersonState

DAY = date(2026, 3, 3)
JOBS = AccountPolicy(jobs=True, hierarchies=True)


def person(state: PersonState = "employee", **details: Any) -> Person:
    return Person(person_id="9000001", state=state, first_name="Fern", last_name="Placeholder", **details)


def policy(**settings: Any) -> AccountPolicy:
    return AccountPolicy.model_validate(settings)


@pytest.mark.parametrize("state", ["applicant", "employee", "non_staff"])
def test_the_account_of_somebody_who_is_here_stays_open(state: PersonState) -> None:
    assert closes_on(person(state), AccountPolicy()) is None


@pytest.mark.parametrize("state", ["unknown", "out_of_scope"])
def test_the_account_of_somebody_who_never_came_closes_at_once(state: PersonState) -> None:
    assert closes_on(person(state), policy(suspend_after_days=30)) == AT_ONCE


def test_a_leavers_account_closes_after_the_last_day_and_the_days_of_grace() -> None:
    leaver = person("leaver", termination_date="2026-03-31")
    assert closes_on(leaver, AccountPolicy()) == date(2026, 4, 1)
    assert closes_on(leaver, policy(suspend_after_days=30)) == date(2026, 5, 1)
    assert closes_on(leaver, policy(suspend_on_termination=False)) is None


def test_a_leaver_without_a_last_day_closes_at_once() -> None:
    assert closes_on(person("leaver"), policy(suspend_after_days=30)) == AT_ONCE


def test_a_record_for_which_another_stands_has_no_open_account() -> None:
    assert wanted_account("999", person(same_as="9000002"), AccountPolicy(), DAY).suspended


@given(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.integers(0, 400), st.dates(date(2020, 1, 1), date(2032, 1, 1)))
def test_an_account_is_closed_from_the_day_it_closes_on(last: date, grace: int, day: date) -> None:
    leaver = person("leaver", termination_date=last.isoformat())
    settings = policy(suspend_after_days=grace)
    closes = closes_on(leaver, settings)
    assert closes is not None
    assert wanted_account("999", leaver, settings, day).suspended == (day >= closes)


def test_a_menu_value_the_lms_does_not_know_is_not_sent() -> None:
    settings = policy(fields=[{"from": "grade", "to": "band", "kind": "menu", "options": ["Band 5"]}])
    assert wanted_account("999", person(grade="Band 5"), settings, DAY).fields == (
        ProfileField("band", "Band 5", "menu"),
    )
    assert wanted_account("999", person(grade="Band 9"), settings, DAY).fields == ()


def test_a_manager_is_told_by_the_key_of_their_account() -> None:
    settings = policy(fields=[{"from": "manager", "to": "boss"}])
    assert wanted_account("999", person(manager_person_id="9000002"), settings, DAY).fields == (
        ProfileField("boss", "999-9000002"),
    )


def test_fields_for_staff_are_not_sent_for_applicants() -> None:
    settings = policy(fields=[{"from": "grade", "to": "band", "applicants": False}])
    assert wanted_account("999", person("applicant"), settings, DAY).fields == ()
    assert len(wanted_account("999", person(), settings, DAY).fields) == 1


def test_the_directory_names_staff_and_nobody_else() -> None:
    settings = policy(username="directory", directory={"url": "ldaps://d.example", "base": "dc=d"})
    staff = person(employee_number="29000001")
    assert looked_up(staff, settings)
    assert not looked_up(person("applicant", employee_number="29000001"), settings)
    assert not looked_up(person(), settings)
    assert not looked_up(staff, AccountPolicy())
    assert wanted_account("999", staff, settings, DAY, "Fern.P").username == "fern.p"
    assert wanted_account("999", staff, settings, DAY).username == "999-9000001"


@pytest.mark.parametrize(
    "wrong",
    [
        {"fields": [{"from": "grade", "to": "band", "kind": "date"}]},
        {"fields": [{"from": "grade", "to": "band", "kind": "menu"}]},
        {"fields": [{"from": "grade", "to": "band"}, {"from": "payroll", "to": "band"}]},
        {"username": "directory"},
        {"link": {"by": "ni_number"}},
        {"jobs": True},
        {"auth": "Not A Method"},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="1 validation error"):
        policy(**wrong)


# Jobs and hierarchies


def job(**details: Any) -> Job:
    return Job(
        assignment_id="41", position_id="P1", position_name="P1|Staff Nurse|Nursing|Nurse", organisation_id="O1",
        start="2020-01-06", **details,
    )  # fmt: skip


def test_a_job_is_named_by_its_title_and_keyed_by_trust_and_assignment() -> None:
    (wanted,) = jobs_for("999", person(jobs=(job(manager_person_id="7", manager_assignment_id="42"),)), JOBS).values()
    assert wanted == JobAssignment(
        "999-41", "999-9000001", "Staff Nurse", "2020-01-06", "", "999-O1", "999-P1", "999-7", "999-42"
    )


def test_nobody_manages_themself() -> None:
    (wanted,) = jobs_for("999", person(jobs=(job(manager_person_id="9000001"),)), JOBS).values()
    assert (wanted.manager, wanted.manager_job) == ("", "")


def test_a_trust_that_does_not_want_jobs_wants_none() -> None:
    assert jobs_for("999", person(jobs=(job(),)), AccountPolicy()) == {}


def test_a_job_that_ends_never_ends_before_it_began() -> None:
    seen = {"999-41": JobAssignment("999-41", "999-9000001", "Nurse", start="2026-05-01")}
    assert ended_jobs(seen, person("leaver", termination_date="2026-03-01")) == seen
    (ended,) = ended_jobs(seen, person("leaver", termination_date="2026-06-01")).values()
    assert ended == replace(seen["999-41"], end="2026-06-01")


@pytest.mark.parametrize(("name", "told"), [("1|Porter|Estates|Porter", "Porter"), ("Porter", "Porter"), ("", "")])
def test_the_title_is_the_second_part_of_a_position_name(name: str, told: str) -> None:
    assert title(name) == told


def test_what_is_no_more_in_esr_is_left_as_it_is_in_the_lms() -> None:
    said = HierarchyChanged(
        vpd="999", cause=Cause("feed", "f", 1), kind="organisation", key="O1", revision=2, name="Ward", parent="O0"
    )
    assert wanted_item("999", said) == HierarchyItem("organisation", "999-O1", "Ward", "999-O0")
    gone = HierarchyChanged(
        vpd="999", cause=Cause("feed", "f", 1), kind="organisation", key="O1", revision=3, active=False
    )
    assert wanted_item("999", gone) is None
