"""How a message is told in AMQP 0-9-1 properties, and read back. The writing half is ``shared.messaging.frames``.

CloudEvents defines no binding for AMQP 0-9-1, so its binary mode for AMQP 1.0 is carried over: events have their
attributes as headers with the prefix ``cloudEvents:``, the body is the data alone. See ``docs/messaging.md``.
"""

from typing import Any, Final

from pamqp.commands import Basic

from shared.messaging.message import Message

PERSISTENT: Final = 2
"""Delivery mode of messages that survive a restart of the broker."""

CONTENT_TYPE: Final = "application/json"

TEXTS: Final = ("vpd", "stream", "traceparent", "code", "reason", "queue")
"""Attributes of a message that travel as headers holding text; one that is empty is left out."""

NUMBERS: Final = ("file_no", "line", "replay")
"""The same for numbers; zero is left out."""


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
