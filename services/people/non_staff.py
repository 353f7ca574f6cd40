"""Volunteers, students, bank and honorary staff, whom a trust adds itself. No I/O here."""

from collections.abc import Sequence
from datetime import date, timedelta

from services.people.derived import TRUST, Derived, cause_of
from services.people.hierarchy import NOWHERE, Places
from services.people.jobs import item_of
from services.people.slices import END_OF_TIME, NonStaff
from shared import events
from shared.facts import Fact


def not_staff(person_id: str, said: NonStaff, facts: Sequence[Fact], day: date, places: Places) -> Derived:
    """Derive someone who is not in ESR. After the last day they have left, as staff have."""
    days = {said.start} | ({said.end + timedelta(days=1)} if said.end < END_OF_TIME else set())
    due = min((one for one in days if one > day), default=None)
    cause = cause_of(TRUST, facts, NOWHERE)
    if day < said.start:
        return Derived(events.Person(person_id=person_id, state="unknown"), cause, due)
    person = events.Person(
        person_id=person_id,
        state="non_staff" if day <= said.end else "leaver",
        kind=said.kind,
        first_name=said.first_name,
        middle_names=said.middle_names,
        last_name=said.last_name,
        email=said.email,
        birth_date=said.date_of_birth.isoformat() if said.date_of_birth else "",
        hire_date=said.start.isoformat(),
        termination_date=said.end.isoformat() if said.end < END_OF_TIME else "",
        position_name=said.position_name,
        organisation_id=said.organisation_id,
        organisation_name=item_of(places, "organisation", said.organisation_id).name,
    )
    return Derived(person, cause, due)
