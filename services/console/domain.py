"""The life of a dead letter. No I/O here.

A letter is *open* until an operator replays or discards it. A replayed one comes back open when it fails again, and is
*resolved* when its line gets a settled fate. Each return is told apart by the number of replays it has been through,
so that a letter delivered twice is stored once.
"""

from dataclasses import dataclass
from typing import Literal

from shared.errors import BridgeError

State = Literal["open", "replayed", "resolved", "discarded"]


class DeadLetterError(BridgeError):
    """What an operator asked for cannot be done with this dead letter."""

    code = "DEAD_LETTER"


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter as stored."""

    id: str
    state: State
    replay: int


def check_replay(letter: Letter) -> None:
    """Raise DeadLetterError unless the letter can be replayed."""
    if letter.state != "open":
        raise DeadLetterError(f"dead letter {letter.id} is {letter.state}; only an open one can be replayed")


def check_discard(letter: Letter) -> None:
    """Raise DeadLetterError unless the letter can be discarded."""
    if letter.state != "open":
        raise DeadLetterError(f"dead letter {letter.id} is {letter.state}; only an open one can be discarded")


def check_edit(letter: Letter) -> None:
    """Raise DeadLetterError unless the letter's record can be edited."""
    if letter.state != "open":
        raise DeadLetterError(f"dead letter {letter.id} is {letter.state}; only an open one can be edited")
