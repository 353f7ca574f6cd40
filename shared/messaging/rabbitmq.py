"""The broker protocol on RabbitMQ (3.10 to 4.x), through aio-pika and its underlay aiormq.

Everything that waits has a deadline: publishing on a closed or blocked connection hangs in the client library
otherwise. The connection is not one of aio-pika's "robust" ones: whoever uses it is told that it was lost, and asks
again, so that nothing waits on a consumer that no longer exists.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final, cast

import aio_pika
import aiormq.abc
from aio_pika.abc import AbstractConnection
from aiormq.channel import Channel
from aiormq.exceptions import AMQPError, ChannelPreconditionFailed, DeliveryError, PublishError

from shared.errors import BrokerRefusedError, BrokerUnavailableError, TopologyError, UnroutableError
from shared.messaging import wire
from shared.messaging.message import Message
from shared.messaging.topology import DEAD, DEAD_LENGTH, DELIVERY_LIMIT, Topology

DEADLINE: Final = 30.0
"""Seconds any one conversation with the broker may take before it counts as unavailable."""

HEARTBEAT: Final = 15
"""Seconds; without heartbeats a dead peer may go unnoticed for eleven minutes."""

WINDOW: Final = 500
"""Messages published before their confirms are awaited together."""

_LOST: Final = (AMQPError, OSError, TimeoutError, RuntimeError)
"""What the client library raises when a connection is gone; RuntimeError is a write to a closed transport."""


class RabbitSubscription:
    """A consumer with a channel of its own."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._waiting: deque[aiormq.abc.DeliveredMessage] = deque()
        self._changed = asyncio.Event()
        self._ended = False
        self._last_tag = 0
        channel.closing.add_done_callback(self._end)
        # Without this a consumer whose queue was deleted would wait for ever on a channel that is open and well.
        channel.on_consumer_cancel_callbacks.add(self._end)

    async def on_message(self, delivered: aiormq.abc.DeliveredMessage) -> None:
        """Take a delivery from the connection's reader; it must not wait."""
        self._waiting.append(delivered)
        self._changed.set()

    async def next(self, limit: int, wait: float) -> Sequence[Message]:
        """Return the next batch; see ``Subscription.next``. A call that is cancelled has taken nothing."""
        await self._at_least(1)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._at_least(limit)
        batch = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
        self._last_tag = batch[-1].delivery_tag or 0
        return [
            wire.from_delivery(one.exchange or "", one.routing_key or "", one.header.properties, one.body)
            for one in batch
        ]

    async def ack(self) -> None:
        """Acknowledge all that was returned so far in one frame."""
        if not self._last_tag:  # tag zero means everything to the broker, and a tag twice is an error
            return
        with _cancellable():
            try:
                async with asyncio.timeout(DEADLINE):
                    await self._channel.basic_ack(self._last_tag, multiple=True)
            except _LOST as error:
                raise BrokerUnavailableError(f"acknowledging failed ({type(error).__name__})") from error
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


