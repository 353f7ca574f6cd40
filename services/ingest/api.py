"""API of ``ingest``: files and their accounts, and what operators do with files that were not applied."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from services.ingest import answers_store, roster, watch
from services.ingest import listing as files_list
from services.ingest.actions import Action, FileDesk, offers
from services.ingest.domain import Status
from services.ingest.requests import FileActionError, Requests, listing
from shared.accounting import Fate
from shared.db.engine import Reader
from shared.db.ledger import Ledger
from shared.db.unit import Work

Vpd = Annotated[str, Path(pattern=r"^[0-9]{3,4}$")]
After = Annotated[str, Query(max_length=600, pattern=r"^[^\x00]*$", description="A place in the list.")]
Limit = Annotated[int, Query(ge=1, le=files_list.MOST)]


class Decision(BaseModel):
    """Who decides, and why."""

    who: str = Field(min_length=1, max_length=100)
    why: str = Field(min_length=1, max_length=1000)


class FileDecision(Decision):
    """``sha256``, or its beginning, tells apart files of one name."""

    sha256: str = Field(default="", pattern=r"^[0-9a-f]{0,64}$")


def make_router(reader: Reader, work: Work, requests: Requests, archived: Callable[[str, str], FilePath]) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1/trusts/{vpd}", tags=["ingest"])
    _add_reading(router, reader, work)
    _add_actions(router, work, requests, archived)
    return router


def _add_actions(router: APIRouter, work: Work, requests: Requests, archived: Callable[[str, str], FilePath]) -> None:
    async def act(action: Action, vpd: str, name: str, decision: FileDecision) -> dict[str, Any]:
        async with _refusals():
            return await FileDesk(work, archived, decision.who).act(action, vpd, name, decision.why, decision.sha256)

    @router.post("/files/{name}/release")
    async def release(vpd: Vpd, name: str, decision: FileDecision) -> dict[str, Any]:
        """Let a held file in as if nothing kept it back."""
        return await act("release", vpd, name, decision)

    @router.post("/files/{name}/discard")
    async def discard(vpd: Vpd, name: str, decision: FileDecision) -> dict[str, Any]:
        """End the matter of a held file without applying it."""
        return await act("discard", vpd, name, decision)

    @router.post("/files/{name}/recheck")
    async def recheck(vpd: Vpd, name: str, decision: FileDecision) -> dict[str, Any]:
        """Look anew at a file that was refused, for example after its profile was mended."""
        return await act("recheck", vpd, name, decision)

    @router.post("/snapshot-requests", status_code=202)
    async def ask(vpd: Vpd, decision: Decision) -> dict[str, Any]:
        """Ask ESR for a full file, timed so that it leaves neither gap nor overlap."""
        async with _refusals():
            return await requests.ask(vpd, decision.who, decision.why)


@asynccontextmanager
async def _refusals() -> AsyncIterator[None]:
    try:
        yield
    except FileActionError as error:
        raise HTTPException(409, str(error)) from error


def _add_reading(router: APIRouter, reader: Reader, work: Work) -> None:

    @router.get("/files")
    async def files(
        vpd: Vpd,
        status: Status | None = None,
        unsettled: bool = False,
        requests: bool = True,
        after: After = "",
        before: After = "",
        limit: Limit = files_list.PAGE,
    ) -> list[dict[str, Any]]:
        """Files that came, their status and account, the newest first, in pages.

        The next page is after ``<received_at>~<name>~<sha256>`` of the last, the one above before that of the first.
        ``unsettled``: only those that wait or are at work. ``requests=false``: without what came by requests.
        """
        async with reader.trust(vpd) as connection:
            try:
                return await files_list.page(
                    connection,
                    vpd,
                    after,
                    limit,
                    before=before,
                    status=status,
                    unsettled=unsettled,
                    requests=requests,
                )
            except ValueError as error:
                raise HTTPException(422, "'after' or 'before' is not what a page ended with") from error

    @router.get("/files/{name}")
    async def file(vpd: Vpd, name: str) -> list[dict[str, Any]]:
        """Every arrival of one name: its account, its confirmations, and what an operator may do with it."""
        async with reader.trust(vpd) as connection:
            found = await detail(connection, vpd, name)
        if not found:
            raise HTTPException(404, "no file of this name has come for this trust")
        return found

    @router.get("/files/{name}/lines/{line}")
    async def line(vpd: Vpd, name: str, line: Annotated[int, Path(ge=1)]) -> dict[str, Any]:
        """What became of one line."""
        async with reader.trust(vpd) as connection:
            found = await line_fate(connection, work.ledger, vpd, name, line)
        if found is None:
            raise HTTPException(404, "no such line, or no fate yet")
        return found

    @router.get("/absent")
    async def absent(vpd: Vpd) -> list[dict[str, str]]:
        """People whom a full file left out and no later file has brought back."""
        async with reader.trust(vpd) as connection:
            return await roster.absentees(connection, vpd)

    @router.get("/alarms")
    async def alarms(vpd: Vpd) -> list[dict[str, Any]]:
        """What the file calendar had to complain of."""
        async with reader.trust(vpd) as connection:
            return await watch.listing(connection, vpd)

    @router.get("/snapshot-requests")
    async def asked(vpd: Vpd) -> list[dict[str, Any]]:
        """Requests for a full file."""
        async with reader.trust(vpd) as connection:
            return await listing(connection, vpd)


async def detail(connection: AsyncConnection, vpd: str, name: str) -> list[dict[str, Any]]:
    """Return every arrival of a name with its confirmations and the actions it offers."""
    answers = await answers_store.of_file(connection, vpd, name)
    found = await files_list.of_name(connection, vpd, name)
    return [file | {"confirmations": answers, "offers": offers(file["status"], file["code"])} for file in found]


async def line_fate(
    connection: AsyncConnection, ledger: Ledger, vpd: str, name: str, line: int
) -> dict[str, Any] | None:
    """Return what became of a line; None when it has no fate. ``code``: why it was given up, where that is known."""
    block = await ledger.block(connection, (vpd, name), line)
    fate = block.get(line).fate if block else None
    if not fate:
        return None
    code = await answers_store.code(connection, vpd, name, line) if fate is Fate.DEAD_LETTERED else ""
    told = {"file": name, "line": line, "fate": fate.group, "rule": fate.name.lower(), "reason": fate.reason}
    return told | ({"code": code} if code else {})
