"""Whether a Totara site lets its API client work, and would keep what is sent."""

from datetime import date, timedelta
from typing import Final

from services.outbound.lms.port import Answer, Candidate, Finding
from services.outbound.lms.totara_accounts import APPLIED, SHIFTED, UPDATE, edit, user_of
from services.outbound.lms.totara_call import TotaraCall
from services.outbound.lms.totara_index import QUERY, Index, listed
from services.outbound.lms.totara_replies import NOT_FOUND, UNTOLD, lacks
from services.outbound.lms.totara_rules import is_day
from shared.errors import LmsMisconfiguredError, LmsUnavailableError

STATUS: Final = "query { totara_webapi_status { status } }"

#: Nobody has it: ids start at 1.
NOBODY: Final = "2147483647"

#: A day of winter and one of summer: a time zone may be ahead of UTC on one of them only.
PROBES: Final = ("1990-02-01", "2000-06-15")

ERROR_LEVEL: Final = Finding(
    "error-level",
    "The error level of the API client must be 'normal': with 'none' a refusal cannot be told from an outage, and "
    "'developer' sends the inside of the site along.",
)
USERS_HIDDEN: Final = Finding(
    "users-hidden",
    "The service account sees no users but itself, which looks like a site without accounts: give its role the "
    "capability moodle/user:viewalldetails in the system context.",
)
FIELDS_MISSING: Final = Finding(
    "fields-missing",
    "The site leaves out fields of users that are asked for: is it Totara 17 or later, and may the service account "
    "see hidden profile fields?",
)
DATES: Final = Finding(
    SHIFTED,
    "The site stores profile dates a day late: give the service account a time zone that is ahead of UTC all year, "
    "such as Europe/Paris, or send dates to text fields.",
)


async def look(call: TotaraCall) -> list[Finding]:
    """Return what stands in the way. Raises LmsMisconfiguredError when we are not let in at all."""
    status = await call.ask({"query": STATUS})
    if lacks(status.data or {}, {"totara_webapi_status": {"status": {}}}):
        raise LmsMisconfiguredError("the LMS does not answer a status query; is it Totara 17 or later?")
    findings = []
    # A change of nobody, with nothing in it: it can only fail, and tells how failures are told.
    probe = await call.ask({"query": UPDATE, "variables": {"target": {"id": NOBODY}, "input": {}}})
    if probe.code == UNTOLD or probe.traced:
        findings.append(ERROR_LEVEL)
    elif probe.code != NOT_FOUND:
        raise LmsUnavailableError(f"the LMS answered a probe in an unexpected way ({probe.code or 'no error'})")
    return findings + await _users(call)


async def _users(call: TotaraCall) -> list[Finding]:
    """A missing right gives no error: the list is then empty, or holds the service account alone."""
    query = {"pagination": {"limit": 2, "cursor": ""}, "sort": [{"column": "id", "direction": "ASC"}]}
    reply = await call.ask({"query": QUERY, "variables": {"query": query}})
    if reply.data is not None:
        try:
            page = listed(reply.data, reply.code)
        except LmsMisconfiguredError:
            return [FIELDS_MISSING]
        return [USERS_HIDDEN] if len(page["items"]) < 2 or page["total"] < 2 else []
    listed(reply.data, reply.code)
    return []


class DateCheck:
    """Whether profile dates stay on their day, tried on an account that is about to be given one.

    Totara's API adds a day before it goes from the service account's zone to UTC, so that only zones ahead of UTC come
    out right. That zone cannot be asked for: two days are written and read back, before the true one is.
    """

    def __init__(self, call: TotaraCall, index: Index) -> None:
        self._call = call
        self._index = index
        self._field = ""
        self._idnumber = ""
        self.shifted = False
        self.holds = False

    async def run(self, held: Candidate, field: str) -> Answer:
        """Write the two days to a field of an account and read them back. Where they move, it gets its old day back.

        Answers "applied" where they stay, the code ``date-fields-shift`` where they move, or why it was not seen.
        """
        self._field, self._idnumber = field, held.idnumber
        for day in PROBES:
            reply = await self._call.ask(edit(held, {"custom_fields": [{"shortname": field, "data": day}]}))
            user = user_of(reply.data)
            if user is None:
                return reply.answer() if reply.data is None else Answer("unknown", FIELDS_MISSING.code)
            if self._index.note(user).fields.get(field) != day:
                self.shifted, self.holds = True, False
                await self._restore(held, field)
                return Answer("unknown", SHIFTED)
        self.shifted, self.holds = False, True
        return APPLIED

    async def _restore(self, held: Candidate, field: str) -> None:
        """Bring a field back to the day it held, which the day before may give; else empty it."""
        before = held.fields.get(field, "")
        if is_day(before):
            for day in (before, (date.fromisoformat(before) - timedelta(days=1)).isoformat()):
                reply = await self._call.ask(edit(held, {"custom_fields": [{"shortname": field, "data": day}]}))
                user = user_of(reply.data)
                if user is not None and self._index.note(user).fields.get(field) == before:
                    return
        reply = await self._call.ask(edit(held, {"custom_fields": [{"shortname": field, "delete": True}]}))
        if (user := user_of(reply.data)) is not None:
            self._index.note(user)

    async def again(self) -> list[Finding]:
        """Try anew where dates were found to move; the finding stands until they hold."""
        if not self.shifted:
            return []
        held = await self._index.look(self._idnumber)
        if held is None:
            self.shifted = False  # tried on the next account that has a date
            return []
        answer = await self.run(held, self._field)
        return [] if answer.status == "applied" else [DATES]
