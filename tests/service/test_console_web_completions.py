"""The ledger of completions on pages: what needs somebody, one completion's life, and what is decided of it."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from services.console.tables import DEEDS
from tests.service.conftest import Serve
from tests.service.console_web_rig import Web, web

HERE = "/trusts/991/completions"
REFERENCE = "L991-0000000001"
LIFE_PAGE = f"{HERE}/references/{REFERENCE}"
FILE = "ESR_991_LMS_20260303_00000001.DAT"
CMC = "CS_991_CST_CMC_20260304_00000001.DAT"
PERSON = "9000001"
ITEM: dict[str, Any] = {
    "sent": {
        "reference": REFERENCE, "person_id": PERSON, "key": "lms-17", "competence_id": "3100002",
        "achieved_on": "2026-03-01", "expires_on": "2029-03-01", "change": "new", "replaces": "", "sent_file": FILE,
        "position": 1, "sent_at": "2026-03-03T18:00:00+00:00",
    },
    "state": "rejected", "overdue": False, "overdue_at": None, "code": "B201", "warning": False, "esr_record_id": "",
    "revision": 1, "settled_at": "2026-03-04T06:00:00+00:00", "answer": {"file": CMC, "line": 3},
}  # fmt: skip
ANSWER = {
    "file": CMC, "line": 3, "position": 1, "type": "TCD", "status": "FAIL", "level": "ERROR", "code": "B201",
    "esr_record_id": "", "odd": ["C104"],
}  # fmt: skip
LIFE: dict[str, Any] = {
    "person_id": PERSON, "key": "lms-17",
    "completed": {
        "stream": "lms", "file": "completions-1.csv", "certification": "SGA1", "competence_id": "3100002",
        "competence_name": "NHS|CSTF|Safeguarding Adults - Level 1 - 3 Years|", "achieved_on": "2026-03-01",
        "expires_on": "2029-03-01", "reason": "as the LMS says", "revision": 1,
    },
    "withdrawn": None, "withheld": {"code": "O101"},
    "items": [
        ITEM | {"due_at": "2026-03-04T09:00:00+00:00", "answers": [ANSWER],
                "words": {"code": "B201", "meaning": "", "advice": "Wait for the person's own record."}}
    ],
    "differences": [{"file": CMC, "reference": REFERENCE, "difference": "missing", "held": ""}],
    "now": {"state": "refused", "code": "B201", "next": "sent again by itself"},
}  # fmt: skip
WAITING: dict[str, Any] = LIFE | {
    "key": "lms-18", "items": [], "differences": [], "withheld": None,
    "now": {"state": "waiting", "code": "", "next": "goes with the next completion file"},
}  # fmt: skip
NIGHT = {"day": "2026-03-03", "files": 1, "sent": 5, "confirmed": 1, "refused": 1, "open": 3, "overdue": 2, "named": []}
REFUSED = {
    "code": "B201", "meaning": "Person is not known to the receiver", "advice": "Wait for the person's own record.",
    "remedy": "person", "next": "sent again by itself", "number": 3, "standing": 2, "oldest": "2026-03-01",
}  # fmt: skip
SENT_FILE: dict[str, Any] = {
    "file": FILE, "sent_at": "2026-03-03T18:00:00+00:00", "day": "2026-03-03", "sent": 5, "confirmed": 1, "refused": 1,
    "open": 3, "overdue": 0, "named": ["L991-0000000002"],
    "answers": [{"file": CMC, "line": 1, "status": "PARTIAL", "code": "F000"}],
}  # fmt: skip
ODD = {
    "code": "C102", "meaning": "the answer repeats a reference that was never sent", "advice": "Ask ESR.",
    "file": CMC, "line": 5, "reference": "X-1", "sent_file": FILE, "position": 0,
    "found_at": "2026-03-04T06:00:00+00:00",
}  # fmt: skip
CASE = {
    "person_id": PERSON, "key": "lms-17", "state": "rejected", "code": "B999", "reference": REFERENCE, "change": "new",
    "sent_file": FILE, "position": 1,
}  # fmt: skip
UNSENT = CASE | {"key": "lms-18", "state": "unsendable", "reference": None, "sent_file": None, "position": None}
LEDGER: dict[str, Any] = {
    "confirmations/completions": [ITEM],
    "confirmations/completions/nights": [NIGHT],
    "confirmations/completions/refused": [REFUSED],
    "confirmations/completions/files": {"files": [SENT_FILE], "next": ""},
    "confirmations/completions/unmatched": {"unmatched": [ODD], "next": f"{CMC}~5~C102"},
    "confirmations/completions/ledger": {"completions": [LIFE], "next": ""},
    f"confirmations/completions/ledger?person_id={PERSON}": {"completions": [LIFE, WAITING], "next": ""},
    "outbound/completion-cases": [CASE, UNSENT],
    "people/people?q=20001234": [{"person_id": PERSON, "state": "employee"}],
    "POST outbound/completion-decisions": {"decision": "resend", "completions": 1},
    "POST outbound/completion-files": {"completions": 4},
}
"""Services that have sent five completions, of which ESR refused one."""


@pytest.fixture
async def site(module_database: str, passwords: Mapping[str, str]) -> AsyncIterator[Web]:
    async with web(module_database, passwords["console"]) as made:
        made.said |= LEDGER
        await made.sign_in("operator")
        yield made


async def text_of(site: Web, path: str, status: int = 200) -> str:
    answer = await site.browser.get(path)
    assert (path, answer.status_code) == (path, status)
    return answer.text


def around(body: str, word: str, before: int = 0, after: int = 300) -> str:
    place = body.index(word)
    return body[max(0, place - before) : place + after]


async def deed(site: Web) -> tuple[str, str, str]:
    _, who, done, _, why = (await site.deeds())[-1]
    return who, done, why


# --- what is seen -----------------------------------------------------------------------------------------------


async def test_each_day_shows_whether_sent_is_confirmed_refused_and_open_together(site: Web) -> None:
    site.said["confirmations/completions/nights"] = [NIGHT, NIGHT | {"day": "2026-03-02", "open": 2}]
    body = await text_of(site, HERE)
    first, second = around(body, "3 March 2026", after=700), around(body, "2 March 2026", after=700)
    assert (">Yes<" in first, ">No<" in second) == (True, True)


async def test_what_needs_somebody_is_counted_and_a_service_that_is_away_is_not_taken_for_nothing(site: Web) -> None:
    body = await text_of(site, HERE)
    for name, number in (("Refused by ESR", "2"), ("Cases", "2"), ("Answers that fit nothing", "1")):
        assert f">{number}</strong>" in around(body, f"{name}</a>")
    site.said["outbound/completion-cases"] = 503
    assert "Not known" in around(await text_of(site, HERE), "Cases</a>")
    site.said["confirmations/completions/nights"] = 503
    assert "The service confirmations does not answer." in await text_of(site, HERE, 503)


async def test_where_nothing_was_sent_the_pages_say_so(site: Web) -> None:
    site.said |= {
        "confirmations/completions": [], "confirmations/completions/nights": [],
        "confirmations/completions/refused": [], "confirmations/completions/files": {"files": [], "next": ""},
        "confirmations/completions/unmatched": {"unmatched": [], "next": ""}, "outbound/completion-cases": [],
    }  # fmt: skip
    assert "Nothing was sent." in await text_of(site, HERE)
    said = {"refused": "ESR has refused nothing.", "files": "None has been sent."}
    for page in ("items", "refused", "unmatched", "cases", "files"):
        assert said.get(page, "<p>None.</p>") in await text_of(site, f"{HERE}/{page}")
    assert "No completion file of this name" in await text_of(site, f"{HERE}/files/none.DAT", 404)


async def test_refusals_stand_by_code_with_plain_words_what_to_do_and_what_follows(site: Web) -> None:
    body = await text_of(site, f"{HERE}/refused")
    for said in ("B201: Person is not known to the receiver", "Wait for the person", "2 standing", "by itself"):
        assert said in body
    assert f'href="{HERE}/items?state=rejected&amp;code=B201"' in body


async def test_one_life_is_told_from_the_lms_to_esrs_answer_to_now(site: Web) -> None:
    site.said["outbound/decisions?subject=" + REFERENCE] = [
        {"subject": REFERENCE, "decision": "resend", "who": "sam", "why": "lost", "at": "2026-03-04T07:00:00+00:00",
         "details": {}},
    ]  # fmt: skip
    body = await text_of(site, LIFE_PAGE)
    steps = ("completions-1.csv", "It was withheld. <strong>O101:", "Sent 3 March 2026, 6:00pm as new",
             "ESR answered fail, B201", "Odd about it: <strong>C104:", "shows otherwise: missing",
             "sam: resend. lost")  # fmt: skip
    places = [body.index(step) for step in steps]
    assert places == sorted(places)
    assert "1 March 2026" in body
    site.said["confirmations/completions/ledger"] = {"completions": [], "next": ""}
    assert "Nothing was sent under this reference." in await text_of(site, f"{HERE}/references/none", 404)


@pytest.mark.parametrize(
    ("code", "meaning", "advice"),
    [
        ("O101", "the person is no staff of the trust", "Nothing is to be done. When they are hired"),
        ("O201", "ESR has not answered, and it was sent again", "Ask ESR whether the file arrived"),
        ("B204", "Competence ID not known in this VPD", "Check the mapping"),
        ("F005", "Trailer missing", "The file was cut short on its way"),
        ("X999", "a code that this release does not know", "Ask ESR what it means"),
    ],
)
async def test_wherever_a_completion_shows_a_code_it_stands_in_plain_words_with_what_to_do(
    site: Web, code: str, meaning: str, advice: str
) -> None:
    now = LIFE["now"] | {"code": code}
    answered = SENT_FILE | {"answers": [SENT_FILE["answers"][0] | {"code": code}]}
    pages: tuple[tuple[str, str, Any], ...] = (
        ("/items", "confirmations/completions", [ITEM | {"code": code}]),
        (f"/items?state=rejected&code={code}", "confirmations/completions", []),
        ("/cases", "outbound/completion-cases", [CASE | {"code": code}]),
        (f"/files/{FILE}", "confirmations/completions/files", {"files": [answered], "next": ""}),
        (f"/references/{REFERENCE}", "confirmations/completions/ledger",
         {"completions": [LIFE | {"now": now, "withheld": None}], "next": ""}),
        (f"/references/{REFERENCE}", "confirmations/completions/ledger",
         {"completions": [WAITING | {"withheld": {"code": code}}], "next": ""}),
    )  # fmt: skip
    for path, service, said in pages:
        site.said |= LEDGER | {service: said}
        body = await text_of(site, f"{HERE}{path}")
        place = body.index(f"<strong>{code}:</strong> {meaning}")
        assert (path, f"What to do: {advice}" in body[place : place + 300]) == (path, True)


async def test_a_staff_number_finds_everything_of_a_person_and_stands_in_no_address_and_no_audit(site: Web) -> None:
    answer = await site.form(HERE, HERE, staff="20001234")
    assert (answer.status_code, "lms-17" in answer.text, "lms-18" in answer.text) == (200, True, True)
    links = [part.partition('"')[0] for part in answer.text.split('href="')[1:]]
    assert not any(PERSON in link or "20001234" in link for link in links)
    assert await deed(site) == ("person-1", "looked up completions", "")
    async with site.site.work.engine.connect() as connection:
        subjects = list(await connection.scalars(select(DEEDS.c.subject)))
    assert not any("20001234" in one or PERSON in one for one in subjects)
    assert "Enter a staff number" in (await site.form(HERE, HERE, staff=" ")).text


async def test_lists_go_by_pages_and_a_page_that_never_was_is_not_found(site: Web) -> None:
    items = [ITEM | {"sent": ITEM["sent"] | {"position": place}} for place in range(1, 52)]
    site.said["confirmations/completions"] = items
    body = await text_of(site, f"{HERE}/items?state=open")
    assert f"after={FILE}~50" in body.replace("%7E", "~")
    assert "after=" in around(await text_of(site, f"{HERE}/unmatched"), 'rel="next"', 200)
    site.said["confirmations/completions"] = 422
    await text_of(site, f"{HERE}/items?after=nonsense", 404)
    await text_of(site, f"{HERE}/items?state=nonsense", 404)


async def test_overdue_items_are_asked_for_as_such(site: Web) -> None:
    site.said["confirmations/completions"] = []
    site.said["confirmations/completions?overdue=true"] = [ITEM | {"state": "open", "overdue": True, "code": ""}]
    assert REFERENCE in await text_of(site, f"{HERE}/items?state=overdue")
    assert REFERENCE not in await text_of(site, f"{HERE}/items?state=open")


async def test_cases_lead_to_their_life_or_where_nothing_was_sent_to_the_person(site: Web) -> None:
    site.said["outbound/completion-cases"] = [UNSENT] * 51
    body = await text_of(site, f"{HERE}/cases")
    assert (body.count('name="staff"'), f"/references/{REFERENCE}" in body) == (50, False)
    more = await site.form(f"{HERE}/cases", f"{HERE}/cases", person_id=PERSON, key="lms-18")
    assert (more.status_code, PERSON in str(more.url)) == (200, False)


# --- what is done -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decision", ["resend", "withdraw", "settle"])
async def test_what_is_decided_goes_to_outbound_in_the_visitors_name_and_into_the_audit(
    site: Web, decision: str
) -> None:
    said = {"decision": decision, "why": "a test", "reference": REFERENCE, "place": "life-1"}
    answer = await site.form(LIFE_PAGE, f"{HERE}/decide", **said)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{LIFE_PAGE}?done={decision}")
    asked = {"who": "person-1", "why": "a test", "decision": decision, "reference": REFERENCE}
    assert site.posted == [("outbound/completion-decisions", asked)]
    assert await deed(site) == ("person-1", f"completions: {decision}", "a test")
    assert "Done" in await text_of(site, f"{LIFE_PAGE}?done={decision}")


async def test_a_file_a_code_and_what_was_never_sent_are_decided_where_they_are_shown(site: Web) -> None:
    code = await site.form(HERE, f"{HERE}/decide", decision="resend", why="mended", code="B201", place="resend")
    assert code.headers["location"].startswith(f"{HERE}/items?state=rejected&code=B201")
    file = await site.form(HERE, f"{HERE}/decide", decision="resend", why="lost", file=FILE, place="resend")
    assert file.headers["location"] == f"{HERE}/files/{FILE}?done=resend"
    named = {"person_id": PERSON, "key": "lms-18", "place": "life-2"}
    person = await site.form(HERE, f"{HERE}/decide", decision="withdraw", why="not theirs", **named)
    assert (person.status_code, "ESR is asked to give it back" in person.text) == (200, True)
    assert [said["decision"] for _, said in site.posted] == ["resend", "resend", "withdraw"]
    assert site.posted[-1][1].keys() == {"who", "why", "decision", "person_id", "key"}


async def test_a_refusal_is_shown_in_the_services_own_sentence_on_the_page_the_form_stood_on(site: Web) -> None:
    before = len(await site.deeds())
    site.said["POST outbound/completion-decisions"] = "nothing is to be sent again: ESR loaded it"
    for named in ({"reference": REFERENCE}, {"file": FILE}, {"code": "B201"}, {"person_id": PERSON, "key": "lms-17"}):
        answer = await site.form(HERE, f"{HERE}/decide", decision="resend", why="a test", place="life-1", **named)
        assert (named, answer.status_code) == (named, 409)
        assert "Nothing is to be sent again: ESR loaded it" in answer.text
    done = [one[2] for one in (await site.deeds())[before:]]
    assert "completions: resend (refused)" in done
    assert "completions: resend" not in done


async def test_without_a_reason_or_a_choice_nothing_is_asked_of_anybody(site: Web) -> None:
    for said in ({"decision": "resend", "why": " "}, {"why": "a test"}, {"decision": "nonsense", "why": "a test"}):
        answer = await site.form(LIFE_PAGE, f"{HERE}/decide", reference=REFERENCE, place="life-1", **said)
        assert (answer.status_code, "There is a problem" in answer.text) == (422, True)
    assert (await site.form(HERE, f"{HERE}/decide", decision="resend", why="a test")).status_code == 422
    assert (await site.form(HERE, f"{HERE}/write", why="")).status_code == 422
    assert (await site.form(HERE, f"{HERE}/write", why="a test", day="yesterday")).status_code == 422
    assert site.posted == []


async def test_a_service_that_does_not_answer_is_not_said_to_have_done_nothing(site: Web) -> None:
    site.said["POST outbound/completion-decisions"] = 503
    answer = await site.form(LIFE_PAGE, f"{HERE}/decide", decision="resend", why="a test", reference=REFERENCE)
    assert (answer.status_code, "It may have done this: look before" in answer.text) == (503, True)
    assert await deed(site) == ("person-1", "completions: resend (no answer)", "a test")


async def test_a_file_is_written_now_or_for_a_day_that_missed_it(site: Web) -> None:
    now = await site.form(HERE, f"{HERE}/write", why="before the holiday")
    day = await site.form(HERE, f"{HERE}/write", why="the night failed", day="2026-03-03")
    assert [one.headers["location"] for one in (now, day)] == [f"{HERE}?done=write"] * 2
    assert [said.get("day") for _, said in site.posted] == [None, "2026-03-03"]
    site.said["POST outbound/completion-files"] = {"completions": 0}
    nothing = await site.form(HERE, f"{HERE}/write", why="a test")
    assert "There was nothing to write." in await text_of(site, nothing.headers["location"])


async def test_what_is_offered_follows_from_where_it_stands_and_what_was_decided(site: Web) -> None:
    def offered(body: str) -> list[str]:
        return [part.partition('"')[0] for part in body.split('type="radio" value="')[1:]]

    assert offered(await text_of(site, LIFE_PAGE)) == ["resend", "withdraw", "settle"]
    made = {"subject": REFERENCE, "who": "sam", "why": "w", "at": "2026-03-04T07:00:00+00:00", "details": {}}
    site.said["outbound/decisions"] = [made | {"decision": "withdraw"}, made | {"decision": "settle"}]
    assert offered(await text_of(site, LIFE_PAGE)) == ["resend", "restore", "reopen"]
    site.said["outbound/decisions"] = []
    confirmed = LIFE | {"now": {"state": "confirmed", "code": "", "next": "nothing"}}
    site.said["confirmations/completions/ledger"] = {"completions": [confirmed], "next": ""}
    assert offered(await text_of(site, LIFE_PAGE)) == ["withdraw"]
    site.said["outbound/decisions"] = 503
    assert "the service outbound does not answer" in await text_of(site, LIFE_PAGE)
    site.browser.cookies.clear()
    await site.sign_in("viewer")
    assert offered(await text_of(site, LIFE_PAGE)) == []


# --- the services themselves ------------------------------------------------------------------------------------


async def test_confirmations_and_outbound_answer_what_these_pages_ask_and_refuse_in_a_sentence(
    serve: Serve, site: Web
) -> None:
    async with serve("confirmations") as confirmations, serve("outbound") as outbound, serve("people") as people:
        with_services(site, confirmations=confirmations.client, outbound=outbound.client, people=people.client)
        for page in ("", "/items", "/items?state=overdue", "/refused", "/unmatched", "/cases", "/files"):
            await text_of(site, f"{HERE}{page}")
        for page in (f"/files/{FILE}", f"/references/{REFERENCE}", "/items?after=x", "/files?after=x"):
            await text_of(site, f"{HERE}{page}", 404)
        found = await site.form(HERE, HERE, staff=PERSON)
        assert (found.status_code, "Nothing is known under this number." in found.text) == (200, True)
        wrong = await site.form(HERE, f"{HERE}/decide", decision="resend", why="a test", code="B201", place="resend")
        assert (wrong.status_code, "Nothing is to be sent again" in wrong.text) == (409, True)
        written = await site.form(HERE, f"{HERE}/write", why="a test")
        assert written.headers["location"] == f"{HERE}?done=nothing"


def with_services(site: Web, **clients: httpx.AsyncClient) -> None:
    """Let the pages ask real services."""
    site.site.reads._clients = {**site.site.reads._clients, **clients}
