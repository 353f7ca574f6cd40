"""Dead letters, what was done with them, and plans about them, written by PostgreSQL itself in a few statements.

They lie as real ones would: most are open and of a few causes, some causes are rare; the oldest are held, some holds
have ended; a tenth belongs to one ticket and one team; one file holds a hundred times what others hold; other trusts
have letters, too.
"""

import json
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.console import store
from shared.messaging.message import Message

VPD: Final = "991"
OTHERS: Final = ("992", "993")
START: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""When the first letter failed; one failed every four seconds since."""
PER_FILE: Final = 5_000
PEOPLE: Final = 200_000

_FILL: Final = """
INSERT INTO console.dead_letters (vpd, id, state, queue, type, code, reason, stream, file, file_no, line, replay,
    failures, first_at, last_at, message, cause, staff, subject, assignee, ticket, hold_until)
SELECT CAST(:vpd AS text), md5(CAST(:vpd AS text) || n), s.state, q.queue, t.type, c.code, 'a column is wrong', 'feed',
    'CS_' || :vpd || '_CST_CSC_' || f.file || '.DAT', f.file, n - f.first + 2, 0, 1, a.at, a.at, :message,
    concat_ws(chr(58), c.code, q.queue, t.type), ARRAY[md5('p' || n % :people), md5('e' || n % :people)],
    md5('s' || n),
    CASE WHEN c.code = 'R902' THEN 'team' WHEN n % 1000 = 0 THEN 'person' || n % 7 ELSE '' END,
    CASE WHEN c.code = 'R902' THEN 'INC-1' WHEN n % 500 = 0 THEN 'INC-' || n / 500 ELSE '' END,
    CASE WHEN n < :held THEN now() + interval '1 year' WHEN n % 50 = 0 THEN now() - interval '1 day' END
FROM generate_series(CAST(:first AS int), CAST(:last AS int)) AS n
CROSS JOIN LATERAL (SELECT CAST(:start AS timestamptz) + n * interval '4 s' AS at) a
CROSS JOIN LATERAL (SELECT CASE WHEN n < :large THEN 0 ELSE n / :per_file END AS file,
    CASE WHEN n < :large THEN 0 ELSE n / :per_file * :per_file END AS first) f
CROSS JOIN LATERAL (SELECT CASE WHEN n % 100 < 88 THEN 'open' WHEN n % 100 < 90 THEN 'replayed'
    WHEN n % 100 < 97 THEN 'resolved' ELSE 'discarded' END AS state) s
CROSS JOIN LATERAL (SELECT CASE WHEN n % 1000 = 7 THEN 'R999' WHEN n % 10 < 6 THEN 'R103' WHEN n % 10 < 9 THEN 'R101'
    ELSE 'R902' END AS code) c
CROSS JOIN LATERAL (SELECT CASE WHEN n % 2000 = 7 THEN 'outbound.events' WHEN n % 3 = 0 THEN 'competency.records'
    ELSE 'people.records' END AS queue) q
CROSS JOIN LATERAL (SELECT CASE WHEN n % 3 = 0 THEN 'element.upsert' WHEN n % 10 = 9 THEN 'person.delete'
    WHEN n % 3 = 1 THEN 'assignment.upsert' ELSE 'person.upsert' END AS type) t
"""

_STAFF: Final = """
INSERT INTO console.letter_staff (vpd, hash, letter) SELECT :vpd, unnest(ARRAY[md5('p' || n % :people),
    md5('e' || n % :people)]), md5(CAST(:vpd AS text) || n)
FROM generate_series(CAST(:first AS int), CAST(:last AS int)) AS n
"""

_PLANS: Final = """
INSERT INTO console.operations (vpd, kind, state, who, why, created_at, selection, total, collected, canary,
    per_second, allowed_percent, place, sent, stage, stage_end, changed_at)
