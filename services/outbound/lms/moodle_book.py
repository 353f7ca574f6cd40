"""The competency framework of a Moodle site: which competency stands for what, and how it is rated."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.errors import LmsUnavailableError
from shared.moodle.call import MoodleCall
from shared.moodle.settings import MoodleSettings

_FRAMEWORK: Final = "core_competency_read_competency_framework"
_LIST: Final = "core_competency_list_competencies"
_VALUES: Final = "core_competency_get_scale_values"

FUNCTIONS: Final = (_FRAMEWORK, _LIST, _VALUES)


@dataclass(frozen=True, slots=True)
class Competency:
    """A competency. ``grade``: the place on its scale that is given, 0 when there is none to give."""

    id: int
    grade: int


class Book:
    """Looks competencies up in the trust's framework. Make one for each batch: scales and competencies change.

    Methods raise LmsUnavailableError, LmsBusyError and LmsMisconfiguredError.
    """

    def __init__(self, call: MoodleCall, settings: MoodleSettings) -> None:
        self._call = call
        self._settings = settings
        self._framework: Mapping[str, Any] | None = None
        self._values: dict[int, set[int]] = {}
        self._found: dict[str, Competency | None] = {}

    async def find(self, idnumber: str) -> Competency | None:
        """Return the competency with exactly this idnumber, letter by letter, or None."""
        if idnumber not in self._found:
            rows = await self._list("idnumber", idnumber) if idnumber else []
            self._found[idnumber] = await self._competency(rows[0]) if len(rows) == 1 else None
        return self._found[idnumber]

    async def any(self) -> Competency | None:
        """Return some competency of the framework, or None when it has none."""
        rows = await self._list("", "")
        return await self._competency(rows[0]) if rows else None

    async def _list(self, column: str, value: str) -> list[Mapping[str, Any]]:
        filters = [("competencyframeworkid", str(self._settings.framework))]
        filters += [(column, value)] if column else []
        pairs = [("limit", "2")]
        for number, (name, wanted) in enumerate(filters):
            pairs += [(f"filters[{number}][column]", name), (f"filters[{number}][value]", wanted)]
        rows = await self._call.ask(_LIST, pairs)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise LmsUnavailableError("what answered a look-up of competencies is not Moodle")
        return rows

    async def _competency(self, row: Mapping[str, Any]) -> Competency:
        """A competency without a scale of its own has its framework's."""
        if not row.get("scaleid"):
            if self._framework is None:
                self._framework = await self._call.ask(_FRAMEWORK, [("id", str(self._settings.framework))])
            scaled: object = self._framework
        else:
            scaled = row
        try:
            return Competency(int(row["id"]), await self._grade(scaled))
        except (KeyError, TypeError, ValueError) as error:
            raise LmsUnavailableError(f"Moodle sent a competency of another shape ({type(error).__name__})") from None

    async def _grade(self, scaled: Any) -> int:  # noqa: ANN401 - JSON; what it lacks is caught by the caller
        """Return the grade that is set, else the highest proficient one; 0 when the scale does not have it."""
        scale = int(scaled["scaleid"])
        if scale not in self._values:
            values = await self._call.ask(_VALUES, [("scaleid", str(scale))])
            self._values[scale] = {int(one["id"]) for one in values}
        config = json.loads(scaled["scaleconfiguration"])
        proficient = [int(one["id"]) for one in config if int(one.get("proficient") or 0)]
        wanted = self._settings.grade or max(proficient, default=0)
        return wanted if wanted in self._values[scale] else 0
