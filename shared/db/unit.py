"""The unit of work: state, line fates, events and dead letters of one decision commit together or not at all."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared import events, outcomes
from shared.accounting import Fate
from shared.clock import Clock
from shared.codes import MessageCode
from shared.db.ledger import FileKey, Ledger
from shared.db.outbox import Outbox
from shared.errors import BridgeError, RecordError
from shared.messaging.broker import Broker
from shared.messaging.message import Message, derived_id, trace_of
from shared.messaging.topology import DEAD, EVENTS, OUTCOMES
from shared.telemetry import DEAD as DEAD_LETTERS
from shared.telemetry import EMITTED

REASON_LENGTH: Final = 500


class Unit:
    """What one transaction collects besides its SQL."""

    def __init__(self, connection: AsyncConnection, timestamp: int) -> None:
        self.connection = connection
        self.timestamp = timestamp
        self.messages: list[Message] = []
        self.fates: dict[tuple[FileKey, int], Fate] = {}
        self.codes: dict[FileKey, dict[int, str]] = {}
        """Why lines were given up."""

    def settle(self, vpd: str, file: str, line: int, fate: Fate) -> None:
        """Give a line its fate. A message that no line caused (``line`` 0) needs none."""
        if line:
            self.fates[(vpd, file), line] = fate

    def settles(self, vpd: str, file: str, line: int) -> bool:
        """Whether this unit gives that line a fate."""
        return ((vpd, file), line) in self.fates

    def emit(self, event: events.Event, *identity: str | int) -> None:
        """Publish an event once the transaction is committed.

        ``identity`` is what makes this event the same event when it is said again: a key and its revision.
        """
        name = events.NAMES[type(event)]
        cause = event.cause
        self.messages.append(
            Message(
                exchange=EVENTS,
                type=name,
                message_id=derived_id(name, event.vpd, *identity),
                vpd=event.vpd,
                body=events.encode(event),
                stream=cause.stream,
                file=cause.file,
                file_no=cause.file_no,
                timestamp=self.timestamp,
                traceparent=trace_of(event.vpd, cause.file, 0) if cause.file else "",
            )
        )

    def dead_letter(self, message: Message, queue: str, error: Exception) -> None:
        """Give up on one message for good: keep it with its reason, and give its line the fate dead-lettered."""
        self.settle(message.vpd, message.file, message.line, Fate.DEAD_LETTERED)
        self.codes.setdefault((message.vpd, message.file), {})[message.line] = describe(error)[0]
        self.put_aside(message, queue, error)

    def put_aside(self, message: Message, queue: str, error: Exception) -> None:
        """Send a message to the dead letters of ``queue`` with its reason; its line's fate is the caller's matter."""
        code, reason = describe(error)
        letter = Message(
            exchange=DEAD,
            type=message.type,
            address=f"{queue}.dead",
            message_id=message.message_id or derived_id(message.type, message.body.hex()),
            vpd=message.vpd,
            body=message.body,
            stream=message.stream,
            file=message.file,
            file_no=message.file_no,
            line=message.line,
            timestamp=self.timestamp,
            traceparent=message.traceparent,
            code=code,
            reason=reason[:REASON_LENGTH],
            queue=queue,
            replay=message.replay,
        )
        self.messages.append(letter)


def describe(error: Exception) -> tuple[str, str]:
    """Return code and sentence of a failure.

    Of an error not of our tree only the class is told: its text may hold personal data.
    """
    if isinstance(error, RecordError):
        return error.record_code, error.sentence
    if isinstance(error, BridgeError):
        return error.code, error.sentence
    return MessageCode.UNEXPECTED, f"{MessageCode.UNEXPECTED.meaning} ({type(error).__name__})"


class Work:
    """Units of work of one service."""

    def __init__(self, service: str, engine: AsyncEngine, broker: Broker, clock: Clock) -> None:
        self.service = service
        self.engine = engine
        self.clock = clock
        self.outbox = Outbox(service, engine, broker)
        self.ledger = Ledger(service)

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[Unit]:
        """Open a transaction; on leaving without error write fates and outbox, commit, then publish."""
        async with self.engine.begin() as connection:
            unit = Unit(connection, int(self.clock.now().timestamp()))
            yield unit
            await self._announce(unit)
            keys = await self.outbox.add(connection, unit.messages)
        self._count(unit.messages)
        await self.outbox.publish(keys, sorted(unit.messages, key=lambda message: message.vpd))

    async def give_up(self, message: Message, queue: str, error: Exception) -> None:
        """Dead-letter a message whose handling failed for good: what consumers do in the end."""
        async with self.unit() as unit:
            unit.dead_letter(message, queue, error)

    def _count(self, messages: Sequence[Message]) -> None:
        for kind, number in Counter(message.type for message in messages).items():
            EMITTED.labels(self.service, kind).inc(number)
        for code, number in Counter(message.code for message in messages if message.exchange == DEAD).items():
            DEAD_LETTERS.labels(self.service, code).inc(number)

    async def _announce(self, unit: Unit) -> None:
        stands = await self.ledger.decide(
            unit.connection, [(file, line, fate) for (file, line), fate in unit.fates.items()]
        )
        for (vpd, file), fates in stands.items():
            said = outcomes.encode(outcomes.Outcomes.of(vpd, file, fates, unit.codes.get((vpd, file))))
            unit.messages.append(
                Message(
                    exchange=OUTCOMES,
                    type=f"{self.service}.outcomes",
                    message_id=derived_id(self.service, said.hex()),
                    vpd=vpd,
                    body=said,
                    file=file,
                    timestamp=unit.timestamp,
                )
            )
