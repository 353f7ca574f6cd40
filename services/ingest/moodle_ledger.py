"""The SQL of completions read from Moodle: which were handed in, and how far the report was read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.ingest.moodle_report import Row
from services.ingest.schema import MOODLE_READS


@dataclass(frozen=True, slots=True)
class ReadSoFar:
    """Up to which second a report was read, and when all of it was."""

    high: int
    full_at: datetime


async def read_so_far(connection: AsyncConnection, vpd: str, report: int) -> ReadSoFar | None:
    """Return how far a report was read, None when never."""
    query = select(MOODLE_READS).where(MOODLE_READS.c.vpd == vpd, MOODLE_READS.c.report == report)
    row = (await connection.execute(query)).first()
    return ReadSoFar(row.high, row.full_at) if row else None


async def note_read(connection: AsyncConnection, vpd: str, report: int, said: ReadSoFar) -> None:
    """Note how far a report was read."""
    row = insert(MOODLE_READS).values(vpd=vpd, report=report, high=said.high, full_at=said.full_at)
    values = {"high": row.excluded.high, "full_at": row.excluded.full_at}
    await connection.execute(row.on_conflict_do_update(index_elements=["vpd", "report"], set_=values))


async def fresh(connection: AsyncConnection, vpd: str, rows: Sequence[Row]) -> list[Row]:
    """Return rows that no completion handed in was shown as, in order."""
    found = await connection.execute(_FRESH, {"vpd": vpd, **_columns(rows), "shown": [row.shown for row in rows]})
    return [Row(row.user_idnumber, row.course_idnumber, row.shown) for row in found]


async def handed_in(connection: AsyncConnection, vpd: str, seconds: Mapping[Row, int]) -> set[Row]:
    """Return rows whose completion was handed in before, shown as something else then."""
    rows = list(seconds)
    given = {"vpd": vpd, **_columns(rows), "second": list(seconds.values())}
    held = {(row.user_idnumber, row.course_idnumber, row.second) for row in await connection.execute(_HELD, given)}
    return {row for row, second in seconds.items() if (row.user, row.course, second) in held}


async def note(connection: AsyncConnection, vpd: str, seconds: Mapping[Row, int], file: str) -> None:
    """Note completions as handed in with a file; of those that are noted, how they are shown now."""
    rows = list(seconds)
    given = {"vpd": vpd, **_columns(rows), "second": list(seconds.values()), "shown": [row.shown for row in rows]}
    await connection.execute(_NOTE, given | {"file": file})


def _columns(rows: Sequence[Row]) -> dict[str, Any]:
    return {"user": [row.user for row in rows], "course": [row.course for row in rows]}


_FRESH: Final = text(
    "SELECT r.user_idnumber, r.course_idnumber, r.shown FROM unnest(CAST(:user AS text[]), CAST(:course AS text[]), "
    "CAST(:shown AS text[])) AS r(user_idnumber, course_idnumber, shown) WHERE NOT EXISTS (SELECT FROM "
    "ingest.moodle_completions c WHERE (c.vpd, c.user_idnumber, c.course_idnumber, c.shown) = "
    "(:vpd, r.user_idnumber, r.course_idnumber, r.shown)) ORDER BY 1, 2, 3"
)

_HELD: Final = text(
    "SELECT c.user_idnumber, c.course_idnumber, c.second FROM unnest(CAST(:user AS text[]), CAST(:course AS text[]), "
    "CAST(:second AS bigint[])) AS r(user_idnumber, course_idnumber, second) JOIN ingest.moodle_completions c "
    "USING (user_idnumber, course_idnumber, second) WHERE c.vpd = :vpd"
)

_NOTE: Final = text(
    "INSERT INTO ingest.moodle_completions (vpd, user_idnumber, course_idnumber, second, shown, file) "
    "SELECT :vpd, r.*, :file FROM unnest(CAST(:user AS text[]), CAST(:course AS text[]), CAST(:second AS bigint[]), "
    "CAST(:shown AS text[])) AS r(user_idnumber, course_idnumber, second, shown) "
    "ORDER BY r.user_idnumber, r.course_idnumber, r.second "
    "ON CONFLICT (vpd, user_idnumber, course_idnumber, second) DO UPDATE SET shown = excluded.shown"
)
