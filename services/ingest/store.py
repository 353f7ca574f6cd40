"""The tables of ``ingest``: files, their checkpoints and their accounts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.ingest.domain import ACCEPTED, File, Ruling
from services.ingest.schema import FILES, METADATA
from services.ingest.source import Checked
from shared.accounting import Fate, summary

__all__ = ["METADATA"]

AnyRow = Row[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file as it was found in a folder."""

    vpd: str
    name: str
    sha256: str
    origin: str
    size: int
    mtime_ns: int


NEW: Final = 0
KNOWN: Final = -1


async def add(connection: AsyncConnection, arrival: Arrival, moment: datetime) -> int:
    """Note an arrival; return NEW, KNOWN (seen before in this place) or how often the same bytes have come again."""
    row = insert(FILES).values(
        vpd=arrival.vpd,
        name=arrival.name,
        sha256=arrival.sha256,
        origin=arrival.origin,
        size=arrival.size,
        mtime_ns=arrival.mtime_ns,
        received_at=moment,
        status="received",
    )
    added = await connection.execute(row.on_conflict_do_nothing().returning(FILES.c.name))
    if added.first() is not None:
        return NEW
    repeated = await connection.scalar(
        update(FILES)
        .where(is_arrival(arrival.vpd, arrival.name, arrival.sha256), FILES.c.mtime_ns < arrival.mtime_ns)
        .values(repeats=FILES.c.repeats + 1, mtime_ns=arrival.mtime_ns, purged_at=None)
        .returning(FILES.c.repeats)
    )
    return repeated or KNOWN


async def known(
    connection: AsyncConnection, vpd: str, places: Sequence[tuple[str, int, int]]
) -> set[tuple[str, int, int]]:
    """Return which of these (name, size, time of change) were taken before: names are remembered for ever."""
    columns = {
        "vpd": vpd,
        "name": [name for name, _, _ in places],
        "size": [size for _, size, _ in places],
        "mtime": [mtime for _, _, mtime in places],
    }
    return {(row.name, row.size, row.mtime_ns) for row in await connection.execute(_KNOWN, columns)}


async def unchecked(connection: AsyncConnection, vpds: Sequence[str]) -> Sequence[AnyRow]:
    """Return arrivals of these trusts whose structure has not been checked.

    The oldest first: files without a number of their own are numbered in this order.
    """
    waiting = select(FILES).where(FILES.c.status == "received", FILES.c.vpd.in_(vpds))
    query = waiting.order_by(FILES.c.vpd, FILES.c.mtime_ns, FILES.c.name)
    return (await connection.execute(query)).all()


async def set_checked(connection: AsyncConnection, vpd: str, name: str, sha256: str, checked: Checked) -> bool:
    """Note what checking found; return False when a replica did so before."""
    first = checked.faults[0] if checked.faults else None
    number = checked.number
    if not number and not first:
        number = int(await connection.scalar(_NEXT_NUMBER, {"vpd": vpd, "stream": checked.stream}) or 1)
    done = await connection.execute(
        update(FILES)
        .where(is_arrival(vpd, name, sha256), FILES.c.status == "received")
        .values(
            status="quarantined" if first else "checked",
            code=first.code if first else "",
            reason=first.text if first else "",
            faults=[
                {"code": fault.code, "line": fault.line, "column": fault.column, "text": fault.text}
                for fault in checked.faults
            ],
            stream=checked.stream,
            kind=checked.kind,
            mode=checked.mode,
            number=number,
            seq=checked.seq or number,
            records=checked.records,
            previous_run=checked.previous_run,
            current_run=checked.current_run,
        )
    )
    return bool(done.rowcount)


async def lock_trust(connection: AsyncConnection, vpd: str) -> None:
    """Let replicas rule on a trust's files one after the other."""
    await connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 7))"), {"key": f"ingest/{vpd}"})


async def streams_with_waiting(connection: AsyncConnection) -> list[tuple[str, str]]:
    """Return (trust, stream) wherever sound files have not been let in yet."""
    query = select(FILES.c.vpd, FILES.c.stream).distinct().where(FILES.c.status.in_(("checked", "held")))
    return [(row.vpd, row.stream) for row in await connection.execute(query.order_by(FILES.c.vpd, FILES.c.stream))]


RECENT: Final = 100
"""Files of a stream, back from the newest, that may still bear on the order: far more than a week brings."""


async def of_stream(connection: AsyncConnection, vpd: str, stream: str) -> list[File]:
    """Return a stream's files as far as order is concerned: those waiting, accepted, or passed over by an operator.

    Of those that are settled only the recent ones, and older ones whose name a waiting file bears.
    """
    rows = await connection.execute(_OF_STREAM, {"vpd": vpd, "stream": stream, "recent": RECENT})
    return [
        File(
            name=row.name,
            sha256=row.sha256,
            number=row.number,
            seq=row.seq,
            mode=row.mode,
            status=row.status,
            code=row.code,
            previous_run=row.previous_run,
            current_run=row.current_run,
            released=row.released,
        )
        for row in rows
    ]


