"""``esrbridge accounts`` as users run it, on a one-shot folder with an in-process LMS; and the API of ``outbound``."""

import json
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from esrbridge.lms import IN_PROCESS
from esrbridge.local.postgres import postgres
from sandbox.lms import SandboxLms
from sandbox.lms_operations import EnsureAccount
from shared.config import BridgeConfig, TrustConfig
from tests.e2e import feed, story
from tests.e2e.test_files_commands import run
from tests.service.harness import running

VPD = "999"
NOW = ("--now", "2026-03-03T18:30")
LATER = ("--now", "2026-03-04T18:30")
WHY = ("--why", "agreed with workforce")
STRANGER = 9_000_001
LINK = {"by": "employee_number", "employee_number_field": "esr"}


def lms(folder: Path) -> SandboxLms:
    return SandboxLms(folder / "lms.sqlite", VPD)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Ten people hired, of whom one had an account under another name; the next day seven of them have left."""
    folder = tmp_path_factory.mktemp("accounts")
    trust = story.trust(VPD, {"driver": "sandbox", "url": IN_PROCESS + "lms.sqlite"}) | {"accounts": {"link": LINK}}
    (folder / "bridge.yaml").write_text(yaml.safe_dump({"trusts": [trust]}), "utf-8")
    made = EnsureAccount(
        operation="ensure_account", idnumber="by-hand", username="fern", firstname="Staff", lastname="Before",
        email="fern@lms.example", account_type="PERM", fields={"esr": str(STRANGER + 20_000_000)},
    )  # fmt: skip
    lms(folder).apply([made])
    people = range(STRANGER, STRANGER + 10)
    first = feed.feed(VPD, date(2026, 3, 3), 1, feed.staff(people), full=True)
    story.put(folder, VPD, feed.name(VPD, date(2026, 3, 3), 1, full=True), first)
    with postgres(folder / "state" / "postgres", prefer_wheel=True):
        run("once", folder, *NOW, "--json")
        gone = {"system_person_type": "EX_EMP", "actual_termination_date": "2026-03-03"}
        leavers = [feed.person(one, **gone) for one in list(people)[1:8]]
        second = feed.feed(VPD, date(2026, 3, 4), 2, leavers)
        story.put(folder, VPD, feed.name(VPD, date(2026, 3, 4), 2), second)
        run("once", folder, *LATER, "--json")
        yield folder


def told(*arguments: str | Path) -> Any:
    return json.loads(run("accounts", *arguments))


def test_the_report_says_what_waits_for_an_operator(folder: Path) -> None:
    trust = json.loads(run("status", folder, "--json"))["trusts"][VPD]
    assert trust["operator"] == {"matches": 1, "suspensions": 7}
    assert "7 suspensions wait for a release" in run("status", folder)


def test_a_match_is_shown_hidden_and_open_decided_and_undone(folder: Path) -> None:
    (asked,) = told("matches", folder)
    assert (asked["person_id"], asked["reason"]) == (str(STRANGER), "name-differs")
    assert "Before" not in json.dumps(asked)
    (shown,) = told("matches", folder, "--reveal")
    (candidate,) = shown["candidates"]
    assert candidate["account"]["last_name"] == "Before"

    refused = run("accounts", "link", folder, str(STRANGER), "77", *WHY, *LATER, code=2)
    assert "not among the candidates" in refused
    told("link", folder, str(STRANGER), candidate["lms_id"], *WHY, *LATER)
    account = lms(folder).account(f"{VPD}-{STRANGER}")
    assert account is not None
    assert (account["lastname"], account["username"]) == ("Invented", str(STRANGER + 20_000_000))
    assert told("matches", folder) == []

    told("undo", folder, str(STRANGER), *WHY, *LATER)
    before = lms(folder).account("by-hand")
    assert before is not None
    assert (before["lastname"], before["username"]) == ("Before", "fern")
    told("new", folder, str(STRANGER), *WHY, *LATER)
    assert lms(folder).account(f"{VPD}-{STRANGER}") is not None
    assert [one["decision"] for one in told("decisions", folder, "--subject", str(STRANGER))] == ["new", "undo", "link"]


def test_held_suspensions_are_shown_and_released(folder: Path) -> None:
    (held,) = told("guards", folder)
    assert (held["day"], held["suspensions"], held["released_at"]) == ("2026-03-04", 7, None)
    waiting = told("held", folder, "--limit", "2", *LATER)
    assert (waiting["suspensions"], waiting["held"], len(waiting["people"])) == (7, True, 2)
    assert "look again" in run("accounts", "refuse", folder, "--expected", "6", *WHY, *LATER, code=2)
    assert told("refuse", folder, "--expected", "7", *WHY, *LATER) == {"refused": 7}
    assert told("held", folder, *LATER)["suspensions"] == 7
    assert "look again" in run("accounts", "release", folder, "--expected", "6", *WHY, *LATER, code=2)
    assert told("release", folder, "--expected", "7", *WHY, *LATER) == {"released": 7}
    assert sum(account["suspended"] for account in lms(folder).accounts()) == 7
    assert told("show", folder, str(STRANGER + 1))["suspended"] is True
    assert told("guards", folder)[0]["released_at"] is not None


def test_a_person_nobody_knows_is_refused_in_a_sentence(folder: Path) -> None:
    assert "no account is kept" in run("accounts", "show", folder, "nobody", code=2)
    assert "nothing is to be decided" in run("accounts", "new", folder, "nobody", *WHY, code=2)


async def test_the_api_says_the_same_and_refuses_what_cannot_be_decided(
    database: str, passwords: Mapping[str, str], rabbitmq_url: str, tmp_path: Path
) -> None:
    config = BridgeConfig(trusts=(TrustConfig(vpd=VPD),))
    async with running(
        "outbound", database=database, password=passwords["outbound"], broker=rabbitmq_url, files=tmp_path,
        config=config,
    ) as service:  # fmt: skip
        path = f"/v1/trusts/{VPD}"
        assert (await service.client.get(f"{path}/matches")).json() == []
        assert (await service.client.get(f"{path}/guards")).json() == []
        assert (await service.client.get(f"{path}/accounts/1")).status_code == 404
        site = (await service.client.get(f"{path}/site")).json()
        assert site == {"waits": False, "code": "", "failures": 0, "findings": []}
        assert (await service.client.get("/v1/trusts/998/site")).status_code == 404
        said = {"who": "a.nother", "why": "agreed"}
        link = await service.client.post(f"{path}/matches/1/decision", json={**said, "decision": "new"})
        assert (link.status_code, "nothing is to be decided" in link.json()["detail"]) == (409, True)
        release = await service.client.post(f"{path}/guards/suspensions/release", json={**said, "expected": 3})
        assert (release.status_code, "not 3 suspensions" in release.json()["detail"]) == (409, True)
        refuse = await service.client.post(f"{path}/guards/suspensions/refuse", json={**said, "expected": 3})
        assert (refuse.status_code, "not 3 suspensions" in refuse.json()["detail"]) == (409, True)
        waiting = (await service.client.get(f"{path}/guards/suspensions")).json()
        assert (waiting["suspensions"], waiting["held"], waiting["people"]) == (0, False, [])
        assert (await service.client.get("/v1/trusts/998/guards/suspensions")).status_code == 404
        odd = await service.client.post(f"{path}/matches/1/decision", json={**said, "decision": "merge"})
        assert odd.status_code == 422
