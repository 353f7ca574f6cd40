"""The SQL by which events become desired state: array upserts that keep the newest revision."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.outbound.wanted import closes_on
from shared import events
from shared.account_settings import AccountPolicy


async def note_people(
    connection: AsyncConnection, said: Sequence[events.PersonEvent], policies: Mapping[str, AccountPolicy]
) -> None:
    """Keep the newest word about each person, with the day on which their account closes by the trust's policy."""
    newest: dict[tuple[str, ...], events.PersonEvent] = {}
    for event in sorted(said, key=lambda one: one.person.revision):
        newest[event.vpd, event.person.person_id] = event
    await upsert(
        connection,
        _ACCOUNTS,
        {
            key: {
                "revision": event.person.revision,
                "file_no": event.cause.file_no,
                "stream": event.cause.stream or "feed",
                "person": msgspec.json.encode(event.person).decode(),
                "closes_on": closes_on(event.person, policies[event.vpd]) if event.vpd in policies else None,
            }
            for key, event in newest.items()
        },
        ("vpd", "person_id"),
    )


async def note_hierarchies(connection: AsyncConnection, said: Sequence[events.HierarchyChanged]) -> None:
    """Keep the newest word about each organisation and position."""
    newest: dict[tuple[str, ...], events.HierarchyChanged] = {}
    for event in sorted(said, key=lambda one: one.revision):
        newest[event.vpd, event.kind, event.key] = event
    rows = {
        key: {
            "revision": event.revision,
            "file_no": event.cause.file_no,
            "said": msgspec.json.encode(event).decode(),
        }
        for key, event in newest.items()
    }
    await upsert(connection, _HIERARCHY, rows, ("vpd", "kind", "key"))


async def note_achievements(connection: AsyncConnection, said: Sequence[events.AchievementEvent]) -> None:
    """Keep the newest word about each achievement; it is wanted in the LMS."""
    newest: dict[tuple[str, ...], events.AchievementEvent] = {}
    for event in sorted(said, key=lambda one: one.revision):
        newest[event.vpd, event.person_id, event.key] = event
    await upsert(
        connection,
        _DELIVERIES,
        {
            key: {
                "revision": event.revision,
                "file_no": event.cause.file_no,
                "kind": "certification" if isinstance(event, events.CompetenceAchieved) else "evidence",
                "content": msgspec.json.encode(event).decode(),
                "state": "wanted",
            }
            for key, event in newest.items()
        },
        ("vpd", "person_id", "key"),
    )


async def note_withdrawals(connection: AsyncConnection, said: Sequence[events.CompetenceWithdrawn]) -> None:
    """What is not delivered yet will not be; what is delivered stays, unless the trust has it withdrawn."""
    newest: dict[tuple[str, ...], events.CompetenceWithdrawn] = {}
    for event in sorted(said, key=lambda one: one.revision):
        newest[event.vpd, event.person_id, event.key] = event
    rows = {
        key: {"revision": event.revision, "file_no": event.cause.file_no, "withdraw": event.withdraw}
        for key, event in newest.items()
    }
    await upsert(connection, _WITHDRAWALS, rows, ("vpd", "person_id", "key"))


async def note_mirrors(connection: AsyncConnection, said: Sequence[events.CompetenceMirrored]) -> None:
    """Keep what ESR holds by itself, whichever is heard first: it or the completion that says the same."""
    found = {(event.vpd, event.person_id, event.competence_id, event.completed_on) for event in said}
    if found:
        names = ("vpd", "person_id", "competence_id", "completed_on")
        columns = zip(*sorted(found), strict=True)
        await connection.execute(_MIRRORS, {name: list(column) for name, column in zip(names, columns, strict=True)})


async def open_gates(connection: AsyncConnection, said: Sequence[events.FileCompleted]) -> None:
    """Note which file of each stream is wholly accounted for: effects of it and of older ones may leave."""
    upto: dict[tuple[str, ...], int] = {}
    for event in said:
        key = (event.vpd, event.cause.stream)
        upto[key] = max(upto.get(key, 0), event.cause.file_no)
    await upsert(connection, _GATES, {key: {"upto": number} for key, number in upto.items()}, ("vpd", "stream"))


async def upsert(
    connection: AsyncConnection,
    statement: TextClause,
    rows: Mapping[tuple[str, ...], Mapping[str, Any]],
    keys: Sequence[str],
) -> None:
    """Run an array upsert, rows in key order so that replicas do not deadlock."""
    if not rows:
        return
    ordered = sorted(rows)
    columns: dict[str, list[Any]] = {name: [key[index] for key in ordered] for index, name in enumerate(keys)}
    for name in rows[ordered[0]]:
        columns[name] = [rows[key][name] for key in ordered]
    await connection.execute(statement, columns)


