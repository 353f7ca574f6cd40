"""API of ``console``: dead letters, read and acted upon."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Path
from pydantic import BaseModel, Field

from services.console import actions, store
from services.console.actions import Operator
from services.console.domain import DeadLetterError
from shared.db.engine import Reader
from shared.db.unit import Work

Vpd = Annotated[str, Path(pattern=r"^[0-9]{3,4}$")]


class Decision(BaseModel):
    """Who decides, and why."""

    who: str = Field(min_length=1, max_length=100)
    why: str = Field(min_length=1, max_length=1000)


class Edit(Decision):
    """New values by column; an empty one removes the column."""

    columns: dict[str, str]


def make_router(reader: Reader, work: Work) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1/trusts/{vpd}/dead-letters", tags=["console"])

    @router.get("")
    async def listing(
        vpd: Vpd, state: Literal["open", "replayed", "resolved", "discarded"] = "open", code: str = ""
    ) -> list[dict[str, Any]]:
        """Dead letters in one state, by file and line."""
        async with reader.trust(vpd) as connection:
            return [actions.summary(row) for row in await store.listing(connection, vpd, state=state, code=code)]

    @router.get("/{letter}")
    async def show(vpd: Vpd, letter: str) -> dict[str, Any]:
        """One dead letter, the values of its columns masked."""
        async with reader.trust(vpd) as connection:
            row = await store.find(connection, vpd, letter)
        if row is None:
            raise HTTPException(404, "no such dead letter in this trust")
        return actions.detail(row, reveal=False)

    @router.post("/{letter}/replay", status_code=202)
    async def replay(vpd: Vpd, letter: str, decision: Decision) -> dict[str, str]:
        """Send the record to the queue it came from."""
        async with _refusals():
            await Operator(work, decision.who).replay(vpd, letter, decision.why)
        return {"id": letter, "state": "replayed"}

    @router.post("/{letter}/discard")
    async def discard(vpd: Vpd, letter: str, decision: Decision) -> dict[str, str]:
        """Close the case without replay."""
        async with _refusals():
            await Operator(work, decision.who).discard(vpd, letter, decision.why)
        return {"id": letter, "state": "discarded"}

    @router.post("/{letter}/edit")
    async def edit(vpd: Vpd, letter: str, edit: Edit) -> dict[str, Any]:
        """Change columns of the record before a replay."""
        async with _refusals():
            return await Operator(work, edit.who).edit(vpd, letter, edit.columns, edit.why)

    return router


@asynccontextmanager
async def _refusals() -> AsyncIterator[None]:
    try:
        yield
    except DeadLetterError as error:
        raise HTTPException(409, str(error)) from error
