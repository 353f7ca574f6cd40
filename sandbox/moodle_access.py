"""Who calls the sandbox's Moodle, and what that account may do and see."""

import sqlite3
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from sandbox.moodle_errors import MoodleError, access_refused, barred, invalid_parameter, invalid_token, no_record

USE: Final = "webservice/rest:use"
CREATE: Final = "moodle/user:create"
UPDATE: Final = "moodle/user:update"
DETAILS: Final = "moodle/user:viewdetails"
ALL_DETAILS: Final = "moodle/user:viewalldetails"
IDENTITY: Final = "moodle/site:viewuseridentity"
FULL_NAMES: Final = "moodle/site:viewfullnames"

GRADE: Final = "moodle/competency:competencygrade"
RATING_VIEW: Final = "moodle/competency:usercompetencyview"
COMPETENCY_VIEW: Final = "moodle/competency:competencyview"
REPORT_VIEW: Final = "moodle/reportbuilder:view"
COMPLETION_VIEW: Final = "report/completion:view"
COURSE_VIEW: Final = "moodle/course:view"

CAPABILITIES: Final = (
    *(USE, CREATE, UPDATE, DETAILS, ALL_DETAILS, IDENTITY, FULL_NAMES),
    *(GRADE, RATING_VIEW, COMPETENCY_VIEW, REPORT_VIEW, COMPLETION_VIEW, COURSE_VIEW),
)
"""What the service account needs in practice."""

FUNCTIONS: Final = (
    "core_webservice_get_site_info",
    "core_user_create_users",
    "core_user_update_users",
    "core_user_get_users_by_field",
    "core_user_get_users",
    "core_competency_read_competency_framework",
    "core_competency_list_competencies",
    "core_competency_get_scale_values",
    "core_competency_grade_competency",
    "core_competency_delete_evidence",
    "tool_lp_data_for_user_competency_summary",
    "core_course_get_courses_by_field",
    "core_completion_get_course_completion_status",
    "core_reportbuilder_list_reports",
    "core_reportbuilder_retrieve_report",
    "core_reportbuilder_set_filters",
    "core_reportbuilder_filters_reset",
)
"""The functions there are; those of the service are a part of them."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The account a token belongs to."""

    id: int
    zone: ZoneInfo
    admin: bool
    capabilities: frozenset[str]
    now: int = 0
    """The moment of the call, in epoch seconds."""

    def may(self, capability: str) -> bool:
        """Whether the account has the capability; an administrator has all."""
        return self.admin or capability in self.capabilities


def zone_of(timezone: str, site: str) -> ZoneInfo:
    """Return the zone an account lives in; ``99`` is the site's."""
    return ZoneInfo(site if timezone == "99" else timezone)


def authenticate(db: sqlite3.Connection, token: str, site_zone: str) -> Caller:
    """Return who calls. Raises MoodleError as the site does: for a locked account before anything else is looked at."""
    row = db.execute(
        'select state, "user".* from token join "user" on id = token.user where token = ?', (token,)
    ).fetchone()
    if row is None or row["deleted"]:
        raise invalid_token()
    refused = _bar(row)
    if refused:
        raise refused
    found = db.execute("select name from capability where user = ?", (row["id"],)).fetchall()
    caller = Caller(
        row["id"], zone_of(row["timezone"], site_zone), bool(row["admin"]), frozenset(one["name"] for one in found)
    )
    if not caller.may(USE):
        raise access_refused()
    return caller


def _bar(row: sqlite3.Row) -> MoodleError | None:
    if row["state"] != "valid":
        return access_refused()
    if row["suspended"]:
        return barred("wsaccessusersuspended")
    if row["auth"] == "nologin":
        return barred("wsaccessusernologin")
    if row["must_change_password"]:
        return barred("forcepasswordchangenotice")
    return None


def require_function(db: sqlite3.Connection, function: str | None) -> str:
    """Return the function asked for. Raises MoodleError when none is named, none is so named, or it is not offered."""
    if not function:
        raise invalid_parameter()
    if function not in FUNCTIONS:
        raise no_record()
    if db.execute("select 1 from service where function = ?", (function,)).fetchone() is None:
        raise access_refused()
    return function
