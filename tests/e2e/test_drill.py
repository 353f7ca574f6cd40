"""The drill: incidents are seeded, told apart as cleared or not, cleared as the runbook says, and cheating is told."""

import asyncio
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from typer import Exit

from esrbridge.drill import DRAWN, KINDS, Draw, Terminal, begin, check, drawn_in, drill, sheet, show, solve
from esrbridge.drill_incidents import Verdict
from esrbridge.drill_letters import Poison
from esrbridge.drill_stage import NOW, Place
from esrbridge.embedded import STATE, Bridge
from esrbridge.local.postgres import postgres
from esrbridge.once import clock_at, with_bridge
from services.console import store
from services.console.actions import Operator
from shared.errors import ConfigurationError

RUNBOOK = Path(__file__).parents[2] / "docs" / "operating.md"
EVERY = tuple(kind.kind for kind in KINDS)


@dataclass(frozen=True)
class Told:
    """What the drill said before anything was done, after the model solution, and after everything was done wrongly."""

    before: dict[str, Verdict]
    typed: list[str]
    after: dict[str, Verdict]
    cheated: dict[str, Verdict]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """Every kind of incident in one folder, solved; and in a copy of it, made worse."""
    folder = tmp_path_factory.mktemp("drill") / "drill"
    begin(folder, Draw(7, EVERY))
    copy = folder.with_name("copy")
    subprocess.run(["cp", "-a", folder, copy], check=True)  # with the owner of the files of PostgreSQL
    with postgres(folder / STATE / "postgres", prefer_wheel=True):
        before = _verdicts(folder)
        typed = solve(folder)
        after = _verdicts(folder)
    with postgres(copy / STATE / "postgres", prefer_wheel=True):
        _cheat(copy)
        yield Told(before, typed, after, _verdicts(copy))


def _verdicts(folder: Path) -> dict[str, Verdict]:
    return {one.kind: verdict for one, verdict in check(folder)}


def _cheat(folder: Path) -> None:
    """Make every incident go away without clearing it."""
    shell = Terminal(folder)
    of = {one.kind: one for one in drawn_in(folder).incidents(folder)}
    why = ("--why", "so that it is quiet", "--now", NOW)
    asyncio.run(with_bridge(folder, clock_at(datetime.fromisoformat(NOW)), _discard_everything))
    for kind in ("gap", "half"):
        held = [one for one in shell.esrbridge("files", "list", "FOLDER", *of[kind].trust, "--json")
                if one["status"] == "held"]  # fmt: skip
        shell.esrbridge("files", "release", "FOLDER", held[0]["name"], *why, *of[kind].trust)
    number = shell.esrbridge("accounts", "held", "FOLDER", *of["leavers"].trust, *of["leavers"].now)["suspensions"]
    shell.esrbridge("accounts", "refuse", "FOLDER", "--expected", str(number), *why, *of["leavers"].trust)
    number = shell.esrbridge("accounts", "held", "FOLDER", *of["mistaken"].trust, *of["mistaken"].now)["suspensions"]
    shell.esrbridge("accounts", "release", "FOLDER", "--expected", str(number), *why, *of["mistaken"].trust)
    shell.copy_mail(of["mistaken"].vpd)
    for kind in ("silence", "refused"):
        for case in shell.esrbridge("completions", "cases", "FOLDER", *of[kind].trust):
            which = ("--reference", case["reference"])
            shell.esrbridge("completions", "settle", "FOLDER", *which, *why, *of[kind].trust)

    of["barred"]._accepts("anything")  # type: ignore[attr-defined]
    (folder / "secrets" / f"lms-{of['barred'].vpd}").write_text("anything")
    shell.esrbridge("once", "FOLDER", *of["barred"].now)


async def _discard_everything(bridge: Bridge) -> dict[str, Any]:
    operator = Operator(bridge.components["console"].work, "ann")
    for trust in bridge.config.trusts:
        async with bridge.readers["console"].trust(trust.vpd) as connection:
            letters = await store.listing(connection, trust.vpd)
        for letter in letters:
            await operator.discard(trust.vpd, letter.id, "so that it is quiet")
    return {}


def test_a_fresh_drill_says_that_nothing_is_cleared(told: Told) -> None:
    assert {kind: verdict.cleared for kind, verdict in told.before.items()} == dict.fromkeys(EVERY, False)


