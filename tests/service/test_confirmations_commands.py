"""``esrbridge completions`` on a folder, as an operator uses it; and the same by HTTP."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from esrbridge.cli import app
from tests.e2e import story
from tests.service.confirmations_rig import OTHER, SENT, answer, complete, head, rigged, sent
from tests.service.conftest import Serve
from tests.service.harness import Running

VPD = "999"
SENT_FILE = story.SENT.format(vpd=VPD)
LOADED, REFUSED = f"L{VPD}-0000000001", f"L{VPD}-0000000002"


def run(*arguments: str | Path, code: int = 0) -> Any:
    done = CliRunner().invoke(app, ["completions", *map(str, arguments)])
    assert done.exit_code == code, done.output
    assert [name for name in ("Fern", "Rowan", "Sampleton", "Mockford") if name in done.output] == []
    return json.loads(done.stdout) if not code else done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("completions")
    (folder / "bridge.yaml").write_text(yaml.safe_dump({"trusts": [story.trust(VPD, {"driver": "files"})]}))
    for name, content in story.files(VPD)[:3]:
        story.put(folder, VPD, name, content)
    CliRunner().invoke(app, ["once", str(folder), "--now", story.NOW, "--json"])
    story.put(folder, VPD, story.ANSWERS, story.answers(VPD))
    done = CliRunner().invoke(app, ["once", str(folder), "--now", "2026-03-04T07:00", "--json"])
    told = json.loads(done.stdout)["trusts"][VPD]
    assert (told["refused_by_esr"], told["answers_of_esr"]) == (
        {"B202": 1}, {"open": 0, "overdue": 0, "unmatched": 1}
    )  # fmt: skip
    assert told["events"]["confirmations.ConfirmationUnmatched"] == 1
    return folder


def test_items_are_listed_and_chosen(folder: Path) -> None:
    everything = run("list", folder)
    assert [(one["sent"]["reference"], one["state"], one["code"]) for one in everything] == [
        (LOADED, "confirmed", ""),
        (REFUSED, "rejected", "B202"),
    ]
    assert run("list", folder, "--state", "rejected") == run("list", folder, "--code", "B202") == everything[1:]
    assert run("list", folder, "--person", "9000001") == run("list", folder, "--reference", LOADED) == everything[:1]
    assert run("list", folder, "--file", SENT_FILE, "--after", f"{SENT_FILE}~1", "--limit", "1") == everything[1:]
    assert run("list", folder, "--file", "none.DAT") == run("list", folder, "--overdue") == []
    assert "--after is not" in run("list", folder, "--after", "odd", code=2)


def test_the_ledger_shows_a_completion_from_the_lms_to_now(folder: Path) -> None:
    (found,) = run("show", folder, "--person", "9000002")["completions"]
    assert (found["completed"]["certification"], found["completed"]["stream"]) == ("BLS", "lms")
    (item,) = found["items"]
    assert (item["sent"]["reference"], item["answers"][0]["code"]) == (REFUSED, "B202")
    assert (found["now"]["state"], found["now"]["code"]) == ("refused", "B202")
    assert run("show", folder, "--file", SENT_FILE, "--limit", "1")["next"]
    assert run("show", folder, "--key", found["key"])["completions"] == [found]


def test_files_and_nights_add_up(folder: Path) -> None:
    (file,) = run("files", folder)["files"]
    assert (file["file"], file["sent"], file["confirmed"], file["refused"], file["open"]) == (SENT_FILE, 2, 1, 1, 0)
    assert run("files", folder, "--file", SENT_FILE)["files"] == [file]
    assert run("files", folder, "--file", "none.DAT")["files"] == []
    (night,) = run("night", folder, "--since", "2026-03-01")
    assert (night["files"], night["sent"], night["open"], night["named"]) == (1, 2, 0, [])
    assert run("night", folder, "--until", "2026-03-01") == []


def test_refusals_and_odd_answers_come_with_words(folder: Path) -> None:
    (refused,) = run("refused", folder)
    assert (refused["code"], refused["number"], refused["remedy"]) == ("B202", 1, "person")
    (odd,) = run("unmatched", folder)["unmatched"]
    assert (odd["code"], odd["reference"], odd["line"]) == ("C102", f"L{VPD}-0000009999", 5)


async def get(running: Running, path: str, status: int = 200) -> Any:
    found = await running.client.get(f"/v1/trusts/991/completions/{path}")
    assert found.status_code == status, found.text
    return found.json()


async def test_the_same_is_answered_by_http_in_pages(
    serve: Serve, module_database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(module_database, passwords) as (rig,):
        await rig.hear(sent("R1"), sent("R2", 2), sent("R3", file=OTHER), head(), answer(), answer("R9", 4), complete())
        await rig.look()
    async with serve("confirmations") as running:
        assert [one["file"] for one in (await get(running, "files"))["files"]] == [OTHER, SENT]
        assert [one["file"] for one in (await get(running, f"files?file={SENT}"))["files"]] == [SENT]
        first = await get(running, "files?limit=1")
        assert [one["file"] for one in (await get(running, f"files?after={first['next']}"))["files"]] == [SENT]
        assert (await get(running, "nights"))[0]["sent"] == 3
        assert await get(running, "refused") == []
        assert [one["code"] for one in (await get(running, "unmatched"))["unmatched"]] == ["C107", "C102"]
        page = await get(running, "ledger?limit=2")
        assert [one["key"] for one in page["completions"]] == ["K-R1", "K-R2"]
        rest = await get(running, f"ledger?limit=2&after={page['next']}")
        assert ([one["key"] for one in rest["completions"]], rest["next"]) == (["K-R3"], "")
        assert len((await get(running, f"ledger?file={OTHER}"))["completions"]) == 1
        for odd in ("files?after=odd", "ledger?after=odd", "unmatched?after=odd", "ledger?key=a%00b", "files?limit=0"):
            await get(running, odd, 422)
