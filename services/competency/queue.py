"""The SQL of people whom a mapping concerns: who they are, and the queue of those to be decided for again."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.competency.schema import AGAIN

PersonKey = tuple[str, str]


async def concerned(
    connection: AsyncConnection,
    vpd: str,
    competences: Sequence[str],
    certifications: Sequence[str],
    after: str = "",
    limit: int | None = None,
) -> list[PersonKey]:
    """Return people with an achievement of one of these competences (ids and names), or a completion of one of these
    certifications, by person ID.

    Facts are searched, not decisions: a fact is committed before anything is decided on it, so that of a definition
    and an achievement that arrive together, whichever is decided later sees the other.
    """
    said = {"vpd": vpd, "competences": list(competences), "certifications": list(certifications)}
    rows = await connection.execute(_CONCERNED, said | {"after": after, "most": limit})
    return [(vpd, row.owner) for row in rows]


async def enqueue(
    connection: AsyncConnection, vpd: str, competences: Sequence[str], certifications: Sequence[str]
) -> int:
    """Have those decided for again soon whom these concern; return how many wait in all."""
    said = {"vpd": vpd, "competences": list(competences), "certifications": list(certifications)}
    await connection.execute(_ENQUEUE, said | {"after": "", "most": None})
    return (await connection.execute(select(func.count()).where(AGAIN.c.vpd == vpd))).scalar_one()


async def queued(connection: AsyncConnection, limit: int, vpd: str = "") -> list[PersonKey]:
    """Return people, of one trust or of whichever, who wait to be decided for again."""
    query = select(AGAIN.c.vpd, AGAIN.c.person_id).order_by(AGAIN.c.vpd, AGAIN.c.person_id).limit(limit)
    if vpd:
        query = query.where(AGAIN.c.vpd == vpd)
    return [(row.vpd, row.person_id) for row in await connection.execute(query)]


async def take(connection: AsyncConnection, keys: Iterable[PersonKey]) -> list[PersonKey]:
    """Take people off the queue, except those whom another replica is taking."""
    ordered = sorted(keys)
    columns = {"vpd": [vpd for vpd, _ in ordered], "person_id": [person_id for _, person_id in ordered]}
    return [(row.vpd, row.person_id) for row in await connection.execute(_TAKE, columns)]


async def newly_missing(connection: AsyncConnection, names: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Note (trust, competence name) without a mapping; return those that were never noted before."""
    ordered = sorted(set(names))
    if not ordered:
        return []
    columns = {"vpd": [vpd for vpd, _ in ordered], "name": [name for _, name in ordered]}
    return [(row.vpd, row.name) for row in await connection.execute(_MISSING, columns)]


async def missing(connection: AsyncConnection, vpd: str, limit: int = 1000) -> list[dict[str, Any]]:
    """Return what no mapping covers, most frequent first: achievements that are evidence only, and completions."""
    rows = await connection.execute(_UNMAPPED, {"vpd": vpd, "most": limit})
    return [dict(row) for row in rows.mappings()]


_OWNERS: Final = (
    "SELECT DISTINCT f.owner FROM competency.facts f WHERE f.vpd = :vpd AND f.owner <> '' AND f.owner > :after AND ("
    "f.entity = 'competency_element' AND (f.data->>'competence_id' = ANY(CAST(:competences AS text[])) "
    "OR f.data->>'competency_name' = ANY(CAST(:competences AS text[]))) "
    "OR f.entity IN ('completion', 'certification') "
    "AND f.data->>'certification_idnumber' = ANY(CAST(:certifications AS text[]))) "
    "ORDER BY 1 LIMIT CAST(:most AS bigint)"
)

_CONCERNED: Final = text(_OWNERS)

_ENQUEUE: Final = text(
    f"WITH c AS ({_OWNERS}) "
    "INSERT INTO competency.again (vpd, person_id) SELECT CAST(:vpd AS text), c.owner FROM c "
    "ON CONFLICT (vpd, person_id) DO NOTHING"
)

_TAKE: Final = text(
    "WITH chosen AS MATERIALIZED (SELECT a.vpd, a.person_id FROM competency.again a "
    "JOIN unnest(CAST(:vpd AS text[]), CAST(:person_id AS text[])) AS t(vpd, person_id) USING (vpd, person_id) "
    "ORDER BY 1, 2 FOR UPDATE OF a SKIP LOCKED) "
    "DELETE FROM competency.again a USING chosen c WHERE (a.vpd, a.person_id) = (c.vpd, c.person_id) "
    "RETURNING a.vpd, a.person_id"
)

_MISSING: Final = text(
    "INSERT INTO competency.missing (vpd, name) SELECT * FROM unnest(CAST(:vpd AS text[]), CAST(:name AS text[])) "
    "ON CONFLICT (vpd, name) DO NOTHING RETURNING vpd, name"
)

_UNMAPPED: Final = text(
    "SELECT kind, name, competence_id, count(*) AS records, count(DISTINCT person_id) AS people FROM ("
    "SELECT CASE verdict WHEN 'evidence' THEN 'competence' ELSE 'certification' END AS kind, "
    "CASE verdict WHEN 'evidence' THEN decision->>'competence_name' ELSE decision->>'certification' END AS name, "
    "decision->>'competence_id' AS competence_id, person_id FROM competency.decisions WHERE vpd = :vpd AND "
    "(verdict = 'unmapped' OR verdict = 'evidence' AND decision->>'why' IS DISTINCT FROM 'not_accepted')) AS u "
    "GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3 LIMIT :most"
)