def test_the_model_solution_clears_every_kind_of_incident(told: Told) -> None:
    missing = {kind: [what for holds, what in verdict.points if not holds] for kind, verdict in told.after.items()}
    assert missing == {kind: [] for kind in EVERY}


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("poison", "the record was applied"),
        ("burst", "nothing was discarded"),
        ("gap", "no file was let in before its turn"),
        ("half", "it was not let in"),
        ("leavers", "exactly their accounts are closed"),
        ("mistaken", "nothing was released"),
        ("silence", "none was given up or withdrawn"),
        ("refused", "none was given up or withdrawn"),
        ("barred", "the learning system was left as it is"),
    ],
)
def test_making_an_incident_go_away_without_clearing_it_is_told(told: Told, kind: str, sentence: str) -> None:
    verdict = told.cheated[kind]
    assert not verdict.cleared
    assert (False, sentence) in verdict.points


def test_every_command_of_the_model_solution_is_in_the_runbook(told: Told) -> None:
    """Words in capitals stand for what an operator puts in; options of trust, time and form are the operator's."""
    (runbook,) = re.findall(r"^## Runbook$.*?(?=^## )", RUNBOOK.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    given = [
        re.compile(re.sub(r"\b(?!FOLDER\b)[A-Z]{2,}\b", ".+?", re.escape(line.partition("  #")[0].strip())))
        for line in re.findall(r"^ {4,6}((?:esrbridge|cp) .*)$", runbook, re.MULTILINE)
    ]
    typed = [re.sub(r" --(trust \S+|now \S+|json)", "", line) for line in told.typed]
    assert [line for line in typed if not any(one.fullmatch(line) for one in given)] == []


def test_a_seed_draws_five_kinds_and_another_seed_draws_others() -> None:
    draws = [Draw.of(seed) for seed in range(1, 30)]
    assert {len(set(draw.kinds)) for draw in draws} == {DRAWN}
    assert {kind for draw in draws for kind in draw.kinds} == set(EVERY)
    assert Draw.of(3) == Draw.of(3) != Draw.of(4)


def test_the_task_sheet_says_what_was_heard_and_no_command_that_clears_it(tmp_path: Path) -> None:
    incidents = Draw(7, EVERY).incidents(tmp_path)
    text = sheet(tmp_path, incidents)
    assert [one.vpd for one in incidents if f"Trust {one.vpd}\n" not in text] == []
    tasks = text.partition("\n## ")[2]
    assert re.findall(r"esrbridge|--|replay|discard|release|refuse |resend|settle", tasks) == []


def test_what_is_printed_names_each_trust_and_every_thing_that_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    (incident,) = Draw(7, ("gap",)).incidents(Path())
    verdict = Verdict()
    verdict.need(1, "it is so")
    verdict.need([], "it should be so")
    show([(incident, verdict)])
    assert capsys.readouterr().out.splitlines() == [
        "Trust 951: NOT cleared", "  yes  it is so", "  NO   it should be so", "0 of 1 incidents are cleared.",
    ]  # fmt: skip


def test_a_folder_that_is_no_drill_is_neither_judged_nor_deleted(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")
    for deed in (lambda: begin(tmp_path, Draw.of(1)), lambda: check(tmp_path), lambda: solve(tmp_path)):
        with pytest.raises(ConfigurationError, match="holds no drill"):
            deed()
    assert (tmp_path / "precious").exists()
    with pytest.raises(Exit):
        drill(tmp_path, check_=True)


@pytest.mark.parametrize("why", ["", "  ", "replayed from the command line"])
def test_a_deed_without_a_reason_of_ones_own_does_not_count(why: str) -> None:
    verdict = Verdict()
    verdict.need_reasons([{"why": "seen with the ward"}, {"why": why}])
    assert not verdict.cleared
    verdict = Verdict()
    verdict.need_reasons([])
    assert not verdict.cleared


def test_commands_work_at_the_moment_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESRBRIDGE_NOW", NOW)
    assert clock_at(None).now().isoformat()[:16] == NOW
    assert clock_at(datetime(2026, 3, 4, 6)).now().day == 4  # noqa: DTZ001 - business time, UK local
    monkeypatch.setenv("ESRBRIDGE_NOW", "tomorrow")
    with pytest.raises(ConfigurationError, match="ESRBRIDGE_NOW is 'tomorrow'"):
        clock_at(None)


def test_the_same_seed_tells_the_same_and_another_seed_something_else(tmp_path: Path) -> None:
    place = Place(tmp_path, "951")
    assert Poison(place, 3).task() == Poison(place, 3).task() != Poison(place, 4).task()
