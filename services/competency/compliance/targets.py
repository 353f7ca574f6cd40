"""What can be required, a subject of the CSTF at a level or at any, or a competence; what meets it. No I/O here."""

import re
from dataclasses import dataclass
from typing import Final

from shared.cstf import SUBJECTS, CoreSkill

_TITLES: Final = {key: title.capitalize() for title, key in SUBJECTS.items()}
_RANGE: Final = re.compile(r"(\d+)(?:\s*-\s*(\d+))?")
_BASIC: Final = (1, 2)
"""Basic Prevent awareness is levels 1 and 2 of preventing radicalisation (CSTF)."""


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """One thing that is required. ``subject`` is of the CSTF, or the competence itself, which has no levels."""

    subject: str
    level: str = ""
    """Empty: any will do."""
    topic: str = ""
    """Further words of a competence's name, in lower case; empty: any will do."""
    competence_id: str = ""
    """Of a competence that is not of the CSTF, where ESR has defined it."""

    @property
    def subject_title(self) -> str:
        """The subject in words."""
        return _TITLES.get(self.subject, self.subject)

    @property
    def title(self) -> str:
        """The whole in words."""
        level = f"level {self.level}" if self.level else ""
        return ", ".join(part for part in (self.subject_title, level, self.topic) if part)


def meets(skill: CoreSkill, target: Target, *, higher_levels: bool) -> bool:
    """Whether a competence of the CSTF meets a target: same subject, the level within its levels, same topic.

    With ``higher_levels`` a higher level of the subject does too, whatever its topic.
    """
    if skill.subject != target.subject:
        return False
    if not target.level:
        return True
    held, wanted = _levels(skill.level), _levels(target.level)
    if held is None or wanted is None:
        return skill.level == target.level
    if higher_levels and held[1] > wanted[1]:
        return True
    same_topic = target.topic in ("", skill.topic.casefold())
    return same_topic and held[0] <= wanted[0] and wanted[1] <= held[1]


def _levels(level: str) -> tuple[int, int] | None:
    """Return the lowest and highest level that a text names; None when it names none."""
    if level == "basic":
        return _BASIC
    found = _RANGE.fullmatch(level)
    return (int(found[1]), int(found[2] or found[1])) if found else None
