"""What files of the LMS and of a trust may tell of: the kinds of record, and the fields this bridge knows of each."""

from dataclasses import dataclass
from typing import Final

FIELDS: Final = (
    "reference",
    "user_idnumber",
    "certification_idnumber",
    "completed_at",
    "expires_on",
    "course_idnumber",
    "method",
)
"""What this bridge knows of a completion, under its own names."""

WITHDRAWN: Final = "withdrawn"
"""A field of a completion that most files do not have: ``yes`` says that the LMS has taken it back."""

MANDATORY: Final = FIELDS[:4]


@dataclass(frozen=True, slots=True)
class Subject:
    """What files tell of: the kind of record a row becomes, and the fields this bridge knows of it."""

    record: str
    fields: tuple[str, ...]
    mandatory: tuple[str, ...]
    times: tuple[str, ...]
    """Fields that hold dates or times."""


SUBJECTS: Final = {
    "completions": Subject("completion", (*FIELDS, WITHDRAWN), MANDATORY, ("completed_at", "expires_on")),
    "certifications": Subject(
        "certification",
        (
            "user_idnumber",
            "certification_idnumber",
            "status",
            "renewal",
            "completed_at",
            "expires_on",
            "window_opens_on",
            "course_idnumber",
            "method",
        ),
        ("user_idnumber", "certification_idnumber"),
        ("completed_at", "expires_on", "window_opens_on"),
    ),
    "non_staff": Subject(
        "non_staff",
        (
            "reference",
            "action",
            "kind",
            "first_name",
            "middle_names",
            "last_name",
            "email",
            "date_of_birth",
            "start",
            "end",
            "organisation_id",
            "position_name",
        ),
        ("reference",),
        ("date_of_birth", "start", "end"),
    ),
}

STATUSES: Final = ("assigned", "certified", "window-open", "expired")
"""Where a person stands with a certification (Totara's four states)."""

HISTORY: Final = "history"
"""The status of a completion that is not the current one."""

GONE: Final = "gone"
"""Said of somebody who is in a current report no more; no file says so of itself."""
