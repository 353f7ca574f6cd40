"""The completion file as a step of the night: certain, whoever else writes at that moment, and made again by hand."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import date
from pathlib import Path

import pytest

from services.outbound import nightly
from services.outbound.locks import trust_lock
from services.outbound.tables import METADATA
from shared.nights.runner import Nights
from shared.profiles import load_profiles
from tests.service.completion_bench import VPD, CompletionBench, completion_bench

DAY = date(2026, 3, 3)


@pytest.fixture
async def bench(database: str, passwords: Mapping[str, str], tmp_path: Path) -> AsyncIterator[CompletionBench]:
    async with completion_bench(database, passwords, tmp_path) as bench:
        await bench.person()
        yield bench


def nights(bench: CompletionBench) -> Nights:
    """A replica."""
    profiles = load_profiles([bench.trust])
    return Nights(bench.work, [bench.trust], [nightly.completion_file(bench.files, profiles)], METADATA)


async def states(bench: CompletionBench) -> list[str]:
    return [row["state"] for row in await bench.ask("SELECT state FROM outbound.nights ORDER BY day")]


async def test_the_step_writes_the_nights_file_and_delivers_it(bench: CompletionBench) -> None:
    await bench.complete()
    assert await nights(bench).run() == 1
    assert len(bench.names) == 1
    assert await bench.stands() == ("sent", "")
    assert await nights(bench).run() == 0
    assert await states(bench) == ["done", "due"]


async def test_the_step_is_not_done_while_somebody_else_writes_for_the_trust(
    bench: CompletionBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nightly, "SECONDS", 0.01)
    await bench.complete()
    async with trust_lock(bench.work.engine, "completions", VPD) as free:
        assert free
        running = asyncio.create_task(nights(bench).run())
        done, _ = await asyncio.wait([running], timeout=0.5)
        assert (done, bench.names, await states(bench)) == (set(), [], ["running", "due"])
    assert await running == 1
    assert len(bench.names) == 1
    assert (await states(bench))[0] == "done"


async def test_a_step_that_waits_for_ever_is_broken_off_and_tried_again(
    bench: CompletionBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nightly, "SECONDS", 0.01)
    await bench.complete()
    stuck = nights(bench)
    with monkeypatch.context() as patch:
        patch.setattr("shared.nights.runner.STEP_SECONDS", 0.2)
        async with trust_lock(bench.work.engine, "completions", VPD) as free:
            assert free
            assert await stuck.run() == 1
    assert (await states(bench))[0] == "failed"
    assert stuck.waiting == {f"completion-file {VPD}": "TimeoutError"}
    (told,) = (await stuck.again(VPD, "completion-file", DAY, "a.nother", "it was stuck"))["steps"]
    assert (told["state"], told["result"]) == ("done", {"completions": 1})


async def test_by_hand_a_night_takes_along_what_has_come_since_and_nothing_twice(bench: CompletionBench) -> None:
    await bench.complete()
    replica = nights(bench)
    await replica.run()
    await bench.complete(key="later", competence_id="3100002")
    counted = [
        (await replica.again(VPD, "completion-file", DAY, "a.nother", "it missed one"))["result"] for _ in range(2)
    ]
    assert counted == [{"completions": 1}, {"completions": 0}]
    assert [line for line, _ in bench.lines()] == ["NEW", "NEW"]


async def test_a_trust_whose_profile_knows_no_completion_file_has_no_such_step(
    database: str, passwords: Mapping[str, str], tmp_path: Path
) -> None:
    async with completion_bench(database, passwords, tmp_path, profile="esr-go-gdw") as bench:
        assert nights(bench).steps(VPD) == []
        assert await nights(bench).run() == 0