async def apply_ruling(connection: AsyncConnection, vpd: str, ruling: Ruling) -> None:
    """Store what was ruled on a file."""
    await connection.execute(
        update(FILES)
        .where(is_arrival(vpd, ruling.file.name, ruling.file.sha256))
        .values(status=ruling.status, code=ruling.code, reason=ruling.reason)
    )


async def lock_accepted(connection: AsyncConnection, files: Sequence[tuple[str, str]]) -> dict[tuple[str, str], AnyRow]:
    """Lock the accepted files of these names in key order."""
    ordered = sorted(files)
    rows = await connection.execute(_LOCK, {"vpd": [vpd for vpd, _ in ordered], "name": [name for _, name in ordered]})
    return {(row.vpd, row.name): row for row in rows}


async def save_fates(
    connection: AsyncConnection, row: AnyRow, fates: Counter[Fate], *, complete_at: datetime | None
) -> None:
    """Store a file's account, and its completion."""
    values: dict[str, Any] = {"fates": {str(int(fate)): number for fate, number in sorted(fates.items()) if number}}
    if complete_at is not None:
        values |= {"status": "complete", "completed_at": complete_at}
    await connection.execute(update(FILES).where(is_arrival(row.vpd, row.name, row.sha256)).values(values))


def fates_of(row: AnyRow) -> Counter[Fate]:
    """Return a file's account by fate."""
    return Counter({Fate(int(fate)): number for fate, number in row.fates.items()})


async def overview(connection: AsyncConnection, vpd: str) -> list[dict[str, Any]]:
    """Return every arrival of a trust with its status and account, in order of arrival."""
    query = (
        select(FILES)
        .where(FILES.c.vpd == vpd)
        .order_by(FILES.c.received_at, FILES.c.stream, FILES.c.number, FILES.c.name)
    )
    return [describe(row) for row in await connection.execute(query)]


def describe(row: AnyRow) -> dict[str, Any]:
    """Return one arrival as APIs and the command line show it."""
    fates = fates_of(row)
    accounted = summary(fates) if row.status in ACCEPTED else {}
    reasons = {fate.reason: number for fate, number in fates.items() if fate.group in ("parked", "ignored")}
    return {
        "vpd": row.vpd,
        "name": row.name,
        "received_at": row.received_at.isoformat(),
        "kind": row.kind,
        "status": row.status,
        "code": row.code,
        "reason": row.reason,
        "faults": row.faults,
        "repeats": row.repeats,
        "records": row.records,
        "accounted": accounted,
        "reasons": reasons,
        "adds_up": row.status == "complete",
        "released": row.released,
        "answered": row.answered,
        "sha256": row.sha256,
    }


def is_arrival(vpd: str, name: str, sha256: str) -> Any:  # noqa: ANN401 - a SQL condition
    """Return the condition that names one arrival."""
    return (FILES.c.vpd == vpd) & (FILES.c.name == name) & (FILES.c.sha256 == sha256)


_NEXT_NUMBER: Final = text(
    "SELECT COALESCE(max(number), 0) + 1 FROM ingest.files WHERE vpd = :vpd AND stream = :stream"
)

_OF_STREAM: Final = text(
    "WITH stream AS MATERIALIZED ("
    "SELECT name, sha256, number, seq, mode, status, code, previous_run, current_run, released FROM ingest.files "
    "WHERE vpd = :vpd AND stream = :stream AND status NOT IN ('received', 'quarantined', 'refused')), "
    "waiting AS (SELECT * FROM stream WHERE status IN ('checked', 'held')), "
    "settled AS (SELECT * FROM stream WHERE status NOT IN ('checked', 'held')) "
    "SELECT * FROM waiting UNION "
    "SELECT * FROM settled WHERE status NOT IN ('complete', 'discarded') OR name IN (SELECT name FROM waiting) "
    "OR number >= (SELECT min(number) FROM (SELECT number FROM settled ORDER BY number DESC LIMIT :recent) n)"
)

_KNOWN: Final = text(
    "SELECT DISTINCT f.name, f.size, f.mtime_ns FROM ingest.files f "
    "JOIN unnest(CAST(:name AS text[]), CAST(:size AS bigint[]), CAST(:mtime AS bigint[])) AS t(name, size, mtime_ns) "
    "USING (name, size, mtime_ns) WHERE f.vpd = :vpd"
)

_LOCK: Final = text(
    "SELECT f.* FROM ingest.files f JOIN unnest(CAST(:vpd AS text[]), CAST(:name AS text[])) AS t(vpd, name) "
    "USING (vpd, name) WHERE f.status IN ('ready', 'splitting', 'split', 'complete') "
    "ORDER BY f.vpd, f.name FOR UPDATE OF f"
)
