"""Two guards of the Moodle driver: one at a time for a person, and patience with outcomes nobody knows yet."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from services.outbound.lms.moodle_rows import Row

Test = Callable[[Row | None], bool]


class KeyLocks:
    """A lock for each key, there while somebody holds or wants it.

    Moodle's own checks before a creation see nothing of another creation going on, and only usernames are unique.
    """

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def hold(self, keys: Iterable[str]) -> AsyncIterator[None]:
        """Hold the locks of all keys; they are taken in order, so that two batches never wait for each other."""
        async with AsyncExitStack() as held:
            for key in sorted(set(keys)):
                await held.enter_async_context(self._one(key))
            yield

    @asynccontextmanager
    async def _one(self, key: str) -> AsyncIterator[None]:
        lock, users = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks.pop(key)
            if users > 1:
                self._locks[key] = (lock, users - 1)


@dataclass(frozen=True, slots=True)
class _Open:
    until: float
    seen: Test


class Unsettled:
    """Writing calls whose reply was lost. They may still commit, so nothing is done about their accounts meanwhile."""

    def __init__(self, settling: float, clock: Callable[[], float]) -> None:
        self._settling = settling
        self._clock = clock
        self._open: dict[str, _Open] = {}

    def add(self, idnumber: str, seen: Test) -> None:
        """Note a lost reply; ``seen`` tells from the account as it is found whether the call has committed."""
        self._open[idnumber] = _Open(self._clock() + self._settling, seen)

    def holds(self, idnumber: str, found: Row | None) -> bool:
        """Whether the outcome is still open; once it has been seen, or its time has passed, it is not."""
        one = self._open.get(idnumber)
        if one is None:
            return False
        if one.seen(found) or self._clock() >= one.until:
            del self._open[idnumber]
            return False
        return True
