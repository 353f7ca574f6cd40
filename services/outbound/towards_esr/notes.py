"""The SQL by which events become what should stand with ESR, and what ESR said of it. All of it commutes.

Whatever changes something about a completion has it decided on again: ``look_on`` is set to the first of all days.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.outbound.desired import upsert
from shared import events

WANTED: Final = (events.CertificationCompleted, events.CertificationWithdrawn)


async def note_wanted(
    connection: AsyncConnection, said: Sequence[events.CertificationCompleted | events.CertificationWithdrawn]
) -> None:
    """Keep the newest word about each completion, also when it has left already."""
    for kind in WANTED:
        newest: dict[tuple[str, ...], Mapping[str, Any]] = {}
        for event in sorted((one for one in said if isinstance(one, kind)), key=lambda one: one.revision):
            newest[event.vpd, event.person_id, event.key] = {
                "revision": event.revision,
                "file_no": event.cause.file_no if event.cause.stream == "lms" else 0,
                "content": msgspec.json.encode(event).decode(),
                "withdrawn": kind is events.CertificationWithdrawn,
            }
        await upsert(connection, _WANTED, newest, ("vpd", "person_id", "key"))


async def note_answers(connection: AsyncConnection, said: Sequence[events.CompletionAnswer]) -> None:
    """Note ESR's newest answer to each item, whether or not it is known yet that the item was delivered."""
    newest: dict[tuple[str, ...], events.CompletionAnswer] = {}
    for event in sorted(said, key=lambda one: one.revision):
        newest[event.vpd, event.reference, event.sent_file] = event
    rows = {
        key: {
            "state": "confirmed" if isinstance(event, events.CompletionConfirmed) else "rejected",
            "code": event.code,
            "esr_record_id": getattr(event, "esr_record_id", ""),
            "revision": event.revision,
        }
        for key, event in newest.items()
    }
    await _note(connection, _ANSWERS, rows)


async def note_overdue(connection: AsyncConnection, said: Sequence[events.ConfirmationOverdue]) -> None:
    """Note that answers are late. One that has come meanwhile counts all the same."""
    rows: dict[tuple[str, ...], Mapping[str, Any]] = {
        (one.vpd, one.reference, one.sent_file): {"due_at": one.due_at} for one in said
    }
    await _note(connection, _OVERDUE, rows)


async def _note(
    connection: AsyncConnection, statement: TextClause, rows: Mapping[tuple[str, ...], Mapping[str, Any]]
) -> None:
    """Note something of items; then show where their completions stand, as their newest items tell."""
    if not rows:
        return
    ordered = sorted(rows)
    columns: dict[str, list[Any]] = {
        name: [key[index] for key in ordered] for index, name in enumerate(("vpd", "reference", "sent_file"))
    }
    for name in rows[ordered[0]]:
        columns[name] = [rows[key][name] for key in ordered]
    touched = sorted({tuple(row) for row in await connection.execute(statement, columns)})
    if touched:
        names = ("vpd", "person_id", "key")
        said = {name: list(column) for name, column in zip(names, zip(*touched, strict=True), strict=True)}
        await connection.execute(_STANDS, said)


async def note_file_answers(connection: AsyncConnection, said: Sequence[events.CompletionFileAnswered]) -> None:
    """Note what ESR said of whole files: the newest counts, and that it had a file before says nothing of it."""
    newest: dict[tuple[str, ...], Mapping[str, Any]] = {}
    for event in sorted(said, key=_weight):
        newest[event.vpd, event.sent_file] = {
            "status": event.status,
            "code": event.code,
            "file_no": event.cause.file_no,
        }
    await upsert(connection, _FILES, newest, ("vpd", "name"))


def _weight(event: events.CompletionFileAnswered) -> tuple[bool, int, str]:
    return (event.status != "DUPLICATE", event.cause.file_no, event.status)


async def look_again(connection: AsyncConnection, said: Sequence[events.PersonEvent]) -> None:
    """Have decided again what may wait for news of a person."""
    rows: dict[tuple[str, ...], Mapping[str, Any]] = {(one.vpd, one.person.person_id): {} for one in said}
    await upsert(connection, _PEOPLE, rows, ("vpd", "person_id"))


