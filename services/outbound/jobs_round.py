"""One round of a trust's hierarchies and job assignments: organisations and positions first, then who works where.

What a job names has to be in the LMS before the job does. A job whose manager, organisation or position is not there
yet is sent without it, and looked at again as soon as it is.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from services.outbound import due_jobs
from services.outbound.due_jobs import Holding, ItemRow, JobsRow, NotedJobs
from services.outbound.lms.port import Answer, HierarchyItem, JobAssignment, Jobs
from services.outbound.wanted import ended_jobs, wanted_item, wanted_jobs
from shared import events
from shared.config import TrustConfig
from shared.db.unit import Unit, Work
from shared.errors import LmsBusyError

NO_CAUSE: Final = events.Cause("", "", 0)
_GONE: Final = ("leaver", "out_of_scope", "unknown")
_NOTHING_TO_DO: Final = Answer("applied")


class JobsRound:
    """Brings one trust's hierarchies and job assignments to the desired state."""

    def __init__(self, work: Work, trust: TrustConfig, jobs: Jobs) -> None:
        self._work = work
        self._trust = trust
        self._jobs = jobs

    async def run(self) -> int:
        """Do one batch of items, or of people when no item is left; return how many."""
        vpd, rows = self._trust.vpd, self._trust.lms.rows
        async with self._work.engine.connect() as connection:
            items = await due_jobs.items(connection, vpd, rows)
            people = [] if items else await due_jobs.people(connection, vpd, rows)
        if items:
            await self._items(items)
        if people:
            await self._people(people)
        return len(items) + len(people)

    async def _items(self, rows: Sequence[ItemRow]) -> None:
        wanted = await self._wanted_items(rows)
        sending = _parents_first([(row, item) for row, item in wanted if item is not None and item != row.seen])
        answers = await self._jobs.put_hierarchy([item for _, item in sending]) if sending else []
        told = {id(row): answer for (row, _), answer in zip(sending, answers, strict=True)}
        noted = []
        async with self._work.unit() as unit:
            for row, item in wanted:
                answer = told.get(id(row), _NOTHING_TO_DO)
                if answer.status == "rejected":
                    _failed(unit, self._trust.vpd, f"{row.said.kind} {row.said.key}", answer.code, row.said.revision)
                if answer.status != "unknown":
                    refused = "" if answer.taken else answer.code or "refused"
                    noted.append((row, item if answer.taken else None, refused))
            await due_jobs.note_items(unit.connection, self._trust.vpd, noted)
        _look_later(answers)

    async def _wanted_items(self, rows: Sequence[ItemRow]) -> list[tuple[ItemRow, HierarchyItem | None]]:
        """Return what each should be; a parent that is not there yet is left out, and the child looked at again."""
        if not self._trust.accounts.hierarchies:
            return [(row, None) for row in rows]
        vpd = self._trust.vpd
        wanted = [(row, wanted_item(vpd, row.said)) for row in rows]
        parents = {("organisation", row.said.parent) for row, item in wanted if item is not None and item.parent}
        async with self._work.engine.connect() as connection:
            known = await due_jobs.known_items(connection, vpd, sorted(parents)) if parents else set()
        known |= {(row.said.kind, row.said.key) for row, item in wanted if item is not None}
        return [
            (row, replace(item, parent="") if item and ("organisation", row.said.parent) not in known else item)
            for row, item in wanted
        ]

    async def _people(self, rows: Sequence[JobsRow]) -> None:
        wanted = {row.person_id: self._wanted(row) for row in rows}
        there = await self._there([job for jobs in wanted.values() for job in jobs.values()])
        putting, removing = [], []
        for row in rows:
            can = {key: _as_far_as(job, there) for key, job in wanted[row.person_id].items()}
            putting += [(row, job) for key, job in can.items() if row.jobs.get(key) != job]
            removing += [(row, job) for key, job in row.jobs.items() if key not in can]
        claims = {job.idnumber: row for row, job in sorted(putting, key=lambda one: one[0].file_no)}
        others = await self._held_by_others(claims)
        if free := [one for one in others if _given_up(one, claims)]:
            await self._take_away(free)
            return
        held = {one.job.idnumber for one in others}
        kept = held | {job.idnumber for row, job in putting if claims[job.idnumber] is not row}
        putting = [(row, job) for row, job in putting if claims[job.idnumber] is row and job.idnumber not in held]
        # One kind of step in a round: what was put is noted before anything is taken away.
        steps = putting or removing
        answers = await self._operate(steps, put=bool(putting))
        later = {row.person_id for row, _ in removing} if putting else set()
        noted = [
            _noted(row, [(job, answer) for (of, job), answer in zip(steps, answers, strict=True) if of is row],
                   put=bool(putting), later=row.person_id in later, wanted=wanted[row.person_id], kept=kept)
            for row in rows
        ]  # fmt: skip
        await self._note(noted)
        _look_later(answers)

    async def _held_by_others(self, claims: Mapping[str, JobsRow]) -> Sequence[Holding]:
        """Return the jobs that somebody else has in the LMS: ESR may correct whose an assignment is."""
        new = {key: row.person_id for key, row in claims.items() if key not in row.jobs}
        if not new:
            return ()
        async with self._work.engine.connect() as connection:
            return await due_jobs.held_by_others(connection, self._trust.vpd, new)

    async def _take_away(self, jobs: Sequence[Holding]) -> None:
        answers = await self._jobs.remove_job_assignment([one.job for one in jobs])
        taken = [one for one, answer in zip(jobs, answers, strict=True) if answer.status != "unknown"]
        async with self._work.engine.begin() as connection:
            await due_jobs.note_given_up(connection, self._trust.vpd, taken)
        _look_later(answers)

    async def _operate(self, steps: Sequence[tuple[JobsRow, JobAssignment]], *, put: bool) -> list[Answer]:
        jobs = [job for _, job in steps]
        if not jobs:
            return []
        return await (self._jobs.put_job_assignment(jobs) if put else self._jobs.remove_job_assignment(jobs))

    def _wanted(self, row: JobsRow) -> Mapping[str, JobAssignment]:
        if row.closed or row.person.state in _GONE:
            return ended_jobs(row.jobs, row.person)
        return wanted_jobs(self._trust.vpd, row.person, self._trust.accounts)

    async def _there(self, jobs: Sequence[JobAssignment]) -> "_There":
        vpd, mark = self._trust.vpd, len(self._trust.vpd) + 1
        keys = {("organisation", job.organisation[mark:]) for job in jobs if job.organisation}
        keys |= {("position", job.position[mark:]) for job in jobs if job.position}
        managers = {job.manager[mark:] for job in jobs if job.manager}
        async with self._work.engine.connect() as connection:
            items = await due_jobs.known_items(connection, vpd, sorted(keys)) if keys else set()
            held = await due_jobs.jobs_of(connection, vpd, sorted(managers)) if managers else {}
        return _There(
            frozenset(f"{kind}/{vpd}-{key}" for kind, key in items),
            {f"{vpd}-{person}": tuple(of) for person, of in held.items()},
        )

    async def _note(self, noted: Sequence[NotedJobs]) -> None:
        async with self._work.unit() as unit:
            for one in noted:
                if one.refused:
                    _failed(unit, self._trust.vpd, f"jobs of {one.person_id}", one.refused, one.revision)
            await due_jobs.note_jobs(unit.connection, self._trust.vpd, noted)


