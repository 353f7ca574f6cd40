"""Finds files, archives them, checks their structure and rules on their order."""

import asyncio
import hashlib
import os
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import structlog

from services.ingest import store
from services.ingest.domain import Ruling, rule
from services.ingest.source import Source
from services.ingest.store import Arrival
from shared import events
from shared.db.unit import Unit, Work

FOLDERS: Final = {"esr": "from-esr", "lms": "from-lms"}

CHUNK: Final = 1024 * 1024

log = structlog.get_logger(__name__)


class Door:
    """Looks at the folders of every trust. What it is given it neither moves nor changes."""

    def __init__(
        self, work: Work, sources: Mapping[tuple[str, str], Source], files: Path, archive: Path, settle_seconds: float
    ) -> None:
        self._work = work
        self._sources = sources
        self._files = files
        self._archive = archive
        self._settle_seconds = settle_seconds
        self._seen: dict[Path, tuple[int, int]] = {}

    async def run(self) -> int:
        """Take new files, check them, and let in those whose turn it is; return how many things changed."""
        changed = 0
        for vpd, origin in self._sources:
            for path in await asyncio.to_thread(self._candidates, vpd, origin):
                changed += await self._take(vpd, origin, path)
        return changed + await self._check() + await self._rule()

    def _candidates(self, vpd: str, origin: str) -> list[Path]:
        """Return files that are new or changed here and have stood still for a while."""
        folder = self._files / vpd / FOLDERS[origin]
        if not folder.is_dir():
            return []
        found: list[Path] = []
        for path in sorted(folder.iterdir()):
            if path.name.startswith(".") or path.name.endswith((".part", ".tmp")) or not path.is_file():
                continue
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            # A sender's clock may be ahead: what counts is that the file is not being written now.
            settled = abs(time.time() - stat.st_mtime) >= self._settle_seconds
            if settled and self._seen.get(path) != (stat.st_size, stat.st_mtime_ns):
                found.append(path)
        return found

    async def _take(self, vpd: str, origin: str, path: Path) -> int:
        try:
            taken = await asyncio.to_thread(self._copy, vpd, path)
        except OSError as error:  # unreadable, or collected by someone else: the others must not wait for it
            log.warning("file cannot be read", vpd=vpd, error=type(error).__name__)
            return 0
        if taken is None:
            return 0  # it is still being written: looked at again next time
        sha256, stat = taken
        name = self._sources[vpd, origin].name_of(_shown(path))
        arrival = Arrival(vpd, name, sha256, origin, stat.st_size, stat.st_mtime_ns)
        async with self._work.unit() as unit:
            outcome = await store.add(unit.connection, arrival, self._work.clock.now())
            if outcome == "new":
                said = events.FileReceived(vpd=vpd, cause=events.Cause("", name, 0), status="received")
                unit.emit(said, name, sha256)
        self._seen[path] = (stat.st_size, stat.st_mtime_ns)
        if outcome == "again":
            log.info("file already taken; ignored", vpd=vpd, file=name, code="F007")
        return int(outcome == "new")

    def _copy(self, vpd: str, path: Path) -> tuple[str, os.stat_result] | None:
        """Copy a file into the archive under the checksum of what was read; None when it changed meanwhile."""
        before = path.stat()
        folder = self._archive / vpd
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{uuid.uuid4().hex}.part"
        digest = hashlib.sha256()
        with path.open("rb") as source, temporary.open("wb") as target:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
        stat = path.stat()
        if (before.st_size, before.st_mtime_ns) != (stat.st_size, stat.st_mtime_ns):
            temporary.unlink()
            return None
        temporary.replace(self.archived(vpd, digest.hexdigest()))
        return digest.hexdigest(), stat

    def archived(self, vpd: str, sha256: str) -> Path:
        """Return where a file's bytes are kept."""
        return self._archive / vpd / f"{sha256}.dat"

    async def _check(self) -> int:
        async with self._work.engine.connect() as connection:
            waiting = await store.unchecked(connection, sorted({vpd for vpd, _ in self._sources}))
        for row in waiting:
            source = self._sources[row.vpd, row.origin]
            path = self.archived(row.vpd, row.sha256)
            checked = await asyncio.to_thread(source.check, path, row.name, row.vpd)
            async with self._work.unit() as unit:
                await store.lock_trust(unit.connection, row.vpd)
                noted = await store.set_checked(unit.connection, row.vpd, row.name, row.sha256, checked)
                if noted and checked.faults:
                    code = checked.faults[0].code
                    cause = events.Cause("", row.name, 0)
                    said = events.FileQuarantined(vpd=row.vpd, cause=cause, status="quarantined", code=code)
                    unit.emit(said, row.name, row.sha256)
                    # A name that is not the profile's may be anything, a person's too: it stays out of the log.
                    log.warning("file quarantined", vpd=row.vpd, file=row.name if checked.stream else "", code=code)
        return len(waiting)

    async def _rule(self) -> int:
        changed = 0
        async with self._work.engine.connect() as connection:
            waiting = await store.streams_with_waiting(connection)
        for vpd, stream in waiting:
            async with self._work.unit() as unit:
                await store.lock_trust(unit.connection, vpd)
                for ruling in rule(stream, await store.of_stream(unit.connection, vpd, stream)):
                    await store.apply_ruling(unit.connection, vpd, ruling)
                    _announce(unit, vpd, stream, ruling)
                    changed += 1
        return changed


def _shown(path: Path) -> str:
    """Return a file's name as text: a name may hold bytes that are not UTF-8, which no database would take."""
    return os.fsencode(path.name).decode("utf-8", "replace")


def _announce(unit: Unit, vpd: str, stream: str, ruling: Ruling) -> None:
    cause = events.Cause(stream, ruling.file.name, ruling.file.number)
    if ruling.status == "held":
        said: events.FileEvent = events.FileHeld(vpd=vpd, cause=cause, status="held", code=ruling.code)
    elif ruling.status == "refused":
        said = events.FileQuarantined(vpd=vpd, cause=cause, status="refused", code=ruling.code)
    else:
        return
    unit.emit(said, ruling.file.name, ruling.file.sha256, ruling.code)
    log.warning("file not applied", vpd=vpd, file=ruling.file.name, status=ruling.status, code=ruling.code)
