"""Which file may be applied next. No I/O here.

ESR numbers its files per counter, and each changes file begins where the last file ended. A file is applied only
after all before it, and only when the one before is wholly accounted for, so that what a trust sees is always the
state as of some file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from shared.esr.faults import FileCode

Status = Literal[
    "received", "checked", "held", "quarantined", "refused", "ready", "splitting", "split", "complete"
]  # fmt: skip

ACCEPTED: Final = frozenset({"ready", "splitting", "split", "complete"})
"""Statuses of files that are being applied or have been."""

WAITING: Final = frozenset({"checked", "held"})
"""Statuses of sound files that have not been let in yet."""

FEED: Final = "feed"
"""The counter of full and changes files; the others carry no state of people."""

LMS: Final = "lms"
"""The stream of completion files from the LMS; they have no numbers of their own, so any order will do."""


_OK: Final = ("", "")


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


@dataclass(frozen=True, slots=True)
class Ruling:
    """What becomes of a waiting file, and why."""

    file: File
    status: Status
    code: str = ""
    reason: str = ""


def rule(stream: str, files: Sequence[File]) -> list[Ruling]:
    """Return what changes for the waiting files of one stream of one trust, oldest first."""
    accepted = sorted((file for file in files if file.status in ACCEPTED), key=lambda file: file.number)
    last = accepted[-1] if accepted else None
    busy = any(file.status != "complete" for file in accepted)
    rulings: list[Ruling] = []
    for file in sorted((one for one in files if one.status in WAITING), key=lambda one: (one.number, one.sha256)):
        ruling = _rule_one(stream, file, last, busy, {one.name for one in accepted})
        if (ruling.status, ruling.code) != (file.status, file.code):
            rulings.append(ruling)
        if ruling.status in ("ready", "checked"):  # one that only waits its turn leaves no gap before the next
            last, busy = file, True
            accepted.append(file)
    return rulings


def _rule_one(stream: str, file: File, last: File | None, busy: bool, names: set[str]) -> Ruling:
    code, reason = _objection(stream, file, last, names)
    if code in (FileCode.F014, FileCode.F015):
        return Ruling(file, "refused", code, reason)
    if code:
        return Ruling(file, "held", code, reason)
    return Ruling(file, "checked" if busy else "ready")


def _objection(stream: str, file: File, last: File | None, names: set[str]) -> tuple[str, str]:
    """Return why a file may not be applied now or ever: code and sentence, empty when it may."""
    if file.name in names:
        return FileCode.F014, "a file of this name with other content was applied before; this one is refused"
    if stream == LMS:
        return _OK
    if last is None:
        too_early = stream == FEED and file.mode != "full"
        return (
            (FileCode.F016, "no full file has been applied for this trust; changes wait for one") if too_early else _OK
        )
    return _after(stream, file, last)


def _after(stream: str, file: File, last: File) -> tuple[str, str]:
    """Return what keeps a file from following the last one."""
    if file.number <= last.number:
        return FileCode.F015, f"a later file, number {last.seq:08d}, was applied before; this one is too old"
    if file.mode == "full":
        return _OK  # it tells everything anew, whatever was lost before it: the way out of a gap that never fills
    if file.seq != last.seq + 1:
        return FileCode.F006, f"expected number {last.seq + 1:08d}, received {file.seq:08d}; it waits for the gap"
    if stream == FEED and file.mode == "changes" and file.previous_run != last.current_run:
        return FileCode.F008, "its window does not begin where the last file ended; it waits for an operator"
    return _OK
