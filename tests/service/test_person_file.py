"""Everything a service holds of one person: no table that speaks of people is forgotten, and nobody else is told of."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from sqlalchemy import Table, Text, insert

from esrbridge.embedded import as_role
from services.competency import person_file as competency
from services.competency.schema import METADATA as COMPETENCY
from services.confirmations import person_file as confirmations
from services.confirmations.schema import METADATA as CONFIRMATIONS
from services.console.person_file import flat, numbers_of
from services.ingest import person_file as ingest
from services.ingest.schema import METADATA as INGEST
from services.outbound import person_file as outbound
from services.outbound.tables import METADATA as OUTBOUND
from services.people import person_file as people
from services.people.schema import METADATA as PEOPLE
from shared.db.engine import Reader, make_engine
from shared.person_file import Held, with_file
from tests.integration.test_migrations import row

SERVICES: Final = {
    "people": (PEOPLE, people.HELD),
    "competency": (COMPETENCY, competency.HELD),
    "outbound": (OUTBOUND, outbound.HELD),
    "confirmations": (CONFIRMATIONS, confirmations.HELD),
    "ingest": (INGEST, ingest.HELD),
}

OF_NOBODY: Final = {
    "people": {"hierarchy", "restrictions"},
    "competency": {"mapping_versions", "mapping_state", "mapping_actions", "missing", "comparisons"},
    "outbound": {"gates", "outfiles", "counters", "delivered", "hierarchy", "guards", "policies"},
    "confirmations": {"sent_files", "file_answers", "cmc_files"},
    "ingest": {
        "files", "line_codes", "answers", "requests", "actions", "feeds", "alarms", "collected", "moodle_reads",
    },
}  # fmt: skip
"""Tables about places, files, rules and counts. ``outfiles`` holds whole files for a while, as the archive does."""

OF_ALL_SERVICES: Final = {"outbox", "line_fates", "nights", "night_runs", "facts", "deletions"}
"""What services have alike; the last two are about people."""

each_service = pytest.mark.parametrize("service", list(SERVICES))


@each_service
def test_of_every_table_somebody_has_decided_whether_it_speaks_of_people(service: str) -> None:
    metadata, held = SERVICES[service]
    told = {one.table.name for one in held}
    silent = OF_NOBODY[service] | (OF_ALL_SERVICES - {"facts", "deletions"})
    assert told & silent == set()
    assert {table.name for table in metadata.tables.values()} - told - silent == set()


def about(table: Table, person: str) -> dict[str, Any]:
    """A row that speaks of a person, in whichever way this table does."""
    named = {name: f"{name}-{person}" for name in ("reference", "key", "sent_file", "file", "lms_id", "certification")}
    named |= {"person_id": person, "owner": person, "human": person, "user_idnumber": f"991-{person}"}
    subject = f"0 {person}" if table.name == "actions" else person
    said = row(table, "991") | {name: value for name, value in named.items() if name in table.c}
    return said | ({"subject": subject} if "subject" in table.c else {})


async def put(database: str, held: Sequence[Held], *persons: str) -> None:
    engine = make_engine(database, name="test", pool=1)
    async with engine.begin() as connection:
        for one in held:
            for person in persons:
                await connection.execute(insert(one.table).values(about(one.table, person)))
    await engine.dispose()


async def asked(database: str, password: str, service: str, vpd: str, person: str) -> dict[str, Any]:
    """Ask a service for a person's file by its route."""
    engine = make_engine(as_role(database, service, password), name="test", pool=1)
    app = FastAPI()
    app.include_router(with_file(APIRouter(), service, Reader(engine, service), SERVICES[service][1]))
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            answer = await client.get(f"/v1/trusts/{vpd}/people/{person}/file")
        assert answer.status_code == 200
        return dict(answer.json())
    finally:
        await engine.dispose()


@each_service
async def test_a_file_holds_every_row_about_the_person_and_none_about_another(
    database: str, passwords: Mapping[str, str], service: str
) -> None:
    held = SERVICES[service][1]
    await put(database, held, "seven", "eight")
    said = await asked(database, passwords[service], service, "991", "seven")
    assert said["service"] == service
    assert [(one["name"], len(one["rows"])) for one in said["sections"]] == [(one.table.name, 1) for one in held]
    assert "eight" not in str(said)
    for one, section in zip(held, said["sections"], strict=True):
        texts = {column.name for column in one.table.c if isinstance(column.type, Text)} - {"vpd", *one.without}
        assert texts <= section["rows"][0].keys()
        assert not {"vpd", *one.without} & section["rows"][0].keys()
    assert (await asked(database, passwords[service], service, "991", "nobody"))["sections"] == []
    assert (await asked(database, passwords[service], service, "991", "no%2Fbody"))["sections"] == []
    assert (await asked(database, passwords[service], service, "992", "seven"))["sections"] == []


async def test_accounts_that_may_be_other_peoples_are_not_told_of(database: str, passwords: Mapping[str, str]) -> None:
    await put(database, outbound.HELD, "seven")
    said = await asked(database, passwords["outbound"], "outbound", "991", "seven")
    rows = {one["name"]: one["rows"][0] for one in said["sections"]}
    assert rows["matches"]["reason"] == "x"
    assert not {"candidates", "excluded"} & rows["matches"].keys()
    assert "details" not in rows["decisions"]


async def test_both_records_of_a_pair_tell_of_it(database: str, passwords: Mapping[str, str]) -> None:
    pairs = [one for one in people.HELD if one.table.name in ("duplicates", "actions")]
    engine = make_engine(database, name="test", pool=1)
    async with engine.begin() as connection:
        for one in pairs:
            said = about(one.table, "1") | ({"other_person_id": "2"} if one.table.name == "duplicates" else {})
            await connection.execute(insert(one.table).values(said | ({"subject": "1 2"} if "subject" in said else {})))
    await engine.dispose()
    for person, number in (("1", 2), ("2", 2), ("12", 0), ("1 2", 0)):
        told = await asked(database, passwords["people"], "people", "991", person)
        assert (person, len(told["sections"])) == (person, number)


def test_the_staff_numbers_of_a_person_are_those_that_facts_name() -> None:
    facts = {
        "name": "facts",
        "rows": [{"data": {"employee_number": "E1", "last_name": "Q"}}, {"data": {"assignment_number": " "}}],
    }
    other = {"name": "people", "rows": [{"data": {"employee_number": "E2"}}]}
    assert numbers_of([facts, other]) == {"E1"}


def test_a_row_is_told_value_by_value_without_what_is_empty() -> None:
    said = {"a": "x", "b": {"c": [1, {"d": "y"}], "e": {}}, "f": None, "g": "", "h": False}
    assert list(flat(said)) == [("a", "x"), ("b.c.1", "1"), ("b.c.2.d", "y"), ("h", "false")]
