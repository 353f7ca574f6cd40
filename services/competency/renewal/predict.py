"""What Totara will hold after an upload, a learner's own completion, or its hourly step.

Source of the rules: a Totara 17.3 site as it was observed. Each function takes what is held and returns what will be;
nothing is stored here. A person who was un-assigned gets the old record back before an upload is looked at: pass that
record. A person who was never assigned is assigned by the upload: pass ``Held()``.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import IntEnum, StrEnum

from services.competency.renewal.periods import instant
from services.competency.renewal.totara import Dates, Method, Renewal, by_history, by_learner, by_upload


class State(StrEnum):
    """Where a person stands with a certification."""

    ASSIGNED = "assigned"
    CERTIFIED = "certified"
    WINDOW_OPEN = "window-open"
    EXPIRED = "expired"


class Action(IntEnum):
    """What an upload of completions is to do, by the numbers of Totara's setting."""

    HISTORY = 0
    CERTIFY_IF_NEWER = 1
    CERTIFY_UNCERTIFIED = 2


class Effect(StrEnum):
    """What a row of an upload came to."""

    HISTORY_ROW = "history-row"
    HISTORY_REPLACED = "history-row-replaced"
    CERTIFIED = "certified"
    ARCHIVED_AND_CERTIFIED = "archived-and-certified"
    NOTHING = "nothing"


class Step(StrEnum):
    """What the hourly step did."""

    WINDOW_OPENED = "window-opened"
    EXPIRED = "expired"
    STUCK = "stuck"
    """Its dates are not in order, so the window can never open: Totara logs a failure every hour."""


@dataclass(frozen=True, slots=True)
class Held:
    """What Totara holds for a person and a certification; moments in UTC.

    ``due``: the programme's due date, which outlives an expiry. ``history``: completion and expiry of each row.
    """

    state: State = State.ASSIGNED
    completed: datetime | None = None
    expires: datetime | None = None
    window_opens: datetime | None = None
    baseline: datetime | None = None
    due: datetime | None = None
    history: frozenset[tuple[datetime, datetime]] = frozenset()
    suspended: bool = False

    @property
    def certified(self) -> bool:
        """Whether the record has dates: certified, window open or not."""
        return self.state in (State.CERTIFIED, State.WINDOW_OPEN)

    @property
    def sound(self) -> bool:
        """Whether the record is what Totara calls consistent; another is replaced whatever date is uploaded."""
        if not self.certified:
            return self.completed is None and self.expires is None
        if not (self.completed and self.window_opens and self.expires and self.baseline):
            return False
        return self.completed <= self.window_opens <= self.expires and self.due in (None, self.expires)

    @property
    def last(self) -> datetime | None:
        """The newest completion known: the current one or one of the history."""
        known = [one for one, _ in self.history] + ([self.completed] if self.completed else [])
        return max(known, default=None)


@dataclass(frozen=True, slots=True)
class Upload:
    """A row of an upload. Moments are midnight of the uploader's zone; without offset they are UK time."""

    action: Action
    completed: datetime
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What will be held, what the row came to, why, and what the hourly step did after it."""

    held: Held
    effect: Effect
    reason: str
    steps: tuple[Step, ...] = field(default=())


def predict(held: Held, renewal: Renewal, upload: Upload, now: datetime) -> Outcome:
    """Return what Totara will hold after the upload and the hourly step that follows it at ``now``."""
    outcome = after_upload(held, renewal, upload)
    later, steps = hourly(outcome.held, now)
    return replace(outcome, held=later, steps=steps)


def after_upload(held: Held, renewal: Renewal, upload: Upload) -> Outcome:
    """Return what Totara will hold when the upload has been worked off, before its next hourly step."""
    certifies, why = _certifies(held, upload)
    if not certifies:
        dates = by_history(renewal, upload.completed, upload.due)
        row = (dates.completed, dates.expires)
        effect = Effect.HISTORY_REPLACED if row in held.history else Effect.HISTORY_ROW
        return Outcome(replace(held, history=held.history | {row}), effect, f"history only: {why}")
    dates = by_upload(renewal, upload.completed, held.baseline if held.sound else None, upload.due)
    archives = held.state is State.CERTIFIED or not held.sound
    archived = _current(held) if archives else frozenset()
    effect = Effect.ARCHIVED_AND_CERTIFIED if archived else Effect.CERTIFIED
    return Outcome(_certified(held, dates, held.history | archived), effect, f"{dates.reason}; {why}")


def after_learner(held: Held, renewal: Renewal, completed: datetime) -> Outcome:
    """Return what Totara will hold after the learner completes by themselves; not before the window is open."""
    if held.state is State.CERTIFIED:
        return Outcome(held, Effect.NOTHING, "the learner is certified and the window is not open")
    dates = by_learner(renewal, completed, held.expires, held.due)
    return Outcome(_certified(held, dates, held.history), Effect.CERTIFIED, dates.reason)


def hourly(held: Held, now: datetime) -> tuple[Held, tuple[Step, ...]]:
    """Return what Totara will hold after its hourly step at ``now``, and what the step did.

    It opens windows that have begun, with a copy to the history, and then ends what is past its expiry: a record long
    past both goes through both at once. Who is suspended is passed over, and caught up on when no longer suspended.
    """
    moment, steps = instant(now), []
    if held.suspended:
        return held, ()
    if held.state is State.CERTIFIED and held.window_opens and held.window_opens < moment:
        if not held.sound:
            return held, (Step.STUCK,)
        held = replace(held, state=State.WINDOW_OPEN, history=held.history | _current(held))
        steps.append(Step.WINDOW_OPENED)
    if held.state is State.WINDOW_OPEN and held.expires and held.expires < moment:
        held = Held(State.EXPIRED, due=held.expires, history=held.history)
        steps.append(Step.EXPIRED)
    return held, tuple(steps)


def lost_anniversary(held: Held, renewal: Renewal, upload: Upload) -> bool:
    """Whether the row leaves out the due date that an expired person's next expiry is to be counted from."""
    return held.state is State.EXPIRED and renewal.method is not Method.COMPLETION and upload.due is None


def _certifies(held: Held, upload: Upload) -> tuple[bool, str]:
    done = instant(upload.completed)
    if upload.action is Action.HISTORY:
        return False, "the upload saves to history"
    if not held.sound:
        return True, "the record is inconsistent, and is replaced whatever the date"
    if not held.certified:
        return True, f"the person is {held.state}, and any date certifies"
    if upload.action is Action.CERTIFY_UNCERTIFIED:
        return False, "the person is certified already"
    if held.completed is not None and done > held.completed:
        return True, "it is newer than the current completion"
    return False, "it is not newer than the current completion"


def _current(held: Held) -> frozenset[tuple[datetime, datetime]]:
    return frozenset({(held.completed, held.expires)}) if held.completed and held.expires else frozenset()


def _certified(held: Held, dates: Dates, history: frozenset[tuple[datetime, datetime]]) -> Held:
    return Held(
        State.CERTIFIED,
        completed=dates.completed,
        expires=dates.expires,
        window_opens=dates.window_opens,
        baseline=dates.expires,
        due=dates.expires,
        history=history,
        suspended=held.suspended,
    )
