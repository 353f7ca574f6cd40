"""Which of ESR's people a trust wants in its LMS: the section ``people`` of a trust in ``bridge.yaml``."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Value = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=240)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Selection(_Section):
    """Assignments, chosen by what ESR says of them. One that matches any value of any list is chosen.

    Upper and lower case make no difference. Organisations are those named, not what stands beneath them.
    """

    payrolls: tuple[Value, ...] = ()
    positions: tuple[Value, ...] = ()
    """ESR's position ids, or names."""
    organisations: tuple[Value, ...] = ()
    """ESR's organisation ids."""
    staff_groups: tuple[Value, ...] = ()
    assignment_categories: tuple[Value, ...] = ()
    assignment_numbers: tuple[Value, ...] = ()


class PeopleSettings(_Section):
    """A person is in when one assignment is: chosen by ``include`` (nothing said: all are) and not by ``exclude``.

    A change is not applied by itself: an operator looks at its effect and applies it (see docs/people.md).
    """

    include: Selection = Selection()
    exclude: Selection = Selection()
