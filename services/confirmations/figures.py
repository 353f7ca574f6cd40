"""Counts that answer from an index or from the counts of files, however many items there are."""

# ruff: noqa: S608 - statements are made of constants

from datetime import date
from typing import Any, Final

from sqlalchemy import Integer, and_, case, cast, exists, func, literal, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import ColumnElement

from services.confirmations.schema import ANSWERS, FINDINGS, ITEMS, SENT_FILES
from shared.answer_words import about
from shared.codes import ConfirmationCode as C

MOST: Final = 1000
"""Rows of a page at most."""

LOOK_BACK: Final = 400
"""Days after which nobody is asked any more about a refusal."""

_LATER: Final = ITEMS.alias("later")


def repeated() -> ColumnElement[bool]:
    """Whether an item was sent again later under its reference: then the later one is waited for."""
    return exists().where(
        _LATER.c.vpd == ITEMS.c.vpd,
        _LATER.c.reference == ITEMS.c.reference,
        _LATER.c.change == "resend",
        tuple_(_LATER.c.sent_at, _LATER.c.sent_file) > tuple_(ITEMS.c.sent_at, ITEMS.c.sent_file),
    )


def _followed() -> ColumnElement[bool]:
    """Whether anything was sent later for the same completion."""
    return exists().where(
        _LATER.c.vpd == ITEMS.c.vpd,
        _LATER.c.person_id == ITEMS.c.person_id,
        _LATER.c.key == ITEMS.c.key,
        tuple_(_LATER.c.sent_at, _LATER.c.sent_file) > tuple_(ITEMS.c.sent_at, ITEMS.c.sent_file),
    )


def number_of(condition: ColumnElement[bool]) -> ColumnElement[int]:
    """Return how many rows are so, as a column."""
    return cast(func.count().filter(condition), Integer)


async def count_by_state(connection: AsyncConnection, vpd: str) -> dict[str, int]:
    """Return how many items of a trust are open, confirmed and rejected; states without any are left out."""
    sums = [func.coalesce(func.sum(SENT_FILES.c[name]), 0) for name in ("sent", "confirmed", "refused")]
    row = (await connection.execute(select(*sums).where(SENT_FILES.c.vpd == vpd))).one()
    sent, confirmed, refused = (int(one) for one in row)
    counts = {"open": sent - confirmed - refused, "confirmed": confirmed, "rejected": refused}
    return {state: number for state, number in counts.items() if number}


async def count_refused(connection: AsyncConnection, vpd: str) -> dict[str, int]:
    """Return how many items of a trust ESR refused, by its code."""
    query = select(ITEMS.c.code, func.count()).where(ITEMS.c.vpd == vpd, ITEMS.c.state == "rejected")
    return {row[0]: row[1] for row in await connection.execute(query.group_by(ITEMS.c.code))}


async def open_now(connection: AsyncConnection, vpd: str) -> dict[str, Any]:
    """Return how many items are open, how many overdue and not sent again since, and when the oldest was sent."""
    mine = and_(ITEMS.c.vpd == vpd, ITEMS.c.state == "open", ~repeated())
    query = select(func.count(), number_of(ITEMS.c.overdue_at.is_not(None)), func.min(ITEMS.c.sent_at)).where(mine)
    number, overdue, oldest = (await connection.execute(query)).one()
    return {"open": number, "overdue": overdue, "oldest": oldest}


async def refused(connection: AsyncConnection, vpd: str) -> list[dict[str, Any]]:
    """Return refusals by ESR's code, with plain words, what to do, how many and the oldest.

    ``standing``: nothing was sent for the same completion since; of the ``LOOK_BACK`` days before the newest completion
    file only.
    """
    newest = select(func.max(SENT_FILES.c.sent_on)).where(SENT_FILES.c.vpd == vpd).scalar_subquery()
    standing = and_(ITEMS.c.sent_on > newest - LOOK_BACK, ~_followed())
    query = (
        select(
            ITEMS.c.code,
            func.count().label("number"),
            number_of(standing).label("standing"),
            func.min(ITEMS.c.sent_on).label("oldest"),
        )
        .where(ITEMS.c.vpd == vpd, ITEMS.c.state == "rejected")
        .group_by(ITEMS.c.code)
        .order_by(func.count().desc(), ITEMS.c.code)
    )
    return [
        {**about(row.code), "number": row.number, "standing": row.standing, "oldest": row.oldest.isoformat()}
        for row in await connection.execute(query)
    ]


async def count_unmatched(connection: AsyncConnection, vpd: str) -> int:
    """Return how many odd answers stand."""
    query = select(func.count()).select_from(FINDINGS).where(FINDINGS.c.vpd == vpd, FINDINGS.c.stands)
    return (await connection.scalar(query)) or 0


