"""Blocking calls of one session, in a thread of its own."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Aside:
    """Runs blocking calls one after the other, each with a deadline.

    Every session has its own thread: with threads shared by all, a few servers that hang would keep everybody waiting.
    A call whose deadline has passed is left to itself, so ``hang_up``, which is called from outside the thread, must
    make it end; ``clean_up`` is called in the thread after that.
    """

    def __init__(self, hang_up: Callable[[], None], clean_up: Callable[[], None]) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="transport")
        self._hang_up = hang_up
        self._clean_up = clean_up

    async def run(self, seconds: float, call: Callable[[], T]) -> T:
        """Return what ``call`` returns. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def close(self) -> None:
        """Cut short whatever is under way, and let the thread end. Does not wait."""
        self._hang_up()
        self._thread.submit(self._clean_up)
        self._thread.shutdown(wait=False)
