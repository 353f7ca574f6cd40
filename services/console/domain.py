"""The life of a dead letter, and of an operation upon many. No I/O here.

A letter is *open* until an operator replays or discards it. A replayed one comes back open when it fails again, and is
*resolved* when its line gets a settled fate. Each return is told apart by the number of replays it has been through,
so that a letter delivered twice is stored once. A discarded one can be opened again.

An operation is a plan for many letters, and its run. It is *collecting* until it holds every letter that was asked for,
*proposed* while it is too large for one person alone, *planned* when it may start, then *running*. An operator may
*pause* it; it *halts* by itself when more fails than is allowed; *stopped* and *done* are its ends.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from shared.errors import BridgeError

State = Literal["open", "replayed", "resolved", "discarded"]
Kind = Literal["replay", "discard"]
OperationState = Literal["collecting", "proposed", "planned", "running", "paused", "halted", "stopped", "done"]

STATES: Final[tuple[State, ...]] = ("open", "replayed", "resolved", "discarded")

ALIVE: Final = ("collecting", "proposed", "planned", "running", "paused", "halted")
"""States of an operation that has not ended."""


class DeadLetterError(BridgeError):
    """What an operator asked for cannot be done with this dead letter."""

    code = "DEAD_LETTER"


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter as stored. ``hold_until``: it is not to be replayed before."""

    id: str
    state: State
    replay: int
    hold_until: datetime | None = None


def check_replay(letter: Letter, now: datetime | None = None) -> None:
    """Raise DeadLetterError unless the letter can be replayed; ``now`` decides whether it is still held."""
    if letter.state != "open":
        raise DeadLetterError(f"dead letter {letter.id} is {letter.state}; only an open one can be replayed")
    if now and letter.hold_until and now < letter.hold_until:
        until = letter.hold_until.isoformat(timespec="minutes")
        raise DeadLetterError(f"dead letter {letter.id} is held until {until}; end the hold first")


def check_discard(letter: Letter) -> None:
    """Raise DeadLetterError unless the letter can be discarded."""
    if letter.state != "open":
        raise DeadLetterError(f"dead letter {letter.id} is {letter.state}; only an open one can be discarded")


def check_undo(letter: Letter) -> None:
    """Raise DeadLetterError unless the letter was discarded."""
    if letter.state != "discarded":
        raise DeadLetterError(f"dead letter {letter.id} is {letter.state}; only a discarded one can be opened again")


def check_edit(letter: Letter) -> None:
    """Raise DeadLetterError unless the letter's record can be edited."""
    if letter.state != "open":
        raise DeadLetterError(f"dead letter {letter.id} is {letter.state}; only an open one can be edited")


@dataclass(frozen=True, slots=True)
class Operation:
    """What decides whether an operation may go on. ``who`` made the plan."""

    id: int
    kind: Kind
    state: OperationState
    who: str
    total: int
    approver: str = ""


def large(kind: Kind, total: int, *, replays_alone: int, discards_alone: int) -> bool:
    """Whether so many letters are more than one person may decide about alone."""
    return total > (replays_alone if kind == "replay" else discards_alone)


def same_person(one: str, other: str) -> bool:
    """Whether two names are one person's; blanks and capitals make nobody another person."""
    return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()


def check_approve(operation: Operation, who: str) -> None:
    """Raise DeadLetterError unless ``who`` may approve: never whoever proposed it."""
    _only(operation, "approved", "proposed")
    if same_person(operation.who, who):
        raise DeadLetterError(
            f"operation {operation.id} was proposed by {operation.who}; somebody else must approve it"
        )


def check_start(operation: Operation) -> None:
    """Raise DeadLetterError unless the operation may start."""
    if operation.state == "proposed":
        raise DeadLetterError(
            f"operation {operation.id} is about {operation.total} letters; a second person must approve it first"
        )
    _only(operation, "started", "planned")


def check_pause(operation: Operation) -> None:
    """Raise DeadLetterError unless the operation runs."""
    _only(operation, "paused", "running")


def check_resume(operation: Operation) -> None:
    """Raise DeadLetterError unless the operation was paused or halted by itself."""
    _only(operation, "resumed", "paused", "halted")


def check_stop(operation: Operation) -> None:
    """Raise DeadLetterError when the operation has ended."""
    _only(operation, "stopped", *ALIVE)


def check_reverse(operation: Operation) -> None:
    """Raise DeadLetterError unless this is a discard that has ended: a replay cannot be taken back."""
    if operation.kind != "discard":
        raise DeadLetterError(f"operation {operation.id} is a replay; what was sent cannot be taken back")
    _only(operation, "undone", "done", "stopped")


def _only(operation: Operation, verb: str, *states: OperationState) -> None:
    if operation.state not in states:
        raise DeadLetterError(
            f"operation {operation.id} is {operation.state}; only one that is {' or '.join(states)} can be {verb}"
        )


def too_many_failed(*, failed: int, told: int, waiting: int, forgiven: int, allowed_percent: int, canary: int) -> bool:
    """Whether a run has to halt: more of those whose end is known (``told``) failed than is allowed.

    Judged once ``canary`` letters are known, or all that were sent, so that the first failure of many does not decide
    alone. Failures before an operator resumed the run are forgiven.
    """
    known, counted = told - forgiven, failed - forgiven
    if known < canary and waiting:
        return False
    return counted > 0 and counted * 100 > known * allowed_percent


def next_stage(stage: str, place: int, stage_end: int, total: int, canary: int) -> tuple[str, int]:
    """Return the stage after one that ended well, and the place at which it ends.

    A ramp doubles: after a canary of 5 it goes to 15, 35, 75 and so on. Beyond a tenth of the whole, or a thousand
    letters, the rest goes at once, under the rate limit.
    """
    step = 2 * max(stage_end, canary, 1)
    end = place + step
    if end >= total or (stage == "ramp" and step > max(total // 10, canary)) or step > 1_000:
        return "rest", total
    return "ramp", end
