"""Read API of ``ingest``."""

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path

from services.ingest import store
from shared.accounting import block_of
from shared.db.engine import Reader
from shared.db.ledger import Ledger

Vpd = Annotated[str, Path(pattern=r"^[0-9]{3,4}$")]


def make_router(reader: Reader, ledger: Ledger) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1/trusts/{vpd}", tags=["ingest"])

    @router.get("/files")
    async def files(vpd: Vpd) -> list[dict[str, Any]]:
        """Every file that came, its status and its account."""
        async with reader.trust(vpd) as connection:
            return await store.overview(connection, vpd)

    @router.get("/files/{name}/lines/{line}")
    async def line(vpd: Vpd, name: str, line: Annotated[int, Path(ge=1)]) -> dict[str, Any]:
        """What became of one line."""
        async with reader.trust(vpd) as connection:
            blocks = {block.index: block for block in await ledger.blocks(connection, (vpd, name))}
        block = blocks.get(block_of(line))
        if block is None or not block.get(line).fate:
            raise HTTPException(404, "no such line, or no fate yet")
        fate = block.get(line).fate
        return {"file": name, "line": line, "fate": fate.group, "rule": fate.name.lower(), "reason": fate.reason}

    return router
