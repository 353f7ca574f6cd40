"""Completions gather and leave for ESR as one file per trust: written whole in the database first, then delivered.

The file's bytes, its number and its members are committed together before anything is put into the folder, so numbers
have no gaps and a file that was begun is delivered byte for byte, whenever the process died.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import msgspec
import structlog

from services.outbound import domain, queue
from services.outbound.locks import trust_lock
from shared import events
from shared.clock import Clock
from shared.config import TrustConfig
from shared.db.unit import Unit, Work
from shared.esr.contract import prove_file
from shared.esr.profile import Profile
from shared.esr.reader import check_fields
from shared.esr.writer import write_file
from shared.events import Cause
from shared.files import put_file

KIND: Final = "CMP"
RECORD: Final = "TCA"

ROWS: Final = 50_000
"""Records in one file at most (our default for ESR's unstated limit)."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Member:
    row: queue.Waiting
    reference: str
    columns: dict[str, str]


class CompletionFiles:
    """Writes and delivers the completion files of every trust."""

    def __init__(
        self, work: Work, trusts: Sequence[TrustConfig], profiles: Mapping[str, Profile], files: Path, clock: Clock
    ) -> None:
        self._work = work
        self._trusts = {trust.vpd: trust for trust in trusts}
        self._profiles = profiles
        self._files = files
        self._clock = clock
        self._kept: dict[str, int] = {}
        """The last day whose cut-off is known to have been kept, by trust: it spares asking the database."""

    async def at_cut_off(self) -> int:
        """Write the files of trusts whose cut-off has passed today, and deliver what is undelivered."""
        written = 0
        for trust in self._trusts.values():
            now = self._clock.now()
            day = int(now.strftime("%Y%m%d"))
            if now.strftime("%H:%M") >= trust.completions.cut_off and self._kept.get(trust.vpd) != day:
                written += await self.write(trust.vpd, once_on=day)
                self._kept[trust.vpd] = day
        return written + await self.deliver()

    async def write(self, vpd: str, *, once_on: int = 0) -> int:
        """Gather what waits into a file; return how many completions it holds.

        ``once_on``: do nothing if the cut-off of that day (yyyymmdd) has been kept already. A profile that has no such
        file, as Generic Outbound, lets completions wait.
        """
        trust = self._trusts[vpd]
        if KIND not in self._profiles[vpd].kinds:
            return 0
        async with trust_lock(self._work.engine, "completions", vpd) as free:
            if not free:
                return 0
            async with self._work.unit() as unit:
                if once_on and not await queue.keep_cut_off(unit.connection, vpd, once_on):
                    return 0
                held = trust.completions.hold_days
                upto = self._clock.today() - timedelta(days=held) if held else date.max
                waiting = await queue.waiting(unit.connection, vpd, ROWS, upto)
                members = await self._number(unit, trust, waiting)
                if members:
                    await self._write_file(unit, trust, members)
        return len(members)

    async def deliver(self) -> int:
        """Put written files into the folders ESR collects from, and tell that their completions were sent."""
        delivered = 0
        async with self._work.engine.connect() as connection:
            ready = await queue.undelivered(connection)
        for file in ready:
            put_file(self._files / file.vpd / "to-esr" / file.name, file.content)
            async with self._work.unit() as unit:
                if await queue.mark_delivered(unit.connection, file, self._clock.now()):
                    for sent in await queue.members(unit.connection, file):
                        _announce(unit, file, sent)
                    delivered += 1
                    log.info("completion file delivered", vpd=file.vpd, file=file.name)
        return delivered

    async def _number(self, unit: Unit, trust: TrustConfig, waiting: Sequence[queue.Waiting]) -> list[_Member]:
        """Give each sendable completion its reference; set aside what the profile says ESR could not read."""
        profile = self._profiles[trust.vpd]
        number = await queue.counter(unit.connection, trust.vpd, "reference")
        members: list[_Member] = []
        refused: list[tuple[queue.Waiting, str]] = []
        for row in waiting:
            reference = domain.reference(trust.vpd, number + len(members) + 1)
            said = msgspec.convert(row.content, events.CertificationCompleted)
            columns = domain.completion_record(trust.vpd, reference, said, row.person)
            faults = [fault for fault in check_fields(profile, RECORD, columns) if not fault.warning]
            if faults:
                refused.append((row, faults[0].code))
                failure = events.DeliveryFailed(vpd=trust.vpd, cause=said.cause, subject=row.key, code=faults[0].code)
                unit.emit(failure, row.key, row.revision)
            else:
                members.append(_Member(row, reference, columns))
        await queue.set_counter(unit.connection, trust.vpd, "reference", number + len(members))
        await queue.mark_unsendable(unit.connection, trust.vpd, refused)
        return members

    async def _write_file(self, unit: Unit, trust: TrustConfig, members: Sequence[_Member]) -> None:
        last = await queue.last_file(unit.connection, trust.vpd)
        number = last.number + 1 if last else trust.completions.first_sequence
        now = self._clock.now().replace(tzinfo=None, microsecond=0)
        profile = self._profiles[trust.vpd]
        content = write_file(
            profile,
            KIND,
            vpd=trust.vpd,
            date=now.date(),
            seq=number,
            created=now,
            previous_run=last.current_run if last else None,
            current_run=now,
            records=[(RECORD, member.columns) for member in members],
        )
        name = profile.file_name(trust.vpd, KIND, now.date(), number)
        prove_file(profile, name, content, vpd=trust.vpd)
        await queue.add_file(unit.connection, queue.OutFile(trust.vpd, number, name, now, content))
        await queue.mark_written(
            unit.connection,
            trust.vpd,
            name,
            [(member.row, member.reference, position) for position, member in enumerate(members, start=1)],
        )


def _announce(unit: Unit, file: queue.OutFile, sent: queue.Sent) -> None:
    said = msgspec.convert(sent.content, events.CertificationCompleted)
    event = events.CompletionSent(
        vpd=file.vpd,
        cause=Cause("", "", 0),
        reference=sent.reference,
        person_id=said.person_id,
        key=said.key,
        competence_id=said.competence_id,
        achieved_on=said.achieved_on,
        sent_file=file.name,
        position=sent.position,
    )
    unit.emit(event, sent.reference, file.name)
