"""The consumers and background jobs of a service, running."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final

import structlog

from shared.component import Component, Job
from shared.errors import BridgeError
from shared.messaging.consumer import Progress
from shared.telemetry import JOB_FAILURES
from shared.transient import is_transient

IDLE_SHARE: Final = 3
"""A prompt job that finds nothing to do is not looked at again before so many times the time it took."""

log = structlog.get_logger(__name__)


class Loops:
    """The running consumers and jobs of a component."""

    def __init__(self, component: Component, every: float) -> None:
        self._component = component
        self._every = every
        self._tasks: list[asyncio.Task[None]] = []
        self._jobs = {job.name: Progress(job.name) for job in component.jobs}
        self._jobs["sweep"] = Progress("sweep")
        self._wakes = {job.name: asyncio.Event() for job in component.jobs if job.prompt}

    @property
    def progress(self) -> Iterator[Progress]:
        """Signs of life of every loop."""
        for consumer in self._component.consumers:
            yield from consumer.lanes
        yield from self._jobs.values()

    @property
    def waits(self) -> dict[str, str]:
        """What of a job's work waits, as ``collect 999/esr``, and the code why, while the job itself goes on."""
        return {f"{job.name} {what}": code for job in self._component.jobs for what, code in job.waiting().items()}

    @property
    def ended(self) -> list[str]:
        """Loops that stopped although nobody told them to."""
        return [task.get_name() for task in self._tasks if task.done()]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run every loop until left."""
        for consumer in self._component.consumers:
            consumer.after = self._wake
            self._start(consumer.queue, consumer.run)
        for job in (*self._component.jobs, Job("sweep", self._component.work.outbox.sweep)):
            self._start(job.name, partial(self._repeat, job))
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            try:
                await loop()
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
            done, since = 0, time.monotonic()
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
                await asyncio.sleep(self._every)
            else:
                await self._pause(job, done, time.monotonic() - since)

    async def _pause(self, job: Job, done: int, took: float) -> None:
        """Wait until looking for work again is worth it: not at all after work, else until something happens."""
        if done:
            self._wake()
            await asyncio.sleep(0)
        elif wake := self._wakes.get(job.name):
            least = min(IDLE_SHARE * took, self._every)
            await asyncio.sleep(least)
            with suppress(TimeoutError):
                await asyncio.wait_for(wake.wait(), self._every - least)
            wake.clear()
        else:
            await asyncio.sleep(self._every)

    def _wake(self) -> None:
        """Tell prompt jobs that something was done, which may be work for them."""
        for wake in self._wakes.values():
            wake.set()
