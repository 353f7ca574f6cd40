"""API of ``outbound`` about people's accounts: what waits for an operator, and what an operator decides."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, HTTPException, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from services.outbound import desk, guard
from services.outbound.desk import AccountDesk
from services.outbound.reconcile import Reconciler
from shared.account_settings import AccountPolicy
from shared.db.engine import Reader
from shared.db.unit import Work
from shared.errors import DecisionError

Vpd = Annotated[str, Path(pattern=r"^[0-9]{3,4}$")]
Json = dict[str, Any]
LARGEST: Final = 2**63 - 1


class _Decision(BaseModel):
    model_config = ConfigDict(extra="forbid")
    who: str = Field(min_length=1, max_length=100)
    why: str = Field(min_length=1, max_length=1000)


class MatchDecision(_Decision):
    """Whose account it is."""

    decision: Literal["link", "new", "undo"]
    lms_id: str = ""


class Release(_Decision):
    """Suspensions may go; ``expected`` is how many the operator saw waiting."""

    expected: int = Field(ge=1)


def make_people_router(
    work: Work, reader: Reader, reconciler: Reconciler, policies: Mapping[str, AccountPolicy]
) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1/trusts/{vpd}", tags=["accounts"])
    _add_reads(router, reader, reconciler)

    @router.post("/matches/{person_id}/decision")
    async def decide(vpd: Vpd, person_id: str, decision: MatchDecision) -> Json:
        """Link an account, say that none is theirs, or undo a link. 409 when it cannot be decided so."""
        try:
            return await AccountDesk(work, decision.who).decide(
                vpd, person_id, decision.decision, decision.why, decision.lms_id
            )
        except DecisionError as error:
            raise HTTPException(409, error.sentence) from error

    @router.post("/guards/suspensions/release")
    async def release(vpd: Vpd, decision: Release) -> Json:
        """Let held suspensions go. 409 when other than the expected number wait."""
        try:
            return await AccountDesk(work, decision.who).release(vpd, decision.expected, decision.why)
        except DecisionError as error:
            raise HTTPException(409, error.sentence) from error

    @router.post("/guards/suspensions/refuse")
    async def refuse(vpd: Vpd, decision: Release) -> Json:
        """Write down that held suspensions are not to go; they stay held. 409 when another number waits."""
        try:
            return await AccountDesk(work, decision.who).refuse(vpd, decision.expected, decision.why)
        except DecisionError as error:
            raise HTTPException(409, error.sentence) from error

    @router.get("/guards/suspensions")
    async def waiting(vpd: Vpd, limit: Annotated[int, Query(ge=0, le=1000)] = 20) -> Json:
        """Suspensions that wait now: how many, their share of the open accounts, and the first of them."""
        policy = policies.get(vpd)
        if policy is None:
            raise HTTPException(404, "this bridge does not serve that trust")
        async with reader.trust(vpd) as connection:
            return await guard.waiting(connection, vpd, work.clock.today(), policy, limit)

    return router


def _add_reads(router: APIRouter, reader: Reader, reconciler: Reconciler) -> None:
    @router.get("/matches")
    async def matches(vpd: Vpd, reveal: bool = False) -> list[Json]:
        """People whose account is not certain, with the accounts in question; values hidden unless ``reveal``."""
        async with reader.trust(vpd) as connection:
            return await desk.open_matches(connection, vpd, reveal=reveal)

    @router.get("/decisions")
    async def decisions(
        vpd: Vpd,
        subject: Annotated[str, Query(max_length=255, pattern=r"^[^\x00]*$")] = "",
        accounts: bool = False,
        after: Annotated[int, Query(ge=0, le=LARGEST)] = 0,
        limit: Annotated[int, Query(ge=1, le=desk.LISTED)] = desk.LISTED,
    ) -> list[Json]:
        """What rules and operators decided, newest first, in pages: the next is after the last one's ``number``.

        ``accounts``: only whose account is whose.
        """
        async with reader.trust(vpd) as connection:
            return await desk.decisions(connection, vpd, subject, accounts=accounts, after=after, limit=limit)

    @router.get("/guards")
    async def guards(vpd: Vpd) -> list[Json]:
        """Days on which suspensions were held."""
        async with reader.trust(vpd) as connection:
            return await desk.guards(connection, vpd)

    @router.get("/accounts/{person_id}")
    async def account(vpd: Vpd, person_id: str) -> Json:
        """How a person's account stands."""
        async with reader.trust(vpd) as connection:
            found = await desk.account(connection, vpd, person_id)
        if found is None:
            raise HTTPException(404, "no account is kept for this person")
        return found

    @router.get("/site")
    async def site(vpd: Vpd) -> Json:
        """Whether the LMS may be spoken to just now, and what about it has to be put right."""
        trust = reconciler.trusts.get(vpd)
        if trust is None:
            raise HTTPException(404, "this bridge does not serve that trust")
        return {
            "waits": vpd in reconciler.waiting,
            "code": trust.circuit.code,
            "failures": trust.circuit.failures,
            "findings": [{"code": one.code, "sentence": one.sentence} for one in trust.findings],
        }
