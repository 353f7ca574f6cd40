"""The SQL of splitting: whose turn it is, how far a file was sent, and who may say so."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.ingest.schema import FILES
from services.ingest.source import Place
from services.ingest.store import is_arrival


@dataclass(frozen=True, slots=True)
class Turn:
    """A file that is being split, and where to go on."""

    vpd: str
    name: str
    sha256: str
    origin: str
    stream: str
    number: int
    records: int
    place: Place
    accounted: int
    claimed: datetime
    """Tells this claim from a later one: who lost the claim must not write."""


async def claim(connection: AsyncConnection, vpds: Sequence[str], seconds: float, in_flight: int) -> Turn | None:
    """Take the file whose turn it is; nobody else splits it meanwhile, unless we show no sign of life.

    A file of which more than ``in_flight`` records were sent and have no fate yet is passed over.
    """
    wanted = {"seconds": seconds, "vpd": list(vpds), "in_flight": in_flight}
    row = (await connection.execute(_CLAIM, wanted)).first()
    if row is None:
        return None
    return Turn(
        vpd=row.vpd,
        name=row.name,
        sha256=row.sha256,
        origin=row.origin,
        stream=row.stream,
        number=row.number,
        records=row.records,
        place=Place(row.offset, row.line, row.position),
        accounted=sum(row.fates.values()),
        claimed=row.last_turn,
    )


@dataclass(frozen=True, slots=True)
class Kept:
    """How far a file was sent: every record before ``place`` is confirmed on the broker.

    ``warned``: how many records were sent since the last place although something about them is odd. ``seconds``: the
    claim is kept for so long; None: it is given up.
    """

    place: Place
    warned: int
    done: bool
    seconds: float | None = None


async def keep_place(connection: AsyncConnection, turn: Turn, kept: Kept) -> int | None:
    """Note how far a file was sent; return how many of its records have a fate.

    None: the claim had run out and another replica has taken the file; then nothing is noted.
    """
    place = kept.place
    row = await connection.execute(
        update(FILES)
        .where(is_arrival(turn.vpd, turn.name, turn.sha256), FILES.c.last_turn == turn.claimed)
        .values(
            offset=place.offset,
            line=place.line,
            position=place.position,
            warnings=FILES.c.warnings + kept.warned,
            claimed_until=func.now() + timedelta(seconds=kept.seconds) if kept.seconds else None,
            status="split" if kept.done else "splitting",
        )
        .returning(FILES.c.fates)
    )
    fates = row.scalar()
    return None if fates is None else sum(fates.values())


async def somebody_waits(connection: AsyncConnection, turn: Turn, vpds: Sequence[str], in_flight: int) -> bool:
    """Tell whether a file other than this one could have its turn now."""
    wanted = {"vpd": list(vpds), "in_flight": in_flight, "of": turn.vpd, "name": turn.name}
    waits = await connection.scalar(_WAITS, wanted)
    return bool(waits)


async def start_over(connection: AsyncConnection) -> None:
    """Split again every file that is not accounted for: the broker has forgotten what it held."""
    await connection.execute(
        update(FILES)
        .where(FILES.c.status.in_(("splitting", "split")))
        .values(offset=0, line=0, position=0, warnings=0, status="ready", claimed_until=None)
    )


_MAY: Final = (
    "status IN ('ready', 'splitting') AND vpd = ANY(CAST(:vpd AS text[])) "
    "AND (claimed_until IS NULL OR claimed_until < now()) "
    "AND position - (SELECT coalesce(sum(CAST(value AS bigint)), 0) FROM jsonb_each_text(fates)) <= :in_flight"
)

_CLAIM: Final = text(
    "UPDATE ingest.files f SET status = 'splitting', claimed_until = now() + make_interval(secs => :seconds), "
    f"last_turn = clock_timestamp() FROM (SELECT vpd, name, sha256 FROM ingest.files WHERE {_MAY} "
    "ORDER BY last_turn NULLS FIRST, vpd, name LIMIT 1 FOR UPDATE SKIP LOCKED) n "
    "WHERE (f.vpd, f.name, f.sha256) = (n.vpd, n.name, n.sha256) RETURNING f.*"
)

_WAITS: Final = text(f"SELECT EXISTS (SELECT FROM ingest.files WHERE {_MAY} AND (vpd, name) <> (:of, :name))")
