"""The operator's desk for completions: send again, withdraw, give up; by itself, over HTTP and on the command line."""

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from esrbridge.cli import app
from services.outbound import desk as people_desk
from services.outbound.tables import METADATA
from shared import events
from shared.errors import DecisionError
from shared.events import Event
from tests.service.completion_bench import FERN, LMS, ROWAN, VPD, CompletionBench, completion_bench
from tests.service.conftest import Serve

FIRST = "L999-0000000001"


@pytest.fixture
async def bench(database: str, passwords: Mapping[str, str], tmp_path: Path) -> AsyncIterator[CompletionBench]:
    async with completion_bench(database, passwords, tmp_path) as bench:
        await bench.person()
        await bench.person(ROWAN)
        await bench.complete()
        await bench.complete(ROWAN)
        await bench.night()
        yield bench


async def decided(bench: CompletionBench) -> dict[str, Any]:
    async with bench.work.engine.connect() as connection:
        return (await people_desk.decisions(connection, VPD))[0]


async def test_one_reference_is_sent_again_and_it_is_written_down_who_wanted_it_and_why(
    bench: CompletionBench,
) -> None:
    assert await bench.desk.resend(VPD, "ESR never saw it", reference=FIRST) == {"decision": "resend", "completions": 1}
    (name,) = await bench.night()
    assert [(one["why"], one["reference"]) for one in bench.records(name)] == [("RESEND", FIRST)]
    assert await bench.night() == []
    note = await decided(bench)
    assert (note["subject"], note["who"], note["why"]) == (FIRST, "a.nother", "ESR never saw it")
    assert note["details"] == {"reference": FIRST, "completions": 1}


async def test_all_of_a_file_is_sent_again_unless_esr_loaded_it(bench: CompletionBench) -> None:
    first, second = bench.of(events.CompletionSent)
    await bench.hear(bench.answer_of(first), bench.answer_of(second, "F005"))
    await bench.desk.resend(VPD, "the file was damaged", file=first.sent_file)
    (name,) = await bench.night()
    assert [(one["why"], one["person_id"]) for one in bench.records(name)] == [("RESEND", ROWAN)]


async def test_all_that_esr_refused_with_a_code_is_sent_again(bench: CompletionBench) -> None:
    first, second = bench.of(events.CompletionSent)
    await bench.hear(bench.answer_of(first, "B999"), bench.answer_of(second, "B204"))
    assert await bench.night() == []
    assert (await bench.desk.resend(VPD, "ESR mended it", code="B999"))["completions"] == 1
    assert len(bench.records((await bench.night())[0])) == 1


async def test_what_esr_loaded_or_nobody_knows_is_not_sent_again(bench: CompletionBench) -> None:
    await bench.answer(place=0)
    for named in ({"reference": FIRST}, {"file": "nothing"}, {"code": "B201"}, {}, {"file": "a", "code": "b"}):
        with pytest.raises(DecisionError):
            await bench.desk.resend(VPD, "why", **named)


async def test_what_an_operator_withdraws_goes_back_whatever_the_lms_says_until_it_is_undone(
    bench: CompletionBench,
) -> None:
    await bench.answer(place=0)
    await bench.desk.decide(VPD, "withdraw", "wrong person", reference=FIRST)
    with pytest.raises(DecisionError):
        await bench.desk.decide(VPD, "withdraw", "again", reference=FIRST)
    await bench.night()
    assert bench.lines()[-1] == ("TCD", "01")
    await bench.answer()
    await bench.complete(method="Course")
    assert await bench.night() == []
    assert await bench.stands() == ("withdrawn", "O203")
    await bench.desk.decide(VPD, "restore", "right after all", person_id=FERN, key="k")
    await bench.night()
    assert bench.lines()[-1] == ("NEW", "03")


async def test_a_case_is_given_up_taken_up_again_and_is_a_new_one_when_the_lms_says_other(
    bench: CompletionBench,
) -> None:
    await bench.answer("B202", place=0)
    await bench.desk.decide(VPD, "settle", "left the country", reference=FIRST)
    await bench.person(last_name="Other")
    assert await bench.night() == []
    assert await bench.stands() == ("settled", "O202")
    await bench.desk.decide(VPD, "reopen", "came back", reference=FIRST)
    assert len(await bench.night()) == 1
    await bench.answer("B202")
    await bench.desk.decide(VPD, "settle", "left again", reference=FIRST)
    await bench.complete(competence_id="5002")
    assert len(await bench.night()) == 1


async def test_there_is_nothing_to_give_up_of_what_esr_loaded(bench: CompletionBench) -> None:
    await bench.answer(place=0)
    for verdict in ("settle", "reopen", "restore"):
        with pytest.raises(DecisionError):
            await bench.desk.decide(VPD, verdict, "why", reference=FIRST)
    with pytest.raises(DecisionError):
        await bench.desk.decide(VPD, "settle", "why", reference="unknown")


