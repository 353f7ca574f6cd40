"""Consuming one queue of RabbitMQ.

The client library starts a task for each delivery. Here the frames of deliveries are kept as the connection's reader
hands them over, and become messages a batch at a time; see ``docs/adr/0012-whole-windows-in-one-write.md``.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from aiormq.channel import Channel
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from shared.errors import BrokerUnavailableError
from shared.messaging import rabbit_link, wire
from shared.messaging.message import Message


@dataclass(slots=True)
class _Delivery:
    """The frames of one message, of which the body's may be several."""

    method: Basic.Deliver
    header: ContentHeader = field(default_factory=ContentHeader)
    body: bytes = b""

    def message(self) -> Message:
        method, properties = self.method, self.header.properties
        return wire.from_delivery(method.exchange or "", method.routing_key or "", properties, self.body)


class RabbitSubscription:
    """A consumer with a channel of its own."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._waiting: deque[_Delivery] = deque()
        self._coming: _Delivery | None = None
        self._pass_on = channel.frames.put
        channel.frames.put = self._take  # type: ignore[assignment, method-assign]
        self._changed = asyncio.Event()
        self._ended = False
        self._last_tag = 0
        channel.closing.add_done_callback(self._end)
        # Without this a consumer whose queue was deleted would wait for ever on a channel that is open and well.
        channel.on_consumer_cancel_callbacks.add(self._end)

    async def consume(self, queue: str) -> None:
        """Begin to consume. Deliveries do not reach the library, so what it would call is never called."""
        await self._channel.basic_consume(queue, _never)

    async def _take(self, received: tuple[int, object]) -> None:
        """Take a frame from the connection's reader: deliveries stay here, the rest is the library's."""
        frame = received[1]
        if isinstance(frame, Basic.Deliver):
            self._coming = _Delivery(frame)
        elif self._coming is None or not isinstance(frame, ContentHeader | ContentBody):
            await self._pass_on(received)
        else:
            if isinstance(frame, ContentHeader):
                self._coming.header = frame
            else:
                self._coming.body += frame.value
            if len(self._coming.body) >= self._coming.header.body_size:
                self._waiting.append(self._coming)
                self._coming = None
                self._changed.set()

    async def next(self, limit: int, wait: float) -> Sequence[Message]:
        """Return the next batch; see ``Subscription.next``. A call that is cancelled has taken nothing."""
        await self._at_least(1)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._at_least(limit)
        batch = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
        self._last_tag = batch[-1].method.delivery_tag or 0
        return [one.message() for one in batch]

    async def ack(self) -> None:
        """Acknowledge all that was returned so far in one frame."""
        if not self._last_tag:  # tag zero means everything to the broker, and a tag twice is an error
            return
        with rabbit_link.talk("acknowledging"):
            async with asyncio.timeout(rabbit_link.DEADLINE):
                await self._channel.basic_ack(self._last_tag, multiple=True)
        self._last_tag = 0

    async def _at_least(self, count: int) -> None:
        """Wait until so many deliveries are here. Raises BrokerUnavailableError when no more can come."""
        while len(self._waiting) < count:
            if self._ended:
                raise BrokerUnavailableError("the consumer's channel was closed")
            self._changed.clear()
            await self._changed.wait()

    def _end(self, _: object) -> None:
        self._ended = True
        self._changed.set()


async def _never(_: object) -> None:
    raise AssertionError("the library was handed a delivery")
