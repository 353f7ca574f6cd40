"""Who a person is on a business day, derived from all that ESR has said about them. No I/O here.

Facts come as date slices: a person or assignment may have several, each with its own first and last day. What a
person *is* is a pure function of the slices and the day; events are the difference between two such derivations.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

import msgspec

from shared import events
from shared.facts import Fact, newest

APPLICANT_STATUSES: Final = frozenset({"offered post conditional", "offered post unconditional", "offer accepted"})
"""Applicant statuses in scope: from the conditional offer on a temporary account is wanted (ESR CSTF interface)."""

CLOSED_STATUSES: Final = frozenset({"terminated", "assignment costing deletion", "inactive not worked"})

PAUSED_STATUSES: Final = frozenset(
    {
        "career break",
        "maternity",
        "out on external secondment - paid",
        "out on external secondment - unpaid",
        "suspend assignment",
        "suspend no pay",
        "suspend with pay",
    }
)
"""The assignment goes on, but the person is away: still an employee."""

EMPLOYED_TYPES: Final = frozenset({"EMP", "EMP_APL", "CWK"})
LEFT_TYPES: Final = frozenset({"EX_EMP", "EX_EMP_APL"})

END_OF_TIME: Final = date(4712, 12, 31)
"""Oracle's end of time; a blank end date means the same."""


class PersonSlice(msgspec.Struct, frozen=True, kw_only=True):
    """What a person record says, of the columns this service needs. Dates are ISO."""

    person_id: str
    effective_start: date
    effective_end: date = END_OF_TIME
    system_person_type: str
    last_name: str
    first_name: str
    employee_number: str = ""
    applicant_number: str = ""
    title: str = ""
    middle_names: str = ""
    preferred_name: str = ""
    hire_date: str = ""
    actual_termination_date: date | None = None
    contact_email: str = ""
    office_email: str = ""


class AssignmentSlice(msgspec.Struct, frozen=True, kw_only=True):
    """What an assignment record says, of the columns this service needs."""

    person_id: str
    assignment_id: str
    effective_start: date
    effective_end: date = END_OF_TIME
    assignment_type: str
    user_assignment_status: str
    system_assignment_status: str
    assignment_number: str = ""
    primary_assignment: str = ""
    position_name: str = ""
    organisation_id: str = ""

    @property
    def in_scope_application(self) -> bool:
        """Whether this is an application that has reached the offer."""
        return self.assignment_type == "A" and self.user_assignment_status.lower() in APPLICANT_STATUSES

    @property
    def employs(self) -> bool:
        """Whether this is an assignment that has not ended. An unknown user status is read by its system status."""
        return (
            self.assignment_type in ("E", "C")
            and self.system_assignment_status != "TERM_ASSIGN"
            and self.user_assignment_status.lower() not in CLOSED_STATUSES
        )

    @property
    def paused(self) -> bool:
        """Whether the person is away from this assignment."""
        return self.system_assignment_status == "SUSP_ASSIGN" or self.user_assignment_status.lower() in PAUSED_STATUSES


@dataclass(frozen=True, slots=True)
class Derived:
    """What a person is on a day: the person, the newest file it rests on, and when it may change by itself."""

    person: events.Person
    cause: events.Cause
    due: date | None = None


def derive(person_id: str, facts: Sequence[Fact], day: date) -> Derived:
    """Derive a person from their live facts as of ``day``. Facts of other entities are not looked at."""
    people = [msgspec.convert(fact.data, PersonSlice) for fact in facts if fact.entity == "person"]
    assignments = [msgspec.convert(fact.data, AssignmentSlice) for fact in facts if fact.entity == "assignment"]
    current = _current(people, day)
    live = [one for one in assignments if one.effective_start <= day <= one.effective_end]
    state = _state(current, live, day)
    person = events.Person(person_id=person_id, state=state)
    if current is not None:
        person = _describe(current, _main(live, state), state)
    rests_on = newest(facts)
    return Derived(person, events.Cause("feed", rests_on.file, rests_on.file_no), _due(people, assignments, day))


def difference(before: events.Person | None, after: events.Person) -> type[events.PersonEvent] | None:
    """Return the event that tells of a change, or None when nothing worth telling changed."""
    old = before.state if before else "unknown"
    if old == after.state:
        same = before is None or revised(before, 0) == revised(after, 0)
        return None if same else _CHANGED.get(after.state)
    return _TRANSITIONS[old, after.state]


