"""Runs plans: a canary first, then a ramp, then the rest, under a rate limit; halts by itself when too much fails.

All a run knows stands in its tables. Each step is one transaction that holds the operation, so any replica may take the
next one and a process may end at any moment. A letter is sent in the transaction that says so, by the outbox, and only
if it is still as the plan saw it; it keeps its id and version, so its owner applies it once at most.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import and_, func, select, text, update

from services.console import audit, store
from services.console.actions import again, sent
from services.console.audit import Deed
from services.console.domain import next_stage, too_many_failed
from services.console.operations import items_of, of
from services.console.planning import Planner
from services.console.tables import ITEMS, LETTERS, OPERATIONS
from shared.db.unit import Unit, Work

STRETCH: Final = 2_000
"""Letters that are discarded, or sent at most, in one transaction."""

LONGEST_PAUSE: Final = 1.0
"""Seconds for which a step waits for its turn under the rate limit; for longer it comes back later."""

TO_SEND: Final = tuple(
    LETTERS.c[one] for one in ("id", "state", "replay", "edits", "hold_until", "queue", "message", "edited")
)
"""What is asked of a letter that is to be sent: a run asks it of thousands."""

PLANNED: Final = (ITEMS.c.place, ITEMS.c.letter, ITEMS.c.replay, ITEMS.c.edits, ITEMS.c.expected)

EXPECTED_TO_FAIL: Final = frozenset({"fail_again"})

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Tally:
    """Where a run stands: ``waiting`` were sent and their end is not known; ``told`` is the number of the others."""

    waiting: int
    failed: int
    told: int


class Runner:
    """Does the next step of every plan that is being collected and of every run."""

    def __init__(self, work: Work, planner: Planner) -> None:
        self._work = work
        self._planner = planner
        self._limits = planner.limits

    async def run(self) -> int:
        """Do one step of each; return how many letters were dealt with, zero when nothing can be done now."""
        query = select(OPERATIONS.c.vpd, OPERATIONS.c.id).where(OPERATIONS.c.state.in_(("collecting", "running")))
        async with self._work.engine.connect() as connection:
            found = (await connection.execute(query.order_by(OPERATIONS.c.vpd, OPERATIONS.c.id))).all()
        done, pauses = 0, []
        for row in found:
            dealt, pause = await self._step(row.vpd, row.id)
            done += dealt
            pauses += [pause] if pause else []
        if not done and pauses and min(pauses) <= LONGEST_PAUSE:
            await asyncio.sleep(min(pauses))
            return 1
        return done

    async def _step(self, vpd: str, number: int) -> tuple[int, float]:
        """Do one step; return how many letters were dealt with, and the seconds until the rate limit allows more."""
        query = select(OPERATIONS).where(OPERATIONS.c.vpd == vpd, OPERATIONS.c.id == number)
        async with self._work.unit() as unit:
            row = (await unit.connection.execute(query.with_for_update(skip_locked=True))).first()
            if row is None:
                return 0, 0.0
            if row.state == "running" and row.kind == "discard":
                return await self._discard(unit, row), 0.0
            if row.state == "running":
                return await self._replay(unit, row)
        if row.state == "collecting":  # whoever asked for it has gone
            await self._planner.collect(vpd, number)
            return 1, 0.0
        return 0, 0.0

    async def _replay(self, unit: Unit, row: store.AnyRow) -> tuple[int, float]:
        now: datetime = (await unit.connection.execute(select(func.clock_timestamp()))).scalar_one()
        tally = await self._tally(unit, row, now)
        if self._too_many(row, tally):
            await self._halt(unit, row, tally)
            return 1, 0.0
        if row.place >= row.stage_end:
            return (0 if tally.waiting else await self._next_stage(unit, row, tally)), 0.0
        if row.next_at and row.next_at > now:
            return 0, (row.next_at - now).total_seconds()
        room = min(row.stage_end - row.place, row.per_second, self._limits.in_flight - tally.waiting, STRETCH)
        if room <= 0:
            return 0, 0.0
        went = await self._send(unit, row, room, now)
        next_at = now + timedelta(seconds=went / row.per_second)
        values = {"place": row.place + room, "sent": row.sent + went, "next_at": next_at}
        await unit.connection.execute(of(row).values(values))
        return room, 0.0

    async def _tally(self, unit: Unit, row: store.AnyRow, now: datetime) -> Tally:
        """Count what was sent. What no line caused, and has not come back, is taken to be well after a while."""
        since = now - timedelta(seconds=self._limits.quiet_seconds)
        asked = {"vpd": row.vpd, "operation": row.id, "since": since}
        told = {one.state: one for one in await unit.connection.execute(_TALLY, asked)}
        if told["sent"].at_rest:
            at_rest = and_(ITEMS.c.state == "sent", ITEMS.c.line == 0, ITEMS.c.at <= since)
            quiet = update(ITEMS).where(items_of(row.vpd, row.id), at_rest).values(state="quiet")
            await unit.connection.execute(quiet)
        waiting = told["sent"].letters - told["sent"].at_rest
        return Tally(waiting, told["failed"].letters, row.sent - waiting)

    def _too_many(self, row: store.AnyRow, tally: Tally) -> bool:
        return too_many_failed(
            failed=tally.failed,
            told=tally.told,
            waiting=tally.waiting,
            forgiven=row.forgiven,
            allowed_percent=row.allowed_percent,
            canary=row.canary,
        )

    async def _halt(self, unit: Unit, row: store.AnyRow, tally: Tally) -> None:
        reason = f"{tally.failed - row.forgiven} of {tally.told - row.forgiven} failed again in the {row.stage}"
        await self._turn(unit, row, "halt", reason, state="halted", reason=reason)
        log.warning("replay halted by itself", vpd=row.vpd, count=tally.failed)

    async def _next_stage(self, unit: Unit, row: store.AnyRow, tally: Tally) -> int:
        if row.place >= row.total:
            reason = f"{row.sent} sent, {tally.failed} failed again"
            await self._turn(unit, row, "end", reason, state="done", reason=reason)
            return 1
        stage, end = next_stage(row.stage, row.place, row.stage_end, row.total, row.canary)
        await unit.connection.execute(of(row).values(stage=stage, stage_end=end))
        return 1

    async def _send(self, unit: Unit, row: store.AnyRow, room: int, now: datetime) -> int:
        """Send those of the next letters that are still as planned, in the order of the plan; return how many."""
        items = await self._next(unit, row, room)
        letters = await store.locked(unit.connection, row.vpd, [item.letter for item in items], TO_SEND)
        went, deeds, kept = [], [], defaultdict(list)
        for item in items:
            letter = letters[item.letter]
            if kept_back := self._kept_back(row, item, letter):
                kept[kept_back].append(item.place)
                continue
            unit.messages.append(again(letter))
            before, after = (
                {"state": "open", "replay": letter.replay},
                {"state": "replayed", "replay": letter.replay + 1},
            )
            deeds.append((letter.id, Deed(row.starter, "replay", row.why, row.id, (), before, after)))
            went.append(item.place)
        await store.change(unit.connection, row.vpd, [one for one, _ in deeds], sent(self._work.clock.now()))
        await self._mark(unit, row, went, "sent", now)
        for code, places in kept.items():
            await self._mark(unit, row, places, "skipped", now, code)
        await audit.write(unit.connection, row.vpd, self._work.clock.now(), deeds)
        return len(went)

    async def _discard(self, unit: Unit, row: store.AnyRow) -> int:
        """Close those of the next letters that are still as planned."""
        items = await self._next(unit, row, STRETCH)
        letters = await store.locked(unit.connection, row.vpd, [item.letter for item in items])
        now = self._work.clock.now()
        closed = [item for item in items if _as_planned(item, letters[item.letter])]
        ids = [item.letter for item in closed]
        await store.change(unit.connection, row.vpd, ids, {"state": "discarded", "closed_at": now})
        await self._mark(unit, row, [item.place for item in closed], "discarded", now)
        left = [item.place for item in items if item not in closed]
        await self._mark(unit, row, left, "skipped", now, "CHANGED")
        deed = Deed(row.starter, "discard", row.why, row.id, (), {"state": "open"}, {"state": "discarded"})
        await audit.write(unit.connection, row.vpd, now, [(one, deed) for one in ids])
        place, count = row.place + len(items), row.sent + len(closed)
        await unit.connection.execute(of(row).values(place=place, sent=count))
        if place >= row.total:
            await self._turn(unit, row, "end", f"{count} discarded", state="done", reason=f"{count} discarded")
        return max(1, len(items))

    async def _next(self, unit: Unit, row: store.AnyRow, room: int) -> Sequence[store.AnyRow]:
        found = select(*PLANNED).where(items_of(row.vpd, row.id), ITEMS.c.place > row.place)
        items: Sequence[store.AnyRow] = (
            await unit.connection.execute(found.where(ITEMS.c.place <= row.place + room).order_by(ITEMS.c.place))
        ).all()
        return items

    def _kept_back(self, row: store.AnyRow, item: store.AnyRow, letter: store.AnyRow) -> str:
        """Return why a letter is not sent after all; empty when it is."""
        if not _as_planned(item, letter):
            return "CHANGED"
        if letter.hold_until and letter.hold_until > self._work.clock.now():
            return "HELD"
        if item.expected in EXPECTED_TO_FAIL and not row.insist:
            return "EXPECTED_TO_FAIL"
        return "" if letter.queue else "NO_QUEUE"

    async def _mark(
        self, unit: Unit, row: store.AnyRow, places: Sequence[int], state: str, now: datetime, code: str = ""
    ) -> None:
        if places:
            change = update(ITEMS).where(items_of(row.vpd, row.id), store.one_of(ITEMS.c.place, places))
            await unit.connection.execute(change.values(state=state, code=code, at=now))

    async def _turn(self, unit: Unit, row: store.AnyRow, action: str, why: str, **values: Any) -> None:  # noqa: ANN401
        now = self._work.clock.now()
        await unit.connection.execute(of(row).values(changed_at=now, **values))
        deed = Deed("console", action, why, row.id, (), {"state": row.state}, {"state": values["state"]})
        await audit.write(unit.connection, row.vpd, now, [("", deed)])


def _as_planned(item: store.AnyRow, letter: store.AnyRow) -> bool:
    """Whether nobody has touched a letter since the plan saw it."""
    return bool(letter.state == "open" and (letter.replay, letter.edits) == (item.replay, item.edits))


_IN_STATE: Final = (
    "SELECT '{0}' AS state, count(*) AS letters, count(*) FILTER (WHERE line = 0 AND at <= :since) AS at_rest "
    "FROM console.operation_letters WHERE vpd = :vpd AND operation = :operation AND state = '{0}'"
)

# One by one: asked for both at once, a planner that has not seen the new plan's letters yet reads all of them.
_TALLY: Final = text(" UNION ALL ".join(_IN_STATE.format(state) for state in ("sent", "failed")))
