"""What the pages show, and what is done on them."""

import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import select

from services.console.tables import LETTERS
from services.console.web.pages.settings import HIDDEN, sections
from shared.config import BridgeConfig
from tests.integration.faulty_network import Network
from tests.service.console_web_rig import FIELDS, FILE, Web, web

LETTER = "/trusts/991/dead-letters/letter-1"


@pytest.fixture
async def site(module_database: str, passwords: Mapping[str, str]) -> AsyncIterator[Web]:
    async with web(module_database, passwords["console"]) as made:
        await made.sign_in("operator")
        yield made


async def text_of(site: Web, path: str, status: int = 200) -> str:
    answer = await site.browser.get(path)
    assert (path, answer.status_code) == (path, status)
    return answer.text


# --- tonight ----------------------------------------------------------------------------------------------------


async def test_when_all_is_well_the_night_says_so(site: Web) -> None:
    body = await text_of(site, "/trusts/991/tonight")
    assert "Everything is in order." in body
    assert "app-part--act" not in body


async def test_a_service_that_is_away_makes_its_part_red_and_leaves_the_rest_as_it_is(site: Web) -> None:
    site.said["confirmations/completions/nights"] = 503
    body = await text_of(site, "/trusts/991/tonight")
    assert body.count("app-part--act") == 1
    assert "the service confirmations does not answer" in body


async def test_dead_letters_make_the_night_red_and_lead_to_their_list(site: Web) -> None:
    await site.letter()
    body = await text_of(site, "/trusts/991/tonight")
    assert "1 record waits for an operator." in body
    assert 'href="/trusts/991/dead-letters"' in body


async def test_the_page_renews_itself_until_somebody_stops_it(site: Web) -> None:
    assert 'hx-trigger="every 15s"' in await text_of(site, "/trusts/991/tonight")
    assert "hx-trigger" not in await text_of(site, "/trusts/991/tonight?updates=off")


# --- files ------------------------------------------------------------------------------------------------------


async def test_files_are_listed_the_newest_first_in_pages(site: Web) -> None:
    (file,) = site.said["ingest/files"]
    many = [file | {"name": f"file-{number:03}.csv"} for number in reversed(range(120))]

    def place(number: int) -> str:
        return urlencode({"": f"{file['received_at']}~file-{number:03}.csv~{file['sha256']}"})[1:]

    def links(body: str) -> tuple[bool, bool]:
        return ">Newer files<" in body, ">Older files<" in body

    site.said["ingest/files"] = many[:51]
    first = await text_of(site, "/trusts/991/files?status=complete")
    assert ("file-119.csv" in first, "file-070.csv" in first, "file-069.csv" in first) == (True, True, False)
    assert (links(first), f"status=complete&amp;after={place(70)}" in first) == ((False, True), True)
    assert "4 March 2026, 6:10am" in first

    site.said[f"ingest/files?after={place(70)}"] = many[50:101]
    second = await text_of(site, f"/trusts/991/files?after={place(70)}")
    assert ("file-069.csv" in second, "file-019.csv" in second) == (True, False)
    assert (links(second), f"before={place(69)}" in second) == ((True, True), True)

    site.said[f"ingest/files?after={place(20)}"] = many[100:]
    last = await text_of(site, f"/trusts/991/files?after={place(20)}")
    assert ("file-000.csv" in last, links(last)) == (True, (True, False))

    site.said[f"ingest/files?before={place(19)}"] = many[49:100]
    back = await text_of(site, f"/trusts/991/files?before={place(19)}")
    assert ("file-069.csv" in back, "file-020.csv" in back, "file-070.csv" in back) == (True, True, False)
    assert links(back) == (True, True)

    site.said[f"ingest/files?before={place(117)}"] = many[:2]
    top = await text_of(site, f"/trusts/991/files?before={place(117)}")
    assert ("file-119.csv" in top, "file-070.csv" in top, links(top)) == (True, True, (False, True))


async def test_a_list_of_files_that_nobody_can_tell_is_not_found(site: Web) -> None:
    site.said["ingest/files?after=x"] = 422
    await text_of(site, "/trusts/991/files?after=x", 404)
    await text_of(site, "/trusts/991/files?status=nonsense", 404)
    site.said["ingest/files?status=held"] = []
    assert "<p>None.</p>" in await text_of(site, "/trusts/991/files?status=held")


async def test_tonight_knows_old_files_that_wait_and_days_that_fill_more_than_a_page(site: Web) -> None:
    (file,) = site.said["ingest/files"]
    name = "CS_991_CST_CSC_20260101_00000001.DAT"
    old = file | {"name": name, "received_at": "2026-01-01T06:00:00+00:00", "status": "held", "code": "F018"}
    site.said["ingest/files?unsettled=true"] = [old | {"accounted": {}}]
    assert f"{name} is held and waits for your decision" in await text_of(site, "/trusts/991/tonight")

    of_today = [file | {"name": f"LMS_20260304_{number:03}.csv", "records": 1} for number in range(250)]
    last = f"{file['received_at']}~LMS_20260304_199.csv~{file['sha256']}"
    site.said |= {"ingest/files?unsettled=true": [], "ingest/files": of_today[:200]}
    site.said[f"ingest/files?{urlencode({'after': last, 'requests': 'false'})}"] = of_today[200:]
    assert "<dt>Files of the newest day</dt><dd>250</dd>" in await text_of(site, "/trusts/991/tonight")
    site.said["ingest/files?unsettled=true"] = 503
    assert "the service ingest does not answer" in await text_of(site, "/trusts/991/tonight")


