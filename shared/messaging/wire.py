"""How a message is told in AMQP 0-9-1 properties, and read back. The writing half is ``shared.messaging.frames``.

CloudEvents defines no binding for AMQP 0-9-1, so its binary mode for AMQP 1.0 is carried over: events have their
attributes as headers with the prefix ``cloudEvents:``, the body is the data alone. See ``docs/messaging.md``.
"""

import struct
from typing import Any, Final

from pamqp.commands import Basic
from pamqp.header import ContentHeader

from shared.messaging.message import Message

PERSISTENT: Final = 2
"""Delivery mode of messages that survive a restart of the broker."""

CONTENT_TYPE: Final = "application/json"

TEXTS: Final = ("vpd", "stream", "traceparent", "code", "reason", "queue")
"""Attributes of a message that travel as headers holding text; one that is empty is left out."""

NUMBERS: Final = ("file_no", "line", "replay")
"""The same for numbers; zero is left out."""


# The properties a message may have, one bit each, in the order in which they follow.
HAS_CONTENT_TYPE, HAS_HEADERS, HAS_DELIVERY_MODE = 1 << 15, 1 << 13, 1 << 12
HAS_CORRELATION_ID, HAS_MESSAGE_ID, HAS_TIMESTAMP, HAS_TYPE = 1 << 10, 1 << 7, 1 << 6, 1 << 5

_ALWAYS: Final = HAS_CONTENT_TYPE | HAS_HEADERS | HAS_DELIVERY_MODE | HAS_TIMESTAMP
_SOMETIMES: Final = HAS_CORRELATION_ID | HAS_MESSAGE_ID | HAS_TYPE
"""Properties of our messages; there are others that none has."""

_TEXTS: Final = {name.encode(): name for name in TEXTS}
_NUMBERS: Final = {name.encode(): name for name in NUMBERS}
_DIED: Final = b"x-first-death-queue"
_TEXT, _INTEGER_64, _INTEGER_32 = b"SlI"
_LATEST: Final = 0xFFFF_FFFF
"""Above this the library takes a timestamp to be in milliseconds."""
_FLAGS: Final = struct.Struct(">H")
_SIZE: Final = struct.Struct(">I")
_LONG: Final = struct.Struct(">q")
_SHORTER: Final = struct.Struct(">i")
_MOMENT: Final = struct.Struct(">Q")


def from_frames(method: bytes, content: bytes, body: bytes) -> Message:
    """Read a delivery from the payloads of its frames: ``basic.deliver``, the content header, and the body's joined.

    What we wrote ourselves is read here, only as far as it is needed; anything else is left to the library's decoder.
    What even that cannot read comes out with empty identity.
    """
    exchange, at = _short(method, 5 + method[4] + 9)
    routing_key, _ = _short(method, at)
    try:
        said = _of_ours(content)
    except (IndexError, UnicodeDecodeError, struct.error):
        said = None
    if said is None:
        return from_delivery(exchange, routing_key, _properties(content), body)
    said["type"] = said.get("type") or routing_key
    return Message(exchange=exchange, address=routing_key, body=body, **said)


def _of_ours(content: bytes) -> dict[str, Any] | None:
    """Return the attributes of a message of ours; None when there is anything that we do not write."""
    (flags,) = _FLAGS.unpack_from(content, 12)
    if flags & ~_SOMETIMES != _ALWAYS:
        return None
    said: dict[str, Any] = {"vpd": "", "message_id": ""}
    at = 15 + content[14]
    end = at + 4 + _SIZE.unpack_from(content, at)[0]
    if not _headers(content, at + 4, end, said):
        return None
    at = end + 1  # behind the delivery mode
    if flags & HAS_CORRELATION_ID:
        said["file"], at = _short(content, at)
    if flags & HAS_MESSAGE_ID:
        said["message_id"], at = _short(content, at)
    (said["timestamp"],) = _MOMENT.unpack_from(content, at)
    if flags & HAS_TYPE:
        said["type"], _ = _short(content, at + 8)
    return said if said["timestamp"] <= _LATEST else None


def _headers(content: bytes, at: int, end: int, said: dict[str, Any]) -> bool:
    """Read those headers that are attributes of a message; tell whether all are as we write them."""
    while at < end:
        after = at + 1 + content[at]
        name, kind = content[at + 1 : after], content[after]
        if name == _DIED:
            return False
        if kind == _TEXT:
            at = after + 5 + _SIZE.unpack_from(content, after + 1)[0]
            if name in _TEXTS:
                said[_TEXTS[name]] = content[after + 5 : at].decode()
            elif name in _NUMBERS:
                return False
        elif kind in (_INTEGER_64, _INTEGER_32) and name not in _TEXTS:
            number = _LONG if kind == _INTEGER_64 else _SHORTER
            at = after + 1 + number.size
            if name in _NUMBERS:
                (said[_NUMBERS[name]],) = number.unpack_from(content, after + 1)
        else:
            return False
    return True


def _short(data: bytes, at: int) -> tuple[str, int]:
    """Return a short string and where it ends."""
    after = at + 1 + data[at]
    return data[at + 1 : after].decode(), after


def _properties(content: bytes) -> Basic.Properties:
    header = ContentHeader()
    try:
        header.unmarshal(content)
    except (IndexError, ValueError, struct.error):
        return Basic.Properties()
    return header.properties


def from_delivery(exchange: str, routing_key: str, properties: Basic.Properties, body: bytes) -> Message:
    """Read a delivery. What a stranger published without our headers comes out with empty identity."""
    headers = properties.headers or {}
    said: dict[str, Any] = {name: str(headers[name]) for name in TEXTS if name in headers}
    said |= {name: headers[name] for name in NUMBERS if isinstance(headers.get(name), int)}
    said.setdefault("vpd", "")
    if "x-first-death-queue" in headers and not said.get("code"):
        said |= _broker_gave_up(headers)
    return Message(
        exchange=exchange,
        type=properties.message_type or routing_key,
        address=routing_key,
        message_id=properties.message_id or "",
        body=body,
        file=properties.correlation_id or "",
        timestamp=int(properties.timestamp.timestamp()) if properties.timestamp else 0,
        **said,
    )


def _broker_gave_up(headers: dict[str, Any]) -> dict[str, Any]:
    """Describe a message that the broker itself dead-lettered: its consumer never got to say why."""
    reason = str(headers.get("x-first-death-reason", "unknown"))
    return {
        "queue": str(headers["x-first-death-queue"]),
        "code": f"BROKER_{reason.upper()}",
        "reason": "the broker gave up on this message because its consumer stopped each time it was delivered"
        if reason == "delivery_limit"
        else f"the broker dead-lettered this message: {reason}",
    }
