"""The SQL of completion files and of the records in them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.outbound.tables import ITEMS, OUTFILES
from services.outbound.towards_esr.content import Content
from shared.events import Change


@dataclass(frozen=True, slots=True)
class OutFile:
    """A completion file: its number in the trust's counter. ``current_run`` is UK local time."""

    vpd: str
    number: int
    name: str
    current_run: datetime
    sha256: str = ""
    delivered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A record that is to be written: what the table keeps of it."""

    person_id: str
    key: str
    reference: str
    change: Change
    replaces: str
    content: Content
    person: dict[str, str]
    person_revision: int


@dataclass(frozen=True, slots=True)
class Sent:
    """A record in a file that was delivered."""

    position: int
    reference: str
    person_id: str
    key: str
    change: Change
    replaces: str
    content: Content


async def last(connection: AsyncConnection, vpd: str) -> OutFile | None:
    """Return the trust's newest completion file."""
    query = select(*_HEAD).where(OUTFILES.c.vpd == vpd).order_by(OUTFILES.c.number.desc()).limit(1)
    row = (await connection.execute(query)).first()
    return OutFile(*row) if row else None


async def add(connection: AsyncConnection, file: OutFile, content: bytes, *, records: int, day: int) -> None:
    """Keep a new file; ``day`` (yyyymmdd) is that of the cut-off it was written for, 0 for none."""
    await connection.execute(
        insert(OUTFILES).values(
            vpd=file.vpd,
            number=file.number,
            name=file.name,
            current_run=file.current_run,
            content=content,
            sha256=hashlib.sha256(content).hexdigest(),
            records=records,
            day=day,
        )
    )


async def add_records(
    connection: AsyncConnection, file: OutFile, first: int, records: Sequence[Record], moment: datetime
) -> None:
    """Keep records under their positions in the file, the first of them at ``first``."""
    if not records:
        return
    await connection.execute(
        insert(ITEMS),
        [
            {
                "vpd": file.vpd,
                "sent_file": file.name,
                "position": position,
                "file_number": file.number,
                "reference": one.reference,
                "person_id": one.person_id,
                "key": one.key,
                "change": one.change,
                "replaces": one.replaces,
                "content": msgspec.to_builtins(one.content),
                "person": one.person,
                "person_revision": one.person_revision,
                "state": "written",
                "written_at": moment,
            }
            for position, one in enumerate(records, start=first)
        ],
    )


async def to_do(connection: AsyncConnection, vpd: str) -> list[OutFile]:
    """Return the trust's files that are not delivered, or not told of to the end, oldest first."""
    query = select(*_HEAD).where(OUTFILES.c.vpd == vpd, ~OUTFILES.c.announced).order_by(OUTFILES.c.number)
    return [OutFile(*row) for row in await connection.execute(query)]


async def content(connection: AsyncConnection, file: OutFile) -> bytes:
    """Return the bytes of a file."""
    query = select(OUTFILES.c.content).where(OUTFILES.c.vpd == file.vpd, OUTFILES.c.number == file.number)
    return bytes(await connection.scalar(query) or b"")


async def arrived(connection: AsyncConnection, file: OutFile, folder: str) -> datetime | None:
    """Return when the other side was noted to hold a file; ``folder`` is the deliverer's name for the place."""
    said = {"vpd": file.vpd, "folder": folder, "name": file.name, "sha256": file.sha256}
    moment: datetime | None = await connection.scalar(_ARRIVED, said)
    return moment


async def mark_delivered(connection: AsyncConnection, file: OutFile, moment: datetime) -> None:
    """Note when a file was delivered; the first word counts."""
    await connection.execute(_one(file).where(OUTFILES.c.delivered_at.is_(None)).values(delivered_at=moment))


async def take_unannounced(connection: AsyncConnection, file: OutFile, moment: datetime, rows: int) -> list[Sent]:
    """Mark the next records of a delivered file as sent at ``moment``, and return them in file order."""
    said: dict[str, Any] = {"vpd": file.vpd, "file": file.name}
    first = await connection.scalar(_FIRST, said)
    if first is None:
        return []
    said |= {"moment": moment, "first": first, "end": first + rows}
    found = [
        Sent(**{**row, "content": msgspec.convert(row["content"], Content)})
        for row in (await connection.execute(_TAKE, said)).mappings()
    ]
    keys: dict[str, Any] = {"person_id": [one.person_id for one in found], "key": [one.key for one in found]}
    await connection.execute(_SENT, {"vpd": file.vpd, **keys})
    return sorted(found, key=lambda one: one.position)


async def mark_announced(connection: AsyncConnection, file: OutFile) -> None:
    """Note that everything of a file has been told."""
    await connection.execute(_one(file).values(announced=True))


async def forget(connection: AsyncConnection, vpd: str, before: datetime) -> int:
    """Drop the bytes of files that were delivered before a moment; their names and checksums stay. Return how many."""
    done = await connection.execute(
        update(OUTFILES)
        .where(OUTFILES.c.vpd == vpd, OUTFILES.c.announced, OUTFILES.c.delivered_at < before)
        .where(OUTFILES.c.content.is_not(None))
        .values(content=None)
    )
    return done.rowcount


def _one(file: OutFile) -> Any:  # noqa: ANN401 - an update
    return update(OUTFILES).where(OUTFILES.c.vpd == file.vpd, OUTFILES.c.number == file.number)


_HEAD: Final = (
    OUTFILES.c.vpd,
    OUTFILES.c.number,
    OUTFILES.c.name,
    OUTFILES.c.current_run,
    OUTFILES.c.sha256,
    OUTFILES.c.delivered_at,
)

_ARRIVED: Final = text(
    "SELECT delivered_at FROM outbound.delivered WHERE (vpd, folder, name, sha256) = (:vpd, :folder, :name, :sha256)"
)

_FIRST: Final = text(
    "SELECT min(position) FROM outbound.items WHERE vpd = :vpd AND sent_file = :file AND sent_at IS NULL"
)

_TAKE: Final = text(
    "UPDATE outbound.items SET sent_at = :moment, state = CASE WHEN state = 'written' THEN 'sent' ELSE state END "
    "WHERE vpd = :vpd AND sent_file = :file AND position >= :first AND position < :end AND sent_at IS NULL "
    "RETURNING position, reference, person_id, key, change, replaces, content"
)
"""By a range of positions: a join with the rows chosen would be planned by guesses, before the table is analysed."""

_SENT: Final = text(
    "UPDATE outbound.completions c SET state = 'sent' FROM unnest(CAST(:person_id AS text[]), CAST(:key AS text[])) "
    "AS t(person_id, key) WHERE (c.vpd, c.person_id, c.key) = (:vpd, t.person_id, t.key) AND c.state = 'written'"
)
