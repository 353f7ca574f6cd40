"""Looks at what time brings: answers that are overdue, and answers that still fit nothing. Each is told once.

Any number of replicas may look at once: a row that one has in hand is passed over by the others.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

import structlog
from sqlalchemy import Row, and_, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.confirmations import figures
from services.confirmations.deadlines import due_at, overdue_upto
from services.confirmations.intake import CMC
from services.confirmations.metrics import OLDEST_OPEN, OVERDUE, UNMATCHED
from services.confirmations.schema import ITEMS
from shared import events
from shared.config import TrustConfig
from shared.db.unit import Unit, Work

MOST: Final = 500
"""Things told in one transaction."""

log = structlog.get_logger(__name__)


class Watch:
    """Watches deadlines and findings of every trust."""

    def __init__(self, work: Work, trusts: Sequence[TrustConfig], patience: float = 0.0) -> None:
        """``patience``: seconds before it is told that an answer is odd; what it fits may be on its way."""
        self._work = work
        self._trusts: Mapping[str, TrustConfig] = {trust.vpd: trust for trust in trusts}
        self._patience = patience
        self._measured: datetime | None = None

    async def run(self) -> int:
        """Tell what is overdue and what fits nothing; return how many were told."""
        told = await self._overdue(tuple(self._trusts)) + await self._unfit()
        await self._measure()
        return told

    async def check(self, vpd: str, day: date) -> Mapping[str, int]:
        """Tell what is overdue by now, and return how many items due by the end of a day are open and overdue.

        Harmless to run again, for any day. A trust that is not served has none.
        """
        trust = self._trusts.get(vpd)
        if trust is None:
            return {"open": 0, "overdue": 0}
        while await self._overdue((vpd,)):
            pass
        end = datetime.combine(day, datetime.max.time(), self._work.clock.now().tzinfo)
        upto = overdue_upto(trust.calendar, trust.completions.answer_days, end)
        async with self._work.engine.connect() as connection:
            return await _open_upto(connection, vpd, upto)

    async def _overdue(self, vpds: Sequence[str]) -> int:
        now = self._work.clock.now()
        upto = {
            vpd: overdue_upto(self._trusts[vpd].calendar, self._trusts[vpd].completions.answer_days, now)
            for vpd in vpds
        }
        said = {vpd: day for vpd, day in upto.items() if day is not None}
        async with self._work.unit() as unit:
            columns = {"vpd": list(said), "upto": list(said.values()), "now": now, "most": MOST}
            rows = list(await unit.connection.execute(_OVERDUE, columns))
            for row in rows:
                self._announce(unit, row)
        return len(rows)

    def _announce(self, unit: Unit, row: Row[Any]) -> None:
        trust = self._trusts[row.vpd]
        due = due_at(trust.calendar, trust.completions.answer_days, row.sent_on)
        event = events.ConfirmationOverdue(
            vpd=row.vpd, cause=events.Cause("", "", 0), reference=row.reference, person_id=row.person_id, key=row.key,
            sent_file=row.sent_file, position=row.position, change=row.change, sent_at=row.sent_at.isoformat(),
            due_at=due.isoformat() if due else "",
        )  # fmt: skip
        unit.emit(event, row.sent_file, row.position)

    async def _unfit(self) -> int:
        """Write down what still fits nothing, then tell every finding that stands and was not told."""
        limits = {"patience": self._patience, "most": MOST}
        async with self._work.unit() as unit:
            found = [await unit.connection.execute(statement, limits) for statement in (_UNFIT_HEADS, _UNFIT)]
            rows = list(await unit.connection.execute(_UNTOLD, limits))
            for row in rows:
                _announce_unmatched(unit, row)
        return len(rows) + sum(max(one.rowcount, 0) for one in found)

    async def _measure(self) -> None:
        """Set the gauges, once a minute."""
        now = self._work.clock.now().replace(second=0, microsecond=0)
        if self._measured == now:
            return
        async with self._work.engine.connect() as connection:
            for vpd in self._trusts:
                await measure(connection, vpd, self._work.clock.now())
        self._measured = now


async def measure(connection: AsyncConnection, vpd: str, now: datetime) -> None:
    """Set a trust's gauges."""
    open_items = await figures.open_now(connection, vpd)
    OVERDUE.labels(vpd).set(open_items["overdue"])
    oldest = open_items["oldest"]
    OLDEST_OPEN.labels(vpd).set((now - oldest).total_seconds() if oldest else 0)
    UNMATCHED.labels(vpd).set(await figures.count_unmatched(connection, vpd))


