"""Checks the structure of files that were taken, and rules which of them may be applied next."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from services.ingest import roster, store
from services.ingest.domain import FEED, WAITING, File, Policy, Ruling, rule
from services.ingest.source import Checked, Source
from shared import events
from shared.config import FileCalendar
from shared.db.unit import Unit, Work
from shared.esr.faults import FileCode
from shared.esr.profile import Profile

log = structlog.get_logger(__name__)


class Judge:
    """Looks into files, and lets in those whose turn it is."""

    def __init__(
        self,
        work: Work,
        sources: Mapping[tuple[str, str], Source],
        policies: Mapping[str, Policy],
        archived: Callable[[str, str], Path],
        on_break: Callable[[str], Awaitable[None]],
    ) -> None:
        """``on_break`` is told of a trust whose windows do not meet."""
        self._work = work
        self._sources = sources
        self._policies = policies
        self._archived = archived
        self._on_break = on_break

    async def run(self) -> int:
        """Check what was taken and rule on what waits; return how many things changed.

        Raises OSError when a file's bytes cannot be read, after everything else was done.
        """
        checked, failed = await self._check()
        changed = checked + await self._rule()
        if failed is not None:
            raise failed
        return changed

    async def _check(self) -> tuple[int, OSError | None]:
        async with self._work.engine.connect() as connection:
            waiting = await store.unchecked(connection, sorted({vpd for vpd, _ in self._sources}))
        done, failed = 0, None
        for row in waiting:
            try:
                await self._check_one(row)
                done += 1
            except OSError as error:  # its bytes cannot be read: the others must not wait for it
                log.warning("file cannot be checked", vpd=row.vpd, error=type(error).__name__)
                failed = error
        return done, failed

    async def _check_one(self, row: store.AnyRow) -> None:
        source = self._sources[row.vpd, row.origin]
        path = self._archived(row.vpd, row.sha256)
        checked = await asyncio.to_thread(source.check, path, row.name, row.vpd)
        async with self._work.unit() as unit:
            await store.lock_trust(unit.connection, row.vpd)
            if await store.set_checked(unit.connection, row.vpd, row.name, row.sha256, checked):
                if checked.faults:
                    _refuse(unit, row, checked)
                elif checked.stream == FEED:
                    await roster.note(unit.connection, row.vpd, row.sha256, source.people(path, row.name))

    async def _rule(self) -> int:
        changed = 0
        async with self._work.engine.connect() as connection:
            waiting = await store.streams_with_waiting(connection)
        for vpd, stream in waiting:
            if vpd not in self._policies:
                continue  # a trust that is no longer served; its files stay where they are
            async with self._work.unit() as unit:
                await store.lock_trust(unit.connection, vpd)
                files = await self._of_stream(unit, vpd, stream)
                rulings = rule(stream, files, self._policies[vpd])
                for ruling in rulings:
                    await store.apply_ruling(unit.connection, vpd, ruling)
                    if stream == FEED:
                        await _keep_roster(unit, vpd, ruling)
                    _announce(unit, vpd, stream, ruling)
                    changed += 1
            if any(ruling.code == FileCode.F008 for ruling in rulings):
                await self._on_break(vpd)
        return changed

    async def _of_stream(self, unit: Unit, vpd: str, stream: str) -> Sequence[File]:
        files = await store.of_stream(unit.connection, vpd, stream)
        return [
            replace(file, absence=await roster.absence(unit.connection, vpd, file.sha256))
            if stream == FEED and file.mode == "full" and file.status in WAITING
            else file
            for file in files
        ]


def policy_of(calendar: FileCalendar, profile: Profile) -> Policy:
    """Return what a trust and its profile decided about the order of files."""
    control = profile.control
    return Policy(
        hold_gaps=control.sequence.gap == "hold",
        check_windows=control.window.check != "none",
        number_may_fall=control.sequence.reset_on_full,
        full_files_a_week=calendar.full_files_a_week,
        absent_percent=calendar.absent_percent,
    )


def _refuse(unit: Unit, row: store.AnyRow, checked: Checked) -> None:
    code = checked.faults[0].code
    said = events.FileQuarantined(vpd=row.vpd, cause=events.Cause("", row.name, 0), status="quarantined", code=code)
    unit.emit(said, row.name, row.sha256)
    # A name that is not the profile's may be anything, a person's too: it stays out of the log.
    log.warning("file quarantined", vpd=row.vpd, file=row.name if checked.stream else "", code=code)


async def _keep_roster(unit: Unit, vpd: str, ruling: Ruling) -> None:
    """Merge the people of a file that is let in, and report those whom a full file leaves out."""
    file = ruling.file
    if ruling.status == "refused":
        await roster.forget(unit.connection, vpd, file.sha256)
    if ruling.status != "ready":
        return
    absent = await roster.let_in(unit.connection, vpd, file)
    if absent:
        cause = events.Cause(FEED, file.name, file.number)
        unit.emit(events.PeopleAbsent(vpd=vpd, cause=cause, status="reported", absent=absent), file.name, file.sha256)
        log.warning("people left out of a full file", vpd=vpd, file=file.name, count=absent)


def _announce(unit: Unit, vpd: str, stream: str, ruling: Ruling) -> None:
    file = ruling.file
    cause = events.Cause(stream, file.name, file.number)
    if ruling.status == "held":
        unit.emit(events.FileHeld(vpd=vpd, cause=cause, status="held", code=ruling.code), *_identity(ruling))
        if ruling.code == FileCode.F017:
            surplus = events.FullFilesSurplus(vpd=vpd, cause=cause, status="held", code=ruling.code)
            unit.emit(surplus, *_identity(ruling))
    elif ruling.status == "refused":
        said = events.FileQuarantined(vpd=vpd, cause=cause, status="refused", code=ruling.code)
        unit.emit(said, *_identity(ruling))
    else:
        return
    log.warning("file not applied", vpd=vpd, file=file.name, status=ruling.status, code=ruling.code)


def _identity(ruling: Ruling) -> tuple[str, str, str]:
    return (ruling.file.name, ruling.file.sha256, ruling.code)
