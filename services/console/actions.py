"""What operators do with dead letters: the same actions for the API, the web pages and the command line.

Each locks the letters it is about, so that of two people who click at once the second is told that it is done already.
What is asked of many letters at once is done in stretches, each whole; asking again after a crash does what is left.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from services.console import audit, store
from services.console.audit import Deed
from services.console.checking import Finding, Schemas, worse
from services.console.domain import (
    DeadLetterError,
    Letter,
    check_discard,
    check_edit,
    check_replay,
    check_undo,
)
from services.console.identity import identify
from services.console.search import Selection, hashed, query
from services.console.showing import detail, summary
from services.console.tables import LETTERS
from shared import records
from shared.db.unit import Unit, Work
from shared.messaging.message import Message

__all__ = ["Operator", "detail", "summary"]

STRETCH: Final = 500
"""Letters that are changed in one transaction when many are meant."""


class Operator:
    """Acts in one person's name. ``schemas`` knows the form of the trusts' records."""

    def __init__(self, work: Work, who: str, schemas: Schemas | None = None) -> None:
        self._work = work
        self._who = who
        self._schemas = schemas or Schemas()

    async def replay(self, vpd: str, letter: str, why: str) -> None:
        """Send a letter's record to the queue it came from. Raises DeadLetterError.

        The message keeps its id and its version, so what it says can never overwrite anything newer. The letter is
        ``replayed``, that is sent; it is ``resolved`` when its line has a settled fate.
        """
        async with self._work.unit() as unit:
            await self._send(unit, await self._locked(unit, vpd, letter), why)

    async def edit_and_replay(
        self, vpd: str, letter: str, changes: Mapping[str, str], why: str, expected: int | None = None
    ) -> dict[str, Any]:
        """Edit and replay in one step, only if nothing is wrong with the record's form then. Raises DeadLetterError."""
        async with self._work.unit() as unit:
            row = await self._locked(unit, vpd, letter)
            changed = await self._edit(unit, row, changes, why, expected)
            row = await self._locked(unit, vpd, letter)
            if found := self._schemas.check(store.message_of(row)):
                raise DeadLetterError(f"the record was not sent: {_sentence(found)}")
            await self._send(unit, row, why)
        return {"id": letter, "changed": changed, "state": "replayed"}

    async def edit(
        self, vpd: str, letter: str, changes: Mapping[str, str], why: str, expected: int | None = None
    ) -> dict[str, Any]:
        """Change columns of a letter's record; an empty value removes the column. The original and each edit are kept.

        Returns the names of the columns that changed. Raises DeadLetterError when the body is not a record, when the
        change would make something wrong that was not, or when somebody has edited it since ``expected`` edits.
        """
        async with self._work.unit() as unit:
            row = await self._locked(unit, vpd, letter)
            changed = await self._edit(unit, row, changes, why, expected)
        return {"id": letter, "changed": changed}

    async def discard(self, vpd: str, letter: str, why: str) -> None:
        """Close a letter without replay. Raises DeadLetterError, also when no reason is given."""
        if not why.strip():
            raise DeadLetterError("a reason is needed to discard a dead letter")
        async with self._work.unit() as unit:
            row = await self._locked(unit, vpd, letter)
            check_discard(_letter(row))
            await store.change(unit.connection, vpd, [row.id], {"state": "discarded", "closed_at": self._now})
            await self._note(unit, row, "discard", why, {"state": row.state}, {"state": "discarded"})

    async def undo(self, vpd: str, letter: str, why: str) -> None:
        """Open a discarded letter again. Raises DeadLetterError."""
        async with self._work.unit() as unit:
            row = await self._locked(unit, vpd, letter)
            check_undo(_letter(row))
            await store.change(unit.connection, vpd, [row.id], {"state": "open", "closed_at": None})
            await self._note(unit, row, "undo", why, {"state": row.state}, {"state": "open"})

    async def assign(self, vpd: str, selection: Selection, assignee: str, why: str) -> int:
        """Say who looks after letters, empty for nobody; return how many there were."""
        return await self._change(vpd, selection, "assign", why, {"assignee": assignee})

    async def hold(self, vpd: str, selection: Selection, until: datetime | None, why: str) -> int:
        """Let nobody replay letters before a moment; None ends the hold. Return how many there were."""
        return await self._change(vpd, selection, "hold", why, {"hold_until": until})

    async def link(self, vpd: str, selection: Selection, ticket: str, why: str) -> int:
        """Link letters to a ticket, empty for none; return how many there were."""
        return await self._change(vpd, selection, "link", why, {"ticket": ticket})

    async def note(self, vpd: str, selection: Selection, why: str) -> int:
        """Write a note beside letters; return how many there were."""
        return await self._change(vpd, selection, "note", why, {})

    @property
    def _now(self) -> datetime:
        return self._work.clock.now()

    async def _send(self, unit: Unit, row: store.AnyRow, why: str) -> None:
        check_replay(_letter(row), self._now)
        unit.messages.append(again(row))
        await store.change(unit.connection, row.vpd, [row.id], sent(self._now))
        before, after = (
            {"state": state, "replay": n} for state, n in (("open", row.replay), ("replayed", row.replay + 1))
        )
        await self._note(unit, row, "replay", why, before, after)

    async def _edit(
        self, unit: Unit, row: store.AnyRow, changes: Mapping[str, str], why: str, expected: int | None
    ) -> list[str]:
        check_edit(_letter(row))
        if expected is not None and expected != row.edits:
            raise DeadLetterError(f"dead letter {row.id} was edited since you looked at it; look at it again")
        message = store.message_of(row)
        try:
            fields = msgspec.json.decode(message.body, type=dict[str, str])
        except msgspec.DecodeError as error:
            raise DeadLetterError(f"dead letter {row.id} is not a record and cannot be edited by column") from error
        edited = {name: value for name, value in (fields | dict(changes)).items() if value}
        changed = sorted(name for name in changes if fields.get(name, "") != edited.get(name, ""))
        if not changed:
            return []
        after = msgspec.structs.replace(message, body=records.encode(edited))
        if found := worse(self._schemas.check(message), self._schemas.check(after)):
            raise DeadLetterError(f"the edit was not kept: {_sentence(found)}")
        key = await store.staff_key(unit.connection, row.vpd)
        about = identify(key, after, self._schemas.own_key(after))
        said = {"at": self._now, "who": self._who, "why": why, "columns": changed}
        await store.set_edited(unit.connection, row, after.body, about, **said)
        deed = Deed(self._who, "edit", why, 0, tuple(changed), {"edits": row.edits}, {"edits": row.edits + 1})
        await audit.write(unit.connection, row.vpd, self._now, [(row.id, deed)])
        return changed

    async def _change(self, vpd: str, selection: Selection, action: str, why: str, values: Mapping[str, Any]) -> int:
        """Change letters in stretches, by id."""
        done, last = 0, ""
        while True:
            async with self._work.unit() as unit:
                letters = await next_ids(unit, vpd, selection, self._now, last, STRETCH)
                if not letters:
                    break
                held = await store.locked(unit.connection, vpd, letters)
                if values and held:
                    await store.change(unit.connection, vpd, list(held), values)
                after = {name: _told(value) for name, value in values.items()}
                deeds = [
                    (
                        one,
                        Deed(
                            self._who,
                            action,
                            why,
                            before={name: _told(getattr(row, name)) for name in values},
                            after=after,
                        ),
                    )
                    for one, row in held.items()
                ]
                await audit.write(unit.connection, vpd, self._now, deeds)
            done, last = done + len(held), letters[-1]
        if not done:
            raise DeadLetterError(f"trust {vpd} has no such dead letter")
        return done

    async def _note(
        self, unit: Unit, row: store.AnyRow, action: str, why: str, before: Mapping[str, Any], after: Mapping[str, Any]
    ) -> None:
        deed = Deed(self._who, action, why, before=before, after=after)
        await audit.write(unit.connection, row.vpd, self._now, [(row.id, deed)])

    async def _locked(self, unit: Unit, vpd: str, letter: str) -> store.AnyRow:
        row = await store.find(unit.connection, vpd, letter, lock=True)
        if row is None:
            raise DeadLetterError(f"trust {vpd} has no dead letter {letter}")
        return row


