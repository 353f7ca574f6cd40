"""A process of ``console`` that runs plans until it is killed: what it publishes goes to a file, as to a broker."""

import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import datetime

import msgspec

from services.console.limits import Limits
from services.console.planning import Planner
from services.console.run import Runner
from shared.clock import LONDON, FixedClock
from shared.db.engine import make_engine
from shared.db.unit import Work
from shared.messaging.memory import MemoryBroker
from shared.messaging.message import Message


class Paper(MemoryBroker):
    """Writes down what it is given; a line that was written has been published, whoever dies afterwards."""

    durable = True

    def __init__(self, path: str) -> None:
        super().__init__()
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            os.write(self._file, msgspec.json.encode(message) + b"\n")


async def main(url: str, path: str) -> None:
    broker = Paper(path)
    engine = make_engine(url, name="killed")
    work = Work("console", engine, broker, FixedClock(datetime(2026, 3, 3, 12, tzinfo=LONDON)))
    runner = Runner(work, Planner(work, limits=Limits(per_second=1000, in_flight=10_000)))
    print("ready", flush=True)  # noqa: T201
    while True:
        await work.outbox.sweep(age=0)
        if not await runner.run():
            await asyncio.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
