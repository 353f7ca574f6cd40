"""The HTTP routes every service has, and who may use the others."""

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text

from shared.component import Context
from shared.loops import Loops
from shared.telemetry import HANDLED, OUTBOX, WAITING


def health_routes(name: str, context: Context, loops: Loops) -> APIRouter:
    """Return health and metrics; they need no token and tell nothing personal."""
    router = APIRouter()

    @router.get("/health/live")
    async def live(response: Response) -> dict[str, object]:
        """Whether every loop makes progress. A loop that waits for something that is down is alive."""
        stuck = [progress.name for progress in loops.progress if progress.stuck]
        dead = loops.ended
        response.status_code = 503 if stuck or dead else 200
        return {"stuck": stuck, "ended": dead}

    @router.get("/health/ready")
    async def ready(response: Response) -> dict[str, object]:
        """Whether database and broker are there. One trust's server that is away is told of, and no reason against."""
        waiting = {progress.name: progress.waiting_for for progress in loops.progress if progress.waiting_for}
        with contextlib.suppress(Exception):
            async with asyncio.timeout(5), context.work.engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
                response.status_code = 503 if waiting else 200
                return {"waiting": waiting | loops.waits}
        response.status_code = 503
        return {"waiting": waiting | loops.waits | {"database": "DATABASE_UNAVAILABLE"}}

    @router.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Prometheus metrics of this process."""
        waiting = {progress.name for progress in loops.progress if progress.waiting_for}
        for progress in loops.progress:
            WAITING.labels(name, progress.name).set(progress.name in waiting)
            done = HANDLED.labels(name, progress.name)
            done.inc(progress.handled)
            progress.handled = 0
        with contextlib.suppress(Exception):
            OUTBOX.labels(name).set(await context.work.outbox.waiting())
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router


def token_check(token: str) -> Callable[[HTTPAuthorizationCredentials | None], None]:
    """Return the check that every other route depends on."""
    bearer = HTTPBearer(auto_error=False)

    def check(given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:
        """Deny by default: without a configured token nobody is let in."""
        if not token or given is None or not secrets.compare_digest(given.credentials.encode(), token.encode()):
            raise HTTPException(401, "a valid bearer token is needed", headers={"WWW-Authenticate": "Bearer"})

    return check
