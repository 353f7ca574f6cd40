"""Stores what is heard, each thing once and under its own key, before anything is made of it.

It is committed by itself: whoever settles from then on sees it, so either side of an answer may come first.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row as AnyRow
from sqlalchemy import Table, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.confirmations import locks
from services.confirmations.domain import Key, Said, SaidOfFile
from services.confirmations.schema import ANSWERS, CMC_FILES, FILE_ANSWERS, ITEMS
from shared import events, records
from shared.clock import LONDON
from shared.codes import MessageCode
from shared.errors import RecordError
from shared.records import Record

CMC: Final = "cmc"
"""The stream of confirmation files."""

Row = dict[str, Any]

_PAGE: Final = 1000
"""Rows of one statement: PostgreSQL takes 32,767 values."""


def answer_row(record: Record) -> tuple[Table, Row]:
    """Turn a confirmation record into a row. Raises RecordError for one that can never be of use."""
    version = record.version
    row: Row = {
        "vpd": record.message.vpd, "file": version.file, "line": version.line, "file_no": version.file_no,
    }  # fmt: skip
    if record.entity == "confirmation":
        said = records.read(record, Said)
        return ANSWERS, row | {
            "reference": said.echoed_reference,
            "position": _number(said.record_position),
            "record_type": said.confirmed_record_type,
            "status": said.load_status,
            "kind": said.message_type,
            "code": said.message_code,
            "esr_record_id": said.esr_record_id,
        }
    if record.entity == "confirmation_file":
        head = records.read(record, SaidOfFile)
        return FILE_ANSWERS, row | {
            "sent_file": head.confirmed_file,
            "status": head.file_status,
            "code": head.message_code,
            "success": _number(head.records_success),
            "warned": _number(head.records_warning),
            "failed": _number(head.records_failed),
        }
    raise RecordError(MessageCode.R903, f"{record.entity} is not a record that confirmations handles")


async def save_answers(connection: AsyncConnection, rows: Sequence[tuple[Table, Row]]) -> None:
    """Store answers; a line says the same for ever."""
    files = [{name: row[name] for name in ("vpd", "file", "file_no")} | {"prefix": 1} for _, row in rows]
    await insert_new(connection, CMC_FILES, files)
    for table in (ANSWERS, FILE_ANSWERS):
        await insert_new(connection, table, [row for kind, row in rows if kind is table])


async def save_complete(connection: AsyncConnection, said: Sequence[events.FileCompleted]) -> None:
    """Note that every record of these confirmation files has been handled."""
    rows = {
        (one.vpd, one.cause.file): {
            "vpd": one.vpd, "file": one.cause.file, "file_no": one.cause.file_no, "prefix": 1, "complete": True
        }
        for one in said
    }  # fmt: skip
    if rows:
        new = insert(CMC_FILES).values([rows[key] for key in sorted(rows)])
        await connection.execute(new.on_conflict_do_update(index_elements=["vpd", "file"], set_={"complete": True}))


async def save_items(connection: AsyncConnection, said: Iterable[tuple[events.CompletionSent, datetime]]) -> None:
    """Store items and count them. ``said``: each with the moment it was told, for senders that do not say their own."""
    rows: dict[Key, Row] = {}
    for event, told in said:
        rows.setdefault((event.vpd, event.sent_file, event.position), _item_row(event, told))
    if not rows:
        return
    await locks.sent_files(connection, {key[:2] for key in rows})
    counts: dict[tuple[str, str], Row] = {}
    for row in await _new_items(connection, [rows[key] for key in sorted(rows)]):
        held = counts.setdefault((row.vpd, row.sent_file), {"sent": 0, "at": row.sent_at, "on": row.sent_on})
        held["sent"] += 1
        held["at"], held["on"] = min(held["at"], row.sent_at), min(held["on"], row.sent_on)
    if counts:
        await connection.execute(
            _COUNT,
            {
                "vpd": [vpd for vpd, _ in counts],
                "file": [file for _, file in counts],
                **{name: [one[name] for one in counts.values()] for name in ("sent", "at", "on")},
            },
        )


async def _new_items(connection: AsyncConnection, rows: Sequence[Row]) -> list[AnyRow[Any]]:
    """Insert items and return those that were not there."""
    added: list[AnyRow[Any]] = []
    for start in range(0, len(rows), _PAGE):
        new = insert(ITEMS).values(rows[start : start + _PAGE]).on_conflict_do_nothing()
        added += await connection.execute(
            new.returning(ITEMS.c.vpd, ITEMS.c.sent_file, ITEMS.c.sent_at, ITEMS.c.sent_on)
        )
    return added


async def insert_new(connection: AsyncConnection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows that are not there yet, in key order."""
    names = [column.name for column in table.primary_key]
    ordered = sorted({tuple(row[name] for name in names): row for row in rows}.items())
    for start in range(0, len(ordered), _PAGE):
        page = [row for _, row in ordered[start : start + _PAGE]]
        await connection.execute(insert(table).values(page).on_conflict_do_nothing())


def _item_row(event: events.CompletionSent, told: datetime) -> Row:
    said = datetime.fromisoformat(event.sent_at) if event.sent_at else told
    sent_at = said.replace(tzinfo=LONDON) if said.tzinfo is None else said
    return {
        "vpd": event.vpd, "sent_file": event.sent_file, "position": event.position, "reference": event.reference,
        "person_id": event.person_id, "key": event.key, "competence_id": event.competence_id,
        "achieved_on": event.achieved_on, "expires_on": event.expires_on,
        "change": "resend" if event.resend and event.change == "new" else event.change, "replaces": event.replaces,
        "sent_at": sent_at, "sent_on": sent_at.astimezone(LONDON).date(), "state": "open",
    }  # fmt: skip


def _number(said: str) -> int:
    """Return a number of the format; 0 for what is none."""
    return int(said) if said.isascii() and said.isdigit() and len(said) <= 9 else 0


_COUNT: Final = text(
    "UPDATE confirmations.sent_files f SET sent = f.sent + t.sent, sent_at = least(f.sent_at, t.at), "
    'sent_on = least(f.sent_on, t."on") FROM unnest(CAST(:vpd AS text[]), CAST(:file AS text[]), '
    "CAST(:sent AS int[]), CAST(:at AS timestamptz[]), CAST(:on AS date[])) "
    'AS t(vpd, file, sent, at, "on") WHERE (f.vpd, f.sent_file) = (t.vpd, t.file)'
)
