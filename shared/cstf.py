"""The subjects of the Core Skills Training Framework (CSTF), and how to read one from a competence's national name.

National names have the form ``NHS|CSTF|<subject> - Level n - p Years|``. The official list of names is not public, and
names change in the life of a subject, so a name is read by rules: subject, level, further words and period, each of
which may be missing but the subject. A trust's own list takes what the rules do not know (see ``mapping_settings``).
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

PREFIX: Final = "NHS|CSTF|"

SUBJECTS: Final[dict[str, str]] = {
    "conflict resolution": "conflict_resolution",
    "equality, diversity and human rights": "equality_diversity_human_rights",
    "fire safety": "fire_safety",
    "health, safety and welfare": "health_safety_welfare",
    "infection prevention and control": "infection_prevention_control",
    "information governance and data security": "information_governance",
    "moving and handling": "moving_handling",
    "preventing radicalisation": "preventing_radicalisation",
    "resuscitation": "resuscitation",
    "safeguarding adults": "safeguarding_adults",
    "safeguarding children": "safeguarding_children",
}
"""The eleven subjects of CSTF England: how a national name writes each, in lower case, and its key here."""

_REMARK: Final = re.compile(r"\s*\([^)]*\)")
_LEVEL: Final = re.compile(r"levels?\s+(.+)", re.IGNORECASE)
_PERIOD: Final = re.compile(r"(\d+)\s+(year|month|week|day)s?", re.IGNORECASE)
_BASIC: Final = "basic prevent awareness"


@dataclass(frozen=True, slots=True)
class CoreSkill:
    """What a national name says."""

    subject: str
    """A value of ``SUBJECTS``."""
    level: str
    """``1``, ``2``, ``3-5``, ``basic``; ``1`` where the name has none, as subjects of one level have it."""
    topic: str = ""
    """Further words: ``Adult Basic Life Support`` is another level 2 than ``Paediatric Basic Life Support``."""
    period: str = ""
    """How long it lasts, as ``3 years``; empty where the name does not say."""

    @property
    def kind(self) -> tuple[str, str, str]:
        """What two versions of one competence have in common: all but the period."""
        return (self.subject, self.level, self.topic.casefold())


@lru_cache(maxsize=4096)
def subject_of(name: str) -> CoreSkill | None:
    """Read a competence's national name; None when it is of none of the eleven subjects."""
    if not name.startswith(PREFIX):
        return None
    head, *parts = [part.strip() for part in name.removeprefix(PREFIX).rstrip("|").split(" - ")]
    subject = SUBJECTS.get(_REMARK.sub("", head).casefold().removeprefix("nhs ").strip())
    if subject is None:
        return None
    level, period, topics = "", "", []
    for part in parts:
        if found := _LEVEL.fullmatch(part):
            level = _short(found[1])
        elif found := _PERIOD.fullmatch(part):
            period = f"{int(found[1])} {found[2].lower()}{'' if int(found[1]) == 1 else 's'}"
        elif part.casefold() == _BASIC:
            level = "basic"
        elif part:
            topics.append(part)
    return CoreSkill(subject, level or "1", " - ".join(topics), period)


def _short(said: str) -> str:
    """``3, 4 & 5`` becomes ``3-5``; a level that is no numbers stays as it is."""
    numbers = re.findall(r"\d+", said)
    if not numbers:
        return said.casefold()
    return numbers[0] if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}"
