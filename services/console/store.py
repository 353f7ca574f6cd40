"""Dead letters in the database: kept, found, changed, closed."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import ARRAY, Column, ColumnElement, Row, any_, cast, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.checking import Schemas
from services.console.identity import Identity, identify, new_key
from services.console.tables import ACTIONS, EDITS, KEYS, LETTERS, METADATA, SCHEMA
from shared.accounting import LineFate
from shared.db.ledger import FileKey
from shared.messaging.message import Message

__all__ = ["ACTIONS", "LETTERS", "METADATA", "SCHEMA"]

AnyRow = Row[*tuple[Any, ...]]

_UNPACK: Final = msgspec.msgpack.Decoder(Message)


def cause_of(code: str, queue: str, type_: str) -> str:
    """Return what letters are grouped by: why, where, and what."""
    return f"{code}:{queue}:{type_}"


def one_of(column: Column[Any], values: Iterable[object]) -> ColumnElement[bool]:
    """Return the condition that a column has one of many values: one parameter and one statement, however many."""
    return column == any_(cast(list(values), ARRAY(column.type)))


async def staff_key(connection: AsyncConnection, vpd: str) -> bytes:
    """Return a trust's key of staff numbers, made the first time it is asked for."""
    found = await connection.scalar(select(KEYS.c.key).where(KEYS.c.vpd == vpd))
    if found is None:
        await connection.execute(upsert(KEYS).values(vpd=vpd, key=new_key()).on_conflict_do_nothing())
        found = await connection.scalar(select(KEYS.c.key).where(KEYS.c.vpd == vpd))
    return bytes(found or b"")


async def known_staff_key(connection: AsyncConnection, vpd: str) -> bytes:
    """Return a trust's key where it has one: for connections that only read. A trust without one has no letters."""
    return bytes(await connection.scalar(select(KEYS.c.key).where(KEYS.c.vpd == vpd)) or b"\0")


async def find(connection: AsyncConnection, vpd: str, letter: str, *, lock: bool = False) -> AnyRow | None:
    """Return one dead letter, locked for a change when asked."""
    query = select(LETTERS).where(LETTERS.c.vpd == vpd, LETTERS.c.id == letter)
    return (await connection.execute(query.with_for_update() if lock else query)).first()


async def locked(
    connection: AsyncConnection, vpd: str, letters: Iterable[str], columns: Sequence[Column[Any]] = tuple(LETTERS.c)
) -> dict[str, AnyRow]:
    """Return letters by id, or what these columns say of them, locked in the order of their ids, as everywhere."""
    query = select(*columns).where(LETTERS.c.vpd == vpd, one_of(LETTERS.c.id, letters))
    return {row.id: row for row in await connection.execute(query.order_by(LETTERS.c.id).with_for_update())}


async def starting_with(connection: AsyncConnection, vpd: str, letter: str) -> Sequence[AnyRow]:
    """Return the dead letters of a trust whose id begins so; two at most.

    They are the next ones from there on. Under row security no index is used for a pattern.
    """
    query = select(LETTERS).where(LETTERS.c.vpd == vpd, LETTERS.c.id >= letter).order_by(LETTERS.c.id).limit(2)
    return [row for row in await connection.execute(query) if row.id.startswith(letter)]


async def listing(connection: AsyncConnection, vpd: str, *, state: str = "open", code: str = "") -> Sequence[AnyRow]:
    """Return all of a trust's dead letters in one state, oldest file and line first; for pages see ``search``."""
    query = select(LETTERS).where(LETTERS.c.vpd == vpd, LETTERS.c.state == state)
    if code:
        query = query.where(LETTERS.c.code == code)
    return (await connection.execute(query.order_by(LETTERS.c.file_no, LETTERS.c.line, LETTERS.c.id))).all()


async def count_by_code(connection: AsyncConnection, vpd: str) -> dict[str, int]:
    """Return how many open dead letters a trust has, by code."""
    number = func.count().label("number")
    query = select(LETTERS.c.code, number).where(LETTERS.c.vpd == vpd, LETTERS.c.state == "open")
    return {row.code: row.number for row in await connection.execute(query.group_by(LETTERS.c.code))}


async def change(connection: AsyncConnection, vpd: str, letters: Sequence[str], values: Mapping[str, Any]) -> None:
    """Change letters; the caller holds their locks."""
    await connection.execute(update(LETTERS).where(LETTERS.c.vpd == vpd, one_of(LETTERS.c.id, letters)).values(values))


async def set_edited(
    connection: AsyncConnection,
    row: AnyRow,
    body: bytes,
    found: Identity,
    **edit: Any,  # noqa: ANN401 - columns of the edit
) -> None:
    """Keep an operator's version of the body beside the original and all earlier versions.

    The letter is found by what it says now and by what it said before.
    """
    await connection.execute(insert(EDITS).values(vpd=row.vpd, letter=row.id, number=row.edits + 1, body=body, **edit))
    await find_by(connection, [(row.vpd, one, row.id) for one in found.staff])
    staff = sorted({*row.staff, *found.staff})
    values = {"edited": body, "edits": row.edits + 1, "staff": staff, "subject": found.subject}
    await change(connection, row.vpd, [row.id], values)


async def edits(connection: AsyncConnection, vpd: str, letter: str) -> Sequence[AnyRow]:
    """Return every edit of a letter, oldest first."""
    query = select(EDITS).where(EDITS.c.vpd == vpd, EDITS.c.letter == letter).order_by(EDITS.c.number)
    return (await connection.execute(query)).all()


