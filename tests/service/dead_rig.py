"""``console`` on a real database with a broker of ours, and an owner of records who applies or refuses them."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from esrbridge.embedded import as_role
from services.console import audit, store
from services.console.actions import Operator
from services.console.age import Watch
from services.console.checking import Schemas
from services.console.handlers import ConsoleHandlers
from services.console.limits import Limits
from services.console.planning import Planner
from services.console.run import Runner
from services.console.search import Search, Selection
from services.console.tables import ITEMS, LETTERS
from shared import outcomes, records
from shared.accounting import Block, Fate, LineFate, block_of
from shared.clock import LONDON, FixedClock
from shared.config import BridgeConfig
from shared.db.engine import make_engine
from shared.db.outbox import Outbox
from shared.db.unit import Work
from shared.errors import BrokerUnavailableError
from shared.messaging.memory import MemoryBroker
from shared.messaging.message import Message
from shared.messaging.topology import DEAD, OUTCOMES

VPD = "991"
QUEUE = "people.records"
FILE = "CS_991_CST_CSC_20260303_00000002.DAT"
NOON = datetime(2026, 3, 3, 12, tzinfo=LONDON)
OPEN = Selection(search=Search())
"""All that is open."""


class KilledError(Exception):
    """The process ended here; nothing after it was done."""


class Post(MemoryBroker):
    """A broker that only remembers: what was published lies in its queue until it is taken out."""

    durable = True

    def __init__(self) -> None:
        super().__init__()
        self.queues: dict[str, list[Message]] = defaultdict(list)
        self.published: list[Message] = []

    async def publish(self, messages: Sequence[Message]) -> None:
        if self.down:
            raise BrokerUnavailableError("switched off by the test")
        for message in messages:
            self.published.append(message)
            names = (
                (message.routing_key,)
                if message.exchange == ""
                else self.topology.routes(message.exchange, message.routing_key)
            )
            for name in names:
                self.queues[name].append(message)

    def take(self, queue: str) -> list[Message]:
        return self.queues.pop(queue, [])

    def sent(self) -> list[Message]:
        """What went to the queue of records."""
        return [one for one in self.published if one.routing_key == QUEUE]


class Mortal(Outbox):
    """An outbox whose process may end just before its commit, or just after."""

    doom = ""

    async def add(self, connection: AsyncConnection, messages: Sequence[Message]) -> list[tuple[str, int]]:
        keys = await super().add(connection, messages)
        self._die("before")
        return keys

    async def publish(self, keys: Sequence[tuple[str, int]], messages: Sequence[Message]) -> None:
        self._die("after")
        await super().publish(keys, messages)

    def _die(self, moment: str) -> None:
        if self.doom == moment:
            self.doom = ""
            raise KilledError


@dataclass
class Owner:
    """Applies records by their versions and tells their lines' fates, as every owner does."""

    post: Post
    refuses: Callable[[Mapping[str, str]], str] = lambda fields: "R103" if "!" in fields.get("last_name", "") else ""
    held: dict[str, tuple[tuple[int, int], dict[str, str]]] = field(default_factory=dict)
    blocks: dict[tuple[str, int], Block] = field(default_factory=dict)
    applied: list[tuple[str, int]] = field(default_factory=list)
    """(file, line) of each record that took effect, once for each time it did."""

    async def handle(self, messages: Sequence[Message]) -> None:
        for message in messages:
            fields = msgspec.json.decode(message.body, type=dict[str, str])
            code = self.refuses(fields)
            if code and not self._block(message).get(message.line).fate.settled:
                await self._give_up(message, code)
            else:
                await self._tell(message, self._take(message, fields))

    def _take(self, message: Message, fields: dict[str, str]) -> Fate:
        version = (message.file_no, message.line)
        before = self._block(message).get(message.line).fate
        if before.settled:
            return before
        old = self.held.get(fields["person_id"], ((0, 0), {}))[0]
        if old > version:
            return Fate.SUPERSEDED
        self.held[fields["person_id"]] = (version, fields)
        self.applied.append((message.file, message.line))
        return Fate.APPLIED

    async def _give_up(self, message: Message, code: str) -> None:
        await self._tell(message, Fate.DEAD_LETTERED)
        letter = msgspec.structs.replace(
            message, exchange=DEAD, address=f"{QUEUE}.dead", code=code, reason="a column is wrong", queue=QUEUE
        )
        await self.post.publish([letter])

    async def _tell(self, message: Message, fate: Fate) -> None:
        said = self._block(message).decide(message.line, fate)
        await self.post.publish([outcome(message.file, [said])])

    def _block(self, message: Message) -> Block:
        index = block_of(message.line)
        return self.blocks.setdefault((message.file, index), Block.empty(index))


def outcome(file: str, fates: Sequence[LineFate]) -> Message:
    return Message(
        exchange=OUTCOMES,
        type="people.outcomes",
        message_id=f"{file}-{fates}",
        vpd=VPD,
        body=outcomes.encode(outcomes.Outcomes.of(VPD, file, fates)),
        file=file,
    )


