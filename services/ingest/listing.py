"""Lists of files: pages of those that came, the newest first, and the arrivals of one name."""

from datetime import datetime
from typing import Any, Final, get_args

from sqlalchemy import ColumnElement, TextClause, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.ingest.domain import Status
from services.ingest.schema import FILES, OF_FOLDERS
from services.ingest.store import describe

SETTLED: Final[frozenset[Status]] = frozenset({"complete", "quarantined", "refused", "discarded"})
"""Statuses of files of which nothing more follows."""

UNSETTLED: Final[tuple[Status, ...]] = tuple(one for one in get_args(Status) if one not in SETTLED)

MOST: Final = 1000
"""Files of a page at most."""
PAGE: Final = 100

_PLACE: Final = (FILES.c.received_at, FILES.c.name, FILES.c.sha256)


async def page(
    connection: AsyncConnection,
    vpd: str,
    after: str = "",
    limit: int = PAGE,
    *,
    before: str = "",
    status: Status | None = None,
    unsettled: bool = False,
    requests: bool = True,
) -> list[dict[str, Any]]:
    """Return a page of files, the newest first: the next is after ``place_of`` its last, the other before its first.

    ``unsettled``: only those that wait or are at work. Without ``requests``, files that the bridge made of what an LMS
    sent or answered by requests are left out: that may be thousands of a day. Raises ValueError for a place that no
    page ended with.
    """
    asked: list[ColumnElement[bool] | TextClause] = [FILES.c.vpd == vpd]
    if after:
        asked.append(tuple_(*_PLACE) < tuple_(*_place(after)))
    if status:
        asked.append(FILES.c.status == status)
    if unsettled:
        asked.append(FILES.c.status.in_(UNSETTLED))
    if not requests:
        asked.append(text(OF_FOLDERS))
    if before:
        asked.append(tuple_(*_PLACE) > tuple_(*_place(before)))
    order = _PLACE if before else [column.desc() for column in _PLACE]
    rows = (await connection.execute(select(FILES).where(*asked).order_by(*order).limit(limit))).all()
    return [describe(row) for row in (reversed(rows) if before else rows)]


async def of_name(connection: AsyncConnection, vpd: str, name: str) -> list[dict[str, Any]]:
    """Return every arrival of a name, in order of arrival."""
    query = select(FILES).where(FILES.c.vpd == vpd, FILES.c.name == name)
    rows = await connection.execute(query.order_by(FILES.c.received_at, FILES.c.number, FILES.c.sha256))
    return [describe(row) for row in rows]


def place_of(file: dict[str, Any]) -> str:
    """Return where a file stands in the list: after it the next page begins."""
    return f"{file['received_at']}~{file['name']}~{file['sha256']}"


def _place(after: str) -> tuple[datetime, str, str]:
    moment, _, rest = after.partition("~")
    name, _, sha256 = rest.rpartition("~")
    at = datetime.fromisoformat(moment)
    if at.tzinfo is None:
        raise ValueError("a moment without its zone")
    return at, name, sha256
