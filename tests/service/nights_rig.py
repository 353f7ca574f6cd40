"""Replicas of one service with steps of our own, on one database and one clock."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import Table, select

from esrbridge.embedded import as_role
from services.people.schema import METADATA, NIGHT_RUNS, NIGHTS
from shared.clock import FixedClock
from shared.config import CompletionPolicy, TrustConfig
from shared.db.engine import make_engine
from shared.db.unit import Work
from shared.messaging.memory import MemoryBroker
from shared.nights.duties import Duty, Night
from shared.nights.runner import Nights
from shared.schedule import Step

VPD = "999"
MORNING = "2026-03-02T06:00"


@dataclass
class Worker:
    """What steps do in these tests: they note that they were run, after what the test makes of it."""

    ran: list[tuple[str, date, bool]] = field(default_factory=list)
    trouble: Callable[[Night], None] = lambda _: None
    gate: asyncio.Event | None = None
    """Where set, the work takes until it opens."""
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    async def work(self, night: Night) -> dict[str, int]:
        self.begun.set()
        if self.gate:
            await self.gate.wait()
        self.trouble(night)
        self.ran.append((night.vpd, night.day, night.by_hand))
        return {"things": len(self.ran)}

    @property
    def days(self) -> list[str]:
        return [f"{day:%m-%d}" for _, day, _ in self.ran]


def evening(trust: TrustConfig) -> Step:
    return Step("evening", trust.completions.cut_off)


def each(trust: TrustConfig) -> Step:
    return Step("each", "10:00", "each", trust.calendar.days)


@dataclass
class Rig:
    """One replica."""

    nights: Nights
    work: Work

    async def rows(self, table: Table = NIGHTS, vpd: str = VPD) -> list[Any]:
        async with self.work.engine.connect() as connection:
            order = [table.c.step, table.c.day]
            return list((await connection.execute(select(table).where(table.c.vpd == vpd).order_by(*order))).all())

    async def states(self) -> dict[str, str]:
        return {f"{row.day:%m-%d}": row.state for row in await self.rows()}

    async def runs(self) -> list[Any]:
        return await self.rows(NIGHT_RUNS)

    async def to_the_end(self) -> int:
        """Run as a job is run: until there is nothing to do."""
        tried = 0
        while more := await self.nights.run():
            tried += more
        return tried


def trust(vpd: str = VPD, cut_off: str = "18:00") -> TrustConfig:
    return TrustConfig(vpd=vpd, completions=CompletionPolicy(cut_off=cut_off))


@asynccontextmanager
async def replica(
    database: str,
    passwords: Mapping[str, str],
    clock: FixedClock,
    worker: Worker,
    *,
    when: Callable[[TrustConfig], Step | None] = evening,
    trusts: tuple[TrustConfig, ...] = (trust(),),
) -> AsyncIterator[Rig]:
    """Start a replica that runs one step."""
    engine = make_engine(as_role(database, "people", passwords["people"]), name="test", pool=4)
    work = Work("people", engine, MemoryBroker(), clock)
    try:
        yield Rig(Nights(work, trusts, [Duty(when, worker.work)], METADATA), work)
    finally:
        await engine.dispose()


def at(moment: str) -> datetime:
    return datetime.fromisoformat(moment)
