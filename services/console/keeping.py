"""Dead letters as they come: kept, a batch in few statements."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.checking import Schemas
from services.console.identity import Identity, identify
from services.console.store import cause_of, find_by, staff_key
from shared.messaging.message import Message

_PACK: Final = msgspec.msgpack.Encoder()
_UNCHECKED: Final = Schemas()

Key = tuple[str, str]
"""(trust, letter)."""


async def keep(
    connection: AsyncConnection, letters: Sequence[Message], moment: datetime, schemas: Schemas = _UNCHECKED
) -> list[Key]:
    """Store dead letters; those that failed again after a replay open again. Return these.

    A letter that is there twice is stored twice, one after the other.
    """
    keys = {vpd: await staff_key(connection, vpd) for vpd in sorted({letter.vpd for letter in letters})}
    again: list[Key] = []
    for different in _rounds(letters):
        again += await _keep(connection, different, moment, schemas, keys)
    return again


def _rounds(letters: Sequence[Message]) -> Iterator[list[Message]]:
    """Yield the letters in the order of their ids, as everywhere, in parts that have no letter twice."""
    waiting = sorted(letters, key=lambda one: (one.vpd, one.message_id))
    while waiting:
        first = {(one.vpd, one.message_id): one for one in reversed(waiting)}
        yield [one for one in waiting if first[one.vpd, one.message_id] is one]
        waiting = [one for one in waiting if first[one.vpd, one.message_id] is not one]


async def _keep(
    connection: AsyncConnection,
    letters: Sequence[Message],
    moment: datetime,
    schemas: Schemas,
    keys: Mapping[str, bytes],
) -> list[Key]:
    found = [identify(keys[letter.vpd], letter, schemas.own_key(letter)) for letter in letters]
    rows = [_row(letter, identity) for letter, identity in zip(letters, found, strict=True)]
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
    kept = (await connection.execute(_KEEP, columns | {"at": moment})).all()
    pairs = zip(letters, found, strict=True)
    await find_by(connection, [(one.vpd, hash_, one.message_id) for one, identity in pairs for hash_ in identity.staff])
    again = [(row.vpd, row.id) for row in kept if row.again]
    if again:
        codes = {(one.vpd, one.message_id): one.code for one in letters}
        said = {
            "vpd": [vpd for vpd, _ in again],
            "letter": [letter for _, letter in again],
            "code": [codes[key] for key in again],
        }
        await connection.execute(_FAILED, said | {"at": moment})
    return again


def _row(letter: Message, found: Identity) -> dict[str, Any]:
    return {
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
        "message": _PACK.encode(letter),
        "cause": cause_of(letter.code, letter.queue, letter.type),
        "staff": " ".join(found.staff),
        "subject": found.subject,
    }


_KEEP: Final = text(
    "INSERT INTO console.dead_letters AS held (vpd, id, state, queue, type, code, reason, stream, file, file_no, line, "
    "replay, failures, first_at, last_at, message, cause, staff, subject) "
    "SELECT t.vpd, t.id, 'open', t.queue, t.type, t.code, t.reason, t.stream, t.file, t.file_no, t.line, t.replay, 1, "
    ":at, :at, t.message, t.cause, string_to_array(t.staff, ' '), t.subject FROM unnest("
    "CAST(:vpd AS text[]), CAST(:id AS text[]), CAST(:queue AS text[]), CAST(:type AS text[]), CAST(:code AS text[]), "
    "CAST(:reason AS text[]), CAST(:stream AS text[]), CAST(:file AS text[]), CAST(:file_no AS bigint[]), "
    "CAST(:line AS int[]), CAST(:replay AS int[]), CAST(:message AS bytea[]), CAST(:cause AS text[]), "
    "CAST(:staff AS text[]), CAST(:subject AS text[])) AS t(vpd, id, queue, type, code, reason, stream, file, file_no, "
    "line, replay, message, cause, staff, subject) ORDER BY 1, 2 "
    "ON CONFLICT (vpd, id) DO UPDATE SET state = 'open', code = excluded.code, reason = excluded.reason, "
    "cause = excluded.code || ':' || held.queue || ':' || held.type, last_at = excluded.last_at, "
    "failures = held.failures + 1, outcome = '', closed_at = NULL "
    "WHERE (held.state = 'replayed' OR (held.state = 'resolved' AND held.outcome = 'parked')) "
    "AND held.replay <= excluded.replay RETURNING vpd, id, (xmax <> 0) AS again"
)
"""What is parked is not settled: it may still fail when it is taken up."""

_FAILED: Final = text(
    "UPDATE console.operation_letters o SET state = 'failed', code = t.code, at = :at FROM unnest("
    "CAST(:vpd AS text[]), CAST(:letter AS text[]), CAST(:code AS text[])) AS t(vpd, letter, code) "
    "WHERE (o.vpd, o.letter) = (t.vpd, t.letter) AND o.state IN ('sent', 'quiet', 'parked') AND o.operation = ("
    "SELECT max(i.operation) FROM console.operation_letters i WHERE (i.vpd, i.letter) = (t.vpd, t.letter) "
    "AND i.state IN ('sent', 'quiet', 'parked'))"
)
