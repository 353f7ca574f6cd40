"""The embedded mode: the whole loop in one process, with the same handlers, tables and files as everywhere.

The broker is in memory and PostgreSQL comes from a wheel. The broker forgets when the process dies, so the outboxes
keep what they published until the run is idle, and ingest sends again the records of files that do not add up yet: a
killed run is finished by the next one.
"""

import asyncio
import secrets
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from esrbridge.local.postgres import postgres
from services.competency import main as competency
from services.confirmations import main as confirmations
from services.console import main as console
from services.ingest import main as ingest
from services.ingest import store as ingest_store
from services.outbound import main as outbound
from services.outbound.reconcile import JOB as RECONCILE
from services.outbound.site import MakeSite, make_site
from services.people import main as people
from shared.clock import Clock
from shared.component import Component, Context, Job
from shared.config import BridgeConfig
from shared.db.engine import Reader, make_engine
from shared.db.migrate import SERVICES, login, migrate
from shared.db.unit import Work
from shared.errors import LmsUnavailableError
from shared.messaging.memory import Chaos, MemoryBroker
from shared.messaging.message import Message
from shared.messaging.topology import EVENTS

STATE: Final = "state"
"""Folder within the one-shot folder that holds the database and the archive."""

LMS_ATTEMPTS: Final = 3
LMS_PAUSE: Final = 0.3
"""Rounds in which an LMS may be away before a one-shot run leaves its work for the next run."""

OnProgress = Callable[[list[tuple[str, str, int, int]]], None]
"""Told (trust, file, records accounted for, records) for each file now and then."""


@dataclass(slots=True)
class Bridge:
    """A running embedded bridge."""

    config: BridgeConfig
    folder: Path
    broker: MemoryBroker
    components: Mapping[str, Component]
    readers: Mapping[str, Reader]
    events: dict[str, Counter[str]]
    """Events of this run by trust and type."""
    waiting_for: str = ""
    """Code of what was away when the run ended, empty when nothing was."""

    async def until_idle(self, on_progress: OnProgress | None = None, *, at_once: bool = True) -> None:
        """Work until nothing is left to do: files, messages, reconciliation, completion files.

        ``at_once``: completions leave now; otherwise at their cut-off, by the clock.
        """
        consumers = [asyncio.create_task(c.run()) for part in self.components.values() for c in part.consumers]
        watchers = [asyncio.create_task(self._watch(on_progress))] if on_progress else []
        try:
            on_demand = self.components["outbound"].on_demand if at_once else ()
            while await self._round(consumers) or await self._run_jobs(on_demand):
                pass
            for part in self.components.values():
                await part.work.outbox.forget()
            waits = [code for part in self.components.values() for job in part.jobs for code in job.waiting().values()]
            self.waiting_for = next(iter(waits), "")
        finally:
            for task in (*consumers, *watchers):
                task.cancel()
            await asyncio.gather(*consumers, *watchers, return_exceptions=True)

    async def recover(self) -> None:
        """Pick up what a killed run had on its broker."""
        for part in self.components.values():
            await part.work.outbox.reopen()
        await self._run_jobs(self.components["ingest"].on_demand)

    async def _round(self, consumers: list[asyncio.Task[None]]) -> int:
        """Run every job until it has nothing to do, and let every message be handled; return how much was done."""
        handled = self._handled()
        done = 0
        for part in self.components.values():
            done += await part.work.outbox.sweep(age=0)
            done += await self._run_jobs(part.jobs)
        idle = asyncio.create_task(self.broker.idle())
        await asyncio.wait([idle, *consumers], return_when=asyncio.FIRST_COMPLETED)
        for consumer in consumers:
            if consumer.done():
                idle.cancel()
                await consumer  # raises what ended it
        await idle
        return done + self._handled() - handled

    def _handled(self) -> int:
        return sum(consumer.handled for part in self.components.values() for consumer in part.consumers)

    async def _run_jobs(self, jobs: tuple[Job, ...]) -> int:
        total = 0
        for job in jobs:
            attempts = 0
            while True:
                done = await job.run()
                total += done
                if not done and job.name == RECONCILE and attempts < LMS_ATTEMPTS and _passes(job.waiting().values()):
                    attempts += 1
                    await asyncio.sleep(LMS_PAUSE * 2**attempts)
                elif not done or job.name == "split":
                    break
        return total

    async def _watch(self, on_progress: OnProgress) -> None:
        while True:
            rows: list[tuple[str, str, int, int]] = []
            for trust in self.config.trusts:
                async with self.readers["ingest"].trust(trust.vpd) as connection:
                    files = await ingest_store.overview(connection, trust.vpd)
                rows += [
                    (trust.vpd, file["name"], sum(file["accounted"].values()), file["records"])
                    for file in files
                    if file["accounted"]
                ]
            on_progress(rows)
            await asyncio.sleep(0.25)


