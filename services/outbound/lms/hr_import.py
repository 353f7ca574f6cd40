"""Driver ``totara-hr-import``: accounts, job assignments, organisations and positions as files for Totara's HR Import.

Nothing answers there, so what is written is "accepted", and the import's log tells later what became of it. One file
of each kind may lie in the folder: while it does, the next batch of that kind waits (LmsBusyError). Files hold changes
only, and always say of each row whether it is deleted: never is a file taken for a list of everybody.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from services.outbound.lms import hr_import_rows as rows
from services.outbound.lms.hr_import_hierarchy import HierarchyFiles
from services.outbound.lms.hr_import_plan import LATER_EMAIL, LATER_MANAGER, plan_emails, plan_jobs, taken_twice
from services.outbound.lms.hr_import_ship import Shipper
from services.outbound.lms.hr_import_slot import FileSlot
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
from services.outbound.lms.totara_rules import (
    NOT_BY_THIS_DRIVER,
    account_fault,
    job_fault,
    text_fault,
    tidy_account,
    tidy_job,
)
from shared.clock import Clock
from shared.lms_settings import LmsSettings

SETTLING: Final = 900.0
"""Seconds after which a row that had to wait for another is sent again, if the folder is free by then."""

ACCEPTED: Final = Answer("accepted")

Held = Callable[[str], Awaitable[Account | None]]


class HrImport:
    """Implements ``Accounts`` and ``Jobs``.

    ``memory``: a file for what has to outlive the process (see ``hr_import_memory``). ``held`` returns an account as it
    was last sent: opening an account, and suspending it where column ``suspended`` does that, takes a whole row.
    """

    settling: float = SETTLING

    def __init__(
        self,
        settings: LmsSettings,
        slot: FileSlot,
        clock: Clock,
        *,
        memory: Path | None = None,
        held: Held | None = None,
    ) -> None:
        """Read the memory file. Raises ConfigurationError when it cannot be used."""
        self._settings = settings.hr_import
        self._ship = Shipper(slot, settings.hr_import, clock, memory)
        self._hierarchy = HierarchyFiles(self._ship, settings.hr_import)
        self._held = held
        self._accounts: dict[str, Account] = {}

    async def check(self) -> list[Finding]:
        """Look whether the folder can be reached, and whether the site does with rows what we expect."""
        return await self._ship.check()

    async def news(self) -> list[News]:
        """Return what the log says of rows, the same again until it is noted."""
        return await self._ship.news()

    async def noted(self) -> None:
        """Forget what was returned last."""
        self._ship.noted()

    async def close(self) -> None:
        """Nothing to let go of."""

    async def ensure_account(self, accounts: Sequence[Account]) -> list[Answer]:
        """Write rows that create accounts or bring them to these values."""
        return await self._write(accounts, forced=False)

    async def update_account(self, accounts: Sequence[Account]) -> list[Answer]:
        """Write rows that change accounts: the same rows."""
        return await self._write(accounts, forced=False)

    async def suspend(self, idnumbers: Sequence[str]) -> list[Answer]:
        """Write rows that suspend."""
        if self._settings.delete_mode == "suspend":
            good = {one: rows.suspended_row(one) for one in idnumbers if not text_fault(one, 255, needed=True)}
            await self._ship.users(good.values())
            return [ACCEPTED if one in good else Answer("rejected", "idnumber-invalid") for one in idnumbers]
        return await self._whole(idnumbers, suspended=True)

    async def reactivate(self, idnumbers: Sequence[str]) -> list[Answer]:
        """Write rows that open accounts, whatever time of change the LMS holds for them."""
        return await self._whole(idnumbers, suspended=False)

    async def find_account(self, idnumber: str) -> Candidate | None:
        """Return None: a folder cannot be asked."""
        del idnumber
        return None

    async def candidates(self, sought: Sequence[Sought]) -> list[list[Candidate]]:
        """Return nobody: a folder cannot be asked."""
        return [[] for _ in sought]

    async def adopt(self, lms_id: str, idnumber: str, *, instead_of: str = "") -> Answer:
        """Refuse: HR Import finds accounts by idnumber and would make a second one."""
        del lms_id, idnumber, instead_of
        return Answer("rejected", NOT_BY_THIS_DRIVER)

    async def put_hierarchy(self, items: Sequence[HierarchyItem]) -> list[Answer]:
        """Write ``org.csv`` and ``pos.csv``."""
        return await self._hierarchy.put(items)

    async def put_job_assignment(self, jobs: Sequence[JobAssignment]) -> list[Answer]:
        """Write rows that create job assignments or bring them to these values."""
        jobs = [tidy_job(job) for job in jobs]
        faults = [job_fault(job) for job in jobs]
        owners: dict[str, str] = {}
        wanted: dict[str, JobAssignment] = {}
        for place, job in enumerate(jobs):
            if not faults[place] and owners.setdefault(job.idnumber, job.account) != job.account:
                faults[place] = "job-taken"  # HR Import takes one person's for the other's
            if not faults[place] and not rows.encodable(rows.job_row(job, self._settings), self._settings):
                faults[place] = "encoding"
            if not faults[place]:
                wanted[job.idnumber] = job
        plan = plan_jobs(wanted)
        await self._ship.jobs(
            (rows.job_row(job, self._settings, managed=job.idnumber not in plan.unmanaged) for job in plan.order),
            unheard=plan.unmanaged,
        )
        later = Answer("unknown", LATER_MANAGER)
        return [
            Answer("rejected", fault) if fault else later if job.idnumber in plan.unmanaged else ACCEPTED
            for job, fault in zip(jobs, faults, strict=True)
        ]

    async def remove_job_assignment(self, jobs: Sequence[JobAssignment]) -> list[Answer]:
        """Write rows that remove job assignments."""
        faults = [job_fault(replace(job, start="", end="", full_name="-", manager="")) for job in jobs]
        good = {job.idnumber: job for job, fault in zip(jobs, faults, strict=True) if not fault}
        await self._ship.jobs(rows.job_row(job, self._settings, removed=True) for job in good.values())
        return [Answer("rejected", fault) if fault else ACCEPTED for fault in faults]

    async def _whole(self, idnumbers: Sequence[str], *, suspended: bool) -> list[Answer]:
        known = {idnumber: await self._last(idnumber) for idnumber in dict.fromkeys(idnumbers)}
        found = [replace(account, suspended=suspended) for account in known.values() if account is not None]
        answers = dict(
            zip((one.idnumber for one in found), await self._write(found, forced=not suspended), strict=True)
        )
        return [answers.get(idnumber, Answer("rejected", "account-not-known")) for idnumber in idnumbers]

    async def _last(self, idnumber: str) -> Account | None:
        mine = self._accounts.get(idnumber)
        return mine or (await self._held(idnumber) if self._held else None)

    async def _write(self, accounts: Iterable[Account], *, forced: bool) -> list[Answer]:
        accounts = [tidy_account(account) for account in accounts]
        faults = [self._fault(account) for account in accounts]
        wanted = {one.idnumber: one for one, fault in zip(accounts, faults, strict=True) if not fault}
        taken = taken_twice(wanted)
        wanted = {key: account for key, account in wanted.items() if key not in taken}
        last = {key: await self._last(key) for key in wanted}
        plan = plan_emails(wanted, {key: one.email for key, one in last.items() if one is not None})
        opened = forced and self._settings.delete_mode == "keep"
        made = [rows.account_row(account, self._settings) for account in plan.now.values()]
        made = [row | {"suspended": "0"} if opened else row for row in made]
        await self._ship.users(made, forced=forced, unheard=plan.again)
        self._accounts |= plan.now
        answers: list[Answer] = []
        for account, fault in zip(accounts, faults, strict=True):
            if fault or account.idnumber in taken:
                answers.append(Answer("rejected", fault or taken[account.idnumber]))
            elif account.idnumber in plan.again:
                answers.append(Answer("unknown", LATER_EMAIL))
            else:
                answers.append(ACCEPTED)
        return answers

    def _fault(self, account: Account) -> str:
        if fault := account_fault(account):
            return fault
        return "" if rows.encodable(rows.account_row(account, self._settings), self._settings) else "encoding"
