"""Record messages to facts, and facts to whatever follows from them; see ``deriver``.

Facts are committed first and derived from afterwards, in a second transaction. A crash in between loses nothing: the
messages are not acknowledged yet and come again.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from services.people import places, store
from services.people.deriver import NO_CAUSE, Deriver
from services.people.desk import Desk
from services.people.places import PlaceKey
from services.people.reading import deletion_of, fact_of
from services.people.schema import PLACES, SCHEMA
from services.people.store import PersonKey
from shared import records
from shared.accounting import Fate
from shared.config import BridgeConfig
from shared.db.facts import FactStore
from shared.db.unit import Unit, Work
from shared.events import Cause
from shared.facts import Deletion, Fact
from shared.messaging.message import Message
from shared.records import Batch, Record

QUEUE: Final = "people.records"

TICK_PEOPLE: Final = 500
"""People, or places, derived again in one transaction of the daily tick."""


class PeopleHandlers:
    """What ``people`` does with messages and with the passing of days."""

    def __init__(self, work: Work, config: BridgeConfig) -> None:
        self._work = work
        self._facts = FactStore(SCHEMA)
        self.deriver = Deriver(work, config, self._facts)
        self.desk = Desk(work, self.deriver, self._facts)

    async def on_records(self, messages: Sequence[Message]) -> None:
        """Store a batch of records, then derive the people and places they concern."""
        batch = records.sort_out(messages, fact_of, deletion_of)
        former = await self._owners(batch)
        fates = await self._facts.commit(self._work.engine, batch)
        former |= await self._owners(batch)
        async with self._work.unit() as unit:
            concerned = await self._concerned(unit, batch, former)
            rules = await self.deriver.hold(unit, [vpd for vpd, _ in concerned])
            await self.deriver.items(unit, _places(batch))
            await self.deriver.people(unit, rules, concerned)
            for (record, _), fate in zip(batch.facts, fates, strict=True):
                _settle(unit, record, fate)
            for record, _ in batch.deletions:
                _settle(unit, record, Fate.APPLIED)
            for message, fault in batch.faulty:
                unit.dead_letter(message, QUEUE, fault)

    async def tick(self, vpd: str = "") -> int:
        """Derive again what a day has come for and who waits, some at a time, of one trust or of all; say how many."""
        day = self._work.clock.today()
        async with self._work.engine.connect() as connection:
            items = await places.due_items(connection, day, TICK_PEOPLE, vpd)
            keys = await store.due(connection, day, TICK_PEOPLE, vpd)
            waiting = await store.queued(connection, TICK_PEOPLE, vpd)
        if items:
            async with self._work.unit() as unit:
                await self.deriver.items(unit, dict.fromkeys(items, NO_CAUSE))
        if keys or waiting:
            async with self._work.unit() as unit:
                rules = await self.deriver.hold(unit, [vpd for vpd, _ in (*keys, *waiting)])
                causes = dict.fromkeys(keys, NO_CAUSE) | await store.take(unit.connection, waiting)
                await self.deriver.people(unit, rules, causes)
        return len(items) + len(keys) + len(waiting)

    async def _owners(self, batch: Batch) -> dict[PersonKey, Cause]:
        """Return whose the assignments of this batch are said to be: one may be corrected to be somebody else's.

        Asked before and after the facts are committed: another replica may commit in between.
        """
        held = [
            Deletion(fact.vpd, fact.entity, fact.key, fact.version)
            for _, fact in batch.facts
            if fact.entity == "assignment"
        ]
        if not held:
            return {}
        async with self._work.engine.connect() as connection:
            return dict.fromkeys(await self._facts.owners(connection, held), NO_CAUSE)

    async def _concerned(self, unit: Unit, batch: Batch, former: Mapping[PersonKey, Cause]) -> dict[PersonKey, Cause]:
        """Return whom this batch concerns, each with the newest file that took something of theirs away."""
        causes = {(fact.vpd, fact.owner): NO_CAUSE for _, fact in batch.facts if fact.owner}
        newest = _newest(batch)
        causes |= {key: newest[key[0]] for key in former if key not in causes}
        for owner in await self._facts.owners(unit.connection, [deletion for _, deletion in batch.deletions]):
            causes[owner] = newest[owner[0]]
        return causes


def _newest(batch: Batch) -> dict[str, Cause]:
    """Return the newest file of a batch for each trust."""
    found: dict[str, Cause] = {}
    for record, _ in (*batch.facts, *batch.deletions):
        message = record.message
        if message.file_no >= found.get(message.vpd, NO_CAUSE).file_no:
            found[message.vpd] = Cause(message.stream or "feed", message.file, message.file_no)
    return found


def _places(batch: Batch) -> dict[PlaceKey, Cause]:
    """Return the positions and organisations that a batch speaks of, each with the newest file that does."""
    found: dict[PlaceKey, Cause] = {}
    said: list[Fact | Deletion] = [*(fact for _, fact in batch.facts), *(gone for _, gone in batch.deletions)]
    for one in said:
        if one.entity in PLACES:
            key, version = (one.vpd, one.entity, one.key), one.version
            if version.file_no >= found.get(key, NO_CAUSE).file_no:
                found[key] = Cause("feed", version.file, version.file_no)
    return found


def _settle(unit: Unit, record: Record, fate: Fate) -> None:
    unit.settle(record.message.vpd, record.message.file, record.message.line, fate)
