"""The consumer: patience with what is down, isolation of what can never succeed, acknowledgement last."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import BrokerUnavailableError, LmsUnavailableError, RecordError, TopologyError
from shared.messaging import consumer as module
from shared.messaging.consumer import FIRST_DELAY, LONGEST_DELAY, STUCK_SECONDS, Consumer, Progress
from shared.messaging.memory import MemoryBroker
from shared.messaging.message import Message
from shared.messaging.topology import RECORDS

QUEUE = "people.records"


def messages(number: int) -> list[Message]:
    return [
        Message(exchange="x", type="person.upsert", message_id=str(one), vpd="999", body=b"{}") for one in range(number)
    ]


class TinyBroker:
    """Hands out messages until they are acknowledged, and fails as it is told."""

    durable = True

    def __init__(self, waiting: Sequence[Message], diary: list[str], *failures: Exception) -> None:
        self.waiting = list(waiting)
        self.diary = diary
        self.on_subscribe: list[Exception] = list(failures)
        self.on_ack: list[Exception] = []
        self.empty = asyncio.Event()
        self.prefetch = 0

    @asynccontextmanager
    async def subscribe(self, queue: str, *, prefetch: int) -> AsyncIterator["TinySubscription"]:
        assert queue == QUEUE
        self.prefetch = prefetch
        if self.on_subscribe:
            raise self.on_subscribe.pop(0)
        yield TinySubscription(self)

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def publish(self, messages: Sequence[Message]) -> None: ...
    async def depth(self, queue: str) -> int:
        return len(self.waiting)


class TinySubscription:
    def __init__(self, broker: TinyBroker) -> None:
        self.broker = broker
        self.held = 0

    async def next(self, limit: int, wait: float) -> Sequence[Message]:
        del wait
        if not self.broker.waiting:
            self.broker.empty.set()
            await asyncio.Event().wait()
        batch = self.broker.waiting[:limit]
        self.held = len(batch)
        return batch

    async def ack(self) -> None:
        if self.broker.on_ack:
            raise self.broker.on_ack.pop(0)
        self.broker.diary.append(f"ack {self.held}")
        del self.broker.waiting[: self.held]


class Service:
    """A handler that knows which messages are poison and what is down, and writes down what it did."""

    def __init__(self, poison: Sequence[str] = (), *, failures: Sequence[Exception] = ()) -> None:
        self.diary: list[str] = []
        self.poison = set(poison)
        self.failures = list(failures)
        self.give_up_failures: list[Exception] = []
        self.handled: list[str] = []
        self.given_up: list[tuple[str, str, str]] = []

    async def handle(self, batch: Sequence[Message]) -> None:
        ids = [message.message_id for message in batch]
        if self.failures:
            self.diary.append("fail")
            raise self.failures.pop(0)
        if self.poison & set(ids):
            raise RecordError("R101", "poison")
        self.diary.append(f"handle {len(batch)}")
        self.handled += ids

    async def give_up(self, message: Message, queue: str, error: Exception) -> None:
        if self.give_up_failures:
            raise self.give_up_failures.pop(0)
        self.given_up.append((message.message_id, queue, str(error)))


def make(service: Service, broker: TinyBroker, batch: int = 100) -> Consumer:
    return Consumer(broker, QUEUE, service.handle, service.give_up, batch=batch)


async def run_until_empty(consumer: Consumer, broker: TinyBroker) -> None:
    running = asyncio.create_task(consumer.run())
    emptied = asyncio.create_task(broker.empty.wait())
    try:
        async with asyncio.timeout(10):
            await asyncio.wait([running, emptied], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running
    finally:
        running.cancel()
        emptied.cancel()
        await asyncio.gather(running, emptied, return_exceptions=True)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of a millisecond."""
    monkeypatch.setattr(module, "FIRST_DELAY", 0.001)
    monkeypatch.setattr(module, "LONGEST_DELAY", 0.002)


async def test_a_batch_is_acknowledged_after_it_was_handled_and_never_before() -> None:
    service = Service()
    broker = TinyBroker(messages(5), service.diary)
    await run_until_empty(make(service, broker, batch=2), broker)
    assert service.diary == ["handle 2", "ack 2", "handle 2", "ack 2", "handle 1", "ack 1"]


