"""Who is signed in, kept in PostgreSQL: several replicas know the same sessions, and signing out ends one for good.

Moments are real ones, whatever the business clock says: a rehearsal that stops the clock must not stop the limits.
"""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncEngine

from services.console.tables import ATTEMPTS, DEEDS, SESSIONS, SIGN_INS
from services.console.web.rights import Caller
from shared.console_settings import SessionLimits

NO_TRUST: Final = ""
SIGN_IN_TIME: Final = timedelta(minutes=10)
"""How long somebody may take at the identity provider."""
WINDOW: Final = timedelta(minutes=15)
"""Attempts to sign in are counted for so long."""
SEEN_EVERY: Final = timedelta(minutes=1)
"""A session in use is written down as seen so often, not at every request."""

Now = Callable[[], datetime]


def real_now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody signed in."""

    id: str
    caller: Caller
    csrf: str


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in on its way through the identity provider."""

    state: str
    nonce: str
    verifier: str
    next: str


class Sessions:
    """Sessions, sign-ins under way, attempts, and the record of who did what."""

    def __init__(self, engine: AsyncEngine, limits: SessionLimits, now: Now = real_now) -> None:
        self._engine = engine
        self._idle = timedelta(minutes=limits.idle_minutes)
        self._absolute = timedelta(hours=limits.absolute_hours)
        self._now = now

    async def open(self, caller: Caller) -> str:
        """Begin a session; return the cookie's value. It is always a new one, so that none can be planted."""
        cookie = secrets.token_urlsafe(32)
        now = self._now()
        async with self._engine.begin() as connection:
            await connection.execute(
                delete(SESSIONS).where(SESSIONS.c.vpd == NO_TRUST, SESSIONS.c.seen_at < now - self._idle)
            )
            await connection.execute(
                insert(SESSIONS).values(
                    vpd=NO_TRUST,
                    id=hashed(cookie),
                    who=caller.who,
                    name=caller.name,
                    roles={vpd: sorted(roles) for vpd, roles in caller.roles.items()},
                    csrf=secrets.token_urlsafe(32),
                    started_at=now,
                    seen_at=now,
                )
            )
        await self.write_down(NO_TRUST, caller.who, "signed in")
        return cookie

    async def find(self, cookie: str, *, by_hand: bool) -> Session | None:
        """Return a session that is within its limits. Only what somebody does ``by_hand`` keeps it from going idle."""
        if not cookie:
            return None
        now = self._now()
        mine = (SESSIONS.c.vpd == NO_TRUST) & (SESSIONS.c.id == hashed(cookie))
        async with self._engine.begin() as connection:
            row = (await connection.execute(select(SESSIONS).where(mine))).first()
            if row is None:
                return None
            if row.seen_at < now - self._idle or row.started_at < now - self._absolute:
                await connection.execute(delete(SESSIONS).where(mine))
                return None
            if by_hand and row.seen_at < now - SEEN_EVERY:
                await connection.execute(update(SESSIONS).where(mine).values(seen_at=now))
        roles = {vpd: frozenset(names) for vpd, names in row.roles.items()}
        return Session(row.id, Caller(row.who, row.name, roles), row.csrf)

    async def close(self, session: Session) -> None:
        """End a session."""
        async with self._engine.begin() as connection:
            await connection.execute(delete(SESSIONS).where(SESSIONS.c.vpd == NO_TRUST, SESSIONS.c.id == session.id))
        await self.write_down(NO_TRUST, session.caller.who, "signed out")

    async def begin(self, path: str) -> tuple[str, Begun]:
        """Begin a sign-in; return the cookie's value and what goes to the identity provider."""
        cookie = secrets.token_urlsafe(32)
        begun = Begun(secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48), path)
        now = self._now()
        async with self._engine.begin() as connection:
            await connection.execute(
                delete(SIGN_INS).where(SIGN_INS.c.vpd == NO_TRUST, SIGN_INS.c.started_at < now - SIGN_IN_TIME)
            )
            await connection.execute(
                insert(SIGN_INS).values(
                    vpd=NO_TRUST,
                    id=hashed(cookie),
                    state=begun.state,
                    nonce=begun.nonce,
                    verifier=begun.verifier,
                    next=begun.next,
                    started_at=now,
                )
            )
        return cookie, begun

    async def come_back(self, cookie: str) -> Begun | None:
        """Take a sign-in that comes back from the identity provider; each can be taken once."""
        mine = (SIGN_INS.c.vpd == NO_TRUST) & (SIGN_INS.c.id == hashed(cookie))
        async with self._engine.begin() as connection:
            row = (await connection.execute(delete(SIGN_INS).where(mine).returning(*SIGN_INS.c))).first()
        if row is None or row.started_at < self._now() - SIGN_IN_TIME:
            return None
        return Begun(row.state, row.nonce, row.verifier, row.next)

    async def attempt(self, subject: str, most: int) -> bool:
        """Count an attempt to sign in; return whether it may go on. All replicas count together."""
        now = self._now()
        query = upsert(ATTEMPTS).values(vpd=NO_TRUST, id=hashed(subject), number=1, since=now)
        counted = query.on_conflict_do_update(
            index_elements=["vpd", "id"], set_={"number": ATTEMPTS.c.number + 1}
        ).returning(ATTEMPTS.c.number)
        async with self._engine.begin() as connection:
            await connection.execute(
                delete(ATTEMPTS).where(ATTEMPTS.c.vpd == NO_TRUST, ATTEMPTS.c.since <= now - WINDOW)
            )
            number: int | None = await connection.scalar(counted)
        return (number or 0) <= most

    async def forgive(self, subject: str) -> None:
        """Forget attempts after one that succeeded."""
        async with self._engine.begin() as connection:
            await connection.execute(
                delete(ATTEMPTS).where(ATTEMPTS.c.vpd == NO_TRUST, ATTEMPTS.c.id == hashed(subject))
            )

    async def write_down(
        self, vpd: str, who: str, deed: str, *, subject: str = "", column: str = "", why: str = ""
    ) -> None:
        """Add to the record of who did what."""
        async with self._engine.begin() as connection:
            await connection.execute(
                insert(DEEDS).values(
                    vpd=vpd, at=self._now(), who=who, deed=deed, subject=subject, column=column, why=why
                )
            )


def hashed(secret: str) -> str:
    """Return what is stored in a secret's place."""
    return hashlib.sha256(secret.encode()).hexdigest()
