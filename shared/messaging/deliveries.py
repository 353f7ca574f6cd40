"""Deliveries cut out of what a broker sends, before the client library decodes them.

The library reads a frame in three steps and decodes every property of every message; for a service that does little
else that was a quarter to a half of its work. Here a connection's bytes are cut a chunk at a time: the frames of
deliveries go as they are to whoever consumes on their channel, all others reach the library byte for byte. The place
for this is the library's own: a transport factory. See ``docs/adr/0012-whole-windows-in-one-write.md``.
"""

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final, cast

from aiormq.connection import TCPTransportFactory, TLSTransportFactory, TransportFactory
from yarl import URL

CHUNK: Final = 131_072
"""Bytes read at once, at most."""

HEARTBEAT: Final = b"\x08\x00\x00\x00\x00\x00\x00\xce"
_METHOD, _HEADER, _BODY, _END = 1, 2, 3, 0xCE
_KINDS: Final = (_METHOD, _HEADER, _BODY, HEARTBEAT[0])
_FRAME: Final = struct.Struct(">BHI")
_START, _AROUND = 7, 8
"""Bytes before a frame's payload, and around it."""
_DELIVER: Final = b"\x00\x3c\x00\x3c"
"""Class and method of ``basic.deliver``."""
_LENGTH: Final = struct.Struct(">Q")


@dataclass(slots=True)
class Delivery:
    """The payloads of the frames of one message: method, properties, and the body, of which there may be several."""

    method: bytes
    content: bytes = b""
    body: bytes = b""
    missing: int = 0
    """Bytes of the body still to come."""

    @property
    def tag(self) -> int:
        """The number by which it is acknowledged, counted from 1 in each channel."""
        return int(_LENGTH.unpack_from(self.method, 5 + self.method[4])[0])


Take = Callable[[Delivery], None]


class Deliveries(TransportFactory):
    """Opens connections for the client library, of which some channels' deliveries go elsewhere."""

    def __init__(self) -> None:
        self.takers: dict[int, Take] = {}
        """Who takes the deliveries of a channel, by its number."""

    async def create(self, url: URL, **kwargs: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect as the library would, and read between. Raises what the library raises."""
        usual = TLSTransportFactory() if url.scheme == "amqps" else TCPTransportFactory()
        reader, writer = await usual.create(url, **kwargs)
        return cast("asyncio.StreamReader", DeliveryReader(reader, self.takers)), writer


class DeliveryReader:
    """What the library reads from: the three methods of a stream that it calls."""

    def __init__(self, reader: asyncio.StreamReader, takers: dict[int, Take]) -> None:
        self._reader = reader
        self._takers = takers
        self._coming: dict[int, Delivery] = {}
        self._rest = b""
        """The beginning of a frame whose end has not come yet."""
        self._others = bytearray()
        """Frames for the library."""
        self._told = monotonic()

    def at_eof(self) -> bool:
        """Tell whether all was read and no more can come."""
        return not self._others and self._reader.at_eof()

    async def read(self) -> bytes:
        """Return all that ever comes. The library asks this of a broker that speaks something else than AMQP."""
        said = bytes(self._others) + self._rest + await self._reader.read()
        self._others.clear()
        self._rest = b""
        return said

    async def readexactly(self, count: int) -> bytes:
        """Return so many bytes of what is for the library. Raises asyncio.IncompleteReadError at the end."""
        while len(self._others) < count:
            data = await self._reader.read(CHUNK)
            if not data:
                raise asyncio.IncompleteReadError(bytes(self._others), count)
            self._cut(self._rest + data if self._rest else data)
            self._tell()
        taken = bytes(self._others[:count])
        del self._others[:count]
        return taken

    def _tell(self) -> None:
        """Tell the library now and then that the broker lives: while there are deliveries, it sends no heartbeats."""
        now = monotonic()
        if not self._others and now - self._told > 1:
            self._others += HEARTBEAT
            self._told = now

    def _cut(self, data: bytes) -> None:
        at, end = 0, len(data)
        while end - at >= _AROUND:
            kind, channel, size = _FRAME.unpack_from(data, at)
            after = at + size + _AROUND
            if kind not in _KINDS:  # no AMQP: the library knows what to say of that
                after = end
            elif after > end:
                break
            taker = self._takers.get(channel)
            whole = data[after - 1] == _END
            if not (taker and whole and self._taken(kind, channel, data[at + _START : after - 1], taker)):
                self._others += data[at:after]
            at = after
        self._rest = data[at:]

    def _taken(self, kind: int, channel: int, payload: bytes, taker: Take) -> bool:
        """Take a frame if it is part of a delivery; hand the delivery on when it is whole."""
        if kind == _METHOD:
            if payload[:4] != _DELIVER:
                return False
            self._coming[channel] = Delivery(payload)
            return True
        delivery = self._coming.get(channel)
        if delivery is None:
            return False
        if kind == _HEADER:
            delivery.content = payload
            delivery.missing = _LENGTH.unpack_from(payload, 4)[0]
        else:
            delivery.body = delivery.body + payload if delivery.body else payload
            delivery.missing -= len(payload)
        if not delivery.missing:
            del self._coming[channel]
            taker(delivery)
        return True
