"""Who did what to dead letters, when and why: written with the deed, never changed, without values of records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.tables import ACTIONS


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody did. ``operation`` 0: on its own. ``before`` and ``after`` hold no values of records."""

    who: str
    action: str
    why: str
    operation: int = 0
    columns: tuple[str, ...] = ()
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)


async def write(connection: AsyncConnection, vpd: str, moment: datetime, deeds: Sequence[tuple[str, Deed]]) -> None:
    """Write down deeds, each with the letter it was done to; an empty letter is an operation as a whole."""
    rows = [
        {
            "vpd": vpd,
            "letter": letter,
            "at": moment,
            "who": deed.who,
            "action": deed.action,
            "why": deed.why,
            "columns": list(deed.columns),
            "operation": deed.operation,
            "before": dict(deed.before),
            "after": dict(deed.after),
        }
        for letter, deed in deeds
    ]
    if rows:
        await connection.execute(insert(ACTIONS), rows)


async def read(
    connection: AsyncConnection, vpd: str, *, letter: str = "", operation: int = 0, after: int = 0, limit: int = 100
) -> list[dict[str, Any]]:
    """Return deeds of a trust, of one letter or of one operation, oldest first, those after number ``after``."""
    query = select(ACTIONS).where(ACTIONS.c.vpd == vpd, ACTIONS.c.id > after)
    if letter:
        query = query.where(ACTIONS.c.letter == letter)
    if operation:
        query = query.where(ACTIONS.c.operation == operation)
    rows = await connection.execute(query.order_by(ACTIONS.c.id).limit(limit))
    return [
        {
            "number": row.id,
            "letter": row.letter,
            "at": row.at.isoformat(),
            "who": row.who,
            "action": row.action,
            "why": row.why,
            "columns": row.columns,
            "operation": row.operation,
            "before": row.before,
            "after": row.after,
        }
        for row in rows
    ]
