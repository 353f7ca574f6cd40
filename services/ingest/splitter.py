"""Splits files into one message per record, files of all trusts taking turns.

Within a turn, reading goes on while the broker still confirms what was read before. What is noted at the end of a turn
is only what was confirmed, so dying at any moment means that some records are sent again, with the same message ids.
"""

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from services.ingest import store, turns
from services.ingest.accountant import account
from services.ingest.source import Line, Place, Source
from services.ingest.turns import Turn
from shared import events, records
from shared.accounting import Fate, LineFate
from shared.db.unit import Unit, Work
from shared.errors import RecordError, TransientError
from shared.messaging.broker import Broker
from shared.messaging.message import Message, Origin
from shared.messaging.topology import Topology

STEP: Final = 1_000
"""Records read and published together."""

STEP_BYTES: Final = 1024 * 1024
"""Bytes of a file after which a step ends although it has fewer records: what is in memory must stay small."""

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


@dataclass(slots=True)
class Sent:
    """What became of a stretch of records when it was sent."""

    after: Place
    records: int = 0
    warned: int = 0
    messages: list[Message] = field(default_factory=list)
    ignored: list[LineFate] = field(default_factory=list)
    faulty: list[tuple[Message, RecordError]] = field(default_factory=list)
    """Messages that were not sent, because their record can never succeed."""

    def add(self, step: "Sent") -> None:
        """Take in the stretch that follows this one; its messages are on the broker and no longer needed."""
        self.after = step.after
        self.records += step.records
        self.warned += step.warned
        self.ignored += step.ignored
        self.faulty += step.faulty


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
        sent = Sent(turn.place)
        try:
            await self._send(turn, sent)
        except TransientError:
            await self._note(turn, sent)
            raise
        return sent.records if await self._note(turn, sent) else 0

    async def start_over(self) -> None:
        """Send again the records of files that are not accounted for: the broker has forgotten what it held."""
        async with self._work.engine.begin() as connection:
            await turns.start_over(connection)

    async def _send(self, turn: Turn, sent: Sent) -> None:
        """Publish this turn's records, adding to ``sent`` step by step what was confirmed."""
        room = IN_FLIGHT - max(0, turn.place.position - turn.accounted)
        source, path = self._sources[turn.vpd, turn.origin], self._archived(turn.vpd, turn.sha256)
        reader = _Reader(turn, source, path, int(self._work.clock.now().timestamp()))
        until = time.monotonic() + self._claim_seconds * SHARE_OF_CLAIM
        going: deque[tuple[Sent, asyncio.Task[None]]] = deque()
        left, faulty = min(TURN, room), 0
        try:
            while left > 0 and faulty < FAULTY and time.monotonic() < until:
                step = await asyncio.to_thread(reader.read, min(STEP, left))
                if not step.records:
                    break
                left -= step.records
                faulty += len(step.faulty)
                going.append((step, asyncio.create_task(self._broker.publish(step.messages))))
                if len(going) > AHEAD:
                    await _confirmed(going, sent)
            while going:
                await _confirmed(going, sent)
        finally:
            for _, task in going:
                task.cancel()
            await asyncio.gather(*(task for _, task in going), return_exceptions=True)

    async def _note(self, turn: Turn, sent: Sent) -> bool:
        """Note what was confirmed, with the fates of the records that were not to be sent; False: we lost the claim."""
        done = sent.after.position >= turn.records
        async with self._work.unit() as unit:
            # The file's row is locked before its fates, as everywhere.
            held = await store.lock_accepted(unit.connection, [(turn.vpd, turn.name)])
            if not await turns.keep_place(unit.connection, turn, sent.after, warned=sent.warned, done=done):
                return False  # we were too slow, and another replica goes on from where we began
            if done:
                _announce_split(unit, turn)
            if held:
                await account(unit, self._work, self._own_fates(unit, turn, sent), [(turn.vpd, turn.name)])
        return True

    def _own_fates(self, unit: Unit, turn: Turn, sent: Sent) -> Iterator[tuple[tuple[str, str], LineFate]]:
        """Give a fate to the records that were not sent, and put the faulty ones aside for an operator."""
        file = (turn.vpd, turn.name)
        for message, error in sent.faulty:
            queue = self._topology.routes(message.exchange, message.type)[0]
            unit.put_aside(message, queue, error)
            yield file, LineFate(message.line, Fate.DEAD_LETTERED, 0)
        for fate in sent.ignored:
            yield file, fate


class _Reader:
    """Reads a file's records as messages, some at a time, from where the last turn ended. Runs in a thread."""

    def __init__(self, turn: Turn, source: Source, path: Path, timestamp: int) -> None:
        self._turn = turn
        self._timestamp = timestamp
        self._exchange = source.exchange
        self._origin = Origin(turn.vpd, turn.name, turn.number)
        self._lines = source.lines(path, turn.name, turn.place)
        self._place = turn.place

    def read(self, limit: int) -> Sent:
        """Return the next records, as many as ``limit`` unless they are large; none at the end of the file."""
        step = Sent(self._place)
        end = self._place.offset + STEP_BYTES
        for line in itertools.islice(self._lines, limit):
            step.after = line.after
            step.records += 1
            if line.ignored:
                step.ignored.append(LineFate(line.line, line.ignored, 0))
            elif line.faults:
                first = line.faults[0]
                step.faulty.append((self._message(line), RecordError(first.code, first.text)))
            else:
                step.warned += line.warned
                step.messages.append(self._message(line))
            if line.after.offset >= end:
                break
        self._place = step.after
        return step

    def _message(self, line: Line) -> Message:
        turn = self._turn
        return Message(
            exchange=self._exchange,
            type=line.type,
            message_id=self._origin.message_id(line.line),
            vpd=turn.vpd,
            body=records.encode(line.fields),
            stream=turn.stream,
            file=turn.name,
            file_no=turn.number,
            line=line.line,
            timestamp=self._timestamp,
            traceparent=self._origin.trace(line.line),
        )


async def _confirmed(going: deque[tuple[Sent, asyncio.Task[None]]], sent: Sent) -> None:
    """Wait for the oldest step and add it to what was sent. Raises what kept it from being published."""
    step, task = going[0]
    await task
    going.popleft()
    sent.add(step)


def _announce_split(unit: Unit, turn: Turn) -> None:
    cause = events.Cause(turn.stream, turn.name, turn.number)
    unit.emit(events.FileSplit(vpd=turn.vpd, cause=cause, status="split"), turn.name, turn.sha256)
