"""Places files for HR Import, remembers what was in them, and finds out from the log what became of it."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Final, Literal

from services.outbound.lms import hr_import_log as log
from services.outbound.lms import hr_import_rows as rows
from services.outbound.lms.hr_import_memory import Heard, Memory, Sent
from services.outbound.lms.hr_import_rows import FORCED, Row
from services.outbound.lms.hr_import_slot import FileSlot
from services.outbound.lms.port import Answer, Finding, News
from shared.clock import Clock
from shared.errors import BridgeError, LmsBusyError
from shared.lms_settings import HrImportSettings

ELEMENTS: Final = ("org", "pos", "user", "jobassignment")

_KINDS: Final[dict[str, Literal["account", "job", "hierarchy"]]] = {
    "user": "account",
    "jobassignment": "job",
    "org": "hierarchy",
    "pos": "hierarchy",
}

DELETES: Final = Finding(
    "delete-mode",
    "HR Import deletes users in place of suspending them: set the user element's delete action to 'Suspend internal "
    "user' and 'hr_import.delete_mode' to suspend, then start again.",
)


class Shipper:
    """One folder and one log."""

    def __init__(self, slot: FileSlot, settings: HrImportSettings, clock: Clock, memory: Path | None) -> None:
        self._slot = slot
        self._settings = settings
        self._clock = clock
        self._memory = Memory.read(memory)
        self._returned = 0
        self._deletes = False

    @property
    def items(self) -> dict[str, bool]:
        """Organisations and positions sent so far, as ``<element>:<idnumber>``; whether they are known to be there."""
        return self._memory.items

    async def check(self) -> list[Finding]:
        """Look at the folder and read the log."""
        await self._slot.pending("user.csv")
        await self._listen()
        return [DELETES] if self._deletes else []

    async def news(self) -> list[News]:
        """Read the log and return what is not noted yet."""
        await self._listen()
        self._returned = len(self._memory.heard)
        return [News(_KINDS[one.element], one.key, Answer(one.status, one.code)) for one in self._memory.heard]

    def noted(self) -> None:
        """Forget what was returned last."""
        if not self._returned:
            return
        del self._memory.heard[: self._returned]
        self._returned = 0
        self._memory.keep()

    async def users(self, wanted: Iterable[Row], *, forced: bool = False, unheard: Collection[str] = ()) -> None:
        """Place ``user.csv``; no rows, no file. Of those ``unheard`` of, no news comes: they are to be sent again."""
        made = list(wanted)
        await self.place("user", rows.user_columns(made, self._settings), made, forced=forced, unheard=unheard)

    async def jobs(self, wanted: Iterable[Row], *, unheard: Collection[str] = ()) -> None:
        """Place ``jobassignment.csv``; no rows, no file."""
        await self.place("jobassignment", rows.job_columns(self._settings), list(wanted), unheard=unheard)

    async def free(self, element: str) -> None:
        """Raise LmsBusyError while a file of this kind waits to be imported."""
        if await self._slot.pending(f"{element}.csv"):
            raise LmsBusyError(f"'{element}.csv' still waits to be imported; another would overwrite it")

    async def place(
        self,
        element: str,
        columns: Sequence[str],
        wanted: Sequence[Row],
        *,
        forced: bool = False,
        unheard: Collection[str] = (),
    ) -> None:
        """Place a file. Raises LmsBusyError while one of its kind waits to be imported."""
        if not wanted:
            return
        await self.free(element)
        await self._listen()  # what is in the log by now is not of this file
        now = int(self._clock.now().timestamp())
        sent: list[Sent] = []
        made: list[Row] = []
        for row in wanted:
            cells = [f"{name}={row[name]}" for name in sorted(row)]
            modified, repeated = self._memory.modified(element, row["idnumber"], cells, now)
            made.append(row | {"timemodified": FORCED if forced else str(modified)})
            if row["idnumber"] not in unheard:
                sent.append(Sent(row["idnumber"], quiet=row["deleted"] == "1" or (repeated and not forced)))
        waiting = self._memory.shipments.setdefault(element, [])
        waiting += [sent] if sent else []
        self._memory.keep()  # before: of a file that nobody remembers nothing would ever be heard
        try:
            await self._slot.place(f"{element}.csv", rows.written(columns, made, self._settings))
        except BridgeError:
            if sent:
                waiting.remove(sent)
            self._memory.keep()
            raise
        if element in ("org", "pos"):
            for one in sent:
                self.items.setdefault(f"{element}:{one.key}", not self._settings.log)
            self._memory.keep()

    async def _listen(self) -> None:
        if not self._settings.log:
            return
        content = await self._slot.report(self._settings.log)
        if content is None:
            return
        for run in log.runs(log.read_log(content), self._memory.last_log_id):
            self._hear(run)
            self._memory.last_log_id = run.lines[-1].id
        self._memory.keep()

    def _hear(self, run: log.Run) -> None:
        if run.idle:
            return
        waiting = self._memory.shipments.get(run.element, [])
        for place, sent in enumerate(waiting):
            known = log.outcomes(run, sent)
            if known is None:
                continue
            del waiting[: place + 1]  # files go one after the other: one before it was never placed
            for key, answer in known.items():
                self._note(run.element, key, answer)
            return

    def _note(self, element: str, key: str, answer: Answer) -> None:
        if answer.code == "account-deleted":
            self._deletes = True
        if answer.status == "rejected":
            self._memory.rows.pop(f"{element}:{key}", None)  # the LMS does not hold it: it goes with a new time
        if element in ("org", "pos") and answer.status == "applied":
            self.items[f"{element}:{key}"] = True
        elif element in ("org", "pos") and not self.items.get(f"{element}:{key}"):
            self.items.pop(f"{element}:{key}", None)
        self._memory.heard.append(Heard(element, key, answer.status, answer.code))
