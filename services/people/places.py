"""The SQL of positions and organisations, and of the people who stand in them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.people.hierarchy import Item, Place, derive_place
from shared.events import Cause
from shared.facts import Fact, Version

PlaceKey = tuple[str, str, str]
"""(trust, kind, key)."""


class HeldItem(msgspec.Struct, frozen=True, gc=False):
    """An item as stored, and how often what is told of it has changed."""

    item: Item
    revision: int


async def derive_places(connection: AsyncConnection, keys: Iterable[PlaceKey], day: date) -> dict[PlaceKey, Place]:
    """Derive places from their live facts as of ``day``; places that no file has brought are left out."""
    ordered = sorted(set(keys))
    if not ordered:
        return {}
    found: dict[PlaceKey, list[Fact]] = {}
    rows = await connection.execute(_FACTS, _columns(ordered))
    for vpd, entity, key, begin, file, file_no, line, data in rows.all():
        fact = Fact(vpd, entity, key, begin, "", Version(file, file_no, line), data)
        found.setdefault((vpd, entity, key), []).append(fact)
    return {key: derive_place(key[1], facts, day) for key, facts in found.items()}


async def lock_items(connection: AsyncConnection, keys: Iterable[PlaceKey]) -> dict[PlaceKey, HeldItem]:
    """Lock items in key order, making rows for new ones, and return each as stored."""
    columns = _columns(sorted(set(keys)))
    await connection.execute(_CREATE, columns)
    rows = await connection.execute(_LOCK, columns)
    return {(row.vpd, row.kind, row.key): HeldItem(msgspec.convert(row.item, Item), row.revision) for row in rows}


async def save_items(connection: AsyncConnection, rows: Sequence[tuple[PlaceKey, HeldItem, date | None]]) -> None:
    """Store items; the caller holds the locks."""
    said = _columns([key for key, _, _ in rows])
    said["revision"] = [held.revision for _, held, _ in rows]
    said["item"] = [msgspec.json.encode(held.item).decode() for _, held, _ in rows]
    said["due"] = [due for _, _, due in rows]
    await connection.execute(_SAVE, said)


async def due_items(connection: AsyncConnection, day: date, limit: int, vpd: str = "") -> list[PlaceKey]:
    """Return items, of one trust or of whichever, that may have changed by ``day``."""
    said = {"day": day, "limit": limit, "vpd": vpd}
    return [(row.vpd, row.kind, row.key) for row in await connection.execute(_DUE, said)]


async def enqueue_standing(connection: AsyncConnection, changed: Mapping[PlaceKey, Cause]) -> None:
    """Have everyone derived again whose facts name one of these places."""
    for kind, statement in _STANDING.items():
        keys = sorted(key for key in changed if key[1] == kind)
        if keys:
            said = {"vpd": [key[0] for key in keys], "key": [key[2] for key in keys]}
            said["file"] = [changed[key].file for key in keys]
            await connection.execute(statement, said | {"file_no": [changed[key].file_no for key in keys]})


def _columns(keys: Sequence[PlaceKey]) -> dict[str, list[Any]]:
    return {"vpd": [key[0] for key in keys], "kind": [key[1] for key in keys], "key": [key[2] for key in keys]}


_FACTS: Final = text("""
SELECT f.vpd, f.entity, f.key, f.slice, f.file, f.file_no, f.line, f.data
FROM unnest(CAST(:vpd AS text[]), CAST(:kind AS text[]), CAST(:key AS text[])) AS t(vpd, entity, key)
CROSS JOIN LATERAL (
    SELECT * FROM people.facts f WHERE (f.vpd, f.entity, f.key) = (t.vpd, t.entity, t.key) OFFSET 0
) f LEFT JOIN people.deletions d ON (d.vpd, d.entity, d.key) = (f.vpd, f.entity, f.key)
WHERE d.vpd IS NULL OR (d.file_no, d.line) < (f.file_no, f.line)
""")

_CREATE: Final = text("""
INSERT INTO people.hierarchy (vpd, kind, key, revision, item)
SELECT t.vpd, t.kind, t.key, 0, CAST('{}' AS jsonb)
FROM unnest(CAST(:vpd AS text[]), CAST(:kind AS text[]), CAST(:key AS text[])) AS t(vpd, kind, key)
ORDER BY 1, 2, 3 ON CONFLICT (vpd, kind, key) DO NOTHING
""")

_LOCK: Final = text("""
SELECT h.vpd, h.kind, h.key, h.item, h.revision FROM people.hierarchy h
JOIN unnest(CAST(:vpd AS text[]), CAST(:kind AS text[]), CAST(:key AS text[])) AS t(vpd, kind, key)
USING (vpd, kind, key) ORDER BY 1, 2, 3 FOR UPDATE OF h
""")

_SAVE: Final = text("""
UPDATE people.hierarchy h SET revision = t.revision, item = CAST(t.item AS jsonb), due = t.due
FROM unnest(CAST(:vpd AS text[]), CAST(:kind AS text[]), CAST(:key AS text[]), CAST(:revision AS bigint[]),
    CAST(:item AS text[]), CAST(:due AS date[])) AS t(vpd, kind, key, revision, item, due)
WHERE (h.vpd, h.kind, h.key) = (t.vpd, t.kind, t.key)
""")

_DUE: Final = text(
    "SELECT vpd, kind, key FROM people.hierarchy WHERE due <= :day AND CAST(:vpd AS text) IN ('', vpd) "
    "ORDER BY due LIMIT :limit"
)

_STANDING: Final = {
    "position": text("""
INSERT INTO people.again AS held (vpd, person_id, file, file_no)
SELECT DISTINCT ON (f.vpd, f.owner) f.vpd, f.owner, t.file, t.file_no FROM people.facts f
JOIN unnest(CAST(:vpd AS text[]), CAST(:key AS text[]), CAST(:file AS text[]), CAST(:file_no AS bigint[]))
    AS t(vpd, key, file, file_no) ON f.vpd = t.vpd AND f.data ->> 'position_id' = t.key
WHERE f.owner <> '' ORDER BY f.vpd, f.owner, t.file_no DESC
ON CONFLICT (vpd, person_id) DO UPDATE SET file = excluded.file, file_no = excluded.file_no
WHERE held.file_no < excluded.file_no
"""),
    "organisation": text("""
INSERT INTO people.again AS held (vpd, person_id, file, file_no)
SELECT DISTINCT ON (f.vpd, f.owner) f.vpd, f.owner, t.file, t.file_no FROM people.facts f
JOIN unnest(CAST(:vpd AS text[]), CAST(:key AS text[]), CAST(:file AS text[]), CAST(:file_no AS bigint[]))
    AS t(vpd, key, file, file_no) ON f.vpd = t.vpd AND f.data ->> 'organisation_id' = t.key
WHERE f.owner <> '' ORDER BY f.vpd, f.owner, t.file_no DESC
ON CONFLICT (vpd, person_id) DO UPDATE SET file = excluded.file, file_no = excluded.file_no
WHERE held.file_no < excluded.file_no
"""),
}
