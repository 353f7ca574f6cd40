"""Which dead letters are meant: filters, pages by keyset, and selections for actions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Column, ColumnElement, Select, Text, cast, func, literal, select, text, tuple_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console import store
from services.console.domain import STATES, DeadLetterError, State
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
    def narrow(self) -> bool:
        """Whether it names what only some letters have, and what has an index of its own."""
        return bool(self.file or self.staff or self.staff_hash or self.assignee or self.ticket)

    @property
    def by_age(self) -> bool:
        """Whether the oldest come first, not the first file and line: where moments are given, and nothing narrow."""
        return bool(self.since or self.until) and not self.narrow


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
    last = await store.find(connection, vpd, after) if after else None
    if after and last is None:
        raise DeadLetterError(f"trust {vpd} has no dead letter {after}")
    wanted = await hashed(connection, vpd, search)
    return await first(connection, vpd, wanted, now, last, min(limit, LONGEST_PAGE))


async def first(
    connection: AsyncConnection,
    vpd: str,
    search: Search,
    now: datetime,
    last: store.AnyRow | None,
    limit: int,
    *more: ColumnElement[bool],
) -> Sequence[store.AnyRow]:
    """Return the first letters after ``last`` that match and of which ``more`` is true. ``search`` is hashed.

    However many letters there are, few are looked at: those of one state, and those of one state and cause, lie in
    order in an index. Of each such lot as many are taken as are wanted, and of all these the first.
    """
    place = order(search)
    further = list(more)
    if last is not None:
        further.append(tuple_(*place) > tuple_(*(getattr(last, column.name) for column in place)))
    if search.file or search.staff_hash:
        found = query(vpd, search, now).where(*further)
    else:
        lots = await _lots(connection, vpd, search)
        if not lots:
            return []
        found = query(vpd, _rest(search, lots), now).where(*further)
        if search.narrow:  # its own index has letters of one state in order, whatever their cause, which stands beside
            causes = sorted({cause for _, cause in lots})
            found = found.where(LETTERS.c.cause.in_(causes)) if all(causes) else found
            lots = [(state, "") for state in sorted({state for state, _ in lots})]
        found = _of_lots(vpd, found, lots, place, limit)
    rows: Sequence[store.AnyRow] = (await connection.execute(found.order_by(*place).limit(limit))).all()
    return rows


async def _lots(connection: AsyncConnection, vpd: str, search: Search) -> list[tuple[str, str]]:
    """Return the states, each with a cause where kinds are asked for, that letters which match may have."""
    states = [search.state] if search.state else list(STATES)
    kinds = {"code": search.code, "queue": search.queue, "type": search.type, "cause": search.cause}
    if not any(kinds.values()):
        return [(state, "") for state in states]
    found = await connection.execute(_LOTS, {"vpd": vpd, "states": states} | kinds)
    return [(row.state, row.cause) for row in found]


def _rest(search: Search, lots: Sequence[tuple[str, str]]) -> Search:
    """Return what is left to look for within lots: a cause says code, queue and type."""
    if not all(cause for _, cause in lots):
        return msgspec.structs.replace(search, state=None)
    return msgspec.structs.replace(search, state=None, code="", queue="", type="", cause="")


def _of_lots(
    vpd: str, matching: Select[Any], lots: Sequence[tuple[str, str]], place: Sequence[Column[Any]], limit: int
) -> Select[Any]:
    """Return the letters that match, as many of each lot as are wanted."""
    states, causes = (cast(literal(list(said), ARRAY(Text)), ARRAY(Text)) for said in zip(*lots, strict=True))
    lot = func.unnest(states, causes).table_valued("state", "cause", name="lot").render_derived()
    inner = matching.with_only_columns(*place).where(LETTERS.c.state == lot.c.state)
    if any(cause for _, cause in lots):
        inner = inner.where(LETTERS.c.cause == lot.c.cause)
    each = inner.order_by(*place).limit(limit).correlate(lot).lateral("each")
    names = [each.c[column.name] for column in place]
    ids = select(each.c.id).select_from(lot).join(each, literal(True)).order_by(*names).limit(limit).subquery("ids")
    return select(LETTERS).join(ids, LETTERS.c.id == ids.c.id).where(LETTERS.c.vpd == vpd)


def order(search: Search) -> tuple[Column[Any], ...]:
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
    for name in ("assignee", "ticket"):
        if getattr(search, name):
            found = found.where(columns[name] != "")  # says to the planner that the small index will do
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


_LOTS: Final = text(
    "WITH RECURSIVE lots AS (SELECT s.state, f.* FROM unnest(CAST(:states AS text[])) AS s(state) CROSS JOIN LATERAL "
    "(SELECT cause, code, queue, type FROM console.dead_letters WHERE vpd = :vpd AND state = s.state "
    "ORDER BY cause LIMIT 1) f UNION ALL SELECT l.state, n.* FROM lots l CROSS JOIN LATERAL "
    "(SELECT cause, code, queue, type FROM console.dead_letters WHERE vpd = :vpd AND state = l.state "
    "AND cause > l.cause ORDER BY cause LIMIT 1) n) "
    "SELECT state, cause FROM lots WHERE CAST(:cause AS text) IN ('', cause) AND (cause = '' OR ("
    "CAST(:code AS text) IN ('', code) AND CAST(:queue AS text) IN ('', queue) AND CAST(:type AS text) IN ('', type)))"
)
"""Goes from cause to cause by the index. What an earlier release stored has no cause until it is described."""
