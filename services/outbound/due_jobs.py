"""The SQL of the difference for hierarchies and job assignments."""

from collections.abc import Mapping, Sequence
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
    """A person as ``file_no`` told last, whether their account is closed, and their jobs as the LMS accepted them."""

    person_id: str
    revision: int
    file_no: int
    person: Person
    closed: bool
    jobs: dict[str, JobAssignment]


@dataclass(frozen=True, slots=True)
class NotedJobs:
    """What became of a person's jobs.

    ``refers_to``: what they name, as ``wake`` knows it. ``moved``: jobs that changed.
    """

    person_id: str
    revision: int
    jobs: dict[str, JobAssignment]
    refused: str = ""
    refers_to: tuple[str, ...] = ()
    done: bool = True
    moved: tuple[JobAssignment, ...] = ()


@dataclass(frozen=True, slots=True)
class Holding:
    """A job that the LMS holds for a person; and the file by which it still is theirs, None when it is not."""

    person_id: str
    job: JobAssignment
    claimed_by: int | None


async def items(connection: AsyncConnection, vpd: str, rows: int) -> list[ItemRow]:
    """Return hierarchy items that may not be as they should be; organisations first."""
    return [
        ItemRow(msgspec.convert(row.said, HierarchyChanged), msgspec.convert(row.seen, HierarchyItem | None))
        for row in await connection.execute(_ITEMS, {"vpd": vpd, "rows": rows})
    ]


