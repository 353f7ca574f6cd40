"""The SQL of the difference for hierarchies and job assignments."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.outbound.due import ACCOUNT_GATE, GATE
from services.outbound.lms.port import HierarchyItem, JobAssignment
from shared.events import HierarchyChanged, Person


@dataclass(frozen=True, slots=True)
class ItemRow:
    """An organisation or position as last told, and as the LMS last accepted it."""

    said: HierarchyChanged
    seen: HierarchyItem | None


@dataclass(frozen=True, slots=True)
class JobsRow:
    """A person as last told, whether their account is closed, and their jobs as the LMS last accepted them."""

    person_id: str
    revision: int
    person: Person
    closed: bool
    jobs: dict[str, JobAssignment]


@dataclass(frozen=True, slots=True)
class NotedJobs:
    """What became of a person's jobs. ``awaits``: what has to be in the LMS before they can be complete."""

    person_id: str
    revision: int
    jobs: dict[str, JobAssignment]
    refused: str = ""
    awaits: tuple[str, ...] = ()
    done: bool = True


async def items(connection: AsyncConnection, vpd: str, rows: int) -> list[ItemRow]:
    """Return hierarchy items that may not be as they should be; organisations first."""
    return [
        ItemRow(msgspec.convert(row.said, HierarchyChanged), msgspec.convert(row.seen, HierarchyItem | None))
        for row in await connection.execute(_ITEMS, {"vpd": vpd, "rows": rows})
    ]


