"""What storage promises, on a real PostgreSQL: facts in any order, exact fates, an outbox that loses nothing."""

import asyncio
import itertools
import random
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from esrbridge.embedded import as_role
from services.outbound.locks import trust_lock
from shared import events, outcomes
from shared.accounting import BLOCK, Fate, LineFate
from shared.clock import FixedClock
from shared.db import outbox
from shared.db.engine import make_engine
from shared.db.facts import FactStore
from shared.db.ledger import Change, Ledger
from shared.db.outbox import Outbox
from shared.db.unit import REASON_LENGTH, Work, describe
from shared.errors import BrokerUnavailableError, LmsUnavailableError, RecordError
from shared.events import Cause
from shared.facts import Deletion, Fact, Version
from shared.messaging.broker import Broker
from shared.messaging.memory import MemoryBroker
from shared.messaging.message import Message
from shared.messaging.rabbitmq import RabbitBroker
from shared.messaging.topology import DEAD, EVENTS, OUTCOMES, Topology
from shared.transient import is_transient
from tests.integration.faulty_network import Network
from tests.integration.queues import depth_becomes, drain, ids, topology

NOW = FixedClock(datetime(2026, 3, 3, 6, tzinfo=UTC))
FACTS = FactStore("people")
LEDGER = Ledger("people")
FILE = "CS_999_CST_CSF_20260302_00000001.DAT"

_trusts = itertools.count(1)


@pytest.fixture
async def engine(module_database: str, passwords: Mapping[str, str]) -> AsyncIterator[AsyncEngine]:
    made = make_engine(as_role(module_database, "people", passwords["people"]), name="test", pool=10)
    yield made
    await made.dispose()


@pytest.fixture
def vpd() -> str:
    """A trust that no other test of this module uses."""
    return f"trust {next(_trusts)}"


