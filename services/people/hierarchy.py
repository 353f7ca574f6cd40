"""Organisations and positions as they are on a business day, derived from all that ESR has said. No I/O here."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Final, Literal

import msgspec

from services.people.slices import END_OF_TIME, Organisation, PositionSlice, of_kind
from shared.facts import Fact, Version, newest

Kind = Literal["organisation", "position"]


class Item(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """An organisation or a position. ``active`` is false before its first day, after its last, and once deleted."""

    name: str = ""
    parent: str = ""
    active: bool = False
    staff_group: str = ""
    job_role: str = ""

    @property
    def shown(self) -> tuple[str, str, bool]:
        """What is told of it to others; the rest reaches them through the people who stand in it."""
        return (self.name, self.parent, self.active)


class Place(msgspec.Struct, frozen=True, gc=False):
    """An item as derived: the newest line it rests on, and the next day on which it may change by itself."""

    item: Item
    version: Version
    due: date | None = None


Places = Mapping[tuple[str, str], Place]
"""Places by kind and key."""

NOWHERE: Final[Places] = {}


def derive_place(kind: str, facts: Sequence[Fact], day: date) -> Place:
    """Derive an organisation or a position from its live facts as of ``day``.

    Of overlapping slices the one that began last speaks. One that has ended keeps its name.
    """
    slices = of_kind(facts, "position", PositionSlice) if kind == "position" else []
    organisations = of_kind(facts, "organisation", Organisation) if kind == "organisation" else []
    spans = [(one.effective_from, one.effective_to) for one in slices]
    spans += [(one.effective_from, one.effective_to) for one in organisations]
    version, due = newest(facts), _due(spans, day)
    if slices:
        position = max(slices, key=lambda one: _rank(one.effective_from, one.effective_to, day))
        return Place(_position(position, day), version, due)
    if organisations:
        return Place(_organisation(organisations[0], day), version, due)
    return Place(Item(), version, due)


def _rank(start: date, end: date, day: date) -> tuple[bool, bool, int]:
    """In force before over, over before not begun; the latest start of those, the earliest of what is yet to begin."""
    begun = start <= day
    return (begun and day <= end, begun, start.toordinal() if begun else -start.toordinal())


def _position(said: PositionSlice, day: date) -> Item:
    return Item(
        name=said.position_name,
        parent=said.organisation_id,
        active=said.effective_from <= day <= said.effective_to,
        staff_group=said.job_staff_group,
        job_role=said.job_role,
    )


def _organisation(said: Organisation, day: date) -> Item:
    active = said.effective_from <= day <= said.effective_to
    return Item(name=said.organisation_name, parent=said.parent_organisation_id, active=active)


def _due(spans: Sequence[tuple[date, date]], day: date) -> date | None:
    days = {start for start, _ in spans} | {end + timedelta(days=1) for _, end in spans if end < END_OF_TIME}
    return min((one for one in days if one > day), default=None)
