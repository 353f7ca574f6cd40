"""The way of completions towards ESR on a real database, fed with events; and an ESR that answers as it is told."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import make_url

from services.outbound.completions import CompletionFiles
from services.outbound.handlers import OutboundHandlers
from services.outbound.towards_esr.desk import CompletionDesk
from shared import events
from shared.clock import FixedClock
from shared.config import TrustConfig
from shared.db.engine import make_engine
from shared.db.migrate import login
from shared.db.unit import Work
from shared.esr.reader import read_records
from shared.events import Cause, Event, Person, PersonState
from shared.messaging.memory import MemoryBroker
from shared.messaging.message import Message
from shared.messaging.topology import EVENTS
from shared.profiles import load_profiles

VPD = "999"
FERN, ROWAN = "9000001", "9000002"
LMS = Cause("lms", "completions.csv", 1)
EVENING = datetime(2026, 3, 3, 18, 30)  # noqa: DTZ001 - UK local time


@dataclass
class CompletionBench:
    """One trust's way towards ESR."""

    work: Work
    clock: FixedClock
    folder: Path
    trust: TrustConfig
    handlers: OutboundHandlers
    said: list[Event] = field(default_factory=list)
    revision: int = 0

    @property
    def files(self) -> CompletionFiles:
        """The process anew: what it knew by heart is gone."""
        trusts = [self.trust]
        return CompletionFiles(self.work, trusts, load_profiles(trusts), self.folder, self.clock)

    @property
    def desk(self) -> CompletionDesk:
        """An operator."""
        return CompletionDesk(self.work, "a.nother")

    @property
    def to_esr(self) -> Path:
        return self.folder / VPD / "to-esr"

    async def hear(self, *told: Event) -> None:
        """Handle events in one batch."""
        await self.handlers.on_events(
            [
                Message(exchange=EVENTS, type=events.NAMES[type(one)], message_id="1", vpd=VPD, body=events.encode(one))
                for one in told
            ]
        )

    async def person(self, person_id: str = FERN, state: PersonState = "employee", **said: Any) -> None:
        """ESR tells of a person."""
        self.revision += 1
        told: dict[str, Any] = {
            "employee_number": f"2{person_id}",
            "last_name": "Placeholder",
            "revision": self.revision,
        } | said
        person = Person(person_id=person_id, state=state, **told)
        cause = Cause("feed", "f", 1)
        await self.hear(events.EmployeeHired(vpd=VPD, cause=cause, person=person))

    def completed(self, person_id: str = FERN, key: str = "k", **said: Any) -> events.CertificationCompleted:
        """The LMS tells of a completion."""
        self.revision += 1
        told: dict[str, Any] = {
            "competence_id": "5001",
            "competence_name": "Fire",
            "achieved_on": "2026-03-01",
            "certification": "F",
        }
        told |= {"cause": LMS, "revision": self.revision} | said
        return events.CertificationCompleted(vpd=VPD, person_id=person_id, key=key, **told)

    def withdrawn(self, person_id: str = FERN, key: str = "k") -> events.CertificationWithdrawn:
        """The LMS takes a completion back."""
        self.revision += 1
        return events.CertificationWithdrawn(vpd=VPD, cause=LMS, person_id=person_id, key=key, revision=self.revision)

    async def complete(self, person_id: str = FERN, key: str = "k", **said: Any) -> None:
        """Hear of a completion whose file is wholly accounted for."""
        await self.hear(self.completed(person_id, key, **said), events.FileCompleted(
            vpd=VPD, cause=LMS, status="complete", records=1))  # fmt: skip

    async def night(self, days: int = 1) -> list[str]:
        """Let days pass, write and deliver; return the names of new files."""
        before = set(self.names)
        self.clock.set(self.clock.now() + timedelta(days=days))
        await self.cut_off()
        return [name for name in self.names if name not in before]

    async def cut_off(self) -> None:
        """Do in a new process what is to be done at the day's cut-off."""
        files = self.files
        await files.write(VPD, once_on=int(self.clock.now().strftime("%Y%m%d")))
        await files.deliver()

    @property
    def names(self) -> list[str]:
        return sorted(path.name for path in self.to_esr.glob("*")) if self.to_esr.exists() else []

    def records(self, name: str) -> list[dict[str, str]]:
        """Return the records of a file in the folder: change reason (or ``TCD``), reference, and what they name."""
        profile = load_profiles([self.trust])[VPD]
        found = []
        for one in read_records((self.to_esr / name).read_bytes(), profile, name=name):
            said = dict(one.fields)
            found.append({"why": said.get("change_reason", one.code), "reference": said["lms_reference"]} | said)
        return found

    def lines(self) -> list[tuple[str, str]]:
        """Return why and reference of every record of every file, in order."""
        return [(one["why"], one["reference"][-2:]) for name in self.names for one in self.records(name)]

    def of(self, kind: type[Event]) -> list[Any]:
        return [one for one in self.said if type(one) is kind]

    async def answer(self, code: str = "", place: int = -1, *, revision: int = 0, record: str = "E1") -> None:
        """ESR answers something that was sent: loads it, or refuses it with a code."""
        await self.hear(self.answer_of(self.of(events.CompletionSent)[place], code, revision=revision, record=record))

    def answer_of(
        self, sent: events.CompletionSent, code: str = "", *, revision: int = 0, record: str = "E1"
    ) -> events.CompletionAnswer:
        said = {
            name: getattr(sent, name) for name in ("reference", "person_id", "key", "sent_file", "position", "change")
        }
        said |= {"vpd": VPD, "cause": Cause("cmc", "m", 1), "revision": revision, "code": code}
        if code:
            return events.CompletionRejected(**said)
        return events.CompletionConfirmed(**said, esr_record_id=record)

    def late(self, sent: events.CompletionSent) -> events.ConfirmationOverdue:
        """The answer is late."""
        return events.ConfirmationOverdue(
            vpd=VPD, cause=LMS, reference=sent.reference, person_id=sent.person_id, key=sent.key, change=sent.change,
            sent_file=sent.sent_file, position=sent.position, sent_at=sent.sent_at,
            due_at=self.clock.now().astimezone(UTC).isoformat(),
        )  # fmt: skip

    async def stands(self, key: str = "k", person_id: str = FERN) -> tuple[str, str]:
        """Return state and code of a completion."""
        rows = await self.ask(
            "SELECT state, code FROM outbound.completions WHERE (person_id, key) = (:p, :k)", p=person_id, k=key
        )
        return rows[0]["state"], rows[0]["code"]

    async def ask(self, query: str, **said: Any) -> Sequence[Mapping[str, Any]]:
        async with self.work.engine.connect() as connection:
            return [dict(row) for row in (await connection.execute(text(query), said)).mappings()]


@asynccontextmanager
async def completion_bench(
    database: str, passwords: Mapping[str, str], folder: Path, **settings: Any
) -> AsyncIterator[CompletionBench]:
    """Open a bench for trust 999. ``settings``: of the trust's section of ``bridge.yaml``."""
    trust = TrustConfig.model_validate({"vpd": VPD} | settings)
    url = make_url(database).set(username=login("outbound"), password=passwords["outbound"])
    engine = make_engine(url.render_as_string(hide_password=False), name="tests", pool=4)
    said: list[Event] = []

    def tap(message: Message) -> None:
        if message.exchange == EVENTS:
            said.append(events.decode(message.type, message.body))

    broker = MemoryBroker(tap=tap)
    await broker.start()
    clock = FixedClock(EVENING)
    work = Work("outbound", engine, broker, clock)
    try:
        yield CompletionBench(work, clock, folder, trust, OutboundHandlers(work, {VPD: trust.accounts}), said)
    finally:
        await engine.dispose()
