"""The whole loop as separate processes on RabbitMQ and PostgreSQL, and any one of them killed at any moment."""

import asyncio
import json
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from esrbridge.embedded import as_role
from esrbridge.local import rabbitmq
from shared.db.engine import Reader, make_engine
from shared.db.migrate import SERVICES
from tests.e2e import story
from tests.e2e.stack import TOKEN, Stack, running_stack

UNDISTURBED = "901"
STEPS = 6
"""Five files, and the mending of the dead letter. A victim is killed in some of them, another each time by its seed."""

VICTIMS = {name: str(902 + number) for number, name in enumerate((*SERVICES, "lms", "rabbitmq", "postgres"))}
"""Each process is killed while a trust of its own goes through the story."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Servers of its own, because tests kill them."""
    folder = tmp_path_factory.mktemp
    vpds = [UNDISTURBED, *VICTIMS.values()]
    with (
        rabbitmq(folder("broker"), given=os.environ.get("ESRBRIDGE_TEST_BROKER_URL")) as broker,
        running_stack(folder("stack"), folder("cluster"), broker, vpds) as running,
    ):
        yield running


async def test_the_sample_story_ends_in_the_expected_state_of_every_person_account_and_line(stack: Stack) -> None:
    await _Telling(stack, UNDISTURBED).tell()

    assert await _observe(stack, UNDISTURBED) == story.expected(UNDISTURBED)


@pytest.mark.parametrize("victim", VICTIMS)
async def test_killing_one_process_at_any_moment_and_starting_it_again_ends_the_same(stack: Stack, victim: str) -> None:
    if victim == "rabbitmq" and stack.broker.origin != "private":
        pytest.skip("only a RabbitMQ of our own can be killed")
    vpd = VICTIMS[victim]
    name = f"lms-{vpd}" if victim == "lms" else victim

    await _Telling(stack, vpd, kills=name).tell()

    assert await _observe(stack, vpd) == story.expected(vpd)


class _Telling:
    """Tells the story to one trust, killing one process in some of its steps when asked to."""

    def __init__(self, stack: Stack, vpd: str, kills: str = "") -> None:
        self._stack = stack
        self._vpd = vpd
        self._kills = kills
        self._moments = random.Random(vpd)
        self._steps = self._moments.sample(range(STEPS), 2 if kills == "rabbitmq" else 3)
        self._step = 0

    async def tell(self) -> None:
        lms = f"lms-{self._vpd}"
        self._stack.start(lms)
        try:
            await self._tell()
        finally:
            self._stack.kill(lms)

    async def _tell(self) -> None:
        effects = (
            self._full_applied, self._changes_applied, self._completions_sent, self._answers_settled,
            self._orla_arrived,
        )  # fmt: skip
        for (name, content), done in zip(story.files(self._vpd), effects, strict=True):
            story.put(self._stack.folder, self._vpd, name, content)
            await self._disturb()
            await self._stack.until(f"{name} complete", partial(self._complete, name))
            await self._stack.until(f"effects of {name}", done)
        await self._mend()

    async def _disturb(self) -> None:
        """Kill the victim a moment later, wherever it then is, and start it again."""
        self._step += 1
        if self._kills and self._step - 1 in self._steps:
            await asyncio.sleep(self._moments.uniform(0.0, 0.8))
            await asyncio.to_thread(self._stack.kill_and_restart, self._kills)

    async def _complete(self, name: str) -> bool:
        files = await self._stack.ask("ingest", f"/v1/trusts/{self._vpd}/files") or []
        wanted = name.format(vpd=self._vpd)
        return any(file["name"] == wanted and file["status"] == "complete" for file in files)

    async def _full_applied(self) -> bool:
        counts = await self._counts()
        return counts["accounts"].get("temporary") == 1 and counts["certification"] == {"delivered": 2}

    async def _changes_applied(self) -> bool:
        counts = await self._counts()
        promoted = counts["accounts"].get("permanent") == 2
        return promoted and counts["certification"] == {"delivered": 2, "withdrawn": 1}

    async def _completions_sent(self) -> bool:
        counts = await self._counts()
        if counts["completions"].get("waiting") == 2:
            await self._stack.ask("outbound", f"/v1/trusts/{self._vpd}/completion-files", "POST")
        items = await self._stack.ask("confirmations", f"/v1/trusts/{self._vpd}/completions/summary")
        return bool(counts["completions"] == {"sent": 2} and items == {"open": 2})

    async def _answers_settled(self) -> bool:
        counts = await self._counts()
        return bool(counts["completions"] == {"confirmed": 1, "rejected": 1})

    async def _orla_arrived(self) -> bool:
        counts = await self._counts()
        letters = await self._letters()
        return counts["accounts"].get("permanent") == 3 and counts["certification"].get("delivered") == 3 and (
            counts["evidence"] == {"delivered": 1} and len(letters) == 1
        )  # fmt: skip

    async def _mend(self) -> None:
        """Do what an operator does with the record that cannot succeed, with the command line."""
        (letter,) = await self._letters()
        await self._dead("edit", letter["id"], "--set", "date_from=2026-02-28", "--why", "typing error")
        await self._dead("replay", letter["id"], "--why", "mended")
        await self._disturb()
        await self._stack.until("the mended record applied", self._mended)

    async def _mended(self) -> bool:
        counts = await self._counts()
        resolved = await self._stack.ask(
            "console", f"/v1/trusts/{self._vpd}/dead-letters", params={"state": "resolved"}
        )
        return counts["evidence"] == {"delivered": 2} and bool(resolved)

    async def _letters(self) -> list[dict[str, Any]]:
        return list(await self._stack.ask("console", f"/v1/trusts/{self._vpd}/dead-letters") or [])

    async def _counts(self) -> dict[str, dict[str, int]]:
        nothing: dict[str, dict[str, int]] = {"accounts": {}, "certification": {}, "evidence": {}, "completions": {}}
        return dict(await self._stack.ask("outbound", f"/v1/trusts/{self._vpd}/outbound/summary") or nothing)

    async def _dead(self, action: str, *arguments: str) -> Any:
        url = f"http://127.0.0.1:{self._stack.ports['console']}"
        command = [sys.executable, "-m", "esrbridge.cli", "dead", action, url, *arguments, "--trust", self._vpd]
        done = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, env=os.environ | {"ESRBRIDGE_API_TOKEN": TOKEN}
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if action == "edit" else done.stdout


async def _observe(stack: Stack, vpd: str) -> dict[str, Any]:
    async with _readers(stack) as readers:
        return await story.observe(readers, story.prepare_lms(stack.folder / f"lms-{vpd}.sqlite", vpd), vpd)


@asynccontextmanager
async def _readers(stack: Stack) -> AsyncIterator[dict[str, Reader]]:
    engines = {
        service: make_engine(as_role(stack.database, service, stack.passwords[service]), name="observer", pool=1)
        for service in SERVICES
    }
    try:
        yield {service: Reader(engine, service) for service, engine in engines.items()}
    finally:
        for engine in engines.values():
            await engine.dispose()


def _logs_of(folder: Path) -> str:
    return "\n".join(path.read_text(errors="replace") for path in folder.glob("*.log"))


async def test_the_logs_of_the_whole_story_hold_nothing_personal(stack: Stack) -> None:
    said = _logs_of(stack.folder)

    assert "file complete" in said
    for personal in ("Sampleton", "Mockford", "Placeholder", "Specimen", "QQ123456", "19900115", "trust.example"):
        assert personal not in said
