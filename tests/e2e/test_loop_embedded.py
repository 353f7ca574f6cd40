"""The whole loop in one process, the broker in memory."""

import asyncio
import json
import random
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from esrbridge.embedded import Bridge, open_bridge
from esrbridge.lms import IN_PROCESS, embedded_site
from services.console import store as console
from services.console.actions import Operator
from shared.clock import FixedClock
from shared.config import load_config
from shared.messaging.memory import Chaos
from tests.e2e import story

VPD = "999"
LMS = "lms.sqlite"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bridge.yaml").write_text(
        yaml.safe_dump({"trusts": [story.trust(VPD, {"driver": "sandbox", "url": f"{IN_PROCESS}{LMS}"})]})
    )
    story.prepare_lms(tmp_path / LMS, VPD)
    return tmp_path


async def test_the_sample_story_ends_in_the_expected_state_of_every_person_account_and_line(folder: Path) -> None:
    assert await _tell(folder, None) == story.expected(VPD)


@pytest.mark.parametrize("seed", range(3))
async def test_the_story_ends_the_same_when_messages_are_doubled_reordered_and_acknowledgements_lost(
    folder: Path, seed: int
) -> None:
    chaos = Chaos(seed, duplicate=0.3, reorder=0.5, lose_ack=0.2)

    assert await _tell(folder, chaos) == story.expected(VPD)


def test_killing_a_one_shot_run_at_any_moment_and_running_again_ends_the_same(folder: Path) -> None:
    moments = random.Random(7)
    for name, content in story.files(VPD):
        story.put(folder, VPD, name, content)
        _run_and_kill(folder, after=moments.uniform(0.6, 3.0))
        report = _run(folder, "once", str(folder), "--now", story.NOW, "--json", codes=(0, 1))
        assert report["trusts"][VPD]["files"][-1]["status"] == "complete"
    (letter,) = _run(folder, "dead", "list", str(folder), "--json")
    _run(folder, "dead", "edit", str(folder), letter["id"], "--set", "date_from=2026-02-28", "--why", "typing error")
    (told,) = _run(folder, "dead", "replay", str(folder), letter["id"], "--now", story.NOW, "--json")

    assert told["state"] == "resolved"
    assert asyncio.run(_look(folder)) == story.expected(VPD)


async def test_a_second_run_finds_nothing_to_do(folder: Path) -> None:
    await _tell(folder, None)

    async with _open(folder, None) as bridge:
        await bridge.until_idle()

    assert bridge.events == {}


async def _tell(folder: Path, chaos: Chaos | None) -> dict[str, Any]:
    async with _open(folder, chaos) as bridge:
        for name, content in story.files(VPD):
            story.put(folder, VPD, name, content)
            await bridge.until_idle()
        await _mend(bridge)
        return await _observe(folder, bridge)


async def _mend(bridge: Bridge) -> None:
    """Do what an operator does with the record that cannot succeed."""
    async with bridge.readers["console"].trust(VPD) as connection:
        (letter,) = await console.listing(connection, VPD)
    assert (letter.code, letter.line) == ("R103", 5)
    operator = Operator(bridge.components["console"].work, "test")
    await operator.edit(VPD, letter.id, {"date_from": "2026-02-28"}, "typing error")
    await operator.replay(VPD, letter.id, "mended")
    await bridge.until_idle()


def _open(folder: Path, chaos: Chaos | None) -> Any:
    clock = FixedClock(datetime.fromisoformat(story.NOW))
    return open_bridge(load_config(folder / "bridge.yaml"), folder, clock, site=embedded_site, chaos=chaos)


async def _observe(folder: Path, bridge: Bridge) -> dict[str, Any]:
    return await story.observe(bridge.readers, story.prepare_lms(folder / LMS, VPD), VPD)


async def _look(folder: Path) -> dict[str, Any]:
    async with _open(folder, None) as bridge:
        return await _observe(folder, bridge)


def _run_and_kill(folder: Path, after: float) -> None:
    process = subprocess.Popen(_command("once", str(folder), "--now", story.NOW, "--json"), stdout=subprocess.DEVNULL)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _run(folder: Path, *arguments: str, codes: tuple[int, ...] = (0,)) -> Any:
    del folder
    done = subprocess.run(_command(*arguments), capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode in codes, done.stderr
    return json.loads(done.stdout)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "esrbridge.cli", *arguments]
