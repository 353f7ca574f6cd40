"""``outbound`` at work on a real database and a sandbox LMS, fed with events instead of messages from a broker."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
from sqlalchemy.engine import make_url

from sandbox.lms import SandboxLms
from sandbox.lms_http import create_app
from services.outbound.desk import AccountDesk
from services.outbound.directory import Directory
from services.outbound.handlers import OutboundHandlers
from services.outbound.lms.port import Learning
from services.outbound.lms.sandbox import SandboxDriver
from services.outbound.reconcile import Reconciler
from services.outbound.site import Site
from shared import events
from shared.clock import FixedClock
from shared.config import TrustConfig
from shared.db.engine import make_engine
from shared.db.migrate import login
from shared.db.unit import Work
from shared.events import Cause, Event, Person, PersonEvent, PersonState
from shared.messaging.memory import MemoryBroker
from shared.messaging.message import Message
from shared.messaging.topology import EVENTS

VPD = "999"
FILE = 7
FEED = Cause("feed", "CS_999_CST_CSC_20260303_00000007.DAT", FILE)
NOON = datetime(2026, 3, 3, 12)  # noqa: DTZ001 - UK local time

_SAID: Mapping[PersonState, type[PersonEvent]] = {
    "unknown": events.EmployeeTerminated,
    "out_of_scope": events.ApplicantWithdrawn,
    "applicant": events.ApplicantOffered,
    "employee": events.EmployeeHired,
    "leaver": events.EmployeeTerminated,
    "non_staff": events.NonStaffRegistered,
}


def somebody(person_id: str = "9000001", state: PersonState = "employee", **details: Any) -> Person:
    """Return an invented person."""
    told: dict[str, Any] = {
        "employee_number": f"2{person_id}",
        "first_name": "Fern",
        "last_name": "Placeholder",
        "email": f"p{person_id}@trust.example",
        "birth_date": "1990-02-01",
        "revision": 1,
    }
    return Person(person_id=person_id, state=state, **(told | details))


@dataclass
class OutboundBench:
    """One trust's ``outbound``."""

    work: Work
    clock: FixedClock
    lms: SandboxLms
    site: Site
    handlers: OutboundHandlers
    reconciler: Reconciler
    said: list[Event] = field(default_factory=list)
    """Every event that ``outbound`` published."""

    async def hear(self, *told: Event) -> None:
        """Handle events."""
        await self.handlers.on_events(
            [
                Message(
                    exchange=EVENTS,
                    type=events.NAMES[type(one)],
                    message_id=str(number),
                    vpd=VPD,
                    body=events.encode(one),
                )
                for number, one in enumerate(told)
            ]
        )

    async def tell(self, *people: Person, file_no: int = FILE) -> None:
        """Hear of people, and that the file they come from is wholly accounted for."""
        cause = msgspec.structs.replace(FEED, file_no=file_no)
        await self.hear(*(_SAID[person.state](vpd=VPD, cause=cause, person=person) for person in people))
        await self.hear(events.FileCompleted(vpd=VPD, cause=cause, status="completed", records=len(people)))

    async def settle(self) -> int:
        """Reconcile until nothing is left to do; return how much was done."""
        total = 0
        while done := await self.reconciler.run():
            total += done
        return total

    async def night(self, *people: Person) -> None:
        """Hear of people, then reconcile."""
        await self.tell(*people)
        await self.settle()

    def later(self, **time: int) -> None:
        """Let business time pass."""
        self.clock.set(self.clock.now() + timedelta(**time))

    def account(self, person_id: str = "9000001") -> dict[str, Any]:
        """Return the person's account as the LMS holds it."""
        found = self.lms.account(f"{VPD}-{person_id}")
        assert found is not None
        return found

    def of(self, kind: type[Event]) -> list[Any]:
        """Return the events of a kind that ``outbound`` published."""
        return [one for one in self.said if type(one) is kind]

    @property
    def desk(self) -> AccountDesk:
        """An operator."""
        return AccountDesk(self.work, "a.nother")


@asynccontextmanager
async def outbound_bench(
    database: str,
    passwords: Mapping[str, str],
    folder: Path,
    *,
    accounts: Mapping[str, Any] | None = None,
    lms: Mapping[str, Any] | None = None,
    directory: Directory | None = None,
    learning: Callable[[SandboxDriver], Learning] = lambda driver: driver,
) -> AsyncIterator[OutboundBench]:
    """Open a bench for trust 999. ``accounts``, ``lms``: further settings of these sections of ``bridge.yaml``."""
    settings = {"driver": "sandbox", "url": "http://lms"} | dict(lms or {})
    trust = TrustConfig.model_validate({"vpd": VPD, "lms": settings, "accounts": dict(accounts or {})})
    url = make_url(database).set(username=login("outbound"), password=passwords["outbound"])
    engine = make_engine(url.render_as_string(hide_password=False), name="tests", pool=3)
    said: list[Event] = []

    def tap(message: Message) -> None:
        if message.exchange == EVENTS:
            said.append(events.decode(message.type, message.body))

    broker = MemoryBroker(tap=tap)
    await broker.start()
    clock = FixedClock(NOON)
    work = Work("outbound", engine, broker, clock)
    sandbox = SandboxLms(folder / "lms.sqlite", VPD)
    driver = SandboxDriver("http://lms", "token", httpx.ASGITransport(create_app(sandbox, token="token")))
    site = Site(driver, driver, learning(driver))
    named = {VPD: directory} if directory else {}
    try:
        yield OutboundBench(
            work,
            clock,
            sandbox,
            site,
            OutboundHandlers(work, {VPD: trust.accounts}),
            Reconciler(work, [trust], {VPD: site}, named),
            said,
        )
    finally:
        await site.close()
        await engine.dispose()
