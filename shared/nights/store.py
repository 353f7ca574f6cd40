"""The SQL of nights, on the two tables every service has of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Row, Table, case, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.schedule import Occurrence

StepKey = tuple[str, str]
"""(trust, step)."""

PENDING: Final = ("due", "running", "failed")

AnyRow = Row[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Ended:
    """How an attempt ended. ``code`` is empty when it did what it had to."""

    at: datetime
    result: Mapping[str, int]
    code: str = ""


class NightStore:
    """Reads and writes the nights of one service."""

    def __init__(self, nights: Table, runs: Table) -> None:
        self._nights = nights
        self._runs = runs
        self._schema = nights.schema or ""

    async def lock(self, connection: AsyncConnection, vpd: str, step: str) -> bool:
        """Take a step of a trust until the transaction ends, however it ends; return whether it was free."""
        key = f"{self._schema}/{step}/{vpd}"
        return bool(await connection.scalar(_LOCK, {"key": key}))

    async def pending(self, connection: AsyncConnection, keys: Iterable[StepKey], upto: datetime) -> Sequence[AnyRow]:
        """Return the unsettled nights of these steps that were due by a moment."""
        table = self._nights
        query = select(table).where(table.c.state.in_(PENDING), table.c.due_at <= upto)
        wanted = set(keys)
        rows = await connection.execute(query.order_by(table.c.due_at, table.c.vpd, table.c.step))
        return [row for row in rows if (row.vpd, row.step) in wanted]

    async def ahead(self, connection: AsyncConnection) -> dict[StepKey, list[AnyRow]]:
        """Return every unsettled night, due or not: each step that was ever planned has one."""
        table = self._nights
        found: dict[StepKey, list[AnyRow]] = {}
        for row in await connection.execute(select(table).where(table.c.state.in_(PENDING))):
            found.setdefault((row.vpd, row.step), []).append(row)
        return found

    async def of_step(self, connection: AsyncConnection, vpd: str, step: str, upto: datetime) -> Sequence[AnyRow]:
        """Return the unsettled nights of one step that were due by a moment, locked."""
        table = self._nights
        query = select(table).where(table.c.vpd == vpd, table.c.step == step, table.c.state.in_(PENDING))
        return (await connection.execute(query.where(table.c.due_at <= upto).with_for_update())).all()

    async def newest(self, connection: AsyncConnection, keys: Iterable[StepKey]) -> dict[StepKey, date]:
        """Return the last day each of these steps was planned for, if it ever was."""
        table = self._nights
        query = select(table.c.vpd, table.c.step, func.max(table.c.day).label("day"))
        query = query.where(tuple_(table.c.vpd, table.c.step).in_(list(keys))).group_by(table.c.vpd, table.c.step)
        return {(row.vpd, row.step): row.day for row in await connection.execute(query)}

    async def add(self, connection: AsyncConnection, nights: Sequence[tuple[StepKey, Occurrence]]) -> None:
        """Plan nights; what another replica has planned stays as it is."""
        rows = [
            {
                "vpd": vpd,
                "step": step,
                "day": one.day,
                "due_at": one.due_at,
                "next_at": one.due_at,
                "state": "due",
            }
            for (vpd, step), one in nights
        ]
        if rows:
            await connection.execute(insert(self._nights).on_conflict_do_nothing(), rows)

    async def move(self, connection: AsyncConnection, key: StepKey, day: date, due_at: datetime) -> None:
        """Have a night that is still ahead due at another moment: its time was changed in ``bridge.yaml``."""
        values = {"due_at": due_at, "next_at": due_at}
        mine = self._is(*key, day) & (self._nights.c.state == "due")
        await connection.execute(update(self._nights).where(mine).values(values))

    async def cover(self, connection: AsyncConnection, key: StepKey, days: Sequence[date], by: date) -> None:
        """Settle missed nights by a later one that is run for them too."""
        table = self._nights
        mine = (table.c.vpd == key[0]) & (table.c.step == key[1]) & table.c.day.in_(days)
        await connection.execute(update(table).where(mine).values(state="covered", covered_by=by))

    async def begin(
        self, connection: AsyncConnection, key: StepKey, day: date, now: datetime, next_at: datetime
    ) -> None:
        """Note that a night is being run. ``next_at``: when whoever finds it abandoned may take it over."""
        values = {"state": "running", "started_at": now, "next_at": next_at, "attempts": self._nights.c.attempts + 1}
        await connection.execute(update(self._nights).where(self._is(*key, day)).values(values))

    async def finish(
        self, connection: AsyncConnection, key: StepKey, one: Occurrence, started: datetime, ended: Ended, *, late: bool
    ) -> None:
        """Note that a night is done; ``late`` is kept as it was where it had been done before."""
        table = self._nights
        done = {"state": "done", "started_at": started, "ended_at": ended.at, "result": dict(ended.result)}
        where = {"vpd": key[0], "step": key[1], "day": one.day, "due_at": one.due_at, "next_at": one.due_at}
        row = insert(table).values(**where, **done, late=late, attempts=1)
        before = case((table.c.state == "done", table.c.late), else_=row.excluded.late)
        changed = done | {"late": before, "code": "", "covered_by": None}
        await connection.execute(row.on_conflict_do_update(index_elements=["vpd", "step", "day"], set_=changed))

    async def fail(self, connection: AsyncConnection, key: StepKey, day: date, code: str, next_at: datetime) -> None:
        """Note why a night could not be run, and when it is tried again. One that is settled stays settled."""
        mine = self._is(*key, day) & self._nights.c.state.in_(PENDING)
        values = {"state": "failed", "code": code, "next_at": next_at}
        await connection.execute(update(self._nights).where(mine).values(values))

    async def ask(self, connection: AsyncConnection, key: StepKey, day: date, now: datetime, who: str, why: str) -> int:
        """Write down that somebody has a night run again; return the number of that."""
        asked = {"vpd": key[0], "step": key[1], "day": day, "asked_at": now, "who": who, "why": why}
        row = insert(self._runs).values(asked).returning(self._runs.c.id)
        return int((await connection.execute(row)).scalar_one())

    async def answer(self, connection: AsyncConnection, vpd: str, number: int, ended: Ended) -> None:
        """Write down what came of it."""
        mine = (self._runs.c.vpd == vpd) & (self._runs.c.id == number)
        values = {"ended_at": ended.at, "result": dict(ended.result), "code": ended.code}
        await connection.execute(update(self._runs).where(mine).values(values))

    async def of_day(self, connection: AsyncConnection, vpd: str, day: date) -> Sequence[AnyRow]:
        """Return a trust's steps of one day, in the order in which they are due."""
        table = self._nights
        query = select(table).where(table.c.vpd == vpd, table.c.day == day)
        return (await connection.execute(query.order_by(table.c.due_at, table.c.step))).all()

    async def open(self, connection: AsyncConnection, vpd: str, upto: datetime) -> Sequence[AnyRow]:
        """Return a trust's unsettled nights that were due by a moment, oldest first."""
        table = self._nights
        query = select(table).where(table.c.vpd == vpd, table.c.state.in_(PENDING), table.c.due_at <= upto)
        return (await connection.execute(query.order_by(table.c.due_at, table.c.step))).all()

    async def asked(self, connection: AsyncConnection, vpd: str, day: date) -> Sequence[AnyRow]:
        """Return who had steps of one day run again, and why, oldest first."""
        query = select(self._runs).where(self._runs.c.vpd == vpd, self._runs.c.day == day)
        return (await connection.execute(query.order_by(self._runs.c.id))).all()

    def _is(self, vpd: str, step: str, day: date) -> Any:  # noqa: ANN401 - a SQL condition
        table = self._nights
        return (table.c.vpd == vpd) & (table.c.step == step) & (table.c.day == day)


_LOCK: Final = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:key, 23))")
