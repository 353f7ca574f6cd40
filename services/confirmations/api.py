"""Read API of ``confirmations``: items, the ledger, files, nights, refusals and odd answers. Names are nowhere."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Path, Query
from sqlalchemy.ext.asyncio import AsyncConnection

from services.confirmations import figures, ledger, store
from shared.config import BridgeConfig
from shared.db.engine import Reader

Vpd = Annotated[str, Path(pattern=r"^[0-9]{3,4}$")]
Name = Annotated[str | None, Query(max_length=255, pattern=r"^[^\x00]*$")]
After = Annotated[str, Query(max_length=600, pattern=r"^[^\x00]*$", description="``next`` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=store.MOST)]
Lives = Annotated[int, Query(ge=1, le=ledger.MOST)]
State = Literal["open", "confirmed", "rejected"]


def make_router(reader: Reader, config: BridgeConfig) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1/trusts/{vpd}", tags=["confirmations"])
    _add_items(router, reader)
    _add_ledger(router, reader, config)
    _add_sums(router, reader)
    return router


def _add_items(router: APIRouter, reader: Reader) -> None:
    @router.get("/completions/summary")
    async def summary(vpd: Vpd) -> dict[str, int]:
        """How many items are open, confirmed and rejected."""
        async with reader.trust(vpd) as connection:
            return await store.count_by_state(connection, vpd)

    @router.get("/completions")
    async def completions(
        vpd: Vpd,
        state: State | None = None,
        file: Name = None,
        reference: Name = None,
        person_id: Name = None,
        key: Name = None,
        code: Name = None,
        overdue: bool = False,
        after: After = "",
        limit: Limit = store.MOST,
    ) -> list[dict[str, Any]]:
        """Items sent to ESR and where they stand, in pages: the next one is after ``<file>~<position>`` of the last.

        ``overdue``: only those that ESR should have answered by now and that were not sent again since.
        """
        asked = _asked(state=state, sent_file=file, reference=reference, person_id=person_id, key=key, code=code)
        async with _reading(reader, vpd) as connection:
            return (await store.page(connection, vpd, asked, after, limit, overdue=overdue))[0]


def _add_ledger(router: APIRouter, reader: Reader, config: BridgeConfig) -> None:
    @router.get("/completions/ledger")
    async def lives(
        vpd: Vpd,
        person_id: Name = None,
        key: Name = None,
        reference: Name = None,
        file: Name = None,
        after: After = "",
        limit: Lives = 50,
    ) -> dict[str, Any]:
        """Completions from the LMS's word to where they stand now, with every item and answer, in pages."""
        asked = _asked(person_id=person_id, key=key, reference=reference, sent_file=file)
        async with _reading(reader, vpd) as connection:
            return await ledger.ledger(connection, vpd, asked, config.trust(vpd), after, limit)


def _add_sums(router: APIRouter, reader: Reader) -> None:
    @router.get("/completions/files")
    async def files(vpd: Vpd, file: Name = None, after: After = "", limit: Limit = 100) -> dict[str, Any]:
        """Each completion file: sent = confirmed + refused + open, and what is open by reference; newest first."""
        async with _reading(reader, vpd) as connection:
            found, last = await figures.sent_files(connection, vpd, after, limit, only=file or "")
        return {"files": found, "next": last}

    @router.get("/completions/nights")
    async def nights(vpd: Vpd, since: date | None = None, until: date | None = None) -> list[dict[str, Any]]:
        """Each day's completion files together, newest first."""
        async with _reading(reader, vpd) as connection:
            return await figures.nights(connection, vpd, since=since, until=until)

    @router.get("/completions/refused")
    async def refused(vpd: Vpd) -> list[dict[str, Any]]:
        """Refusals by ESR's code, with plain words, what to do, and what follows by itself."""
        async with _reading(reader, vpd) as connection:
            return await figures.refused(connection, vpd)

    @router.get("/completions/unmatched")
    async def unmatched(vpd: Vpd, after: After = "", limit: Limit = 100) -> dict[str, Any]:
        """Answers of ESR that fit nothing or contradict others, and are so still."""
        async with _reading(reader, vpd) as connection:
            found, last = await figures.unmatched(connection, vpd, after, limit)
        return {"unmatched": found, "next": last}


def _asked(**said: str | None) -> dict[str, str]:
    return {name: value for name, value in said.items() if value is not None}


@asynccontextmanager
async def _reading(reader: Reader, vpd: str) -> AsyncIterator[AsyncConnection]:
    try:
        async with reader.trust(vpd) as connection:
            yield connection
    except ValueError as error:
        raise HTTPException(422, "'after' is not what a page ended with") from error
