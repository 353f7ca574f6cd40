"""Years of nights: in the end ESR, the bridge and Totara hold the same dates, nothing came twice, nothing is left over.

``make five-years`` lives five of them with a thousand people; here a few people live a good year.
"""

import os
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.clock import LONDON
from shared.db.engine import make_engine
from shared.db.migrate import login
from tests.service.loop_world import COMPETENCES, FIRST_DAY, VPD, Element, World, make_world

PEOPLE = int(os.environ.get("ESRBRIDGE_TEST_PEOPLE", "8"))
DAYS = int(os.environ.get("ESRBRIDGE_TEST_DAYS", "500"))
SEED = int(os.environ.get("ESRBRIDGE_TEST_SEED", "0"))


@pytest.fixture
async def engines(database: str, passwords: Mapping[str, str]) -> AsyncIterator[Mapping[str, AsyncEngine]]:
    made = {}
    for service in ("competency", "outbound"):
        url = make_url(database).set(username=login(service), password=passwords[service])
        made[service] = make_engine(url.render_as_string(hide_password=False), name="tests", pool=3)
    yield made
    for engine in made.values():
        await engine.dispose()


async def test_after_years_of_nights_all_hold_the_same_dates_and_nothing_came_twice(
    engines: Mapping[str, AsyncEngine], tmp_path: Path
) -> None:
    world = await make_world(engines, tmp_path, PEOPLE, SEED)
    for number in range(DAYS):
        day = FIRST_DAY + timedelta(days=number)
        if number:
            world.learn(day, 0.04)
        await world.night(day, history=number % 7 == 0)
    for number in range(DAYS, DAYS + 3):  # nobody learns any more; what is on its way arrives
        await world.night(FIRST_DAY + timedelta(days=number), history=True)
    decided = await decisions(engines["competency"])
    nothing_came_twice(world)
    in_esr, in_lms = elements(world), records(world)
    for person in world.people:
        for competence, certification in COMPETENCES.items():
            same_dates(in_esr[person, competence], in_lms[person, certification], decided[person], certification)


def nothing_came_twice(world: World) -> None:
    esr = Counter((one.person, one.competence, one.achieved) for one in world.esr)
    assert [key for key, times in esr.items() if times > 1] == []
    assert [row for row, times in Counter(world.uploaded).items() if times > 1] == []
    evidence = Counter((one["userid"], one["idnumber"], one["completiondate"]) for one in world.totara.evidence())
    assert [key for key, times in evidence.items() if times > 1] == []
    assert [one for one in world.totara.imports() if one["importerror"]] == []
    assert world.totara.events("certification_failure_to_recertify") == []


def same_dates(
    mine: list[Element], records: Mapping[date, date], decided: list[Mapping[str, Any]], certification: str
) -> None:
    """``records``: completion days and expiries of Totara, current and past."""
    by_day = {one.achieved: one for one in mine}
    said = {
        (one["source"], one["achieved_on"]): one
        for one in decided
        if one["certification"] == certification and one["verdict"] != "removed"
    }
    for day, expires in records.items():
        assert ("lms", day.isoformat()) in said, "the bridge does not know a completion"
        if said["lms", day.isoformat()]["verdict"] == "to_esr" and by_day[day].sent:
            assert by_day[day].until == expires, "ESR was told another expiry"
    for day, element in by_day.items():
        one = said["esr", day.isoformat()]
        if one["verdict"] in ("certification", "mirror"):
            warned = any(warning.startswith("RW01") for warning in one["warnings"])
            assert day in records, "an achievement is not in the LMS"
            assert warned or records[day] == element.until, "the LMS shows another expiry, and nobody was warned"
    if mine and records:
        current = max(one.achieved for one in mine if said["esr", one.achieved.isoformat()]["verdict"] != "evidence")
        assert max(records) == current, "one side holds something newer"


def elements(world: World) -> Mapping[tuple[str, str], list[Element]]:
    found: dict[tuple[str, str], list[Element]] = defaultdict(list)
    for one in world.esr:
        found[one.person, one.competence].append(one)
    return found


def records(world: World) -> Mapping[tuple[str, str], dict[date, date]]:
    """Return completion days with expiries by person and certification; the current one beats the history."""
    found: dict[tuple[str, str], dict[date, date]] = defaultdict(dict)
    for row in [*world.totara.history(), *world.totara.completions()]:
        if row["completed"]:
            person = row["user_idnumber"].removeprefix(f"{VPD}-")
            found[person, row["certification"]][day_of(row["completed"])] = day_of(row["expires"])
    return found


def day_of(moment: int) -> date:
    return datetime.fromtimestamp(moment, LONDON).date()


async def decisions(engine: AsyncEngine) -> Mapping[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT person_id, verdict, decision FROM competency.decisions"))
        for row in rows:
            found[row.person_id].append(row.decision | {"verdict": row.verdict})
    return found
