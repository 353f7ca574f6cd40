"""Dead letters as they are shown: nothing personal in lists, values masked unless revealed."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from services.console import store
from services.console.checking import Schemas, advice, meaning
from shared.messaging.message import Message

MASK: Final = "***"


def summary(row: store.AnyRow) -> dict[str, Any]:
    """Return a letter as lists show it: nothing personal."""
    return {
        "vpd": row.vpd,
        "id": row.id,
        "state": row.state,
        "code": row.code,
        "reason": row.reason,
        "meaning": meaning(row.code),
        "advice": advice(row.code),
        "type": row.type,
        "queue": row.queue,
        "cause": row.cause,
        "file": row.file,
        "line": row.line,
        "failures": row.failures,
        "replays": row.replay,
        "first_at": row.first_at.isoformat(),
        "last_at": row.last_at.isoformat(),
        "sent_at": row.sent_at.isoformat() if row.sent_at else None,
        "closed_at": row.closed_at.isoformat() if row.closed_at else None,
        "outcome": row.outcome,
        "edited": row.edited is not None,
        "edits": row.edits,
        "assignee": row.assignee,
        "hold_until": row.hold_until.isoformat() if row.hold_until else None,
        "ticket": row.ticket,
    }


def detail(row: store.AnyRow, *, reveal: bool, schemas: Schemas | None = None) -> dict[str, Any]:
    """Return a letter with its record: the names of its columns, and their values only when asked for.

    ``faults`` says what is wrong with the record's form as it would be sent now.
    """
    message = store.message_of(row)
    fields = fields_of(message)
    faults = (schemas or Schemas()).check(message)
    shown = {
        "columns": fields if reveal else dict.fromkeys(fields, MASK),
        "faults": [one.told for one in faults],
    }
    return summary(row) | shown


def history(row: store.AnyRow, edits: Sequence[store.AnyRow], *, reveal: bool) -> list[dict[str, Any]]:
    """Return each edit with its difference from what was before, the first one's from the original."""
    before, told = store.original_of(row), []
    for edit in edits:
        after = msgspec.structs.replace(before, body=edit.body)
        told.append(
            {
                "number": edit.number,
                "at": edit.at.isoformat(),
                "who": edit.who,
                "why": edit.why,
                "changes": _difference(fields_of(before), fields_of(after), reveal=reveal),
            }
        )
        before = after
    return told


def fields_of(message: Message) -> dict[str, str]:
    """Return the columns of a record; nothing for what is no record."""
    try:
        return msgspec.json.decode(message.body, type=dict[str, str])
    except msgspec.DecodeError:
        return {}


def _difference(before: dict[str, str], after: dict[str, str], *, reveal: bool) -> list[dict[str, str | None]]:
    return [
        {"column": name, "before": _shown(before.get(name), reveal), "after": _shown(after.get(name), reveal)}
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def _shown(value: str | None, reveal: bool) -> str | None:
    return value if reveal or value is None else MASK
