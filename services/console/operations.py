"""Operations upon many letters as they are stored and shown."""

from typing import Any, Final

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console import store
from services.console.domain import DeadLetterError, Operation
from services.console.tables import ITEMS, OPERATIONS
from shared.db.unit import Unit

COUNTED: Final = 20_000
"""Letters in one state up to which they are counted, unless those in another are as many."""


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
    return _told(row) | {"expected": row.expected, "letters": await counts(connection, vpd, number)}


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
    """Return how many letters of a plan are in which state.

    Two numbers need no counting: letters beyond the place that a run has come to wait, and in one state are those that
    are in no other. So all but one are counted to their end, and that one is left to be the one that most are in.
    """
    most = COUNTED
    while True:
        rows = (await connection.execute(_COUNTS, {"vpd": vpd, "operation": number, "most": most})).all()
        found = {row.state: row.letters for row in rows if row.letters}
        cut_short = [state for state, letters in found.items() if letters >= most]
        if len(cut_short) <= 1:
            break
        most *= 4
    for state in cut_short:
        found[state] = rows[0].place - sum(letters for name, letters in found.items() if name != state)
    waiting = rows[0].total - rows[0].place if rows else 0
    return found | ({"waiting": waiting} if waiting else {})


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


_COUNTS: Final = text(
    "WITH RECURSIVE states AS ((SELECT state FROM console.operation_letters "
    "WHERE vpd = :vpd AND operation = :operation ORDER BY state LIMIT 1) UNION ALL "
    "SELECT n.state FROM states s CROSS JOIN LATERAL (SELECT state FROM console.operation_letters "
    "WHERE vpd = :vpd AND operation = :operation AND state > s.state ORDER BY state LIMIT 1) n) "
    "SELECT o.place, o.total, s.state, c.letters FROM console.operations o LEFT JOIN states s ON s.state <> 'waiting' "
    "CROSS JOIN LATERAL (SELECT count(*) AS letters FROM (SELECT 1 FROM console.operation_letters WHERE vpd = :vpd "
    "AND operation = :operation AND state = s.state LIMIT :most) AS counted) c WHERE o.vpd = :vpd AND o.id = :operation"
)
"""Goes from state to state by the index, and counts no further than is asked for."""
