"""Every connection at its own pace: a server that is slow, dead or refuses us keeps nobody else waiting."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from prometheus_client import Counter, Gauge

from shared.errors import BridgeError, TransportRefusedError

WAITING: Final = Gauge(
    "esrbridge_connection_waiting", "1 while a trust's connection waits after a failure.", ["job", "vpd", "folder"]
)
FAILURES: Final = Counter(
    "esrbridge_connection_failures_total", "Attempts on a connection that failed.", ["job", "vpd", "folder", "code"]
)
CARRIED: Final = Counter("esrbridge_connection_files_total", "Files collected or delivered.", ["job", "vpd", "folder"])

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Line:
    """One connection of one trust: ``folder`` is ``esr`` or ``lms``, whichever pair of folders it serves."""

    vpd: str
    folder: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast and how many. Seconds."""

    first: float = 5.0
    """Pause after a first failure; it doubles with each one."""
    longest: float = 300.0
    refused: float = 900.0
    """Pause after we were not let in: a server locks an account that knocks too often."""
    look: float = 1.0
    """How long one call of ``run`` waits for what is under way."""
    at_once: int = 8
    """Connections that are visited at the same time, those included that do not answer. OpenSSH's server drops some of
    those that knock at once when they are more than ten, and many trusts may have the same server."""
    at_work: int = 4
    """Connections over which files move at the same time. Each holds a connection to the database meanwhile."""
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class Done:
    """What came of one visit: how many files, and in how many seconds to come again."""

    files: int
    again: float = 0.0


@dataclass(slots=True)
class _State:
    due: float = 0.0
    failures: int = 0
    code: str = ""


class Rounds:
    """Visits connections, each in a task of its own that may outlast a call of ``run``."""

    def __init__(self, job: str, visits: Mapping[Line, Callable[[], Awaitable[Done]]], pace: Pace) -> None:
        self._job = job
        self._visits = visits
        self._pace = pace
        self._states = {line: _State() for line in visits}
        self._tasks: dict[asyncio.Task[Done], Line] = {}
        self._places = asyncio.Semaphore(pace.at_once)
        self.at_work = asyncio.Semaphore(pace.at_work)
        """To be held by a visit from the moment that the other side has answered."""

    @property
    def waiting(self) -> dict[str, str]:
        """Code of the last failure of each connection that waits, by trust and folder (``999/esr``)."""
        return {f"{line.vpd}/{line.folder}": state.code for line, state in self._states.items() if state.code}

    async def run(self, lines: Iterable[Line] | None = None) -> int:
        """Visit those of ``lines`` (default all) that are due; return how much was done.

        While a visit goes on this counts as something done, and the next call goes on waiting for it. What is wrong
        with one connection is remembered, logged and counted; anything else that goes wrong is raised.
        """
        now = self._pace.clock()
        busy = set(self._tasks.values())
        for line in self._visits if lines is None else lines:
            if line not in busy and self._states[line].due <= now:
                self._tasks[asyncio.create_task(self._visit(line))] = line
        if not self._tasks:
            return 0
        try:
            ended, _ = await asyncio.wait(self._tasks, timeout=self._pace.look, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self._stop()
            raise
        return sum([self._settle(task) for task in ended]) + len(self._tasks)

    async def _visit(self, line: Line) -> Done:
        async with self._places:
            return await self._visits[line]()

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def _settle(self, task: asyncio.Task[Done]) -> int:
        line = self._tasks.pop(task)
        try:
            done = task.result()
        except BridgeError as error:
            self._failed(line, error)
            return 0
        except Exception:
            self._wait(line, self._pace.first)
            raise
        self._went_well(line, done)
        return done.files

    def _went_well(self, line: Line, done: Done) -> None:
        state = self._states[line]
        if state.code:
            log.info("connection is back", job=self._job, vpd=line.vpd, origin=line.folder, host=line.address)
        self._states[line] = _State(due=self._pace.clock() + done.again)
        WAITING.labels(self._job, line.vpd, line.folder).set(0)

    def _failed(self, line: Line, error: BridgeError) -> None:
        state = self._states[line]
        growing = min(self._pace.first * 2 ** min(state.failures, 30), self._pace.longest)
        pause = self._pace.refused if isinstance(error, TransportRefusedError) else growing
        self._wait(line, pause)
        state.failures += 1
        state.code = error.code
        WAITING.labels(self._job, line.vpd, line.folder).set(1)
        FAILURES.labels(self._job, line.vpd, line.folder, error.code).inc()
        log.warning(
            "connection waits",
            job=self._job,
            vpd=line.vpd,
            origin=line.folder,
            host=line.address,
            code=error.code,
            error=error.sentence,
            seconds=pause,
        )

    def _wait(self, line: Line, pause: float) -> None:
        self._states[line].due = self._pace.clock() + pause
