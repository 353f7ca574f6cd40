"""What only RabbitMQ can do to us: die, fall silent, run out of memory, hold other queues than ours, give up."""

import asyncio
import random
import secrets
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import aio_pika
import pytest
from aio_pika.exceptions import ChannelPreconditionFailed
from aiormq.channel import Channel

from esrbridge.local import LocalRabbitMQ
from esrbridge.local import rabbitmq as rabbitmq_node
from shared.errors import BrokerUnavailableError, TopologyError, UnroutableError
from shared.messaging import rabbit_link, rabbitmq
from shared.messaging.deliveries import Delivery
from shared.messaging.message import Message
from shared.messaging.rabbitmq import RabbitBroker
from shared.messaging.topology import DEAD, Topology
from tests.integration.faulty_network import Network
from tests.integration.queues import LENGTH, SOON, assert_silent, depth_becomes, drain, ids, take, topology

DEADLINE = 1.0
"""Seconds a conversation may take in tests of outages."""
SLACK = 7.0
"""Seconds on top of the deadline: closing a channel nobody answers on takes five."""


@pytest.fixture
def queues() -> Topology:
    return topology(f"test{secrets.token_hex(4)}")


@pytest.fixture
def mortal(rabbitmq_server: LocalRabbitMQ, tmp_path: Path) -> Iterator[LocalRabbitMQ]:
    """A node for this test alone, which may be killed."""
    if rabbitmq_server.node is None:
        pytest.skip("only a private node can be killed")
    with rabbitmq_node(tmp_path / "mortal") as node:
        yield node


@pytest.fixture
async def broker(rabbitmq_url: str, queues: Topology) -> AsyncIterator[RabbitBroker]:
    async for started in _started(rabbitmq_url, queues):
        yield started


@pytest.fixture
async def network(rabbitmq_url: str) -> AsyncIterator[Network]:
    async with Network(rabbitmq_url) as between:
        yield between


@pytest.fixture
async def distant(network: Network, queues: Topology) -> AsyncIterator[RabbitBroker]:
    """A broker behind a network that tests can disturb."""
    async for started in _started(network.url, queues):
        yield started


async def _started(url: str, queues: Topology) -> AsyncIterator[RabbitBroker]:
    started = RabbitBroker(url, queues)
    await started.start()
    try:
        yield started
    finally:
        await started.stop()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rabbit_link, "DEADLINE", DEADLINE)


def people(queues: Topology) -> str:
    return queues.queues[0].name


def to_people(queues: Topology, number: int = 0) -> Message:
    records = queues.exchanges[0]
    return Message(exchange=records, type="person.upsert", message_id=f"id-{number}", vpd="999", body=b"{}")


async def unavailable_soon(attempt: Awaitable[object]) -> None:
    """The attempt must fail as retryable, and within its deadline."""
    began = time.monotonic()
    with pytest.raises(BrokerUnavailableError):
        await asyncio.wait_for(attempt, SOON)
    assert time.monotonic() - began < DEADLINE + SLACK


# --- outages ----------------------------------------------------------------------------------------------------


