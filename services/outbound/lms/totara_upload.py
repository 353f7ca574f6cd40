"""Driver ``totara-completion-upload``: completions and evidence as files for Totara's upload of completion records.

The upload is a form: somebody, or a script of the site's, takes a file from the folder and submits it with the import
action "certify if more recent", evidence files with "create evidence". Nothing answers, so what is written is
"accepted"; the certification report tells later what became of it. One file lies in the folder at most, and the next
appears two seconds after it is gone: the product tells uploads apart by the second they were made in.
"""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from services.outbound.lms.hr_import_slot import FileSlot
from services.outbound.lms.port import Account, Answer, Certification, Evidence, Finding, News
from services.outbound.lms.totara_upload_memory import Memory
from services.outbound.lms.totara_upload_rows import UploadRow, choose, completion_row, evidence_row, written
from shared.clock import Clock
from shared.errors import LmsBusyError
from shared.lms_settings import CompletionUploadSettings

Held = Callable[[str], Awaitable[Account | None]]
"""Returns the account with an idnumber as the LMS last accepted it, or None: the upload knows user names only."""

COMPLETIONS: Final = "completions"
EVIDENCE: Final = "evidence"

PATTERN: Final = "esrbridge-*.csv"
"""Names of our files, of every kind and trust."""

GAP: Final = 2.0
"""Seconds between one file and the next."""

LATER_FILE: Final = "later-file"
"""Of what has to wait: another date of the pair is in this file, or the file is full."""

ACCEPTED: Final = Answer("accepted")


class CompletionUpload:
    """Files for one site's upload form."""

    def __init__(
        self,
        settings: CompletionUploadSettings,
        vpd: str,
        slot: FileSlot,
        clock: Clock,
        held: Held,
        *,
        memory: Path | None = None,
    ) -> None:
        """Read the memory file. Raises ConfigurationError when it cannot be used."""
        self._settings = settings
        self._vpd = vpd
        self._slot = slot
        self._clock = clock
        self._held = held
        self._memory = Memory.read(memory)

    async def check(self) -> list[Finding]:
        """Look whether the folder can be reached; what is chosen on the form cannot be seen from here."""
        await self._slot.waiting(PATTERN)
        return []

    async def news(self) -> list[News]:
        """Return nothing: the upload tells whoever submitted the form, and nobody else."""
        return []

    async def noted(self) -> None:
        """Nothing was told."""

    async def close(self) -> None:
        """Nothing to let go of."""

    async def record_completion(self, certifications: Sequence[Certification]) -> list[Answer]:
        """Write completions to a file, one of each person and certification; others are unknown and wait."""
        names = await self._usernames([one.idnumber for one in certifications])
        today = self._clock.today()
        rows = [
            completion_row(one, names[one.idnumber], today, self._settings)
            if one.idnumber in names
            else "account-not-known"
            for one in certifications
        ]
        return await self._send(COMPLETIONS, rows)

    async def add_evidence(self, evidence: Sequence[Evidence]) -> list[Answer]:
        """Write evidence to a file of its own; what was sent once is not sent again."""
        names = await self._usernames([one.idnumber for one in evidence])
        today = self._clock.today()
        rows = [
            evidence_row(one, names[one.idnumber], today, self._settings)
            if one.idnumber in names
            else "account-not-known"
            for one in evidence
        ]
        return await self._send(EVIDENCE, rows)

    async def _usernames(self, idnumbers: Sequence[str]) -> dict[str, str]:
        found = {idnumber: await self._held(idnumber) for idnumber in dict.fromkeys(idnumbers)}
        return {idnumber: account.username for idnumber, account in found.items() if account is not None}

    async def _send(self, kind: str, rows: Sequence[UploadRow | str]) -> list[Answer]:
        sound = [row for row in rows if isinstance(row, UploadRow)]
        done: set[str] = set()
        if sound:
            waits = await self._look()
            done = set(self._memory.pending) | (self._memory.evidence if kind == EVIDENCE else set())
            chosen = choose((row for row in sound if row.digest not in done), self._settings.rows)
            if chosen:
                self._may_place(waits=waits)
                await self._place(kind, chosen)
            done |= {row.digest for row in chosen}
        return [_answer(row, done) for row in rows]

    async def _look(self) -> bool:
        """Return whether a file waits, ours or another's.

        Of one of ours that is gone the rows are forgotten, so that they may be sent anew. One that is there although
        the process died as it was placed is known by its name.
        """
        memory = self._memory
        waits = await self._slot.waiting(PATTERN)
        if not memory.pending:
            return waits
        if not waits or not await self._slot.pending(memory.name):
            memory.pending = []
            memory.gone_at = self._clock.now().timestamp()
            memory.keep()
        elif f"-{EVIDENCE}-" in memory.name:
            memory.evidence |= set(memory.pending)
        return waits

    def _may_place(self, *, waits: bool) -> None:
        """Raise LmsBusyError while a file waits, or the last one was taken only just now."""
        if waits:
            raise LmsBusyError("a file still waits to be uploaded; the next one comes after it")
        if 0 <= self._clock.now().timestamp() - self._memory.gone_at < GAP:
            raise LmsBusyError("a file was taken only just now; the next one comes two seconds later")

    async def _place(self, kind: str, rows: Sequence[UploadRow]) -> None:
        """Put a file into the folder. What is in it is written down before.

        If the process dies in between and somebody takes the file before it is back, the rows are sent again: rather
        twice than never.
        """
        memory, now = self._memory, self._clock.now()
        memory.number += 1
        memory.name = f"esrbridge-{kind}-{self._vpd}-{now:%Y%m%d-%H%M%S}-{memory.number:06d}.csv"
        memory.pending = [row.digest for row in rows]
        memory.keep()
        await self._slot.place(memory.name, written(rows, self._settings))
        if kind == EVIDENCE:
            memory.evidence |= set(memory.pending)
            memory.keep()


def _answer(row: UploadRow | str, done: set[str]) -> Answer:
    if isinstance(row, str):
        return Answer("rejected", row)
    return ACCEPTED if row.digest in done else Answer("unknown", LATER_FILE)