@pytest.fixture
async def empty_outbox(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM people.outbox"))


# --- facts ------------------------------------------------------------------------------------------------------


def fact(vpd: str, file_no: int, line: int = 1, *, key: str = "7", begin: str = "", **data: Any) -> Fact:
    return Fact(vpd, "person", key, begin, "7", Version(f"file {file_no}", file_no, line), data)


def deletion(vpd: str, file_no: int, line: int = 1, *, key: str = "7") -> Deletion:
    return Deletion(vpd, "person", key, Version(f"file {file_no}", file_no, line))


async def save(engine: AsyncEngine, *facts: Fact) -> list[Fate]:
    async with engine.begin() as connection:
        return await FACTS.save(connection, facts)


async def remove(engine: AsyncEngine, *deletions: Deletion) -> None:
    async with engine.begin() as connection:
        await FACTS.delete(connection, deletions)


async def live(engine: AsyncEngine, vpd: str, owner: str = "7") -> list[Fact]:
    async with engine.connect() as connection:
        return (await FACTS.live(connection, [(vpd, owner)])).get((vpd, owner), [])


async def test_a_first_fact_is_applied_a_newer_one_too_and_an_older_one_is_superseded(
    engine: AsyncEngine, vpd: str
) -> None:
    assert await save(engine, fact(vpd, 2, name="b")) == [Fate.APPLIED]
    assert await save(engine, fact(vpd, 3, name="c")) == [Fate.APPLIED]
    assert await save(engine, fact(vpd, 1, name="a")) == [Fate.SUPERSEDED]
    assert await live(engine, vpd) == [fact(vpd, 3, name="c")]


async def test_within_a_file_the_later_line_wins(engine: AsyncEngine, vpd: str) -> None:
    assert await save(engine, fact(vpd, 1, 10, name="late")) == [Fate.APPLIED]
    assert await save(engine, fact(vpd, 1, 9, name="early")) == [Fate.SUPERSEDED]
    assert await live(engine, vpd) == [fact(vpd, 1, 10, name="late")]
    assert await save(engine, fact(vpd, 1, 11, name="last")) == [Fate.APPLIED]
    assert await live(engine, vpd) == [fact(vpd, 1, 11, name="last")]


async def test_a_newer_fact_that_says_the_same_is_unchanged_and_carries_the_newer_version(
    engine: AsyncEngine, vpd: str
) -> None:
    await save(engine, fact(vpd, 1, name="a"))
    assert await save(engine, fact(vpd, 5, name="a")) == [Fate.UNCHANGED]
    assert await save(engine, fact(vpd, 3, name="between")) == [Fate.SUPERSEDED]
    assert await live(engine, vpd) == [fact(vpd, 5, name="a")]


async def test_a_fact_that_moves_to_another_person_is_a_change(engine: AsyncEngine, vpd: str) -> None:
    await save(engine, fact(vpd, 1, name="a"))
    moved = Fact(vpd, "person", "7", "", "8", Version("file 2", 2, 1), {"name": "a"})
    assert await save(engine, moved) == [Fate.APPLIED]
    assert await live(engine, vpd) == []
    assert await live(engine, vpd, "8") == [moved]


async def test_a_redelivered_fact_has_the_fate_it_had(engine: AsyncEngine, vpd: str) -> None:
    assert await save(engine, fact(vpd, 1, name="a")) == [Fate.APPLIED]
    assert await save(engine, fact(vpd, 1, name="a")) == [Fate.APPLIED]


async def test_of_duplicates_in_one_batch_the_newest_is_kept_and_each_gets_a_fate(
    engine: AsyncEngine, vpd: str
) -> None:
    batch = [fact(vpd, 1, name="a"), fact(vpd, 3, name="c"), fact(vpd, 2, name="b"), fact(vpd, 3, name="c")]
    assert await save(engine, *batch) == [Fate.SUPERSEDED, Fate.SUPERSEDED, Fate.SUPERSEDED, Fate.APPLIED]
    assert await live(engine, vpd) == [fact(vpd, 3, name="c")]


async def test_fates_stand_in_the_order_of_the_facts_whatever_the_order_of_the_keys(
    engine: AsyncEngine, vpd: str
) -> None:
    await save(engine, fact(vpd, 5, key="m", name="held"), fact(vpd, 1, key="a", name="same"))
    batch = [fact(vpd, 2, key="z"), fact(vpd, 2, key="m"), fact(vpd, 2, key="a", name="same")]
    assert await save(engine, *batch) == [Fate.APPLIED, Fate.SUPERSEDED, Fate.UNCHANGED]


async def test_a_deletion_removes_every_slice_of_its_key_and_nothing_of_another(engine: AsyncEngine, vpd: str) -> None:
    await save(engine, fact(vpd, 1, 1, begin="2026-01-01"), fact(vpd, 1, 2, begin="2026-02-01"), fact(vpd, 1, key="8"))
    await remove(engine, deletion(vpd, 2))
    assert [found.key for found in await live(engine, vpd)] == ["8"]


async def test_a_deletion_that_comes_before_an_older_fact_still_stands(engine: AsyncEngine, vpd: str) -> None:
    await remove(engine, deletion(vpd, 5))
    assert await save(engine, fact(vpd, 4)) == [Fate.SUPERSEDED]
    assert await live(engine, vpd) == []
    assert await save(engine, fact(vpd, 6, name="back")) == [Fate.APPLIED]
    assert await live(engine, vpd) == [fact(vpd, 6, name="back")]


async def test_an_older_deletion_neither_removes_a_newer_fact_nor_weakens_a_newer_deletion(
    engine: AsyncEngine, vpd: str
) -> None:
    await save(engine, fact(vpd, 5))
    await remove(engine, deletion(vpd, 4))
    assert len(await live(engine, vpd)) == 1
    await remove(engine, deletion(vpd, 9), deletion(vpd, 8))
    await remove(engine, deletion(vpd, 7))
    assert await save(engine, fact(vpd, 8)) == [Fate.SUPERSEDED]
    assert await live(engine, vpd) == []


async def test_deletions_tell_whom_they_concern_and_of_no_one_elses_trust(engine: AsyncEngine, vpd: str) -> None:
    other = f"{vpd} b"
    await save(engine, fact(vpd, 1), fact(other, 1), fact(vpd, 1, key="8"))
    async with engine.connect() as connection:
        assert await FACTS.owners(connection, [deletion(vpd, 2)]) == {(vpd, "7")}
        assert await FACTS.owners(connection, [deletion(vpd, 2, key="none")]) == set()
        assert await FACTS.owners(connection, []) == set()


async def test_a_trusts_facts_and_deletions_do_not_touch_another_trusts(engine: AsyncEngine, vpd: str) -> None:
    other = f"{vpd} b"
    await save(engine, fact(vpd, 1, name="mine"), fact(other, 9, name="theirs"))
    await remove(engine, deletion(other, 10))
    assert await live(engine, vpd) == [fact(vpd, 1, name="mine")]
    assert await live(engine, other) == []


async def test_an_empty_batch_is_nothing(engine: AsyncEngine) -> None:
    assert await save(engine) == []
    await remove(engine)


HOSTILE = [
    "O'Brien-\"Ö'ztürk\"",
    "back\\slash \\u0041 \\x41 \\",
    '{curly,"braces"}, NULL, null, {}, [], ;--',
    "'; DROP SCHEMA people CASCADE; --",
    "Zoë Łukasz Nguyễn ﷽ ß ı",
    "🙂👩🏽‍⚕️\U0010ffff",
    "tab\tnewline\nreturn\r\x01\x7f",
    "  surrounded by blanks  ",
    "%s %(vpd)s :vpd $1 {schema}",
    "x" * 10_000,
]


@pytest.mark.parametrize("said", HOSTILE, ids=range(len(HOSTILE)))
async def test_hostile_text_is_kept_to_the_letter_in_every_column(engine: AsyncEngine, vpd: str, said: str) -> None:
    short = said[:500]  # an index entry of PostgreSQL holds 2,700 bytes
    kept = Fact(f"{vpd}{short}", short, short, short, short, Version(short, 1, 1), {said: said, "list": [said, None]})
    assert await save(engine, kept) == [Fate.APPLIED]
    assert await live(engine, kept.vpd, short) == [kept]
    assert await save(engine, Fact(kept.vpd, short, short, short, short, Version(short, 2, 1), kept.data)) == [
        Fate.UNCHANGED
    ]
    await remove(engine, Deletion(kept.vpd, short, short, Version(short, 3, 1)))
    assert await live(engine, kept.vpd, short) == []


async def test_text_that_postgresql_cannot_hold_fails_for_good_and_is_not_waited_for(
    engine: AsyncEngine, vpd: str
) -> None:
    with pytest.raises(DBAPIError) as caught:
        await save(engine, fact(vpd, 1, name="a\0b"))
    assert not is_transient(caught.value)


@dataclass(frozen=True)
class Said:
    """One line of a history: what it says of a key, under a version that no other line has."""

    version: int
    key: str
    begin: str
    name: str
    deleted: bool


lines = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["", "s"]), st.sampled_from("xy"), st.booleans()),
    min_size=1,
    max_size=12,
)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[Said], list[list[Said]]]:
    """A history, and one way it may be delivered: any order, any duplicates, any batches."""
    history = [Said(number, *line) for number, line in enumerate(draw(lines), start=1)]
    again = draw(st.lists(st.sampled_from(history), max_size=6))
    order = draw(st.permutations(history + again))
    cuts = sorted(draw(st.sets(st.integers(1, len(order)), max_size=4)))
    return history, [order[start:end] for start, end in itertools.pairwise([0, *cuts, len(order)]) if start < end]


