"""Splits files into one message per record, files of all trusts taking turns.

Within a turn, reading goes on while the broker still confirms what was read before. What is noted at the end of a turn
is only what was confirmed, so dying at any moment means that some records are sent again, with the same message ids.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from services.ingest import reported, store, turns
from services.ingest.accountant import account
from services.ingest.pipeline import Pipeline
from services.ingest.reported import Sifter
from services.ingest.source import Report, ReportSource, Source
from services.ingest.steps import StepReader, Stretch
from services.ingest.turns import Limits, Others, Turn
from shared import events
from shared.accounting import Fate, LineFate
from shared.db.unit import Unit, Work
from shared.messaging.broker import Broker
from shared.messaging.topology import Topology

STEP: Final = 1_000
"""Records read and published together."""

TURN: Final = 4_000
"""Records of one file before the next file that waits has its turn, at most: between two notes in the database."""

FAULTY: Final = 1_000
"""Faulty records after which a turn ends: they are written with the note, which must not grow without bounds."""

IN_FLIGHT: Final = 2_000
"""Records of one file that may be on their way, sent but without a fate. More would not make it faster."""

AMONG_OTHERS: Final = 500
"""The same while another trust's file is at work: its records wait behind these in the same queues. Fewer on their way
means smaller batches, so a file by itself is faster by half."""

ROOM: Final = 4
"""A file goes on once there is room for such a share of them: not for each record that has met its fate."""

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
        self._vpds = sorted({vpd for vpd, _ in sources})

    async def run(self) -> int:
        """Give one file its turn, and further ones while no other file waits; return how many records were sent."""
        async with self._work.engine.begin() as connection:
            turn = await turns.claim(connection, self._vpds, self._claim_seconds, _limits())
        if turn is None:
            return 0
        pipeline = Pipeline(self._broker, turn.place)
        try:
            return await self._send(turn, pipeline)
        finally:
            await pipeline.abandon()

    async def start_over(self) -> None:
        """Send again the records of files that are not accounted for: the broker has forgotten what it held."""
        async with self._work.engine.begin() as connection:
            await turns.start_over(connection)

    async def _send(self, turn: Turn, pipeline: Pipeline) -> int:
        """Send turn after turn. Between two, what the broker has confirmed is noted while it takes the rest."""
        feed = self._feed_of(turn)
        sent, accounted = 0, turn.accounted
        goes_on: Others | None = Others(wait=False, at_work=turn.others)
        while goes_on:
            room = _room(feed.position - accounted, goes_on.at_work)
            try:
                goes_on = await self._one_turn(turn, feed, pipeline, min(TURN, room))
            except Exception:  # whatever it was, what is confirmed need not be sent again
                await self._note(turn, pipeline.take())
                raise
            part = pipeline.take()
            noted = await self._note(turn, part, self._claim_seconds if goes_on else None)
            if noted is None:
                break
            sent, accounted = sent + part.records, noted
        return sent

    async def _one_turn(self, turn: Turn, feed: "_Feed", pipeline: Pipeline, records: int) -> Others | None:
        """Publish so many records. Returns what else there is when the file may go on at once; else all that was
        published is confirmed.
        """
        try:
            whole = await feed.give(pipeline, records)
        except Exception:  # a file that cannot be read further is not sent again and again up to there
            await pipeline.finish()
            raise
        if whole:
            async with self._work.engine.connect() as connection:
                others = await turns.others(connection, turn, self._vpds, _limits())
            if not others.wait:
                return others
        await pipeline.finish()
        return None

    def _feed_of(self, turn: Turn) -> "_Feed":
        source, path = self._sources[turn.vpd, turn.origin], self._archived(turn.vpd, turn.sha256)
        reader = StepReader(turn, source, path, int(self._work.clock.now().timestamp()))
        report = self._report_of(turn)
        sifter = Sifter(self._work.engine, turn, report) if report else None
        return _Feed(reader, sifter, turn.place.position, self._claim_seconds * SHARE_OF_CLAIM)

    async def _note(self, turn: Turn, sent: Stretch, seconds: float | None = None) -> int | None:
        """Note what was confirmed, with the fates of the records that were not to be sent.

        The claim is kept for so many more seconds, or given up. Returns how many of the file's records have a fate;
        None: we were too slow, and another replica goes on from where we began.
        """
        done = sent.after.position >= turn.records
        async with self._work.unit() as unit:
            # The file's row is locked before its fates, as everywhere.
            held = await store.lock_accepted(unit.connection, [(turn.vpd, turn.name)])
            place = turns.Kept(sent.after, sent.warned, done=done, seconds=seconds)
            accounted = await turns.keep_place(unit.connection, turn, place)
            if accounted is None:
                return None
            if report := self._report_of(turn):
                await reported.note(unit, turn, report, sent, done=done)
            if done:
                _announce_split(unit, turn)
            if held:
                await account(unit, self._work, self._own_fates(unit, turn, sent), [(turn.vpd, turn.name)])
        return accounted

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


class _Feed:
    """Gives a file's records to a pipeline, a turn at a time."""

    def __init__(self, reader: StepReader, sifter: Sifter | None, position: int, seconds: float) -> None:
        self._reader = reader
        self._sifter = sifter
        self._seconds = seconds
        self.position = position
        """Records of the file that were given so far."""

    async def give(self, pipeline: Pipeline, records: int) -> bool:
        """Give the next records; tell whether as many as said. Fewer at the file's end, or when faulty or too slow."""
        until = time.monotonic() + self._seconds
        left, faulty = records, 0
        while left > 0 and faulty < FAULTY and time.monotonic() < until:
            step = await asyncio.to_thread(self._reader.read, min(STEP, left))
            if not step.records:
                break
            if self._sifter:
                await self._sifter.sift(step)
            left -= step.records
            faulty += len(step.faulty)
            self.position += step.records
            await pipeline.add(step)
        return 0 == left < records


def _limits() -> Limits:
    """Return how many records of a file may be on their way when it has its turn."""
    return Limits(*(most - most // ROOM for most in (IN_FLIGHT, AMONG_OTHERS)))


def _room(on_their_way: int, among_others: bool) -> int:
    """Return how many more records of a file may be sent."""
    most = AMONG_OTHERS if among_others else IN_FLIGHT
    return most - max(0, on_their_way) if on_their_way <= most - most // ROOM else 0


def _announce_split(unit: Unit, turn: Turn) -> None:
    cause = events.Cause(turn.stream, turn.name, turn.number)
    unit.emit(events.FileSplit(vpd=turn.vpd, cause=cause, status="split"), turn.name, turn.sha256)
