"""Which trusts' LMS have something to do, asked after every batch of events: what waits for its file is not read."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.outbound import due
from shared.db.engine import make_engine
from tests.service.plans import most_rows

DAY: Final = date(2026, 3, 3)
NOW: Final = datetime(2026, 3, 3, 6, tzinfo=UTC)
MANY: Final = 5_000

ACCOUNTS: Final = """
INSERT INTO outbound.accounts (vpd, person_id, revision, file_no, person, dirty, jobs_dirty, seen)
SELECT :vpd, CAST(n AS text), 1, :file_no, '{}', :dirty, true, CAST(:seen AS jsonb) FROM generate_series(1, :many) n
"""
DELIVERIES: Final = """
INSERT INTO outbound.deliveries (vpd, person_id, key, revision, file_no, kind, content, state)
SELECT :vpd, CAST(n AS text), 'k', 1, :file_no, 'certification', '{"a": 1}', 'wanted' FROM generate_series(1, :many) n
"""


@pytest.fixture
async def outbound(database: str) -> AsyncIterator[AsyncConnection]:
    engine = make_engine(database, name="test")
    async with engine.connect() as connection:
        yield connection
    await engine.dispose()


async def fill(connection: AsyncConnection, statement: str, vpd: str = "991", **said: Any) -> None:
    about = {"vpd": vpd, "file_no": 7, "many": 1} | said
    if statement is ACCOUNTS:
        about = {"dirty": True, "seen": None} | about
    await connection.execute(text(statement), about)


async def gate(connection: AsyncConnection, upto: int, vpd: str = "991", stream: str = "feed") -> None:
    said = {"vpd": vpd, "upto": upto, "stream": stream}
    await connection.execute(text("DELETE FROM outbound.gates WHERE vpd = :vpd AND stream = :stream"), said)
    await connection.execute(text("INSERT INTO outbound.gates VALUES (:vpd, :stream, :upto)"), said)


async def told(connection: AsyncConnection, *vpds: str) -> set[str]:
    return await due.trusts(connection, vpds or ("991", "992"), DAY, NOW)


async def test_an_account_is_due_once_its_file_is_accounted_for_and_only_in_its_trust(
    outbound: AsyncConnection,
) -> None:
    await fill(outbound, ACCOUNTS)
    await fill(outbound, ACCOUNTS, "992", dirty=False)
    assert await told(outbound) == set()
    await gate(outbound, 6)
    await gate(outbound, 99, stream="people")
    assert await told(outbound) == set()
    await gate(outbound, 7)
    assert await told(outbound) == {"991"}
    assert await told(outbound, "992") == set()


async def test_an_account_that_rests_on_no_file_is_due_where_no_gate_was_ever_opened(outbound: AsyncConnection) -> None:
    await fill(outbound, ACCOUNTS, file_no=0)
    assert await told(outbound) == {"991"}


async def test_what_may_have_been_done_is_due_when_it_can_be_looked_up_and_a_day_that_came_is_due(
    outbound: AsyncConnection,
) -> None:
    await gate(outbound, 7)
    await fill(outbound, ACCOUNTS)
    await outbound.execute(text("UPDATE outbound.accounts SET not_before = '2026-03-03 06:00:01+00'"))
    assert await told(outbound) == set()
    await outbound.execute(text("UPDATE outbound.accounts SET not_before = '2026-03-03 06:00:00+00'"))
    assert await told(outbound) == {"991"}
    await outbound.execute(text("UPDATE outbound.accounts SET dirty = false, look_on = '2026-03-04'"))
    assert await told(outbound) == set()
    await outbound.execute(text("UPDATE outbound.accounts SET look_on = '2026-03-03'"))
    assert await told(outbound) == {"991"}


@pytest.mark.parametrize("state", ["wanted", "withdrawing"])
async def test_an_achievement_is_due_when_its_person_has_an_account_and_its_file_is_accounted_for(
    outbound: AsyncConnection, state: str
) -> None:
    await gate(outbound, 6)
    await fill(outbound, ACCOUNTS, file_no=1, dirty=False)
    await fill(outbound, DELIVERIES)
    await outbound.execute(text(f"UPDATE outbound.deliveries SET state = '{state}'"))
    await outbound.execute(text("UPDATE outbound.accounts SET seen = '{}', jobs_dirty = false"))
    assert await told(outbound) == set()
    await gate(outbound, 7)
    assert await told(outbound) == {"991"}
    await outbound.execute(text("UPDATE outbound.accounts SET seen = NULL"))
    assert await told(outbound) == set()


@pytest.mark.parametrize("known", [True, False])
async def test_what_a_file_that_still_comes_in_has_brought_is_not_read_also_where_statistics_are_older(
    outbound: AsyncConnection, known: bool
) -> None:
    for table in ("accounts", "deliveries"):
        await outbound.execute(text(f"ALTER TABLE outbound.{table} SET (autovacuum_enabled = off)"))
    await gate(outbound, 6)
    await fill(outbound, ACCOUNTS, "992", dirty=False, many=MANY // 5)
    await outbound.execute(text("ANALYZE outbound.accounts, outbound.deliveries, outbound.gates"))
    await fill(outbound, ACCOUNTS, many=MANY)
    await fill(outbound, DELIVERIES, many=MANY)
    if known:
        await outbound.execute(text("ANALYZE outbound.accounts, outbound.deliveries"))
    said: Mapping[str, Any] = {"vpds": ["991", "992"], "day": DAY, "now": NOW}
    assert await most_rows(outbound, due._TRUSTS, said) < 100
