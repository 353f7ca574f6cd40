"""Read API of ``competency``."""

from typing import Annotated, Any

from fastapi import APIRouter, Path

from services.competency import store
from shared.db.engine import Reader

Vpd = Annotated[str, Path(pattern=r"^[0-9]{3,4}$")]


def make_router(reader: Reader) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1/trusts/{vpd}", tags=["competency"])

    @router.get("/decisions/summary")
    async def summary(vpd: Vpd) -> dict[str, int]:
        """How many achievements and completions have which verdict."""
        async with reader.trust(vpd) as connection:
            return await store.count_by_verdict(connection, vpd)

    @router.get("/parked")
    async def parked(vpd: Vpd) -> list[dict[str, Any]]:
        """What waits for its person or its competence, with file and line."""
        async with reader.trust(vpd) as connection:
            return await store.parked(connection, vpd)

    return router
