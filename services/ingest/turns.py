"""The SQL of splitting: whose turn it is, how far a file was sent, and who may say so."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text, update
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


async def claim(connection: AsyncConnection, vpds: Sequence[str], seconds: float) -> Turn | None:
    """Take the file whose turn it is; nobody else splits it meanwhile, unless we show no sign of life."""
    row = (await connection.execute(_CLAIM, {"seconds": seconds, "vpd": list(vpds)})).first()
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


async def keep_place(connection: AsyncConnection, turn: Turn, place: Place, *, warned: int, done: bool) -> bool:
    """Note that every record before ``place`` is confirmed on the broker, and give up the claim.

    ``warned``: how many records were sent since the last place although something about them is odd. Returns False
    when the claim had run out and another replica has taken the file; then nothing is noted.
    """
    kept = await connection.execute(
        update(FILES)
        .where(is_arrival(turn.vpd, turn.name, turn.sha256), FILES.c.last_turn == turn.claimed)
        .values(
            offset=place.offset,
            line=place.line,
            position=place.position,
            warnings=FILES.c.warnings + warned,
            claimed_until=None,
            status="split" if done else "splitting",
        )
    )
    return bool(kept.rowcount)


async def start_over(connection: AsyncConnection) -> None:
    """Split again every file that is not accounted for: the broker has forgotten what it held."""
    await connection.execute(
        update(FILES)
        .where(FILES.c.status.in_(("splitting", "split")))
        .values(offset=0, line=0, position=0, warnings=0, status="ready", claimed_until=None)
    )


_CLAIM: Final = text(
    "UPDATE ingest.files f SET status = 'splitting', claimed_until = now() + make_interval(secs => :seconds), "
    "last_turn = clock_timestamp() FROM (SELECT vpd, name, sha256 FROM ingest.files "
    "WHERE status IN ('ready', 'splitting') AND vpd = ANY(CAST(:vpd AS text[])) "
    "AND (claimed_until IS NULL OR claimed_until < now()) "
    "ORDER BY last_turn NULLS FIRST, vpd, name LIMIT 1 FOR UPDATE SKIP LOCKED) n "
    "WHERE (f.vpd, f.name, f.sha256) = (n.vpd, n.name, n.sha256) RETURNING f.*"
)
