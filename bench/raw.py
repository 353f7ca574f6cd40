"""What a broker takes when the client costs next to nothing: frames made beforehand, one socket, confirms."""

import socket
import struct
import time
from collections.abc import Sequence
from itertools import accumulate
from typing import TypeVar

from pamqp import commands, frame, header
from pamqp.base import Frame
from pamqp.body import ContentBody
from pamqp.common import FieldTable
from sqlalchemy.engine import make_url

CHANNEL = 1
IN_FLIGHT = 4
Answer = TypeVar("Answer", bound=Frame)

_FRAME = struct.Struct(">BHI")


class RawClient:
    """A blocking AMQP connection with one channel in confirm mode."""

    def __init__(self, url: str) -> None:
        where = make_url(url)
        self._socket = socket.create_connection((where.host or "", where.port or 5672), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()
        self._published = 0
        self._socket.sendall(b"AMQP\x00\x00\x09\x01")
        self._expect(commands.Connection.Start)
        login = f"\0{where.username}\0{where.password}"
        self._say(commands.Connection.StartOk(mechanism="PLAIN", response=login), 0)
        tune = self._expect(commands.Connection.Tune)
        self._say(commands.Connection.TuneOk(tune.channel_max, tune.frame_max, 0), 0)
        self._say(commands.Connection.Open(), 0)
        self._expect(commands.Connection.OpenOk)
        self.ask(commands.Channel.Open(), commands.Channel.OpenOk)
        self.ask(commands.Confirm.Select(), commands.Confirm.SelectOk)

    def ask(self, method: Frame, answer: type[Answer]) -> Answer:
        self._say(method, CHANNEL)
        return self._expect(answer)

    def close(self) -> None:
        self._socket.close()

    def declare(self, queue: str) -> None:
        arguments: FieldTable = {"x-queue-type": "quorum", "x-max-length": 100_000_000, "x-overflow": "reject-publish"}
        self.ask(commands.Queue.Declare(queue=queue, durable=True, arguments=arguments), commands.Queue.DeclareOk)

    def publish(self, windows: Sequence[bytes], sizes: Sequence[int]) -> float:
        """Write windows of so many messages, a few in flight; return the seconds until everything is confirmed."""
        start = time.perf_counter()
        confirmed, last = self._published, self._published + sum(sizes)
        ends = [self._published + end for end in accumulate(sizes)]
        singles: set[int] = set()
        written = 0
        while confirmed < last:
            while written < len(windows) and (written < IN_FLIGHT or ends[written - IN_FLIGHT] <= confirmed):
                self._socket.sendall(windows[written])
                written += 1
            tag, multiple = self._confirm()
            if multiple:
                confirmed = max(confirmed, tag)
            else:
                singles.add(tag)
            while confirmed + 1 in singles:
                confirmed += 1
                singles.discard(confirmed)
        self._published = last
        return time.perf_counter() - start

    def _confirm(self) -> tuple[int, bool]:
        kind, _, payload = self._read()
        if kind != 1 or payload[:4] != b"\x00\x3c\x00\x50":
            raise SystemExit("the broker did not confirm a raw frame")
        return int.from_bytes(payload[4:12], "big"), bool(payload[12] & 1)

    def _say(self, method: Frame, channel: int) -> None:
        self._socket.sendall(frame.marshal(method, channel))

    def _expect(self, wanted: type[Answer]) -> Answer:
        kind, channel, payload = self._read()
        _, _, method = frame.unmarshal(_FRAME.pack(kind, channel, len(payload)) + payload + b"\xce")
        if not isinstance(method, wanted):
            raise SystemExit(f"the broker said {method!r}, not {wanted.__name__}")
        return method

    def _read(self) -> tuple[int, int, bytes]:
        while len(self._buffer) < 7 or len(self._buffer) < 8 + _FRAME.unpack_from(self._buffer)[2]:
            more = self._socket.recv(65536)
            if not more:
                raise SystemExit("the broker closed the raw connection")
            self._buffer += more
        kind, channel, length = _FRAME.unpack_from(self._buffer)
        payload = bytes(self._buffer[7 : 7 + length])
        del self._buffer[: 8 + length]
        return kind, channel, payload


def plain_message(exchange: str, routing_key: str, body: bytes) -> bytes:
    """Return the frames of one persistent message."""
    said = commands.Basic.Properties(delivery_mode=2)
    return b"".join(
        frame.marshal(part, CHANNEL)
        for part in (
            commands.Basic.Publish(exchange=exchange, routing_key=routing_key),
            header.ContentHeader(body_size=len(body), properties=said),
            ContentBody(body),
        )
    )
