"""What a trust requires of whom: the section ``compliance`` of a trust in ``bridge.yaml``."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from shared.cstf import SUBJECTS

Value = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=240)]

NonStaffKind = Literal["volunteer", "student", "bank", "honorary", "other"]

EsrRequirements = Literal["first", "added", "only", "ignored"]
"""``first``: whoever ESR requires anything of needs that and nothing else, others what the rules say. ``added``: both.
``only``: what ESR requires and nothing else, of anybody. ``ignored``: what the rules say, whatever ESR requires."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ComplianceRule(_Section):
    """One thing that is required, and of whom: any value of any list will do; without a list, of every employee.

    Upper and lower case make no difference. Organisations are those named, not what stands beneath them.
    """

    subject: str = ""
    """A key of ``shared.cstf.SUBJECTS``."""
    level: str = Field(default="", max_length=20)
    """A level of the subject; empty: any will do."""
    competence: str = Field(default="", max_length=700)
    """A competence by its name as ESR writes it, trailing ``|`` included."""
    competence_id: str = Field(default="", max_length=30)
    """A competence by ESR's id in this trust."""
    positions: tuple[Value, ...] = ()
    """ESR's position ids, or names."""
    organisations: tuple[Value, ...] = ()
    """ESR's organisation ids."""
    staff_groups: tuple[Value, ...] = ()
    assignment_categories: tuple[Value, ...] = ()
    non_staff: tuple[NonStaffKind, ...] = ()
    """Kinds of people who are no staff; a rule that has this list alone is not about employees."""

    @model_validator(mode="after")
    def _requires_one_thing(self) -> Self:
        if sum(bool(one) for one in (self.subject, self.competence, self.competence_id)) != 1:
            raise ValueError("a rule requires one thing: a 'subject', a 'competence' or a 'competence_id'")
        if self.subject not in ("", *SUBJECTS.values()):
            raise ValueError("no such subject of the CSTF")
        if self.level and not self.subject:
            raise ValueError("a level needs its subject")
        return self


class ComplianceSettings(_Section):
    """What is required of people, and how it is met."""

    esr_requirements: EsrRequirements = "first"
    rules: tuple[ComplianceRule, ...] = ()
    """Without any, each employee needs the eleven subjects of the CSTF, at any level."""
    higher_levels: bool = False
    """Whether a higher level of a subject meets a requirement of a lower one."""
