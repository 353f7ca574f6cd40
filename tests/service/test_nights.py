"""The runner of nights on PostgreSQL: once, by one of several replicas, whoever dies; visible; and again by hand."""

import asyncio
import contextlib
import os
import random
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from services.people.schema import NIGHTS
from shared.clock import FixedClock
from shared.errors import DecisionError, StorageUnavailableError
from shared.nights.duties import Night
from shared.nights.store import NightStore
from shared.telemetry import LATE_STEPS
from tests.service.nights_rig import MORNING, VPD, Rig, Worker, at, each, evening, replica, trust

DAY = date(2026, 3, 2)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(at(MORNING))


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
async def rig(database: str, passwords: Mapping[str, str], clock: FixedClock, worker: Worker) -> AsyncIterator[Rig]:
    async with replica(database, passwords, clock, worker) as rig:
        yield rig


@pytest.fixture
def another(database: str, passwords: Mapping[str, str], clock: FixedClock) -> Any:
    def start(worker: Worker, **options: Any) -> AbstractAsyncContextManager[Rig]:
        return replica(database, passwords, options.pop("clock", clock), worker, **options)

    return start


# --- once a day -------------------------------------------------------------------------------------------------


async def test_a_step_runs_once_when_its_time_has_come(rig: Rig, clock: FixedClock, worker: Worker) -> None:
    assert await rig.to_the_end() == 0
    clock.set(at("2026-03-02T17:59"))
    assert await rig.to_the_end() == 0
    clock.set(at("2026-03-02T18:00"))
    assert await rig.to_the_end() == 1
    clock.set(at("2026-03-02T23:00"))
    assert await rig.to_the_end() == 0
    assert worker.ran == [(VPD, DAY, False)]
    done, coming = await rig.rows()
    assert (done.state, done.result, done.attempts, done.code, done.late) == ("done", {"things": 1}, 1, "", False)
    assert done.started_at == done.ended_at == datetime(2026, 3, 2, 18, tzinfo=UTC)
    assert (coming.state, coming.due_at) == ("due", datetime(2026, 3, 3, 18, tzinfo=UTC))


@pytest.mark.parametrize(
    ("cut_off", "day", "due"),
    [("01:30", date(2026, 3, 29), "2026-03-29T01:00"), ("01:30", date(2026, 10, 25), "2026-10-25T00:30")],
)
async def test_on_the_nights_of_clock_changes_a_step_in_the_changed_hour_runs_once(
    another: Any, clock: FixedClock, worker: Worker, cut_off: str, day: date, due: str
) -> None:
    clock.set(datetime.combine(day - timedelta(days=1), datetime.min.time()).replace(hour=12))
    ran_at: dict[date, datetime] = {}

    def note(night: Night) -> None:
        ran_at[night.day] = clock.now().astimezone(UTC)

    worker.trouble = note
    async with another(worker, trusts=(trust(cut_off=cut_off),)) as rig:
        await rig.nights.run()
        for minutes in range(0, 26 * 60, 10):
            clock.set(datetime.combine(day, datetime.min.time(), UTC) + timedelta(minutes=minutes - 60))
            await rig.to_the_end()
    assert worker.days.count(f"{day:%m-%d}") == 1
    assert ran_at[day] == datetime.fromisoformat(due).replace(tzinfo=UTC)


async def test_a_clock_that_jumps_back_makes_nothing_run_twice(rig: Rig, clock: FixedClock, worker: Worker) -> None:
    await rig.nights.run()
    for moment in ("2026-03-02T18:01", "2026-03-02T17:00", "2026-03-02T18:00", "2026-03-01T18:30", "2026-03-03T18:00"):
        clock.set(at(moment))
        await rig.to_the_end()
    assert worker.days == ["03-02", "03-03"]


async def test_a_restart_makes_nothing_run_twice_and_leaves_nothing_out(
    another: Any, clock: FixedClock, worker: Worker
) -> None:
    for moment in (MORNING, "2026-03-02T18:00", "2026-03-02T18:00", "2026-03-03T09:00", "2026-03-03T20:00"):
        clock.set(at(moment))
        async with another(worker) as rig:
            await rig.to_the_end()
    assert worker.days == ["03-02", "03-03"]


