"""Who did what to dead letters, when and why: written with the deed, never changed, without values of records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import select, text
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
    if deeds:
        about = {
            "letter": [letter for letter, _ in deeds],
            "who": [deed.who for _, deed in deeds],
            "action": [deed.action for _, deed in deeds],
            "why": [deed.why for _, deed in deeds],
            "columns": [_json(deed.columns) for _, deed in deeds],
            "operation": [deed.operation for _, deed in deeds],
            "before": [_json(deed.before) for _, deed in deeds],
            "after": [_json(deed.after) for _, deed in deeds],
        }
        await connection.execute(_WRITE, {"vpd": vpd, "at": moment} | about)


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


def _json(said: object) -> str:
    return msgspec.json.encode(said).decode()


_WRITE: Final = text(
    "INSERT INTO console.actions (vpd, at, letter, who, action, why, columns, operation, before, after) "
    "SELECT :vpd, :at, t.letter, t.who, t.action, t.why, CAST(t.columns AS jsonb), t.operation, "
    "CAST(t.before AS jsonb), CAST(t.after AS jsonb) FROM unnest(CAST(:letter AS text[]), CAST(:who AS text[]), "
    "CAST(:action AS text[]), CAST(:why AS text[]), CAST(:columns AS text[]), CAST(:operation AS bigint[]), "
    "CAST(:before AS text[]), CAST(:after AS text[])) WITH ORDINALITY "
    "AS t(letter, who, action, why, columns, operation, before, after, place) ORDER BY t.place"
)
