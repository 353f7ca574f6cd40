"""What was decided on one fact. No I/O here."""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from shared.accounting import Fate
from shared.facts import Version

Verdict = Literal[
    "parked_person", "parked_competence", "requirement", "certification", "evidence", "mirror", "older",
    "to_esr", "held_by_esr", "unmapped", "not_for_esr", "not_staff", "withdrawn", "removed",
]  # fmt: skip
"""``older``: the other side, or the same, holds something newer that counts; nothing is said of this one."""

PARKED: Final[dict[str, Fate]] = {
    "parked_person": Fate.PARKED_PERSON_UNKNOWN,
    "parked_competence": Fate.PARKED_COMPETENCE_UNKNOWN,
}

IGNORED: Final[dict[str, Fate]] = {
    "held_by_esr": Fate.IGNORED_HELD_BY_ESR,
    "unmapped": Fate.IGNORED_UNMAPPED_CERTIFICATION,
    "not_for_esr": Fate.IGNORED_NOT_USED,
    "not_staff": Fate.IGNORED_NOT_USED,
}


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What one fact means, and the line that said it."""

    source: Literal["esr", "lms"]
    key: str
    verdict: Verdict
    version: Version
    certification: str = ""
    competence_id: str = ""
    competence_name: str = ""
    achieved_on: str = ""
    expires_on: str = ""
    completed_at: str = ""
    method: str = ""
    course: str = ""
    need: str = ""
    """What a parked decision waits for: a competence's id or name."""
    why: str = ""
    """Why an achievement is not a certification, as a code: see docs/mapping.md."""
    due_on: str = ""
    """The last expiry the LMS showed of a certification that has expired; Totara counts the next one from it."""
    reason: str = ""
    """Why the dates are these, or why nothing is said, as a sentence; names dates and ids only."""
    warnings: tuple[str, ...] = ()
    """Where ESR and the LMS would come to differ: code and sentence (docs/renewal.md)."""

    @property
    def identity(self) -> tuple[str, str]:
        """What makes two decisions about one person the same one."""
        return (self.source, self.key)

    @property
    def content(self) -> tuple[str, ...]:
        """What was decided, without which line said it and why."""
        return (
            self.verdict, self.certification, self.competence_id, self.competence_name, self.achieved_on,
            self.expires_on, self.completed_at, self.method, self.course,
        )  # fmt: skip


Before = Mapping[tuple[str, str], Decision]
"""Earlier decisions of one person by identity."""


class Known(msgspec.Struct, frozen=True, gc=False):
    """What ``people`` has told of a person; both are empty until it has."""

    state: str = ""
    hire_date: str = ""
    """ISO; empty for an applicant."""