async def test_a_file_shows_its_account_and_any_lines_fate(site: Web) -> None:
    (file,) = site.said["ingest/files"]
    site.said[f"ingest/files/{FILE}"] = [file | {"offers": [], "confirmations": []}]
    fate = {"file": FILE, "line": 2, "fate": "dead_lettered", "rule": "dead_lettered", "reason": "", "code": "R103"}
    site.said[f"ingest/files/{FILE}/lines/2"] = fate
    body = await text_of(site, f"/trusts/991/files/{FILE}")
    assert "The account of every line" in body
    assert "Line 2: dead lettered." in await text_of(site, f"/trusts/991/files/{FILE}?line=2")
    assert "Line 3 has no fate" in await text_of(site, f"/trusts/991/files/{FILE}?line=3")
    for odd in ("0", "x", "-1", "99999999999999", "²"):
        assert "Enter the number of a line" in await text_of(site, f"/trusts/991/files/{FILE}?line={odd}")


async def test_a_file_that_never_came_is_not_found_and_a_service_that_is_away_is_said_to_be(site: Web) -> None:
    await text_of(site, "/trusts/991/files/none.csv", 404)
    site.said["ingest/files"] = 500
    assert "does not answer" in await text_of(site, "/trusts/991/files", 503)


# --- dead letters -----------------------------------------------------------------------------------------------


async def test_letters_are_listed_by_cause_and_in_pages(site: Web) -> None:
    for number in range(1, 61):
        await site.letter(number, code="R103" if number > 1 else "R104")
    first = await text_of(site, "/trusts/991/dead-letters")
    assert "R103, element.upsert" in first
    assert "Next records" in first
    after = await text_of(site, "/trusts/991/dead-letters?state=open&after=letter-50")
    assert ("letter-60" in after, "letter-49" in after, "First records" in after) == (True, False, True)
    one = await text_of(site, f"/trusts/991/dead-letters?file={FILE}&line=7")
    assert one.count("/dead-letters/letter-") == 1
    assert "Enter the number of a line" in await text_of(site, "/trusts/991/dead-letters?line=x", 422)
    await text_of(site, "/trusts/991/dead-letters?state=nonsense", 404)
    await text_of(site, "/trusts/991/dead-letters?after=nonsense", 404)


async def test_letters_of_another_trust_are_nowhere(site: Web) -> None:
    await site.letter(1, vpd="992")
    assert "letter-1" not in await text_of(site, "/trusts/991/dead-letters")
    await text_of(site, LETTER, 404)


async def test_a_staff_number_finds_letters_and_stands_in_no_address(site: Web) -> None:
    await site.letter()
    found = await site.form("/trusts/991/dead-letters", "/trusts/991/dead-letters", staff=FIELDS["person_id"])
    assert (found.status_code, "/dead-letters/letter-1" in found.text) == (200, True)
    assert FIELDS["person_id"] not in found.text
    other = await site.form("/trusts/991/dead-letters", "/trusts/991/dead-letters", staff="1000002")
    assert "/dead-letters/letter-1" not in other.text


async def test_values_are_hidden_until_revealed_and_then_one_is(site: Web) -> None:
    await site.letter()
    masked = await text_of(site, LETTER)
    assert not any(value in masked for value in FIELDS.values())
    shown = await site.form(LETTER, f"{LETTER}/reveal", column="last_name", why="a caller asks about the name")
    assert (FIELDS["last_name"] in shown.text, FIELDS["person_id"] in shown.text) == (True, False)
    assert shown.headers["cache-control"] == "no-store"
    assert FIELDS["last_name"] not in await text_of(site, LETTER)
    deed = ("991", "person-1", "revealed", "last_name", "a caller asks about the name")
    assert deed in await site.deeds()
    assert "looked at (last_name)" in await text_of(site, LETTER)


async def test_nothing_is_revealed_without_a_reason_a_column_or_the_right(site: Web) -> None:
    await site.letter()
    before = len(await site.deeds())
    for said in ({"column": "last_name", "why": "  "}, {"column": "nothing", "why": "a test"}, {"why": "a test"}):
        answer = await site.form(LETTER, f"{LETTER}/reveal", **said)
        assert (answer.status_code, FIELDS["last_name"] in answer.text) == (422, False)
    csrf_of_viewer = {"column": "last_name", "why": "a test"}
    site.browser.cookies.clear()
    await site.sign_in("viewer", who="looks-only")
    assert "See one value" not in await text_of(site, LETTER)
    assert (await site.form(LETTER, f"{LETTER}/reveal", **csrf_of_viewer)).status_code == 403
    assert [deed for deed in (await site.deeds())[before:] if deed[2] == "revealed"] == []


