"""The tables of ``people``: facts, tombstones, and the derived person."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import msgspec
from sqlalchemy import BigInteger, Column, Date, Index, MetaData, Table, Text, func, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db import tables
from shared.events import Person

SCHEMA: Final = "people"
METADATA: Final = MetaData(schema=SCHEMA)

OUTBOX: Final = tables.outbox(METADATA)
LINE_FATES: Final = tables.line_fates(METADATA)
FACTS: Final = tables.facts(METADATA)
DELETIONS: Final = tables.deletions(METADATA)

PEOPLE: Final = Table(
    "people",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("person_id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("person", JSONB, nullable=False),
    Column("file_no", BigInteger, nullable=False, comment="newest file the derivation rests on"),
    Column("due", Date, comment="next business day on which the derivation may change by itself"),
    Index("people_by_due", "due"),
    Index("people_by_state", "vpd", "state"),
)

PersonKey = tuple[str, str]
"""(trust, person ID)."""


@dataclass(frozen=True, slots=True)
class Row:
    """A derived person as stored."""

    key: PersonKey
    person: Person
    file_no: int
    due: date | None


async def lock(connection: AsyncConnection, keys: Iterable[PersonKey]) -> dict[PersonKey, Person]:
    """Lock people in key order, making rows for new ones, and return each as last derived."""
    ordered = sorted(set(keys))
    columns = {"vpd": [vpd for vpd, _ in ordered], "person_id": [person_id for _, person_id in ordered]}
    await connection.execute(_CREATE, columns)
    rows = await connection.execute(_LOCK, columns)
    return {(row.vpd, row.person_id): msgspec.convert(row.person, Person) for row in rows}


async def save(connection: AsyncConnection, rows: Sequence[Row]) -> None:
    """Store derivations; the caller holds the locks."""
    if not rows:
        return
    await connection.execute(
        _SAVE,
        {
            "vpd": [row.key[0] for row in rows],
            "person_id": [row.key[1] for row in rows],
            "state": [row.person.state for row in rows],
            "revision": [row.person.revision for row in rows],
            "person": [msgspec.json.encode(row.person).decode() for row in rows],
            "file_no": [row.file_no for row in rows],
            "due": [row.due for row in rows],
        },
    )


async def due(connection: AsyncConnection, day: date, limit: int) -> list[PersonKey]:
    """Return people, of whichever trust, whose derivation may have changed by ``day``."""
    query = select(PEOPLE.c.vpd, PEOPLE.c.person_id).where(PEOPLE.c.due <= day).order_by(PEOPLE.c.due).limit(limit)
    return [(row.vpd, row.person_id) for row in await connection.execute(query)]


async def count_by_state(connection: AsyncConnection, vpd: str) -> dict[str, int]:
    """Return how many people of a trust are in each state."""
    query = select(PEOPLE.c.state, func.count().label("number")).where(PEOPLE.c.vpd == vpd).group_by(PEOPLE.c.state)
    return {row.state: row.number for row in await connection.execute(query)}


async def person(connection: AsyncConnection, vpd: str, person_id: str) -> dict[str, Any] | None:
    """Return one derived person, or None."""
    found = await connection.scalar(select(PEOPLE.c.person).where(PEOPLE.c.vpd == vpd, PEOPLE.c.person_id == person_id))
    return dict(found) if found else None


_KEYS: Final = "unnest(CAST(:vpd AS text[]), CAST(:person_id AS text[])) AS t(vpd, person_id)"

_CREATE: Final = text(
    "INSERT INTO people.people (vpd, person_id, state, revision, person, file_no) "
    "SELECT t.vpd, t.person_id, 'unknown', 0, jsonb_build_object('person_id', t.person_id, 'state', 'unknown'), 0 "
    f"FROM {_KEYS} ORDER BY 1, 2 ON CONFLICT (vpd, person_id) DO NOTHING"
)

_LOCK: Final = text(
    f"SELECT p.vpd, p.person_id, p.person FROM people.people p JOIN {_KEYS} USING (vpd, person_id) "
    "ORDER BY p.vpd, p.person_id FOR UPDATE OF p"
)

_SAVE: Final = text(
    "UPDATE people.people p SET state = t.state, revision = t.revision, person = CAST(t.person AS jsonb), "
    "file_no = t.file_no, due = t.due FROM unnest(CAST(:vpd AS text[]), CAST(:person_id AS text[]), "
    "CAST(:state AS text[]), CAST(:revision AS bigint[]), CAST(:person AS text[]), CAST(:file_no AS bigint[]), "
    "CAST(:due AS date[])) AS t(vpd, person_id, state, revision, person, file_no, due) "
    "WHERE (p.vpd, p.person_id) = (t.vpd, t.person_id)"
)