SELECT :vpd, CASE WHEN n = 1 THEN 'discard' ELSE 'replay' END, CASE WHEN n = 2 THEN 'paused' ELSE 'done' END,
    'person-1', 'profile mended', now(), CAST(:selection AS jsonb), p.total, p.total, 5, 50, 10, p.place, p.place,
    'rest', p.total, now()
FROM generate_series(1, 400) AS n CROSS JOIN LATERAL (SELECT CASE WHEN n = 1 THEN :letters / 4 WHEN n = 2
    THEN :letters - :letters / 8 ELSE 5 END AS total, CASE WHEN n = 1 THEN :letters / 4 WHEN n = 2 THEN :letters / 4
    ELSE 5 END AS place) p
"""

_ITEMS: Final = """
INSERT INTO console.operation_letters (vpd, operation, place, letter, replay, edits, line, expected, because, state)
SELECT :vpd, o.id, n, md5(CAST(:vpd AS text) || n), 0, 0, 2, CASE WHEN o.kind = 'discard' THEN 'close' WHEN n % 9 = 0
    THEN 'fail_again' ELSE 'apply' END, 'today''s profile no longer finds it', CASE WHEN n > o.place THEN 'waiting'
    WHEN o.kind = 'discard' THEN 'discarded' WHEN n % 9 = 0 THEN 'skipped' WHEN n % 100 = 1 THEN 'failed'
    ELSE 'applied' END
FROM console.operations o CROSS JOIN LATERAL generate_series(1, o.total) AS n WHERE o.vpd = :vpd
"""

_ACTIONS: Final = """
INSERT INTO console.actions (vpd, letter, at, who, action, why, operation)
SELECT CAST(:vpd AS text), md5(CAST(:vpd AS text) || n), CAST(:start AS timestamptz) + n * interval '4 s',
    CASE WHEN n % 100000 = 5 THEN 'person-rare' ELSE 'person-' || n % 5 END,
    CASE WHEN n % 100000 = 9 THEN 'link' WHEN n % 4 = 0 THEN 'discard' ELSE 'replay' END, 'profile mended', 1
FROM generate_series(1, CAST(:letters AS int)) AS n
"""


async def fill(admin: AsyncEngine, letters: int) -> None:
    """Write a trust's letters, and a twentieth of them for each of two others."""
    async with admin.begin() as connection:
        indexes = await _drop_indexes(connection)
        for vpd, number in ((VPD, letters), *((other, letters // 20) for other in OTHERS)):
            await store.staff_key(connection, vpd)
            await _fill(connection, vpd, number)
        for index in indexes:
            await connection.execute(text(index))
        said = {"vpd": VPD, "letters": letters, "start": START, "selection": json.dumps({"code": "R103"})}
        for statement in (_PLANS, _ITEMS, _ACTIONS):
            await connection.execute(text(statement), {key: said[key] for key in said if f":{key}" in statement})


async def _fill(connection: AsyncConnection, vpd: str, letters: int) -> None:
    body = msgspec.json.encode({"person_id": "1000001", "last_name": "Placeholder", "date_from": "no date"} | _WIDE)
    message = Message(exchange="", type="person.upsert", message_id="1" * 32, vpd=vpd, body=body, code="R103")
    said: dict[str, Any] = {"vpd": vpd, "people": PEOPLE, "first": 0, "last": letters - 1}
    await connection.execute(text(_STAFF), said)
    said |= {"start": START, "message": msgspec.msgpack.encode(message)}
    said |= {"held": letters // 10, "large": letters // 10, "per_file": PER_FILE}
    await connection.execute(text(_FILL), said)


_WIDE: Final = {f"column_{number}": "value" for number in range(20)}


async def _drop_indexes(connection: AsyncConnection) -> list[str]:
    """Drop the indexes of letters; return how to make them again, which is faster than to keep them meanwhile."""
    found = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'console' AND tablename = 'dead_letters'"
    rows = (await connection.execute(text(f"{found} AND indexname <> 'dead_letters_pkey'"))).all()
    for row in rows:
        await connection.execute(text(f"DROP INDEX console.{row.indexname}"))
    return [row.indexdef for row in rows]
