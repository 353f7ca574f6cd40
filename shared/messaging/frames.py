"""Messages as AMQP 0-9-1 frames, ready to be written. The reading half is ``shared.messaging.wire``.

Made by hand: the client library's encoder looks up the type of every property and header of every message, which costs
more than all the rest of publishing. Most of a message's properties are those of the message before it, so they are
encoded once and kept. ``tests/unit/test_wire.py`` reads every kind of message back with the library's own decoder.
"""

import functools
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from shared.messaging.message import Message
from shared.messaging.topology import EVENTS
from shared.messaging.wire import (
    CONTENT_TYPE,
    HAS_CONTENT_TYPE,
    HAS_CORRELATION_ID,
    HAS_DELIVERY_MODE,
    HAS_HEADERS,
    HAS_MESSAGE_ID,
    HAS_TIMESTAMP,
    HAS_TYPE,
    NUMBERS,
    PERSISTENT,
    TEXTS,
)

KEPT: Final = 256
"""Encodings kept. A file's messages need one per record type; when there are more than these, all are made anew."""

OVERHEAD: Final = 8
"""Bytes a frame has around its payload."""

LARGEST: Final = 131_072
"""Size of frames where the broker sets no limit: what RabbitMQ allows unless told otherwise."""

_METHOD, _HEADER, _BODY, _END = 1, 2, 3, b"\xce"
_BASIC, _PUBLISH = 60, 40

_FRAME: Final = struct.Struct(">BHI")
_METHOD_START: Final = struct.Struct(">HHH")
_CONTENT_START: Final = struct.Struct(">BHIHHQH")
_SIZE: Final = struct.Struct(">I")
_INTEGER: Final = struct.Struct(">q")
_MOMENT: Final = struct.Struct(">Q")

Key = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class _Stamp:
    """What the messages of one type and file have in common, encoded."""

    flags: int
    headers: bytes
    middle: bytes
    end: bytes
    event: bool


class Frames:
    """Makes frames for one channel. ``frame_max`` is the size of frame the broker allows, 0 for any.

    ``mandatory`` is asked, once for an exchange and routing key, whether the broker must have a queue for a message.
    """

    def __init__(self, channel: int, frame_max: int, mandatory: Callable[[str, str], bool]) -> None:
        self._channel = channel
        self._most = (frame_max or LARGEST) - OVERHEAD
        self._mandatory = mandatory
        self._methods: dict[Key, bytes] = {}
        self._stamps: dict[Key, _Stamp] = {}

    def of(self, message: Message) -> bytes:
        """Return the frames of one message: the method, its properties, and its body in as many as it takes."""
        method = self._method(message.exchange, message.routing_key)
        body = message.body
        if not body:
            return method + self._properties(message)
        if len(body) > self._most:
            return method + self._properties(message) + self._split(body)
        head = _FRAME.pack(_BODY, self._channel, len(body))
        return b"".join((method, self._properties(message), head, body, _END))

    def _method(self, exchange: str, routing_key: str) -> bytes:
        known = self._methods.get((exchange, routing_key))
        if known is None:
            start = _METHOD_START.pack(_BASIC, _PUBLISH, 0)
            flag = bytes((self._mandatory(exchange, routing_key),))
            known = self._frame(_METHOD, start + _short(exchange) + _short(routing_key) + flag)
            _make_room(self._methods)
            self._methods[exchange, routing_key] = known
        return known

    def _split(self, body: bytes) -> bytes:
        starts = range(0, len(body), self._most)
        return b"".join(self._frame(_BODY, body[start : start + self._most]) for start in starts)

    def _frame(self, kind: int, payload: bytes) -> bytes:
        return _FRAME.pack(kind, self._channel, len(payload)) + payload + _END

    def _properties(self, message: Message) -> bytes:
        stamp = self._stamp(message)
        flags, headers, identity = stamp.flags, stamp.headers, b""
        if message.traceparent:
            headers += _text("traceparent", message.traceparent)
        if message.line:
            headers += _number("line", message.line)
        if stamp.event:
            headers += _of_one_event(message)
        if message.message_id:
            flags, identity = flags | HAS_MESSAGE_ID, _short(message.message_id)
        payload = b"".join((_JSON, _SIZE.pack(len(headers)), headers, stamp.middle, identity, stamp.end, _END))
        size = _CONTENT_START.size - _FRAME.size + len(payload) - len(_END)
        return _CONTENT_START.pack(_HEADER, self._channel, size, _BASIC, 0, len(message.body), flags) + payload

    def _stamp(self, message: Message) -> _Stamp:
        key = (
            message.exchange, message.type, message.vpd, message.stream, message.file, message.file_no,
            message.timestamp, message.code, message.reason, message.queue, message.replay,
        )  # fmt: skip
        known = self._stamps.get(key)
        if known is None:
            known = _stamp(message)
            _make_room(self._stamps)
            self._stamps[key] = known
        return known


def _stamp(message: Message) -> _Stamp:
    flags = HAS_CONTENT_TYPE | HAS_HEADERS | HAS_DELIVERY_MODE | HAS_TIMESTAMP
    own = ("traceparent", "line")
    headers = b"".join(_text(name, said) for name in TEXTS if name not in own and (said := getattr(message, name)))
    headers += b"".join(_number(name, said) for name in NUMBERS if name not in own and (said := getattr(message, name)))
    middle, end = bytes((PERSISTENT,)), _MOMENT.pack(message.timestamp)
    if message.file:
        flags, middle = flags | HAS_CORRELATION_ID, middle + _short(message.file)
    if message.type:
        flags, end = flags | HAS_TYPE, end + _short(message.type)
    event = message.exchange == EVENTS
    return _Stamp(flags, headers + _of_events(message) if event else headers, middle, end, event)


def _of_events(message: Message) -> bytes:
    """Return the CloudEvents 1.0 attributes that events of one type and file share."""
    service = message.type.partition(".")[0]
    moment = datetime.fromtimestamp(message.timestamp, UTC).isoformat().replace("+00:00", "Z")
    return (
        _text("cloudEvents:specversion", "1.0")
        + _text("cloudEvents:source", f"/esrbridge/{message.vpd}/{service}")
        + _text("cloudEvents:type", message.type)
        + _text("cloudEvents:time", moment)
    )


def _of_one_event(message: Message) -> bytes:
    """Return the CloudEvents attributes of this event alone; distributed tracing is an extension of theirs."""
    said = _text("cloudEvents:id", message.message_id)
    return said + _text("cloudEvents:traceparent", message.traceparent) if message.traceparent else said


def _text(name: str, value: str) -> bytes:
    """Encode a header whose value is a text."""
    data = value.encode()
    return b"".join((_name(name), b"S", _SIZE.pack(len(data)), data))


def _number(name: str, value: int) -> bytes:
    """Encode a header whose value is a signed integer of 64 bits."""
    return _name(name) + b"l" + _INTEGER.pack(value)


def _short(text: str) -> bytes:
    """Encode a short string, which AMQP limits to 255 bytes.

    Only the name of a file that is no text and of no profile can be longer. It is cut: no line belongs to such a file,
    and a message that cannot be written would keep back all that wait with it.
    """
    data = text.encode()
    if len(data) > 255:
        data = data[:255].decode("utf-8", "ignore").encode()
    return bytes((len(data),)) + data


@functools.lru_cache(maxsize=64)
def _name(name: str) -> bytes:
    return _short(name)


def _make_room(kept: dict[Key, Any]) -> None:
    if len(kept) >= KEPT:
        kept.clear()


_JSON: Final = _short(CONTENT_TYPE)
