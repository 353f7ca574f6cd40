"""Which file may be applied next. No I/O here.

ESR numbers its files per counter, and each changes file begins where the last file ended. A file is applied only
after all before it, and only when the one before is wholly accounted for, so that what a trust sees is always the
state as of some file. Confirmations, the LMS's files and a trust's own lists are taken in any order, one at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final, Literal

from shared.esr.faults import FileCode
from shared.esr.layout import SEQUENCE_SPAN

Status = Literal[
    "received", "checked", "held", "quarantined", "refused", "discarded", "ready", "splitting", "split", "complete"
]  # fmt: skip

ACCEPTED: Final = frozenset({"ready", "splitting", "split", "complete"})
"""Statuses of files that are being applied or have been."""

WAITING: Final = frozenset({"checked", "held"})
"""Statuses of sound files that have not been let in yet."""

FEED: Final = "feed"
"""The counter of full and changes files; the others carry no state of people."""

LMS: Final = "lms"
"""The stream of completion files from the LMS; they have no numbers of their own, so any order will do."""

TRUST: Final = "trust"
"""The stream of a trust's own lists of people; like the LMS's files, in any order."""

RELEASABLE: Final = frozenset({FileCode.F006, FileCode.F008, FileCode.F016, FileCode.F017, FileCode.F018})
"""Why a file is held, and what an operator may overrule. What is refused stays refused: F014, F015."""

WEEK: Final = timedelta(days=7)

_OK: Final = ("", "")


@dataclass(frozen=True, slots=True)
class Policy:
    """What a trust and its profile decided about order (switches of the profile, numbers of ``bridge.yaml``)."""

    hold_gaps: bool = True
    check_windows: bool = True
    number_may_fall: bool = False
    """A full file may begin the count anew."""
    full_files_a_week: int = 0
    """More than so many full files in seven days wait for an operator; zero: any number."""
    absent_percent: float = 100.0
    """A full file that leaves out a larger share of the people waits for an operator."""


@dataclass(frozen=True, slots=True)
class Absence:
    """How many of the people held a full file leaves out."""

    absent: int
    held: int

    @property
    def percent(self) -> float:
        """The share that would disappear, 0 when nobody is held."""
        return 100 * self.absent / self.held if self.held else 0.0


@dataclass(frozen=True, slots=True)
class File:
    """A file as far as order is concerned. Times are naive UK local times."""

    name: str
    sha256: str
    number: int
    """Date and sequence as one sortable number: the version of every fact in the file."""
    seq: int
    mode: str
    status: Status
    code: str = ""
    previous_run: datetime | None = None
    current_run: datetime | None = None
    released: bool = False
    """An operator let it in although something keeps it back."""
    absence: Absence | None = None
    """For a full file whose turn it may be."""

    @property
    def day(self) -> date:
        """The date in the file's name."""
        return datetime.strptime(str(self.number // SEQUENCE_SPAN), "%Y%m%d").date()  # noqa: DTZ007 - a date only


@dataclass(frozen=True, slots=True)
class Ruling:
    """What becomes of a waiting file, and why."""

    file: File
    status: Status
    code: str = ""
    reason: str = ""


def rule(stream: str, files: Sequence[File], policy: Policy = Policy()) -> list[Ruling]:
    """Return what changes for the waiting files of one stream of one trust, oldest first."""
    return _Rulings(stream, files, policy).all()


class _Rulings:
    """Goes through the waiting files of a stream, each as if those before it had been applied."""

    def __init__(self, stream: str, files: Sequence[File], policy: Policy) -> None:
        self._stream = stream
        self._policy = policy
        self._waiting = sorted(
            (one for one in files if one.status in WAITING), key=lambda one: (one.number, one.sha256)
        )
        self._accepted = sorted((one for one in files if one.status in ACCEPTED), key=lambda one: one.number)
        self._busy = any(one.status != "complete" for one in self._accepted)
        # Nobody waits for a number that is here and will never be applied.
        self._passed = {one.seq for one in files if one.status == "discarded"}

    def all(self) -> list[Ruling]:
        rulings: list[Ruling] = []
        for file in self._waiting:
            ruling = self._one(file)
            if (ruling.status, ruling.code) != (file.status, file.code):
                rulings.append(ruling)
            if ruling.code == FileCode.F017:
                self._passed.add(file.seq)  # one full file too many does not keep the changes after it waiting
            if ruling.status in ("ready", "checked"):  # one that only waits its turn leaves no gap before the next
                self._busy = True
                self._accepted.append(file)
        return rulings

    def _one(self, file: File) -> Ruling:
        code, reason = self._objection(file)
        if code and not (file.released and code in RELEASABLE):
            return Ruling(file, "held" if code in RELEASABLE else "refused", code, reason)
        return Ruling(file, "checked" if self._busy else "ready")

    def _objection(self, file: File) -> tuple[str, str]:
        """Return why a file may not be applied now or ever: code and sentence, empty when it may."""
        if any(file.name == one.name for one in self._accepted):
            return FileCode.F014, "a file of this name with other content was applied before; this one is refused"
        # A confirmation answers item by item and rests on no other; one that is lost must not keep back the rest.
        if self._stream in (LMS, TRUST) or file.mode == "confirm":
            return _OK
        if not self._accepted:
            too_early = self._stream == FEED and file.mode != "full"
            sentence = "no full file has been applied for this trust; changes wait for one"
            return (FileCode.F016, sentence) if too_early else _OK
        last = self._accepted[-1]
        if file.number <= last.number:
            return FileCode.F015, f"a later file, number {last.seq:08d}, was applied before; this one is too old"
        return self._after_full(file, last) if file.mode == "full" else self._after(file, last)

    def _after(self, file: File, last: File) -> tuple[str, str]:
        """Return what keeps a changes file or a confirmation from following the last file."""
        expected = last.seq + 1
        while expected in self._passed:
            expected += 1
        if self._policy.hold_gaps and file.seq != expected:
            return FileCode.F006, f"expected number {expected:08d}, received {file.seq:08d}; it waits for the gap"
        meets = self._stream != FEED or file.mode != "changes" or file.previous_run == last.current_run
        if self._policy.check_windows and not meets:
            return FileCode.F008, (
                "its window does not begin where the last file ended; request a full file, or release it"
            )
        return _OK

    def _after_full(self, file: File, last: File) -> tuple[str, str]:
        """Return what keeps a full file back. It tells everything anew: it is the way out of a gap that never fills."""
        if file.seq <= last.seq and not self._policy.number_may_fall:
            return FileCode.F006, f"expected a number above {last.seq:08d}, received {file.seq:08d}"
        recent = sum(one.mode == "full" and file.day - one.day < WEEK for one in self._accepted)
        limit = self._policy.full_files_a_week
        if limit and recent >= limit:
            return FileCode.F017, f"{recent} full files came within seven days, {limit} are agreed; it waits"
        # Whoever a file before it still brings would be counted as missing.
        if file.absence and not self._busy and file.absence.percent > self._policy.absent_percent:
            absent, held = file.absence.absent, file.absence.held
            return FileCode.F018, f"{absent} of {held} people held are not in it; it waits for an operator"
        return _OK


def snapshot_moment(now: datetime, last_window_end: datetime | None) -> datetime:
    """Return the moment a requested full file has to show, so that it leaves neither gap nor overlap.

    ESR's windows end once a day at the same local time, midnight unless a file said otherwise. The request names the
    next such moment, so that the changes after it begin there, and has to be delivered before it (ESR GO, deltas).
    Naive UK local times.
    """
    at = last_window_end.time() if last_window_end else time()
    after = max(now, last_window_end) if last_window_end else now
    moment = datetime.combine(after.date(), at)
    return moment if moment > after else moment + timedelta(days=1)