async def test_handled_messages_are_counted_once_acknowledged() -> None:
    service = Service()
    broker = TinyBroker(messages(5), service.diary)
    consumer = make(service, broker, batch=2)
    await run_until_empty(consumer, broker)
    assert consumer.lanes[0].handled == 5
    assert broker.prefetch == 4


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "error", [BrokerUnavailableError("x"), LmsUnavailableError("x"), ConnectionResetError(), TimeoutError()]
)
async def test_while_something_is_down_the_batch_waits_and_nothing_is_given_up(error: Exception) -> None:
    service = Service(failures=[error] * 12)
    broker = TinyBroker(messages(3), service.diary)
    await run_until_empty(make(service, broker), broker)
    assert service.diary == ["fail"] * 12 + ["handle 3", "ack 3"]
    assert service.given_up == []


@pytest.mark.usefixtures("impatient")
async def test_a_loop_that_waits_tells_what_for_until_it_is_there_again() -> None:
    service = Service(failures=[ConnectionResetError()])
    broker = TinyBroker([], service.diary)
    consumer = make(service, broker)
    seen: list[str] = []

    async def handle(batch: Sequence[Message]) -> None:
        seen.append(consumer.lanes[0].waiting_for)
        await service.handle(batch)

    consumer._handle = handle
    await consumer.settle(messages(1), consumer.lanes[0])
    assert seen == ["", "DATABASE_UNAVAILABLE"]
    assert consumer.lanes[0].waiting_for == ""
    assert consumer.lanes[0].busy_since is None


async def test_the_one_poison_message_among_many_is_the_only_one_given_up() -> None:
    service = Service(poison=["41"])
    broker = TinyBroker(messages(100), service.diary)
    await run_until_empty(make(service, broker), broker)
    assert service.given_up == [("41", QUEUE, "R101: poison")]
    assert sorted(service.handled, key=int) == [str(one) for one in range(100) if one != 41]
    assert service.diary[-1] == "ack 100"


@given(st.integers(1, 40), st.data())
async def test_exactly_the_poison_is_given_up_and_everything_else_is_handled(number: int, data: st.DataObject) -> None:
    batch = messages(number)
    poison = data.draw(st.sets(st.sampled_from([one.message_id for one in batch])))
    service = Service(poison=sorted(poison))
    consumer = make(service, TinyBroker([], []))
    await consumer.settle(batch, consumer.lanes[0])
    assert {one for one, _, _ in service.given_up} == poison
    assert len(service.given_up) == len(poison)
    assert sorted(service.handled, key=int) == [one.message_id for one in batch if one.message_id not in poison]


async def test_any_unexpected_failure_is_the_fault_of_its_message_alone() -> None:
    service = Service()

    async def handle(batch: Sequence[Message]) -> None:
        if any(one.message_id == "2" for one in batch):
            raise KeyError("a defect of ours")
        await service.handle(batch)

    consumer = Consumer(TinyBroker([], []), QUEUE, handle, service.give_up)
    await consumer.settle(messages(4), consumer.lanes[0])
    assert [one for one, _, _ in service.given_up] == ["2"]
    assert service.handled == ["0", "1", "3"]


@pytest.mark.usefixtures("impatient")
async def test_something_that_goes_down_while_the_poison_is_sought_does_not_make_others_poison() -> None:
    service = Service(poison=["3"])
    attempts = 0

    async def handle(batch: Sequence[Message]) -> None:
        nonlocal attempts
        attempts += 1
        if attempts % 2 == 0:
            raise ConnectionResetError
        await service.handle(batch)

    consumer = Consumer(TinyBroker([], []), QUEUE, handle, service.give_up)
    await consumer.settle(messages(8), consumer.lanes[0])
    assert [one for one, _, _ in service.given_up] == ["3"]
    assert len(service.handled) == 7


@pytest.mark.usefixtures("impatient")
async def test_giving_up_is_tried_again_while_the_database_is_down() -> None:
    service = Service(poison=["0"])
    service.give_up_failures = [ConnectionRefusedError(), TimeoutError(), ConnectionResetError()]
    broker = TinyBroker(messages(1), service.diary)
    await run_until_empty(make(service, broker), broker)
    assert [one for one, _, _ in service.given_up] == ["0"]
    assert service.diary == ["ack 1"]


async def test_a_message_that_cannot_even_be_given_up_is_not_acknowledged() -> None:
    service = Service(poison=["0"])
    service.give_up_failures = [KeyError("dead letters")]
    broker = TinyBroker(messages(1), service.diary)
    with pytest.raises(KeyError, match="dead letters"):
        await run_until_empty(make(service, broker), broker)
    assert service.diary == []
    assert len(broker.waiting) == 1


