"""The SQL of delivering: which files the other sides hold."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.outbound.tables import DELIVERED


async def held(
    connection: AsyncConnection, vpd: str, folder: str, files: Sequence[tuple[str, str]]
) -> set[tuple[str, str]]:
    """Return which of these files, given as name and SHA-256, were delivered before."""
    names, sums = [name for name, _ in files], [sha256 for _, sha256 in files]
    rows = await connection.execute(_HELD, {"vpd": vpd, "folder": folder, "name": names, "sha256": sums})
    return {(row.name, row.sha256) for row in rows}


async def note(
    connection: AsyncConnection, vpd: str, folder: str, name: str, sha256: str, size: int, moment: datetime
) -> None:
    """Note that the other side holds a file whole."""
    row = insert(DELIVERED).values(vpd=vpd, folder=folder, name=name, sha256=sha256, size=size, delivered_at=moment)
    await connection.execute(row.on_conflict_do_nothing())


_HELD: Final = text(
    "SELECT d.name, d.sha256 FROM outbound.delivered d JOIN unnest(CAST(:name AS text[]), CAST(:sha256 AS text[])) "
    "AS f(name, sha256) ON (d.vpd, d.folder, d.name, d.sha256) = (:vpd, :folder, f.name, f.sha256)"
)
