"""The competences of the invented trust and the certifications of the invented LMS that stand for them.

The subjects are the eleven of the Core Skills Training Framework (CSTF). Periods differ between public sources and
change with time; the ones here serve the sandbox only.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Competence:
    """One competence: its ESR name (``{vpd}`` stands for the trust), how long it lasts, and who holds it.

    ``certification`` is the LMS idnumber, None when the LMS has none and the learning becomes evidence there.
    ``held_by`` is the share of employees who hold it.
    """

    competence_id: str
    name: str
    months: int
    held_by: float
    certification: str | None


def _period(months: int) -> str:
    return "1 Year" if months == 12 else f"{months // 12} Years"


def _competences(first_id: int, prefix: str, rows: list[tuple[str, int, float, str | None]]) -> tuple[Competence, ...]:
    return tuple(
        Competence(str(first_id + place), f"{prefix}|{title} - {_period(months)}|", months, share, certification)
        for place, (title, months, share, certification) in enumerate(rows)
    )


NATIONAL: Final = _competences(
    3100001,
    "NHS|CSTF",
    [
        ("Fire Safety", 24, 0.65, "FIRE-2Y"),
        ("Safeguarding Adults - Level 1", 36, 0.45, "SGA-L1-3Y"),
        ("Resuscitation - Level 2 - Adult Basic Life Support", 12, 0.35, "RESUS-L2-ADULT-1Y"),
        ("NHS Conflict Resolution (England)", 36, 0.60, "CONFLICT-3Y"),
        ("Equality, Diversity and Human Rights", 36, 0.60, "EDHR-3Y"),
        ("Health, Safety and Welfare", 36, 0.60, "HSW-3Y"),
        ("Infection Prevention and Control - Level 1", 36, 0.50, "IPC-L1-3Y"),
        ("Infection Prevention and Control - Level 2", 12, 0.30, "IPC-L2-1Y"),
        ("Information Governance and Data Security", 12, 0.65, "IG-1Y"),
        ("Moving and Handling - Level 1", 36, 0.50, "MH-L1-3Y"),
        ("Moving and Handling - Level 2", 24, 0.30, "MH-L2-2Y"),
        ("Preventing Radicalisation - Basic Prevent Awareness", 36, 0.45, "PREVENT-BASIC-3Y"),
        ("Preventing Radicalisation - Levels 3, 4 & 5", 36, 0.10, None),
        ("Resuscitation - Level 1", 12, 0.30, "RESUS-L1-1Y"),
        ("Resuscitation - Level 2 - Paediatric Basic Life Support", 12, 0.10, "RESUS-L2-PAED-1Y"),
        ("Safeguarding Adults - Level 2", 36, 0.30, "SGA-L2-3Y"),
        ("Safeguarding Adults - Level 3", 36, 0.10, "SGA-L3-3Y"),
        ("Safeguarding Children (Version 2) - Level 1", 36, 0.45, "SGC-L1-3Y"),
        ("Safeguarding Children (Version 2) - Level 2", 36, 0.30, "SGC-L2-3Y"),
        ("Safeguarding Children (Version 2) - Level 3", 36, 0.10, "SGC-L3-3Y"),
    ],
)

LOCAL: Final = _competences(
    3190001,
    "{vpd}|LOCAL",
    [("Ward Medical Gases", 24, 0.15, None), ("Blood Tracking Awareness", 24, 0.10, None)],
)

COMPETENCES: Final = NATIONAL + LOCAL

#: Pairs of (LMS certification idnumber, ESR competence name): what a trust's mapping would say. One CSTF competence
#: and the local ones are left out on purpose, so that evidence occurs.
CATALOGUE: Final = [(one.certification, one.name) for one in COMPETENCES if one.certification is not None]
