"""The SQL of matching: whose account is whose, what waits for an operator, and who decided what."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.outbound.lms.port import Candidate
from services.outbound.matching import Match
from services.outbound.tables import DECISIONS


@dataclass(frozen=True, slots=True)
class Held:
    """What is on record about whose account a person's is."""

    person_id: str
    revision: int
    state: str
    reason: str
    candidates: tuple[Candidate, ...]
    lms_id: str = ""
    idnumber_before: str = ""
    excluded: tuple[str, ...] = ()

    def candidate(self, lms_id: str) -> Candidate | None:
        """Return one of the candidates."""
        return next((one for one in self.candidates if one.lms_id == lms_id), None)


@dataclass(frozen=True, slots=True)
class Found:
    """A match that was looked for: for whom, what came out, and among which accounts."""

    person_id: str
    revision: int
    match: Match
    candidates: Sequence[Candidate]

    @property
    def linked(self) -> Candidate | None:
        """The account that is theirs."""
        return next((one for one in self.candidates if one.lms_id == self.match.lms_id), None)


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about a person or about suspensions, by whom (or by a ``rule``) and why."""

    subject: str
    decision: str
    who: str
    why: str
    details: dict[str, Any]


async def held(connection: AsyncConnection, vpd: str, people: Sequence[str]) -> dict[str, Held]:
    """Return what is on record about people."""
    rows = await connection.execute(_HELD, {"vpd": vpd, "person_id": sorted(set(people))})
    return {row.person_id: _held(row) for row in rows}


async def by_state(connection: AsyncConnection, vpd: str, state: str, rows: int) -> list[Held]:
    """Return what is on record in a state, oldest first."""
    return [_held(row) for row in await connection.execute(_BY_STATE, {"vpd": vpd, "state": state, "rows": rows})]


async def taken(connection: AsyncConnection, vpd: str, lms_ids: Sequence[str]) -> dict[str, str]:
    """Return which of these accounts are linked already, and to whom."""
    rows = await connection.execute(_TAKEN, {"vpd": vpd, "lms_id": sorted(set(lms_ids))})
    return {row.lms_id: row.person_id for row in rows}


async def note(connection: AsyncConnection, vpd: str, found: Sequence[Found], now: datetime) -> None:
    """Put on record what matching found; what an operator excluded stays excluded."""
    if not found:
        return
    ordered = sorted(found, key=lambda one: one.person_id)
    states = {"ask": "asked", "link": "linked", "new": "new"}
    await connection.execute(
        _NOTE,
        {
            "vpd": vpd,
            "now": now,
            "person_id": [one.person_id for one in ordered],
            "revision": [one.revision for one in ordered],
            "state": [states[one.match.verdict] for one in ordered],
            "reason": [one.match.reason for one in ordered],
            "candidates": [msgspec.json.encode(list(one.candidates)).decode() for one in ordered],
            "lms_id": [one.match.lms_id for one in ordered],
            "before": [one.linked.idnumber if one.linked else "" for one in ordered],
        },
    )


async def change(connection: AsyncConnection, vpd: str, row: Held, now: datetime) -> None:
    """Store what an operator made of a match."""
    await connection.execute(
        _CHANGE,
        {
            "vpd": vpd,
            "person_id": row.person_id,
            "state": row.state,
            "reason": row.reason,
            "lms_id": row.lms_id,
            "before": row.idnumber_before,
            "excluded": list(row.excluded),
            "now": now,
        },
    )


async def decided(connection: AsyncConnection, vpd: str, decision: Decision, now: datetime) -> None:
    """Add a decision to those that are kept for ever."""
    await connection.execute(
        DECISIONS.insert().values(
            vpd=vpd,
            subject=decision.subject,
            decision=decision.decision,
            who=decision.who,
            why=decision.why,
            decided_at=now,
            details=decision.details,
        )
    )


async def set_account(connection: AsyncConnection, vpd: str, person_id: str, matched: str, *, forget: bool) -> None:
    """Let a person's account be looked at again. ``forget``: what was done so far was done to another's account."""
    values = {"vpd": vpd, "person_id": person_id, "matched": matched}
    await connection.execute(_FORGET if forget else _AGAIN, values)
    if forget:
        await connection.execute(_REDELIVER, {"vpd": vpd, "person_id": person_id})


def _held(row: Any) -> Held:  # noqa: ANN401 - a row
    return Held(
        person_id=row.person_id,
        revision=row.revision,
        state=row.state,
        reason=row.reason,
        candidates=tuple(msgspec.convert(row.candidates, list[Candidate])),
        lms_id=row.lms_id,
        idnumber_before=row.idnumber_before,
        excluded=tuple(row.excluded),
    )


_COLUMNS: Final = "person_id, revision, state, reason, candidates, lms_id, idnumber_before, excluded"

_HELD: Final = text(
    f"SELECT {_COLUMNS} FROM outbound.matches WHERE vpd = :vpd AND person_id = ANY(CAST(:person_id AS text[]))"
)

_BY_STATE: Final = text(
    f"SELECT {_COLUMNS} FROM outbound.matches WHERE vpd = :vpd AND state = :state ORDER BY changed_at, person_id "
    "LIMIT :rows"
)

_TAKEN: Final = text(
    "SELECT lms_id, person_id FROM outbound.matches "
    "WHERE vpd = :vpd AND lms_id <> '' AND lms_id = ANY(CAST(:lms_id AS text[]))"
)

_NOTE: Final = text("""
INSERT INTO outbound.matches AS held (vpd, person_id, revision, state, reason, candidates, lms_id, idnumber_before,
    changed_at)
SELECT :vpd, person_id, revision, state, reason, CAST(candidates AS jsonb), lms_id, before, :now FROM unnest(
    CAST(:person_id AS text[]), CAST(:revision AS bigint[]), CAST(:state AS text[]), CAST(:reason AS text[]),
    CAST(:candidates AS text[]), CAST(:lms_id AS text[]), CAST(:before AS text[]))
    AS t(person_id, revision, state, reason, candidates, lms_id, before)
ON CONFLICT (vpd, person_id) DO UPDATE SET revision = excluded.revision, state = excluded.state,
    reason = excluded.reason, candidates = excluded.candidates, lms_id = excluded.lms_id,
    idnumber_before = excluded.idnumber_before, changed_at = excluded.changed_at
""")

_CHANGE: Final = text(
    "UPDATE outbound.matches SET state = :state, reason = :reason, lms_id = :lms_id, idnumber_before = :before, "
    "excluded = CAST(:excluded AS text[]), changed_at = :now WHERE vpd = :vpd AND person_id = :person_id"
)

_AGAIN: Final = text(
    "UPDATE outbound.accounts SET matched = :matched, dirty = dirty OR :matched <> 'asked', refused = '' "
    "WHERE vpd = :vpd AND person_id = :person_id"
)

_FORGET: Final = text(
    "UPDATE outbound.accounts SET matched = :matched, seen = NULL, jobs = '{}', jobs_dirty = true, refused = '', "
    "dirty = :matched <> 'asked' WHERE vpd = :vpd AND person_id = :person_id"
)

_REDELIVER: Final = text(
    "UPDATE outbound.deliveries SET state = 'wanted', code = '' "
    "WHERE vpd = :vpd AND person_id = :person_id AND state IN ('delivered', 'refused')"
)
