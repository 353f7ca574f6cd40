"""From file to broker: how near the splitter comes to what the same broker takes from raw frames.

Four ways to the same RabbitMQ, in turn, in one run; nobody consumes:

``raw``     frames of 300-byte persistent messages made beforehand, straight to one quorum queue: the broker's limit
``shaped``  the frames of the file's own messages made beforehand, through our exchanges: its limit for such messages
``broker``  ``RabbitBroker.publish`` of the file's messages
``file``    the splitter: read the file, make messages, publish, note the place in PostgreSQL
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from pamqp import commands
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.raw import RawClient, plain_message
from esrbridge.local import LocalRabbitMQ, postgres, rabbitmq
from sandbox.esr import SandboxEsr
from services.ingest import main as ingest
from services.ingest import splitter
from shared.clock import FixedClock
from shared.component import Component, Context
from shared.config import BridgeConfig, TrustConfig
from shared.db.engine import Reader, make_engine
from shared.db.migrate import SERVICES, migrate
from shared.db.unit import Work
from shared.messaging.broker import Broker
from shared.messaging.frames import Frames
from shared.messaging.memory import MemoryBroker
from shared.messaging.message import Message
from shared.messaging.rabbitmq import RabbitBroker
from shared.messaging.topology import Topology

VPD = "901"
PEOPLE = int(os.environ.get("ESRBRIDGE_BENCH_PEOPLE", "10000"))
ROUNDS = int(os.environ.get("ESRBRIDGE_BENCH_ROUNDS", "5"))
WINDOW = 500
DAY = date(2026, 3, 2)
FOREVER = 100_000_000

Run = Callable[[], Awaitable[float]]


class Capture(MemoryBroker):
    """A broker that keeps what it is told to publish."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[Message] = []

    async def publish(self, messages: Sequence[Message]) -> None:
        self.messages += messages


@dataclass
class Bench:
    server: LocalRabbitMQ
    raw: RawClient
    broker: RabbitBroker
    component: Component

    async def take_files(self) -> None:
        """Let what lies in the folders in."""
        for job in self.component.jobs:
            if job.name in ("door", "judge"):
                await job.run()

    async def split(self) -> float:
        """Let the splitter send the whole file; return the seconds it took."""
        jobs = {job.name: job.run for job in self.component.jobs}
        await self.component.on_demand[0].run()
        start = time.perf_counter()
        while await jobs["split"]():
            pass
        return time.perf_counter() - start

    def purge(self) -> None:
        for queue in ("raw", *(queue.name for queue in self.broker.topology.queues)):
            self.raw.ask(commands.Queue.Purge(queue=queue), commands.Queue.PurgeOk)

    def broker_seconds(self) -> float:
        """CPU seconds the broker has used."""
        assert self.server.node is not None
        pid = int((self.server.node.folder / "server.pid").read_text())
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def prepared(folder: Path) -> AsyncIterator[tuple[Bench, list[Message]]]:
    """Start servers, let a full file in, and find out which messages it makes."""
    esr = SandboxEsr(folder / "esr.sqlite", VPD)
    esr.populate(PEOPLE, DAY)
    esr.write_full(folder / VPD / "from-esr", DAY)
    topology = Topology(queue_length=FOREVER)
    splitter.IN_FLIGHT = splitter.AMONG_OTHERS = FOREVER  # type: ignore[misc]
    with postgres(folder / "postgres", prefer_wheel=True) as database, rabbitmq(folder / "rabbitmq") as server:
        engine = make_engine(database.url, name="bench")
        await migrate(engine, dict.fromkeys(SERVICES, "bench"))
        broker = RabbitBroker(server.url, topology)
        await broker.start()
        capture = Capture()
        raw = RawClient(server.url)
        raw.declare("raw")
        rehearsal = Bench(server, raw, broker, _component(engine, capture, folder))
        await rehearsal.take_files()
        await rehearsal.split()
        bench = Bench(server, raw, broker, _component(engine, broker, folder))
        yield bench, [message for message in capture.messages if message.file_no and message.line]
        raw.close()
        await broker.stop()
        await engine.dispose()


def _component(engine: AsyncEngine, broker: Broker, folder: Path) -> Component:
    clock = FixedClock(datetime(2026, 3, 2, 6))
    work = Work("ingest", engine, broker, clock)
    config = BridgeConfig(trusts=(TrustConfig(vpd=VPD),))
    return ingest.build(Context(config, work, broker, clock, Reader(engine, "ingest"), folder, folder / "archive"))


async def measure(bench: Bench, messages: list[Message]) -> None:
    frames = Frames(1, 131_072, lambda *_: True)
    windows = [messages[start : start + WINDOW] for start in range(0, len(messages), WINDOW)]
    shaped = [b"".join(map(frames.of, window)) for window in windows]
    plain = [plain_message("", "raw", b"x" * 300) * len(window) for window in windows]
    sizes = [len(window) for window in windows]

    async def broker() -> float:
        start = time.perf_counter()
        await bench.broker.publish(messages)
        return time.perf_counter() - start

    async def raw() -> float:
        return bench.raw.publish(plain, sizes)

    async def through() -> float:
        return bench.raw.publish(shaped, sizes)

    ways: dict[str, Run] = {"raw": raw, "shaped": through, "broker": broker, "file": bench.split}
    taken: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            ours, theirs = time.process_time(), bench.broker_seconds()
            seconds = await way()
            taken[name].append((seconds, time.process_time() - ours, bench.broker_seconds() - theirs))
            bench.purge()
    _print(messages, taken)


def _print(messages: list[Message], taken: dict[str, list[tuple[float, float, float]]]) -> None:
    count = len(messages)
    size = sum(len(message.body) for message in messages) / count
    print(f"{count:,} messages with bodies of {size:.0f} bytes (raw: 300), {ROUNDS} rounds in turn, medians")
    medians = {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in taken.items()}
    for name, (seconds, ours, theirs) in medians.items():
        print(
            f"  {name:8} {count / seconds:8,.0f}/s   {medians['raw'][0] / seconds:5.2f} of raw"
            f"   {medians['shaped'][0] / seconds:5.2f} of shaped"
            f"   CPU a message: client {1e6 * ours / count:5.1f} us, broker {1e6 * theirs / count:5.1f} us"
        )
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    figures = {"python": sys.version, "messages": count, "seconds, client CPU, broker CPU": taken}
    (results / "publish.json").write_text(json.dumps(figures, indent=2))


async def run(folder: Path) -> None:
    async with prepared(folder) as (bench, messages):
        await measure(bench, messages)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


if __name__ == "__main__":
    main()
