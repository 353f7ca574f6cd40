"""What is looked at before anybody is rated on a Moodle site: the framework, its scale, and the right to rate."""

from typing import Final

from services.outbound.lms import moodle_book
from services.outbound.lms.moodle_book import Book
from services.outbound.lms.moodle_ratings import GRADE, SUMMARY
from services.outbound.lms.moodle_search import MoodleSearch
from shared.errors import LmsMisconfiguredError
from shared.finding import Finding
from shared.moodle import errors
from shared.moodle.call import MoodleCall, Reply
from shared.moodle.settings import MoodleSettings

FUNCTIONS: Final = (*moodle_book.FUNCTIONS, GRADE, SUMMARY)

_RIGHTS: Final = "moodle/competency:competencyview, :usercompetencyview and :competencygrade"
_NO_RIGHT: Final = Finding("rating-right-missing", f"The service account lacks one of {_RIGHTS}; allow it in its role.")
_NO_FRAMEWORK: Final = Finding(
    "framework-unknown", "There is no competency framework with the id of lms.moodle.framework."
)
_EMPTY: Final = Finding("framework-empty", "The competency framework of lms.moodle.framework has no competency yet.")
_UNFIT: Final = Finding(
    "scale-unfit", "The scale has no value that is proficient, or not the one that lms.moodle.grade names."
)
_NO_PLACE: Final = Finding(
    "evidence-competency-unknown",
    "No competency of the framework has the idnumber of lms.moodle.evidence_competency.",
)


async def findings(call: MoodleCall, search: MoodleSearch, settings: MoodleSettings) -> list[Finding]:
    """Return what has to be put right before ratings. Raises LmsUnavailableError and LmsBusyError."""
    reply = await call.exchange("core_competency_read_competency_framework", [("id", str(settings.framework))])
    refused = _of_the_framework(reply)
    if refused:
        return refused
    try:
        return await _of_competencies(call, search, settings)
    except LmsMisconfiguredError as error:
        return [Finding("look-up-refused", error.sentence)]


def _of_the_framework(reply: Reply) -> list[Finding]:
    if reply.verdict == "done":
        return []
    if reply.finding is None:
        return [_NO_FRAMEWORK]
    own = {errors.BARRED["invalidrecord"]: _NO_FRAMEWORK, errors.BARRED["nopermissions"]: _NO_RIGHT}
    return [own.get(reply.finding, reply.finding)]


async def _of_competencies(call: MoodleCall, search: MoodleSearch, settings: MoodleSettings) -> list[Finding]:
    book = Book(call, settings)
    some = await book.any()
    if some is None:
        return [_EMPTY]
    found = [] if some.grade else [_UNFIT]
    if settings.evidence_competency:
        place = await book.find(settings.evidence_competency)
        if place is None:
            found.append(_NO_PLACE)
        elif not place.grade and some.grade:
            found.append(_UNFIT)
    return found + await _may_rate(call, search, some.id)


async def _may_rate(call: MoodleCall, search: MoodleSearch, competency: int) -> list[Finding]:
    """Look at a rating of the known account: to look is to be told whether one may rate."""
    known = await search.by_field("idnumber", [search.known_user])
    if not known:
        return []  # told by the look at accounts
    pairs = [("userid", str(known[0].id)), ("competencyid", str(competency))]
    reply = await call.exchange(SUMMARY, pairs)
    may = reply.verdict == "done" and isinstance(reply.value, dict) and bool(reply.value.get("cangrade"))
    return [] if may else [_NO_RIGHT]
