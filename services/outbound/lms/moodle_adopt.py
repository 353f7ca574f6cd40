"""Accounts of other making: finding those that may be somebody's, and giving one our idnumber."""

import re
from collections.abc import Sequence
from typing import Final

from services.outbound.lms.moodle_change import APPLIED, rejected, unknown
from services.outbound.lms.moodle_form import Entry
from services.outbound.lms.moodle_rows import Row, candidate
from services.outbound.lms.moodle_rules import PROTECTED, readable
from services.outbound.lms.moodle_search import MoodleSearch
from services.outbound.lms.moodle_write import LOST, MoodleWriter
from services.outbound.lms.port import Answer, Candidate, Sought

_OURS: Final = re.compile(r"[0-9]{3,4}-[0-9]+")
"""Trust and person ID: an account with such an idnumber is somebody's already."""


async def candidates(search: MoodleSearch, sought: Sequence[Sought]) -> list[list[Candidate]]:
    """Return, for each person, accounts with the same idnumber, username, address or last name, in order of their id.

    The employee number counts as an idnumber and as a username. The site's own accounts are nobody's. Raises
    LmsUnavailableError, LmsBusyError and LmsMisconfiguredError.
    """
    if not sought:
        return []
    numbers = {text for one in sought for text in (one.idnumber, one.employee_number) if readable(text)}
    by_idnumber = await search.by_idnumbers(numbers)
    by_username = await search.by_usernames({text for one in sought for text in (one.username, _login(one))})
    own = await search.own_id()
    answers: list[list[Candidate]] = []
    for one in sought:
        rows = [*by_idnumber.get(one.idnumber, ()), *by_idnumber.get(one.employee_number, ())]
        rows += [by_username[name] for name in (one.username, _login(one)) if name in by_username]
        # Profile fields cannot be searched; whoever changed one name mostly kept the other.
        named = [*await search.by_name("lastname", one.last_name), *await search.by_name("firstname", one.first_name)]
        rows += [*await search.by_email(one.email), *named]
        different = {row.id: row for row in rows if row.id != own and row.username not in PROTECTED}
        answers.append([candidate(different[key]) for key in sorted(different)])
    return answers


def _login(sought: Sought) -> str:
    return sought.employee_number.lower()


async def adopt(search: MoodleSearch, writer: MoodleWriter, lms_id: str, idnumber: str, instead_of: str = "") -> Answer:
    """Give an account an idnumber; another key it may have had, such as an employee number, is replaced.

    A key of ours is replaced only if it is ``instead_of``: the link to that person is undone.

    Raises LmsUnavailableError, LmsBusyError and LmsMisconfiguredError.
    """
    row = await _by_id(search, lms_id)
    holders = (await search.by_idnumbers([idnumber])).get(idnumber, [])
    refused = _refusal(row, holders, idnumber, await search.own_id(), instead_of)
    if refused or row is None:
        return rejected(refused or "unknown-account")
    if row.idnumber == idnumber:
        return APPLIED
    code = (await writer.update({row.id: Entry({"id": lms_id, "idnumber": idnumber})}))[row.id]
    if code == LOST:
        return unknown()
    if code:
        return rejected(code)
    now = await _by_id(search, lms_id)
    return APPLIED if now is not None and now.idnumber == idnumber else rejected("field-not-kept")


async def _by_id(search: MoodleSearch, lms_id: str) -> Row | None:
    rows = await search.by_field("id", [lms_id]) if re.fullmatch(r"[0-9]{1,18}", lms_id) else []
    return rows[0] if rows else None


def _refusal(row: Row | None, holders: Sequence[Row], idnumber: str, own: int, instead_of: str) -> str:
    """Return why an account may not have this idnumber. Moodle itself would give it to any number of accounts."""
    if row is None:
        return "unknown-account"
    if not idnumber or len(idnumber) > 255 or not readable(idnumber):
        return "idnumber-invalid"
    if row.id == own or row.username in PROTECTED:
        return "protected-account"
    if any(one.id != row.id for one in holders):
        return "idnumber-taken"
    replaceable = row.idnumber in (idnumber, instead_of) or not _OURS.fullmatch(row.idnumber)
    return "" if replaceable else "account-taken"