async def test_after_an_outage_the_latest_missed_day_is_run_for_those_before(
    rig: Rig, clock: FixedClock, worker: Worker
) -> None:
    await rig.nights.run()
    clock.set(at("2026-03-05T20:00"))
    assert await rig.to_the_end() == 1
    assert worker.days == ["03-05"]
    assert await rig.states() == {
        "03-02": "covered", "03-03": "covered", "03-04": "covered", "03-05": "done", "03-06": "due",
    }  # fmt: skip
    assert {row.covered_by for row in await rig.rows() if row.state == "covered"} == {date(2026, 3, 5)}


async def test_after_an_outage_each_missed_day_is_run_oldest_first_where_each_counts(
    another: Any, clock: FixedClock, worker: Worker
) -> None:
    async with another(worker, when=each) as rig:
        await rig.nights.run()
        clock.set(at("2026-03-05T20:00"))
        assert await rig.to_the_end() == 4
        assert worker.days == ["03-02", "03-03", "03-04", "03-05"]


async def test_a_changed_time_in_the_settings_counts_from_the_next_start_on(
    another: Any, clock: FixedClock, worker: Worker
) -> None:
    async with another(worker) as rig:
        await rig.nights.run()
    clock.set(at("2026-03-02T17:30"))
    async with another(worker, trusts=(trust(cut_off="17:00"),)) as rig:
        await rig.to_the_end()
        assert worker.days == ["03-02"]
        assert [row.due_at.hour for row in await rig.rows()] == [17, 17]
    async with another(worker, trusts=(trust(cut_off="19:00"),)) as rig:
        await rig.to_the_end()
        assert [row.due_at.hour for row in await rig.rows()] == [17, 19]
    assert worker.days == ["03-02"]


async def test_a_trust_that_is_no_longer_served_is_left_alone_and_does_no_harm(
    another: Any, clock: FixedClock, worker: Worker
) -> None:
    async with another(worker, trusts=(trust(), trust("998"))) as rig:
        await rig.nights.run()
    clock.set(at("2026-03-02T19:00"))
    async with another(worker) as rig:
        assert await rig.to_the_end() == 1
        assert [row.state for row in await rig.rows(vpd="998")] == ["due"]
    assert [vpd for vpd, _, _ in worker.ran] == [VPD]


# --- several replicas -------------------------------------------------------------------------------------------


async def test_of_two_replicas_one_runs_a_step_and_the_other_leaves_it(
    rig: Rig, another: Any, clock: FixedClock, worker: Worker
) -> None:
    async with another(worker) as second:
        await asyncio.gather(rig.nights.run(), second.nights.run())
        clock.set(at("2026-03-02T18:00"))
        worker.gate = asyncio.Event()
        first_run = asyncio.create_task(rig.nights.run())
        await asyncio.wait_for(worker.begun.wait(), 10)
        assert await rig.states() == {"03-02": "running", "03-03": "due"}
        assert await second.nights.run() == 0
        worker.gate.set()
        assert await first_run == 1
        assert await second.nights.run() == 0
    assert worker.days == ["03-02"]


async def test_many_trusts_and_replicas_share_the_steps_and_run_each_once(
    another: Any, clock: FixedClock, worker: Worker
) -> None:
    trusts = tuple(trust(str(vpd)) for vpd in range(101, 131))
    async with contextlib.AsyncExitStack() as stack:
        rigs = [await stack.enter_async_context(another(worker, trusts=trusts)) for _ in range(3)]
        await asyncio.gather(*(rig.nights.run() for rig in rigs))
        for day in range(2, 5):
            clock.set(at(f"2026-03-0{day}T18:00"))
            await asyncio.gather(*(rig.to_the_end() for rig in rigs))
    assert sorted(worker.ran) == [(one.vpd, date(2026, 3, day), False) for one in trusts for day in range(2, 5)]


