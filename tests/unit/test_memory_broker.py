"""The in-memory broker: chaos that a seed repeats, and knowing when nothing is left to do."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import BrokerRefusedError, BrokerUnavailableError, UnroutableError
from shared.messaging.memory import Chaos, MemoryBroker
from shared.messaging.message import Message
from shared.messaging.topology import DEAD, EVENTS, Binding, Queue, Topology

SMALL = Topology(
    exchanges=(EVENTS,),
    queues=(Queue("a.events", (Binding(EVENTS, "x.*"),)), Queue("b.events", (Binding(EVENTS, "x.two"),))),
    queue_length=100,
)


def message(number: int, kind: str = "x.one") -> Message:
    return Message(exchange=EVENTS, type=kind, message_id=str(number), vpd="999", body=b"{}")


async def started(chaos: Chaos | None = None, topology: Topology = SMALL) -> MemoryBroker:
    broker = MemoryBroker(topology, chaos)
    await broker.start()
    return broker


async def consume(broker: MemoryBroker, seen: list[str], limit: int = 3) -> None:
    async with broker.subscribe("a.events", prefetch=2 * limit) as subscription:
        while True:
            seen += [one.message_id for one in await subscription.next(limit, 0)]
            await subscription.ack()


async def run(chaos: Chaos | None, number: int = 20) -> list[str]:
    """Publish messages, consume until idle, and return what was seen in order."""
    broker = await started(chaos)
    seen: list[str] = []
    task = asyncio.create_task(consume(broker, seen))
    await broker.publish([message(one) for one in range(number)])
    async with asyncio.timeout(10):
        await broker.idle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return seen


def rough(seed: int) -> Chaos:
    return Chaos(seed, duplicate=0.3, reorder=0.5, lose_ack=0.3)


async def test_without_chaos_messages_come_once_and_in_order() -> None:
    assert await run(None) == [str(one) for one in range(20)]


@given(st.integers())
async def test_a_seed_repeats_the_same_mishaps(seed: int) -> None:
    assert await run(rough(seed)) == await run(rough(seed))


@given(st.integers())
async def test_chaos_loses_nothing(seed: int) -> None:
    assert set(await run(rough(seed))) == {str(one) for one in range(20)}


async def test_other_seeds_bring_other_mishaps() -> None:
    assert len({tuple(await run(rough(seed))) for seed in range(5)}) == 5


async def test_duplicates_reordering_and_lost_acknowledgements_all_happen() -> None:
    inorder = [str(one) for one in range(20)]
    assert sorted(await run(Chaos(1, duplicate=1.0)), key=int) == sorted(inorder * 2, key=int)
    reordered = await run(Chaos(1, reorder=1.0))
    assert reordered != inorder
    assert sorted(reordered, key=int) == inorder
    assert len(await run(Chaos(1, lose_ack=0.5))) > 20


async def test_a_mishap_that_is_switched_off_uses_up_no_dice() -> None:
    one, other = Chaos(5), Chaos(5)
    assert not any(one.happens(0.0) for _ in range(10))
    assert one.dice.random() == other.dice.random()


async def test_an_idle_broker_is_known_at_once() -> None:
    broker = await started()
    async with asyncio.timeout(5):
        await broker.idle()


async def test_a_broker_is_not_idle_before_what_was_handed_out_is_acknowledged() -> None:
    broker = await started()
    await broker.publish([message(1)])
    async with broker.subscribe("a.events", prefetch=5) as subscription:
        await subscription.next(5, 0)
        assert await broker.depth("a.events") == 0
        idle = asyncio.create_task(broker.idle())
        await asyncio.sleep(0)
        assert not idle.done()
        await subscription.ack()
        following = asyncio.create_task(subscription.next(5, 0))
        async with asyncio.timeout(5):
            await idle
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def test_work_that_makes_more_work_is_waited_for() -> None:
    broker = await started()
    seen: list[str] = []

    async def relay() -> None:
        async with broker.subscribe("b.events", prefetch=10) as subscription:
            while True:
                for one in await subscription.next(1, 0):
                    await broker.publish([message(100 + int(one.message_id))])
                await subscription.ack()

    tasks = [asyncio.create_task(relay()), asyncio.create_task(consume(broker, seen))]
    await broker.publish([message(number, "x.two") for number in range(5)])
    async with asyncio.timeout(5):
        await broker.idle()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert sorted(seen, key=int) == [str(one) for one in (0, 1, 2, 3, 4, 100, 101, 102, 103, 104)]


async def test_what_was_not_acknowledged_comes_back_in_front() -> None:
    broker = await started()
    await broker.publish([message(1), message(2), message(3)])
    async with broker.subscribe("a.events", prefetch=5) as subscription:
        await subscription.next(2, 0)
    async with broker.subscribe("a.events", prefetch=5) as subscription:
        assert [one.message_id for one in await subscription.next(5, 0)] == ["1", "2", "3"]


async def test_a_full_queue_refuses_the_whole_publication() -> None:
    topology = Topology(SMALL.exchanges, SMALL.queues, queue_length=1)
    broker = await started(topology=topology)
    await broker.publish([message(1, "x.two")])
    async with broker.subscribe("a.events", prefetch=5) as subscription:
        await subscription.next(1, 0)
        await subscription.ack()
    with pytest.raises(BrokerRefusedError):
        await broker.publish([message(2, "x.one"), message(3, "x.two")])
    assert (await broker.depth("a.events"), await broker.depth("b.events")) == (0, 1)


async def test_a_broker_that_is_down_refuses_everything_and_keeps_what_it_had() -> None:
    broker = await started()
    await broker.publish([message(1)])
    async with broker.subscribe("a.events", prefetch=5) as subscription:
        await subscription.next(5, 0)
        broker.down = True
        with pytest.raises(BrokerUnavailableError):
            await subscription.ack()
    with pytest.raises(BrokerUnavailableError):
        await broker.publish([message(2)])
    with pytest.raises(BrokerUnavailableError):
        async with broker.subscribe("a.events", prefetch=5):
            pass
    broker.down = False
    assert await broker.depth("a.events") == 1


async def test_a_replay_goes_to_the_one_queue_it_names() -> None:
    broker = await started()
    await broker.publish([message(1, "x.two").to("", "b.events")])
    assert (await broker.depth("a.events"), await broker.depth("b.events")) == (0, 1)


@pytest.mark.parametrize("lost", [message(1).to("", "c.events"), message(1).to(DEAD, "c.events.dead")])
async def test_what_has_to_arrive_and_cannot_is_refused(lost: Message) -> None:
    broker = await started()
    with pytest.raises(UnroutableError):
        await broker.publish([lost])


async def test_an_event_that_nobody_wants_is_dropped() -> None:
    broker = await started()
    await broker.publish([message(1, "y.one")])
    assert (await broker.depth("a.events"), await broker.depth("b.events")) == (0, 0)


async def test_a_dead_letter_reaches_the_dead_letter_queue_of_its_queue() -> None:
    broker = await started()
    await broker.publish([message(1).to(DEAD, "a.events.dead")])
    assert await broker.depth("a.events.dead") == 1
