"""Death between any two steps: the process ends before a commit, before a publish or before an acknowledgement.

The story is told until the n-th such point, where everything stops; a new bridge on the same folder goes on. Continuous
integration tries some points of each kind; ``make crash-points`` tries every one.
"""

import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine

from esrbridge.embedded import Bridge, open_bridge
from esrbridge.lms import IN_PROCESS, embedded_site
from services.console import store as console
from services.console.actions import Operator
from shared.clock import FixedClock
from shared.config import load_config
from shared.messaging.memory import MemoryBroker, MemorySubscription
from shared.messaging.message import Message
from tests.e2e import story

VPD = "999"
KINDS = ("commit", "publish", "ack")
SAMPLES = int(os.environ.get("ESRBRIDGE_TEST_CRASH_POINTS", "4"))
"""Points of each kind to try; 0 tries all."""


class Death(BaseException):
    """The end of the process, as far as everything in it can tell."""


class Fate:
    """Counts the points passed of each kind, and strikes at one of them."""

    def __init__(self, kind: str = "", at: int = 0) -> None:
        self.passed: Counter[str] = Counter()
        self.struck = False
        self._kind = kind
        self._at = at

    def reach(self, kind: str) -> None:
        """Pass a point, or die there."""
        self.passed[kind] += 1
        if kind == self._kind and self.passed[kind] == self._at:
            self.struck = True
            raise Death


@contextmanager
def _struck_by(fate: Fate, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    publish, ack = MemoryBroker.publish, MemorySubscription.ack

    async def fatal_publish(self: MemoryBroker, messages: Sequence[Message]) -> None:
        fate.reach("publish")
        await publish(self, messages)

    async def fatal_ack(self: MemorySubscription) -> None:
        fate.reach("ack")
        await ack(self)

    def fatal_commit(_: Connection) -> None:
        fate.reach("commit")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryBroker, "publish", fatal_publish)
        patch.setattr(MemorySubscription, "ack", fatal_ack)
        event.listen(Engine, "commit", fatal_commit)
        try:
            yield
        finally:
            event.remove(Engine, "commit", fatal_commit)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_death_before_any_commit_publish_or_acknowledgement_changes_nothing_of_the_end(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = Fate()
    with _struck_by(calm, monkeypatch):
        assert await _tell(_prepared(tmp_path / "calm")) == story.expected(VPD)
    points = range(1, calm.passed[kind] + 1)
    chosen = sorted(random.Random(kind).sample(points, SAMPLES)) if SAMPLES else points

    for point in chosen:
        folder = _prepared(tmp_path / str(point))
        fate = Fate(kind, point)
        with _struck_by(fate, monkeypatch):
            try:
                await _tell(folder)
            except* Death:
                pass
            ended = await _tell(folder)
        assert fate.struck or point > 0.8 * len(points), "the story passes fewer points than it did before"
        assert ended == story.expected(VPD), f"after a death before {kind} number {point}"


def _prepared(folder: Path) -> Path:
    folder.mkdir()
    lms = {"driver": "sandbox", "url": f"{IN_PROCESS}lms.sqlite"}
    (folder / "bridge.yaml").write_text(yaml.safe_dump({"trusts": [story.trust(VPD, lms)]}))
    story.prepare_lms(folder / "lms.sqlite", VPD)
    return folder


async def _tell(folder: Path) -> dict[str, Any]:
    """Tell the story, or go on with it: files that are there already stay as they are."""
    clock = FixedClock(datetime.fromisoformat(story.NOW))
    async with open_bridge(load_config(folder / "bridge.yaml"), folder, clock, site=embedded_site) as bridge:
        for name, content in story.files(VPD):
            if not (folder / VPD / story.inbox(name) / name.format(vpd=VPD)).exists():
                story.put(folder, VPD, name, content)
            await bridge.until_idle()
        await _mend(bridge)
        return await story.observe(bridge.readers, story.prepare_lms(folder / "lms.sqlite", VPD), VPD)


async def _mend(bridge: Bridge) -> None:
    """Mend the dead letter, unless that was done before the death."""
    async with bridge.readers["console"].trust(VPD) as connection:
        letters = await console.listing(connection, VPD)
    for letter in letters:
        operator = Operator(bridge.components["console"].work, "test")
        await operator.edit(VPD, letter.id, {"date_from": "2026-02-28"}, "typing error")
        await operator.replay(VPD, letter.id, "mended")
    await bridge.until_idle()
