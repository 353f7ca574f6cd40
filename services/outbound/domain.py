"""What should be where, and what has to be done to bring it there. No I/O here.

Outbound keeps desired state, not a to-do list: the operation for an account follows from the person as last told and
the account as last accepted, so that retries, reordering and a rebuilt LMS are the same case.
"""

from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from services.outbound.lms.port import Account
from shared.config import AccountPolicy
from shared.events import CertificationCompleted, Person

Operation = Literal["ensure_account", "update_account", "suspend", "reactivate"]

NO_MAIL_DOMAIN: Final = "no-mail.invalid"
"""An LMS demands an address; ``.invalid`` can never be delivered to (RFC 2606)."""


@dataclass(frozen=True, slots=True)
class Step:
    """The next operation for one account, and the account as it is once that is done."""

    operation: Operation
    account: Account

    @property
    def last(self) -> bool:
        """Whether the account is then as wanted. A reactivated one may still need its details."""
        return self.operation != "reactivate"


def idnumber(vpd: str, person_id: str) -> str:
    """Return the account's key in the LMS. The trust is part of it: person IDs repeat between trusts."""
    return f"{vpd}-{person_id}"


def wanted_account(vpd: str, person: Person, policy: AccountPolicy) -> Account:
    """Return the account a person should have."""
    key = idnumber(vpd, person.person_id)
    closed = person.state in ("unknown", "out_of_scope") or (person.state == "leaver" and policy.suspend_on_termination)
    return Account(
        idnumber=key,
        username=_username(key, person, policy),
        first_name=person.first_name,
        last_name=person.last_name,
        email=person.email or f"{key}@{NO_MAIL_DOMAIN}",
        account_type="TEMP" if person.state == "applicant" else "PERM",
        suspended=closed,
    )


def next_step(wanted: Account, seen: Account | None) -> Step | None:
    """Return what to do next, or None when the LMS holds what it should.

    An account is never made only to be suspended. Of a suspended account nothing else is changed: the details of a
    person who was removed are not known any more.
    """
    if seen is None:
        return None if wanted.suspended else Step("ensure_account", wanted)
    if wanted.suspended:
        return None if seen.suspended else Step("suspend", replace(seen, suspended=True))
    if seen.suspended:
        return Step("reactivate", replace(seen, suspended=False))
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


def _username(key: str, person: Person, policy: AccountPolicy) -> str:
    if person.state == "applicant" or policy.username == "person_id":
        return key
    chosen = person.email if policy.username == "email" else person.employee_number
    return (chosen or key).lower().replace(" ", "")
