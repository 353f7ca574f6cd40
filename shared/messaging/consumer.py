"""From a queue to a handler: batches, patience with what is down, isolation of what can never succeed."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from shared.errors import BridgeError
from shared.messaging.broker import Broker, Subscription
from shared.messaging.message import Message
from shared.transient import is_transient

BATCH: Final = 500
BATCH_WAIT: Final = 0.01
"""Seconds to wait for more once a first message is there."""

FIRST_DELAY: Final = 0.1
LONGEST_DELAY: Final = 15.0
"""Seconds between attempts while something is down."""

STUCK_SECONDS: Final = 180
"""A batch that takes longer than this without an attempt ending means that the consumer hangs."""

Handle = Callable[[Sequence[Message]], Awaitable[None]]
GiveUp = Callable[[Message, str, Exception], Awaitable[None]]

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Progress:
    """Signs of life of one loop. Liveness means progress, not a connection."""

    name: str
    waiting_for: str = ""
    """Code of what is down, empty while all is well."""
    busy_since: float | None = None
    handled: int = 0
    clock: Callable[[], float] = field(default=time.monotonic)

    def begin(self) -> None:
        """An attempt begins."""
        self.busy_since = self.clock()

    def end(self, waiting_for: str = "") -> None:
        """An attempt has ended, well or waiting for something."""
        self.busy_since = None
        self.waiting_for = waiting_for

    @property
    def stuck(self) -> bool:
        """Whether an attempt has gone on for too long."""
        return self.busy_since is not None and self.clock() - self.busy_since > STUCK_SECONDS


def _nothing() -> None:
    """Nobody wants to know."""


class Consumer:
    """Consumes one queue for ever.

    ``handle`` gets a batch and must be idempotent. When it raises something transient the batch waits and is tried
    again, for as long as it takes. Anything else: the batch is halved until the one message at fault is alone, and
    ``give_up`` records that one; the others go on.

    ``lanes`` are batches in hand at once, each with a subscription of its own: while one waits for the database or for
    confirms, another is decided. To what is stored they are what replicas are.
    """

    def __init__(
        self, broker: Broker, queue: str, handle: Handle, give_up: GiveUp, *, batch: int = BATCH, lanes: int = 1
    ) -> None:
        self.queue = queue
        self.lanes = tuple(Progress(queue) for _ in range(lanes))
        self.after: Callable[[], None] = _nothing
        """Called after each batch that was brought to its end."""
        self._broker = broker
        self._handle = handle
        self._give_up = give_up
        self._batch = batch

    @property
    def handled(self) -> int:
        """Return how many messages were brought to their end."""
        return sum(lane.handled for lane in self.lanes)

    async def run(self) -> None:
        """Consume until cancelled, reconnecting as often as needed."""
        tasks = [asyncio.create_task(self._run(lane)) for lane in self.lanes]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, lane: Progress) -> None:
        delays = _Delays()
        while True:
            try:
                async with self._broker.subscribe(self.queue, prefetch=2 * self._batch) as subscription:
                    await self._consume(subscription, lane, delays)
            except BridgeError as error:
                if not error.retryable:
                    raise
                lane.end(error.code)
                log.warning("consumer waits", queue=self.queue, code=error.code)
                await delays.wait()

    async def _consume(self, subscription: Subscription, lane: Progress, delays: "_Delays") -> None:
        lane.end()  # the broker is back, though it may have nothing for us for a long time
        while True:
            batch = await subscription.next(self._batch, BATCH_WAIT)
            await self.settle(batch, lane)
            await subscription.ack()
            delays.reset()
            lane.handled += len(batch)
            self.after()

    async def settle(self, batch: Sequence[Message], lane: Progress) -> None:
        """Bring a batch to its end: handled, or its faulty members given up."""
        error = await self._attempt(lane, lambda: self._handle(batch))
        if error is None:
            return
        if len(batch) == 1:
            log.error("message given up", queue=self.queue, message_id=batch[0].message_id, error=type(error).__name__)
            message, cause = batch[0], error
            failed = await self._attempt(lane, lambda: self._give_up(message, self.queue, cause))
            if failed is not None:
                raise failed
            return
        middle = len(batch) // 2
        await self.settle(batch[:middle], lane)
        await self.settle(batch[middle:], lane)

    async def _attempt(self, lane: Progress, work: Callable[[], Awaitable[None]]) -> Exception | None:
        """Run until it succeeds or fails for good; return the lasting failure."""
        delays = _Delays()
        while True:
            lane.begin()
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - this is where every failure is told apart
                if not is_transient(error):
                    lane.end()
                    return error
                code = error.code if isinstance(error, BridgeError) else "DATABASE_UNAVAILABLE"
                lane.end(code)
                log.warning("batch waits", queue=self.queue, code=code, error=type(error).__name__)
            else:
                lane.end()
                return None
            await delays.wait()


class _Delays:
    """Pauses that double, with jitter so that replicas do not return in step."""

    def __init__(self) -> None:
        self._next = FIRST_DELAY

    def reset(self) -> None:
        self._next = FIRST_DELAY

    async def wait(self) -> None:
        await asyncio.sleep(self._next * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
        self._next = min(self._next * 2, LONGEST_DELAY)