@pytest.mark.usefixtures("impatient")
async def test_a_lost_connection_is_made_again() -> None:
    service = Service()
    broker = TinyBroker(messages(2), service.diary, *[BrokerUnavailableError("x") for _ in range(3)])
    await run_until_empty(make(service, broker), broker)
    assert service.diary == ["handle 2", "ack 2"]


@pytest.mark.usefixtures("impatient")
async def test_a_batch_whose_acknowledgement_failed_is_handled_again() -> None:
    service = Service()
    broker = TinyBroker(messages(2), service.diary)
    broker.on_ack = [BrokerUnavailableError("x")]
    consumer = make(service, broker)
    await run_until_empty(consumer, broker)
    assert service.diary == ["handle 2", "handle 2", "ack 2"]
    assert consumer.lanes[0].handled == 2


async def test_a_topology_that_is_not_ours_ends_the_loop() -> None:
    broker = TinyBroker(messages(2), [], TopologyError("other arguments"))
    with pytest.raises(TopologyError):
        await run_until_empty(make(Service(), broker), broker)


async def test_being_stopped_while_handling_is_no_failure_of_the_message() -> None:
    service = Service()
    begun = asyncio.Event()

    async def handle(batch: Sequence[Message]) -> None:
        del batch
        begun.set()
        await asyncio.Event().wait()

    broker = TinyBroker(messages(1), service.diary)
    running = asyncio.create_task(Consumer(broker, QUEUE, handle, service.give_up).run())
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert service.given_up == []
    assert len(broker.waiting) == 1


async def test_pauses_double_up_to_a_limit_with_jitter_and_begin_anew_after_success(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(module, "asyncio", SimpleNamespace(sleep=sleep))
    delays = module._Delays()
    for _ in range(12):
        await delays.wait()
    full = [min(FIRST_DELAY * 2**number, LONGEST_DELAY) for number in range(12)]
    assert full[-1] == LONGEST_DELAY
    assert all(most / 2 <= pause <= most for pause, most in zip(pauses, full, strict=True))
    assert pauses != full
    delays.reset()
    await delays.wait()
    assert pauses[-1] <= FIRST_DELAY


def progress_at(*moments: float) -> Progress:
    told: Callable[[], float] = iter(moments).__next__
    return Progress("people.records", clock=told)


def test_a_loop_that_waits_for_messages_is_not_stuck() -> None:
    assert not progress_at().stuck


def test_an_attempt_that_goes_on_for_too_long_is_stuck() -> None:
    progress = progress_at(100.0, 100.0 + STUCK_SECONDS, 100.5 + STUCK_SECONDS)
    progress.begin()
    assert not progress.stuck
    assert progress.stuck


def test_a_loop_whose_attempt_ended_waiting_is_not_stuck() -> None:
    progress = progress_at(100.0)
    progress.begin()
    progress.end("BROKER_UNAVAILABLE")
    assert not progress.stuck
    assert progress.waiting_for == "BROKER_UNAVAILABLE"


# --- several batches in hand --------------------------------------------------------------------------------------


async def memory_with(number: int) -> MemoryBroker:
    broker = MemoryBroker()
    await broker.start()
    await broker.publish([msgspec.structs.replace(one, exchange=RECORDS) for one in messages(number)])
    return broker


async def test_each_lane_has_a_batch_in_hand_and_what_they_handled_is_counted_together() -> None:
    both, rounds = asyncio.Barrier(2), asyncio.Semaphore(0)

    async def handle(batch: Sequence[Message]) -> None:
        assert len(batch) == 1
        async with asyncio.timeout(10):
            await both.wait()  # passes only when two batches are in hand

    consumer = Consumer(await memory_with(6), QUEUE, handle, Service().give_up, batch=1, lanes=2)
    consumer.after = rounds.release
    running = asyncio.create_task(consumer.run())
    async with asyncio.timeout(10):
        for _ in range(6):
            await rounds.acquire()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert consumer.handled == 6
    assert [lane.name for lane in consumer.lanes] == [QUEUE, QUEUE]


async def test_a_lane_that_ends_for_good_ends_the_others_too() -> None:
    service = Service(poison=["0"])
    service.give_up_failures = [KeyError("dead letters")]
    stopped = asyncio.Event()

    async def handle(batch: Sequence[Message]) -> None:
        if batch[0].message_id == "0":
            await service.handle(batch)
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    consumer = Consumer(await memory_with(2), QUEUE, handle, service.give_up, batch=1, lanes=2)
    with pytest.raises(KeyError, match="dead letters"):
        await asyncio.wait_for(consumer.run(), 10)
    assert stopped.is_set()
