"""One person's file on the pages: found by a form, masked, revealed or handed out for a reason."""

import csv
import io
import json
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from services.console.actions import Operator
from services.console.person_api import make_person_router
from services.console.person_file import SERVICES
from services.console.tables import DEEDS
from tests.service.console_web_rig import FIELDS, Web, web

PERSON = "/trusts/991/person"
ID = FIELDS["person_id"]
NAME = "Zzyzx-Placeholder"
FACTS = {
    "name": "facts", "about": "what ESR said", "kept": "for long",
    "rows": [{"entity": "person", "data": {"last_name": NAME, "employee_number": "E77", "notes": "=1+1"}}],
}  # fmt: skip


def held(site: Web, person_id: str = ID, **sections: list[dict[str, Any]]) -> None:
    """Let services hold something of a person; the others hold nothing."""
    for service in SERVICES:
        said = {"service": service, "sections": sections.get(service, [])}
        site.said[f"{service}/people/{person_id}/file"] = said


@pytest.fixture
async def site(module_database: str, passwords: Mapping[str, str]) -> AsyncIterator[Web]:
    async with web(module_database, passwords["console"]) as made:
        await made.sign_in("learning manager", who="reveals")
        made.said["people/people"] = [{"person_id": ID, "state": "employee"}]
        held(made, people=[FACTS])
        yield made


async def of_the_file(site: Web) -> list[tuple[str, str, str, str]]:
    return [(who, deed, column, why) for _, who, deed, column, why in await site.deeds() if "person" in deed]


async def test_a_file_is_found_by_a_form_and_shows_no_value(site: Web) -> None:
    answer = await site.form(PERSON, PERSON, number="E77")
    assert answer.status_code == 200
    assert ("What ESR said" in answer.text, "data.last_name" in answer.text) == (True, True)
    assert (NAME in answer.text, "E77" in answer.text) == (False, False)
    assert "Backups of the database" in answer.text
    assert (await of_the_file(site))[-1] == ("reveals", "looked up a person", "", "")


async def test_with_a_reason_the_values_are_shown_once_and_it_is_written_down(site: Web) -> None:
    shown = await site.form(PERSON, f"{PERSON}/file", person=ID, why="request 12", **{"as": "page"})
    assert (shown.status_code, NAME in shown.text, "E77" in shown.text) == (200, True, True)
    assert shown.headers["cache-control"] == "no-store"
    assert (await of_the_file(site))[-1] == ("reveals", "revealed a person's file", "", "request 12")
    async with site.site.work.engine.connect() as connection:
        subject = await connection.scalar(select(DEEDS.c.subject).order_by(DEEDS.c.id.desc()).limit(1))
    assert subject not in ("", ID)


async def test_without_a_reason_nothing_is_shown_handed_out_or_written_down(site: Web) -> None:
    before = await of_the_file(site)
    for form in ("page", "json", "csv", "html"):
        answer = await site.form(PERSON, f"{PERSON}/file", person=ID, why=" ", **{"as": form})
        assert (answer.status_code, NAME in answer.text, "Say why you need it" in answer.text) == (422, False, True)
    assert await of_the_file(site) == before


async def test_the_file_is_handed_out_as_json_as_a_table_and_to_read(site: Web) -> None:
    async def taken(form: str) -> str:
        answer = await site.form(PERSON, f"{PERSON}/file", person=ID, why="request 12", **{"as": form})
        named = answer.headers["content-disposition"]
        assert (named.startswith('attachment; filename="person-991-'), ID in named) == (True, False)
        assert (await of_the_file(site))[-1][1] == f"downloaded a person's file ({form})"
        return answer.text

    said = json.loads(await taken("json"))
    assert (said["person_id"], [one["service"] for one in said["services"]]) == (ID, ["people"])
    assert said["services"][0]["sections"][0]["rows"][0]["data"]["last_name"] == NAME
    rows = list(csv.reader(io.StringIO(await taken("csv"))))
    assert rows[0] == ["service", "part", "row", "name", "value"]
    assert ["people", "facts", "1", "data.last_name", NAME] in rows
    assert ["people", "facts", "1", "data.notes", "'=1+1"] in rows
    readable = await taken("html")
    assert (NAME in readable, "Backups of the database" in readable, "<script" in readable) == (True, True, False)


async def test_a_code_stands_with_what_it_means_and_what_to_do_where_people_read_it_and_bare_where_machines_do(
    site: Web,
) -> None:
    rows = [{"reference": "L991-1", "state": "rejected", "code": "B204"}, {"state": "withheld", "code": "O102"}]
    held(site, people=[FACTS], outbound=[FACTS | {"name": "completions", "rows": rows}])
    for form in ("page", "html"):
        shown = await site.form(PERSON, f"{PERSON}/file", person=ID, why="request 12", **{"as": form})
        assert "B204<br>Competence ID not known in this VPD. Check the mapping" in shown.text
        assert "O102<br>the person has left" in shown.text
    table = await site.form(PERSON, f"{PERSON}/file", person=ID, why="request 12", **{"as": "csv"})
    assert ["outbound", "completions", "1", "code", "B204"] in list(csv.reader(io.StringIO(table.text)))


