"""The second of a completion, which Moodle's report does not tell.

Moodle tells the times of a course's criteria, and a course that needs all of them is complete with the last. Where that
cannot be asked, or does not say it (courses that need any one criterion), the report's filter is narrowed down to it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from services.ingest.moodle_report import Report, Row
from shared.errors import LmsUnavailableError
from shared.moodle.call import MoodleCall

_USERS: Final = "core_user_get_users_by_field"
_COURSES: Final = "core_course_get_courses_by_field"
_STATUS: Final = "core_completion_get_course_completion_status"
_ALL: Final = 1
"""Moodle's number for a course that needs all of its criteria."""
_AT_ONCE: Final = 45
"""Accounts in one look-up: so that it fits into the shortest form that can be set."""


class Seconds:
    """Finds seconds on one site. Methods raise LmsUnavailableError, LmsBusyError and LmsMisconfiguredError."""

    def __init__(self, call: MoodleCall, report: Report) -> None:
        self._call = call
        self._report = report

    async def of(self, rows: Sequence[Row], first: int, last: int) -> dict[Row, int]:
        """Return the second of each row, which lies between two; one that has gone from the report has none."""
        users = await self._users({row.user for row in rows})
        courses = {name: await self._course(name) for name in sorted({row.course for row in rows})}
        found: dict[Row, int] = {}
        for row in rows:
            second = await self._status(courses[row.course], users.get(row.user, 0))
            if not first <= second <= last:
                second = await self._narrowed(row, first, last)
            if second:
                found[row] = second
        return found

    async def _users(self, idnumbers: Iterable[str]) -> dict[str, int]:
        """Return ids by idnumber. Of several with the same nobody knows which is meant."""
        wanted = sorted(idnumbers)
        ids: dict[str, list[int]] = {}
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            values = [(f"values[{number}]", value) for number, value in enumerate(some)]
            for user in _maps(await self._value(_USERS, [("field", "idnumber"), *values])):
                ids.setdefault(user.get("idnumber", ""), []).append(int(user["id"]))
        return {idnumber: several[0] for idnumber, several in ids.items() if len(several) == 1}

    async def _course(self, idnumber: str) -> int:
        answer = await self._value(_COURSES, [("field", "idnumber"), ("value", idnumber)])
        courses = _maps(answer.get("courses") if isinstance(answer, dict) else None)
        return int(courses[0]["id"]) if len(courses) == 1 else 0

    async def _status(self, course: int, user: int) -> int:
        """Return the last criterion's second; 0 when it is not told, or is not when the course was complete."""
        if not course or not user:
            return 0
        answer = await self._value(_STATUS, [("courseid", str(course)), ("userid", str(user))])
        status = answer.get("completionstatus") if isinstance(answer, dict) else None
        if not isinstance(status, dict) or not status.get("completed") or status.get("aggregation") != _ALL:
            return 0
        times: list[object] = [one.get("timecompleted") for one in _maps(status.get("completions"))]
        known = [one for one in times if isinstance(one, int)]
        return max(known, default=0) if len(known) == len(times) else 0

    async def _value(self, function: str, pairs: Sequence[tuple[str, str]]) -> Any:  # noqa: ANN401 - any JSON
        """Return what a function says, None where it refuses: there is another way to the answer."""
        reply = await self._call.exchange(function, pairs)
        if reply.verdict == "lost":
            raise LmsUnavailableError("Moodle's answer to a look-up did not arrive, or was none of Moodle's")
        return reply.value if reply.verdict == "done" else None

    async def _narrowed(self, row: Row, first: int, last: int) -> int:
        while first < last:
            middle = (first + last) // 2
            if row in await self._report.rows(first, middle):
                last = middle
            else:
                first = middle + 1
        return first if row in await self._report.rows(first, first) else 0


def _maps(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
