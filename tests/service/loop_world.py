"""A trust, its ESR and its Totara over years: by day learners learn in either, by night the bridge runs.

``competency`` and ``outbound`` are the real ones on a real database, the drivers write real files and calls, the
sandbox's Totara takes uploads and does its step of certifications; ESR is a list of elements that takes what it is
sent.
"""

import csv
import io
from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from sandbox.totara import SandboxTotara
from sandbox.totara_cert_file import UploadSettings
from services.competency.handlers import CompetencyHandlers
from services.outbound import due
from services.outbound.circuit import Circuit
from services.outbound.handlers import OutboundHandlers
from services.outbound.lms.hr_import_slot import FolderSlot
from services.outbound.lms.port import Account
from services.outbound.lms.totara_upload import CompletionUpload
from services.outbound.reconcile import Reconciler
from services.outbound.site import Site
from services.outbound.towards_esr import store
from services.outbound.towards_esr.rules import decide
from shared import events, records
from shared.clock import LONDON, FixedClock
from shared.config import BridgeConfig, CompletionPolicy, TrustConfig
from shared.db.unit import Work
from shared.lms_settings import CompletionUploadSettings
from shared.mapping_settings import MappingSet
from shared.messaging.memory import MemoryBroker
from shared.messaging.message import Message
from shared.messaging.topology import EVENTS, LMS, RECORDS
from tests.unit.services.rig_totara import new_graphql

VPD: Final = "999"
FIRST_DAY: Final = date(2026, 3, 2)
METHODS: Final = {"COMP": "completion", "EXP": "expiry", "FIX": "fixed"}
COMPETENCES: Final = {"100": "COMP", "200": "EXP", "300": "FIX"}
NAMES: Final = {
    "100": "NHS|CSTF|Fire Safety - 1 Year|",
    "200": "NHS|CSTF|Infection Prevention and Control - Level 1 - 1 Year|",
    "300": "NHS|CSTF|Moving and Handling - Level 1 - 1 Year|",
}
POLICY: Final = CompletionPolicy(hold_days=1)
"""Somebody may do the same training in both on one day, and reports come before ESR's file."""
WINDOW: Final = "2 months"
MINIMUM: Final = "6 months"

