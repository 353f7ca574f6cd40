"""The functions of the web service, by name."""

import sqlite3
from typing import Any, Final

from sandbox import (
    moodle_accounts,
    moodle_courses,
    moodle_lookups,
    moodle_params,
    moodle_ratings,
    moodle_reports,
)
from sandbox.moodle_access import Caller, require_function
from sandbox.moodle_params import Tree

_LEARNING: Final = moodle_ratings.FUNCTIONS | moodle_courses.FUNCTIONS | moodle_reports.FUNCTIONS
_TRANSPORT: Final = ("wstoken", "wsfunction", "moodlewsrestformat")


def serve(db: sqlite3.Connection, caller: Caller, form: Tree, *, raced: bool = False) -> Any:  # noqa: ANN401
    """Do what a form asks for. Raises MoodleError: for its parameters first, then for rights, then for rules.

    ``raced``: the checks of a creation came too early to see what another call has created meanwhile.
    """
    function = require_function(db, form.get("wsfunction"))
    given = {name: value for name, value in form.items() if name not in _TRANSPORT}
    match function:
        case "core_webservice_get_site_info":
            moodle_params.checked(moodle_params.NOTHING, given)
            return moodle_lookups.site_info(db, caller)
        case "core_user_create_users":
            users = moodle_params.checked(moodle_params.CREATE, given)["users"]
            return moodle_accounts.create(db, caller, users, raced=raced)
        case "core_user_update_users":
            users = moodle_params.checked(moodle_params.UPDATE, given)["users"]
            return moodle_accounts.update(db, caller, users)
        case "core_user_get_users_by_field":
            asked = moodle_params.checked(moodle_params.BY_FIELD, given)
            return moodle_lookups.by_field(db, caller, asked["field"], asked["values"])
        case "core_user_get_users":
            asked = moodle_params.checked(moodle_params.SEARCH, given)
            return moodle_lookups.search(db, caller, asked["criteria"])
        case _:
            parameters, work = _LEARNING[function]
            return work(db, caller, moodle_params.checked(parameters, given))
