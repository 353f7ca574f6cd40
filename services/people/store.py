"""The SQL of derived people, and of the queue of those to be derived again."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final

import msgspec
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.people.schema import METADATA, PEOPLE, SCHEMA
from shared.events import Cause, Person

__all__ = ["METADATA", "PEOPLE", "SCHEMA"]

PersonKey = tuple[str, str]
"""(trust, person ID)."""

_PERSON: Final = msgspec.json.Decoder(Person)

_NOBODY: Final = Cause("", "", 0)


class Held(msgspec.Struct, frozen=True, gc=False):
    """A person as last derived and stored, and the digest of the identity that was compared with others."""

    person: Person
    identity: str
    file_no: int
    due: date | None


class Row(msgspec.Struct, frozen=True, gc=False):
    """A derived person as stored."""

    key: PersonKey
    person: Person
    file_no: int
    due: date | None
    identity: str

    @property
    def said(self) -> Held:
        """What will be held of the person once this is stored."""
        return Held(self.person, self.identity, self.file_no, self.due)


async def lock(connection: AsyncConnection, keys: Iterable[PersonKey]) -> dict[PersonKey, Held]:
    """Lock people in key order, making rows for new ones, and return each as last derived."""
    columns = columns_of(keys)
    await connection.execute(_CREATE, columns)
    rows = await connection.execute(_LOCK, columns)
    return {
        (vpd, person_id): Held(_PERSON.decode(said), identity, file_no, due)
        for vpd, person_id, said, identity, file_no, due in rows.all()
    }


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
            "number": [row.person.employee_number for row in rows],
            "identity": [row.identity for row in rows],
        },
    )


async def due(connection: AsyncConnection, day: date, limit: int, vpd: str = "") -> list[PersonKey]:
    """Return people, of one trust or of whichever, whose derivation may have changed by ``day``."""
    query = select(PEOPLE.c.vpd, PEOPLE.c.person_id).where(PEOPLE.c.due <= day).order_by(PEOPLE.c.due).limit(limit)
    if vpd:
        query = query.where(PEOPLE.c.vpd == vpd)
    return [(row.vpd, row.person_id) for row in await connection.execute(query)]


async def queued(connection: AsyncConnection, limit: int, vpd: str = "") -> list[PersonKey]:
    """Return people, of one trust or of whichever, who wait to be derived again."""
    return [(row.vpd, row.person_id) for row in await connection.execute(_QUEUED, {"limit": limit, "vpd": vpd})]


async def enqueue(connection: AsyncConnection, people: Mapping[PersonKey, Cause]) -> None:
    """Have people derived again soon."""
    if people:
        causes = [people[key] for key in sorted(people)]
        said = {"file": [cause.file for cause in causes], "file_no": [cause.file_no for cause in causes]}
        await connection.execute(_ENQUEUE, columns_of(people) | said)


async def enqueue_trust(connection: AsyncConnection, vpd: str) -> int:
    """Have everyone of a trust derived again soon; return how many."""
    return (await connection.execute(_ENQUEUE_TRUST, {"vpd": vpd})).rowcount


async def take(connection: AsyncConnection, keys: Iterable[PersonKey]) -> dict[PersonKey, Cause]:
    """Take people off the queue, except those whom another replica is taking."""
    rows = await connection.execute(_TAKE, columns_of(keys))
    return {(row.vpd, row.person_id): Cause("feed", row.file, row.file_no) if row.file else _NOBODY for row in rows}


async def count_by_state(connection: AsyncConnection, vpd: str) -> dict[str, int]:
    """Return how many people of a trust are in each state."""
    query = select(PEOPLE.c.state, func.count().label("number")).where(PEOPLE.c.vpd == vpd).group_by(PEOPLE.c.state)
    return {row.state: row.number for row in await connection.execute(query)}


async def person(connection: AsyncConnection, vpd: str, person_id: str) -> dict[str, Any] | None:
    """Return one derived person, or None."""
    found = await connection.scalar(select(PEOPLE.c.person).where(PEOPLE.c.vpd == vpd, PEOPLE.c.person_id == person_id))
    return dict(found) if found else None


async def with_employee_number(connection: AsyncConnection, vpd: str, number: str) -> list[str]:
    """Return the person IDs that have this employee number; nobody has an empty one."""
    if not number:
        return []
    query = select(PEOPLE.c.person_id).where(PEOPLE.c.vpd == vpd, PEOPLE.c.employee_number == number)
    return list(await connection.scalars(query.order_by(PEOPLE.c.person_id)))


async def calendar(connection: AsyncConnection, vpd: str, limit: int) -> list[dict[str, Any]]:
    """Return who may change by themselves next, and when."""
    query = select(PEOPLE.c.person_id, PEOPLE.c.state, PEOPLE.c.due).where(
        PEOPLE.c.vpd == vpd, PEOPLE.c.due.is_not(None)
    )
    rows = await connection.execute(query.order_by(PEOPLE.c.due, PEOPLE.c.person_id).limit(limit))
    return [{"person_id": row.person_id, "state": row.state, "due": row.due.isoformat()} for row in rows]


async def everyone(connection: AsyncConnection, vpd: str, after: str, limit: int) -> dict[PersonKey, str]:
    """Return the next people of a trust by person ID, each with their state."""
    query = select(PEOPLE.c.person_id, PEOPLE.c.state).where(PEOPLE.c.vpd == vpd, PEOPLE.c.person_id > after)
    rows = await connection.execute(query.order_by(PEOPLE.c.person_id).limit(limit))
    return {(vpd, row.person_id): row.state for row in rows}


def columns_of(keys: Iterable[PersonKey]) -> dict[str, list[Any]]:
    """Return keys as two arrays, in key order: rows are locked in key order everywhere."""
    ordered = sorted(set(keys))
    return {"vpd": [vpd for vpd, _ in ordered], "person_id": [person_id for _, person_id in ordered]}


_KEYS: Final = "unnest(CAST(:vpd AS text[]), CAST(:person_id AS text[])) AS t(vpd, person_id)"

_CREATE: Final = text(
    "INSERT INTO people.people (vpd, person_id, state, revision, person, file_no) "
    "SELECT t.vpd, t.person_id, 'unknown', 0, jsonb_build_object('person_id', t.person_id, 'state', 'unknown'), 0 "
    f"FROM {_KEYS} ORDER BY 1, 2 ON CONFLICT (vpd, person_id) DO NOTHING"
)

_LOCK: Final = text(
    "SELECT p.vpd, p.person_id, CAST(p.person AS text), p.identity, p.file_no, p.due "
    f"FROM (SELECT * FROM {_KEYS} ORDER BY 1, 2) t CROSS JOIN LATERAL ("
    "SELECT * FROM people.people p WHERE (p.vpd, p.person_id) = (t.vpd, t.person_id) FOR UPDATE) p"
)

_SAVE: Final = text(
    "INSERT INTO people.people (vpd, person_id, state, revision, person, file_no, due, employee_number, identity) "
    "SELECT vpd, person_id, state, revision, CAST(person AS jsonb), file_no, due, number, identity "
    "FROM unnest(CAST(:vpd AS text[]), CAST(:person_id AS text[]), "
    "CAST(:state AS text[]), CAST(:revision AS bigint[]), CAST(:person AS text[]), CAST(:file_no AS bigint[]), "
    "CAST(:due AS date[]), CAST(:number AS text[]), CAST(:identity AS text[])) "
    "AS t(vpd, person_id, state, revision, person, file_no, due, number, identity) "
    "ON CONFLICT (vpd, person_id) DO UPDATE SET state = excluded.state, revision = excluded.revision, "
    "person = excluded.person, file_no = excluded.file_no, due = excluded.due, "
    "employee_number = excluded.employee_number, identity = excluded.identity"
)
"""The rows are there; ON CONFLICT finds each by the key, where UPDATE with a join may read the whole table."""

_QUEUED: Final = text(
    "SELECT vpd, person_id FROM people.again WHERE CAST(:vpd AS text) IN ('', vpd) ORDER BY vpd, person_id LIMIT :limit"
)

_MERGE: Final = (
    " ON CONFLICT (vpd, person_id) DO UPDATE SET file = excluded.file, file_no = excluded.file_no "
    "WHERE held.file_no < excluded.file_no"
)

_ENQUEUE: Final = text(
    "INSERT INTO people.again AS held (vpd, person_id, file, file_no) SELECT * FROM unnest(CAST(:vpd AS text[]), "
    f"CAST(:person_id AS text[]), CAST(:file AS text[]), CAST(:file_no AS bigint[])){_MERGE}"
)

_ENQUEUE_TRUST: Final = text(
    "INSERT INTO people.again AS held (vpd, person_id, file, file_no) SELECT vpd, person_id, '', 0 FROM people.people "
    f"WHERE vpd = :vpd ORDER BY person_id{_MERGE}"
)

_TAKE: Final = text(
    "WITH chosen AS MATERIALIZED (SELECT a.vpd, a.person_id FROM people.again a "
    f"JOIN {_KEYS} USING (vpd, person_id) ORDER BY 1, 2 FOR UPDATE OF a SKIP LOCKED) "
    "DELETE FROM people.again a USING chosen c WHERE (a.vpd, a.person_id) = (c.vpd, c.person_id) "
    "RETURNING a.vpd, a.person_id, a.file, a.file_no"
)
