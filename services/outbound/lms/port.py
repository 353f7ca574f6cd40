"""The port every LMS driver implements.

Each operation takes a batch, because every real channel does (HR Import takes a file, GraphQL an array, Moodle a
list), and answers each member on its own: one refused member never stops the others. Repeating an operation is
harmless: whoever creates looks first. A driver raises LmsUnavailableError when the LMS is away and nothing is known of
the batch, LmsMisconfiguredError when it does not let us work at all; the reconciler then waits and tries again.

A site may be reached over several channels (accounts by GraphQL, hierarchies by HR Import), so the port is made of
parts, and each part of a site names its driver.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from shared import finding

FieldKind = Literal["text", "menu", "checkbox", "date"]


@dataclass(frozen=True, slots=True)
class ProfileField:
    """One profile field of an account. ``value``: dates are ISO days, checkboxes ``0`` or ``1``; empty erases."""

    name: str
    value: str
    kind: FieldKind = "text"


@dataclass(frozen=True, slots=True)
class Account:
    """An account as the LMS should hold it. ``idnumber`` is the key that survives hire: trust and person ID.

    ``account_type`` is the bridge's own word; what marks it in the LMS (if anything) is among ``fields``.
    """

    idnumber: str
    username: str
    first_name: str
    last_name: str
    email: str
    account_type: Literal["TEMP", "PERM"]
    suspended: bool = False
    middle_names: str = ""
    auth: str = "manual"
    fields: tuple[ProfileField, ...] = ()


@dataclass(frozen=True, slots=True)
class Sought:
    """What is known of a person for whom an account of other making may be there. Empty: not to be looked for."""

    idnumber: str
    username: str = ""
    email: str = ""
    first_name: str = ""
    last_name: str = ""
    employee_number: str = ""
    ni_number: str = ""
    birth_date: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An account the LMS holds. ``lms_id`` is the LMS's own key; ``fields`` are profile fields by name, dates ISO."""

    lms_id: str
    idnumber: str
    username: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    suspended: bool = False
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobAssignment:
    """A job of a person in the LMS. ``idnumber`` is unique on the whole site: trust and assignment ID.

    ``manager`` is an account's idnumber, ``manager_job`` that of the manager's job assignment; ``organisation`` and
    ``position`` are idnumbers of hierarchy items. Days are ISO; empty means none.
    """

    idnumber: str
    account: str
    full_name: str
    start: str = ""
    end: str = ""
    organisation: str = ""
    position: str = ""
    manager: str = ""
    manager_job: str = ""


@dataclass(frozen=True, slots=True)
class HierarchyItem:
    """An organisation or a position, in the framework the trust keeps in its LMS."""

    kind: Literal["organisation", "position"]
    idnumber: str
    full_name: str
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Certification:
    """A completion of a certification, made known by ESR. Dates are ISO days in the UK.

    ``due_on``: the last known expiry of a person whose certification has expired; empty for everybody else. Totara
    forgets that date when it expires somebody, and counts a renewal from it.
    """

    idnumber: str
    certification: str
    completed_on: str
    expires_on: str
    due_on: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """An achievement that stands for no certification."""

    idnumber: str
    reference: str
    name: str
    completed_on: str
    expires_on: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the LMS made of one member of a batch.

    applied: done, and seen to be done. accepted: taken, its outcome comes later (``news``). rejected: refused with a
    code, until something changes. unknown: it may have been done (a time-out, a lost race); it is looked up before it
    is tried again, after ``Accounts.settling`` seconds.
    """

    status: Literal["applied", "accepted", "rejected", "unknown"]
    code: str = ""

    @property
    def taken(self) -> bool:
        """Whether nothing more is to be done now."""
        return self.status in ("applied", "accepted")


@dataclass(frozen=True, slots=True)
class News:
    """What became of something that was only accepted: applied, or rejected with a code. ``key`` as it was sent."""

    kind: Literal["account", "job", "hierarchy", "completion", "evidence"]
    key: str
    answer: Answer


Finding = finding.Finding
"""What a check finds."""


class Channel(Protocol):
    """What every part of a driver can do."""

    async def check(self) -> list[Finding]:
        """Look whether the site lets us work and would keep what we send; an empty list means yes.

        Asked before the first operation, and again after an interruption. Nothing is sent while a finding stands.
        """
        ...

    async def news(self) -> list[News]:
        """Return what has become known of what was only accepted: the same again until ``noted`` is called."""
        ...

    async def noted(self) -> None:
        """What ``news`` returned last is written down; a process that dies before this hears it again."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class Accounts(Channel, Protocol):
    """Accounts."""

    settling: float
    """Seconds after which an unknown outcome can be looked up: a call that timed out may still commit."""

    async def ensure_account(self, accounts: Sequence[Account]) -> list[Answer]:
        """Create accounts, or bring those that exist to these values."""
        ...

    async def update_account(self, accounts: Sequence[Account]) -> list[Answer]:
        """Change accounts that exist."""
        ...

    async def suspend(self, idnumbers: Sequence[str]) -> list[Answer]:
        """Suspend accounts; nothing of them is deleted."""
        ...

    async def reactivate(self, idnumbers: Sequence[str]) -> list[Answer]:
        """Open suspended accounts again."""
        ...

    async def find_account(self, idnumber: str) -> Candidate | None:
        """Return the account as the LMS holds it, or None."""
        ...

    async def candidates(self, sought: Sequence[Sought]) -> list[list[Candidate]]:
        """Return, for each person, accounts that share something with what is known of them; empty where none does."""
        ...

    async def adopt(self, lms_id: str, idnumber: str, *, instead_of: str = "") -> Answer:
        """Give an account that exists an idnumber: ours, or the one it had before.

        ``instead_of``: our key that it is to lose, when it is given back. Without that a driver may refuse an account
        that carries our key of another person.
        """
        ...


class Jobs(Channel, Protocol):
    """Job assignments and the hierarchies they stand in. An LMS without them takes neither."""

    async def put_hierarchy(self, items: Sequence[HierarchyItem]) -> list[Answer]:
        """Create or change organisations and positions, parents first."""
        ...

    async def put_job_assignment(self, jobs: Sequence[JobAssignment]) -> list[Answer]:
        """Create or change job assignments."""
        ...

    async def remove_job_assignment(self, jobs: Sequence[JobAssignment]) -> list[Answer]:
        """Take job assignments away; one that is not there is applied."""
        ...


class Learning(Channel, Protocol):
    """What people have learnt."""

    async def record_completion(self, certifications: Sequence[Certification]) -> list[Answer]:
        """Record certifications as completed."""
        ...

    async def add_evidence(self, evidence: Sequence[Evidence]) -> list[Answer]:
        """Add to people's evidence banks; the same reference is added once."""
        ...


@runtime_checkable
class Withdraws(Protocol):
    """What a driver can besides where its LMS lets learning be taken back. What is not there is applied."""

    async def withdraw_completion(self, certifications: Sequence[Certification]) -> list[Answer]:
        """Take completions back; another completion of the certification stays, or stands again."""
        ...

    async def withdraw_evidence(self, evidence: Sequence[Evidence]) -> list[Answer]:
        """Take evidence back, by its reference."""
        ...
