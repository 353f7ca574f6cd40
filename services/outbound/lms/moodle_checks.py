"""What is looked at before a Moodle site is worked on.

The site's own information lists the functions of the service and tells nothing about rights, so each right is tried: by
looking up somebody known, and by writing calls that cannot succeed.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.outbound.lms.moodle_rows import Row
from services.outbound.lms.moodle_search import MoodleSearch
from shared.errors import LmsMisconfiguredError, LmsUnavailableError
from shared.finding import Finding
from shared.moodle import errors as moodle_errors
from shared.moodle.call import MoodleCall

FUNCTIONS: Final = (
    "core_user_create_users",
    "core_user_get_users",
    "core_user_get_users_by_field",
    "core_user_update_users",
    "core_webservice_get_site_info",
)

_NOBODY: Final = (
    ("core_user_update_users", "update-right-missing", "moodle/user:update", (("users[0][id]", "0"),)),
    (
        "core_user_create_users",
        "create-right-missing",
        "moodle/user:create",
        # Refused for its blank name, its address and its missing password, should one rule ever be dropped.
        (
            ("users[0][username]", "nobody"),
            ("users[0][firstname]", " "),
            ("users[0][lastname]", " "),
            ("users[0][email]", "nobody"),
        ),
    ),
)
"""Writing calls that cannot succeed: an id nobody has, and a person without name and address."""

_MOMENTS: Final = tuple(datetime(year, month, 1, tzinfo=UTC) for year in range(1970, 2038) for month in range(1, 13))


async def findings(call: MoodleCall, search: MoodleSearch, more: Sequence[str] = ()) -> list[Finding]:
    """Return what has to be put right on the site, which must offer the functions ``more`` too.

    Raises LmsUnavailableError and LmsBusyError.
    """
    reply = await call.exchange("core_webservice_get_site_info", ())
    if reply.finding is not None:
        return [reply.finding]
    if reply.verdict == "lost":
        raise LmsUnavailableError("Moodle did not answer")
    if reply.verdict != "done" or not isinstance(reply.value, dict):
        return [moodle_errors.NOT_MOODLE]
    search.know_own(reply.value)
    missing = _missing_functions(reply.value, (*FUNCTIONS, *more))
    if missing:
        return [Finding("functions-missing", f"Add to the external service in Moodle: {', '.join(missing)}.")]
    found = _of_the_account(reply.value)
    try:
        found += await _zone(search) + await _canary(search)
    except LmsMisconfiguredError as error:
        found.append(Finding("look-up-refused", error.sentence))
    return found + await _writing(call)


def _missing_functions(info: dict[str, Any], needed: Sequence[str]) -> list[str]:
    offered = {one.get("name") for one in info.get("functions", ()) if isinstance(one, dict)}
    return [name for name in needed if name not in offered]


def _of_the_account(info: dict[str, Any]) -> list[Finding]:
    if not info.get("userissiteadmin"):
        return []
    sentence = (
        "The token belongs to a site administrator, who could change other administrators; use a service account."
    )
    return [Finding("service-account-admin", sentence)]


async def _zone(search: MoodleSearch) -> list[Finding]:
    """Dates we write become midnights in the zone of the service account; ``99`` is the site's own zone."""
    own = str(await search.own_id())
    rows = await search.by_field("id", [own])
    if not rows:
        return [Finding("view-rights-missing", "Moodle does not show the service account to itself.")]
    if rows[0].timezone == "99" or _same(rows[0].timezone, search.zone):
        return []
    return [
        Finding(
            "service-zone-wrong",
            f"The service account lives in time zone {rows[0].timezone}, so dates it writes are another day's "
            f"elsewhere; set it to the site's, {search.zone.key}.",
        )
    ]


def _same(name: str, zone: ZoneInfo) -> bool:
    """Whether a zone keeps the same hours, under whatever name."""
    try:
        other = ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return all(moment.astimezone(other).utcoffset() == moment.astimezone(zone).utcoffset() for moment in _MOMENTS)


async def _canary(search: MoodleSearch) -> list[Finding]:
    """Look somebody known up, in every way we look people up; the token's own account would always be seen."""
    if not search.known_user:
        return [Finding("canary-unset", "Set lms.moodle.known_user to the idnumber of an account that will stay.")]
    rows = await search.by_field("idnumber", [search.known_user])
    if not rows:
        sentence = (
            "Moodle does not show the known account (lms.moodle.known_user): it is not there, or the service account "
            "lacks moodle/user:viewdetails and moodle/user:viewalldetails. Without them nobody seems to be there."
        )
        return [Finding("canary-unseen", sentence)]
    if rows[0].id == await search.own_id():
        return [Finding("canary-own", "lms.moodle.known_user is the service account itself; name another account.")]
    if len(rows) > 1:
        return [Finding("canary-ambiguous", "Several accounts have the idnumber of lms.moodle.known_user.")]
    return _hidden(rows[0]) or await _searchable(search, rows[0])


def _hidden(row: Row) -> list[Finding]:
    if not row.missing:
        return []
    sentence = (
        f"Moodle hides {', '.join(row.missing)} of other accounts: the service account lacks moodle/site:viewfullnames "
        "or moodle/site:viewuseridentity, or 'email' is not among the site's user identity fields (showuseridentity)."
    )
    return [Finding("view-rights-missing", sentence)]


async def _searchable(search: MoodleSearch, row: Row) -> list[Finding]:
    ways = {
        "username": [*(await search.by_usernames([row.username])).values()],
        "email": await search.by_email(row.email),
        "lastname": await search.by_name("lastname", row.core["lastname"]),
    }
    blind = sorted(name for name, rows in ways.items() if row.id not in {one.id for one in rows})
    if not blind:
        return []
    return [Finding("search-rights-missing", f"Moodle does not find the known account by its {', '.join(blind)}.")]


async def _writing(call: MoodleCall) -> list[Finding]:
    found = []
    for function, code, capability, pairs in _NOBODY:
        reply = await call.exchange(function, pairs)
        if reply.finding is not None:
            found.append(Finding(code, f"The service account lacks {capability}; allow it in the account's role."))
    return found
