"""Read API of ``people``."""

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path

from services.people import store
from shared.db.engine import Reader

Vpd = Annotated[str, Path(pattern=r"^[0-9]{3,4}$")]


def make_router(reader: Reader) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1/trusts/{vpd}", tags=["people"])

    @router.get("/people/summary")
    async def summary(vpd: Vpd) -> dict[str, int]:
        """How many people are in each state."""
        async with reader.trust(vpd) as connection:
            return await store.count_by_state(connection, vpd)

    @router.get("/people/{person_id}")
    async def person(vpd: Vpd, person_id: str) -> dict[str, Any]:
        """One person as derived for today."""
        async with reader.trust(vpd) as connection:
            found = await store.person(connection, vpd, person_id)
        if found is None:
            raise HTTPException(404, "no such person in this trust")
        return found

    return router
