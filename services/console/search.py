"""Which dead letters are meant: filters, pages by keyset, and selections for actions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console import store
from services.console.domain import DeadLetterError, State
from services.console.identity import staff_hash
from services.console.tables import LETTERS, STAFF

PAGE: Final = 100
LONGEST_PAGE: Final = 1_000


class Search(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Filters; what is empty filters nothing. A letter must pass all of them.

    ``staff`` is a staff number (person ID, employee, applicant or assignment number); ``hashed`` turns it into
    ``staff_hash``, and nothing else of it is kept. ``since`` and ``until`` are about when it failed first.
    """

    state: State | None = "open"
    code: str = ""
    queue: str = ""
    type: str = ""
    cause: str = ""
    file: str = ""
    line: int = 0
    staff: str = ""
    staff_hash: str = ""
    assignee: str = ""
    unassigned: bool = False
    ticket: str = ""
    held: bool | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def by_age(self) -> bool:
        """Whether the oldest come first, not the first file and line: where age (and code) is all that counts."""
        others = (self.cause, self.type, self.file, self.staff or self.staff_hash, self.assignee)
        return bool(self.since or self.until) and not any(others)


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Letters named one by one, or all that match a search."""

    ids: tuple[str, ...] = ()
    search: Search | None = None


async def hashed(connection: AsyncConnection, vpd: str, search: Search) -> Search:
    """Return the search without the staff number itself."""
    if not search.staff:
        return search
    key = await store.known_staff_key(connection, vpd)
    return msgspec.structs.replace(search, staff="", staff_hash=staff_hash(key, vpd, search.staff))


async def page(
    connection: AsyncConnection, vpd: str, search: Search, now: datetime, *, after: str = "", limit: int = PAGE
) -> Sequence[store.AnyRow]:
    """Return the next letters that match, after the one with the id ``after``. Raises DeadLetterError if it is none."""
    found = query(vpd, await hashed(connection, vpd, search), now)
    place = order(search)
    if after:
        last = await store.find(connection, vpd, after)
        if last is None:
            raise DeadLetterError(f"trust {vpd} has no dead letter {after}")
        found = found.where(tuple_(*place) > tuple_(*(getattr(last, column.name) for column in place)))
    rows: Sequence[store.AnyRow] = (
        await connection.execute(found.order_by(*place).limit(min(limit, LONGEST_PAGE)))
    ).all()
    return rows


def order(search: Search) -> tuple[ColumnElement[Any], ...]:
    """Return the columns that pages are ordered by."""
    if search.by_age:
        return (LETTERS.c.first_at, LETTERS.c.id)
    if search.file:
        return (LETTERS.c.line, LETTERS.c.id)
    return (LETTERS.c.file_no, LETTERS.c.line, LETTERS.c.id)


def query(vpd: str, search: Search, now: datetime) -> Select[Any]:
    """Return the letters that match, in no order. ``search`` is hashed; ``now`` decides which are held."""
    columns = LETTERS.c
    found = select(LETTERS).where(columns.vpd == vpd)
    for name in ("state", "code", "queue", "type", "cause", "file", "line", "assignee", "ticket"):
        if wanted := getattr(search, name):
            found = found.where(columns[name] == wanted)
    if search.assignee:
        found = found.where(columns.assignee != "")  # says to the planner that the small index will do
    if search.staff_hash:
        about = select(STAFF.c.letter).where(STAFF.c.vpd == vpd, STAFF.c.hash == search.staff_hash)
        found = found.where(columns.id.in_(about))
    if search.unassigned:
        found = found.where(columns.assignee == "")
    if search.held is not None:
        held = columns.hold_until.is_not(None) & (columns.hold_until > now)
        found = found.where(held if search.held else ~held)
    if search.since:
        found = found.where(columns.first_at >= search.since)
    if search.until:
        found = found.where(columns.first_at < search.until)
    return found
