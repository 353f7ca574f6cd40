"""The SQL of the difference for what people have learnt: achievements that are wanted in the LMS."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.outbound.due import GATE
from services.outbound.lms.port import Answer


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """An achievement that is wanted in the LMS. ``owner`` is the person whose account stands for this human."""

    person_id: str
    owner: str
    key: str
    revision: int
    kind: Literal["certification", "evidence"]
    content: dict[str, Any]


async def deliveries(connection: AsyncConnection, vpd: str, rows: int) -> list[DeliveryRow]:
    """Return achievements that are wanted and whose person has an account, grouped by kind."""
    return [
        DeliveryRow(row.person_id, row.owner, row.key, row.revision, row.kind, row.content)
        for row in await connection.execute(_WANTED, {"vpd": vpd, "rows": rows})
    ]


async def note_deliveries(connection: AsyncConnection, vpd: str, answers: Sequence[tuple[DeliveryRow, Answer]]) -> None:
    """Write down what the LMS took and what it refused; what it may have taken stays wanted."""
    known = [(row, answer) for row, answer in answers if answer.status != "unknown"]
    await connection.execute(
        _DELIVERED,
        {
            "vpd": vpd,
            "person_id": [row.person_id for row, _ in known],
            "key": [row.key for row, _ in known],
            "revision": [row.revision for row, _ in known],
            "state": ["delivered" if answer.taken else "refused" for _, answer in known],
            "code": [answer.code for _, answer in known],
        },
    )


_WANTED: Final = text(
    "SELECT d.person_id, o.person_id AS owner, d.key, d.revision, d.kind, d.content FROM outbound.deliveries d "
    "JOIN outbound.accounts a ON (a.vpd, a.person_id) = (d.vpd, d.person_id) "
    "JOIN outbound.accounts o ON o.vpd = d.vpd "
    "AND o.person_id = COALESCE(NULLIF(a.person->>'same_as', ''), d.person_id) "
    "WHERE d.vpd = :vpd AND d.state = 'wanted' "
    f"AND o.seen IS NOT NULL AND {GATE.format(row='d')} ORDER BY d.kind, d.person_id, d.key LIMIT :rows"
)

_DELIVERED: Final = text(
    "UPDATE outbound.deliveries d SET state = t.state, code = t.code FROM unnest(CAST(:person_id AS text[]), "
    "CAST(:key AS text[]), CAST(:revision AS bigint[]), CAST(:state AS text[]), CAST(:code AS text[])) "
    "AS t(person_id, key, revision, state, code) "
    "WHERE d.vpd = :vpd AND (d.person_id, d.key, d.revision) = (t.person_id, t.key, t.revision)"
)
