"""Writes accounts through Totara's API: who seems new is created, who is there is changed, and what is in doubt is
looked up before it is tried again.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from services.outbound.lms.port import Account, Answer, Candidate
from services.outbound.lms.totara_accounts import APPLIED, SHIFTED, change, creation, edit, kept, user_of
from services.outbound.lms.totara_call import Document, TotaraCall
from services.outbound.lms.totara_checks import DATES, DateCheck
from services.outbound.lms.totara_index import Index
from services.outbound.lms.totara_replies import NOT_FOUND, Reply
from services.outbound.lms.totara_rules import account_fault, tidy_account
from shared.errors import LmsMisconfiguredError

ROUNDS: Final = 3
"""How often one account is tried in a call: it may turn out to be there, or gone, in between."""

NO_ACCOUNT: Final = Answer("rejected", "unknown-account")

_EXISTS: Final = ("username-taken", "idnumber-taken", "email-taken")

Wanted = dict[int, Account]
Answers = dict[int, Answer]


class AccountWrites:
    """Writes to one site; ``index`` is what is known of it, ``dates`` whether it keeps profile dates."""

    def __init__(self, call: TotaraCall, index: Index, dates: DateCheck) -> None:
        self._call = call
        self._index = index
        self._dates = dates
        self._doubtful: set[str] = set()

    async def put(self, accounts: Sequence[Account], *, create: bool) -> list[Answer]:
        """Bring accounts to these values, creating those that are not there if that is asked for."""
        answers: Answers = {}
        wanted = _sound(accounts, answers)
        await self._know([account.idnumber for account in wanted.values()])
        await self._try_dates(wanted, answers, create=create)
        for _ in range(ROUNDS):
            if not wanted:
                break
            wanted = await self._round(wanted, answers, create=create)
        return [answers[place] for place in range(len(accounts))]

    async def set_suspended(self, idnumbers: Sequence[str], *, suspended: bool) -> list[Answer]:
        """Suspend accounts or open them."""
        await self._know(idnumbers)
        answers: Answers = {}
        documents: dict[int, Document] = {}
        for place, idnumber in enumerate(idnumbers):
            held = self._index.get(idnumber)
            if held is None:
                answers[place] = NO_ACCOUNT
            else:
                documents[place] = edit(held, {"suspended": suspended})
        replies = await self._call.mutate(list(documents.values()))
        for place, reply in zip(documents, replies, strict=True):
            answer = self._noted(reply, lambda shown: shown.suspended == suspended)
            if reply.code == NOT_FOUND:  # it was there a moment ago: looked for again before the next attempt
                answer = Answer("unknown", NOT_FOUND)
            answers[place] = self._remembered(idnumbers[place], answer)
        return [answers[place] for place in range(len(idnumbers))]

    async def set_idnumber(self, lms_id: str, idnumber: str) -> Answer:
        """Give an account an idnumber."""
        (reply,) = await self._call.mutate([edit(Candidate(lms_id, "", ""), {"idnumber": idnumber})])
        if reply.code == NOT_FOUND:
            return NO_ACCOUNT
        return self._noted(reply, lambda shown: shown.idnumber == idnumber)

    async def _round(self, wanted: Wanted, answers: Answers, *, create: bool) -> Wanted:
        """Send each account once; return those that are to be tried again, as what we knew of them was wrong."""
        documents: dict[int, Document] = {}
        for place, account in wanted.items():
            held = self._index.get(account.idnumber)
            if held is None and not create:
                answers[place] = NO_ACCOUNT
            elif self._index.email_held(account.email, account.idnumber):
                answers[place] = Answer("rejected", "email-taken")  # to the API, another case is another address
            else:
                documents[place] = change(account, held) if held else creation(account)
        replies = await self._call.mutate(list(documents.values()))
        again: Wanted = {}
        for place, reply in zip(documents, replies, strict=True):
            answers[place] = self._answer(wanted[place], reply)
            if reply.code in _EXISTS or reply.code == NOT_FOUND:
                before = self._index.get(wanted[place].idnumber)
                now = await self._index.look(wanted[place].idnumber)
                if (before is None) != (now is None):
                    again[place] = wanted[place]
        return again

    async def _try_dates(self, wanted: Wanted, answers: Answers, *, create: bool) -> None:
        """Before the first date is sent, see whether dates are kept, on the first account that lets itself be used.

        Raises LmsMisconfiguredError when they are not: nothing is sent then.
        """
        dated = {place: name for place, account in wanted.items() if (name := _dated(account))}
        for place, name in dated.items():
            if self._dates.holds:
                return
            held = self._index.get(wanted[place].idnumber)
            if held is None and create:
                held = await self._bare(wanted[place], answers, place)
            elif held is None:
                continue  # answered for as unknown
            if held is None:
                del wanted[place]
                continue
            tried = await self._dates.run(held, name)
            if tried.code == SHIFTED:
                raise LmsMisconfiguredError(DATES.sentence)
            if tried != APPLIED:
                answers[place] = self._remembered(wanted[place].idnumber, tried)
                del wanted[place]

    async def _bare(self, account: Account, answers: Answers, place: int) -> Candidate | None:
        """Create an account without its dates, to try them on."""
        bare = replace(account, fields=tuple(one for one in account.fields if one.kind != "date"))
        (reply,) = await self._call.mutate([creation(bare)])
        answers[place] = self._answer(bare, reply)
        if reply.code in _EXISTS:
            return await self._index.look(account.idnumber)
        return self._index.get(account.idnumber)

    async def _know(self, idnumbers: Sequence[str]) -> None:
        """Look up those of whom nothing is known, or whose last outcome is not, before anything is sent."""
        for idnumber in idnumbers:
            if idnumber in self._doubtful and self._index.get(idnumber):
                await self._index.look(idnumber)
        if any(self._index.get(idnumber) is None for idnumber in idnumbers):
            await self._index.read_new()
        self._doubtful.difference_update(idnumbers)

    def _answer(self, account: Account, reply: Reply) -> Answer:
        user = user_of(reply.data)
        if user is None:
            answer = reply.answer() if reply.data is None else Answer("unknown", "fields-missing")
        else:
            answer = kept(account, user, self._index.note(user))
        if answer.code == SHIFTED:
            self._dates.holds = False
        if reply.code == NOT_FOUND:
            answer = NO_ACCOUNT
        return self._remembered(account.idnumber, answer)

    def _noted(self, reply: Reply, seen: Callable[[Candidate], bool]) -> Answer:
        user = user_of(reply.data)
        if user is None:
            return reply.answer() if reply.data is None else Answer("unknown", "fields-missing")
        return APPLIED if seen(self._index.note(user)) else Answer("rejected", "not-kept")

    def _remembered(self, idnumber: str, answer: Answer) -> Answer:
        if answer.status == "unknown":
            self._doubtful.add(idnumber)
        return answer


def _sound(accounts: Sequence[Account], answers: Answers) -> Wanted:
    """Return the accounts Totara can hold, by place; answer for the others."""
    wanted: Wanted = {}
    emails: dict[str, str] = {}
    for place, account in enumerate(map(tidy_account, accounts)):
        fault = account_fault(account)
        if not fault and emails.setdefault(account.email.lower(), account.idnumber) != account.idnumber:
            fault = "email-taken"
        if fault:
            answers[place] = Answer("rejected", fault)
        else:
            wanted[place] = account
    return wanted


def _dated(account: Account) -> str:
    return next((one.name for one in account.fields if one.kind == "date" and one.value), "")
