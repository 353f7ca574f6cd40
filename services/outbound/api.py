"""API of ``outbound``: what is desired and accepted, completion files on demand, and decisions on completions."""

from datetime import date
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, HTTPException, Path, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.outbound import store
from services.outbound.completions import CompletionFiles
from services.outbound.towards_esr import desk
from services.outbound.towards_esr.desk import CompletionDesk
from shared.config import BridgeConfig
from shared.db.engine import Reader
from shared.db.unit import Work
from shared.errors import DecisionError

Vpd = Annotated[str, Path(pattern=r"^[0-9]{3,4}$")]
Json = dict[str, Any]
Id = Annotated[str, Field(max_length=255, pattern=r"^[^\x00]*$")]
"""Text that the database can hold."""


class _Who(BaseModel):
    model_config = ConfigDict(extra="forbid")
    who: Id = Field(min_length=1)
    why: str = Field(min_length=1, max_length=1000, pattern=r"^[^\x00]*$")


class FileOrder(_Who):
    """A file now, or with ``day`` the night of that day again: what its cut-off missed, and nothing twice."""

    day: date | None = None


class CompletionDecision(_Who):
    """What an operator decides: of one completion, or with ``resend`` of all of a file or all refused with a code.

    A completion is named by one of its references, or by person and key. ``restore`` undoes ``withdraw``, and
    ``reopen`` undoes ``settle``.
    """

    decision: Literal["resend", "withdraw", "restore", "settle", "reopen"]
    reference: Id = ""
    file: Id = ""
    code: Id = ""
    person_id: Id = ""
    key: Id = ""

    @model_validator(mode="after")
    def _names_what_it_is_about(self) -> Self:
        if self.decision == "resend":
            named = bool(self.reference) + bool(self.file) + bool(self.code) == 1
        else:
            named = bool(self.reference) != bool(self.person_id and self.key)
        if not named:
            raise ValueError("name what it is about, in one way")
        return self


def make_router(reader: Reader, config: BridgeConfig, completions: CompletionFiles, work: Work) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1/trusts/{vpd}", tags=["outbound"])

    @router.get("/outbound/summary")
    async def summary(vpd: Vpd) -> dict[str, dict[str, int]]:
        """How many accounts, certifications, evidence items and completions are in which state."""
        async with reader.trust(vpd) as connection:
            return await store.counts(connection, vpd)

    @router.post("/completion-files", status_code=201)
    async def write_now(vpd: Vpd, order: FileOrder | None = None) -> dict[str, int]:
        """Write and deliver a completion file now, or what the cut-off of a day missed; nothing when nothing waits."""
        if config.trust(vpd) is None:
            raise HTTPException(404, "this bridge does not serve that trust")
        day = int(order.day.strftime("%Y%m%d")) if order and order.day else 0
        try:
            written = await (completions.night(vpd, day) if day else completions.write(vpd))
        except DecisionError as error:
            raise HTTPException(409, error.sentence) from error
        await completions.deliver()
        if order:
            await CompletionDesk(work, order.who).wrote(vpd, order.why, day, written)
        return {"completions": written}

    @router.post("/completion-decisions")
    async def decide(vpd: Vpd, said: CompletionDecision) -> Json:
        """Send again, withdraw or give up; it takes effect with the next file. 409 when it cannot be decided so."""
        try:
            return await decide_on(CompletionDesk(work, said.who), vpd, said)
        except DecisionError as error:
            raise HTTPException(409, error.sentence) from error

    @router.get("/completion-cases")
    async def cases(
        vpd: Vpd, person_id: Id = "", key: Id = "", limit: Annotated[int, Query(ge=1, le=desk.LISTED)] = 100
    ) -> list[Json]:
        """Completions that wait for an operator, in order of person and key; give the last one for the next page."""
        async with reader.trust(vpd) as connection:
            return await desk.open_cases(connection, vpd, person_id=person_id, key=key, limit=limit)

    return router


async def decide_on(desk_: CompletionDesk, vpd: str, said: CompletionDecision) -> Json:
    """Carry out a decision. Raises DecisionError."""
    if said.decision == "resend":
        return await desk_.resend(vpd, said.why, reference=said.reference, file=said.file, code=said.code)
    named = {"reference": said.reference, "person_id": said.person_id, "key": said.key}
    return await desk_.decide(vpd, said.decision, said.why, **named)