async def test_who_dies_between_the_work_and_noting_it_is_replaced_at_once(
    rig: Rig, another: Any, clock: FixedClock, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.nights.run()
    clock.set(at("2026-03-02T18:00"))

    class Death(BaseException):
        pass

    async def dies(*_: Any, **__: Any) -> None:
        raise Death

    with monkeypatch.context() as patch:
        patch.setattr("shared.nights.store.NightStore.finish", dies)
        with pytest.raises(Death):
            await rig.nights.run()
    assert await rig.states() == {"03-02": "running", "03-03": "due"}
    async with another(worker) as second:
        assert await second.to_the_end() == 1
        (done, _) = await second.rows()
    assert worker.days == ["03-02", "03-02"]  # the work bears it, and "done" is noted once
    assert (done.state, done.attempts) == ("done", 2)


async def test_a_run_that_is_cancelled_in_the_middle_is_taken_over(
    rig: Rig, another: Any, clock: FixedClock, worker: Worker
) -> None:
    await rig.nights.run()
    clock.set(at("2026-03-02T18:00"))
    worker.gate = asyncio.Event()
    running = asyncio.create_task(rig.nights.run())
    await asyncio.wait_for(worker.begun.wait(), 10)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    successor = Worker()
    async with another(successor) as second:
        assert await second.to_the_end() == 1
    assert (worker.days, successor.days) == ([], ["03-02"])


async def test_a_step_that_kills_whoever_runs_it_is_not_tried_in_a_frenzy(
    another: Any, clock: FixedClock, worker: Worker
) -> None:
    """Out of memory, for example: the second death makes the third wait a minute, the third two, and so on."""

    class Death(BaseException):
        pass

    def dies(_: Night) -> None:
        raise Death

    worker.trouble = dies
    tried: list[str] = []
    async with another(worker) as rig:
        await rig.nights.run()
    for minutes in range(9):
        clock.set(at("2026-03-02T18:00") + timedelta(minutes=minutes))
        for _ in range(3):
            async with another(worker) as rig:
                with contextlib.suppress(Death):
                    await rig.nights.run()
                    continue
                tried.append(f"{clock.now():%H:%M}")
    assert tried == ["18:00", "18:00", "18:01", "18:03", "18:07"]


VICTIM = """
import asyncio, sys
from datetime import datetime
from shared.clock import FixedClock
from tests.service.nights_rig import Worker, replica

async def main():
    worker = Worker(gate=asyncio.Event())
    async with replica(sys.argv[1], {"people": sys.argv[2]}, FixedClock(datetime(2026, 3, 2, 18)), worker) as rig:
        running = asyncio.create_task(rig.nights.run())
        await worker.begun.wait()
        print("begun", flush=True)
        await running

asyncio.run(main())
"""


async def test_a_process_that_is_killed_in_the_middle_is_replaced(
    rig: Rig, clock: FixedClock, worker: Worker, database: str, passwords: Mapping[str, str]
) -> None:
    await rig.nights.run()
    clock.set(at("2026-03-02T18:00"))
    root = Path(__file__).parents[2]
    victim = await asyncio.create_subprocess_exec(
        sys.executable, "-c", VICTIM, database, passwords["people"],
        stdout=asyncio.subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(root)},
    )  # fmt: skip
    assert victim.stdout is not None
    assert await victim.stdout.readline() == b"begun\n"
    assert await rig.nights.run() == 0
    victim.kill()
    await victim.communicate()
    async with asyncio.timeout(20):
        while True:
            if await rig.nights.run():
                break
            await asyncio.sleep(0.05)  # the server notices a little later that nobody is there any more
    assert worker.days == ["03-02"]
    assert (await rig.states())["03-02"] == "done"


async def test_a_replica_whose_connection_is_gone_does_not_note_what_another_has_taken_over(
    rig: Rig, another: Any, clock: FixedClock, worker: Worker, database: str
) -> None:
    await rig.nights.run()
    clock.set(at("2026-03-02T18:00"))
    worker.gate = asyncio.Event()
    running = asyncio.create_task(rig.nights.run())
    await asyncio.wait_for(worker.begun.wait(), 10)
    await _cut(database)
    successor = Worker(ran=[(VPD, DAY, False)])
    async with another(successor) as second:
        assert await second.to_the_end() == 1
        worker.gate.set()
        with pytest.raises(Exception, match=r"(?i)connection|closed"):
            await running
        (done, _) = await second.rows()
    assert (done.state, done.attempts, done.result) == ("done", 2, {"things": 2})