async def known_items(connection: AsyncConnection, vpd: str, keys: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return which of these (kind, ESR's key) the LMS holds and ESR still has."""
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
    prefix = len(vpd) + 1
    await wake(connection, vpd, [f"{row.said.kind}/{vpd}-{row.said.key}" for row, _, _ in ordered])
    there = [item.idnumber[prefix:] for _, item, _ in ordered if item is not None and item.kind == "organisation"]
    gone = [row.said.key for row, _, _ in ordered if not row.said.active]
    if there:
        await connection.execute(_WAKE_CHILDREN, {"vpd": vpd, "keys": there})
    if gone:
        await connection.execute(_WAKE_ORPHANS, {"vpd": vpd, "keys": gone})


async def people(connection: AsyncConnection, vpd: str, rows: int) -> list[JobsRow]:
    """Return people with an account whose jobs may not be as they should be."""
    return [
        JobsRow(
            row.person_id,
            row.revision,
            row.file_no,
            msgspec.convert(row.person, Person),
            row.closed,
            msgspec.convert(row.jobs, dict[str, JobAssignment]),
        )
        for row in await connection.execute(_PEOPLE, {"vpd": vpd, "rows": rows})
    ]


async def jobs_of(connection: AsyncConnection, vpd: str, people: Sequence[str]) -> dict[str, list[str]]:
    """Return the idnumbers of the jobs that these people have and the LMS holds, the one that stands for each first.

    Whoever has left manages nobody, though their jobs stay in the LMS.
    """
    found: dict[str, list[str]] = {}
    for row in await connection.execute(_JOBS_OF, {"vpd": vpd, "person_id": sorted(set(people))}):
        person = msgspec.convert(row.person, Person)
        if person.state == "employee" and not row.closed:
            wanted = [f"{vpd}-{job.assignment_id}" for job in person.jobs]
            found[row.person_id] = [job for job in wanted if job in row.jobs]
    return found


async def held_by_others(connection: AsyncConnection, vpd: str, jobs: Mapping[str, str]) -> list[Holding]:
    """Return which of these jobs (whose, by idnumber) the LMS holds for somebody else."""
    prefix = len(vpd) + 1
    found: list[Holding] = []
    for row in await connection.execute(_HOLDERS, {"vpd": vpd, "jobs": sorted(jobs)}):
        person = msgspec.convert(row.person, Person)
        claimed = set() if person.same_as else {job.assignment_id for job in person.jobs}
        for key, job in msgspec.convert(row.jobs, dict[str, JobAssignment]).items():
            if jobs.get(key, row.person_id) != row.person_id:
                found.append(Holding(row.person_id, job, row.file_no if key[prefix:] in claimed else None))
    return found


async def note_given_up(connection: AsyncConnection, vpd: str, given_up: Sequence[Holding]) -> None:
    """Write down that people no longer have jobs in the LMS that are somebody else's now."""
    for one in sorted(given_up, key=lambda one: (one.person_id, one.job.idnumber)):
        await connection.execute(_GIVEN_UP, {"vpd": vpd, "person_id": one.person_id, "job": one.job.idnumber})


async def note_jobs(connection: AsyncConnection, vpd: str, noted: Sequence[NotedJobs]) -> None:
    """Write down people's jobs as the LMS accepted them, and wake those whom they manage if anything moved."""
    ordered = sorted(noted, key=lambda one: one.person_id)
    await connection.execute(
        _NOTE_JOBS,
        {
            "vpd": vpd,
            "person_id": [one.person_id for one in ordered],
            "revision": [one.revision for one in ordered],
            "jobs": [msgspec.json.encode(one.jobs).decode() for one in ordered],
            "refused": [one.refused for one in ordered],
            "refers_to": [msgspec.json.encode(one.refers_to).decode() for one in ordered],
            "done": [one.done for one in ordered],
        },
    )
    moved = {name for one in ordered for job in one.moved for name in (job.idnumber, f"manager/{job.account}")}
    await wake(connection, vpd, sorted(moved))


async def wake(connection: AsyncConnection, vpd: str, names: Sequence[str]) -> None:
    """Look again at people whose jobs name one of these.

    A job is named by its idnumber; ``manager/<account>``, ``organisation/<idnumber>`` and ``position/<idnumber>``.
    """
    if names:
        values: dict[str, Any] = {"vpd": vpd, "names": list(names)}
        await connection.execute(_WAKE, values)


_ITEMS: Final = text(
    f"SELECT h.said, h.seen FROM outbound.hierarchy h WHERE h.vpd = :vpd AND h.dirty AND {GATE.format(row='h')} "
    "ORDER BY h.kind, h.key LIMIT :rows"
)

_KNOWN_ITEMS: Final = text(
    "SELECT h.kind, h.key FROM outbound.hierarchy h JOIN unnest(CAST(:kind AS text[]), CAST(:key AS text[])) "
    "AS t(kind, key) USING (kind, key) WHERE h.vpd = :vpd AND h.seen IS NOT NULL "
    "AND COALESCE(CAST(h.said->>'active' AS boolean), true)"
)

_WAKE_ORPHANS: Final = text(
    "UPDATE outbound.hierarchy h SET dirty = true WHERE h.vpd = :vpd AND h.kind = 'organisation' "
    "AND h.said->>'parent' = ANY(CAST(:keys AS text[])) AND h.seen->>'parent' <> ''"
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
    "SELECT a.person_id, a.revision, a.file_no, a.person, CAST(a.seen->>'suspended' AS boolean) AS closed, a.jobs "
    f"FROM outbound.accounts a WHERE a.vpd = :vpd AND a.jobs_dirty AND a.seen IS NOT NULL AND {ACCOUNT_GATE} "
    "ORDER BY a.person_id LIMIT :rows"
)

_JOBS_OF: Final = text(
    "SELECT a.person_id, a.person, COALESCE(CAST(a.seen->>'suspended' AS boolean), true) AS closed, "
    "ARRAY(SELECT jsonb_object_keys(a.jobs)) AS jobs FROM outbound.accounts a "
    "WHERE a.vpd = :vpd AND a.person_id = ANY(CAST(:person_id AS text[]))"
)

_HOLDERS: Final = text(
    "SELECT a.person_id, a.file_no, a.person, a.jobs FROM outbound.accounts a "
    "WHERE a.vpd = :vpd AND a.jobs ?| CAST(:jobs AS text[])"
)

_GIVEN_UP: Final = text(
    "UPDATE outbound.accounts SET jobs = jobs - CAST(:job AS text), jobs_dirty = true "
    "WHERE vpd = :vpd AND person_id = :person_id"
)

_NOTE_JOBS: Final = text(
    "UPDATE outbound.accounts a SET jobs = CAST(t.jobs AS jsonb), "
    "refers_to = ARRAY(SELECT jsonb_array_elements_text(CAST(t.refers_to AS jsonb))), "
    "jobs_refused = CASE WHEN a.revision = t.revision THEN t.refused ELSE a.jobs_refused END, "
    "jobs_dirty = a.jobs_dirty AND NOT (a.revision = t.revision AND t.done) "
    "FROM unnest(CAST(:person_id AS text[]), CAST(:revision AS bigint[]), CAST(:jobs AS text[]), "
    "CAST(:refused AS text[]), CAST(:refers_to AS text[]), CAST(:done AS boolean[])) "
    "AS t(person_id, revision, jobs, refused, refers_to, done) WHERE a.vpd = :vpd AND a.person_id = t.person_id"
)

_WAKE: Final = text(
    "UPDATE outbound.accounts a SET jobs_dirty = true "
    "WHERE a.vpd = :vpd AND a.refers_to <> '{}' AND a.refers_to && CAST(:names AS text[])"
)
