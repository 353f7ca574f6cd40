"""Versioned facts in the database; see ``shared.facts`` for what they are."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.accounting import Fate
from shared.facts import Deletion, Fact, Version
from shared.records import Batch


class FactStore:
    """SQL on the ``facts`` and ``deletions`` tables of one schema. Batches only: one statement whatever the size."""

    def __init__(self, schema: str) -> None:
        self._upsert = _sql(_UPSERT, schema)
        self._delete = _sql(_DELETE, schema)
        self._owners = _sql(_OWNERS, schema)
        self._live = _sql(_LIVE, schema)

    async def commit(self, engine: AsyncEngine, batch: Batch) -> list[Fate]:
        """Store a batch in a transaction of its own, so that whoever derives from now on sees it; return facts' fates.

        Deletions go first: a fact of the same batch that is older than one is then known to be superseded.
        """
        async with engine.begin() as connection:
            await self.delete(connection, [deletion for _, deletion in batch.deletions])
            return await self.save(connection, [fact for _, fact in batch.facts])

    async def save(self, connection: AsyncConnection, facts: Sequence[Fact]) -> list[Fate]:
        """Store facts and return the fate of each: applied, unchanged or superseded."""
        fates = [Fate.SUPERSEDED] * len(facts)
        newest: dict[tuple[str, str, str, str], int] = {}
        for index, fact in enumerate(facts):
            held = newest.setdefault(fact.identity, index)
            if held != index and facts[held].version.order <= fact.version.order:
                newest[fact.identity] = index
        chosen = [index for _, index in sorted(newest.items())]
        if not chosen:
            return fates
        rows = await connection.execute(self._upsert, _columns([facts[index] for index in chosen]))
        for number, verdict in rows.all():
            fates[chosen[number - 1]] = _VERDICTS[verdict]
        return fates

    async def delete(self, connection: AsyncConnection, deletions: Sequence[Deletion]) -> None:
        """Leave tombstones; the newest version per key stands."""
        newest: dict[tuple[str, str, str], Deletion] = {}
        for one in sorted(deletions, key=lambda one: one.version.order):
            newest[one.vpd, one.entity, one.key] = one
        if newest:
            await connection.execute(self._delete, _deletion_columns([newest[key] for key in sorted(newest)]))

    async def owners(self, connection: AsyncConnection, deletions: Sequence[Deletion]) -> set[tuple[str, str]]:
        """Return (trust, person) of the facts that these deletions concern."""
        if not deletions:
            return set()
        rows = await connection.execute(self._owners, _deletion_columns(deletions))
        return {(vpd, owner) for vpd, owner in rows.all()}

    async def live(
        self, connection: AsyncConnection, owners: Iterable[tuple[str, str]]
    ) -> dict[tuple[str, str], list[Fact]]:
        """Return the facts of each (trust, owner) that no newer deletion and no newer owner of the key has removed."""
        wanted = list(owners)
        found: dict[tuple[str, str], list[Fact]] = defaultdict(list)
        rows = await connection.execute(
            self._live, {"vpd": [vpd for vpd, _ in wanted], "owner": [owner for _, owner in wanted]}
        )
        for vpd, entity, key, begin, owner, file, file_no, line, data in rows.all():
            found[vpd, owner].append(Fact(vpd, entity, key, begin, owner, Version(file, file_no, line), data))
        return found


# Rows are looked up with LATERAL and LIMIT or OFFSET: one by one, by index. Of a plain join the planner may think that
# reading a trust's whole part of the table is cheaper, and while a first full file comes in it knows no better.

_VERDICTS: Final = {"new": Fate.APPLIED, "same": Fate.UNCHANGED, "old": Fate.SUPERSEDED}

_UPSERT: Final = """
WITH incoming AS (
    SELECT * FROM unnest(CAST(:vpd AS text[]), CAST(:entity AS text[]), CAST(:key AS text[]), CAST(:slice AS text[]),
        CAST(:owner AS text[]), CAST(:file AS text[]), CAST(:file_no AS bigint[]), CAST(:line AS int[]),
        CAST(CAST(:data AS text[]) AS jsonb[]))
        WITH ORDINALITY AS t(vpd, entity, key, slice, owner, file, file_no, line, data, n)
), written AS (
    INSERT INTO {schema}.facts AS held (vpd, entity, key, slice, owner, file, file_no, line, data)
    SELECT vpd, entity, key, slice, owner, file, file_no, line, data FROM incoming ORDER BY vpd, entity, key, slice
    ON CONFLICT (vpd, entity, key, slice) DO UPDATE
    SET owner = excluded.owner, file = excluded.file, file_no = excluded.file_no, line = excluded.line,
        data = excluded.data
    WHERE (held.file_no, held.line) < (excluded.file_no, excluded.line)
)
SELECT i.n, CASE
    WHEN (d.file_no, d.line) > (i.file_no, i.line) THEN 'old'
    WHEN f.file_no IS NULL OR (f.file_no, f.line) = (i.file_no, i.line) THEN 'new'
    WHEN (f.file_no, f.line) > (i.file_no, i.line) THEN 'old'
    WHEN f.data = i.data AND f.owner = i.owner THEN 'same'
    ELSE 'new' END
