"""Mappings on pages: what is in force, a draft that is edited, checked, previewed, applied and undone."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.console.web.pages.mapping_lines import FIELDS, form_of, read_form, seal, with_row
from services.console.web.uploads import fields_of
from shared.mapping_settings import Acceptance, Row, as_json, from_json, from_yaml
from tests.service.conftest import Serve
from tests.service.console_web_rig import Web, web
from tests.service.test_console_web_completions import text_of, with_services

HERE = "/trusts/991/mappings"
DRAFT = f"{HERE}/draft"
LINE = f"{DRAFT}/lines/1"
FIRE = {"competence": "NHS|CSTF|Fire Safety - 2 Years|", "certification": "FIRE"}
SGA = {"competence_id": "3100002", "certification": "SGA1", "direction": "to-lms", "from": "2024-04-01"}
IN_FORCE = {"mappings": [FIRE], "for_esr": ["3100900"]}
CONTENT = {"mappings": [FIRE, SGA], "for_esr": ["3100900"]}
MADE = {"version": 4, "who": "sam", "why": "safeguarding", "at": "2026-03-03T10:00:00+00:00", "content": CONTENT}
SHOWN = {"version": 3, "in_force": IN_FORCE, "later": None, "draft": MADE}
FINDING = {"code": "ME02", "level": "error", "mappings": [2], "sentence": "Mapped twice. Remove one."}
CHANGE = {
    "direction": "to-lms", "competence_id": "3100002", "competence": "Safeguarding", "certification": "SGA1",
    "gain": {"people": 1214, "person_ids": ["9000001", "9000002"]}, "lose": {"people": 0, "person_ids": []},
}  # fmt: skip
MAPPINGS: dict[str, Any] = {
    "competency/mappings": SHOWN,
    "competency/mappings/missing": [
        {"kind": "competence", "name": "Safeguarding", "competence_id": "3100002", "records": 1214, "people": 1200},
        {"kind": "certification", "name": "MOVE1", "competence_id": "", "records": 3, "people": 3},
    ],
    "competency/mappings/history": [
        {"at": "2026-03-03T10:00:00+00:00", "action": "draft", "version": 4, "who": "sam", "why": "safeguarding"}
    ],
    "competency/mappings/check": {"version": 4, "errors": 1, "findings": [FINDING]},
    "competency/mappings/preview": {"version": 4, "in_place_of": 3, "people_looked_at": 1214, "changes": [CHANGE]},
    "competency/mappings/versions/3": IN_FORCE,
    "competency/mappings/versions/9": "there is no version 9",
    "POST competency/mappings/draft": {"version": 4, "mappings": 2},
    "POST competency/mappings/apply": {"version": 4, "from": "2026-03-04", "people": 1214},
    "POST competency/mappings/discard": {"discarded": 4},
    "POST competency/mappings/undo": {"undone": 3, "version": 2, "people": 0},
}  # fmt: skip
FORM = {
    "competence_id": "3100003", "competence": "", "certification": "SGA2", "direction": "both", "from": "", "until": "",
    "expiry": "lms", "period": "",
}  # fmt: skip


@pytest.fixture
async def site(module_database: str, passwords: Mapping[str, str]) -> AsyncIterator[Web]:
    async with web(module_database, passwords["console"]) as made:
        made.said |= MAPPINGS
        await made.sign_in("learning manager", "approver")
        yield made


def drafted(site: Web) -> Any:
    path, said = site.posted[-1]
    assert (path, said["who"]) == ("competency/mappings/draft", "person-1")
    return said["content"]


# --- what is seen -----------------------------------------------------------------------------------------------


async def test_what_is_in_force_the_draft_what_is_not_mapped_and_what_was_done_are_told(site: Web) -> None:
    body = await text_of(site, HERE)
    for said in ("In force: version 3", "Version 4", "By sam", "1,214", "MOVE1", "sam: draft of version", "for_esr"):
        assert said in body
    assert f'href="{DRAFT}/lines/new?competence_id=3100002"' in body
    site.said["competency/mappings"] = SHOWN | {"draft": MADE | {"who": "the bridge"}, "version": 0}
    body = await text_of(site, HERE)
    assert ("Proposed by the bridge" in body, "as bridge.yaml says" in body) == (True, True)


async def test_where_there_is_nothing_the_pages_say_so(site: Web) -> None:
    site.said["competency/mappings"] = {"version": 0, "in_force": {}, "later": None, "draft": None}
    site.said |= {"competency/mappings/missing": [], "competency/mappings/history": []}
    body = await text_of(site, HERE)
    for said in ("Nothing is mapped.", "Everything that arrived is mapped.", "Nothing yet.", "Begin a draft"):
        assert said in body
    assert "There is no draft" in await text_of(site, DRAFT, 404)
    site.said["competency/mappings/preview"] = "there is no draft of the mappings"
    assert "There is no draft of the mappings" in await text_of(site, f"{HERE}/preview", 404)
    assert "There is no version 9" in await text_of(site, f"{HERE}/versions/9", 404)
    site.said["competency/mappings"] = 503
    assert "The service competency does not answer." in await text_of(site, HERE, 503)


async def test_a_draft_shows_its_faults_and_where_they_are(site: Web) -> None:
    body = await text_of(site, DRAFT)
    assert ("1 error" in body, "It cannot be applied." in body, "ME02, error:" in body) == (True, True, True)
    assert 'href="#line-2"' in body
    assert 'id="line-2"' in body
    site.said["competency/mappings/check"] = {"version": 4, "errors": 0, "findings": [FINDING | {"level": "warning"}]}
    assert "It can be applied." in await text_of(site, DRAFT)
    site.said["competency/mappings/check"] = {"version": 4, "errors": 0, "findings": []}
    assert "No faults" in await text_of(site, DRAFT)
    site.said["competency/mappings/check"] = 503
    assert "Not known" in await text_of(site, DRAFT)


async def test_a_preview_tells_how_many_would_gain_and_lose_with_samples(site: Web) -> None:
    body = await text_of(site, f"{HERE}/preview")
    for said in ("1,214 people looked at", "In place of version 3", "9000001, 9000002 and others", "In the LMS"):
        assert said in body
    site.said["competency/mappings/preview"] = MAPPINGS["competency/mappings/preview"] | {"changes": []}
    assert "Nobody would gain or lose anything." in await text_of(site, f"{HERE}/preview")


async def test_a_version_is_downloaded_as_yaml_that_is_read_again(site: Web) -> None:
    draft = await site.browser.get(f"{HERE}/download")
    assert (draft.status_code, from_yaml(draft.text)) == (200, from_json(CONTENT))
    assert draft.headers["content-disposition"] == 'attachment; filename="mappings-991.yaml"'
    version = await site.browser.get(f"{HERE}/download?version=3")
    assert from_yaml(version.text) == from_json(IN_FORCE)
    await text_of(site, f"{HERE}/download?version=9", 404)


# --- editing ----------------------------------------------------------------------------------------------------


async def sealed(site: Web, page: str) -> str:
    return (await text_of(site, page)).partition('name="seen" value="')[2].partition('"')[0]


async def test_a_mapping_is_added_changed_and_taken_out_and_the_rest_stays(site: Web) -> None:
    seen = await sealed(site, f"{DRAFT}/lines/new")
    answer = await site.form(LINE, f"{DRAFT}/lines/new", **FORM, why="agreed", seen=seen)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{DRAFT}?done=draft")
    added = {"competence_id": "3100003", "certification": "SGA2"}
    assert drafted(site) == CONTENT | {"mappings": [FIRE, SGA, added]}
    await site.form(LINE, LINE, **FORM, why="agreed", seen=seen)
    assert drafted(site) == CONTENT | {"mappings": [added, SGA]}
    await site.form(LINE, f"{LINE}/remove", why="twice", seen=seen)
    assert drafted(site) == CONTENT | {"mappings": [SGA]}
    assert [one[2] for one in (await site.deeds())[-3:]] == ["mappings: draft"] * 3
    assert "3100002" in await text_of(site, f"{DRAFT}/lines/new?competence_id=3100002")
    for odd in ("0", "3", "x", "²"):
        await text_of(site, f"{DRAFT}/lines/{odd}", 404)


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"competence_id": ""}, "competence_id"),
        ({"certification": ""}, "certification"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-03-04", "until": "2026-03-03"}, "until"),
        ({"period": "2 years"}, "period"),
        ({"expiry": "local", "period": "two years"}, "period"),
        ({"direction": "up"}, "direction"),
        ({"certification": "a\u0085b"}, "certification"),
        ({"why": " "}, "line-why"),
        ({"seen": "of another draft"}, "line-why"),
    ],
)
async def test_what_is_wrong_with_a_mapping_is_told_beside_its_field_and_what_was_entered_stays(
    site: Web, wrong: dict[str, str], place: str
) -> None:
    said = FORM | {"why": "agreed", "seen": await sealed(site, LINE)} | wrong
    answer = await site.form(LINE, LINE, **said)
    assert (answer.status_code, f'href="#{place}"' in answer.text) == (422, True)
    assert 'value="SGA2"' in answer.text or "certification" in wrong
    assert site.posted == []


async def test_a_whole_file_becomes_the_draft_and_what_is_wrong_with_it_is_told(site: Web) -> None:
    page = f"{HERE}/yaml"
    csrf, seen = await site.csrf(page), await sealed(site, page)

    async def put(file: bytes, content: str = "", **more: str) -> httpx.Response:
        data = {"csrf": csrf, "seen": seen, "why": "a new year", "content": content} | more
        return await site.browser.post(page, data=data, files={"file": ("mappings.yaml", file)})

    written = (
        b"\xef\xbb\xbfmappings:\r\n- competence: NHS|CSTF|Fire Safety - 2 Years|\r\n  certification: F\xc3\xa9\r\n"
    )
    assert (await put(written)).headers["location"] == f"{DRAFT}?done=draft"
    assert drafted(site) == {"mappings": [FIRE | {"certification": "Fé"}]}
    assert (await put(b"", "mappings:\r\n- {competence_id: '1', certification: X}\r\n")).status_code == 303
    assert drafted(site) == {"mappings": [{"competence_id": "1", "certification": "X"}]}
    done = len(site.posted)
    assert "look at line" in (await put(b"mappings: [")).text
    wrong = await put(b"mappings: [{certification: X}]")
    assert (wrong.status_code, "mappings.0" in wrong.text) == (422, True)
    assert (await put(b"\xff\xfe")).status_code == 400
    assert (await put(b"{}", why=" ")).status_code == 422
    assert (await put(b"{}", seen="of another draft")).status_code == 409
    assert (await put(b"#" * 1_100_000)).status_code == 413
    assert (await put(b"{}", csrf="made up")).status_code == 403
    assert len(site.posted) == done


async def test_a_draft_is_begun_as_what_is_in_force_and_an_old_one_is_left_as_it_is(site: Web) -> None:
    assert (await site.form(HERE, DRAFT)).headers["location"] == DRAFT
    assert site.posted == []
    site.said["competency/mappings"] = SHOWN | {"draft": None}
    assert (await site.form(HERE, DRAFT, why=" ")).status_code == 422
    await site.form(HERE, DRAFT, why="a new year")
    assert drafted(site) == IN_FORCE


# --- into force and back ----------------------------------------------------------------------------------------


async def test_the_draft_that_was_seen_is_applied_today_or_on_its_day(site: Web) -> None:
    seen = await sealed(site, DRAFT)
    for day in ("", "2026-04-01"):
        answer = await site.form(DRAFT, f"{HERE}/apply", why="agreed", seen=seen, day=day)
        assert answer.headers["location"] == f"{HERE}?done=apply"
        said = {"who": "person-1", "why": "agreed", "day": day or None}
        assert site.posted[-1] == ("competency/mappings/apply", said)
    assert (await site.deeds())[-1] == ("991", "person-1", "mappings: apply", "", "agreed")
    done = len(site.posted)
    for wrong, status in (({"why": ""}, 422), ({"day": "soon"}, 422), ({"seen": "another"}, 409)):
        answer = await site.form(DRAFT, f"{HERE}/apply", **({"why": "agreed", "seen": seen} | wrong))
        assert answer.status_code == status
    assert len(site.posted) == done


async def test_going_back_goes_back_from_the_version_that_was_seen(site: Web) -> None:
    assert (await site.form(HERE, f"{HERE}/undo", why="wrong", seen="3")).headers["location"] == f"{HERE}?done=undo"
    assert (await site.form(HERE, f"{HERE}/undo", why="wrong", seen="2")).status_code == 409
    assert (await site.form(HERE, f"{HERE}/undo", why="", seen="3")).status_code == 422
    assert site.posted == [("competency/mappings/undo", {"who": "person-1", "why": "wrong"})]
    site.said["competency/mappings"] = SHOWN | {"later": {"version": 4, "from": "2026-04-01"}}
    body = await text_of(site, HERE)
    assert ("Call off version 4" in body, "comes into force on 1 April 2026" in body) == (True, True)
    assert (await site.form(HERE, f"{HERE}/undo", why="not ready", seen="4")).status_code == 303


async def test_refusals_are_told_in_the_services_own_sentence(site: Web) -> None:
    for action in ("draft", "apply", "discard", "undo"):
        site.said[f"POST competency/mappings/{action}"] = "DECISION: the draft has 1 errors"
    seen = await sealed(site, DRAFT)
    asked: tuple[tuple[str, dict[str, str]], ...] = (
        (f"{HERE}/apply", {}), (f"{HERE}/discard", {}), (f"{HERE}/undo", {"seen": "3"}), (LINE, FORM),
        (f"{LINE}/remove", {}),
    )  # fmt: skip
    for to, more in asked:
        answer = await site.form(DRAFT, to, **({"why": "a test", "seen": seen} | more))
        assert (to, answer.status_code, "The draft has 1 errors" in answer.text) == (to, 409, True)
        assert "DECISION" not in answer.text


async def test_who_drafts_does_not_apply_and_who_applies_does_not_draft(site: Web) -> None:
    site.browser.cookies.clear()
    await site.sign_in("learning manager")
    body = await text_of(site, DRAFT)
    assert ('id="apply-why"' in body, 'id="discard-why"' in body) == (False, True)
    assert (await site.form(HERE, f"{HERE}/apply", why="a test")).status_code == 403
    site.browser.cookies.clear()
    await site.sign_in("approver")
    body = await text_of(site, DRAFT)
    assert ('id="apply-why"' in body, 'id="discard-why"' in body) == (True, False)
    assert (await site.form(HERE, LINE, **FORM, why="a test")).status_code == 403
    assert site.posted == []


# --- the service itself -----------------------------------------------------------------------------------------


async def test_a_draft_goes_its_whole_way_at_the_service_itself(serve: Serve, site: Web) -> None:
    async with serve("competency") as competency:
        with_services(site, competency=competency.client)
        assert "Nothing is mapped." in await text_of(site, HERE)
        await site.form(HERE, DRAFT, why="a first draft")
        seen = await sealed(site, f"{DRAFT}/lines/new")
        await site.form(HERE, f"{DRAFT}/lines/new", **FORM, why="one mapping", seen=seen)
        assert "ME01, error:" in await text_of(site, DRAFT)
        assert "Nobody would gain or lose anything." in await text_of(site, f"{HERE}/preview")
        seen = await sealed(site, DRAFT)
        refused = await site.form(DRAFT, f"{HERE}/apply", why="agreed", seen=seen)
        assert (refused.status_code, "The draft has 1 errors" in refused.text) == (409, True)
        await site.form(DRAFT, f"{LINE}/remove", why="ESR does not know it", seen=seen)
        applied = await site.form(DRAFT, f"{HERE}/apply", why="agreed", seen=await sealed(site, DRAFT))
        assert applied.headers["location"] == f"{HERE}?done=apply"
        body = await text_of(site, HERE)
        assert ("person-1: apply of version" in body, "In force: version 1" in body) == (True, True)
        await text_of(site, f"{HERE}/versions/1")
        undone = await site.form(HERE, f"{HERE}/undo", why="a test", seen="1")
        assert undone.headers["location"] == f"{HERE}?done=undo"
        assert "person-1: undo of version" in await text_of(site, HERE)


# --- rules ------------------------------------------------------------------------------------------------------

names = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20).map(str.strip).filter(bool)
rows = st.builds(
    Row,
    competence_id=names,
    certification=names,
    direction=st.sampled_from(["both", "to-lms", "to-esr"]),
    starts=st.none() | st.dates(),
    accept=st.none() | st.just(Acceptance(max_age_months=3)),
    expiry=st.sampled_from(["lms", "esr", "local"]),
)


@given(rows)
def test_what_a_form_shows_is_the_mapping_again_with_the_rules_it_does_not_show(row: Row) -> None:
    assert read_form(form_of(row), row) == (row, None)


@given(st.lists(rows, max_size=4), rows)
def test_a_change_of_one_mapping_leaves_the_others_as_they_were(held: list[Row], new: Row) -> None:
    content = as_json(from_json(IN_FORCE).model_copy(update={"mappings": tuple(held)}))
    assert from_json(with_row(content, 0, new)).mappings == (*held, new)
    for number in range(1, len(held) + 1):
        changed = from_json(with_row(content, number, new)).mappings
        assert changed == (*held[: number - 1], new, *held[number:])
        assert len(from_json(with_row(content, number, None)).mappings) == len(held) - 1
    assert seal(content) == seal(dict(reversed(content.items())))


@example({"period": "\ufeff2 years"})
@given(st.dictionaries(st.sampled_from(FIELDS), st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_a_form_with_files_says_what_was_put_into_it(said: dict[str, str]) -> None:
    request = httpx.Request("POST", "http://x", files={name: ("f", text.encode()) for name, text in said.items()})
    found = fields_of(request.headers["content-type"], request.read())
    assert found == {name: text.removeprefix("\ufeff") for name, text in said.items()}


@pytest.mark.parametrize("body", [b"", b"nothing", b"--x\r\n\r\nno name\r\n--x--\r\n"])
def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="form"):
        fields_of("multipart/form-data; boundary=x", body)
