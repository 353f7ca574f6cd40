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

RECENTLY: Final = 60.0
"""Seconds for which a trust whose file had a turn is taken to have more to come: files of a night come one by one."""


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
    others: bool = False
    """Another trust's file is at work, or was a moment ago."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many records of a file may be on their way, sent but without a fate, when it has its turn."""

    alone: int
    among_others: int
    """While another trust's file is at work, or was within the last ``RECENTLY`` seconds."""


async def claim(connection: AsyncConnection, vpds: Sequence[str], seconds: float, limits: Limits) -> Turn | None:
    """Take the file whose turn it is; nobody else splits it meanwhile, unless we show no sign of life.

    A file of which more records are on their way than the limits say is passed over.
    """
    row = (await connection.execute(_CLAIM, _wanted(vpds, limits) | {"seconds": seconds})).first()
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
        others=row.others,
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


@dataclass(frozen=True, slots=True)
class Others:
    """What there is besides a file: any other that could have its turn now; another trust's at work, or just now."""

    wait: bool
    at_work: bool


async def others(connection: AsyncConnection, turn: Turn, vpds: Sequence[str], limits: Limits) -> Others:
    """Tell what there is besides a file that is being split."""
    row = (await connection.execute(_OTHERS, _wanted(vpds, limits) | {"of": turn.vpd, "name": turn.name})).one()
    return Others(row.wait, row.at_work)


async def start_over(connection: AsyncConnection) -> None:
    """Split again every file that is not accounted for: the broker has forgotten what it held."""
    await connection.execute(
        update(FILES)
        .where(FILES.c.status.in_(("splitting", "split")))
        .values(offset=0, line=0, position=0, warnings=0, status="ready", claimed_until=None)
    )


def _wanted(vpds: Sequence[str], limits: Limits) -> dict[str, object]:
    limited = {"alone": limits.alone, "among_others": limits.among_others}
    return {"vpd": list(vpds), "recently": RECENTLY} | limited


_OURS: Final = "vpd = ANY(CAST(:vpd AS text[]))"

_AT_WORK: Final = (
    f"(EXISTS (SELECT FROM ingest.files o WHERE o.vpd <> {{vpd}} AND o.{_OURS} AND o.status IN ('ready', 'splitting')) "
    f"OR EXISTS (SELECT FROM ingest.files o WHERE o.vpd <> {{vpd}} AND o.{_OURS} "
    "AND o.last_turn > now() - make_interval(secs => :recently)))"
)

_MAY: Final = (
    f"ingest.files f CROSS JOIN LATERAL (SELECT {_AT_WORK.format(vpd='f.vpd')} AS others) besides "
    f"WHERE f.status IN ('ready', 'splitting') AND f.{_OURS} AND (f.claimed_until IS NULL OR f.claimed_until < now()) "
    "AND f.position - (SELECT coalesce(sum(CAST(value AS bigint)), 0) FROM jsonb_each_text(f.fates)) "
    "<= CASE WHEN others THEN CAST(:among_others AS bigint) ELSE CAST(:alone AS bigint) END"
)

_CLAIM: Final = text(
    "UPDATE ingest.files f SET status = 'splitting', claimed_until = now() + make_interval(secs => :seconds), "
    f"last_turn = clock_timestamp() FROM (SELECT vpd, name, sha256, others FROM {_MAY} "
    "ORDER BY last_turn NULLS FIRST, vpd, name LIMIT 1 FOR UPDATE OF f SKIP LOCKED) n "
    "WHERE (f.vpd, f.name, f.sha256) = (n.vpd, n.name, n.sha256) RETURNING f.*, n.others"
)

_OTHERS: Final = text(
    f"SELECT EXISTS (SELECT FROM {_MAY} AND (f.vpd, f.name) <> (:of, :name)) AS wait, "
    f"{_AT_WORK.format(vpd=':of')} AS at_work"
)
