"""Splits files into one message per record, a window at a time, files of all trusts taking turns."""

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from services.ingest import store, turns
from services.ingest.accountant import account
from services.ingest.source import Line, Source
from services.ingest.turns import Turn
from shared import events, records
from shared.accounting import Fate, LineFate
from shared.db.unit import Unit, Work
from shared.errors import RecordError
from shared.messaging.broker import Broker
from shared.messaging.message import Message, derived_id, trace_of
from shared.messaging.topology import Topology

WINDOW: Final = 2000
"""Records of one file before the next file has its turn."""

IN_FLIGHT: Final = 20_000
"""Records of one file that may be on their way, sent but without a fate: this keeps the queues short."""


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
        room = IN_FLIGHT - max(0, turn.place.position - turn.accounted)
        lines = await asyncio.to_thread(self._read, turn, max(0, min(WINDOW, room)))
        messages = [self._message(turn, line) for line in lines if not line.faults and not line.ignored]
        await self._broker.publish(messages)
        place = lines[-1].after if lines else turn.place
        async with self._work.unit() as unit:
            # The file's row is locked before its fates, as everywhere.
            held = await store.lock_accepted(unit.connection, [(turn.vpd, turn.name)])
            if not await turns.keep_place(unit.connection, turn, place, done=place.position >= turn.records):
                return 0  # we were too slow, and another replica goes on from where we began
            if place.position >= turn.records:
                _announce_split(unit, turn)
            if held:
                await account(unit, self._work, self._own_fates(unit, turn, lines), [(turn.vpd, turn.name)])
        return len(lines)

    async def start_over(self) -> None:
        """Send again the records of files that are not accounted for: the broker has forgotten what it held."""
        async with self._work.engine.begin() as connection:
            await turns.start_over(connection)

    def _read(self, turn: Turn, limit: int) -> list[Line]:
        source = self._sources[turn.vpd, turn.origin]
        lines = source.lines(self._archived(turn.vpd, turn.sha256), turn.name, turn.place)
        return list(itertools.islice(lines, limit))

    def _message(self, turn: Turn, line: Line) -> Message:
        return Message(
            exchange=self._sources[turn.vpd, turn.origin].exchange,
            type=line.type,
            message_id=derived_id(turn.vpd, turn.name, turn.number, line.line),
            vpd=turn.vpd,
            body=records.encode(line.fields),
            stream=turn.stream,
            file=turn.name,
            file_no=turn.number,
            line=line.line,
            timestamp=int(self._work.clock.now().timestamp()),
            traceparent=trace_of(turn.vpd, turn.name, line.line),
        )

    def _own_fates(self, unit: Unit, turn: Turn, lines: Sequence[Line]) -> list[tuple[tuple[str, str], LineFate]]:
        """Give a fate to the lines that were not sent, and put the faulty ones aside for an operator."""
        fates: list[tuple[tuple[str, str], LineFate]] = []
        for line in lines:
            if line.ignored:
                fate = line.ignored
            elif line.faults:
                fate = Fate.DEAD_LETTERED
                message = self._message(turn, line)
                queue = self._topology.routes(message.exchange, message.type)[0]
                first = line.faults[0]
                unit.put_aside(message, queue, RecordError(first.code, first.text))
            else:
                continue
            fates.append(((turn.vpd, turn.name), LineFate(line.line, fate, 0)))
        return fates


def _announce_split(unit: Unit, turn: Turn) -> None:
    cause = events.Cause(turn.stream, turn.name, turn.number)
    unit.emit(events.FileSplit(vpd=turn.vpd, cause=cause, status="split"), turn.name, turn.sha256)
