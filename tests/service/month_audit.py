"""Whether both sides' books agree: every file as it left, the bridge's own tables, and what ESR really holds."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import text

from esrbridge.embedded import Bridge
from sandbox.esr_format import NEVER, lines_of, parse_name, split, values_of
from services.outbound.towards_esr import store as towards_esr
from services.outbound.towards_esr.held import Item, doubtful, is_its_own, loaded, perhaps_gone
from tests.service.month_world import Trust

SETTLED: Final = {"confirmed", "withdrawn", "held_by_esr", "withheld", "settled", "rejected", "unsendable"}
"""States of completions of which nothing is to be heard any more, unless somebody or something is waited for."""

NAMED: Final = {"", "person", "content", "day"}
"""What a settled one may wait for: a cause that ESR or the LMS has to mend, and that is named."""


def faults_of_files(trust: Trust) -> list[str]:
    """Return what is wrong with the completion files that left: numbers, windows, references, resends."""
    files = sorted(name for name in trust.post.sent if (parts := parse_name(name)) and parts.kind == "CMP")
    wrong = [] if [_number(name) for name in files] == list(range(1, len(files) + 1)) else [f"numbers: {files}"]
    end, seen = NEVER, dict[str, dict[str, str]]()
    for name in files:
        header, *records, trailer = [split(one) for one in lines_of(trust.post.sent[name])]
        if header[4] != end or not header[4] < header[5]:
            wrong.append(f"{name}: window {header[4]} to {header[5]} after {end}")
        end = header[5]
        if trailer != ["TRL", str(len(records))]:
            wrong.append(f"{name}: trailer {trailer}")
        here = [fields[1] for fields in records]
        if len(set(here)) != len(here):
            wrong.append(f"{name}: a reference twice")
        for fields in records:
            wrong += [f"{name}: {one}" for one in _faults_of_record(fields, seen)]
    return wrong


def _number(name: str) -> int:
    parts = parse_name(name)
    return parts.sequence if parts else 0


def _faults_of_record(fields: list[str], seen: dict[str, dict[str, str]]) -> list[str]:
    """A reference is new once; whatever repeats it says so, and says the same. What is taken back was sent."""
    reference = fields[1]
    if fields[0] == "TCD":
        return [] if reference in seen else [f"{reference} is taken back and was never sent"]
    said = values_of(fields)
    before = seen.get(reference)
    if before is None:
        seen[reference] = said
        replaced = said["replaces_reference"]
        wrong = [] if said["change_reason"] in ("NEW", "CORRECTION") else [f"{reference} begins as a resend"]
        return wrong if not replaced or replaced in seen else [*wrong, f"{reference} replaces what was never sent"]
    what = ("person_id", "competence_id", "date_from", "date_to")
    same = all(said[one] == before[one] for one in what)
    return [] if same and said["change_reason"] == "RESEND" else [f"{reference} comes again and is no resend"]


async def faults_of_books(bridge: Bridge, trust: Trust) -> list[str]:
    """Return where the bridge's two books, or its book and ESR's, differ. Everything must have been settled."""
    ours = await _rows(bridge, "outbound", _SENT, trust.vpd)
    theirs = await _rows(bridge, "confirmations", _ANSWERED, trust.vpd)
    wrong = [f"only in one book: {one}" for one in sorted(_both(ours) ^ _both(theirs))]
    sums = await _rows(bridge, "confirmations", _SUMS, trust.vpd)
    wrong += [
        f"does not add up: {row}" for row in sums if row["sent"] != row["confirmed"] + row["refused"] + row["open"]
    ]
    lives = defaultdict[tuple[str, str], list[Item]](list)
    for row in ours:
        lives[row["person_id"], row["key"]].append(towards_esr.item_of(row["item"]))
    for key, items in lives.items():
        wrong += _against_esr(trust, key, items)
    standing = await _rows(bridge, "outbound", _STANDING, trust.vpd)
    wrong += [f"not settled: {row}" for row in standing if row["state"] not in SETTLED or row["waits_for"] not in NAMED]
    silent = await _rows(bridge, "confirmations", _NOT_NAMED, trust.vpd)
    return [*wrong, *(f"open and nobody told of it: {row}" for row in silent)]


def _both(rows: Sequence[Mapping[str, Any]]) -> set[tuple[str, ...]]:
    """Return items as both books know them: where they stood, what they asked, and what was answered."""
    names = ("sent_file", "position", "reference", "change", "replaces", "state", "code")
    return {tuple(str(row[name]) for name in names) for row in rows}


def _against_esr(trust: Trust, key: tuple[str, str], items: Sequence[Item]) -> list[str]:
    """ESR holds what we take it to hold, but for what it never answered.

    What it only said it holds already (B208) may stand under this reference, whose first answer was lost, or under
    an entry of ESR's own.
    """
    truth = trust.esr.truth()
    references = {item.reference for item in items}
    held = {one for one in references if truth.loaded(one) is not None}
    unsure = set(doubtful(items)) | perhaps_gone(items)
    ours = set(loaded(items))
    unsure |= {one for one in ours if not is_its_own(one, items)}
    differ = (held ^ ours) - unsure
    return [f"{key}: ESR {'holds' if one in held else 'does not hold'} {one}" for one in sorted(differ)]


async def _rows(bridge: Bridge, service: str, query: str, vpd: str) -> Sequence[Mapping[str, Any]]:
    async with bridge.components[service].work.engine.connect() as connection:
        return [dict(row) for row in (await connection.execute(text(query), {"vpd": vpd})).mappings()]


_SENT: Final = """
SELECT sent_file, position, reference, change, replaces, person_id, key, code,
    CASE WHEN state IN ('written', 'sent') THEN 'open' ELSE state END AS state, to_jsonb(i) AS item
FROM outbound.items i WHERE vpd = :vpd ORDER BY file_number, position
"""

_ANSWERED: Final = """
SELECT sent_file, position, reference, change, replaces, state, code FROM confirmations.items WHERE vpd = :vpd
"""

_SUMS: Final = """
SELECT f.sent_file, f.sent, f.confirmed, f.refused, (SELECT count(*) FROM confirmations.items i
    WHERE (i.vpd, i.sent_file, i.state) = (f.vpd, f.sent_file, 'open')) AS open
FROM confirmations.sent_files f WHERE f.vpd = :vpd AND f.sent > 0
"""

_STANDING: Final = """
SELECT person_id, key, state, code, waits_for FROM outbound.completions WHERE vpd = :vpd
"""

_NOT_NAMED: Final = """
SELECT sent_file, position, reference FROM confirmations.items
WHERE vpd = :vpd AND state = 'open' AND overdue_at IS NULL
"""
