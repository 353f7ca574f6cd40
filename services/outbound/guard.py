"""The guard on suspensions: more than a trust's share in one day waits for an operator.

A person list that came in half, or a restriction set wrongly, would close the accounts of a hospital overnight; each of
these has happened to somebody. Everything else of the trust goes on meanwhile.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.outbound.due import ACCOUNT_GATE, CLOSING
from services.outbound.matches import Decision, decided
from shared.account_settings import AccountPolicy
from shared.db.unit import Unit
from shared.errors import DecisionError
from shared.events import Cause, SuspensionsHeld

SUBJECT: Final = "suspensions"


@dataclass(frozen=True, slots=True)
class Suspensions:
    """How many accounts wait to be closed, were closed today without a release, and are open."""

    waiting: int
    today: int
    open: int


def holds(count: Suspensions, policy: AccountPolicy) -> bool:
    """Whether these suspensions have to wait for an operator."""
    return count.waiting > 0 and count.waiting + count.today > allowed(count, policy)


def allowed(count: Suspensions, policy: AccountPolicy) -> int:
    """Return how many suspensions in a day go by themselves."""
    return max(policy.max_suspensions_always, int(count.open * policy.max_suspensions_percent / 100))


async def count(connection: AsyncConnection, vpd: str, day: date) -> Suspensions:
    """Count a trust's suspensions; nothing is counted over all accounts while none waits."""
    waiting = int(await connection.scalar(_WAITING, {"vpd": vpd, "day": day}) or 0)
    if not waiting:
        return Suspensions(0, 0, 0)
    row = (await connection.execute(_ACCOUNTS, {"vpd": vpd, "day": day})).one()
    return Suspensions(waiting, row.today, row.open)


async def waiting(
    connection: AsyncConnection, vpd: str, day: date, policy: AccountPolicy, limit: int
) -> dict[str, Any]:
    """Return what waits now: how many, of how many open accounts, how many would go by themselves, and the first.

    ``held``: whether an operator has to decide; where not, they go by themselves.
    """
    found = await count(connection, vpd, day)
    rows = await connection.execute(_SAMPLE, {"vpd": vpd, "day": day, "limit": limit})
    return {
        "suspensions": found.waiting,
        "closed_today": found.today,
        "accounts": found.open,
        "allowed": allowed(found, policy),
        "held": holds(found, policy),
        "people": [
            {"person_id": row.person_id, "state": row.state, "closes_on": row.closes_on.isoformat()} for row in rows
        ],
    }


async def refuse(unit: Unit, vpd: str, day: date, *, expected: int, who: str, why: str) -> None:
    """Write down that what waits now is not to be closed. It stays held until its cause is put right, or a release.

    Raises DecisionError when other than ``expected`` many wait.
    """
    found = await count(unit.connection, vpd, day)
    _check(found.waiting, expected)
    now = datetime.fromtimestamp(unit.timestamp).astimezone()
    await decided(unit.connection, vpd, Decision(SUBJECT, "refuse", who, why, {"suspensions": expected}), now)


def _check(number: int, expected: int) -> None:
    if number != expected:
        raise DecisionError(f"there are not {expected} suspensions waiting: look again and decide anew")


async def hold(unit: Unit, vpd: str, day: date, found: Suspensions) -> None:
    """Note that suspensions are held; an event tells of it once a day."""
    fresh = await unit.connection.scalar(
        _HOLD,
        {
            "vpd": vpd,
            "day": day,
            "suspensions": found.waiting,
            "accounts": found.open,
            "now": datetime.fromtimestamp(unit.timestamp).astimezone(),
        },
    )
    if fresh:
        event = SuspensionsHeld(vpd=vpd, cause=Cause("", "", 0), suspensions=found.waiting, accounts=found.open)
        unit.emit(event, SUBJECT, day.isoformat())


async def release(unit: Unit, vpd: str, day: date, *, expected: int, who: str, why: str) -> int:
    """Let what waits now be closed. Raises DecisionError, which undoes it, when that is not ``expected`` many."""
    released = (await unit.connection.execute(_RELEASE, {"vpd": vpd, "day": day})).rowcount
    _check(released, expected)
    now = datetime.fromtimestamp(unit.timestamp).astimezone()
    await unit.connection.execute(_RELEASED, {"vpd": vpd, "now": now})
    decision = Decision(SUBJECT, "release", who, why, {"suspensions": released})
    await decided(unit.connection, vpd, decision, now)
    return released


async def still_held(connection: AsyncConnection, vpd: str) -> int:
    """Return how many suspensions a guard holds, not released by anybody and not taken back by ESR since."""
    return int(await connection.scalar(_STILL_HELD, {"vpd": vpd}) or 0)


_CLOSING: Final = f"a.vpd = :vpd AND {CLOSING.format(row='a')} AND {ACCOUNT_GATE}"

_WAITING: Final = text(f"SELECT count(*) FROM outbound.accounts a WHERE {_CLOSING} AND (a.dirty OR a.look_on <= :day)")

_STILL_HELD: Final = text(
    "SELECT count(*) FROM outbound.accounts a, (SELECT max(day) AS day FROM outbound.guards "
    "WHERE vpd = :vpd AND released_at IS NULL HAVING count(*) > 0) held "
    f"WHERE {_CLOSING} AND (a.dirty OR a.look_on <= :day)".replace(":day", "held.day")
)

_SAMPLE: Final = text(
    "SELECT a.person_id, a.person->>'state' AS state, a.closes_on FROM outbound.accounts a "
    f"WHERE {_CLOSING} AND (a.dirty OR a.look_on <= :day) ORDER BY a.person_id LIMIT :limit"
)

_ACCOUNTS: Final = text(
    "SELECT count(*) FILTER (WHERE a.closed_on = :day AND NOT a.released) AS today, "
    "count(*) FILTER (WHERE a.seen IS NOT NULL AND NOT (CAST(a.seen->>'suspended' AS boolean))) AS open "
    "FROM outbound.accounts a WHERE a.vpd = :vpd"
)

_HOLD: Final = text(
    "INSERT INTO outbound.guards AS held (vpd, day, suspensions, accounts, held_at) "
    "VALUES (:vpd, :day, :suspensions, :accounts, :now) ON CONFLICT (vpd, day) DO UPDATE "
    "SET suspensions = excluded.suspensions, accounts = excluded.accounts, released_at = NULL "
    "RETURNING (xmax = 0)"
)

_RELEASE: Final = text(
    f"UPDATE outbound.accounts a SET released = true WHERE {_CLOSING} AND (a.dirty OR a.look_on <= :day)"
)

_RELEASED: Final = text("UPDATE outbound.guards SET released_at = :now WHERE vpd = :vpd AND released_at IS NULL")
