"""When a trust changes what its accounts should be, every account is looked at again.

Accounts are only looked at when something is said of a person, or when their day comes; a changed ``bridge.yaml`` says
nothing of anybody. So the settings that accounts were last derived by are remembered, and compared at every start.
"""

import hashlib
from typing import Final

import msgspec
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.outbound.tables import ACCOUNTS, POLICIES
from services.outbound.wanted import closes_on
from shared.account_settings import AccountPolicy
from shared.config import TrustConfig
from shared.events import Person

_ROWS: Final = 5_000


async def apply_changes(engine: AsyncEngine, trust: TrustConfig) -> bool:
    """Look at every account of a trust again if its policy is another than last time; return whether it is."""
    fingerprint = _fingerprint(trust)
    async with engine.begin() as connection:
        before = await connection.scalar(select(POLICIES.c.fingerprint).where(POLICIES.c.vpd == trust.vpd))
        if before == fingerprint:
            return False
        last: str | None = ""
        while last is not None:
            last = await _some(connection, trust, last)
        row = insert(POLICIES).values(vpd=trust.vpd, fingerprint=fingerprint)
        await connection.execute(row.on_conflict_do_update(index_elements=["vpd"], set_={"fingerprint": fingerprint}))
    return True


def _fingerprint(trust: TrustConfig) -> str:
    told = (trust.accounts.model_dump_json(), trust.lms.driver, trust.lms.routes.model_dump_json(), trust.lms.url)
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


async def _some(connection: AsyncConnection, trust: TrustConfig, after: str) -> str | None:
    """Look again at some accounts, in key order; return the last one's key, or None when that was all."""
    query = (
        select(ACCOUNTS.c.person_id, ACCOUNTS.c.person)
        .where(ACCOUNTS.c.vpd == trust.vpd, ACCOUNTS.c.person_id > after)
        .order_by(ACCOUNTS.c.person_id)
        .limit(_ROWS)
        .with_for_update()
    )
    rows = (await connection.execute(query)).all()
    if not rows:
        return None
    days = [_day(row.person, trust.accounts) for row in rows]
    values = {"vpd": trust.vpd, "person_id": [row.person_id for row in rows], "closes_on": days}
    await connection.execute(_AGAIN, values)
    return str(rows[-1].person_id)


def _day(person: dict[str, object], policy: AccountPolicy) -> object:
    return closes_on(msgspec.convert(person, Person), policy)


_AGAIN: Final = text(
    "UPDATE outbound.accounts a SET closes_on = t.closes_on, look_on = t.closes_on, dirty = true, jobs_dirty = true, "
    "refused = '', released = a.released AND t.closes_on IS NOT NULL, directory_name = '', "
    "matched = CASE WHEN a.matched = 'asked' THEN '' ELSE a.matched END "
    "FROM unnest(CAST(:person_id AS text[]), CAST(:closes_on AS date[])) AS t(person_id, closes_on) "
    "WHERE a.vpd = :vpd AND a.person_id = t.person_id"
)
