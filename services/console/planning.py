"""Plans for many letters: made, approved, started, paused, resumed, stopped, undone.

A plan names exactly the letters it is about, each as it was seen. They are collected in stretches whose place is kept,
so that what was asked for is not lost when the process ends in the middle.
"""

from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import insert, select, update

from services.console import audit, store
from services.console.audit import Deed
from services.console.checking import Schemas
from services.console.collecting import NO_SEARCH, STRETCH, Collector
from services.console.domain import (
    DeadLetterError,
    Kind,
    check_approve,
    check_pause,
    check_resume,
    check_reverse,
    check_start,
    check_stop,
    large,
)
from services.console.limits import Limits
from services.console.operations import counts, items_of, locked, of, operation_of, shown
from services.console.search import Selection, hashed
from services.console.tables import ITEMS, OPERATIONS
from shared.db.unit import Unit, Work


@dataclass(frozen=True, slots=True)
class Pace:
    """How a run goes; what is None is as the settings say. ``insist``: send what is expected to fail, too."""

    canary: int | None = None
    per_second: int | None = None
    allowed_percent: int | None = None
    insist: bool = False


class Planner:
    """Makes plans and decides about them, in the name of whoever is given."""

    def __init__(self, work: Work, schemas: Schemas | None = None, limits: Limits | None = None) -> None:
        self._work = work
        self._collector = Collector(work.clock, schemas or Schemas())
        self.limits = limits or Limits()

    async def plan(
        self,
        vpd: str,
        kind: Kind,
        selection: Selection,
        who: str,
        why: str,
        pace: Pace | None = None,
        *,
        at_once: bool = True,
    ) -> dict[str, Any]:
        """Fix which letters a replay or discard is about, and what each would do. Nothing is sent or closed yet.

        Without ``at_once`` a large plan comes back while it is being collected; the runner does the rest.
        Raises DeadLetterError when no letter matches, or a reason is missing.
        """
        if not why.strip():
            raise DeadLetterError("a reason is needed")
        pace = pace or Pace()
        async with self._work.unit() as unit:
            search = await hashed(unit.connection, vpd, selection.search) if selection.search else None
            values = {
                "vpd": vpd,
                "kind": kind,
                "state": "collecting",
                "who": who,
                "why": why,
                "created_at": self._work.clock.now(),
                "changed_at": self._work.clock.now(),
                "selection": msgspec.to_builtins(search) if search else NO_SEARCH,
                "ids": sorted(set(selection.ids)),
                "canary": pace.canary or self.limits.canary,
                "per_second": pace.per_second or self.limits.per_second,
                "allowed_percent": (
                    self.limits.allowed_percent if pace.allowed_percent is None else pace.allowed_percent
                ),
                "insist": pace.insist,
            }
            made = await unit.connection.scalar(insert(OPERATIONS).values(values).returning(OPERATIONS.c.id))
            number = int(made or 0)
            more = await self._stretch(unit, await locked(unit, vpd, number))
            if not more and not await unit.connection.scalar(
                select(ITEMS.c.place).where(items_of(vpd, number)).limit(1)
            ):
                raise DeadLetterError(f"trust {vpd} has no dead letter that matches")
            deed = Deed(who, f"plan {kind}", why, number)
            await audit.write(unit.connection, vpd, self._work.clock.now(), [("", deed)])
        while at_once and await self.collect(vpd, number):
            pass
        return await self.show(vpd, number)

    async def collect(self, vpd: str, number: int) -> bool:
        """Collect the next letters of a plan; return whether there may be more."""
        async with self._work.unit() as unit:
            row = await locked(unit, vpd, number)
            return row.state == "collecting" and await self._stretch(unit, row)

    async def approve(self, vpd: str, number: int, who: str, why: str) -> dict[str, Any]:
        """Agree to a large plan as the second person. Raises DeadLetterError for whoever proposed it."""
        async with self._work.unit() as unit:
            row = await locked(unit, vpd, number)
            check_approve(operation_of(row), who)
            await self._turn(unit, row, "approve", who, why, state="planned", approver=who)
        return await self.show(vpd, number)

    async def start(self, vpd: str, number: int, who: str, why: str) -> dict[str, Any]:
        """Let a plan run. Raises DeadLetterError while a second person has to approve it."""
        async with self._work.unit() as unit:
            row = await locked(unit, vpd, number)
            check_start(operation_of(row))
            await self._turn(unit, row, "start", who, why, state="running", starter=who)
        return await self.show(vpd, number)

    async def pause(self, vpd: str, number: int, who: str, why: str) -> dict[str, Any]:
        """Let a run send no more until it is resumed."""
        async with self._work.unit() as unit:
            row = await locked(unit, vpd, number)
            check_pause(operation_of(row))
            await self._turn(unit, row, "pause", who, why, state="paused", reason=f"paused by {who}")
        return await self.show(vpd, number)

    async def resume(self, vpd: str, number: int, who: str, why: str) -> dict[str, Any]:
        """Let a paused run go on, or one that halted by itself: the failures until now are then forgiven."""
        async with self._work.unit() as unit:
            row = await locked(unit, vpd, number)
            check_resume(operation_of(row))
            failed = (await counts(unit.connection, vpd, number)).get("failed", 0)
            forgiven = failed if row.state == "halted" else row.forgiven
            await self._turn(unit, row, "resume", who, why, state="running", reason="", forgiven=forgiven)
        return await self.show(vpd, number)

    async def stop(self, vpd: str, number: int, who: str, why: str) -> dict[str, Any]:
        """End a plan or run for good; what was sent stays sent."""
        async with self._work.unit() as unit:
            row = await locked(unit, vpd, number)
            check_stop(operation_of(row))
            await self._turn(unit, row, "stop", who, why, state="stopped", reason=f"stopped by {who}")
        return await self.show(vpd, number)

    async def undo(self, vpd: str, number: int, who: str, why: str) -> dict[str, Any]:
        """Open again every letter that a discard closed and that is still closed."""
        while await self._reopen_some(vpd, number, who, why):
            pass
        return await self.show(vpd, number)

    async def show(self, vpd: str, number: int) -> dict[str, Any]:
        """Return a plan or run as it stands. Raises DeadLetterError."""
        async with self._work.engine.connect() as connection:
            return await shown(connection, vpd, number)

    async def _stretch(self, unit: Unit, row: store.AnyRow) -> bool:
        """Add the next letters to a plan; return whether there may be more."""
        found = await self._collector.add_some(unit.connection, row)
        values: dict[str, Any] = {"total": found.total, "collected": found.seen, "after": found.last}
        values["expected"] = found.expected
        if found.ended:
            alone = {"replays_alone": self.limits.replays_alone, "discards_alone": self.limits.discards_alone}
            state = "proposed" if large(row.kind, found.total, **alone) else "planned"
            values |= {"state": state, "stage_end": min(row.canary, found.total)}
        await unit.connection.execute(of(row).values(values))
        return not found.ended

    async def _reopen_some(self, vpd: str, number: int, who: str, why: str) -> int:
        async with self._work.unit() as unit:
            row = await locked(unit, vpd, number)
            check_reverse(operation_of(row))
            query_ = select(ITEMS.c.letter).where(items_of(vpd, number), ITEMS.c.state == "discarded")
            letters = list(await unit.connection.scalars(query_.order_by(ITEMS.c.place).limit(STRETCH)))
            held = await store.locked(unit.connection, vpd, letters)
            opened = [one for one in letters if held[one].state == "discarded"]
            await store.change(unit.connection, vpd, opened, {"state": "open", "closed_at": None})
            deed = Deed(who, "undo", why, number, (), {"state": "discarded"}, {"state": "open"})
            await audit.write(unit.connection, vpd, self._work.clock.now(), [(one, deed) for one in opened])
            done = update(ITEMS).where(items_of(vpd, number), store.one_of(ITEMS.c.letter, letters))
            await unit.connection.execute(done.values(state="undone", at=self._work.clock.now()))
        return len(letters)

    async def _turn(
        self,
        unit: Unit,
        row: store.AnyRow,
        action: str,
        who: str,
        why: str,
        **values: Any,  # noqa: ANN401 - columns
    ) -> None:
        now = self._work.clock.now()
        await unit.connection.execute(of(row).values(changed_at=now, **values))
        deed = Deed(who, action, why, row.id, (), {"state": row.state}, {"state": values["state"]})
        await audit.write(unit.connection, row.vpd, now, [("", deed)])
