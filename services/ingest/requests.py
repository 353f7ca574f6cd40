"""Asks ESR for a full file: a request (CSR, GDR) timed so that it leaves neither gap nor overlap."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Row, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.ingest.domain import FEED, snapshot_moment
from services.ingest.schema import FILES, REQUESTS
from services.ingest.store import lock_trust
from shared import events
from shared.db.unit import Work
from shared.errors import BridgeError
from shared.esr.contract import prove_file
from shared.esr.layout import Kind
from shared.esr.profile import Profile
from shared.esr.writer import REQUEST_NUMBER, write_file
from shared.files import put_file

log = structlog.get_logger(__name__)


class FileActionError(BridgeError):
    """What an operator asked for cannot be done with this file."""

    code = "FILE_ACTION"


class Requests:
    """Writes and delivers snapshot requests."""

    def __init__(self, work: Work, profiles: Mapping[str, Profile], files: Path) -> None:
        self._work = work
        self._profiles = profiles
        self._files = files

    async def ask(self, vpd: str, who: str, why: str) -> dict[str, Any]:
        """Note a request for a full file and return it; asking twice for the same moment is asking once.

        Raises FileActionError when the trust's profile has no request.
        """
        profile = self._profiles.get(vpd)
        kind = request_kind(profile) if profile else None
        if profile is None or kind is None:
            raise FileActionError(f"trust {vpd} is not served here, or its profile has no request for a full file")
        now = self._work.clock.now()
        async with self._work.unit() as unit:
            await lock_trust(unit.connection, vpd)
            as_at = snapshot_moment(now.replace(tzinfo=None), await _last_window_end(unit.connection, vpd))
            name = profile.file_name(vpd, kind.code, as_at.date(), REQUEST_NUMBER)
            row = insert(REQUESTS).values(vpd=vpd, as_at=as_at, name=name, asked_at=now, who=who, why=why)
            noted = await unit.connection.execute(row.on_conflict_do_nothing())
            if noted.rowcount:
                cause = events.Cause("", name, 0)
                unit.emit(
                    events.SnapshotRequested(vpd=vpd, cause=cause, status="requested", as_at=as_at.isoformat()), name
                )
                log.info("full file requested", vpd=vpd, file=name)
        return {"vpd": vpd, "file": name, "as_at": as_at.isoformat()}

    async def on_break(self, vpd: str) -> None:
        """Ask for a full file where the profile says so as soon as windows do not meet; else an operator decides."""
        if self._profiles[vpd].control.window.on_break == "hold_and_request_full":
            await self.ask(vpd, "ingest", "a file's window does not begin where the last one ended (F008)")

    async def deliver(self) -> int:
        """Put noted requests into the folders ESR collects from; return how many."""
        async with self._work.engine.connect() as connection:
            ready = await _undelivered(connection, sorted(self._profiles))
        for row in ready:
            content = self._content(row)
            prove_file(self._profiles[row.vpd], row.name, content, vpd=row.vpd)
            put_file(self._files / row.vpd / "to-esr" / row.name, content)
            async with self._work.engine.begin() as connection:
                await connection.execute(
                    update(REQUESTS)
                    .where(REQUESTS.c.vpd == row.vpd, REQUESTS.c.as_at == row.as_at)
                    .values(delivered_at=self._work.clock.now())
                )
        return len(ready)

    def _content(self, row: Row[*tuple[Any, ...]]) -> bytes:
        profile = self._profiles[row.vpd]
        kind = request_kind(profile)
        if kind is None:
            raise FileActionError(f"the profile of trust {row.vpd} no longer has a request for a full file")
        return write_file(
            profile,
            kind.code,
            vpd=row.vpd,
            date=row.as_at.date(),
            seq=REQUEST_NUMBER,
            created=row.as_at,
            previous_run=None,
            current_run=row.as_at,
            records=[],
        )


def request_kind(profile: Profile) -> Kind | None:
    """Return the kind of file that asks for a full file; None when the profile has none."""
    return next((one for one in profile.kinds.values() if one.mode == "request" and one.flow == "lms_to_esr"), None)


async def listing(connection: AsyncConnection, vpd: str) -> list[dict[str, Any]]:
    """Return the requests of a trust, the newest first."""
    query = select(REQUESTS).where(REQUESTS.c.vpd == vpd).order_by(REQUESTS.c.as_at.desc())
    return [
        {
            "file": row.name,
            "as_at": row.as_at.isoformat(),
            "who": row.who,
            "why": row.why,
            "delivered": row.delivered_at is not None,
        }
        for row in await connection.execute(query)
    ]


async def _last_window_end(connection: AsyncConnection, vpd: str) -> datetime | None:
    """Return where the newest window known ends, of files applied or waiting."""
    query = select(func.max(FILES.c.current_run)).where(
        FILES.c.vpd == vpd, FILES.c.stream == FEED, FILES.c.status != "quarantined"
    )
    found: datetime | None = await connection.scalar(query)
    return found


async def _undelivered(connection: AsyncConnection, vpds: Sequence[str]) -> Sequence[Row[*tuple[Any, ...]]]:
    query = select(REQUESTS).where(REQUESTS.c.delivered_at.is_(None), REQUESTS.c.vpd.in_(vpds))
    return (await connection.execute(query.order_by(REQUESTS.c.vpd, REQUESTS.c.as_at))).all()