async def known_items(connection: AsyncConnection, vpd: str, keys: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return which of these (kind, ESR's key) the LMS holds."""
    values = {"vpd": vpd, "kind": [kind for kind, _ in keys], "key": [key for _, key in keys]}
    return {(row.kind, row.key) for row in await connection.execute(_KNOWN_ITEMS, values)}


async def note_items(
    connection: AsyncConnection, vpd: str, noted: Sequence[tuple[ItemRow, HierarchyItem | None, str]]
) -> None:
    """Write down what the LMS accepted, or the code with which it refused; wake the jobs that waited for an item."""
    if not noted:
        return
    ordered = sorted(noted, key=lambda one: (one[0].said.kind, one[0].said.key))
    await connection.execute(
        _NOTE_ITEMS,
        {
            "vpd": vpd,
            "kind": [row.said.kind for row, _, _ in ordered],
            "key": [row.said.key for row, _, _ in ordered],
            "revision": [row.said.revision for row, _, _ in ordered],
            "seen": [msgspec.json.encode(item).decode() if item else None for _, item, _ in ordered],
            "refused": [code for _, _, code in ordered],
        },
    )
    there = [(row, item) for row, item, _ in ordered if item is not None]
    await wake(connection, vpd, [f"{item.kind}/{item.idnumber}" for _, item in there])
    organisations = [row.said.key for row, item in there if item.kind == "organisation"]
    if organisations:
        await connection.execute(_WAKE_CHILDREN, {"vpd": vpd, "keys": organisations})


async def people(connection: AsyncConnection, vpd: str, rows: int) -> list[JobsRow]:
    """Return people with an account whose jobs may not be as they should be."""
    return [
        JobsRow(
            row.person_id,
            row.revision,
            msgspec.convert(row.person, Person),
            row.closed,
            msgspec.convert(row.jobs, dict[str, JobAssignment]),
        )
        for row in await connection.execute(_PEOPLE, {"vpd": vpd, "rows": rows})
    ]


async def jobs_of(connection: AsyncConnection, vpd: str, people: Sequence[str]) -> dict[str, list[str]]:
    """Return the idnumbers of the jobs that the LMS holds of these people, the one that stands for each first."""
    found: dict[str, list[str]] = {}
    for row in await connection.execute(_JOBS_OF, {"vpd": vpd, "person_id": sorted(set(people))}):
        person = msgspec.convert(row.person, Person)
        first = f"{vpd}-{person.jobs[0].assignment_id}" if person.jobs else ""
        found[row.person_id] = sorted(row.jobs, key=lambda job: (job != first, job))
    return found


async def note_jobs(connection: AsyncConnection, vpd: str, noted: Sequence[NotedJobs]) -> None:
    """Write down people's jobs as the LMS accepted them, and wake those whose manager's job is there now."""
    ordered = sorted(noted, key=lambda one: one.person_id)
    await connection.execute(
        _NOTE_JOBS,
        {
            "vpd": vpd,
            "person_id": [one.person_id for one in ordered],
            "revision": [one.revision for one in ordered],
            "jobs": [msgspec.json.encode(one.jobs).decode() for one in ordered],
            "refused": [one.refused for one in ordered],
            "awaits": [msgspec.json.encode(one.awaits).decode() for one in ordered],
            "done": [one.done for one in ordered],
        },
    )
    managers = {f"manager/{job.account}" for one in ordered for job in one.jobs.values()}
    await wake(connection, vpd, sorted({job for one in ordered for job in one.jobs} | managers))


async def wake(connection: AsyncConnection, vpd: str, awaited: Sequence[str]) -> None:
    """Look again at people whose jobs waited for one of these."""
    if awaited:
        values: dict[str, Any] = {"vpd": vpd, "awaited": list(awaited)}
        await connection.execute(_WAKE, values)


_ITEMS: Final = text(
    f"SELECT h.said, h.seen FROM outbound.hierarchy h WHERE h.vpd = :vpd AND h.dirty AND {GATE.format(row='h')} "
    "ORDER BY h.kind, h.key LIMIT :rows"
)

_KNOWN_ITEMS: Final = text(
    "SELECT h.kind, h.key FROM outbound.hierarchy h JOIN unnest(CAST(:kind AS text[]), CAST(:key AS text[])) "
    "AS t(kind, key) USING (kind, key) WHERE h.vpd = :vpd AND h.seen IS NOT NULL"
)

_NOTE_ITEMS: Final = text(
    "UPDATE outbound.hierarchy h SET seen = COALESCE(CAST(t.seen AS jsonb), h.seen), "
    "refused = CASE WHEN h.revision = t.revision THEN t.refused ELSE h.refused END, "
    "dirty = h.dirty AND h.revision <> t.revision "
    "FROM unnest(CAST(:kind AS text[]), CAST(:key AS text[]), CAST(:revision AS bigint[]), CAST(:seen AS text[]), "
    "CAST(:refused AS text[])) AS t(kind, key, revision, seen, refused) "
    "WHERE h.vpd = :vpd AND (h.kind, h.key) = (t.kind, t.key)"
)

_WAKE_CHILDREN: Final = text(
    "UPDATE outbound.hierarchy h SET dirty = true WHERE h.vpd = :vpd AND h.kind = 'organisation' "
    "AND h.said->>'parent' = ANY(CAST(:keys AS text[])) AND h.seen->>'parent' = ''"
)

_PEOPLE: Final = text(
    "SELECT a.person_id, a.revision, a.person, CAST(a.seen->>'suspended' AS boolean) AS closed, a.jobs "
    f"FROM outbound.accounts a WHERE a.vpd = :vpd AND a.jobs_dirty AND a.seen IS NOT NULL AND {ACCOUNT_GATE} "
    "ORDER BY a.person_id LIMIT :rows"
)

_JOBS_OF: Final = text(
    "SELECT a.person_id, a.person, ARRAY(SELECT jsonb_object_keys(a.jobs)) AS jobs FROM outbound.accounts a "
    "WHERE a.vpd = :vpd AND a.person_id = ANY(CAST(:person_id AS text[]))"
)

_NOTE_JOBS: Final = text(
    "UPDATE outbound.accounts a SET jobs = CAST(t.jobs AS jsonb), "
    "awaits = ARRAY(SELECT jsonb_array_elements_text(CAST(t.awaits AS jsonb))), "
    "jobs_refused = CASE WHEN a.revision = t.revision THEN t.refused ELSE a.jobs_refused END, "
    "jobs_dirty = a.jobs_dirty AND NOT (a.revision = t.revision AND t.done) "
    "FROM unnest(CAST(:person_id AS text[]), CAST(:revision AS bigint[]), CAST(:jobs AS text[]), "
    "CAST(:refused AS text[]), CAST(:awaits AS text[]), CAST(:done AS boolean[])) "
    "AS t(person_id, revision, jobs, refused, awaits, done) WHERE a.vpd = :vpd AND a.person_id = t.person_id"
)

_WAKE: Final = text(
    "UPDATE outbound.accounts a SET jobs_dirty = true "
    "WHERE a.vpd = :vpd AND a.awaits <> '{}' AND a.awaits && CAST(:awaited AS text[])"
)
