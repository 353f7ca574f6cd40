"""What left for ESR before records were items of their own is an item after the migration, and back again."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any, Final

import pytest
from alembic import command
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db.engine import make_engine
from shared.db.migrate import config_for

CONTENT: Final = '{"competence_id": "5001", "achieved_on": "2026-03-01", "person_id": "1", "cause": {}}'
BEFORE: Final = (
    (
        "INSERT INTO outbound.accounts (vpd, person_id, revision, file_no, person, dirty) "
        "VALUES ('999', '1', 7, 1, '{}', false)"
    ),
    (
        "INSERT INTO outbound.outfiles (vpd, number, name, current_run, content, delivered_at) VALUES "
        "('999', 1, 'F1', '2026-03-03 18:00', 'abc', '2026-03-03 18:01+00'), "
        "('999', 2, 'F2', '2026-07-04 18:00', 'def', NULL)"
    ),
    (
        "INSERT INTO outbound.completions (vpd, person_id, key, revision, file_no, content, state, code, reference, "
        f"sent_file, position) VALUES ('999', '1', 'a', 3, 1, '{CONTENT}', 'rejected', 'B202', 'R1', 'F1', 1), "
        f"('999', '1', 'b', 3, 1, '{CONTENT}', 'written', '', 'R2', 'F2', 1), "
        f"('999', '1', 'c', 3, 1, '{CONTENT}', 'waiting', '', NULL, NULL, NULL)"
    ),
)


@pytest.fixture
async def admin(database: str) -> AsyncIterator[AsyncEngine]:
    engine = make_engine(database, name="test", pool=2)
    yield engine
    await engine.dispose()


async def go(admin: AsyncEngine, way: str, revision: str) -> None:
    def run(connection: Connection) -> None:
        getattr(command, way)(config_for("outbound", connection), revision)

    async with admin.begin() as connection:
        await connection.run_sync(run)


async def ask(admin: AsyncEngine, query: str) -> list[Mapping[str, Any]]:
    async with admin.connect() as connection:
        return [dict(row) for row in (await connection.execute(text(query))).mappings()]


async def test_what_was_sent_becomes_an_item_and_what_waits_or_was_refused_is_decided_on_again(
    admin: AsyncEngine,
) -> None:
    await go(admin, "downgrade", "outbound_0004")
    async with admin.begin() as connection:
        for statement in BEFORE:
            await connection.exec_driver_sql(statement)
    await go(admin, "upgrade", "head")
    first, second = await ask(admin, "SELECT * FROM outbound.items ORDER BY sent_file")
    assert (first["reference"], first["change"], first["state"], first["code"]) == ("R1", "new", "rejected", "B202")
    assert (first["person_revision"], first["file_number"]) == (7, 1)
    assert first["sent_at"] == first["written_at"]
    assert (second["state"], second["sent_at"]) == ("written", None)
    assert second["written_at"] == datetime.fromisoformat("2026-07-04T17:00+00:00")
    looked_at = await ask(admin, "SELECT key FROM outbound.completions WHERE look_on IS NOT NULL ORDER BY key")
    assert [one["key"] for one in looked_at] == ["a", "c"]
    files = await ask(admin, "SELECT announced, records, sha256 FROM outbound.outfiles ORDER BY number")
    assert [(one["announced"], one["records"], one["sha256"][:6]) for one in files] == [
        (True, 1, "ba7816"), (False, 1, "cb8379"),
    ]  # fmt: skip
    await go(admin, "downgrade", "outbound_0004")
    rows = await ask(admin, "SELECT key, reference, sent_file, position, state FROM outbound.completions ORDER BY key")
    assert [tuple(one.values()) for one in rows] == [
        ("a", "R1", "F1", 1, "rejected"), ("b", "R2", "F2", 1, "written"), ("c", None, None, None, "waiting"),
    ]  # fmt: skip
