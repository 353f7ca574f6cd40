"""The tables of ``console``: dead letters, and who did what to them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    Table,
    Text,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.accounting import LineFate
from shared.db import tables
from shared.db.ledger import FileKey
from shared.messaging.message import Message

SCHEMA: Final = "console"
METADATA: Final = MetaData(schema=SCHEMA)

OUTBOX: Final = tables.outbox(METADATA)
LINE_FATES: Final = tables.line_fates(METADATA)

LETTERS: Final = Table(
    "dead_letters",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("id", Text, primary_key=True, comment="the message's id"),
    Column("state", Text, nullable=False, comment="open, replayed, resolved or discarded"),
    Column("queue", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("stream", Text, nullable=False),
    Column("file", Text, nullable=False),
    Column("file_no", BigInteger, nullable=False),
    Column("line", Integer, nullable=False),
    Column("replay", Integer, nullable=False, comment="replays it has been through"),
    Column("failures", Integer, nullable=False, comment="times it was given up"),
    Column("first_at", DateTime(timezone=True), nullable=False),
    Column("last_at", DateTime(timezone=True), nullable=False),
    Column("message", LargeBinary, nullable=False, comment="as first received; kept for ever"),
    Column("edited", LargeBinary, comment="the body an operator put in its place"),
    Index("dead_letters_by_state", "vpd", "state", "code"),
    Index("dead_letters_by_line", "vpd", "file", "line"),
)

ACTIONS: Final = Table(
    "actions",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("letter", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("columns", JSONB, nullable=False, server_default="[]", comment="names of edited columns, never values"),
)

AnyRow = Row[*tuple[Any, ...]]

_PACK: Final = msgspec.msgpack.Encoder()
_UNPACK: Final = msgspec.msgpack.Decoder(Message)


async def keep(connection: AsyncConnection, letter: Message, moment: datetime) -> None:
    """Store a dead letter; one that failed again after a replay opens again."""
    await connection.execute(
        _KEEP,
        {
            "vpd": letter.vpd,
            "id": letter.message_id,
            "queue": letter.queue,
            "type": letter.type,
            "code": letter.code,
            "reason": letter.reason,
            "stream": letter.stream,
            "file": letter.file,
            "file_no": letter.file_no,
            "line": letter.line,
            "replay": letter.replay,
            "at": moment,
            "message": _PACK.encode(letter),
        },
    )


async def find(connection: AsyncConnection, vpd: str, letter: str, *, lock: bool = False) -> AnyRow | None:
    """Return one dead letter, locked for a change when asked."""
    query = select(LETTERS).where(LETTERS.c.vpd == vpd, LETTERS.c.id == letter)
    return (await connection.execute(query.with_for_update() if lock else query)).first()


async def starting_with(connection: AsyncConnection, vpd: str, letter: str) -> Sequence[AnyRow]:
    """Return the dead letters of a trust whose id begins so; two at most."""
    query = select(LETTERS).where(LETTERS.c.vpd == vpd, LETTERS.c.id.startswith(letter, autoescape=True))
    return (await connection.execute(query.limit(2))).all()


async def listing(connection: AsyncConnection, vpd: str, *, state: str = "open", code: str = "") -> Sequence[AnyRow]:
    """Return a trust's dead letters in one state, oldest file and line first."""
    query = select(LETTERS).where(LETTERS.c.vpd == vpd, LETTERS.c.state == state)
    if code:
        query = query.where(LETTERS.c.code == code)
    return (await connection.execute(query.order_by(LETTERS.c.file_no, LETTERS.c.line, LETTERS.c.id))).all()


async def count_by_code(connection: AsyncConnection, vpd: str) -> dict[str, int]:
    """Return how many open dead letters a trust has, by code."""
    number = func.count().label("number")
    query = select(LETTERS.c.code, number).where(LETTERS.c.vpd == vpd, LETTERS.c.state == "open")
    return {row.code: row.number for row in await connection.execute(query.group_by(LETTERS.c.code))}


async def set_state(connection: AsyncConnection, row: AnyRow, state: str, *, replay: int | None = None) -> None:
    """Change a letter's state; the caller holds its lock."""
    values: dict[str, Any] = {"state": state}
    if replay is not None:
        values["replay"] = replay
    await connection.execute(update(LETTERS).where(LETTERS.c.vpd == row.vpd, LETTERS.c.id == row.id).values(values))


async def set_edited(connection: AsyncConnection, row: AnyRow, body: bytes) -> None:
    """Keep an operator's version of the body beside the original."""
    await connection.execute(
        update(LETTERS).where(LETTERS.c.vpd == row.vpd, LETTERS.c.id == row.id).values(edited=body)
    )


async def note(
    connection: AsyncConnection,
    row: AnyRow,
    moment: datetime,
    who: str,
    action: str,
    why: str,
    columns: Sequence[str] = (),
) -> None:
    """Write down who did what and why."""
    await connection.execute(
        insert(ACTIONS).values(
            vpd=row.vpd, letter=row.id, at=moment, who=who, action=action, why=why, columns=list(columns)
        )
    )


async def resolve(connection: AsyncConnection, settled: Sequence[tuple[FileKey, LineFate]]) -> None:
    """Close the cases of lines that got a settled fate after all."""
    await connection.execute(
        _RESOLVE,
        {
            "vpd": [file[0] for file, _ in settled],
            "file": [file[1] for file, _ in settled],
            "line": [fate.line for _, fate in settled],
        },
    )


async def files_with_cases(connection: AsyncConnection, files: Sequence[FileKey]) -> set[FileKey]:
    """Return those files that have a dead letter which is not closed."""
    rows = await connection.execute(
        _FILES_WITH_CASES, {"vpd": [vpd for vpd, _ in files], "file": [file for _, file in files]}
    )
    return {(row.vpd, row.file) for row in rows}


def message_of(row: AnyRow) -> Message:
    """Return the message of a letter, with the operator's body where there is one."""
    message = _UNPACK.decode(row.message)
    return msgspec.structs.replace(message, body=row.edited) if row.edited is not None else message


_KEEP: Final = text(
    "INSERT INTO console.dead_letters AS held (vpd, id, state, queue, type, code, reason, stream, file, file_no, line, "
    "replay, failures, first_at, last_at, message) VALUES (:vpd, :id, 'open', :queue, :type, :code, :reason, :stream, "
    ":file, :file_no, :line, :replay, 1, :at, :at, :message) "
    "ON CONFLICT (vpd, id) DO UPDATE SET state = 'open', code = excluded.code, reason = excluded.reason, "
    "last_at = excluded.last_at, failures = held.failures + 1 "
    "WHERE held.state = 'replayed' AND held.replay <= excluded.replay"
)

_RESOLVE: Final = text(
    "UPDATE console.dead_letters d SET state = 'resolved' FROM unnest(CAST(:vpd AS text[]), CAST(:file AS text[]), "
    "CAST(:line AS int[])) AS t(vpd, file, line) "
    "WHERE (d.vpd, d.file, d.line) = (t.vpd, t.file, t.line) AND d.state = 'replayed'"
)

_FILES_WITH_CASES: Final = text(
    "SELECT DISTINCT d.vpd, d.file FROM console.dead_letters d "
    "JOIN unnest(CAST(:vpd AS text[]), CAST(:file AS text[])) AS t(vpd, file) USING (vpd, file) "
    "WHERE d.state = 'replayed'"
)
