"""The SQL of completions on their way to ESR: what waits, which file it left in, which number comes next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import msgspec
from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.outbound.tables import COMPLETIONS, COUNTERS, OUTFILES
from shared.events import Person


@dataclass(frozen=True, slots=True)
class Waiting:
    """A completion that may leave: its file is accounted for and its person is known."""

    person_id: str
    key: str
    revision: int
    content: dict[str, Any]
    person: Person


@dataclass(frozen=True, slots=True)
class OutFile:
    """A completion file: its number in the trust's counter, and its bytes. ``current_run`` is UK local time."""

    vpd: str
    number: int
    name: str
    current_run: datetime
    content: bytes


@dataclass(frozen=True, slots=True)
class Sent:
    """A completion in a file."""

    reference: str
    position: int
    content: dict[str, Any]


async def waiting(connection: AsyncConnection, vpd: str, rows: int, upto: date) -> list[Waiting]:
    """Return completions up to a day that may leave now, in a stable order; what ESR holds by itself never leaves."""
    await connection.execute(_MIRRORED, {"vpd": vpd})
    said = {"vpd": vpd, "rows": rows, "upto": upto.isoformat()}
    return [
        Waiting(row.person_id, row.key, row.revision, row.content, msgspec.convert(row.person, Person))
        for row in await connection.execute(_WAITING, said)
    ]


async def counter(connection: AsyncConnection, vpd: str, name: str) -> int:
    """Return a counter's value, zero at first; the caller holds the trust's lock."""
    query = select(COUNTERS.c.value).where(COUNTERS.c.vpd == vpd, COUNTERS.c.name == name)
    return int(await connection.scalar(query) or 0)


async def set_counter(connection: AsyncConnection, vpd: str, name: str, value: int) -> None:
    """Set a counter."""
    row = insert(COUNTERS).values(vpd=vpd, name=name, value=value)
    await connection.execute(row.on_conflict_do_update(index_elements=["vpd", "name"], set_={"value": value}))


async def keep_cut_off(connection: AsyncConnection, vpd: str, day: int) -> bool:
    """Note that the cut-off of a day (yyyymmdd) is being kept; return False when it was kept before."""
    if await counter(connection, vpd, "cut_off") >= day:
        return False
    await set_counter(connection, vpd, "cut_off", day)
    return True


async def last_file(connection: AsyncConnection, vpd: str) -> OutFile | None:
    """Return the trust's newest completion file."""
    query = select(OUTFILES).where(OUTFILES.c.vpd == vpd).order_by(OUTFILES.c.number.desc()).limit(1)
    row = (await connection.execute(query)).first()
    return OutFile(row.vpd, row.number, row.name, row.current_run, row.content) if row else None


async def add_file(connection: AsyncConnection, file: OutFile) -> None:
    """Keep a new file."""
    await connection.execute(
        insert(OUTFILES).values(
            vpd=file.vpd, number=file.number, name=file.name, current_run=file.current_run, content=file.content
        )
    )


async def undelivered(connection: AsyncConnection) -> list[OutFile]:
    """Return files that are not in their folder yet, as far as we know, oldest first."""
    query = select(OUTFILES).where(OUTFILES.c.delivered_at.is_(None)).order_by(OUTFILES.c.vpd, OUTFILES.c.number)
    return [
        OutFile(row.vpd, row.number, row.name, row.current_run, row.content) for row in await connection.execute(query)
    ]


async def mark_delivered(connection: AsyncConnection, file: OutFile, moment: datetime) -> bool:
    """Note that a file was delivered, and its completions sent; return False when a replica did so before."""
    delivered = await connection.execute(
        update(OUTFILES)
        .where(OUTFILES.c.vpd == file.vpd, OUTFILES.c.number == file.number, OUTFILES.c.delivered_at.is_(None))
        .values(delivered_at=moment)
    )
    if not delivered.rowcount:
        return False
    await connection.execute(
        update(COMPLETIONS)
        .where(COMPLETIONS.c.vpd == file.vpd, COMPLETIONS.c.sent_file == file.name, COMPLETIONS.c.state == "written")
        .values(state="sent")
    )
    return True


async def members(connection: AsyncConnection, file: OutFile) -> list[Sent]:
    """Return the completions in a file, in its order."""
    query = (
        select(COMPLETIONS.c.reference, COMPLETIONS.c.position, COMPLETIONS.c.content)
        .where(COMPLETIONS.c.vpd == file.vpd, COMPLETIONS.c.sent_file == file.name)
        .order_by(COMPLETIONS.c.position)
    )
    return [Sent(row.reference, row.position, row.content) for row in await connection.execute(query)]


async def mark_written(
    connection: AsyncConnection, vpd: str, file: str, rows: Sequence[tuple[Waiting, str, int]]
) -> None:
    """Note reference, file and position of completions."""
    await connection.execute(
        _WRITTEN,
        {
            "vpd": vpd,
            "file": file,
            "person_id": [row.person_id for row, _, _ in rows],
            "key": [row.key for row, _, _ in rows],
            "reference": [reference for _, reference, _ in rows],
            "position": [position for _, _, position in rows],
        },
    )


async def mark_unsendable(connection: AsyncConnection, vpd: str, rows: Sequence[tuple[Waiting, str]]) -> None:
    """Note completions that no file can carry, with the code of the fault."""
    if rows:
        await connection.execute(
            _UNSENDABLE,
            {
                "vpd": vpd,
                "person_id": [row.person_id for row, _ in rows],
                "key": [row.key for row, _ in rows],
                "code": [code for _, code in rows],
            },
        )


_WAITING: Final = text(
    "SELECT c.person_id, c.key, c.revision, c.content, a.person FROM outbound.completions c "
    "JOIN outbound.accounts a USING (vpd, person_id) WHERE c.vpd = :vpd AND c.state = 'waiting' "
    "AND a.person->>'last_name' IS NOT NULL AND c.file_no <= "
    "COALESCE((SELECT g.upto FROM outbound.gates g WHERE g.vpd = c.vpd AND g.stream = 'lms'), 0) "
    "AND c.content->>'achieved_on' <= :upto ORDER BY c.file_no, c.person_id, c.key LIMIT :rows"
)

_MIRRORED: Final = text(
    "UPDATE outbound.completions c SET state = 'held_by_esr' FROM outbound.mirrors m "
    "WHERE c.vpd = :vpd AND c.state = 'waiting' AND (m.vpd, m.person_id, m.competence_id, m.completed_on) = "
    "(c.vpd, c.person_id, c.content->>'competence_id', c.content->>'achieved_on')"
)

_WRITTEN: Final = text(
    "UPDATE outbound.completions c SET state = 'written', sent_file = :file, reference = t.reference, "
    "position = t.position FROM unnest(CAST(:person_id AS text[]), CAST(:key AS text[]), CAST(:reference AS text[]), "
    "CAST(:position AS int[])) AS t(person_id, key, reference, position) "
    "WHERE c.vpd = :vpd AND (c.person_id, c.key) = (t.person_id, t.key)"
)

_UNSENDABLE: Final = text(
    "UPDATE outbound.completions c SET state = 'unsendable', code = t.code FROM unnest(CAST(:person_id AS text[]), "
    "CAST(:key AS text[]), CAST(:code AS text[])) AS t(person_id, key, code) "
    "WHERE c.vpd = :vpd AND (c.person_id, c.key) = (t.person_id, t.key)"
)
