"""Who has an account: Totara's API can be asked for pages of users only, so they are read once and kept.

Pages are walked by id. Walked by time of change they lose users who share a second across the edge of a page. Since
ids grow, whoever is new stands on the last page; whoever is known stands on the page where they were found.
"""

import time
from bisect import bisect_right
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.outbound.lms.port import Candidate
from services.outbound.lms.totara_call import TotaraCall
from services.outbound.lms.totara_replies import TOO_COMPLEX, fields, lacks
from shared.errors import LmsMisconfiguredError, LmsUnavailableError

PAGE: Final = 100
SMALLEST_PAGE: Final = 5

STALE_SECONDS: Final = 3600.0
"""Age of the list at which it is read anew before people are looked for in it."""

USER: Final[Mapping[str, Any]] = {
    "id": {}, "idnumber": {}, "username": {}, "firstname": {}, "lastname": {}, "middlename": {}, "email": {},
    "suspended": {}, "custom_fields": {"shortname": {}, "data": {}, "data_type": {}},
}  # fmt: skip

PAGE_OF_USERS: Final = {"items": USER, "total": {}, "next_cursor": {}}

QUERY: Final = (
    f"query($query: core_user_users_query) {{ core_user_users(query: $query) {{ {fields(PAGE_OF_USERS)} }} }}"
)


class Index:
    """The accounts of a site. A walk that is interrupted goes on where it stood."""

    def __init__(self, call: TotaraCall, zone: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._call = call
        self._zone = ZoneInfo(zone)
        self._clock = clock
        self._limit = PAGE
        self._users: dict[str, Candidate] = {}
        self._ids: dict[str, str] = {}
        self._cursors: list[str] = [""]
        self._last_ids: list[int] = []
        self._whole_at: float | None = None

    def get(self, idnumber: str) -> Candidate | None:
        """Return the account with this idnumber as it was last seen; upper and lower case are different there."""
        return self._users.get(self._ids.get(idnumber, ""))

    def all(self) -> list[Candidate]:
        """Return every account."""
        return list(self._users.values())

    def note(self, user: Mapping[str, Any]) -> Candidate:
        """Keep a user as an answer shows them."""
        candidate = self._read(user)
        self._drop(candidate.lms_id)
        self._users[candidate.lms_id] = candidate
        if candidate.idnumber:
            self._ids[candidate.idnumber] = candidate.lms_id
        return candidate

    def email_held(self, email: str, idnumber: str) -> bool:
        """Whether another account is seen to have this address, whatever its case. Most sites hide addresses."""
        wanted = email.lower()
        return any(one.email.lower() == wanted and one.idnumber != idnumber for one in self._users.values())

    async def load(self, *, fresh: bool = False) -> None:
        """Read all users, where that has not been done yet, or (``fresh``) not within the hour."""
        if self._whole_at is not None and fresh and self._clock() - self._whole_at >= STALE_SECONDS:
            self._users, self._ids, self._cursors, self._last_ids = {}, {}, [""], []
            self._whole_at = None
        if self._whole_at is None:
            await self._walk()
            self._whole_at = self._clock()

    async def read_new(self) -> None:
        """Read who was added since; the whole list where it was never read."""
        if self._whole_at is None:
            await self.load()
        else:
            await self._walk()

    async def look(self, idnumber: str) -> Candidate | None:
        """Return an account as it is now."""
        known = self.get(idnumber)
        if known is None or self._whole_at is None:
            await self.read_new()
            return self.get(idnumber)
        place = bisect_right(self._last_ids, int(known.lms_id) - 1)
        cursor = self._cursors[min(place, len(self._cursors) - 1)]
        self._drop(known.lms_id)
        while True:  # once, but for pages that have become smaller since
            page = await self._page(cursor)
            for user in page["items"]:
                self.note(user)
            cursor = page["next_cursor"]
            if not cursor or int(page["items"][-1]["id"]) >= int(known.lms_id):
                return self.get(idnumber)

    def _drop(self, lms_id: str) -> None:
        before = self._users.pop(lms_id, None)
        if before is not None and self._ids.get(before.idnumber) == lms_id:
            del self._ids[before.idnumber]

    async def _walk(self) -> None:
        """Read from the last page on."""
        while True:
            page = await self._page(self._cursors[-1])
            for user in page["items"]:
                self.note(user)
            if not page["next_cursor"]:
                break
            self._last_ids.append(max(int(user["id"]) for user in page["items"]))
            self._cursors.append(page["next_cursor"])
        if len(self._users) < page["total"]:
            self._whole_at, self._cursors, self._last_ids = None, [""], []
            raise LmsUnavailableError("the LMS did not list all of its users; they are read again")

    async def _page(self, cursor: str) -> Mapping[str, Any]:
        while True:
            query = {
                "pagination": {"limit": self._limit, "cursor": cursor},
                "sort": [{"column": "id", "direction": "ASC"}],
            }
            reply = await self._call.ask({"query": QUERY, "variables": {"query": query}})
            if reply.code == TOO_COMPLEX and self._limit > SMALLEST_PAGE:
                self._limit = max(SMALLEST_PAGE, self._limit // 2)  # many profile fields make a page dear
                continue
            return listed(reply.data, reply.code)

    def _read(self, user: Mapping[str, Any]) -> Candidate:
        return Candidate(
            lms_id=str(user["id"]),
            idnumber=user["idnumber"] or "",
            username=user["username"] or "",
            first_name=user["firstname"] or "",
            last_name=user["lastname"] or "",
            email=user["email"] or "",
            suspended=bool(user["suspended"]),
            fields={
                one["shortname"]: stored_day(one["data"], one["data_type"], self._zone)
                for one in user["custom_fields"] or []
            },
        )


def listed(data: Mapping[str, Any] | None, code: str) -> Mapping[str, Any]:
    """Return a page of users. Raises LmsMisconfiguredError when the site does not tell what was asked for."""
    if data is None or code:
        if code in ("schema-differs", "refused", "not-found"):
            raise LmsMisconfiguredError("the LMS does not list its users for the service account")
        raise LmsUnavailableError(f"the LMS did not list its users ({code or 'no data'})")
    page = data.get("core_user_users")
    if not isinstance(page, dict) or lacks(page, PAGE_OF_USERS):
        raise LmsMisconfiguredError("the LMS leaves out fields of users; is it Totara 17 or later?")
    return page


def stored_day(data: str, kind: str, zone: ZoneInfo) -> str:
    """Return a profile field as we write it. Dates are stored in seconds: noon UTC of the day, or a local time."""
    if kind not in ("date", "datetime") or not data.lstrip("-").isdigit() or not int(data):
        return data
    return datetime.fromtimestamp(int(data), UTC if kind == "date" else zone).date().isoformat()