def place(said: Said) -> tuple[int, int]:
    """File and line: files of three lines each."""
    return divmod(said.version, 3)


def alive(history: list[Said]) -> dict[tuple[str, str], tuple[tuple[int, int], str]]:
    """The rule itself: the newest word on a slice stands, unless a newer deletion of its key followed."""
    standing: dict[tuple[str, str], tuple[tuple[int, int], str]] = {}
    for said in history:
        if said.deleted:
            standing = {at: what for at, what in standing.items() if at[0] != said.key}
        else:
            standing[said.key, said.begin] = (place(said), said.name)
    return standing


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=deliveries())
async def test_a_history_leaves_the_same_live_facts_in_any_order_with_any_duplicates_and_batches(
    engine: AsyncEngine, told: tuple[list[Said], list[list[Said]]]
) -> None:
    history, batches = told
    trust = f"history {next(_trusts)}"
    for batch in batches:
        async with engine.begin() as connection:
            await FACTS.delete(connection, [deletion(trust, *place(s), key=s.key) for s in batch if s.deleted])
            written = [fact(trust, *place(s), key=s.key, begin=s.begin, name=s.name) for s in batch if not s.deleted]
            fates = await FACTS.save(connection, written)
            assert len(fates) == len(written)
    found = {(f.key, f.slice): (f.version.order, f.data["name"]) for f in await live(engine, trust)}
    assert found == alive(history)


