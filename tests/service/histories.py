"""Invented histories of people, and two ways to live through one: in order, or as a bad night would have it.

A history is a list of files, each written on a business day: records of a few people, with everything ESR does to them.
``Stage`` is one trust's ``people``, ``competency`` and ``outbound`` on a real database with a sandbox LMS.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from sandbox.lms import SandboxLms
from sandbox.lms_http import create_app
from services.competency.handlers import CompetencyHandlers
from services.outbound.handlers import OutboundHandlers
from services.outbound.lms.sandbox import SandboxDriver
from services.outbound.reconcile import Reconciler
from services.outbound.site import Site
from services.people.handlers import PeopleHandlers
from shared import events, records
from shared.clock import FixedClock
from shared.config import BridgeConfig, TrustConfig
from shared.db.unit import Work
from shared.events import Cause
from shared.messaging.memory import MemoryBroker
from shared.messaging.message import Message
from shared.messaging.topology import EVENTS, LMS, RECORDS
from tests.service import history_learning

OF_THE_LMS: Final = ("completion.", "certification.")
LEARNING: Final = (*OF_THE_LMS, "compet")
"""How the types of records begin that ``competency`` handles, and which of them the LMS tells."""
PEOPLE: Final = ("9000001", "9000002", "9000003")
FIRST_DAY: Final = date(2026, 3, 2)
MOST_ROUNDS: Final = 200
"""Rounds of reconciling after which a trust of three people must have come to rest."""
POLICY: Final = {
    "max_suspensions_percent": 100,
    "suspend_after_days": 3,
    "jobs": True,
    "hierarchies": True,
    "fields": [{"from": "grade", "to": "grade"}, {"from": "organisation_name", "to": "ward"}],
}

_EMPLOYED = ("Active Assignment", "Maternity", "Career Break", "Terminated", "Internal Secondment")
_APPLYING = ("Offered Post Conditional", "Offer Accepted", "Application Withdrawn")


@dataclass(frozen=True, slots=True)
class File:
    """A file of a history: its number, the day it was written, and its records as (type, columns)."""

    number: int
    day: date
    records: tuple[tuple[str, dict[str, str]], ...]

    def messages(self, vpd: str, service: str) -> list[Message]:
        """Return its records as messages to a service of a trust."""
        return [
            Message(
                exchange=LMS if kind.startswith(OF_THE_LMS) else RECORDS,
                type=kind,
                message_id=f"{self.number}/{line}",
                vpd=vpd,
                body=records.encode({name: value.format(vpd=vpd) for name, value in columns.items()}),
                stream="lms" if kind.startswith(OF_THE_LMS) else "feed",
                file=f"FILE_{self.number:08}.DAT",
                file_no=self.number,
                line=line,
            )
            for line, (kind, columns) in enumerate(self.records, start=2)
            if (service == "competency") == kind.startswith(LEARNING)
        ]


def write_file(dice: Random, number: int, day: date) -> File:
    """Invent a file: a few records, or some dozens, about people, their assignments, and where they work."""
    makers = [_person, _person, _assignment, _assignment, _assignment, _gone, _place, _learning, _learning, _learning]
    return File(
        number, day, tuple(dice.choice(makers)(dice, day) for _ in range(dice.randrange(1, dice.choice((13, 13, 60)))))
    )


def last_file(number: int, day: date) -> File:
    """Return a file that defines whatever was not defined yet."""
    return File(number, day, tuple(history_learning.definition(key) for key in history_learning.NAMES))


def _person(dice: Random, day: date) -> tuple[str, dict[str, str]]:
    person = dice.choice(PEOPLE)
    said = {
        "person_id": person,
        "effective_start": _around(dice, day),
        "system_person_type": dice.choice(("EMP", "EMP", "APL", "EMP_APL", "EX_EMP", "EX_APL", "CWK")),
        "last_name": dice.choice(("Placeholder", "Mockford", "Specimen")),
        "first_name": dice.choice(("Fern", "Rowan")),
        "employee_number": dice.choice(("", f"2{person}")),
        "hire_date": _around(dice, day),
        "effective_end": dice.choice(("", "", "4712-12-31", _around(dice, day))),
        "actual_termination_date": dice.choice(("", "", "", _around(dice, day))),
        "office_email": dice.choice(("", f"p{person}@trust.example")),
    }
    return "person.upsert", _filled(said)


def _assignment(dice: Random, day: date) -> tuple[str, dict[str, str]]:
    person = dice.choice(PEOPLE)
    owner = person if dice.random() < 0.95 else dice.choice(PEOPLE)
    kind = dice.choice(("E", "E", "A"))
    status = dice.choice(_EMPLOYED if kind == "E" else _APPLYING)
    said = {
        "person_id": owner,
        "assignment_id": f"{person}{dice.randrange(2)}",
        "effective_start": _around(dice, day),
        "effective_end": dice.choice(("", "", "4712-12-31", _around(dice, day))),
        "assignment_type": kind,
        "system_assignment_status": "TERM_ASSIGN" if status == "Terminated" else "ACTIVE_ASSIGN",
        "user_assignment_status": status,
        "primary_assignment": dice.choice(("", "Y", "N")),
        "organisation_id": dice.choice(("", "O1", "O2")),
        "position_id": dice.choice(("", "P1", "P2")),
        "grade": dice.choice(("", "Band 5", "Band 6")),
        "supervisor_person_id": dice.choice(("", *PEOPLE)),
    }
    return "assignment.upsert", _filled(said)


def _gone(dice: Random, day: date) -> tuple[str, dict[str, str]]:
    del day
    person = dice.choice(PEOPLE)
    if dice.random() < 0.3:
        return "person.delete", {"person_id": person}
    return "assignment.delete", {"assignment_id": f"{person}{dice.randrange(2)}"}


def _place(dice: Random, day: date) -> tuple[str, dict[str, str]]:
    number = dice.randrange(1, 3)
    if dice.random() < 0.5:
        said = {
            "position_id": f"P{number}",
            "effective_from": _around(dice, day),
            "position_name": dice.choice(("1|Porter|Estates|Porter", "2|Nurse|Nursing|Nurse")),
        }
        return dice.choice((("position.upsert", said), ("position.delete", {"position_id": f"P{number}"})))
    said = {
        "organisation_id": f"O{number}",
        "organisation_name": dice.choice(("Ward", "Theatre")),
        "effective_from": "2020-01-01",
        "parent_organisation_id": dice.choice(("", "O1")) if number == 2 else "",
    }
    return "organisation.upsert", _filled(said)


def _learning(dice: Random, day: date) -> tuple[str, dict[str, str]]:
    del day
    kind = dice.random()
    if kind < 0.1:
        return history_learning.definition(dice.choice(list(history_learning.NAMES)))
    if kind < 0.15:
        return history_learning.element_gone(dice, PEOPLE)
    return (history_learning.element if kind < 0.6 else history_learning.completion)(dice, PEOPLE)


def _around(dice: Random, day: date) -> str:
    return (day + timedelta(days=dice.choice((-400, -30, -2, -1, 0, 0, 1, 2, 10, 60)))).isoformat()


def _filled(said: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in said.items() if value}


def trust_of(vpd: str) -> TrustConfig:
    """Return the settings of a trust in these histories."""
    lms = {"driver": "sandbox", "url": "http://lms"}
    return TrustConfig.model_validate({"vpd": vpd, "lms": lms, "accounts": POLICY})


@dataclass
class Stage:
    """One trust's services.

    What ``people`` and ``competency`` say gathers in ``said`` until it is passed on to ``outbound``, and what
    ``people`` says in ``news`` until it is passed on to ``competency``.
    """

    vpd: str
    people: PeopleHandlers
    competency: CompetencyHandlers
    outbound: OutboundHandlers
    reconciler: Reconciler
    lms: SandboxLms
    site: Site
    clock: FixedClock
    work: Work
    competency_engine: AsyncEngine
    said: list[Message] = field(default_factory=list)
    news: list[Message] = field(default_factory=list)

    @classmethod
    async def open(cls, vpd: str, engines: Mapping[str, AsyncEngine], folder: Path) -> "Stage":
        """Make a trust that nothing is known of yet."""
        trust, clock = trust_of(vpd), FixedClock(datetime.combine(FIRST_DAY, time(6)))
        said, news = list[Message](), list[Message]()
        brokers = [MemoryBroker(tap=_to(said, news)), MemoryBroker(tap=_to(said)), MemoryBroker()]
        for one in brokers:
            await one.start()
        lms = SandboxLms(folder / f"lms-{vpd}.sqlite", vpd)
        for names in history_learning.CERTIFICATIONS.values():
            for name in names:
                lms.add_certification(name, name)
        driver = SandboxDriver("http://lms", "t", httpx.ASGITransport(create_app(lms, token="t")))
        site = Site(driver, driver, driver)
        names = ("people", "competency", "outbound")
        works = {name: Work(name, engines[name], broker, clock) for name, broker in zip(names, brokers, strict=True)}
        work, config = works["outbound"], BridgeConfig(trusts=(trust,))
        people, competency = PeopleHandlers(works["people"], config), CompetencyHandlers(works["competency"], config)
        outbound = OutboundHandlers(work, {vpd: trust.accounts})
        reconciler = Reconciler(work, [trust], {vpd: site})
        await _map(competency, vpd)
        return cls(
            vpd, people, competency, outbound, reconciler, lms, site, clock, work, engines["competency"], said, news
        )

    def on(self, day: date) -> None:
        """Let it be six o'clock of a business day."""
        self.clock.set(datetime.combine(day, time(6)))

    async def tick(self) -> None:
        """Let the day do what it does, until nobody is left for whom it has come."""
        while await self.people.tick() + await self.competency.tick():
            pass

    async def reconcile(self) -> None:
        """Bring the LMS to where it should be. Raises AssertionError when that has no end."""
        for _ in range(MOST_ROUNDS):
            if not await self.reconciler.run():
                return
        raise AssertionError("the same work is found to do again and again")

    async def complete(self, numbers: Sequence[int]) -> None:
        """Let ``outbound`` know that files are wholly accounted for."""
        for number in numbers:
            cause = Cause("feed", f"FILE_{number:08}.DAT", number)
            event = events.FileCompleted(vpd=self.vpd, cause=cause, status="completed", records=1)
            name = events.NAMES[type(event)]
            message = Message(exchange=EVENTS, type=name, message_id=name, vpd=self.vpd, body=events.encode(event))
            await self.outbound.on_events([message])

    async def pass_on(self) -> None:
        """Let everybody hear everything that was said, in order."""
        news, self.news[:] = list(self.news), []
        if news:
            await self.competency.on_events(news)
        said, self.said[:] = list(self.said), []
        if said:
            await self.outbound.on_events(said)

    async def accounts(self) -> dict[str, Any]:
        """Return the open accounts, with the jobs of employees, and whether they will be closed.

        A leaver's job that was never there is as good as one that stayed for the record.
        """
        async with self.work.engine.connect() as connection:
            query = "SELECT person_id, person->>'state' AS state FROM outbound.accounts WHERE vpd = :vpd"
            states = {row.person_id: row.state for row in await connection.execute(text(query), {"vpd": self.vpd})}
        employed = {person for person, state in states.items() if state == "employee"}
        return {
            account["idnumber"].removeprefix(f"{self.vpd}-"): {
                "details": [account[name] for name in ("firstname", "lastname", "account_type")],
                "email": account["email"].replace(self.vpd, ""),
                "username": account["username"].replace(self.vpd, ""),
                "fields": account["fields"],
                "closing": states[account["idnumber"].removeprefix(f"{self.vpd}-")] not in ("employee", "applicant"),
                "jobs": sorted(
                    tuple(str(value).replace(f"{self.vpd}-", "") for value in job.values())
                    for job in self.lms.jobs(account["idnumber"])
                    if account["idnumber"].removeprefix(f"{self.vpd}-") in employed
                ),
            }
            for account in self.lms.accounts()
            if not account["suspended"]
        }


