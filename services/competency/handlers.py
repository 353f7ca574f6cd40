"""Records and events to facts, facts to decisions, changed decisions to events.

Like everywhere, facts are committed first and decided upon afterwards, so that of two replicas each holding half of
what matters, the later one sees all of it.
"""

from collections import defaultdict
from collections.abc import Mapping as Dictionary
from collections.abc import Sequence
from typing import Final

from services.competency import store
from services.competency.announce import announce, fate_of
from services.competency.domain import Catalogue, Completion, Decision, Definition, Element, decide
from services.competency.store import Held, PersonKey
from shared import events, records
from shared.accounting import Fate
from shared.codes import LmsCode, MessageCode
from shared.config import BridgeConfig, Mapping
from shared.db.facts import FactStore
from shared.db.unit import Unit, Work
from shared.errors import RecordError
from shared.esr.faults import RecordCode
from shared.events import Cause
from shared.facts import Deletion, Fact, newest
from shared.messaging.message import Message
from shared.records import Batch, Record

RECORDS_QUEUE: Final = "competency.records"
EVENTS_QUEUE: Final = "competency.events"

NO_CAUSE: Final = Cause("", "", 0)


class CompetencyHandlers:
    """What ``competency`` does with messages."""

    def __init__(self, work: Work, config: BridgeConfig) -> None:
        self._work = work
        self._config = config
        self._facts = FactStore(store.SCHEMA)

    async def on_records(self, messages: Sequence[Message]) -> None:
        """Store definitions, elements and completions, then decide for the people they concern."""
        batch = records.sort_out(messages, _fact, _deletion)
        fates = await self._facts.commit(self._work.engine, batch)
        news = [one for one, fate in zip(batch.facts, fates, strict=True) if fate is Fate.APPLIED]
        async with self._work.unit() as unit:
            for (record, _), fate in zip(batch.facts, fates, strict=True):
                unit.settle(record.message.vpd, record.message.file, record.message.line, fate)
            for record, _ in batch.deletions:
                unit.settle(record.message.vpd, record.message.file, record.message.line, Fate.APPLIED)
            await self._decide(unit, await self._concerned(unit, batch, news))
            for message, fault in batch.faulty:
                unit.dead_letter(message, RECORDS_QUEUE, fault)

    async def on_events(self, messages: Sequence[Message]) -> None:
        """Learn who is known, and what ESR answered; take up what waited for a person."""
        people: dict[PersonKey, events.PersonEvent] = {}
        answers: list[tuple[PersonKey, str, str]] = []
        for message in messages:
            event = events.decode(message.type, message.body)
            if isinstance(event, events.PersonEvent):
                key = (event.vpd, event.person.person_id)
                if key not in people or people[key].person.revision < event.person.revision:
                    people[key] = event
            elif isinstance(event, events.CompletionAnswer):
                answers.append(((event.vpd, event.person_id), event.key, _answer(event)))
        if people:
            async with self._work.engine.begin() as connection:
                await store.learn(connection, {key: event.person for key, event in people.items()})
        async with self._work.unit() as unit:
            await self._decide(unit, {key: event.cause for key, event in people.items()})
            if answers:
                await store.answered(unit.connection, answers)

    async def _concerned(self, unit: Unit, batch: Batch, news: Sequence[tuple[Record, Fact]]) -> dict[PersonKey, Cause]:
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
                one.certification for one in self._mappings(vpd) if {one.competence_id, one.competence} & names
            ]
            for key in await store.concerned_by(unit.connection, vpd, sorted(names), certifications):
                concerned[key] = _cause(changed)
        for owner in await self._facts.owners(unit.connection, [deletion for _, deletion in batch.deletions]):
            concerned[owner] = _cause([record for record, _ in batch.deletions])
        return concerned

    async def _decide(self, unit: Unit, concerned: Dictionary[PersonKey, Cause]) -> None:
        """Decide for these people, announce what changed, and settle the lines that waited."""
        if not concerned:
            return
        states = await store.lock(unit.connection, concerned)
        facts = await self._facts.live(unit.connection, states)
        before = await store.decisions(unit.connection, states)
        catalogues = {vpd: await self._catalogue(unit, vpd) for vpd in sorted({vpd for vpd, _ in states})}
        changed: list[tuple[PersonKey, Held]] = []
        gone: list[tuple[PersonKey, Decision]] = []
        for key, state in states.items():
            held = before.get(key, {})
            said = {identity: one.decision for identity, one in held.items() if one.decision.verdict != "removed"}
            decided = decide(bool(state), facts.get(key, ()), catalogues[key[0]], said)
            cause = _newer(concerned[key], facts.get(key, ()))
            for identity, decision in decided.items():
                changed += _change(unit, key, decision, held.get(identity), cause)
            for identity, decision in said.items():
                if identity not in decided:
                    gone.append((key, decision))
                    announce(unit, key, None, decision, held[identity].revision + 1, cause)
                    _settle_old_line(unit, key[0], decision)
        await store.save(unit.connection, changed)
        await store.remove(unit.connection, gone)

    async def _catalogue(self, unit: Unit, vpd: str) -> Catalogue:
        return Catalogue(await store.definitions(unit.connection, vpd), self._mappings(vpd))

    def _mappings(self, vpd: str) -> Sequence[Mapping]:
        trust = self._config.trust(vpd)
        return trust.mappings if trust else ()


