"""What others read of ``confirmations``: its tables, counts and items."""

from typing import Any, Final

from sqlalchemy import Row, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.confirmations.figures import MOST, count_by_state, count_refused, count_unmatched, open_now, repeated
from services.confirmations.schema import ITEMS, METADATA, SCHEMA

__all__: Final = (
    "ITEMS",
    "METADATA",
    "MOST",
    "SCHEMA",
    "attention",
    "count_by_state",
    "count_refused",
    "count_unmatched",
    "items",
    "open_now",
    "page",
)


def as_item(row: Row[Any]) -> dict[str, Any]:
    """Return an item as told: what was sent, where it stands, and which line of which file said so."""
    return {
        "sent": {
            "reference": row.reference, "person_id": row.person_id, "key": row.key,
            "competence_id": row.competence_id, "achieved_on": row.achieved_on, "expires_on": row.expires_on,
            "change": row.change, "replaces": row.replaces, "sent_file": row.sent_file, "position": row.position,
            "sent_at": row.sent_at.isoformat(),
        },
        "state": row.state, "overdue": row.state == "open" and row.overdue_at is not None,
        "overdue_at": row.overdue_at.isoformat() if row.overdue_at else None,
        "code": row.code, "warning": row.warning, "esr_record_id": row.esr_record_id, "revision": row.revision,
        "settled_at": row.settled_at.isoformat() if row.settled_at else None,
        "answer": {"file": row.answer_file, "line": row.answer_line} if row.answer_file else None,
    }  # fmt: skip


async def attention(connection: AsyncConnection, vpd: str) -> dict[str, int]:
    """Return what a report tells of answers: how many are awaited, how many overdue, how many odd."""
    awaited = await open_now(connection, vpd)
    unmatched = await count_unmatched(connection, vpd)
    return {"open": awaited["open"], "overdue": awaited["overdue"], "unmatched": unmatched}


async def items(connection: AsyncConnection, vpd: str, state: str | None = None) -> list[dict[str, Any]]:
    """Return the first items of a trust, by file and position."""
    found, _ = await page(connection, vpd, {"state": state} if state else {})
    return found


async def page(
    connection: AsyncConnection,
    vpd: str,
    asked: dict[str, str],
    after: str = "",
    limit: int = MOST,
    *,
    overdue: bool = False,
) -> tuple[list[dict[str, Any]], str]:
    """Return a page of items by file and position, and where the next begins (empty: none).

    ``asked``: what they are to have in common, of state, sent_file, reference, person_id, key, code and change.
    ``overdue``: only those that ESR should have answered and that were not sent again since.
    """
    query = select(ITEMS).where(ITEMS.c.vpd == vpd, *(ITEMS.c[name] == said for name, said in asked.items()))
    if overdue:
        query = query.where(ITEMS.c.state == "open", ITEMS.c.overdue_at.is_not(None), ~repeated())
    if after:
        file, _, position = after.rpartition("~")
        query = query.where(tuple_(ITEMS.c.sent_file, ITEMS.c.position) > tuple_(literal(file), literal(int(position))))
    rows = list(await connection.execute(query.order_by(ITEMS.c.sent_file, ITEMS.c.position).limit(limit)))
    last = f"{rows[-1].sent_file}~{rows[-1].position}" if len(rows) == limit else ""
    return [as_item(row) for row in rows], last
