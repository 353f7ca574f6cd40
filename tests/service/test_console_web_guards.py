"""Runs that a guard holds, on a page: how many, what share, whom; let go or refused, by who may."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from tests.service.conftest import Serve
from tests.service.console_web_rig import FINE, Web, web
from tests.service.test_console_web_completions import text_of, with_services

HERE = "/trusts/991/guards"
FILE = "CS_991_CST_CSF_20260304_00000004.DAT"
(SOUND,) = FINE["ingest/files"]
HELD_FILE = SOUND | {
    "name": FILE, "status": "held", "code": "F018", "accounted": {}, "sha256": "ab" * 32,
    "reason": "212 of 4000 people held are not in it; it waits for an operator",
}  # fmt: skip
WAITING = {
    "suspensions": 212, "closed_today": 3, "accounts": 4000, "allowed": 80, "held": True,
    "people": [{"person_id": "9000001", "state": "leaver", "closes_on": "2026-03-03"}],
}  # fmt: skip
NOTHING = WAITING | {"suspensions": 0, "held": False, "people": []}
HELD: dict[str, Any] = {
    "ingest/files": [HELD_FILE],
    f"ingest/files/{FILE}": [HELD_FILE | {"offers": ["release", "discard"], "confirmations": []}],
    "outbound/guards": [
        {"day": "2026-03-04", "suspensions": 212, "accounts": 4000, "held_at": "2026-03-04T06:00:00+00:00",
         "released_at": None},
    ],
    "outbound/guards/suspensions": WAITING,
    "outbound/decisions?subject=suspensions": [
        {"subject": "suspensions", "decision": "refuse", "who": "sam", "why": "half a file",
         "at": "2026-03-04T07:00:00+00:00", "details": {"suspensions": 200}},
    ],
    "POST outbound/guards/suspensions/release": {"released": 212},
    "POST outbound/guards/suspensions/refuse": {"refused": 212},
    f"POST ingest/files/{FILE}/release": {"status": "ready"},
    f"POST ingest/files/{FILE}/discard": {"status": "discarded"},
}  # fmt: skip
"""Services in which a half file has come."""


@pytest.fixture
async def site(module_database: str, passwords: Mapping[str, str]) -> AsyncIterator[Web]:
    async with web(module_database, passwords["console"]) as made:
        made.said |= HELD
        await made.sign_in("operator")
        yield made


async def test_what_waits_is_told_with_how_many_what_share_and_whom(site: Web) -> None:
    body = await text_of(site, HERE)
    for said in ("212 accounts", "5.3% of 4,000 open accounts", "80 in a day go by themselves", "9000001", "Leaver"):
        assert said in body
    assert "212 of 4000 people held are not in it" in body
    assert "sam: refuse of 200. half a file" in body


async def test_a_held_file_waits_here_however_many_came_after_it(site: Web) -> None:
    site.said |= {"ingest/files": [SOUND], "ingest/files?status=held": [HELD_FILE]}
    assert "212 of 4000 people held are not in it" in await text_of(site, HERE)


async def test_where_nothing_waits_the_page_says_so_and_a_service_that_is_away_is_not_taken_for_nothing(
    site: Web,
) -> None:
    site.said |= {"outbound/guards/suspensions": NOTHING, "outbound/guards": [], "ingest/files": [SOUND]}
    body = await text_of(site, HERE)
    for said in ("Nothing waits for a release.", "No file waits for a release.", "No accounts were held before."):
        assert said in body
    assert 'type="radio"' not in body
    site.said |= {"outbound/guards/suspensions": 503, "ingest/files": 503}
    body = await text_of(site, HERE)
    assert body.count("does not answer") == 2
    assert "app-part--act" in body


@pytest.mark.parametrize("decision", ["release", "refuse"])
async def test_suspensions_are_decided_as_seen_in_the_visitors_name(site: Web, decision: str) -> None:
    answer = await site.form(HERE, f"{HERE}/suspensions", decision=decision, why="agreed", expected="212")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{HERE}?done={decision}")
    said = {"who": "person-1", "why": "agreed", "expected": 212}
    assert site.posted == [(f"outbound/guards/suspensions/{decision}", said)]
    assert (await site.deeds())[-1] == ("991", "person-1", f"guards: {decision}", "", "agreed")
    assert "Done" in await text_of(site, f"{HERE}?done={decision}")


@pytest.mark.parametrize("decision", ["release", "discard"])
async def test_a_held_file_is_let_in_or_discarded_by_its_checksum(site: Web, decision: str) -> None:
    asked = {"decision": decision, "why": "agreed", "sha256": "ab" * 32, "place": "file-1"}
    answer = await site.form(HERE, f"{HERE}/files/{FILE}", **asked)
    assert answer.headers["location"] == f"{HERE}?done=file-{decision}"
    said = {"who": "person-1", "why": "agreed", "sha256": "ab" * 32}
    assert site.posted == [(f"ingest/files/{FILE}/{decision}", said)]
    assert (await site.deeds())[-1][2] == f"guards: {decision} file"


async def test_a_held_file_that_only_waits_for_another_is_not_offered_for_release(site: Web) -> None:
    site.said[f"ingest/files/{FILE}"] = [HELD_FILE | {"offers": ["discard"], "confirmations": []}]
    assert "No file waits for a release." in await text_of(site, HERE)


async def test_without_a_choice_or_a_reason_nothing_is_decided_and_a_refusal_is_told(site: Web) -> None:
    for to in ("suspensions", f"files/{FILE}"):
        for said in ({"why": "a test"}, {"decision": "release"}, {"decision": "nonsense", "why": "a test"}):
            answer = await site.form(HERE, f"{HERE}/{to}", **said)
            assert (answer.status_code, "There is a problem" in answer.text) == (422, True)
    assert site.posted == []
    site.said["POST outbound/guards/suspensions/release"] = "there are not 212 suspensions waiting: look again"
    site.said[f"POST ingest/files/{FILE}/release"] = "file is complete; release is not possible"
    for to in ("suspensions", f"files/{FILE}"):
        answer = await site.form(HERE, f"{HERE}/{to}", decision="release", why="a test", expected="212")
        assert answer.status_code == 409
    assert "File is complete; release is not possible" in answer.text


async def test_only_an_operator_decides(site: Web) -> None:
    for role in ("viewer", "learning manager", "approver", "auditor"):
        site.browser.cookies.clear()
        await site.sign_in(role)
        assert 'type="radio"' not in await text_of(site, HERE)
        answer = await site.form(HERE, f"{HERE}/suspensions", decision="release", why="a test", expected="212")
        assert answer.status_code == 403
    assert site.posted == []


async def test_outbound_and_ingest_answer_what_this_page_asks_and_refuse_in_a_sentence(serve: Serve, site: Web) -> None:
    async with serve("outbound") as outbound, serve("ingest") as ingest:
        with_services(site, outbound=outbound.client, ingest=ingest.client)
        body = await text_of(site, HERE)
        assert ("Nothing waits for a release." in body, "No file waits for a release." in body) == (True, True)
        for decision in ("release", "refuse"):
            answer = await site.form(HERE, f"{HERE}/suspensions", decision=decision, why="a test", expected="5")
            assert (answer.status_code, "There are not 5 suspensions waiting" in answer.text) == (409, True)
        answer = await site.form(HERE, f"{HERE}/files/{FILE}", decision="release", why="a test", sha256="")
        assert (answer.status_code, "0 files of trust 991 match" in answer.text) == (409, True)
