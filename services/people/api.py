"""API of ``people``: who is what and why, who changes when, and what operators decide."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Path, Query
from pydantic import BaseModel, Field

from services.people import store, views
from services.people.desk import Decision, Desk
from services.people.schema import SCHEMA
from shared.db.engine import Reader
from shared.db.facts import FactStore
from shared.errors import DecisionError

Vpd = Annotated[str, Path(pattern=r"^[0-9]{3,4}$")]
Limit = Annotated[int, Query(ge=1, le=1000)]


class Reason(BaseModel):
    """Who decides, and why."""

    who: str = Field(min_length=1, max_length=100)
    why: str = Field(min_length=1, max_length=1000)


class PairDecision(Reason):
    """What two records are."""

    decision: Decision


def make_router(reader: Reader, desk: Desk) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1/trusts/{vpd}", tags=["people"])
    _add_people(router, reader)
    _add_duplicates(router, reader, desk)
    _add_restriction(router, desk)
    return router


def _add_people(router: APIRouter, reader: Reader) -> None:
    facts = FactStore(SCHEMA)

    @router.get("/people/summary")
    async def summary(vpd: Vpd) -> dict[str, int]:
        """How many people are in each state."""
        async with reader.trust(vpd) as connection:
            return await store.count_by_state(connection, vpd)

    @router.get("/people/due")
    async def due(vpd: Vpd, limit: Limit = 100) -> list[dict[str, Any]]:
        """Who may change next without any file, and on which day."""
        async with reader.trust(vpd) as connection:
            return await store.calendar(connection, vpd, limit)

    @router.get("/people")
    async def search(vpd: Vpd, q: Annotated[str, Query(min_length=1, max_length=60)]) -> list[dict[str, Any]]:
        """People with this person ID or employee number."""
        async with reader.trust(vpd) as connection:
            return await views.search(connection, vpd, q)

    @router.get("/people/{person_id}")
    async def person(vpd: Vpd, person_id: str, *, reveal: bool = False) -> dict[str, Any]:
        """One person as derived for today, and the facts that rests on; private columns only on ``reveal``."""
        async with reader.trust(vpd) as connection:
            found = await views.person(connection, facts, vpd, person_id, reveal=reveal)
        if found is None:
            raise HTTPException(404, "no such person in this trust")
        return found


def _add_duplicates(router: APIRouter, reader: Reader, desk: Desk) -> None:
    facts = FactStore(SCHEMA)

    @router.get("/duplicates")
    async def duplicates(
        vpd: Vpd,
        state: Literal["open", "gone", "same", "different", ""] = "open",
        limit: Limit = 100,
        after: Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")] = "",
        *,
        reveal: bool = False,
    ) -> list[dict[str, Any]]:
        """Records that may be one human, and in what they agree; the values themselves only on ``reveal``.

        In pages: the next is after ``<person ID>~<other person ID>`` of the last.
        """
        async with reader.trust(vpd) as connection:
            return await views.duplicates(connection, facts, vpd, state, limit, reveal=reveal, after=after)

    @router.get("/duplicates/{one}/{other}")
    async def duplicate(vpd: Vpd, one: str, other: str, *, reveal: bool = False) -> dict[str, Any]:
        """Two records that may be one human, whichever is named first; the values themselves only on ``reveal``."""
        async with reader.trust(vpd) as connection:
            found = await views.duplicate(connection, facts, vpd, one, other, reveal=reveal)
        if found is None:
            raise HTTPException(404, "nothing was suspected or decided of these two")
        return found

    @router.post("/duplicates/{one}/{other}")
    async def decide(vpd: Vpd, one: str, other: str, said: PairDecision) -> dict[str, Any]:
        """Say that two records are the same human or are not, or take that back."""
        async with _refusals():
            return await desk.decide(vpd, one, other, said.decision, said.who, said.why)


def _add_restriction(router: APIRouter, desk: Desk) -> None:

    @router.get("/restriction")
    async def restriction(vpd: Vpd, limit: Limit = 100) -> dict[str, Any]:
        """Which people the trust wants, and what applying a changed restriction would do."""
        async with _refusals():
            return await desk.restriction(vpd, limit)

    @router.post("/restriction", status_code=202)
    async def restrict(vpd: Vpd, said: Reason) -> dict[str, Any]:
        """Apply the restriction that waits in ``bridge.yaml``; everyone is derived again soon."""
        async with _refusals():
            return await desk.restrict(vpd, said.who, said.why)


@asynccontextmanager
async def _refusals() -> AsyncIterator[None]:
    try:
        yield
    except DecisionError as error:
        raise HTTPException(409, str(error)) from error