async def test_replicas_that_store_the_same_keys_at_once_do_not_deadlock_and_the_newest_stands(
    engine: AsyncEngine, vpd: str
) -> None:
    dice = random.Random(7)
    versions = list(range(1, 41))
    dice.shuffle(versions)

    async def replica(number: int) -> None:
        batch = [fact(vpd, number, key=f"{key}", name=str(number)) for key in range(20)]
        dice.shuffle(batch)
        gone = [deletion(f"{vpd} gone", one.version.file_no, key=one.key) for one in batch]
        async with engine.begin() as connection:
            await FACTS.save(connection, batch)
        async with engine.begin() as connection:
            await FACTS.delete(connection, gone)

    await asyncio.gather(*(replica(number) for number in versions))
    assert [(found.key, found.version.file_no) for found in await live(engine, vpd)] == sorted(
        (str(key), 40) for key in range(20)
    )
    assert await save(engine, *(fact(f"{vpd} gone", 39, key=f"{key}") for key in range(20))) == [Fate.SUPERSEDED] * 20


# --- line fates -------------------------------------------------------------------------------------------------


async def decide(engine: AsyncEngine, vpd: str, fates: Mapping[int, Fate]) -> list[LineFate]:
    async with engine.begin() as connection:
        stands = await LEDGER.decide(connection, [((vpd, FILE), line, fate) for line, fate in fates.items()])
    return sorted(stands.get((vpd, FILE), []), key=lambda one: one.line)


async def adopt(engine: AsyncEngine, vpd: str, *said: LineFate) -> list[Change]:
    async with engine.begin() as connection:
        return await LEDGER.adopt(connection, [((vpd, FILE), one) for one in said])


async def counted(engine: AsyncEngine, vpd: str) -> dict[Fate, int]:
    async with engine.connect() as connection:
        return dict(await LEDGER.count(connection, (vpd, FILE)))


async def test_fates_are_kept_across_the_borders_of_blocks(engine: AsyncEngine, vpd: str) -> None:
    borders = [1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 1, 10 * BLOCK]
    assert await decide(engine, vpd, dict.fromkeys(borders, Fate.APPLIED)) == [
        LineFate(line, Fate.APPLIED, 1) for line in borders
    ]
    async with engine.connect() as connection:
        blocks = await LEDGER.blocks(connection, (vpd, FILE))
    assert [block.index for block in blocks] == [0, 1, 2, 9]
    assert [one.line for block in blocks for one in block.lines()] == borders
    assert await counted(engine, vpd) == {Fate.APPLIED: 6}


async def test_a_parked_line_may_be_applied_later_and_a_settled_one_never_changes(
    engine: AsyncEngine, vpd: str
) -> None:
    await decide(engine, vpd, {1: Fate.PARKED_PERSON_UNKNOWN, 2: Fate.APPLIED, 3: Fate.DEAD_LETTERED})
    assert await decide(engine, vpd, {1: Fate.APPLIED, 2: Fate.DEAD_LETTERED, 3: Fate.UNCHANGED}) == [
        LineFate(1, Fate.APPLIED, 2),
        LineFate(2, Fate.APPLIED, 1),
        LineFate(3, Fate.UNCHANGED, 2),
    ]
    assert await counted(engine, vpd) == {Fate.APPLIED: 2, Fate.UNCHANGED: 1}


async def test_who_listens_takes_over_news_only_and_learns_what_they_replace(engine: AsyncEngine, vpd: str) -> None:
    parked, applied = LineFate(5, Fate.PARKED_PERSON_UNKNOWN, 1), LineFate(5, Fate.APPLIED, 2)
    assert await adopt(engine, vpd, applied) == [Change((vpd, FILE), Fate.PENDING, applied)]
    assert await adopt(engine, vpd, parked) == []
    assert await adopt(engine, vpd, applied) == []
    assert await counted(engine, vpd) == {Fate.APPLIED: 1}


async def test_news_of_one_line_in_one_batch_are_told_step_by_step(engine: AsyncEngine, vpd: str) -> None:
    parked, applied = LineFate(5, Fate.PARKED_PERSON_UNKNOWN, 1), LineFate(5, Fate.APPLIED, 2)
    assert await adopt(engine, vpd, parked, applied, parked) == [
        Change((vpd, FILE), Fate.PENDING, parked),
        Change((vpd, FILE), Fate.PARKED_PERSON_UNKNOWN, applied),
    ]


async def test_a_word_in_the_owners_place_gives_way_to_the_owners(engine: AsyncEngine, vpd: str) -> None:
    spoken_for, own = LineFate(5, Fate.DEAD_LETTERED, 0), LineFate(5, Fate.APPLIED, 1)
    await adopt(engine, vpd, spoken_for)
    assert await adopt(engine, vpd, own) == [Change((vpd, FILE), Fate.DEAD_LETTERED, own)]
    assert await adopt(engine, vpd, spoken_for) == []
    assert await counted(engine, vpd) == {Fate.APPLIED: 1}


