"""The HTTP face of the sandbox's LMS."""

import secrets
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from sandbox.lms import MAX_OPERATIONS, SandboxLms
from sandbox.lms_operations import Operation
from sandbox.lms_values import Answer

Next = Callable[[Request], Awaitable[Response]]


class Batch(BaseModel):
    """Operations to apply in order."""

    model_config = ConfigDict(extra="forbid")
    operations: list[Operation]


class Answers(BaseModel):
    """One answer for each operation, in the same order."""

    answers: list[Answer]


def create_app(lms: SandboxLms, *, token: str) -> FastAPI:
    """Return the web application of one LMS; every path but ``/health`` wants ``Authorization: Bearer <token>``.

    Besides the answers it gives 401 without the token, 404, 413 for more than 200 operations, 422 for a body of the
    wrong shape (the body is not repeated in the answer), 429 over the rate limit and 503 during an outage.
    """
    app = FastAPI(title="Sandbox LMS", docs_url=None, redoc_url=None)

    @app.middleware("http")
    async def guard(request: Request, serve: Next) -> Response:
        refused = _refusal(lms, request, token)
        return _error(refused) if refused else await serve(request)

    @app.exception_handler(RequestValidationError)
    async def wrong_shape(_: Request, error: RequestValidationError) -> Response:
        where = [{"where": list(one["loc"]), "what": one["type"]} for one in error.errors()]
        return JSONResponse({"error": "unprocessable", "faults": where}, HTTPStatus.UNPROCESSABLE_ENTITY)

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/api/operations")
    def operations(batch: Batch) -> Answers:
        if len(batch.operations) > MAX_OPERATIONS:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"At most {MAX_OPERATIONS} operations a request")
        return Answers(answers=lms.apply(batch.operations))

    _add_reads(app, lms)
    return app


def _add_reads(app: FastAPI, lms: SandboxLms) -> None:
    @app.get("/api/accounts")
    def accounts(
        username: str = "", email: str = "", firstname: str = "", lastname: str = ""
    ) -> dict[str, list[dict[str, Any]]]:
        if username or email or firstname or lastname:
            found = lms.find(username=username, email=email, firstname=firstname, lastname=lastname)
            return {"accounts": found}
        return {"accounts": lms.accounts()}

    @app.get("/api/accounts/{idnumber}")
    def account(idnumber: str) -> dict[str, Any]:
        found = lms.account(idnumber)
        if found is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, "There is no account with this idnumber")
        return found

    @app.get("/api/certifications")
    def certifications(idnumber: Annotated[str | None, Query()] = None) -> dict[str, list[dict[str, Any]]]:
        return lms.certifications(idnumber)

    @app.get("/api/evidence")
    def evidence(idnumber: Annotated[str | None, Query()] = None) -> dict[str, list[dict[str, Any]]]:
        return {"evidence": lms.evidence(idnumber)}


def _refusal(lms: SandboxLms, request: Request, token: str) -> HTTPStatus | None:
    if lms.is_out:
        return HTTPStatus.SERVICE_UNAVAILABLE
    if request.url.path == "/health":
        return None
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secrets.compare_digest(given.encode(), token.encode()):
        return HTTPStatus.UNAUTHORIZED
    return None if lms.admit() else HTTPStatus.TOO_MANY_REQUESTS


def _error(status: HTTPStatus) -> Response:
    return JSONResponse({"error": status.phrase}, status)
