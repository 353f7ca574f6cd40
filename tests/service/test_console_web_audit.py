"""Who did what, when and why: one list of all deeds at a trust, for auditors."""

import csv
import io
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError

from services.console import audit, store, trail
from services.console.audit import Deed
from services.console.identity import staff_hash
from services.console.tables import DEEDS
from services.console.trail import Asked, Place
from services.console.web.sheets import lines
from tests.service.console_web_rig import Web, web

AUDIT = "/trusts/991/audit"
MORNING = datetime(2026, 3, 4, 9, tzinfo=UTC)


@pytest.fixture
async def site(module_database: str, passwords: Mapping[str, str]) -> AsyncIterator[Web]:
    async with web(module_database, passwords["console"]) as made:
        await made.sign_in("auditor", who="auditor-1")
        yield made


async def did(site: Web, who: str, action: str, minutes: int = 0, vpd: str = "991", **more: str) -> None:
    deed = Deed(
        who, action, more.get("why", "of a test"), int(more.get("plan", 0)), (), {"state": "open"}, {"state": "x"}
    )
    async with site.site.work.engine.begin() as connection:
        moment = MORNING + timedelta(minutes=minutes)
        await audit.write(connection, vpd, moment, [(more.get("letter", "letter-1"), deed)])


async def looked(site: Web, who: str, minutes: int, vpd: str = "991") -> None:
    row = {
        "vpd": vpd, "at": MORNING + timedelta(minutes=minutes), "who": who, "deed": "revealed", "subject": "letter-1",
        "column": "last_name", "why": "a caller asks",
    }  # fmt: skip
    async with site.site.work.engine.begin() as connection:
        await connection.execute(insert(DEEDS).values(row))


async def text_of(site: Web, query: str = "", status: int = 200) -> str:
    answer = await site.browser.get(f"{AUDIT}{query}")
    assert (query, answer.status_code) == (query, status)
    return answer.text


async def test_deeds_on_letters_and_on_pages_are_one_list_the_newest_first(site: Web) -> None:
    await did(site, "one", "replay", 0)
    await looked(site, "two", 1)
    await did(site, "three", "discard", 2, plan="7")
    body = await text_of(site, "?until=2026-03-04")
    assert body.index("Discard") < body.index("Revealed (last_name)") < body.index("Replay")
    assert "State: open became x" in body
    assert '<a href="/trusts/991/dead-letter-runs/7">plan 7</a>' in body


async def test_deeds_are_found_by_person_kind_matter_place_and_day(site: Web) -> None:
    await did(site, "who-replays", "replay", 0, letter="letter-a")
    await did(site, "who-discards", "discard", 60 * 24, letter="letter-b")
    await looked(site, "who-looks", 60 * 48)
    everybody = {"who-replays", "who-discards", "who-looks"}
    for query, found in {
        "?who=who-replays": {"who-replays"},
        "?deed=discard": {"who-discards"},
        "?about=letter-a": {"who-replays"},
        "?source=pages&until=2026-03-31": {"who-looks"},
        "?source=letters": {"who-replays", "who-discards"},
        "?since=2026-03-05&until=2026-03-05": {"who-discards"},
        "?since=2026-03-05&until=2026-03-31": {"who-discards", "who-looks"},
        "?until=2026-03-31": everybody,
    }.items():
        body = await text_of(site, query)
        assert (query, {one for one in everybody if f">{one}</td>" in body}) == (query, found)
    assert "Nothing matches." in await text_of(site, "?who=nobody")


async def test_another_trusts_deeds_and_sign_ins_are_not_shown(site: Web) -> None:
    await did(site, "of-another-trust", "replay", vpd="992")
    await looked(site, "looks-elsewhere", 0, vpd="992")
    body = await text_of(site)
    assert ("of-another-trust" in body, "looks-elsewhere" in body, "signed in" in body.lower()) == (False, False, False)


