"""The tables of ``confirmations``: what was sent, what was answered, and where each item stands."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import BigInteger, Column, Index, MetaData, Table, Text, func, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from services.confirmations.domain import FileAnswer, Item
from shared.db import tables
from shared.facts import Version

SCHEMA: Final = "confirmations"
METADATA: Final = MetaData(schema=SCHEMA)

OUTBOX: Final = tables.outbox(METADATA)
LINE_FATES: Final = tables.line_fates(METADATA)
FACTS: Final = tables.facts(METADATA)
DELETIONS: Final = tables.deletions(METADATA)
Index("facts_by_slice", FACTS.c.vpd, FACTS.c.entity, FACTS.c.slice)

ITEMS: Final = Table(
    "items",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("reference", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("item", JSONB, nullable=False),
    Index("items_by_state", "vpd", "state"),
)

Reference = tuple[str, str]
"""(trust, reference)."""


@dataclass(frozen=True, slots=True)
class Held:
    """An item as stored: None while nothing was sent under the reference."""

    item: Item | None
    revision: int


async def lock(connection: AsyncConnection, references: Iterable[Reference]) -> dict[Reference, Held]:
    """Lock items in key order, making rows for new ones, and return each as last settled."""
    ordered = sorted(set(references))
    columns = {"vpd": [vpd for vpd, _ in ordered], "reference": [reference for _, reference in ordered]}
    await connection.execute(_CREATE, columns)
    rows = await connection.execute(_LOCK, columns)
    return {
        (row.vpd, row.reference): Held(msgspec.convert(row.item, Item) if row.item else None, row.revision)
        for row in rows
    }


async def save(connection: AsyncConnection, rows: Sequence[tuple[Reference, Held]]) -> None:
    """Store settled items; the caller holds the locks."""
    kept = [(reference, held.item, held.revision) for reference, held in rows if held.item is not None]
    if not kept:
        return
    await connection.execute(
        _SAVE,
        {
            "vpd": [reference[0] for reference, _, _ in kept],
            "reference": [reference[1] for reference, _, _ in kept],
            "state": [item.state for _, item, _ in kept],
            "code": [item.code for _, item, _ in kept],
            "revision": [revision for _, _, revision in kept],
            "item": [msgspec.json.encode(item).decode() for _, item, _ in kept],
        },
    )


async def sent_in(connection: AsyncConnection, files: Iterable[tuple[str, str]]) -> dict[tuple[str, str], list[str]]:
    """Return the references sent in each (trust, file)."""
    wanted = sorted(set(files))
    rows = await connection.execute(_SENT_IN, {"vpd": [vpd for vpd, _ in wanted], "file": [file for _, file in wanted]})
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        found.setdefault((row.vpd, row.slice), []).append(row.owner)
    return found


async def file_answers(
    connection: AsyncConnection, files: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], tuple[Version, FileAnswer]]:
    """Return what ESR said of each (trust, file) as a whole."""
    wanted = sorted(set(files))
    rows = await connection.execute(
        _FILE_ANSWERS, {"vpd": [vpd for vpd, _ in wanted], "file": [file for _, file in wanted]}
    )
    return {
        (row.vpd, row.key): (Version(row.file, row.file_no, row.line), msgspec.convert(row.data, FileAnswer))
        for row in rows
    }


async def count_by_state(connection: AsyncConnection, vpd: str) -> dict[str, int]:
    """Return how many items of a trust are open, confirmed and rejected."""
    number = func.count().label("number")
    query = select(ITEMS.c.state, number).where(ITEMS.c.vpd == vpd, ITEMS.c.state != "").group_by(ITEMS.c.state)
    return {row.state: row.number for row in await connection.execute(query)}


async def count_refused(connection: AsyncConnection, vpd: str) -> dict[str, int]:
    """Return how many items of a trust ESR refused, by its code."""
    number = func.count().label("number")
    query = select(ITEMS.c.code, number).where(ITEMS.c.vpd == vpd, ITEMS.c.state == "rejected").group_by(ITEMS.c.code)
    return {row.code: row.number for row in await connection.execute(query)}


async def items(connection: AsyncConnection, vpd: str, state: str | None = None) -> list[dict[str, Any]]:
    """Return items of a trust, by reference."""
    query = select(ITEMS.c.item).where(ITEMS.c.vpd == vpd, ITEMS.c.state != "").order_by(ITEMS.c.reference)
    if state:
        query = query.where(ITEMS.c.state == state)
    return [dict(item) for item in await connection.scalars(query.limit(1000))]


_KEYS: Final = "unnest(CAST(:vpd AS text[]), CAST(:reference AS text[])) AS t(vpd, reference)"

_FILES: Final = "unnest(CAST(:vpd AS text[]), CAST(:file AS text[])) AS t(vpd, name)"

_CREATE: Final = text(
    "INSERT INTO confirmations.items (vpd, reference, state, code, revision, item) "
    f"SELECT t.vpd, t.reference, '', '', 0, 'null' FROM {_KEYS} ORDER BY 1, 2 ON CONFLICT (vpd, reference) DO NOTHING"
)

_LOCK: Final = text(
    f"SELECT i.vpd, i.reference, i.revision, i.item FROM confirmations.items i JOIN {_KEYS} USING (vpd, reference) "
    "ORDER BY i.vpd, i.reference FOR UPDATE OF i"
)

_SAVE: Final = text(
    "UPDATE confirmations.items i SET state = t.state, code = t.code, revision = t.revision, "
    "item = CAST(t.item AS jsonb) FROM unnest(CAST(:vpd AS text[]), CAST(:reference AS text[]), "
    "CAST(:state AS text[]), CAST(:code AS text[]), CAST(:revision AS bigint[]), CAST(:item AS text[])) "
    "AS t(vpd, reference, state, code, revision, item) WHERE (i.vpd, i.reference) = (t.vpd, t.reference)"
)

_SENT_IN: Final = text(
    f"SELECT f.vpd, f.slice, f.owner FROM confirmations.facts f JOIN {_FILES} ON (f.vpd, f.slice) = (t.vpd, t.name) "
    "WHERE f.entity = 'sent' ORDER BY 1, 2, 3"
)

_FILE_ANSWERS: Final = text(
    "SELECT f.vpd, f.key, f.file, f.file_no, f.line, f.data FROM confirmations.facts f "
    f"JOIN {_FILES} ON (f.vpd, f.key) = (t.vpd, t.name) WHERE f.entity = 'file_answer'"
)