class _There:
    """What of the things jobs name the LMS holds: items by kind and idnumber, jobs by their person's account."""

    def __init__(self, items: frozenset[str], jobs: Mapping[str, tuple[str, ...]]) -> None:
        self.items = items
        self.jobs = jobs


def _given_up(held: Holding, claims: Mapping[str, JobsRow]) -> bool:
    """Whether a job is no longer the holder's: not said to be, or said by an older file than the claimant's.

    While news of one of two people have not come yet, both may seem to have a job. It stays with the one of whom was
    heard last, or they would take it from each other for ever.
    """
    return held.claimed_by is None or held.claimed_by < claims[held.job.idnumber].file_no


def _as_far_as(job: JobAssignment, there: _There) -> JobAssignment:
    """Return the job as it can be sent now: without what the LMS does not hold."""
    for kind in ("organisation", "position"):
        key = getattr(job, kind)
        if key and f"{kind}/{key}" not in there.items:
            job = replace(job, **{kind: ""})
    held = there.jobs.get(job.manager, ())
    if not held or (job.manager_job and job.manager_job not in held):
        return replace(job, manager="", manager_job="")
    return replace(job, manager_job=job.manager_job or held[0])


def _refers_to(jobs: Iterable[JobAssignment]) -> tuple[str, ...]:
    """What jobs name, in the words of ``due_jobs.wake``: when it moves they are looked at again."""
    found: set[str] = set()
    for job in jobs:
        places = ((kind, getattr(job, kind)) for kind in ("organisation", "position"))
        found |= {f"{kind}/{key}" for kind, key in places if key}
        if job.manager:
            found.add(job.manager_job or f"manager/{job.manager}")
    return tuple(sorted(found))


def _noted(
    row: JobsRow,
    answers: Sequence[tuple[JobAssignment, Answer]],
    *,
    put: bool,
    later: bool,
    wanted: Mapping[str, JobAssignment],
    kept: Collection[str],
) -> NotedJobs:
    jobs, refused, moved = dict(row.jobs), "", []
    for job, answer in answers:
        if answer.status == "rejected":
            refused = answer.code or "refused"
        elif answer.status == "unknown":
            later = True
        else:
            moved.append(job)
            jobs[job.idnumber] = job
            if not put:
                del jobs[job.idnumber]
    gone = row.closed or row.person.state in _GONE
    refers_to = () if gone else (*_refers_to(wanted.values()), *(name for name in wanted if name in kept))
    if gone:  # whom they managed has to be looked at, whether or not a last day had to be written
        moved = list(row.jobs.values())
    return NotedJobs(row.person_id, row.revision, jobs, refused, refers_to, done=not later, moved=tuple(moved))


def _parents_first(rows: Sequence[tuple[ItemRow, HierarchyItem]]) -> list[tuple[ItemRow, HierarchyItem]]:
    """Order items so that a parent in the same batch comes before what stands under it."""
    waiting = {(item.kind, item.idnumber): (row, item) for row, item in rows}
    ordered: list[tuple[ItemRow, HierarchyItem]] = []
    while waiting:
        free = [key for key, (_, item) in waiting.items() if (item.kind, item.parent) not in waiting]
        # A circle of parents leaves none free: the LMS will say what it thinks of it.
        ordered.extend(waiting.pop(key) for key in free or list(waiting))
    return ordered


def _failed(unit: Unit, vpd: str, subject: str, code: str, revision: int) -> None:
    unit.emit(events.DeliveryFailed(vpd=vpd, cause=NO_CAUSE, subject=subject, code=code), subject, revision)


def _look_later(answers: Sequence[Answer]) -> None:
    """What may or may not have been done is sent again, which is harmless, but not before the site has calmed."""
    if any(answer.status == "unknown" for answer in answers):
        raise LmsBusyError("what became of a call to the LMS is not known; it is looked up later")
