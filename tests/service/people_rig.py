"""The service ``people`` on a real database, without sockets: records go in, events come out."""

import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any

from sqlalchemy import text

from esrbridge.embedded import as_role
from services.people import store
from services.people.handlers import PeopleHandlers
from shared import records
from shared.clock import FixedClock
from shared.config import BridgeConfig
from shared.db.engine import make_engine
from shared.db.unit import Work
from shared.events import DuplicatePersonSuspected, Event, HierarchyChanged, Person, PersonEvent, decode
from shared.messaging.memory import MemoryBroker
from shared.messaging.message import Message
from shared.messaging.topology import DEAD, EVENTS, LMS, RECORDS

VPD = "991"
TODAY = date(2026, 3, 3)

Said = tuple[str, dict[str, str]]
"""Type of a record (``person.upsert``) and its columns."""


@dataclass(slots=True)
class Rig:
    """One replica of the service and what it told. ``replica`` makes another on the same database."""

    people: PeopleHandlers
    work: Work
    clock: FixedClock
    told: list[Event] = field(default_factory=list)
    dead: list[Message] = field(default_factory=list)
    file_no: int = 0

    def messages(self, *said: Said, vpd: str = VPD, file_no: int = 0) -> list[Message]:
        """Make the messages of a file of these records."""
        self.file_no = file_no or self.file_no + 1
        return [
            Message(
                exchange=LMS if kind.startswith("non_staff") else RECORDS,
                type=kind,
                message_id=f"{vpd}-{self.file_no}-{line}",
                vpd=vpd,
                body=records.encode(columns),
                stream="trust" if kind.startswith("non_staff") else "feed",
                file=f"F{self.file_no:04d}.DAT",
                file_no=self.file_no,
                line=line,
            )
            for line, (kind, columns) in enumerate(said, start=1)
        ]

    async def take(self, *said: Said, vpd: str = VPD, file_no: int = 0) -> None:
        """Handle a file and all that follows from it."""
        await self.people.on_records(self.messages(*said, vpd=vpd, file_no=file_no))
        await self.settle()

    async def settle(self) -> None:
        """Let the tick do all that waits."""
        while await self.people.tick():
            pass

    async def on(self, day: date) -> None:
        """Let a day come."""
        self.clock.set(datetime.combine(day, time(6)))
        await self.settle()

    async def person(self, person_id: str, vpd: str = VPD) -> Person:
        async with self.work.engine.begin() as connection:
            return (await store.lock(connection, [(vpd, person_id)]))[vpd, person_id].person

    async def rows(self, table: str, columns: str) -> list[tuple[Any, ...]]:
        async with self.work.engine.connect() as connection:
            found = await connection.execute(text(f"SELECT {columns} FROM people.{table} ORDER BY {columns}"))
            return [tuple(row) for row in found]

    async def final(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything that is derived, without what was only so for a while on the way."""
        pairs = await self.rows("duplicates", "vpd, person_id, other_person_id, agree, state")
        return {
            "people": await self.rows("people", "vpd, person_id, state, person - 'revision', due, identity"),
            "hierarchy": await self.rows("hierarchy", "vpd, kind, key, item, due"),
            "duplicates": [pair for pair in pairs if pair[-1] != "gone"],
            "again": await self.rows("again", "vpd, person_id"),
        }

    def names(self) -> list[str]:
        """The events told since the last time, by name, with whom they are about."""
        told = [f"{type(one).__name__} {_about(one)}" for one in self.told]
        self.told.clear()
        return told


def _about(event: Event) -> str:
    if isinstance(event, PersonEvent):
        return event.person.person_id
    if isinstance(event, HierarchyChanged):
        return f"{event.kind} {event.key} {event.name} {event.active}"
    if isinstance(event, DuplicatePersonSuspected):
        return f"{event.person_id} {event.other_person_id} {','.join(event.agree)}"
    return ""


@asynccontextmanager
async def rigged(
    database: str, passwords: Mapping[str, str], trust: Mapping[str, Any] | None = None, *, replicas: int = 1
) -> AsyncIterator[list[Rig]]:
    """Start replicas of the service on a database."""
    config = BridgeConfig.model_validate({"trusts": [{"vpd": VPD, **(trust or {})}, {"vpd": "992"}]})
    engine = make_engine(as_role(database, "people", passwords["people"]), name="test", pool=2 * replicas)
    told: list[Event] = []
    dead: list[Message] = []

    def note(message: Message) -> None:
        if message.exchange == EVENTS:
            told.append(decode(message.type, message.body))
        elif message.exchange == DEAD:
            dead.append(message)

    broker = MemoryBroker(tap=note)
    await broker.start()
    clock = FixedClock(datetime.combine(TODAY, time(6)))
    try:
        rigs = []
        for _ in range(replicas):
            work = Work("people", engine, broker, clock)
            rigs.append(Rig(PeopleHandlers(work, config), work, clock, told, dead))
        yield rigs
    finally:
        await engine.dispose()


def person(person_id: str = "1", kind: str = "EMP", **said: str) -> Said:
    return "person.upsert", {
        "person_id": person_id,
        "effective_start": "2020-01-01",
        "system_person_type": kind,
        "user_person_type": "x",
        "last_name": f"Placeholder{person_id}",
        "first_name": "Zoë",
        **said,
    }


def assignment(person_id: str = "1", key: str = "", **said: str) -> Said:
    return "assignment.upsert", {
        "person_id": person_id,
        "assignment_id": key or f"8{person_id}",
        "effective_start": "2020-01-01",
        "assignment_type": "E",
        "user_assignment_status": "Active Assignment",
        "system_assignment_status": "ACTIVE_ASSIGN",
        "assignment_number": f"A{person_id}",
        **said,
    }


def application(person_id: str = "1", **said: str) -> Said:
    offered = {"assignment_type": "A", "user_assignment_status": "Offer Accepted", "system_assignment_status": "OFFER"}
    return assignment(person_id, f"7{person_id}", **(offered | said))


def position(key: str = "P1", name: str = "Nurse", **said: str) -> Said:
    return "position.upsert", {"position_id": key, "effective_from": "2020-01-01", "position_name": name, **said}


def organisation(key: str = "O1", name: str = "Ward 1", **said: str) -> Said:
    return "organisation.upsert", {
        "organisation_id": key, "effective_from": "2020-01-01", "organisation_name": name, **said,
    }  # fmt: skip


def listed(reference: str = "V1", **said: str) -> Said:
    return "non_staff.upsert", {
        "reference": reference,
        "kind": "volunteer",
        "first_name": "Orla",
        "last_name": f"Specimen{reference}",
        "start": "2026-01-01",
        **said,
    }


def gone(entity: str, column: str, key: str) -> Said:
    return f"{entity}.delete", {column: key}


def in_batches(said: Sequence[Message], size: int) -> list[list[Message]]:
    """Cut messages into batches."""
    taken = iter(said)
    return list(iter(lambda: list(itertools.islice(taken, size)), []))
