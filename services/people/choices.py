"""The SQL of restrictions as applied, and of what operators did."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.people.schema import ACTIONS, RESTRICTIONS
from shared.people_settings import PeopleSettings


async def applied(connection: AsyncConnection, vpds: Iterable[str]) -> dict[str, PeopleSettings]:
    """Return the restriction applied in each trust that has one.

    Until this transaction ends none of them changes: whoever is derived under the old one is then in the list of those
    to be derived again under the new one.
    """
    rows = await connection.execute(_HOLD, {"vpds": sorted(set(vpds))})
    return {row.vpd: PeopleSettings.model_validate(row.content) for row in rows}


async def apply_first(
    connection: AsyncConnection, vpd: str, settings: PeopleSettings, who: str, why: str, at: datetime
) -> None:
    """Note a trust's first restriction; nothing happens where there is one."""
    said = {"vpd": vpd, "content": content_of(settings), "who": who, "why": why, "at": at}
    await connection.execute(_FIRST, said)


async def current(connection: AsyncConnection, vpd: str) -> Row[Any] | None:
    """Return what is applied, since when, by whom and why."""
    return (await connection.execute(select(RESTRICTIONS).where(RESTRICTIONS.c.vpd == vpd))).first()


async def lock(connection: AsyncConnection, vpd: str) -> PeopleSettings:
    """Wait for whoever derives under the restriction of a trust that has one, and return it."""
    query = select(RESTRICTIONS.c.content).where(RESTRICTIONS.c.vpd == vpd).with_for_update()
    return PeopleSettings.model_validate(await connection.scalar(query))


async def replace(
    connection: AsyncConnection, vpd: str, settings: PeopleSettings, who: str, why: str, at: datetime
) -> None:
    """Put a restriction in the place of the one applied, which the caller has locked."""
    said = {"vpd": vpd, "content": content_of(settings), "who": who, "why": why, "at": at}
    await connection.execute(_REPLACE, said)


async def note(
    connection: AsyncConnection,
    vpd: str,
    action: str,
    subject: str,
    who: str,
    why: str,
    at: datetime,
    content: dict[str, Any],
) -> None:
    """Write down what an operator did."""
    row = {"vpd": vpd, "at": at, "who": who, "action": action, "subject": subject, "why": why, "content": content}
    await connection.execute(insert(ACTIONS).values(row))


async def history(connection: AsyncConnection, vpd: str, actions: Iterable[str]) -> list[dict[str, Any]]:
    """Return what operators did in a trust, oldest first."""
    query = select(ACTIONS).where(ACTIONS.c.vpd == vpd, ACTIONS.c.action.in_(list(actions))).order_by(ACTIONS.c.id)
    return [
        {"at": row.at.isoformat(), "action": row.action, "subject": row.subject, "who": row.who, "why": row.why}
        for row in await connection.execute(query)
    ]


def content_of(settings: PeopleSettings) -> str:
    """Return a restriction as JSON, without what is not said."""
    return settings.model_dump_json(exclude_defaults=True)


_HOLD: Final = text(
    "SELECT vpd, content FROM people.restrictions WHERE vpd = ANY(CAST(:vpds AS text[])) ORDER BY vpd FOR SHARE"
)

_FIRST: Final = text(
    "INSERT INTO people.restrictions (vpd, content, at, who, why) VALUES (:vpd, CAST(:content AS jsonb), :at, :who, "
    ":why) ON CONFLICT (vpd) DO NOTHING"
)

_REPLACE: Final = text(
    "UPDATE people.restrictions SET content = CAST(:content AS jsonb), at = :at, who = :who, why = :why "
    "WHERE vpd = :vpd"
)