async def test_confirmed_messages_and_the_same_broker_object_survive_the_death_of_the_node(
    mortal: LocalRabbitMQ, queues: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    async for broker in _started(mortal.url, queues):
        await broker.publish([to_people(queues, number) for number in range(700)])
        async with broker.subscribe(people(queues), prefetch=10) as subscription:
            await take(subscription, 5)
            waiting = asyncio.create_task(subscription.next(10, 60.0))
            await asyncio.to_thread(mortal.kill)
            monkeypatch.setattr(rabbit_link, "DEADLINE", DEADLINE)
            await unavailable_soon(waiting)
            await unavailable_soon(subscription.ack())
        await unavailable_soon(broker.publish([to_people(queues)]))
        await unavailable_soon(broker.depth(people(queues)))
        await unavailable_soon(broker.start())
        await unavailable_soon(enter(broker, queues))
        monkeypatch.undo()
        await asyncio.to_thread(mortal.restart)
        await until_ready(broker)
        assert set(ids(await drain(broker, people(queues), 700))) == {f"id-{number}" for number in range(700)}
        await broker.publish([to_people(queues, 1_000)])
        assert ids(await drain(broker, people(queues), 1)) == ["id-1000"]


async def until_ready(broker: RabbitBroker) -> None:
    """A node that answers may still be electing its queues' leaders."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await broker.start()
            except BrokerUnavailableError:
                await asyncio.sleep(0.2)


async def enter(broker: RabbitBroker, queues: Topology) -> None:
    async with broker.subscribe(people(queues), prefetch=1):
        pass


@pytest.mark.usefixtures("impatient")
async def test_a_cut_connection_is_told_to_whoever_waits_and_is_made_anew_on_the_next_call(
    network: Network, distant: RabbitBroker, queues: Topology
) -> None:
    await distant.publish([to_people(queues)])
    async with distant.subscribe(people(queues), prefetch=10) as subscription:
        await take(subscription, 1)
        waiting = asyncio.create_task(subscription.next(10, 60.0))
        await network.cut()
        await unavailable_soon(waiting)
        await unavailable_soon(subscription.next(10, 60.0))
    await unavailable_soon(distant.publish([to_people(queues, 1)]))
    network.mend()
    await distant.publish([to_people(queues, 2)])
    assert {"id-0", "id-2"} <= set(ids(await drain(distant, people(queues), 2)))


@pytest.mark.usefixtures("impatient")
async def test_a_network_that_passes_nothing_on_cannot_hold_publishing_past_its_deadline(
    network: Network, distant: RabbitBroker, queues: Topology
) -> None:
    await distant.publish([to_people(queues)])
    network.freeze()
    await unavailable_soon(distant.publish([to_people(queues, 1)]))
    network.mend()
    await distant.publish([to_people(queues, 2)])
    seen = set(ids(await drain(distant, people(queues), await distant.depth(people(queues)))))
    assert {"id-0", "id-2"} <= seen


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("call", ["start", "subscribe", "depth"])
async def test_a_network_that_passes_nothing_on_cannot_hold_a_call_past_its_deadline(
    network: Network, distant: RabbitBroker, queues: Topology, call: str
) -> None:
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "start": distant.start,
        "subscribe": lambda: enter(distant, queues),
        "depth": lambda: distant.depth(people(queues)),
    }
    network.freeze()
    await unavailable_soon(calls[call]())
    network.mend()
    await distant.publish([to_people(queues)])


@pytest.mark.usefixtures("impatient")
async def test_a_dead_peer_is_noticed_by_its_missing_heartbeats(
    network: Network, queues: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbit_link, "HEARTBEAT", 1)
    async for distant in _started(network.url, queues):
        async with distant.subscribe(people(queues), prefetch=10) as subscription:
            network.freeze()
            await unavailable_soon(subscription.next(10, 60.0))
        network.mend()


@pytest.mark.usefixtures("impatient")
async def test_cancelling_a_publish_that_hangs_is_prompt_and_leaves_a_broker_that_works(
    network: Network, distant: RabbitBroker, queues: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    await distant.publish([to_people(queues)])
    monkeypatch.setattr(rabbit_link, "DEADLINE", 60.0)
    network.freeze()
    hanging = asyncio.create_task(distant.publish([to_people(queues, number) for number in range(1_000)]))
    await asyncio.wait([hanging], timeout=0.2)
    hanging.cancel()
    began = time.monotonic()
    await asyncio.wait([hanging], timeout=SOON)
    assert hanging.cancelled()
    assert time.monotonic() - began < 1
    network.mend()
    await asyncio.wait_for(distant.publish([to_people(queues, 5_000)]), SOON)
    seen = set(ids(await drain(distant, people(queues), await distant.depth(people(queues)))))
    assert {"id-0", "id-5000"} <= seen


@pytest.mark.parametrize("call", ["publish", "subscribe", "depth", "start"])
async def test_whatever_moment_a_call_is_cancelled_at_it_ends_as_cancelled(
    broker: RabbitBroker, queues: Topology, call: str
) -> None:
    # The client library takes some cancellations for a failure of its own; a service would then never stop.
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "publish": lambda: broker.publish([to_people(queues).to("", f"{people(queues)}.dead")] * 20),
        "subscribe": lambda: enter(broker, queues),
        "depth": lambda: broker.depth(people(queues)),
        "start": broker.start,
    }

    async def for_ever() -> None:
        while True:
            with suppress(BrokerUnavailableError):  # what came before may have cost the connection
                await calls[call]()

    dice = random.Random(3)
    for _ in range(60):
        task = asyncio.create_task(for_ever())
        await asyncio.sleep(dice.random() / 50)
        task.cancel()
        await asyncio.wait([task], timeout=SOON)
        assert task.cancelled()


async def test_a_subscription_that_is_cancelled_while_it_opens_leaves_no_consumer_behind(
    network: Network, distant: RabbitBroker, queues: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    consume = Channel.basic_consume
    asked = asyncio.Event()

    async def consume_into_silence(self: Channel, *arguments: Any, **options: Any) -> object:
        network.freeze()
        asked.set()
        return await consume(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Channel, "basic_consume", consume_into_silence)
        opening = asyncio.create_task(enter(distant, queues))
        await asyncio.wait_for(asked.wait(), SOON)
        await asyncio.wait([opening], timeout=0.2)
        opening.cancel()
        await asyncio.wait([opening], timeout=0.2)
    network.mend()
    await asyncio.wait([opening], timeout=SOON)
    assert opening.cancelled()
    await distant.publish([to_people(queues, number) for number in range(3)])
    assert len(await drain(distant, people(queues), 3)) == 3


async def test_a_broker_short_of_memory_blocks_publishers_up_to_their_deadline_and_consumers_not_at_all(
    rabbitmq_server: LocalRabbitMQ, broker: RabbitBroker, queues: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    if rabbitmq_server.node is None:
        pytest.skip("only a private node may be put under an alarm")
    await broker.publish([to_people(queues, number) for number in range(3)])
    try:
        await asyncio.to_thread(rabbitmqctl, rabbitmq_server, "set_vm_memory_high_watermark", "absolute", "1")
        with monkeypatch.context() as patch:
            patch.setattr(rabbit_link, "DEADLINE", DEADLINE)
            await unavailable_soon(broker.publish([to_people(queues, 4)]))
        taken = await drain(broker, people(queues), 3)
        assert sorted(ids(taken)) == ["id-0", "id-1", "id-2"]
    finally:
        await asyncio.to_thread(rabbitmqctl, rabbitmq_server, "set_vm_memory_high_watermark", "0.4")
    await asyncio.wait_for(broker.publish([to_people(queues, 5)]), SOON)


async def test_a_publisher_blocked_in_the_middle_of_its_windows_goes_on_when_the_broker_has_memory_again(
    rabbitmq_server: LocalRabbitMQ, broker: RabbitBroker, queues: Topology
) -> None:
    if rabbitmq_server.node is None:
        pytest.skip("only a private node may be put under an alarm")
    dead = f"{people(queues)}.dead"
    try:
        await asyncio.to_thread(rabbitmqctl, rabbitmq_server, "set_vm_memory_high_watermark", "absolute", "1")
        publishing = asyncio.create_task(
            broker.publish([to_people(queues, number).to("", dead) for number in range(5_000)])
        )
        done, _ = await asyncio.wait([publishing], timeout=1)
        assert not done
    finally:
        await asyncio.to_thread(rabbitmqctl, rabbitmq_server, "set_vm_memory_high_watermark", "0.4")
    await asyncio.wait_for(publishing, SOON)
    assert sorted(ids(await drain(broker, dead, 5_000))) == sorted(f"id-{number}" for number in range(5_000))


def rabbitmqctl(server: LocalRabbitMQ, *arguments: str) -> None:
    assert server.node is not None
    program = shutil.which("rabbitmqctl", path="/usr/lib/rabbitmq/bin:/opt/homebrew/opt/rabbitmq/sbin:/usr/local/sbin")
    assert program is not None
    subprocess.run(
        [program, "--node", "esrbridge@localhost", *arguments],
        env=server.node._environment(),
        cwd=server.node.folder,
        capture_output=True,
        timeout=60,
        check=True,
    )


# --- queues that are not as they should be ----------------------------------------------------------------------


async def test_a_consumer_whose_queue_is_deleted_is_told_instead_of_waiting_for_ever(
    rabbitmq_url: str, broker: RabbitBroker, queues: Topology
) -> None:
    dead = f"{people(queues)}.dead"
    async with broker.subscribe(dead, prefetch=10) as subscription:
        waiting = asyncio.create_task(subscription.next(10, 60.0))
        async with await aio_pika.connect(rabbitmq_url) as connection:
            await (await connection.channel()).queue_delete(dead)
        await unavailable_soon(waiting)
    await unavailable_soon(broker.depth(dead))
    await broker.start()
    assert await broker.depth(dead) == 0


async def test_a_message_whose_binding_was_removed_from_the_broker_is_refused_as_unroutable(
    rabbitmq_url: str, broker: RabbitBroker, queues: Topology
) -> None:
    records = queues.exchanges[0]
    async with await aio_pika.connect(rabbitmq_url) as connection:
        channel = await connection.channel()
        for name in ("people", "all"):
            queue = await channel.get_queue(f"{records.partition('.')[0]}.{name}")
            for pattern in ("person.*", "#"):
                await queue.unbind(records, pattern)
    with pytest.raises(UnroutableError):
        await broker.publish([to_people(queues)])
    await broker.start()
    await broker.publish([to_people(queues)])


def safe(queue: str) -> dict[str, Any]:
    """What makes dead-lettering lossless, written out by hand."""
    return {
        "x-queue-type": "quorum",
        "x-max-length": LENGTH,
        "x-overflow": "reject-publish",
        "x-dead-letter-strategy": "at-least-once",
        "x-dead-letter-exchange": "bridge.dead",
        "x-dead-letter-routing-key": f"{queue}.dead",
        "x-delivery-limit": 50,
    }


async def test_a_queue_is_declared_with_the_settings_that_make_dead_lettering_lossless(
    rabbitmq_url: str, broker: RabbitBroker, queues: Topology
) -> None:
    assert broker.topology is queues
    async with await aio_pika.connect(rabbitmq_url) as connection:
        channel = await connection.channel()
        await channel.declare_queue(people(queues), durable=True, arguments=safe(people(queues)))
        dead: dict[str, Any] = {"x-queue-type": "quorum", "x-max-length": 1_000_000, "x-overflow": "reject-publish"}
        await channel.declare_queue(f"{people(queues)}.dead", durable=True, arguments=dead)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("x-dead-letter-strategy", "at-most-once"),
        ("x-dead-letter-strategy", None),
        ("x-overflow", "drop-head"),
        ("x-dead-letter-exchange", "amq.fanout"),
        ("x-dead-letter-routing-key", "elsewhere"),
        ("x-max-length", 7),
        ("x-delivery-limit", 1),
        ("x-queue-type", "classic"),
    ],
)
async def test_a_queue_that_is_there_with_unsafe_settings_is_refused_at_the_start(
    rabbitmq_url: str, queues: Topology, name: str, other: object
) -> None:
    arguments = safe(people(queues)) | {name: other}
    if other is None:
        del arguments[name]
    if other == "classic":
        arguments = {"x-queue-type": "classic"}
    async with await aio_pika.connect(rabbitmq_url) as connection:
        channel = await connection.channel()
        await channel.declare_queue(people(queues), durable=True, arguments=arguments)
        with pytest.raises(ChannelPreconditionFailed):  # else the broker would not tell the two apart either
            await channel.declare_queue(people(queues), durable=True, arguments=safe(people(queues)))
    stranger = RabbitBroker(rabbitmq_url, queues)
    try:
        with pytest.raises(TopologyError):
            await asyncio.wait_for(stranger.start(), SOON)
    finally:
        await stranger.stop()


async def test_an_exchange_of_another_kind_is_refused_at_the_start(rabbitmq_url: str, queues: Topology) -> None:
    async with await aio_pika.connect(rabbitmq_url) as connection:
        channel = await connection.channel()
        await channel.declare_exchange(queues.exchanges[0], aio_pika.ExchangeType.FANOUT, durable=True)
    stranger = RabbitBroker(rabbitmq_url, queues)
    try:
        with pytest.raises(TopologyError):
            await asyncio.wait_for(stranger.start(), SOON)
    finally:
        await stranger.stop()


async def test_starting_twice_and_from_two_replicas_at_once_declares_the_same(
    rabbitmq_url: str, broker: RabbitBroker, queues: Topology
) -> None:
    replica = RabbitBroker(rabbitmq_url, queues)
    try:
        await asyncio.gather(broker.start(), replica.start(), broker.start())
        await replica.publish([to_people(queues)])
        assert ids(await drain(broker, people(queues), 1)) == ["id-0"]
    finally:
        await replica.stop()


# --- the broker gives up ----------------------------------------------------------------------------------------


async def test_a_message_that_ends_its_consumer_each_time_becomes_a_dead_letter_of_the_broker(
    rabbitmq_url: str, queues: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbitmq, "DELIVERY_LIMIT", 2)
    async for broker in _started(rabbitmq_url, queues):
        sent = Message(
            exchange=queues.exchanges[0],
            type="person.upsert",
            message_id="poison",
            vpd="999",
            body=b'{"person_id":"1"}',
            stream="feed",
            file="CS_999_CST_CSF_20260302_00000001.DAT",
            file_no=1,
            line=7,
        )
        await broker.publish([sent.to("", people(queues))])
        for _ in range(3):
            async with broker.subscribe(people(queues), prefetch=1) as subscription:
                assert ids(await take(subscription, 1)) == ["poison"]
        [letter] = await drain(broker, f"{people(queues)}.dead", 1)
        assert letter.code == "BROKER_DELIVERY_LIMIT"
        assert letter.queue == people(queues)
        assert "gave up" in letter.reason
        said = (letter.exchange, letter.type, letter.message_id, letter.vpd, letter.file, letter.file_no, letter.line)
        assert said == (DEAD, "person.upsert", "poison", "999", sent.file, 1, 7)
        assert letter.body == sent.body
        async with broker.subscribe(people(queues), prefetch=1) as subscription:
            await assert_silent(subscription)


async def test_a_message_of_a_stranger_arrives_with_empty_identity(rabbitmq_url: str, broker: RabbitBroker) -> None:
    queue = people(broker.topology)
    async with await aio_pika.connect(rabbitmq_url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        odd = aio_pika.Message(b"\xff", headers={"vpd": 999, "line": "seven", "file_no": 2, "other": {"a": [1]}})
        await channel.default_exchange.publish(odd, queue, timeout=SOON)
    await depth_becomes(broker, queue, 1)
    [heard] = await drain(broker, queue, 1)
    assert (heard.type, heard.vpd, heard.line, heard.file_no, heard.file) == (queue, "999", 0, 2, "")
    assert heard.body == b"\xff"


async def test_a_channel_that_was_closed_takes_nothing_from_a_later_one_of_the_same_number(
    rabbitmq_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    links, really_close = rabbit_link.Links(rabbitmq_url), rabbit_link.close
    waiting: list[Channel] = []
    heard: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()

    async def close_and_give_the_number_away(one: Channel | rabbit_link.Link) -> None:
        await really_close(one)
        if isinstance(one, Channel):
            later = cast("Channel", await one.connection.channel(channel_number=one.number))
            rabbit_link.give(later, heard.set_result)
            waiting.append(later)

    monkeypatch.setattr(rabbit_link, "close", close_and_give_the_number_away)
    async with links.channel() as channel:
        rabbit_link.give(channel, lambda _: None)
    [later] = waiting
    said = await later.queue_declare(exclusive=True)
    await later.basic_consume(str(said.queue), consumer_callback=_nobody)
    await later.basic_publish(b"for the later one", routing_key=str(said.queue))
    assert (await asyncio.wait_for(heard, SOON)).body == b"for the later one"
    await links.close()


async def _nobody(_: object) -> None:
    raise AssertionError("the library got what was cut out for another")
