"""A limit on the calls to one site, over everything a process does there."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

import httpx

WINDOW: Final = 60.0
BURST: Final = 0.1
"""Share of a minute's calls that may be made at once."""


class Throttled(httpx.AsyncBaseTransport):
    """Lets through so many calls a minute, evenly but for a small burst; the others wait for their turn.

    ``clock`` counts seconds and ``sleep`` waits; both are given so that tests need no time.
    """

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        calls_per_minute: int,
        *,
        clock: Callable[[], float] = monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._inner = inner
        # So that a burst and the even calls after it stay within the limit in whichever minute.
        self._step = WINDOW / max(1.0, calls_per_minute * (1 - BURST))
        self._ahead = (max(1.0, calls_per_minute * BURST) - 1) * self._step
        self._clock = clock
        self._sleep = sleep
        self._due = clock()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Wait for a turn, then send."""
        now = self._clock()
        due = max(self._due, now)
        self._due = due + self._step
        if due - self._ahead > now:
            await self._sleep(due - self._ahead - now)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close what is behind."""
        await self._inner.aclose()
