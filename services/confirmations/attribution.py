"""Which completion file an answer is about: the one that the ``CFH`` before it in its confirmation file names.

Lines may be heard in any order, so this is certain only once every line up to the answer is here, or the file complete.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.confirmations.locks import FileKey

SILENT: Final = "DUPLICATE"
"""Status of an answer to a file that says nothing of its records: they were answered before."""

MOST: Final = 2000
"""Lines looked at in one transaction, however many have waited for one that was missing."""


@dataclass(slots=True)
class Attributed:
    """What a confirmation file has become certain of."""

    pairs: set[tuple[str, str, str]] = field(default_factory=set)
    """(trust, completion file, reference) of answers to look at."""
    files: set[FileKey] = field(default_factory=set)
    """Completion files that were answered."""
    waiting: list[tuple[str, str, int]] = field(default_factory=list)
    """Lines of which it is not certain yet what they answer."""
    more: set[FileKey] = field(default_factory=set)
    """Confirmation files of which there is more to look at in another transaction."""
    writes: list[tuple[TextClause, dict[str, Any]]] = field(default_factory=list)
    """What to write down, once the completion files are locked too."""

    async def write(self, connection: AsyncConnection) -> None:
        """Write down what was found."""
        for statement, columns in self.writes:
            await connection.execute(statement, columns)


async def attribute(
    connection: AsyncConnection, key: FileKey, lines: Collection[int], found: Attributed, *, first: bool = True
) -> None:
    """Find out what the answers of one confirmation file are about; ``lines`` are those just heard of.

    Locks the confirmation file and writes nothing. ``first``: this is not the continuation of what was ``more``.
    """
    of = {"vpd": key[0], "file": key[1]}
    held = (await connection.execute(_LOCK, of)).one()
    upto, more = await _extend(connection, of, held.prefix, complete=held.complete)
    if more:
        found.more.add(key)
    heads = list(await connection.execute(_HEADS, of))
    late = [head.line for head in heads if first and head.line in lines and head.line <= held.prefix]
    after = min([held.prefix, *late])
    rows = list(await connection.execute(_ANSWERS, of | {"after": after, "upto": upto, "lines": sorted(lines)}))
    changed: list[tuple[int, Any]] = []
    for row in rows:
        head = _head_of(row.line, heads) if row.line <= upto else None
        if head is None:
            found.waiting.append((*key, row.line))
            continue
        if row.head != head.line:
            changed.append((row.line, head))
            if row.head:
                found.pairs.add((key[0], row.sent_file, row.reference))
        found.pairs.add((key[0], head.sent_file, row.reference))
    if changed:
        found.writes.append((_ATTRIBUTE, of | _columns(changed)))
    if held.complete:
        found.writes.append((_SEEN, of))
    if upto != held.prefix:
        found.writes.append((_PREFIX, of | {"prefix": upto}))
    found.files |= {(key[0], head.sent_file) for head in heads if held.complete or head.line in lines}


async def _extend(connection: AsyncConnection, of: dict[str, Any], prefix: int, *, complete: bool) -> tuple[int, bool]:
    """Return the line up to which all is here, and whether there may be more than is looked at in one go."""
    lines = list(await connection.scalars(_KNOWN, of | {"prefix": prefix, "most": MOST}))
    for line in lines:
        if line != prefix + 1 and not complete:
            return prefix, False
        prefix = line
    return prefix, len(lines) == MOST


def _head_of(line: int, heads: Sequence[Row[Any]]) -> Row[Any] | None:
    return next((head for head in reversed(heads) if head.line < line), None)


def _columns(changed: Sequence[tuple[int, Any]]) -> dict[str, Any]:
    return {
        "line": [line for line, _ in changed],
        "sent_file": [head.sent_file for _, head in changed],
        "head": [head.line for _, head in changed],
        "void": [head.status == SILENT for _, head in changed],
    }


_LOCK: Final = text("SELECT prefix, complete FROM confirmations.cmc_files WHERE (vpd, file) = (:vpd, :file) FOR UPDATE")

_KNOWN: Final = text(
    "SELECT line FROM confirmations.answers WHERE (vpd, file) = (:vpd, :file) AND line > :prefix UNION ALL "
    "SELECT line FROM confirmations.file_answers WHERE (vpd, file) = (:vpd, :file) AND line > :prefix ORDER BY 1 "
    "LIMIT :most"
)

_HEADS: Final = text(
    "SELECT line, sent_file, status FROM confirmations.file_answers WHERE (vpd, file) = (:vpd, :file) ORDER BY line"
)

_ANSWERS: Final = text(
    "SELECT line, reference, sent_file, head FROM confirmations.answers WHERE (vpd, file) = (:vpd, :file) "
    "AND ((line > :after AND line <= :upto) OR line = ANY(CAST(:lines AS int[]))) ORDER BY line"
)

_ATTRIBUTE: Final = text(
    "UPDATE confirmations.answers a SET sent_file = t.sent_file, head = t.head, void = t.void, fits = false "
    "FROM unnest(CAST(:line AS int[]), CAST(:sent_file AS text[]), CAST(:head AS int[]), CAST(:void AS boolean[])) "
    "AS t(line, sent_file, head, void) WHERE (a.vpd, a.file, a.line) = (:vpd, :file, t.line)"
)

_PREFIX: Final = text("UPDATE confirmations.cmc_files SET prefix = :prefix WHERE (vpd, file) = (:vpd, :file)")

_SEEN: Final = text(
    "UPDATE confirmations.file_answers h SET seen_success = s.success, seen_warned = s.warned, seen_failed = s.failed "
    "FROM (SELECT head, count(*) FILTER (WHERE status = 'SUCCESS') AS success, "
    "count(*) FILTER (WHERE status = 'SUCCESS' AND kind = 'WARNING') AS warned, "
    "count(*) FILTER (WHERE status <> 'SUCCESS') AS failed FROM confirmations.answers "
    "WHERE (vpd, file) = (:vpd, :file) AND head > 0 GROUP BY head) s "
    "WHERE (h.vpd, h.file, h.line) = (:vpd, :file, s.head)"
)
