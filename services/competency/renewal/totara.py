"""Totara's three recertification methods: what a completion does to expiry and renewal window.

Source of the rules: ``get_certiftimebase`` of Totara Learn, the same in 12.9 and 17.3, and what a 17.3 site was seen to
store. The three callers give it different inputs, so the same completion can get another expiry by upload than by the
learner's own click.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from services.competency.renewal.periods import Period, instant, minus, plus
from shared.clock import LONDON
from shared.errors import ConfigurationError

#: More steps than any fixed date needs; a period that makes no way is refused instead of counted for ever.
MOST_STEPS: Final = 10_000


class Method(StrEnum):
    """What the next expiry counts from."""

    COMPLETION = "completion"
    EXPIRY = "expiry"
    FIXED = "fixed"


@dataclass(frozen=True, slots=True)
class Renewal:
    """How a certification is renewed. ``minimum`` counts for FIXED only; None: the date is never moved on."""

    method: Method
    active: Period
    window: Period
    minimum: Period | None = None

    @classmethod
    def parse(cls, method: str, active: str, window: str, minimum: str = "") -> "Renewal":
        """Read a certification's settings as Totara stores them: ``3 year``, ``2 month``.

        Raises ConfigurationError for an active or window period that is empty or none: Totara cannot certify anyone
        with it, and an upload that names such a certification fails as a whole.
        """
        active_period, window_period = Period.parse(active), Period.parse(window)
        if active_period is None or window_period is None:
            raise ConfigurationError("A certification needs an active period and a window period of at least a day.")
        if method not in tuple(Method):
            raise ConfigurationError("A certification renews by completion, expiry or fixed.")
        return cls(Method(method), active_period, window_period, Period.parse(minimum))


@dataclass(frozen=True, slots=True)
class Dates:
    """What Totara stores of a completion, as moments in UTC, and why."""

    completed: datetime
    expires: datetime
    window_opens: datetime
    reason: str

    @property
    def baseline(self) -> datetime:
        """The expiry before anybody extends it."""
        return self.expires

    @property
    def ordered(self) -> bool:
        """Whether completion, window and expiry follow each other; else Totara's hourly step never moves the record."""
        return self.completed <= self.window_opens <= self.expires


def dates(renewal: Renewal, completed: datetime, expires: datetime | None, due: datetime | None) -> Dates:
    """Return what a completion leads to.

    ``expires`` and ``due`` are what the caller gives the rule: see ``by_learner``, ``by_upload``, ``by_history``.
    Moments without offset are UK time. Raises ConfigurationError for periods that lead out of the calendar.
    """
    done = instant(completed)
    base, why = _base(renewal, done, instant(expires) if expires else None, instant(due) if due else None)
    ends = plus(base, renewal.active)
    return Dates(done, ends, minus(ends, renewal.window), f"{renewal.active} from {_shown(base)}, {why}")


def by_learner(renewal: Renewal, completed: datetime, expires: datetime | None, due: datetime | None) -> Dates:
    """Return the dates when the learner completes in the LMS (17.3).

    ``expires``: the record's expiry with any extension, None when assigned or expired; ``due``: the programme's due
    date, which after an expiry still is the old one.
    """
    return dates(renewal, completed, expires, due)


def by_upload(renewal: Renewal, completed: datetime, baseline: datetime | None, due: datetime | None) -> Dates:
    """Return the dates when an upload certifies.

    ``baseline``: the record's expiry without any extension, None when assigned or expired; ``due``: the file's own.
    """
    return dates(renewal, completed, baseline, due)


def by_history(renewal: Renewal, completed: datetime, due: datetime | None) -> Dates:
    """Return the dates of a row that an upload puts in the history: counted as if there had been nothing before."""
    return dates(renewal, completed, None, due)


def _shown(base: datetime) -> str:
    """Return a moment in UK time; at midnight it is a day."""
    return f"{base.astimezone(LONDON):%Y-%m-%d %H:%M}".removesuffix(" 00:00")


def _base(
    renewal: Renewal, completed: datetime, expires: datetime | None, due: datetime | None
) -> tuple[datetime, str]:
    if renewal.method is Method.COMPLETION:
        return completed, "the completion"
    if renewal.method is Method.FIXED:
        return _fixed(renewal, completed, expires or due)
    if expires:
        return _expiry(renewal, completed, expires)
    if due and completed <= due:
        return due, "the due date"
    return completed, "the completion, as it came after the due date" if due else "the completion, as no date was set"


def _expiry(renewal: Renewal, completed: datetime, expires: datetime) -> tuple[datetime, str]:
    """Both ends of the window belong to it."""
    if completed > expires:
        return completed, "the completion, as it came after the expiry"
    if minus(expires, renewal.window) > completed:
        return minus(expires, renewal.active), "so that the expiry stays, as the window was not open yet"
    return expires, "the expiry before, as it was renewed in its window"


def _fixed(renewal: Renewal, completed: datetime, set_before: datetime | None) -> tuple[datetime, str]:
    base = set_before or completed
    if renewal.minimum is None:
        return base, "the fixed date" if set_before else "the completion, as no date was set"
    active, minimum = renewal.active, renewal.minimum
    base = _walk(base, lambda at: minus(at, minimum) >= completed, lambda at: minus(at, active))
    least = plus(completed, minimum)
    base = _walk(base, lambda at: plus(at, active) < least, lambda at: plus(at, active))
    return base, f"the fixed date that leaves at least {minimum}"


def _walk(base: datetime, go_on: Callable[[datetime], bool], step: Callable[[datetime], datetime]) -> datetime:
    """Step on while the rule says so. Raises ConfigurationError where periods make no way."""
    for _ in range(MOST_STEPS):
        if not go_on(base):
            return base
        base = step(base)
    raise ConfigurationError("No fixed renewal date can be found with these periods.")
