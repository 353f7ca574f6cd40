"""Answers and events to stored rows, rows to settled items, changes to events. Either side may come first."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Table

from services.confirmations import intake
from services.confirmations.domain import Detail
from services.confirmations.intake import CMC, Row
from services.confirmations.lives import save_lives
from services.confirmations.locks import FileKey
from services.confirmations.metrics import count_refusals
from services.confirmations.oddities import Pair
from services.confirmations.settling import Lines, Settler
from shared import events, records
from shared.codes import MessageCode
from shared.db.unit import Work
from shared.errors import RecordError
from shared.messaging.message import Message
from shared.records import Record

RECORDS_QUEUE: Final = "confirmations.records"
EVENTS_QUEUE: Final = "confirmations.events"


class ConfirmationHandlers:
    """What ``confirmations`` does with messages."""

    def __init__(self, work: Work, details: Mapping[str, Detail] | None = None) -> None:
        """``details``: which records each trust's confirmations list; every one where it is not said."""
        self._work = work
        self._settler = Settler(work, details or {})

    async def on_records(self, messages: Sequence[Message]) -> None:
        """Store ESR's answers, then settle what they are about."""
        rows: list[tuple[Table, Row]] = []
        faulty: list[tuple[Message, RecordError]] = []
        for message in messages:
            try:
                rows.append(_answer_row(records.decode(message)))
            except RecordError as error:
                faulty.append((message, error))
        async with self._work.engine.begin() as connection:
            await intake.save_answers(connection, rows)
        lines: dict[FileKey, set[int]] = defaultdict(set)
        for _, row in rows:
            lines[row["vpd"], row["file"]].add(row["line"])
        if faulty:
            async with self._work.unit() as unit:
                for message, fault in faulty:
                    unit.dead_letter(message, RECORDS_QUEUE, fault)
        await self._answered(lines)

    async def on_events(self, messages: Sequence[Message]) -> None:
        """Store what was sent, completed or otherwise told, then settle items with answers that came first."""
        said = [(events.decode(message.type, message.body), self._told(message)) for message in messages]
        sent = [(one, told) for one, told in said if isinstance(one, events.CompletionSent)]
        done = [one for one, _ in said if isinstance(one, events.FileCompleted) and one.cause.stream == CMC]
        async with self._work.engine.begin() as connection:
            await intake.save_complete(connection, done)
            await intake.save_items(connection, sent)
            await save_lives(connection, [one for one, _ in said])
        pairs: set[Pair] = {(one.vpd, one.sent_file, one.reference) for one, _ in sent}
        if pairs:
            async with self._work.unit() as unit:
                await self._settler.sent(unit, pairs)
            count_refusals(unit.messages)
        await self._answered({(one.vpd, one.cause.file): () for one in done})

    async def _answered(self, lines: Lines) -> None:
        """Settle what confirmation files say, in as many transactions as it takes."""
        files: set[FileKey] = set()
        left, first = dict(lines), True
        while left:
            async with self._work.unit() as unit:
                found = await self._settler.answered(unit, left, first=first)
            count_refusals(unit.messages)
            files |= found.files
            left, first = {key: said for key, said in left.items() if key in found.more}, False
        await self._settler.rest(files)

    def _told(self, message: Message) -> datetime:
        return datetime.fromtimestamp(message.timestamp, UTC) if message.timestamp else self._work.clock.now()


def _answer_row(record: Record) -> tuple[Table, Row]:
    if record.action == "delete":
        raise RecordError(MessageCode.R903, f"a {record.entity} is never deleted")
    return intake.answer_row(record)
