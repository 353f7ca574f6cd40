"""Public outages of a close relative, told again as far as they concern dead letters; docs/incidents.md lists all."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from esrbridge.embedded import as_role
from sandbox.lms import SandboxLms
from services.console.age import ALARM, OLDEST
from services.console.domain import DeadLetterError
from services.console.handlers import ConsoleHandlers
from services.console.limits import Limits
from services.console.planning import Pace
from services.console.search import Selection
from services.outbound.circuit import LONGEST_WAIT
from services.people.handlers import PeopleHandlers
from shared import events
from shared.clock import FixedClock
from shared.config import BridgeConfig
from shared.db.engine import make_engine
from shared.db.unit import Work
from shared.messaging.consumer import Consumer
from shared.messaging.memory import MemoryBroker
from shared.messaging.topology import QUEUES
from tests.integration.faulty_network import Network
from tests.service.dead_rig import NOON, OPEN, QUEUE, VPD, Rig, record, rigged, watch_of
from tests.service.outbound_bench import VPD as VPD_OF_THE_LMS
from tests.service.outbound_bench import outbound_bench, somebody

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def rig(module_database: str, passwords: Mapping[str, str]) -> AsyncIterator[Rig]:
    async with rigged(module_database, passwords, limits=Limits(per_second=1000, replays_alone=100)) as made:
        yield made


async def test_incident_1_the_age_of_the_oldest_letter_alerts_and_573_letters_are_replayed_by_one_plan(
    rig: Rig,
) -> None:
    """573 dead letters were moved by hand to a queue with a date in its name and worked off about three days later."""
    letters = await rig.letters(*["A!"] * 573)
    watch = watch_of(rig)
    await watch.run()
    assert (OLDEST.labels(VPD)._value.get(), ALARM.labels(VPD)._value.get()) == (0, 0)
    rig.clock.set(NOON + timedelta(days=3))
    await watch.run()
    assert (OLDEST.labels(VPD)._value.get(), ALARM.labels(VPD)._value.get()) == (3 * 86_400, 1)

    rig.owner.refuses = lambda fields: ""
    plan = await rig.planner.plan(VPD, "replay", OPEN, "ann", "the owner was mended")
    with pytest.raises(DeadLetterError, match="a second person must approve it"):
        await rig.planner.start(VPD, plan["operation"], "ann", "go")
    await rig.planner.approve(VPD, plan["operation"], "bob", "seen")
    await rig.planner.start(VPD, plan["operation"], "ann", "go")
    await rig.settle()
    assert await rig.states() == dict.fromkeys(letters, "resolved")
    await watch.run()
    assert (OLDEST.labels(VPD)._value.get(), ALARM.labels(VPD)._value.get()) == (0, 0)


async def test_incident_1_what_somebody_holds_on_purpose_raises_no_alarm(rig: Rig) -> None:
    letters = await rig.letters("A!")
    await rig.one.operator().hold(VPD, Selection(ids=tuple(letters)), NOON + timedelta(days=9), "the ward will ring")
    rig.clock.set(NOON + timedelta(days=3))
    async with rig.engine.connect() as connection:
        assert (await watch_of(rig).alarm(connection, VPD))["alarm"] is False
    rig.clock.set(NOON + timedelta(days=10))
    async with rig.engine.connect() as connection:
        assert (await watch_of(rig).alarm(connection, VPD))["alarm"] is True


def test_incident_1_the_alert_is_written_for_the_metric_there_is() -> None:
    rules = (ROOT / "deploy/monitoring/dead-letters.rules.yml").read_text("utf-8")
    assert set(re.findall(r"esrbridge_\w+", rules)) == {OLDEST._name, ALARM._name}


async def test_incident_2_a_replay_into_a_neighbour_that_is_too_slow_waits_and_makes_no_letters(
    module_database: str, passwords: Mapping[str, str]
) -> None:
    """A neighbour at 100 % CPU turned thousands of records into dead letters, and those resubmitted into new ones."""
    async with rigged(module_database, passwords, limits=Limits(per_second=1000, in_flight=50)) as rig:
        letters = await rig.letters(*["A!"] * 300)
        rig.owner.refuses = lambda fields: ""
        plan = await rig.planner.plan(VPD, "replay", OPEN, "ann", "mended", Pace(canary=1))
        await rig.planner.start(VPD, plan["operation"], "ann", "go")
        most = 0
        while (await rig.planner.show(VPD, plan["operation"]))["state"] == "running":
            await rig.one.runner.run()
            most = max(most, len(rig.post.queues[QUEUE]))
            few, rig.post.queues[QUEUE] = rig.post.queues[QUEUE][:7], rig.post.queues[QUEUE][7:]  # all it can do
            await rig.owner.handle(few)
            waiting = rig.post.take(QUEUE)
            await rig.deliver()
            rig.post.queues[QUEUE] = waiting
        assert most <= 50
        assert await rig.states() == dict.fromkeys(letters, "resolved")
        assert len([one for one in rig.post.published if one.routing_key == f"{QUEUE}.dead"]) == 300  # the first time


async def test_incident_2_a_neighbour_that_cannot_keep_up_for_an_hour_is_asked_seldom_and_loses_no_record(
    database: str, passwords: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The 589 of the third time: an LMS at its limit answers nobody for an hour, then a few, then everybody."""
    now, asked = 0.0, 0

    def out(lms: SandboxLms) -> bool:
        nonlocal asked
        asked += 1
        return lms._out

    monkeypatch.setattr("services.outbound.reconcile.monotonic", lambda: now)
    monkeypatch.setattr(SandboxLms, "is_out", property(out))
    async with outbound_bench(database, passwords, tmp_path) as outbound:
        outbound.lms.outage(True)
        await outbound.tell(*(somebody(str(9_000_000 + number)) for number in range(589)))
        while now < 3_600:
            await outbound.settle()
            assert outbound.reconciler.waiting == {VPD_OF_THE_LMS: "LMS_UNAVAILABLE"}
            now += 10
        assert asked < 30  # the circuit is open: it looks once in five minutes, and nothing else
        outbound.lms.outage(False)
        outbound.lms.limit_per_minute(1)
        now += LONGEST_WAIT
        await outbound.settle()
        assert VPD_OF_THE_LMS in outbound.reconciler.waiting
        outbound.lms.limit_per_minute(None)
        now += LONGEST_WAIT
        await outbound.settle()
        assert outbound.reconciler.waiting == {}
        assert len(outbound.lms.accounts()) == 589
        assert outbound.of(events.DeliveryFailed) == []


