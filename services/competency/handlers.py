"""Records and events to facts, facts to decisions, changed decisions to events.

Like everywhere, facts are committed first and decided upon afterwards, so that of two replicas each holding half of
what matters, the later one sees all of it.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from services.competency import answers, queue, store, versions
from services.competency.comparison.round import Comparing
from services.competency.compliance import store as compliance
from services.competency.deriver import NO_CAUSE, Deriver, Mappings
from services.competency.desk import MappingDesk
from services.competency.reading import deletion_of, fact_of
from services.competency.store import PersonKey
from shared import events, records
from shared.accounting import Fate
from shared.config import BridgeConfig
from shared.db.facts import FactStore
from shared.db.unit import Unit, Work
from shared.events import Cause
from shared.facts import Fact
from shared.messaging.message import Message
from shared.records import Batch, Record

RECORDS_QUEUE: Final = "competency.records"
EVENTS_QUEUE: Final = "competency.events"

TICK_PEOPLE: Final = 500
"""People decided for again in one transaction."""


class CompetencyHandlers:
    """What ``competency`` does with messages."""

    def __init__(self, work: Work, config: BridgeConfig) -> None:
        self._work = work
        self._facts = FactStore(store.SCHEMA)
        self._deriver = Deriver(config, self._facts, work.clock)
        self.desk = MappingDesk(work, self._deriver, self._facts)
        self.comparing = Comparing(work)

    async def on_records(self, messages: Sequence[Message]) -> None:
        """Store definitions, elements and completions, then decide for the people they concern."""
        batch = records.sort_out(messages, fact_of, deletion_of)
        fates = await self._facts.commit(self._work.engine, batch)
        news = [one for one, fate in zip(batch.facts, fates, strict=True) if fate is Fate.APPLIED]
        for vpd in sorted({fact.vpd for _, fact in batch.facts if fact.entity == "competence"}):
            await self.desk.propose(vpd)
        async with self._work.unit() as unit:
            for (record, _), fate in zip(batch.facts, fates, strict=True):
                unit.settle(record.message.vpd, record.message.file, record.message.line, fate)
            for record, _ in batch.deletions:
                unit.settle(record.message.vpd, record.message.file, record.message.line, Fate.APPLIED)
            mappings = await self._deriver.hold(unit, _trusts(batch))
            await self._deriver.people(unit, mappings, await self._concerned(unit, mappings, batch, news))
            for message, fault in batch.faulty:
                unit.dead_letter(message, RECORDS_QUEUE, fault)

    async def on_events(self, messages: Sequence[Message]) -> None:
        """Learn who is known, and what ESR answered; take up what waited for a person."""
        people: dict[PersonKey, events.PersonEvent] = {}
        heard = [events.decode(message.type, message.body) for message in messages]
        for event in heard:
            if isinstance(event, events.PersonEvent):
                key = (event.vpd, event.person.person_id)
                if key not in people or people[key].person.revision < event.person.revision:
                    people[key] = event
        if people:
            async with self._work.engine.begin() as connection:
                await store.learn(connection, {key: event.person for key, event in people.items()})
                await compliance.learn(connection, {key: event.person for key, event in people.items()})
        async with self._work.unit() as unit:
            mappings = await self._deriver.hold(unit, {vpd for vpd, _ in people}) if people else {}
            await self._deriver.people(unit, mappings, {key: event.cause for key, event in people.items()})
            await answers.note(unit.connection, answers.among(heard), self._work.clock.now())
            await self.comparing.on_completed(unit, [one for one in heard if isinstance(one, events.FileCompleted)])

    async def tick(self, vpd: str = "") -> int:
        """Bring versions of mappings into force whose day has come, and decide again for some of those who wait.

        Of one trust or of all; return how many there were.
        """
        async with self._work.engine.connect() as connection:
            trusts = [one for one in await versions.begin(connection, self._work.clock.today()) if vpd in ("", one)]
            waiting = await queue.queued(connection, TICK_PEOPLE, vpd)
        for one in trusts:
            await self.desk.begin(one)
        if waiting:
            async with self._work.unit() as unit:
                mappings = await self._deriver.hold(unit, {vpd for vpd, _ in waiting})
                taken = await queue.take(unit.connection, waiting)
                await self._deriver.people(unit, mappings, dict.fromkeys(taken, NO_CAUSE))
        return len(trusts) + len(waiting)

    async def _concerned(
        self, unit: Unit, mappings: Mappings, batch: Batch, news: Sequence[tuple[Record, Fact]]
    ) -> dict[PersonKey, Cause]:
        """Return whom this batch concerns, each with the file to blame where no fact will tell it.

        A definition that is new or different concerns everyone who holds the competence; one repeated concerns nobody.
        """
        concerned = {(fact.vpd, fact.owner): NO_CAUSE for _, fact in batch.facts if fact.owner}
        definitions: dict[str, list[Record]] = defaultdict(list)
        for record, fact in news:
            if fact.entity == "competence":
                definitions[fact.vpd].append(record)
        for vpd, changed in definitions.items():
            names = {value for one in changed for value in (one.fields["competence_id"], one.fields["competence_name"])}
            certifications = [
                one.certification for one in mappings[vpd].mappings if {one.competence_id, one.competence} & names
            ]
            for key in await queue.concerned(unit.connection, vpd, sorted(names), certifications):
                concerned[key] = _cause(changed)
        for owner in await self._facts.owners(unit.connection, [deletion for _, deletion in batch.deletions]):
            concerned[owner] = _cause([record for record, _ in batch.deletions])
        return concerned


def _trusts(batch: Batch) -> set[str]:
    return {record.message.vpd for record, _ in (*batch.facts, *batch.deletions)}


def _cause(changed: Sequence[Record]) -> Cause:
    version = max((record.version for record in changed), key=lambda one: one.order)
    return Cause("feed", version.file, version.file_no)
