"""What real records throw up: each case with the day on which it acts."""

from datetime import date, timedelta

import pytest

from services.people.derived import Rules
from services.people.domain import derive
from services.people.hierarchy import Item, Place, Places
from services.people.transitions import difference
from shared import events
from shared.events import Person
from shared.facts import Fact, Version

TODAY = date(2026, 3, 3)
YESTERDAY, TOMORROW = TODAY - timedelta(days=1), TODAY + timedelta(days=1)
LONG_AGO = date(2020, 1, 1)


def iso(day: date | None) -> str:
    return day.isoformat() if day else ""


def person(kind: str = "EMP", start: date = LONG_AGO, end: date | None = None, **said: str) -> Fact:
    data = {
        "person_id": "1", "effective_start": iso(start), "effective_end": iso(end), "system_person_type": kind,
        "last_name": "Placeholder", "first_name": "Zoë", **said,
    }  # fmt: skip
    return Fact("999", "person", "1", iso(start), "1", Version("A", 1, 1), {k: v for k, v in data.items() if v})


def assignment(key: str = "8", start: date = LONG_AGO, end: date | None = None, **said: str) -> Fact:
    data = {
        "person_id": "1", "assignment_id": key, "effective_start": iso(start), "effective_end": iso(end),
        "assignment_type": "E", "user_assignment_status": "Active Assignment",
        "system_assignment_status": "ACTIVE_ASSIGN", "assignment_number": f"A{key}", **said,
    }  # fmt: skip
    return Fact("999", "assignment", key, iso(start), "1", Version("A", 1, 2), {k: v for k, v in data.items() if v})


def application(key: str = "7", start: date = LONG_AGO, end: date | None = None, **said: str) -> Fact:
    offered = {"assignment_type": "A", "user_assignment_status": "Offer Accepted", "system_assignment_status": "OFFER"}
    return assignment(key, start, end, **(offered | said))


def on(day: date, *facts: Fact) -> Person:
    return derive("1", facts, day).person


def states(*facts: Fact) -> list[str]:
    """Yesterday, today and tomorrow."""
    return [on(day, *facts).state for day in (YESTERDAY, TODAY, TOMORROW)]


def told(before: Person, after: Person) -> str:
    event = difference(before, after)
    return event.__name__ if event else ""


# Hiring


def test_a_hire_that_keeps_the_assignment_id_turns_the_application_into_the_job() -> None:
    facts = (
        person("APL", end=YESTERDAY), application("7", end=YESTERDAY),
        person("EMP", TODAY, hire_date=iso(TODAY)), assignment("7", TODAY),
    )  # fmt: skip
    assert states(*facts) == ["applicant", "employee", "employee"]
    job = on(TODAY, *facts).jobs[0]
    assert (job.assignment_id, job.start, job.end) == ("7", iso(TODAY), "")


def test_a_hire_that_deletes_the_application_and_adds_an_assignment_ends_the_same() -> None:
    kept = on(TODAY, person(), application("7", end=YESTERDAY), assignment("7", TODAY))
    changed = on(TODAY, person(), assignment("7", TODAY))
    assert kept == changed


def test_an_application_left_behind_after_the_hire_means_nothing() -> None:
    now = on(TODAY, person("EMP"), assignment(), application())
    assert (now.state, now.applying, now.assignment_number) == ("employee", False, "A8")


@pytest.mark.parametrize("kind", ["EX_APL", "EX_EMP"])
def test_an_application_left_behind_of_one_who_withdrew_or_left_makes_no_applicant(kind: str) -> None:
    assert on(TODAY, person(kind), application()).state == {"EX_APL": "out_of_scope", "EX_EMP": "leaver"}[kind]


def test_an_employee_with_an_offer_elsewhere_in_the_trust_stays_an_employee_and_is_applying() -> None:
    now = on(TODAY, person("EMP_APL"), assignment(), application())
    assert (now.state, now.applying, now.assignment_number) == ("employee", True, "A8")
    assert [job.assignment_id for job in now.jobs] == ["8"]


def test_applying_begins_and_ends_with_the_offer() -> None:
    facts = (person("EMP_APL"), assignment(), application(start=TODAY, end=TODAY))
    assert [on(day, *facts).applying for day in (YESTERDAY, TODAY, TOMORROW)] == [False, True, False]


def test_an_employee_whose_hire_date_lies_ahead_is_an_applicant_until_that_day() -> None:
    facts = (person("EMP", hire_date=iso(TOMORROW)), assignment())
    assert states(*facts) == ["applicant", "applicant", "employee"]
    assert derive("1", facts, TODAY).due == TOMORROW


