"""Plans for many dead letters on the pages: made, approved by somebody else, run, stopped, taken back."""

import re
from collections.abc import AsyncIterator, Mapping

import httpx
import pytest
from sqlalchemy import select

from services.console import audit
from services.console.limits import Limits
from services.console.planning import Planner
from services.console.run import Runner
from services.console.tables import ITEMS, LETTERS
from tests.service.console_web_rig import FIELDS, FILE, Web, web

LIST = "/trusts/991/dead-letters"
RUNS = "/trusts/991/dead-letter-runs"


@pytest.fixture
async def site(module_database: str, passwords: Mapping[str, str]) -> AsyncIterator[Web]:
    async with web(module_database, passwords["console"]) as made:
        await made.sign_in("operator")
        yield made


async def letters(site: Web, number: int, code: str = "B101") -> None:
    """Put dead letters there whose end only trying tells."""
    for one in range(1, number + 1):
        await site.letter(one, code=code)


async def planned(site: Web, kind: str = "replay", **said: str) -> str:
    """Make a plan for all open letters that match; return its page."""
    answer = await site.form(LIST, RUNS, kind=kind, why="of a test", **said)
    assert answer.status_code == 303
    return answer.headers["location"].partition("?")[0]


async def decide(site: Web, plan: str, what: str, why: str = "of a test") -> httpx.Response:
    return await site.form(plan, f"{plan}/{what}", why=why)


async def run(site: Web) -> None:
    """Let runs go on until they stand still."""
    runner = Runner(site.site.work, Planner(site.site.work, limits=Limits()))
    while await runner.run():
        pass


async def states(site: Web) -> list[str]:
    async with site.site.work.engine.connect() as connection:
        return list(await connection.scalars(select(LETTERS.c.state).order_by(LETTERS.c.line)))


async def another(site: Web, who: str, *roles: str) -> None:
    site.browser.cookies.clear()
    await site.sign_in(*roles, who=who)  # type: ignore[arg-type]


def cells(body: str) -> list[str]:
    return [re.sub(r"<[^>]+>", "", one).strip() for one in re.findall(r"<td[^>]*>(.*?)</td>", body)]


async def test_chosen_records_become_a_plan_that_says_what_each_would_do_and_does_nothing_yet(site: Web) -> None:
    await letters(site, 3)
    asked = await site.form(LIST, f"{RUNS}/new", **{"pick-1": "letter-1", "pick-3": "letter-3", "which": "chosen"})
    assert "For the 2 records you chose." in asked.text
    made = await site.form(LIST, RUNS, ids="letter-1 letter-3", kind="replay", why="mended")
    assert made.headers["location"].endswith("?done=plan")
    body = (await site.browser.get(made.headers["location"])).text
    assert "replay of 2 records" in body
    assert ("Ready to start" in body, "Nothing is sent until somebody starts it." in body) == (True, True)
    assert "R903: no record of the trust" in body
    assert "What would fail again is not sent." in body
    assert await states(site) == ["open", "open", "open"]


async def test_a_plan_for_all_that_match_takes_the_lists_filters_and_nothing_else(site: Web) -> None:
    await letters(site, 2)
    await site.letter(3, code="R104")
    page = await site.browser.get(f"{LIST}?code=R104")
    assert '<input type="hidden" name="code" value="R104">' in page.text
    asked = await site.form(LIST, f"{RUNS}/new", which="all", code="R104")
    assert "For all open records that match." in asked.text
    ticked = await site.form(LIST, f"{RUNS}/new", which="all", code="R104", **{"pick-1": "letter-1"})
    assert 'name="ids" value=""' in ticked.text
    plan = await planned(site, code="R104")
    assert "replay of 1 record" in (await site.browser.get(plan)).text
    plan = await planned(site, file=FILE, line="2")
    assert "replay of 1 record" in (await site.browser.get(plan)).text
    none = await site.form(LIST, RUNS, kind="replay", why="of a test", file="another-file.DAT")
    assert none.status_code == 409


async def test_a_search_by_staff_number_becomes_a_plan_without_the_number_on_any_page(site: Web) -> None:
    await letters(site, 2)
    found = await site.form(LIST, LIST, staff=FIELDS["person_id"])
    (hashed,) = re.findall(r'name="staff_hash" value="([0-9a-f]{32})"', found.text)
    asked = await site.form(LIST, f"{RUNS}/new", which="all", staff_hash=hashed)
    assert ("as you searched for" in asked.text, FIELDS["person_id"] in asked.text) == (True, False)
    assert "replay of 2 records" in (await site.browser.get(await planned(site, staff_hash=hashed))).text
    none = await site.form(LIST, RUNS, kind="replay", why="of a test", staff_hash="0" * 32)
    assert (none.status_code, "has no dead letter that matches" in none.text) == (409, True)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"why": "x"}, "Choose what is to be done"),
        ({"kind": "replay", "why": " "}, "Say why"),
        ({"kind": "replay", "why": "x", "canary": "0"}, "Enter how many records go first"),
        ({"kind": "replay", "why": "x", "per_second": "fast"}, "Enter how many records go in a second"),
        ({"kind": "replay", "why": "x", "allowed_percent": "101"}, "Enter how many in a hundred may fail"),
    ],
)
async def test_what_is_missing_in_a_plan_is_said_at_its_field(site: Web, said: dict[str, str], sentence: str) -> None:
    await letters(site, 1)
    answer = await site.form(LIST, RUNS, **said)
    assert (answer.status_code, sentence in answer.text) == (422, True)


