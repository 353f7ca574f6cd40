"""How a service runs: its consumers, its background jobs and its HTTP face in one process."""

import asyncio
import contextlib
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Protocol

import structlog
import uvicorn
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from shared.clock import Clock
from shared.config import BridgeConfig, load_config
from shared.db.engine import Reader, make_engine
from shared.db.unit import Work
from shared.errors import BridgeError, ConfigurationError, TransientError
from shared.messaging.broker import Broker
from shared.messaging.consumer import Consumer, Progress
from shared.messaging.rabbitmq import RabbitBroker
from shared.settings import Settings, load_settings
from shared.telemetry import HANDLED, JOB_FAILURES, OUTBOX, WAITING, configure_logging
from shared.transient import is_transient

START_SECONDS: Final = 120
"""How long a service waits at start-up for its database and broker before it gives up and is started again."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Context:
    """Everything a service is built from."""

    config: BridgeConfig
    work: Work
    broker: Broker
    clock: Clock
    reader: Reader
    files: Path
    archive: Path
    settle_seconds: float = 0.0
    claim_seconds: float = 15.0


@dataclass(frozen=True, slots=True)
class Job:
    """Background work that is not caused by a message. ``run`` returns how much it did, zero when idle."""

    name: str
    run: Callable[[], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Component:
    """A service, built but not running."""

    name: str
    work: Work
    consumers: tuple[Consumer, ...] = ()
    jobs: tuple[Job, ...] = ()
    on_demand: tuple[Job, ...] = ()
    """Work that is done when asked for, not by the clock: the one-shot mode asks."""
    router: APIRouter = field(default_factory=APIRouter)


class Build(Protocol):
    """What each service's ``main.py`` offers."""

    def __call__(self, context: Context) -> Component:
        """Wire the service."""
        ...


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
    )
    component = build(context)
    loops = Loops(component, settings.scan_seconds)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await _wait_for_backends(context)
        async with loops.running():
            log.info("started", port=settings.port)
            yield
        await broker.stop()
        await engine.dispose()

    app = FastAPI(title=f"ESR Bridge: {name}", lifespan=lifespan)
    app.include_router(_health(name, context, loops))
    app.include_router(component.router, dependencies=[Depends(_token_check(settings.api_token))])
    for kind in (DBAPIError, PoolTimeoutError, TransientError, OSError):
        app.add_exception_handler(kind, _explain)
    return app


async def _explain(_: Request, error: Exception) -> Response:
    """Tell the caller what is down, or that a value of theirs cannot be stored. Anything else is our own failure."""
    if is_transient(error):
        return JSONResponse({"detail": "the database or the broker is away; try again later"}, 503)
    state = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
    if state.startswith("22"):  # PostgreSQL's class "data exception": a NUL in a text, a number out of range
        return JSONResponse({"detail": "a value holds something that cannot be stored"}, 422)
    raise error


class Loops:
    """The running consumers and jobs of a component."""

    def __init__(self, component: Component, every: float) -> None:
        self._component = component
        self._every = every
        self._tasks: list[asyncio.Task[None]] = []
        self._jobs = {job.name: Progress(job.name) for job in component.jobs}
        self._jobs["sweep"] = Progress("sweep")

    @property
    def progress(self) -> Iterator[Progress]:
        """Signs of life of every loop."""
        yield from (consumer.progress for consumer in self._component.consumers)
        yield from self._jobs.values()

    @property
    def ended(self) -> list[str]:
        """Loops that stopped although nobody told them to."""
        return [task.get_name() for task in self._tasks if task.done()]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run every loop until left."""
        for consumer in self._component.consumers:
            self._start(consumer.queue, consumer.run())
        for job in (*self._component.jobs, Job("sweep", self._component.work.outbox.sweep)):
            self._start(job.name, self._repeat(job))
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, name: str, loop: Awaitable[None]) -> None:
        async def run() -> None:
            try:
                await loop
            except Exception:
                log.exception("loop ended", job=name)
                # Whoever supervises the process starts it again; a half-dead service helps nobody.
                signal.raise_signal(signal.SIGTERM)
                raise

        self._tasks.append(asyncio.create_task(run(), name=name))

    async def _repeat(self, job: Job) -> None:
        progress = self._jobs[job.name]
        while True:
            progress.begin()
            done = 0
            try:
                done = await job.run()
                progress.end()
            except Exception as error:
                code = error.code if isinstance(error, BridgeError) else type(error).__name__
                progress.end(code)
                JOB_FAILURES.labels(self._component.name, job.name).inc()
                if is_transient(error):
                    log.warning("job waits", job=job.name, code=code)
                else:
                    log.exception("job failed", job=job.name, code=code)
            await asyncio.sleep(0 if done else self._every)


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


def _health(name: str, context: Context, loops: Loops) -> APIRouter:
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
        """Whether database and broker are there."""
        waiting = {progress.name: progress.waiting_for for progress in loops.progress if progress.waiting_for}
        with contextlib.suppress(Exception):
            async with asyncio.timeout(5), context.work.engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
                response.status_code = 503 if waiting else 200
                return {"waiting": waiting}
        response.status_code = 503
        return {"waiting": waiting | {"database": "DATABASE_UNAVAILABLE"}}

    @router.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Prometheus metrics of this process."""
        for progress in loops.progress:
            WAITING.labels(name, progress.name).set(1 if progress.waiting_for else 0)
            done = HANDLED.labels(name, progress.name)
            done.inc(progress.handled)
            progress.handled = 0
        with contextlib.suppress(Exception):
            OUTBOX.labels(name).set(await context.work.outbox.waiting())
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router


def _token_check(token: str) -> Callable[[HTTPAuthorizationCredentials | None], None]:
    bearer = HTTPBearer(auto_error=False)

    def check(given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:
        """Deny by default: without a configured token nobody is let in."""
        if not token or given is None or not secrets.compare_digest(given.credentials.encode(), token.encode()):
            raise HTTPException(401, "a valid bearer token is needed", headers={"WWW-Authenticate": "Bearer"})

    return check
