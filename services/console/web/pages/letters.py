"""Dead letters: by cause, one of them, and what is done with it."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import select
from starlette.responses import RedirectResponse, Response

from services.console import audit, grouping, search, showing, store
from services.console.actions import Operator
from services.console.checking import Schemas
from services.console.domain import DeadLetterError, State
from services.console.search import Search, Selection
from services.console.tables import DEEDS
from services.console.web.site import PageError, Visit
from shared.clock import LONDON

PAGE: Final = 50
STATES: Final[tuple[State, ...]] = ("open", "replayed", "resolved", "discarded")
DONE: Final = {
    "replay": "The record was sent to its queue. The case closes by itself when the record succeeds.",
    "edit": "The record was changed. The original is kept. Replay it to send it.",
    "edit-replay": "The record was changed and sent. The original is kept.",
    "discard": "The case is closed without a replay.",
    "undo": "The case is open again.",
    "assign": "It is written down who looks after it.",
    "hold": "The hold is written down.",
    "link": "The ticket is written down.",
    "note": "The note is written down.",
}
HANDED_ON: Final = ("code", "cause", "file", "line", "assignee", "staff_hash")
"""What of a search goes with records that are chosen for a plan."""
_LONGEST_LINE: Final = 10


async def listing(visit: Visit) -> Response:
    """List dead letters that match, in pages, and the causes of all in the same state."""
    state = visit.asked("state") or "open"
    if state not in STATES:
        raise PageError(404, "There is no such state.")
    line = visit.asked("line")
    problem = ""
    if line and not (line.isascii() and line.isdecimal() and len(line) < _LONGEST_LINE):
        problem, line = "Enter the number of a line, for example 17", ""
    wanted = Search(
        state=state,
        code=visit.asked("code"),
        cause=visit.asked("cause"),
        file=visit.asked("file"),
        line=int(line or 0),
        assignee=visit.asked("assignee"),
    )
    return await _list(visit, wanted, visit.asked("after"), problem)


async def find_staff(visit: Visit) -> Response:
    """List dead letters about a staff number. It comes by a form, so that it stands in no address and no log."""
    number = visit.form.get("staff", "").strip()[:60]
    if not number:
        return await _list(visit, Search(), "", "", "Enter a staff number")
    return await _list(visit, Search(state=None, staff=number), "", "")


def search_of(form: Mapping[str, str]) -> Search:
    """Return the open records that a form of the list is about. A staff number comes as its keyed hash."""
    said = {name: form.get(name, "").strip()[:300] for name in HANDED_ON}
    line = said["line"]
    return Search(
        code=said["code"],
        cause=said["cause"],
        file=said["file"],
        line=int(line) if line.isascii() and line.isdecimal() and len(line) < _LONGEST_LINE else 0,
        assignee=said["assignee"],
        staff_hash=said["staff_hash"],
    )


async def choose_again(visit: Visit, problem: str) -> Response:
    """List what a form of the list was about once more, and say what is wrong with the choice."""
    return await _list(visit, search_of(visit.form), "", "", pick_problem=problem)


async def _list(
    visit: Visit, wanted: Search, after: str, problem: str, staff_problem: str = "", pick_problem: str = ""
) -> Response:
    async with visit.site.reader.trust(visit.vpd) as connection:
        try:
            rows = await search.page(connection, visit.vpd, wanted, visit.site.clock.now(), after=after, limit=PAGE + 1)
        except DeadLetterError:
            raise PageError(404, "There is no such page of the list.") from None
        groups = await grouping.groups(connection, visit.vpd, wanted.state or "open")
        staff_hash = (await search.hashed(connection, visit.vpd, wanted)).staff_hash
    filters = {"code": wanted.code, "cause": wanted.cause, "file": wanted.file, "assignee": wanted.assignee}
    return visit.page(
        "letters.html",
        422 if problem or staff_problem or pick_problem else 200,
        trust=visit.trust,
        letters=[showing.summary(row) for row in rows[:PAGE]],
        after=rows[PAGE - 1].id if len(rows) > PAGE else "",
        paged=bool(after),
        state=wanted.state or "",
        states=STATES,
        line=str(wanted.line or ""),
        filters=filters,
        filtered=any(filters.values()) or bool(wanted.line),
        by_staff=bool(staff_hash),
        staff_hash=staff_hash,
        groups=groups,
        problem=problem,
        staff_problem=staff_problem,
        pick_problem=pick_problem,
    )


async def show(visit: Visit) -> Response:
    """Show one, its values masked."""
    return await _page(visit, done=DONE.get(visit.asked("done"), ""))


async def reveal(visit: Visit) -> Response:
    """Show one value of one, after writing down who looked at it and why."""
    column, why = visit.form.get("column", ""), _why(visit)
    row = await _row(visit)
    fields = showing.fields_of(store.message_of(row))
    if column not in fields:
        return await _page(visit, 422, problem=("reveal-column", "Choose the column you need to see"))
    if not why:
        return await _page(visit, 422, problem=("reveal-why", "Say why you need to see the value"), column=column)
    await visit.site.sessions.write_down(
        visit.vpd, visit.caller.who, "revealed", subject=row.id, column=column, why=why
    )
    return await _page(visit, shown={column: fields[column]}, column=column)


async def edit(visit: Visit) -> Response:
    """Change one column of the record, and send it where that is asked for."""
    column, expected = visit.form.get("column", ""), visit.form.get("edits", "")
    if not column:
        return await _page(visit, 422, problem=("edit-column", "Choose the column to change"))
    send = visit.form.get("then") == "replay"
    changes = {column: visit.form.get("value", "").strip()}
    seen = int(expected) if expected.isascii() and expected.isdecimal() and len(expected) < 7 else None

    async def act(operator: Operator, letter: str, why: str) -> None:
        way = operator.edit_and_replay if send else operator.edit
        await way(visit.vpd, letter, changes, why, seen)

    return await _act(visit, "edit", act, "edit-replay" if send else "edit")


async def replay(visit: Visit) -> Response:
    """Send the record to the queue it came from."""
    return await _act(visit, "replay", lambda operator, letter, why: operator.replay(visit.vpd, letter, why))


async def discard(visit: Visit) -> Response:
    """Close the case without a replay."""
    return await _act(visit, "discard", lambda operator, letter, why: operator.discard(visit.vpd, letter, why))


async def undo(visit: Visit) -> Response:
    """Open a discarded case again."""
    return await _act(visit, "undo", lambda operator, letter, why: operator.undo(visit.vpd, letter, why))


async def look_after(visit: Visit) -> Response:
    """Assign it, hold it, link it to a ticket, or write a note beside it: whatever the form says."""
    kind = visit.form.get("kind", "")
    value = visit.form.get("value", "").strip()[:200]
    until: datetime | None = None
    if kind == "hold" and value:
        try:
            until = datetime.fromisoformat(value).replace(tzinfo=LONDON)
        except ValueError:
            return await _page(visit, 422, problem=("look-after-value", "Write the day as 2026-03-31"))
    if kind not in ("assign", "hold", "link", "note"):
        return await _page(visit, 422, problem=("look-after-kind", "Choose what to write down"))

    async def act(operator: Operator, letter: str, why: str) -> None:
        one = Selection(ids=(letter,))
        if kind == "assign":
            await operator.assign(visit.vpd, one, value, why)
        elif kind == "hold":
            await operator.hold(visit.vpd, one, until, why)
        elif kind == "link":
            await operator.link(visit.vpd, one, value, why)
        else:
            await operator.note(visit.vpd, one, why)

    return await _act(visit, "look-after", act, kind)


_Deed = Callable[[Operator, str, str], Awaitable[Any]]


async def _act(visit: Visit, form: str, deed: _Deed, done: str = "") -> Response:
    letter = str(visit.request.path_params["letter"])
    why = _why(visit)
    if not why:
        return await _page(visit, 422, problem=(f"{form}-why", "Say why, so that others can understand it later"))
    operator = Operator(visit.site.work, visit.caller.who, Schemas(visit.site.config))
    try:
        await deed(operator, letter, why)
    except DeadLetterError as error:
        return await _page(visit, 409, problem=(f"{form}-why", error.sentence))
    return RedirectResponse(visit.path("dead-letters", letter, done=done or form), 303)


def _why(visit: Visit) -> str:
    return visit.form.get("why", "").strip()[:1000]


async def _row(visit: Visit) -> store.AnyRow:
    async with visit.site.reader.trust(visit.vpd) as connection:
        row = await store.find(connection, visit.vpd, str(visit.request.path_params["letter"]))
    if row is None:
        raise PageError(404, "There is no such dead letter at this trust.")
    return row


async def _page(visit: Visit, status: int = 200, **said: Any) -> Response:  # noqa: ANN401 - for the template
    row = await _row(visit)
    schemas = Schemas(visit.site.config)
    async with visit.site.reader.trust(visit.vpd) as connection:
        edits = showing.history(row, await store.edits(connection, visit.vpd, row.id), reveal=False)
    told = {"problem": None, "shown": {}, "column": "", "done": ""} | said
    return visit.page(
        "letter.html",
        status,
        trust=visit.trust,
        letter=showing.detail(row, reveal=False, schemas=schemas),
        edits=edits,
        history=await _history(visit, row.id),
        tomorrow=(visit.site.clock.today() + timedelta(days=1)).isoformat(),
        **told,
    )


async def _history(visit: Visit, letter: str) -> list[dict[str, Any]]:
    """Return what was done with a letter and who looked at it, the newest first; values are nowhere."""
    looked = select(DEEDS.c.at, DEEDS.c.who, DEEDS.c.column, DEEDS.c.why)
    async with visit.site.reader.trust(visit.vpd) as connection:
        done = await audit.read(connection, visit.vpd, letter=letter, limit=500)
        seen = await connection.execute(looked.where(DEEDS.c.vpd == visit.vpd, DEEDS.c.subject == letter))
        found = [one | {"at": datetime.fromisoformat(cast("str", one["at"]))} for one in done]
        found += [
            {"at": row.at, "who": row.who, "action": "looked at", "why": row.why, "columns": [row.column]}
            for row in seen
        ]
    return sorted(found, key=lambda one: one["at"], reverse=True)
