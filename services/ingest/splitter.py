"""Splits files into one message per record, files of all trusts taking turns.

Within a turn, reading goes on while the broker still confirms what was read before. What is noted at the end of a turn
is only what was confirmed, so dying at any moment means that some records are sent again, with the same message ids.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from services.ingest import reported, store, turns
from services.ingest.accountant import account
from services.ingest.reported import Sifter
from services.ingest.source import Report, ReportSource, Source
from services.ingest.steps import StepReader, Stretch
from services.ingest.turns import Turn
from shared import events
from shared.accounting import Fate, LineFate
from shared.db.unit import Unit, Work
from shared.messaging.broker import Broker
from shared.messaging.topology import Topology

STEP: Final = 1_000
"""Records read and published together."""

AHEAD: Final = 2
"""Steps that may be unconfirmed while the next one is read."""

TURN: Final = 10_000
"""Records of one file before the next file has its turn: between two notes in the database."""

FAULTY: Final = 1_000
"""Faulty records after which a turn ends: they are written with the note, which must not grow without bounds."""

IN_FLIGHT: Final = 20_000
"""Records of one file that may be on their way, sent but without a fate: this keeps the queues short."""

SHARE_OF_CLAIM: Final = 1 / 3
"""After this share of its claim a turn ends however little was sent, so that what was sent can still be noted."""


class Splitter:
    """Sends the records of files that were let in."""

    def __init__(
        self,
        work: Work,
        broker: Broker,
        sources: Mapping[tuple[str, str], Source],
        archived: Callable[[str, str], Path],
        claim_seconds: float,
    ) -> None:
        self._work = work
        self._broker = broker
        self._sources = sources
        self._archived = archived
        self._claim_seconds = claim_seconds
        self._topology = Topology()

    async def run(self) -> int:
        """Give one file its turn; return how many records were sent."""
        async with self._work.engine.begin() as connection:
            turn = await turns.claim(connection, sorted({vpd for vpd, _ in self._sources}), self._claim_seconds)
        if turn is None:
            return 0
        sent = Stretch(turn.place)
        try:
            await self._send(turn, sent)
        except Exception:  # whatever it was, what is confirmed need not be sent again
            await self._note(turn, sent)
            raise
        return sent.records if await self._note(turn, sent) else 0

    async def start_over(self) -> None:
        """Send again the records of files that are not accounted for: the broker has forgotten what it held."""
        async with self._work.engine.begin() as connection:
            await turns.start_over(connection)

    async def _send(self, turn: Turn, sent: Stretch) -> None:
        """Publish this turn's records, adding to ``sent`` step by step what was confirmed."""
        pipeline = _Pipeline(self._broker, sent)
        try:
            try:
                await self._feed(turn, pipeline)
            except Exception:  # a file that cannot be read further is not sent again and again up to there
                await pipeline.finish()
                raise
            await pipeline.finish()
        finally:
            await pipeline.abandon()

    async def _feed(self, turn: Turn, pipeline: "_Pipeline") -> None:
        source, path = self._sources[turn.vpd, turn.origin], self._archived(turn.vpd, turn.sha256)
        reader = StepReader(turn, source, path, int(self._work.clock.now().timestamp()))
        report = self._report_of(turn)
        sifter = Sifter(self._work.engine, turn, report) if report else None
        until = time.monotonic() + self._claim_seconds * SHARE_OF_CLAIM
        room, faulty = IN_FLIGHT - max(0, turn.place.position - turn.accounted), 0
        left = min(TURN, room)
        while left > 0 and faulty < FAULTY and time.monotonic() < until:
            step = await asyncio.to_thread(reader.read, min(STEP, left))
            if not step.records:
                break
            if sifter:
                await sifter.sift(step)
            left -= step.records
            faulty += len(step.faulty)
            await pipeline.add(step)

    async def _note(self, turn: Turn, sent: Stretch) -> bool:
        """Note what was confirmed, with the fates of the records that were not to be sent; False: we lost the claim."""
        done = sent.after.position >= turn.records
        async with self._work.unit() as unit:
            # The file's row is locked before its fates, as everywhere.
            held = await store.lock_accepted(unit.connection, [(turn.vpd, turn.name)])
            if not await turns.keep_place(unit.connection, turn, sent.after, warned=sent.warned, done=done):
                return False  # we were too slow, and another replica goes on from where we began
            if report := self._report_of(turn):
                await reported.note(unit, turn, report, sent, done=done)
            if done:
                _announce_split(unit, turn)
            if held:
                await account(unit, self._work, self._own_fates(unit, turn, sent), [(turn.vpd, turn.name)])
        return True

    def _report_of(self, turn: Turn) -> Report | None:
        source = self._sources[turn.vpd, turn.origin]
        return source.report(turn.name) if isinstance(source, ReportSource) else None

    def _own_fates(self, unit: Unit, turn: Turn, sent: Stretch) -> Iterator[tuple[tuple[str, str], LineFate]]:
        """Give a fate to the records that were not sent, and put the faulty ones aside for an operator."""
        file = (turn.vpd, turn.name)
        for message, error in sent.faulty:
            queue = self._topology.routes(message.exchange, message.type)[0]
            unit.put_aside(message, queue, error)
            yield file, LineFate(message.line, Fate.DEAD_LETTERED, 0)
        for fate in sent.ignored:
            yield file, fate


class _Pipeline:
    """Publishes steps, the next before the last is confirmed, and adds them to ``sent`` in order as they are."""

    def __init__(self, broker: Broker, sent: Stretch) -> None:
        self._broker = broker
        self._sent = sent
        self._going: deque[tuple[Stretch, asyncio.Task[None]]] = deque()

    async def add(self, step: Stretch) -> None:
        """Publish a step; wait while too many are unconfirmed. Raises what kept an earlier one from being published."""
        self._going.append((step, asyncio.create_task(self._broker.publish(step.messages))))
        if len(self._going) > AHEAD:
            await self._oldest()

    async def finish(self) -> None:
        """Wait until every step is confirmed."""
        while self._going:
            await self._oldest()

    async def abandon(self) -> None:
        """Leave alone what is not confirmed, and nothing running."""
        for _, task in self._going:
            task.cancel()
        await asyncio.gather(*(task for _, task in self._going), return_exceptions=True)

    async def _oldest(self) -> None:
        step, task = self._going[0]
        await task
        self._going.popleft()
        self._sent.add(step)


def _announce_split(unit: Unit, turn: Turn) -> None:
    cause = events.Cause(turn.stream, turn.name, turn.number)
    unit.emit(events.FileSplit(vpd=turn.vpd, cause=cause, status="split"), turn.name, turn.sha256)