@dataclass
class Replica:
    """One process of ``console``."""

    work: Work
    handlers: ConsoleHandlers
    planner: Planner
    runner: Runner
    schemas: Schemas

    def operator(self, who: str = "ann") -> Operator:
        return Operator(self.work, who, self.schemas)

    def dies(self, moment: str) -> None:
        assert isinstance(self.work.outbox, Mortal)
        self.work.outbox.doom = moment


@dataclass
class Rig:
    """Everything together."""

    engine: AsyncEngine
    post: Post
    owner: Owner
    clock: FixedClock
    replicas: list[Replica]
    limits: Limits
    admin: str
    """Where the owner of the database gets in: nobody else can delete what was written down."""

    @property
    def one(self) -> Replica:
        return self.replicas[0]

    @property
    def planner(self) -> Planner:
        return self.one.planner

    async def letters(self, *names: str, first: int = 2, **more: Any) -> list[str]:
        """Let records fail: one for each last name, ``!`` in it being the fault. Return the letters' ids."""
        made = [record(line, name, **more) for line, name in enumerate(names, first)]
        await self.owner.handle(made)
        await self.deliver()
        return [one.message_id for one in made]

    async def deliver(self, replica: int = 0) -> None:
        """Let every message be handled, and all that follows."""
        while any(self.post.queues.values()):
            for queue in list(self.post.queues):
                messages = self.post.take(queue)
                if queue.endswith(".dead"):
                    await self.replicas[replica].handlers.on_dead_letters(messages)
                elif queue == "console.outcomes":
                    await self.replicas[replica].handlers.on_outcomes(messages)
                elif queue == QUEUE:
                    await self.owner.handle(messages)

    async def settle(self) -> None:
        """Let runs go on until they stand still."""
        while sum([await replica.runner.run() for replica in self.replicas]) or any(self.post.queues.values()):
            await self.deliver()

    async def row(self, letter: str) -> store.AnyRow:
        async with self.engine.connect() as connection:
            found = await store.find(connection, VPD, letter)
        assert found is not None
        return found

    async def states(self) -> dict[str, str]:
        async with self.engine.connect() as connection:
            rows = await connection.execute(select(LETTERS.c.id, LETTERS.c.state).where(LETTERS.c.vpd == VPD))
            return {row.id: row.state for row in rows}

    async def items(self, number: int) -> list[store.AnyRow]:
        async with self.engine.connect() as connection:
            found = select(ITEMS).where(ITEMS.c.operation == number).order_by(ITEMS.c.place)
            return list((await connection.execute(found)).all())

    async def audit(self, **of: Any) -> list[dict[str, Any]]:
        async with self.engine.connect() as connection:
            return await audit.read(connection, VPD, limit=1000, **of)

    async def empty(self) -> None:
        async with self.engine.begin() as connection:
            for table in (
                "dead_letters",
                "operations",
                "operation_letters",
                "line_fates",
                "letter_staff",
                "outbox",
            ):
                await connection.execute(text(f"DELETE FROM console.{table}"))
        await forget(self.admin)


async def forget(database: str) -> None:
    """Empty what the service itself can only add to."""
    engine = make_engine(database, name="test", pool=1)
    async with engine.begin() as connection:
        await connection.execute(text("TRUNCATE console.actions, console.edits"))
    await engine.dispose()


def record(
    line: int, last_name: str, *, person_id: str = "", file: str = FILE, file_no: int = 2, **more: Any
) -> Message:
    """A sound person record but for its last name."""
    fields = {
        "person_id": person_id or str(9_000_000 + line),
        "effective_start": "2026-03-01",
        "employee_number": f"E{line}",
        "last_name": last_name,
        "first_name": "Fern",
        "system_person_type": "EMP",
        "user_person_type": "Employee",
        "hire_date": "2026-03-01",
        **more,
    }
    return Message(
        exchange="esr.records",
        type="person.upsert",
        message_id=f"{file_no:04}-{line:06}",
        vpd=VPD,
        body=records.encode(fields),
        stream="feed",
        file=file,
        file_no=file_no,
        line=line,
    )


@asynccontextmanager
async def rigged(
    database: str, passwords: Mapping[str, str], *, replicas: int = 1, limits: Limits | None = None
) -> AsyncIterator[Rig]:
    """Start replicas of ``console`` on a database that is emptied first."""
    config = BridgeConfig.model_validate({"trusts": [{"vpd": VPD}, {"vpd": "992"}]})
    engine = make_engine(as_role(database, "console", passwords["console"]), name="test", pool=2 * replicas + 2)
    post, clock = Post(), FixedClock(NOON)
    limits = limits or Limits(per_second=1000)
    made = []
    for _ in range(replicas):
        work = Work("console", engine, post, clock)
        work.outbox = Mortal("console", engine, post)
        schemas = Schemas(config)
        planner = Planner(work, schemas, limits)
        made.append(Replica(work, ConsoleHandlers(work, schemas), planner, Runner(work, planner), schemas))
    rig = Rig(engine, post, Owner(post), clock, made, limits, database)
    try:
        await rig.empty()
        yield rig
    finally:
        await engine.dispose()


def watch_of(rig: Rig) -> Watch:
    return Watch(rig.one.work, [VPD], rig.limits)