async def test_no_log_line_holds_a_revealed_value(site: Web, caplog: pytest.LogCaptureFixture) -> None:
    await site.letter()
    with caplog.at_level(logging.DEBUG):
        await site.form(LETTER, f"{LETTER}/reveal", column="last_name", why="a test")
    assert FIELDS["last_name"] not in caplog.text


async def state(site: Web) -> str:
    async with site.site.work.engine.connect() as connection:
        return str(await connection.scalar(select(LETTERS.c.state).where(LETTERS.c.id == "letter-1")))


async def test_a_letter_is_edited_replayed_and_its_history_told(site: Web) -> None:
    await site.letter()
    edited = await site.form(
        LETTER, f"{LETTER}/edit", column="date_from", value="2026-02-28", why="typing error", edits="0", then="keep"
    )
    assert edited.headers["location"] == f"{LETTER}?done=edit"
    replayed = await site.form(LETTER, f"{LETTER}/replay", why="mended")
    assert replayed.headers["location"] == f"{LETTER}?done=replay"
    assert await state(site) == "replayed"
    body = await text_of(site, f"{LETTER}?done=replay")
    assert "person-1: edit (date_from). typing error" in body
    assert "2026-02-28" not in body
    assert "whether it was applied is not known yet" in body


async def test_a_second_edit_of_what_somebody_else_has_edited_is_told_so(site: Web) -> None:
    await site.letter()
    said = {"column": "date_from", "why": "typing error", "edits": "0", "then": "keep"}
    assert (await site.form(LETTER, f"{LETTER}/edit", value="2026-02-28", **said)).status_code == 303
    late = await site.form(LETTER, f"{LETTER}/edit", value="2026-02-27", **said)
    assert (late.status_code, "was edited since you looked at it" in late.text) == (409, True)


async def test_a_letter_is_discarded_and_opened_again(site: Web) -> None:
    await site.letter()
    assert (await site.form(LETTER, f"{LETTER}/discard", why="")).status_code == 422
    assert (await site.form(LETTER, f"{LETTER}/discard", why="of a test")).status_code == 303
    assert await state(site) == "discarded"
    assert (await site.form(LETTER, f"{LETTER}/discard", why="again")).status_code == 409
    assert (await site.form(LETTER, f"{LETTER}/undo", why="a mistake")).status_code == 303
    assert await state(site) == "open"


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("assign", "person-2", "person-2"),
        ("hold", "2026-03-31", "31 March 2026, 12:00am"),
        ("link", "INC0012345", "INC0012345"),
        ("note", "", "seen"),
    ],
)
async def test_a_letter_is_looked_after(site: Web, kind: str, value: str, shown: str) -> None:
    await site.letter()
    done = await site.form(LETTER, f"{LETTER}/look-after", kind=kind, value=value, why="seen")
    assert done.status_code == 303
    assert shown in await text_of(site, LETTER)


@pytest.mark.parametrize(("kind", "value"), [("", ""), ("hold", "tomorrow"), ("nonsense", "x")])
async def test_what_cannot_be_written_down_is_said_at_its_field(site: Web, kind: str, value: str) -> None:
    await site.letter()
    assert (await site.form(LETTER, f"{LETTER}/look-after", kind=kind, value=value, why="seen")).status_code == 422


# --- settings ---------------------------------------------------------------------------------------------------


def values(config: dict[str, Any]) -> dict[str, str]:
    said = BridgeConfig.model_validate({"trusts": [config]}).trusts[0]
    return {name: value for _, rows in sections(said.model_dump(mode="json")) for name, value in rows}


def test_a_secret_is_shown_by_the_file_it_stands_in_and_never_itself() -> None:
    shown = values({"vpd": "991", "lms": {"driver": "sandbox", "url": "http://lms:8090", "token_file": "/run/lms"}})
    assert shown["token_file"] == "/run/lms"
    rows = dict(sections({"vpd": "991", "lms": {"password": "open sesame", "url": "sftp://joe:pw@host/x"}})[1][1])
    assert rows == {"password": HIDDEN, "url": "sftp://host/x"}


async def test_settings_are_shown_in_sections(site: Web) -> None:
    body = await text_of(site, "/trusts/991/settings")
    assert "Calendar" in body
    assert "esr-cstf" in body


# --- failures ---------------------------------------------------------------------------------------------------


async def test_while_the_database_is_away_the_page_says_so(passwords: Mapping[str, str], module_database: str) -> None:
    async with Network(module_database) as network, web(network.url, passwords["console"]) as site:
        await site.sign_in("viewer")
        await network.cut()
        assert "The database is away" in await text_of(site, "/trusts/991/tonight", 503)
        network.mend()
