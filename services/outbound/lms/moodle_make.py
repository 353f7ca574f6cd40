"""Creating accounts in Moodle: one at a time, after looking whether the username or the address is somebody's.

Its refusals tell no reason, so it is looked up why; what was lost on the way may still commit, and is not repeated.
"""

import secrets
from collections.abc import Sequence

from services.outbound.lms.moodle_change import MoodleChanger, rejected, unknown
from services.outbound.lms.moodle_form import Entry
from services.outbound.lms.moodle_guard import Unsettled
from services.outbound.lms.moodle_rows import core_of, sent
from services.outbound.lms.moodle_search import MoodleSearch
from services.outbound.lms.moodle_write import NOT_TRIED, REFUSED, WRITE_FAILED, MoodleWriter
from services.outbound.lms.port import Account, Answer


class MoodleMaker:
    """Creates accounts of one site."""

    def __init__(
        self, search: MoodleSearch, writer: MoodleWriter, changer: MoodleChanger, unsettled: Unsettled
    ) -> None:
        self._search = search
        self._writer = writer
        self._changer = changer
        self._unsettled = unsettled

    async def create(self, accounts: Sequence[Account]) -> dict[str, Answer | None]:
        """Create accounts one by one; None: it is there now, and has to be read back.

        None of them was found by its idnumber. Raises LmsUnavailableError, LmsBusyError and LmsMisconfiguredError.
        """
        holders = await self._search.by_usernames(account.username for account in accounts)
        answers: dict[str, Answer | None] = {}
        lost = False
        for account in accounts:
            if lost:
                answers[account.idnumber] = unknown(NOT_TRIED)
            elif account.username in holders:
                answers[account.idnumber] = rejected("username-taken")
            elif await self._search.by_email(account.email):
                answers[account.idnumber] = rejected("email-taken")
            else:
                answers[account.idnumber] = answer = await self._create_one(account)
                lost = answer is not None and answer.status == "unknown"
        return answers

    async def _create_one(self, account: Account) -> Answer | None:
        entry = _new(account)
        if not self._writer.fits(entry):
            return rejected("form-too-long")
        made = await self._writer.create(entry)
        if made == "conflict" and not await self._is_there(account):
            made = await self._writer.create(entry)
        if made == "done":
            self._changer.know_middle_names(account)
            return None
        if made == "lost":
            self._unsettled.add(account.idnumber, lambda row: row is not None)
            return unknown()
        return await self._why(account, WRITE_FAILED if made == "conflict" else REFUSED)

    async def _is_there(self, account: Account) -> bool:
        return bool((await self._search.by_idnumbers([account.idnumber])).get(account.idnumber)) or bool(
            await self._search.by_usernames([account.username])
        )

    async def _why(self, account: Account, otherwise: str) -> Answer | None:
        """Find out by look-ups why an account was not created: Moodle does not tell."""
        if (await self._search.by_idnumbers([account.idnumber])).get(account.idnumber):
            return None
        if await self._search.by_usernames([account.username]):
            return rejected("username-taken")
        return rejected("email-taken" if await self._search.by_email(account.email) else otherwise)


def _new(account: Account) -> Entry:
    """Return the entry that creates an account. Of a password that Moodle keeps itself, nobody here knows anything."""
    values = {"idnumber": account.idnumber, **core_of(account)}
    if account.middle_names:
        values["middlename"] = account.middle_names
    if account.auth == "manual":
        # Moodle makes a password, sends it to the person, and has it changed.
        values["createpassword"] = "1"
    elif account.auth == "nologin":
        values["password"] = f"{secrets.token_urlsafe(24)}aA1!"
    return Entry(values, [(one.name, sent(one)) for one in account.fields if one.value])
