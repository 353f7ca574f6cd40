"""Empties every queue's dead letters into the store, and closes cases whose line succeeded after all."""

from collections.abc import Sequence

import msgspec
import structlog

from services.console import store
from services.console.checking import Schemas
from services.console.keeping import keep
from shared import outcomes
from shared.accounting import Fate, LineFate
from shared.db.ledger import FileKey
from shared.db.unit import Work
from shared.messaging.message import Message, derived_id
from shared.messaging.topology import OUTCOMES

OUTCOMES_QUEUE = "console.outcomes"

log = structlog.get_logger(__name__)


class ConsoleHandlers:
    """What ``console`` does with messages."""

    def __init__(self, work: Work, schemas: Schemas | None = None) -> None:
        self._work = work
        self._schemas = schemas or Schemas()

    async def on_dead_letters(self, messages: Sequence[Message]) -> None:
        """Store dead letters. For one whose owner never spoke, tell its line's fate in the owner's place."""
        letters = [one if one.message_id else _named(one) for one in messages]
        async with self._work.unit() as unit:
            await keep(unit.connection, letters, self._work.clock.now(), self._schemas)
            for letter in letters:
                if letter.code.startswith("BROKER_") and letter.file and letter.line:
                    unit.messages.append(_fate_in_place_of_the_owner(letter, unit.timestamp))

    async def on_outcomes(self, messages: Sequence[Message]) -> None:
        """Close cases whose lines are settled now, or at least wait by themselves after a replay.

        Fates of lines that failed are kept here, so that an old word that comes late closes nothing.
        """
        said = [outcomes.decode(message.body) for message in messages]
        ranges = [((one.vpd, one.file), span) for one in said for span in one.ranges]
        if not ranges:
            return
        async with self._work.engine.begin() as connection:
            rows = await store.concerned(connection, ranges)
            told = {((row.vpd, row.file), _fate(row)) for row in rows}
            failed = {(file, fate) for file, span in ranges for fate in _dead(span)}
            ordered = sorted(told | failed, key=lambda one: (one[0], one[1].line, one[1].revision))
            news = {(change.file, change.after) for change in await self._work.ledger.adopt(connection, ordered)}
            closed = [(row.vpd, row.id, _fate(row)) for row in rows if _closes(row, news)]
            if closed:
                await store.resolve(connection, closed, self._work.clock.now())

    async def describe(self) -> int:
        """Describe letters that an earlier release stored; return how many."""
        async with self._work.engine.begin() as connection:
            return await store.describe_some(connection, self._schemas)

    async def give_up(self, message: Message, queue: str, error: Exception) -> None:
        """Nothing may be lost here: what cannot be stored stays in its queue, and the process stops with the reason."""
        log.error("dead letter cannot be stored", queue=queue, message_id=message.message_id)
        raise error


def _named(message: Message) -> Message:
    return msgspec.structs.replace(message, message_id=derived_id(message.type, message.body.hex()))


def _closes(row: store.AnyRow, news: set[tuple[FileKey, LineFate]]) -> bool:
    """Whether a fate closes a case: what is settled does for good; what is parked must be news, after a replay."""
    fate = _fate(row)
    if row.state == "discarded":
        return False
    if fate.fate.settled:
        return True
    return fate.fate.group == "parked" and row.state == "replayed" and ((row.vpd, row.file), fate) in news


def _fate(row: store.AnyRow) -> LineFate:
    return LineFate(row.line, Fate(row.fate), row.revision)


def _dead(span: tuple[int, int, int, int]) -> list[LineFate]:
    first, last, fate, revision = span
    if fate != Fate.DEAD_LETTERED:
        return []
    return [LineFate(line, Fate.DEAD_LETTERED, revision) for line in range(first, last + 1)]


def _fate_in_place_of_the_owner(letter: Message, timestamp: int) -> Message:
    fate = LineFate(letter.line, Fate.DEAD_LETTERED, 0)
    said = outcomes.Outcomes.of(letter.vpd, letter.file, [fate], {letter.line: letter.code})
    return Message(
        exchange=OUTCOMES,
        type="console.outcomes",
        message_id=derived_id("console", letter.message_id, letter.replay),
        vpd=letter.vpd,
        body=outcomes.encode(said),
        file=letter.file,
        timestamp=timestamp,
    )
