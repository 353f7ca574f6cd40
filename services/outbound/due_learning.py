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
    """An achievement that is wanted in the LMS, or is to be withdrawn from it.

    ``owner`` is the person whose account stands for this human.
    """

    person_id: str
    owner: str
    key: str
    revision: int
    kind: Literal["certification", "evidence"]
    content: dict[str, Any]
    withdraw: bool = False

    @property
    def step(self) -> tuple[bool, str]:
        """What is done in one call."""
        return (self.withdraw, self.kind)


async def deliveries(connection: AsyncConnection, vpd: str, rows: int) -> list[DeliveryRow]:
    """Return achievements with something to do, whose person has an account; by step, the oldest of a person first."""
    return [
        DeliveryRow(row.person_id, row.owner, row.key, row.revision, row.kind, row.content, row.state == "withdrawing")
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
            "state": [_state(row, answer) for row, answer in known],
            "code": [answer.code for _, answer in known],
        },
    )


async def wake(connection: AsyncConnection, vpd: str, owners: Sequence[str]) -> None:
    """Let what was refused because their accounts were suspended be wanted again, once those are open."""
    await connection.execute(_WOKEN, {"vpd": vpd, "owners": sorted(owners)})


def _state(row: DeliveryRow, answer: Answer) -> str:
    if row.withdraw:  # what the LMS does not give back stays there, with the code why
        return "withdrawn" if answer.taken else "delivered"
    return "delivered" if answer.taken else "refused"


_WANTED: Final = text(
    "SELECT d.person_id, o.person_id AS owner, d.key, d.revision, d.kind, d.content, d.state "
    "FROM outbound.deliveries d "
    "JOIN outbound.accounts a ON (a.vpd, a.person_id) = (d.vpd, d.person_id) "
    "JOIN outbound.accounts o ON o.vpd = d.vpd "
    "AND o.person_id = COALESCE(NULLIF(a.person->>'same_as', ''), d.person_id) "
    "WHERE d.vpd = :vpd AND d.state IN ('wanted', 'withdrawing') AND d.content <> '{}' "
    f"AND o.seen IS NOT NULL AND {GATE.format(row='d')} "
    "ORDER BY d.state DESC, d.kind, d.person_id, d.content->>'achieved_on', d.key LIMIT :rows"
)

_WOKEN: Final = text(
    "UPDATE outbound.deliveries d SET state = 'wanted', code = '' FROM outbound.accounts a "
    "WHERE d.vpd = :vpd AND (a.vpd, a.person_id) = (d.vpd, d.person_id) "
    "AND d.state = 'refused' AND d.code = 'account-suspended' "
    "AND COALESCE(NULLIF(a.person->>'same_as', ''), d.person_id) = ANY(CAST(:owners AS text[]))"
)

_DELIVERED: Final = text(
    "UPDATE outbound.deliveries d SET state = t.state, code = t.code FROM unnest(CAST(:person_id AS text[]), "
    "CAST(:key AS text[]), CAST(:revision AS bigint[]), CAST(:state AS text[]), CAST(:code AS text[])) "
    "AS t(person_id, key, revision, state, code) "
    "WHERE d.vpd = :vpd AND (d.person_id, d.key, d.revision) = (t.person_id, t.key, t.revision)"
)
