"""Read API of ``confirmations``."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path

from services.confirmations import store
from shared.db.engine import Reader

Vpd = Annotated[str, Path(pattern=r"^[0-9]{3,4}$")]


def make_router(reader: Reader) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1/trusts/{vpd}", tags=["confirmations"])

    @router.get("/completions/summary")
    async def summary(vpd: Vpd) -> dict[str, int]:
        """How many completions are open, confirmed and rejected."""
        async with reader.trust(vpd) as connection:
            return await store.count_by_state(connection, vpd)

    @router.get("/completions")
    async def completions(
        vpd: Vpd, state: Literal["open", "confirmed", "rejected"] | None = None
    ) -> list[dict[str, Any]]:
        """Completions sent to ESR and where they stand."""
        async with reader.trust(vpd) as connection:
            return await store.items(connection, vpd, state)

    return router
