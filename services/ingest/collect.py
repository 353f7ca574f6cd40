"""Fetches files from other sides into the trusts' folders, where the door finds them like any others.

A file is taken once it has stood still, it appears in the folder whole or not at all, and which were taken is
remembered for ever by name, size and time. Whether a file that comes again is a mistake is for the door to say.
"""

import asyncio
from collections.abc import Mapping, Set
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from services.ingest import collected
from shared.config import BridgeConfig
from shared.db.unit import Work
from shared.errors import TransportFolderError, TransportUnavailableError
from shared.transport.local import Landing, clear_unfinished
from shared.transport.names import wanted_by
from shared.transport.port import Entry, Session
from shared.transport.remote import connections, make_remote
from shared.transport.rounds import CARRIED, Done, Line, Pace, Rounds
from shared.transport.settings import Connection

JOB: Final = "collect"

PATTERNS: Final = {"esr": "*.DAT", "lms": "*.csv"}
"""Names that are collected when the connection says nothing of them."""

log = structlog.get_logger(__name__)


class Collector:
    """Visits the other side of every trust that has one."""

    def __init__(
        self, work: Work, config: BridgeConfig, files: Path, settle_seconds: float, pace: Pace | None = None
    ) -> None:
        """Read the secret files of all connections. Raises ConfigurationError."""
        self._work = work
        self._pace = pace or Pace()
        self._settle_seconds = settle_seconds
        places = {
            line: _Place(line, connection, files / line.vpd / f"from-{line.folder}")
            for line, connection in connections(config).items()
            if connection.collect_from
        }
        self._rounds = Rounds(JOB, {line: partial(self._visit, place) for line, place in places.items()}, self._pace)

    @property
    def waiting(self) -> Mapping[str, str]:
        """Code of the last failure of each connection that waits, by trust and folder."""
        return self._rounds.waiting

    async def run(self) -> int:
        """Visit the connections that are due; return how many files came, at least 1 while a visit goes on."""
        return await self._rounds.run()

    async def _visit(self, place: "_Place") -> Done:
        async with (
            place.remote.open() as session,
            self._rounds.at_work,
            collected.turn(self._work.engine, place.line.vpd, place.key) as free,
        ):
            if not free:
                return Done(0, place.connection.every_seconds)
            await asyncio.to_thread(clear_unfinished, place.local)
            return await self._collect(place, session)

    async def _collect(self, place: "_Place", session: Session) -> Done:
        listed = await session.entries(place.folder, place.wanted)
        async with self._work.engine.connect() as connection:
            fresh = await collected.fresh(connection, place.line.vpd, place.key, listed)
        ready = place.settled(fresh, self._pace.clock(), self._settle_seconds)
        known = [entry for entry in listed if entry not in fresh] if place.connection.remove else []
        taken = 0
        closed: TransportFolderError | None = None
        for act, entries in ((self._take, ready), (self._remove, known)):
            for entry in entries:
                try:
                    taken += await act(place, session, entry)
                except TransportFolderError as error:  # this one is closed to us; the others need not wait for it
                    closed = error
        if taken:
            log.info("files collected", vpd=place.line.vpd, origin=place.line.folder, count=taken)
        if closed:
            raise closed
        unsettled = len(ready) < len(fresh)
        return Done(taken, self._settle_seconds if unsettled else place.connection.every_seconds)

    async def _take(self, place: "_Place", session: Session, entry: Entry) -> int:
        """Fetch a file; return 1, or 0 when it changed or went away meanwhile and has to be looked at again."""
        landing = await asyncio.to_thread(Landing, place.local, entry.name, entry.size)
        try:
            try:
                await session.fetch(place.folder, entry.name, landing.write)
            except TransportFolderError:
                if await session.find(place.folder, entry.name) is None:
                    return 0
                raise
            # One that is gone now, and came whole, is kept: nobody could fetch it again.
            if await session.find(place.folder, entry.name) not in (entry, None):
                log.info("file changed while it was fetched", vpd=place.line.vpd, origin=place.line.folder)
                return 0
            if landing.received < entry.size:
                raise TransportUnavailableError(f"{place.connection.address}: a file came shorter than it is listed")
            await asyncio.to_thread(landing.finish, entry.mtime_ns)
        finally:
            await asyncio.to_thread(landing.discard)
        async with self._work.engine.begin() as connection:
            moment = self._work.clock.now()
            await collected.note(connection, place.line.vpd, place.key, entry, landing.sha256, moment)
        CARRIED.labels(JOB, place.line.vpd, place.line.folder).inc()
        if place.connection.remove:
            await self._remove(place, session, entry)
        return 1

    async def _remove(self, place: "_Place", session: Session, entry: Entry) -> int:
        """Remove a file that is stored here, unless it has become another one."""
        if await session.find(place.folder, entry.name) == entry:
            await session.remove(place.folder, entry.name)
        return 0


class _Place:
    """One connection, the folder here that it fills, and what it has seen that may still be growing."""

    def __init__(self, line: Line, connection: Connection, local: Path) -> None:
        self.line = line
        self.connection = connection
        self.local = local
        self.folder = connection.collect_from
        self.key = f"{line.folder}:{self.folder}"
        self.remote = make_remote(connection)
        self.wanted = wanted_by(connection.pattern or PATTERNS[line.folder])
        self._seen: dict[Entry, float] = {}

    def settled(self, fresh: Set[Entry], now: float, seconds: float) -> list[Entry]:
        """Return files that were listed the same for a while; the others are remembered until the next listing."""
        self._seen = {entry: self._seen.get(entry, now) for entry in fresh}
        return sorted(
            (entry for entry, since in self._seen.items() if now - since >= seconds), key=lambda entry: entry.name
        )