async def test_a_fate_is_rolled_back_with_its_transaction(engine: AsyncEngine, vpd: str) -> None:
    async with engine.connect() as connection:
        await LEDGER.decide(connection, [((vpd, FILE), 1, Fate.APPLIED)])
        await connection.rollback()
    assert await counted(engine, vpd) == {}


async def test_a_file_of_the_same_name_in_another_trust_has_fates_of_its_own(engine: AsyncEngine, vpd: str) -> None:
    await decide(engine, vpd, {1: Fate.APPLIED})
    assert await counted(engine, f"{vpd} b") == {}


async def test_many_transactions_on_the_same_blocks_neither_deadlock_nor_lose_a_line(
    engine: AsyncEngine, vpd: str
) -> None:
    dice = random.Random(11)
    every = list(range(1, 4 * BLOCK + 1))
    dice.shuffle(every)
    parts = [every[start::40] for start in range(40)]

    async def owner(part: list[int]) -> None:
        await decide(engine, vpd, dict.fromkeys(part, Fate.APPLIED))

    async def listener(part: list[int]) -> None:
        await adopt(engine, f"{vpd} heard", *(LineFate(line, Fate.UNCHANGED, 1) for line in part))

    await asyncio.gather(*(owner(part) for part in parts), *(listener(part) for part in reversed(parts)))
    assert await counted(engine, vpd) == {Fate.APPLIED: 4 * BLOCK}
    assert await counted(engine, f"{vpd} heard") == {Fate.UNCHANGED: 4 * BLOCK}


async def test_a_line_two_transactions_decide_at_once_gets_one_fate_which_both_report(
    engine: AsyncEngine, vpd: str
) -> None:
    reports = await asyncio.gather(
        *(decide(engine, vpd, {1: fate}) for fate in (Fate.APPLIED, Fate.UNCHANGED, Fate.SUPERSEDED) * 5)
    )
    assert len({report[0] for report in reports}) == 1
    assert await counted(engine, vpd) == {reports[0][0].fate: 1}


# --- outbox -----------------------------------------------------------------------------------------------------


@pytest.fixture
def queues() -> Topology:
    """Queues of this test."""
    return topology(f"test{secrets.token_hex(4)}")


@pytest.fixture
async def network(rabbitmq_url: str) -> AsyncIterator[Network]:
    async with Network(rabbitmq_url) as between:
        yield between


@pytest.fixture
async def broker(network: Network, queues: Topology) -> AsyncIterator[RabbitBroker]:
    started = RabbitBroker(network.url, queues)
    await started.start()
    yield started
    await started.stop()


def message(queues: Topology, vpd: str, number: int = 0) -> Message:
    return Message(exchange=queues.exchanges[0], type="person.upsert", message_id=f"id-{number}", vpd=vpd, body=b"{}")


def people(queues: Topology) -> str:
    return queues.queues[0].name


