"""Watches the file calendar: silence, late files, early files. Each is told once."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.ingest.calendar import LOOK_BACK, Alarm, Arrival, look
from services.ingest.domain import FEED, File
from services.ingest.schema import ALARMS, FEEDS, FILES
from shared import events
from shared.clock import LONDON
from shared.config import WEEKDAYS, TrustConfig
from shared.db.unit import Unit, Work

log = structlog.get_logger(__name__)


class Watch:
    """Compares what came with what was to come, for every trust."""

    def __init__(self, work: Work, trusts: Sequence[TrustConfig], taken: Callable[[], int]) -> None:
        self._work = work
        self._calendars: Mapping[str, TrustConfig] = {trust.vpd: trust for trust in trusts}
        self._taken = taken
        self._looked: tuple[datetime, int] | None = None

    async def run(self) -> int:
        """Tell what is new; return how many alarms were raised.

        Looks again once the minute has changed, or files were taken (``taken`` counts them).
        """
        now = self._work.clock.now().replace(tzinfo=None, second=0, microsecond=0)
        state = (now, self._taken())
        if state == self._looked:
            return 0
        raised = sum([await self._look(vpd, now) for vpd in self._calendars])
        self._looked = state
        return raised

    async def check(self, vpd: str, day: date) -> dict[str, int]:
        """Say of a day whether a file of its own was ``expected``, how many ``came``, and how many are accounted for.

        Alarms that hold by now are raised, too.
        """
        await self._look(vpd, self._work.clock.now().replace(tzinfo=None, second=0, microsecond=0))
        async with self._work.engine.connect() as connection:
            states = await _of_day(connection, vpd, day)
        expected = WEEKDAYS[day.weekday()] in self._calendars[vpd].calendar.days
        return {"expected": int(expected), "came": len(states), "accounted_for": states.count("complete")}

    async def _look(self, vpd: str, now: datetime) -> int:
        raised = 0
        async with self._work.unit() as unit:
            since = await _watched_since(unit.connection, vpd, now)
            arrivals = await _arrivals(unit.connection, vpd, now)
            for alarm in look(self._calendars[vpd].calendar, arrivals, since, now):
                if await self._raise(unit.connection, vpd, alarm):
                    _announce(unit, vpd, alarm)
                    raised += 1
        return raised

    async def _raise(self, connection: AsyncConnection, vpd: str, alarm: Alarm) -> bool:
        row = insert(ALARMS).values(vpd=vpd, kind=alarm.kind, subject=alarm.subject, raised_at=self._work.clock.now())
        return bool((await connection.execute(row.on_conflict_do_nothing())).rowcount)


async def listing(connection: AsyncConnection, vpd: str) -> list[dict[str, Any]]:
    """Return the alarms of a trust, the newest first."""
    query = select(ALARMS).where(ALARMS.c.vpd == vpd).order_by(ALARMS.c.raised_at.desc(), ALARMS.c.subject)
    return [
        {"kind": row.kind, "subject": row.subject, "raised_at": row.raised_at.isoformat()}
        for row in await connection.execute(query)
    ]


async def _watched_since(connection: AsyncConnection, vpd: str, now: datetime) -> datetime:
    await connection.execute(insert(FEEDS).values(vpd=vpd, watched_since=now).on_conflict_do_nothing())
    since: datetime | None = await connection.scalar(select(FEEDS.c.watched_since).where(FEEDS.c.vpd == vpd))
    return since or now


async def _arrivals(connection: AsyncConnection, vpd: str, now: datetime) -> list[Arrival]:
    """Return the feed files that came lately, and the last one whenever it came."""
    query = select(FILES).where(FILES.c.vpd == vpd, FILES.c.stream == FEED, FILES.c.number > 0)
    recent = FILES.c.received_at > now.replace(tzinfo=LONDON) - timedelta(days=LOOK_BACK + 1)
    rows = [
        *await connection.execute(query.where(recent)),
        *await connection.execute(query.order_by(FILES.c.received_at.desc()).limit(1)),
    ]
    return [
        Arrival(
            row.name,
            row.number,
            File(row.name, "", row.number, 0, "", "checked").day,
            row.received_at.astimezone(LONDON).replace(tzinfo=None),
        )
        for row in rows
    ]


async def _of_day(connection: AsyncConnection, vpd: str, day: date) -> list[str]:
    """Return the states of the feed files of a day, whenever they came."""
    query = select(FILES.c.name, FILES.c.number, FILES.c.status)
    query = query.where(FILES.c.vpd == vpd, FILES.c.stream == FEED, FILES.c.number > 0)
    after = datetime.combine(day - timedelta(days=LOOK_BACK), datetime.min.time(), LONDON)
    rows = await connection.execute(query.where(FILES.c.received_at > after))
    return [row.status for row in rows if File(row.name, "", row.number, 0, "", "checked").day == day]


def _announce(unit: Unit, vpd: str, alarm: Alarm) -> None:
    cause = events.Cause(FEED, alarm.name, alarm.number)
    if alarm.kind == "silent":
        said: events.FileEvent = events.FeedSilent(vpd=vpd, cause=cause, status="silent", days=alarm.days)
    elif alarm.kind == "late":
        said = events.FileLate(vpd=vpd, cause=cause, status="late", day=alarm.subject)
    else:
        said = events.FileEarly(vpd=vpd, cause=cause, status="early")
    unit.emit(said, alarm.kind, alarm.subject)
    log.warning("file calendar", vpd=vpd, kind=alarm.kind, file=alarm.name)