async def concerned(
    connection: AsyncConnection, said: Sequence[tuple[FileKey, tuple[int, int, int, int]]]
) -> Sequence[AnyRow]:
    """Return, locked, the letters about whose lines ranges of fates speak: ``vpd, id, file, line, state, fate``.

    Those that are closed for good are left out.
    """
    ranges = [one for _, one in said]
    found = await connection.execute(
        _CONCERNED,
        {
            "vpd": [file[0] for file, _ in said],
            "file": [file[1] for file, _ in said],
            "first": [one[0] for one in ranges],
            "last": [one[1] for one in ranges],
            "fate": [one[2] for one in ranges],
            "revision": [one[3] for one in ranges],
        },
    )
    if not (letters := found.all()):
        return letters
    vpds, ids, fates, revisions = (list(column) for column in zip(*letters, strict=True))
    asked = {"vpd": vpds, "id": ids, "fate": fates, "revision": revisions}
    return (await connection.execute(_LOCKED, asked)).all()


async def resolve(connection: AsyncConnection, settled: Sequence[tuple[str, str, LineFate]], moment: datetime) -> None:
    """Close cases whose line got a fate: ``(trust, letter, fate)``, all locked by the caller."""
    for statement in (_RESOLVE, _TOLD):
        await connection.execute(
            statement,
            {
                "vpd": [vpd for vpd, _, _ in settled],
                "id": [letter for _, letter, _ in settled],
                "outcome": [fate.fate.group for _, _, fate in settled],
                "at": moment,
            },
        )


async def describe_some(connection: AsyncConnection, schemas: Schemas, limit: int = 200) -> int:
    """Describe letters that an earlier release stored without a cause; return how many."""
    rows = (await connection.execute(_UNDESCRIBED, {"rows": limit})).all()
    for row in rows:
        message = message_of(row)
        found = identify(await staff_key(connection, row.vpd), message, schemas.own_key(message))
        cause = cause_of(row.code, row.queue, row.type)
        values = {"cause": cause, "staff": list(found.staff), "subject": found.subject}
        await change(connection, row.vpd, [row.id], values)
        await find_by(connection, [(row.vpd, one, row.id) for one in found.staff])
    return len(rows)


async def find_by(connection: AsyncConnection, hashes: Sequence[tuple[str, str, str]]) -> None:
    """Let letters be found by hashes of staff numbers: ``(trust, hash, letter)``."""
    if hashes:
        vpds, values, letters = (list(column) for column in zip(*sorted(hashes), strict=True))
        await connection.execute(_FIND_BY, {"vpd": vpds, "hash": values, "letter": letters})


def original_of(row: AnyRow) -> Message:
    """Return the message of a letter as it was first received."""
    return _UNPACK.decode(row.message)


def message_of(row: AnyRow) -> Message:
    """Return the message of a letter, with the operator's body where there is one."""
    message = original_of(row)
    return msgspec.structs.replace(message, body=row.edited) if row.edited is not None else message


_FIND_BY: Final = text(
    "INSERT INTO console.letter_staff (vpd, hash, letter) SELECT * FROM unnest("
    "CAST(:vpd AS text[]), CAST(:hash AS text[]), CAST(:letter AS text[])) ON CONFLICT DO NOTHING"
)

_UNSETTLED: Final = "(d.state <> 'resolved' OR d.outcome = 'parked')"

# A planner takes any range of lines for a ninth of the file and would rather read every letter: it is not asked.
_CONCERNED: Final = text(
    "SELECT d.vpd, d.id, t.fate, t.revision "
    "FROM unnest(CAST(:vpd AS text[]), CAST(:file AS text[]), CAST(:first AS int[]), CAST(:last AS int[]), "
    "CAST(:fate AS int[]), CAST(:revision AS int[])) AS t(vpd, file, first, last, fate, revision) "
    "CROSS JOIN LATERAL (SELECT d.vpd, d.id FROM console.dead_letters d WHERE d.vpd = t.vpd AND d.file = t.file "
    f"AND d.line BETWEEN t.first AND t.last AND {_UNSETTLED} ORDER BY d.vpd, d.file, d.line OFFSET 0) AS d"
)

_LOCKED: Final = text(
    "SELECT d.vpd, d.id, d.file, d.line, d.state, d.outcome, t.fate, t.revision FROM unnest("
    "CAST(:vpd AS text[]), CAST(:id AS text[]), CAST(:fate AS int[]), CAST(:revision AS int[])) "
    "AS t(vpd, id, fate, revision) JOIN console.dead_letters d ON (d.vpd, d.id) = (t.vpd, t.id) "
    f"WHERE {_UNSETTLED} ORDER BY d.vpd, d.id FOR UPDATE OF d"
)

_SETTLED: Final = "unnest(CAST(:vpd AS text[]), CAST(:id AS text[]), CAST(:outcome AS text[])) AS t(vpd, id, outcome)"

_RESOLVE: Final = text(
    "UPDATE console.dead_letters d SET state = 'resolved', outcome = t.outcome, closed_at = :at FROM "
    f"{_SETTLED} WHERE (d.vpd, d.id) = (t.vpd, t.id)"
)

_TOLD: Final = text(
    "UPDATE console.operation_letters i SET state = t.outcome, at = :at FROM "
    f"{_SETTLED} WHERE (i.vpd, i.letter) = (t.vpd, t.id) AND i.state IN ('sent', 'parked')"
)

_UNDESCRIBED: Final = text(
    "SELECT * FROM console.dead_letters WHERE cause = '' ORDER BY vpd, id LIMIT :rows FOR UPDATE SKIP LOCKED"
)
