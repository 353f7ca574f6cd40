"""Steps of a file on their way to the broker, the next one sent before the last is confirmed."""

import asyncio
from collections import deque
from typing import Final

from services.ingest.source import Place
from services.ingest.steps import Stretch
from shared.messaging.broker import Broker

AHEAD: Final = 2
"""Steps that may be unconfirmed while the next one is read."""


class Pipeline:
    """Publishes steps, and keeps in order what the broker has confirmed, from ``start`` on."""

    def __init__(self, broker: Broker, start: Place) -> None:
        self._broker = broker
        self._confirmed = Stretch(start)
        self._going: deque[tuple[Stretch, asyncio.Task[None]]] = deque()

    async def add(self, step: Stretch) -> None:
        """Publish a step; wait while too many are unconfirmed. Raises what kept an earlier one from being published."""
        self._going.append((step, asyncio.create_task(self._broker.publish(step.messages))))
        if len(self._going) > AHEAD:
            await self._oldest()

    def take(self) -> Stretch:
        """Return what was confirmed since this was last asked."""
        taken = self._confirmed
        self._confirmed = Stretch(taken.after)
        return taken

    async def finish(self) -> None:
        """Wait until every step is confirmed."""
        while self._going:
            await self._oldest()

    async def abandon(self) -> None:
        """Leave alone what is not confirmed, and nothing running."""
        for _, task in self._going:
            task.cancel()
        await asyncio.gather(*(task for _, task in self._going), return_exceptions=True)

    async def _oldest(self) -> None:
        step, task = self._going[0]
        await task
        self._going.popleft()
        self._confirmed.add(step)