def _change(
    unit: Unit, key: PersonKey, decision: Decision, held: Held | None, cause: Cause
) -> list[tuple[PersonKey, Held]]:
    """Announce and settle one decision; return it for storing when it is new or different."""
    waited = fate_of(decision)
    line = (key[0], decision.version.file, decision.version.line)
    before = held.decision if held and held.decision.verdict != "removed" else None
    if waited is not None and (before != decision or unit.settles(*line)):
        unit.settle(*line, waited)
    if before is not None and before.verdict.startswith("parked"):
        if waited is None and before.version == decision.version:
            unit.settle(*line, Fate.APPLIED)
        elif before.version != decision.version:
            _settle_old_line(unit, key[0], before)
    if held is not None and before == decision:
        return []
    revision = held.revision if held else 0
    if before is None or before.content != decision.content:
        revision += 1
        announce(unit, key, decision, before, revision, cause)
    return [(key, Held(decision, revision))]


def _settle_old_line(unit: Unit, vpd: str, before: Decision) -> None:
    """A line that waited and was overtaken by a newer record or a deletion waits no more."""
    if before.verdict.startswith("parked"):
        unit.settle(vpd, before.version.file, before.version.line, Fate.SUPERSEDED)


def _newer(cause: Cause, facts: Sequence[Fact]) -> Cause:
    """The gate of what is decided: the newest ESR file that it rests on."""
    version = newest([fact for fact in facts if fact.entity != "completion"])
    return cause if cause.file_no >= version.file_no else Cause("feed", version.file, version.file_no)


def _cause(changed: Sequence[Record]) -> Cause:
    version = max((record.version for record in changed), key=lambda one: one.order)
    return Cause("feed", version.file, version.file_no)


def _answer(event: events.CompletionAnswer) -> str:
    return "confirmed" if isinstance(event, events.CompletionConfirmed) else f"rejected {event.code}"


def _deletion(record: Record) -> Deletion:
    name = {"competence": "competence_id", "competency_element": "competency_element_id"}.get(record.entity, "")
    key = record.fields.get(name, "")
    if not key:
        raise RecordError(RecordCode.R101, f"a deletion of a {record.entity} must name its id")
    return Deletion(record.message.vpd, record.entity, key, record.version)


def _fact(record: Record) -> Fact:
    """Turn a record into a fact; what cannot be decided upon later is refused now."""
    vpd, data = record.message.vpd, dict(record.fields)
    if record.entity == "competence":
        definition = records.read(record, Definition)
        return Fact(vpd, record.entity, definition.competence_id, "", "", record.version, data)
    if record.entity == "competency_element":
        element = records.read(record, Element)
        if element.achieved and not (element.person_id and element.date_from):
            raise RecordError(RecordCode.R101, "an achievement must name person_id and date_from")
        return Fact(vpd, record.entity, element.competency_element_id, "", element.person_id, record.version, data)
    if record.entity == "completion":
        completion = records.read(record, Completion)
        trust, _, person_id = completion.user_idnumber.partition("-")
        if trust != vpd or not person_id:
            raise RecordError(LmsCode.L102, "user_idnumber is not '<trust>-<person ID>' of this trust")
        if not completion.has_day:
            raise RecordError(LmsCode.L103, "completed_at is at the very edge of the calendar")
        key = f"{completion.user_idnumber}|{completion.certification_idnumber}|{completion.completed_at.isoformat()}"
        return Fact(vpd, record.entity, key, "", person_id, record.version, data)
    raise RecordError(MessageCode.R903, f"{record.entity} is not a record that competency handles")
