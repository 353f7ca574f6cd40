"""Publishing in whole windows: every message gets its answer, whatever the order in which a broker gives it."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import msgspec
import pytest
from pamqp import commands
from pamqp.base import Frame

from shared.errors import BrokerRefusedError, BrokerUnavailableError, UnroutableError
from shared.messaging import rabbit_link, rabbitmq
from shared.messaging.message import Message
from shared.messaging.rabbit_publisher import IN_FLIGHT, WINDOW, Publisher
from shared.messaging.rabbitmq import RabbitBroker
from shared.messaging.topology import Topology
from tests.integration.faulty_network import Network
from tests.integration.queues import QUIET, SOON, depth_becomes, drain, ids, topology
from tests.integration.scripted_broker import Answer, ScriptedBroker

FULL = WINDOW * IN_FLIGHT
"""Messages that may be on their way at once."""


def message(number: int, body: bytes = b"{}") -> Message:
    return Message(exchange="", type="people", message_id=f"id-{number}", vpd="999", body=body)


def messages(count: int, first: int = 0) -> list[Message]:
    return [message(number) for number in range(first, first + count)]


# --- a broker that answers as it is told ------------------------------------------------------------------------


@asynccontextmanager
async def scripted(answer: Answer) -> AsyncIterator[tuple[ScriptedBroker, RabbitBroker]]:
    async with ScriptedBroker(answer) as server:
        broker = RabbitBroker(server.url)
        try:
            yield server, broker
        finally:
            await broker.stop()


def ack(tag: int, *, multiple: bool = False) -> Frame:
    return commands.Basic.Ack(tag, multiple)


def nack(tag: int, *, multiple: bool = False) -> Frame:
    return commands.Basic.Nack(tag, multiple, requeue=False)


def mixed_up(first: int, last: int, seed: int) -> Iterator[Frame]:
    """Confirm these tags in any order, one by one or all up to one."""
    dice = random.Random(seed)
    pending = list(range(first, last + 1))
    dice.shuffle(pending)
    while pending:
        tag = pending.pop()
        multiple = dice.random() < 0.01
        if multiple:
            pending = [one for one in pending if one > tag]
        yield ack(tag, multiple=multiple)


@pytest.mark.parametrize("seed", range(5))
async def test_confirms_that_come_mixed_up_one_by_one_and_many_at_once_are_all_understood(seed: int) -> None:
    def answer(count: int) -> Sequence[Frame]:
        return list(mixed_up(count - FULL + 1, count, seed)) if count % FULL == 0 else []

    async with scripted(answer) as (server, broker):
        for round_ in range(3):
            await asyncio.wait_for(broker.publish(messages(FULL, round_ * FULL)), SOON)
        assert len(server.bodies) == 3 * FULL


async def test_publishing_ends_with_the_last_confirm_and_not_before() -> None:
    async with scripted(lambda count: [ack(FULL - 1, multiple=True)] if count == FULL else []) as (server, broker):
        publishing = asyncio.create_task(broker.publish(messages(FULL)))
        done, _ = await asyncio.wait([publishing], timeout=QUIET)
        assert not done
        assert len(server.bodies) == FULL
        server.say(ack(FULL), 1)
        await asyncio.wait_for(publishing, SOON)


async def test_no_more_windows_are_written_than_may_be_on_their_way() -> None:
    async with scripted(lambda _: []) as (server, broker):
        publishing = asyncio.create_task(broker.publish(messages(2 * FULL)))
        await asyncio.wait([publishing], timeout=QUIET)
        assert len(server.bodies) == FULL
        server.say(ack(WINDOW, multiple=True), 1)
        await asyncio.wait([publishing], timeout=QUIET)
        assert len(server.bodies) == FULL + WINDOW
        publishing.cancel()
        await asyncio.wait([publishing])


@pytest.mark.parametrize("refusal", [nack(WINDOW + 7), nack(WINDOW + 7, multiple=True)])
async def test_a_refusal_in_the_middle_of_a_window_is_told_and_the_next_call_goes_well(refusal: Frame) -> None:
    def answer(count: int) -> Sequence[Frame]:
        if count == FULL:
            return [ack(WINDOW, multiple=True), refusal, ack(FULL, multiple=True)]
        return [ack(count)] if count > FULL else []

    async with scripted(answer) as (server, broker):
        with pytest.raises(BrokerRefusedError):
            await asyncio.wait_for(broker.publish(messages(FULL)), SOON)
        await asyncio.wait_for(broker.publish(messages(3)), SOON)
        assert len(server.bodies) == FULL + 3


async def test_a_refusal_concerns_the_publisher_whose_message_it_was_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rabbitmq, "LANES", 1)

    def answer(count: int) -> Sequence[Frame]:
        return [ack(5), nack(15), ack(20, multiple=True)] if count == 20 else []

    async with scripted(answer) as (_, broker):
        outcomes = await asyncio.wait_for(
            asyncio.gather(broker.publish(messages(10)), broker.publish(messages(10, 10)), return_exceptions=True),
            SOON,
        )
        assert [type(one) for one in outcomes] == [type(None), BrokerRefusedError]


async def test_whoever_waits_for_each_confirm_has_one_channel_and_others_at_once_have_a_second(
    broker: RabbitBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[int | None] = []
    publish = Publisher.publish

    async def noted(self: Publisher, sent: Sequence[Message], deadline: float) -> None:
        used.append(self.channel.number)
        await publish(self, sent, deadline)

    monkeypatch.setattr(Publisher, "publish", noted)
    queue = queue_of(broker.topology, "people")
    for number in range(3):
        await asyncio.wait_for(broker.publish(to(queue, messages(1, number))), SOON)
    assert len(set(used)) == 1
    await asyncio.wait_for(
        asyncio.gather(*(broker.publish(to(queue, messages(500, 500 * number))) for number in range(1, 5))), SOON
    )
    assert sorted(used[3:].count(channel) for channel in set(used)) == [2, 2]


async def test_nothing_is_written_while_the_broker_blocks_publishers_and_everything_after() -> None:
    async with scripted(lambda count: [ack(count)]) as (server, broker):
        await broker.publish(messages(1))
        server.say(commands.Connection.Blocked("low on memory"), 0)
        await asyncio.sleep(QUIET)
        publishing = asyncio.create_task(broker.publish(messages(3)))
        await asyncio.wait([publishing], timeout=QUIET)
        assert len(server.bodies) == 1
        server.say(commands.Connection.Unblocked(), 0)
        await asyncio.wait_for(publishing, SOON)
        assert len(server.bodies) == 4


async def test_a_broker_that_blocks_publishers_for_too_long_counts_as_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with scripted(lambda count: [ack(count)]) as (server, broker):
        await broker.publish(messages(1))
        monkeypatch.setattr(rabbit_link, "DEADLINE", 0.5)
        server.say(commands.Connection.Blocked("low on disk"), 0)
        await asyncio.sleep(QUIET)
        with pytest.raises(BrokerUnavailableError):
            await asyncio.wait_for(broker.publish(messages(3)), SOON)
        server.say(commands.Connection.Unblocked(), 0)
        server.bodies.clear()  # a new channel counts anew
        await asyncio.wait_for(broker.publish(messages(1)), SOON)


async def test_a_confirm_that_never_comes_is_waited_for_until_the_deadline_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rabbit_link, "DEADLINE", 0.5)
    async with scripted(lambda count: [ack(1)] if count == 1 else []) as (server, broker):
        with pytest.raises(BrokerUnavailableError):
            await asyncio.wait_for(broker.publish(messages(2)), SOON)
        server.bodies.clear()  # a new channel counts anew
        await asyncio.wait_for(broker.publish(messages(1)), SOON)


async def test_a_cancelled_publisher_leaves_its_windows_to_be_confirmed_and_room_for_others() -> None:
    held = [ack(FULL, multiple=True)]

    def answer(count: int) -> Sequence[Frame]:
        return [ack(count)] if count > FULL else []

    async with scripted(answer) as (server, broker):
        publishing = asyncio.create_task(broker.publish(messages(2 * FULL)))
        await asyncio.wait([publishing], timeout=QUIET)
        publishing.cancel()
        await asyncio.wait([publishing], timeout=SOON)
        assert publishing.cancelled()
        server.say(held[0], 1)
        await asyncio.wait_for(broker.publish(messages(FULL)), SOON)
        assert len(server.bodies) == 2 * FULL


async def test_publishers_that_are_cancelled_before_they_could_write_take_no_room_from_others() -> None:
    async with scripted(lambda count: [ack(count)]) as (server, broker):
        await broker.publish(messages(1))
        server.say(commands.Connection.Blocked("low on memory"), 0)
        await asyncio.sleep(QUIET)
        waiting = [asyncio.create_task(broker.publish(messages(1))) for _ in range(2 * IN_FLIGHT)]
        await asyncio.wait(waiting, timeout=QUIET)
        for one in waiting:
            one.cancel()
        await asyncio.wait(waiting, timeout=SOON)
        server.say(commands.Connection.Unblocked(), 0)
        await asyncio.wait_for(broker.publish(messages(3)), SOON)
        assert len(server.bodies) == 4


# --- RabbitMQ ---------------------------------------------------------------------------------------------------


@pytest.fixture
def queues() -> Topology:
    return topology(f"test{secrets.token_hex(4)}", 50_000)


@asynccontextmanager
async def started(url: str, queues: Topology) -> AsyncIterator[RabbitBroker]:
    broker = RabbitBroker(url, queues)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


@pytest.fixture
async def broker(rabbitmq_url: str, queues: Topology) -> AsyncIterator[RabbitBroker]:
    async with started(rabbitmq_url, queues) as ready:
        yield ready


def to(queue: str, said: Sequence[Message]) -> list[Message]:
    return [one.to("", queue) for one in said]


def queue_of(queues: Topology, name: str) -> str:
    return next(queue.name for queue in queues.queues if queue.name.endswith(f".{name}"))


async def test_bodies_larger_than_a_frame_arrive_whole_between_small_ones(broker: RabbitBroker) -> None:
    queue = queue_of(broker.topology, "people")
    dice = random.Random(1)
    sizes = [0, 10, 131_064, 131_065, 7, 1_000_000, 3, 400_000, 0]
    sent = to(queue, [message(number, dice.randbytes(size)) for number, size in enumerate(sizes)])
    await asyncio.wait_for(broker.publish(sent), SOON)
    taken = {one.message_id: one.body for one in await drain(broker, queue, len(sent))}
    assert taken == {one.message_id: one.body for one in sent}


async def test_messages_of_one_window_are_queued_in_the_order_in_which_they_were_published(
    broker: RabbitBroker,
) -> None:
    queue = queue_of(broker.topology, "people")
    sent = to(queue, messages(3 * WINDOW + 1))
    await asyncio.wait_for(broker.publish(sent), SOON)
    assert ids(await drain(broker, queue, len(sent))) == ids(sent)


async def test_a_message_without_a_queue_in_the_middle_of_a_window_is_told_and_the_others_arrive(
    broker: RabbitBroker,
) -> None:
    queue = queue_of(broker.topology, "people")
    sent = to(queue, messages(2 * WINDOW))
    sent[WINDOW // 2] = sent[WINDOW // 2].to("", f"{queue}.nowhere")
    with pytest.raises(UnroutableError):
        await asyncio.wait_for(broker.publish(sent), SOON)
    taken = await drain(broker, queue, 2 * WINDOW - 1)
    assert set(ids(taken)) == set(ids(sent)) - {f"id-{WINDOW // 2}"}
    await asyncio.wait_for(broker.publish(to(queue, messages(1))), SOON)


async def test_a_full_queue_in_the_middle_of_a_window_is_told_and_the_other_queues_messages_arrive(
    rabbitmq_url: str,
) -> None:
    queues = topology(f"test{secrets.token_hex(4)}", 100)
    async with started(rabbitmq_url, queues) as broker:
        full, free = queue_of(queues, "people"), queue_of(queues, "idle")
        sent = to(free, messages(20)) + to(full, messages(460, 20)) + to(free, messages(20, 480))

        async def publish_until_refused() -> None:
            while True:  # a quorum queue may take more than its limit before it says no
                await broker.publish(sent)
                await drain(broker, free, 40)

        with pytest.raises(BrokerRefusedError):
            await asyncio.wait_for(publish_until_refused(), SOON)
        assert {f"id-{number}" for number in (*range(20), *range(480, 500))} == set(ids(await drain(broker, free, 40)))
        await asyncio.wait_for(broker.publish(to(free, messages(1))), SOON)


async def test_each_of_several_publishers_at_once_hears_of_its_own_messages_only(broker: RabbitBroker) -> None:
    queue = queue_of(broker.topology, "people")
    good = [to(queue, messages(700, 1_000 * number)) for number in range(4)]
    bad = [*to(queue, messages(700, 9_000)), *to(f"{queue}.nowhere", messages(1, 9_999))]
    outcomes = await asyncio.wait_for(
        asyncio.gather(*(broker.publish(one) for one in (*good[:2], bad, *good[2:])), return_exceptions=True), 2 * SOON
    )
    assert [type(one).__name__ for one in outcomes] == [
        "NoneType",
        "NoneType",
        "UnroutableError",
        "NoneType",
        "NoneType",
    ]
    taken = ids(await drain(broker, queue, 5 * 700))
    assert sorted(taken) == sorted(one.message_id for part in (*good, bad[:-1]) for one in part)


@pytest.mark.parametrize("moment", [0.0, 0.01, 0.03, 0.1])
async def test_a_connection_cut_with_windows_on_their_way_is_told_and_nothing_confirmed_is_lost(
    rabbitmq_url: str, queues: Topology, moment: float
) -> None:
    queue = queue_of(queues, "people")
    async with Network(rabbitmq_url) as network, started(network.url, queues) as broker:
        confirmed: list[str] = []

        async def publish_for_ever() -> None:
            for start in range(0, 40_000, FULL):
                part = to(queue, messages(FULL, start))
                await broker.publish(part)
                confirmed.extend(ids(part))

        publishing = asyncio.create_task(publish_for_ever())
        await asyncio.wait([publishing], timeout=moment)
        await network.cut()
        with pytest.raises(BrokerUnavailableError):
            await asyncio.wait_for(publishing, SOON)
        network.mend()
        again = to(queue, messages(FULL, len(confirmed)))
        await asyncio.wait_for(broker.publish(again), SOON)
        depth = await broker.depth(queue)
        taken = set(ids(await drain(broker, queue, depth)))
        assert taken >= {*confirmed, *ids(again)}


async def test_a_death_of_the_channel_is_told_at_once(broker: RabbitBroker) -> None:
    gone = [msgspec.structs.replace(message(1), exchange="no.such.exchange")]
    with pytest.raises(BrokerUnavailableError):
        await asyncio.wait_for(broker.publish(gone), SOON)
    queue = queue_of(broker.topology, "people")
    await asyncio.wait_for(broker.publish(to(queue, messages(1))), SOON)
    await depth_becomes(broker, queue, 1)