async def test_events_may_come_in_any_order_and_twice_and_everything_stands_the_same(bench: CompletionBench) -> None:
    first, second = bench.of(events.CompletionSent)
    (name,) = bench.names
    told: list[Event] = [
        bench.late(first),
        bench.late(second),
        bench.answer_of(first, "B202", revision=1),
        bench.answer_of(first, revision=2),
        bench.answer_of(second, "B204", revision=1),
        bench.completed(expires_on="2029-01-01"),
        bench.withdrawn(),
        bench.completed(ROWAN, competence_id="5002"),
        events.CompletionFileAnswered(vpd=VPD, cause=LMS, sent_file=name, status="PARTIAL", code="F000"),
        events.CompletionFileAnswered(vpd=VPD, cause=LMS, sent_file=name, status="DUPLICATE", code="F007"),
    ]
    start = await snapshot(bench)
    seen = []
    for seed in range(25):
        await restore(bench, start)
        dice = Random(seed)
        mixed = told + dice.sample(told, 4)
        dice.shuffle(mixed)
        while mixed:
            size = dice.randrange(1, 4)
            await bench.hear(*mixed[:size])
            mixed = mixed[size:]
        seen.append(await snapshot(bench))
    assert all(one == seen[0] for one in seen)
    assert [one["state"] for one in seen[0]["items"]] == ["confirmed", "rejected"]
    assert seen[0]["outfiles"][0]["answer"] == "PARTIAL"


TABLES = ("completions", "items", "outfiles")


async def snapshot(bench: CompletionBench) -> dict[str, Any]:
    return {name: await bench.ask(f"SELECT * FROM outbound.{name} t ORDER BY t::text") for name in TABLES}


async def restore(bench: CompletionBench, start: Mapping[str, Any]) -> None:
    async with bench.work.engine.begin() as connection:
        for name in TABLES:
            await connection.execute(text(f"DELETE FROM outbound.{name}"))
            await connection.execute(METADATA.tables[f"outbound.{name}"].insert(), list(start[name]))


# Over HTTP and on the command line


async def test_the_api_says_what_cannot_be_decided_and_what_a_request_lacks(serve: Serve) -> None:
    who = {"who": "sam", "why": "checked"}
    mine = "/v1/trusts/991"
    async with serve("outbound") as running:
        unknown = await running.client.post(
            f"{mine}/completion-decisions", json=who | {"decision": "withdraw", "reference": "L991-0000000001"}
        )
        assert (unknown.status_code, "no such completion" in unknown.json()["detail"]) == (409, True)
        for wrong in (
            {"decision": "resend"},
            {"decision": "resend", "file": "f", "code": "c"},
            {"decision": "settle", "person_id": "1"},
            {"decision": "settle", "reference": "r", "person_id": "1", "key": "k"},
        ):
            answer = await running.client.post(f"{mine}/completion-decisions", json=who | wrong)
            assert (wrong, answer.status_code) == (wrong, 422)
        assert (await running.client.get(f"{mine}/completion-cases?limit=5")).json() == []
        early = await running.client.post(f"{mine}/completion-files", json=who | {"day": "2999-01-01"})
        assert early.status_code == 409
        late = await running.client.post(f"{mine}/completion-files", json=who | {"day": "2026-03-03"})
        assert (late.status_code, late.json()) == (201, {"completions": 0})
        assert (await running.client.get(f"{mine}/decisions")).json()[0]["details"] == {
            "day": 20260303, "completions": 0,
        }  # fmt: skip


def test_the_commands_decide_on_a_folder(tmp_path: Path) -> None:
    (tmp_path / "bridge.yaml").write_text(f'trusts: [{{vpd: "{VPD}"}}]\n')

    def run(*arguments: str, code: int = 0) -> Any:
        done = CliRunner().invoke(app, ["completions", arguments[0], str(tmp_path), *arguments[1:]])
        assert done.exit_code == code, done.output
        return json.loads(done.stdout) if not code else done.stderr

    why = ("--why", "checked")
    assert run("write", *why, "--day", "2026-03-03", "--now", "2026-03-04T09:00") == {"completions": 0}
    assert run("cases") == []
    assert "cut-off" in run("write", *why, "--day", "2026-03-05", "--now", "2026-03-04T09:00", code=2)
    assert "no such completion" in run("withdraw", *why, "--reference", FIRST, code=2)
    assert "nothing is to be sent again" in run("resend", *why, "--code", "B201", code=2)
    assert "no operator gave up" in run("settle", *why, "--undo", "--person", "1", "--key", "k", code=2)
    assert "in one way" in run("settle", *why, code=2)
