"""The port every LMS driver implements.

Each operation takes a batch, because every real channel does (HR Import takes a file, GraphQL an array, Moodle a
list), and answers each member on its own: one refused member never stops the others. Repeating an operation is
harmless. A driver raises LmsUnavailableError when the outcome is unknown; the reconciler then tries again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Account:
    """An account as the LMS should hold it. ``idnumber`` is the key that survives hire: trust and person ID."""

    idnumber: str
    username: str
    first_name: str
    last_name: str
    email: str
    account_type: Literal["TEMP", "PERM"]
    suspended: bool = False


@dataclass(frozen=True, slots=True)
class Certification:
    """A completion of a certification, made known by ESR. Dates are ISO days in the UK."""

    idnumber: str
    certification: str
    completed_on: str
    expires_on: str


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
    """What the LMS made of one member of a batch: done, taken but not yet known, or refused with a code."""

    status: Literal["applied", "accepted", "rejected"]
    code: str = ""

    @property
    def taken(self) -> bool:
        """Whether nothing more is to be done now."""
        return self.status != "rejected"


class LmsPort(Protocol):
    """What a driver can do. Every method raises LmsUnavailableError when the LMS does not answer in time."""

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

    async def record_completion(self, certifications: Sequence[Certification]) -> list[Answer]:
        """Record certifications as completed."""
        ...

    async def add_evidence(self, evidence: Sequence[Evidence]) -> list[Answer]:
        """Add to people's evidence banks; the same reference is added once."""
        ...

    async def find_account(self, idnumber: str) -> Account | None:
        """Return the account as the LMS holds it, or None."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
