"""Some trusts over some weeks: ESR at one end, learners at the other, a faulty post between, and sudden deaths.

The bridge is the embedded one, whole: its services, its tables, its files. ESR is the sandbox's, which judges and
remembers by its own rules. A death ends everything that runs, at a commit, a publish, an acknowledgement or any step
of writing a file; a new bridge on the same folder goes on.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Final

import pytest
import yaml
from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine

import shared.files
from esrbridge.embedded import Bridge, open_bridge
from esrbridge.lms import embedded_site
from sandbox.esr import SandboxEsr
from sandbox.esr_post import CALM, ROUGH, Post
from sandbox.simulate import mappings
from services.outbound.towards_esr.desk import CompletionDesk, open_cases
from shared.clock import LONDON, FixedClock
from shared.config import load_config
from shared.lms_csv import FIELDS, WITHDRAWN
from shared.messaging.memory import MemoryBroker, MemorySubscription
from shared.messaging.message import Message

FIRST_DAY: Final = date(2026, 10, 12)
"""The clocks go back on 25 October: the month has a day of 25 hours."""

SPANS: Final = {"commit": 600, "publish": 100, "published": 100, "ack": 100, "file": 12, "file stands": 12}
"""Kinds of points, and how many of a kind each two trusts pass at most before the next death."""


class Death(BaseException):
    """The end of the process, as far as everything in it can tell."""


class Deaths:
    """Strikes at points chosen by dice: before commits, publishes and acknowledgements, and around each file."""

    def __init__(self, dice: Random, trusts: int) -> None:
        self._dice = dice
        self._rarer = max(1, trusts // 2)
        self._kind = ""
        self._left = 0
        self.struck: list[str] = []
        self.on = False

    def reach(self, kind: str) -> None:
        """Pass a point, or die there."""
        if not self.on:
            return
        if self._left == 0:
            self._kind = self._dice.choice(list(SPANS))
            self._left = self._dice.randint(1, SPANS[self._kind] * self._rarer)
        self._left -= kind == self._kind
        if self._left == 0:
            self.struck.append(kind)
            raise Death

    @contextmanager
    def among_us(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Let everything pass by these points."""
        publish, ack, put = MemoryBroker.publish, MemorySubscription.ack, shared.files.put_written

        async def fatal_publish(broker: MemoryBroker, messages: Sequence[Message]) -> None:
            self.reach("publish")
            await publish(broker, messages)
            self.reach("published")

        async def fatal_ack(held: MemorySubscription) -> None:
            self.reach("ack")
            await ack(held)

        def fatal_put(path: Path, write: object) -> None:
            self.reach("file")
            put(path, write)  # type: ignore[arg-type] # handed on as it came
            self.reach("file stands")

        def fatal_commit(_: Connection) -> None:
            self.reach("commit")

        with monkeypatch.context() as patch:
            patch.setattr(MemoryBroker, "publish", fatal_publish)
            patch.setattr(MemorySubscription, "ack", fatal_ack)
            patch.setattr(shared.files, "put_written", fatal_put)
            event.listen(Engine, "commit", fatal_commit)
            try:
                yield
            finally:
                event.remove(Engine, "commit", fatal_commit)


@dataclass(frozen=True, slots=True)
class Learnt:
    """A completion in the LMS, as it last was told."""

    person: str
    certification: str
    at: datetime
    expires: date | None
    withdrawn: bool = False

    @property
    def row(self) -> dict[str, str]:
        """Return it as a row of a completion file."""
        return {
            "reference": f"{self.person}-{self.certification}-{self.at:%Y%m%d%H%M}",
            "user_idnumber": self.person,
            "certification_idnumber": self.certification,
            "completed_at": self.at.isoformat(),
            "expires_on": self.expires.isoformat() if self.expires else "",
            WITHDRAWN: "yes" if self.withdrawn else "",
        }


@dataclass(slots=True)
class Trust:
    """One trust: its ESR, its post, and what its LMS holds."""

    vpd: str
    esr: SandboxEsr
    post: Post
    learnt: dict[str, Learnt] = field(default_factory=dict)
    exports: int = 0
    sent_again: set[str] = field(default_factory=set)
    """References that the operator has had sent again."""

    def export(self, folder: Path, rows: Sequence[Learnt]) -> None:
        """Write a completion file of the LMS."""
        if not rows:
            return
        self.exports += 1
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, (*FIELDS, WITHDRAWN), restval="")
        writer.writeheader()
        writer.writerows(one.row for one in rows)
        inbox = folder / self.vpd / "from-lms"
        inbox.mkdir(parents=True, exist_ok=True)
        part = inbox / ".completions.part"
        part.write_text(text.getvalue(), encoding="utf-8", newline="")
        part.rename(inbox / f"completions-{self.exports:04d}.csv")


