"""The trail of who did what at a trust: deeds on dead letters and plans, and deeds on pages, as one list.

Both tables are added to only; the database refuses anything else. No values of records stand in either.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Select, Text, cast, func, literal, select, tuple_, union_all
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.tables import ACTIONS, DEEDS
from shared.db.engine import Reader

Source = Literal["letters", "pages"]

STRETCH: Final = 1_000
"""Rows that are read at once for a download."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Filters; what is empty filters nothing. ``until`` is the first moment that is too late."""

    who: str = ""
    deed: str = ""
    about: str = ""
    source: Source | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the trail a page ends."""

    at: datetime
    source: Source
    number: int

    def __str__(self) -> str:
        """Return it as an address carries it."""
        return f"{self.at.isoformat()}~{self.source}~{self.number}"

    @classmethod
    def of(cls, said: str) -> "Place | None":
        """Return the place that an address names; None when it names none."""
        parts = said.split("~")
        try:
            at, source, number = datetime.fromisoformat(parts[0]), parts[1], int(parts[2])
        except (IndexError, ValueError):
            return None
        if at.tzinfo is None or source not in ("letters", "pages") or not 0 <= number < 2**63:
            return None
        return cls(at, "letters" if source == "letters" else "pages", number)


async def read(
    connection: AsyncConnection, vpd: str, asked: Asked, *, before: Place | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Return what was done, the newest first, from ``before`` on.

    Keys: ``at``, ``source``, ``number``, ``who``, ``deed``, ``about`` (a letter or whatever else it was done to),
    ``plan`` (0: none), ``columns`` (names, never values), ``why``, ``before``, ``after``.
    """
    halves = [_half(source, vpd, asked, before, limit) for source in _HALVES if asked.source in (None, source)]
    found = union_all(*(half.subquery().select() for half in halves)).subquery()
    order = (found.c.at.desc(), found.c.source.desc(), found.c.number.desc())
    rows = await connection.execute(select(found).order_by(*order).limit(limit))
    return [dict(row) for row in rows.mappings()]


async def everything(reader: Reader, vpd: str, asked: Asked) -> AsyncIterator[Sequence[dict[str, Any]]]:
    """Yield the whole trail in stretches, each read on its own, so that nobody waits for a slow download."""
    before: Place | None = None
    while True:
        async with reader.trust(vpd) as connection:
            rows = await read(connection, vpd, asked, before=before, limit=STRETCH)
        yield rows
        if len(rows) < STRETCH:
            return
        before = place_of(rows[-1])


def place_of(row: dict[str, Any]) -> Place:
    """Return the place of a row."""
    return Place(row["at"], row["source"], row["number"])


_NOTHING: Final = cast(literal("{}"), JSONB)

_HALVES: Final[dict[Source, tuple[Any, Any]]] = {
    "letters": (
        ACTIONS,
        (
            ACTIONS.c.at,
            cast(literal("letters"), Text).label("source"),
            ACTIONS.c.id.label("number"),
            ACTIONS.c.who,
            ACTIONS.c.action.label("deed"),
            ACTIONS.c.letter.label("about"),
            ACTIONS.c.operation.label("plan"),
            ACTIONS.c.columns,
            ACTIONS.c.why,
            ACTIONS.c.before,
            ACTIONS.c.after,
        ),
    ),
    "pages": (
        DEEDS,
        (
            DEEDS.c.at,
            cast(literal("pages"), Text).label("source"),
            DEEDS.c.id.label("number"),
            DEEDS.c.who,
            DEEDS.c.deed,
            DEEDS.c.subject.label("about"),
            literal(0).label("plan"),
            func.jsonb_build_array(DEEDS.c.column).label("columns"),
            DEEDS.c.why,
            _NOTHING.label("before"),
            _NOTHING.label("after"),
        ),
    ),
}


def _half(source: Source, vpd: str, asked: Asked, before: Place | None, limit: int) -> Select[Any]:
    table, columns = _HALVES[source]
    deed, about = (table.c.action, table.c.letter) if source == "letters" else (table.c.deed, table.c.subject)
    found = select(*columns).where(table.c.vpd == vpd)
    for column, wanted in ((table.c.who, asked.who), (deed, asked.deed), (about, asked.about)):
        if wanted:
            found = found.where(column == wanted)
    if asked.since:
        found = found.where(table.c.at >= asked.since)
    if asked.until:
        found = found.where(table.c.at < asked.until)
    if before:
        place = tuple_(table.c.at, cast(literal(source), Text), table.c.id)
        found = found.where(table.c.at <= before.at, place < tuple_(before.at, before.source, before.number))
    return found.order_by(table.c.at.desc(), table.c.id.desc()).limit(limit)
