"""Records of ESR that may be one human, on pages: compared field by field, decided, and taken back."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from sqlalchemy import select

from services.console.tables import DEEDS
from services.people import views
from services.people.schema import SCHEMA
from shared.db.facts import FactStore
from tests.service.conftest import Serve
from tests.service.console_web_rig import Web, web
from tests.service.people_rig import VPD, Rig, application, person, rigged
from tests.service.test_console_web_completions import text_of, with_services

HERE = "/trusts/991/duplicates"
ONE, OTHER = "9000001", "9000002"
PLAIN = {"first_name": "Fern", "last_name": "Placeholder", "birth_date": "1990-02-01", "ni_number": "QQ123456A"}
PEOPLE = [{"person_id": ONE, "state": "employee"}, {"person_id": OTHER, "state": "applicant"}]
PAIR: dict[str, Any] = {
    "person_id": ONE, "other_person_id": OTHER, "state": "open", "agree": ["birth_date", "ni_number"],
    "who": "", "why": "", "decided_at": None, "people": PEOPLE,
}  # fmt: skip
DECIDED = PAIR | {"state": "same", "who": "sam", "why": "asked her", "decided_at": "2026-03-03T10:00:00+00:00"}
SHOWN = PAIR | {"people": [PEOPLE[0] | PLAIN, PEOPLE[1] | PLAIN | {"last_name": "Different"}]}
PAIRS: dict[str, Any] = {
    "people/duplicates": [PAIR],
    "people/duplicates?state=same": [DECIDED],
    f"people/duplicates/{ONE}/{OTHER}": PAIR,
    f"people/duplicates/{ONE}/{OTHER}?reveal=true": SHOWN,
    f"POST people/duplicates/{ONE}/{OTHER}": {"state": "same"},
}
BOTH = {"one": ONE, "other": OTHER}


@pytest.fixture
async def site(module_database: str, passwords: Mapping[str, str]) -> AsyncIterator[Web]:
    async with web(module_database, passwords["console"]) as made:
        made.said |= PAIRS
        await made.sign_in("operator")
        yield made


async def test_pairs_are_listed_by_what_was_decided_and_no_address_holds_a_person(site: Web) -> None:
    body = await text_of(site, HERE)
    assert ("They agree in" in body, "birth date, NI number" in body, "applicant" in body) == (True, True, True)
    addresses = [part.partition('"')[0] for word in ("href", "action") for part in body.split(f'{word}="')[1:]]
    assert not any(ONE in one or OTHER in one for one in addresses)
    assert "sam: asked her" in await text_of(site, f"{HERE}?state=same")
    await text_of(site, f"{HERE}?state=nonsense", 404)
    site.said["people/duplicates"] = []
    assert "<p>None.</p>" in await text_of(site, f"{HERE}?state=gone")
    site.said["people/duplicates"] = 503
    assert "The service people does not answer." in await text_of(site, HERE, 503)


async def test_the_list_goes_on_by_a_form(site: Web) -> None:
    many = [PAIR | {"person_id": f"{number:07}"} for number in range(51)]
    site.said |= {"people/duplicates": many, f"people/duplicates?after=0000049~{OTHER}": [PAIR]}
    body = await text_of(site, HERE)
    assert (body.count(">Compare<"), f'value="0000049~{OTHER}"' in body) == (50, True)
    more = await site.form(HERE, HERE, state="open", after=f"0000049~{OTHER}")
    assert (more.status_code, more.text.count(">Compare<"), "First page" in more.text) == (200, 1, True)


async def test_two_records_stand_side_by_side_hidden_with_what_to_do_in_esr(site: Web) -> None:
    body = (await site.form(HERE, f"{HERE}/pair", **BOTH)).text
    assert (body.count(">hidden<"), body.count("Agrees")) == (8, 2)
    assert not any(value in body for value in PLAIN.values())
    assert "have it put right in ESR" in body
    assert body.count(">File<") == 2
    assert 'value="undo"' not in body
    assert (await site.form(HERE, f"{HERE}/pair", one=ONE)).status_code == 422
    assert (await site.form(HERE, f"{HERE}/pair", one=ONE, other="7")).status_code == 404


async def test_one_field_of_both_is_revealed_for_a_reason_that_is_written_down_of_each(site: Web) -> None:
    before = len(await site.deeds())
    for said in ({"field": "last_name", "why": " "}, {"field": "nothing", "why": "a test"}, {"why": "a test"}):
        answer = await site.form(HERE, f"{HERE}/reveal", **BOTH, **said)
        assert (answer.status_code, "Placeholder" in answer.text) == (422, False)
    assert len(await site.deeds()) == before
    answer = await site.form(HERE, f"{HERE}/reveal", **BOTH, field="last_name", why="compares the names")
    assert ("Placeholder" in answer.text, "Different" in answer.text, "Fern" in answer.text) == (True, True, False)
    assert answer.text.count(">hidden<") == 6
    assert (await site.deeds())[before:] == [("991", "person-1", "revealed", "last_name", "compares the names")] * 2
    async with site.site.work.engine.connect() as connection:
        subjects = list(await connection.scalars(select(DEEDS.c.subject).order_by(DEEDS.c.id.desc()).limit(2)))
    assert (len(set(subjects)), any(ONE in one or OTHER in one for one in subjects)) == (2, False)


@pytest.mark.parametrize("decision", ["same", "different"])
async def test_what_is_decided_goes_to_people_in_the_visitors_name_and_into_the_audit(site: Web, decision: str) -> None:
    for said in ({"decision": "", "why": "a test"}, {"decision": "undo", "why": "a test"}, {"decision": decision}):
        assert (await site.form(HERE, f"{HERE}/decide", **BOTH, **said)).status_code == 422
    assert site.posted == []
    answer = await site.form(HERE, f"{HERE}/decide", **BOTH, decision=decision, why="asked her")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{HERE}?done={decision}")
    said = {"who": "person-1", "decision": decision, "why": "asked her"}
    assert site.posted == [(f"people/duplicates/{ONE}/{OTHER}", said)]
    assert (await site.deeds())[-1] == ("991", "person-1", f"duplicates: {decision}", "", "asked her")
    assert "Done" in await text_of(site, f"{HERE}?done={decision}")


async def test_a_decision_can_be_taken_back_and_a_refusal_is_told(site: Web) -> None:
    site.said[f"people/duplicates/{ONE}/{OTHER}"] = DECIDED
    body = (await site.form(HERE, f"{HERE}/pair", **BOTH)).text
    assert ("says sam" in body, 'value="same"' in body, 'value="undo"' in body) == (True, False, True)
    site.said[f"POST people/duplicates/{ONE}/{OTHER}"] = "nothing was decided about these two"
    answer = await site.form(HERE, f"{HERE}/decide", **BOTH, decision="undo", why="a test")
    assert (answer.status_code, "Nothing was decided about these two" in answer.text) == (409, True)


@pytest.mark.parametrize("role", ["viewer", "learning manager", "approver", "auditor"])
async def test_only_operators_see_and_decide(site: Web, role: Any) -> None:
    site.browser.cookies.clear()
    await site.sign_in(role)
    await text_of(site, HERE, 403)
    form = "/trusts/991/tonight"
    assert HERE not in await text_of(site, form)
    for path in ("pair", "reveal", "decide"):
        said = BOTH | {"field": "last_name", "why": "a test", "decision": "same"}
        assert (await site.form(form, f"{HERE}/{path}", **said)).status_code == 403
    assert site.posted == []


async def test_people_answers_what_these_pages_ask_and_refuses_in_a_sentence(serve: Serve, site: Web) -> None:
    async with serve("people") as people:
        with_services(site, people=people.client)
        assert "<p>None.</p>" in await text_of(site, HERE)
        assert (await site.form(HERE, HERE, state="same", after=f"{ONE}~{OTHER}")).status_code == 200
        assert (await site.form(HERE, f"{HERE}/pair", **BOTH)).status_code == 404


async def test_a_pair_of_people_has_the_shape_that_is_laid_out_here(
    database: str, passwords: Mapping[str, str]
) -> None:
    said = {"last_name": "Placeholder", "date_of_birth": "1990-02-01", "ni_number": "QQ123456A"}
    async with rigged(database, passwords) as rigs:
        rig: Rig = rigs[0]
        await rig.take(*(person(one, **said) for one in ("1", "2", "3")), person("9", "APL", **said), application("9"))
        async with rig.work.engine.connect() as connection:
            facts = FactStore(SCHEMA)
            everything = await views.duplicates(connection, facts, VPD, "open", 100, reveal=False)
            first = await views.duplicates(connection, facts, VPD, "open", 4, reveal=False)
            place = f"{first[-1]['person_id']}~{first[-1]['other_person_id']}"
            rest = await views.duplicates(connection, facts, VPD, "open", 100, reveal=False, after=place)
            plain = await views.duplicate(connection, facts, VPD, "2", "1", reveal=True)
    assert (len(everything), first + rest) == (6, everything)
    assert everything[0].keys() == PAIR.keys()
    assert everything[0]["people"][0].keys() == PEOPLE[0].keys()
    assert plain is not None
    assert plain["people"][0].keys() == SHOWN["people"][0].keys()
    assert "Placeholder" not in str(everything)