async def _open_upto(connection: AsyncConnection, vpd: str, upto: date | None) -> dict[str, int]:
    """Return how many items sent on a day or before are open, and how many of these were told to be overdue."""
    if upto is None:
        return {"open": 0, "overdue": 0}
    mine = and_(ITEMS.c.vpd == vpd, ITEMS.c.state == "open", ITEMS.c.sent_on <= upto)
    query = select(func.count(), figures.number_of(ITEMS.c.overdue_at.is_not(None))).where(mine)
    number, overdue = (await connection.execute(query)).one()
    return {"open": number, "overdue": overdue}


def _announce_unmatched(unit: Unit, row: Row[Any]) -> None:
    event = events.ConfirmationUnmatched(
        vpd=row.vpd, cause=events.Cause(CMC, row.file, row.file_no), line=row.line, reason=row.reason,
        reference=row.reference, sent_file=row.sent_file, position=row.position or 0,
    )  # fmt: skip
    unit.emit(event, row.file, row.line, row.reason)
    log.warning("an answer of ESR is odd", vpd=row.vpd, file=row.file, line=row.line, code=row.reason)


_OVERDUE: Final = text(
    "UPDATE confirmations.items i SET overdue_at = :now FROM (SELECT o.vpd, o.sent_file, o.position "
    "FROM unnest(CAST(:vpd AS text[]), CAST(:upto AS date[])) AS t(vpd, upto) JOIN confirmations.items o "
    "ON o.vpd = t.vpd AND o.sent_on <= t.upto WHERE o.state = 'open' AND o.overdue_at IS NULL "
    "ORDER BY o.vpd, o.sent_on LIMIT :most FOR UPDATE OF o SKIP LOCKED) d "
    "WHERE (i.vpd, i.sent_file, i.position) = (d.vpd, d.sent_file, d.position) RETURNING i.*"
)

_UNFIT_HEADS: Final = text(
    "WITH odd AS (SELECT h.vpd, h.file, h.line FROM confirmations.file_answers h "
    "JOIN confirmations.cmc_files c USING (vpd, file) WHERE c.complete AND NOT h.known AND NOT h.told "
    "AND NOT EXISTS (SELECT FROM confirmations.sent_files s WHERE (s.vpd, s.sent_file) = (h.vpd, h.sent_file) "
    "AND s.sent > 0) ORDER BY 1, 2, 3 LIMIT :most FOR UPDATE OF h SKIP LOCKED), "
    "marked AS (UPDATE confirmations.file_answers h SET told = true FROM odd "
    "WHERE (h.vpd, h.file, h.line) = (odd.vpd, odd.file, odd.line) RETURNING h.*) "
    "INSERT INTO confirmations.findings (vpd, file, line, reason, file_no, reference, sent_file, stands) "
    "SELECT vpd, file, line, 'C101', file_no, '', sent_file, true FROM marked ON CONFLICT DO NOTHING"
)

_UNFIT: Final = text(
    "WITH odd AS (SELECT a.vpd, a.file, a.line FROM confirmations.answers a "
    "JOIN confirmations.cmc_files c USING (vpd, file) LEFT JOIN confirmations.sent_files s "
    "ON (s.vpd, s.sent_file) = (a.vpd, a.sent_file) WHERE c.complete AND NOT a.fits AND NOT a.told "
    "AND (a.head = 0 OR s.sent > 0) ORDER BY 1, 2, 3 LIMIT :most FOR UPDATE OF a SKIP LOCKED), "
    "marked AS (UPDATE confirmations.answers a SET told = true FROM odd "
    "WHERE (a.vpd, a.file, a.line) = (odd.vpd, odd.file, odd.line) RETURNING a.*) "
    "INSERT INTO confirmations.findings (vpd, file, line, reason, file_no, reference, sent_file, stands) "
    "SELECT m.vpd, m.file, m.line, CASE WHEN m.head = 0 THEN 'C108' WHEN EXISTS (SELECT FROM confirmations.items i "
    "WHERE (i.vpd, i.reference) = (m.vpd, m.reference)) THEN 'C103' ELSE 'C102' END, "
    "m.file_no, m.reference, m.sent_file, true FROM marked m ON CONFLICT DO NOTHING"
)

_UNTOLD: Final = text(
    "UPDATE confirmations.findings f SET told = true FROM (SELECT n.vpd, n.file, n.line, n.reason, a.position "
    "FROM confirmations.findings n JOIN confirmations.cmc_files c USING (vpd, file) "
    "LEFT JOIN confirmations.answers a ON (a.vpd, a.file, a.line) = (n.vpd, n.file, n.line) "
    "WHERE n.stands AND NOT n.told AND c.complete AND n.found_at <= now() - make_interval(secs => :patience) "
    "ORDER BY n.vpd, n.file, n.line, n.reason LIMIT :most FOR UPDATE OF n SKIP LOCKED) o "
    "WHERE (f.vpd, f.file, f.line, f.reason) = (o.vpd, o.file, o.line, o.reason) "
    "RETURNING f.vpd, f.file, f.line, f.reason, f.file_no, f.reference, f.sent_file, o.position"
)
