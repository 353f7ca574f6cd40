"""Settles items under the locks of their completion files, tells what changed, and gives each line its fate."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from services.confirmations import locks, oddities, settled_rows
from services.confirmations.attribution import SILENT, Attributed, attribute
from services.confirmations.domain import Detail, FileAnswer, Item, Outcome, Settled, Whole, settle
from services.confirmations.file_answers import head_findings, whole_file
from services.confirmations.intake import CMC
from services.confirmations.locks import FileKey
from services.confirmations.metrics import count_refusals
from services.confirmations.oddities import Pair
from shared import events
from shared.accounting import Fate
from shared.db.unit import Unit, Work

REST: Final = 2000
"""Items settled at once by an answer to their file."""

Lines = Mapping[FileKey, Collection[int]]
"""Lines heard of, by confirmation file."""


class Settler:
    """Brings items to where the answers stored so far put them. Every method may run at any time, in any replica."""

    def __init__(self, work: Work, details: Mapping[str, Detail]) -> None:
        """``details``: which records each trust's confirmations list."""
        self._work = work
        self._details = details

    async def answered(self, unit: Unit, lines: Lines, *, first: bool = True) -> Attributed:
        """Settle what lines of confirmation files say; return what they are about, and where there is more."""
        found = Attributed()
        for key in sorted(lines):
            await attribute(unit.connection, key, lines[key], found, first=first)
        for vpd, file, line in found.waiting:
            unit.settle(vpd, file, line, Fate.PARKED_NOTHING_SENT)
        await self._settle(unit, found.pairs, found.files, found)
        return found

    async def sent(self, unit: Unit, pairs: Collection[Pair]) -> set[FileKey]:
        """Settle items that were just heard of; return their files."""
        files = {pair[:2] for pair in pairs}
        await self._settle(unit, set(pairs), files, Attributed())
        return files

    async def rest(self, files: Collection[FileKey]) -> None:
        """Settle what has no answer of its own by the answers to its file, in as many transactions as it takes."""
        for file in sorted(files):
            position = 0
            while position >= 0:
                async with self._work.unit() as unit:
                    position = await self._rest(unit, file, position)
                count_refusals(unit.messages)

    async def _rest(self, unit: Unit, file: FileKey, position: int) -> int:
        await locks.sent_files(unit.connection, [file])
        whole = (await self._wholes(unit.connection, [file])).get(file)
        if whole is None:
            return -1
        rows = await settled_rows.without_answer(unit.connection, file, whole.version, position, REST)
        await self._pairs(unit, {(*file, row.reference) for row in rows}, {file: whole})
        return rows[-1].position if len(rows) == REST else -1

    async def _settle(self, unit: Unit, pairs: set[Pair], files: set[FileKey], found: Attributed) -> None:
        files = files | {pair[:2] for pair in pairs}
        known = await locks.sent_files(unit.connection, files)
        await found.write(unit.connection)
        await self._pairs(unit, pairs, await self._wholes(unit.connection, files))
        await self._heads(unit, {file for file, sent in known.items() if sent}, files)

    async def _wholes(self, connection: AsyncConnection, files: Iterable[FileKey]) -> dict[FileKey, Whole]:
        heads: dict[FileKey, list[FileAnswer]] = defaultdict(list)
        for row in await settled_rows.heads(connection, files):
            heads[row.vpd, row.sent_file].append(settled_rows.as_head(row))
        found = {file: whole_file(said, self._detail(file)) for file, said in heads.items()}
        return {file: whole for file, whole in found.items() if whole is not None}

    def _detail(self, file: FileKey) -> Detail:
        return self._details.get(file[0], "every_record")

    async def _pairs(self, unit: Unit, pairs: Collection[Pair], wholes: Mapping[FileKey, Whole]) -> None:
        """Settle the items of each reference in a file."""
        items, answers = await settled_rows.load(unit.connection, pairs)
        changed: list[tuple[Row[Any], Item]] = []
        results: dict[Pair, Settled] = {}
        for pair in sorted(set(items) | set(answers)):
            held = items.get(pair, [])
            result = settle([settled_rows.as_item(row) for row in held], answers.get(pair, []), wholes.get(pair[:2]))
            results[pair] = result
            for version, fate in result.fates.items():
                unit.settle(pair[0], version.file, version.line, fate)
            changed += [
                (row, now) for row, now in zip(held, result.items, strict=True) if settled_rows.as_item(row) != now
            ]
        await self._save(unit, changed)
        await settled_rows.save_fits(unit.connection, {pair for pair in answers if pair in items})
        await oddities.save_findings(unit.connection, results)

    async def _save(self, unit: Unit, changed: Collection[tuple[Row[Any], Item]]) -> None:
        counts: dict[FileKey, Counter[str]] = defaultdict(Counter)
        moment = self._work.clock.now()
        rows = []
        for row, now in changed:
            news = settled_rows.as_item(row).outcome != now.outcome
            revision = row.revision + news
            rows.append(_columns(row, now, revision, moment if news else row.settled_at))
            counts[row.vpd, row.sent_file][row.state] -= 1
            counts[row.vpd, row.sent_file][now.outcome.state] += 1
            if news:
                _announce(unit, row, now, revision)
        await settled_rows.save(unit.connection, rows)
        await settled_rows.count(unit.connection, counts)

    async def _heads(self, unit: Unit, known: set[FileKey], files: Iterable[FileKey]) -> None:
        """Tell the answers to files that were sent, once, and find what is odd about them."""
        rows = await settled_rows.heads(unit.connection, files)
        failed = {(row.vpd, row.sent_file) for row in rows if row.status == "FAIL"}
        confirmed = await settled_rows.with_confirmed(unit.connection, failed)
        findings: dict[tuple[str, str, int], tuple[Row[Any], set[str]]] = {}
        for row in rows:
            file = (row.vpd, row.sent_file)
            if file not in known:
                unit.settle(row.vpd, row.file, row.line, Fate.PARKED_NOTHING_SENT)
                continue
            odd = head_findings(settled_rows.as_head(row), self._detail(file), confirmed=file in confirmed)
            findings[row.vpd, row.file, row.line] = (row, odd)
            unit.settle(row.vpd, row.file, row.line, Fate.UNCHANGED if row.status == SILENT else Fate.APPLIED)
            if not row.known:
                _announce_file(unit, row)
        await oddities.save_head_findings(unit.connection, findings)


