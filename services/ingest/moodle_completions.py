"""Takes course completions from Moodle, as a file of our own form, each once.

A completion may surface late and with an older time, so each read goes back over days, and from time to time everything
is read. What was handed in is known by person, course and second.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import httpx
import structlog

from services.ingest import collected, moodle_ledger
from services.ingest.batch import FROM_MOODLE, as_file
from services.ingest.keeping import Archived, keep
from services.ingest.moodle_ledger import ReadSoFar
from services.ingest.moodle_report import FIRST, Report, Row
from services.ingest.moodle_seconds import Seconds
from services.ingest.store import Arrival
from shared.clock import LONDON
from shared.config import TrustConfig
from shared.db.unit import Work
from shared.lms_csv import FIELDS
from shared.moodle.call import MoodleCall
from shared.secret_file import secret
from shared.throttle import Throttled
from shared.transport.rounds import CARRIED, Done, Line, Pace, Rounds

JOB: Final = "moodle-completions"
FOLDER: Final = "moodle"

SETTLED: Final = 2
"""Seconds after which nothing more is expected to be written for a second by calls under way."""

STEP: Final = 200
"""Completions of one file. What a killed process has asked Moodle in vain is no more than this."""

MOST: Final = 2000
"""Completions of one visit, so that others get their turn during a first read."""

log = structlog.get_logger(__name__)


class MoodleReader:
    """Reads the reports of every trust that has one. ``transport`` stands in for the network."""

    def __init__(
        self,
        work: Work,
        trusts: Sequence[TrustConfig],
        archived: Archived,
        *,
        pace: Pace | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Read the token files. Raises ConfigurationError."""
        self._work = work
        self._archived = archived
        self._turns: dict[str, asyncio.Lock] = {}
        visits = {}
        for trust in trusts:
            settings = trust.lms.moodle.completions
            if settings.report:
                visit = partial(self._visit, _Site(trust, settings.report, transport))
                visits[Line(trust.vpd, FOLDER, urlsplit(trust.lms.url).hostname or "")] = visit
        self._rounds = Rounds(JOB, visits, pace or Pace(at_work=2))

    @property
    def waiting(self) -> Mapping[str, str]:
        """Code of the last failure of each trust whose report waits."""
        return self._rounds.waiting

    async def run(self) -> int:
        """Read the reports that are due; return how many files came, at least 1 while a read goes on."""
        return await self._rounds.run()

    async def _visit(self, site: "_Site") -> Done:
        """Read one report, unless somebody else is at it: the site keeps one filter for a token and a report."""
        async with (
            self._turns.setdefault(site.key, asyncio.Lock()),
            self._rounds.at_work,
            collected.turn(self._work.engine, "", site.key) as free,
        ):
            try:
                return await self._read(site) if free else Done(0, site.every)
            finally:
                await site.way.aclose()

    async def _read(self, site: "_Site") -> Done:
        now = self._work.clock.now()
        last = int(now.timestamp()) - SETTLED
        async with self._work.engine.connect() as connection:
            before = await moodle_ledger.read_so_far(connection, site.vpd, site.number)
        full = before is None or now - before.full_at >= timedelta(days=site.settings.full_read_days)
        first = site.first(last, None if full else before)
        await site.report.check()
        rows = sorted(row for row in await site.report.rows(first, last) if row.user.startswith(f"{site.vpd}-"))
        async with self._work.engine.connect() as connection:
            fresh = await moodle_ledger.fresh(connection, site.vpd, rows)
        files = sum(
            [await self._take(site, fresh[at : at + STEP], first, last) for at in range(0, len(fresh[:MOST]), STEP)]
        )
        if len(fresh) > MOST:
            return Done(files)
        said = ReadSoFar(last, now if full or before is None else before.full_at)
        async with self._work.engine.begin() as connection:
            await moodle_ledger.note_read(connection, site.vpd, site.number, said)
        return Done(files, site.every)

    async def _take(self, site: "_Site", rows: Sequence[Row], first: int, last: int) -> int:
        """Hand new completions in and note them, both or neither; return how many files that made."""
        seconds = await site.seconds.of(rows, first, last)
        async with self._work.unit() as unit:
            held = await moodle_ledger.handed_in(unit.connection, site.vpd, seconds)
            new = {row: second for row, second in seconds.items() if row not in held}
            content = _file(new)
            sha256 = hashlib.sha256(content).hexdigest()
            # No time of change: the same content is the same file, whenever it comes.
            arrival = Arrival(site.vpd, f"{FROM_MOODLE}{sha256[:32]}.csv", sha256, "lms", len(content), mtime_ns=0)
            if new:
                await keep(unit, self._archived, arrival, content, self._work.clock.now())
            await moodle_ledger.note(unit.connection, site.vpd, seconds, arrival.name)
        if new:
            CARRIED.labels(JOB, site.vpd, FOLDER).inc()
            log.info("completions read", vpd=site.vpd, origin=FOLDER, count=len(new))
        return int(bool(new))


class _Site:
    """One trust's report."""

    def __init__(self, trust: TrustConfig, report: int, transport: httpx.AsyncBaseTransport | None) -> None:
        lms = trust.lms
        token = secret(trust.vpd, lms.token_file)
        token()
        self.vpd = trust.vpd
        self.settings = lms.moodle.completions
        self.number = report
        self.every = self.settings.every_minutes * 60.0
        self.key = f"{FOLDER}:{lms.url}:{report}"
        self.way = Throttled(transport or httpx.AsyncHTTPTransport(), lms.calls_per_minute)
        """Closed after each visit, which lets go of connections and can be used again."""
        call = MoodleCall(
            lms.url,
            token,
            timeout=lms.timeout_seconds,
            variables=lms.moodle.variables,
            transport=self.way,
        )
        self.report = Report(call, report, self.settings.columns)
        self.seconds = Seconds(call, self.report)

    def first(self, last: int, before: ReadSoFar | None) -> int:
        """Return the second to read from: with ``before`` some days before its end, else as early as is wanted."""
        since = self.settings.since
        earliest = int(datetime.combine(since, time(), LONDON).timestamp()) if since else FIRST
        if before is not None:
            overlap = timedelta(days=self.settings.overlap_days)
            earliest = max(earliest, int(min(before.high, last) - overlap.total_seconds()))
        return max(FIRST, min(earliest, last))


def _file(seconds: Mapping[Row, int]) -> bytes:
    return as_file(FIELDS, [_fields(row, second) for row, second in sorted(seconds.items())])


def _fields(row: Row, second: int) -> dict[str, str]:
    """Return a completion as our own form tells it. The reference follows from what makes it the same completion."""
    identity = f"{row.user}|{row.course}|{second}"
    return {
        "reference": f"M{hashlib.sha256(identity.encode()).hexdigest()[:31]}",
        "user_idnumber": row.user,
        "certification_idnumber": row.course,
        "completed_at": datetime.fromtimestamp(second, UTC).isoformat(),
        "course_idnumber": row.course,
    }
