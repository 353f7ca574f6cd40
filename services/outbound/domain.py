"""What has to be done to bring an account to where it should be, and what is said to ESR. No I/O here.

Outbound keeps desired state, not a to-do list: the operation for an account follows from the person as last told and
the account as last accepted, so that retries, reordering and a rebuilt LMS are the same case. What is wanted stands in
``services.outbound.wanted``.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

from services.outbound.lms.port import Account
from shared.events import CertificationCompleted, Person

Operation = Literal["ensure_account", "update_account", "suspend", "reactivate"]


@dataclass(frozen=True, slots=True)
class Step:
    """The next operation for one account, and the account as it is once that is done."""

    operation: Operation
    account: Account

    @property
    def last(self) -> bool:
        """Whether the account is then as wanted. A reactivated one may still need its details."""
        return self.operation != "reactivate"


def next_step(wanted: Account, seen: Account | None, *, reactivates: bool = True) -> Step | None:
    """Return what to do next, or None when the LMS holds what it should.

    ``reactivates``: whether the trust lets us open closed accounts; where not, an operator does it in the LMS.
    An account is never made only to be suspended. Of a suspended account nothing else is changed: the details of a
    person who was removed are not known any more.
    """
    if seen is None:
        return None if wanted.suspended else Step("ensure_account", wanted)
    if wanted.suspended:
        return None if seen.suspended else Step("suspend", replace(seen, suspended=True))
    if seen.suspended:
        return Step("reactivate", replace(seen, suspended=False)) if reactivates else None
    return None if wanted == seen else Step("update_account", wanted)


def completion_record(vpd: str, reference: str, said: CertificationCompleted, person: Person) -> dict[str, str]:
    """Return the columns of a ``TCA`` record (completion, LMS to ESR) for one completion."""
    columns: dict[str, Any] = {
        "lms_reference": reference,
        "vpd_code": vpd,
        "person_id": said.person_id,
        "employee_number": person.employee_number,
        "applicant_number": "" if person.employee_number else person.applicant_number,
        "assignment_number": person.assignment_number,
        "last_name": person.last_name,
        "competence_id": said.competence_id,
        "competence_name": said.competence_name,
        "date_from": said.achieved_on,
        "date_to": said.expires_on,
        "certification_method": said.method,
        "source_course": said.course,
        "change_reason": "NEW",
        "last_update": said.completed_at[:19] or f"{said.achieved_on}T00:00:00",
    }
    return {name: value for name, value in columns.items() if value}


def reference(vpd: str, number: int) -> str:
    """Return the reference of a completion: unique in the trust for ever, and echoed by ESR."""
    return f"L{vpd}-{number:010d}"
