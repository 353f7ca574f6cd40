"""The AsyncAPI 3 document of everything on the broker, made from the same code that declares and encodes it."""

from importlib.metadata import version
from typing import Any, Final

import msgspec

from shared import events
from shared.messaging.topology import DEAD, EVENTS, LMS, OUTCOMES, RECORDS, Topology
from shared.outcomes import Outcomes

_MEANINGS: Final = {
    RECORDS: "One message per record of ESR's files; routing key <entity>.<action>.",
    LMS: "One message per completion that the LMS reports.",
    EVENTS: "Domain events; routing key <service>.<Event>.",
    OUTCOMES: "What became of lines, told by the service that owns them.",
    DEAD: "Messages that were given up, each with code and reason; routing key <queue>.dead.",
}


def asyncapi() -> dict[str, Any]:
    """Return the document. ``docs/asyncapi.json`` holds it; a test keeps that file equal to this."""
    topology = Topology()
    kinds: list[type[msgspec.Struct]] = [*events.TYPES.values(), Outcomes]
    _, described = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    schemas = msgspec.json.decode(msgspec.json.encode(described))  # as JSON has it: no tuples
    messages = {name: _event(name, kind) for name, kind in sorted(events.TYPES.items())}
    messages["record"] = {
        "title": "A record",
        "summary": "Columns of one record by their profile names; texts only, dates in ISO form.",
        "contentType": "application/json",
        "headers": _headers(),
        "payload": {"type": "object", "additionalProperties": {"type": "string"}},
    }
    messages["outcomes"] = {
        "title": "Fates of lines of one file",
        "contentType": "application/json",
        "headers": _headers(),
        "payload": {"$ref": "#/components/schemas/Outcomes"},
    }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "ESR Bridge", "version": version("esrbridge"), "description": "What is on the broker."},
        "defaultContentType": "application/json",
        "channels": {
            **{name: _exchange(topology, name, messages) for name in topology.exchanges},
            **{queue.name: _queue(queue.name) for queue in topology.queues},
        },
        "operations": {
            f"{queue.owner}-consumes-{queue.name}": {
                "action": "receive",
                "channel": {"$ref": f"#/channels/{queue.name}"},
                "summary": ", ".join(f"{binding.exchange}: {binding.pattern}" for binding in queue.bindings),
            }
            for queue in topology.queues
        },
        "components": {"messages": messages, "schemas": schemas},
    }


def _event(name: str, kind: type[events.Event]) -> dict[str, Any]:
    return {
        "name": name,
        "title": kind.__name__,
        "summary": " ".join((kind.__doc__ or "").split()),
        "contentType": "application/json",
        "headers": _headers(),
        "payload": {"$ref": f"#/components/schemas/{kind.__name__}"},
    }


def _exchange(topology: Topology, name: str, messages: dict[str, Any]) -> dict[str, Any]:
    if name == EVENTS:
        carried = [key for key in messages if key in events.TYPES]
    else:
        carried = ["outcomes"] if name == OUTCOMES else ["record"]
    return {
        "address": name,
        "description": _MEANINGS[name],
        "messages": {key: {"$ref": f"#/components/messages/{key}"} for key in carried},
        "bindings": {
            "amqp": {"is": "routingKey", "exchange": {"name": name, "type": topology.kind(name), "durable": True}}
        },
    }


def _queue(name: str) -> dict[str, Any]:
    return {"address": name, "bindings": {"amqp": {"is": "queue", "queue": {"name": name, "durable": True}}}}


def _headers() -> dict[str, Any]:
    text, number = {"type": "string"}, {"type": "integer"}
    return {
        "type": "object",
        "required": ["vpd"],
        "properties": {
            "vpd": text, "stream": text, "file_no": number, "line": number, "traceparent": text, "replay": number,
            "code": text, "reason": text, "queue": text,
        },
    }  # fmt: skip
