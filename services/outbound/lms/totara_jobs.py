"""Job assignments through Totara's API."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.outbound.lms.port import Answer, JobAssignment
from services.outbound.lms.totara_call import Document, TotaraCall
from services.outbound.lms.totara_replies import NOT_FOUND, Reply, fields, lacks
from services.outbound.lms.totara_rules import job_fault, tidy_job

JOB: Final[Mapping[str, Any]] = {
    "id": {}, "idnumber": {}, "fullname": {}, "startdate": {}, "enddate": {}, "managerjaid": {},
}  # fmt: skip

_RESULT: Final = {"job_assignment": JOB}

CREATE: Final = (
    "mutation($input: totara_job_create_job_assignment_input!) "
    f"{{ totara_job_create_job_assignment(input: $input) {{ {fields(_RESULT)} }} }}"
)
UPDATE: Final = (
    "mutation($target: totara_job_job_assignment_reference!, $input: totara_job_update_job_assignment_input!) "
    f"{{ totara_job_update_job_assignment(target_job: $target, input: $input) {{ {fields(_RESULT)} }} }}"
)
DELETE: Final = (
    "mutation($target: totara_job_job_assignment_reference!) "
    "{ totara_job_delete_job_assignment(target_job: $target) { job_assignment_id } }"
)

Jobs = dict[int, JobAssignment]
"""Those of a batch that go on, by their place in it."""


class JobsByApi:
    """Puts and removes job assignments. Days are sent as seconds, lest the service account's time zone matter."""

    def __init__(self, call: TotaraCall, zone: str) -> None:
        self._call = call
        self._zone = ZoneInfo(zone)

    async def put(self, jobs: Sequence[JobAssignment]) -> list[Answer]:
        """Change those that are there, create the others without their managers, then say the managers.

        So it does not matter who of a batch manages whom, not even in a circle.
        """
        answers: dict[int, Answer] = {}
        wanted: Jobs = {}
        for place, job in enumerate(map(tidy_job, jobs)):
            if fault := job_fault(job):
                answers[place] = Answer("rejected", fault)
            else:
                wanted[place] = job
        missing, later = await self._change(wanted, answers)
        batch = {job.idnumber for job in wanted.values()}
        later = {place: job for place, job in later.items() if job.manager_job in batch}
        for place in later:
            del answers[place]
        later |= await self._create(missing, answers)
        await self._change(later, answers)
        return [answers.get(place) or Answer("unknown") for place in range(len(jobs))]

    async def remove(self, jobs: Sequence[JobAssignment]) -> list[Answer]:
        """Remove job assignments; one that is not there is done."""
        documents = [{"query": DELETE, "variables": {"target": _reference(job)}} for job in jobs]
        replies = await self._call.mutate(documents)
        return [
            Answer("applied") if reply.data is not None or reply.code == NOT_FOUND else reply.answer()
            for reply in replies
        ]

    async def _change(self, wanted: Jobs, answers: dict[int, Answer]) -> tuple[Jobs, Jobs]:
        """Return those that are not there, and those whose manager is not."""
        missing: Jobs = {}
        unmanaged: Jobs = {}
        for place, reply in (await self._send(wanted, self._changing)).items():
            if reply.code == NOT_FOUND:
                missing[place] = wanted[place]
                answers[place] = Answer("rejected", "job-refused")
            else:
                answers[place] = self._seen(wanted[place], reply, managed=True)
                if reply.code == "manager-unknown":
                    unmanaged[place] = wanted[place]
        return missing, unmanaged

    async def _create(self, missing: Jobs, answers: dict[int, Answer]) -> Jobs:
        """Return those that were created and have a manager yet to be said."""
        managed: Jobs = {}
        for place, reply in (await self._send(missing, self._creating)).items():
            answer = self._seen(missing[place], reply, managed=False)
            if reply.code == NOT_FOUND:
                answer = Answer("rejected", "unknown-account")
            elif reply.code == "job-taken":  # it is there, and was not found a moment ago
                answer = Answer("rejected", "job-refused")
            answers[place] = answer
            if answer.status == "applied" and missing[place].manager:
                managed[place] = missing[place]
        return managed

    async def _send(self, wanted: Jobs, make: Callable[[JobAssignment], Document]) -> dict[int, Reply]:
        replies = await self._call.mutate([make(job) for job in wanted.values()])
        return dict(zip(wanted, replies, strict=True))

    def _changing(self, job: JobAssignment) -> Document:
        manager = {"manager": _manager(job)}
        return {"query": UPDATE, "variables": {"target": _reference(job), "input": self._values(job) | manager}}

    def _creating(self, job: JobAssignment) -> Document:
        own = {"idnumber": job.idnumber, "user": {"idnumber": job.account}}
        return {"query": CREATE, "variables": {"input": self._values(job) | own}}

    def _values(self, job: JobAssignment) -> dict[str, Any]:
        """Return what is common to both; null clears."""
        return {
            "fullname": job.full_name,
            "start_date": self._seconds(job.start),
            "end_date": self._seconds(job.end),
            "organisation": {"idnumber": job.organisation} if job.organisation else None,
            "position": {"idnumber": job.position} if job.position else None,
        }

    def _seconds(self, day: str) -> int | None:
        """Return midnight of a day in the site's time zone."""
        return int(datetime.combine(date.fromisoformat(day), time(), self._zone).timestamp()) if day else None

    def _seen(self, job: JobAssignment, reply: Reply, *, managed: bool) -> Answer:
        if reply.data is None:
            return reply.answer()
        result = next(iter(reply.data.values()), None)
        if result is None or lacks(result, _RESULT):
            return Answer("unknown", "fields-missing")
        shown = result["job_assignment"]
        days = [int(shown[name]) if shown[name] else None for name in ("startdate", "enddate")]
        same = shown["fullname"] == job.full_name and days == [self._seconds(job.start), self._seconds(job.end)]
        if not same or (managed and bool(job.manager) != bool(shown["managerjaid"])):
            return Answer("rejected", "not-kept")
        return Answer("applied")


def _reference(job: JobAssignment) -> dict[str, Any]:
    return {"idnumber": job.idnumber, "user": {"idnumber": job.account}}


def _manager(job: JobAssignment) -> dict[str, Any] | None:
    return {"idnumber": job.manager_job, "user": {"idnumber": job.manager}} if job.manager else None
