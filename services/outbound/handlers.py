"""Events to desired state. Events carry state and a revision, so each write is "keep the newest"."""

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from services.outbound import desired
from services.outbound.towards_esr import notes
from shared import events
from shared.account_settings import AccountPolicy
from shared.db.unit import Work
from shared.messaging.message import Message

QUEUE: Final = "outbound.events"

Kind = TypeVar("Kind", bound=events.Event)


class OutboundHandlers:
    """What ``outbound`` does with messages."""

    def __init__(self, work: Work, policies: Mapping[str, AccountPolicy]) -> None:
        """``policies``: each trust's, by VPD."""
        self._work = work
        self._policies = policies

    async def on_events(self, messages: Sequence[Message]) -> None:
        """Fold a batch of events into desired state."""
        said = [events.decode(message.type, message.body) for message in messages]
        async with self._work.engine.begin() as connection:
            await desired.note_people(connection, _of(said, events.PersonEvent), self._policies)
            await desired.note_hierarchies(connection, _of(said, events.HierarchyChanged))
            await desired.note_achievements(connection, _of(said, events.AchievementEvent))
            await desired.note_withdrawals(connection, _of(said, events.CompetenceWithdrawn))
            await desired.note_mirrors(connection, _of(said, events.CompetenceMirrored))
            await notes.note_wanted(connection, _of(said, *notes.WANTED))
            await notes.note_answers(connection, _of(said, events.CompletionAnswer))
            await notes.note_overdue(connection, _of(said, events.ConfirmationOverdue))
            await notes.note_file_answers(connection, _of(said, events.CompletionFileAnswered))
            await notes.look_again(connection, _of(said, events.PersonEvent))
            await desired.open_gates(connection, _of(said, events.FileCompleted))


def _of(said: Sequence[events.Event], *kinds: type[Kind]) -> list[Kind]:
    return [event for event in said if isinstance(event, kinds)]
