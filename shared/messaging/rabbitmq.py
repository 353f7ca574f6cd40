"""The broker protocol on RabbitMQ (3.10 to 4.x)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aiormq.channel import Channel
from aiormq.exceptions import ChannelPreconditionFailed

from shared.errors import BrokerUnavailableError, TopologyError
from shared.messaging import rabbit_link
from shared.messaging.message import Message
from shared.messaging.rabbit_link import Links, talk
from shared.messaging.rabbit_publisher import Publisher
from shared.messaging.rabbit_subscription import RabbitSubscription
from shared.messaging.topology import DEAD, DEAD_LENGTH, DELIVERY_LIMIT, Topology

__all__ = ["RabbitBroker", "RabbitSubscription"]

LANES: Final = 2
"""Channels for publishing. RabbitMQ routes what comes over one channel in one process, so whoever publishes several
things at once gets a second; whoever waits for each confirm always has the first, and what they say stays in order."""


class RabbitBroker:
    """RabbitMQ behind the broker protocol. After a loss the next call connects anew."""

    durable = True

    def __init__(self, url: str, topology: Topology | None = None) -> None:
        self.topology = topology or Topology()
        self._links = Links(url)
        self._publishers: list[Publisher | None] = [None] * LANES
        self._busy = [0] * LANES
        self._opening = asyncio.Lock()

    async def start(self) -> None:
        """Connect and declare every exchange and queue; declaring what is there with the same arguments is free."""
        async with self._links.channel() as channel:
            with talk("declaring queues"):
                try:
                    async with asyncio.timeout(rabbit_link.DEADLINE):
                        await self._declare(channel)
                except ChannelPreconditionFailed as error:
                    raise TopologyError(
                        "a queue or exchange on the broker has other settings than this release declares; "
                        "delete it when it is empty, or remove the policy that changes it"
                    ) from error

    async def stop(self) -> None:
        """Close both connections."""
        await self._links.close()

    async def publish(self, messages: Sequence[Message]) -> None:
        """Publish in windows and wait for every confirm; a full queue or a lost connection raises."""
        if not messages:
            return
        lane = self._busy.index(min(self._busy))
        self._busy[lane] += 1
        try:
            await self._publish(lane, messages)
        finally:
            self._busy[lane] -= 1

    async def _publish(self, lane: int, messages: Sequence[Message]) -> None:
        publisher = await self._living_publisher(lane)
        try:
            with talk("publishing"):
                await publisher.publish(messages, rabbit_link.DEADLINE)
        except BrokerUnavailableError:
            # The fate of what was written is unknown: leave the channel, so that late confirms meet nobody.
            if self._publishers[lane] is publisher:
                self._publishers[lane] = None
            await rabbit_link.close(publisher.channel)
            raise

    @asynccontextmanager
    async def subscribe(self, queue: str, *, prefetch: int) -> AsyncIterator[RabbitSubscription]:
        """Consume ``queue`` on a channel of its own; closing it returns what was not acknowledged."""
        async with self._links.channel() as channel:
            subscription = RabbitSubscription(channel)
            with talk("consuming"):
                async with asyncio.timeout(rabbit_link.DEADLINE):
                    await channel.basic_qos(prefetch_count=prefetch)
                    await subscription.consume(queue)
            yield subscription

    async def depth(self, queue: str) -> int:
        """Return the number of ready messages, by a passive declaration."""
        async with self._links.channel() as channel:
            with talk("asking for a queue's depth"):
                async with asyncio.timeout(rabbit_link.DEADLINE):
                    declared = await channel.queue_declare(queue, passive=True)
            return declared.message_count or 0

    async def _living_publisher(self, lane: int) -> Publisher:
        async with self._opening:
            publisher = self._publishers[lane]
            if publisher is None or publisher.channel.is_closed:
                channel = await self._links.open_channel("publish", confirms=True)
                publisher = self._publishers[lane] = Publisher(channel, self.topology)
            return publisher

    async def _declare(self, channel: Channel) -> None:
        for exchange in self.topology.exchanges:
            await channel.exchange_declare(exchange, exchange_type=self.topology.kind(exchange), durable=True)
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
                for key in self.topology.keys(binding):
                    await channel.queue_bind(queue.name, binding.exchange, key)
