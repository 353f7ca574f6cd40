"""Whether a full file of ESR shows what ESR confirmed. No I/O here.

ESR confirms that it loaded a completion and names the competency element it became. A full file shows every element,
so one that is newer than the confirmation has to show this one: with the day it was achieved, and with the expiry that
was sent, where one was sent (ESR works it out where none was).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from services.competency.learning import Element

Kind = Literal["missing", "other_day", "other_expiry"]

NOT_LOADED: Final = frozenset({"B209"})
"""Warnings with which ESR confirms and yet keeps what it had."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A completion that ESR confirmed, and as what. Days are ISO; ``expires_on`` empty: ESR works it out."""

    person_id: str
    key: str
    reference: str
    competence_id: str
    achieved_on: str
    expires_on: str
    element_id: str = ""
    """ESR's competency element ID; empty where ESR did not name it."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An element, and the number of the newest file that shows it."""

    file_no: int
    element: Element


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the full file shows something else. ``held`` tells what it shows, in ids and dates."""

    confirmed: Confirmed
    kind: Kind
    held: str = ""


def compare(confirmed: Sequence[Confirmed], shown: Iterable[Shown], file_no: int) -> list[Difference]:
    """Return what the full file ``file_no`` does not show as ESR confirmed it, of one person.

    An element that an older file showed last is not in it.
    """
    held = [one.element for one in shown if one.file_no >= file_no and one.element.achieved]
    found = (_difference(one, held) for one in confirmed)
    return [one for one in found if one is not None]


def _difference(said: Confirmed, held: Sequence[Element]) -> Difference | None:
    same = [one for one in held if one.competency_element_id == said.element_id]
    same = same or [
        one for one in held if (one.competence_id, _day(one.date_from)) == (said.competence_id, said.achieved_on)
    ]
    if not same:
        return Difference(said, "missing")
    element = min(same, key=lambda one: (_day(one.date_to) != said.expires_on, one.competency_element_id))
    told = f"element {element.competency_element_id}, {_day(element.date_from)} to {_day(element.date_to) or 'no end'}"
    if _day(element.date_from) != said.achieved_on:
        return Difference(said, "other_day", told)
    if said.expires_on and _day(element.date_to) != said.expires_on:
        return Difference(said, "other_expiry", told)
    return None


def _day(day: date | None) -> str:
    return day.isoformat() if day else ""
