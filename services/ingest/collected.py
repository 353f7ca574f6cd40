"""The SQL of collecting: which files were fetched before, and who may fetch now."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.ingest.schema import COLLECTED
from shared.transport.port import Entry


@asynccontextmanager
async def turn(engine: AsyncEngine, vpd: str, folder: str) -> AsyncIterator[bool]:
    """Hold a connection's turn; yield whether it was free. Replicas leave a connection to whoever has its turn."""
    async with engine.begin() as connection:
        yield bool(await connection.scalar(_TURN, {"key": f"collect/{vpd}/{folder}"}))


async def fresh(connection: AsyncConnection, vpd: str, folder: str, listed: Sequence[Entry]) -> set[Entry]:
    """Return what was never fetched before: a file of known name with another size or time is another file."""
    rows = await connection.execute(
        _FRESH,
        {
            "vpd": vpd,
            "folder": folder,
            "name": [entry.name for entry in listed],
            "size": [entry.size for entry in listed],
            "mtime_ns": [entry.mtime_ns for entry in listed],
        },
    )
    return {Entry(row.name, row.size, row.mtime_ns) for row in rows}


async def note(connection: AsyncConnection, vpd: str, folder: str, entry: Entry, sha256: str, moment: datetime) -> None:
    """Note that a file was fetched and stands whole in our folder."""
    row = insert(COLLECTED).values(
        vpd=vpd,
        folder=folder,
        name=entry.name,
        size=entry.size,
        mtime_ns=entry.mtime_ns,
        sha256=sha256,
        collected_at=moment,
    )
    await connection.execute(row.on_conflict_do_nothing())


_TURN: Final = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:key, 8))")

_FRESH: Final = text(
    "SELECT l.name, l.size, l.mtime_ns FROM unnest(CAST(:name AS text[]), CAST(:size AS bigint[]), "
    "CAST(:mtime_ns AS bigint[])) AS l(name, size, mtime_ns) WHERE NOT EXISTS (SELECT FROM ingest.collected c "
    "WHERE (c.vpd, c.folder, c.name, c.size, c.mtime_ns) = (:vpd, :folder, l.name, l.size, l.mtime_ns))"
)