async def test_choosing_nothing_leads_back_to_the_same_list(site: Web) -> None:
    await letters(site, 1)
    await site.letter(2, code="R104")
    answer = await site.form(LIST, f"{RUNS}/new", which="chosen", code="R104")
    assert (answer.status_code, "Choose at least one record" in answer.text) == (422, True)
    assert ("/letter-2" in answer.text, "/letter-1" in answer.text) == (True, False)


async def test_a_run_sends_tells_sent_from_applied_and_ends(site: Web) -> None:
    await letters(site, 3)
    plan = await planned(site, insist="yes", canary="1")
    assert (await decide(site, plan, "start")).headers["location"] == f"{plan}?done=start"
    await run(site)
    body = (await site.browser.get(plan)).text
    assert "Sent, not known yet whether it was applied" in body
    assert "1 of 3 records had their turn" in body
    assert "The first few go, and their end is awaited." in body
    assert re.search(r"Really applied</dt><dd>0<", body)
    assert await states(site) == ["replayed", "open", "open"]


async def test_a_page_of_a_run_renews_itself_until_it_is_told_not_to_or_the_run_stands_still(site: Web) -> None:
    await letters(site, 1)
    plan = await planned(site)
    assert "hx-trigger" not in (await site.browser.get(plan)).text
    await decide(site, plan, "start")
    assert 'hx-trigger="every 5s"' in (await site.browser.get(plan)).text
    assert "hx-trigger" not in (await site.browser.get(f"{plan}?updates=off")).text
    await decide(site, plan, "pause")
    body = (await site.browser.get(plan)).text
    assert ("hx-trigger" in body, "Paused by person-1." in body, "Let it go on" in body) == (False, True, True)
    assert (await decide(site, plan, "resume")).status_code == 303
    assert (await decide(site, plan, "stop")).status_code == 303
    assert (await decide(site, plan, "resume")).status_code == 409
    assert "Stopped by person-1." in (await site.browser.get(plan)).text


async def test_a_large_discard_waits_for_a_second_person_who_is_not_the_first(site: Web) -> None:
    await letters(site, 11)
    plan = await planned(site, "discard")
    body = (await site.browser.get(plan)).text
    assert "You made this plan, so somebody else has to approve it." in body
    assert f'action="{plan}/approve"' not in body
    assert (await decide(site, plan, "approve")).status_code == 403
    assert (await decide(site, plan, "start")).status_code == 409
    await another(site, "Person-1", "approver", "operator")
    assert f'action="{plan}/approve"' not in (await site.browser.get(plan)).text
    assert (await decide(site, plan, "approve")).status_code == 409
    await another(site, "person-2", "approver")
    assert f'action="{plan}/approve"' in (await site.browser.get(plan)).text
    assert (await decide(site, plan, "approve")).status_code == 303
    await another(site, "person-1", "operator")
    assert (await decide(site, plan, "start")).status_code == 303
    await run(site)
    assert await states(site) == ["discarded"] * 11
    body = (await site.browser.get(plan)).text
    assert ("11 discarded." in body, "Take it back" in body) == (True, True)
    assert (await decide(site, plan, "undo")).status_code == 303
    assert await states(site) == ["open"] * 11
    assert "Take it back" not in (await site.browser.get(plan)).text


async def test_a_run_in_which_too_much_fails_halts_and_says_why(site: Web) -> None:
    await letters(site, 2)
    plan = await planned(site, insist="yes")
    await decide(site, plan, "start")
    await run(site)
    async with site.site.work.engine.begin() as connection:
        await connection.execute(ITEMS.update().where(ITEMS.c.state == "sent").values(state="failed", code="R103"))
    await run(site)
    body = (await site.browser.get(plan)).text
    assert "It halted by itself: 2 of 2 failed again in the canary." in body
    assert "Failures until now are forgiven." in body
    assert "Failed again: R103" in body


async def test_the_records_of_a_plan_come_in_pages_and_by_what_became_of_them(site: Web) -> None:
    await letters(site, 60)
    plan = await planned(site)
    first = (await site.browser.get(plan)).text
    assert ("Next records" in first, "/letter-50" in first, "/letter-51" in first) == (True, True, False)
    second = (await site.browser.get(f"{plan}?after=50")).text
    assert ("/letter-51" in second, "/letter-50" in second, "First records" in second) == (True, False, True)
    assert "/letter-1" not in (await site.browser.get(f"{plan}?state=failed")).text
    for odd in ("?after=x", "?state=nonsense", "?after=-1"):
        assert (await site.browser.get(plan + odd)).status_code == 200


async def test_every_decision_stands_in_the_audit_with_its_reason(site: Web) -> None:
    await letters(site, 1)
    plan = await planned(site)
    assert (await decide(site, plan, "start", why="")).status_code == 422
    await decide(site, plan, "start", why="looked at it")
    await decide(site, plan, "stop", why="enough")
    async with site.site.work.engine.connect() as connection:
        done = await audit.read(connection, "991", operation=int(plan.rpartition("/")[2]), limit=100)
    told = [(one["who"], one["action"], one["why"]) for one in done]
    assert told == [
        ("person-1", "plan replay", "of a test"),
        ("person-1", "start", "looked at it"),
        ("person-1", "stop", "enough"),
    ]


async def test_who_may_only_look_sees_plans_and_no_form(site: Web) -> None:
    await letters(site, 1)
    plan = await planned(site)
    await another(site, "looks-only", "viewer")
    for path in (plan, RUNS, LIST):
        body = (await site.browser.get(path)).text
        assert f'action="{RUNS}' not in body
    assert "pick-1" not in (await site.browser.get(LIST)).text
    assert f'href="{plan}"' in (await site.browser.get(RUNS)).text
    for odd in ("0", "999999999", "x", "99999999999999999999999"):
        assert (await site.browser.get(f"{RUNS}/{odd}")).status_code == 404
