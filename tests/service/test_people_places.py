"""Positions and organisations: told of themselves, and of the people who stand in them."""

from collections.abc import AsyncIterator, Mapping
from datetime import date, timedelta

import pytest

from shared.events import HierarchyChanged
from tests.service.people_rig import TODAY, Rig, assignment, gone, organisation, person, position, rigged

TOMORROW = TODAY + timedelta(days=1)


@pytest.fixture
async def rig(database: str, passwords: Mapping[str, str]) -> AsyncIterator[Rig]:
    async with rigged(database, passwords) as rigs:
        yield rigs[0]


async def test_someone_is_told_with_post_and_organisation_as_these_are_now(rig: Rig) -> None:
    await rig.take(
        organisation(), position(job_staff_group="Nursing", job_role="Staff Nurse"), person(),
        assignment(position_id="P1", position_name="Old name", organisation_id="O1"),
    )  # fmt: skip
    told = await rig.person("1")
    assert (told.position_id, told.position_name, told.organisation_name) == ("P1", "Nurse", "Ward 1")
    assert (told.staff_group, told.job_role) == ("Nursing", "Staff Nurse")
    assert rig.names() == [
        "HierarchyChanged organisation O1 Ward 1 True", "HierarchyChanged position P1 Nurse True", "EmployeeHired 1",
    ]  # fmt: skip


async def test_a_post_that_comes_after_its_people_or_changes_is_told_of_them(rig: Rig) -> None:
    await rig.take(person(), assignment(position_id="P1"), person("2"), assignment("2"))
    await rig.take(position())
    assert (await rig.person("1")).position_name == "Nurse"
    rig.names()
    await rig.take(position(name="Matron"))
    assert rig.names() == ["HierarchyChanged position P1 Matron True", "EmployeeChanged 1"]


async def test_the_event_of_someone_whose_organisation_changed_waits_for_the_file_that_said_so(rig: Rig) -> None:
    await rig.take(person(), assignment(organisation_id="O1"), file_no=1)
    await rig.take(organisation(), file_no=5)
    assert [event.cause.file_no for event in rig.told][-1] == 5


async def test_what_only_people_need_to_know_of_a_post_is_told_of_them_alone(rig: Rig) -> None:
    await rig.take(position(), person(), assignment(position_id="P1"))
    rig.names()
    await rig.take(position(job_role="Sister"))
    assert rig.names() == ["EmployeeChanged 1"]


async def test_the_same_post_again_concerns_nobody(rig: Rig) -> None:
    await rig.take(position(), person(), assignment(position_id="P1"))
    rig.names()
    await rig.take(position())
    assert rig.names() == []
    assert await rig.rows("again", "person_id") == []


async def test_a_new_slice_of_a_post_speaks_on_its_day(rig: Rig) -> None:
    later = position(name="Matron", effective_from=TOMORROW.isoformat())
    await rig.take(position(effective_to=TODAY.isoformat()), later, person(), assignment(position_id="P1"))
    rig.names()
    await rig.on(TOMORROW)
    assert rig.names() == ["HierarchyChanged position P1 Matron True", "EmployeeChanged 1"]
    assert (await rig.person("1")).position_name == "Matron"


async def test_an_organisation_ends_the_day_after_its_last_day(rig: Rig) -> None:
    await rig.take(organisation(effective_to=TODAY.isoformat()))
    rig.names()
    await rig.on(TOMORROW)
    assert rig.names() == ["HierarchyChanged organisation O1 Ward 1 False"]


async def test_a_deleted_organisation_is_told_inactive_under_its_last_name(rig: Rig) -> None:
    await rig.take(organisation(), person(), assignment(organisation_id="O1"))
    rig.names()
    await rig.take(gone("organisation", "organisation_id", "O1"))
    assert rig.names() == ["HierarchyChanged organisation O1 Ward 1 False", "EmployeeChanged 1"]
    assert (await rig.person("1")).organisation_name == ""


async def test_an_organisation_deleted_and_told_again_is_active_again(rig: Rig) -> None:
    await rig.take(organisation(parent_organisation_id="O0"))
    await rig.take(gone("organisation", "organisation_id", "O1"))
    await rig.take(organisation(parent_organisation_id="O0"))
    told = [event for event in rig.told if isinstance(event, HierarchyChanged)]
    assert [(event.revision, event.active, event.parent) for event in told] == [
        (1, True, "O0"), (2, False, "O0"), (3, True, "O0"),
    ]  # fmt: skip


async def test_a_place_that_begins_later_is_not_told_before_its_day(rig: Rig) -> None:
    await rig.take(organisation(effective_from=TOMORROW.isoformat()))
    assert rig.names() == []
    await rig.on(TOMORROW)
    assert rig.names() == ["HierarchyChanged organisation O1 Ward 1 True"]


async def test_many_people_in_one_organisation_are_derived_in_several_rounds(rig: Rig) -> None:
    people = [person(str(number)) for number in range(700)]
    await rig.take(*people, *(assignment(str(number), organisation_id="O1") for number in range(700)))
    await rig.people.on_records(rig.messages(organisation()))
    assert [len(await rig.rows("again", "person_id")) for _ in range(3) if await rig.people.tick()] == [200, 0]
    assert {row[0] for row in await rig.rows("people", "person ->> 'organisation_name'")} == {"Ward 1"}


async def test_an_assignment_corrected_to_belong_to_someone_else_leaves_the_first(rig: Rig) -> None:
    await rig.take(person("1"), person("2"), assignment("1", "80"))
    await rig.take(assignment("2", "80"))
    assert [len((await rig.person(one)).jobs) for one in ("1", "2")] == [0, 1]


@pytest.mark.parametrize("newest_first", [False, True])
async def test_an_assignment_of_several_slices_belongs_to_whom_its_newest_record_names(
    rig: Rig, newest_first: bool
) -> None:
    told = [
        (3, [person("1"), person("2"), assignment("1", "80")]),
        (4, [assignment("2", "80", effective_start="2026-01-05")]),
    ]
    for file_no, said in reversed(told) if newest_first else told:
        await rig.take(*said, file_no=file_no)
    assert [len((await rig.person(one)).jobs) for one in ("1", "2")] == [0, 1]


async def test_dates_far_ahead_are_due_on_their_day_and_not_before(rig: Rig) -> None:
    start = date(2031, 5, 1)
    await rig.take(person(), assignment(), assignment(key="9", effective_start=start.isoformat()))
    assert (await rig.rows("people", "due")) == [(start,)]
