"""The SQL of who is known and what was decided."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.competency.domain import Decision, Definition, Known
from services.competency.schema import DECISIONS, FACTS, METADATA, PEOPLE, SCHEMA
from shared.events import Person

__all__ = ["DECISIONS", "FACTS", "METADATA", "PEOPLE", "SCHEMA", "Held", "PersonKey"]

PersonKey = tuple[str, str]
"""(trust, person ID)."""

_DECISION: Final = msgspec.json.Decoder(Decision)


class Held(msgspec.Struct, frozen=True, gc=False):
    """A decision as stored, and how many times it was changed."""

    decision: Decision
    revision: int


async def lock(connection: AsyncConnection, keys: Iterable[PersonKey]) -> dict[PersonKey, Known]:
    """Lock people in key order, making rows for new ones; return what is known of each."""
    ordered = sorted(set(keys))
    columns = {"vpd": [vpd for vpd, _ in ordered], "person_id": [person_id for _, person_id in ordered]}
    await connection.execute(_CREATE, columns)
    rows = await connection.execute(_LOCK, columns)
    return {(vpd, person_id): Known(state, hired) for vpd, person_id, state, hired in rows.all()}


async def known(connection: AsyncConnection, keys: Iterable[PersonKey]) -> dict[PersonKey, Known]:
    """Return what is known of people, without a lock; nothing of those of whom nothing is stored."""
    ordered = sorted(set(keys))
    columns = {"vpd": [vpd for vpd, _ in ordered], "person_id": [person_id for _, person_id in ordered]}
    rows = await connection.execute(_KNOWN, columns)
    return {(vpd, person_id): Known(state, hired) for vpd, person_id, state, hired in rows.all()}


async def learn(connection: AsyncConnection, people: Mapping[PersonKey, Person]) -> None:
    """Note what ``people`` said of people, newest revision first."""
    ordered = sorted(people)
    await connection.execute(
        _LEARN,
        {
            "vpd": [vpd for vpd, _ in ordered],
            "person_id": [person_id for _, person_id in ordered],
            "state": [people[key].state for key in ordered],
            "revision": [people[key].revision for key in ordered],
            "hire_date": [people[key].hire_date for key in ordered],
        },
    )


async def definitions(connection: AsyncConnection, vpd: str) -> dict[str, Definition]:
    """Return the live competence definitions of a trust by id."""
    rows = await connection.execute(_DEFINITIONS, {"vpd": vpd})
    return {row.key: msgspec.convert(row.data, Definition) for row in rows}


async def decisions(
    connection: AsyncConnection, keys: Iterable[PersonKey]
) -> dict[PersonKey, dict[tuple[str, str], Held]]:
    """Return what was decided so far for each person."""
    ordered = sorted(keys)
    rows = await connection.execute(
        _DECISIONS, {"vpd": [vpd for vpd, _ in ordered], "person_id": [person_id for _, person_id in ordered]}
    )
    found: dict[PersonKey, dict[tuple[str, str], Held]] = defaultdict(dict)
    for vpd, person_id, revision, said in rows.all():
        decision = _DECISION.decode(said)
        found[vpd, person_id][decision.identity] = Held(decision, revision)
    return found


async def save(connection: AsyncConnection, changed: Sequence[tuple[PersonKey, Held]]) -> None:
    """Store new and changed decisions; the caller holds the locks on their people."""
    if not changed:
        return
    ordered = sorted(changed, key=lambda one: (one[0], one[1].decision.identity))
    await connection.execute(
        _SAVE,
        {
            "vpd": [key[0] for key, _ in ordered],
            "person_id": [key[1] for key, _ in ordered],
            "source": [held.decision.source for _, held in ordered],
            "key": [held.decision.key for _, held in ordered],
            "verdict": [held.decision.verdict for _, held in ordered],
            "revision": [held.revision for _, held in ordered],
            "need": [held.decision.need for _, held in ordered],
            "decision": [msgspec.json.encode(held.decision).decode() for _, held in ordered],
        },
    )


async def remove(connection: AsyncConnection, gone: Sequence[tuple[PersonKey, Decision]]) -> None:
    """Mark decisions whose fact was deleted; the row stays, so that its revision goes on."""
    if gone:
        await connection.execute(
            _REMOVE,
            {
                "vpd": [key[0] for key, _ in gone],
                "person_id": [key[1] for key, _ in gone],
                "source": [decision.source for _, decision in gone],
                "key": [decision.key for _, decision in gone],
            },
        )


async def count_by_verdict(connection: AsyncConnection, vpd: str) -> dict[str, int]:
    """Return how many decisions of a trust have which verdict."""
    number = func.count().label("number")
    query = select(DECISIONS.c.verdict, number).where(DECISIONS.c.vpd == vpd).group_by(DECISIONS.c.verdict)
    return {row.verdict: row.number for row in await connection.execute(query)}


async def parked(connection: AsyncConnection, vpd: str, limit: int = 1000) -> list[dict[str, Any]]:
    """Return what waits, with its file, line and what it waits for."""
    query = (
        select(DECISIONS.c.person_id, DECISIONS.c.verdict, DECISIONS.c.need, DECISIONS.c.decision)
        .where(DECISIONS.c.vpd == vpd, DECISIONS.c.verdict.like("parked%"))
        .order_by(DECISIONS.c.person_id, DECISIONS.c.key)
        .limit(limit)
    )
    return [
        {
            "file": row.decision["version"]["file"],
            "line": row.decision["version"]["line"],
            "reason": row.verdict,
            "person_id": row.person_id,
            "waits_for": row.need or row.person_id,
        }
        for row in await connection.execute(query)
    ]


_KEYS: Final = "unnest(CAST(:vpd AS text[]), CAST(:person_id AS text[])) AS t(vpd, person_id)"

_CREATE: Final = text(
    f"INSERT INTO competency.people (vpd, person_id, state, revision) SELECT t.vpd, t.person_id, '', 0 FROM {_KEYS} "
    "ORDER BY 1, 2 ON CONFLICT (vpd, person_id) DO NOTHING"
)

_PEOPLE: Final = (
    "SELECT p.vpd, p.person_id, p.state, p.hire_date "
    f"FROM (SELECT * FROM {_KEYS} ORDER BY 1, 2) t CROSS JOIN LATERAL ("
    "SELECT * FROM competency.people p WHERE (p.vpd, p.person_id) = (t.vpd, t.person_id) {lock}) p"
)

_KNOWN: Final = text(_PEOPLE.replace("{lock}", "OFFSET 0"))

_LOCK: Final = text(_PEOPLE.replace("{lock}", "FOR UPDATE"))

_LEARN: Final = text(
    "INSERT INTO competency.people AS held (vpd, person_id, state, revision, hire_date) SELECT * FROM unnest("
    "CAST(:vpd AS text[]), CAST(:person_id AS text[]), CAST(:state AS text[]), CAST(:revision AS bigint[]), "
    "CAST(:hire_date AS text[])) ON CONFLICT (vpd, person_id) DO UPDATE "
    "SET state = excluded.state, revision = excluded.revision, hire_date = excluded.hire_date "
    "WHERE held.revision < excluded.revision"
)

_DEFINITIONS: Final = text(
    "SELECT f.key, f.data FROM competency.facts f LEFT JOIN competency.deletions d USING (vpd, entity, key) "
    "WHERE f.vpd = :vpd AND f.owner = '' AND f.entity = 'competence' "
    "AND (d.vpd IS NULL OR (d.file_no, d.line) < (f.file_no, f.line))"
)

_DECISIONS: Final = text(
    "SELECT d.vpd, d.person_id, d.revision, CAST(d.decision AS text) "
    f"FROM {_KEYS} CROSS JOIN LATERAL ("
    "SELECT * FROM competency.decisions d WHERE (d.vpd, d.person_id) = (t.vpd, t.person_id) OFFSET 0) d"
)

_SAVE: Final = text(
    "INSERT INTO competency.decisions AS held (vpd, person_id, source, key, verdict, revision, need, decision) "
    "SELECT vpd, person_id, source, key, verdict, revision, need, CAST(decision AS jsonb) FROM unnest("
    "CAST(:vpd AS text[]), CAST(:person_id AS text[]), CAST(:source AS text[]), CAST(:key AS text[]), "
    "CAST(:verdict AS text[]), CAST(:revision AS bigint[]), CAST(:need AS text[]), CAST(:decision AS text[])) "
    "AS t(vpd, person_id, source, key, verdict, revision, need, decision) "
    "ON CONFLICT (vpd, person_id, source, key) DO UPDATE SET verdict = excluded.verdict, "
    "revision = excluded.revision, need = excluded.need, decision = excluded.decision"
)

_NAMED: Final = (
    "unnest(CAST(:vpd AS text[]), CAST(:person_id AS text[]), CAST(:source AS text[]), CAST(:key AS text[])) "
    "AS t(vpd, person_id, source, key)"
)

_REMOVE: Final = text(
    "UPDATE competency.decisions d SET verdict = 'removed', need = '', revision = d.revision + 1, "
    f"decision = jsonb_set(d.decision, '{{verdict}}', '\"removed\"') FROM {_NAMED} "
    "WHERE (d.vpd, d.person_id, d.source, d.key) = (t.vpd, t.person_id, t.source, t.key)"
)
