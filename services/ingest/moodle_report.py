"""Reads a custom report of Moodle: who has completed which course between two seconds.

A report tells neither ids nor seconds, but its filter takes seconds. Rows of the same second change places from page to
page, so a range that does not come in one page is halved.
"""

import html
import json
from dataclasses import dataclass
from typing import Any, Final

from shared.errors import LmsMisconfiguredError, LmsUnavailableError
from shared.moodle.call import MoodleCall
from shared.moodle.settings import ReportColumns

_FILTER: Final = "core_reportbuilder_set_filters"
_RETRIEVE: Final = "core_reportbuilder_retrieve_report"
_TIME: Final = "completion:timecompleted"
_RANGE: Final = 3
"""Moodle's number for "between two moments"; both belong to it, and 0 would leave an end open."""

FIRST: Final = 1
"""The first second that can be asked for, and one in which nobody completed anything."""

PAGE: Final = 5000
"""Rows of one answer."""


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """A completion as the report tells it. ``shown``: its time to the minute, in whatever language and zone."""

    user: str
    course: str
    shown: str


class Report:
    """One report of one site. It keeps its filter between calls, so only one may work with it at a time.

    Methods raise LmsUnavailableError, LmsBusyError and LmsMisconfiguredError.
    """

    def __init__(self, call: MoodleCall, report: int, columns: ReportColumns) -> None:
        self._call = call
        self._report = report
        self._columns = columns

    async def check(self) -> None:
        """Make sure that the filter is there: Moodle takes one that is not, and then shows everything."""
        _, total = await self._page(FIRST, FIRST, PAGE)
        if total:
            raise LmsMisconfiguredError("The report has no filter on the time of completion; add it. (filter-missing)")

    async def rows(self, first: int, last: int) -> set[Row]:
        """Return what was completed in these seconds, both included; somebody enrolled in two ways is told once."""
        rows, total = await self._page(first, last, PAGE)
        if total <= PAGE:
            return rows
        if first >= last:
            return (await self._page(first, last, 0))[0]
        middle = (first + last) // 2
        return await self.rows(first, middle) | await self.rows(middle + 1, last)

    async def _page(self, first: int, last: int, size: int) -> tuple[set[Row], int]:
        """Return rows and how many there are in all; those without a user or a course are left out. Size 0: all."""
        said = {f"{_TIME}_operator": _RANGE, f"{_TIME}_from": first, f"{_TIME}_to": last}
        await self._ask(_FILTER, [("parameters", "{}"), ("values", json.dumps(said))])
        answer = await self._ask(_RETRIEVE, [("page", "0"), ("perpage", str(size))])
        try:
            data = answer["data"]
            self._require_columns(len(data["headers"]))
            cells = [row["columns"] for row in data["rows"]]
            rows = {self._row(one) for one in cells}
            return {row for row in rows if row.user and row.course}, int(data["totalrowcount"])
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise LmsUnavailableError(f"Moodle sent a report of another shape ({type(error).__name__})") from None

    async def _ask(self, function: str, pairs: list[tuple[str, str]]) -> Any:  # noqa: ANN401 - any JSON
        reply = await self._call.exchange(function, [("reportid", str(self._report)), *pairs])
        if reply.finding is not None and reply.finding.code == "function-unknown":
            raise LmsMisconfiguredError("Moodle has no report with the id of lms.moodle.completions. (report-unknown)")
        if reply.finding is not None and reply.verdict == "barred":
            raise LmsMisconfiguredError(f"{reply.finding.sentence} ({reply.finding.code})")
        if reply.verdict == "lost":
            raise LmsUnavailableError("Moodle's report did not arrive, or what came was not Moodle's")
        if reply.verdict != "done":
            raise LmsMisconfiguredError(f"Moodle refused {function} ({reply.verdict}); its version may not be known.")
        return reply.value

    def _require_columns(self, number: int) -> None:
        if max(self._columns.user, self._columns.course, self._columns.completed) >= number:
            raise LmsMisconfiguredError(f"The report has {number} columns, fewer than are named. (column-missing)")

    def _row(self, cells: list[Any]) -> Row:
        """Return a row; its cells are made for a page, so a sign may be written as HTML writes it."""
        user, course, shown = (
            html.unescape(cells[place] or "").strip()
            for place in (self._columns.user, self._columns.course, self._columns.completed)
        )
        return Row(user, course, shown)
