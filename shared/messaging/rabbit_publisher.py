"""Publishes whole windows of messages over one channel: one write for many messages, answers collected by their tags.

The client library publishes message by message, with a future, a queue entry and several lookups for each, which costs
more than the broker does. What is used of it here, beyond its documented interface, stands in
``docs/adr/0012-whole-windows-in-one-write.md``.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from aiormq.abc import ChannelFrame
from aiormq.channel import Channel
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from shared.errors import BrokerRefusedError, BrokerUnavailableError, UnroutableError
from shared.messaging.confirms import Confirms, Window
from shared.messaging.frames import Frames
from shared.messaging.message import Message
from shared.messaging.topology import DEAD, Topology

WINDOW: Final = 500
"""Messages in one write."""

WINDOW_BYTES: Final = 512 * 1024
"""Bytes after which a window is written although it has room for more messages."""

IN_FLIGHT: Final = 4
"""Windows written and not answered for. More would not make the broker faster, only its answers later."""


class Publisher:
    """Publishes over one channel in confirm mode, which nobody else uses; several tasks may publish at once."""

    def __init__(self, channel: Channel, topology: Topology) -> None:
        self.channel = channel
        self._topology = topology
        self._frames = Frames(channel.number, channel.connection.connection_tune.frame_max or 0, self._mandatory)
        self._confirms = Confirms()
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._writing = asyncio.Lock()
        self._returned: Basic.Return | None = None
        self._pass_on = channel.frames.put
        channel.frames.put = self._take  # type: ignore[assignment, method-assign]
        channel.closing.add_done_callback(lambda _: self._confirms.end())

    async def publish(self, messages: Sequence[Message], deadline: float) -> None:
        """Publish messages and wait until the broker has taken every one.

        Neither writing a window nor its answer may take longer than ``deadline`` seconds: TimeoutError. Raises
        BrokerRefusedError, UnroutableError and, when the channel is gone, BrokerUnavailableError.
        """
        windows: list[Window] = []
        start = 0
        while start < len(messages) and not any(window.failed for window in windows):
            window, payload = self._marshal(messages, start)
            async with asyncio.timeout(deadline):
                windows.append(await self._write(window, payload))
            start += len(window)
        for sent in windows:
            async with asyncio.timeout(deadline):
                await sent.done.wait()
        _judge(windows)

    def _marshal(self, messages: Sequence[Message], start: int) -> tuple[Sequence[Message], bytes]:
        """Return as many messages from ``start`` on as go into one write, and their frames."""
        parts: list[bytes] = []
        size = 0
        for message in messages[start : start + WINDOW]:
            parts.append(self._frames.of(message))
            size += len(parts[-1])
            if size >= WINDOW_BYTES:
                break
        return messages[start : start + len(parts)], b"".join(parts)

    async def _write(self, window: Sequence[Message], payload: bytes) -> Window:
        """Write a window as soon as there is room for it and the broker does not block us."""
        await self._room.acquire()
        try:
            async with self._writing:
                await self._ready()
                # A future that nobody waits for: it makes the library's writer wait until the network took the bytes.
                drained = self.channel.loop.create_future()
                await self.channel.write_queue.put(ChannelFrame(payload, should_close=False, drain_future=drained))
                # Nothing may wait between here and there: tags count messages in the order of their writing.
                return self._confirms.sent(window, self._room.release)
        except BaseException:
            self._room.release()
            raise

    async def _ready(self) -> None:
        """Wait while the broker blocks publishers, being short of memory or disk."""
        await self.channel.connection.ready()
        if self.channel.is_closed:
            raise BrokerUnavailableError("the channel for publishing was closed")

    async def _take(self, received: tuple[int, object]) -> None:
        """Take a frame from the connection's reader: answers stay here, the rest is the library's."""
        frame = received[1]
        if isinstance(frame, Basic.Ack | Basic.Nack):
            taken = isinstance(frame, Basic.Ack)
            self._confirms.answer(frame.delivery_tag or 0, multiple=bool(frame.multiple), taken=taken)
        elif isinstance(frame, Basic.Return):
            self._returned = frame
        elif isinstance(frame, ContentHeader) and self._returned is not None:
            came_back = self._returned
            self._confirms.returned(
                came_back.exchange or "", came_back.routing_key or "", frame.properties.message_id or ""
            )
        elif not isinstance(frame, ContentBody):
            await self._pass_on(received)

    def _mandatory(self, exchange: str, routing_key: str) -> bool:
        """Tell whether a message must have a queue. An event may find nobody interested; the rest was declared."""
        return exchange in ("", DEAD) or bool(self._topology.routes(exchange, routing_key))


def _judge(windows: Sequence[Window]) -> None:
    if any(window.lost for window in windows):
        raise BrokerUnavailableError("the connection was lost before everything was confirmed")
    if any(window.unroutable for window in windows):
        raise UnroutableError("the broker has no queue for a message this release sends")
    if any(window.refused for window in windows):
        raise BrokerRefusedError("a queue is at its length limit; its consumer has to catch up first")