MAPPINGS: Final = MappingSet.model_validate(
    {
        "mappings": [{"competence_id": key, "certification": one} for key, one in COMPETENCES.items()],
        "renewals": [
            {"certification": one, "method": method, "active": "1 year", "window": WINDOW,
             "minimum": MINIMUM if method == "fixed" else ""}
            for one, method in METHODS.items()
        ],
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Element:
    """An achievement as ESR holds it. ``sent``: the bridge told it."""

    key: str
    person: str
    competence: str
    achieved: date
    until: date
    sent: bool


@dataclass
class World:
    """Everything together."""

    dice: Random
    people: Sequence[str]
    clock: FixedClock
    totara: SandboxTotara
    ready: Path
    competency: CompetencyHandlers
    outbound: OutboundHandlers
    reconciler: Reconciler
    engine: AsyncEngine
    said: list[Message]
    esr: list[Element] = field(default_factory=list)
    held: set[tuple[str, str, date]] = field(default_factory=set)
    told_to_competency: int = 0
    file_no: int = 10
    rows: dict[tuple[str, ...], str] = field(default_factory=dict)
    uploaded: list[tuple[str, ...]] = field(default_factory=list)
    """Person, certification and day of every row of every upload."""

    # By day

    def at(self, day: date, hour: int) -> None:
        """Let it be some time of a day."""
        self.clock.set(datetime.combine(day, time(hour), LONDON))

    def learn(self, day: date, eagerness: float) -> None:
        """Some of those who have to, or may, renew in the LMS; a few learn in ESR instead, whether due or not."""
        self.at(day, 10)
        for row in self.totara.completions():
            if row["state"] == "certified" or self.dice.random() > eagerness:
                continue
            moment = int(self.clock.now().timestamp()) + self.dice.randrange(20_000)
            self.totara.learner_completes(row["username"], row["certification"], moment)
        for person in self.people:
            if self.dice.random() < eagerness / 20:
                self.achieve(person, self.dice.choice(list(COMPETENCES)), day)

    def achieve(self, person: str, competence: str, day: date) -> None:
        """Let somebody learn in ESR, which counts a year from the day; once on a day."""
        if (person, competence, day) not in self.held:
            self._load(person, competence, day, _a_year_after(day), sent=False)

    def _load(self, person: str, competence: str, day: date, until: date, *, sent: bool) -> None:
        self.held.add((person, competence, day))
        self.esr.append(Element(f"{70_000_000 + len(self.esr)}", person, competence, day, until, sent))

    # By night

    async def night(self, day: date, *, history: bool) -> None:
        """Totara's step; then the bridge reads reports and ESR's file, uploads, and tells ESR."""
        self.at(day, 21)
        self.totara.cron()
        self.at(day, 22)
        self.file_no += 1
        await self._read_reports(history=history)
        await self._read_esr()
        await self._act()
        await self._tell_esr(day)

    async def _read_reports(self, *, history: bool) -> None:
        said = []
        for older in (True, False) if history else (False,):
            for row in csv.DictReader(io.StringIO(self.totara.certification_report(history=older).decode())):
                told = _as_record(row, older=older)
                key = (
                    told["user_idnumber"],
                    told["certification_idnumber"],
                    told.get("completed_at", "") if older else "now",
                )
                if self.rows.get(key) != str(told):
                    self.rows[key] = str(told)
                    said.append(("certification.upsert", told))
        await self.hear(said)

    async def _read_esr(self) -> None:
        new, self.told_to_competency = self.esr[self.told_to_competency :], len(self.esr)
        await self.hear([("competency_element.upsert", _as_element(one)) for one in new])

    async def hear(self, said: Sequence[tuple[str, Mapping[str, str]]]) -> None:
        """Let ``competency`` take records, 500 at a time."""
        messages = [
            Message(
                exchange=LMS if kind.startswith("certification") else RECORDS,
                type=kind,
                message_id=f"{self.file_no}-{line}",
                vpd=VPD,
                body=records.encode(dict(columns)),
                stream="lms" if kind.startswith("certification") else "feed",
                file=f"F{self.file_no}",
                file_no=self.file_no,
                line=line,
            )
            for line, (kind, columns) in enumerate(said, start=2)
        ]
        for start in range(0, len(messages), 500):
            await self.competency.on_records(messages[start : start + 500])
        while await self.competency.tick():
            pass

    async def _act(self) -> None:
        said, self.said[:] = list(self.said), []
        if not said:
            return
        for stream in ("feed", "lms"):
            cause = events.Cause(stream, f"F{self.file_no}", self.file_no)
            said.append(_message(events.FileCompleted(vpd=VPD, cause=cause, status="completed", records=1)))
        await self.outbound.on_events(said)
        for _ in range(1000):
            trust = self.reconciler.trusts[VPD]
            trust.circuit = Circuit()  # it waits some seconds for a file to be taken; here these pass at once
            done_now = await self.reconciler.run()
            taken = self._upload()
            if not done_now and not taken and not trust.circuit.code:
                return
            self.clock.set(self.clock.now() + timedelta(seconds=3))
        raise AssertionError("the night has no end")

    def _upload(self) -> bool:
        """Be the administrator who submits what lies in the folder, with the action the bridge asks for."""
        files = sorted(self.ready.iterdir())
        for file in files:
            evidence = file.name.startswith("esrbridge-evidence")
            content = file.read_bytes()
            self.totara.upload_completions(content, settings=UploadSettings(action=1, create_evidence=evidence))
            if not evidence:
                rows = csv.DictReader(io.StringIO(content.decode()))
                self.uploaded += [(r["username"], r["certificationidnumber"], r["completiondate"]) for r in rows]
            file.unlink()
            while not self.totara.run_adhoc():
                self.clock.set(self.clock.now() + timedelta(seconds=60))
        return bool(files)

    async def _tell_esr(self, day: date) -> None:
        """Take what may leave for ESR, as its file brings it; ESR works an expiry out where it is told none."""
        async with self.engine.begin() as connection:
            keys = await store.due(connection, VPD, day, ("", ""), 10_000)
            for row in await store.cases(connection, VPD, keys):
                following = decide(row.wanted, row.items, row.whose, POLICY, day)
                if following.change is None or row.state != "waiting":
                    continue
                await connection.execute(_TAKE, {"person_id": row.person_id, "key": row.key})
                achieved = date.fromisoformat(following.content.achieved_on)
                said = following.content.expires_on
                until = date.fromisoformat(said) if said else _a_year_after(achieved)
                self._load(row.person_id, following.content.competence_id, achieved, until, sent=True)


def _as_record(row: Mapping[str, str], *, older: bool) -> dict[str, str]:
    told = {
        "user_idnumber": row["User ID Number"],
        "certification_idnumber": row["Certification ID Number"],
        "status": "history" if older else _STATUS[row["Status"], row["Renewal Status"]],
    }
    if row["Completion Date"]:
        told["completed_at"] = _moment(row["Completion Date"]).isoformat()
        told["expires_on"] = _moment(row["Expiry Date"]).date().isoformat()
        told["window_opens_on"] = _moment(row["Window Open Date"]).date().isoformat()
    return told


@cache
def _moment(shown: str) -> datetime:
    return datetime.strptime(shown, "%d %b %Y at %H:%M").replace(tzinfo=LONDON)


def _as_element(one: Element) -> dict[str, str]:
    return {
        "competency_element_id": one.key,
        "competency_type": "PERSONAL",
        "competency_status": "ACHIEVED",
        "competency_name": NAMES[one.competence],
        "competence_id": one.competence,
        "person_id": one.person,
        "date_from": one.achieved.isoformat(),
        "date_to": one.until.isoformat(),
    }


def _a_year_after(day: date) -> date:
    """As ESR counts: shortened to the last day of the month, and from a last day to a last day."""
    last = monthrange(day.year + 1, day.month)[1]
    ends = day.day == monthrange(day.year, day.month)[1]
    return day.replace(year=day.year + 1, day=last if ends else min(day.day, last))


def _message(event: events.Event) -> Message:
    name = events.NAMES[type(event)]
    return Message(exchange=EVENTS, type=name, message_id=name, vpd=VPD, body=events.encode(event))


_STATUS: Final = {
    ("Assigned", "Not due for renewal"): "assigned",
    ("Certified", "Not due for renewal"): "certified",
    ("Certified", "Due for renewal"): "window-open",
    ("Expired", "Renewal expired"): "expired",
}

_TAKE: Final = text(
    "UPDATE outbound.completions SET state = 'confirmed', look_on = NULL WHERE (person_id, key) = (:person_id, :key)"
)


async def make_world(
    engines: Mapping[str, AsyncEngine], folder: Path, people: int, seed: int, *, brought: float = 0.5
) -> World:
    """Start with everybody employed and assigned; some brought achievements of the year before."""
    dice, clock = Random(seed), FixedClock(datetime.combine(FIRST_DAY, time(6), LONDON))
    said: list[Message] = []

    def tap(message: Message) -> None:
        if message.exchange == EVENTS:
            said.append(message)

    brokers = [MemoryBroker(tap=tap), MemoryBroker()]
    for broker in brokers:
        await broker.start()
    totara = SandboxTotara(folder / "totara.sqlite", clock=lambda: clock.now().timestamp())
    for one, method in METHODS.items():
        totara.add_certification(one, method, window=WINDOW, minimum=MINIMUM if method == "fixed" else "")  # type: ignore[arg-type]
    ready = folder / "ready"
    ready.mkdir(parents=True)
    work = Work("outbound", engines["outbound"], brokers[1], clock)

    async def held(idnumber: str) -> Account | None:
        async with engines["outbound"].connect() as connection:
            return await due.last_seen(connection, VPD, idnumber)

    upload = CompletionUpload(
        CompletionUploadSettings(), VPD, FolderSlot(ready, ready), clock, held, memory=folder / "memory.json"
    )
    trust = TrustConfig.model_validate({"vpd": VPD})
    competency = CompetencyHandlers(
        Work("competency", engines["competency"], brokers[0], clock), BridgeConfig(trusts=(trust,))
    )
    world = World(
        dice,
        [f"{9_000_001 + number}" for number in range(people)],
        clock,
        totara,
        ready,
        competency,
        OutboundHandlers(work, {VPD: trust.accounts}),
        Reconciler(work, [trust], {VPD: Site(new_graphql(totara), None, upload)}),
        engines["outbound"],
        said,
    )
    await _begin(world, brought)
    return world


async def _begin(world: World, brought: float) -> None:
    await world.hear(
        [
            ("competence.upsert", {"competence_id": key, "competence_name": name, "date_from": "2020-01-01",
                                   "renewal_period_frequency": "1", "renewal_period_units": "Year"})
            for key, name in NAMES.items()
        ]
    )  # fmt: skip
    await world.competency.desk.draft(VPD, MAPPINGS, "tests", "they are trained in both")
    await world.competency.desk.apply(VPD, "tests", "checked")
    hired = [_message(_hired(person, world.file_no)) for person in world.people]
    await world.competency.on_events(hired)
    world.said += hired
    await world._act()
    for person in world.people:
        user = world.totara.user(f"{VPD}-{person}")
        assert user is not None
        for key, certification in COMPETENCES.items():
            world.totara.assign(user["username"], certification)
            if world.dice.random() < brought:
                world.achieve(person, key, FIRST_DAY - timedelta(days=world.dice.randrange(500)))


def _hired(person: str, file_no: int) -> events.EmployeeHired:
    return events.EmployeeHired(
        vpd=VPD,
        cause=events.Cause("feed", f"F{file_no}", file_no),
        person=events.Person(
            person_id=person,
            state="employee",
            revision=1,
            employee_number=f"2{person}",
            first_name="Fern",
            last_name=f"Placeholder{person}",
            email=f"p{person}@trust.example",
            hire_date="2020-01-01",
        ),
    )
