"""Tells ESR what became of each file: a confirmation (CTC) for every file taken, refused or repeated.

A confirmation is written whole beside the archive, noted with its number, and only then put into ``to-esr``; so
numbers have no gaps and a confirmation that was begun is delivered byte for byte, whenever the process died.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import structlog

from services.ingest import answers_store as store
from services.ingest.details import TEXT_LENGTH, Detail, Verdict, details, writable
from services.ingest.store import AnyRow
from shared import events
from shared.accounting import Fate, block_of
from shared.db.unit import Unit, Work
from shared.errors import FileRefusedError
from shared.esr.contract import prove_file
from shared.esr.faults import FileCode
from shared.esr.layout import Kind
from shared.esr.profile import Profile
from shared.esr.reader import read_records
from shared.esr.writer import write_records
from shared.files import copy_file, put_written

NAME_LENGTH: Final = 60

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Summary:
    """The CFH record: what is said of a file as a whole."""

    status: str
    read: int = 0
    warned: int = 0
    failed: int = 0
    kind: str = ""
    code: str = ""
    text: str = ""

    def columns(self, profile: Profile, file: str) -> dict[str, str]:
        """Return the record for the file of this name."""
        columns = {
            "confirmed_file": writable(profile, file)[:NAME_LENGTH] or "?",
            "file_status": self.status,
            "records_read": str(self.read),
            "records_success": str(self.read - self.failed),
            "records_warning": str(self.warned),
            "records_failed": str(self.failed),
            "message_type": self.kind,
            "message_code": self.code,
            "message_text": writable(profile, self.text)[:TEXT_LENGTH],
        }
        return {name: value for name, value in columns.items() if value}


class Answers:
    """Writes and delivers the confirmations of every trust whose profile has any."""

    def __init__(
        self,
        work: Work,
        profiles: Mapping[str, Profile],
        files: Path,
        archived: Callable[[str, str], Path],
    ) -> None:
        self._work = work
        self._profiles = profiles
        self._files = files
        self._archived = archived

    async def run(self) -> int:
        """Answer what has not been answered; return how many confirmations were written or delivered."""
        async with self._work.engine.connect() as connection:
            waiting = await store.unanswered(connection, sorted(self._profiles))
        written = 0
        failed: Exception | None = None
        for row in waiting:
            try:
                written += await self._answer(row)
            except (OSError, FileRefusedError) as error:
                # Its bytes are gone, the disk is full, or what we wrote is against the contract. Others must not wait.
                log.warning("file cannot be answered", vpd=row.vpd, file=row.name, error=type(error).__name__)
                failed = error
        written += await self._deliver()
        if failed is not None:
            raise failed
        return written

    async def _answer(self, row: AnyRow) -> int:
        profile = self._profiles[row.vpd]
        kind = answering_kind(profile, row.kind) if row.origin == "esr" else None
        async with self._work.unit() as unit:
            fresh = await store.lock(unit.connection, row)
            if fresh is None:
                return 0
            if kind is None:
                await store.mark_nobody_waits(unit.connection, fresh)
                return 0
            repeat = fresh.answered or fresh.status not in ("complete", "quarantined", "refused", "discarded")
            await self._write(unit, profile, kind, fresh, repeat=repeat)
            await store.mark_answered(unit.connection, fresh, repeat=repeat)
        return 1

    async def _write(self, unit: Unit, profile: Profile, kind: Kind, row: AnyRow, *, repeat: bool) -> None:
        last = await store.last(unit.connection, row.vpd)
        number = last.number + 1 if last else profile.control.sequence.start
        now = self._work.clock.now().replace(tzinfo=None, microsecond=0)
        name = profile.file_name(row.vpd, kind.code, now.date(), number)
        summary, told = await self._say(unit, profile, kind, row, repeat=repeat)
        staged = self._staged(row.vpd, name)

        def write(target: BinaryIO) -> None:
            write_records(
                target,
                profile,
                kind.code,
                vpd=row.vpd,
                date=now.date(),
                seq=number,
                created=now,
                previous_run=last.current_run if last else None,
                current_run=now,
                records=itertools.chain(
                    [("CFH", summary.columns(profile, row.name))], (("CFD", columns) for _, columns in told)
                ),
            )

        await asyncio.to_thread(put_written, staged, write)
        await asyncio.to_thread(prove_file, profile, name, staged, vpd=row.vpd)
        answer = store.Answer(row.vpd, number, name, row.name, row.sha256, summary.status, now)
        await store.keep(unit.connection, answer)
        said = events.FileConfirmed(
            vpd=row.vpd,
            cause=events.Cause(row.stream, row.name, row.number),
            status=summary.status,
            code=summary.code,
            confirmation=name,
        )
        unit.emit(said, name)

    async def _say(
        self, unit: Unit, profile: Profile, kind: Kind, row: AnyRow, *, repeat: bool
    ) -> tuple[Summary, Iterator[tuple[Verdict, dict[str, str]]]]:
        """Return what is said of the file, and of its records."""
        if repeat:
            code = FileCode.F007
            return Summary("DUPLICATE", kind="WARNING", code=code, text=code.meaning), iter(())
        if row.status != "complete":
            return Summary("FAIL", kind="ERROR", code=row.code, text=row.reason), iter(())
        blocks = {one.index: one for one in await self._work.ledger.blocks(unit.connection, (row.vpd, row.name))}
        codes = await store.codes(unit.connection, row.vpd, row.name)

        def fate_of(line: int) -> Fate:
            block = blocks.get(block_of(line))
            return block.get(line).fate if block else Fate.PENDING

        detail = profile.control.confirm_detail[kind.code]

        def told(detail: Detail) -> Iterator[tuple[Verdict, dict[str, str]]]:
            records = read_records(self._archived(row.vpd, row.sha256), profile, name=row.name)
            return details(profile, records, fate_of, codes, detail)

        counts = await asyncio.to_thread(_count, told("exceptions_only"))
        failed, warned = counts["failed"], counts["warned"]
        if not failed:
            return Summary("SUCCESS", row.records, warned), told(detail)
        text = f"{failed} of {row.records} records {'was' if failed == 1 else 'were'} not loaded"
        summary = Summary("PARTIAL", row.records, warned, failed, "WARNING", FileCode.F000, text)
        return summary, told(detail)

    async def _deliver(self) -> int:
        """Put written confirmations into the folders ESR collects from."""
        async with self._work.engine.connect() as connection:
            ready = await store.undelivered(connection, sorted(self._profiles))
        delivered = 0
        for row in ready:
            target = self._files / row.vpd / "to-esr" / row.name
            await asyncio.to_thread(copy_file, self._staged(row.vpd, row.name), target)
            async with self._work.engine.begin() as connection:
                delivered += await store.mark_delivered(connection, row, self._work.clock.now())
            log.info("confirmation delivered", vpd=row.vpd, file=row.name)
        return delivered

    def _staged(self, vpd: str, name: str) -> Path:
        """Return where a confirmation lies from before it is noted until its retention ends."""
        return self._archived(vpd, "").parent / "answers" / name


def _count(told: Iterator[tuple[Verdict, dict[str, str]]]) -> Counter[str]:
    return Counter("failed" if verdict.failed else "warned" for verdict, _ in told if verdict.kind)


def answering_kind(profile: Profile, kind: str) -> Kind | None:
    """Return the kind of file that answers files of a kind; None when nobody expects an answer.

    A file whose name tells no kind is answered like the feed's, where the profile has one answer only.
    """
    known = profile.kinds.get(kind)
    if known is not None:
        wanted = {known.confirmed_by} if known.flow == "esr_to_lms" else set()
    else:
        wanted = {one.code for one in profile.kinds.values() if one.flow == "lms_to_esr" and one.mode == "confirm"}
    codes = [code for code in wanted if code]
    return profile.kinds[codes[0]] if len(codes) == 1 else None
