"""Empties every queue's dead letters into the store, and closes cases whose line succeeded after all."""

from collections.abc import Sequence

import msgspec
import structlog

from services.console import store
from shared import outcomes
from shared.accounting import Fate, LineFate
from shared.db.unit import Work
from shared.messaging.message import Message, derived_id
from shared.messaging.topology import OUTCOMES

OUTCOMES_QUEUE = "console.outcomes"

log = structlog.get_logger(__name__)


class ConsoleHandlers:
    """What ``console`` does with messages."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def on_dead_letters(self, messages: Sequence[Message]) -> None:
        """Store dead letters. For one whose owner never spoke, tell its line's fate in the owner's place."""
        async with self._work.unit() as unit:
            for message in sorted(messages, key=lambda one: (one.vpd, one.message_id)):
                letter = message
                if not letter.message_id:
                    letter = msgspec.structs.replace(letter, message_id=derived_id(letter.type, letter.body.hex()))
                await store.keep(unit.connection, letter, self._work.clock.now())
                if letter.code.startswith("BROKER_") and letter.file and letter.line:
                    unit.messages.append(_fate_in_place_of_the_owner(letter, unit.timestamp))

    async def on_outcomes(self, messages: Sequence[Message]) -> None:
        """Close replayed cases whose lines are settled now."""
        said = [outcomes.decode(message.body) for message in messages]
        async with self._work.engine.begin() as connection:
            concerned = await store.files_with_cases(connection, sorted({(one.vpd, one.file) for one in said}))
            settled = [
                ((one.vpd, one.file), fate)
                for one in said
                if (one.vpd, one.file) in concerned
                for fate in one.fates()
                if fate.fate.settled or fate.fate.group == "parked"
            ]
            if settled:
                await store.resolve(connection, settled)

    async def give_up(self, message: Message, queue: str, error: Exception) -> None:
        """Nothing may be lost here: what cannot be stored stays in its queue, and the process stops with the reason."""
        log.error("dead letter cannot be stored", queue=queue, message_id=message.message_id)
        raise error


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
