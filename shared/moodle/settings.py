"""What a trust says of its Moodle site: the section ``lms.moodle`` of a trust in ``bridge.yaml``."""

from datetime import date

from pydantic import BaseModel, ConfigDict, Field


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ReportColumns(_Section):
    """Places of columns in a report of Moodle, from 0: a report tells no ids and no names of columns."""

    user: int = Field(default=0, ge=0)
    """The user's idnumber."""
    course: int = Field(default=1, ge=0)
    """The course's idnumber."""
    completed: int = Field(default=2, ge=0)
    """The time of completion. It is compared as text, never read."""


class MoodleCompletions(_Section):
    """Course completions that are read from a custom report of Moodle."""

    report: int | None = Field(default=None, ge=1)
    """The report's id; nothing said: no completions are read. It needs the filter "time completed"."""
    columns: ReportColumns = ReportColumns()
    every_minutes: int = Field(default=60, ge=1)
    overlap_days: int = Field(default=7, ge=1)
    """How far each read goes back: completions may surface late, with the time of when they were earned."""
    full_read_days: int = Field(default=7, ge=1)
    """How often everything is read, for those that surface with a time of any age."""
    since: date | None = None
    """Completions of earlier days are not taken."""


class MoodleSettings(_Section):
    """Moodle's REST web services."""

    known_user: str = ""
    """Idnumber of an account that is there and is not the token's own: looked up at start, because missing rights
    look like nobody being there."""
    variables: int = Field(default=900, ge=50, le=900)
    """Form variables in one call. PHP drops those over its limit without a word; its own default is 1,000."""
    framework: int | None = Field(default=None, ge=1)
    """Id of the competency framework in which a competency stands for each certification, by its idnumber."""
    grade: int | None = Field(default=None, ge=1)
    """Place on the scale, from 1, of the rating that is given; by default the highest that is proficient."""
    evidence_competency: str = ""
    """Idnumber of the competency under which evidence is noted; empty: there is no place for it."""
    completions: MoodleCompletions = MoodleCompletions()
