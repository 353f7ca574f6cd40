"""Mappings by HTTP and by command: the same answers, and refusals that say why."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.config import load_config
from shared.mapping_settings import from_yaml, of_config
from tests.e2e import story
from tests.service.conftest import Serve

REASON = {"who": "sam", "why": "safeguarding is trained in the LMS"}
CONTENT = {"mappings": [{"competence_id": "100", "certification": "FIRE"}]}


async def test_mappings_are_drafted_checked_refused_and_discarded_by_http(serve: Serve) -> None:
    async with serve("competency") as service:

        async def call(method: str, path: str, status: int = 200, **options: Any) -> Any:
            answer = await service.client.request(method, f"/v1/trusts/991/mappings{path}", **options)
            assert answer.status_code == status, answer.text
            return answer.json()

        empty = {"version": 0, "in_force": {}, "later": None, "draft": None}
        assert await call("GET", "") == empty
        assert await call("POST", "/draft", json={**REASON, "content": CONTENT}) == {"version": 1, "mappings": 1}
        assert (await call("GET", ""))["draft"]["content"] == CONTENT
        found = await call("GET", "/check")
        assert [(one["code"], one["level"]) for one in found["findings"]] == [("ME01", "error")]
        assert "ME01" in (await call("POST", "/apply", 409, json=REASON))["detail"]
        assert (await call("GET", "/preview"))["changes"] == []
        assert await call("POST", "/discard", json=REASON) == {"discarded": 1}
        assert "no draft" in (await call("GET", "/preview", 409))["detail"]
        assert "no version before" in (await call("POST", "/undo", 409, json=REASON))["detail"]
        assert "no version 9" in (await call("GET", "/versions/9", 409))["detail"]
        assert await call("GET", "/versions/0") == {}
        wrong = {**REASON, "content": {"mappings": [{"certification": "X"}]}}
        assert "mappings.0" in (await call("POST", "/draft", 409, json=wrong))["detail"]
        await call("POST", "/draft", 422, json={"who": "", "why": "", "content": CONTENT})
        assert [one["action"] for one in await call("GET", "/history")] == ["discard", "draft"]
        assert (await call("GET", "/missing"), await call("GET", "/definitions")) == ([], [])


async def test_an_empty_draft_is_applied_and_undone_by_http_and_another_trust_does_not_see_it(serve: Serve) -> None:
    async with serve("competency") as service:
        base = "/v1/trusts/992/mappings"
        await service.client.post(f"{base}/draft", json={**REASON, "content": {}})
        applied = await service.client.post(f"{base}/apply", json=REASON)
        assert (applied.status_code, applied.json()["version"]) == (202, 1)
        assert (await service.client.get(base)).json()["version"] == 1
        undone = await service.client.post(f"{base}/undo", json=REASON)
        assert (undone.status_code, undone.json()) == (202, {"undone": 1, "version": 2, "people": 0})
        assert (await service.client.get("/v1/trusts/993/mappings/history")).json() == []


def run(*arguments: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "esrbridge.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code < 2 else done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which the story's full file was taken; nothing but fire safety is mapped."""
    trust = story.trust("999", {"driver": "files"})
    trust["mappings"] = [one for one in trust["mappings"] if one["certification"] == "FIRE"]
    (tmp_path / "bridge.yaml").write_text(yaml.safe_dump({"trusts": [trust]}))
    for name, content in story.files("999"):
        if name == story.FULL:
            story.put(tmp_path, "999", name, content)
    run("once", str(tmp_path), "--now", "2026-03-02T06:00")
    return tmp_path


def test_from_nothing_to_a_checked_previewed_applied_and_undone_mapping_by_commands(folder: Path) -> None:
    def mappings(command: str, *options: str, code: int = 0) -> str:
        return run("mappings", command, str(folder), *options, code=code)

    missing = json.loads(mappings("missing"))
    (unmapped,) = [one for one in missing if one["name"] == story.SAFEGUARDING]
    mappings("add", "--competence-id", unmapped["competence_id"], "--certification", "SGA1", "--why", "a test")
    (configured,) = load_config(folder / "bridge.yaml").trusts
    written = mappings("export")
    assert from_yaml(written).mappings[0] == of_config(configured.mappings).mappings[0]
    assert json.loads(mappings("check"))["errors"] == 0

    gained = [one for one in json.loads(mappings("preview"))["changes"] if one["direction"] == "to-lms"]
    assert [(one["certification"], one["lose"]["people"]) for one in gained] == [("SGA1", 0)]
    applied = json.loads(mappings("apply", "--why", "agreed", "--now", "2026-03-02T07:00"))
    assert applied["people"] == gained[0]["gain"]["people"] == 1
    assert story.SAFEGUARDING not in [one["name"] for one in json.loads(mappings("missing"))]
    undone = json.loads(mappings("undo", "--why", "too early", "--now", "2026-03-02T08:00"))
    assert undone["people"] == 1
    first, *_ = json.loads(mappings("history"))
    assert (first["action"], first["why"]) == ("undo", "too early")


def test_a_file_with_errors_becomes_a_draft_that_is_checked_with_exit_code_1_and_not_applied(folder: Path) -> None:
    written = folder / "mappings.yaml"
    written.write_text("mappings:\n  - {competence_id: 777, certification: X}\n", encoding="utf-8")
    run("mappings", "import", str(folder), str(written), "--why", "a test")
    assert json.loads(run("mappings", "check", str(folder), code=1))["errors"] == 1
    assert "ME01" in run("mappings", "apply", str(folder), "--why", "too fast", code=2)
    assert "1 mappings only" in run("mappings", "remove", str(folder), "2", "--why", "none", code=2)