async def _cut(database: str) -> None:
    """Break off the connection that holds a step."""
    import asyncpg  # noqa: PLC0415

    connection = await asyncpg.connect(database)  # type: ignore[no-untyped-call]
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    await connection.close()


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_the_clock_does_and_whoever_dies_each_day_is_noted_once_and_none_is_left_out(
    another: Any, clock: FixedClock, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two replicas at a time, new ones for those that die, in random order."""
    chance = random.Random(seed)
    finish = NightStore.finish
    noted: list[date] = []

    class Death(BaseException):
        pass

    async def fatal(self: NightStore, connection: Any, key: Any, one: Any, *rest: Any, **more: Any) -> None:
        if chance.random() < 0.3:
            raise Death
        await finish(self, connection, key, one, *rest, **more)
        if chance.random() < 0.2:
            raise Death  # after the statement, and before its commit
        noted.append(one.day)

    worker = Worker()
    when = each if seed % 2 else evening
    with monkeypatch.context() as patch:
        patch.setattr(NightStore, "finish", fatal)
        for _ in range(40):
            clock.set(clock.now() + timedelta(minutes=chance.choice((-3000, -60, 0, 0, 5, 60, 700, 1440, 4000))))
            async with another(worker, when=when) as one, another(worker, when=when) as two:
                for done in await asyncio.gather(one.nights.run(), two.nights.run(), return_exceptions=True):
                    assert isinstance(done, int | Death)
    clock.set(clock.now() + timedelta(days=30))
    async with another(worker, when=when) as rig:
        await rig.to_the_end()
        rows = await rig.rows()
    *settled, coming = rows
    assert [row.day for row in rows] == [rows[0].day + timedelta(days=n) for n in range(len(rows))]
    assert coming.state == "due"
    assert coming.due_at > clock.now() >= settled[-1].due_at
    assert {row.state for row in settled} <= {"done", "covered"}
    assert len(noted) == len(set(noted))
    assert set(noted) <= {row.day for row in settled if row.state == "done"}
    assert {row.day for row in settled if row.state == "done"} <= {one for _, one, _ in worker.ran}


# --- failures ---------------------------------------------------------------------------------------------------


async def test_a_step_that_fails_is_tried_again_ever_later_and_shows_as_late(
    rig: Rig, clock: FixedClock, worker: Worker
) -> None:
    def full(_: Night) -> None:
        raise StorageUnavailableError("the disk is full")

    await rig.nights.run()
    worker.trouble = full
    tried = []
    for minutes in range(40):
        clock.set(at("2026-03-02T18:00") + timedelta(minutes=minutes))
        if await rig.to_the_end():
            tried.append(minutes)
    assert tried == [0, 1, 3, 7, 15, 31]
    assert rig.nights.waiting == {"evening 999": "STORAGE_UNAVAILABLE"}
    assert LATE_STEPS.labels("people", "evening", VPD)._value.get() == 1
    async with rig.work.engine.connect() as connection:
        (late,) = await rig.nights.late(connection, VPD)
    assert (late["step"], late["state"], late["late"], late["code"]) == (
        "evening",
        "failed",
        True,
        "STORAGE_UNAVAILABLE",
    )

    worker.trouble = lambda _: None
    clock.set(at("2026-03-02T19:10"))
    assert await rig.to_the_end() == 1
    assert rig.nights.waiting == {}
    assert LATE_STEPS.labels("people", "evening", VPD)._value.get() == 0
    (done, _) = await rig.rows()
    assert (done.state, done.code, done.late, done.attempts) == ("done", "", True, 7)


async def test_a_step_that_fails_for_one_trust_holds_up_no_other(
    another: Any, clock: FixedClock, worker: Worker
) -> None:
    def odd(night: Night) -> None:
        if night.vpd == "101":
            raise ValueError("a mistake of ours")

    worker.trouble = odd
    async with another(worker, trusts=tuple(trust(vpd) for vpd in ("101", "102", "103"))) as rig:
        await rig.nights.run()
        clock.set(at("2026-03-02T18:00"))
        await rig.to_the_end()
        assert [vpd for vpd, _, _ in worker.ran] == ["102", "103"]
        assert rig.nights.waiting == {"evening 101": "ValueError"}


async def test_the_next_day_takes_over_from_one_that_never_succeeded(
    rig: Rig, clock: FixedClock, worker: Worker
) -> None:
    def full(_: Night) -> None:
        raise StorageUnavailableError("the disk is full")

    await rig.nights.run()
    worker.trouble = full
    clock.set(at("2026-03-03T17:59"))
    await rig.to_the_end()
    worker.trouble = lambda _: None
    clock.set(at("2026-03-03T18:00"))
    assert await rig.to_the_end() == 1
    assert await rig.states() == {"03-02": "covered", "03-03": "done", "03-04": "due"}


# --- many trusts ------------------------------------------------------------------------------------------------


async def test_a_round_with_nothing_due_costs_one_query_however_many_trusts_there_are(
    another: Any, clock: FixedClock, worker: Worker
) -> None:
    async with another(worker, trusts=tuple(trust(str(vpd)) for vpd in range(101, 401))) as rig:
        await rig.nights.run()
        said: list[str] = []

        def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            said.append(statement)

        event.listen(Engine, "before_cursor_execute", count)
        try:
            await rig.nights.run()
        finally:
            event.remove(Engine, "before_cursor_execute", count)
        assert len(said) == 1
        assert len(await rig.rows(NIGHTS, "400")) == 1


# --- again, by hand ---------------------------------------------------------------------------------------------


async def test_a_step_can_be_run_again_for_a_day_and_who_and_why_is_kept(
    rig: Rig, clock: FixedClock, worker: Worker
) -> None:
    await rig.nights.run()
    clock.set(at("2026-03-02T18:00"))
    await rig.to_the_end()
    clock.set(at("2026-03-04T09:00"))
    await rig.to_the_end()
    told = await rig.nights.again(VPD, "evening", DAY, "a.nother", "the server had lost it")

    assert worker.ran[-1] == (VPD, DAY, True)
    (step,) = told["steps"]
    assert (step["state"], step["late"], step["result"]) == ("done", False, {"things": 3})
    assert [(one["who"], one["why"], one["code"]) for one in step["asked"]] == [
        ("a.nother", "the server had lost it", "")
    ]
    assert step["asked"][0]["ended_at"] == "2026-03-04T09:00:00+00:00"
    assert await rig.to_the_end() == 0


async def test_a_day_before_the_trust_was_served_can_be_run_by_hand(rig: Rig, worker: Worker) -> None:
    told = await rig.nights.again(VPD, "evening", date(2026, 2, 1), "a.nother", "moving over")
    assert [one["state"] for one in told["steps"]] == ["done"]
    assert worker.ran == [(VPD, date(2026, 2, 1), True)]


async def test_a_step_run_by_hand_before_its_turn_is_not_run_by_the_clock_again_and_the_next_day_comes(
    rig: Rig, clock: FixedClock, worker: Worker
) -> None:
    await rig.nights.run()
    clock.set(at("2026-03-02T18:00"))
    await rig.nights.again(VPD, "evening", DAY, "a.nother", "in a hurry")
    assert await rig.states() == {"03-02": "done", "03-03": "due"}
    assert await rig.to_the_end() == 0
    clock.set(at("2026-03-03T18:00"))
    assert await rig.to_the_end() == 1
    assert worker.days == ["03-02", "03-03"]


@pytest.mark.parametrize(
    ("name", "day", "why"),
    [("evening", date(2026, 3, 2), "is not due yet"), ("morning", date(2026, 3, 1), "has no step morning")],
)
async def test_what_is_not_due_and_what_there_is_not_is_refused(rig: Rig, name: str, day: date, why: str) -> None:
    with pytest.raises(DecisionError, match=why):
        await rig.nights.again(VPD, name, day, "a.nother", "to see")
    assert await rig.runs() == []


async def test_a_step_that_is_being_run_is_not_run_by_hand_at_the_same_time(
    rig: Rig, another: Any, clock: FixedClock, worker: Worker
) -> None:
    await rig.nights.run()
    clock.set(at("2026-03-02T18:00"))
    worker.gate = asyncio.Event()
    running = asyncio.create_task(rig.nights.run())
    await asyncio.wait_for(worker.begun.wait(), 10)
    async with another(Worker()) as second:
        with pytest.raises(DecisionError, match="being run just now"):
            await second.nights.again(VPD, "evening", DAY, "a.nother", "in a hurry")
    worker.gate.set()
    await running


async def test_a_failure_by_hand_is_told_and_takes_nothing_from_a_day_that_was_done(
    rig: Rig, clock: FixedClock, worker: Worker
) -> None:
    def full(_: Night) -> None:
        raise StorageUnavailableError("the disk is full")

    await rig.nights.run()
    clock.set(at("2026-03-02T18:00"))
    await rig.to_the_end()
    worker.trouble = full
    told = await rig.nights.again(VPD, "evening", DAY, "a.nother", "to see")
    assert told["code"] == "STORAGE_UNAVAILABLE"
    assert [one["state"] for one in told["steps"]] == ["done"]
    assert [run.code for run in await rig.runs()] == ["STORAGE_UNAVAILABLE"]