def test_a_backdated_hire_acts_at_once() -> None:
    before = on(TODAY, person("APL"), application())
    after = on(TODAY, person("EMP", LONG_AGO, hire_date=iso(LONG_AGO)), assignment())
    assert told(before, after) == "EmployeeHired"


def test_a_start_date_put_off_takes_the_hire_back_until_the_new_day() -> None:
    hired = on(TODAY, person("EMP", hire_date=iso(YESTERDAY)))
    put_off = person("EMP", hire_date=iso(TOMORROW))
    assert told(hired, on(TODAY, put_off)) == "ApplicantOffered"
    assert told(on(TODAY, put_off), on(TOMORROW, put_off)) == "EmployeeHired"


def test_a_withdrawn_applicant_is_told_withdrawn() -> None:
    before = on(TODAY, person("APL"), application())
    assert told(before, on(TODAY, person("EX_APL"))) == "ApplicantWithdrawn"
    assert (
        told(before, on(TODAY, person("APL"), application(user_assignment_status="Withdrawn"))) == "ApplicantWithdrawn"
    )
    assert told(before, on(TODAY, person("APL"))) == "ApplicantWithdrawn"


# Leaving and coming back


@pytest.mark.parametrize(
    ("left", "state"), [(YESTERDAY, "leaver"), (TODAY, "employee"), (TOMORROW, "employee"), (None, "employee")]
)
def test_the_last_day_is_worked(left: date | None, state: str) -> None:
    assert on(TODAY, person(actual_termination_date=iso(left))).state == state


def test_a_termination_taken_back_is_a_rehire_without_a_gap() -> None:
    before, after = on(TODAY, person(actual_termination_date=iso(YESTERDAY))), on(TODAY, person())
    assert (told(before, after), after.termination_date) == ("EmployeeRehired", "")


def test_a_termination_taken_back_before_its_day_is_a_change_only() -> None:
    assert told(on(TODAY, person(actual_termination_date=iso(TOMORROW))), on(TODAY, person())) == "EmployeeChanged"


def test_a_leaver_with_a_rehire_ahead_comes_back_on_the_day() -> None:
    facts = (
        person("EX_EMP", end=TODAY, actual_termination_date=iso(date(2025, 1, 31)), hire_date=iso(LONG_AGO)),
        person("EMP", TOMORROW, hire_date=iso(TOMORROW)),
    )
    assert states(*facts) == ["leaver", "leaver", "employee"]
    assert (told(on(TODAY, *facts), on(TOMORROW, *facts)), on(TOMORROW, *facts).hire_date) == (
        "EmployeeRehired", iso(TOMORROW),
    )  # fmt: skip


def test_a_last_day_of_an_earlier_service_does_not_count_after_the_new_hire_date() -> None:
    fact = person(actual_termination_date="2025-01-31", hire_date=iso(TODAY))
    assert states(fact) == ["leaver", "employee", "employee"]


def test_an_employee_whose_application_is_open_on_leaving_is_an_applicant() -> None:
    assert on(TODAY, person("EMP_APL", actual_termination_date=iso(YESTERDAY)), application()).state == "applicant"


def test_a_person_deleted_is_unknown_and_an_employee_so_lost_is_told_terminated() -> None:
    assert told(on(TODAY, person(), assignment()), on(TODAY, assignment())) == "EmployeeTerminated"


def test_facts_that_come_before_their_person_say_nothing_until_then() -> None:
    assert on(TODAY, assignment(), application()).state == "unknown"
    assert on(TODAY, person(), assignment()).state == "employee"


# Slices


def test_a_name_change_is_told_from_its_day() -> None:
    facts = (person(end=YESTERDAY), person(start=TODAY, last_name="Mockford"))
    assert [on(day, *facts).last_name for day in (YESTERDAY, TODAY)] == ["Placeholder", "Mockford"]
    assert told(on(YESTERDAY, *facts), on(TODAY, *facts)) == "EmployeeChanged"


def test_of_overlapping_slices_of_one_assignment_the_later_one_speaks() -> None:
    facts = (person(), assignment(organisation_id="O1"), assignment(start=YESTERDAY, organisation_id="O2"))
    assert [(job.assignment_id, job.organisation_id) for job in on(TODAY, *facts).jobs] == [("8", "O2")]


def test_a_slice_that_ends_an_assignment_ends_it_although_the_one_before_is_open() -> None:
    ended = assignment(start=TODAY, user_assignment_status="Terminated", system_assignment_status="TERM_ASSIGN")
    assert on(TODAY, person(), assignment(), ended).jobs == ()


def test_an_end_dated_assignment_is_a_job_until_its_last_day() -> None:
    facts = (person(), assignment(end=TODAY), assignment("9"))
    assert [len(on(day, *facts).jobs) for day in (TODAY, TOMORROW)] == [2, 1]
    assert derive("1", facts, TODAY).due == TOMORROW


