"""Lists, searches and groups of a million dead letters: how long each takes. ``python -m bench.dead_letters``.

Every question is asked many times with other values, as the API asks it: by the role that sees one trust only. Prints
the 95th percentile of each in milliseconds and writes ``bench/results/dead_letters.json``.
"""

import asyncio
import hashlib
import json
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from esrbridge.embedded import as_role
from esrbridge.local import postgres
from services.console import store
from services.console.age import oldest
from services.console.grouping import groups
from services.console.identity import staff_hash
from services.console.search import Search, page
from shared.db.engine import Reader, make_engine
from shared.db.migrate import SERVICES, migrate

LETTERS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
TIMES = 40
VPD = "991"
START = datetime(2026, 1, 1, tzinfo=UTC)
DICE = random.Random(1)

FILL = """
INSERT INTO console.dead_letters (vpd, id, state, queue, type, code, reason, stream, file, file_no, line, replay,
    failures, first_at, last_at, message, cause, staff, subject, assignee)
SELECT :vpd, md5(CAST(n AS text)), s.state, 'people.records', t.type, c.code, 'a column is wrong', 'feed',
    'CS_991_CST_CSC_' || n / 5000 || '.DAT', n / 5000, n % 5000 + 2, 0, 1,
    CAST(:start AS timestamptz) + n * interval '4 s', CAST(:start AS timestamptz) + n * interval '4 s',
    decode(repeat('00', 600), 'hex'),
    concat_ws(chr(58), c.code, 'people.records', t.type),
    ARRAY[md5('p' || n % 200000), md5('e' || n % 200000)], md5('s' || n),
    CASE WHEN n % 1000 = 0 THEN 'person' || n % 7 ELSE '' END
FROM generate_series(CAST(:first AS int), CAST(:last AS int)) AS n
CROSS JOIN LATERAL (SELECT CASE WHEN n % 10 < 9 THEN 'open' ELSE 'resolved' END AS state) s
CROSS JOIN LATERAL (SELECT CASE WHEN n % 1000 = 7 THEN 'R999' WHEN n % 10 < 7 THEN 'R103' WHEN n % 10 < 9 THEN 'R101'
    ELSE 'R902' END AS code) c
CROSS JOIN LATERAL (SELECT CASE WHEN n % 3 = 0 THEN 'assignment.upsert' ELSE 'person.upsert' END AS type) t
"""

STAFF = """
INSERT INTO console.letter_staff (vpd, hash, letter) SELECT :vpd, unnest(ARRAY[md5('p' || n % 200000),
    md5('e' || n % 200000)]), md5(CAST(n AS text)) FROM generate_series(CAST(:first AS int), CAST(:last AS int)) AS n
"""


async def fill(admin: AsyncEngine) -> bytes:
    async with admin.begin() as connection:
        key = await store.staff_key(connection, VPD)
    for first in range(0, LETTERS, 100_000):
        async with admin.begin() as connection:
            last = min(first + 100_000, LETTERS) - 1
            await connection.execute(text(FILL), {"vpd": VPD, "start": START, "first": first, "last": last})
        async with admin.begin() as connection:
            await connection.execute(text(STAFF), {"vpd": VPD, "first": first, "last": last})
    async with admin.connect() as connection:
        raw = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await raw.execute(text("VACUUM ANALYZE console.dead_letters, console.letter_staff"))
    return key


def searches(key: bytes) -> dict[str, Callable[[], Search]]:
    def moment() -> datetime:
        return START + timedelta(seconds=4 * DICE.randrange(LETTERS))

    def file() -> str:
        return f"CS_991_CST_CSC_{DICE.randrange(LETTERS // 5000)}.DAT"

    return {
        "open": Search,
        "by code": lambda: Search(code=DICE.choice(["R103", "R101"])),
        "by rare code": lambda: Search(code="R999"),
        "by code that is not there": lambda: Search(code="R111"),
        "by type": lambda: Search(type="assignment.upsert"),
        "by cause": lambda: Search(cause="R103:people.records:person.upsert"),
        "by code and type": lambda: Search(code="R999", type="assignment.upsert"),
        "by file": lambda: Search(file=file()),
        "by file and line": lambda: Search(file=file(), line=DICE.randrange(2, 5000), state=None),
        "by staff number": lambda: Search(staff_hash=staff_hash(key, VPD, str(DICE.randrange(200_000))), state=None),
        "by staff number that is there": lambda: Search(staff_hash=_md5(f"p{DICE.randrange(200_000)}"), state=None),
        "by assignee": lambda: Search(assignee=f"person{DICE.randrange(7)}"),
        "unassigned, rare code": lambda: Search(code="R999", unassigned=True),
        "since": lambda: Search(since=moment()),
        "until": lambda: Search(until=moment()),
        "code since": lambda: Search(code="R101", since=moment()),
        "resolved": lambda: Search(state="resolved"),
        "nothing held": lambda: Search(held=True),
    }


def _md5(said: str) -> str:
    return hashlib.md5(said.encode()).hexdigest()


async def percentile(reader: Reader, ask: Callable[[AsyncConnection], Awaitable[Any]]) -> float:
    took = []
    for _ in range(TIMES):
        begin = time.perf_counter()
        async with reader.trust(VPD) as connection:
            await ask(connection)
        took.append(time.perf_counter() - begin)
    return round(1000 * sorted(took)[int(0.95 * TIMES)], 1)


async def main() -> None:
    now = START + timedelta(days=90)
    with tempfile.TemporaryDirectory() as folder, postgres(Path(folder), prefer_wheel=True) as server:
        admin = make_engine(server.url, name="bench", statement_seconds=None)
        passwords = dict.fromkeys(SERVICES, "bench")
        await migrate(admin, passwords)
        key = await fill(admin)
        engine = make_engine(as_role(server.url, "console", "bench"), name="bench")
        reader, found = Reader(engine, "console"), {}
        for name, search in searches(key).items():
            found[name] = await percentile(reader, lambda c, s=search: page(c, VPD, s(), now))  # type: ignore[misc]
            print(f"{found[name]:>9.1f} ms  {name}", flush=True)
        deep = await middle(reader)
        found["a page in the middle"] = await percentile(reader, lambda c: page(c, VPD, Search(), now, after=deep))
        found["groups"] = await percentile(reader, lambda c: groups(c, VPD))
        found["oldest"] = await percentile(reader, lambda c: oldest(c, VPD, now))
        for name in ("a page in the middle", "groups", "oldest"):
            print(f"{found[name]:>9.1f} ms  {name}", flush=True)
        await engine.dispose()
        await admin.dispose()
    path = Path(__file__).parent / "results" / "dead_letters.json"
    path.write_text(json.dumps({"letters": LETTERS, "p95_ms": found}, indent=2) + "\n")


async def middle(reader: Reader) -> str:
    async with reader.trust(VPD) as connection:
        return str(
            await connection.scalar(
                text("SELECT id FROM console.dead_letters WHERE file_no = :file AND line = 100"),
                {"file": LETTERS // 10_000},
            )
        )


if __name__ == "__main__":
    asyncio.run(main())
