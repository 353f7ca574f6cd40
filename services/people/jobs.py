"""Which assignments are in force, which of them stands for the person, and what jobs they are. No I/O here."""

from collections.abc import Sequence
from datetime import date

from services.people.hierarchy import Item, Places
from services.people.restriction import Post
from services.people.slices import END_OF_TIME, AssignmentSlice
from shared.events import Job

NOTHING = Item()


def in_force(assignments: Sequence[AssignmentSlice], day: date) -> list[AssignmentSlice]:
    """Return one slice for each assignment in force on ``day``: of overlapping ones the one that began last."""
    found: dict[str, AssignmentSlice] = {}
    for one in sorted(assignments, key=lambda one: one.effective_start):
        if one.effective_start <= day <= one.effective_end:
            found[one.assignment_id] = one
    return list(found.values())


def main_of(live: Sequence[AssignmentSlice], state: str) -> AssignmentSlice | None:
    """The assignment that stands for the person: flagged primary, else the latest start (ESR's primary rule)."""
    wanted = [one for one in live if (one.in_scope_application if state == "applicant" else one.employs)]
    flagged = [one for one in wanted if one.flagged]
    chosen = flagged if len(flagged) == 1 else wanted
    return max(chosen, key=lambda one: (one.effective_start, one.assignment_id), default=None)


def jobs_of(
    live: Sequence[AssignmentSlice],
    main: AssignmentSlice | None,
    assignments: Sequence[AssignmentSlice],
    places: Places,
) -> tuple[Job, ...]:
    """Return an employee's assignments in force as jobs, the one that stands for the person first."""
    employing = sorted((one for one in live if one.employs), key=lambda one: (one is not main, one.assignment_id))
    return tuple(_job(one, one is main, assignments, places) for one in employing)


def position_name(one: AssignmentSlice, places: Places) -> str:
    """The post's name as the position itself has it; the copy on the assignment may be older."""
    return item_of(places, "position", one.position_id).name or one.position_name


def staff_group_and_role(one: AssignmentSlice, places: Places) -> tuple[str, str]:
    """As the position says, else as the assignment's job name does: ``staff group|role`` (ESR)."""
    position = item_of(places, "position", one.position_id)
    group, _, role = one.job_name.partition("|")
    return (position.staff_group or group.strip(), position.job_role or role.strip())


def item_of(places: Places, kind: str, key: str) -> Item:
    """Return a place's item; an empty one when no file has brought it yet."""
    place = places.get((kind, key))
    return place.item if place else NOTHING


def post_of(one: AssignmentSlice, places: Places) -> Post:
    """Return what a restriction looks at."""
    return Post(
        payroll=one.payroll_name,
        position_id=one.position_id,
        position_name=position_name(one, places),
        organisation_id=one.organisation_id,
        staff_group=staff_group_and_role(one, places)[0],
        category=one.assignment_category,
        number=one.assignment_number,
    )


def _job(one: AssignmentSlice, primary: bool, assignments: Sequence[AssignmentSlice], places: Places) -> Job:
    same = [other for other in assignments if other.assignment_id == one.assignment_id and other.of_employment]
    start = one.earliest_assignment_start or min(other.effective_start for other in same)
    end = one.assignment_end_date or max(other.effective_end for other in same)
    return Job(
        assignment_id=one.assignment_id,
        assignment_number=one.assignment_number,
        primary=primary,
        paused=one.paused,
        position_id=one.position_id,
        position_name=position_name(one, places),
        organisation_id=one.organisation_id,
        start=start.isoformat(),
        end=end.isoformat() if end < END_OF_TIME else "",
        manager_person_id=one.supervisor_person_id,
        manager_assignment_id=one.supervisor_assignment_id,
    )
