"""API of ``competency``: what was decided, and the mappings it was decided by."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query
from pydantic import BaseModel, Field

from services.competency import queue, store, versions, views
from services.competency.comparison import store as comparisons
from services.competency.desk import MappingDesk
from shared.db.engine import Reader
from shared.errors import DecisionError
from shared.mapping_settings import from_json

Vpd = Annotated[str, Path(pattern=r"^[0-9]{3,4}$")]
Limit = Annotated[int, Query(ge=0, le=1000)]


class Reason(BaseModel):
    """Who decides, and why."""

    who: str = Field(min_length=1, max_length=100)
    why: str = Field(min_length=1, max_length=1000)


class Draft(Reason):
    """A whole set of mappings, in the form that ``docs/mapping.md`` describes."""

    content: dict[str, Any]


class Applied(Reason):
    """When a draft comes into force; today when no day is said."""

    day: date | None = None


def make_router(reader: Reader, desk: MappingDesk) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1/trusts/{vpd}", tags=["competency"])
    _add_decisions(router, reader)
    _add_mappings(router, reader, desk)
    _add_draft(router, desk)
    return router


def _add_decisions(router: APIRouter, reader: Reader) -> None:

    @router.get("/decisions/summary")
    async def summary(vpd: Vpd) -> dict[str, int]:
        """How many achievements and completions have which verdict."""
        async with reader.trust(vpd) as connection:
            return await store.count_by_verdict(connection, vpd)

    @router.get("/people/{person_id}/decisions")
    async def explain(vpd: Vpd, person_id: str) -> list[dict[str, Any]]:
        """What was decided on everything a person has learnt, and why."""
        async with reader.trust(vpd) as connection:
            return await views.explain(connection, vpd, person_id)

    @router.get("/comparison")
    async def comparison(vpd: Vpd, limit: Limit = 100) -> dict[str, Any]:
        """What ESR's last full file shows otherwise than ESR had confirmed it; see docs/confirmations.md."""
        async with reader.trust(vpd) as connection:
            return await comparisons.listing(connection, vpd, limit)

    @router.get("/parked")
    async def parked(vpd: Vpd) -> list[dict[str, Any]]:
        """What waits for its person or its competence, with file and line."""
        async with reader.trust(vpd) as connection:
            return await store.parked(connection, vpd)


def _add_mappings(router: APIRouter, reader: Reader, desk: MappingDesk) -> None:

    @router.get("/mappings")
    async def mappings(vpd: Vpd) -> dict[str, Any]:
        """The mappings in force, what will be in force later, and the draft."""
        async with _refusals():
            return await desk.show(vpd)

    @router.get("/mappings/versions/{number}")
    async def version(vpd: Vpd, number: int) -> dict[str, Any]:
        """What one version says."""
        async with _refusals():
            return await desk.version(vpd, number)

    @router.get("/mappings/history")
    async def history(vpd: Vpd) -> list[dict[str, Any]]:
        """What was done with mappings, newest first, by whom and why."""
        async with reader.trust(vpd) as connection:
            return await versions.history(connection, vpd)

    @router.get("/mappings/missing")
    async def missing(vpd: Vpd) -> list[dict[str, Any]]:
        """What arrived and no mapping covers, most frequent first."""
        async with reader.trust(vpd) as connection:
            return await queue.missing(connection, vpd)

    @router.get("/mappings/warnings")
    async def warnings(vpd: Vpd, limit: Limit = 100) -> dict[str, Any]:
        """Where ESR and the LMS come to different dates; codes as in docs/renewal.md."""
        async with reader.trust(vpd) as connection:
            return await views.warnings(connection, vpd, limit)

    @router.get("/mappings/definitions")
    async def definitions(vpd: Vpd) -> list[dict[str, Any]]:
        """ESR's competence definitions, with subject and level where they are of the CSTF."""
        async with reader.trust(vpd) as connection:
            return await views.definitions(connection, vpd)


def _add_draft(router: APIRouter, desk: MappingDesk) -> None:

    @router.post("/mappings/draft")
    async def draft(vpd: Vpd, said: Draft) -> dict[str, Any]:
        """Begin a draft, or put another content into it."""
        async with _refusals():
            return await desk.draft(vpd, from_json(said.content), said.who, said.why)

    @router.post("/mappings/discard")
    async def discard(vpd: Vpd, said: Reason) -> dict[str, Any]:
        """Throw the draft away."""
        async with _refusals():
            return await desk.discard(vpd, said.who, said.why)

    @router.get("/mappings/check")
    async def check(vpd: Vpd) -> dict[str, Any]:
        """What is wrong with the draft, or with what is in force when there is none."""
        async with _refusals():
            return await desk.check(vpd)

    @router.get("/mappings/preview")
    async def preview(vpd: Vpd, limit: Limit = 10) -> dict[str, Any]:
        """Whom applying the draft would change, and how."""
        async with _refusals():
            return await desk.preview(vpd, limit)

    @router.post("/mappings/apply", status_code=202)
    async def apply(vpd: Vpd, said: Applied) -> dict[str, Any]:
        """Put the draft into force; those concerned are decided for again soon."""
        async with _refusals():
            return await desk.apply(vpd, said.who, said.why, said.day)

    @router.post("/mappings/undo", status_code=202)
    async def undo(vpd: Vpd, said: Reason) -> dict[str, Any]:
        """Go back to the version before."""
        async with _refusals():
            return await desk.undo(vpd, said.who, said.why)


@asynccontextmanager
async def _refusals() -> AsyncIterator[None]:
    try:
        yield
    except DecisionError as error:
        raise HTTPException(409, str(error)) from error
