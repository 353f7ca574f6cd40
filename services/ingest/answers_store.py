"""The SQL of confirmations: which files their senders have not heard of, and what was written to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, Text, cast, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.ingest.schema import ANSWERS, FILES, LINE_CODES, UNANSWERED
from services.ingest.store import is_arrival

BATCH: Final = 50

AnyRow = Row[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A confirmation: its place in the count, the file it answers, what it says of it. Times are naive and local."""

    vpd: str
    number: int
    name: str
    file: str
    sha256: str
    status: str
    current_run: datetime


async def unanswered(connection: AsyncConnection, vpds: Sequence[str]) -> Sequence[AnyRow]:
    """Return files whose senders have not been told yet what became of them, the oldest first."""
    query = select(FILES).where(text(UNANSWERED), FILES.c.vpd.in_(vpds))
    return (await connection.execute(query.order_by(FILES.c.received_at, FILES.c.number).limit(BATCH))).all()


async def lock(connection: AsyncConnection, row: AnyRow) -> AnyRow | None:
    """Let replicas answer a trust's files one after the other; None when another one has answered this file."""
    await connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 7))"), {"key": f"ingest/answers/{row.vpd}"}
    )
    query = select(FILES).where(is_arrival(row.vpd, row.name, row.sha256), text(UNANSWERED))
    return (await connection.execute(query)).first()


async def last(connection: AsyncConnection, vpd: str) -> AnyRow | None:
    """Return the last confirmation of a trust."""
    query = select(ANSWERS).where(ANSWERS.c.vpd == vpd).order_by(ANSWERS.c.number.desc()).limit(1)
    return (await connection.execute(query)).first()


async def keep(connection: AsyncConnection, answer: Answer) -> None:
    """Note a confirmation that is to be delivered."""
    await connection.execute(
        insert(ANSWERS).values(
            vpd=answer.vpd,
            number=answer.number,
            name=answer.name,
            file=answer.file,
            sha256=answer.sha256,
            status=answer.status,
            current_run=answer.current_run,
        )
    )


async def mark_answered(connection: AsyncConnection, row: AnyRow, *, repeat: bool) -> None:
    """Note that a file's sender is told, of its fate or (``repeat``) that it came again."""
    values = {"repeats_answered": row.repeats_answered + 1} if repeat else {"answered": True}
    await connection.execute(update(FILES).where(is_arrival(row.vpd, row.name, row.sha256)).values(values))


async def mark_nobody_waits(connection: AsyncConnection, row: AnyRow) -> None:
    """Note that a file is of a kind that nobody expects an answer to."""
    await connection.execute(
        update(FILES)
        .where(is_arrival(row.vpd, row.name, row.sha256))
        .values(answered=FILES.c.status.in_(("complete", "quarantined", "refused", "discarded")))
        .values(repeats_answered=FILES.c.repeats)
    )


async def undelivered(connection: AsyncConnection, vpds: Sequence[str]) -> Sequence[AnyRow]:
    """Return confirmations that are written but may not be in their folder."""
    query = select(ANSWERS).where(ANSWERS.c.delivered_at.is_(None), ANSWERS.c.vpd.in_(vpds))
    return (await connection.execute(query.order_by(ANSWERS.c.vpd, ANSWERS.c.number))).all()


async def mark_delivered(connection: AsyncConnection, row: AnyRow, moment: datetime) -> bool:
    """Note a delivery; return False when it was noted before."""
    done = await connection.execute(
        update(ANSWERS)
        .where(ANSWERS.c.vpd == row.vpd, ANSWERS.c.number == row.number, ANSWERS.c.delivered_at.is_(None))
        .values(delivered_at=moment)
    )
    return bool(done.rowcount)


async def codes(connection: AsyncConnection, vpd: str, file: str) -> dict[int, str]:
    """Return why owners of lines gave them up, by line."""
    query = select(LINE_CODES.c.line, LINE_CODES.c.code).where(LINE_CODES.c.vpd == vpd, LINE_CODES.c.file == file)
    return {row.line: row.code for row in await connection.execute(query)}


async def code(connection: AsyncConnection, vpd: str, file: str, line: int) -> str:
    """Return why a line's owner gave it up; empty where that is not known."""
    mine = (LINE_CODES.c.vpd == vpd) & (LINE_CODES.c.file == file) & (LINE_CODES.c.line == line)
    return await connection.scalar(select(LINE_CODES.c.code).where(mine)) or ""


async def keep_codes(connection: AsyncConnection, said: Sequence[tuple[str, str, int, str]]) -> None:
    """Keep why owners gave lines up: (trust, file, line, code)."""
    rows = sorted({(vpd, file, line): code for vpd, file, line, code in said}.items())
    if rows:
        await connection.execute(
            _KEEP_CODES,
            {
                "vpd": [key[0] for key, _ in rows],
                "file": [key[1] for key, _ in rows],
                "line": [key[2] for key, _ in rows],
                "code": [code for _, code in rows],
            },
        )


async def of_file(connection: AsyncConnection, vpd: str, file: str) -> list[dict[str, Any]]:
    """Return the confirmations written of a file, the oldest first."""
    delivered = cast(ANSWERS.c.delivered_at, Text)
    query = (
        select(ANSWERS.c.name, ANSWERS.c.status, func.coalesce(delivered, "").label("delivered_at"))
        .where(ANSWERS.c.vpd == vpd, ANSWERS.c.file == file)
        .order_by(ANSWERS.c.number)
    )
    return [dict(row._mapping) for row in await connection.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name


_KEEP_CODES: Final = text(
    "INSERT INTO ingest.line_codes (vpd, file, line, code) SELECT * FROM unnest(CAST(:vpd AS text[]), "
    "CAST(:file AS text[]), CAST(:line AS bigint[]), CAST(:code AS text[])) AS t(vpd, file, line, code) "
    "ON CONFLICT (vpd, file, line) DO UPDATE SET code = excluded.code"
)
