"""What a trust says of competences and certifications: which stands for which, and which learning it accepts.

``bridge.yaml`` holds the plain form of it; this is the whole form, in which versions are drafted, checked and applied.
It is written as YAML and read again without loss. docs/mapping.md tells a learning manager of it.
"""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Final, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from shared.codes import Code
from shared.config import Mapping, explain
from shared.cstf import SUBJECTS, subject_of
from shared.errors import DecisionError

Direction = Literal["both", "to-lms", "to-esr"]
"""``to-lms``: ESR's achievements become certifications; ``to-esr``: the LMS's completions become ESR competences."""

Source = Literal["own", "brought_before_hire", "brought_after_hire"]
"""Where learning comes from: the trust's own, or another employer's, brought by Inter Authority Transfer."""

SOURCES: Final[tuple[Source, ...]] = ("own", "brought_before_hire", "brought_after_hire")

Name = Annotated[str, StringConstraints(min_length=1, max_length=700, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$")]
"""A name or id as ESR or the LMS writes it: without control characters and line breaks, which YAML would change."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Acceptance(_Section):
    """Which achievements count as the certification; what does not becomes evidence."""

    sources: tuple[Source, ...] = SOURCES
    max_age_months: int | None = Field(default=None, ge=0, le=1200)
    """Learning that was brought must not have been older on the day of hire."""


class AcceptanceRule(Acceptance):
    """An acceptance for a subject, for one level of it, or, with neither, for everything."""

    subject: str = ""
    """A key of ``shared.cstf.SUBJECTS``; empty: any competence."""
    level: str = ""
    """A level of the subject; empty: each."""

    @model_validator(mode="after")
    def _of_a_subject(self) -> Self:
        if self.subject not in ("", *SUBJECTS.values()):
            raise ValueError("no such subject of the CSTF")
        if self.level and not self.subject:
            raise ValueError("a level needs its subject")
        return self


PERIOD: Final = r"^[1-9][0-9]{0,3} (day|week|month|year)s?$"

ExpiryOf = Literal["lms", "esr", "local"]
"""Whose expiry ESR is told: the LMS's own, by the renewal period of ESR's definition, or by the mapping's period."""


class Dates(_Section):
    """How dates are counted, and which side's counts where they differ."""

    when_they_differ: Literal["newest", "esr", "lms"] = "newest"
    """``newest``: the later achievement. ``esr``: ESR's, as long as it runs. ``lms``: the LMS's."""
    same_within_days: int = Field(default=0, ge=0, le=31)
    """Achievements of one competence by two routes, at most so many days apart, are one."""
    months: Literal["last-day-stays", "shorten", "overflow"] = "last-day-stays"
    """What becomes of a day that a month does not have."""
    day: Literal["same-day", "day-before"] = "same-day"
    """Whether the anniversary is the expiry, or the day before."""


class Renewal(_Section):
    """How the LMS renews a certification, as its administrator set it up there; with it, dates are foretold."""

    certification: Name
    method: Literal["completion", "expiry", "fixed"]
    active: str = Field(pattern=PERIOD)
    window: str = Field(pattern=PERIOD)
    minimum: str = Field(default="", pattern=rf"{PERIOD}|^$")
    """Counts for ``fixed`` only."""


class Row(_Section):
    """One ESR competence stands for one LMS certification. Several rows make one to many and many to one."""

    competence: Name | Literal[""] = ""
    """Name as ESR writes it, trailing ``|`` included."""
    competence_id: Annotated[Name, StringConstraints(max_length=30)] | Literal[""] = ""
    """ESR's id in this trust; takes precedence over the name."""
    certification: Name
    """The certification's id number in the LMS."""
    direction: Direction = "both"
    starts: date | None = Field(default=None, alias="from")
    """First day of achievement or completion that the row is about."""
    until: date | None = None
    """Last day of achievement or completion that the row is about."""
    accept: Acceptance | None = None
    """Beats the trust's rules."""
    expiry: ExpiryOf = "lms"
    """Which expiry ESR is told of."""
    period: str = Field(default="", pattern=rf"{PERIOD}|^$")
    """The trust's own renewal period; empty with ``expiry: local``: it does not expire."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if not (self.competence or self.competence_id):
            raise ValueError("a mapping names a competence by 'competence' or 'competence_id'")
        if self.starts and self.until and self.until < self.starts:
            raise ValueError("'until' is before 'from'")
        if self.period and self.expiry != "local":
            raise ValueError("a 'period' needs 'expiry: local'")
        return self

    @property
    def said(self) -> str:
        """The competence as the row names it."""
        return self.competence_id or self.competence

    @property
    def to_lms(self) -> bool:
        """Whether ESR's achievements go to the LMS by this row."""
        return self.direction != "to-esr"

    @property
    def to_esr(self) -> bool:
        """Whether completions in the LMS go to ESR by this row."""
        return self.direction != "to-lms"

    def covers(self, day: date) -> bool:
        """Whether the row is about what was achieved on ``day``."""
        return (self.starts is None or self.starts <= day) and (self.until is None or day <= self.until)


class MappingSet(_Section):
    """All that one version says."""

    mappings: tuple[Row, ...] = ()
    accept: tuple[AcceptanceRule, ...] = ()
    """The first rule that fits decides; without one, everything is accepted."""
    for_esr: tuple[Name, ...] = ()
    """The trust's own list: ids or names of competences that go to ESR besides the subjects of the CSTF."""
    dates: Dates = Dates()
    renewals: tuple[Renewal, ...] = ()
    """How the LMS renews certifications; of those not named nothing is foretold."""
    on_removal: Literal["report", "withdraw"] = "report"
    """What becomes of an achievement in the LMS that ESR has deleted: it stays and is reported, or is withdrawn."""

    @model_validator(mode="after")
    def _renewals_once(self) -> Self:
        named = [one.certification for one in self.renewals]
        if len(named) != len(set(named)):
            raise ValueError("a certification has two renewals")
        return self

    @property
    def rules(self) -> tuple[Any, ...]:
        """Everything that concerns everybody, whatever is mapped."""
        return (self.accept, self.for_esr, self.dates, self.renewals)


class MappingCode(Code):
    """What a check may find. Codes that begin with ``ME`` are errors and forbid applying; ``MW`` are warnings."""

    ME01 = ("ME01", "no definition of this competence has come from ESR", "Compare the id or name with ESR's.")
    ME02 = ("ME02", "two mappings say the same at the same time", "Remove one, or let one end before the other begins.")
    ME03 = ("ME03", "the mappings lead in a circle", "Let one of the mappings named go in one direction only.")
    ME04 = (
        "ME04",
        "a completion would be told to ESR as two versions of one competence",
        "Let the older version go 'to-lms' only, or end it before the newer one begins.",
    )
    ME05 = (
        "ME05",
        "a certification goes to ESR as other competences than those it comes from",
        "Map one of the competences it comes from in direction 'both', or correct the direction.",
    )
    MW01 = ("MW01", "a competence of the CSTF has no mapping to the LMS", "Map it; until then it becomes evidence.")
    MW02 = ("MW02", "a competence of the CSTF has no mapping to ESR", "Map it, if the trust trains it in the LMS.")
    MW03 = (
        "MW03",
        "the competence is neither of the CSTF nor on the trust's own list: completions are not sent to ESR",
        "Put it on the list 'for_esr', or let the mapping go 'to-lms' only.",
    )
    MW04 = ("MW04", "ESR ended the competence and started a successor", "Apply the draft that maps the successor.")


def of_config(mappings: Sequence[Mapping]) -> MappingSet:
    """Return what the plain form in ``bridge.yaml`` means: both directions, always, all of it for ESR."""
    rows = tuple(
        Row(competence=one.competence, competence_id=one.competence_id, certification=one.certification)
        for one in mappings
    )
    others = dict.fromkeys(row.said for row in rows if row.competence_id or not subject_of(row.competence))
    return MappingSet(mappings=rows, for_esr=tuple(others))


def as_json(said: MappingSet) -> dict[str, Any]:
    """Return a set as JSON, without what is not said."""
    return said.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def as_yaml(said: MappingSet) -> str:
    """Return a set as YAML that ``from_yaml`` reads again."""
    return yaml.safe_dump(as_json(said), sort_keys=False, allow_unicode=True, width=110)


def from_yaml(written: str) -> MappingSet:
    """Read a set from YAML; ids and dates are read as they are written. Raises DecisionError with the place."""
    try:
        said = yaml.load(written, yaml.BaseLoader)  # noqa: S506 - knows text, lists and mappings only
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise DecisionError(f"not valid YAML{f': look at line {mark.line + 1}' if mark else ''}") from None
    return from_json({} if said in (None, "") else said)


def from_json(said: Any) -> MappingSet:  # noqa: ANN401 - JSON
    """Read a set from JSON. Raises DecisionError that names each place that is wrong."""
    try:
        return MappingSet.model_validate(said)
    except ValidationError as error:
        raise DecisionError(f"the mappings are not as they should be: {explain(error)}") from None
