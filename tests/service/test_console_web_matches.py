"""Whose account is whose, on pages: side by side, revealed field by field, decided, and taken back."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from services.console.web.pages.matches import MASK, REASONS
from services.outbound import desk
from tests.service.conftest import Serve
from tests.service.console_web_rig import Web, web
from tests.service.outbound_bench import VPD, outbound_bench
from tests.service.test_account_links import BY_NI, FERN, already, waiting
from tests.service.test_console_web_completions import text_of, with_services

HERE = "/trusts/991/matches"
PERSON = "9000001"
HIDDEN = {"first_name": "***", "last_name": "***", "birth_date": "***", "email": "***", "employee_number": ""}
PLAIN = {
    "first_name": "Fern", "last_name": "Placeholder", "birth_date": "1990-02-01", "email": "fern@trust.example",
    "employee_number": "",
}  # fmt: skip


def account(lms_id: str, values: dict[str, str]) -> dict[str, Any]:
    return {"lms_id": lms_id, "idnumber": "", "suspended": False, "agrees": ["first_name"], "account": values}


MASKED = {"first_name": "***", "last_name": "***", "nino": "***"}
ONE = {"first_name": "Fern", "last_name": "Exemplar", "nino": "QQ123456A"}
OTHER = {"first_name": "Fern", "last_name": "Different", "nino": "QQ123456B"}
QUESTION: dict[str, Any] = {
    "person_id": PERSON, "reason": "name-differs", "person": HIDDEN, "excluded": [],
    "candidates": [account("17", MASKED), account("18", MASKED)],
}  # fmt: skip
SHOWN = QUESTION | {"person": PLAIN, "candidates": [account("17", ONE), account("18", OTHER)]}
LINKED: dict[str, Any] = {
    "number": 41, "stands": True,
    "subject": "9000002", "decision": "link", "who": "sam", "why": "same mail", "at": "2026-03-03T10:00:00+00:00",
    "details": {"lms_id": "4"},
}  # fmt: skip
QUESTIONS: dict[str, Any] = {
    "outbound/matches": [QUESTION],
    "outbound/matches?reveal=true": [SHOWN],
    "outbound/decisions": [LINKED],
    f"POST outbound/matches/{PERSON}/decision": {"person_id": PERSON},
    "POST outbound/matches/9000002/decision": {"person_id": "9000002"},
}
PERSONAL = {*PLAIN.values(), *ONE.values(), *OTHER.values()} - {""}


@pytest.fixture
async def site(module_database: str, passwords: Mapping[str, str]) -> AsyncIterator[Web]:
    async with web(module_database, passwords["console"]) as made:
        made.said |= QUESTIONS
        await made.sign_in("learning manager")
        yield made


async def link(site: Web, ending: str = "") -> str:
    """The address of the one question, or of what begins with it."""
    body = await text_of(site, HERE)
    found = [part.partition('"')[0] for part in body.split('href="')[1:]]
    return next(one for one in found if one.startswith(f"{HERE}/") and ending in one)


async def test_people_to_decide_about_are_listed_with_why_and_no_address_holds_a_staff_number(site: Web) -> None:
    body = await text_of(site, HERE)
    assert ("1 person to decide about" in body, "The key agrees, the last name does not." in body) == (True, True)
    links = [part.partition('"')[0] for part in body.split('href="')[1:]]
    assert not any(PERSON in one or "9000002" in one for one in links)
    site.said["outbound/matches"] = []
    site.said["outbound/decisions"] = 503
    body = await text_of(site, HERE)
    assert "Nobody has to be decided about." in body
    assert "the service outbound does not answer" in body


async def test_values_stand_side_by_side_hidden_and_what_agrees_is_told(site: Web) -> None:
    body = await text_of(site, await link(site))
    assert not any(value in body for value in PERSONAL)
    assert body.count(">hidden") == 4 + 6
    assert body.count("Agrees") == 2
    await text_of(site, f"{HERE}/{'0' * 32}", 404)


async def test_one_field_is_revealed_of_the_person_and_of_each_account_and_nothing_else(site: Web) -> None:
    page = await link(site)
    before = len(await site.deeds())
    for said in ({"field": "last_name", "why": " "}, {"field": "nothing", "why": "a test"}, {"why": "a test"}):
        answer = await site.form(page, f"{page}/reveal", **said)
        assert (answer.status_code, any(value in answer.text for value in PERSONAL)) == (422, False)
    assert len(await site.deeds()) == before
    answer = await site.form(page, f"{page}/reveal", field="last_name", why="compares the names")
    assert all(value in answer.text for value in ("Placeholder", "Exemplar", "Different"))
    assert not any(value in answer.text for value in ("1990-02-01", "QQ123456A", "QQ123456B", "fern@trust.example"))
    assert (await site.deeds())[-1] == ("991", "person-1", "revealed", "last_name", "compares the names")
    assert "Different" not in await text_of(site, page)


async def test_an_account_is_linked_or_a_new_one_made_in_the_visitors_name(site: Web) -> None:
    page = await link(site)
    for decision, said in (("link:18", ("link", "18")), ("new", ("new", ""))):
        answer = await site.form(page, f"{page}/decide", decision=decision, why="asked them")
        assert (answer.status_code, answer.headers["location"]) == (303, f"{HERE}?done={said[0]}")
        path, body = site.posted[-1]
        assert path == f"outbound/matches/{PERSON}/decision"
        assert body == {"who": "person-1", "decision": said[0], "why": "asked them", "lms_id": said[1]}
        assert (await site.deeds())[-1] == ("991", "person-1", f"matches: {said[0]}", "", "asked them")
    assert "The account is theirs." in await text_of(site, f"{HERE}?done=link")


async def test_without_a_choice_or_a_reason_nothing_is_decided_and_a_refusal_is_told(site: Web) -> None:
    page = await link(site)
    for said in ({"decision": "", "why": "a test"}, {"decision": "undo", "why": "a test"}, {"decision": "new"}):
        assert (await site.form(page, f"{page}/decide", **said)).status_code == 422
    assert site.posted == []
    site.said[f"POST outbound/matches/{PERSON}/decision"] = "this account is linked to person 9000007; undo that first"
    answer = await site.form(page, f"{page}/decide", decision="link:18", why="a test")
    assert (answer.status_code, "This account is linked to person 9000007" in answer.text) == (409, True)


async def test_a_link_is_taken_back_once_and_only_while_it_stands(site: Web) -> None:
    page = await link(site, "/undo")
    assert "Take the link of person 9000002 back" in await text_of(site, page)
    assert (await site.form(page, page, why="")).status_code == 422
    answer = await site.form(page, page, why="it was her twin")
    assert answer.headers["location"] == f"{HERE}?done=undo"
    said = {"who": "person-1", "decision": "undo", "why": "it was her twin", "lms_id": ""}
    assert site.posted == [("outbound/matches/9000002/decision", said)]
    site.said["POST outbound/matches/9000002/decision"] = "no account is linked to this person"
    assert (await site.form(page, page, why="once more")).status_code == 409
    site.said["outbound/decisions"] = [LINKED | {"stands": False}]
    await text_of(site, page, 404)
    site.said["outbound/decisions"] = [LINKED]
    for odd in ("?n=40", "?n=x", "?n=9999999999999999999", ""):
        await text_of(site, page.partition("?")[0] + odd, 404)
    await text_of(site, f"{HERE}/{'0' * 32}/undo?n=41", 404)


async def test_any_link_is_found_however_many_were_made_since_and_taken_back(site: Web) -> None:
    many = [LINKED | {"number": number, "subject": f"8{number:06}"} for number in range(1000, 949, -1)]
    old = LINKED | {"number": 7, "subject": "9000007"}
    site.said |= {
        "POST outbound/matches/9000007/decision": {"person_id": "9000007"},
        "outbound/decisions": many,
        "outbound/decisions?after=951": [old],
        "outbound/decisions?after=8": [old],
    }
    first = await text_of(site, HERE)
    assert (first.count("/undo?n="), "9000007" in first, f'href="{HERE}?after=951"' in first) == (50, False, True)
    second = await text_of(site, f"{HERE}?after=951")
    assert ("9000007" in second, "Older decisions" in second, "Newest decisions" in second) == (True, False, True)
    (page,) = [part.partition('"')[0] for part in second.split('href="')[1:] if "/undo" in part.partition('"')[0]]
    answer = await site.form(page, page.partition("?")[0], n="7", why="it was her twin")
    assert answer.headers["location"] == f"{HERE}?done=undo"
    assert site.posted[-1][0] == "outbound/matches/9000007/decision"
    await text_of(site, f"{HERE}?after=x", 404)


async def test_decisions_about_a_person_are_found_by_a_form_and_it_is_written_down(site: Web) -> None:
    old = LINKED | {"number": 7, "subject": "9000007"}
    site.said |= {
        "outbound/decisions": [], "outbound/decisions?subject=9000007": [old],
        "people/people?q=20001234": [{"person_id": "9000007", "state": "employee"}],
    }  # fmt: skip
    answer = await site.form(HERE, HERE, staff="20001234")
    assert (answer.status_code, "/undo?n=7" in answer.text) == (200, True)
    assert (await site.deeds())[-1][:3] == ("991", "person-1", "looked up matches")
    links = [part.partition('"')[0] for part in answer.text.split('href="')[1:]]
    assert not any("9000007" in one or "20001234" in one for one in links)
    assert "Nothing." in (await site.form(HERE, HERE, staff="9000008")).text
    empty = await site.form(HERE, HERE, staff=" ")
    assert (empty.status_code, "Enter a staff number" in empty.text) == (422, True)
    site.said["people/people?q=9000007"] = 503
    assert "under this very number" in (await site.form(HERE, HERE, staff="9000007")).text


async def test_who_may_only_look_sees_neither_form_nor_value(site: Web) -> None:
    page = await link(site)
    site.browser.cookies.clear()
    await site.sign_in("viewer")
    body = await text_of(site, page)
    assert ('type="radio"' in body, 'id="reveal-field"' in body) == (False, False)
    assert (await site.form(HERE, f"{page}/decide", decision="new", why="a test")).status_code == 403
    assert "/undo" not in await text_of(site, HERE)


async def test_outbound_answers_what_these_pages_ask_and_refuses_in_a_sentence(serve: Serve, site: Web) -> None:
    page = await link(site)
    async with serve("outbound") as outbound:
        with_services(site, outbound=outbound.client)
        assert "Nobody has to be decided about." in await text_of(site, HERE)
        assert "Nothing." in await text_of(site, f"{HERE}?after=9")
        await text_of(site, page, 404)
        answer = await outbound.client.post(
            f"/v1/trusts/991/matches/{PERSON}/decision", json={"who": "person-1", "decision": "new", "why": "a test"}
        )
        assert (answer.status_code, answer.json()["detail"]) == (
            409,
            "nothing is to be decided about this person's account",
        )


async def test_a_question_of_outbound_has_the_shape_that_is_laid_out_here(
    database: str, passwords: Mapping[str, str], tmp_path: Path
) -> None:
    async with outbound_bench(database, passwords, tmp_path, accounts=BY_NI) as outbound:
        already(outbound.lms, dob="1991-02-01")
        await outbound.night(FERN)
        (asked,) = await waiting(outbound)
        (candidate,) = asked["candidates"]
        assert (asked.keys(), candidate.keys()) == (QUESTION.keys(), QUESTION["candidates"][0].keys())
        assert asked["person"].keys() == HIDDEN.keys()
        assert set(asked["person"].values()) | set(candidate["account"].values()) <= {MASK, ""}
        assert asked["reason"] in REASONS
        await outbound.desk.decide(VPD, FERN.person_id, "link", "a test", candidate["lms_id"])
        async with outbound.work.engine.connect() as connection:
            (made,) = await desk.decisions(connection, VPD)
            assert (made.keys(), made["stands"]) == (LINKED.keys(), True)
