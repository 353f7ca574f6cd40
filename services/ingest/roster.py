"""Who the feed has spoken of: tells how many people a full file leaves out, before it is applied and after.

A feed file's people are noted when its structure is checked (``mentions``), and merged into the trust's roster when it
is let in. So the guard can count before anything is applied, in bounded memory, whatever the file's size.
"""

import asyncio
import itertools
from collections.abc import Iterable, Iterator
from typing import Any, Final

from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.ingest.domain import Absence, File
from services.ingest.schema import MENTIONS, ROSTER
from services.ingest.source import Mention

CHUNK: Final = 5_000


async def note(connection: AsyncConnection, vpd: str, sha256: str, mentions: Iterable[Mention]) -> None:
    """Note the people a feed file speaks of. Of several mentions of a person the last stands."""
    await forget(connection, vpd, sha256)
    rest = iter(mentions)
    while chunk := await asyncio.to_thread(_next, rest):
        last = {one.person_id: one.gone for one in chunk}
        people = sorted(last)
        await connection.execute(
            _NOTE, {"vpd": vpd, "sha256": sha256, "person": people, "gone": [last[one] for one in people]}
        )


def _next(rest: Iterator[Mention]) -> list[Mention]:
    return list(itertools.islice(rest, CHUNK))


async def absence(connection: AsyncConnection, vpd: str, sha256: str) -> Absence:
    """Return how many of the people held a full file leaves out."""
    row = (await connection.execute(_ABSENCE, {"vpd": vpd, "sha256": sha256})).one()
    return Absence(row.absent, row.held)


async def let_in(connection: AsyncConnection, vpd: str, file: File) -> int:
    """Merge a file that is let in; return how many people a full file leaves out who were not left out before."""
    names: dict[str, Any] = {"vpd": vpd, "sha256": file.sha256, "file": file.name, "number": file.number}
    await connection.execute(_MERGE, names)
    await connection.execute(_REMOVE, {"vpd": vpd, "sha256": file.sha256})
    await forget(connection, vpd, file.sha256)
    if file.mode != "full":
        return 0
    return (await connection.execute(_LEFT_OUT, {"vpd": vpd, "file": file.name, "number": file.number})).rowcount


async def forget(connection: AsyncConnection, vpd: str, sha256: str) -> None:
    """Drop what was noted of a file that is let in, or never will be."""
    await connection.execute(delete(MENTIONS).where(MENTIONS.c.vpd == vpd, MENTIONS.c.sha256 == sha256))


async def absentees(connection: AsyncConnection, vpd: str) -> list[dict[str, str]]:
    """Return the people whom a full file left out and no later file has brought back."""
    query = select(ROSTER).where(ROSTER.c.vpd == vpd, ROSTER.c.absent_from != "").order_by(ROSTER.c.person_id)
    return [
        {"person_id": row.person_id, "absent_from": row.absent_from, "last_file": row.file}
        for row in await connection.execute(query)
    ]


_NOTE: Final = text(
    "INSERT INTO ingest.mentions (vpd, sha256, person_id, gone) "
    "SELECT :vpd, :sha256, t.person_id, t.gone "
    "FROM unnest(CAST(:person AS text[]), CAST(:gone AS bool[])) AS t(person_id, gone) "
    "ON CONFLICT (vpd, sha256, person_id) DO UPDATE SET gone = excluded.gone"
)

_ABSENCE: Final = text(
    "SELECT count(*) AS held, count(*) FILTER (WHERE m.person_id IS NULL) AS absent FROM ingest.roster r "
    "LEFT JOIN ingest.mentions m ON (m.vpd, m.sha256, m.person_id) = (r.vpd, :sha256, r.person_id) AND NOT m.gone "
    "WHERE r.vpd = :vpd AND r.absent_from = ''"
)

_MERGE: Final = text(
    "INSERT INTO ingest.roster AS r (vpd, person_id, file, file_no) "
    "SELECT vpd, person_id, :file, :number FROM ingest.mentions WHERE vpd = :vpd AND sha256 = :sha256 AND NOT gone "
    "ORDER BY person_id ON CONFLICT (vpd, person_id) DO UPDATE "
    "SET file = excluded.file, file_no = excluded.file_no, absent_from = ''"
)

_REMOVE: Final = text(
    "DELETE FROM ingest.roster r USING ingest.mentions m "
    "WHERE r.vpd = :vpd AND m.vpd = :vpd AND m.sha256 = :sha256 AND m.gone AND r.person_id = m.person_id"
)

_LEFT_OUT: Final = text(
    "UPDATE ingest.roster SET absent_from = :file WHERE vpd = :vpd AND file_no < :number AND absent_from = ''"
)
