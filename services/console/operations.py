"""Operations upon many letters as they are stored and shown."""

from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console import store
from services.console.domain import DeadLetterError, Operation
from services.console.tables import ITEMS, OPERATIONS
from shared.db.unit import Unit


async def listed(connection: AsyncConnection, vpd: str, *, before: int = 0, limit: int = 50) -> list[dict[str, Any]]:
    """Return a trust's plans and runs, the newest first; with ``before`` those that were made before that one."""
    query_ = select(OPERATIONS).where(OPERATIONS.c.vpd == vpd).order_by(OPERATIONS.c.id.desc()).limit(limit)
    if before:
        query_ = query_.where(OPERATIONS.c.id < before)
    return [_told(row) for row in await connection.execute(query_)]


async def shown(connection: AsyncConnection, vpd: str, number: int) -> dict[str, Any]:
    """Return a plan or run with what is expected and what has become of its letters. Raises DeadLetterError."""
    found = select(OPERATIONS).where(OPERATIONS.c.vpd == vpd, OPERATIONS.c.id == number)
    row = (await connection.execute(found)).first()
    if row is None:
        raise DeadLetterError(f"trust {vpd} has no operation {number}")
    told = select(ITEMS.c.expected, func.count()).where(items_of(vpd, number)).group_by(ITEMS.c.expected)
    expected = {one[0]: one[1] for one in await connection.execute(told)}
    return _told(row) | {"expected": expected, "letters": await counts(connection, vpd, number)}


async def items(
    connection: AsyncConnection, vpd: str, number: int, *, state: str = "", after: int = 0, limit: int = 100
) -> list[dict[str, Any]]:
    """Return the letters of a plan in their order, those after a place: what each would do, and what it did."""
    found = select(ITEMS).where(items_of(vpd, number), ITEMS.c.place > after)
    if state:
        found = found.where(ITEMS.c.state == state)
    return [
        {
            "place": row.place,
            "letter": row.letter,
            "expected": row.expected,
            "because": row.because,
            "state": row.state,
            "code": row.code,
            "at": row.at.isoformat() if row.at else None,
        }
        for row in await connection.execute(found.order_by(ITEMS.c.place).limit(limit))
    ]


async def counts(connection: AsyncConnection, vpd: str, number: int) -> dict[str, int]:
    """Return how many letters of a plan are in which state."""
    query_ = select(ITEMS.c.state, func.count()).where(items_of(vpd, number)).group_by(ITEMS.c.state)
    return {row[0]: row[1] for row in await connection.execute(query_)}


def operation_of(row: store.AnyRow) -> Operation:
    """Return what decides whether an operation may go on."""
    return Operation(row.id, row.kind, row.state, row.who, row.total, row.approver)


def _told(row: store.AnyRow) -> dict[str, Any]:
    names = ("vpd", "kind", "state", "who", "why", "total", "approver", "starter", "canary", "per_second")
    more = ("allowed_percent", "insist", "place", "sent", "stage", "reason")
    return (
        {"operation": row.id}
        | {name: getattr(row, name) for name in (*names, *more)}
        | {"created_at": row.created_at.isoformat(), "changed_at": row.changed_at.isoformat()}
    )


async def locked(unit: Unit, vpd: str, number: int) -> store.AnyRow:
    """Return an operation, locked for a change. Raises DeadLetterError."""
    found = select(OPERATIONS).where(OPERATIONS.c.vpd == vpd, OPERATIONS.c.id == number).with_for_update()
    row = (await unit.connection.execute(found)).first()
    if row is None:
        raise DeadLetterError(f"trust {vpd} has no operation {number}")
    return row


def of(row: store.AnyRow) -> Any:  # noqa: ANN401 - an update
    """Return the change of one operation."""
    return update(OPERATIONS).where(OPERATIONS.c.vpd == row.vpd, OPERATIONS.c.id == row.id)


def items_of(vpd: str, number: int) -> Any:  # noqa: ANN401 - a condition
    """Return the condition that a letter belongs to an operation."""
    return (ITEMS.c.vpd == vpd) & (ITEMS.c.operation == number)
