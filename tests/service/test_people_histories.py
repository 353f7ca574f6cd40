"""Whatever order, however often, whenever: the accounts are those of the same history lived in order.

``make histories`` drives a million steps of it; here are a few thousand.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db.engine import make_engine
from shared.db.migrate import login
from shared.messaging.message import Message
from tests.service.histories import (
    FIRST_DAY,
    File,
    Stage,
    alike,
    check_learning,
    finish,
    last_file,
    live_in_order,
    write_file,
)

STEPS = int(os.environ.get("ESRBRIDGE_TEST_STEPS", "2000"))
SEED = int(os.environ.get("ESRBRIDGE_TEST_SEED", "0"))
PROGRESS = 10_000
"""Steps after which a long run says how far it is."""
RULES = 100
"""Rules in an example; most handle several messages or events, and each of those is a step."""

BATCHES = (3, 20, 100)
"""Most messages that are handled at once."""
SHRINKS = tuple(Phase)
"""A failing history is made as small as it can be, unless ``ESRBRIDGE_TEST_SHRINK`` is 0: that takes minutes."""
PARTS = int(os.environ.get("ESRBRIDGE_TEST_PARTS", "1"))
"""Parts of a long run; each can have a process of its own."""

seeds = st.integers(0, 2**32 - 1)


@dataclass
class World:
    """What all examples share: the loop, the database logins, a place for files, and how many steps were made."""

    runner: asyncio.Runner
    engines: Mapping[str, AsyncEngine]
    folder: Path
    trusts: Iterator[int]
    steps: int = 0


@pytest.fixture
def world(database: str, passwords: Mapping[str, str], tmp_path: Path) -> Iterator[World]:
    with asyncio.Runner() as runner:
        engines = {}
        for service in ("people", "competency", "outbound"):
            url = make_url(database).set(username=login(service), password=passwords[service])
            engines[service] = make_engine(url.render_as_string(hide_password=False), name="tests", pool=3)
        yield World(runner, engines, tmp_path, count(1000))
        for engine in engines.values():
            runner.run(engine.dispose())


class Histories(RuleBasedStateMachine):
    """A history, and a trust that hears of it in no order, with repetitions, while days pass."""

    world: ClassVar[World]

    @initialize()
    def begin(self) -> None:
        self.files: list[File] = []
        self.waiting: dict[str, list[Message]] = {"people": [], "competency": []}
        self.handled: dict[str, list[Message]] = {"people": [], "competency": []}
        self.heard: list[Message] = []
        self.known: list[Message] = []
        self.day = FIRST_DAY
        self.stage = self.run_(Stage.open(str(next(self.world.trusts)), self.world.engines, self.world.folder))

    def run_(self, work: Any) -> Any:
        return self.world.runner.run(work)

    @rule(number=seeds)
    def esr_writes_a_file(self, number: int) -> None:
        self._arrives(write_file(Random(number), len(self.files) + 2, self.day))

    def _arrives(self, file: File) -> None:
        self.files.append(file)
        for service, waiting in self.waiting.items():
            waiting.extend(file.messages(self.stage.vpd, service))

    @rule(number=seeds, service=st.sampled_from(["people", "competency"]))
    def a_service_handles_some_records(self, number: int, service: str) -> None:
        dice, waiting = Random(number), self.waiting[service]
        dice.shuffle(waiting)
        batch = dice.choice(BATCHES)
        some, waiting[:] = waiting[:batch], waiting[batch:]
        some += dice.sample(some, dice.randrange(len(some) + 1))
        self._handle(service, some)

    @rule(number=seeds, service=st.sampled_from(["people", "competency"]))
    def the_broker_delivers_old_records_again(self, number: int, service: str) -> None:
        dice, handled = Random(number), self.handled[service]
        self._handle(service, dice.sample(handled, min(len(handled), dice.randrange(12))))

    @rule(number=seeds)
    def competency_hears_of_some_people(self, number: int) -> None:
        dice, news = Random(number), self.stage.news
        dice.shuffle(news)
        batch = dice.choice(BATCHES)
        some, news[:] = news[:batch], news[batch:]
        some += dice.sample(self.known, min(len(self.known), dice.randrange(4)))
        self.known += some
        if some:
            self.run_(self.stage.competency.on_events(some))
        self.world.steps += len(some)

    @rule(number=seeds)
    def outbound_hears_some_events(self, number: int) -> None:
        dice = Random(number)
        said = self.stage.said
        dice.shuffle(said)
        batch = dice.choice(BATCHES)
        some, said[:] = said[:batch], said[batch:]
        some += dice.sample(self.heard, min(len(self.heard), dice.randrange(8)))
        self.heard += some
        if some:
            self.run_(self.stage.outbound.on_events(some))
        self.world.steps += len(some)

    @rule(number=seeds)
    def files_are_accounted_for(self, number: int) -> None:
        waiting = {message.file_no for messages in self.waiting.values() for message in messages}
        whole = [file.number for file in self.files if file.number not in waiting]
        dice = Random(number)
        self.run_(self.stage.complete(dice.sample(whole, dice.randrange(len(whole) + 1))))
        self.world.steps += 1

    @rule()
    def outbound_reconciles(self) -> None:
        self.run_(self.stage.reconcile())
        self.world.steps += 1

    @rule(days=st.sampled_from([1, 1, 1, 2, 7, 31, 400]))
    def days_pass(self, days: int) -> None:
        self.day += timedelta(days=days)
        self.stage.on(self.day)
        self.world.steps += 1

    @rule()
    def the_day_does_what_it_does(self) -> None:
        self.run_(self.stage.tick())
        self.world.steps += 1

    def _handle(self, service: str, messages: list[Message]) -> None:
        if messages:
            handlers = self.stage.people if service == "people" else self.stage.competency
            self.run_(handlers.on_records(messages))
        self.handled[service] += messages
        self.world.steps += len(messages)

    def teardown(self) -> None:
        if not hasattr(self, "stage"):
            return
        self._arrives(last_file(len(self.files) + 2, self.day))
        for service, waiting in self.waiting.items():
            self._handle(service, waiting)
        numbers = [file.number for file in self.files]
        self.run_(finish(self.stage, numbers))
        calm = self.run_(Stage.open(str(next(self.world.trusts)), self.world.engines, self.world.folder))
        self.run_(live_in_order(calm, self.files, self.day))
        ours, theirs = self.run_(self.stage.accounts()), self.run_(calm.accounts())
        self.run_(check_learning(self.stage, ours))
        self.run_(check_learning(calm, theirs))
        self.run_(self.stage.site.close())
        self.run_(calm.site.close())
        assert alike(ours, theirs), (ours, theirs)


@pytest.mark.parametrize("part", range(PARTS))
def test_accounts_do_not_depend_on_order_repetition_or_the_moment(
    world: World, record_property: Callable[[str, object], None], part: int
) -> None:
    Histories.world = world
    rounds, told = SEED + part * 1_000_000, 0
    while world.steps < STEPS / PARTS:
        rounds += 1
        if world.steps - told >= PROGRESS:
            told = world.steps
            print(f"part {part}: {told} steps, seed {rounds}", file=sys.stderr, flush=True)  # noqa: T201
        run_state_machine_as_test(
            seed(rounds)(Histories),
            settings=settings(
                max_examples=5,
                stateful_step_count=RULES,
                database=None,
                suppress_health_check=list(HealthCheck),
                phases=SHRINKS if os.environ.get("ESRBRIDGE_TEST_SHRINK", "1") == "1" else (Phase.generate,),
            ),
        )
    record_property("steps", world.steps)
