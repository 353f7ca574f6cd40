"""What ESR's records, and the trust's own list, say of people and of the places they work in. No I/O here.

People, assignments and positions come as date slices: each may have several, with its own first and last day.
"""

from collections.abc import Iterable
from datetime import date
from typing import Final, TypeVar

import msgspec

from shared.facts import Fact

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
"""The assignment goes on, but the person is away: still an employee. An internal secondment is worked here."""

EMPLOYED_TYPES: Final = frozenset({"EMP", "EMP_APL", "CWK"})
LEFT_TYPES: Final = frozenset({"EX_EMP", "EX_EMP_APL"})
NO_APPLICATION_TYPES: Final = frozenset({"EMP", "EX_EMP", "EX_APL", "CWK"})
"""Person types that say: no application is open. An applicant record left behind then means nothing (Oracle HR)."""

END_OF_TIME: Final = date(4712, 12, 31)
"""Oracle's end of time; a blank end date means the same."""


class PersonSlice(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a person record says, of the columns this service needs."""

    person_id: str
    effective_start: date
    effective_end: date = END_OF_TIME
    system_person_type: str
    user_person_type: str = ""
    last_name: str
    first_name: str
    previous_last_name: str = ""
    employee_number: str = ""
    applicant_number: str = ""
    title: str = ""
    middle_names: str = ""
    preferred_name: str = ""
    date_of_birth: date | None = None
    ni_number: str = ""
    hire_date: date | None = None
    actual_termination_date: date | None = None
    contact_email: str = ""
    office_email: str = ""

    @property
    def employed(self) -> bool:
        """Whether the type is an employee's. An incoming secondee may have no system type of its own."""
        if self.system_person_type in EMPLOYED_TYPES:
            return True
        known = self.system_person_type in LEFT_TYPES or self.system_person_type.endswith("APL")
        return not known and "secondee" in self.user_person_type.lower().split(".")

    @property
    def may_apply(self) -> bool:
        """Whether an application that is in force is one: not when the person type says there is none."""
        return self.system_person_type not in NO_APPLICATION_TYPES

    def left(self, day: date) -> bool:
        """Whether the last day was before ``day``. A last day before the hire date belongs to an earlier service."""
        last = self.actual_termination_date
        if last is None or last >= day:
            return False
        return self.hire_date is None or not last < self.hire_date <= day


class AssignmentSlice(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an assignment record says, of the columns this service needs."""

    person_id: str
    assignment_id: str
    effective_start: date
    effective_end: date = END_OF_TIME
    earliest_assignment_start: date | None = None
    assignment_end_date: date | None = None
    assignment_type: str
    user_assignment_status: str
    system_assignment_status: str
    assignment_number: str = ""
    primary_assignment: str = ""
    position_id: str = ""
    position_name: str = ""
    organisation_id: str = ""
    assignment_location_id: str = ""
    assignment_category: str = ""
    payroll_name: str = ""
    grade: str = ""
    job_name: str = ""
    supervisor_person_id: str = ""
    supervisor_assignment_id: str = ""

    @property
    def of_employment(self) -> bool:
        """Whether it is an employee's or a contingent worker's, not an applicant's."""
        return self.assignment_type in ("E", "C")

    @property
    def in_scope_application(self) -> bool:
        """Whether this is an application that has reached the offer."""
        return self.assignment_type == "A" and self.user_assignment_status.lower() in APPLICANT_STATUSES

    @property
    def employs(self) -> bool:
        """Whether this is an assignment that has not ended. An unknown user status is read by its system status."""
        return (
            self.of_employment
            and self.system_assignment_status != "TERM_ASSIGN"
            and self.plain_status not in CLOSED_STATUSES
        )

    @property
    def paused(self) -> bool:
        """Whether the person is away from this assignment."""
        return self.system_assignment_status == "SUSP_ASSIGN" or self.plain_status in PAUSED_STATUSES

    @property
    def plain_status(self) -> str:
        """The user status in lower case, with a plain hyphen: ESR writes some with a dash."""
        return self.user_assignment_status.lower().replace("\u2013", "-")

    @property
    def flagged(self) -> bool:
        """Whether ESR calls it the primary one."""
        return self.primary_assignment.upper() in ("Y", "YES")


class PositionSlice(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a position record says, of the columns this service needs."""

    position_id: str
    effective_from: date
    effective_to: date = END_OF_TIME
    position_name: str
    job_staff_group: str = ""
    job_role: str = ""
    organisation_id: str = ""


class Organisation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an organisation record says, of the columns this service needs."""

    organisation_id: str
    organisation_name: str
    effective_from: date
    effective_to: date = END_OF_TIME
    parent_organisation_id: str = ""


class NonStaff(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Someone whom the trust adds itself: a row of its list, or of a request."""

    reference: str
    kind: str
    first_name: str
    last_name: str
    start: date
    end: date = END_OF_TIME
    middle_names: str = ""
    email: str = ""
    date_of_birth: date | None = None
    organisation_id: str = ""
    position_name: str = ""


Kind = TypeVar("Kind", bound=msgspec.Struct)


def of_kind(facts: Iterable[Fact], entity: str, kind: type[Kind]) -> list[Kind]:
    """Return what the facts of one entity say."""
    return [msgspec.convert(fact.data, kind) for fact in facts if fact.entity == entity]
