"""The port every service speaks to. Two implementations: RabbitMQ, and one in memory for the embedded mode.

Both pass the same conformance suite (``tests/integration/test_broker_conformance.py``).
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from shared.messaging.message import Message


class Subscription(Protocol):
    """A consumer of one queue. What it was given and has not acknowledged comes back when it closes."""

    async def next(self, limit: int, wait: float) -> Sequence[Message]:
        """Return the next batch: up to ``limit`` messages, at least one.

        Waits for a first message as long as it takes, then at most ``wait`` seconds for more.
        Raises BrokerUnavailableError when the connection is lost; unacknowledged messages are then redelivered.
        """
        ...

    async def ack(self) -> None:
        """Acknowledge everything ``next`` has returned so far. Raises BrokerUnavailableError."""
        ...


class Broker(Protocol):
    """Carries messages at least once, in no promised order."""

    #: Whether a confirmed message survives the death of this process. The embedded mode's does not, so its
    #: outbox keeps what it published until the run is idle.
    durable: bool

    async def start(self) -> None:
        """Connect and declare the topology. Raises BrokerUnavailableError, or TopologyError when unsafe."""
        ...

    async def stop(self) -> None:
        """Disconnect; unacknowledged messages go back to their queues."""
        ...

    async def publish(self, messages: Sequence[Message]) -> None:
        """Publish and wait until every message is confirmed.

        Raises BrokerUnavailableError or BrokerRefusedError (some or all may have been published: publish again),
        UnroutableError when the topology has a queue for a message and the broker has not.
        """
        ...

    def subscribe(self, queue: str, *, prefetch: int) -> AbstractAsyncContextManager[Subscription]:
        """Consume ``queue`` with at most ``prefetch`` unacknowledged messages."""
        ...

    async def depth(self, queue: str) -> int:
        """Return how many messages wait in ``queue``, those already handed out not counted."""
        ...
