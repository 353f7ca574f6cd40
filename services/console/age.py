"""How long dead letters have waited: measured all the time, with an alarm, so that none is found days later."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import structlog
from prometheus_client import Gauge
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.limits import Limits
from services.console.tables import LETTERS
from shared.db.unit import Work

OLDEST: Final = Gauge(
    "esrbridge_dead_letter_oldest_seconds", "Age of a trust's oldest dead letter that is open and not held.", ["vpd"]
)
ALARM: Final = Gauge(
    "esrbridge_dead_letter_alarm", "1 while a trust's oldest open dead letter is older than it may be.", ["vpd"]
)

log = structlog.get_logger(__name__)


class Watch:
    """Looks at the age of each trust's oldest open letter."""

    def __init__(self, work: Work, vpds: Sequence[str], limits: Limits | None = None) -> None:
        self._work = work
        self._vpds = vpds
        self._limits = limits or Limits()
        self._alarmed: set[str] = set()

    async def run(self) -> int:
        """Measure every trust; the alarm is logged once, when it goes up. Returns zero: there is never more to do."""
        for vpd in self._vpds:
            async with self._work.engine.connect() as connection:
                told = await self.alarm(connection, vpd)
            OLDEST.labels(vpd).set(told["oldest_seconds"])
            ALARM.labels(vpd).set(1 if told["alarm"] else 0)
            if told["alarm"] and vpd not in self._alarmed:
                log.error("dead letters wait for too long", vpd=vpd, seconds=told["oldest_seconds"])
            (self._alarmed.add if told["alarm"] else self._alarmed.discard)(vpd)
        return 0

    async def alarm(self, connection: AsyncConnection, vpd: str) -> dict[str, Any]:
        """Return the oldest open letter of a trust, its age, and whether that is too much."""
        now = self._work.clock.now()
        row = await oldest(connection, vpd, now)
        seconds = int((now - row.first_at).total_seconds()) if row else 0
        return {
            "oldest": row.id if row else None,
            "oldest_seconds": seconds,
            "alarm_hours": self._limits.alarm_hours,
            "alarm": seconds > self._limits.alarm_hours * 3600,
        }


async def oldest(connection: AsyncConnection, vpd: str, now: datetime) -> Any:  # noqa: ANN401 - a row, or None
    """Return id and age of the oldest open letter that is not held."""
    query = select(LETTERS.c.id, LETTERS.c.first_at).where(LETTERS.c.vpd == vpd, LETTERS.c.state == "open")
    free = query.where((LETTERS.c.hold_until.is_(None)) | (LETTERS.c.hold_until <= now))
    return (await connection.execute(free.order_by(LETTERS.c.first_at, LETTERS.c.id).limit(1))).first()
