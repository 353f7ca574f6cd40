"""Changing accounts that are there: compare, write the differences, read back.

Moodle's answers are not enough: a profile field it does not know, or a value its menu does not have, is lost without a
word.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from services.outbound.lms import moodle_rules
from services.outbound.lms.moodle_form import Entry
from services.outbound.lms.moodle_guard import Unsettled
from services.outbound.lms.moodle_rows import Row, differences, in_another_zone
from services.outbound.lms.moodle_search import MoodleSearch
from services.outbound.lms.moodle_write import LOST, NOT_TRIED, REFUSED, UNSURE, WRITE_FAILED, MoodleWriter
from services.outbound.lms.port import Account, Answer
from shared.errors import LmsMisconfiguredError

APPLIED: Final = Answer("applied")
Answers = dict[str, Answer]
Wanted = Mapping[str, Account]
Kept = Callable[[str, Row], bool]
"""Whether an account, by its idnumber and as it is found, now is as it was written."""


def rejected(code: str) -> Answer:
    """Return a refusal."""
    return Answer("rejected", code)


def unknown(code: str = LOST) -> Answer:
    """Return an outcome nobody knows."""
    return Answer("unknown", code)


class MoodleChanger:
    """Changes accounts of one site. All maps are by idnumber.

    Methods raise LmsUnavailableError, LmsBusyError and LmsMisconfiguredError.
    """

    def __init__(self, search: MoodleSearch, writer: MoodleWriter, unsettled: Unsettled) -> None:
        self._search = search
        self._writer = writer
        self._unsettled = unsettled
        self._middle: dict[str, str] = {}

    def know_middle_names(self, account: Account) -> None:
        """Remember middle names as Moodle has taken them: it never shows them, so nothing else can be compared."""
        self._middle[account.idnumber] = account.middle_names

    async def find(self, idnumbers: Iterable[str]) -> tuple[Answers, dict[str, Row]]:
        """Return the accounts that may be worked on, and the answers of those that may not."""
        keys = list(idnumbers)
        found = await self._search.by_idnumbers(keys)
        own = await self._search.own_id()
        answers: Answers = {}
        rows: dict[str, Row] = {}
        for key in keys:
            several = found.get(key, [])
            row = several[0] if several else None
            if len(several) > 1:
                answers[key] = rejected("idnumber-ambiguous")
            elif self._unsettled.holds(key, row):
                answers[key] = unknown()
            elif row is not None and (row.id == own or row.username in moodle_rules.PROTECTED):
                answers[key] = rejected("protected-account")
            elif row is not None:
                rows[key] = row
        return answers, rows

    async def bring(self, wanted: Wanted, rows: Mapping[str, Row]) -> Answers:
        """Write what differs, and read all of it back."""
        entries = {key: self._entry(row, wanted[key]) for key, row in rows.items()}
        answers = {key: rejected("form-too-long") for key, entry in entries.items() if not self._writer.fits(entry)}
        answers |= {key: APPLIED for key, entry in entries.items() if entry.empty}
        todo = {key: entry for key, entry in entries.items() if key not in answers}
        return answers | await self._write(
            {key: (rows[key], entry) for key, entry in todo.items()},
            lambda key, row: differences(row, wanted[key]).empty,
            wanted,
        )

    def _entry(self, row: Row, account: Account) -> Entry:
        entry = differences(row, account)
        if self._middle.get(account.idnumber) == account.middle_names:
            return entry
        return Entry({**entry.values, "middlename": account.middle_names}, entry.custom)

    async def flag(self, rows: Mapping[str, Row], *, suspended: bool) -> Answers:
        """Suspend or open accounts, in calls of their own: another fault of an account would undo the suspension."""
        word = "1" if suspended else "0"
        todo = {
            key: (row, Entry({"id": str(row.id), "suspended": word}))
            for key, row in rows.items()
            if row.suspended is not suspended
        }
        done = {key: APPLIED for key in rows if key not in todo}
        return done | await self._write(todo, lambda _, row: row.suspended is suspended, {})

    async def _write(self, todo: Mapping[str, tuple[Row, Entry]], kept: Kept, wanted: Wanted) -> Answers:
        """Write entries and read them back; ``kept`` tells whether an account now is as it was written."""
        if not todo:
            return {}
        codes = await self._writer.update({row.id: entry for row, entry in todo.values()})
        answers: Answers = {}
        for key, (row, _) in todo.items():
            code = codes[row.id]
            if code == LOST:
                self._unsettled.add(key, partial(_is_kept, kept, key))
            if code in (LOST, NOT_TRIED):
                answers[key] = unknown(code)
            elif code == WRITE_FAILED:
                answers[key] = rejected(await self._why_not_changed(wanted.get(key), row))
            elif code not in ("", UNSURE):
                answers[key] = rejected(code)
        return answers | await self._read_back(
            {key: codes[todo[key][0].id] for key in todo if key not in answers}, kept, wanted
        )

    async def _why_not_changed(self, account: Account | None, row: Row) -> str:
        if account is None or account.username == row.username:
            return WRITE_FAILED
        return "username-taken" if await self._search.by_usernames([account.username]) else WRITE_FAILED

    async def _read_back(self, codes: Mapping[str, str], kept: Kept, wanted: Wanted) -> Answers:
        answers, rows = await self.find(codes)
        for key, row in rows.items():
            if kept(key, row):
                answers[key] = APPLIED
                if key in wanted:
                    self.know_middle_names(wanted[key])
            elif key in wanted and in_another_zone(row, wanted[key], self._search.zone):
                raise LmsMisconfiguredError(
                    "Moodle keeps dates in another time zone than lms.time_zone: set the service account's right."
                )
            else:
                answers[key] = rejected(REFUSED if codes[key] == UNSURE else "field-not-kept")
        return {key: answers.get(key, unknown()) for key in codes}


def _is_kept(kept: Kept, key: str, row: Row | None) -> bool:
    return row is not None and kept(key, row)