async def test_records_that_failed_are_in_it_by_any_of_the_persons_numbers_with_every_edit(site: Web) -> None:
    await site.letter()
    await Operator(site.site.work, "person-1").edit("991", "letter-1", {"last_name": "Mended"}, "typing error")
    held(site, "E-ONLY", people=[FACTS | {"rows": [{"data": {"employee_number": ID}}]}])
    site.said["people/people"] = []
    shown = await site.form(PERSON, f"{PERSON}/file", person="E-ONLY", why="request 12", **{"as": "json"})
    console = shown.json()["services"][-1]
    assert console["service"] == "console"
    assert [one["name"] for one in console["sections"]] == ["dead_letters", "edits"]
    assert console["sections"][0]["rows"][0]["record"] == FIELDS
    assert console["sections"][1]["rows"][0]["record"]["last_name"] == "Mended"


async def test_a_service_that_is_away_leaves_no_gap_but_no_file_at_all(site: Web) -> None:
    for service in SERVICES:
        kept = site.said[f"{service}/people/{ID}/file"]
        site.said[f"{service}/people/{ID}/file"] = 503
        for to, said in (
            (PERSON, {"number": ID}),
            (f"{PERSON}/file", {"person": ID, "why": "request 12", "as": "json"}),
        ):
            answer = await site.form(PERSON, to, **said)
            assert (answer.status_code, f"The service {service} does not answer" in answer.text) == (503, True)
        site.said[f"{service}/people/{ID}/file"] = kept


async def test_of_two_with_one_number_somebody_chooses(site: Web) -> None:
    site.said["people/people"] = [{"person_id": ID, "state": "employee"}, {"person_id": "E77", "state": "leaver"}]
    answer = await site.form(PERSON, PERSON, number="E77")
    assert "2 records of people have this number." in answer.text
    chosen = await site.form(PERSON, PERSON, number=ID, exactly="yes")
    assert "What ESR said" in chosen.text


async def test_of_nobody_nothing_is_held_and_nothing_is_written_down(site: Web) -> None:
    before = await of_the_file(site)
    site.said["people/people"] = []
    held(site, "none")
    for to, said in ((PERSON, {"number": "none"}), (f"{PERSON}/file", {"person": "none", "why": "x"})):
        answer = await site.form(PERSON, to, **said)
        assert (answer.status_code, "Nothing is held of anybody" in answer.text) == (422, True)
    for to in (PERSON, f"{PERSON}/file"):
        assert (await site.form(PERSON, to, number=" ", person="")).status_code == 422
    assert await of_the_file(site) == before


async def test_no_log_line_and_no_address_holds_a_value_or_the_number(
    site: Web, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = await site.form(PERSON, f"{PERSON}/file", person=ID, why="request 12")
    assert ID not in str(answer.url)
    assert NAME not in caplog.text


async def test_only_who_may_reveal_values_gets_near_it(site: Web) -> None:
    site.browser.cookies.clear()
    await site.sign_in("viewer", "approver", "auditor", who="looks-only")
    csrf = await site.csrf("/trusts/991/tonight")
    assert (await site.browser.get(PERSON)).status_code == 403
    for to in (PERSON, f"{PERSON}/file"):
        said = {"csrf": csrf, "number": ID, "person": ID, "why": "curious"}
        assert (await site.browser.post(to, data=said)).status_code == 403
    assert f'href="{PERSON}"' not in (await site.browser.get("/trusts/991/tonight")).text


async def test_machines_get_the_same_file_for_a_reason_and_never_one_with_gaps(site: Web) -> None:
    app = FastAPI()
    app.include_router(make_person_router(site.site.reader, site.site.work, site.site.reads))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as machine:
        said = {"who": "robot", "why": "request 13", "person_id": ID}
        answer = await machine.post("/v1/trusts/991/people/file", json=said)
        assert answer.json()["services"][0]["sections"][0]["rows"][0]["data"]["last_name"] == NAME
        assert (await of_the_file(site))[-1] == ("robot", "downloaded a person's file (json)", "", "request 13")
        before = await of_the_file(site)
        assert (await machine.post("/v1/trusts/991/people/file", json=said | {"why": ""})).status_code == 422
        site.said[f"ingest/people/{ID}/file"] = 503
        assert (await machine.post("/v1/trusts/991/people/file", json=said)).status_code == 503
    assert await of_the_file(site) == before
