"""Record messages to facts, facts to derived people, differences to events.

Facts are committed first and derived from afterwards, in a second transaction. Whoever derives last sees every fact
committed before, so two replicas that each hold half of what is known of a person cannot both miss the other half.
A crash in between loses nothing: the messages are not acknowledged yet and come again.
"""

from collections.abc import Sequence
from typing import Final

from services.people import store
from services.people.domain import AssignmentSlice, Derived, PersonSlice, derive, difference, revised, with_cause
from services.people.store import PersonKey, Row
from shared import events, records
from shared.accounting import Fate
from shared.codes import MessageCode
from shared.db.facts import FactStore
from shared.db.unit import Unit, Work
from shared.errors import RecordError
from shared.esr.faults import RecordCode
from shared.events import Cause
from shared.facts import Deletion, Fact
from shared.messaging.message import Message
from shared.records import Batch, Record

QUEUE: Final = "people.records"

TICK_PEOPLE: Final = 500
"""People derived again in one transaction of the daily tick."""

_KEYS: Final = {
    "person": "person_id",
    "assignment": "assignment_id",
    "position": "position_id",
    "organisation": "organisation_id",
    "location": "location_id",
}


class PeopleHandlers:
    """What ``people`` does with messages and with the passing of days."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._facts = FactStore(store.SCHEMA)

    async def on_records(self, messages: Sequence[Message]) -> None:
        """Store a batch of records, then derive the people they concern."""
        batch = records.sort_out(messages, _fact, _deletion)
        fates = await self._facts.commit(self._work.engine, batch)
        async with self._work.unit() as unit:
            await self._derive(unit, await self._concerned(unit, batch))
            for (record, _), fate in zip(batch.facts, fates, strict=True):
                _settle(unit, record, fate)
            for record, _ in batch.deletions:
                _settle(unit, record, Fate.APPLIED)
            for message, fault in batch.faulty:
                unit.dead_letter(message, QUEUE, fault)

    async def tick(self) -> int:
        """Derive again those for whom a day has come, some of them at a time; return how many."""
        day = self._work.clock.today()
        async with self._work.engine.connect() as connection:
            keys = await store.due(connection, day, TICK_PEOPLE)
        if keys:
            async with self._work.unit() as unit:
                await self._derive(unit, dict.fromkeys(keys, Cause("", "", 0)))
        return len(keys)

    async def _concerned(self, unit: Unit, batch: Batch) -> dict[PersonKey, Cause]:
        """Return whom this batch concerns, each with the newest file in the batch."""
        causes: dict[PersonKey, Cause] = {}
        said = [record.version for record, _ in (*batch.facts, *batch.deletions)]
        if not said:
            return causes
        newest = max(said, key=lambda version: version.order)
        cause = Cause("feed", newest.file, newest.file_no)
        for owner in await self._facts.owners(unit.connection, [deletion for _, deletion in batch.deletions]):
            causes[owner] = cause
        for _, fact in batch.facts:
            if fact.owner:
                causes.setdefault((fact.vpd, fact.owner), Cause("", "", 0))
        return causes

    async def _derive(self, unit: Unit, causes: dict[PersonKey, Cause]) -> None:
        if not causes:
            return
        held = await store.lock(unit.connection, causes)
        facts = await self._facts.live(unit.connection, held)
        day = self._work.clock.today()
        rows: list[Row] = []
        for key, before in held.items():
            derived = with_cause(derive(key[1], facts.get(key, ()), day), causes[key])
            rows.append(_announce(unit, key, before, derived))
        await store.save(unit.connection, rows)


def _announce(unit: Unit, key: PersonKey, before: events.Person, derived: Derived) -> Row:
    """Emit the event that tells of the change, if any, and return the row to store."""
    event = difference(before, derived.person)
    changed = event is not None or before.state != derived.person.state
    person = revised(derived.person, before.revision + 1 if changed else before.revision)
    if event is not None:
        unit.emit(event(vpd=key[0], cause=derived.cause, person=person), key[1], person.revision)
    return Row(key, person, derived.cause.file_no, derived.due)


def _settle(unit: Unit, record: Record, fate: Fate) -> None:
    unit.settle(record.message.vpd, record.message.file, record.message.line, fate)


def _key(record: Record) -> str:
    name = _KEYS.get(record.entity)
    if name is None:
        raise RecordError(MessageCode.R903, f"{record.entity} is not a record that people handles")
    key = record.fields.get(name, "")
    if not key:
        raise RecordError(RecordCode.R101, f"{name} is mandatory")
    return key


def _deletion(record: Record) -> Deletion:
    return Deletion(record.message.vpd, record.entity, _key(record), record.version)


def _fact(record: Record) -> Fact:
    """Turn a record into a fact; what cannot be derived from later is refused now."""
    key, owner, start = _key(record), "", ""
    if record.entity == "person":
        read = records.read(record, PersonSlice)
        owner, start = read.person_id, read.effective_start.isoformat()
    elif record.entity == "assignment":
        assignment = records.read(record, AssignmentSlice)
        owner, start = assignment.person_id, assignment.effective_start.isoformat()
    elif record.entity == "position":
        start = record.fields.get("effective_from", "")
    return Fact(record.message.vpd, record.entity, key, start, owner, record.version, dict(record.fields))
