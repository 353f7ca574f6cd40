"""Locks, always taken in this order: confirmation files, completion files, then rows. Each kind in key order."""

# ruff: noqa: S608 - statements are made of constants

from collections.abc import Iterable
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

FileKey = tuple[str, str]
"""(trust, file name)."""


async def sent_files(connection: AsyncConnection, files: Iterable[FileKey]) -> dict[FileKey, int]:
    """Lock completion files, making rows for new ones; return how many items each is known to have."""
    wanted = sorted(set(files))
    if not wanted:
        return {}
    columns = {"vpd": [vpd for vpd, _ in wanted], "file": [file for _, file in wanted]}
    await connection.execute(_CREATE, columns)
    return {(row.vpd, row.sent_file): row.sent for row in await connection.execute(_LOCK, columns)}


_FILES: Final = "unnest(CAST(:vpd AS text[]), CAST(:file AS text[])) AS t(vpd, sent_file)"

_CREATE: Final = text(
    f"INSERT INTO confirmations.sent_files (vpd, sent_file) SELECT t.vpd, t.sent_file FROM {_FILES} ORDER BY 1, 2 "
    "ON CONFLICT (vpd, sent_file) DO NOTHING"
)

_LOCK: Final = text(
    f"SELECT f.vpd, f.sent_file, f.sent FROM confirmations.sent_files f JOIN {_FILES} USING (vpd, sent_file) "
    "ORDER BY f.vpd, f.sent_file FOR UPDATE OF f"
)
