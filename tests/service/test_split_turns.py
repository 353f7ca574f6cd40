"""Splitting: reading ahead of the broker, noting only what it confirmed, taking turns, and giving way to a replica."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from esrbridge.embedded import as_role
from services.ingest import splitter, turns
from services.ingest.pipeline import AHEAD
from services.ingest.schema import FILES
from services.ingest.source import Checked, Line, Place
from services.ingest.splitter import AMONG_OTHERS, FAULTY, IN_FLIGHT, ROOM, STEP, TURN, Splitter
from services.ingest.steps import STEP_BYTES
from services.ingest.store import AnyRow
from shared.accounting import Fate
from shared.clock import FixedClock
from shared.db.engine import make_engine
from shared.db.unit import Work
from shared.errors import BrokerRefusedError, BrokerUnavailableError
from shared.esr.faults import Fault, RecordCode
from shared.messaging.memory import MemoryBroker
from shared.messaging.message import Message
from shared.messaging.topology import DEAD, RECORDS

CLAIM = 60.0
SOON = 10.0
QUIET = 0.2


class Broker(MemoryBroker):
    """Keeps the records it confirmed. ``before`` may hold up or refuse a batch of records."""

    durable = True

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Message] = []
        self.letters: list[Message] = []
        self.begun = 0
        self.open = asyncio.Event()
        self.open.set()
        self.fails_at: int | None = None
        """Number of the batch that fails, counted from 1."""
        self.away = False
        self._changed = asyncio.Condition()

    async def has_begun(self, batches: int) -> None:
        """Wait until so many batches have come, confirmed or not."""
        async with asyncio.timeout(SOON), self._changed:
            await self._changed.wait_for(lambda: self.begun >= batches)

    async def publish(self, messages: Sequence[Message]) -> None:
        records = [one for one in messages if one.exchange == RECORDS]
        self.letters += [one for one in messages if one.exchange == DEAD]
        if not records:
            return
        async with self._changed:
            self.begun += 1
            self._changed.notify_all()
        if self.away:
            raise BrokerUnavailableError("gone")
        if self.begun == self.fails_at:
            raise BrokerRefusedError("a queue is full")
        await self.open.wait()
        self.records += records


class Lines:
    """A file format whose files are as long as their first line says. Some lines are odd."""

    exchange = RECORDS

    def __init__(self) -> None:
        self.odd: dict[int, Line] = {}
        self.read: Counter[str] = Counter()
        self.threads: set[int] = set()
        self.unreadable: int | None = None
        """Record at which the disk fails."""

    def name_of(self, name: str) -> str:
        return name

    def check(self, path: Path, name: str, vpd: str) -> Checked:
        raise NotImplementedError

    def people(self, path: Path, name: str) -> Iterator[Any]:
        raise NotImplementedError

    def lines(self, path: Path, name: str, start: Place) -> Iterator[Line]:
        self.threads.add(threading.get_ident())
        for number in range(start.position + 1, int(path.read_text()) + 1):
            self.read[name] += 1
            if number == self.unreadable:
                raise OSError("unreadable")
            yield self.odd.get(number) or line(number)


def line(number: int, *, size: int = 100, **said: object) -> Line:
    place = Place(offset=size * number, line=number, position=number)
    return Line(number, "location.upsert", {"location_id": str(number)}, place, **said)  # type: ignore[arg-type]


class Ingest:
    """A splitter on a database of its own, and the files it is given."""

    def __init__(self, work: Work, broker: Broker, folder: Path) -> None:
        self.work = work
        self.broker = broker
        self.source = Lines()
        self._folder = folder

    def splitter(self, claim_seconds: float = CLAIM) -> Splitter:
        sources = {(vpd, "esr"): self.source for vpd in ("991", "992")}
        return Splitter(self.work, self.broker, sources, lambda _, sha256: self._folder / sha256, claim_seconds)

    async def let_in(self, name: str, records: int, vpd: str = "991") -> None:
        (self._folder / name).write_text(str(records))
        row = {
            "vpd": vpd, "name": name, "sha256": name, "origin": "esr", "size": 1, "mtime_ns": 1, "status": "ready",
            "received_at": datetime.now().astimezone(), "stream": "feed", "number": 7, "records": records,
        }  # fmt: skip
        async with self.work.engine.begin() as connection:
            await connection.execute(FILES.insert().values(row))

    async def file(self, name: str) -> AnyRow:
        async with self.work.engine.connect() as connection:
            return (await connection.execute(select(FILES).where(FILES.c.name == name))).one()

    async def change(self, statement: str) -> None:
        async with self.work.engine.begin() as connection:
            await connection.execute(text(statement))

    def sent(self) -> list[int]:
        return [one.line for one in self.broker.records]


@pytest.fixture
async def ingest(database: str, passwords: Mapping[str, str], tmp_path: Path) -> AsyncIterator[Ingest]:
    engine = make_engine(as_role(database, "ingest", passwords["ingest"]), name="test")
    broker = Broker()
    work = Work("ingest", engine, broker, FixedClock(datetime.fromisoformat("2026-03-02T06:00")))
    try:
        yield Ingest(work, broker, tmp_path)
    finally:
        await engine.dispose()


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    """As much on its way as turns bring about, which is what these tests are of."""
    for limit in ("IN_FLIGHT", "AMONG_OTHERS"):
        monkeypatch.setattr(splitter, limit, 10 * TURN)


@pytest.mark.usefixtures("room")
async def test_every_record_of_a_file_is_sent_once_and_in_order(ingest: Ingest) -> None:
    await ingest.let_in("A", 2 * STEP + 7)
    assert await ingest.splitter().run() == 2 * STEP + 7
    assert sorted(ingest.sent()) == list(range(1, 2 * STEP + 8))
    row = await ingest.file("A")
    assert (row.status, row.position, row.line, row.offset) == (
        "split",
        2 * STEP + 7,
        2 * STEP + 7,
        100 * (2 * STEP + 7),
    )
    assert await ingest.splitter().run() == 0


async def test_a_file_is_read_aside_so_that_a_slow_disk_holds_up_nothing_else(ingest: Ingest) -> None:
    await ingest.let_in("A", 3)
    await ingest.splitter().run()
    assert threading.get_ident() not in ingest.source.threads


@pytest.mark.usefixtures("room")
async def test_reading_goes_on_while_the_broker_confirms_but_only_so_far(ingest: Ingest) -> None:
    await ingest.let_in("A", TURN)
    ingest.broker.open.clear()
    turn = asyncio.create_task(ingest.splitter().run())
    await ingest.broker.has_begun(AHEAD + 1)
    await asyncio.wait([turn], timeout=QUIET)
    assert ingest.broker.begun == AHEAD + 1
    assert ingest.source.read["A"] <= (AHEAD + 2) * STEP
    ingest.broker.open.set()
    assert await asyncio.wait_for(turn, SOON) == TURN


async def test_nothing_is_noted_before_the_broker_has_confirmed(ingest: Ingest) -> None:
    await ingest.let_in("A", 10)
    ingest.broker.open.clear()
    turn = asyncio.create_task(ingest.splitter().run())
    await ingest.broker.has_begun(1)
    await asyncio.wait([turn], timeout=QUIET)
    assert (await ingest.file("A")).position == 0
    ingest.broker.open.set()
    await turn
    assert (await ingest.file("A")).position == 10


@pytest.mark.usefixtures("room")
async def test_what_was_confirmed_before_a_failure_is_noted_and_the_rest_is_sent_later(ingest: Ingest) -> None:
    await ingest.let_in("A", 4 * STEP)
    ingest.broker.fails_at = 3
    with pytest.raises(BrokerRefusedError):
        await ingest.splitter().run()
    row = await ingest.file("A")
    assert (row.status, row.position) == ("splitting", 2 * STEP)
    assert row.claimed_until is None
    ingest.broker.fails_at = None
    assert await ingest.splitter().run() == 2 * STEP
    assert set(ingest.sent()) == set(range(1, 4 * STEP + 1))
    assert len(ingest.sent()) <= 4 * STEP + AHEAD * STEP


@pytest.mark.usefixtures("room")
async def test_a_file_that_cannot_be_read_further_is_not_sent_again_and_again_up_to_there(ingest: Ingest) -> None:
    await ingest.let_in("A", 4 * STEP)
    ingest.source.unreadable = 2 * STEP + 5
    for _ in range(3):
        with pytest.raises(OSError, match="unreadable"):
            await ingest.splitter().run()
    assert (await ingest.file("A")).position == 2 * STEP
    assert sorted(ingest.sent()) == list(range(1, 2 * STEP + 1))


async def test_a_record_that_is_sent_again_has_the_same_message_id(ingest: Ingest) -> None:
    await ingest.let_in("A", 5)
    await ingest.splitter().run()
    await ingest.splitter().start_over()
    await ingest.splitter().run()
    ids = [(one.line, one.message_id) for one in ingest.broker.records]
    assert len(ids) == 10
    assert len(set(ids)) == len({identity for _, identity in ids}) == 5


async def test_a_turn_that_is_cancelled_notes_nothing_and_leaves_nothing_running(ingest: Ingest) -> None:
    await ingest.let_in("A", TURN)
    ingest.broker.open.clear()
    before = asyncio.all_tasks()
    turn = asyncio.create_task(ingest.splitter().run())
    await ingest.broker.has_begun(1)
    turn.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.wait_for(turn, SOON)
    assert turn.cancelled()
    assert asyncio.all_tasks() <= before
    assert (await ingest.file("A")).position == 0


# --- turns ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("room")
async def test_files_of_all_trusts_take_turns_so_that_a_long_one_holds_up_none(ingest: Ingest) -> None:
    await ingest.let_in("LONG", 3 * TURN)
    await ingest.let_in("SHORT", 5, vpd="992")
    split = ingest.splitter()
    assert [await split.run(), await split.run()] == [TURN, 5]
    assert (await ingest.file("SHORT")).status == "split"


@pytest.mark.usefixtures("room")
async def test_a_file_for_which_nobody_waits_goes_on_and_its_place_is_noted_meanwhile(ingest: Ingest) -> None:
    await ingest.let_in("A", TURN + 2 * STEP)
    publish, reached, held = ingest.broker.publish, asyncio.Event(), asyncio.Event()

    async def hold_the_second_turn(messages: Sequence[Message]) -> None:
        if messages[0].line > TURN:
            reached.set()
            await held.wait()
        await publish(messages)

    ingest.broker.publish = hold_the_second_turn  # type: ignore[method-assign]
    going = asyncio.create_task(ingest.splitter().run())
    await asyncio.wait_for(reached.wait(), SOON)
    row = await ingest.file("A")
    assert (row.status, row.position) == ("splitting", TURN - AHEAD * STEP)
    assert row.claimed_until > datetime.now().astimezone()
    assert await ingest.splitter().run() == 0, "a replica leaves the file to who is at it"
    held.set()
    assert await asyncio.wait_for(going, SOON) == TURN + 2 * STEP
    assert sorted(ingest.sent()) == list(range(1, TURN + 2 * STEP + 1))


@pytest.mark.usefixtures("room")
async def test_a_file_that_goes_on_gives_way_at_the_end_of_the_turn_in_which_another_came(ingest: Ingest) -> None:
    await ingest.let_in("LONG", 4 * TURN)
    publish = ingest.broker.publish

    async def let_another_in(messages: Sequence[Message]) -> None:
        if messages[0].line == TURN + STEP + 1:
            await ingest.let_in("SHORT", 5, vpd="992")
        await publish(messages)

    ingest.broker.publish = let_another_in  # type: ignore[method-assign]
    split = ingest.splitter()
    assert [await split.run(), await split.run()] == [2 * TURN, 5]


@pytest.mark.usefixtures("room")
async def test_a_note_that_fails_between_two_turns_loses_no_fate(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ingest.let_in("A", TURN + 5)
    ingest.source.odd[3] = line(3, ignored=Fate.IGNORED_LIST_OF_VALUES)
    keep_place = turns.keep_place

    async def fail_once(*said: Any) -> int | None:
        monkeypatch.setattr(turns, "keep_place", keep_place)
        raise ConnectionError("gone")

    monkeypatch.setattr(turns, "keep_place", fail_once)
    with pytest.raises(ConnectionError):
        await ingest.splitter().run()
    assert (await ingest.file("A")).position == 0
    await ingest.change("UPDATE ingest.files SET claimed_until = NULL")
    assert await ingest.splitter().run() == TURN + 5
    assert (await ingest.file("A")).fates == {str(int(Fate.IGNORED_LIST_OF_VALUES)): 1}


async def test_a_file_rests_while_too_many_of_its_records_have_no_fate_yet(ingest: Ingest) -> None:
    await ingest.let_in("A", 3 * IN_FLIGHT)
    split = ingest.splitter()
    sent = 0
    while more := await split.run():
        sent += more
    assert sent == IN_FLIGHT
    row = await ingest.file("A")
    assert (row.status, row.position, row.claimed_until) == ("splitting", IN_FLIGHT, None)
    await ingest.change(f"UPDATE ingest.files SET fates = '{{\"16\": {IN_FLIGHT - 100}}}'")
    assert await split.run() == IN_FLIGHT - 100


async def test_a_file_that_has_no_room_is_passed_over_until_there_is_some_worth_a_turn(ingest: Ingest) -> None:
    await ingest.let_in("A", 3 * IN_FLIGHT)
    split = ingest.splitter()
    assert await split.run() == IN_FLIGHT
    await ingest.let_in("B", 5)
    await ingest.change("UPDATE ingest.files SET last_turn = now() + interval '1 hour' WHERE name = 'B'")
    assert await split.run() == 5, "it does not keep others waiting"
    share = IN_FLIGHT // ROOM
    await ingest.change(f"UPDATE ingest.files SET fates = '{{\"16\": {share - 2}, \"32\": 1}}' WHERE name = 'A'")
    assert await split.run() == 0
    await ingest.change(f"UPDATE ingest.files SET fates = '{{\"16\": {share - 1}, \"32\": 1}}' WHERE name = 'A'")
    assert await split.run() == share


@pytest.mark.parametrize(
    ("vpd", "at_work", "most"),
    [
        ("992", "status = 'splitting', claimed_until = now() + interval '1 minute'", AMONG_OTHERS),
        ("992", "status = 'complete', last_turn = now() - interval '50 seconds'", AMONG_OTHERS),
        ("992", "status = 'complete', last_turn = now() - interval '70 seconds'", IN_FLIGHT),
        ("992", "status = 'held'", IN_FLIGHT),
        ("991", "status = 'splitting', claimed_until = now() + interval '1 minute'", IN_FLIGHT),
        ("993", "status = 'splitting'", IN_FLIGHT),
    ],
)
async def test_less_of_a_file_is_on_its_way_while_or_just_after_another_trusts_file_is_at_work(
    ingest: Ingest, vpd: str, at_work: str, most: int
) -> None:
    await ingest.let_in("OTHER", 5, vpd=vpd)
    await ingest.change(f"UPDATE ingest.files SET {at_work} WHERE name = 'OTHER'")
    await ingest.let_in("A", 3 * IN_FLIGHT)
    split = ingest.splitter()
    assert await split.run() == most
    turn = (await ingest.file("A")).last_turn
    assert await split.run() == 0
    assert (await ingest.file("A")).last_turn == turn, "it is passed over"
    await ingest.change(f"UPDATE ingest.files SET fates = '{{\"16\": {most // ROOM}}}' WHERE name = 'A'")
    assert [await split.run(), await split.run()] == [most // ROOM, 0]


async def test_a_file_that_goes_on_sends_less_from_the_turn_on_in_which_another_trusts_file_came(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splitter, "TURN", AMONG_OTHERS + 100)
    monkeypatch.setattr(splitter, "STEP", 100)
    await ingest.let_in("A", 3 * IN_FLIGHT)
    publish = ingest.broker.publish

    async def let_another_be_at_work(messages: Sequence[Message]) -> None:
        if messages[0].line == 1:
            await ingest.let_in("OTHER", 5, vpd="992")
            claimed = "status = 'splitting', claimed_until = now() + interval '1 minute'"
            await ingest.change(f"UPDATE ingest.files SET {claimed} WHERE name = 'OTHER'")
        await publish(messages)

    ingest.broker.publish = let_another_be_at_work  # type: ignore[method-assign]
    assert await ingest.splitter().run() == AMONG_OTHERS + 100


async def test_a_turn_ends_in_time_to_note_what_was_sent_though_the_broker_is_slow(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splitter, "STEP", 10)
    await ingest.let_in("A", TURN)
    publish = ingest.broker.publish

    async def slowly(messages: Sequence[Message]) -> None:
        await asyncio.sleep(0.05)
        await publish(messages)

    monkeypatch.setattr(ingest.broker, "publish", slowly)
    sent = await asyncio.wait_for(ingest.splitter(claim_seconds=3.0).run(), 2.5)
    assert 0 < sent < TURN
    assert (await ingest.file("A")).position == sent


async def test_large_records_are_read_in_smaller_steps_so_that_little_of_a_file_is_in_memory(ingest: Ingest) -> None:
    await ingest.let_in("A", 40)
    large = STEP_BYTES // 10
    ingest.source.odd = {number: line(number, size=large) for number in range(1, 41)}
    assert await ingest.splitter().run() == 40
    assert ingest.broker.begun == 4
    assert sorted(ingest.sent()) == list(range(1, 41))


async def test_a_turn_ends_after_many_faulty_records_so_that_its_note_does_not_grow_without_bounds(
    ingest: Ingest,
) -> None:
    await ingest.let_in("A", TURN)
    fault = (Fault(RecordCode.R103, 1, "date_from", "not a date"),)
    ingest.source.odd = {number: line(number, faults=fault) for number in range(1, TURN + 1)}
    split = ingest.splitter()
    sent = await split.run()
    assert FAULTY <= sent < FAULTY + STEP
    while sent < TURN:
        sent += await split.run()
    row = await ingest.file("A")
    assert (row.status, row.fates) == ("complete", {str(int(Fate.DEAD_LETTERED)): TURN})
    assert [one.line for one in ingest.broker.letters] == list(range(1, TURN + 1))


async def test_two_replicas_never_split_one_file_at_the_same_time(ingest: Ingest) -> None:
    await ingest.let_in("A", 100)
    ingest.broker.open.clear()
    first = asyncio.create_task(ingest.splitter().run())
    await ingest.broker.has_begun(1)
    assert await ingest.splitter().run() == 0
    ingest.broker.open.set()
    assert await first == 100
    assert len(ingest.sent()) == 100


async def test_a_replica_that_was_too_slow_notes_nothing_and_the_one_that_took_over_goes_on(ingest: Ingest) -> None:
    await ingest.let_in("A", 100)
    ingest.source.odd[50] = line(50, faults=(Fault(RecordCode.R103, 50, "date_from", "not a date"),))
    ingest.source.odd[51] = line(51, warned=True)
    ingest.broker.open.clear()
    slow = asyncio.create_task(ingest.splitter().run())
    await ingest.broker.has_begun(1)
    await ingest.change("UPDATE ingest.files SET claimed_until = now() - interval '1 second'")
    quick = asyncio.create_task(ingest.splitter().run())
    await ingest.broker.has_begun(2)
    ingest.broker.open.set()
    assert {await slow, await quick} == {0, 100}
    row = await ingest.file("A")
    assert (row.status, row.position, row.warnings, row.fates) == ("split", 100, 1, {str(int(Fate.DEAD_LETTERED)): 1})
    assert len({one.message_id for one in ingest.broker.records}) == 99


# --- records that are not sent ----------------------------------------------------------------------------------


async def test_fates_and_warnings_are_noted_with_the_place_and_never_twice(ingest: Ingest) -> None:
    last = STEP + 10
    await ingest.let_in("A", last)
    ingest.source.odd = {
        3: line(3, warned=True),
        4: line(4, ignored=Fate.IGNORED_LIST_OF_VALUES),
        5: line(5, faults=(Fault(RecordCode.R103, 5, "date_from", "not a date"),), warned=True),
        last: line(last, warned=True),
    }
    await ingest.splitter().run()
    row = await ingest.file("A")
    fates = {str(int(Fate.IGNORED_LIST_OF_VALUES)): 1, str(int(Fate.DEAD_LETTERED)): 1}
    assert (row.status, row.warnings, row.fates) == ("split", 2, fates)
    assert set(ingest.sent()) == set(range(1, last + 1)) - {4, 5}
    [letter] = ingest.broker.letters
    assert (letter.line, letter.code, letter.queue) == (5, "R103", "people.records")
    await ingest.splitter().start_over()
    row = await ingest.file("A")
    assert (row.status, row.position, row.warnings) == ("ready", 0, 0)
    await ingest.splitter().run()
    row = await ingest.file("A")
    assert (row.status, row.warnings, row.fates) == ("split", 2, fates)


async def test_a_file_without_records_is_split_at_once(ingest: Ingest) -> None:
    await ingest.let_in("A", 0)
    await ingest.splitter().run()
    assert (await ingest.file("A")).status in ("split", "complete")
    assert not ingest.sent()


async def test_a_broker_that_is_away_leaves_the_file_for_any_replica_at_once(ingest: Ingest) -> None:
    await ingest.let_in("A", 10)
    ingest.broker.away = True
    with pytest.raises(BrokerUnavailableError):
        await ingest.splitter().run()
    ingest.broker.away = False
    assert await ingest.splitter().run() == 10
