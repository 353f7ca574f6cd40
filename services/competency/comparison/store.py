"""The SQL of comparing: which full files are to be compared, what ESR confirmed, and what was found."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.competency.comparison.compare import NOT_LOADED, Confirmed, Difference
from services.competency.schema import COMPARISONS, DIFFERENCES


@dataclass(frozen=True, slots=True)
class Due:
    """A full file that waits to be compared. ``shows``: the moment up to which it tells."""

    vpd: str
    file: str
    file_no: int
    shows: datetime


async def queue(connection: AsyncConnection, files: Sequence[Due]) -> None:
    """Have full files compared; one that was queued before stays as it is."""
    for one in files:
        row = insert(COMPARISONS).values(vpd=one.vpd, file_no=one.file_no, file=one.file, shows=one.shows)
        await connection.execute(row.on_conflict_do_nothing())


async def take(connection: AsyncConnection) -> Due | None:
    """Lock the oldest full file that waits, one that no other replica has taken; None when there is none."""
    query = select(COMPARISONS).where(COMPARISONS.c.compared_at.is_(None))
    query = query.order_by(COMPARISONS.c.vpd, COMPARISONS.c.file_no).limit(1).with_for_update(skip_locked=True)
    row = (await connection.execute(query)).first()
    return Due(row.vpd, row.file, row.file_no, row.shows) if row else None


@dataclass(frozen=True, slots=True)
class Page:
    """What ESR confirmed of some people, by person. ``last``: the last person looked at; None: there are no more."""

    confirmed: dict[str, list[Confirmed]]
    last: str | None


async def confirmed(connection: AsyncConnection, due: Due, after: str, people: int) -> Page:
    """Return what ESR confirmed before the file was made of the next ``people`` after a person ID.

    Of each completion the last item that was loaded counts, unless it was given back since.
    """
    said = {"vpd": due.vpd, "shows": due.shows, "after": after, "people": people, "not_loaded": sorted(NOT_LOADED)}
    found: dict[str, list[Confirmed]] = defaultdict(list)
    for row in await connection.execute(_CONFIRMED, said):
        found[row.person_id].append(
            Confirmed(
                row.person_id, row.key, row.reference, row.competence_id, row.achieved_on, row.expires_on,
                row.esr_record_id,
            )
        )  # fmt: skip
    looked = {name: said[name] for name in ("vpd", "after", "people")}
    return Page(found, await connection.scalar(_LAST, looked))


async def finish(
    connection: AsyncConnection, due: Due, compared: int, found: Sequence[Difference], moment: datetime
) -> None:
    """Store what a comparison came to."""
    for start in range(0, len(found), 1000):
        await connection.execute(
            insert(DIFFERENCES),
            [
                {
                    "vpd": due.vpd,
                    "file_no": due.file_no,
                    "person_id": one.confirmed.person_id,
                    "key": one.confirmed.key,
                    "reference": one.confirmed.reference,
                    "competence_id": one.confirmed.competence_id,
                    "achieved_on": one.confirmed.achieved_on,
                    "expires_on": one.confirmed.expires_on,
                    "difference": one.kind,
                    "held": one.held,
                }
                for one in found[start : start + 1000]
            ],
        )
    done = update(COMPARISONS).where(COMPARISONS.c.vpd == due.vpd, COMPARISONS.c.file_no == due.file_no)
    await connection.execute(done.values(compared=compared, differences=len(found), compared_at=moment))


async def listing(connection: AsyncConnection, vpd: str, limit: int) -> dict[str, Any]:
    """Return the last comparison of a trust: how much was compared, what differs, and the first of the differences."""
    query = select(COMPARISONS).where(COMPARISONS.c.vpd == vpd, COMPARISONS.c.compared_at.is_not(None))
    last = (await connection.execute(query.order_by(COMPARISONS.c.file_no.desc()).limit(1))).first()
    if last is None:
        return {"file": "", "shows": "", "compared": 0, "equal": 0, "differences": {}, "list": []}
    mine = (DIFFERENCES.c.vpd == vpd) & (DIFFERENCES.c.file_no == last.file_no)
    kinds = select(DIFFERENCES.c.difference, func.count().label("number")).where(mine)
    counts = await connection.execute(kinds.group_by(DIFFERENCES.c.difference).order_by(DIFFERENCES.c.difference))
    rows = await connection.execute(select(DIFFERENCES).where(mine).order_by(DIFFERENCES.c.reference).limit(limit))
    shown = ("person_id", "key", "reference", "competence_id", "achieved_on", "expires_on", "difference", "held")
    return {
        "file": last.file,
        "shows": last.shows.isoformat(),
        "compared": last.compared,
        "equal": last.compared - last.differences,
        "differences": {row.difference: row.number for row in counts},
        "list": [{name: row._mapping[name] for name in shown} for row in rows],  # noqa: SLF001 - a row's public view
    }


_LAST: Final = text("""
SELECT max(person_id) FROM (SELECT DISTINCT person_id FROM competency.answers WHERE vpd = :vpd AND person_id > :after
    AND state = 'confirmed' ORDER BY person_id LIMIT :people) AS people
""")

_CONFIRMED: Final = text("""
WITH people AS (
    SELECT DISTINCT person_id FROM competency.answers WHERE vpd = :vpd AND person_id > :after AND state = 'confirmed'
    ORDER BY person_id LIMIT :people
), last AS (
    SELECT DISTINCT ON (a.person_id, a.key) a.* FROM competency.answers a JOIN people USING (person_id)
    WHERE a.vpd = :vpd AND a.state = 'confirmed' ORDER BY a.person_id, a.key, a.sent_file DESC, a.position DESC
)
SELECT last.person_id, last.key, last.reference, last.esr_record_id, last.competence_id, last.achieved_on,
    last.expires_on
FROM last
JOIN competency.decisions d ON (d.vpd, d.person_id, d.source, d.key) = (:vpd, last.person_id, 'lms', last.key)
JOIN competency.people p ON (p.vpd, p.person_id) = (:vpd, last.person_id)
WHERE last.change <> 'withdrawal' AND last.heard_at < :shows AND NOT last.code = ANY(CAST(:not_loaded AS text[]))
    AND last.achieved_on <> '' AND d.verdict = 'to_esr' AND p.state IN ('employee', 'applicant')
ORDER BY last.person_id, last.key
""")
"""People who have left are not always in a full file. What was changed since is compared by what was confirmed last."""
