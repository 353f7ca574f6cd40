"""What a service says of its part of the night: which steps it has, when, and what each does."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date

from shared.config import TrustConfig
from shared.schedule import Step


@dataclass(frozen=True, slots=True)
class Night:
    """One trust's night, as a step is given it. ``by_hand``: somebody asked for it, whether it was run or not."""

    vpd: str
    day: date
    by_hand: bool = False


Work = Callable[[Night], Awaitable[Mapping[str, int]]]
"""Does a step's work and returns what it counted. Running it again for the same night must do no harm."""


@dataclass(frozen=True, slots=True)
class Duty:
    """A step of every trust that has it."""

    when: Callable[[TrustConfig], Step | None]
    """The step as the trust's settings have it; None: the trust has no such step. Its name is always the same."""
    work: Work


def new_day(tick: Callable[[str], Awaitable[int]]) -> Duty:
    """Return the step that does at midnight, to the end, what ``tick`` does some of at a time for one trust."""

    async def work(night: Night) -> dict[str, int]:
        done = 0
        while some := await tick(night.vpd):
            done += some
        return {"looked_at": done}

    return Duty(lambda _: Step("new-day", "00:00"), work)
