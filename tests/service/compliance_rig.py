"""``competency`` on a real database, told of people and of learning; asked for compliance."""

import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import text

from esrbridge.embedded import as_role
from services.competency.compliance import figures
from services.competency.compliance.figures import Asked, By
from services.competency.compliance.status import Chosen
from services.competency.handlers import CompetencyHandlers
from shared import events, records
from shared.clock import FixedClock
from shared.compliance_settings import ComplianceSettings
from shared.config import BridgeConfig
from shared.db.engine import Reader, make_engine
from shared.db.unit import Work
from shared.messaging.memory import MemoryBroker
from shared.messaging.message import Message
from shared.messaging.topology import EVENTS, LMS, RECORDS

VPD = "991"
DAY = date(2026, 3, 3)

FIRE, SAFE1, SAFE2, LIFTING = "100", "201", "202", "900"
NAMES = {
    FIRE: "NHS|CSTF|Fire Safety - 2 Years|",
    SAFE1: "NHS|CSTF|Safeguarding Adults - Level 1 - 3 Years|",
    SAFE2: "NHS|CSTF|Safeguarding Adults - Level 2 - 3 Years|",
    LIFTING: "991|LOCAL|Bariatric Lifting|",
}
MAPPINGS = [
    {"competence_id": FIRE, "certification": "FIRE"},
    {"competence_id": SAFE2, "certification": "SGA2"},
    {"competence": NAMES[LIFTING], "certification": "LIFT"},
]

Said = tuple[str, dict[str, str]]


@dataclass(slots=True)
class Rig:
    """The service, and what a reader of its tables sees."""

    competency: CompetencyHandlers
    work: Work
    reader: Reader
    settings: ComplianceSettings
    told: dict[str, events.Person] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def messages(self, *said: Said) -> list[Message]:
        number = next(self.numbers)
        return [
            Message(
                exchange=LMS if kind.startswith(("completion", "certification")) else RECORDS,
                type=kind,
                message_id=f"{number}-{line}",
                vpd=VPD,
                body=records.encode(columns),
                stream="lms" if kind.startswith(("completion", "certification")) else "feed",
                file=f"F{number:04d}",
                file_no=number,
                line=line,
            )
            for line, (kind, columns) in enumerate(said, start=1)
        ]

    async def take(self, *said: Said) -> None:
        await self.competency.on_records(self.messages(*said))
        await self.settle()

    async def settle(self) -> None:
        while await self.competency.tick():
            pass

    async def tell(self, *people: events.Person) -> None:
        """Have ``people`` tell of people, as a change of each."""
        messages = []
        for one in people:
            self.told[one.person_id] = one
            event = events.EmployeeChanged(vpd=VPD, cause=events.Cause("feed", "F0001", 1), person=one)
            body, name = events.encode(event), events.NAMES[type(event)]
            messages.append(Message(exchange=EVENTS, type=name, message_id=one.person_id, vpd=VPD, body=body))
        await self.competency.on_events(messages)
        await self.settle()

    async def figures(self, by: By = "trust", day: date = DAY, **chosen: Any) -> dict[str, Any]:
        async with self.reader.trust(VPD) as connection:
            return await figures.figures(connection, VPD, self.settings, Asked(day, **chosen), by)

    async def people(
        self, status: Chosen = "all", day: date = DAY, *, reveal: bool = False, limit: int = 1000, **chosen: Any
    ) -> list[dict[str, Any]]:
        async with self.reader.trust(VPD) as connection:
            asked = Asked(day, **chosen)
            found = await figures.people(connection, VPD, self.settings, asked, status, reveal=reveal, limit=limit)
            rows: list[dict[str, Any]] = found["rows"]
            return rows

    async def stands(self, day: date = DAY, **chosen: Any) -> list[str]:
        """Who stands how with what, as short texts."""
        rows = await self.people("all", day, **chosen)
        return sorted(f"{row['person_id']} {row['requirement']}: {row['status']}" for row in rows)

    async def rows(self, table: str, columns: str) -> list[tuple[Any, ...]]:
        async with self.work.engine.connect() as connection:
            found = await connection.execute(text(f"SELECT {columns} FROM competency.{table} ORDER BY {columns}"))
            return [tuple(row) for row in found]


@asynccontextmanager
async def rigged(
    database: str, passwords: Mapping[str, str], compliance: Mapping[str, Any] | None = None
) -> AsyncIterator[Rig]:
    """Start the service on a database that is told of four definitions."""
    config = BridgeConfig.model_validate(
        {"trusts": [{"vpd": VPD, "mappings": MAPPINGS, "compliance": compliance or {}}]}
    )
    engine = make_engine(as_role(database, "competency", passwords["competency"]), name="test", pool=3)
    broker = MemoryBroker()
    await broker.start()
    work = Work("competency", engine, broker, FixedClock(datetime(2026, 3, 3, 6)))  # noqa: DTZ001 - local
    settings = config.trusts[0].compliance
    rig = Rig(CompetencyHandlers(work, config), work, Reader(engine, "competency"), settings)
    try:
        await rig.take(*(definition(key) for key in NAMES))
        yield rig
    finally:
        await engine.dispose()


def person(person_id: str, revision: int = 1, **said: Any) -> events.Person:
    """Return an employee of Ward 1."""
    columns = {
        "state": "employee",
        "employee_number": f"2000{person_id}",
        "first_name": "Fern",
        "last_name": f"Mockford{person_id}",
        "organisation_id": "W1",
        "organisation_name": "Ward 1",
        "staff_group": "Nursing",
    }
    return events.Person(person_id=person_id, revision=revision, **{**columns, **said})


def definition(key: str, name: str = "") -> Said:
    said = {"competence_id": key, "competence_name": name or NAMES[key], "date_from": "2020-01-01"}
    return "competence.upsert", said


def achieved(person_id: str, competence: str, day: str, until: str = "", key: str = "") -> Said:
    said = {
        "competency_element_id": key or f"{person_id}-{competence}-{day}",
        "competency_type": "PERSONAL",
        "competency_name": NAMES[competence],
        "competence_id": competence,
        "person_id": person_id,
        "date_from": day,
    }
    return "competency_element.upsert", said | ({"date_to": until} if until else {})


def completed(person_id: str, certification: str, day: str, until: str = "") -> Said:
    said = {
        "reference": f"{person_id}{certification}{day}",
        "user_idnumber": f"{VPD}-{person_id}",
        "certification_idnumber": certification,
        "completed_at": f"{day}T10:00:00",
    }
    return "completion.upsert", said | ({"expires_on": until} if until else {})


def reported(person_id: str, certification: str, status: str, day: str = "", until: str = "") -> Said:
    said = {"user_idnumber": f"{VPD}-{person_id}", "certification_idnumber": certification, "status": status}
    dates = {"completed_at": f"{day}T10:00:00" if day else "", "expires_on": until}
    return "certification.upsert", said | {name: value for name, value in dates.items() if value}


def required(key: str, competence: str, **said: str) -> Said:
    columns = {
        "competency_element_id": key,
        "competency_type": "REQUIREMENT",
        "competency_name": NAMES[competence],
        "competence_id": competence,
    }
    return "competency_element.upsert", columns | said


def total_of(rows: Sequence[Mapping[str, Any]], name: str) -> int:
    return sum(int(row[name]) for row in rows)
