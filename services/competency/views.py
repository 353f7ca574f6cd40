"""What an administrator looks at: definitions to map, what was decided on a person and why, and where dates differ."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.competency import store
from services.competency.schema import DECISIONS


async def definitions(connection: AsyncConnection, vpd: str) -> list[dict[str, Any]]:
    """Return ESR's definitions by name, with what the rules for national names read from each."""
    found = await store.definitions(connection, vpd)
    told: list[dict[str, Any]] = []
    for one in sorted(found.values(), key=lambda one: (one.competence_name, one.competence_id)):
        skill = one.skill
        told.append(
            {
                "competence_id": one.competence_id,
                "competence": one.competence_name,
                "from": one.date_from.isoformat(),
                "until": one.date_to.isoformat() if one.date_to else None,
                "subject": skill.subject if skill else None,
                "level": skill.level if skill else None,
                "topic": skill.topic if skill else None,
                "period": skill.period if skill else None,
            }
        )
    return told


async def explain(connection: AsyncConnection, vpd: str, person_id: str) -> list[dict[str, Any]]:
    """Return what was decided on everything a person has learnt, the newest learning first, and why."""
    query = select(DECISIONS.c.decision, DECISIONS.c.answer).where(
        DECISIONS.c.vpd == vpd, DECISIONS.c.person_id == person_id, DECISIONS.c.verdict != "requirement"
    )
    rows = await connection.execute(query.order_by(DECISIONS.c.decision["achieved_on"].astext.desc(), DECISIONS.c.key))
    return [_said(row.decision) | ({"esr_said": row.answer} if row.answer else {}) for row in rows]


async def warnings(connection: AsyncConnection, vpd: str, limit: int) -> dict[str, Any]:
    """Return where ESR and the LMS come to different dates, or the LMS does something unwanted: counts and people."""
    warned = DECISIONS.c.decision["warnings"]
    mine = (DECISIONS.c.vpd == vpd) & DECISIONS.c.verdict.in_(("certification", "mirror"))
    one = select(func.jsonb_array_elements_text(warned).label("said"), DECISIONS.c.person_id, DECISIONS.c.decision)
    told = one.where(mine).subquery()
    code = func.split_part(told.c.said, " ", 1)
    counts = await connection.execute(select(code.label("code"), func.count().label("number")).group_by(code))
    rows = await connection.execute(select(told).order_by(told.c.said, told.c.person_id).limit(limit))
    return {
        "codes": {row.code: row.number for row in sorted(counts, key=lambda row: row.code)},
        "warnings": [{"person_id": row.person_id, **_said(row.decision), "warning": row.said} for row in rows],
    }


def _said(decision: dict[str, Any]) -> dict[str, Any]:
    """Return what a decision says, without what it does not."""
    shown = ("source", "verdict", "certification", "competence_id", "competence_name", "achieved_on", "expires_on",
             "due_on", "need", "why", "reason", "warnings")  # fmt: skip
    version = decision["version"]
    told = {name: decision[name] for name in shown if decision.get(name)}
    return told | {"file": version["file"], "line": version["line"]}
