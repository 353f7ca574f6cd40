"""``kill -9`` at any moment of a run: nothing is lost, nothing is applied twice, the audit is whole."""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import msgspec

from esrbridge.embedded import as_role
from services.console.planning import Pace
from shared.messaging.message import Message
from tests.service.dead_rig import FILE, OPEN, VPD, Rig, rigged

LETTERS = 150
ROOT = Path(__file__).parents[2]


async def test_a_run_whose_process_is_killed_again_and_again_ends_as_if_it_had_not_been(
    database: str, passwords: Mapping[str, str], tmp_path: Path
) -> None:
    dice, paper = random.Random(8), tmp_path / "published"
    paper.touch()
    url = as_role(database, "console", passwords["console"])
    async with rigged(database, passwords) as rig:
        letters = await rig.letters(*["A!"] * LETTERS)
        rig.owner.refuses = lambda fields: ""
        plan = await rig.planner.plan(VPD, "replay", OPEN, "ann", "mended", Pace(canary=5, per_second=30))
        number, read, kills = plan["operation"], 0, 0
        await rig.planner.start(VPD, number, "ann", "go")
        async with asyncio.timeout(300):
            while (await rig.planner.show(VPD, number))["state"] != "done":
                child = await _start(url, paper)
                until = asyncio.get_running_loop().time() + dice.uniform(0.05, 2.5)
                try:
                    while asyncio.get_running_loop().time() < until:
                        await asyncio.sleep(0.05)
                        read += await _deliver(_lines(paper)[read:], rig)
                finally:
                    kills += child.returncode is None
                    child.kill()
                    await child.communicate()
        await _deliver(_lines(paper)[read:], rig)
        assert kills >= 3
        assert await rig.states() == dict.fromkeys(letters, "resolved")
        assert Counter(rig.owner.applied) == dict.fromkeys(((FILE, line) for line in range(2, LETTERS + 2)), 1)
        deeds = [one for one in await rig.audit(operation=number) if one["action"] == "replay"]
        assert Counter(one["letter"] for one in deeds) == dict.fromkeys(letters, 1)
        assert {one.replay for one in _lines(paper)} == {1}


async def _start(url: str, paper: Path) -> asyncio.subprocess.Process:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.service.dead_killed", url, str(paper), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    assert await child.stdout.readline() == b"ready\n"
    return child


async def _deliver(messages: list[Message], rig: Rig) -> int:
    await rig.owner.handle(messages)
    await rig.deliver()
    return len(messages)


def _lines(paper: Path) -> list[Message]:
    whole = paper.read_bytes().split(b"\n")[:-1]  # the last line may be half written
    return [msgspec.json.decode(line, type=Message) for line in whole]
