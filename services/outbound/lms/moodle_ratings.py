"""What people have learnt, as competency ratings in Moodle: the rating says that, its note says when.

A rating is not idempotent, so the notes of earlier ones are read first. Moodle would rate deleted and suspended
accounts too, so those are refused here.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.outbound.lms import moodle_notes
from services.outbound.lms.moodle_book import Book, Competency
from services.outbound.lms.moodle_change import APPLIED, rejected, unknown
from services.outbound.lms.moodle_guard import KeyLocks
from services.outbound.lms.moodle_notes import Note
from services.outbound.lms.moodle_rows import Row
from services.outbound.lms.moodle_search import MoodleSearch
from services.outbound.lms.moodle_write import NOT_TRIED, REFUSED, WRITE_FAILED
from services.outbound.lms.port import Answer, Certification, Evidence
from shared.errors import LmsUnavailableError
from shared.moodle.call import MoodleCall
from shared.moodle.settings import MoodleSettings

GRADE: Final = "core_competency_grade_competency"
SUMMARY: Final = "tool_lp_data_for_user_competency_summary"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A rating that is wanted. ``competency``: its idnumber."""

    idnumber: str
    competency: str
    note: Note


class MoodleRatings:
    """Rates on one site. ``settling``: seconds a call may go on at the site after its reply was lost.

    Methods raise LmsUnavailableError, LmsBusyError and LmsMisconfiguredError.
    """

    def __init__(
        self,
        call: MoodleCall,
        search: MoodleSearch,
        settings: MoodleSettings,
        settling: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._call = call
        self._search = search
        self._settings = settings
        self._settling = settling
        self._clock = clock
        self._locks = KeyLocks()
        self._open: dict[tuple[int, int], float] = {}

    async def record(self, certifications: Sequence[Certification]) -> list[Answer]:
        """Rate the competency whose idnumber is the certification's."""
        wanted = [
            _Wanted(one.idnumber, one.certification, moodle_notes.of_certification(one)) for one in certifications
        ]
        return await self._rate_all(wanted, "unknown-certification")

    async def add_evidence(self, evidence: Sequence[Evidence]) -> list[Answer]:
        """Note evidence under the competency that is set for it: Moodle has no call that makes evidence."""
        place = self._settings.evidence_competency
        if not place:
            return [rejected("no-evidence") for _ in evidence]
        wanted = [_Wanted(one.idnumber, place, moodle_notes.of_evidence(one)) for one in evidence]
        return await self._rate_all(wanted, "evidence-competency-unknown")

    async def _rate_all(self, wanted: Sequence[_Wanted], absent: str) -> list[Answer]:
        """Rate one after the other. Once a reply was lost the site may be going away, and the rest is not tried."""
        if not wanted:
            return []
        found = await self._search.by_idnumbers({one.idnumber for one in wanted})
        book = Book(self._call, self._settings)
        answers: list[Answer] = []
        for one in wanted:
            if any(answer.status == "unknown" for answer in answers):
                answers.append(unknown(NOT_TRIED))
            else:
                answers.append(await self._rate(one, found, book, absent))
        return answers

    async def _rate(self, one: _Wanted, found: Mapping[str, list[Row]], book: Book, absent: str) -> Answer:
        rows = found.get(one.idnumber, [])
        competency = await book.find(one.competency)
        code = _refusal(rows)
        if not code and competency is None:
            code = absent
        if not code and competency is not None and not competency.grade:
            code = "scale-unfit"
        if code or competency is None:
            return rejected(code)
        async with self._locks.hold([f"{rows[0].id}/{competency.id}"]):
            return await self._settle(rows[0].id, competency, one.note)

    async def _settle(self, user: int, competency: Competency, note: Note) -> Answer:
        pair = (user, competency.id)
        if await self._is_told(pair, note):
            self._open.pop(pair, None)
            return APPLIED
        if self._clock() < self._open.get(pair, 0.0):
            return unknown()
        answer = await self._grade(pair, competency.grade, note)
        if answer.code == WRITE_FAILED:
            # Of several first ratings at once the database refuses some: ours is there now, or may be tried once more.
            answer = APPLIED if await self._is_told(pair, note) else await self._grade(pair, competency.grade, note)
        return answer

    async def _grade(self, pair: tuple[int, int], grade: int, note: Note) -> Answer:
        form = [*_pair(pair), ("grade", str(grade)), ("note", moodle_notes.written(note))]
        reply = await self._call.call(GRADE, form)
        match reply.verdict:
            case "lost":
                self._open[pair] = self._clock() + self._settling
                return unknown()
            case "done" if isinstance(reply.value, dict) and reply.value.get("note") == moodle_notes.written(note):
                return APPLIED
            case "refused":
                return rejected(REFUSED)
            case "conflict":
                return rejected(WRITE_FAILED)
            case _:
                # Also an answer that Moodle itself could not make: the rating may be there all the same.
                return APPLIED if await self._is_told(pair, note) else rejected("rating-refused")

    async def _is_told(self, pair: tuple[int, int], note: Note) -> bool:
        summary = await self._call.ask(SUMMARY, _pair(pair))
        return moodle_notes.is_told(note, moodle_notes.read(_notes(summary)))


def _refusal(rows: Sequence[Row]) -> str:
    """Return why nobody can be rated."""
    if not rows:
        return "unknown-account"
    if len(rows) > 1:
        return "idnumber-ambiguous"
    return "account-suspended" if rows[0].suspended else ""


def _pair(pair: tuple[int, int]) -> list[tuple[str, str]]:
    return [("userid", str(pair[0])), ("competencyid", str(pair[1]))]


def _notes(summary: Any) -> list[str]:  # noqa: ANN401 - JSON
    """Return the notes of a summary, newest first as Moodle sends them."""
    try:
        return [one["note"] or "" for one in summary["evidence"]]
    except (KeyError, TypeError) as error:
        raise LmsUnavailableError(f"Moodle sent ratings of another shape ({type(error).__name__})") from None
