"""Keeping accounts of a Moodle site as they are wanted: what is there is changed, what is not is created."""

from collections.abc import Mapping, Sequence

from services.outbound.lms.moodle_change import APPLIED, Answers, MoodleChanger, Wanted, rejected, unknown
from services.outbound.lms.moodle_guard import Unsettled
from services.outbound.lms.moodle_make import MoodleMaker
from services.outbound.lms.moodle_rows import Row
from services.outbound.lms.moodle_search import MoodleSearch
from services.outbound.lms.moodle_write import NOT_TRIED, MoodleWriter


class MoodleKeeper:
    """Keeps accounts of one site. Batches hold each idnumber once, and their callers hold the locks of its accounts."""

    def __init__(self, search: MoodleSearch, writer: MoodleWriter, unsettled: Unsettled) -> None:
        self._changer = MoodleChanger(search, writer, unsettled)
        self._maker = MoodleMaker(search, writer, self._changer, unsettled)

    async def ensure(self, wanted: Wanted) -> Answers:
        """Create the accounts that are not there; bring the others to what is wanted."""
        answers, rows = await self._changer.find(wanted)
        absent = [wanted[key] for key in wanted if key not in answers and key not in rows]
        created = await self._maker.create(absent)
        answers |= {key: answer for key, answer in created.items() if answer is not None}
        if any(answer is not None and answer.status == "unknown" for answer in created.values()):
            return answers | {key: unknown(NOT_TRIED) for key in wanted if key not in answers}
        if created:
            # Also those that another call of ours has created meanwhile, and those just made: read back, then compared.
            again, found = await self._changer.find([key for key in created if key not in answers])
            answers |= again
            rows |= found
            answers |= {key: unknown() for key in created if key not in answers and key not in found}
        return answers | await self._bring(wanted, {key: row for key, row in rows.items() if key not in answers})

    async def update(self, wanted: Wanted) -> Answers:
        """Change accounts that are there."""
        answers, rows = await self._changer.find(wanted)
        answers |= {key: rejected("unknown-account") for key in wanted if key not in answers and key not in rows}
        return answers | await self._bring(wanted, {key: row for key, row in rows.items() if key not in answers})

    async def suspend(self, idnumbers: Sequence[str], *, suspended: bool) -> Answers:
        """Suspend or open accounts, by idnumber."""
        answers, rows = await self._changer.find(idnumbers)
        answers |= {key: rejected("unknown-account") for key in idnumbers if key not in answers and key not in rows}
        todo = {key: row for key, row in rows.items() if key not in answers}
        return answers | await self._changer.flag(todo, suspended=suspended)

    async def _bring(self, wanted: Wanted, rows: Mapping[str, Row]) -> Answers:
        """Write what differs. No account is opened that somebody has suspended."""
        answers = await self._changer.bring(wanted, rows)
        to_suspend = {
            key: row
            for key, row in rows.items()
            if answers[key] == APPLIED and wanted[key].suspended and not row.suspended
        }
        if any(answer.status == "unknown" for answer in answers.values()):
            # The site may have gone away: what is left to do is not tried, nor called done.
            return answers | {key: unknown(NOT_TRIED) for key in to_suspend}
        return answers | await self._changer.flag(to_suspend, suspended=True)
