"""Finds files and archives them."""

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import structlog

from services.ingest import store
from services.ingest.archive import Archive
from services.ingest.source import Source
from services.ingest.store import Arrival
from shared import events
from shared.db.unit import Work
from shared.esr.faults import FileCode

FOLDERS: Final = {"esr": "from-esr", "lms": "from-lms", "trust": "from-trust"}

_Found = tuple[Path, int, int]
"""A path, its size and its time of change in nanoseconds."""

log = structlog.get_logger(__name__)


class Door:
    """Looks at the folders of every trust. What it is given it neither moves nor changes."""

    def __init__(
        self,
        work: Work,
        sources: Mapping[tuple[str, str], Source],
        files: Path,
        archive: Archive,
        settle_seconds: float,
    ) -> None:
        self._work = work
        self._sources = sources
        self._files = files
        self._archive = archive
        self._settle_seconds = settle_seconds
        self._seen: dict[Path, tuple[int, int]] = {}
        self.taken = 0
        """Files taken in this life of the process."""

    async def run(self) -> int:
        """Take new files; return how many there were. Raises StorageUnavailableError when they cannot be kept."""
        taken = 0
        for vpd, origin in self._sources:
            found = await asyncio.to_thread(self._candidates, vpd, origin)
            for path in await self._unknown(vpd, origin, found):
                taken += await self._take(vpd, origin, path)
        self.taken += taken
        return taken

    def _candidates(self, vpd: str, origin: str) -> list[_Found]:
        """Return files that are new or changed here and have stood still for a while."""
        folder = self._files / vpd / FOLDERS[origin]
        if not folder.is_dir():
            return []
        found: list[_Found] = []
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
                found.append((path, stat.st_size, stat.st_mtime_ns))
        return found

    async def _unknown(self, vpd: str, origin: str, found: Sequence[_Found]) -> list[Path]:
        """Leave out what was taken before, in this life of the process or an earlier one, without reading it again."""
        if not found:
            return []
        names = [self._sources[vpd, origin].name_of(_shown(path)) for path, _, _ in found]
        places = [(name, size, mtime) for name, (_, size, mtime) in zip(names, found, strict=True)]
        async with self._work.engine.connect() as connection:
            known = await store.known(connection, vpd, places)
        for (path, size, mtime), place in zip(found, places, strict=True):
            if place in known:
                self._seen[path] = (size, mtime)
        return [path for (path, _, _), place in zip(found, places, strict=True) if place not in known]

    async def _take(self, vpd: str, origin: str, path: Path) -> int:
        try:
            taken = await asyncio.to_thread(self._archive.keep, vpd, path)
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
            cause = events.Cause("", name, 0)
            if outcome == store.NEW:
                unit.emit(events.FileReceived(vpd=vpd, cause=cause, status="received"), name, sha256)
            elif outcome != store.KNOWN:
                repeated = events.FileRepeated(vpd=vpd, cause=cause, status="ignored", code=FileCode.F007)
                unit.emit(repeated, name, sha256, outcome)
                log.info("file already taken; ignored", vpd=vpd, code=FileCode.F007)
        self._seen[path] = (stat.st_size, stat.st_mtime_ns)
        return int(outcome != store.KNOWN)


def _shown(path: Path) -> str:
    """Return a file's name as text: a name may hold bytes that are not UTF-8, which no database would take."""
    return os.fsencode(path.name).decode("utf-8", "replace")
