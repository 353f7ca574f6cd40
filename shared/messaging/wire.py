"""How a message is written as AMQP 0-9-1 properties, and read back.

CloudEvents defines no binding for AMQP 0-9-1, so its binary mode for AMQP 1.0 is carried over: events have their
attributes as headers with the prefix ``cloudEvents:``, the body is the data alone. See ``docs/messaging.md``.
"""

from datetime import UTC, datetime
from typing import Any, Final

from pamqp.commands import Basic

from shared.messaging.message import Message
from shared.messaging.topology import EVENTS

PERSISTENT: Final = 2

_TEXTS: Final = ("vpd", "stream", "traceparent", "code", "reason", "queue")
_NUMBERS: Final = ("file_no", "line", "replay")


def to_properties(message: Message) -> Basic.Properties:
    """Return the AMQP properties of a message; they carry its identity, the body carries only what it says."""
    headers: dict[str, Any] = {name: value for name in _TEXTS + _NUMBERS if (value := getattr(message, name))}
    if message.exchange == EVENTS:
        headers |= _cloud_event(message)
    return Basic.Properties(
        content_type="application/json",
        delivery_mode=PERSISTENT,
        message_id=message.message_id,
        message_type=message.type,
        correlation_id=message.file or None,
        timestamp=datetime.fromtimestamp(message.timestamp, UTC),
        headers=headers,
    )


def from_delivery(exchange: str, routing_key: str, properties: Basic.Properties, body: bytes) -> Message:
    """Read a delivery. What a stranger published without our headers comes out with empty identity."""
    headers = properties.headers or {}
    said: dict[str, Any] = {name: str(headers[name]) for name in _TEXTS if name in headers}
    said |= {name: headers[name] for name in _NUMBERS if isinstance(headers.get(name), int)}
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


def _cloud_event(message: Message) -> dict[str, Any]:
    """Return the CloudEvents 1.0 context attributes, extensions sequence and distributed tracing included."""
    service = message.type.partition(".")[0]
    return {
        "cloudEvents:specversion": "1.0",
        "cloudEvents:id": message.message_id,
        "cloudEvents:source": f"/esrbridge/{message.vpd}/{service}",
        "cloudEvents:type": message.type,
        "cloudEvents:time": datetime.fromtimestamp(message.timestamp, UTC).isoformat().replace("+00:00", "Z"),
        "cloudEvents:traceparent": message.traceparent,
    }


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
