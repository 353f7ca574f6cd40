"""Driver ``files``: each batch becomes one CSV file in the trust's ``to-lms`` folder.

For trusts whose LMS is loaded by other means, and for one-shot runs with no LMS at hand. Files appear whole: they are
written under a temporary name and renamed. What becomes of them is not known here, so answers are "accepted".
"""

import asyncio
import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from services.outbound.lms.port import (
    Account,
    Answer,
    Candidate,
    Certification,
    Evidence,
    Finding,
    HierarchyItem,
    JobAssignment,
    News,
    Sought,
)
from shared.clock import Clock
from shared.files import put_file

_ACCOUNT: Final = ("idnumber", "username", "firstname", "middlename", "lastname", "email", "auth", "account_type")
_JOB: Final = (
    "idnumber",
    "user_idnumber",
    "full_name",
    "start",
    "end",
    "organisation_idnumber",
    "position_idnumber",
    "manager_idnumber",
    "manager_job_idnumber",
)


class FilesDriver:
    """Writes ``<operation>_<vpd>_<date>_<number>.csv``: UTF-8, comma, a header row."""

    settling: float = 0.0

    def __init__(self, folder: Path, vpd: str, clock: Clock) -> None:
        self._folder = folder
        self._vpd = vpd
        self._clock = clock

    async def ensure_account(self, accounts: Sequence[Account]) -> list[Answer]:
        """Write accounts to create or update."""
        return await self._write_accounts("ensure_account", accounts)

    async def update_account(self, accounts: Sequence[Account]) -> list[Answer]:
        """Write accounts to change."""
        return await self._write_accounts("update_account", accounts)

    async def suspend(self, idnumbers: Sequence[str]) -> list[Answer]:
        """Write accounts to suspend."""
        return await self._write("suspend", ("idnumber",), [(idnumber,) for idnumber in idnumbers])

    async def reactivate(self, idnumbers: Sequence[str]) -> list[Answer]:
        """Write accounts to reactivate."""
        return await self._write("reactivate", ("idnumber",), [(idnumber,) for idnumber in idnumbers])

    async def record_completion(self, certifications: Sequence[Certification]) -> list[Answer]:
        """Write completions to record."""
        header = ("idnumber", "certification", "completed_on", "expires_on")
        rows = [(one.idnumber, one.certification, one.completed_on, one.expires_on) for one in certifications]
        return await self._write("record_completion", header, rows)

    async def add_evidence(self, evidence: Sequence[Evidence]) -> list[Answer]:
        """Write evidence to add."""
        header = ("idnumber", "reference", "name", "completed_on", "expires_on")
        rows = [(one.idnumber, one.reference, one.name, one.completed_on, one.expires_on) for one in evidence]
        return await self._write("add_evidence", header, rows)

    async def withdraw_completion(self, certifications: Sequence[Certification]) -> list[Answer]:
        """Write completions to take back."""
        rows = [(one.idnumber, one.certification, one.completed_on) for one in certifications]
        return await self._write("withdraw_completion", ("idnumber", "certification", "completed_on"), rows)

    async def withdraw_evidence(self, evidence: Sequence[Evidence]) -> list[Answer]:
        """Write evidence to take back."""
        rows = [(one.idnumber, one.reference) for one in evidence]
        return await self._write("withdraw_evidence", ("idnumber", "reference"), rows)

    async def put_hierarchy(self, items: Sequence[HierarchyItem]) -> list[Answer]:
        """Write organisations and positions to create or change, parents first."""
        header = ("kind", "idnumber", "full_name", "parent_idnumber")
        rows = [(one.kind, one.idnumber, one.full_name, one.parent) for one in items]
        return await self._write("put_hierarchy", header, rows)

    async def put_job_assignment(self, jobs: Sequence[JobAssignment]) -> list[Answer]:
        """Write job assignments to create or change."""
        return await self._write("put_job_assignment", _JOB, [_job(one) for one in jobs])

    async def remove_job_assignment(self, jobs: Sequence[JobAssignment]) -> list[Answer]:
        """Write job assignments to take away."""
        rows = [(one.idnumber, one.account) for one in jobs]
        return await self._write("remove_job_assignment", ("idnumber", "user_idnumber"), rows)

    async def find_account(self, idnumber: str) -> Candidate | None:
        """Return None: a folder cannot be asked."""
        del idnumber
        return None

    async def candidates(self, sought: Sequence[Sought]) -> list[list[Candidate]]:
        """Return nobody: a folder cannot be asked."""
        return [[] for _ in sought]

    async def adopt(self, lms_id: str, idnumber: str, *, instead_of: str = "") -> Answer:
        """Refuse: nobody was found whose account could be given another idnumber."""
        del lms_id, idnumber, instead_of
        return Answer("rejected", "not-by-this-driver")

    async def check(self) -> list[Finding]:
        """Return nothing: a folder takes what it is given."""
        return []

    async def news(self) -> list[News]:
        """Return nothing: what becomes of the files is not known here."""
        return []

    async def noted(self) -> None:
        """Nothing was told."""

    async def close(self) -> None:
        """Nothing to let go of."""

    async def _write_accounts(self, operation: str, accounts: Sequence[Account]) -> list[Answer]:
        names = sorted({field.name for account in accounts for field in account.fields})
        header = (*_ACCOUNT, *(f"profile_{name}" for name in names))
        return await self._write(operation, header, [_row(account, names) for account in accounts])

    async def _write(self, operation: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[Answer]:
        if rows:
            await asyncio.to_thread(self._write_file, operation, header, rows)
        return [Answer("accepted")] * len(rows)

    def _write_file(self, operation: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        stem = f"{operation}_{self._vpd}_{self._clock.today():%Y%m%d}"
        # Not their count: whoever collects the files may have taken some away, and none may be written over.
        number = 1 + max((int(path.stem.rpartition("_")[2]) for path in self._folder.glob(f"{stem}_*.csv")), default=0)
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(header)
        writer.writerows(rows)
        put_file(self._folder / f"{stem}_{number:04d}.csv", text.getvalue().encode())


def _row(account: Account, names: Sequence[str]) -> tuple[str, ...]:
    values = {field.name: field.value for field in account.fields}
    return (
        account.idnumber,
        account.username,
        account.first_name,
        account.middle_names,
        account.last_name,
        account.email,
        account.auth,
        account.account_type,
        *(values.get(name, "") for name in names),
    )


def _job(one: JobAssignment) -> tuple[str, ...]:
    return (
        one.idnumber,
        one.account,
        one.full_name,
        one.start,
        one.end,
        one.organisation,
        one.position,
        one.manager,
        one.manager_job,
    )
