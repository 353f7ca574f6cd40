"""What facts say of learning: ESR's elements, the LMS's completions, and where the LMS says somebody stands.

No I/O here.
"""

from datetime import date, datetime
from typing import Literal

import msgspec

from shared.clock import LONDON

Standing = Literal["assigned", "certified", "window-open", "expired", "history", "gone"]
"""Where somebody stands with a certification, as the LMS's report says; ``gone``: the report no longer has the row."""


class Element(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A competency element (ESR ``CM`` record): an achievement of a person, or a requirement of a position."""

    competency_element_id: str
    competency_type: str
    competency_name: str
    person_id: str = ""
    competency_status: str = ""
    competence_id: str = ""
    date_from: date | None = None
    date_to: date | None = None
    last_update: str = ""

    @property
    def achieved(self) -> bool:
        """Whether this is something a person has achieved."""
        return self.competency_type == "PERSONAL" and self.competency_status in ("ACHIEVED", "")


class Completion(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A completion in the LMS."""

    reference: str
    user_idnumber: str
    certification_idnumber: str
    completed_at: datetime
    expires_on: date | None = None
    course_idnumber: str = ""
    method: str = ""
    withdrawn: Literal["yes", ""] = ""
    """Whether the LMS has taken it back: it counts nowhere then, and ESR is asked to give it back."""

    @property
    def moment(self) -> datetime:
        """The moment of completion in UK local time; one without offset is that already."""
        said = self.completed_at
        return said if said.tzinfo is None else said.astimezone(LONDON)

    @property
    def day(self) -> date:
        """The day of completion in the UK. Raises OverflowError where the calendar has none; see ``has_day``."""
        return self.moment.date()

    @property
    def has_day(self) -> bool:
        """Whether the moment is on a day in the UK: in the first hours of year 1 it may be before the calendar."""
        try:
            return self.day >= date.min
        except OverflowError:
            return False

    @property
    def key(self) -> str:
        """What one completion is known by, whichever way it comes: person, certification and moment."""
        return f"{self.user_idnumber}|{self.certification_idnumber}|{self.completed_at.isoformat()}"


class ReportRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A row of the LMS's report of certifications: where somebody stands, and the completion that stands for it."""

    user_idnumber: str
    certification_idnumber: str
    status: Standing = "certified"
    completed_at: datetime | None = None
    expires_on: date | None = None
    window_opens_on: date | None = None
    course_idnumber: str = ""
    method: str = ""

    @property
    def completion(self) -> Completion | None:
        """The completion the row tells of, if it does."""
        if self.completed_at is None:
            return None
        return Completion(
            reference="",
            user_idnumber=self.user_idnumber,
            certification_idnumber=self.certification_idnumber,
            completed_at=self.completed_at,
            expires_on=self.expires_on,
            course_idnumber=self.course_idnumber,
            method=self.method,
        )