def revised(person: events.Person, revision: int) -> events.Person:
    """Return the person with another revision."""
    return msgspec.structs.replace(person, revision=revision)


_CHANGED: Final[dict[str, type[events.PersonEvent]]] = {
    "applicant": events.ApplicantOffered,
    "employee": events.EmployeeChanged,
    "leaver": events.EmployeeTerminated,
}

_TRANSITIONS: Final[dict[tuple[str, str], type[events.PersonEvent] | None]] = {
    ("unknown", "out_of_scope"): None,
    ("unknown", "applicant"): events.ApplicantOffered,
    ("unknown", "employee"): events.EmployeeHired,
    ("unknown", "leaver"): events.EmployeeTerminated,
    ("out_of_scope", "unknown"): None,
    ("out_of_scope", "applicant"): events.ApplicantOffered,
    ("out_of_scope", "employee"): events.EmployeeHired,
    ("out_of_scope", "leaver"): events.EmployeeTerminated,
    ("applicant", "unknown"): events.ApplicantWithdrawn,
    ("applicant", "out_of_scope"): events.ApplicantWithdrawn,
    ("applicant", "employee"): events.EmployeeHired,
    ("applicant", "leaver"): events.EmployeeTerminated,
    ("employee", "unknown"): events.EmployeeTerminated,
    ("employee", "out_of_scope"): events.EmployeeTerminated,
    ("employee", "applicant"): events.ApplicantOffered,
    ("employee", "leaver"): events.EmployeeTerminated,
    ("leaver", "unknown"): events.EmployeeTerminated,
    ("leaver", "out_of_scope"): events.EmployeeTerminated,
    ("leaver", "applicant"): events.ApplicantOffered,
    ("leaver", "employee"): events.EmployeeRehired,
}
"""Every pair of different states, spelled out; a test covers the table whole."""


def _state(current: PersonSlice | None, live: Sequence[AssignmentSlice], day: date) -> events.PersonState:
    if current is None:
        return "unknown"
    applies = any(one.in_scope_application for one in live)
    left = current.actual_termination_date is not None and current.actual_termination_date < day
    if current.system_person_type in EMPLOYED_TYPES and not left:
        return "employee"
    if applies:
        return "applicant"
    if current.system_person_type in LEFT_TYPES or left:
        return "leaver"
    return "out_of_scope"


def _current(people: Sequence[PersonSlice], day: date) -> PersonSlice | None:
    """The slice in force on ``day``; before the first one begins the person is not known yet."""
    begun = [one for one in people if one.effective_start <= day]
    in_force = [one for one in begun if day <= one.effective_end]
    return max(in_force or begun, key=lambda one: one.effective_start, default=None)


def _main(live: Sequence[AssignmentSlice], state: str) -> AssignmentSlice | None:
    """The assignment that stands for the person: flagged primary, else the latest start (ESR's primary rule)."""
    wanted = [one for one in live if (one.in_scope_application if state == "applicant" else one.employs)]
    flagged = [one for one in wanted if one.primary_assignment.upper() in ("Y", "YES")]
    chosen = flagged if len(flagged) == 1 else wanted
    return max(chosen, key=lambda one: (one.effective_start, one.assignment_id), default=None)


def _describe(current: PersonSlice, main: AssignmentSlice | None, state: events.PersonState) -> events.Person:
    left = current.actual_termination_date
    return events.Person(
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
        hire_date=current.hire_date,
        termination_date=left.isoformat() if left else "",
        assignment_number=main.assignment_number if main else "",
        position_name=main.position_name if main else "",
        organisation_id=main.organisation_id if main else "",
        paused=main.paused if main else False,
    )


def _due(people: Sequence[PersonSlice], assignments: Sequence[AssignmentSlice], day: date) -> date | None:
    """The next day on which a slice begins, or the day after one ends: the derivation may differ from then on."""
    slices: list[PersonSlice | AssignmentSlice] = [*people, *assignments]
    days = {one.effective_start for one in slices}
    days |= {one.effective_end + timedelta(days=1) for one in slices if one.effective_end < END_OF_TIME}
    left = {one.actual_termination_date or END_OF_TIME for one in people}
    days |= {one + timedelta(days=1) for one in left if one < END_OF_TIME}
    return min((one for one in days if one > day), default=None)


def with_cause(derived: Derived, cause: events.Cause) -> Derived:
    """Return the derivation as resting on ``cause`` when that is newer: a deletion leaves no fact behind to say so."""
    return derived if cause.file_no <= derived.cause.file_no else replace(derived, cause=cause)
