"""What is odd about answers: stored while it stands, mended when it does so no longer; ``watch`` tells it."""

# ruff: noqa: S608 - statements are made of constants

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Row, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.confirmations.domain import Settled
from services.confirmations.schema import FINDINGS
from shared.codes import ConfirmationCode as C

Pair = tuple[str, str, str]
"""(trust, completion file, reference)."""

Line = tuple[str, str, int]
"""(trust, confirmation file, line)."""

UNFIT: Final = (C.C101, C.C102, C.C103, C.C108)
"""What is told of an answer while nothing fits it."""

_OF_ITEMS: Final = (C.C104, C.C105, C.C106)
_OF_HEADS: Final = (C.C107, C.C109, C.C110)


async def save_findings(connection: AsyncConnection, results: Mapping[Pair, Settled]) -> None:
    """Store what is odd about answers that fit, and mend what is so no longer."""
    found: dict[tuple[str, str, int, str], dict[str, Any]] = {}
    looked: list[Line] = []
    for (vpd, sent_file, reference), result in results.items():
        if not result.items:
            continue
        looked += [(vpd, version.file, version.line) for version in result.fates]
        for version, reason in result.findings:
            found[vpd, version.file, version.line, reason] = {
                "file_no": version.file_no, "reference": reference, "sent_file": sent_file,
            }  # fmt: skip
    await _store(connection, looked, found, _OF_ITEMS)


async def save_head_findings(connection: AsyncConnection, findings: Mapping[Line, tuple[Row[Any], set[str]]]) -> None:
    """Store what is odd about answers to files, mend what is so no longer, and note that the files are known."""
    found = {
        (*line, reason): {"file_no": row.file_no, "reference": "", "sent_file": row.sent_file}
        for line, (row, odd) in findings.items()
        for reason in odd
    }
    await _store(connection, list(findings), found, _OF_HEADS)
    fresh = [line for line, (row, _) in findings.items() if not row.known]
    if fresh:
        await connection.execute(_KNOWN, _lines(fresh))
        await mend(connection, fresh, UNFIT)


async def _store(
    connection: AsyncConnection,
    looked: Sequence[Line],
    found: Mapping[tuple[str, str, int, str], dict[str, Any]],
    kinds: Sequence[str],
) -> None:
    if looked:
        held = {tuple(row) for row in await connection.execute(_STANDING, _lines(looked) | {"kinds": list(kinds)})}
        gone = sorted(held - set(found))
        for vpd, file, line, reason in gone:
            await connection.execute(_mended((vpd, file, line), [reason]))
        for key in sorted(set(found) - held):
            names = dict(zip(("vpd", "file", "line", "reason"), key, strict=True))
            new = insert(FINDINGS).values(names | found[key] | {"stands": True})
            primary = ["vpd", "file", "line", "reason"]
            await connection.execute(new.on_conflict_do_update(index_elements=primary, set_={"stands": True}))


async def mend(connection: AsyncConnection, lines: Sequence[Line], reasons: Sequence[str]) -> None:
    """Say that what these lines were told to be odd for stands no longer."""
    for line in lines:
        await connection.execute(_mended(line, reasons))


def _mended(line: Line, reasons: Sequence[str]) -> Any:  # noqa: ANN401 - a statement
    """Say that findings stand no longer; what nobody was told of never was."""
    of = (FINDINGS.c.vpd == line[0], FINDINGS.c.file == line[1], FINDINGS.c.line == line[2])
    return update(FINDINGS).where(*of, FINDINGS.c.reason.in_(reasons)).values(stands=False)


def _lines(lines: Iterable[Line]) -> dict[str, Any]:
    ordered = sorted(set(lines))
    return {name: [line[place] for line in ordered] for place, name in enumerate(("vpd", "file", "line"))}


_OF_LINES: Final = "unnest(CAST(:vpd AS text[]), CAST(:file AS text[]), CAST(:line AS int[])) AS t(vpd, file, line)"

_KNOWN: Final = text(
    f"UPDATE confirmations.file_answers h SET known = true FROM {_OF_LINES} "
    "WHERE (h.vpd, h.file, h.line) = (t.vpd, t.file, t.line)"
)

_STANDING: Final = text(
    f"SELECT f.vpd, f.file, f.line, f.reason FROM confirmations.findings f JOIN {_OF_LINES} USING (vpd, file, line) "
    "WHERE f.stands AND f.reason = ANY(CAST(:kinds AS text[]))"
)
