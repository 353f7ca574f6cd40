"""Reports that tell everything anew each time: which rows are new or different, and who is in them no more.

What was sent of each row is kept as a digest, written in the transaction that notes how far a file was sent: a file
that is read again from somewhere sends the same messages again, and nothing is left out.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.ingest.source import Report, RowKey
from services.ingest.steps import Stretch
from services.ingest.turns import Turn
from shared import records
from shared.accounting import Fate, LineFate
from shared.db.unit import Unit
from shared.lms_csv import GONE
from shared.messaging.message import Message, derived_id, trace_of
from shared.messaging.topology import LMS

FEW: Final = 100
"""So many rows may vanish between two reports, however few there are, and are told of at once."""

SHARE: Final = 0.05
"""The same as a share of all rows. More are told of when the next report leaves them out too: one that was cut short,
or made with another filter, must not end everybody's certifications."""

log = structlog.get_logger(__name__)


class Sifter:
    """Takes out of a report's rows those that say what was sent before, for one turn."""

    def __init__(self, engine: AsyncEngine, turn: Turn, report: Report) -> None:
        self._engine = engine
        self._turn = turn
        self._report = report
        self._told: set[RowKey] = set()

    async def sift(self, step: Stretch) -> None:
        """Turn rows of a step into messages, or into lines that are unchanged.

        What this very file has sent is sent again: the file is read anew because the broker forgot it, or says two
        things of one person and certification, of which the later has to come last.
        """
        rows, step.rows = step.rows, []
        if not rows:
            return
        async with self._engine.connect() as connection:
            held = await _held(connection, self._turn, self._report, [key for key, _ in rows])
        for key, message in rows:
            digest = hashlib.blake2b(message.body, digest_size=16).digest()
            if key not in self._told and held.get(key) == digest:
                step.ignored.append(LineFate(message.line, Fate.UNCHANGED, 0))
                step.seen.append(key)
            else:
                step.messages.append(message)
                step.told[key] = digest
                self._told.add(key)


async def note(unit: Unit, turn: Turn, report: Report, sent: Stretch, *, done: bool) -> None:
    """Write down which rows were sent and seen; at the end of a report of what stands now, tell who is gone."""
    told = sorted(sent.told.items(), key=lambda one: _identity(one[0]))
    if told:
        values = {"digest": [digest for _, digest in told]}
        await unit.connection.execute(_KEEP, _columns(turn, report, [key for key, _ in told]) | values)
    if report.current and sent.seen:
        await unit.connection.execute(_SEE, _columns(turn, report, sorted(set(sent.seen), key=_identity)))
    if report.current and done:
        for key in await _gone(unit.connection, turn, report):
            unit.messages.append(_message(turn, report, key, unit.timestamp))


async def _held(
    connection: AsyncConnection, turn: Turn, report: Report, keys: Sequence[RowKey]
) -> Mapping[RowKey, bytes]:
    """Return the digests of rows that an earlier file sent."""
    rows = await connection.execute(_HELD, _columns(turn, report, keys))
    return {RowKey(row.user_idnumber, row.certification_idnumber, row.moment): row.digest for row in rows}


async def _gone(connection: AsyncConnection, turn: Turn, report: Report) -> list[RowKey]:
    """Forget rows that are in the report no more, and return them; of too many only those missed before."""
    place = {"vpd": turn.vpd, "report": report.name, "number": turn.number}
    counts = (await connection.execute(_COUNT, place)).one()
    many = counts.missing > max(FEW, SHARE * counts.rows)
    if many:
        log.warning("a report leaves out many rows", vpd=turn.vpd, file=turn.name, records=counts.missing)
    rows = await connection.execute(_FORGET, place | {"all": not many})
    gone = [RowKey(row.user_idnumber, row.certification_idnumber, row.moment) for row in rows]
    if many:
        await connection.execute(_MISS, place)
    return sorted(gone, key=_identity)


def _message(turn: Turn, report: Report, key: RowKey, timestamp: int) -> Message:
    said = {
        "user_idnumber": key.user_idnumber,
        "certification_idnumber": key.certification_idnumber,
        "status": GONE,
    }
    return Message(
        exchange=LMS,
        type="certification.upsert",
        message_id=derived_id(GONE, turn.vpd, report.name, *_identity(key), turn.number),
        vpd=turn.vpd,
        body=records.encode(said),
        stream=turn.stream,
        file=turn.name,
        file_no=turn.number,
        timestamp=timestamp,
        traceparent=trace_of(turn.vpd, turn.name, 0),
    )


def _identity(key: RowKey) -> tuple[str, str, str]:
    return (key.user_idnumber, key.certification_idnumber, key.moment)


def _columns(turn: Turn, report: Report, keys: Sequence[RowKey]) -> dict[str, Any]:
    return {
        "vpd": turn.vpd,
        "report": report.name,
        "number": turn.number,
        "user_idnumber": [key.user_idnumber for key in keys],
        "certification_idnumber": [key.certification_idnumber for key in keys],
        "moment": [key.moment for key in keys],
    }


_ARRAYS: Final = (
    "unnest(CAST(:user_idnumber AS text[]), CAST(:certification_idnumber AS text[]), CAST(:moment AS text[])"
)
_NAMES: Final = "user_idnumber, certification_idnumber, moment"
_ROWS: Final = f"{_ARRAYS}) AS t({_NAMES})"
_HERE: Final = "r.vpd = :vpd AND r.report = :report"

_HELD: Final = text(
    f"SELECT {_NAMES}, h.digest FROM {_ROWS} CROSS JOIN LATERAL (SELECT r.digest, r.sent_by "  # noqa: S608
    f"FROM ingest.reported r WHERE {_HERE} AND (r.user_idnumber, r.certification_idnumber, r.moment) = "
    "(t.user_idnumber, t.certification_idnumber, t.moment) LIMIT 1) h WHERE h.sent_by <> :number"
)
"""Row by row over the key: before the database has counted a new table, it would read all of it for each step."""

_KEEP: Final = text(
    f"INSERT INTO ingest.reported AS r (vpd, report, {_NAMES}, digest, sent_by, seen_in, missed) "  # noqa: S608
    f"SELECT :vpd, :report, {_NAMES}, digest, CAST(:number AS bigint), CAST(:number AS bigint), false "
    f"FROM {_ARRAYS}, CAST(:digest AS bytea[])) AS t({_NAMES}, digest) "
    f"ON CONFLICT (vpd, report, {_NAMES}) DO UPDATE SET digest = excluded.digest, sent_by = excluded.sent_by, "
    "seen_in = excluded.seen_in, missed = false"
)

_SEE: Final = text(
    f"UPDATE ingest.reported r SET seen_in = :number, missed = false FROM {_ROWS} "  # noqa: S608
    f"WHERE {_HERE} AND (r.user_idnumber, r.certification_idnumber, r.moment) = "
    "(t.user_idnumber, t.certification_idnumber, t.moment) AND r.seen_in < :number"
)

_COUNT: Final = text(
    "SELECT count(*) AS rows, count(*) FILTER (WHERE r.seen_in < :number) AS missing "  # noqa: S608
    f"FROM ingest.reported r WHERE {_HERE}"
)

_FORGET: Final = text(
    f"DELETE FROM ingest.reported r WHERE {_HERE} AND r.seen_in < :number "  # noqa: S608
    f"AND (r.missed OR CAST(:all AS boolean)) RETURNING {_NAMES}"
)

_MISS: Final = text(f"UPDATE ingest.reported r SET missed = true WHERE {_HERE} AND r.seen_in < :number")  # noqa: S608
