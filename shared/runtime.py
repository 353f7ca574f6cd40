"""How a service runs: its consumers, its background jobs and its HTTP face in one process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog
import uvicorn
from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from shared.component import Build, Context
from shared.config import BridgeConfig, load_config
from shared.db.engine import Reader, make_engine
from shared.db.unit import Work
from shared.errors import ConfigurationError, TransientError
from shared.loops import Loops
from shared.messaging.rabbitmq import RabbitBroker
from shared.nights.api import make_nights_router
from shared.settings import Settings, load_settings
from shared.telemetry import configure_logging
from shared.transient import is_transient
from shared.web import health_routes, token_check

START_SECONDS: Final = 120
"""How long a service waits at start-up for its database and broker before it gives up and is started again."""

LANES: Final = 2
"""Batches that each busy consumer has in hand at once: one is decided while the other waits for database and broker."""

log = structlog.get_logger(__name__)


def serve(name: str, build: Build) -> None:
    """Run a service until it is told to stop. Exits with a sentence when settings are wrong."""
    try:
        settings = load_settings()
        config = load_config(settings.config)
        configure_logging(name, settings.log_level)
        app = make_app(name, build, settings, config)
    except ConfigurationError as error:
        raise SystemExit(str(error)) from error
    server = uvicorn.Server(
        uvicorn.Config(app, host=settings.host, port=settings.port, log_config=None, access_log=False)
    )
    server.run()
    if not server.started:
        raise SystemExit(f"{name} did not start; the log says why")


def make_app(name: str, build: Build, settings: Settings, config: BridgeConfig) -> FastAPI:
    """Return the service as an application: starting it starts consumers and jobs, stopping it ends them."""
    engine = make_engine(settings.database_url, name=f"esrbridge-{name}")
    broker = RabbitBroker(settings.broker_url)
    clock = settings.clock()
    context = Context(
        config=config,
        work=Work(name, engine, broker, clock),
        broker=broker,
        clock=clock,
        reader=Reader(engine, name),
        files=settings.files,
        archive=settings.archive,
        settle_seconds=settings.settle_seconds,
        claim_seconds=settings.claim_seconds,
        api_token=settings.api_token,
        lanes=LANES,
    )
    component = build(context)
    loops = Loops(component, settings.scan_seconds)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            await _wait_for_backends(context)
            async with loops.running():
                log.info("started", port=settings.port)
                yield
        finally:
            await broker.stop()
            await engine.dispose()

    # A page of documentation loads scripts of another host, which have no business beside pages people sign in to.
    docs, redoc = ("/docs", "/redoc") if component.pages is None else (None, None)
    app = FastAPI(title=f"ESR Bridge: {name}", lifespan=lifespan, docs_url=docs, redoc_url=redoc)
    app.include_router(health_routes(name, context, loops))
    entitled = [Depends(component.guard or token_check(settings.api_token))]
    app.include_router(component.router, dependencies=entitled)
    if component.nights is not None:
        app.include_router(make_nights_router(component.nights, context.reader, clock), dependencies=entitled)
    for kind in (DBAPIError, PoolTimeoutError, TransientError, OSError):
        app.add_exception_handler(kind, _explain)
    if component.pages is not None:
        app.mount("/", component.pages)
    return app


async def _explain(_: Request, error: Exception) -> Response:
    """Tell the caller what is down, or that a value of theirs cannot be stored. Anything else is our own failure."""
    if is_transient(error):
        return JSONResponse({"detail": "the database or the broker is away; try again later"}, 503)
    state = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
    if state.startswith("22"):  # PostgreSQL's class "data exception": a NUL in a text, a number out of range
        return JSONResponse({"detail": "a value holds something that cannot be stored"}, 422)
    raise error


async def _wait_for_backends(context: Context) -> None:
    """Wait until database and broker answer, so that a slow neighbour is not a crash."""
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    while True:
        try:
            async with context.work.engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
            await context.broker.start()
        except Exception as error:
            if not is_transient(error) or asyncio.get_running_loop().time() > deadline:
                log.exception("cannot start", code=_first_cause(error))
                raise
            log.warning("waiting for database and broker", error=type(error).__name__)
            await asyncio.sleep(1)
        else:
            return


def _first_cause(error: BaseException) -> str:
    """Name the class of what began it: "DBAPIError" tells an operator nothing, "InvalidPasswordError" does."""
    while error.__cause__ is not None:
        error = error.__cause__
    return type(error).__name__