FROM incoming i LEFT JOIN LATERAL (
    SELECT f.file_no, f.line, f.owner, f.data FROM {schema}.facts f
    WHERE (f.vpd, f.entity, f.key, f.slice) = (i.vpd, i.entity, i.key, i.slice) LIMIT 1
) f ON TRUE LEFT JOIN LATERAL (
    SELECT d.file_no, d.line FROM {schema}.deletions d
    WHERE (d.vpd, d.entity, d.key) = (i.vpd, i.entity, i.key) LIMIT 1
) d ON TRUE
"""

_DELETE: Final = """
INSERT INTO {schema}.deletions AS held (vpd, entity, key, file_no, line)
SELECT * FROM unnest(CAST(:vpd AS text[]), CAST(:entity AS text[]), CAST(:key AS text[]), CAST(:file_no AS bigint[]),
    CAST(:line AS int[])) AS t(vpd, entity, key, file_no, line) ORDER BY 1, 2, 3
ON CONFLICT (vpd, entity, key) DO UPDATE SET file_no = excluded.file_no, line = excluded.line
WHERE (held.file_no, held.line) < (excluded.file_no, excluded.line)
"""

_OWNERS: Final = """
SELECT DISTINCT f.vpd, f.owner
FROM unnest(CAST(:vpd AS text[]), CAST(:entity AS text[]), CAST(:key AS text[])) AS t(vpd, entity, key)
CROSS JOIN LATERAL (
    SELECT f.vpd, f.owner FROM {schema}.facts f
    WHERE (f.vpd, f.entity, f.key) = (t.vpd, t.entity, t.key) AND f.owner <> '' OFFSET 0
) f
"""

_LIVE: Final = """
SELECT f.vpd, f.entity, f.key, f.slice, f.owner, f.file, f.file_no, f.line, f.data
FROM unnest(CAST(:vpd AS text[]), CAST(:owner AS text[])) AS t(vpd, owner)
CROSS JOIN LATERAL (SELECT * FROM {schema}.facts f WHERE (f.vpd, f.owner) = (t.vpd, t.owner) OFFSET 0) f
LEFT JOIN LATERAL (
    SELECT d.file_no, d.line FROM {schema}.deletions d
    WHERE (d.vpd, d.entity, d.key) = (f.vpd, f.entity, f.key) LIMIT 1
) d ON TRUE
WHERE (d.file_no IS NULL OR (d.file_no, d.line) < (f.file_no, f.line))
AND (f.slice = '' OR f.key = f.owner OR f.owner = (
    SELECT n.owner FROM {schema}.facts n WHERE (n.vpd, n.entity, n.key) = (f.vpd, f.entity, f.key)
    ORDER BY n.file_no DESC, n.line DESC LIMIT 1))
ORDER BY f.vpd, f.owner, f.entity, f.key, f.slice
"""
"""Date slices of one key may name different owners, when ESR corrects whose it is: all are the last one's."""


def _sql(statement: str, schema: str) -> TextClause:
    return text(statement.format(schema=schema))


def _columns(facts: Sequence[Fact]) -> dict[str, list[Any]]:
    encode = msgspec.json.encode
    return {
        "vpd": [fact.vpd for fact in facts],
        "entity": [fact.entity for fact in facts],
        "key": [fact.key for fact in facts],
        "slice": [fact.slice for fact in facts],
        "owner": [fact.owner for fact in facts],
        "file": [fact.version.file for fact in facts],
        "file_no": [fact.version.file_no for fact in facts],
        "line": [fact.version.line for fact in facts],
        "data": [encode(fact.data).decode() for fact in facts],
    }


def _deletion_columns(deletions: Sequence[Deletion]) -> dict[str, list[Any]]:
    return {
        "vpd": [one.vpd for one in deletions],
        "entity": [one.entity for one in deletions],
        "key": [one.key for one in deletions],
        "file_no": [one.version.file_no for one in deletions],
        "line": [one.version.line for one in deletions],
    }
