"""The account, the job assignments and the hierarchy items a person or a trust should have. No I/O here."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

from services.outbound.lms.port import Account, HierarchyItem, JobAssignment, ProfileField
from shared.account_settings import AccountPolicy, FieldMapping
from shared.events import HierarchyChanged, Job, Person

NO_MAIL_DOMAIN: Final = "no-mail.invalid"
"""An LMS demands an address; ``.invalid`` can never be delivered to (RFC 2606)."""

AT_ONCE: Final = date.min

_PARTS_OF_A_POSITION: Final = 4
"""ESR names a position ``number|title|staff group|role``."""


def idnumber(vpd: str, key: str) -> str:
    """Return the LMS's key of a person, an assignment, an organisation or a position.

    The trust is part of it: ESR's ids repeat between trusts, and several trusts may share a site.
    """
    return f"{vpd}-{key}"


def closes_on(person: Person, policy: AccountPolicy) -> date | None:
    """Return the first day on which the person's account should be closed; None while it stays open.

    Whoever never was an employee (a withdrawn applicant, somebody out of the trust's restriction) and a record that
    another one stands for are closed at once; a leaver after the last day and the trust's days of grace.
    """
    if person.state in ("unknown", "out_of_scope") or person.same_as:
        return AT_ONCE
    if person.state != "leaver" or not policy.suspend_on_termination:
        return None
    if not person.termination_date:
        return AT_ONCE
    return date.fromisoformat(person.termination_date) + timedelta(days=1 + policy.suspend_after_days)


def wanted_account(vpd: str, person: Person, policy: AccountPolicy, day: date, directory_name: str = "") -> Account:
    """Return the account a person should have on a business day. ``directory_name``: what their directory calls them.

    ESR's rule: from the conditional offer on a temporary account, with hire a permanent one under the same key.
    """
    key = idnumber(vpd, person.person_id)
    closes = closes_on(person, policy)
    temporary = person.state == "applicant"
    return Account(
        idnumber=key,
        username=_username(key, person, policy, directory_name),
        first_name=person.first_name,
        middle_names=person.middle_names,
        last_name=person.last_name,
        email=person.email or f"{key}@{NO_MAIL_DOMAIN}",
        auth=(policy.applicant_auth or policy.auth) if temporary else policy.auth,
        account_type="TEMP" if temporary else "PERM",
        suspended=closes is not None and closes <= day,
        fields=tuple(
            field
            for mapping in policy.fields
            if (mapping.applicants or not temporary) and (field := _field(vpd, person, mapping)) is not None
        ),
    )


def looked_up(person: Person, policy: AccountPolicy) -> bool:
    """Whether the person's user name is to be looked up in the trust's directory."""
    wants = policy.username == "directory" or policy.link.by == "directory"
    return wants and person.state in ("employee", "leaver") and bool(person.employee_number)


def wanted_jobs(vpd: str, person: Person, policy: AccountPolicy) -> dict[str, JobAssignment]:
    """Return the job assignments a person should have, by idnumber."""
    if not policy.jobs or person.same_as:
        return {}
    return {job.idnumber: job for job in (_job(vpd, person, one) for one in person.jobs)}


def ended_jobs(seen: Mapping[str, JobAssignment], person: Person) -> dict[str, JobAssignment]:
    """Return the jobs of a closed account: they stay, for the record, and show their last day."""
    from_seen = {}
    for key, job in seen.items():
        end = job.end or person.termination_date
        from_seen[key] = JobAssignment(
            job.idnumber,
            job.account,
            job.full_name,
            job.start,
            end if not job.start or end >= job.start else job.end,
            job.organisation,
            job.position,
            job.manager,
            job.manager_job,
        )
    return from_seen


def wanted_item(vpd: str, said: HierarchyChanged) -> HierarchyItem | None:
    """Return the hierarchy item an organisation or position should be; None for one that is no more.

    Nothing of a hierarchy is deleted: job assignments would lose it without a word (seen in Totara). Positions stand
    side by side; which organisation they belong to is told by the job assignments.
    """
    if not said.active or not said.name:
        return None
    name = title(said.name) if said.kind == "position" else said.name
    parent = idnumber(vpd, said.parent) if said.parent and said.kind == "organisation" else ""
    return HierarchyItem(said.kind, idnumber(vpd, said.key), name, parent)


def title(position_name: str) -> str:
    """Return the title in a position's name as ESR writes it."""
    parts = position_name.split("|")
    return parts[1].strip() or position_name if len(parts) >= _PARTS_OF_A_POSITION else position_name


def _job(vpd: str, person: Person, job: Job) -> JobAssignment:
    managed = job.manager_person_id and job.manager_person_id != person.person_id
    return JobAssignment(
        idnumber=idnumber(vpd, job.assignment_id),
        account=idnumber(vpd, person.person_id),
        full_name=title(job.position_name) or job.assignment_number or job.assignment_id,
        start=job.start,
        end=job.end,
        organisation=idnumber(vpd, job.organisation_id) if job.organisation_id else "",
        position=idnumber(vpd, job.position_id) if job.position_id else "",
        manager=idnumber(vpd, job.manager_person_id) if managed else "",
        manager_job=idnumber(vpd, job.manager_assignment_id) if managed and job.manager_assignment_id else "",
    )


def _field(vpd: str, person: Person, mapping: FieldMapping) -> ProfileField | None:
    """Return a profile field, or None where the menu has no such option."""
    value = _value(vpd, person, mapping)
    value = mapping.values.get(value, value)
    if mapping.kind == "menu" and value not in mapping.options:
        return None
    return ProfileField(mapping.to, value, mapping.kind)


def _value(vpd: str, person: Person, mapping: FieldMapping) -> str:
    if mapping.source == "account_type":
        return "TEMP" if person.state == "applicant" else "PERM"
    if mapping.source == "manager":
        return idnumber(vpd, person.manager_person_id) if person.manager_person_id else ""
    return str(getattr(person, mapping.source))


def _username(key: str, person: Person, policy: AccountPolicy, directory_name: str) -> str:
    if person.state == "applicant" or policy.username == "person_id":
        return key
    if policy.username == "directory":
        chosen = directory_name
    else:
        chosen = person.email if policy.username == "email" else person.employee_number
    return (chosen or key).lower().replace(" ", "")
