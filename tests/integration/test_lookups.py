"""What a batch reads does not grow with what is stored, even while the database knows nothing of its tables yet."""

from collections.abc import AsyncIterator, Mapping

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from esrbridge.embedded import as_role
from services.people import store
from services.people.store import Row
from shared.db.engine import make_engine
from shared.db.facts import FactStore
from shared.events import Person
from shared.facts import Deletion, Fact, Version

FACTS = FactStore("people")
VPD = "999"
STORED = 15_000
BATCH = 500
MOST_ROWS = 4 * BATCH
"""Rows a statement may touch: those of the batch, each by more than one way perhaps."""


@pytest.fixture
async def connection(module_database: str, passwords: Mapping[str, str]) -> AsyncIterator[AsyncConnection]:
    """A transaction in which a trust has a lot that was never analysed; nothing of it stays."""
    engine: AsyncEngine = make_engine(as_role(module_database, "people", passwords["people"]), name="test", pool=1)
    async with engine.connect() as opened:
        await opened.execute(text(_FACTS))
        await opened.execute(text(_PEOPLE))
        yield opened
        await opened.rollback()
    await engine.dispose()


async def test_storing_facts_reads_no_more_than_these_facts(connection: AsyncConnection) -> None:
    before = await _read(connection, "facts")
    await FACTS.save(connection, [_fact(number, file_no=2) for number in range(BATCH)])
    assert await _read(connection, "facts") - before <= MOST_ROWS


async def test_asking_for_facts_reads_no_more_than_these_facts(connection: AsyncConnection) -> None:
    before = await _read(connection, "facts")
    found = await FACTS.live(connection, [(VPD, _key(number)) for number in range(BATCH)])
    assert sum(map(len, found.values())) == BATCH
    assert await _read(connection, "facts") - before <= MOST_ROWS


async def test_asking_whose_facts_are_reads_no_more_than_these_facts(connection: AsyncConnection) -> None:
    before = await _read(connection, "facts")
    said = [Deletion(VPD, "person", _key(number), Version("B.DAT", 2, number)) for number in range(BATCH)]
    assert len(await FACTS.owners(connection, said)) == BATCH
    assert await _read(connection, "facts") - before <= MOST_ROWS


async def test_locking_and_storing_people_reads_no_more_than_these_people(connection: AsyncConnection) -> None:
    before = await _read(connection, "people")
    keys = [(VPD, _key(number)) for number in range(BATCH)]
    assert len(await store.lock(connection, keys)) == BATCH
    await store.save(connection, [Row(key, Person(key[1], "employee"), 2, None, "") for key in keys])
    assert await _read(connection, "people") - before <= MOST_ROWS


def _fact(number: int, file_no: int) -> Fact:
    return Fact(VPD, "person", _key(number), "", _key(number), Version("B.DAT", file_no, number + 1), {"a": "b"})


def _key(number: int) -> str:
    return f"{number * (STORED // BATCH):07d}"


async def _read(connection: AsyncConnection, table: str) -> int:
    """Return how many rows of a table this transaction has read so far, by whichever way."""
    return int((await connection.execute(text(_ROWS), {"table": table})).scalar_one())


_NUMBERED = f"(SELECT n, lpad(CAST(n AS text), 7, '0') AS key FROM generate_series(0, {STORED - 1}) n) numbered"

_FACTS = f"""
INSERT INTO people.facts (vpd, entity, key, slice, owner, file, file_no, line, data)
SELECT '{VPD}', 'person', key, '', key, 'A.DAT', 1, n + 1, jsonb_build_object('a', 'a') FROM {_NUMBERED}
"""

_PEOPLE = f"""
INSERT INTO people.people (vpd, person_id, state, revision, person, file_no)
SELECT '{VPD}', key, 'unknown', 0, jsonb_build_object('person_id', key, 'state', 'unknown'), 1 FROM {_NUMBERED}
"""

_ROWS = """
SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables
WHERE schemaname = 'people' AND relname = :table
"""
