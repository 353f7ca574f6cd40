"""API of ``console``: the file of one person, put together from all services."""

from typing import Any

from fastapi import APIRouter, Depends, HTTPException
from pydantic import Field

from services.console.api import Decision, Vpd, storable
from services.console.person_file import handed_out
from services.console.web.reads import ReadError, Reads
from shared.db.engine import Reader
from shared.db.unit import Work


class PersonAsked(Decision):
    """Whose file, who asks for it, and why."""

    person_id: str = Field(min_length=1, max_length=60, pattern=r"^[^\x00]+$")


def make_person_router(reader: Reader, work: Work, reads: Reads) -> APIRouter:
    """Return the route."""
    router = APIRouter(prefix="/v1/trusts/{vpd}", tags=["one person's file"], dependencies=[Depends(storable)])

    @router.post("/people/file")
    async def file(vpd: Vpd, said: PersonAsked) -> dict[str, Any]:
        """Everything every service holds of one person, values included. Who asked, and why, is written down.

        It is a POST, so that a person ID stands in no address. 503 when a service cannot be asked: there is no file
        with gaps.
        """

        async def ask(service: str) -> list[dict[str, Any]]:
            try:
                told = await reads.get(service, vpd, "people", said.person_id, "file")
            except ReadError:
                told = None
            if told is None:
                raise HTTPException(503, f"{service} does not answer; the file would have a gap")
            return list(told["sections"])

        return await handed_out(work, reader, ask, vpd, said.person_id, said.who, said.why)

    return router