def alike(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    """Whether two stages ended alike.

    An account that was never made is as good as a closed one, or one of a leaver that waits for its day to close.
    """
    alone = [(ours.get(one) or theirs[one])["closing"] for one in ours.keys() ^ theirs.keys()]
    return all(alone) and all(ours[one] == theirs[one] for one in ours.keys() & theirs.keys())


async def _map(competency: CompetencyHandlers, vpd: str) -> None:
    """Define what is mapped, and apply the mappings."""
    first = File(1, FIRST_DAY, tuple(map(history_learning.definition, (history_learning.FIRE, history_learning.SAFE))))
    await competency.on_records(first.messages(vpd, "competency"))
    await competency.desk.draft(vpd, history_learning.MAPPINGS, "tests", "they are trained in the LMS")
    await competency.desk.apply(vpd, "tests", "checked")


def _to(*heard: list[Message]) -> Callable[[Message], None]:
    def tap(message: Message) -> None:
        if message.exchange == EVENTS:
            for one in heard:
                one.append(message)

    return tap


async def check_learning(stage: Stage, open_accounts: Iterable[str]) -> None:
    """Assert what must hold of the learning of people with an open account."""
    known = await history_learning.read(stage.competency_engine, stage.work.engine, stage.vpd)
    for person in open_accounts:
        idnumber = f"{stage.vpd}-{person}"
        current = {one["certification"]: one["completed_on"] for one in stage.lms.certifications(idnumber)["current"]}
        evidence = [one["completed_on"] for one in stage.lms.evidence(idnumber)]
        history_learning.check(known.get(person, history_learning.Learning()), current, evidence)


async def live_in_order(stage: Stage, files: Sequence[File], until: date) -> None:
    """Live through a history as it was meant to be: each file once, whole, on its day."""
    for file in files:
        stage.on(file.day)
        await stage.tick()
        for service, handle in (("people", stage.people.on_records), ("competency", stage.competency.on_records)):
            if messages := file.messages(stage.vpd, service):
                await handle(messages)
        await stage.tick()
        await stage.pass_on()
        await stage.complete([file.number])
        await stage.reconcile()
    stage.on(until)
    await finish(stage, [file.number for file in files])


async def finish(stage: Stage, numbers: Sequence[int]) -> None:
    """Let everything that was begun come to its end."""
    await stage.tick()
    await stage.pass_on()
    await stage.complete(numbers)
    await stage.reconcile()
