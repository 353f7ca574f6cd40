"""A broker that answers as it is told: RabbitMQ chooses the order of its confirms itself, and never the odd one."""

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from pamqp import commands, frame
from pamqp.base import Frame
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

Answer = Callable[[int], Sequence[Frame]]
"""Told how many messages have come over the channel; returns the frames to send now."""

_CAPABILITIES = {"publisher_confirms": True, "basic.nack": True, "connection.blocked": True}


class ScriptedBroker:
    """Speaks AMQP 0-9-1 to one client at a time, as far as publishing goes.

    ``bodies`` holds what was published, in order. ``answer`` is called after each message.
    """

    def __init__(self, answer: Answer) -> None:
        self.bodies: list[bytes] = []
        self.answer = answer
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()
        self._writer: asyncio.StreamWriter | None = None
        self._left = 0

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"amqp://guest:guest@127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    def say(self, said: Frame, channel: int) -> None:
        """Send a frame nobody asked for."""
        assert self._writer is not None
        self._writer.write(frame.marshal(said, channel))

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        link = asyncio.create_task(self._serve(reader, writer))
        self._links.add(link)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            assert await reader.readexactly(8) == b"AMQP\x00\x00\x09\x01"
            self.say(commands.Connection.Start(server_properties={"capabilities": dict(_CAPABILITIES)}), 0)
            while True:
                head = await reader.readexactly(7)
                rest = await reader.readexactly(int.from_bytes(head[3:], "big") + 1)
                _, channel, one = frame.unmarshal(head + rest)
                self._hear(one, channel)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        finally:
            writer.transport.abort()

    def _hear(self, one: Any, channel: int) -> None:
        if isinstance(one, ContentHeader):
            self.bodies.append(b"")
            self._left = one.body_size
            self._received(channel)
        elif isinstance(one, ContentBody):
            self.bodies[-1] += one.value
            self._left -= len(one.value)
            self._received(channel)
        elif isinstance(one, Frame) and one.name in _REPLIES:
            self.say(_REPLIES[one.name](), channel)

    def _received(self, channel: int) -> None:
        if not self._left:
            for said in self.answer(len(self.bodies)):
                self.say(said, channel)


_REPLIES: dict[str, Callable[[], Frame]] = {
    "Connection.StartOk": lambda: commands.Connection.Tune(2047, 131_072, 0),
    "Connection.Open": commands.Connection.OpenOk,
    "Connection.Close": commands.Connection.CloseOk,
    "Channel.Open": commands.Channel.OpenOk,
    "Channel.Close": commands.Channel.CloseOk,
    "Confirm.Select": commands.Confirm.SelectOk,
}
