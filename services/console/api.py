"""API of ``console``: dead letters, read and acted upon, one by one and many at once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, Field

from services.console import actions, audit, store
from services.console.actions import Operator
from services.console.age import Watch
from services.console.checking import Schemas
from services.console.domain import DeadLetterError, State
from services.console.grouping import groups
from services.console.search import LONGEST_PAGE, PAGE, Search, Selection, page
from services.console.showing import history
from shared.db.engine import Reader
from shared.db.unit import Work

Vpd = Annotated[str, Path(pattern=r"^[0-9]{3,4}$")]
Word = Annotated[str, Query(max_length=200)]
Limit = Annotated[int, Query(ge=1, le=LONGEST_PAGE)]


class Decision(BaseModel):
    """Who decides, and why."""

    who: str = Field(min_length=1, max_length=100)
    why: str = Field(min_length=1, max_length=1000)


class Edit(Decision):
    """New values by column; an empty one removes the column. ``edits``: how many there were when you looked."""

    columns: dict[str, str]
    edits: int | None = None


class Filter(BaseModel):
    """Which letters match. ``staff``: a person ID, employee, applicant or assignment number."""

    state: State | None = "open"
    code: str = ""
    queue: str = ""
    type: str = ""
    cause: str = ""
    file: str = ""
    line: int = Field(default=0, ge=0, le=2**31 - 1)
    staff: str = ""
    assignee: str = ""
    unassigned: bool = False
    ticket: str = ""
    held: bool | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None

    def search(self) -> Search:
        """Return it as the search."""
        return Search(**dict(self))


class Chosen(Decision):
    """Letters named one by one in ``ids``, or all that ``match``."""

    ids: list[str] = Field(default_factory=list, max_length=10_000)
    match: Filter | None = None

    def selection(self) -> Selection:
        """Return which letters are meant."""
        return Selection(ids=tuple(self.ids), search=self.match.search() if self.match else None)


class Assignment(Chosen):
    """Who looks after the letters; empty for nobody."""

    assignee: str = Field(default="", max_length=100)


class Hold(Chosen):
    """Until when nobody is to replay the letters; nothing ends the hold."""

    until: AwareDatetime | None = None


class Link(Chosen):
    """The ticket that the letters belong to; empty for none."""

    ticket: str = Field(default="", max_length=500)


def make_router(reader: Reader, work: Work, schemas: Schemas | None = None, watch: Watch | None = None) -> APIRouter:
    """Return the routes of letters; those of plans are in ``runs_api``."""
    router = APIRouter(prefix="/v1/trusts/{vpd}/dead-letters", tags=["dead letters"], dependencies=[Depends(storable)])
    known = schemas or Schemas()
    _add_lists(router, reader, work, watch or Watch(work, ()))
    _add_many(router, work, known)
    _add_one(router, reader, work, known)
    return router


def _add_lists(router: APIRouter, reader: Reader, work: Work, watch: Watch) -> None:

    @router.get("")
    async def listing(
        vpd: Vpd,
        request: Request,
        response: Response,
        state: State | Literal["any"] = "open",
        code: Word = "",
        queue: Word = "",
        type: Word = "",  # noqa: A002 - the name in the query
        cause: Word = "",
        file: Word = "",
        line: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
        staff: Word = "",
        assignee: Word = "",
        unassigned: bool = False,
        ticket: Annotated[str, Query(max_length=500)] = "",
        held: bool | None = None,
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
        after: Word = "",
        limit: Limit = PAGE,
    ) -> list[dict[str, Any]]:
        """Dead letters that pass every filter, by file and line.

        With ``since`` or ``until`` by age, unless a file, staff number, assignee or ticket is given.

        Where there may be more, the header ``Link`` names the next page: ``after`` is the id of the last letter.
        """
        search = Search(
            state=None if state == "any" else state,
            code=code, queue=queue, type=type, cause=cause, file=file, line=line, staff=staff, assignee=assignee,
            unassigned=unassigned, ticket=ticket, held=held, since=since, until=until,
        )  # fmt: skip
        async with refusals(), reader.trust(vpd) as connection:
            rows = await page(connection, vpd, search, work.clock.now(), after=after, limit=limit)
        if len(rows) == limit:
            response.headers["Link"] = f'<{request.url.include_query_params(after=rows[-1].id)}>; rel="next"'
        return [actions.summary(row) for row in rows]

    @router.get("/groups")
    async def by_cause(vpd: Vpd, state: State = "open") -> list[dict[str, Any]]:
        """Dead letters by cause (code, queue and type), the largest group first, with what to do."""
        async with reader.trust(vpd) as connection:
            return await groups(connection, vpd, state)

    @router.get("/alarm")
    async def alarm(vpd: Vpd) -> dict[str, Any]:
        """The age of the oldest open letter that is not held, and whether that is too much."""
        async with reader.trust(vpd) as connection:
            return await watch.alarm(connection, vpd)

    @router.get("/audit")
    async def audit_(
        vpd: Vpd,
        letter: Word = "",
        operation: Annotated[int, Query(ge=0)] = 0,
        after: Annotated[int, Query(ge=0)] = 0,
        limit: Limit = PAGE,
    ) -> list[dict[str, Any]]:
        """Who did what, when and why, oldest first: of the trust, of one letter or of one plan."""
        async with reader.trust(vpd) as connection:
            return await audit.read(connection, vpd, letter=letter, operation=operation, after=after, limit=limit)


def _add_many(router: APIRouter, work: Work, schemas: Schemas) -> None:

    @router.post("/assign")
    async def assign(vpd: Vpd, said: Assignment) -> dict[str, int]:
        """Say who looks after letters, named one by one or all that match."""
        async with refusals():
            operator = Operator(work, said.who, schemas)
            return {"letters": await operator.assign(vpd, said.selection(), said.assignee, said.why)}

    @router.post("/hold")
    async def hold(vpd: Vpd, said: Hold) -> dict[str, int]:
        """Let nobody replay letters before a moment, or end the hold."""
        until = said.until.astimezone(UTC) if isinstance(said.until, datetime) else None
        async with refusals():
            operator = Operator(work, said.who, schemas)
            return {"letters": await operator.hold(vpd, said.selection(), until, said.why)}

    @router.post("/note")
    async def note(vpd: Vpd, said: Chosen) -> dict[str, int]:
        """Write a note beside letters."""
        async with refusals():
            return {"letters": await Operator(work, said.who, schemas).note(vpd, said.selection(), said.why)}

    @router.post("/link")
    async def link(vpd: Vpd, said: Link) -> dict[str, int]:
        """Link letters to a ticket."""
        async with refusals():
            operator = Operator(work, said.who, schemas)
            return {"letters": await operator.link(vpd, said.selection(), said.ticket, said.why)}


def _add_one(router: APIRouter, reader: Reader, work: Work, schemas: Schemas) -> None:

    @router.get("/{letter}")
    async def show(vpd: Vpd, letter: str) -> dict[str, Any]:
        """One dead letter, the values of its columns masked, with what is wrong with its form now."""
        async with reader.trust(vpd) as connection:
            row = await store.find(connection, vpd, letter)
        if row is None:
            raise HTTPException(404, "no such dead letter in this trust")
        return actions.detail(row, reveal=False, schemas=schemas)

    @router.get("/{letter}/edits")
    async def edits(vpd: Vpd, letter: str) -> list[dict[str, Any]]:
        """Every edit of a letter and what it changed, values masked; the original is kept for ever."""
        async with reader.trust(vpd) as connection:
            row = await store.find(connection, vpd, letter)
            if row is None:
                raise HTTPException(404, "no such dead letter in this trust")
            return history(row, await store.edits(connection, vpd, letter), reveal=False)

    @router.post("/{letter}/replay", status_code=202)
    async def replay(vpd: Vpd, letter: str, decision: Decision) -> dict[str, str]:
        """Send the record to the queue it came from; it is ``resolved`` once its line has a settled fate."""
        async with refusals():
            await Operator(work, decision.who, schemas).replay(vpd, letter, decision.why)
        return {"id": letter, "state": "replayed"}

    @router.post("/{letter}/discard")
    async def discard(vpd: Vpd, letter: str, decision: Decision) -> dict[str, str]:
        """Close the case without replay."""
        async with refusals():
            await Operator(work, decision.who, schemas).discard(vpd, letter, decision.why)
        return {"id": letter, "state": "discarded"}

    @router.post("/{letter}/undo")
    async def undo(vpd: Vpd, letter: str, decision: Decision) -> dict[str, str]:
        """Open a discarded letter again."""
        async with refusals():
            await Operator(work, decision.who, schemas).undo(vpd, letter, decision.why)
        return {"id": letter, "state": "open"}

    @router.post("/{letter}/edit")
    async def edit(vpd: Vpd, letter: str, edit: Edit) -> dict[str, Any]:
        """Change columns of the record before a replay; refused where it would make something wrong that was not."""
        async with refusals():
            operator = Operator(work, edit.who, schemas)
            return await operator.edit(vpd, letter, edit.columns, edit.why, edit.edits)

    @router.post("/{letter}/edit-and-replay", status_code=202)
    async def edit_and_replay(vpd: Vpd, letter: str, edit: Edit) -> dict[str, Any]:
        """Change columns and send the record in one step; nothing of it is done while its form has a fault."""
        async with refusals():
            operator = Operator(work, edit.who, schemas)
            return await operator.edit_and_replay(vpd, letter, edit.columns, edit.why, edit.edits)


async def storable(request: Request) -> None:
    """Refuse what no table can hold, wherever in the address it stands."""
    said = (*request.path_params.values(), *request.query_params.values())
    if any("\0" in str(one) for one in said):
        raise HTTPException(422, "a value holds something that cannot be stored")


@asynccontextmanager
async def refusals() -> AsyncIterator[None]:
    """Answer 409 with the sentence where an action is refused."""
    try:
        yield
    except DeadLetterError as error:
        raise HTTPException(409, str(error)) from error
