"""``ingest`` as a process of its own on real servers, and an owner of its records who says that they are applied."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import yaml

from esrbridge.embedded import as_role
from shared import outcomes
from shared.accounting import Fate, LineFate
from shared.errors import TransientError
from shared.messaging.message import Message, derived_id
from shared.messaging.rabbitmq import RabbitBroker
from shared.messaging.topology import OUTCOMES, RECORDS
from tests.e2e.stack import free_ports

QUEUE = "people.records"
BATCH = 500


@dataclass
class IngestAlone:
    """The process, on a folder of its own. Its log goes to ``ingest.log``."""

    folder: Path
    database: str
    password: str
    broker: str
    vpd: str
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        (self.folder / "bridge.yaml").write_text(yaml.safe_dump({"trusts": [{"vpd": self.vpd}]}))
        (port,) = free_ports(1)
        environment = os.environ | {
            "ESRBRIDGE_DATABASE_URL": as_role(self.database, "ingest", self.password),
            "ESRBRIDGE_BROKER_URL": self.broker,
            "ESRBRIDGE_CONFIG": str(self.folder / "bridge.yaml"),
            "ESRBRIDGE_FILES": str(self.folder),
            "ESRBRIDGE_ARCHIVE": str(self.folder / "archive"),
            "ESRBRIDGE_PORT": str(port),
            "ESRBRIDGE_SCAN_SECONDS": "0.1",
            "ESRBRIDGE_SETTLE_SECONDS": "0",
            "ESRBRIDGE_CLAIM_SECONDS": "2",
            "ESRBRIDGE_NOW": "2026-03-02T18:30",
        }
        with (self.folder / "ingest.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.ingest.main"], env=environment, stdout=log, stderr=log
            )

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()

    def peak_bytes(self) -> int:
        """Return the most memory the living process has held so far."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = [one for one in status.splitlines() if one.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024

    async def file(self) -> Mapping[str, object] | None:
        """Return what ``ingest`` holds of its one file; None before it has found it."""
        connection = await asyncpg.connect(self.database)  # type: ignore[no-untyped-call]
        try:
            row = await connection.fetchrow(
                "SELECT status, code, records, position, warnings, fates FROM ingest.files WHERE vpd = $1", self.vpd
            )
        finally:
            await connection.close()
        return dict(row) if row else None

    def log(self) -> str:
        return "\n".join((self.folder / "ingest.log").read_text(errors="replace").splitlines()[-15:])


@dataclass
class Owner:
    """Takes the records of one trust and says that they are applied, as their owner does.

    ``ids`` holds the message ids that came for each line, ``taken`` how many messages came in all.
    """

    broker: RabbitBroker
    vpd: str
    ids: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    taken: int = 0
    more: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def run(self) -> None:
        while True:
            try:
                async with self.broker.subscribe(QUEUE, prefetch=4 * BATCH) as subscription:
                    while True:
                        batch = await subscription.next(BATCH, 0.02)
                        await self.broker.publish(self._say(batch))
                        await subscription.ack()
                        async with self.more:
                            self.taken += len(batch)
                            self.more.notify_all()
            except TransientError:
                await asyncio.sleep(0.1)

    async def has_taken(self, count: int) -> None:
        """Wait until so many messages have come."""
        async with self.more:
            await self.more.wait_for(lambda: self.taken >= count)

    def _say(self, batch: Sequence[Message]) -> list[Message]:
        lines: dict[str, set[int]] = defaultdict(set)
        for one in batch:
            assert (one.exchange, one.vpd) == (RECORDS, self.vpd)
            self.ids[one.line].add(one.message_id)
            lines[one.file].add(one.line)
        said = []
        for file, own in lines.items():
            body = outcomes.encode(
                outcomes.Outcomes.of(self.vpd, file, [LineFate(line, Fate.APPLIED, 1) for line in sorted(own)])
            )
            said.append(
                Message(
                    exchange=OUTCOMES,
                    type="people.outcomes",
                    message_id=derived_id("people", body.hex()),
                    vpd=self.vpd,
                    body=body,
                    file=file,
                )
            )
        return said


@asynccontextmanager
async def owner(url: str, vpd: str) -> AsyncIterator[Owner]:
    """Let an owner work while inside."""
    broker = RabbitBroker(url)
    await broker.start()
    working = Owner(broker, vpd)
    task = asyncio.create_task(working.run())
    try:
        yield working
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await broker.stop()


async def until(what: str, seconds: float, ingest: IngestAlone, *statuses: str) -> Mapping[str, object]:
    """Wait until the file has one of these statuses, and return it."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end:
        row = await ingest.file()
        if row is not None and row["status"] in statuses:
            return row
        await asyncio.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what}; {await ingest.file()}\n{ingest.log()}")
