"""Which people a trust wants: the first choice applies at once, a changed one is shown and applied by an operator."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from services.people.deriver import NO_CAUSE
from services.people.reading import deletion_of, fact_of
from shared import records
from shared.db.facts import FactStore
from shared.errors import DecisionError
from tests.service.people_rig import VPD, Rig, Said, application, assignment, listed, person, position, rigged

BANK: Mapping[str, Any] = {"people": {"exclude": {"payrolls": ["Bank"]}}}


def staff() -> list[Said]:
    return [
        person("1"), assignment("1", payroll_name="Monthly"),
        person("2"), assignment("2", payroll_name="bank"),
        person("3", "APL"), application("3", payroll_name="BANK"),
        person("4"), assignment("4", payroll_name="bank"), assignment("4", "99", payroll_name="Monthly"),
    ]  # fmt: skip


async def states(rig: Rig) -> dict[str, str]:
    return dict(await rig.rows("people", "person_id, state"))


async def test_the_first_restriction_is_applied_at_once(database: str, passwords: Mapping[str, str]) -> None:
    async with rigged(database, passwords, BANK) as (rig,):
        await rig.take(*staff())
        assert await states(rig) == {"1": "employee", "2": "out_of_scope", "3": "out_of_scope", "4": "employee"}
        assert rig.names() == ["EmployeeHired 1", "EmployeeHired 4"]
        told = await rig.people.desk.restriction(VPD, 10)
    assert told["applied"]["content"] == {"exclude": {"payrolls": ["Bank"]}}
    assert (told["applied"]["who"], told["waiting"], told["effect"]) == ("bridge.yaml", None, {})


async def test_a_changed_restriction_waits_shows_its_effect_and_is_applied_with_who_and_why(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords) as (rig,):
        await rig.take(*staff())
    async with rigged(database, passwords, BANK) as (rig,):
        rig.file_no = 7
        await rig.take(person("5"), assignment("5", payroll_name="Bank"))
        assert (await states(rig))["5"] == "employee"
        told = await rig.people.desk.restriction(VPD, 2)
        assert (told["applied"]["content"], told["waiting"]) == ({}, {"exclude": {"payrolls": ["Bank"]}})
        assert told["effect"] == {
            "employee to out_of_scope": {"people": 2, "person_ids": ["2", "5"]},
            "applicant to out_of_scope": {"people": 1, "person_ids": ["3"]},
        }
        rig.names()
        assert (await rig.people.desk.restrict(VPD, "sam", "bank staff have their own LMS"))["people"] == 5
        await rig.settle()
        assert sorted(rig.names()) == ["ApplicantWithdrawn 3", "EmployeeTerminated 2", "EmployeeTerminated 5"]
        again = await rig.people.desk.restriction(VPD, 2)
        assert (again["waiting"], again["applied"]["why"]) == (None, "bank staff have their own LMS")
        assert [(one["who"], one["action"]) for one in again["history"]] == [("sam", "restrict")]
        with pytest.raises(DecisionError):
            await rig.people.desk.restrict(VPD, "sam", "once more")


async def test_a_restriction_widened_again_brings_people_back(database: str, passwords: Mapping[str, str]) -> None:
    async with rigged(database, passwords, BANK) as (rig,):
        await rig.take(*staff())
    async with rigged(database, passwords) as (rig,):
        await rig.people.desk.restrict(VPD, "sam", "all of them")
        await rig.settle()
        assert sorted(rig.names()) == ["ApplicantOffered 3", "EmployeeHired 2"]


async def test_a_restriction_by_staff_group_follows_the_post(database: str, passwords: Mapping[str, str]) -> None:
    wanted = {"people": {"include": {"staff_groups": ["Nursing"]}}}
    async with rigged(database, passwords, wanted) as (rig,):
        await rig.take(person(), assignment(position_id="P1"), position(job_staff_group="Estates"))
        assert (await states(rig))["1"] == "out_of_scope"
        await rig.take(position(job_staff_group="Nursing"))
        assert (await states(rig))["1"] == "employee"


async def test_those_whom_a_trust_adds_itself_are_not_restricted(database: str, passwords: Mapping[str, str]) -> None:
    async with rigged(database, passwords, {"people": {"include": {"payrolls": ["Monthly"]}}}) as (rig,):
        await rig.take(listed())
        assert await states(rig) == {"N-V1": "non_staff"}


async def test_a_restriction_is_applied_after_those_are_derived_who_are_at_it_under_the_old_one(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords) as (one,), rigged(database, passwords, BANK) as (other,):
        await one.take(person("0"), assignment("0", payroll_name="Bank"))
        batch = records.sort_out(one.messages(person("1"), assignment("1", payroll_name="Bank")), fact_of, deletion_of)
        await FactStore("people").commit(one.work.engine, batch)
        async with one.work.unit() as unit:
            rules = await one.people.deriver.hold(unit, [VPD])
            applying = asyncio.create_task(other.people.desk.restrict(VPD, "sam", "bank staff learn elsewhere"))
            await asyncio.wait([applying], timeout=0.5)
            assert not applying.done()
            await one.people.deriver.people(unit, rules, {(VPD, "1"): NO_CAUSE})
        assert (await applying)["people"] == 2
        await other.settle()
        assert await states(one) == {"0": "out_of_scope", "1": "out_of_scope"}