async def test_pages_meet_without_a_gap_or_a_repetition_even_within_one_moment(site: Web) -> None:
    for _ in range(60):
        await did(site, "busy", "note", 5)
    for _ in range(60):
        await looked(site, "busy", 5)
    asked, seen, place = Asked(who="busy"), [], None
    for _ in range(5):
        async with site.site.reader.trust("991") as connection:
            rows = await trail.read(connection, "991", asked, before=place, limit=50)
        if not rows:
            break
        seen += [(row["source"], row["number"]) for row in rows]
        place = Place.of(str(trail.place_of(rows[-1])))
    assert (len(seen), len(set(seen))) == (120, 120)
    first = await text_of(site, "?who=busy")
    assert ("Older deeds" in first, "The newest deeds" in first) == (True, False)


@pytest.mark.parametrize(
    "odd", ["x", "2026-03-04T09:00:00~letters~1", "2026-03-04T09:00:00+00:00~other~1", "~~", "9~letters~-1"]
)
async def test_a_place_that_is_none_begins_at_the_newest(site: Web, odd: str) -> None:
    assert Place.of(odd) is None
    await text_of(site, f"?before={odd}")


async def test_a_day_that_is_none_is_said_at_its_field_and_nothing_is_downloaded(site: Web) -> None:
    for path in ("?since=tomorrow", "/download?until=31.3.2026"):
        body = await text_of(site, path, 422)
        assert "Write the day as 2026-03-31" in body
    await text_of(site, "?until=9999-12-31")


async def test_the_download_holds_all_that_matches_is_no_formula_and_is_written_down(
    site: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "STRETCH", 2)
    for number in range(5):
        await did(site, "takes-much", "note", number, why="=1+1")
    answer = await site.browser.get(f"{AUDIT}/download?who=takes-much")
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == ["at", "who", "deed", "about", "plan", "columns", "why", "before", "after"]
    assert [row[0] for row in rows[1:]] == [f"2026-03-04T09:0{number}:00+00:00" for number in (4, 3, 2, 1, 0)]
    assert {row[6] for row in rows[1:]} == {"'=1+1"}
    assert answer.headers["content-disposition"] == 'attachment; filename="audit-991-2026-03-04.csv"'
    assert ("991", "auditor-1", "downloaded", "", "") in await site.deeds()


def test_cells_keep_what_is_no_formula() -> None:
    assert lines([["a", 1, "-1", "b,c"]]) == 'a,1,\'-1,"b,c"\r\n'


async def test_the_database_lets_the_service_neither_change_nor_delete_what_was_written_down(site: Web) -> None:
    await did(site, "one", "replay")
    await looked(site, "two", 0)
    for table in ("actions", "deeds"):
        for statement in (
            f"UPDATE console.{table} SET who = 'x'",
            f"DELETE FROM console.{table}",
            f"TRUNCATE console.{table}",
        ):
            with pytest.raises(DBAPIError):
                async with site.site.work.engine.begin() as connection:
                    await connection.execute(text(statement))


async def test_who_looked_at_a_persons_file_is_found_without_the_number_in_an_address(site: Web) -> None:
    async with site.site.work.engine.begin() as connection:
        key = await store.staff_key(connection, "991")
    await site.site.sessions.write_down(
        "991", "looks-at-files", "revealed a person's file", subject=staff_hash(key, "991", "1000001"), why="request 12"
    )
    found = await site.form(AUDIT, AUDIT, person="1000001")
    assert (found.status_code, "1000001" in found.headers["location"]) == (303, False)
    body = (await site.browser.get(found.headers["location"])).text
    assert (">looks-at-files</td>" in body, "request 12" in body) == (True, True)
    assert (await site.form(AUDIT, AUDIT, person=" ")).status_code == 422


async def test_nobody_but_auditors_reads_it(site: Web) -> None:
    site.browser.cookies.clear()
    await site.sign_in("viewer", "operator", "approver", "learning manager", who="not-an-auditor")
    for path in (AUDIT, f"{AUDIT}/download"):
        assert (await site.browser.get(path)).status_code == 403
    assert f'href="{AUDIT}"' not in (await site.browser.get("/trusts/991/tonight")).text
