"""What an item says: of an achievement, and of the person who has it. No I/O here."""

from collections.abc import Mapping
from typing import Any

import msgspec

from shared.events import Person

LOAD, WITHDRAW = "TCA", "TCD"
"""Record types: a completion, and one that is taken back."""

REASONS: Mapping[str, str] = {"new": "NEW", "correction": "CORRECTION", "resend": "RESEND"}
"""``change_reason`` of a ``TCA`` record by what the item asks for."""


class Content(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is said of an achievement, in the words of CertificationCompleted. Days are ISO text."""

    competence_id: str = ""
    competence_name: str = ""
    achieved_on: str = ""
    expires_on: str = ""
    completed_at: str = ""
    method: str = ""
    course: str = ""

    @property
    def achievement(self) -> tuple[str, ...]:
        """What makes it another achievement to ESR when it changes: competence, day and expiry."""
        return (self.competence_id, self.achieved_on, self.expires_on)

    @property
    def said(self) -> tuple[str, ...]:
        """Everything that ESR judges. The moment of the last update is none of it."""
        return (*self.achievement, self.competence_name, self.method, self.course)


def content_of(said: Mapping[str, Any]) -> Content:
    """Return what a stored CertificationCompleted says of the achievement."""
    return msgspec.convert(said, Content)


def person_columns(person: Person) -> dict[str, str]:
    """Return the columns of a ``TCA`` record that name the person, without blanks."""
    columns = {
        "employee_number": person.employee_number,
        "applicant_number": "" if person.employee_number else person.applicant_number,
        "assignment_number": person.assignment_number,
        "last_name": person.last_name,
    }
    return {name: value for name, value in columns.items() if value}


def completion_record(
    vpd: str, reference: str, person: Person, said: Content, change: str = "new", replaces: str = ""
) -> dict[str, str]:
    """Return the columns of a ``TCA`` record (completion, LMS to ESR), without blanks."""
    columns = {
        "lms_reference": reference,
        "vpd_code": vpd,
        "person_id": person.person_id,
        **person_columns(person),
        "competence_id": said.competence_id,
        "competence_name": said.competence_name,
        "date_from": said.achieved_on,
        "date_to": said.expires_on,
        "certification_method": said.method,
        "source_course": said.course,
        "change_reason": REASONS[change],
        "replaces_reference": replaces,
        "last_update": said.completed_at[:19] or f"{said.achieved_on}T00:00:00",
    }
    return {name: value for name, value in columns.items() if value}


def reference(vpd: str, number: int) -> str:
    """Return a reference: unique in the trust for ever, and echoed by ESR."""
    return f"L{vpd}-{number:010d}"
