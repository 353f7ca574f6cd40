"""What operators do with dead letters: the same actions for the API and the command line."""

from typing import Any

import msgspec

from services.console import store
from services.console.domain import DeadLetterError, Letter, check_discard, check_edit, check_replay
from shared import records
from shared.db.unit import Unit, Work
from shared.messaging.message import Message


class Operator:
    """Acts in one person's name."""

    def __init__(self, work: Work, who: str) -> None:
        self._work = work
        self._who = who

    async def replay(self, vpd: str, letter: str, why: str) -> None:
        """Send a letter's record to the queue it came from. Raises DeadLetterError.

        The message keeps its id and its version, so what it says can never overwrite anything newer.
        """
        async with self._work.unit() as unit:
            row = await self._locked(unit, vpd, letter)
            check_replay(Letter(row.id, row.state, row.replay))
            if not row.queue:
                raise DeadLetterError(f"dead letter {letter} does not say which queue it came from; discard it")
            again = _again(store.message_of(row), row.queue, row.replay + 1)
            unit.messages.append(again)
            await store.set_state(unit.connection, row, "replayed", replay=row.replay + 1)
            await store.note(unit.connection, row, self._work.clock.now(), self._who, "replay", why)

    async def discard(self, vpd: str, letter: str, why: str) -> None:
        """Close a letter without replay. Raises DeadLetterError, also when no reason is given."""
        if not why.strip():
            raise DeadLetterError("a reason is needed to discard a dead letter")
        async with self._work.unit() as unit:
            row = await self._locked(unit, vpd, letter)
            check_discard(Letter(row.id, row.state, row.replay))
            await store.set_state(unit.connection, row, "discarded")
            await store.note(unit.connection, row, self._work.clock.now(), self._who, "discard", why)

    async def edit(self, vpd: str, letter: str, changes: dict[str, str], why: str) -> dict[str, Any]:
        """Change columns of a letter's record; an empty value removes the column. The original is kept.

        Returns the names of the columns that changed. Raises DeadLetterError when the body is not a record.
        """
        async with self._work.unit() as unit:
            row = await self._locked(unit, vpd, letter)
            check_edit(Letter(row.id, row.state, row.replay))
            try:
                fields = msgspec.json.decode(store.message_of(row).body, type=dict[str, str])
            except msgspec.DecodeError as error:
                raise DeadLetterError(f"dead letter {letter} is not a record and cannot be edited by column") from error
            edited = {name: value for name, value in (fields | changes).items() if value}
            changed = sorted(name for name in changes if fields.get(name, "") != edited.get(name, ""))
            await store.set_edited(unit.connection, row, records.encode(edited))
            await store.note(unit.connection, row, self._work.clock.now(), self._who, "edit", why, changed)
        return {"id": letter, "changed": changed}

    async def _locked(self, unit: Unit, vpd: str, letter: str) -> store.AnyRow:
        row = await store.find(unit.connection, vpd, letter, lock=True)
        if row is None:
            raise DeadLetterError(f"trust {vpd} has no dead letter {letter}")
        return row


def summary(row: store.AnyRow) -> dict[str, Any]:
    """Return a letter as lists show it: nothing personal."""
    return {
        "vpd": row.vpd,
        "id": row.id,
        "state": row.state,
        "code": row.code,
        "reason": row.reason,
        "type": row.type,
        "queue": row.queue,
        "file": row.file,
        "line": row.line,
        "failures": row.failures,
        "first_at": row.first_at.isoformat(),
        "last_at": row.last_at.isoformat(),
        "edited": row.edited is not None,
    }


def detail(row: store.AnyRow, *, reveal: bool) -> dict[str, Any]:
    """Return a letter with its record: the names of its columns, and their values only when asked for."""
    try:
        fields = msgspec.json.decode(store.message_of(row).body, type=dict[str, str])
    except msgspec.DecodeError:
        fields = {}
    return summary(row) | {"columns": fields if reveal else dict.fromkeys(fields, "***")}


def _again(message: Message, queue: str, replay: int) -> Message:
    """Return the message addressed to the one queue whose consumer gave up on it."""
    fresh = msgspec.structs.replace(message, code="", reason="", queue="", replay=replay)
    return fresh.to("", queue)
