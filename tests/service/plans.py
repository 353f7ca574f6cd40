"""How much a statement reads, as its plan tells."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection


async def most_rows(connection: AsyncConnection, statement: TextClause, said: Mapping[str, Any]) -> float:
    """Run a statement; return how many rows that part of it read which read most."""
    plan = await connection.scalar(text(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.text}"), said)
    found = json.loads(plan) if isinstance(plan, str) else plan
    return max(_rows(found[0]["Plan"]))


def _rows(node: Mapping[str, Any]) -> Iterator[float]:
    yield (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
    for below in node.get("Plans", ()):
        yield from _rows(below)
