"""Dead letters by cause: code, queue and type, never by the text of a reason."""

from collections import Counter
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.checking import advice, meaning
from services.console.domain import State

COUNTED: Final = 20_000
"""Letters of one cause that are counted."""


async def groups(connection: AsyncConnection, vpd: str, state: State = "open") -> list[dict[str, Any]]:
    """Return the causes of a trust's letters in one state, the largest first.

    ``more``: there are more than ``letters``; counting all of them would take too long. ``first_at`` is when the first
    line of a group failed first, ``last_at`` when its last line failed last.
    """
    rows = await connection.execute(_GROUPS, {"vpd": vpd, "state": state, "most": COUNTED + 1})
    return [
        {
            "cause": row.cause,
            "code": row.code,
            "queue": row.queue,
            "type": row.type,
            "meaning": meaning(row.code),
            "advice": advice(row.code),
            "letters": min(row.letters, COUNTED),
            "more": row.letters > COUNTED,
            "first_at": row.first_at.isoformat(),
            "last_at": row.last_at.isoformat(),
        }
        for row in rows
    ]


async def by_code(connection: AsyncConnection, vpd: str) -> tuple[dict[str, int], frozenset[str]]:
    """Return how many open letters a trust has, by code, and the codes of which there are more than that."""
    counted: Counter[str] = Counter()
    causes = await groups(connection, vpd)
    for one in causes:
        counted[one["code"]] += one["letters"]
    return dict(counted), frozenset(one["code"] for one in causes if one["more"])


_GROUPS: Final = text(
    "WITH RECURSIVE causes AS ((SELECT cause FROM console.dead_letters WHERE vpd = :vpd AND state = :state "
    "ORDER BY cause LIMIT 1) UNION ALL SELECT (SELECT d.cause FROM console.dead_letters d WHERE d.vpd = :vpd "
    "AND d.state = :state AND d.cause > c.cause ORDER BY d.cause LIMIT 1) FROM causes c WHERE c.cause IS NOT NULL) "
    "SELECT c.cause, n.letters, f.code, f.queue, f.type, f.first_at, l.last_at FROM causes c "
    "CROSS JOIN LATERAL (SELECT count(*) AS letters FROM (SELECT 1 FROM console.dead_letters "
    "WHERE vpd = :vpd AND state = :state AND cause = c.cause LIMIT :most) AS counted) n "
    "CROSS JOIN LATERAL (SELECT code, queue, type, first_at FROM console.dead_letters "
    "WHERE vpd = :vpd AND state = :state AND cause = c.cause ORDER BY file_no, line, id LIMIT 1) f "
    "CROSS JOIN LATERAL (SELECT last_at FROM console.dead_letters "
    "WHERE vpd = :vpd AND state = :state AND cause = c.cause ORDER BY file_no DESC, line DESC, id DESC LIMIT 1) l "
    "WHERE c.cause IS NOT NULL ORDER BY n.letters DESC, c.cause"
)
"""Goes from cause to cause by the index, and counts no further than is asked for."""