_ACCOUNTS: Final = text("""
INSERT INTO outbound.accounts AS held (vpd, person_id, revision, file_no, stream, person, closes_on, look_on, dirty,
    jobs_dirty)
SELECT vpd, person_id, revision, file_no, stream, CAST(person AS jsonb), closes_on, closes_on, true, true
FROM unnest(CAST(:vpd AS text[]), CAST(:person_id AS text[]), CAST(:revision AS bigint[]), CAST(:file_no AS bigint[]),
    CAST(:stream AS text[]), CAST(:person AS text[]), CAST(:closes_on AS date[]))
    AS t(vpd, person_id, revision, file_no, stream, person, closes_on)
ON CONFLICT (vpd, person_id) DO UPDATE SET revision = excluded.revision, file_no = excluded.file_no,
    stream = excluded.stream, person = excluded.person, closes_on = excluded.closes_on, look_on = excluded.look_on,
    dirty = true, jobs_dirty = true, refused = '', jobs_refused = '',
    released = held.released AND excluded.closes_on IS NOT NULL,
    directory_name = CASE WHEN held.person->>'employee_number' IS DISTINCT FROM excluded.person->>'employee_number'
        THEN '' ELSE held.directory_name END,
    matched = CASE WHEN held.matched = 'asked' THEN '' ELSE held.matched END
WHERE held.revision < excluded.revision
""")

_HIERARCHY: Final = text("""
INSERT INTO outbound.hierarchy AS held (vpd, kind, key, revision, file_no, said, dirty)
SELECT vpd, kind, key, revision, file_no, CAST(said AS jsonb), true FROM unnest(CAST(:vpd AS text[]),
    CAST(:kind AS text[]), CAST(:key AS text[]), CAST(:revision AS bigint[]), CAST(:file_no AS bigint[]),
    CAST(:said AS text[])) AS t(vpd, kind, key, revision, file_no, said)
ON CONFLICT (vpd, kind, key) DO UPDATE SET revision = excluded.revision, file_no = excluded.file_no,
    said = excluded.said, dirty = true, refused = ''
WHERE held.revision < excluded.revision
""")

_DELIVERIES: Final = text("""
INSERT INTO outbound.deliveries AS held (vpd, person_id, key, revision, file_no, kind, content, state)
SELECT vpd, person_id, key, revision, file_no, kind, CAST(content AS jsonb), state FROM unnest(CAST(:vpd AS text[]),
    CAST(:person_id AS text[]), CAST(:key AS text[]), CAST(:revision AS bigint[]), CAST(:file_no AS bigint[]),
    CAST(:kind AS text[]), CAST(:content AS text[]), CAST(:state AS text[]))
    AS t(vpd, person_id, key, revision, file_no, kind, content, state)
ON CONFLICT (vpd, person_id, key) DO UPDATE SET revision = excluded.revision, file_no = excluded.file_no,
    kind = excluded.kind, content = excluded.content, state = excluded.state, code = ''
WHERE held.revision < excluded.revision
""")

_WITHDRAWALS: Final = text("""
INSERT INTO outbound.deliveries AS held (vpd, person_id, key, revision, file_no, kind, content, state)
SELECT vpd, person_id, key, revision, file_no, 'certification', '{}',
    CASE WHEN withdraw THEN 'withdrawing' ELSE 'withdrawn' END FROM unnest(CAST(:vpd AS text[]),
    CAST(:person_id AS text[]), CAST(:key AS text[]), CAST(:revision AS bigint[]), CAST(:file_no AS bigint[]),
    CAST(:withdraw AS boolean[])) AS t(vpd, person_id, key, revision, file_no, withdraw)
ON CONFLICT (vpd, person_id, key) DO UPDATE SET revision = excluded.revision, file_no = excluded.file_no, code = '',
    state = CASE WHEN held.state IN ('delivered', 'withdrawing') THEN excluded.state ELSE 'withdrawn' END
WHERE held.revision < excluded.revision
""")

_MIRRORS: Final = text("""
INSERT INTO outbound.mirrors (vpd, person_id, competence_id, completed_on)
SELECT * FROM unnest(CAST(:vpd AS text[]), CAST(:person_id AS text[]), CAST(:competence_id AS text[]),
    CAST(:completed_on AS text[])) ON CONFLICT DO NOTHING
""")

_GATES: Final = text("""
INSERT INTO outbound.gates AS held (vpd, stream, upto)
SELECT * FROM unnest(CAST(:vpd AS text[]), CAST(:stream AS text[]), CAST(:upto AS bigint[]))
ON CONFLICT (vpd, stream) DO UPDATE SET upto = excluded.upto WHERE held.upto < excluded.upto
""")