@asynccontextmanager
async def open_bridge(
    config: BridgeConfig,
    folder: Path,
    clock: Clock,
    *,
    site: MakeSite = make_site,
    chaos: Chaos | None = None,
) -> AsyncIterator[Bridge]:
    """Start PostgreSQL on ``folder/state``, migrate, and wire all services to a broker in memory."""
    state = folder / STATE
    state.mkdir(parents=True, exist_ok=True)
    with postgres(state / "postgres", prefer_wheel=True) as server:
        async with AsyncExitStack() as stack:
            engines = await _engines(server.url, stack)
            counted: set[str] = set()
            events: dict[str, Counter[str]] = defaultdict(Counter)

            def count(message: Message) -> None:
                if message.exchange == EVENTS and message.message_id not in counted:
                    counted.add(message.message_id)
                    events[message.vpd][message.type] += 1

            broker = MemoryBroker(chaos=chaos, tap=count)
            await broker.start()
            contexts = {
                name: Context(
                    config=config,
                    work=Work(name, engine, broker, clock),
                    broker=broker,
                    clock=clock,
                    reader=Reader(engine, name),
                    files=folder,
                    archive=archive_of(folder),
                )
                for name, engine in engines.items()
            }
            components = {
                "ingest": ingest.build(contexts["ingest"]),
                "people": people.build(contexts["people"]),
                "competency": competency.build(contexts["competency"]),
                "outbound": outbound.build(contexts["outbound"], site),
                "confirmations": confirmations.build(contexts["confirmations"]),
                "console": console.build(contexts["console"]),
            }
            readers = {name: context.reader for name, context in contexts.items()}
            bridge = Bridge(config, folder, broker, components, readers, events)
            await bridge.recover()
            yield bridge


def _passes(codes: Iterable[str]) -> bool:
    """Whether something waits that may be there again in a moment."""
    return any(code == LmsUnavailableError.code for code in codes)


def archive_of(folder: Path) -> Path:
    """Return where a one-shot folder keeps raw files."""
    return folder / STATE / "archive"


async def _engines(url: str, stack: AsyncExitStack) -> dict[str, AsyncEngine]:
    """Migrate with the administrator's login, then log in once per service with that service's own role."""
    passwords = {service: secrets.token_urlsafe(24) for service in SERVICES}
    admin = make_engine(url, name="esrbridge-migrate", statement_seconds=None)
    try:
        await migrate(admin, passwords)
    finally:
        await admin.dispose()
    engines: dict[str, AsyncEngine] = {}
    for service in SERVICES:
        engine = make_engine(as_role(url, service, passwords[service]), name=f"esrbridge-{service}", pool=3)
        stack.push_async_callback(engine.dispose)
        engines[service] = engine
    return engines


def as_role(url: str, service: str, password: str) -> str:
    """Return a database URL with a service's login in place of the one it has."""
    return make_url(url).set(username=login(service), password=password).render_as_string(hide_password=False)
