"""``esrbridge nights`` as users run it on a one-shot folder."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from esrbridge.cli import app
from esrbridge.local.postgres import postgres
from tests.e2e import story

VPD = "999"
EVENING = "2026-03-03T18:30"


def run(*arguments: str | Path) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, [*map(str, arguments)])


def told(*arguments: str | Path, code: int = 0) -> Any:
    done = run("nights", *arguments)
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that was worked on in the evening of a day, after its cut-off."""
    folder = tmp_path_factory.mktemp("nights")
    section = story.trust(VPD, {"driver": "files"}) | {"completions": {"cut_off": "18:00"}}
    (folder / "bridge.yaml").write_text(yaml.safe_dump({"trusts": [section]}), "utf-8")
    for name, content in story.files(VPD)[:3]:
        story.put(folder, VPD, name, content)
    with postgres(folder / "state" / "postgres", prefer_wheel=True):
        assert run("once", folder, "--now", EVENING, "--json").exit_code in (0, 1)
        yield folder


def test_the_steps_of_a_day_are_listed_with_what_they_counted(folder: Path) -> None:
    found = told("show", folder, "--json", "--now", EVENING)
    assert found["day"] == "2026-03-03"
    assert found["late"] == []
    assert {(one["service"], one["step"]): one["state"] for one in found["steps"]} == {
        ("ingest", "purge"): "done",
        ("ingest", "files-due"): "done",
        ("people", "new-day"): "done",
        ("competency", "new-day"): "done",
        ("confirmations", "answers-due"): "done",
        ("outbound", "completion-file"): "done",
    }
    (files,) = [one["result"] for one in found["steps"] if one["step"] == "files-due"]
    assert files.keys() == {"expected", "came", "accounted_for"}


def test_the_next_day_is_listed_as_due(folder: Path) -> None:
    found = told("show", folder, "--day", "2026-03-04", "--json", "--now", EVENING)
    assert {one["state"] for one in found["steps"]} == {"due"}
    (due,) = [one["due_at"] for one in found["steps"] if one["step"] == "completion-file"]
    assert due == "2026-03-04T18:00:00+00:00"


def test_what_was_not_run_in_time_is_late_in_the_list_and_in_the_report_and_changes_the_exit_code(folder: Path) -> None:
    found = told("show", folder, "--json", "--now", "2026-03-04T18:31", code=1)
    assert {one["step"] for one in found["late"]} == {
        "purge", "files-due", "new-day", "answers-due", "completion-file",
    }  # fmt: skip
    text = run("nights", "show", folder, "--now", "2026-03-04T18:31").stdout
    assert "Late" in text
    assert "due, late" in text
    report = json.loads(run("status", folder, "--json", "--now", "2026-03-04T18:31").stdout)
    assert len(report["trusts"][VPD]["late_steps"]) == 6
    said = run("status", folder, "--now", "2026-03-04T18:31").stdout
    assert "step completion-file of 2026-03-04: due, not done in time" in said


def test_a_step_is_run_again_for_a_day_and_who_and_why_is_shown(folder: Path) -> None:
    before = sorted((folder / VPD / "to-esr").iterdir())
    (done,) = told("run", folder, "completion-file", "--day", "2026-03-03", "--why", "to be sure", "--now", EVENING)
    assert (done["code"], done["result"]) == ("", {"completions": 0})
    found = told("show", folder, "--json", "--now", EVENING)
    (asked,) = [one["asked"] for one in found["steps"] if one["step"] == "completion-file"]
    assert [one["why"] for one in asked] == ["to be sure"]
    assert sorted((folder / VPD / "to-esr").iterdir()) == before


def test_the_days_files_are_counted_as_they_stand_when_the_step_is_run_again(folder: Path) -> None:
    (done,) = told("run", folder, "files-due", "--day", "2026-03-03", "--why", "it came late", "--now", EVENING)
    assert done["result"] == {"expected": 1, "came": 1, "accounted_for": 1}
    (done,) = told("run", folder, "files-due", "--day", "2026-03-01", "--why", "before we began", "--now", EVENING)
    assert done["result"] == {"expected": 1, "came": 0, "accounted_for": 0}


def test_a_step_of_several_services_is_run_in_each(folder: Path) -> None:
    done = told("run", folder, "new-day", "--why", "to be sure", "--now", EVENING)
    assert [one["steps"][0]["service"] for one in done] == ["people", "competency"]


@pytest.mark.parametrize(
    ("step", "day", "why"),
    [("breakfast", "2026-03-03", "there is no step breakfast"), ("completion-file", "2026-03-05", "is not due yet")],
)
def test_what_cannot_be_run_is_refused_in_a_sentence(folder: Path, step: str, day: str, why: str) -> None:
    done = run("nights", "run", folder, step, "--day", day, "--why", "to see", "--now", EVENING)
    assert done.exit_code == 2
    assert why in done.stderr
