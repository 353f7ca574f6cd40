"""Compliance on the pages: figures and charts for everybody, names for learning managers who say why."""

import csv
import io
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from sqlalchemy import text

from esrbridge.embedded import as_role
from services.competency.compliance.api import add_compliance_routes
from services.console.web.app import make_pages
from services.console.web.pages.compliance import NOBODYS, Asked
from services.console.web.reads import Reads
from shared.db.engine import Reader, make_engine
from tests.service.console_web_rig import ADDRESS, Web, web

PAGE = "/trusts/991/compliance"
PEOPLE = f"{PAGE}/people"
COUNTS = {"compliant": 5, "due_30": 1, "due_60": 1, "due_90": 1, "expired": 1, "never": 1}
ROW = {
    "key": "fire_safety",
    "name": "Fire safety",
    "people": 10,
    "lacking_people": 2,
    "required": 10,
    "valid": 8,
    "percent": 80.0,
}
TOTAL = ROW | {"key": "", "name": "", "people": 12345}
FIGURES = {"day": "2026-03-04", "by": "subject", "rows": [ROW | COUNTS], "total": TOTAL | COUNTS}
SOMEBODY = {
    "person_id": "1000001", "employee_number": "E77", "organisation_id": "100234", "organisation": "Ward 2",
    "staff_group": "Estates", "position": "Ward Manager", "subject": "fire_safety", "requirement": "Fire safety",
    "status": "due_30", "expires_on": "2026-03-20",
}  # fmt: skip
NAME = "Zzyzx-Placeholder"


def listed(number: int, **more: str) -> dict[str, Any]:
    rows = [SOMEBODY | {"requirement": f"Fire safety {one}"} | more for one in range(1, number + 1)]
    return {"day": "2026-03-04", "status": "due", "total": number, "rows": rows}


@pytest.fixture
async def site(module_database: str, passwords: Mapping[str, str]) -> AsyncIterator[Web]:
    async with web(module_database, passwords["console"]) as made:
        await made.sign_in("learning manager", who="manages-learning")
        made.said["competency/compliance"] = FIGURES
        made.said["competency/compliance/people"] = listed(1)
        made.said["competency/compliance/people?reveal=true"] = listed(1, name=NAME)
        yield made


async def text_of(site: Web, path: str, status: int = 200) -> str:
    answer = await site.browser.get(path)
    assert (path, answer.status_code) == (path, status)
    return answer.text


async def named(site: Web) -> list[tuple[str, str, str]]:
    return [(who, deed, why) for _, who, deed, _, why in await site.deeds() if "names" in deed]


async def test_figures_are_a_chart_with_words_and_a_table_behind_it(site: Web) -> None:
    body = await text_of(site, PAGE)
    bars = [ET.fromstring(one) for one in re.findall(r"<svg class=\"app-bar\".*?</svg>", body, re.DOTALL)]
    assert len(bars) == 2
    assert bars[0].attrib["aria-label"] == "80.0% valid, of which 30.0% run out within 90 days; 20.0% lacking"
    spans = [(float(one.attrib["x"]), float(one.attrib["width"])) for one in bars[0]]
    assert spans == [(0, 50), (50, 30), (80, 20)]
    assert ("style=" in body, "12,345" in body, "Compliance on 4 March 2026" in body) == (False, True, True)
    assert f'href="{PEOPLE}?status=due&amp;subject=fire_safety"' in body


async def test_figures_are_asked_for_by_day_group_and_what_they_are_narrowed_to(site: Web) -> None:
    asked = "by=staff-group&day=2026-06-01&subject=fire_safety&organisation=100234&staff_group=Estates"
    site.said[f"competency/compliance?{asked}"] = FIGURES | {"day": "2026-06-01"}
    body = await text_of(site, f"{PAGE}?{asked}")
    assert ("Compliance on 1 June 2026" in body, "Figures by staff group" in body) == (True, True)
    assert ("100234" in body, "Everybody" in body) == (True, True)
    assert Asked(organisation=NOBODYS).params == {"organisation": ""}
    for odd in ("?by=nonsense", "?page=x", "?status=nonsense"):
        await text_of(site, PAGE + odd)


async def test_a_day_that_is_none_is_said_at_its_field(site: Web) -> None:
    for path in (PAGE, f"{PAGE}/download", PEOPLE):
        for odd in ("tomorrow", "2026-02-30", "20260301"):
            assert "Write the day as 2026-03-31" in await text_of(site, f"{path}?day={odd}", 422)


async def test_where_nothing_is_required_the_page_says_so(site: Web) -> None:
    for total in ({}, TOTAL | COUNTS | {"required": 0}):
        site.said["competency/compliance"] = FIGURES | {"rows": [], "total": total}
        body = await text_of(site, PAGE)
        assert ("Nothing is required of anybody here" in body, "<svg" in body) == (True, False)
    site.said["competency/compliance/people"] = listed(0)
    body = await text_of(site, PEOPLE)
    assert ("Nobody." in body, "See who they are" in body) == (True, False)


