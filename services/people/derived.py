"""What a derivation is: its result, what it rests on, and what a trust decided that bears on it. No I/O here."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import msgspec
from msgspec.structs import replace

from services.people.hierarchy import Places
from services.people.restriction import EVERYONE, Restriction
from shared import events
from shared.facts import Fact, newest

FEED: Final = "feed"
TRUST: Final = "trust"
"""The streams of files that tell of ESR's people, and of those whom a trust adds itself."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a trust decided that bears on who a person is and what is told of them."""

    restriction: Restriction = EVERYONE
    tell_ni_number: bool = False


ANYONE: Final = Rules()


class Derived(msgspec.Struct, frozen=True, gc=False):
    """What a person is on a day: the person, the newest file it rests on, and when it may change by itself."""

    person: events.Person
    cause: events.Cause
    due: date | None = None


def cause_of(stream: str, facts: Sequence[Fact], places: Places) -> events.Cause:
    """Return the newest file that a derivation rests on: of the person, or of a place they work in."""
    named = [places[at].version for at in places_of(facts) if at in places] if stream == FEED else []
    rests_on = max((newest(facts), *named), key=lambda version: version.order)
    return events.Cause(stream, rests_on.file, rests_on.file_no)


def places_of(facts: Iterable[Fact]) -> Iterator[tuple[str, str]]:
    """Yield kind and key of every position and organisation that a person's facts name."""
    for fact in facts:
        if fact.entity in ("assignment", "non_staff"):
            for kind, column in (("position", "position_id"), ("organisation", "organisation_id")):
                if key := fact.data.get(column, ""):
                    yield kind, key


def with_cause(derived: Derived, cause: events.Cause) -> Derived:
    """Return the derivation as resting on ``cause`` when that is newer: a deletion leaves no fact behind to say so."""
    return derived if cause.file_no <= derived.cause.file_no else replace(derived, cause=cause)
