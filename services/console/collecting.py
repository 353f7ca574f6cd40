"""Which letters a plan is about, and what is to be expected of each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console import store
from services.console.checking import Schemas
from services.console.forecast import Forecast, Known, forecast, forecast_discard
from services.console.search import Search, first, order
from services.console.tables import LETTERS, LINE_FATES
from shared.accounting import Block, Fate, block_of
from shared.clock import Clock

STRETCH: Final = 1_000
"""Letters that are collected, discarded or opened again in one transaction."""

NO_SEARCH: Final[dict[str, Any]] = {"none": True}
"""What stands in the place of a search where letters were named one by one."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """How far collecting has come: letters so far, what they are to do, ids looked at, the letter collected last."""

    total: int
    expected: dict[str, int]
    seen: int
    last: str
    ended: bool


class Collector:
    """Adds letters to plans, stretch by stretch. The caller holds the operation's lock."""

    def __init__(self, clock: Clock, schemas: Schemas) -> None:
        self._clock = clock
        self._schemas = schemas

    async def add_some(self, connection: AsyncConnection, row: store.AnyRow) -> Stretch:
        """Add the next letters to a plan, each with what is to be expected of it."""
        search = None if row.selection == NO_SEARCH else msgspec.convert(row.selection, Search)
        letters = await (self._named(connection, row) if search is None else self._found(connection, row, search))
        counted = Counter(row.expected)
        if letters:
            told = await self._forecasts(connection, row, letters)
            await _add(connection, row, letters, told)
            counted.update(one.expected for one in told.values())
        seen = row.collected + STRETCH
        ended = seen >= len(row.ids) if search is None else len(letters) < STRETCH
        last = letters[-1].id if letters else row.after
        return Stretch(row.total + len(letters), dict(counted), seen, last, ended)

    async def _named(self, connection: AsyncConnection, row: store.AnyRow) -> Sequence[store.AnyRow]:
        wanted = row.ids[row.collected : row.collected + STRETCH]
        found = select(LETTERS).where(LETTERS.c.vpd == row.vpd, store.one_of(LETTERS.c.id, wanted))
        rows: Sequence[store.AnyRow] = (await connection.execute(found.order_by(*order(Search())))).all()
        return rows

    async def _found(self, connection: AsyncConnection, row: store.AnyRow, search: Search) -> Sequence[store.AnyRow]:
        """Return the next letters that match; those that came after the plan was asked for are not in it."""
        more = [LETTERS.c.first_at <= row.created_at]
        if row.ids:
            more.append(store.one_of(LETTERS.c.id, row.ids))
        last = await store.find(connection, row.vpd, row.after) if row.after else None
        return await first(connection, row.vpd, search, self._clock.now(), last, STRETCH, *more)

    async def _forecasts(
        self, connection: AsyncConnection, row: store.AnyRow, letters: Sequence[store.AnyRow]
    ) -> dict[str, Forecast]:
        fates = await _fates(connection, row.vpd, letters)
        newest = await _newest_applied(connection, row.vpd, sorted({one.subject for one in letters if one.subject}))
        judge = forecast if row.kind == "replay" else forecast_discard
        return {
            one.id: judge(
                Known(
                    state=one.state,
                    code=one.code,
                    queue=one.queue,
                    edited_since=one.edits > one.sent_edits,
                    hold_until=one.hold_until,
                    fate=fates.get((one.file, one.line), Fate.PENDING),
                    newer=newest.get(one.subject, (0, 0)) > (one.file_no, one.line),
                    findings=self._schemas.check(store.message_of(one)),
                ),
                self._clock.now(),
            )
            for one in letters
        }


async def _add(
    connection: AsyncConnection, row: store.AnyRow, letters: Sequence[store.AnyRow], told: Mapping[str, Forecast]
) -> None:
    await connection.execute(
        _ADD,
        {
            "vpd": row.vpd,
            "operation": row.id,
            "total": row.total,
            "letter": [one.id for one in letters],
            "replay": [one.replay for one in letters],
            "edits": [one.edits for one in letters],
            "line": [one.line for one in letters],
            "expected": [told[one.id].expected for one in letters],
            "because": [told[one.id].because for one in letters],
        },
    )


async def _fates(connection: AsyncConnection, vpd: str, letters: Sequence[store.AnyRow]) -> dict[tuple[str, int], Fate]:
    """Return what owners have announced of these letters' lines, as far as it was heard here."""
    keys = sorted({(one.file, block_of(one.line)) for one in letters if one.line})
    query_ = select(LINE_FATES).where(LINE_FATES.c.vpd == vpd, tuple_(LINE_FATES.c.file, LINE_FATES.c.block).in_(keys))
    rows = (await connection.execute(query_)).all() if keys else []
    blocks = {(row.file, row.block): Block(row.block, bytearray(row.cells)) for row in rows}
    return {
        (one.file, one.line): blocks[one.file, block_of(one.line)].get(one.line).fate
        for one in letters
        if one.line and (one.file, block_of(one.line)) in blocks
    }


async def _newest_applied(connection: AsyncConnection, vpd: str, subjects: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return, of records that failed and were applied after all, the newest version."""
    if not subjects:
        return {}
    query_ = select(LETTERS.c.subject, LETTERS.c.file_no, LETTERS.c.line).where(
        LETTERS.c.vpd == vpd,
        LETTERS.c.subject != "",
        store.one_of(LETTERS.c.subject, subjects),
        LETTERS.c.state == "resolved",
        LETTERS.c.outcome.in_(("applied", "unchanged")),
    )
    newest: dict[str, tuple[int, int]] = {}
    for row in await connection.execute(query_):
        newest[row.subject] = max(newest.get(row.subject, (0, 0)), (row.file_no, row.line))
    return newest


_ADD: Final = text(
    "INSERT INTO console.operation_letters (vpd, operation, place, letter, replay, edits, line, expected, because, "
    "state) SELECT :vpd, :operation, :total + t.place, t.letter, t.replay, t.edits, t.line, t.expected, t.because, "
    "'waiting' FROM unnest(CAST(:letter AS text[]), CAST(:replay AS int[]), CAST(:edits AS int[]), "
    "CAST(:line AS int[]), CAST(:expected AS text[]), CAST(:because AS text[])) WITH ORDINALITY "
    "AS t(letter, replay, edits, line, expected, because, place)"
)
