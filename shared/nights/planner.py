"""Keeps the rows of nights in step with the clock: what comes next, and what is to be run now."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.nights.store import AnyRow, NightStore, StepKey
from shared.schedule import Pending, Step, choose, due_at, pause, plan


class Planner:
    """Plans and chooses for one service. Every step that was ever planned has a row that is not settled."""

    def __init__(self, store: NightStore, steps: Mapping[StepKey, Step]) -> None:
        self._store = store
        self._steps = steps

    async def plan(self, connection: AsyncConnection, now: datetime) -> None:
        """See that each step has its next occurrence, at the time the settings say. At the start, and once a day."""
        ahead = await self._store.ahead(connection)
        missing = [key for key in self._steps if key not in ahead]
        newest = await self._store.newest(connection, missing)
        new = [(key, one) for key in missing for one in plan(self._steps[key], newest.get(key), now)]
        await self._store.add(connection, new)
        for key, step in self._steps.items():
            for row in ahead.get(key, ()):
                if row.due_at > now and row.due_at != due_at(row.day, step.at):
                    await self._store.move(connection, key, row.day, due_at(row.day, step.at))

    async def plan_step(self, connection: AsyncConnection, key: StepKey, now: datetime) -> None:
        """See that one step has its next occurrence."""
        newest = await self._store.newest(connection, [key])
        await self._store.add(connection, [(key, one) for one in plan(self._steps[key], newest.get(key), now)])

    async def claim(self, connection: AsyncConnection, key: StepKey, now: datetime) -> AnyRow | None:
        """Choose the day to run, settle the days it stands for, and note that it is being run.

        The caller holds the step. Return the row as it was before, None when nothing is to be run now.
        """
        await self.plan_step(connection, key, now)
        rows = {row.day: row for row in await self._store.of_step(connection, *key, now)}
        pending = [Pending(row.day, row.next_at) for row in rows.values()]
        choice = choose(self._steps[key], pending, now) if pending else None
        if choice is None:
            return None
        row = rows[choice.day]
        await self._store.cover(connection, key, choice.covered, choice.day)
        # Whoever dies over it is replaced at once the first time, and ever later if that happens again and again.
        await self._store.begin(connection, key, choice.day, now, now + pause(row.attempts))
        return row