# Jobs


def test_the_job_that_stands_for_the_person_comes_first_and_is_primary() -> None:
    facts = (person(), assignment("5"), assignment("6", primary_assignment="Y"), assignment("7", YESTERDAY))
    assert [(job.assignment_id, job.primary) for job in on(TODAY, *facts).jobs] == [
        ("6", True), ("5", False), ("7", False),
    ]  # fmt: skip
    assert [job.assignment_id for job in on(TODAY, person(), assignment("5"), assignment("7", YESTERDAY)).jobs] == [
        "7",
        "5",
    ]


def test_a_job_names_manager_place_and_days() -> None:
    fact = assignment(
        supervisor_person_id="2", supervisor_assignment_id="82", position_id="P1", organisation_id="O1",
        earliest_assignment_start="2019-05-01", assignment_end_date="2026-12-31",
    )  # fmt: skip
    now = on(TODAY, person(), fact)
    job = now.jobs[0]
    assert (job.manager_person_id, job.manager_assignment_id, now.manager_person_id) == ("2", "82", "2")
    assert (job.position_id, job.organisation_id, job.start, job.end) == ("P1", "O1", "2019-05-01", "2026-12-31")


def test_a_job_began_with_its_first_slice_and_ends_with_its_last() -> None:
    facts = (person(), assignment(end=YESTERDAY), assignment(start=TODAY, end=date(2026, 5, 1)))
    assert [(job.start, job.end) for job in on(TODAY, *facts).jobs] == [(iso(LONG_AGO), "2026-05-01")]


def test_applicants_and_leavers_have_no_jobs() -> None:
    assert on(TODAY, person("APL"), application()).jobs == ()
    assert on(TODAY, person("EX_EMP"), assignment()).jobs == ()


def test_what_the_job_name_says_stands_in_for_a_post_that_is_not_known() -> None:
    now = on(TODAY, person(), assignment(job_name="Nursing and Midwifery Registered|Staff Nurse", position_id="P1"))
    assert (now.staff_group, now.job_role) == ("Nursing and Midwifery Registered", "Staff Nurse")
    places: Places = {
        ("position", "P1"): Place(Item(name="Ward sister", staff_group="N", job_role="S"), Version("B", 9, 1), None)
    }
    known = derive("1", (person(), assignment(job_name="A|B", position_id="P1", position_name="x")), TODAY, places)
    assert (known.person.staff_group, known.person.job_role, known.person.position_name) == ("N", "S", "Ward sister")
    assert known.cause == events.Cause("feed", "B", 9)


def test_what_accounts_need_of_the_assignment_is_told() -> None:
    job = assignment(grade="XN05", payroll_name="Monthly", assignment_location_id="L1")
    now = on(TODAY, person(date_of_birth="1990-01-15"), job)
    assert (now.grade, now.payroll, now.location_id, now.birth_date) == ("XN05", "Monthly", "L1", "1990-01-15")


def test_the_ni_number_is_told_only_where_the_trust_needs_it() -> None:
    fact = person(ni_number="QQ123456C")
    assert on(TODAY, fact).ni_number == ""
    assert derive("1", (fact,), TODAY, rules=Rules(tell_ni_number=True)).person.ni_number == "QQ123456C"


# Away


@pytest.mark.parametrize(
    ("status", "paused"),
    [
        ("Out on External Secondment - Paid", True),
        ("Out on External Secondment \u2013 Unpaid", True),
        ("Maternity", True),
        ("Career Break", True),
        ("Internal Secondment", False),
        ("Acting Up", False),
    ],
)
def test_who_is_away_is_paused_and_not_closed(status: str, paused: bool) -> None:
    now = on(TODAY, person(), assignment(user_assignment_status=status))
    assert (now.state, now.paused, [job.paused for job in now.jobs]) == ("employee", paused, [paused])


def test_someone_away_from_one_job_may_be_at_work_in_another() -> None:
    away = assignment("5", user_assignment_status="Maternity", primary_assignment="Y")
    now = on(TODAY, person(), away, assignment("6"))
    assert (now.paused, [job.paused for job in now.jobs]) == (True, [True, False])


@pytest.mark.parametrize("kind", ["OTHER", "SECONDEE"])
def test_a_secondee_from_elsewhere_is_an_employee(kind: str) -> None:
    assert on(TODAY, person(kind, user_person_type="Secondee.Ex-Applicant")).state == "employee"


@pytest.mark.parametrize(("kind", "state"), [("EX_EMP", "leaver"), ("APL", "out_of_scope"), ("EX_APL", "out_of_scope")])
def test_a_secondee_who_left_or_only_applied_is_none(kind: str, state: str) -> None:
    assert on(TODAY, person(kind, user_person_type="Secondee")).state == state
