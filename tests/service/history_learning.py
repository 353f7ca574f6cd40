"""The learning in invented histories: what records say of it, and what must hold of it in the end.

A competency element has one competence and one day for ever, as a correction of either leaves the LMS with what it was
told before; everything else about it changes, comes late, comes twice, and goes.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.mapping_settings import MappingSet, Row

FIRE, SAFE, LOCAL = "100", "200", "900"
NAMES: Final = {FIRE: "NHS|CSTF|Fire Safety - 1 Year|", SAFE: "NHS|CSTF|Infection Prevention and Control - Level 1|",
                LOCAL: "999|LOCAL|Cooking|"}  # fmt: skip
CERTIFICATIONS: Final = {FIRE: ("FIRE", "DRILL"), SAFE: ("IPC",), LOCAL: ()}
"""What achievements become: one competence stands for two certifications, one is not mapped."""

MAPPINGS: Final = MappingSet(
    mappings=tuple(Row(competence_id=key, certification=one) for key, names in CERTIFICATIONS.items() for one in names)
)
START: Final = date(2024, 1, 1)

Said = tuple[str, dict[str, str]]


def definition(key: str) -> Said:
    """ESR defines a competence, perhaps again."""
    return "competence.upsert", {"competence_id": key, "competence_name": NAMES[key], "date_from": "2020-01-01"}


def element(dice: Random, people: Sequence[str]) -> Said:
    """ESR says that somebody achieved something."""
    person, number = dice.choice(people), dice.randrange(12)
    competence = list(NAMES)[number % 3]
    said = {
        "competency_element_id": f"{person}{number:02}",
        "competency_type": "PERSONAL",
        "competency_status": "ACHIEVED",
        "competency_name": NAMES[competence],
        "competence_id": dice.choice((competence, "")),
        "person_id": person,
        "date_from": (START + timedelta(days=number // 3 * 100)).isoformat(),
        "last_update": f"2026-01-{dice.randrange(1, 29):02}",
    }
    return "competency_element.upsert", {name: value for name, value in said.items() if value}


def element_gone(dice: Random, people: Sequence[str]) -> Said:
    """ESR deletes an achievement."""
    key = f"{dice.choice(people)}{dice.randrange(12):02}"
    return "competency_element.delete", {"competency_element_id": key}


def completion(dice: Random, people: Sequence[str]) -> Said:
    """The LMS tells of a completion: on days on which ESR has one, and on others; by a file or in a report."""
    certification = dice.choice(("FIRE", "DRILL", "IPC", "COOKING"))
    day = START + timedelta(days=dice.choice((0, 100, 150, 200, 300, 350)))
    said = {
        "user_idnumber": f"{{vpd}}-{dice.choice(people)}",
        "certification_idnumber": certification,
        "completed_at": f"{day}T10:00:00",
    }
    if dice.random() < 0.5:
        return "completion.upsert", said | {"reference": "r"}
    return "certification.upsert", said | {"status": dice.choice(("certified", "window-open", "history"))}


@dataclass
class Learning:
    """What is known of one person's learning in the end, days as ISO text."""

    achieved: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """By competence: achievements that ESR holds."""
    completed: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """By certification: completions that the LMS told of."""
    told: list[tuple[str, str]] = field(default_factory=list)
    """Competence and day of each completion that ESR is told of."""
    deleted: bool = False


async def read(engine: AsyncEngine, outbound: AsyncEngine, vpd: str) -> Mapping[str, Learning]:
    """Return everybody's learning as the two services have it."""
    found: dict[str, Learning] = defaultdict(Learning)
    async with engine.connect() as connection:
        for row in await connection.execute(_LIVE, {"vpd": vpd}):
            data = row.data
            if row.entity == "competency_element":
                found[row.owner].achieved[_competence(data)].append(data["date_from"])
            elif row.entity in ("completion", "certification") and data.get("completed_at"):
                found[row.owner].completed[data["certification_idnumber"]].append(data["completed_at"][:10])
        for row in await connection.execute(_DELETED, {"vpd": vpd}):
            found[row.key[:-2]].deleted = True
    async with outbound.connect() as connection:
        for row in await connection.execute(_TOLD, {"vpd": vpd}):
            found[row.person_id].told.append((row.content["competence_id"], row.content["achieved_on"]))
    return found


def check(person: Learning, current: Mapping[str, str], evidence: Iterable[str]) -> None:
    """Assert what must hold of somebody with an open account; ``current``: the LMS's day by certification."""
    for competence, days in person.achieved.items():
        for certification in CERTIFICATIONS[competence]:
            completed = person.completed.get(certification, [])
            newest = max(days + completed)
            shown = max([current.get(certification, ""), *completed])
            assert shown >= newest, "the LMS lacks an achievement"
            assert shown == newest or person.deleted, "the LMS holds what nobody ever achieved"
    assert set(person.achieved.get(LOCAL, ())) <= set(evidence), "evidence is lost"
    assert len(person.told) == len(set(person.told)), "ESR was told twice"
    for certification, days in person.completed.items():
        for competence in (key for key, names in CERTIFICATIONS.items() if certification in names):
            newest = max(days)
            held = person.achieved.get(competence, [])
            known = {newest} & {*held, *(day for key, day in person.told if key == competence)}
            assert known or newest < max(held, default=""), "ESR lacks a completion"


def _competence(data: Mapping[str, Any]) -> str:
    return {name: key for key, name in NAMES.items()}[data["competency_name"]]


_LIVE: Final = text(
    "SELECT f.entity, f.owner, f.data FROM competency.facts f "
    "LEFT JOIN competency.deletions d USING (vpd, entity, key) "
    "WHERE f.vpd = :vpd AND f.owner <> '' AND (d.vpd IS NULL OR (d.file_no, d.line) < (f.file_no, f.line))"
)
_DELETED: Final = text(
    "SELECT d.key FROM competency.deletions d WHERE d.vpd = :vpd AND d.entity = 'competency_element'"
)
_TOLD: Final = text("SELECT person_id, content FROM outbound.completions WHERE vpd = :vpd")
