"""API of ``outbound``: what is desired and accepted, and the completion file on demand."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path

from services.outbound import store
from services.outbound.completions import CompletionFiles
from shared.config import BridgeConfig
from shared.db.engine import Reader

Vpd = Annotated[str, Path(pattern=r"^[0-9]{3,4}$")]


def make_router(reader: Reader, config: BridgeConfig, completions: CompletionFiles) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1/trusts/{vpd}", tags=["outbound"])

    @router.get("/outbound/summary")
    async def summary(vpd: Vpd) -> dict[str, dict[str, int]]:
        """How many accounts, certifications, evidence items and completions are in which state."""
        async with reader.trust(vpd) as connection:
            return await store.counts(connection, vpd)

    @router.post("/completion-files", status_code=201)
    async def write_now(vpd: Vpd) -> dict[str, int]:
        """Write and deliver a completion file now instead of at the cut-off; nothing happens when nothing waits."""
        if config.trust(vpd) is None:
            raise HTTPException(404, "this bridge does not serve that trust")
        written = await completions.write(vpd)
        await completions.deliver()
        return {"completions": written}

    return router
