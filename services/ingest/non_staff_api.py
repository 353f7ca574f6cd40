"""The HTTP door for people who are not in ESR: a batch becomes a file, which goes the way of every file."""

from typing import Any, Final

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse

from services.ingest.batch import MOST, TooManyError
from services.ingest.completions_api import Vpd, answer, body_of
from services.ingest.keeping import Archived
from services.ingest.non_staff_batch import COLUMNS, read_people
from shared.component import Context

_PEOPLE: Final = {
    "type": "array",
    "minItems": 1,
    "maxItems": MOST,
    "items": {
        "type": "object",
        "required": ["reference"],
        "properties": {name: {"type": "string", "maxLength": 255} for name in COLUMNS},
    },
}
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object", "required": ["people"], "properties": {"people": _PEOPLE}}
            }
        },
    },
    "responses": {"404": {"description": "Unknown trust"}, "413": {"description": "Too large a request"}},
}


def add_non_staff_route(router: APIRouter, context: Context, archived: Archived) -> None:
    """Add the route to those of one trust. What became of a batch is told by its receipt, as for completions."""

    @router.post("/non-staff", status_code=202, openapi_extra=_BODY)
    async def take(vpd: Vpd, request: Request) -> JSONResponse:
        """Take a batch of people, all or none. The same batch again gives the same receipt and nothing else."""
        if context.config.trust(vpd) is None:
            raise HTTPException(404, "this bridge does not serve that trust")
        try:
            batch = read_people(await body_of(request))
        except TooManyError:
            raise HTTPException(413, f"a request may have {MOST} people at most") from None
        return await answer(context.work, archived, vpd, "trust", batch)
