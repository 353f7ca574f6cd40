"""Answers and sent completions to facts, facts to settled items, changes to events. Either side may come first."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from services.confirmations import store
from services.confirmations.domain import Answer, FileAnswer, Item, Sent, settle
from services.confirmations.store import Held, Reference
from shared import events, records
from shared.accounting import Fate
from shared.codes import MessageCode
from shared.db.facts import FactStore
from shared.db.unit import Unit, Work
from shared.errors import RecordError
from shared.facts import Deletion, Fact, Version
from shared.messaging.message import Message
from shared.records import Record

RECORDS_QUEUE: Final = "confirmations.records"
EVENTS_QUEUE: Final = "confirmations.events"


@dataclass(slots=True)
class _Batch:
    """What one batch of answers said, once stored."""

    lines: dict[tuple[str, Version], Fate] = field(default_factory=dict)
    references: dict[tuple[str, Version], Reference] = field(default_factory=dict)
    files: dict[tuple[str, Version], tuple[str, str]] = field(default_factory=dict)


class ConfirmationHandlers:
    """What ``confirmations`` does with messages."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._facts = FactStore(store.SCHEMA)

    async def on_records(self, messages: Sequence[Message]) -> None:
        """Store ESR's answers, then settle the references they name."""
        said = records.sort_out(messages, _fact, _deletion)
        fates = await self._facts.commit(self._work.engine, said)
        batch = _sort_out([fact for _, fact in said.facts], fates)
        async with self._work.unit() as unit:
            sent = await store.sent_in(unit.connection, batch.files.values())
            concerned = set(batch.references.values())
            concerned |= {(vpd, reference) for (vpd, _), found in sent.items() for reference in found}
            known = await self._settle(unit, concerned)
            for (vpd, version), fate in batch.lines.items():
                answered = (
                    batch.references[vpd, version] in known
                    if (vpd, version) in batch.references
                    else batch.files[vpd, version] in sent
                )
                unit.settle(vpd, version.file, version.line, fate if answered else Fate.PARKED_NOTHING_SENT)
            for message, fault in said.faulty:
                unit.dead_letter(message, RECORDS_QUEUE, fault)

    async def on_events(self, messages: Sequence[Message]) -> None:
        """Store what was sent, then settle it with answers that came first."""
        facts = [_sent_fact(events.decode(message.type, message.body)) for message in messages]
        async with self._work.engine.begin() as connection:
            await self._facts.save(connection, facts)
        async with self._work.unit() as unit:
            await self._settle(unit, {(fact.vpd, fact.owner) for fact in facts})
            early = await store.file_answers(unit.connection, {(fact.vpd, fact.slice) for fact in facts})
            for (vpd, _), (version, _answer) in early.items():
                unit.settle(vpd, version.file, version.line, Fate.APPLIED)

    async def _settle(self, unit: Unit, references: set[Reference]) -> set[Reference]:
        """Settle references, tell what changed, and return those under which something was sent."""
        if not references:
            return set()
        held = await store.lock(unit.connection, references)
        facts = await self._facts.live(unit.connection, held)
        files = {(fact.vpd, fact.slice) for group in facts.values() for fact in group if fact.entity == "sent"}
        whole = await store.file_answers(unit.connection, files)
        changed: list[tuple[Reference, Held]] = []
        for reference, before in held.items():
            of_trust = {file: answer for (vpd, file), answer in whole.items() if vpd == reference[0]}
            item = settle(facts.get(reference, ()), of_trust)
            if item is None:
                continue
            for fact in facts[reference] if before.item is None else ():
                if fact.entity == "answer":  # it came before what it answers, and was parked
                    unit.settle(fact.vpd, fact.version.file, fact.version.line, Fate.APPLIED)
            if item != before.item:
                changed.append((reference, Held(item, before.revision + 1)))
                _announce(unit, reference, item, before.revision + 1)
        await store.save(unit.connection, changed)
        return {reference for reference in held if any(f.entity == "sent" for f in facts.get(reference, ()))}


def _announce(unit: Unit, reference: Reference, item: Item, revision: int) -> None:
    if item.state == "open" or item.version is None:
        return
    cause = events.Cause("cmc", item.version.file, item.version.file_no)
    if item.state == "confirmed":
        event: events.CompletionAnswer = events.CompletionConfirmed(
            vpd=reference[0], cause=cause, reference=reference[1], person_id=item.sent.person_id, key=item.sent.key,
            code=item.code, warning=item.warning, esr_record_id=item.esr_record_id,
        )  # fmt: skip
    else:
        event = events.CompletionRejected(
            vpd=reference[0], cause=cause, reference=reference[1], person_id=item.sent.person_id, key=item.sent.key,
            code=item.code, warning=item.warning,
        )  # fmt: skip
    unit.emit(event, reference[1], revision)


def _sort_out(facts: Sequence[Fact], fates: Sequence[Fate]) -> _Batch:
    batch = _Batch()
    for fact, fate in zip(facts, fates, strict=True):
        where = (fact.vpd, fact.version)
        batch.lines[where] = fate
        if fact.entity == "answer":
            batch.references[where] = (fact.vpd, fact.owner)
        else:
            batch.files[where] = (fact.vpd, fact.key)
    return batch


def _deletion(record: Record) -> Deletion:
    raise RecordError(MessageCode.R903, f"a {record.entity} is never deleted")


def _fact(record: Record) -> Fact:
    """Turn a confirmation record into a fact. An answer is kept per file that brought it, so a repeat is seen."""
    vpd, data = record.message.vpd, dict(record.fields)
    if record.entity == "confirmation":
        reference = records.read(record, Answer).echoed_reference
        return Fact(vpd, "answer", reference, record.version.file, reference, record.version, data)
    if record.entity == "confirmation_file":
        return Fact(vpd, "file_answer", records.read(record, FileAnswer).confirmed_file, "", "", record.version, data)
    raise RecordError(MessageCode.R903, f"{record.entity} is not a record that confirmations handles")


def _sent_fact(event: events.Event) -> Fact:
    if not isinstance(event, events.CompletionSent):
        raise RecordError(MessageCode.R903, "confirmations handles no such event")
    sent = Sent(
        reference=event.reference,
        person_id=event.person_id,
        key=event.key,
        competence_id=event.competence_id,
        achieved_on=event.achieved_on,
        sent_file=event.sent_file,
        position=event.position,
    )
    version = Version(event.sent_file, 1, event.position)
    data = msgspec.to_builtins(sent)
    return Fact(event.vpd, "sent", event.reference, event.sent_file, event.reference, version, data)
