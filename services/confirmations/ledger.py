"""The ledger of completions: each from the LMS's word to where it stands now, with every item and answer between."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, literal, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.confirmations.deadlines import due_at
from services.confirmations.schema import COMPLETIONS, DIFFERENCES, ITEMS
from services.confirmations.standing import stands
from services.confirmations.store import as_item
from shared.answer_words import about
from shared.config import CompletionPolicy, FileCalendar, TrustConfig

MOST: Final = 200
"""Completions of a page at most; each comes with all its items and answers."""

Life = tuple[str, str]
"""A completion of a trust: (person ID, key)."""


async def ledger(
    connection: AsyncConnection,
    vpd: str,
    asked: Mapping[str, str],
    trust: TrustConfig | None = None,
    after: str = "",
    limit: int = MOST,
) -> dict[str, Any]:
    """Return a page of completions by person and key, and where the next begins (empty: none).

    ``asked``: any of person_id, key, reference and sent_file; none means all. Raises ValueError for an ``after`` that
    no page ended with.
    """
    lives, last = await _lives(connection, vpd, asked, after, limit)
    told = await _told(connection, vpd, lives)
    items = await _items(connection, vpd, lives, trust)
    differences = await _differences(connection, vpd, lives)
    return {
        "completions": [_one(life, told.get(life), items[life], differences[life]) for life in lives],
        "next": last,
    }


async def _lives(
    connection: AsyncConnection, vpd: str, asked: Mapping[str, str], after: str, limit: int
) -> tuple[list[Life], str]:
    """Return which completions are asked about: those told of, and those of which only an item is known."""
    place = tuple(after.split("~", 1)) if after else ("", "")
    if len(place) != 2:
        raise ValueError("not the end of a page")
    found: set[Life] = set()
    tables = [ITEMS] if {"reference", "sent_file"} & set(asked) else [ITEMS, COMPLETIONS]
    for table in tables:
        query = (
            select(table.c.person_id, table.c.key)
            .where(
                table.c.vpd == vpd,
                tuple_(table.c.person_id, table.c.key) > tuple_(literal(place[0]), literal(place[1])),
                *(table.c[name] == said for name, said in asked.items()),
            )
            .distinct()
            .order_by(table.c.person_id, table.c.key)
            .limit(limit)
        )
        found |= {(row.person_id, row.key) for row in await connection.execute(query)}
    lives = sorted(found)[:limit]
    return lives, "~".join(lives[-1]) if len(lives) == limit else ""


async def _told(connection: AsyncConnection, vpd: str, lives: Sequence[Life]) -> dict[Life, Row[Any]]:
    query = select(COMPLETIONS).where(
        COMPLETIONS.c.vpd == vpd, tuple_(COMPLETIONS.c.person_id, COMPLETIONS.c.key).in_(lives)
    )
    return {(row.person_id, row.key): row for row in await connection.execute(query)}


async def _items(
    connection: AsyncConnection, vpd: str, lives: Sequence[Life], trust: TrustConfig | None
) -> dict[Life, list[dict[str, Any]]]:
    query = select(ITEMS).where(ITEMS.c.vpd == vpd, tuple_(ITEMS.c.person_id, ITEMS.c.key).in_(lives))
    rows = list(await connection.execute(query.order_by(ITEMS.c.sent_at, ITEMS.c.sent_file, ITEMS.c.position)))
    answers = await _answers(connection, vpd, rows)
    found: dict[Life, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        item = as_item(row)
        item["due_at"] = _due(trust, row)
        item["answers"] = answers[row.sent_file, row.reference]
        if row.code:
            item["words"] = about(row.code)
        found[row.person_id, row.key].append(item)
    return found


async def _answers(
    connection: AsyncConnection, vpd: str, rows: Sequence[Row[Any]]
) -> dict[tuple[str, str], list[dict[str, Any]]]:
    pairs = sorted({(row.sent_file, row.reference) for row in rows})
    columns = {"vpd": vpd, "file": [file for file, _ in pairs], "reference": [one for _, one in pairs]}
    found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in await connection.execute(_ANSWERS, columns):
        found[row.sent_file, row.reference].append(
            {
                "file": row.file, "line": row.line, "position": row.position, "type": row.record_type,
                "status": row.status, "level": row.kind, "code": row.code, "esr_record_id": row.esr_record_id,
                "odd": list(row.odd or ()),
            }
        )  # fmt: skip
    return found


async def _differences(
    connection: AsyncConnection, vpd: str, lives: Sequence[Life]
) -> dict[Life, list[dict[str, Any]]]:
    query = select(DIFFERENCES).where(
        DIFFERENCES.c.vpd == vpd, tuple_(DIFFERENCES.c.person_id, DIFFERENCES.c.key).in_(lives)
    )
    found: dict[Life, list[dict[str, Any]]] = defaultdict(list)
    for row in await connection.execute(query.order_by(DIFFERENCES.c.file_no, DIFFERENCES.c.reference)):
        found[row.person_id, row.key].append(
            {"file": row.file, "reference": row.reference, "difference": row.difference, "held": row.held}
        )
    return found


def _one(
    life: Life, told: Row[Any] | None, items: list[dict[str, Any]], differences: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "person_id": life[0],
        "key": life[1],
        "completed": _completed(told) if told is not None and told.revision else None,
        "withdrawn": {"reason": told.withdrawn_reason} if told is not None and told.withdrawn > told.revision else None,
        "withheld": about_withheld(told) if told is not None and told.withheld else None,
        "items": items,
        "differences": differences,
        "now": stands(told, items, differences),
    }


def about_withheld(told: Row[Any]) -> dict[str, str]:
    """Return why a completion was not sent when that was last told."""
    return {"code": told.withheld_code}


def _completed(told: Row[Any]) -> dict[str, Any]:
    names = (
        "stream",
        "file",
        "certification",
        "competence_id",
        "competence_name",
        "achieved_on",
        "expires_on",
        "reason",
    )
    return {name: getattr(told, name) for name in names} | {"revision": told.revision}


def _due(trust: TrustConfig | None, row: Row[Any]) -> str | None:
    calendar = trust.calendar if trust else FileCalendar()
    policy = trust.completions if trust else CompletionPolicy()
    due: datetime | None = due_at(calendar, policy.answer_days, row.sent_on)
    return due.isoformat() if due else None


_ANSWERS: Final = text(
    "SELECT a.*, ARRAY(SELECT f.reason FROM confirmations.findings f WHERE (f.vpd, f.file, f.line) = "
    "(a.vpd, a.file, a.line) AND f.stands ORDER BY 1) AS odd FROM confirmations.answers a "
    "JOIN unnest(CAST(:file AS text[]), CAST(:reference AS text[])) AS t(sent_file, reference) "
    "USING (sent_file, reference) WHERE a.vpd = :vpd ORDER BY a.file_no, a.line"
)
