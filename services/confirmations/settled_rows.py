"""Rows that settling reads and writes; whoever calls holds the locks of the completion files concerned."""

# ruff: noqa: S608 - statements are made of constants

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Row, and_, bindparam, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.confirmations import oddities
from services.confirmations.domain import Answer, FileAnswer, Item, Outcome, Said, outcome_of
from services.confirmations.locks import FileKey
from services.confirmations.oddities import Pair
from services.confirmations.schema import ITEMS
from shared.facts import Version


def as_item(row: Row[Any]) -> Item:
    """Read an item."""
    outcome = Outcome(row.state, row.code, row.warning, row.esr_record_id)
    return Item(row.position, row.change, outcome, Version(row.answer_file, row.answer_no, row.answer_line), row.own)


def as_head(row: Row[Any]) -> FileAnswer:
    """Read an answer to a file."""
    return FileAnswer(
        Version(row.file, row.file_no, row.line),
        row.status,
        row.code,
        (row.success, row.warned, row.failed),
        (row.seen_success, row.seen_warned, row.seen_failed),
        row.complete,
    )


def _as_answer(row: Row[Any]) -> Answer:
    said = Said(
        echoed_reference=row.reference, load_status=row.status, message_type=row.kind, message_code=row.code,
        esr_record_id=row.esr_record_id,
    )  # fmt: skip
    version = Version(row.file, row.file_no, row.line)
    return Answer(version, outcome_of(said), row.position, row.record_type, row.void)


async def load(
    connection: AsyncConnection, pairs: Collection[Pair]
) -> tuple[dict[Pair, list[Row[Any]]], dict[Pair, list[Answer]]]:
    """Return items, locked, and answers of each reference in a file."""
    columns = _pairs(pairs)
    items: dict[Pair, list[Row[Any]]] = defaultdict(list)
    answers: dict[Pair, list[Answer]] = defaultdict(list)
    for row in await connection.execute(_ITEMS, columns):
        items[row.vpd, row.sent_file, row.reference].append(row)
    for row in await connection.execute(_ANSWERS, columns):
        answers[row.vpd, row.sent_file, row.reference].append(_as_answer(row))
    return items, answers


async def heads(connection: AsyncConnection, files: Iterable[FileKey]) -> list[Row[Any]]:
    """Return every answer to each completion file as a whole."""
    return list(await connection.execute(_HEADS, _files(files)))


async def with_confirmed(connection: AsyncConnection, files: Iterable[FileKey]) -> set[FileKey]:
    """Return the completion files of which a record was confirmed by an answer of its own."""
    return {(row.vpd, row.sent_file) for row in await connection.execute(_CONFIRMED, _files(files))}


async def without_answer(
    connection: AsyncConnection, file: FileKey, settled_by: Version, after: int, most: int
) -> list[Row[Any]]:
    """Return items of a file without an answer of their own that another line than this one settled, or none."""
    query = (
        select(ITEMS.c.position, ITEMS.c.reference)
        .where(
            ITEMS.c.vpd == file[0],
            ITEMS.c.sent_file == file[1],
            ITEMS.c.position > after,
            ~ITEMS.c.own,
            tuple_(ITEMS.c.answer_file, ITEMS.c.answer_line) != (settled_by.file, settled_by.line),
        )
        .order_by(ITEMS.c.position)
    )
    return list(await connection.execute(query.limit(most)))


async def save(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
    """Store where items stand."""
    if rows:
        keys = ("vpd", "sent_file", "position")
        statement = (
            update(ITEMS)
            .where(and_(*(ITEMS.c[name] == bindparam(f"of_{name}") for name in keys)))
            .values({name: bindparam(f"to_{name}") for name in rows[0] if name not in keys})
        )
        named = [{f"{'of' if name in keys else 'to'}_{name}": value for name, value in row.items()} for row in rows]
        await connection.execute(statement, named)


async def count(connection: AsyncConnection, counts: Mapping[FileKey, Counter[str]]) -> None:
    """Add to the counts of completion files."""
    if counts:
        files = sorted(counts)
        columns = {
            "confirmed": [counts[file]["confirmed"] for file in files],
            "refused": [counts[file]["rejected"] for file in files],
        }
        await connection.execute(_COUNT, _files(files) | columns)


async def save_fits(connection: AsyncConnection, pairs: Collection[Pair]) -> None:
    """Note that the answers of these references have found what they answer."""
    if pairs:
        rows = list(await connection.execute(_FITS, _pairs(pairs)))
        await oddities.mend(connection, [(row.vpd, row.file, row.line) for row in rows if row.told], oddities.UNFIT)


def _pairs(pairs: Collection[Pair]) -> dict[str, list[str]]:
    ordered = sorted(pairs)
    return {name: [pair[place] for pair in ordered] for place, name in enumerate(("vpd", "file", "reference"))}


def _files(files: Iterable[FileKey]) -> dict[str, Any]:
    ordered = sorted(set(files))
    return {"vpd": [vpd for vpd, _ in ordered], "file": [file for _, file in ordered]}


_OF_PAIRS: Final = (
    "JOIN unnest(CAST(:vpd AS text[]), CAST(:file AS text[]), CAST(:reference AS text[])) "
    "AS t(vpd, sent_file, reference) USING (vpd, sent_file, reference)"
)
_OF_FILES: Final = (
    "JOIN unnest(CAST(:vpd AS text[]), CAST(:file AS text[])) AS t(vpd, sent_file) USING (vpd, sent_file)"
)
_ITEMS: Final = text(
    f"SELECT i.* FROM confirmations.items i {_OF_PAIRS} ORDER BY i.vpd, i.sent_file, i.position FOR UPDATE OF i"
)

_ANSWERS: Final = text(f"SELECT a.* FROM confirmations.answers a {_OF_PAIRS} ORDER BY a.vpd, a.file, a.line")

_HEADS: Final = text(
    "SELECT h.*, c.complete FROM confirmations.file_answers h "
    f"{_OF_FILES} JOIN confirmations.cmc_files c ON (c.vpd, c.file) = (h.vpd, h.file) ORDER BY h.vpd, h.file, h.line"
)

_CONFIRMED: Final = text(
    "SELECT t.vpd, t.sent_file FROM unnest(CAST(:vpd AS text[]), CAST(:file AS text[])) AS t(vpd, sent_file) "
    "WHERE EXISTS (SELECT FROM confirmations.items i WHERE (i.vpd, i.sent_file) = (t.vpd, t.sent_file) "
    "AND i.own AND i.state = 'confirmed')"
)

_COUNT: Final = text(
    "UPDATE confirmations.sent_files f SET confirmed = f.confirmed + t.confirmed, refused = f.refused + t.refused "
    "FROM unnest(CAST(:vpd AS text[]), CAST(:file AS text[]), CAST(:confirmed AS int[]), CAST(:refused AS int[])) "
    "AS t(vpd, sent_file, confirmed, refused) WHERE (f.vpd, f.sent_file) = (t.vpd, t.sent_file)"
)

_FITS: Final = text(
    "UPDATE confirmations.answers a SET fits = true FROM unnest(CAST(:vpd AS text[]), CAST(:file AS text[]), "
    "CAST(:reference AS text[])) AS t(vpd, sent_file, reference) WHERE (a.vpd, a.sent_file, a.reference) = "
    "(t.vpd, t.sent_file, t.reference) AND NOT a.fits RETURNING a.vpd, a.file, a.line, a.told"
)
