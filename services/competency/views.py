"""What an administrator looks at before mapping anything."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from services.competency import store


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
