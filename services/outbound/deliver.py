"""Carries files from the trusts' folders to other sides: each once, each whole.

Whoever writes a file for ESR or the LMS puts it into ``to-esr`` or ``to-lms`` and need not know how it travels. A file
is uploaded under a name nobody collects, measured, and then renamed. What was delivered is remembered for ever by name
and checksum; a file that arrived before we could note it is recognised on the other side.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from services.outbound import delivered
from services.outbound.locks import trust_lock
from services.outbound.outgoing import Outgoing, Place
from shared.config import BridgeConfig
from shared.db.unit import Work
from shared.errors import (
    BridgeError,
    StorageUnavailableError,
    TransportConflictError,
    TransportFolderError,
    TransportUnavailableError,
)
from shared.transport.port import Entry, Session
from shared.transport.remote import connections
from shared.transport.rounds import CARRIED, Done, Line, Pace, Rounds

JOB: Final = "deliver"

READ_BACK: Final = 64 * 1024 * 1024
"""A file found on the other side is compared byte for byte up to this size, and beyond it by its size alone."""

TURN_SECONDS: Final = 5.0
"""When to look again at a connection that another replica is at work on."""

log = structlog.get_logger(__name__)


class Deliverer:
    """Visits the other side of every trust that has one, whenever there is something to bring."""

    def __init__(self, work: Work, config: BridgeConfig, files: Path, pace: Pace | None = None) -> None:
        """Read the secret files of all connections. Raises ConfigurationError."""
        self._work = work
        self._places = {
            line: Place(line, connection, files / line.vpd / f"to-{line.folder}")
            for line, connection in connections(config).items()
            if connection.deliver_to
        }
        visits = {line: partial(self._visit, place) for line, place in self._places.items()}
        self._rounds = Rounds(JOB, visits, pace or Pace())

    @property
    def waiting(self) -> Mapping[str, str]:
        """Code of the last failure of each connection that waits, by trust and folder."""
        return self._rounds.waiting

    async def run(self) -> int:
        """Deliver what is new; return how many files left, at least 1 while a visit goes on."""
        return await self._rounds.run(await asyncio.to_thread(self._with_news))

    def _with_news(self) -> list[Line]:
        return [line for line, place in self._places.items() if place.has_news()]

    async def _visit(self, place: Place) -> Done:
        files, unreadable = await asyncio.to_thread(place.read)
        files = await self._undelivered(place, files)
        sent, kept_back = 0, None
        if files:
            async with (
                place.remote.open() as session,
                self._rounds.at_work,
                trust_lock(self._work.engine, f"deliver/{place.key}", place.line.vpd) as free,
            ):
                if not free:
                    return Done(0, TURN_SECONDS)
                files = await self._undelivered(place, files)  # a replica may have been at work
                sent, kept_back = await self._deliver(place, session, files)
        if problem := kept_back or unreadable:
            raise problem
        return Done(sent)

    async def _undelivered(self, place: Place, files: list[Outgoing]) -> list[Outgoing]:
        async with self._work.engine.connect() as connection:
            wanted = [(file.name, file.sha256) for file in files]
            held = await delivered.held(connection, place.line.vpd, place.key, wanted)
        place.know(file for file in files if (file.name, file.sha256) in held)
        return [file for file in files if (file.name, file.sha256) not in held]

    async def _deliver(self, place: Place, session: Session, files: list[Outgoing]) -> tuple[int, BridgeError | None]:
        """Deliver files in order of name; return how many, and what kept one back, if anything did."""
        sent = 0
        closed: BridgeError | None = None
        for file in files:
            try:
                await self._put(place, session, file)
            except (TransportFolderError, TransportConflictError) as error:  # the others need not wait for this one
                closed = error
                continue
            async with self._work.engine.begin() as connection:
                moment = self._work.clock.now()
                await delivered.note(connection, place.line.vpd, place.key, file.name, file.sha256, file.size, moment)
            place.know([file])
            CARRIED.labels(JOB, place.line.vpd, place.line.folder).inc()
            sent += 1
        if sent:
            log.info("files delivered", vpd=place.line.vpd, origin=place.line.folder, count=sent)
        return sent, closed

    async def _put(self, place: Place, session: Session, file: Outgoing) -> None:
        """Bring a file; then the other side holds it whole."""
        address = place.connection.address
        there = await session.find(place.folder, file.name)
        if there is not None:
            if await _is_same(session, place.folder, there, file):
                return
            raise TransportConflictError(
                f"{address}: '{place.folder}' holds another file under the name of one for it; compare the two, and "
                "remove the wrong one"
            )
        part = f".{file.name}.part"
        try:
            await session.put(place.folder, part, file.path)
            _check_arrived(await session.find(place.folder, part), file, address)
        except (StorageUnavailableError, TransportUnavailableError):
            with suppress(BridgeError):  # make room; when the connection is gone, the next attempt writes over it
                await session.remove(place.folder, part)
            raise
        await session.rename(place.folder, part, file.name)
        arrived = await session.find(place.folder, file.name)
        if arrived is not None and arrived.size != file.size:  # None: it was collected at once
            raise TransportUnavailableError(f"{address}: a file is not whole under its final name")


def _check_arrived(arrived: Entry | None, file: Outgoing, address: str) -> None:
    if not file.unchanged:
        raise StorageUnavailableError("a file changed while it was delivered; whole files only may stand there")
    if arrived is None or arrived.size != file.size:
        raise TransportUnavailableError(f"{address}: a file did not arrive whole")


async def _is_same(session: Session, folder: str, there: Entry, file: Outgoing) -> bool:
    """Whether the other side holds these very bytes, as far as it lets us see."""
    if there.size != file.size or file.size > READ_BACK:
        return there.size == file.size
    digest = hashlib.sha256()
    read = 0

    def take(block: bytes) -> None:
        nonlocal read
        read += len(block)
        digest.update(block)

    try:
        await session.fetch(folder, file.name, take)
    except TransportFolderError:
        return True  # our login may write there and not read
    if read != there.size:
        raise TransportUnavailableError("a file that was to be compared did not come whole")
    return digest.hexdigest() == file.sha256
