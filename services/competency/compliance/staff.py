"""What compliance has to know of a person: which requirements may be about them, and where they are counted.

No I/O here. A person is described by *traits*, plain texts that requirements name: ``position:4001``.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from shared.events import Person

EVERYONE: Final = "everyone:"
"""The trait that every employee has, and nobody else."""


class Staff(msgspec.Struct, frozen=True, gc=False):
    """A person's record. Without traits nothing is required of them, and they are not counted."""

    person_id: str
    human: str
    """Person ID of the record that stands for this human: all records of one human count once, together."""
    traits: tuple[str, ...]
    revision: int = 0
    employee_number: str = ""
    name: str = ""
    organisation_id: str = ""
    organisation_name: str = ""
    staff_group: str = ""
    position_name: str = ""


def trait(kind: str, value: str) -> str:
    """Return a trait; upper and lower case make no difference."""
    return f"{kind}:{value.strip().casefold()}"


def staff_of(person: Person) -> Staff:
    """Return what ``people`` told of somebody as compliance needs it.

    Applicants, leavers and who is out of scope have no traits. Maternity leave and the like change nothing: they are
    employees. People who are no staff have the trait of their kind only, so that only a rule that names it is about
    them.
    """
    return Staff(
        person_id=person.person_id,
        human=person.same_as or person.person_id,
        traits=tuple(dict.fromkeys(_traits(person))),
        revision=person.revision,
        employee_number=person.employee_number,
        name=" ".join(part for part in (person.preferred_name or person.first_name, person.last_name) if part),
        organisation_id=person.organisation_id,
        organisation_name=person.organisation_name,
        staff_group=person.staff_group,
        position_name=person.position_name,
    )


def _traits(person: Person) -> Iterator[str]:
    if person.state == "non_staff":
        yield trait("non_staff", person.kind or "other")
    if person.state != "employee":
        return
    yield EVERYONE
    yield trait("person", person.person_id)
    yield from _named("staff_group", [person.staff_group])
    yield from _named("assignment_category", [person.assignment_category])
    yield from _named("organisation", [person.organisation_id, *(job.organisation_id for job in person.jobs)])
    yield from _named("position", [person.position_id, *(job.position_id for job in person.jobs)])
    yield from _named("position", [person.position_name, *(job.position_name for job in person.jobs)])


def _named(kind: str, values: Iterable[str]) -> Iterator[str]:
    return (trait(kind, value) for value in values if value.strip())
