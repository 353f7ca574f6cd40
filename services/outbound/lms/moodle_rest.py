"""Driver ``moodle-rest``: accounts and competency ratings in Moodle (4.3) by its REST web services.

Moodle has no job assignments like ours, so this driver takes none. Nothing it says is believed alone: who is to be
created is looked up first, and what was written is read back.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final
from zoneinfo import ZoneInfo

import httpx

from services.outbound.lms import moodle_checks, moodle_learning_checks, moodle_rules
from services.outbound.lms.moodle_adopt import adopt, candidates
from services.outbound.lms.moodle_change import Answers, rejected
from services.outbound.lms.moodle_guard import KeyLocks, Unsettled
from services.outbound.lms.moodle_keep import MoodleKeeper
from services.outbound.lms.moodle_ratings import MoodleRatings
from services.outbound.lms.moodle_rows import candidate
from services.outbound.lms.moodle_search import MoodleSearch
from services.outbound.lms.moodle_write import MoodleWriter
from services.outbound.lms.port import Account, Answer, Candidate, Certification, Evidence, Finding, News, Sought
from shared.account_settings import FieldMapping
from shared.errors import ConfigurationError
from shared.lms_settings import LmsSettings
from shared.moodle.call import MoodleCall

SETTLING: Final = 60.0
"""Seconds a call may go on at the site after we have stopped waiting for it, at the least."""


class MoodleRest:
    """Accounts of one Moodle site, and what people have learnt where the trust has a competency framework there.

    ``fields`` are the profile fields the trust fills, of which the options of menus matter here; ``token`` reads the
    token for each call; ``clock`` counts seconds. Every operation raises LmsUnavailableError when the site is away,
    LmsBusyError when it asks us to slow down, and LmsMisconfiguredError for what a person has to put right. Raises
    ConfigurationError when ``settings.time_zone`` is no time zone.
    """

    def __init__(
        self,
        settings: LmsSettings,
        fields: Sequence[FieldMapping],
        token: Callable[[], str],
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settling = max(SETTLING, 2 * settings.timeout_seconds)
        self._menus = {one.to: one.options for one in fields if one.kind == "menu"}
        self._call = MoodleCall(
            settings.url,
            token,
            timeout=settings.timeout_seconds,
            variables=settings.moodle.variables,
            transport=transport,
        )
        self._search = MoodleSearch(self._call, settings.moodle.known_user, _zone(settings.time_zone))
        self._writer = MoodleWriter(self._call)
        self._keeper = MoodleKeeper(self._search, self._writer, Unsettled(self.settling, clock))
        self._locks = KeyLocks()
        self._moodle = settings.moodle
        self._ratings = MoodleRatings(self._call, self._search, settings.moodle, self.settling, clock)

    async def check(self) -> list[Finding]:
        """Look whether the site lets us work and would keep what we send."""
        if self._moodle.framework is None:
            return await moodle_checks.findings(self._call, self._search)
        found = await moodle_checks.findings(self._call, self._search, moodle_learning_checks.FUNCTIONS)
        return found or await moodle_learning_checks.findings(self._call, self._search, self._moodle)

    async def news(self) -> list[News]:
        """Return nothing: every answer tells the outcome, or is unknown and looked up."""
        return []

    async def noted(self) -> None:
        """Nothing was told."""

    async def close(self) -> None:
        """Let go of connections."""
        await self._call.close()

    async def ensure_account(self, accounts: Sequence[Account]) -> list[Answer]:
        """Create accounts, or bring those that exist to these values; none is opened that somebody has suspended."""
        return await self._keep(accounts, self._keeper.ensure)

    async def update_account(self, accounts: Sequence[Account]) -> list[Answer]:
        """Change accounts that exist; none is opened that somebody has suspended."""
        return await self._keep(accounts, self._keeper.update)

    async def suspend(self, idnumbers: Sequence[str]) -> list[Answer]:
        """Suspend accounts: their open sessions end at once."""
        return await self._flag(idnumbers, suspended=True)

    async def reactivate(self, idnumbers: Sequence[str]) -> list[Answer]:
        """Open suspended accounts again."""
        return await self._flag(idnumbers, suspended=False)

    async def find_account(self, idnumber: str) -> Candidate | None:
        """Return the account as Moodle holds it, or None. Of several with this idnumber it is the oldest."""
        rows = (await self._search.by_idnumbers([idnumber])).get(idnumber)
        return candidate(rows[0]) if rows else None

    async def candidates(self, sought: Sequence[Sought]) -> list[list[Candidate]]:
        """Return, for each person, the accounts with the same idnumber, username, address or last name.

        The employee number counts as an idnumber and as a username.
        """
        return await candidates(self._search, sought)

    async def adopt(self, lms_id: str, idnumber: str, *, instead_of: str = "") -> Answer:
        """Give an account our idnumber, unless that is another's, or the account already is another person's."""
        async with self._locks.hold([f"id/{idnumber}"]):
            return await adopt(self._search, self._writer, lms_id, idnumber, instead_of)

    async def record_completion(self, certifications: Sequence[Certification]) -> list[Answer]:
        """Rate the competency with the certification's idnumber; the note tells the dates."""
        return await self._ratings.record(certifications)

    async def add_evidence(self, evidence: Sequence[Evidence]) -> list[Answer]:
        """Note evidence under the competency that is set for it; without one it is refused with ``no-evidence``."""
        return await self._ratings.add_evidence(evidence)

    async def _keep(
        self, accounts: Sequence[Account], work: Callable[[Mapping[str, Account]], Awaitable[Answers]]
    ) -> list[Answer]:
        """Do the work for all accounts that keep the rules; of one that is there twice, in its turn."""
        tidied = [moodle_rules.tidy(account) for account in accounts]
        answers = [rejected(moodle_rules.fault(account, self._menus)) for account in tidied]
        sound = [index for index, answer in enumerate(answers) if not answer.code]
        for turn in _turns([tidied[index].idnumber for index in sound]):
            wanted = {tidied[sound[place]].idnumber: tidied[sound[place]] for place in turn}
            async with self._locks.hold(key for account in wanted.values() for key in _keys(account)):
                made = await work(wanted)
            for place in turn:
                answers[sound[place]] = made[tidied[sound[place]].idnumber]
        return answers

    async def _flag(self, idnumbers: Sequence[str], *, suspended: bool) -> list[Answer]:
        wanted = sorted(set(idnumbers))
        if not wanted:
            return []
        async with self._locks.hold(f"id/{one}" for one in wanted):
            answers = await self._keeper.suspend(wanted, suspended=suspended)
        return [answers[one] for one in idnumbers]


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ConfigurationError(f"lms.time_zone '{name}' is no time zone; write it like Europe/London") from None


def _keys(account: Account) -> tuple[str, ...]:
    """What no two accounts made at the same time may share."""
    return f"id/{account.idnumber}", f"name/{account.username}", f"mail/{account.email.casefold()}"


def _turns(keys: Sequence[str]) -> list[list[int]]:
    """Return the places of the keys in turns, none of which holds a key twice; their order is kept."""
    turns: list[list[int]] = []
    seen: dict[str, int] = {}
    for place, key in enumerate(keys):
        number = seen[key] = seen.get(key, -1) + 1
        if number == len(turns):
            turns.append([])
        turns[number].append(place)
    return turns
