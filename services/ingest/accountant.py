"""Keeps the account of every file: takes over the fates of its lines, and says when it adds up."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import structlog

from services.ingest import store
from services.ingest.answers_store import keep_codes
from shared import events, outcomes
from shared.accounting import Fate, LineFate
from shared.codes import MessageCode
from shared.db.ledger import FileKey
from shared.db.unit import Unit, Work
from shared.errors import RecordError
from shared.messaging.message import Message

QUEUE: Final = "ingest.outcomes"

log = structlog.get_logger(__name__)


class Accountant:
    """Consumes what the owners of lines say of them."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def on_outcomes(self, messages: Sequence[Message]) -> None:
        """Take over fates; a file whose last record got its fate is complete."""
        said: list[tuple[FileKey, LineFate]] = []
        codes: list[tuple[str, str, int, str]] = []
        async with self._work.unit() as unit:
            for message in messages:
                try:
                    found = outcomes.decode(message.body)
                    said += [((found.vpd, found.file), fate) for fate in found.fates()]
                    codes += [(found.vpd, found.file, line, code) for line, code in found.codes]
                except (msgspec.DecodeError, ValueError):
                    unit.put_aside(
                        message, QUEUE, RecordError(MessageCode.R901, "the message holds no fates this release knows")
                    )
            await keep_codes(unit.connection, codes)
            await account(unit, self._work, said, sorted({file for file, _ in said}))


async def account(unit: Unit, work: Work, said: Iterable[tuple[FileKey, LineFate]], files: Sequence[FileKey]) -> None:
    """Enter fates into the accounts of their files, and complete the files that then add up."""
    held = await store.lock_accepted(unit.connection, files)
    changes = defaultdict(list)
    for change in await work.ledger.adopt(unit.connection, [one for one in said if one[0] in held]):
        changes[change.file].append(change)
    for file, row in held.items():
        fates = store.fates_of(row)
        for change in changes[file]:
            fates[change.after.fate] += 1
            if change.before is not Fate.PENDING:
                fates[change.before] -= 1
        complete = row.status == "split" and sum(fates.values()) >= row.records
        if complete:
            shows = row.current_run.isoformat() if row.current_run else ""
            unit.emit(
                events.FileCompleted(
                    vpd=row.vpd,
                    cause=events.Cause(row.stream, row.name, row.number),
                    status="complete",
                    records=row.records,
                    mode=row.mode,
                    shows=shows,
                ),
                row.name,
                row.number,
            )
            log.info("file complete", vpd=row.vpd, file=row.name, records=row.records)
        if complete or changes[file]:
            moment = work.clock.now() if complete else None
            await store.save_fates(unit.connection, row, fates, complete_at=moment)
