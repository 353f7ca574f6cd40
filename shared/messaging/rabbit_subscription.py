"""Consuming one queue of RabbitMQ.

The client library starts a task for each delivery and decodes all of it. Here deliveries are kept as the connection's
bytes are cut, and become messages a batch at a time; see ``docs/adr/0012-whole-windows-in-one-write.md``.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from aiormq.channel import Channel

from shared.errors import BrokerUnavailableError
from shared.messaging import rabbit_link, wire
from shared.messaging.deliveries import Delivery
from shared.messaging.message import Message


class RabbitSubscription:
    """A consumer with a channel of its own."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._waiting: deque[Delivery] = deque()
        self._changed = asyncio.Event()
        self._ended = False
        self._last_tag = 0
        rabbit_link.give(channel, self.take)
        channel.closing.add_done_callback(self._end)
        # Without this a consumer whose queue was deleted would wait for ever on a channel that is open and well.
        channel.on_consumer_cancel_callbacks.add(self._end)

    async def consume(self, queue: str) -> None:
        """Begin to consume. Deliveries do not reach the library, so what it would call is never called."""
        await self._channel.basic_consume(queue, _never)

    def take(self, delivery: Delivery) -> None:
        """Keep a delivery that has just come."""
        self._waiting.append(delivery)
        self._changed.set()

    async def next(self, limit: int, wait: float) -> Sequence[Message]:
        """Return the next batch; see ``Subscription.next``. A call that is cancelled has taken nothing."""
        await self._at_least(1)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._at_least(limit)
        batch = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
        self._last_tag = batch[-1].tag
        return [wire.from_frames(one.method, one.content, one.body) for one in batch]

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