async def next_ids(unit: Unit, vpd: str, selection: Selection, now: datetime, after: str, limit: int) -> list[str]:
    """Return the next letters of a selection, by id, after the one with the id ``after``."""
    ids = sorted({one for one in selection.ids if one > after})[:limit]
    if selection.search is None:
        return ids
    found = query(vpd, await hashed(unit.connection, vpd, selection.search), now).with_only_columns(LETTERS.c.id)
    if selection.ids:
        found = found.where(store.one_of(LETTERS.c.id, ids))
    rows = await unit.connection.scalars(found.where(LETTERS.c.id > after).order_by(LETTERS.c.id).limit(limit))
    return list(rows)


def again(row: store.AnyRow) -> Message:
    """Return a letter's message, addressed to the one queue whose consumer gave up on it. Raises DeadLetterError."""
    if not row.queue:
        raise DeadLetterError(f"dead letter {row.id} does not say which queue it came from; discard it")
    message = store.message_of(row)
    fresh = msgspec.structs.replace(message, code="", reason="", queue="", replay=row.replay + 1)
    return fresh.to("", row.queue)


def sent(moment: datetime) -> dict[str, Any]:
    """Return what changes of letters that are sent: columns of the table, as values or by what they hold."""
    return {
        "state": "replayed",
        "replay": LETTERS.c.replay + 1,
        "sent_at": moment,
        "sent_edits": LETTERS.c.edits,
        "outcome": "",
        "hold_until": None,
    }


def _letter(row: store.AnyRow) -> Letter:
    return Letter(row.id, row.state, row.replay, row.hold_until)


def _told(value: Any) -> Any:  # noqa: ANN401 - a column's value, as JSON
    return value.isoformat() if isinstance(value, datetime) else value


def _sentence(found: tuple[Finding, ...]) -> str:
    return "; ".join(f"{one.code}: {one.text}" for one in found[:5])
