"""What ESR answered to each item that told of a completion: kept by item, and said of the completion.

An item is a record in a completion file. Of several items of one completion the last that left says where it stands.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared import events

Said = events.CompletionAnswer | events.ConfirmationOverdue


def among(heard: Iterable[events.Event]) -> list[Said]:
    """Return the events that tell where an item stands with ESR."""
    return [one for one in heard if isinstance(one, events.CompletionAnswer | events.ConfirmationOverdue)]


async def note(connection: AsyncConnection, said: Sequence[Said], moment: datetime) -> None:
    """Store answers; the newest to an item stands, whatever order they come in, and any stands above silence."""
    newest: dict[tuple[str, str, int, str], Said] = {}
    for one in said:
        identity = (one.vpd, one.sent_file, one.position, one.reference)
        if identity not in newest or _revision(newest[identity]) <= _revision(one):
            newest[identity] = one
    if newest:
        await connection.execute(_NOTE, _columns([newest[key] for key in sorted(newest)], moment))


def _revision(one: Said) -> int:
    return one.revision if isinstance(one, events.CompletionAnswer) else 0


def _state(one: Said) -> str:
    if isinstance(one, events.ConfirmationOverdue):
        return "overdue"
    return "confirmed" if isinstance(one, events.CompletionConfirmed) else "rejected"


def _columns(said: Iterable[Said], moment: datetime) -> dict[str, object]:
    ordered = list(said)
    return {
        "vpd": [one.vpd for one in ordered],
        "person_id": [one.person_id for one in ordered],
        "key": [one.key for one in ordered],
        "sent_file": [one.sent_file for one in ordered],
        "position": [one.position for one in ordered],
        "reference": [one.reference for one in ordered],
        "change": [one.change for one in ordered],
        "state": [_state(one) for one in ordered],
        "code": [one.code if isinstance(one, events.CompletionAnswer) else "" for one in ordered],
        **{
            name: [getattr(one, name) if isinstance(one, events.CompletionConfirmed) else "" for one in ordered]
            for name in ("esr_record_id", "competence_id", "achieved_on", "expires_on")
        },
        "revision": [_revision(one) for one in ordered],
        "heard_at": moment,
    }


_NOTE: Final = text("""
WITH noted AS (
    INSERT INTO competency.answers AS held (vpd, person_id, key, sent_file, position, reference, change, state, code,
        esr_record_id, competence_id, achieved_on, expires_on, revision, heard_at)
    SELECT vpd, person_id, key, sent_file, position, reference, change, state, code, esr_record_id, competence_id,
        achieved_on, expires_on, revision, CAST(:heard_at AS timestamptz)
    FROM unnest(CAST(:vpd AS text[]), CAST(:person_id AS text[]), CAST(:key AS text[]), CAST(:sent_file AS text[]),
        CAST(:position AS int[]), CAST(:reference AS text[]), CAST(:change AS text[]), CAST(:state AS text[]),
        CAST(:code AS text[]), CAST(:esr_record_id AS text[]), CAST(:competence_id AS text[]),
        CAST(:achieved_on AS text[]), CAST(:expires_on AS text[]), CAST(:revision AS bigint[]))
        AS t(vpd, person_id, key, sent_file, position, reference, change, state, code, esr_record_id, competence_id,
            achieved_on, expires_on, revision)
    ON CONFLICT (vpd, person_id, key, sent_file, position) DO UPDATE SET state = excluded.state, code = excluded.code,
        esr_record_id = excluded.esr_record_id, competence_id = excluded.competence_id,
        achieved_on = excluded.achieved_on, expires_on = excluded.expires_on, revision = excluded.revision,
        heard_at = excluded.heard_at
    WHERE held.revision < excluded.revision OR (held.state = 'overdue' AND excluded.state <> 'overdue')
    RETURNING held.vpd, held.person_id, held.key, held.sent_file, held.position, held.change, held.state, held.code
), last AS (
    SELECT DISTINCT ON (vpd, person_id, key) vpd, person_id, key, state, code, change FROM (
        SELECT * FROM noted
        UNION ALL
        SELECT a.vpd, a.person_id, a.key, a.sent_file, a.position, a.change, a.state, a.code FROM competency.answers a
        JOIN (SELECT DISTINCT vpd, person_id, key FROM noted) n USING (vpd, person_id, key)
        WHERE NOT EXISTS (SELECT 1 FROM noted o WHERE (o.vpd, o.person_id, o.key, o.sent_file, o.position)
            = (a.vpd, a.person_id, a.key, a.sent_file, a.position))
    ) AS each_item ORDER BY vpd, person_id, key, sent_file DESC, position DESC
)
UPDATE competency.decisions d SET answer = trim(CASE WHEN last.change IN ('new', 'resend') THEN ''
    ELSE last.change || ' ' END || last.state || ' ' || last.code)
FROM last WHERE (d.vpd, d.person_id, d.source, d.key) = (last.vpd, last.person_id, 'lms', last.key)
""")