async def unmatched(
    connection: AsyncConnection, vpd: str, after: str = "", limit: int = MOST
) -> tuple[list[dict[str, Any]], str]:
    """Return a page of odd answers that stand, and where the next begins (empty: none)."""
    elsewhere = exists().where(ITEMS.c.vpd == FINDINGS.c.vpd, ITEMS.c.reference == FINDINGS.c.reference)
    reason = case((and_(FINDINGS.c.reason == C.C102, elsewhere), literal(str(C.C103))), else_=FINDINGS.c.reason)
    place = tuple_(FINDINGS.c.file, FINDINGS.c.line, FINDINGS.c.reason)
    on = and_(*(ANSWERS.c[name] == FINDINGS.c[name] for name in ("vpd", "file", "line")))
    query = (
        select(FINDINGS, reason.label("now"), ANSWERS.c.position)
        .select_from(FINDINGS.outerjoin(ANSWERS, on))
        .where(FINDINGS.c.vpd == vpd, FINDINGS.c.stands)
        .order_by(FINDINGS.c.file, FINDINGS.c.line, FINDINGS.c.reason)
    )
    if after:
        file, line, last = after.rsplit("~", 2)
        query = query.where(place > tuple_(literal(file), literal(int(line)), literal(last)))
    rows = list(await connection.execute(query.limit(limit)))
    found = [
        {
            **about(row.now), "file": row.file, "line": row.line, "reference": row.reference,
            "sent_file": row.sent_file, "position": row.position or 0, "found_at": row.found_at.isoformat(),
        }
        for row in rows
    ]  # fmt: skip
    return found, f"{rows[-1].file}~{rows[-1].line}~{rows[-1].reason}" if len(rows) == limit else ""


async def nights(
    connection: AsyncConnection, vpd: str, *, since: date | None = None, until: date | None = None
) -> list[dict[str, Any]]:
    """Return the sum of each day's files, newest first: sent = confirmed + refused + open, each open item named."""
    columns = {"vpd": vpd, "since": since, "until": until, "most": MOST}
    rows = list(await connection.execute(_NIGHTS, columns))
    return [
        {
            "day": row.sent_on.isoformat(), "files": row.files, "sent": row.sent, "confirmed": row.confirmed,
            "refused": row.refused, "open": row.sent - row.confirmed - row.refused, "overdue": row.overdue,
            "named": list(row.named or ()),
        }
        for row in rows
    ]  # fmt: skip


async def sent_files(
    connection: AsyncConnection, vpd: str, after: str = "", limit: int = MOST, *, only: str = ""
) -> tuple[list[dict[str, Any]], str]:
    """Return a page of completion files (or the one called ``only``), newest day first, and where the next begins.

    That is empty after the last page.
    """
    day, _, file = after.partition("~")
    columns = {
        "vpd": vpd,
        "day": date.fromisoformat(day) if day else date.max,
        "file": file,
        "only": only,
        "most": limit,
    }
    rows = list(await connection.execute(_FILES, columns))
    found = [
        {
            "file": row.sent_file, "sent_at": row.sent_at.isoformat(), "day": row.sent_on.isoformat(),
            "sent": row.sent, "confirmed": row.confirmed, "refused": row.refused,
            "open": row.sent - row.confirmed - row.refused, "overdue": row.overdue, "named": list(row.named or ()),
            "answers": row.answers or [],
        }
        for row in rows
    ]  # fmt: skip
    return found, f"{rows[-1].sent_on.isoformat()}~{rows[-1].sent_file}" if len(rows) == limit else ""


NAMED: Final = 100
"""References of open items that are named for a file or a night; `list --state open` has all."""

_OPEN_OF: Final = (
    "(SELECT i.reference FROM confirmations.items i WHERE i.vpd = f.vpd AND i.state = 'open' AND {same} "
    f"ORDER BY i.sent_file, i.position LIMIT {NAMED})"
)
_OVERDUE_OF: Final = (
    "(SELECT CAST(count(*) AS int) FROM confirmations.items i WHERE i.vpd = f.vpd AND i.state = 'open' AND {same} "
    "AND i.overdue_at IS NOT NULL)"
)
_SAME_FILE: Final = "i.sent_file = f.sent_file"
_SAME_DAY: Final = "i.sent_on = f.sent_on"

_NIGHTS: Final = text(
    f"SELECT f.*, ARRAY{_OPEN_OF.format(same=_SAME_DAY)} AS named, {_OVERDUE_OF.format(same=_SAME_DAY)} AS overdue "
    "FROM (SELECT vpd, sent_on, CAST(count(*) AS int) AS files, CAST(sum(sent) AS int) AS sent, "
    "CAST(sum(confirmed) AS int) AS confirmed, CAST(sum(refused) AS int) AS refused FROM confirmations.sent_files "
    "WHERE vpd = :vpd AND sent_on >= coalesce(CAST(:since AS date), '-infinity') "
    "AND sent_on <= coalesce(CAST(:until AS date), 'infinity') "
    "GROUP BY vpd, sent_on ORDER BY sent_on DESC LIMIT :most) f ORDER BY f.sent_on DESC"
)

_FILES: Final = text(
    f"SELECT f.*, ARRAY{_OPEN_OF.format(same=_SAME_FILE)} AS named, {_OVERDUE_OF.format(same=_SAME_FILE)} AS overdue, "
    "(SELECT jsonb_agg(jsonb_build_object('file', h.file, 'line', h.line, 'status', h.status, 'code', h.code) "
    "ORDER BY h.file_no, h.line) FROM confirmations.file_answers h "
    "WHERE (h.vpd, h.sent_file) = (f.vpd, f.sent_file)) AS answers "
    "FROM confirmations.sent_files f WHERE f.vpd = :vpd AND f.sent > 0 AND (:only = '' OR f.sent_file = :only) "
    "AND (f.sent_on < :day OR (f.sent_on = :day AND f.sent_file < :file)) "
    "ORDER BY f.sent_on DESC, f.sent_file DESC LIMIT :most"
)