async def rows(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return int(await connection.scalar(text("SELECT count(*) FROM people.outbox")) or 0)


@pytest.mark.usefixtures("empty_outbox")
async def test_a_message_is_written_with_the_transaction_and_gone_once_published(
    engine: AsyncEngine, vpd: str, broker: RabbitBroker, queues: Topology
) -> None:
    box = Outbox("people", engine, broker)
    async with engine.begin() as connection:
        keys = await box.add(connection, [message(queues, vpd)])
        assert await rows(engine) == 0
    assert await box.waiting() == await rows(engine) == 1
    assert await broker.depth(people(queues)) == 0
    await box.publish(keys, [message(queues, vpd)])
    assert await box.waiting() == await rows(engine) == 0
    assert ids(await drain(broker, people(queues), 1)) == ["id-0"]


@pytest.mark.usefixtures("empty_outbox")
async def test_messages_of_one_transaction_take_one_row_a_trust(
    engine: AsyncEngine, vpd: str, broker: RabbitBroker, queues: Topology
) -> None:
    box = Outbox("people", engine, broker)
    said = [message(queues, trust, number) for number in range(10) for trust in (vpd, f"{vpd} b")]
    async with engine.begin() as connection:
        keys = await box.add(connection, said)
        assert await box.add(connection, []) == []
    assert sorted(trust for trust, _ in keys) == [vpd, f"{vpd} b"]
    assert await box.sweep(age=0) == 2
    assert sorted((m.vpd, m.message_id) for m in await drain(broker, people(queues), 20)) == sorted(
        (m.vpd, m.message_id) for m in said
    )


@pytest.mark.usefixtures("empty_outbox")
async def test_while_the_broker_is_away_rows_stay_and_the_sweeper_publishes_them_later(
    engine: AsyncEngine, vpd: str, broker: RabbitBroker, network: Network, queues: Topology
) -> None:
    work = Work("people", engine, broker, NOW)
    await network.cut()
    async with work.unit() as unit:
        unit.messages.append(message(queues, vpd))
    assert await rows(engine) == 1
    with pytest.raises(BrokerUnavailableError):
        await work.outbox.sweep(age=0)
    assert await work.outbox.waiting() == 1
    network.mend()
    assert await work.outbox.sweep(age=0) == 1
    assert await rows(engine) == 0
    assert await drain(broker, people(queues), 1) == [
        Message(**{**_fields(message(queues, vpd)), "address": "person.upsert"})
    ]


def _fields(one: Message) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


@pytest.mark.usefixtures("empty_outbox")
async def test_the_sweeper_leaves_young_rows_to_the_process_that_wrote_them(
    engine: AsyncEngine, vpd: str, broker: RabbitBroker, queues: Topology
) -> None:
    box = Outbox("people", engine, broker)
    async with engine.begin() as connection:
        await box.add(connection, [message(queues, vpd)])
    assert await box.sweep() == 0
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE people.outbox SET written_at = written_at - interval '6 seconds'"))
    assert await box.sweep() == 1


@pytest.mark.usefixtures("empty_outbox")
async def test_two_sweepers_share_the_rows_and_publish_each_once(
    engine: AsyncEngine, vpd: str, broker: RabbitBroker, queues: Topology
) -> None:
    box = Outbox("people", engine, broker)
    for number in range(3 * outbox.SWEEP_ROWS):
        async with engine.begin() as connection:
            await box.add(connection, [message(queues, vpd, number)])

    async def sweeper() -> int:
        total = 0
        while done := await box.sweep(age=0):
            total += done
        return total

    shares = await asyncio.gather(sweeper(), sweeper())
    assert sum(shares) == 3 * outbox.SWEEP_ROWS
    assert all(shares)
    await depth_becomes(broker, people(queues), 3 * outbox.SWEEP_ROWS)
    taken = await drain(broker, people(queues), 3 * outbox.SWEEP_ROWS)
    assert len(set(ids(taken))) == 3 * outbox.SWEEP_ROWS


@pytest.mark.usefixtures("empty_outbox")
async def test_a_message_without_a_queue_stays_in_the_outbox_and_bars_no_other(
    engine: AsyncEngine, vpd: str, broker: RabbitBroker, queues: Topology
) -> None:
    work = Work("people", engine, broker, NOW)
    async with work.unit() as unit:
        unit.messages.append(message(queues, vpd, 1).to("", "a.queue.nobody.declared"))
    async with engine.begin() as connection:
        await work.outbox.add(connection, [message(queues, vpd, 2)])
        await work.outbox.add(connection, [message(queues, vpd, 3)])
    assert await work.outbox.sweep(age=0) == 2
    assert await work.outbox.waiting() == 1
    assert {"id-2", "id-3"} == set(ids(await drain(broker, people(queues), await broker.depth(people(queues)))))


@pytest.mark.usefixtures("empty_outbox")
async def test_with_a_broker_that_forgets_rows_stay_until_they_are_forgotten_and_can_be_said_again(
    engine: AsyncEngine, vpd: str, queues: Topology
) -> None:
    first = MemoryBroker(queues)
    await first.start()
    work = Work("people", engine, first, NOW)
    async with work.unit() as unit:
        unit.messages.append(message(queues, vpd))
    assert await work.outbox.waiting() == 0
    assert await rows(engine) == 1
    assert ids(await drain(first, people(queues), 1)) == ["id-0"]

    after_a_crash = MemoryBroker(queues)
    await after_a_crash.start()
    box = Outbox("people", engine, after_a_crash)
    assert await box.sweep(age=0) == 0
    await box.reopen()
    assert await box.waiting() == 1
    assert await box.sweep(age=0) == 1
    assert ids(await drain(after_a_crash, people(queues), 1)) == ["id-0"]
    await box.forget()
    assert await rows(engine) == 0
    await box.reopen()
    assert await box.sweep(age=0) == 0


@pytest.mark.usefixtures("empty_outbox")
async def test_forgetting_keeps_what_was_not_published(engine: AsyncEngine, vpd: str, queues: Topology) -> None:
    memory = MemoryBroker(queues)
    await memory.start()
    memory.down = True
    work = Work("people", engine, memory, NOW)
    async with work.unit() as unit:
        unit.messages.append(message(queues, vpd))
    await work.outbox.forget()
    assert await work.outbox.waiting() == 1


# --- the unit of work -------------------------------------------------------------------------------------------


class Recorder:
    """The default topology in memory, and everything that was published to it."""

    def __init__(self) -> None:
        self.said: list[Message] = []
        self.broker: Broker = MemoryBroker(tap=self.said.append)


@pytest.fixture
async def recorder() -> Recorder:
    made = Recorder()
    await made.broker.start()
    return made


def record(vpd: str, line: int = 7) -> Message:
    return Message(
        exchange="esr.records",
        type="person.upsert",
        message_id=f"line-{line}",
        vpd=vpd,
        body=b'{"last_name":"Canary"}',
        stream="feed",
        file=FILE,
        file_no=1,
        line=line,
        traceparent=f"00-{'a' * 32}-{'b' * 16}-01",
        replay=2,
    )


def completed(vpd: str) -> events.FileCompleted:
    return events.FileCompleted(vpd=vpd, cause=Cause("feed", FILE, 1), status="complete", records=1)


class WorkFailedError(Exception):
    """What goes wrong in the middle of a unit."""


@pytest.mark.usefixtures("empty_outbox")
async def test_a_unit_that_fails_leaves_no_fact_no_fate_no_row_and_no_message(
    engine: AsyncEngine, vpd: str, recorder: Recorder
) -> None:
    work = Work("people", engine, recorder.broker, NOW)

    async def fail() -> None:
        async with work.unit() as unit:
            await FACTS.save(unit.connection, [fact(vpd, 1)])
            unit.settle(vpd, FILE, 7, Fate.APPLIED)
            unit.dead_letter(record(vpd, 8), "people.records", RecordError("R101", "person_id is mandatory"))
            unit.messages.append(record(vpd))
            raise WorkFailedError

    with pytest.raises(WorkFailedError):
        await fail()
    assert recorder.said == []
    assert await rows(engine) == 0
    assert await counted(engine, vpd) == {}
    assert await live(engine, vpd) == []


async def test_facts_fates_and_messages_of_a_unit_stand_together(
    engine: AsyncEngine, vpd: str, recorder: Recorder
) -> None:
    work = Work("people", engine, recorder.broker, NOW)
    async with work.unit() as unit:
        await FACTS.save(unit.connection, [fact(vpd, 1)])
        unit.settle(vpd, FILE, 7, Fate.APPLIED)
        unit.settle(vpd, FILE, 0, Fate.APPLIED)
        assert unit.settles(vpd, FILE, 7)
        assert not unit.settles(vpd, FILE, 0)
        unit.emit(completed(vpd), FILE)
    assert [(m.exchange, m.type) for m in recorder.said] == [
        (EVENTS, "ingest.FileCompleted"),
        (OUTCOMES, "people.outcomes"),
    ]
    assert [*outcomes.decode(recorder.said[1].body).fates()] == [LineFate(7, Fate.APPLIED, 1)]
    assert await counted(engine, vpd) == {Fate.APPLIED: 1}
    assert len(await live(engine, vpd)) == 1


async def test_the_same_event_said_again_has_the_same_id_and_another_one_has_not(
    engine: AsyncEngine, vpd: str, recorder: Recorder
) -> None:
    work = Work("people", engine, recorder.broker, NOW)
    for revision in (1, 1, 2):
        async with work.unit() as unit:
            unit.emit(completed(vpd), FILE, revision)
    first, again, other = (m.message_id for m in recorder.said)
    assert first == again != other


async def test_a_redelivered_record_says_its_outcome_again_in_the_same_words(
    engine: AsyncEngine, vpd: str, recorder: Recorder
) -> None:
    work = Work("people", engine, recorder.broker, NOW)
    for fate in (Fate.APPLIED, Fate.SUPERSEDED):
        async with work.unit() as unit:
            unit.settle(vpd, FILE, 7, fate)
    assert recorder.said[0] == recorder.said[1]


async def test_a_dead_letter_carries_code_and_reason_and_its_line_has_its_fate(
    engine: AsyncEngine, vpd: str, recorder: Recorder
) -> None:
    work = Work("people", engine, recorder.broker, NOW)
    async with work.unit() as unit:
        unit.dead_letter(record(vpd), "people.records", RecordError("R101", "person_id is mandatory"))
    letter, said = recorder.said
    expected = _fields(record(vpd)) | {
        "exchange": DEAD,
        "address": "people.records.dead",
        "code": "R101",
        "reason": "person_id is mandatory",
        "queue": "people.records",
        "timestamp": int(NOW.now().timestamp()),
    }
    assert _fields(letter) == expected
    assert [*outcomes.decode(said.body).fates()] == [LineFate(7, Fate.DEAD_LETTERED, 1)]
    assert await counted(engine, vpd) == {Fate.DEAD_LETTERED: 1}
    assert await drain(recorder.broker, "people.records.dead", 1) == [letter]


async def test_a_dead_letter_that_no_line_caused_has_no_fate(engine: AsyncEngine, vpd: str, recorder: Recorder) -> None:
    work = Work("people", engine, recorder.broker, NOW)
    async with work.unit() as unit:
        unit.dead_letter(record(vpd, 0), "people.records", RecordError("R101", "x" * 2_000))
    assert [m.exchange for m in recorder.said] == [DEAD]
    assert len(recorder.said[0].reason) == REASON_LENGTH


@pytest.mark.usefixtures("empty_outbox")
async def test_a_unit_whose_process_dies_before_publishing_is_finished_by_the_sweeper(
    engine: AsyncEngine, vpd: str, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work("people", engine, recorder.broker, NOW)

    async def die(*_: object) -> None:
        raise WorkFailedError

    async def commit_and_die() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(work.outbox, "publish", die)
            async with work.unit() as unit:
                unit.settle(vpd, FILE, 7, Fate.APPLIED)

    with pytest.raises(WorkFailedError):
        await commit_and_die()
    assert recorder.said == []
    assert await counted(engine, vpd) == {Fate.APPLIED: 1}
    assert await work.outbox.sweep(age=0) == 1
    assert [m.type for m in recorder.said] == ["people.outcomes"]


def test_a_failure_of_our_own_tree_is_told_in_its_own_words() -> None:
    assert describe(RecordError("R101", "person_id is mandatory")) == ("R101", "person_id is mandatory")
    assert describe(LmsUnavailableError("too slow")) == ("LMS_UNAVAILABLE", "too slow")


@pytest.mark.parametrize("error", [ValueError("Canary"), KeyError("QQ123456C"), Exception("born 1980-01-01")])
async def test_the_text_of_a_foreign_failure_never_reaches_a_dead_letter(
    engine: AsyncEngine, vpd: str, recorder: Recorder, error: Exception
) -> None:
    async with Work("people", engine, recorder.broker, NOW).unit() as unit:
        unit.dead_letter(record(vpd), "people.records", error)
    letter = recorder.said[0]
    assert letter.code == "UNEXPECTED"
    assert type(error).__name__ in letter.reason
    assert str(error.args[0]) not in letter.reason


async def test_a_refused_rows_values_do_not_reach_the_reason(engine: AsyncEngine, vpd: str) -> None:
    with pytest.raises(DBAPIError) as caught:
        await save(engine, fact(vpd, 1, name="Canary\0"))
    assert "Canary" not in "".join(describe(caught.value))


# --- one at a time ----------------------------------------------------------------------------------------------


async def test_a_trusts_lock_is_held_by_one_for_one_purpose_until_they_are_done(engine: AsyncEngine) -> None:
    async with trust_lock(engine, "reconcile", "999") as mine:
        assert mine
        async with trust_lock(engine, "reconcile", "999") as second:
            assert not second
        async with trust_lock(engine, "reconcile", "998") as neighbour, trust_lock(engine, "files", "999") as purpose:
            assert neighbour
            assert purpose
    async with trust_lock(engine, "reconcile", "999") as later:
        assert later


async def test_a_trusts_lock_ends_with_a_failure_of_its_holder(engine: AsyncEngine) -> None:
    async def fail() -> None:
        async with trust_lock(engine, "reconcile", "999"):
            raise WorkFailedError

    with pytest.raises(WorkFailedError):
        await fail()
    async with trust_lock(engine, "reconcile", "999") as later:
        assert later
