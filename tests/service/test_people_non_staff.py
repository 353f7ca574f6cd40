"""People who are not in ESR: on the list, on their days, and never one of ESR's."""

from collections.abc import AsyncIterator, Mapping
from datetime import date, timedelta

import pytest

from services.people.handlers import QUEUE
from tests.service.people_rig import TODAY, Rig, gone, listed, organisation, person, rigged

TOMORROW = TODAY + timedelta(days=1)


@pytest.fixture
async def rig(database: str, passwords: Mapping[str, str]) -> AsyncIterator[Rig]:
    async with rigged(database, passwords) as rigs:
        yield rigs[0]


async def test_a_volunteer_is_registered_from_the_first_day_and_ended_after_the_last(rig: Rig) -> None:
    await rig.take(listed(start=TOMORROW.isoformat(), end=TOMORROW.isoformat()))
    assert (rig.names(), (await rig.person("N-V1")).state) == ([], "unknown")
    await rig.on(TOMORROW)
    assert (rig.names(), (await rig.person("N-V1")).state) == (["NonStaffRegistered N-V1"], "non_staff")
    await rig.on(TOMORROW + timedelta(days=1))
    assert (rig.names(), (await rig.person("N-V1")).state) == (["NonStaffEnded N-V1"], "leaver")


async def test_all_that_the_list_says_is_told(rig: Rig) -> None:
    await rig.take(organisation())
    await rig.take(
        listed(
            middle_names="Q", email="o@mail.example", date_of_birth="1990-01-15", end="2026-12-31",
            organisation_id="O1", position_name="Guide",
        )
    )  # fmt: skip
    told = await rig.person("N-V1")
    assert (told.kind, told.first_name, told.middle_names, told.last_name) == ("volunteer", "Orla", "Q", "SpecimenV1")
    assert (told.email, told.birth_date, told.hire_date) == ("o@mail.example", "1990-01-15", "2026-01-01")
    assert (told.termination_date, told.organisation_name, told.position_name) == ("2026-12-31", "Ward 1", "Guide")
    assert rig.told[-1].cause.stream == "trust"


async def test_one_taken_off_the_list_or_changed_is_told_as_such_and_the_list_may_be_longer_again(rig: Rig) -> None:
    await rig.take(listed())
    await rig.take(listed(position_name="Guide"))
    await rig.take(gone("non_staff", "reference", "V1"))
    await rig.take(listed())
    assert rig.names() == [
        "NonStaffRegistered N-V1", "NonStaffRegistered N-V1", "NonStaffEnded N-V1", "NonStaffRegistered N-V1",
    ]  # fmt: skip


async def test_details_of_one_who_has_ended_are_never_told_as_a_termination(rig: Rig) -> None:
    await rig.take(listed(end="2026-02-01"))
    await rig.take(listed(end="2026-02-02"))
    assert rig.names() == ["NonStaffEnded N-V1", "NonStaffEnded N-V1"]


async def test_a_renamed_organisation_is_told_of_volunteers_too(rig: Rig) -> None:
    await rig.take(listed(organisation_id="O1"))
    await rig.take(organisation())
    assert (await rig.person("N-V1")).organisation_name == "Ward 1"


async def test_a_volunteer_never_meets_one_of_esrs_people(rig: Rig) -> None:
    await rig.take(person("V1"), listed())
    assert [(await rig.person(one)).state for one in ("V1", "N-V1")] == ["employee", "non_staff"]


async def test_a_person_of_esr_with_an_id_of_the_others_is_refused(rig: Rig) -> None:
    await rig.take(person("N-1"), person("2"))
    assert [row[0] for row in await rig.rows("people", "person_id")] == ["2"]
    assert [(one.queue, one.code) for one in rig.dead] == [(QUEUE, "R107")]


async def test_a_day_is_a_day_in_summer_too(rig: Rig) -> None:
    await rig.take(listed(end="2026-06-30"))
    assert await rig.rows("people", "due") == [(date(2026, 7, 1),)]
