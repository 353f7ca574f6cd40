"""Raw files as they were taken: kept under their checksum, removed at the end of their retention."""

import asyncio
import hashlib
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final

import structlog
from sqlalchemy import Row, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.ingest.schema import FILES
from services.ingest.store import is_arrival
from shared import events
from shared.config import TrustConfig
from shared.db.unit import Work
from shared.errors import StorageUnavailableError

CHUNK: Final = 1024 * 1024

LEFT_BEHIND_SECONDS: Final = 24 * 3600
"""Age at which an unfinished copy is certain to be left over from a crash."""

log = structlog.get_logger(__name__)


class Archive:
    """A folder a trust: ``<sha256>.dat`` for each file taken, ``answers/`` for confirmations as they were sent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, vpd: str, sha256: str) -> Path:
        """Return where a file's bytes are kept."""
        return self._folder / vpd / f"{sha256}.dat"

    def keep(self, vpd: str, path: Path) -> tuple[str, os.stat_result] | None:
        """Copy a file under the checksum of what was read; return both, None when it changed meanwhile.

        Raises OSError when the file cannot be read, StorageUnavailableError when it cannot be written down.
        """
        before = path.stat()
        with path.open("rb") as source:
            temporary, sha256 = self._copy(vpd, source)
        stat = path.stat()
        if (before.st_size, before.st_mtime_ns) != (stat.st_size, stat.st_mtime_ns):
            temporary.unlink()
            return None
        temporary.replace(self.path(vpd, sha256))
        return sha256, stat

    def _copy(self, vpd: str, source: BinaryIO) -> tuple[Path, str]:
        folder = self._folder / vpd
        temporary = folder / f".{uuid.uuid4().hex}.part"
        digest = hashlib.sha256()
        try:
            with _writing():
                folder.mkdir(parents=True, exist_ok=True)
                target = temporary.open("wb")
            with target:
                while chunk := source.read(CHUNK):
                    digest.update(chunk)
                    with _writing():
                        target.write(chunk)
                with _writing():
                    target.flush()
                    os.fsync(target.fileno())
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return temporary, digest.hexdigest()

    def clear(self, vpd: str, before: datetime) -> None:
        """Remove unfinished copies, and confirmations that were written before a moment."""
        folder = self._folder / vpd
        for part in folder.glob(".*.part"):
            if time.time() - part.stat().st_mtime > LEFT_BEHIND_SECONDS:
                part.unlink(missing_ok=True)
        for answer in (folder / "answers").glob("*"):
            if answer.stat().st_mtime < before.timestamp():
                answer.unlink(missing_ok=True)


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageUnavailableError(f"a file cannot be archived: {error.strerror or type(error).__name__}") from error


class Purge:
    """Removes raw files whose retention has ended, and reports it.

    Names, checksums and accounts stay for ever. A file that waits for anybody is never removed.
    """

    def __init__(self, work: Work, trusts: Sequence[TrustConfig], archive: Archive) -> None:
        self._work = work
        self._days: Mapping[str, int] = {trust.vpd: trust.archive_days for trust in trusts}
        self._archive = archive

    async def trust(self, vpd: str) -> int:
        """Purge a trust's files; return how many were removed."""
        before = self._work.clock.now() - timedelta(days=self._days[vpd])
        async with self._work.unit() as unit:
            rows = await _outlived(unit.connection, vpd, before)
            for row in rows:
                await asyncio.to_thread(self._archive.path(vpd, row.sha256).unlink, missing_ok=True)
                await unit.connection.execute(
                    update(FILES).where(is_arrival(vpd, row.name, row.sha256)).values(purged_at=self._work.clock.now())
                )
            if rows:
                size = sum(row.size for row in rows)
                said = events.ArchivePurged(vpd=vpd, cause=events.Cause("", "", 0), files=len(rows), size=size)
                unit.emit(said, before.isoformat())
                log.info("archive purged", vpd=vpd, count=len(rows))
        await asyncio.to_thread(self._archive.clear, vpd, before)
        return len(rows)


async def _outlived(connection: AsyncConnection, vpd: str, before: datetime) -> Sequence[Row[*tuple[Any, ...]]]:
    return (await connection.execute(_OUTLIVED, {"vpd": vpd, "before": before})).all()


# The same bytes under another name that is still at work share the one copy.
_OUTLIVED: Final = text(
    "SELECT name, sha256, size FROM ingest.files f WHERE vpd = :vpd AND purged_at IS NULL AND received_at < :before "
    "AND status IN ('complete', 'quarantined', 'refused', 'discarded') AND answered AND NOT EXISTS ("
    "SELECT 1 FROM ingest.files o WHERE o.vpd = f.vpd AND o.sha256 = f.sha256 AND o.purged_at IS NULL "
    "AND (o.received_at >= :before OR NOT o.answered)) FOR UPDATE"
)
