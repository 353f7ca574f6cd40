"""Connections and channels to RabbitMQ, through aiormq, which is what aio-pika stands upon.

Everything that waits has a deadline: publishing on a closed or blocked connection hangs in the client library
otherwise. The connections are not "robust" ones: whoever uses one is told that it was lost, and asks again, so that
nothing waits on a consumer that no longer exists.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final, cast

from aiormq.channel import Channel
from aiormq.connection import Connection
from aiormq.exceptions import AMQPError
from yarl import URL

from shared.errors import BrokerUnavailableError
from shared.messaging.deliveries import Deliveries, Take

DEADLINE: Final = 30.0
"""Seconds any one conversation with the broker may take before it counts as unavailable."""

HEARTBEAT: Final = 15
"""Seconds; without heartbeats a dead peer may go unnoticed for eleven minutes."""

FAREWELL: Final = 5.0
"""Seconds for closing what may be gone already."""

LOST: Final = (AMQPError, OSError, TimeoutError, RuntimeError)
"""What the client library raises when a connection is gone; RuntimeError is a write to a closed transport."""


class Link(Connection):
    """A connection whose deliveries do not pass through the library."""

    def __init__(self, url: str) -> None:
        self.deliveries = Deliveries()
        super().__init__(URL(url).update_query(heartbeat=HEARTBEAT), transport_factory=self.deliveries)


class Links:
    """One connection per purpose. Publishing and consuming use two, because a broker that is short of memory or disk
    blocks the publishing one and must still be able to take acknowledgements.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connections: dict[str, Link] = {}
        self._connecting = asyncio.Lock()

    async def open_channel(self, purpose: str, *, confirms: bool) -> Channel:
        """Open a channel, connecting when there is no living connection. Raises BrokerUnavailableError."""
        with talk("reaching the broker"):
            async with asyncio.timeout(DEADLINE):
                connection = await self._connection(purpose)
                channel = await connection.channel(publisher_confirms=confirms, on_return_raises=confirms)
                return cast("Channel", channel)

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[Channel]:
        """Give a channel of the consuming connection, and close it at the end."""
        channel = await self.open_channel("consume", confirms=False)
        try:
            yield channel
        finally:
            takers = cast("Link", channel.connection).deliveries.takers
            mine = takers.get(channel.number)
            await close(channel)
            if takers.get(channel.number) is mine:  # the number may be another channel's by now
                takers.pop(channel.number, None)

    async def close(self) -> None:
        """Close every connection."""
        for connection in self._connections.values():
            await close(connection)
        self._connections.clear()

    async def _connection(self, purpose: str) -> Link:
        async with self._connecting:
            connection = self._connections.get(purpose)
            if connection is None or connection.is_closed:
                self._connections.pop(purpose, None)
                connection = Link(self._url)
                connection.closing.add_done_callback(_heard)
                await connection.connect(client_properties={"connection_name": purpose})
                self._connections[purpose] = connection
            return connection


def give(channel: Channel, take: Take) -> None:
    """Have the deliveries of a channel go to ``take``, until the channel is closed."""
    cast("Link", channel.connection).deliveries.takers[channel.number] = take


def _heard(closing: "asyncio.Future[object]") -> None:
    """Take note of why a connection ended; whoever uses it is told anyway."""
    if not closing.cancelled():
        closing.exception()


async def close(one: Channel | Link) -> None:
    """Close a channel or connection that may already be gone; there is nobody left to tell."""
    with cancellable(), suppress(*LOST):
        async with asyncio.timeout(FAREWELL):
            await one.close()


@contextmanager
def talk(what: str) -> Iterator[None]:
    """Hold a conversation with the broker: a loss of it is told as BrokerUnavailableError, a cancellation ends it."""
    with cancellable():
        try:
            yield
        except LOST as error:
            raise BrokerUnavailableError(f"{what} failed ({type(error).__name__})") from error


@contextmanager
def cancellable() -> Iterator[None]:
    """Let a cancellation through: the client library takes it for a failure of its own, or swallows it."""
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        yield
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError
