"""Driver ``totara-graphql``: accounts and job assignments through Totara's external API (17 and later).

One mutation a document: of a document of several, the first failure hides that those before it were done. Documents go
in lists, each of which is answered by itself. Organisations and positions the API cannot write.
"""

from collections.abc import Callable, Sequence
from typing import Final

import httpx

from services.outbound.lms import totara_checks
from services.outbound.lms.port import (
    Account,
    Answer,
    Candidate,
    Finding,
    HierarchyItem,
    JobAssignment,
    News,
    Sought,
)
from services.outbound.lms.totara_call import TotaraCall
from services.outbound.lms.totara_checks import DateCheck
from services.outbound.lms.totara_index import Index
from services.outbound.lms.totara_jobs import JobsByApi
from services.outbound.lms.totara_match import matches
from services.outbound.lms.totara_rules import NOT_BY_THIS_DRIVER, text_fault
from services.outbound.lms.totara_writes import NO_ACCOUNT, AccountWrites
from shared.lms_settings import LmsSettings

SETTLING: Final = 60.0
"""Seconds beyond the time-out of a call within which the site may still finish it."""

PROTECTED: Final = ("1", "2")
"""The guest and the administrator every site is installed with. The API would let us change even the latter."""


class TotaraGraphql:
    """Implements ``Accounts`` and ``Jobs``. ``secret`` gives the API client's secret whenever a token is needed."""

    settling: float

    def __init__(
        self, settings: LmsSettings, secret: Callable[[], str], *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.settling = settings.timeout_seconds + SETTLING
        self._call = TotaraCall(settings, secret, transport)
        self._index = Index(self._call, settings.time_zone)
        self._jobs = JobsByApi(self._call, settings.time_zone)
        self._dates = DateCheck(self._call, self._index)
        self._writes = AccountWrites(self._call, self._index, self._dates)

    async def check(self) -> list[Finding]:
        """Look whether the client may work and the site keeps what is sent."""
        return await totara_checks.look(self._call) + await self._dates.again()

    async def news(self) -> list[News]:
        """Return nothing: answers tell the outcome."""
        return []

    async def noted(self) -> None:
        """Nothing was told."""

    async def close(self) -> None:
        """Close the connection pool."""
        await self._call.close()

    async def ensure_account(self, accounts: Sequence[Account]) -> list[Answer]:
        """Create accounts, or bring those that are there to these values."""
        return await self._writes.put(accounts, create=True)

    async def update_account(self, accounts: Sequence[Account]) -> list[Answer]:
        """Change accounts that are there."""
        return await self._writes.put(accounts, create=False)

    async def suspend(self, idnumbers: Sequence[str]) -> list[Answer]:
        """Suspend accounts; their sessions end."""
        return await self._writes.set_suspended(idnumbers, suspended=True)

    async def reactivate(self, idnumbers: Sequence[str]) -> list[Answer]:
        """Open accounts again."""
        return await self._writes.set_suspended(idnumbers, suspended=False)

    async def find_account(self, idnumber: str) -> Candidate | None:
        """Return an account as the site shows it now."""
        return await self._index.look(idnumber)

    async def candidates(self, sought: Sequence[Sought]) -> list[list[Candidate]]:
        """Look among all accounts, as they were within the last hour."""
        await self._index.load(fresh=True)
        await self._index.read_new()
        return matches(sought, [one for one in self._index.all() if one.lms_id not in PROTECTED])

    async def adopt(self, lms_id: str, idnumber: str, *, instead_of: str = "") -> Answer:
        """Give an account another idnumber, whatever it has now."""
        del instead_of
        if text_fault(idnumber, 255, needed=True):
            return Answer("rejected", "idnumber-invalid")
        if lms_id in PROTECTED:
            return Answer("rejected", "protected-account")
        if not lms_id.isdigit():
            return NO_ACCOUNT
        return await self._writes.set_idnumber(lms_id, idnumber)

    async def put_hierarchy(self, items: Sequence[HierarchyItem]) -> list[Answer]:
        """Refuse: the API cannot."""
        return [Answer("rejected", NOT_BY_THIS_DRIVER)] * len(items)

    async def put_job_assignment(self, jobs: Sequence[JobAssignment]) -> list[Answer]:
        """Create or change job assignments."""
        return await self._jobs.put(jobs)

    async def remove_job_assignment(self, jobs: Sequence[JobAssignment]) -> list[Answer]:
        """Remove job assignments."""
        return await self._jobs.remove(jobs)
