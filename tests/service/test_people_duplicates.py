"""Two records that may be one human: suspected, never merged, decided by an operator, and that can be taken back."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from sqlalchemy import text

from services.people import pairs
from shared.errors import DecisionError
from shared.events import DuplicatePersonSuspected, PersonEvent
from tests.service.people_rig import VPD, Rig, Said, application, assignment, gone, listed, person, rigged

SELF = {"last_name": "Mockford", "date_of_birth": "1990-01-15", "ni_number": "QQ123456C"}
WHO = {"who": "sam", "why": "checked the papers"}


def human(person_id: str, kind: str = "EMP", **said: str) -> Said:
    return person(person_id, kind, **(SELF | said))


@pytest.fixture
async def rig(database: str, passwords: Mapping[str, str]) -> AsyncIterator[Rig]:
    async with rigged(database, passwords) as rigs:
        yield rigs[0]


async def suspects(rig: Rig) -> list[tuple[Any, ...]]:
    return await rig.rows("duplicates", "person_id, other_person_id, agree, state")


async def test_two_records_that_agree_on_all_three_are_suspected_once(rig: Rig) -> None:
    await rig.take(human("1"), human("2", "APL"), application("2"))
    assert await suspects(rig) == [("1", "2", ["ni_number", "birth_date", "last_name"], "open")]
    assert [name for name in rig.names() if name.startswith("Dup")] == [
        "DuplicatePersonSuspected 1 2 ni_number,birth_date,last_name"
    ]
    await rig.take(human("1"), human("2", "APL"))
    assert rig.names() == []


@pytest.mark.parametrize(
    ("other", "agree"),
    [
        ({"ni_number": "QQ999999D"}, ["birth_date", "last_name"]),  # twins
        ({"ni_number": ""}, ["birth_date", "last_name"]),
        ({"last_name": "Rowan"}, ["ni_number", "birth_date"]),
        ({"date_of_birth": "1990-01-16"}, ["ni_number", "last_name"]),
        ({"last_name": "Rowan", "previous_last_name": "MOCK-FORD"}, ["ni_number", "birth_date", "last_name"]),
    ],
)
async def test_two_records_that_agree_on_two_are_suspected_with_what_agrees(
    rig: Rig, other: dict[str, str], agree: list[str]
) -> None:
    await rig.take(human("1"))
    await rig.take(human("2", **other))
    assert await suspects(rig) == [("1", "2", agree, "open")]


@pytest.mark.parametrize(
    "other", [{"ni_number": "", "last_name": "Rowan"}, {"ni_number": "", "date_of_birth": "1980-02-02"}]
)
async def test_one_thing_in_common_is_no_suspicion(rig: Rig, other: dict[str, str]) -> None:
    await rig.take(human("1"), human("2", **other))
    assert await suspects(rig) == []


async def test_what_a_crowd_has_in_common_tells_nobody_apart(rig: Rig) -> None:
    await rig.take(*(human(str(number), ni_number="") for number in range(pairs.MOST_ALIKE + 1)))
    assert await suspects(rig) == []
    await rig.take(human("100", ni_number=""))
    assert await suspects(rig) == []


async def test_as_many_as_may_be_one_family_are_compared(rig: Rig) -> None:
    await rig.take(*(human(str(number), ni_number="") for number in range(pairs.MOST_ALIKE)))
    assert len(await suspects(rig)) == pairs.MOST_ALIKE * (pairs.MOST_ALIKE - 1) / 2


async def test_the_same_human_in_two_trusts_is_nobodys_concern(rig: Rig) -> None:
    await rig.take(human("1"))
    await rig.take(human("2"), vpd="992")
    assert await suspects(rig) == []


async def test_a_name_changed_by_marriage_is_found_by_the_name_before(rig: Rig) -> None:
    await rig.take(human("1", ni_number=""))
    await rig.take(human("2", ni_number="", last_name="Rowan"))
    assert await suspects(rig) == []
    await rig.take(human("2", ni_number="", last_name="Rowan", previous_last_name="Mockford"))
    assert await suspects(rig) == [("1", "2", ["birth_date", "last_name"], "open")]


async def test_a_name_of_an_earlier_slice_counts_as_the_name_before(rig: Rig) -> None:
    await rig.take(human("1", ni_number=""))
    later = human("2", ni_number="", last_name="Rowan", effective_start="2026-01-01")
    await rig.take(human("2", ni_number="", effective_end="2025-12-31"), later)
    assert await suspects(rig) == [("1", "2", ["birth_date", "last_name"], "open")]


async def test_a_suspicion_goes_when_the_records_agree_no_more_and_comes_back(rig: Rig) -> None:
    await rig.take(human("1"), human("2", last_name="Rowan"))
    await rig.take(human("2", last_name="Rowan", ni_number="QQ999999D"))
    assert await suspects(rig) == [("1", "2", [], "gone")]
    await rig.take(human("2"))
    assert (await suspects(rig))[0][3] == "open"
    told = [event for event in rig.told if isinstance(event, DuplicatePersonSuspected)]
    assert [event.agree for event in told] == [("ni_number", "birth_date"), ("ni_number", "birth_date", "last_name")]


async def test_a_deleted_person_is_nobodys_duplicate(rig: Rig) -> None:
    await rig.take(human("1"), human("2"))
    await rig.take(gone("person", "person_id", "2"))
    assert await suspects(rig) == [("1", "2", [], "gone")]


async def test_a_volunteer_who_is_an_employee_too_is_suspected(rig: Rig) -> None:
    await rig.take(human("1"))
    await rig.take(listed(last_name="Mockford", date_of_birth="1990-01-15"))
    assert await suspects(rig) == [("1", "N-V1", ["birth_date", "last_name"], "open")]


async def test_two_replicas_that_learn_of_one_half_each_suspect_all_the_same(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords, replicas=2) as (one, other):
        for number in range(0, 40, 2):
            same = {"date_of_birth": "1990-01-15", "last_name": f"Mock{'abcdefghijklmnopqrst'[number // 2]}"}
            await asyncio.gather(
                one.people.on_records(one.messages(person(f"{number:02}", **same), file_no=number + 1)),
                other.people.on_records(other.messages(person(f"{number + 1:02}", **same), file_no=number + 2)),
            )
        assert len(await suspects(one)) == 20


async def test_those_who_may_be_the_same_are_looked_up_by_index(rig: Rig) -> None:
    crowd = text(
        "INSERT INTO people.facts SELECT '991', 'person', n::text, '2020-01-01', n::text, 'F', 1, n, "
        "jsonb_build_object('ni_number', 'X' || n, 'last_name', 'Name' || n, 'date_of_birth', '19' || n % 90) "
        "FROM generate_series(1, 20000) n"
    )
    asked = {"vpd": [VPD], "person_id": ["a"], "ni_number": ["X7"], "birth": ["1990-01-15"], "name": ["mockford"]}
    async with rig.work.engine.begin() as connection:
        await connection.execute(crowd)
        plan = await connection.execute(text(f"EXPLAIN {pairs._LOOKALIKES.text}"), asked)
        steps = " ".join(row[0] for row in plan)
    assert "facts_by_ni_number" in steps
    assert "facts_by_birth_and_name" in steps
    assert "facts_by_birth_and_previous_name" in steps
    assert "Seq Scan on facts" not in steps


# --- what an operator decides -----------------------------------------------------------------------------------


async def test_same_points_the_record_that_does_not_stand_for_the_human_to_the_one_that_does(rig: Rig) -> None:
    await rig.take(human("1", "APL"), application("1"), human("2"), assignment("2"))
    rig.names()
    said = await rig.people.desk.decide(VPD, "2", "1", "same", **WHO)
    assert said == {"person_id": "1", "other_person_id": "2", "state": "same"}
    assert ((await rig.person("1")).same_as, (await rig.person("2")).same_as) == ("2", "")
    assert rig.names() == ["ApplicantOffered 1"]
    assert await suspects(rig) == [("1", "2", ["ni_number", "birth_date", "last_name"], "same")]


async def test_the_record_that_stands_for_the_human_changes_with_what_they_are(rig: Rig) -> None:
    await rig.take(human("1"), human("2", "APL"), application("2"))
    await rig.people.desk.decide(VPD, "1", "2", "same", **WHO)
    assert (await rig.person("2")).same_as == "1"
    rig.told.clear()
    await rig.take(human("1", "EX_EMP"), file_no=9)
    assert ((await rig.person("1")).same_as, (await rig.person("2")).same_as) == ("2", "")
    causes = {event.person.person_id: event.cause.file_no for event in rig.told if isinstance(event, PersonEvent)}
    assert causes == {"1": 9, "2": 9}


async def test_of_three_records_of_one_human_the_newest_hire_stands(rig: Rig) -> None:
    await rig.take(*(human(one, hire_date=f"20{one}-01-01") for one in ("20", "22", "21")))
    await rig.people.desk.decide(VPD, "20", "21", "same", **WHO)
    await rig.people.desk.decide(VPD, "21", "22", "same", **WHO)
    assert [(await rig.person(one)).same_as for one in ("20", "21", "22")] == ["22", "22", ""]
    await rig.people.desk.decide(VPD, "21", "22", "undo", **WHO)
    assert [(await rig.person(one)).same_as for one in ("20", "21", "22")] == ["21", "", ""]


async def test_different_is_remembered_and_not_asked_again(rig: Rig) -> None:
    await rig.take(human("1"), human("2", last_name="Rowan"))
    await rig.people.desk.decide(VPD, "1", "2", "different", **WHO)
    rig.names()
    await rig.take(human("2"))
    assert rig.names() == ["EmployeeChanged 2"]
    assert (await suspects(rig))[0][3] == "different"


async def test_undo_opens_the_question_again_and_every_decision_is_written_down(rig: Rig) -> None:
    await rig.take(human("1"), human("2"))
    await rig.people.desk.decide(VPD, "1", "2", "same", **WHO)
    await rig.people.desk.decide(VPD, "1", "2", "undo", "kim", "they are twins")
    assert (await suspects(rig))[0][3] == "open"
    assert {(await rig.person(one)).same_as for one in ("1", "2")} == {""}
    assert await rig.rows("actions", "id, action, subject, who, why") == [
        (1, "same", "1 2", "sam", "checked the papers"),
        (2, "undo", "1 2", "kim", "they are twins"),
    ]


@pytest.mark.parametrize(
    ("one", "other", "decision", "why"),
    [("1", "1", "same", "x"), ("1", "nobody", "same", "x"), ("1", "2", "undo", "x"), ("1", "2", "same", " ")],
)
async def test_what_cannot_be_decided_is_refused_and_changes_nothing(
    rig: Rig, one: str, other: str, decision: str, why: str
) -> None:
    await rig.take(human("1"), human("2"))
    before = await rig.final()
    with pytest.raises(DecisionError):
        await rig.people.desk.decide(VPD, one, other, decision, "sam", why)  # type: ignore[arg-type]
    assert await rig.final() == before
    assert await rig.rows("actions", "id") == []
