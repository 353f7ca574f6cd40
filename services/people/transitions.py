"""What is told when a person is someone else than before. No I/O here."""

from typing import Final

import msgspec

from shared import events

NON_STAFF: Final = events.NON_STAFF_PREFIX
_Told = type[events.PersonEvent] | None


def difference(before: events.Person | None, after: events.Person) -> _Told:
    """Return the event that tells of a change, or None when nothing worth telling changed."""
    old = before.state if before else "unknown"
    if old == after.state:
        same = before is None or before == revised(after, before.revision)
        told = None if same else CHANGED.get(after.state)
    else:
        told = TRANSITIONS[old, after.state]
    if told is events.EmployeeTerminated and after.person_id.startswith(NON_STAFF):
        return events.NonStaffEnded
    return told


def revised(person: events.Person, revision: int) -> events.Person:
    """Return the person with another revision."""
    return msgspec.structs.replace(person, revision=revision)


CHANGED: Final[dict[str, type[events.PersonEvent]]] = {
    "applicant": events.ApplicantOffered,
    "employee": events.EmployeeChanged,
    "leaver": events.EmployeeTerminated,
    "non_staff": events.NonStaffRegistered,
}
"""What tells that the details of someone changed who stays what they are."""

TRANSITIONS: Final[dict[tuple[str, str], _Told]] = {
    ("unknown", "out_of_scope"): None,
    ("unknown", "applicant"): events.ApplicantOffered,
    ("unknown", "employee"): events.EmployeeHired,
    ("unknown", "leaver"): events.EmployeeTerminated,
    ("unknown", "non_staff"): events.NonStaffRegistered,
    ("out_of_scope", "unknown"): None,
    ("out_of_scope", "applicant"): events.ApplicantOffered,
    ("out_of_scope", "employee"): events.EmployeeHired,
    ("out_of_scope", "leaver"): events.EmployeeTerminated,
    ("out_of_scope", "non_staff"): events.NonStaffRegistered,
    ("applicant", "unknown"): events.ApplicantWithdrawn,
    ("applicant", "out_of_scope"): events.ApplicantWithdrawn,
    ("applicant", "employee"): events.EmployeeHired,
    ("applicant", "leaver"): events.EmployeeTerminated,
    ("applicant", "non_staff"): events.NonStaffRegistered,
    ("employee", "unknown"): events.EmployeeTerminated,
    ("employee", "out_of_scope"): events.EmployeeTerminated,
    ("employee", "applicant"): events.ApplicantOffered,
    ("employee", "leaver"): events.EmployeeTerminated,
    ("employee", "non_staff"): events.NonStaffRegistered,
    ("leaver", "unknown"): events.EmployeeTerminated,
    ("leaver", "out_of_scope"): events.EmployeeTerminated,
    ("leaver", "applicant"): events.ApplicantOffered,
    ("leaver", "employee"): events.EmployeeRehired,
    ("leaver", "non_staff"): events.NonStaffRegistered,
    ("non_staff", "unknown"): events.NonStaffEnded,
    ("non_staff", "out_of_scope"): events.NonStaffEnded,
    ("non_staff", "applicant"): events.ApplicantOffered,
    ("non_staff", "employee"): events.EmployeeHired,
    ("non_staff", "leaver"): events.NonStaffEnded,
}
"""Every pair of different states, spelled out; a test covers the table whole.

ESR's people never become non-staff nor the other way round, because their person IDs never meet; those pairs are here
so that nobody has to know that. Of someone who is not in ESR, "terminated" is told as NonStaffEnded.
"""