async def test_incidents_4_and_15_records_that_come_while_the_database_is_away_become_no_letters(
    database: str, passwords: Mapping[str, str]
) -> None:
    """A consumer rejected what came while a neighbour was down; a quarter of an hour without a database, and hundreds
    of dead letters were resubmitted by hand three hours later.
    """
    config = BridgeConfig.model_validate({"trusts": [{"vpd": VPD}]})
    broker = MemoryBroker()
    await broker.start()
    async with Network(as_role(database, "people", passwords["people"])) as network:
        engine = make_engine(network.url, name="test")
        work = Work("people", engine, broker, FixedClock(NOON))
        people = PeopleHandlers(work, config)
        consumer = Consumer(broker, QUEUE, people.on_records, work.give_up, batch=10)
        running = asyncio.create_task(consumer.run())
        await network.cut()
        await broker.publish([record(line, "Sample") for line in range(2, 42)])
        await until(lambda: consumer.lanes[0].waiting_for != "")  # it waits, and says for what
        network.mend()
        await until(lambda: consumer.lanes[0].handled >= 40)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert await broker.depth(f"{QUEUE}.dead") == 0
        async with engine.connect() as connection:
            assert await connection.scalar(text("SELECT count(*) FROM people.facts")) == 40
        await engine.dispose()


async def test_incident_14_letters_that_come_while_the_console_has_no_database_wait_and_are_stored_within_seconds(
    database: str, passwords: Mapping[str, str]
) -> None:
    """The database was down and a notice was days late: downtime parks work and drops nothing."""
    broker = MemoryBroker()
    await broker.start()
    async with rigged(database, passwords) as rig:
        await rig.owner.handle([record(line, "A!") for line in range(2, 52)])
        letters = rig.post.take(f"{QUEUE}.dead")
        async with Network(as_role(database, "console", passwords["console"])) as network:
            engine = make_engine(network.url, name="test")
            console = ConsoleHandlers(Work("console", engine, broker, rig.clock))
            consumer = Consumer(broker, f"{QUEUE}.dead", console.on_dead_letters, console.give_up)
            running = asyncio.create_task(consumer.run())
            await network.cut()
            await broker.publish(letters)
            await until(lambda: consumer.lanes[0].waiting_for != "")
            assert await rig.states() == {}
            network.mend()
            await until(lambda: consumer.lanes[0].handled >= 50)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await engine.dispose()
        assert await rig.states() == {one.message_id: "open" for one in letters}


def test_incident_14_a_replay_is_documented_step_by_step() -> None:
    """The action item of that outage was to write down how a replay is done."""
    page = (ROOT / "docs/dead-letters.md").read_text("utf-8")
    for command in ("groups", "plan", "runs", "approve", "run", "pause", "resume", "stop", "undo", "audit"):
        assert f"esrbridge dead {command} " in page


def test_every_queue_has_its_dead_letters_emptied_by_the_console() -> None:
    wiring = (ROOT / "services/console/main.py").read_text("utf-8")
    assert "for queue in QUEUES" in wiring
    assert len({queue.dead for queue in QUEUES}) == len(QUEUES)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while True:
            if true():
                return
            await asyncio.sleep(0.02)
