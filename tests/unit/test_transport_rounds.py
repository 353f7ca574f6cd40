"""Each connection at its own pace: what fails waits alone, what hangs hangs alone."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from shared.errors import (
    StorageUnavailableError,
    TransportFolderError,
    TransportRefusedError,
    TransportUnavailableError,
    TransportUntrustedError,
)
from shared.transport.rounds import Done, Line, Pace, Rounds

ONE, TWO, THREE = (Line(f"99{number}", "esr", f"host{number}:22") for number in (1, 2, 3))


@dataclass(slots=True)
class World:
    """A clock that only a test moves, and visits that do what it says."""

    now: float = 1000.0
    visited: list[str] = field(default_factory=list)
    answers: dict[Line, Done | Exception] = field(default_factory=dict)
    hanging: set[Line] = field(default_factory=set)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    at_work: int = 0
    most_at_work: int = 0

    def visit(self, line: Line) -> Callable[[], Awaitable[Done]]:
        async def come() -> Done:
            self.visited.append(line.vpd)
            self.at_work += 1
            self.arrived.set()
            self.most_at_work = max(self.at_work, self.most_at_work)
            try:
                if line in self.hanging:
                    await self.go_on.wait()
            finally:
                self.at_work -= 1
            answer = self.answers.get(line, Done(0, 60))
            if isinstance(answer, Exception):
                raise answer
            return answer

        return come

    def rounds(self, *lines: Line, at_once: int = 8) -> Rounds:
        pace = Pace(look=0.02, at_once=at_once, clock=lambda: self.now)
        return Rounds("test", {line: self.visit(line) for line in lines}, pace)


@pytest.fixture(autouse=True)
def logs_of_every_level() -> None:
    """Whatever a test before this one has set up."""
    structlog.reset_defaults()


@pytest.fixture
def world() -> World:
    return World()


async def until_idle(rounds: Rounds) -> int:
    total = 0
    while done := await rounds.run():
        total += done
    return total


async def test_a_connection_is_visited_again_when_it_said(world: World) -> None:
    rounds = world.rounds(ONE)
    world.answers[ONE] = Done(3, 60)
    assert await rounds.run() == 3
    world.now += 59
    assert await rounds.run() == 0
    world.now += 1
    assert await rounds.run() == 3
    assert world.visited == ["991", "991"]


async def test_only_connections_that_are_named_are_visited(world: World) -> None:
    rounds = world.rounds(ONE, TWO)
    await rounds.run([TWO])
    assert world.visited == ["992"]


async def test_pauses_after_failures_double_up_to_five_minutes(world: World) -> None:
    rounds = world.rounds(ONE)
    world.answers[ONE] = TransportUnavailableError("away")
    pauses: list[float] = []
    for _ in range(9):
        begin = world.now
        await until_idle(rounds)
        while len(world.visited) == len(pauses) + 1:
            world.now += 1
            await until_idle(rounds)
        pauses.append(world.now - begin)
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]


@pytest.mark.parametrize("kind", [TransportRefusedError, TransportUntrustedError])
async def test_whoever_refuses_us_is_left_alone_for_a_quarter_of_an_hour(
    world: World, kind: type[TransportRefusedError]
) -> None:
    rounds = world.rounds(ONE)
    world.answers[ONE] = kind("no")
    await rounds.run()
    world.now += 899
    assert await rounds.run() == 0
    assert world.visited == ["991"]
    world.now += 1
    await rounds.run()
    assert world.visited == ["991", "991"]


@pytest.mark.parametrize("kind", [TransportUnavailableError, TransportFolderError, StorageUnavailableError])
async def test_whatever_else_fails_is_tried_again_after_seconds(world: World, kind: type[Exception]) -> None:
    rounds = world.rounds(ONE)
    world.answers[ONE] = kind("no")
    await rounds.run()
    world.now += 5
    await rounds.run()
    assert world.visited == ["991", "991"]


async def test_a_success_begins_anew_and_ends_the_waiting(world: World) -> None:
    rounds = world.rounds(ONE, TWO)
    world.answers[ONE] = TransportUnavailableError("away")
    world.answers[TWO] = TransportRefusedError("no")
    await until_idle(rounds)
    assert rounds.waiting == {"991/esr": "TRANSPORT_UNAVAILABLE", "992/esr": "TRANSPORT_REFUSED"}
    world.answers[ONE] = Done(0, 60)
    world.now += 5
    await until_idle(rounds)
    assert rounds.waiting == {"992/esr": "TRANSPORT_REFUSED"}
    world.answers[ONE] = TransportUnavailableError("away")
    world.now += 60
    await until_idle(rounds)
    world.now += 5
    await until_idle(rounds)
    assert world.visited.count("991") == 4


async def test_one_that_hangs_keeps_nobody_waiting_and_its_work_counts_when_it_ends(world: World) -> None:
    rounds = world.rounds(ONE, TWO)
    world.hanging = {ONE}
    world.answers = {ONE: Done(5, 60), TWO: Done(2, 1)}
    assert await rounds.run() == 2 + 1
    for _ in range(3):
        world.now += 1
        assert await rounds.run() == 2 + 1
    assert await asyncio.wait_for(rounds.run(), 5) == 1
    assert world.visited == ["991", "992", "992", "992", "992"]
    world.go_on.set()
    assert await rounds.run() == 5
    assert await rounds.run() == 0


async def test_no_more_than_a_few_are_visited_at_once(world: World) -> None:
    lines = [Line(str(number), "esr") for number in range(20)]
    rounds = world.rounds(*lines, at_once=3)
    world.hanging = set(lines)
    await rounds.run()
    assert world.most_at_work == 3
    world.go_on.set()
    await until_idle(rounds)
    assert sorted(world.visited, key=int) == [line.vpd for line in lines]
    assert world.most_at_work == 3


async def test_what_nobody_foresaw_is_raised_and_the_others_go_on(world: World) -> None:
    rounds = world.rounds(ONE, TWO, THREE)
    world.answers = {ONE: ZeroDivisionError(), TWO: Done(1, 60), THREE: Done(1, 60)}
    with pytest.raises(ZeroDivisionError):
        await until_idle(rounds)
    assert await until_idle(rounds) <= 2
    assert sorted(world.visited) == ["991", "992", "993"]
    world.now += 5
    with pytest.raises(ZeroDivisionError):
        await until_idle(rounds)


async def test_whoever_is_told_to_stop_stops_what_is_under_way(world: World) -> None:
    rounds = Rounds("test", {ONE: world.visit(ONE)}, Pace(look=60, clock=lambda: world.now))
    world.hanging = {ONE}
    job = asyncio.create_task(rounds.run())
    await world.arrived.wait()
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert world.at_work == 0


async def test_a_failure_is_logged_once_an_attempt_with_trust_code_and_reason(world: World) -> None:
    rounds = world.rounds(ONE)
    world.answers[ONE] = TransportRefusedError("the server refuses our login")
    with capture_logs() as logs:
        for _ in range(10):
            await rounds.run()
            world.now += 1
    assert logs == [
        {
            "event": "connection waits",
            "log_level": "warning",
            "job": "test",
            "vpd": "991",
            "origin": "esr",
            "host": "host1:22",
            "code": "TRANSPORT_REFUSED",
            "error": "the server refuses our login",
            "seconds": 900.0,
        }
    ]
    world.now += 900
    world.answers[ONE] = Done(0, 60)
    with capture_logs() as logs:
        await rounds.run()
    assert [(entry["event"], entry["vpd"]) for entry in logs] == [("connection is back", "991")]


async def test_metrics_tell_which_connection_waits_and_why(world: World) -> None:
    def value(name: str, **labels: str) -> float | None:
        return REGISTRY.get_sample_value(name, {"job": "test", "vpd": "777", "folder": "lms"} | labels)

    line = Line("777", "lms")
    rounds = world.rounds(line)
    world.answers[line] = TransportRefusedError("no")
    await rounds.run()
    assert value("esrbridge_connection_waiting") == 1
    assert value("esrbridge_connection_failures_total", code="TRANSPORT_REFUSED") == 1
    world.answers[line] = Done(0, 60)
    world.now += 900
    await rounds.run()
    assert value("esrbridge_connection_waiting") == 0


@given(st.lists(st.sampled_from(["well", "away", "refused"]), max_size=30))
def test_a_connection_is_never_visited_before_its_pause_is_over(story: list[str]) -> None:
    async def live() -> None:
        world = World()
        rounds = world.rounds(ONE)
        answers: dict[str, Done | Exception] = {
            "well": Done(0, 60),
            "away": TransportUnavailableError("x"),
            "refused": TransportRefusedError("x"),
        }
        for step in story:
            world.answers[ONE] = answers[step]
            seen = len(world.visited)
            while len(world.visited) == seen:
                await until_idle(rounds)
                world.now += 1
            pause = {"well": 60, "away": 5, "refused": 900}[step]
            world.now += pause - 2
            await until_idle(rounds)
            assert len(world.visited) == seen + 1

    asyncio.run(live())
