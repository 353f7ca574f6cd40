"""A broker in this process's memory, for the embedded mode and for simulation tests.

It keeps the promises of the real one and no more: at least once, no order across consumers, redelivery of what was
not acknowledged. With a ``Chaos`` it makes use of all the freedom those promises leave, by a seed.
"""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from shared.errors import BrokerRefusedError, BrokerUnavailableError, UnroutableError
from shared.messaging.message import Message
from shared.messaging.topology import DEAD, Topology


@dataclass(slots=True)
class Chaos:
    """How rough the broker plays: shares between 0 and 1, decided by ``seed``."""

    seed: int
    duplicate: float = 0.0
    reorder: float = 0.0
    lose_ack: float = 0.0
    dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        """Start the seeded generator."""
        self.dice = random.Random(self.seed)  # noqa: S311 - mishaps must be repeatable, not secret

    def happens(self, share: float) -> bool:
        """Decide whether a mishap with this probability happens now."""
        return share > 0 and self.dice.random() < share


@dataclass(slots=True)
class _MemoryQueue:
    limit: int
    ready: deque[Message] = field(default_factory=deque)
    unacked: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)


class MemorySubscription:
    """A consumer of one in-memory queue."""

    def __init__(self, broker: "MemoryBroker", queue: _MemoryQueue, prefetch: int) -> None:
        self._broker = broker
        self._queue = queue
        self._prefetch = prefetch
        self._held: list[Message] = []

    async def next(self, limit: int, wait: float) -> Sequence[Message]:
        """Return what is ready now, waiting only while there is nothing; ``wait`` is not needed in memory."""
        del wait
        while not self._queue.ready or len(self._held) >= self._prefetch:
            self._queue.arrived.clear()
            self._broker.wake_idle()
            await self._queue.arrived.wait()
        self._broker.check()
        room = min(limit, self._prefetch - len(self._held), len(self._queue.ready))
        batch = [self._queue.ready.popleft() for _ in range(room)]
        self._held += batch
        self._queue.unacked += len(batch)
        return batch

    async def ack(self) -> None:
        """Forget what was handed out, unless the chaos loses the acknowledgement: then it comes again."""
        self._broker.check()
        lost = [m for m in self._held if self._broker.chaos and self._broker.chaos.happens(self._broker.chaos.lose_ack)]
        self._queue.unacked -= len(self._held)
        self._held.clear()
        self._queue.arrived.set()  # for a consumer that waited because its hands were full
        self._broker.put_back(self._queue, lost)

    def close(self) -> None:
        """Return to the queue what was not acknowledged."""
        self._queue.unacked -= len(self._held)
        self._broker.put_back(self._queue, self._held)
        self._held = []


class MemoryBroker:
    """The broker protocol in memory. ``down`` makes it refuse everything, as a broker that is away does."""

    durable = False

    def __init__(
        self,
        topology: Topology | None = None,
        chaos: Chaos | None = None,
        tap: Callable[[Message], None] = lambda _: None,
    ) -> None:
        self.topology = topology or Topology()
        self.chaos = chaos
        self._tap = tap
        self.down = False
        self._idle = asyncio.Event()
        self._queues: dict[str, _MemoryQueue] = {}

    async def start(self) -> None:
        """Make the queues; nothing is kept from before."""
        for queue in self.topology.queues:
            self._queues.setdefault(queue.name, _MemoryQueue(self.topology.queue_length))
            self._queues.setdefault(queue.dead, _MemoryQueue(self.topology.queue_length))

    async def stop(self) -> None:
        """Nothing to disconnect."""

    async def publish(self, messages: Sequence[Message]) -> None:
        """Put each message into every queue it is bound to; all or, where a queue is full, none."""
        self.check()
        targets = [(message, self._targets(message)) for message in messages]
        if any(len(queue.ready) >= queue.limit for _, queues in targets for queue in queues):
            raise BrokerRefusedError("a queue is at its length limit; its consumer has to catch up first")
        for message, queues in targets:
            self._tap(message)
            for queue in queues:
                self._put(queue, message)
        await asyncio.sleep(0)

    @asynccontextmanager
    async def subscribe(self, queue: str, *, prefetch: int) -> AsyncIterator[MemorySubscription]:
        """Consume ``queue``; what is not acknowledged on leaving goes back to its front."""
        self.check()
        subscription = MemorySubscription(self, self._queues[queue], prefetch)
        try:
            yield subscription
        finally:
            subscription.close()

    async def depth(self, queue: str) -> int:
        """Return how many messages are ready in ``queue``."""
        return len(self._queues[queue].ready)

    async def idle(self) -> None:
        """Wait until every queue is empty and everything handed out is acknowledged."""
        while any(queue.ready or queue.unacked for queue in self._queues.values()):
            self._idle.clear()
            await self._idle.wait()

    def wake_idle(self) -> None:
        """A consumer found nothing to do: let ``idle`` look again."""
        self._idle.set()

    def check(self) -> None:
        """Raise BrokerUnavailableError while the broker is down."""
        if self.down:
            raise BrokerUnavailableError("the in-memory broker is switched off")

    def put_back(self, queue: _MemoryQueue, messages: Sequence[Message]) -> None:
        """Return messages to the front of a queue."""
        queue.ready.extendleft(reversed(messages))
        if messages:
            queue.arrived.set()

    def _targets(self, message: Message) -> list[_MemoryQueue]:
        if message.exchange == "":
            names: tuple[str, ...] = (message.routing_key,)
        else:
            names = self.topology.routes(message.exchange, message.routing_key)
        missing = [name for name in names if name not in self._queues]
        if missing or (not names and message.exchange == DEAD):
            raise UnroutableError(f"no queue for {message.routing_key!r}")
        return [self._queues[name] for name in names]

    def _put(self, queue: _MemoryQueue, message: Message) -> None:
        chaos = self.chaos
        copies = 2 if chaos and chaos.happens(chaos.duplicate) else 1
        for _ in range(copies):
            if chaos and queue.ready and chaos.happens(chaos.reorder):
                queue.ready.insert(chaos.dice.randrange(len(queue.ready) + 1), message)
            else:
                queue.ready.append(message)
        queue.arrived.set()
