"""The service ``confirmations`` on a real database, without sockets: answers and events go in, events come out."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from esrbridge.embedded import as_role
from services.confirmations import figures, store
from services.confirmations.domain import Detail
from services.confirmations.handlers import ConfirmationHandlers
from services.confirmations.watch import Watch
from shared import events, records
from shared.accounting import Fate
from shared.clock import FixedClock
from shared.config import TrustConfig
from shared.db.engine import Reader, make_engine
from shared.db.ledger import Ledger
from shared.db.unit import Work
from shared.messaging.memory import MemoryBroker
from shared.messaging.message import Message
from shared.messaging.topology import DEAD, EVENTS, RECORDS

VPD = "991"
SENT = "CS_991_CST_CMP_20260303_00000001.DAT"
OTHER = "CS_991_CST_CMP_20260304_00000002.DAT"
SENT_AT = "2026-03-03T18:00:05+00:00"
FIRST, SECOND = 1, 2
"""Numbers of confirmation files."""


def cmc(number: int) -> str:
    """Name of a confirmation file."""
    return f"CS_991_CST_CMC_202603{number:02d}_{number:08d}.DAT"


def head(line: int = 2, number: int = FIRST, *, file: str = SENT, status: str = "SUCCESS", **said: str) -> Message:
    """A CFH."""
    counts = {"records_read": "1", "records_success": "1", "records_warning": "0", "records_failed": "0"}
    return _record(
        "confirmation_file.upsert", number, line, {"confirmed_file": file, "file_status": status} | counts | said
    )


def answer(
    reference: str = "R1",
    line: int = 3,
    number: int = FIRST,
    *,
    status: str = "SUCCESS",
    position: int = 1,
    **said: str,
) -> Message:
    """A CFD."""
    columns = {
        "echoed_reference": reference, "load_status": status, "record_position": str(position),
        "confirmed_record_type": "TCA",
    }  # fmt: skip
    return _record("confirmation.upsert", number, line, columns | said)


def refusal(reference: str = "R1", line: int = 3, number: int = FIRST, code: str = "B201", **said: Any) -> Message:
    """A CFD that refuses."""
    return answer(reference, line, number, status="FAIL", message_type="ERROR", message_code=code, **said)


def _record(kind: str, number: int, line: int, columns: dict[str, str]) -> Message:
    return Message(
        exchange=RECORDS, type=kind, message_id=f"{number}-{line}", vpd=VPD, body=records.encode(columns),
        stream="cmc", file=cmc(number), file_no=number, line=line,
    )  # fmt: skip


def sent(reference: str = "R1", position: int = 1, *, file: str = SENT, **said: Any) -> Message:
    """A CompletionSent."""
    about = {"person_id": "7", "key": f"K-{reference}", "competence_id": "100", "achieved_on": "2026-03-01"}
    event = events.CompletionSent(
        vpd=VPD, cause=events.Cause("", "", 0), reference=reference, sent_file=file, position=position,
        **(about | {"sent_at": SENT_AT} | said),
    )  # fmt: skip
    return said_event(event)


def complete(number: int = FIRST, records_: int = 2) -> Message:
    """The FileCompleted of a confirmation file."""
    cause = events.Cause("cmc", cmc(number), number)
    return said_event(events.FileCompleted(vpd=VPD, cause=cause, status="complete", records=records_))


def said_event(event: events.Event) -> Message:
    name = events.NAMES[type(event)]
    return Message(exchange=EVENTS, type=name, message_id=name, vpd=event.vpd, body=events.encode(event))


@dataclass(slots=True)
class Rig:
    """One replica of the service and what it told."""

    handlers: ConfirmationHandlers
    watch: Watch
    work: Work
    clock: FixedClock
    reader: Reader
    told: list[events.Event] = field(default_factory=list)
    dead: list[Message] = field(default_factory=list)

    async def hear(self, *said: Message) -> None:
        """Handle messages, one after the other."""
        for message in said:
            await self.together([message])

    async def together(self, said: Sequence[Message]) -> None:
        """Handle messages in one batch of each queue."""
        answers = [one for one in said if one.exchange == RECORDS]
        rest = [one for one in said if one.exchange != RECORDS]
        if answers:
            await self.handlers.on_records(answers)
        if rest:
            await self.handlers.on_events(rest)

    async def look(self) -> None:
        """Let the watch tell all there is."""
        while await self.watch.run():
            pass

    async def read(self, work: Any) -> Any:
        async with self.reader.trust(VPD) as connection:
            return await work(connection)

    async def items(self) -> dict[tuple[str, int], tuple[str, str]]:
        """State and code of each item, by file and position."""
        found = await self.read(lambda connection: store.items(connection, VPD))
        return {(one["sent"]["sent_file"], one["sent"]["position"]): (one["state"], one["code"]) for one in found}

    async def rows(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        async with self.work.engine.connect() as connection:
            return [tuple(row) for row in await connection.execute(text(statement), values)]

    async def fate(self, line: int, number: int = FIRST) -> Fate:
        async with self.work.engine.connect() as connection:
            block = await Ledger("confirmations").block(connection, (VPD, cmc(number)), line)
        return block.get(line).fate if block else Fate.PENDING

    async def odd(self) -> list[tuple[int, str]]:
        """Line and reason of odd answers that stand."""
        found, _ = await self.read(lambda connection: figures.unmatched(connection, VPD))
        return [(one["line"], one["code"]) for one in found]

    def names(self) -> list[str]:
        """The events told since the last time, by name."""
        told = [type(one).__name__ for one in self.told]
        self.told.clear()
        return told

    async def adds_up(self) -> None:
        """Check that the counts of files are those of their items, and that nothing is lost between them."""
        wrong = await self.rows(
            "SELECT * FROM (SELECT vpd, sent_file, count(*) AS sent, count(*) FILTER (WHERE state = 'confirmed') AS c, "
            "count(*) FILTER (WHERE state = 'rejected') AS r, count(*) FILTER (WHERE state = 'open') AS o "
            "FROM confirmations.items GROUP BY 1, 2) i FULL JOIN "
            "(SELECT * FROM confirmations.sent_files WHERE sent > 0) f "
            "USING (vpd, sent_file) WHERE i.sent IS DISTINCT FROM f.sent OR i.c IS DISTINCT FROM f.confirmed "
            "OR i.r IS DISTINCT FROM f.refused OR i.sent <> i.c + i.r + i.o"
        )
        assert wrong == []


async def emptied(connection: AsyncConnection) -> None:
    for table in store.METADATA.sorted_tables:
        await connection.execute(text(f"DELETE FROM {table.fullname}"))


@asynccontextmanager
async def rigged(
    database: str,
    passwords: Mapping[str, str],
    trust: Mapping[str, Any] | None = None,
    *,
    detail: Detail = "every_record",
    replicas: int = 1,
    now: str = "2026-03-03T18:01",
) -> AsyncIterator[list[Rig]]:
    """Start replicas of the service on a database that is emptied first."""
    config = TrustConfig.model_validate({"vpd": VPD, **(trust or {})})
    engine = make_engine(as_role(database, "confirmations", passwords["confirmations"]), name="test", pool=2 * replicas)
    told: list[events.Event] = []
    dead: list[Message] = []

    def note(message: Message) -> None:
        if message.exchange == EVENTS:
            told.append(events.decode(message.type, message.body))
        elif message.exchange == DEAD:
            dead.append(message)

    broker = MemoryBroker(tap=note)
    await broker.start()
    clock = FixedClock(datetime.fromisoformat(now))
    try:
        async with engine.begin() as connection:
            await emptied(connection)
        rigs = []
        for _ in range(replicas):
            work = Work("confirmations", engine, broker, clock)
            handlers = ConfirmationHandlers(work, {VPD: detail})
            rigs.append(Rig(handlers, Watch(work, [config]), work, clock, Reader(engine, "confirmations"), told, dead))
        yield rigs
    finally:
        await engine.dispose()
