"""What every broker promises: one suite for the one in memory and for RabbitMQ."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec
import pytest

from shared.errors import BrokerRefusedError, UnroutableError
from shared.messaging.broker import Broker, Subscription
from shared.messaging.frames import LARGEST, OVERHEAD
from shared.messaging.memory import MemoryBroker
from shared.messaging.message import Message
from shared.messaging.rabbitmq import RabbitBroker
from shared.messaging.topology import DEAD, EVENTS
from tests.integration.queues import (
    LENGTH,
    QUIET,
    SOON,
    assert_silent,
    depth_becomes,
    drain,
    ids,
    keys,
    take,
    topology,
)

SHORT = 5


@dataclass(frozen=True)
class Bench:
    """A broker with four queues of its own."""

    name: str
    broker: Broker

    @property
    def records(self) -> str:
        """Exchange that only this test uses."""
        return f"{self.name}.records"

    def queue(self, name: str) -> str:
        return f"{self.name}.{name}"

    def message(self, key: str = "person.upsert", number: int = 0) -> Message:
        return Message(exchange=self.records, type=key, message_id=f"id-{number}", vpd="999", body=b"{}")

    def messages(self, count: int) -> list[Message]:
        return [self.message(number=number) for number in range(count)]


@pytest.fixture(params=["memory", "rabbitmq"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async for ready in _bench(request, LENGTH):
        yield ready


@pytest.fixture(params=["memory", "rabbitmq"])
async def short_bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """The same with queues that hold five messages."""
    async for ready in _bench(request, SHORT):
        yield ready


async def _bench(request: pytest.FixtureRequest, length: int) -> AsyncIterator[Bench]:
    name = f"test{secrets.token_hex(4)}"
    queues = topology(name, length)
    if request.param == "memory":
        memory = MemoryBroker(queues)
        await memory.start()
        yield Bench(name, memory)
        return
    url = request.getfixturevalue("rabbitmq_url")
    broker = RabbitBroker(url, queues)
    await broker.start()
    try:
        yield Bench(name, broker)
    finally:
        await broker.stop()


# --- what a message carries -------------------------------------------------------------------------------------


FULL = Message(
    exchange="",
    type="person.upsert",
    message_id="0f" * 16,
    vpd="999",
    body='{"name":"Zoë \\"Ö\\" 🙂"}'.encode(),
    stream="feed",
    file="CS_999_CST_CSF_20260302_00000001.DAT",
    file_no=2**40,
    line=2**31 - 1,
    timestamp=1_772_409_600,
    traceparent=f"00-{'a' * 32}-{'b' * 16}-01",
    code="R101",
    reason="person_id is mandatory – „quoted“, 'quoted', back\\slash\nand a second line",
    queue="people.records",
    replay=3,
)
BARE = Message(exchange="", type="person.upsert", message_id="m", vpd="", body=b"")


@pytest.mark.parametrize("said", [FULL, BARE, msgspec.structs.replace(FULL, body=bytes(range(256)) * 1024)])
async def test_what_is_published_arrives_with_every_property_intact(bench: Bench, said: Message) -> None:
    sent = msgspec.structs.replace(said, exchange=bench.records)
    await bench.broker.publish([sent])
    [heard] = await drain(bench.broker, bench.queue("people"), 1)
    assert heard == msgspec.structs.replace(sent, address=heard.address)
    assert heard.routing_key == "person.upsert"


async def test_an_events_properties_arrive_intact_beside_its_cloudevents_headers(bench: Bench) -> None:
    sent = msgspec.structs.replace(FULL, exchange=EVENTS, type=f"{bench.name}.EmployeeHired")
    await bench.broker.publish([sent])
    [heard] = await drain(bench.broker, bench.queue("people"), 1)
    assert heard == msgspec.structs.replace(sent, address=heard.address)


async def test_a_message_addressed_elsewhere_keeps_its_type(bench: Bench) -> None:
    sent = msgspec.structs.replace(FULL, exchange=bench.records, address="location.of.a.message")
    await bench.broker.publish([sent])
    assert await drain(bench.broker, bench.queue("deep"), 1) == [sent]
    assert sent.type == "person.upsert"


# --- where it goes ----------------------------------------------------------------------------------------------


async def test_a_star_stands_for_one_word_and_a_hash_for_any_number(bench: Bench) -> None:
    sent = ["person", "person.upsert", "person.upsert.late", "location", "location.a", "location.a.b.c", "a.b.c.d"]
    await bench.broker.publish([bench.message(key, number) for number, key in enumerate(sent)])
    assert sorted(keys(await drain(bench.broker, bench.queue("all"), 7))) == sorted(sent)
    assert keys(await drain(bench.broker, bench.queue("people"), 1)) == ["person.upsert"]
    deep = await drain(bench.broker, bench.queue("deep"), 4)
    assert sorted(keys(deep)) == ["location", "location.a", "location.a.b.c", "person.upsert.late"]
    for queue in ("all", "people", "deep", "idle"):
        await depth_becomes(bench.broker, bench.queue(queue), 0)


async def test_every_queue_that_is_bound_gets_its_own_copy(bench: Bench) -> None:
    await bench.broker.publish([bench.message()])
    assert ids(await drain(bench.broker, bench.queue("people"), 1)) == ["id-0"]
    assert ids(await drain(bench.broker, bench.queue("all"), 1)) == ["id-0"]
    await depth_becomes(bench.broker, bench.queue("idle"), 0)


async def test_a_queue_bound_twice_to_a_message_gets_it_once(bench: Bench) -> None:
    await bench.broker.publish([bench.message("location.a.b")])
    await drain(bench.broker, bench.queue("deep"), 1)
    await depth_becomes(bench.broker, bench.queue("deep"), 0)


async def test_a_message_to_a_queues_own_name_reaches_that_queue_only(bench: Bench) -> None:
    sent = bench.message().to("", bench.queue("people"))
    await bench.broker.publish([sent])
    assert await drain(bench.broker, bench.queue("people"), 1) == [sent]
    await depth_becomes(bench.broker, bench.queue("all"), 0)


async def test_a_dead_letter_goes_to_the_dead_letters_of_its_queue_only(bench: Bench) -> None:
    letter = bench.message().to(DEAD, bench.queue("people") + ".dead")
    await bench.broker.publish([letter])
    assert await drain(bench.broker, bench.queue("people") + ".dead", 1) == [letter]
    for queue in ("people", "all", "all.dead"):
        await depth_becomes(bench.broker, bench.queue(queue), 0)


async def test_a_dead_letter_for_which_there_is_no_queue_is_refused_as_unroutable(bench: Bench) -> None:
    with pytest.raises(UnroutableError):
        await bench.broker.publish([bench.message().to(DEAD, bench.queue("nowhere") + ".dead")])
    await bench.broker.publish([bench.message()])
    assert await bench.broker.depth(bench.queue("all")) == 1


async def test_a_message_to_a_queue_that_does_not_exist_is_refused_as_unroutable(bench: Bench) -> None:
    with pytest.raises(UnroutableError):
        await bench.broker.publish([bench.message().to("", bench.queue("nowhere"))])
    await bench.broker.publish([bench.message()])
    assert await bench.broker.depth(bench.queue("all")) == 1


async def test_an_event_in_which_nobody_is_interested_is_no_failure(bench: Bench) -> None:
    await bench.broker.publish([msgspec.structs.replace(bench.message("nobody.Listens"), exchange=EVENTS)])


# --- taking and acknowledging -----------------------------------------------------------------------------------


async def test_what_was_not_acknowledged_comes_back_when_the_subscription_closes(bench: Bench) -> None:
    await bench.broker.publish(bench.messages(3))
    async with bench.broker.subscribe(bench.queue("people"), prefetch=10) as first:
        assert sorted(ids(await take(first, 3))) == ["id-0", "id-1", "id-2"]
    assert sorted(ids(await drain(bench.broker, bench.queue("people"), 3))) == ["id-0", "id-1", "id-2"]


async def test_what_was_acknowledged_does_not_come_back(bench: Bench) -> None:
    await bench.broker.publish(bench.messages(3))
    async with bench.broker.subscribe(bench.queue("people"), prefetch=10) as first:
        kept = ids(await take(first, 2))
        await first.ack()
        await take(first, 1)
    async with bench.broker.subscribe(bench.queue("people"), prefetch=10) as second:
        again = ids(await take(second, 1))
        assert sorted(kept + again) == ["id-0", "id-1", "id-2"]
        await second.ack()
        await assert_silent(second)


async def test_an_acknowledgement_covers_every_batch_since_the_last_one(bench: Bench) -> None:
    await bench.broker.publish(bench.messages(4))
    async with bench.broker.subscribe(bench.queue("people"), prefetch=10) as subscription:
        await take(subscription, 2)
        await take(subscription, 2)
        await subscription.ack()
    async with bench.broker.subscribe(bench.queue("people"), prefetch=10) as subscription:
        await assert_silent(subscription)


async def test_acknowledging_when_there_is_nothing_new_does_no_harm(bench: Bench) -> None:
    await bench.broker.publish(bench.messages(2))
    async with bench.broker.subscribe(bench.queue("people"), prefetch=10) as subscription:
        await subscription.ack()
        await take(subscription, 1)
        await subscription.ack()
        await subscription.ack()
        await take(subscription, 1)
    assert len(await drain(bench.broker, bench.queue("people"), 1)) == 1


async def test_a_batch_has_at_most_the_limit_and_at_least_one(bench: Bench) -> None:
    await bench.broker.publish(bench.messages(5))
    async with bench.broker.subscribe(bench.queue("people"), prefetch=10) as subscription:
        seen: list[str] = []
        async with asyncio.timeout(SOON):
            while len(seen) < 5:
                batch = await subscription.next(2, 0.05)
                assert 1 <= len(batch) <= 2
                seen += ids(batch)
        await subscription.ack()
    assert len(set(seen)) == 5


async def test_a_consumer_of_an_empty_queue_waits_for_the_first_message(bench: Bench) -> None:
    async with bench.broker.subscribe(bench.queue("people"), prefetch=10) as subscription:
        waiting = asyncio.create_task(take(subscription, 1))
        done, _ = await asyncio.wait([waiting], timeout=QUIET)
        assert not done
        await bench.broker.publish([bench.message()])
        assert ids(await waiting) == ["id-0"]
        await subscription.ack()


async def test_a_message_that_comes_alone_is_not_kept_waiting_for_company(bench: Bench) -> None:
    await bench.broker.publish([bench.message()])
    async with bench.broker.subscribe(bench.queue("people"), prefetch=10) as subscription, asyncio.timeout(SOON):
        assert ids(await subscription.next(500, 0.05)) == ["id-0"]


async def test_no_more_is_handed_out_than_the_prefetch_until_some_is_acknowledged(bench: Bench) -> None:
    await bench.broker.publish(bench.messages(5))
    async with bench.broker.subscribe(bench.queue("people"), prefetch=3) as subscription:
        first = ids(await take(subscription, 3))
        await assert_silent(subscription)
        await subscription.ack()
        rest = ids(await take(subscription, 2))
        await subscription.ack()
    assert len(set(first + rest)) == 5


async def test_two_subscriptions_share_the_work_and_no_message(bench: Bench) -> None:
    queue = bench.queue("people")
    async with (
        bench.broker.subscribe(queue, prefetch=10) as one,
        bench.broker.subscribe(queue, prefetch=10) as other,
    ):
        seen: list[str] = []

        async def work(subscription: Subscription) -> None:
            while len(seen) < 200:
                seen.extend(ids(await subscription.next(5, 0.01)))
                await subscription.ack()
                await asyncio.sleep(0)

        workers = [asyncio.create_task(work(subscription)) for subscription in (one, other)]
        await bench.broker.publish(bench.messages(200))
        async with asyncio.timeout(SOON):
            await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    assert len(seen) == len(set(seen)) == 200


async def test_a_message_waits_for_the_second_consumer_when_the_first_has_its_hands_full(bench: Bench) -> None:
    queue = bench.queue("people")
    await bench.broker.publish(bench.messages(2))
    async with bench.broker.subscribe(queue, prefetch=1) as full, bench.broker.subscribe(queue, prefetch=1) as free:
        first = ids(await take(full, 1))
        second = ids(await take(free, 1))
    assert sorted(first + second) == ["id-0", "id-1"]


async def test_a_consumer_that_waits_can_be_cancelled_and_takes_nothing_with_it(bench: Bench) -> None:
    async with bench.broker.subscribe(bench.queue("people"), prefetch=10) as subscription:
        waiting = asyncio.create_task(subscription.next(10, 5.0))
        await asyncio.wait([waiting], timeout=QUIET)
        waiting.cancel()
        async with asyncio.timeout(SOON):
            await asyncio.wait([waiting])
        assert waiting.cancelled()
    await bench.broker.publish([bench.message()])
    assert ids(await drain(bench.broker, bench.queue("people"), 1)) == ["id-0"]


async def test_messages_of_a_batch_that_was_cancelled_while_it_filled_are_not_acknowledged(bench: Bench) -> None:
    await bench.broker.publish([bench.message()])
    async with bench.broker.subscribe(bench.queue("people"), prefetch=10) as subscription:
        returned: list[Message] = []

        async def fill() -> None:
            while True:  # the broker in memory does not wait for company, so it is asked again
                returned.extend(await subscription.next(10, 60.0))

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(fill(), QUIET)
        await bench.broker.publish([bench.message(number=1)])
        returned += await take(subscription, 1)
        await subscription.ack()
    async with bench.broker.subscribe(bench.queue("people"), prefetch=10) as subscription:
        while len(returned) < 2:
            returned += await take(subscription, 1)
    assert sorted(ids(returned)) == ["id-0", "id-1"]


# --- counting, limits, many, again ------------------------------------------------------------------------------


async def test_the_depth_counts_what_waits_and_not_what_was_handed_out(bench: Bench) -> None:
    queue = bench.queue("people")
    assert await bench.broker.depth(queue) == 0
    await bench.broker.publish(bench.messages(5))
    await depth_becomes(bench.broker, queue, 5)
    async with bench.broker.subscribe(queue, prefetch=2) as subscription:
        await take(subscription, 2)
        await depth_becomes(bench.broker, queue, 3)
    await depth_becomes(bench.broker, queue, 5)


async def test_a_full_queue_refuses_loses_nothing_and_takes_again_when_it_was_drained(short_bench: Bench) -> None:
    broker, queue = short_bench.broker, short_bench.queue("people")
    confirmed: set[str] = set()

    async def publish_until_refused() -> None:
        for message in short_bench.messages(50 * SHORT):
            await broker.publish([message.to("", queue)])
            confirmed.add(message.message_id)

    with pytest.raises(BrokerRefusedError):
        await asyncio.wait_for(publish_until_refused(), SOON)
    assert len(confirmed) >= SHORT
    taken = await drain(broker, queue, len(confirmed))
    assert confirmed <= set(ids(taken))
    later = short_bench.message(number=1_000_000).to("", queue)
    async with asyncio.timeout(SOON):
        while True:
            try:
                await broker.publish([later])
                break
            except BrokerRefusedError:
                await asyncio.sleep(0.05)
    await depth_becomes(broker, queue, 1)


async def test_one_full_queue_among_two_refuses_the_message_and_the_other_queue_stays_in_use(
    short_bench: Bench,
) -> None:
    broker = short_bench.broker

    async def fill() -> None:
        for message in short_bench.messages(50 * SHORT):
            await broker.publish([message.to("", short_bench.queue("all"))])

    with pytest.raises(BrokerRefusedError):
        await asyncio.wait_for(fill(), SOON)
    with pytest.raises(BrokerRefusedError):
        await asyncio.wait_for(broker.publish([short_bench.message()]), SOON)
    alone = short_bench.message(number=7).to("", short_bench.queue("people"))
    await asyncio.wait_for(broker.publish([alone]), SOON)


async def test_two_thousand_messages_in_one_call_all_arrive(bench: Bench) -> None:
    await asyncio.wait_for(bench.broker.publish(bench.messages(2_000)), SOON)
    assert len(set(ids(await drain(bench.broker, bench.queue("people"), 2_000)))) == 2_000
    await depth_becomes(bench.broker, bench.queue("people"), 0)


async def test_a_body_of_any_length_arrives_whole_also_where_it_takes_several_frames(bench: Bench) -> None:
    most = LARGEST - OVERHEAD
    sizes = (0, 1, most - 1, most, most + 1, 3 * most + 5)
    bodies = [bytes(number % 251 for number in range(size)) for size in sizes]
    sent = [msgspec.structs.replace(bench.message(number=number), body=body) for number, body in enumerate(bodies)]
    await asyncio.wait_for(bench.broker.publish(sent), SOON)
    came = await drain(bench.broker, bench.queue("people"), len(sent))
    assert {one.message_id: one.body for one in came} == {one.message_id: one.body for one in sent}


async def test_publishing_nothing_is_nothing(bench: Bench) -> None:
    await bench.broker.publish([])
    assert await bench.broker.depth(bench.queue("all")) == 0


async def test_several_tasks_may_publish_at_once(bench: Bench) -> None:
    sent = [bench.message(number=number) for number in range(100)]
    await asyncio.gather(*(bench.broker.publish(sent[start : start + 10]) for start in range(0, 100, 10)))
    assert len(set(ids(await drain(bench.broker, bench.queue("people"), 100)))) == 100


async def test_a_broker_that_was_stopped_can_be_started_again_and_has_kept_what_it_held(bench: Bench) -> None:
    await bench.broker.publish([bench.message(number=1)])
    await bench.broker.stop()
    await bench.broker.start()
    await bench.broker.publish([bench.message(number=2)])
    assert sorted(ids(await drain(bench.broker, bench.queue("people"), 2))) == ["id-1", "id-2"]