def _columns(row: Row[Any], now: Item, revision: int, settled_at: datetime | None) -> dict[str, Any]:
    return {
        "vpd": row.vpd, "sent_file": row.sent_file, "position": row.position,
        "state": now.outcome.state, "code": now.outcome.code, "warning": now.outcome.warning,
        "esr_record_id": now.outcome.esr_record_id, "revision": revision, "own": now.own,
        "answer_file": now.version.file, "answer_no": now.version.file_no, "answer_line": now.version.line,
        "settled_at": settled_at,
    }  # fmt: skip


def _announce(unit: Unit, row: Row[Any], now: Item, revision: int) -> None:
    said: Outcome = now.outcome
    about: dict[str, Any] = {
        "vpd": row.vpd, "cause": events.Cause(CMC, now.version.file, now.version.file_no), "reference": row.reference,
        "person_id": row.person_id, "key": row.key, "code": said.code, "warning": said.warning,
        "sent_file": row.sent_file, "position": row.position, "change": row.change, "revision": revision,
    }  # fmt: skip
    if said.state == "confirmed":
        event: events.CompletionAnswer = events.CompletionConfirmed(
            **about, esr_record_id=said.esr_record_id, competence_id=row.competence_id, achieved_on=row.achieved_on,
            expires_on=row.expires_on,
        )  # fmt: skip
    else:
        event = events.CompletionRejected(**about)
    unit.emit(event, row.sent_file, row.position, revision)


def _announce_file(unit: Unit, row: Row[Any]) -> None:
    event = events.CompletionFileAnswered(
        vpd=row.vpd, cause=events.Cause(CMC, row.file, row.file_no), sent_file=row.sent_file, status=row.status,
        code=row.code,
    )  # fmt: skip
    unit.emit(event, row.file, row.line)