class World:
    """All of it. ``day`` lives one day; ``rough`` says whether mishaps and deaths are about."""

    def __init__(self, folder: Path, trusts: int, people: int, seed: int) -> None:
        self.folder = folder
        self.dice = Random(seed)
        self.deaths = Deaths(Random(seed + 1), trusts)
        self.clock = FixedClock(datetime.combine(FIRST_DAY, time(6), LONDON))
        self.trusts = [self._trust(str(901 + number), people, seed) for number in range(trusts)]
        self._stack = AsyncExitStack()
        self.bridge: Bridge | None = None
        self.opened = 0

    def _trust(self, vpd: str, people: int, seed: int) -> Trust:
        there = self.folder / "esr" / vpd
        esr = SandboxEsr(there / "esr.sqlite", vpd, seed=seed)
        esr.populate(people, FIRST_DAY)
        esr.write_full(there / "from-esr", FIRST_DAY)
        here = self.folder / vpd
        for name in ("from-esr", "from-lms", "to-esr"):
            (here / name).mkdir(parents=True)
        return Trust(vpd, esr, Post(here, there, Random(f"{seed} {vpd}")))

    def configure(self, settings: Mapping[str, object]) -> None:
        """Write ``bridge.yaml``: the same settings for every trust."""
        trusts = [
            {"vpd": one.vpd, "mappings": mappings(), "lms": {"driver": "files"}, **settings} for one in self.trusts
        ]
        (self.folder / "bridge.yaml").write_text(yaml.safe_dump({"trusts": trusts}))

    def rough(self, on: bool) -> None:
        """Let mishaps and deaths happen, or not."""
        self.deaths.on = on
        for trust in self.trusts:
            trust.post.mishaps = ROUGH if on else CALM

    async def open(self) -> Bridge:
        """Return the bridge that runs, starting one where none does."""
        if self.bridge is None:
            config = load_config(self.folder / "bridge.yaml")
            opened = open_bridge(config, self.folder, self.clock, site=embedded_site)
            self.bridge = await self._stack.enter_async_context(opened)
            self.opened += 1
        return self.bridge

    async def close(self) -> None:
        """End the bridge, however it fares."""
        self.bridge = None
        await self._stack.aclose()
        self._stack = AsyncExitStack()

    async def work(self) -> None:
        """Let the bridge work until nothing is left to do; after a death a new one goes on."""
        while True:
            try:
                await (await self.open()).until_idle(at_once=False)
            except* Death:
                await self._bury()
            else:
                return

    async def _bury(self) -> None:
        was_on, self.deaths.on = self.deaths.on, False
        await self.close()
        self.deaths.on = was_on

    async def day(self, day: date, *, learning: bool = True) -> None:
        """Live one day, from ESR's early morning to the cut-off."""
        for trust in self.trusts:
            self._esr_by_night(trust, day)
        await self._at(day, time(7, 5))
        await self._at(day, time(10, 30))
        if learning:
            for trust in self.trusts:
                self._learn(trust, day)
        await self._at(day, time(13))
        await self._operate()
        await self._at(day, time(18, 1))
        for trust in self.trusts:
            trust.post.carry(_local(day, time(18, 30)))

    async def _at(self, day: date, hour: time) -> None:
        self.clock.set(datetime.combine(day, hour, LONDON))
        await self.work()

    async def _operate(self) -> None:
        """Be the operator: have each case sent again once, then give it up. A death is survived here too."""
        for trust in self.trusts:
            while True:
                bridge = await self.open()
                try:
                    await self._operate_for(bridge, trust)
                except Death:
                    await self._bury()
                else:
                    break

    async def _operate_for(self, bridge: Bridge, trust: Trust) -> None:
        async with bridge.readers["outbound"].trust(trust.vpd) as connection:
            cases = await open_cases(connection, trust.vpd)
        desk = CompletionDesk(bridge.components["outbound"].work, "an operator")
        for case in cases:
            reference = case["reference"]
            if reference and reference not in trust.sent_again:
                await desk.resend(trust.vpd, "ESR was asked", reference=reference)
                trust.sent_again.add(reference)
            else:
                key = {"person_id": case["person_id"], "key": case["key"]}
                await desk.decide(trust.vpd, "settle", "ESR will not have it", **key)

    def _esr_by_night(self, trust: Trust, day: date) -> None:
        there = trust.post.there
        if day > FIRST_DAY:
            trust.esr.write_changes(there / "from-esr", day, with_faults=False)
        trust.esr.answer(there / "to-esr", there / "from-esr", _local(day, time(6, 12)))
        trust.post.collected()
        trust.post.carry(_local(day, time(7)))

    def _learn(self, trust: Trust, day: date) -> None:
        """Some learn, where anybody is left; some of what they learnt is corrected, or taken back."""
        told: list[Learnt] = []
        employees = trust.esr.truth().people("employee")
        certifications = [one["certification"] for one in mappings()]
        for _ in range(self.dice.randint(0, 4) if employees else 0):
            person = f"{trust.vpd}-{self.dice.choice(employees)}"
            moment = datetime.combine(day, time(9, self.dice.randrange(60)), LONDON)
            expires = day + timedelta(days=self.dice.choice([365, 730])) if self.dice.random() < 0.5 else None
            told.append(Learnt(person, self.dice.choice(certifications), moment, expires))
        changed = self.dice.sample(sorted(trust.learnt), min(len(trust.learnt), self.dice.randint(0, 2)))
        told += [self._changed(trust.learnt[known], day) for known in changed]
        for one in told:
            trust.learnt[one.row["reference"]] = one
        trust.export(self.folder, told)

    def _changed(self, one: Learnt, day: date) -> Learnt:
        if self.dice.random() < 0.4:
            return Learnt(one.person, one.certification, one.at, one.expires, withdrawn=not one.withdrawn)
        expires = day + timedelta(days=self.dice.choice([300, 400, 500]))
        return Learnt(one.person, one.certification, one.at, expires, one.withdrawn)


def _local(day: date, hour: time) -> datetime:
    return datetime.combine(day, hour)