async def test_figures_are_downloaded_as_csv_without_anybody_in_them(site: Web) -> None:
    site.said["competency/compliance"] = FIGURES | {"rows": [FIGURES["rows"][0] | {"name": "=ward"}]}  # type: ignore[index]
    answer = await site.browser.get(f"{PAGE}/download?by=organisation")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["name"], row["required"], row["percent"]) for row in rows] == [
        ("'=ward", "10", "80.0"),
        ("total", "10", "80.0"),
    ]
    assert 'filename="compliance-991-organisation-2026-03-04.csv"' in answer.headers["content-disposition"]


async def test_a_list_names_nobody_until_a_learning_manager_says_why(site: Web) -> None:
    masked = await text_of(site, f"{PEOPLE}?subject=fire_safety")
    assert not any(value in masked for value in (NAME, "1000001", "E77", "Ward Manager"))
    assert ("Ward 2" in masked, "20 March 2026" in masked) == (True, True)
    refused = await site.form(PEOPLE, PEOPLE, status="due", why=" ")
    assert (refused.status_code, NAME in refused.text, await named(site)) == (422, False, [])
    shown = await site.form(PEOPLE, PEOPLE, status="due", subject="fire_safety", why="a round of reminders")
    assert all(value in shown.text for value in (NAME, "1000001", "E77"))
    assert await named(site) == [("manages-learning", "revealed names of compliance", "a round of reminders")]
    taken = await site.form(PEOPLE, PEOPLE, status="due", why="a round of reminders", **{"as": "csv"})
    assert [(row["name"], row["person_id"]) for row in csv.DictReader(io.StringIO(taken.text))] == [(NAME, "1000001")]
    assert (await named(site))[-1][1] == "downloaded names of compliance"
    assert NAME not in await text_of(site, PEOPLE)


async def test_nobody_else_sees_names(site: Web) -> None:
    site.browser.cookies.clear()
    await site.sign_in("viewer", "operator", "approver", "auditor", who="looks-only")
    csrf = await site.csrf("/trusts/991/tonight")
    assert "See who they are" not in await text_of(site, PEOPLE)
    answer = await site.browser.post(PEOPLE, data={"csrf": csrf, "status": "due", "why": "curious"})
    assert (answer.status_code, NAME in answer.text) == (403, False)


async def test_a_list_comes_in_pages(site: Web) -> None:
    site.said["competency/compliance/people?limit=50"] = listed(120) | {"rows": listed(50)["rows"]}
    site.said["competency/compliance/people?limit=150"] = listed(120)
    first, last = await text_of(site, PEOPLE), await text_of(site, f"{PEOPLE}?page=3")
    assert ("Page 2 of 3" in first, "Fire safety 50<" in first) == (True, True)
    assert ("Fire safety 101<" in last, "Fire safety 100<" in last, "Page 2 of 3" in last) == (True, False, True)


async def test_while_the_service_is_away_the_page_says_so(site: Web) -> None:
    site.said["competency/compliance"] = site.said["competency/compliance/people"] = 503
    for path in (PAGE, PEOPLE, f"{PAGE}/download"):
        assert "does not answer" in await text_of(site, path, 503)


async def test_the_service_itself_answers_what_the_pages_ask(
    site: Web, module_database: str, passwords: Mapping[str, str]
) -> None:
    admin = make_engine(module_database, name="test", pool=1)
    async with admin.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO competency.staff (vpd, person_id, revision, human, traits, name, organisation_id) "
                "VALUES ('991', '1', 1, '1', ARRAY['everyone:'], 'Mockford', '')"
            )
        )
    await admin.dispose()
    engine = make_engine(as_role(module_database, "competency", passwords["competency"]), name="test", pool=1)
    router = APIRouter(prefix="/v1/trusts/{vpd}")
    add_compliance_routes(router, Reader(engine, "competency"), site.site.config, site.site.clock)
    app = FastAPI()
    app.include_router(router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://competency") as service:
        pages = make_pages(replace(site.site, reads=Reads({"competency": service})))
        way = httpx.ASGITransport(pages)
        async with httpx.AsyncClient(transport=way, base_url=ADDRESS, cookies=site.browser.cookies) as browser:
            figures = await browser.get(f"{PAGE}?by=organisation")
            assert ">None<" in figures.text
            rows = await browser.get(f"{PEOPLE}?status=never&organisation={NOBODYS}&subject=fire_safety")
            assert ("1 requirement." in rows.text, "Never achieved" in rows.text, "never held" in rows.text) == (
                True,
            ) * 3
            csrf = await site.csrf(PAGE)
            said = {"csrf": csrf, "status": "lacking", "why": "of a test", "as": "csv"}
            taken = await browser.post(PEOPLE, data=said)
            assert len(list(csv.DictReader(io.StringIO(taken.text)))) == 11
            assert "Mockford" in taken.text
    await engine.dispose()
