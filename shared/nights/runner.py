"""Runs the steps of nights: each once, by whichever replica gets to it first.

What is due stands in the table, so a round with nothing due costs one query for all trusts. A step is held by an
advisory lock for as long as it is run, and "done" is committed by the transaction that holds the lock: a replica that
died, or lost its connection, has let go of the step, has not noted it as done, and another takes it over.
"""

import asyncio
import itertools
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

import structlog
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.config import TrustConfig
from shared.db.unit import Work
from shared.errors import BridgeError, DecisionError
from shared.nights.duties import Duty, Night
from shared.nights.planner import Planner
from shared.nights.store import AnyRow, Ended, NightStore, StepKey
from shared.nights.views import entry
from shared.schedule import Occurrence, Step, due_at, is_late, pause
from shared.telemetry import JOB_FAILURES, LATE_STEPS
from shared.transient import is_transient

JOB: Final = "nights"

STEP_SECONDS: Final = 150
"""A step that takes longer is broken off and tried again, which goes on where it was."""

ROUND_SECONDS: Final = 30
"""No further step is begun in a round that has taken so long, so that a round is a sign of life."""

log = structlog.get_logger(__name__)


class Nights:
    """The nights of one service, for all its trusts."""

    def __init__(self, work: Work, trusts: Sequence[TrustConfig], duties: Sequence[Duty], metadata: MetaData) -> None:
        """Take the tables from ``metadata``, the service's own."""
        self._work = work
        schema = metadata.schema
        self._store = NightStore(metadata.tables[f"{schema}.nights"], metadata.tables[f"{schema}.night_runs"])
        self._steps: dict[StepKey, Step] = {}
        self._duties: dict[StepKey, Duty] = {}
        for trust, duty in itertools.product(trusts, duties):
            if (step := duty.when(trust)) is not None:
                self._steps[trust.vpd, step.name] = step
                self._duties[trust.vpd, step.name] = duty
        self._planner = Planner(self._store, self._steps)
        self._planned: date | None = None
        self._late: dict[StepKey, int] = {}
        self.waiting: dict[str, str] = {}
        """Steps that failed and will be tried again, as ``completion-file 999``, and the code why."""

    def steps(self, vpd: str) -> list[str]:
        """Return the names of a trust's steps."""
        return [name for trust, name in self._steps if trust == vpd]

    async def run(self) -> int:
        """Run what is due; return how many steps were tried."""
        now = self._work.clock.now()
        if self._planned != now.date():
            async with self._work.engine.begin() as connection:
                await self._planner.plan(connection, now)
            self._planned = now.date()
        async with self._work.engine.connect() as connection:
            rows = await self._store.pending(connection, self._steps, now)
        self._tell_late(rows, now)
        self.waiting = {f"{row.step} {row.vpd}": row.code for row in rows if row.state == "failed"}
        tried, began = 0, time.monotonic()
        for key in dict.fromkeys((row.vpd, row.step) for row in rows if row.next_at <= now):
            if time.monotonic() - began > ROUND_SECONDS:
                break
            tried += await self._turn(key)
        return tried

    async def again(self, vpd: str, name: str, day: date, who: str, why: str) -> dict[str, Any]:
        """Run a step for a day because somebody asks for it, whether it was run or not; return how that day stands.

        Raises DecisionError when the trust has no such step, its time has not come, or it is being run just now.
        """
        key = (vpd, name)
        if key not in self._steps:
            raise DecisionError(f"trust {vpd} has no step {name} in {self._work.service}")
        one, now = Occurrence(day, due_at(day, self._steps[key].at)), self._work.clock.now()
        if one.due_at > now:
            raise DecisionError(f"step {name} of {day} is not due yet")
        async with self._work.engine.begin() as holder:
            if not await self._store.lock(holder, *key):
                raise DecisionError(f"step {name} of trust {vpd} is being run just now; ask again when it has ended")
            async with self._work.engine.begin() as connection:
                await self._planner.plan_step(connection, key, now)
                number = await self._store.ask(connection, key, day, now, who, why)
            ended = await self._attempt(key, Night(vpd, day, by_hand=True))
            await self._settle(holder, key, one, now, ended, attempts=1)
            await self._store.answer(holder, vpd, number, ended)
        async with self._work.engine.connect() as connection:
            told = await self.overview(connection, vpd, day)
        return {"code": ended.code, "result": dict(ended.result), "steps": told["steps"]}

    async def overview(self, connection: AsyncConnection, vpd: str, day: date) -> dict[str, Any]:
        """Return a trust's steps of one day, and those of any day that are late."""
        rows = await self._store.of_day(connection, vpd, day)
        asked = await self._store.asked(connection, vpd, day)
        steps = [self._entry(row, [one for one in asked if one.step == row.step]) for row in rows]
        return {"day": day.isoformat(), "steps": steps, "late": await self.late(connection, vpd)}

    async def late(self, connection: AsyncConnection, vpd: str) -> list[dict[str, Any]]:
        """Return a trust's steps of any day that are late or have failed, oldest first."""
        told = [self._entry(row, ()) for row in await self._store.open(connection, vpd, self._work.clock.now())]
        return [one for one in told if one["late"] or one["state"] == "failed"]

    def _entry(self, row: AnyRow, asked: Iterable[AnyRow]) -> dict[str, Any]:
        step = self._steps.get((row.vpd, row.step))
        return {"service": self._work.service, **entry(row, step, self._work.clock.now(), asked)}

    async def _turn(self, key: StepKey) -> int:
        """Run one day of a step, unless another replica has it or has just done it."""
        async with self._work.engine.begin() as holder:
            if not await self._store.lock(holder, *key):
                return 0
            now = self._work.clock.now()
            async with self._work.engine.begin() as connection:
                row = await self._planner.claim(connection, key, now)
            if row is None:
                return 0
            ended = await self._attempt(key, Night(key[0], row.day))
            one = Occurrence(row.day, row.due_at)
            await self._settle(holder, key, one, now, ended, attempts=row.attempts + 1)
        return 1

    async def _attempt(self, key: StepKey, night: Night) -> Ended:
        """Do a step's work; return how that ended."""
        result: Mapping[str, int] = {}
        code = ""
        try:
            async with asyncio.timeout(STEP_SECONDS):
                result = await self._duties[key].work(night)
        except Exception as error:
            code = error.code if isinstance(error, BridgeError) else type(error).__name__
            JOB_FAILURES.labels(self._work.service, key[1]).inc()
            if is_transient(error):
                log.warning("step waits", vpd=key[0], job=key[1], day=str(night.day), code=code)
            else:
                log.exception("step failed", vpd=key[0], job=key[1], day=str(night.day), code=code)
        return Ended(self._work.clock.now(), result, code)

    async def _settle(
        self, holder: AsyncConnection, key: StepKey, one: Occurrence, started: datetime, ended: Ended, *, attempts: int
    ) -> None:
        """Note how it ended, in the transaction that holds the step."""
        name = f"{key[1]} {key[0]}"
        if ended.code:
            await self._store.fail(holder, key, one.day, ended.code, ended.at + pause(attempts))
            self.waiting[name] = ended.code
            return
        late = is_late(self._steps[key], one.due_at, ended.at)
        await self._store.finish(holder, key, one, started, ended, late=late)
        self.waiting.pop(name, None)
        log.info("step done", vpd=key[0], job=key[1], day=str(one.day))

    def _tell_late(self, rows: Sequence[AnyRow], now: datetime) -> None:
        """Set the gauge, and write a line for each step that has become late."""
        late: dict[StepKey, int] = {}
        for row in rows:
            key = (row.vpd, row.step)
            if is_late(self._steps[key], row.due_at, now):
                late[key] = late.get(key, 0) + 1
        for vpd, name in late.keys() | self._late.keys():
            LATE_STEPS.labels(self._work.service, name, vpd).set(late.get((vpd, name), 0))
        for vpd, name in sorted(late.keys() - self._late.keys()):
            log.warning("step late", vpd=vpd, job=name, count=late[vpd, name])
        self._late = late
