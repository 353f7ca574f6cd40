"""API of ``console``: plans for many letters, and their runs."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field

from services.console.api import Chosen, Decision, Limit, Vpd, Word, refusals, storable
from services.console.domain import Kind
from services.console.operations import items, listed, shown
from services.console.planning import Pace, Planner
from services.console.search import PAGE
from shared.db.engine import Reader

Number = Annotated[int, Path(ge=1, le=2**63 - 1)]


class Plan(Chosen):
    """What is to be done with which letters, and how fast; what is left out is as the settings say."""

    kind: Kind = "replay"
    canary: int | None = Field(default=None, ge=1, le=100)
    per_second: int | None = Field(default=None, ge=1, le=10_000)
    allowed_percent: int | None = Field(default=None, ge=0, le=100)
    insist: bool = False

    def pace(self) -> Pace:
        """Return how the run is to go."""
        return Pace(self.canary, self.per_second, self.allowed_percent, self.insist)


def make_runs_router(reader: Reader, planner: Planner) -> APIRouter:
    """Return the routes of plans and runs."""
    router = APIRouter(
        prefix="/v1/trusts/{vpd}/dead-letter-runs", tags=["dead letters"], dependencies=[Depends(storable)]
    )
    _add_plans(router, reader, planner)
    _add_decisions(router, planner)
    return router


def _add_plans(router: APIRouter, reader: Reader, planner: Planner) -> None:

    @router.get("")
    async def overview(vpd: Vpd, limit: Limit = PAGE) -> list[dict[str, Any]]:
        """Plans and runs, the newest first."""
        async with reader.trust(vpd) as connection:
            return await listed(connection, vpd, limit=limit)

    @router.post("", status_code=201)
    async def plan(vpd: Vpd, said: Plan) -> dict[str, Any]:
        """Fix which letters a replay or discard is about, and what each would do; nothing is done yet.

        The answer's ``state`` is ``proposed`` where a second person has to approve it, else ``planned``.
        """
        async with refusals():
            return await planner.plan(vpd, said.kind, said.selection(), said.who, said.why, said.pace())

    @router.get("/{number}")
    async def show(vpd: Vpd, number: Number) -> dict[str, Any]:
        """One plan: what is expected of its letters, and what has become of them."""
        async with refusals(), reader.trust(vpd) as connection:
            return await shown(connection, vpd, number)

    @router.get("/{number}/letters")
    async def letters(
        vpd: Vpd, number: Number, state: Word = "", after: Annotated[int, Query(ge=0)] = 0, limit: Limit = PAGE
    ) -> list[dict[str, Any]]:
        """The letters of a plan in their order: what each would do and why, and what it did."""
        async with reader.trust(vpd) as connection:
            return await items(connection, vpd, number, state=state, after=after, limit=limit)


def _add_decisions(router: APIRouter, planner: Planner) -> None:

    @router.post("/{number}/approve")
    async def approve(vpd: Vpd, number: Number, said: Decision) -> dict[str, Any]:
        """Agree to a plan as the second person; never whoever proposed it."""
        async with refusals():
            return await planner.approve(vpd, number, said.who, said.why)

    @router.post("/{number}/start", status_code=202)
    async def start(vpd: Vpd, number: Number, said: Decision) -> dict[str, Any]:
        """Let a plan run: a canary, a ramp, then the rest."""
        async with refusals():
            return await planner.start(vpd, number, said.who, said.why)

    @router.post("/{number}/pause")
    async def pause(vpd: Vpd, number: Number, said: Decision) -> dict[str, Any]:
        """Let a run send no more until it is resumed."""
        async with refusals():
            return await planner.pause(vpd, number, said.who, said.why)

    @router.post("/{number}/resume", status_code=202)
    async def resume(vpd: Vpd, number: Number, said: Decision) -> dict[str, Any]:
        """Let a run go on that was paused, or that halted by itself."""
        async with refusals():
            return await planner.resume(vpd, number, said.who, said.why)

    @router.post("/{number}/stop")
    async def stop(vpd: Vpd, number: Number, said: Decision) -> dict[str, Any]:
        """End a plan or run for good."""
        async with refusals():
            return await planner.stop(vpd, number, said.who, said.why)

    @router.post("/{number}/undo")
    async def undo(vpd: Vpd, number: Number, said: Decision) -> dict[str, Any]:
        """Open again what a discard closed."""
        async with refusals():
            return await planner.undo(vpd, number, said.who, said.why)