class RabbitBroker:
    """RabbitMQ behind the broker protocol. Publishing and consuming use two connections, because a broker that is
    short of memory or disk blocks the publishing one and must still be able to take acknowledgements.
    """

    durable = True

    def __init__(self, url: str, topology: Topology | None = None) -> None:
        self._url = url
        self.topology = topology or Topology()
        self._connections: dict[str, AbstractConnection] = {}
        self._connecting = asyncio.Lock()
        self._publisher: Channel | None = None
        self._publishing = asyncio.Lock()

    async def start(self) -> None:
        """Connect and declare every exchange and queue; declaring what is there with the same arguments is free."""
        async with self._channel() as channel:
            with _cancellable():
                await self._declare_all(channel)

    async def _declare_all(self, channel: Channel) -> None:
        try:
            async with asyncio.timeout(DEADLINE):
                await self._declare(channel)
        except ChannelPreconditionFailed as error:
            raise TopologyError(
                "a queue or exchange on the broker has other settings than this release declares; "
                "delete it when it is empty, or remove the policy that changes it"
            ) from error
        except _LOST as error:
            raise BrokerUnavailableError(f"declaring queues failed ({type(error).__name__})") from error

    async def stop(self) -> None:
        """Close both connections."""
        for connection in self._connections.values():
            await _close(connection)
        self._connections.clear()

    async def publish(self, messages: Sequence[Message]) -> None:
        """Publish in windows, each confirmed before the next; a full queue or a lost connection raises."""
        with _cancellable():
            async with self._publishing:
                await self._publish_all(messages)

    async def _publish_all(self, messages: Sequence[Message]) -> None:
        channel = await self._publisher_channel()
        for start in range(0, len(messages), WINDOW):
            await self._publish_window(channel, messages[start : start + WINDOW])

    @asynccontextmanager
    async def subscribe(self, queue: str, *, prefetch: int) -> AsyncIterator[RabbitSubscription]:
        """Consume ``queue`` on a channel of its own; closing it returns what was not acknowledged."""
        async with self._channel() as channel:
            subscription = RabbitSubscription(channel)
            with _cancellable():
                try:
                    async with asyncio.timeout(DEADLINE):
                        await channel.basic_qos(prefetch_count=prefetch)
                        await channel.basic_consume(queue, subscription.on_message)
                except _LOST as error:
                    raise BrokerUnavailableError(f"consuming failed ({type(error).__name__})") from error
            yield subscription

    async def depth(self, queue: str) -> int:
        """Return the number of ready messages, by a passive declaration."""
        async with self._channel() as channel:
            with _cancellable():
                try:
                    async with asyncio.timeout(DEADLINE):
                        declared = await channel.queue_declare(queue, passive=True)
                except _LOST as error:
                    raise BrokerUnavailableError(
                        f"asking for a queue's depth failed ({type(error).__name__})"
                    ) from error
            return declared.message_count or 0

    @asynccontextmanager
    async def _channel(self) -> AsyncIterator[Channel]:
        """Give a channel of the consuming connection, and close it at the end."""
        with _cancellable():
            channel = await self._open_channel("consume", confirms=False)
        try:
            yield channel
        finally:
            await _close(channel)

    async def _publish_window(self, channel: Channel, window: Sequence[Message]) -> None:
        try:
            async with asyncio.timeout(DEADLINE):
                await asyncio.gather(*(self._publish_one(channel, message) for message in window))
        except PublishError as error:
            raise UnroutableError("the broker has no queue for a message this release sends") from error
        except DeliveryError as error:
            raise BrokerRefusedError("a queue is at its length limit; its consumer has to catch up first") from error
        except _LOST as error:
            # The fate of the window is unknown: leave the channel, so that late confirms meet nobody.
            self._publisher = None
            await _close(channel)
            raise BrokerUnavailableError(f"publishing was not confirmed ({type(error).__name__})") from error

    async def _publish_one(self, channel: Channel, message: Message) -> None:
        await channel.basic_publish(
            message.body,
            exchange=message.exchange,
            routing_key=message.routing_key,
            properties=wire.to_properties(message),
            mandatory=message.exchange in ("", DEAD)
            or bool(self.topology.routes(message.exchange, message.routing_key)),
            wait=False,
        )

    async def _publisher_channel(self) -> Channel:
        if self._publisher is None or self._publisher.is_closed:
            self._publisher = await self._open_channel("publish", confirms=True)
        return self._publisher

    async def _open_channel(self, purpose: str, *, confirms: bool) -> Channel:
        try:
            async with asyncio.timeout(DEADLINE):
                connection = await self._connection(purpose)
                channel = connection.channel(publisher_confirms=confirms, on_return_raises=confirms)
                await channel.initialize()
                return cast("Channel", await channel.get_underlay_channel())
        except _LOST as error:
            raise BrokerUnavailableError(f"the broker cannot be reached ({type(error).__name__})") from error

    async def _connection(self, purpose: str) -> AbstractConnection:
        async with self._connecting:
            connection = self._connections.get(purpose)
            if connection is None or _lost(connection):
                if connection is not None:
                    del self._connections[purpose]
                    await _close(connection)
                connection = await aio_pika.connect(
                    self._url, timeout=DEADLINE, heartbeat=HEARTBEAT, client_properties={"connection_name": purpose}
                )
                self._connections[purpose] = connection
            return connection

    async def _declare(self, channel: Channel) -> None:
        for exchange in self.topology.exchanges:
            await channel.exchange_declare(exchange, exchange_type="topic", durable=True)
        for queue in self.topology.queues:
            await channel.queue_declare(
                queue.dead,
                durable=True,
                arguments={"x-queue-type": "quorum", "x-max-length": DEAD_LENGTH, "x-overflow": "reject-publish"},
            )
            await channel.queue_bind(queue.dead, DEAD, queue.dead)
            await channel.queue_declare(
                queue.name,
                durable=True,
                arguments={
                    "x-queue-type": "quorum",
                    "x-max-length": self.topology.queue_length,
                    # These three only keep dead letters together: RabbitMQ's default may lose them.
                    "x-dead-letter-strategy": "at-least-once",
                    "x-overflow": "reject-publish",
                    "x-dead-letter-exchange": DEAD,
                    "x-dead-letter-routing-key": queue.dead,
                    "x-delivery-limit": DELIVERY_LIMIT,
                },
            )
            for binding in queue.bindings:
                await channel.queue_bind(queue.name, binding.exchange, binding.pattern)


def _lost(connection: AbstractConnection) -> bool:
    """Tell whether a connection is gone. Its own ``is_closed`` stays false until *we* close it; its transport knows."""
    return connection.is_closed or connection.transport is None or connection.transport.connection.is_closed


async def _close(one: Channel | AbstractConnection) -> None:
    """Close a channel or connection that may already be gone; there is nobody left to tell."""
    with _cancellable(), suppress(*_LOST):
        async with asyncio.timeout(5):
            await one.close()


@contextmanager
def _cancellable() -> Iterator[None]:
    """Let a cancellation through: the client library takes it for a failure of its own, or swallows it."""
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        yield
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError
