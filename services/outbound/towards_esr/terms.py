"""The terms in which it is decided what is next for a completion. No I/O here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal

from services.outbound.towards_esr.content import Content
from shared.events import Change, PersonState

NOTHING: Final = Content()

State = Literal["waiting", "withheld", "written", "sent", "confirmed", "rejected", "unsendable", "held_by_esr",
                "withdrawn", "overdue", "settled"]  # fmt: skip
"""Where a completion stands. ``settled``: an operator gave it up."""

WaitsFor = Literal["", "answer", "person", "content", "day", "operator"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What should stand with ESR, and what operators said of it."""

    content: Content
    stands: bool = True
    """Whether ESR should hold it: the LMS did not take it back, and no operator did."""
    given_up: bool = False
    asked: bool = False
    """An operator wants the last item sent again."""
    held_by_esr: bool = False
    """ESR told us of the same achievement: its own, as long as nothing was sent."""


@dataclass(frozen=True, slots=True)
class Whose:
    """The person, as last told: ``columns`` name them in a record."""

    state: PersonState
    revision: int
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Next:
    """What is to be sent now (``change``), or why nothing is, and where the completion stands then.

    ``reference`` is that of what is repeated or taken back, empty for one that is to be made. ``look_on``: day on which
    to decide again although nothing has happened.
    """

    state: State
    change: Change | None = None
    code: str = ""
    waits_for: WaitsFor = ""
    look_on: date | None = None
    content: Content = NOTHING
    reference: str = ""
    replaces: str = ""
