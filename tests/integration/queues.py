"""Queues of a test's own, and patient ways to look at them."""

import asyncio
from collections.abc import Sequence

import pytest

from shared.messaging.broker import Broker, Subscription
from shared.messaging.message import Message
from shared.messaging.topology import DEAD, EVENTS, Binding, Queue, Topology

LENGTH = 2_500
SOON = 10.0
"""Seconds in which anything here must have happened; a test that hangs fails."""
QUIET = 0.3
"""Seconds of silence that count as nothing coming."""


def topology(name: str, length: int = LENGTH) -> Topology:
    """``people`` takes persons and the events of this test, ``all`` takes everything, ``deep`` needs two words."""
    records = f"{name}.records"
    return Topology(
        exchanges=(records, EVENTS, DEAD),
        queues=(
            Queue(f"{name}.people", (Binding(records, "person.*"), Binding(EVENTS, f"{name}.*"))),
            Queue(f"{name}.all", (Binding(records, "#"),)),
            Queue(f"{name}.deep", (Binding(records, "*.*.*"), Binding(records, "location.#"))),
            Queue(f"{name}.idle", ()),
        ),
        queue_length=length,
    )


def keys(messages: Sequence[Message]) -> list[str]:
    return [message.routing_key for message in messages]


def ids(messages: Sequence[Message]) -> list[str]:
    return [message.message_id for message in messages]


async def take(subscription: Subscription, count: int) -> list[Message]:
    """Return the next ``count`` messages, however many calls that takes."""
    taken: list[Message] = []
    async with asyncio.timeout(SOON):
        while len(taken) < count:
            taken += await subscription.next(count - len(taken), 0.05)
    return taken


async def drain(broker: Broker, queue: str, count: int) -> list[Message]:
    """Take ``count`` messages out of a queue for good."""
    async with broker.subscribe(queue, prefetch=max(count, 1)) as subscription:
        taken = await take(subscription, count)
        await subscription.ack()
    return taken


async def assert_silent(subscription: Subscription) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(QUIET):
            await subscription.next(1, 0)


async def depth_becomes(broker: Broker, queue: str, wanted: int) -> None:
    """Wait for a count; a broker may tell of it a moment after the acknowledgement."""
    async with asyncio.timeout(SOON):
        while True:
            if await broker.depth(queue) == wanted:
                return
            await asyncio.sleep(0.01)
