"""The SQL of the difference: what the reconciler has to do, and what the LMS made of it.

Nothing is due before the file it rests on is wholly accounted for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.outbound.lms.port import Account, Answer
from shared.events import Person


@dataclass(frozen=True, slots=True)
class AccountRow:
    """A person as last told, and their account as last accepted."""

    person_id: str
    revision: int
    person: Person
    seen: Account | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The LMS's answer for one account: the account as it now is, or a refusal's code. ``done``: no step follows."""

    person_id: str
    revision: int
    account: Account | None
    code: str
    done: bool


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """An achievement that is wanted in the LMS."""

    person_id: str
    key: str
    revision: int
    kind: Literal["certification", "evidence"]
    content: dict[str, Any]


async def trusts(connection: AsyncConnection) -> set[str]:
    """Return the trusts for whose LMS there is something to do."""
    return set(await connection.scalars(_TRUSTS))


async def accounts(connection: AsyncConnection, vpd: str, rows: int) -> list[AccountRow]:
    """Return accounts that may not be as they should be."""
    return [
        AccountRow(
            row.person_id,
            row.revision,
            msgspec.convert(row.person, Person),
            msgspec.convert(row.seen, Account) if row.seen else None,
        )
        for row in await connection.execute(_DIRTY, {"vpd": vpd, "rows": rows})
    ]


async def note_accounts(connection: AsyncConnection, vpd: str, answers: Sequence[Accepted]) -> None:
    """Write down what the LMS accepted, and what it refused until the person changes."""
    await connection.execute(
        _SEEN,
        {
            "vpd": vpd,
            "person_id": [one.person_id for one in answers],
            "revision": [one.revision for one in answers],
            "seen": [msgspec.json.encode(one.account).decode() if one.account else None for one in answers],
            "refused": ["" if one.account else one.code or "refused" for one in answers],
            "done": [one.done for one in answers],
        },
    )


async def clean_accounts(connection: AsyncConnection, vpd: str, rows: Sequence[AccountRow]) -> None:
    """Nothing is left to do for these accounts, unless an event came meanwhile."""
    await connection.execute(
        _CLEAN,
        {"vpd": vpd, "person_id": [row.person_id for row in rows], "revision": [row.revision for row in rows]},
    )


async def deliveries(connection: AsyncConnection, vpd: str, rows: int) -> list[DeliveryRow]:
    """Return achievements that are wanted and whose person has an account, grouped by kind."""
    return [
        DeliveryRow(row.person_id, row.key, row.revision, row.kind, row.content)
        for row in await connection.execute(_WANTED, {"vpd": vpd, "rows": rows})
    ]


async def note_deliveries(connection: AsyncConnection, vpd: str, answers: Sequence[tuple[DeliveryRow, Answer]]) -> None:
    """Write down what the LMS took and what it refused."""
    await connection.execute(
        _DELIVERED,
        {
            "vpd": vpd,
            "person_id": [row.person_id for row, _ in answers],
            "key": [row.key for row, _ in answers],
            "revision": [row.revision for row, _ in answers],
            "state": ["delivered" if answer.taken else "refused" for _, answer in answers],
            "code": [answer.code for _, answer in answers],
        },
    )


_GATE: Final = (
    "{row}.file_no <= COALESCE((SELECT g.upto FROM outbound.gates g WHERE g.vpd = {row}.vpd AND g.stream = 'feed'), 0)"
)

_DIRTY: Final = text(
    "SELECT a.person_id, a.revision, a.person, a.seen FROM outbound.accounts a "
    f"WHERE a.vpd = :vpd AND a.dirty AND {_GATE.format(row='a')} ORDER BY a.person_id LIMIT :rows"
)

_TRUSTS: Final = text(
    f"SELECT DISTINCT a.vpd FROM outbound.accounts a WHERE a.dirty AND {_GATE.format(row='a')} UNION "
    "SELECT DISTINCT d.vpd FROM outbound.deliveries d JOIN outbound.accounts a USING (vpd, person_id) "
    f"WHERE d.state = 'wanted' AND a.seen IS NOT NULL AND {_GATE.format(row='d')}"
)

_SEEN: Final = text(
    "UPDATE outbound.accounts a SET seen = COALESCE(CAST(t.seen AS jsonb), a.seen), "
    "refused = CASE WHEN a.revision = t.revision THEN t.refused ELSE a.refused END, "
    "dirty = a.dirty AND NOT (a.revision = t.revision AND t.done) "
    "FROM unnest(CAST(:person_id AS text[]), CAST(:revision AS bigint[]), CAST(:seen AS text[]), "
    "CAST(:refused AS text[]), CAST(:done AS boolean[])) AS t(person_id, revision, seen, refused, done) "
    "WHERE a.vpd = :vpd AND a.person_id = t.person_id"
)

_CLEAN: Final = text(
    "UPDATE outbound.accounts a SET dirty = false FROM unnest(CAST(:person_id AS text[]), CAST(:revision AS bigint[])) "
    "AS t(person_id, revision) WHERE a.vpd = :vpd AND a.person_id = t.person_id AND a.revision = t.revision"
)

_WANTED: Final = text(
    "SELECT d.person_id, d.key, d.revision, d.kind, d.content FROM outbound.deliveries d "
    "JOIN outbound.accounts a USING (vpd, person_id) WHERE d.vpd = :vpd AND d.state = 'wanted' "
    f"AND a.seen IS NOT NULL AND {_GATE.format(row='d')} ORDER BY d.kind, d.person_id, d.key LIMIT :rows"
)

_DELIVERED: Final = text(
    "UPDATE outbound.deliveries d SET state = t.state, code = t.code FROM unnest(CAST(:person_id AS text[]), "
    "CAST(:key AS text[]), CAST(:revision AS bigint[]), CAST(:state AS text[]), CAST(:code AS text[])) "
    "AS t(person_id, key, revision, state, code) "
    "WHERE d.vpd = :vpd AND (d.person_id, d.key, d.revision) = (t.person_id, t.key, t.revision)"
)
