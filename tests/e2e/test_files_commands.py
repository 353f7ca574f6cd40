"""``esrbridge files`` as users run it on a one-shot folder, and against a running service."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from esrbridge.local.postgres import postgres
from tests.e2e import feed, story

VPD = "999"
NOW = ("--now", "2026-03-05T18:30")
HELD = feed.name(VPD, date(2026, 3, 5), 4)


def run(*arguments: str | Path, code: int = 0) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ESRBRIDGE_")}
    command = [sys.executable, "-m", "esrbridge.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which a full file was applied and one changes file waits for those before it."""
    folder = tmp_path_factory.mktemp("files")
    config = {"trusts": [story.trust(VPD, {"driver": "files"})]}
    (folder / "bridge.yaml").write_text(yaml.safe_dump(config), "utf-8")
    story.put(folder, VPD, story.FULL, story.sample(VPD, story.FULL))
    story.put(folder, VPD, HELD, feed.feed(VPD, date(2026, 3, 5), 4, feed.staff([7001, 7002])))
    with postgres(folder / "state" / "postgres", prefer_wheel=True):
        run("once", folder, *NOW, "--json", code=1)
        yield folder


def told(*arguments: str | Path) -> Any:
    return json.loads(run("files", *arguments))


def test_a_list_tells_every_file_with_its_account_or_why_it_waits(folder: Path) -> None:
    text = run("files", "list", folder)
    assert f"{story.FULL.format(vpd=VPD)}  complete  19 records  " in text
    assert f"{HELD}  held  4 records  F006: " in text
    files = told("list", folder, "--json")
    assert sorted(file["status"] for file in files) == ["complete", "held"]
    assert [file["name"] for file in told("list", folder, "--status", "held", "--json")] == [HELD]

    first = run("files", "list", folder, "--limit", "1")
    assert files[0]["name"] in first
    after = "~".join(files[0][name] for name in ("received_at", "name", "sha256"))
    assert f"--after '{after}'" in first
    assert [one["name"] for one in told("list", folder, "--after", after, "--json")] == [files[1]["name"]]
    assert "--after" in run("files", "list", folder, "--after", "yesterday", code=2)


def test_a_line_is_looked_up_by_file_and_number(folder: Path) -> None:
    found = told("line", folder, story.FULL.format(vpd=VPD), "2")
    assert (found["line"], found["fate"]) == (2, "applied")
    assert "no such line" in run("files", "line", folder, story.FULL.format(vpd=VPD), "999", code=2)


def test_a_held_file_says_what_can_be_done_and_is_applied_when_released(folder: Path) -> None:
    (before,) = told("show", folder, HELD)
    assert (before["status"], before["offers"], before["confirmations"]) == (
        "held",
        ["release", "discard", "request"],
        [],
    )

    asked = told("request", folder, "--why", "two days are missing", *NOW)
    assert asked["as_at"] == "2026-03-06T00:00:00"
    assert told("requests", folder) == [
        {
            "file": asked["file"],
            "as_at": asked["as_at"],
            "who": told("requests", folder)[0]["who"],
            "why": "two days are missing",
            "delivered": True,
        }
    ]
    assert (folder / VPD / "to-esr" / asked["file"]).is_file()

    (after,) = told("release", folder, HELD, "--why", "ESR cannot make them again", *NOW)
    assert (after["status"], after["adds_up"], after["released"], after["offers"]) == ("complete", True, True, [])
    assert [one["status"] for one in after["confirmations"]] == ["SUCCESS"]
    assert "is complete; discard is not possible" in run("files", "discard", folder, HELD, "--why", "no", code=2)


def test_alarms_and_absentees_are_listed(folder: Path) -> None:
    assert told("absent", folder) == []
    assert told("alarms", folder) == []


def test_a_file_or_trust_nobody_knows_is_refused_in_a_sentence(folder: Path) -> None:
    assert "no file of this name" in run("files", "show", folder, "OTHER.DAT", code=2)
    assert "--trust" in run("files", "list", folder, "--trust", "998", code=2)


def test_without_a_trust_a_running_service_is_not_asked() -> None:
    assert "--trust" in run("files", "list", "http://127.0.0.1:1", code=2)


def test_a_service_that_does_not_answer_is_told_in_a_sentence() -> None:
    assert "did not answer" in run("files", "list", "http://127.0.0.1:1", "--trust", VPD, code=2)
