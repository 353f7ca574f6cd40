"""The HTTP face of nights, alike in every service that has steps."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path
from pydantic import BaseModel, Field

from shared.clock import Clock
from shared.db.engine import Reader
from shared.errors import DecisionError
from shared.nights.runner import Nights

Vpd = Annotated[str, Path(pattern=r"^[0-9]{3,4}$")]
StepName = Annotated[str, Path(pattern=r"^[a-z]+(-[a-z]+)*$")]


class Reason(BaseModel):
    """Who asks, and why."""

    who: str = Field(min_length=1, max_length=100)
    why: str = Field(min_length=1, max_length=1000)


def make_nights_router(nights: Nights, reader: Reader, clock: Clock) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1/trusts/{vpd}/nights", tags=["nights"])

    @router.get("")
    async def overview(vpd: Vpd, day: date | None = None) -> dict[str, Any]:
        """A trust's steps of one day (today), when each was due and ran, and those of any day that are late."""
        async with reader.trust(vpd) as connection:
            return await nights.overview(connection, vpd, day or clock.today())

    @router.post("/{step}/{day}")
    async def again(vpd: Vpd, step: StepName, day: date, reason: Reason) -> dict[str, Any]:
        """Run a step for a day, whether it was run or not; who asks and why is written down."""
        if step not in nights.steps(vpd):
            raise HTTPException(404, "this service has no such step for that trust")
        try:
            return await nights.again(vpd, step, day, reason.who, reason.why)
        except DecisionError as error:
            raise HTTPException(409, error.sentence) from error

    return router
