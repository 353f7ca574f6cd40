"""Who a person is on a business day, derived from all that was said about them. No I/O here.

What a person *is* is a pure function of the slices in force, the places they work in, what the trust wants, and the
day; events are the difference between two such derivations (``transitions``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import msgspec

from services.people.derived import ANYONE, FEED, Derived, Rules, cause_of
from services.people.hierarchy import NOWHERE, Places
from services.people.jobs import in_force, item_of, jobs_of, main_of, position_name, post_of, staff_group_and_role
from services.people.non_staff import not_staff
from services.people.slices import END_OF_TIME, LEFT_TYPES, AssignmentSlice, NonStaff, PersonSlice, of_kind
from shared import events
from shared.facts import Fact


@dataclass(frozen=True, slots=True)
class _Said:
    """Everything ESR said of one person, and the day that is asked about."""

    current: PersonSlice
    live: Sequence[AssignmentSlice]
    assignments: Sequence[AssignmentSlice]
    places: Places
    day: date


def derive(
    person_id: str, facts: Sequence[Fact], day: date, places: Places = NOWHERE, rules: Rules = ANYONE
) -> Derived:
    """Derive a person from their live facts as of ``day``. Facts of other entities are not looked at.

    ``places`` holds the positions and organisations that ``places_of`` names, as of the same day.
    """
    listed = of_kind(facts, "non_staff", NonStaff)
    if listed:
        return not_staff(person_id, listed[0], facts, day, places)
    people = of_kind(facts, "person", PersonSlice)
    assignments = of_kind(facts, "assignment", AssignmentSlice)
    current = _current(people, day)
    person = events.Person(person_id=person_id, state="unknown")
    if current is not None:
        person = _describe(_Said(current, in_force(assignments, day), assignments, places, day), rules)
    return Derived(person, cause_of(FEED, facts, places), _due(people, assignments, day))


def _describe(said: _Said, rules: Rules) -> events.Person:
    state = _state(said)
    wanted = state == "out_of_scope" or rules.restriction.admits(
        post_of(one, said.places) for one in _judged(said, state)
    )
    if not wanted:
        state = "out_of_scope"
    current, left = said.current, said.current.actual_termination_date
    person = events.Person(
        person_id=current.person_id,
        state=state,
        employee_number=current.employee_number,
        applicant_number=current.applicant_number,
        title=current.title,
        first_name=current.first_name,
        middle_names=current.middle_names,
        last_name=current.last_name,
        preferred_name=current.preferred_name,
        email=current.office_email or current.contact_email,
        hire_date=current.hire_date.isoformat() if current.hire_date else "",
        termination_date=left.isoformat() if left else "",
        birth_date=current.date_of_birth.isoformat() if current.date_of_birth else "",
        ni_number=current.ni_number if rules.tell_ni_number else "",
        applying=state == "employee" and _applies(said),
    )
    return _at_work(person, said)


def _at_work(person: events.Person, said: _Said) -> events.Person:
    """Add what the assignment says that stands for the person, and the jobs of an employee."""
    main, places = main_of(said.live, person.state), said.places
    if main is None or person.state not in ("applicant", "employee", "leaver"):
        return person
    group, role = staff_group_and_role(main, places)
    return msgspec.structs.replace(
        person,
        assignment_number=main.assignment_number,
        position_id=main.position_id,
        position_name=position_name(main, places),
        organisation_id=main.organisation_id,
        organisation_name=item_of(places, "organisation", main.organisation_id).name,
        location_id=main.assignment_location_id,
        staff_group=group,
        assignment_category=main.assignment_category,
        job_role=role,
        grade=main.grade,
        payroll=main.payroll_name,
        manager_person_id=main.supervisor_person_id,
        paused=main.paused,
        jobs=jobs_of(said.live, main, said.assignments, places) if person.state == "employee" else (),
    )


def _state(said: _Said) -> events.PersonState:
    current, day = said.current, said.day
    left = current.left(day)
    if current.employed and not left:
        hired_later = current.hire_date is not None and current.hire_date > day
        return "applicant" if hired_later else "employee"
    if _applies(said):
        return "applicant"
    return "leaver" if left or current.system_person_type in LEFT_TYPES else "out_of_scope"


def _applies(said: _Said) -> bool:
    return said.current.may_apply and any(one.in_scope_application for one in said.live)


def _judged(said: _Said, state: str) -> list[AssignmentSlice]:
    """The assignments a restriction looks at. A leaver's are all they have had: what is over is still theirs."""
    if state == "leaver":
        return [one for one in said.assignments if one.of_employment and one.effective_start <= said.day]
    if state == "applicant" and not said.current.employed:
        return [one for one in said.live if one.in_scope_application]
    return [one for one in said.live if one.employs]


def _current(people: Sequence[PersonSlice], day: date) -> PersonSlice | None:
    """The slice in force on ``day``; before the first one begins the person is not known yet."""
    begun = [one for one in people if one.effective_start <= day]
    in_force_now = [one for one in begun if day <= one.effective_end]
    return max(in_force_now or begun, key=lambda one: one.effective_start, default=None)


def _due(people: Sequence[PersonSlice], assignments: Sequence[AssignmentSlice], day: date) -> date | None:
    """The next day on which a slice begins, or the day after one ends: the derivation may differ from then on."""
    slices: list[PersonSlice | AssignmentSlice] = [*people, *assignments]
    days = {one.effective_start for one in slices}
    days |= {one.effective_end + timedelta(days=1) for one in slices if one.effective_end < END_OF_TIME}
    left = {one.actual_termination_date or END_OF_TIME for one in people}
    days |= {one + timedelta(days=1) for one in left if one < END_OF_TIME}
    days |= {one.hire_date for one in people if one.hire_date}
    return min((one for one in days if one > day), default=None)
