"""The loops of a service: begun and ended together, and prompt where somebody waits for what they do."""

import asyncio
import gc
import time
import warnings
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

from shared.component import Component, Job
from shared.loops import IDLE_SHARE, Loops
from shared.messaging.consumer import Consumer
from shared.messaging.memory import MemoryBroker
from shared.messaging.message import Message
from shared.messaging.topology import RECORDS

SOON = 10.0
LONG = 3600.0
QUEUE = "people.records"


def component(*jobs: Job, consumers: Sequence[Consumer] = ()) -> Component:
    work: Any = SimpleNamespace(outbox=SimpleNamespace(sweep=nothing))
    return Component("some", work, consumers=tuple(consumers), jobs=jobs)


async def nothing() -> int:
    return 0


def counted(results: Sequence[int] = ()) -> tuple[Callable[[], Awaitable[int]], Callable[[int], Awaitable[None]]]:
    """Return work that gives these results and then 0, and a way to wait until it was done so many times."""
    left, times, changed = list(results), 0, asyncio.Condition()

    async def run() -> int:
        nonlocal times
        async with changed:
            times += 1
            changed.notify_all()
        return left.pop(0) if left else 0

    async def ran(number: int) -> None:
        async with asyncio.timeout(SOON), changed:
            await changed.wait_for(lambda: times >= number)

    return run, ran


async def test_loops_that_are_ended_before_their_first_step_leave_nothing_behind() -> None:
    loops = Loops(component(Job("one", nothing)), every=1.0)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        async with loops.running():
            pass
        gc.collect()
    assert [str(one.message) for one in told] == []


async def test_a_prompt_job_looks_for_work_as_soon_as_a_batch_was_handled() -> None:
    broker, handled = MemoryBroker(), asyncio.Event()
    await broker.start()

    async def handle(_: Sequence[Message]) -> None:
        handled.set()

    async def give_up(*_: object) -> None:
        raise AssertionError

    consumer = Consumer(broker, QUEUE, handle, give_up)
    prompt, prompt_ran = counted()
    slow, slow_ran = counted()
    some = component(Job("prompt", prompt, prompt=True), Job("slow", slow), consumers=[consumer])
    async with Loops(some, every=LONG).running():
        await prompt_ran(1)
        await slow_ran(1)
        message = Message(exchange=RECORDS, type="person.upsert", message_id="1", vpd="999", body=b"{}")
        await broker.publish([message])
        await prompt_ran(2)
        assert handled.is_set()
        waiting = asyncio.ensure_future(slow_ran(2))
        assert not (await asyncio.wait([waiting], timeout=0.1))[0], "it looks when its time has come"
        waiting.cancel()


async def test_a_job_that_did_something_wakes_the_prompt_ones_and_is_asked_again_itself() -> None:
    first, first_ran = counted([0])
    second, second_ran = counted()
    begun = asyncio.Event()

    async def after_the_other() -> int:
        await begun.wait()
        return await first()

    some = component(Job("first", after_the_other), Job("second", second, prompt=True))
    async with Loops(some, every=LONG).running():
        await second_ran(1)
        begun.set()
        await first_ran(1)
        waiting = asyncio.ensure_future(second_ran(2))
        assert not (await asyncio.wait([waiting], timeout=0.1))[0], "nothing was done, so nobody is woken"
        waiting.cancel()

    third, third_ran = counted([5])
    fourth, fourth_ran = counted()
    async with Loops(component(Job("third", third), Job("fourth", fourth, prompt=True)), every=LONG).running():
        await third_ran(2)
        await fourth_ran(2)


async def test_a_prompt_job_that_is_slow_to_find_nothing_is_not_asked_all_the_time() -> None:
    times: list[tuple[float, float]] = []
    enough = asyncio.Event()

    async def slow_to_see() -> int:
        since = time.monotonic()
        await asyncio.sleep(0.02)
        times.append((since, time.monotonic()))
        if len(times) == 3:
            enough.set()
        return 0

    loops = Loops(component(Job("slow", slow_to_see, prompt=True)), every=LONG)
    async with loops.running():
        async with asyncio.timeout(SOON):
            while not enough.is_set():
                loops._wake()
                await asyncio.sleep(0)
    for (since, until), (again, _) in pairwise(times):
        assert again - until >= (IDLE_SHARE - 1) * (until - since)
