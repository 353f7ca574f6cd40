"""Gathers one completion file in one transaction: decides page by page, and writes what is to leave.

Memory grows with the bytes of the file only: completions are read in pages, and a record is kept as packed text.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import msgspec

from services.outbound.towards_esr import outfiles, store
from services.outbound.towards_esr.content import LOAD, WITHDRAW, completion_record, person_columns, reference
from services.outbound.towards_esr.outfiles import OutFile, Record
from services.outbound.towards_esr.rules import decide
from services.outbound.towards_esr.store import Case
from services.outbound.towards_esr.terms import Next
from shared import events
from shared.config import TrustConfig
from shared.db.unit import Unit
from shared.esr.contract import prove_file
from shared.esr.profile import Profile
from shared.esr.reader import check_fields
from shared.esr.writer import write_file
from shared.events import Cause, Change, Person

KIND: Final = "CMP"
PAGE: Final = 1_000

_TOLD: Final = ("withheld", "held_by_esr", "unsendable")
"""States that are told of as withheld when they come about."""


@dataclass(slots=True)
class Gathered:
    """What one file takes up. ``left_over``: a limit kept something for the next file."""

    written: int = 0
    left_over: bool = False
    reference: int = 0
    packed: list[bytes] = field(default_factory=list)
    of_achievement: Counter[tuple[str, str]] = field(default_factory=Counter)

    def records(self) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Return the records as the writer wants them."""
        for one in self.packed:
            columns: dict[str, str] = msgspec.msgpack.decode(one)
            yield (LOAD if len(columns) > 1 else WITHDRAW), columns


class Gatherer:
    """Gathers the files of one trust. The caller holds the trust's lock."""

    def __init__(self, trust: TrustConfig, profile: Profile) -> None:
        self._trust = trust
        self._profile = profile

    async def file(self, unit: Unit, now: datetime, day: int) -> Gathered:
        """Write the next file, if anything is to leave; ``day`` (yyyymmdd) is that of its cut-off, 0 on demand."""
        last = await outfiles.last(unit.connection, self._trust.vpd)
        number = last.number + 1 if last else self._trust.completions.first_sequence
        run = run_after(last.current_run if last else None, now)
        name = self._profile.file_name(self._trust.vpd, KIND, run.date(), number)
        file = OutFile(self._trust.vpd, number, name, run)
        found = Gathered(reference=await store.counter(unit.connection, self._trust.vpd, "reference"))
        await self._gather(unit, file, found, now)
        if found.written:
            content = write_file(
                self._profile,
                KIND,
                vpd=self._trust.vpd,
                date=run.date(),
                seq=number,
                created=run,
                previous_run=last.current_run if last else None,
                current_run=run,
                records=found.records(),
            )
            prove_file(self._profile, name, content, vpd=self._trust.vpd)
            await outfiles.add(unit.connection, file, content, records=found.written, day=day)
            await store.set_counter(unit.connection, self._trust.vpd, "reference", found.reference)
        return found

    async def _gather(self, unit: Unit, file: OutFile, found: Gathered, now: datetime) -> None:
        after = ("", "")
        while found.written < self._trust.completions.rows_per_file:
            keys = await store.due(unit.connection, self._trust.vpd, now.date(), after, PAGE)
            if not keys:
                return
            cases = await store.cases(unit.connection, self._trust.vpd, keys)
            first = found.written + 1
            decided = self._decide_all(unit, cases, found, now)
            await store.save(unit.connection, self._trust.vpd, [(case, one) for case, one, _ in decided])
            records = [record for _, _, record in decided if record is not None]
            await outfiles.add_records(unit.connection, file, first, records, now)
            after = keys[-1]
        found.left_over = True

    def _decide_all(
        self, unit: Unit, cases: Sequence[Case], found: Gathered, now: datetime
    ) -> list[tuple[Case, Next, Record | None]]:
        decided: list[tuple[Case, Next, Record | None]] = []
        for case in cases:
            following = decide(case.wanted, case.items, case.whose, self._trust.completions, now.date())
            record = None
            if following.change:
                if not self._has_room(case, following, found):
                    continue
                record, following = self._make(case, following, following.change, found)
            if case.barred and following.state == "withdrawn":
                following = replace(following, code="O203")
            _tell(unit, self._trust.vpd, case, following)
            decided.append((case, following, record))
        return decided

    def _has_room(self, case: Case, following: Next, found: Gathered) -> bool:
        """Whether the file may hold one record more, of this person and competence."""
        of = (case.person_id, following.content.competence_id)
        policy = self._trust.completions
        if found.written >= policy.rows_per_file or found.of_achievement[of] >= policy.rows_per_achievement:
            found.left_over = True
            return False
        return True

    def _make(self, case: Case, following: Next, change: Change, found: Gathered) -> tuple[Record | None, Next]:
        """Make the record of a step, with its reference; or say that no file can carry it."""
        own = following.reference or reference(self._trust.vpd, found.reference + 1)
        record = _record(case, following, change, own)
        if change == "withdrawal":
            columns = {"lms_reference": own}
        else:
            person = case.person or Person(person_id=case.person_id, state="unknown")
            columns = completion_record(self._trust.vpd, own, person, record.content, change, record.replaces)
            faults = [one for one in check_fields(self._profile, LOAD, columns) if not one.warning]
            if faults:
                return None, Next("unsendable", code=faults[0].code, waits_for="content")
        found.written += 1
        found.reference += not following.reference
        found.of_achievement[case.person_id, record.content.competence_id] += 1
        found.packed.append(msgspec.msgpack.encode(columns))
        return record, following


def _record(case: Case, following: Next, change: Change, own: str) -> Record:
    return Record(
        person_id=case.person_id,
        key=case.key,
        reference=own,
        change=change,
        replaces=following.replaces,
        content=following.content,
        person=person_columns(case.person) if case.person else {},
        person_revision=case.person.revision if case.person else 0,
    )


def run_after(last: datetime | None, now: datetime) -> datetime:
    """Return the end of a file's window, UK local time: now, but always later than the end of the last one.

    In October an hour of local time comes twice, and a clock may be put back: then the window is a second long.
    """
    local = now.replace(tzinfo=None, microsecond=0)
    return local if last is None or local > last else last + timedelta(seconds=1)


def _tell(unit: Unit, vpd: str, case: Case, following: Next) -> None:
    """Tell of what is not sent, once for each reason."""
    if (following.state, following.code) == (case.state, case.code):
        return
    if following.state not in _TOLD:
        return
    said = Cause(**case.said["cause"]) if case.said.get("cause") else Cause("", "", 0)
    withheld = events.CompletionWithheld(
        vpd=vpd,
        cause=said,
        person_id=case.person_id,
        key=case.key,
        revision=case.revision,
        code=following.code,
    )
    revision = case.person.revision if case.person else 0
    unit.emit(withheld, case.person_id, case.key, case.revision, following.code, revision)
    if following.state == "unsendable":
        failed = events.DeliveryFailed(vpd=vpd, cause=said, subject=case.key, code=following.code)
        unit.emit(failed, case.key, case.revision)