_WANTED: Final = text("""
INSERT INTO outbound.completions AS held (vpd, person_id, key, revision, file_no, content, content_revision, withdrawn,
    state, look_on)
SELECT vpd, person_id, key, revision, file_no, CASE WHEN withdrawn THEN '{}' ELSE CAST(content AS jsonb) END,
    CASE WHEN withdrawn THEN 0 ELSE revision END, withdrawn, CASE WHEN withdrawn THEN 'withdrawn' ELSE 'waiting' END,
    '0001-01-01'
FROM unnest(CAST(:vpd AS text[]), CAST(:person_id AS text[]), CAST(:key AS text[]), CAST(:revision AS bigint[]),
    CAST(:file_no AS bigint[]), CAST(:content AS text[]), CAST(:withdrawn AS boolean[]))
    AS t(vpd, person_id, key, revision, file_no, content, withdrawn)
ON CONFLICT (vpd, person_id, key) DO UPDATE SET look_on = excluded.look_on,
    revision = GREATEST(held.revision, excluded.revision),
    content_revision = GREATEST(held.content_revision, excluded.content_revision),
    content = CASE WHEN held.content_revision < excluded.content_revision THEN excluded.content ELSE held.content END,
    file_no = CASE WHEN held.revision < excluded.revision THEN excluded.file_no ELSE held.file_no END,
    withdrawn = CASE WHEN held.revision < excluded.revision THEN excluded.withdrawn ELSE held.withdrawn END,
    state = CASE WHEN held.revision < excluded.revision AND held.state IN ('waiting', 'withdrawn', 'unsendable')
        THEN excluded.state ELSE held.state END,
    code = CASE WHEN held.revision < excluded.revision AND held.state IN ('waiting', 'withdrawn', 'unsendable')
        THEN '' ELSE held.code END
WHERE held.revision < excluded.revision OR held.content_revision < excluded.content_revision
""")

# Events of earlier releases name no file: they mean the newest item of their reference.
_ANSWERS: Final = text("""
UPDATE outbound.items i SET state = t.state, code = t.code, esr_record_id = t.esr_record_id,
    answer_revision = t.revision
FROM unnest(CAST(:vpd AS text[]), CAST(:reference AS text[]), CAST(:sent_file AS text[]), CAST(:state AS text[]),
    CAST(:code AS text[]), CAST(:esr_record_id AS text[]), CAST(:revision AS bigint[]))
    AS t(vpd, reference, sent_file, state, code, esr_record_id, revision)
WHERE (i.vpd, i.reference) = (t.vpd, t.reference) AND i.sent_file = CASE WHEN t.sent_file <> '' THEN t.sent_file ELSE
    (SELECT n.sent_file FROM outbound.items n WHERE (n.vpd, n.reference) = (t.vpd, t.reference)
        ORDER BY n.file_number DESC LIMIT 1) END AND i.answer_revision <= t.revision RETURNING i.vpd, i.person_id, i.key
""")

_OVERDUE: Final = text("""
UPDATE outbound.items i SET overdue_since = CAST(t.due_at AS timestamptz)
FROM unnest(CAST(:vpd AS text[]), CAST(:reference AS text[]), CAST(:sent_file AS text[]), CAST(:due_at AS text[]))
    AS t(vpd, reference, sent_file, due_at)
WHERE (i.vpd, i.reference) = (t.vpd, t.reference) AND i.sent_file = CASE WHEN t.sent_file <> '' THEN t.sent_file ELSE
    (SELECT n.sent_file FROM outbound.items n WHERE (n.vpd, n.reference) = (t.vpd, t.reference)
        ORDER BY n.file_number DESC LIMIT 1) END AND i.overdue_since IS NULL RETURNING i.vpd, i.person_id, i.key
""")

_STANDS: Final = text("""
UPDATE outbound.completions c SET look_on = '0001-01-01', code = n.code,
    state = CASE WHEN n.state = 'confirmed' AND n.change = 'withdrawal' THEN 'withdrawn'
        WHEN c.state = 'settled' AND n.state <> 'confirmed' THEN c.state
        WHEN n.state IN ('written', 'sent') AND n.overdue_since IS NOT NULL THEN 'overdue' ELSE n.state END
FROM (SELECT DISTINCT ON (i.vpd, i.person_id, i.key) i.* FROM outbound.items i
    JOIN unnest(CAST(:vpd AS text[]), CAST(:person_id AS text[]), CAST(:key AS text[])) AS t(vpd, person_id, key)
    USING (vpd, person_id, key) ORDER BY i.vpd, i.person_id, i.key, i.file_number DESC, i.position DESC) n
WHERE (c.vpd, c.person_id, c.key) = (n.vpd, n.person_id, n.key)
""")

_FILES: Final = text("""
UPDATE outbound.outfiles f SET answer = t.status, answer_code = t.code, answer_no = t.file_no
FROM unnest(CAST(:vpd AS text[]), CAST(:name AS text[]), CAST(:status AS text[]), CAST(:code AS text[]),
    CAST(:file_no AS bigint[])) AS t(vpd, name, status, code, file_no)
WHERE (f.vpd, f.name) = (t.vpd, t.name) AND (f.answer = ''
    OR (f.answer <> 'DUPLICATE', f.answer_no, f.answer) < (t.status <> 'DUPLICATE', t.file_no, t.status))
""")

_PEOPLE: Final = text("""
UPDATE outbound.completions c SET look_on = '0001-01-01'
FROM unnest(CAST(:vpd AS text[]), CAST(:person_id AS text[])) AS t(vpd, person_id)
WHERE (c.vpd, c.person_id) = (t.vpd, t.person_id)
    AND c.state IN ('waiting', 'withheld', 'rejected', 'unsendable', 'overdue')
""")
