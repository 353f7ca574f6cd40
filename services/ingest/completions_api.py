"""The HTTP door for completions: a batch becomes a file, which goes the way of every file; a receipt tells its fate."""

import asyncio
from pathlib import Path as FilePath
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, HTTPException, Path, Query, Request
from fastapi.responses import JSONResponse
from sqlalchemy import select

from services.ingest import answers_store, store
from services.ingest.batch import MOST, Batch, BatchFault, TooManyError, file_name, read_batch
from services.ingest.keeping import Archived, keep
from services.ingest.schema import FILES
from services.ingest.store import Arrival
from shared.accounting import Fate, LineFate
from shared.component import Context
from shared.config import BridgeConfig
from shared.db.engine import Reader
from shared.db.ledger import Ledger
from shared.db.unit import Work
from shared.lms_csv import FIELDS, MANDATORY, WITHDRAWN, non_staff_profile, own_profile, read_completions

LONGEST_BODY: Final = 10 * 1024 * 1024
"""Bytes of a request."""

Vpd = Annotated[str, Path(pattern=r"^[0-9]{3,4}$")]
Receipt = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]

_TEXT: Final = {"type": "string", "maxLength": 255}
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["completions"],
                    "properties": {
                        "completions": {
                            "type": "array",
                            "minItems": 1,
                            "maxItems": MOST,
                            "items": {
                                "type": "object",
                                "required": [name for name in MANDATORY if name != "user_idnumber"],
                                "properties": dict.fromkeys((*FIELDS, WITHDRAWN, "person_id"), _TEXT),
                            },
                        }
                    },
                }
            }
        },
    },
    "responses": {"404": {"description": "Unknown trust"}, "413": {"description": "Too large a request"}},
}


def add_completion_routes(router: APIRouter, context: Context, archived: Archived) -> None:
    """Add the routes for completions by HTTP to those of one trust."""
    _add_door(router, context.config, context.work, archived)
    _add_receipts(router, context.reader, context.work.ledger, archived)


def _add_door(router: APIRouter, config: BridgeConfig, work: Work, archived: Archived) -> None:
    @router.post("/completions", status_code=202, openapi_extra=_BODY)
    async def take(vpd: Vpd, request: Request) -> JSONResponse:
        """Take a batch of completions, all or none. The same batch again gives the same receipt and nothing else."""
        if config.trust(vpd) is None:
            raise HTTPException(404, "this bridge does not serve that trust")
        try:
            batch = read_batch(vpd, await body_of(request))
        except TooManyError:
            raise HTTPException(413, f"a request may have {MOST} completions at most") from None
        return await answer(work, archived, vpd, "lms", batch)


async def answer(
    work: Work, archived: Archived, vpd: str, origin: str, batch: Batch | list[BatchFault]
) -> JSONResponse:
    """Keep a sound batch and give its receipt, or tell what is wrong with it."""
    if not isinstance(batch, Batch):
        said = {"detail": "nothing was taken; every fault is listed", "faults": msgspec.to_builtins(batch)}
        return JSONResponse(said, 422)
    await _keep(work, archived, vpd, origin, batch)
    url = f"/v1/trusts/{vpd}/receipts/{batch.receipt}"
    taken = {"receipt": batch.receipt, "records": batch.records, "status_url": url}
    return JSONResponse(taken, 202, headers={"Location": url})


async def body_of(request: Request) -> bytes:
    """Read the body as far as it may go, whatever length it claims to have."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_BODY:
            raise HTTPException(413, f"a request may have {LONGEST_BODY} bytes at most")
    return bytes(body)


async def _keep(work: Work, archived: Archived, vpd: str, origin: str, batch: Batch) -> None:
    """Keep the batch's file. A sender whose answer was lost sends again, which does no harm."""
    # No time of change: a batch that comes again is a sender's retry, not another file of the same name.
    arrival = Arrival(vpd, batch.name, batch.sha256, origin, len(batch.content), mtime_ns=0)
    async with work.unit() as unit:
        await keep(unit, archived, arrival, batch.content, work.clock.now())


def _add_receipts(router: APIRouter, reader: Reader, ledger: Ledger, archived: Archived) -> None:

    @router.get("/receipts/{receipt}")
    async def receipt(
        vpd: Vpd,
        receipt: Receipt,
        offset: Annotated[int, Query(ge=0, le=MOST)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> dict[str, Any]:
        """What became of a batch, all told and completion by completion, in pages."""
        name = file_name(receipt)
        async with reader.trust(vpd) as connection:
            query = select(FILES).where(
                FILES.c.vpd == vpd, FILES.c.name == name, FILES.c.sha256.startswith(receipt, autoescape=True)
            )
            row = (await connection.execute(query)).first()
            if row is None:
                raise HTTPException(404, "no such receipt for this trust")
            blocks = await ledger.blocks(connection, (vpd, name))
            codes = await answers_store.codes(connection, vpd, name)
        held = [] if row.purged_at else await asyncio.to_thread(_references, archived(vpd, row.sha256), vpd, row.origin)
        fates = {one.line: one for block in blocks for one in block.lines()}
        page = held[offset : offset + limit]
        file = store.describe(row)
        return {
            "receipt": receipt,
            **{key: file[key] for key in ("status", "code", "reason", "accounted", "reasons", "adds_up")},
            "records": len(held) or row.records,
            "purged": row.purged_at is not None,
            ("completions" if row.origin == "lms" else "people"): [
                {"reference": reference} | _told(line, fates.get(line), codes) for reference, line in page
            ],
            "next_offset": offset + limit if offset + limit < len(held) else None,
        }


def _references(path: FilePath, vpd: str, origin: str) -> list[tuple[str, int]]:
    """Return the references of a batch, each with its line."""
    profile = own_profile() if origin == "lms" else non_staff_profile()
    return [(one.fields["reference"], one.line) for one in read_completions(path, profile, vpd)]


def _told(line: int, said: LineFate | None, codes: dict[int, str]) -> dict[str, Any]:
    """Say what became of one line; the code of one that was given up is told where it is known."""
    fate = said.fate if said else Fate.PENDING
    told = {"line": line, "fate": fate.group, "rule": fate.name.lower(), "reason": fate.reason}
    return told | ({"code": codes[line]} if fate is Fate.DEAD_LETTERED and line in codes else {})
