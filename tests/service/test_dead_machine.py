"""Everything that may happen to dead letters, in any order: nothing is lost, nothing applied twice, the audit is whole.

Two replicas of ``console`` and one owner. The model knows which records were sent to the owner and what operators did;
after every history the letters, the owner's effects and the audit are held against it.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Mapping
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from services.console.domain import DeadLetterError
from services.console.planning import Pace
from tests.service.dead_rig import OPEN, VPD, KilledError, Rig, record, rigged

replica = st.sampled_from([0, 1])
moment = st.sampled_from(["", "", "", "before", "after"])
person = st.sampled_from(["1", "2", "3"])
pick = st.integers(0, 30)


class DeadLetters(RuleBasedStateMachine):
    """Letters, edits, replays, plans, failures, deaths, duplicates, two replicas."""

    database: str
    passwords: Mapping[str, str]
    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        super().__init__()
        self.way = rigged(self.database, self.passwords, replicas=2)
        self.rig: Rig = self.do(self.way.__aenter__())
        self.lines = 1
        self.whose: dict[int, str] = {}
        self.deeds: Counter[tuple[str, str]] = Counter()
        self.plans: list[int] = []

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        try:
            self.do(self._end())
        finally:
            self.do(self.way.__aexit__(None, None, None))

    @initialize(who=person)
    def begin(self, who: str) -> None:
        self.arrive(who, 2, 0)

    @rule(who=person, number=st.integers(1, 6), by=replica)
    def arrive(self, who: str, number: int, by: int) -> None:
        """Records come whose last name has a fault."""
        made = []
        for _ in range(number):
            self.lines += 1
            made.append(record(self.lines, "N!", person_id=who))
            self.whose[self.lines] = who
        release, self.rig.owner.refuses = self.rig.owner.refuses, lambda fields: "R103"
        self.do(self.rig.owner.handle(made))
        self.rig.owner.refuses = release
        self.do(self.rig.deliver(by))

    @rule(at=pick, name=st.sampled_from(["Good", "N!", "Other"]), by=replica)
    def edit(self, at: int, name: str, by: int) -> None:
        letter = self._letter(at)
        told = self._try(self.rig.replicas[by].operator("ann").edit(VPD, letter, {"last_name": name}, "edited"), by, "")
        if told and told["changed"]:
            self.deeds[letter, "edit"] += 1

    @rule(at=pick, by=replica, dies=moment)
    def replay(self, at: int, by: int, dies: str) -> None:
        letter = self._letter(at)
        before = self.do(self.rig.row(letter)).replay
        self._try(self.rig.replicas[by].operator("ann").replay(VPD, letter, "again"), by, dies)
        if self.do(self.rig.row(letter)).replay > before:
            self.deeds[letter, "replay"] += 1

    @rule(at=pick, by=replica)
    def discard(self, at: int, by: int) -> None:
        letter = self._letter(at)
        if self._try(self.rig.replicas[by].operator("bob").discard(VPD, letter, "no use"), by, "") is not False:
            self.deeds[letter, "discard"] += 1

    @rule(at=pick, by=replica)
    def undo(self, at: int, by: int) -> None:
        letter = self._letter(at)
        if self._try(self.rig.replicas[by].operator("bob").undo(VPD, letter, "it was"), by, "") is not False:
            self.deeds[letter, "undo"] += 1

    @rule(canary=st.integers(1, 3), insist=st.booleans())
    def plan(self, canary: int, insist: bool) -> None:
        pace = Pace(canary=canary, allowed_percent=50, insist=insist)
        told = self._try(self.rig.planner.plan(VPD, "replay", OPEN, "ann", "all", pace), 0, "")
        if told:
            self.plans.append(told["operation"])
            self.do(self.rig.planner.start(VPD, told["operation"], "ann", "go"))

    @precondition(lambda self: self.plans)
    @rule(at=pick, action=st.sampled_from(["pause", "resume", "stop"]))
    def decide(self, at: int, action: str) -> None:
        number = self.plans[at % len(self.plans)]
        self._try(getattr(self.rig.planner, action)(VPD, number, "bob", "why"), 0, "")

    @rule(by=replica, dies=moment)
    def run_some(self, by: int, dies: str) -> None:
        self._try(self.rig.replicas[by].runner.run(), by, dies)

    @rule(by=replica)
    def deliver(self, by: int) -> None:
        self.do(self.rig.deliver(by))

    @rule(by=replica, at=pick)
    def again(self, by: int, at: int) -> None:
        """The broker brings an old message once more."""
        if self.rig.post.published:
            old = self.rig.post.published[at * 7 % len(self.rig.post.published)]
            self.do(self.rig.post.publish([old]))
            self.rig.post.published.pop()
            self.do(self.rig.deliver(by))

    @rule(mended=st.booleans())
    def release(self, mended: bool) -> None:
        """A new release of the owner takes what the old one did not, or not."""
        self.rig.owner.refuses = lambda fields: "" if mended else "R103" if "!" in fields["last_name"] else ""

    @rule()
    def sweep(self) -> None:
        for one in self.rig.replicas:
            self.do(one.work.outbox.sweep(age=0))

    @invariant()
    def nothing_is_applied_twice_and_nothing_older_over_newer(self) -> None:
        lines = [line for _, line in self.rig.owner.applied]
        assert len(set(lines)) == len(lines)
        for who, (version, _) in self.rig.owner.held.items():
            assert version[1] == max(line for line in lines if self.whose[line] == who)

    @invariant()
    def every_record_that_failed_is_a_letter(self) -> None:
        assert len(self.do(self.rig.states())) == self.lines - 1 or any(self.rig.post.queues.values())

    def _letter(self, at: int) -> str:
        return record(2 + at % (self.lines - 1), "").message_id

    def _try(self, work: Coroutine[Any, Any, Any], by: int, dies: str) -> Any:
        """Let something be done, or refused, or cut short by a death. Refused or dead: False."""
        self.rig.replicas[by].dies(dies)
        try:
            return self.do(work)
        except (DeadLetterError, KilledError):
            return False
        finally:
            self.rig.replicas[by].dies("")

    async def _end(self) -> None:
        """Let everything come to rest with a mended owner; then hold it against the model."""
        rig = self.rig
        rig.owner.refuses = lambda fields: ""
        for one in rig.replicas:
            await one.work.outbox.sweep(age=0)
        await rig.settle()
        states = await rig.states()
        assert set(states) == {record(line, "").message_id for line in range(2, self.lines + 1)}
        assert set(states.values()) <= {"open", "resolved", "discarded"}
        fates = {line: rig.owner._block(record(line, "")).get(line).fate for line in range(2, self.lines + 1)}
        for line, fate in fates.items():
            letter = record(line, "").message_id
            if states[letter] == "resolved":
                assert fate.settled
            if states[letter] == "open":
                assert not fate.settled
        await self._audit(states)

    async def _audit(self, states: Mapping[str, str]) -> None:
        deeds = await self.rig.audit()
        counted = Counter((one["letter"], one["action"]) for one in deeds if one["letter"] and not one["operation"])
        assert counted == +self.deeds
        for letter in states:
            row = await self.rig.row(letter)
            said = Counter(one["action"] for one in deeds if one["letter"] == letter)
            assert (said["replay"], said["edit"]) == (row.replay, row.edits)
            assert {one.replay for one in self.rig.post.sent() if one.message_id == letter} == set(
                range(1, row.replay + 1)
            )


def test_no_history_loses_a_letter_or_applies_one_twice(database: str, passwords: Mapping[str, str]) -> None:
    loop = asyncio.new_event_loop()
    DeadLetters.database, DeadLetters.passwords, DeadLetters.loop = database, passwords, loop
    try:
        run_state_machine_as_test(
            DeadLetters,
            settings=settings(
                max_examples=min(12, settings.default.max_examples),  # type: ignore[union-attr]
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        loop.close()
