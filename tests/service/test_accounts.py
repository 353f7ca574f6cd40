"""The account that follows a person: made, promoted, closed on its day, opened again, and guarded."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from services.outbound import guard
from services.outbound.circuit import FIRST_WAIT
from services.outbound.desk import guards, open_questions
from services.outbound.lms.port import Answer, Finding
from services.outbound.site import Site
from shared import events
from shared.account_settings import AccountPolicy
from shared.errors import DecisionError
from shared.events import Job
from tests.service.outbound_bench import FEED, VPD, OutboundBench, outbound_bench, somebody

Open = Callable[..., AbstractAsyncContextManager[OutboundBench]]


@pytest.fixture
def bench(database: str, passwords: Mapping[str, str], tmp_path: Path) -> Open:
    def open_(**settings: Any) -> AbstractAsyncContextManager[OutboundBench]:
        return outbound_bench(database, passwords, tmp_path, **settings)

    return open_


def many(number: int, state: Any = "employee", revision: int = 1, **details: Any) -> list[events.Person]:
    return [somebody(str(9_000_000 + n), state, revision=revision, **details) for n in range(number)]


def suspended(bench: OutboundBench) -> int:
    return sum(account["suspended"] for account in bench.lms.accounts())


# From the offer to the last day


async def test_an_offer_makes_a_temporary_account_and_hiring_makes_the_same_one_permanent(bench: Open) -> None:
    async with bench() as outbound:
        await outbound.night(somebody(state="applicant", employee_number=""))
        assert (outbound.account()["account_type"], outbound.account()["username"]) == ("TEMP", "999-9000001")
        await outbound.night(somebody(revision=2))
        assert (outbound.account()["account_type"], outbound.account()["username"]) == ("PERM", "29000001")
        assert len(outbound.lms.accounts()) == 1
        assert [type(one).__name__ for one in outbound.said] == ["AccountProvisioned", "AccountPromoted"]


async def test_nothing_leaves_before_the_file_is_wholly_accounted_for(bench: Open) -> None:
    async with bench() as outbound:
        await outbound.hear(events.EmployeeHired(vpd=VPD, cause=FEED, person=somebody()))
        assert await outbound.settle() == 0
        assert outbound.lms.accounts() == []


async def test_a_leavers_account_closes_the_day_after_the_last_day(bench: Open) -> None:
    async with bench() as outbound:
        await outbound.night(somebody())
        await outbound.night(somebody(state="leaver", revision=2, termination_date="2026-03-02"))
        assert outbound.account()["suspended"]
        assert len(outbound.of(events.AccountSuspended)) == 1


async def test_days_of_grace_are_waited_for_and_then_act_by_themselves(bench: Open) -> None:
    async with bench(accounts={"suspend_after_days": 30}) as outbound:
        await outbound.night(somebody())
        await outbound.night(somebody(state="leaver", revision=2, termination_date="2026-03-02"))
        assert not outbound.account()["suspended"]
        outbound.later(days=29)
        await outbound.settle()
        assert not outbound.account()["suspended"]
        outbound.later(days=1)
        await outbound.settle()
        assert outbound.account()["suspended"]


async def test_a_rehired_persons_account_is_opened_again_and_stays_the_same(bench: Open) -> None:
    async with bench() as outbound:
        await outbound.night(somebody())
        await outbound.night(somebody(state="leaver", revision=2, termination_date="2026-03-02"))
        await outbound.night(somebody(revision=3, last_name="Other"))
        assert (outbound.account()["suspended"], outbound.account()["lastname"]) == (False, "Other")
        assert len(outbound.of(events.AccountReactivated)) == 1


async def test_a_trust_may_keep_closed_accounts_closed_until_an_operator_opens_them(bench: Open) -> None:
    async with bench(accounts={"reactivate_on_rehire": False}) as outbound:
        await outbound.night(somebody())
        await outbound.night(somebody(state="leaver", revision=2, termination_date="2026-03-02"))
        await outbound.night(somebody(revision=3))
        assert outbound.account()["suspended"]


async def test_people_who_are_no_staff_have_permanent_accounts(bench: Open) -> None:
    async with bench() as outbound:
        await outbound.night(somebody("N-77", "non_staff", kind="volunteer", employee_number=""))
        assert outbound.account("N-77")["account_type"] == "PERM"


async def test_a_record_for_which_another_stands_has_no_open_account_and_its_learning_goes_to_the_other(
    bench: Open,
) -> None:
    async with bench() as outbound:
        old = somebody("9000002", "applicant", email="second@trust.example")
        await outbound.night(somebody(), old)
        achieved = events.EvidenceRecorded(
            vpd=VPD, cause=FEED, person_id="9000002", key="12000001", revision=1, competence_name="Local|Course|",
            achieved_on="2026-02-01",
        )  # fmt: skip
        await outbound.night(somebody("9000002", "applicant", revision=2, same_as="9000001"))
        await outbound.hear(achieved)
        await outbound.settle()
        assert outbound.account("9000002")["suspended"]
        assert [item["idnumber"] for item in outbound.lms.evidence()] == [f"{VPD}-9000001"]


# Profile fields and other settings


async def test_profile_fields_are_filled_as_the_trust_says(bench: Open) -> None:
    fields = [
        {"from": "account_type", "to": "accounttype", "kind": "menu", "options": ["Temporary", "Permanent"],
         "values": {"TEMP": "Temporary", "PERM": "Permanent"}},
        {"from": "birth_date", "to": "dob", "kind": "date"},
        {"from": "grade", "to": "payscale", "applicants": False},
        {"from": "staff_group", "to": "group", "kind": "menu", "options": ["Estates"]},
    ]  # fmt: skip
    async with bench(accounts={"fields": fields, "auth": "oauth2", "applicant_auth": "manual"}) as outbound:
        details: dict[str, Any] = {"grade": "Band 5", "staff_group": "Nursing"}
        await outbound.night(somebody(state="applicant", **details))
        told = outbound.account()["fields"]
        assert told == {"accounttype": "Temporary", "dob": "1990-02-01", "middlename": "", "auth": "manual"}
        await outbound.night(somebody(revision=2, **details))
        told = outbound.account()["fields"]
        assert (told["accounttype"], told["payscale"], told["auth"]) == ("Permanent", "Band 5", "oauth2")
        assert "group" not in told


async def test_when_a_trust_changes_its_policy_every_account_is_looked_at_again(
    database: str, passwords: Mapping[str, str], tmp_path: Path
) -> None:
    async with outbound_bench(database, passwords, tmp_path) as outbound:
        await outbound.night(*many(3))
    changed = {"username": "email"}
    async with outbound_bench(database, passwords, tmp_path, accounts=changed) as outbound:
        await outbound.settle()
        assert {account["username"] for account in outbound.lms.accounts()} == {
            f"p{9_000_000 + n}@trust.example" for n in range(3)
        }
    async with outbound_bench(database, passwords, tmp_path, accounts=changed) as outbound:
        assert await outbound.settle() == 0


# The guard


async def test_more_suspensions_than_the_guard_allows_wait_for_an_operator_and_the_rest_goes_on(bench: Open) -> None:
    async with bench() as outbound:
        await outbound.night(*many(400))
        leaving = many(9, "leaver", 2, termination_date="2026-03-02")
        await outbound.night(*leaving, somebody("9000399", revision=2, last_name="Changed"))
        assert suspended(outbound) == 0
        assert outbound.account("9000399")["lastname"] == "Changed"
        assert [(one.suspensions, one.accounts) for one in outbound.of(events.SuspensionsHeld)] == [(9, 400)]
        with pytest.raises(DecisionError):
            await outbound.desk.release(VPD, 8, "agreed with workforce")
        assert suspended(outbound) == 0
        assert await outbound.desk.release(VPD, 9, "agreed with workforce") == {"released": 9}
        await outbound.settle()
        assert suspended(outbound) == 9


async def test_what_esr_takes_back_waits_for_nobody_any_more(bench: Open) -> None:
    async with bench() as outbound:

        async def told() -> tuple[int, list[tuple[int, int]]]:
            async with outbound.work.engine.connect() as connection:
                asked = await open_questions(connection, VPD)
                return asked["suspensions"], [
                    (one["suspensions"], one["waiting"]) for one in await guards(connection, VPD)
                ]

        await outbound.night(*many(400))
        await outbound.night(*many(20, "leaver", 2, termination_date="2026-03-02"))
        assert await told() == (20, [(20, 20)])
        await outbound.night(*many(8, revision=3))
        assert await told() == (12, [(12, 12)])
        await outbound.night(*many(20, revision=4))
        assert await told() == (0, [(12, 0)])
        assert suspended(outbound) == 0


async def test_as_many_suspensions_as_the_guard_allows_go_by_themselves(bench: Open) -> None:
    async with bench() as outbound:
        await outbound.night(*many(400))
        await outbound.night(*many(8, "leaver", 2, termination_date="2026-03-02"))
        assert suspended(outbound) == 8
        assert outbound.of(events.SuspensionsHeld) == []


async def test_the_guard_counts_a_whole_day_however_the_suspensions_are_spread_over_it(bench: Open) -> None:
    async with bench() as outbound:
        await outbound.night(*many(400))
        everybody = many(12, "leaver", 2, termination_date="2026-03-02")
        await outbound.night(*everybody[:6])
        await outbound.night(*everybody[6:])
        assert suspended(outbound) == 6
        outbound.later(days=1)
        await outbound.settle()
        assert suspended(outbound) == 12


async def test_a_release_lets_go_what_was_waiting_and_nothing_that_comes_later(bench: Open) -> None:
    async with bench() as outbound:
        await outbound.night(*many(400))
        everybody = many(30, "leaver", 2, termination_date="2026-03-02")
        await outbound.night(*everybody[:12])
        await outbound.desk.release(VPD, 12, "agreed with workforce")
        await outbound.night(*everybody[12:])
        assert suspended(outbound) == 12


async def test_somebody_who_comes_back_has_used_up_the_release_of_their_last_leaving(bench: Open) -> None:
    async with bench(accounts={"max_suspensions_always": 0, "max_suspensions_percent": 0}) as outbound:
        await outbound.night(somebody())
        await outbound.night(somebody(state="leaver", revision=2, termination_date="2026-03-02"))
        await outbound.desk.release(VPD, 1, "agreed with workforce")
        await outbound.night(somebody(revision=3))
        await outbound.night(somebody(state="leaver", revision=4, termination_date="2026-03-02"))
        assert not outbound.account()["suspended"]


async def test_what_is_held_is_told_with_its_share_and_the_first_people_and_a_refusal_closes_nobody(
    bench: Open,
) -> None:
    async with bench() as outbound:
        await outbound.night(*many(400))
        await outbound.night(*many(9, "leaver", 2, termination_date="2026-03-02"))

        async def waiting(limit: int = 2) -> dict[str, Any]:
            day, policy = outbound.work.clock.today(), AccountPolicy()
            async with outbound.work.engine.connect() as connection:
                return await guard.waiting(connection, VPD, day, policy, limit)

        told = await waiting()
        people = told.pop("people")
        assert told == {"suspensions": 9, "closed_today": 0, "accounts": 400, "allowed": 8, "held": True}
        assert [(one["person_id"], one["state"]) for one in people] == [("9000000", "leaver"), ("9000001", "leaver")]
        with pytest.raises(DecisionError):
            await outbound.desk.refuse(VPD, 8, "half a file")
        assert await outbound.desk.refuse(VPD, 9, "half a file") == {"refused": 9}
        await outbound.settle()
        assert suspended(outbound) == 0
        assert (await waiting())["held"]
        async with outbound.work.engine.connect() as connection:
            kept = (await connection.execute(text("SELECT subject, decision, who, why FROM outbound.decisions"))).all()
        assert [tuple(row) for row in kept] == [("suspensions", "refuse", "a.nother", "half a file")]
        await outbound.desk.release(VPD, 9, "agreed with workforce")
        await outbound.settle()
        assert (suspended(outbound), (await waiting())["suspensions"]) == (9, 0)


async def test_what_was_released_by_whom_and_why_is_kept_for_ever(bench: Open) -> None:
    async with bench(accounts={"max_suspensions_always": 0, "max_suspensions_percent": 0}) as outbound:
        await outbound.night(somebody())
        await outbound.night(somebody(state="leaver", revision=2, termination_date="2026-03-02"))
        await outbound.desk.release(VPD, 1, "agreed with workforce")
        async with outbound.work.engine.connect() as connection:
            kept = (await connection.execute(text("SELECT subject, decision, who, why FROM outbound.decisions"))).all()
            assert [tuple(row) for row in kept] == [("suspensions", "release", "a.nother", "agreed with workforce")]


# An LMS that is away, or does not let us work


async def test_while_the_lms_is_away_it_is_left_alone_and_everything_waits(
    bench: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000.0
    monkeypatch.setattr("services.outbound.reconcile.monotonic", lambda: now)
    async with bench() as outbound:
        outbound.lms.outage(True)
        await outbound.night(somebody())
        assert outbound.reconciler.waiting == {VPD: "LMS_UNAVAILABLE"}
        outbound.lms.outage(False)
        await outbound.settle()
        assert outbound.lms.accounts() == []
        now += FIRST_WAIT
        await outbound.settle()
        assert outbound.reconciler.waiting == {}
        assert len(outbound.lms.accounts()) == 1
        assert outbound.of(events.DeliveryFailed) == []


class Particular:
    """A driver that finds fault with the site, or loses replies; everything else is passed on."""

    settling = 60.0

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.findings: list[Finding] = []
        self.lose = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def check(self) -> list[Finding]:
        return self.findings

    async def ensure_account(self, accounts: Any) -> list[Answer]:
        answers = await self._inner.ensure_account(accounts)
        return [Answer("unknown", "outcome-unknown") for _ in answers] if self.lose else answers


@pytest.fixture
async def particular(bench: Open) -> AsyncIterator[tuple[OutboundBench, Particular]]:
    async with bench() as outbound:
        trust = outbound.reconciler.trusts[VPD]
        driver = Particular(outbound.site.accounts)
        site = Site(driver, None, None)
        remade = type(trust)(outbound.work, trust.trust, site, None)
        outbound.reconciler.trusts[VPD] = remade
        yield outbound, driver


async def test_nothing_is_sent_to_a_site_with_which_something_is_wrong(
    particular: tuple[OutboundBench, Particular], monkeypatch: pytest.MonkeyPatch
) -> None:
    outbound, driver = particular
    now = 1_000.0
    monkeypatch.setattr("services.outbound.reconcile.monotonic", lambda: now)
    driver.findings = [Finding("rights-missing", "The service account may not see users.")]
    await outbound.night(somebody())
    assert outbound.reconciler.waiting == {VPD: "LMS_MISCONFIGURED rights-missing"}
    assert outbound.reconciler.trusts[VPD].findings == tuple(driver.findings)
    assert outbound.lms.accounts() == []
    driver.findings = []
    now += 600
    await outbound.settle()
    assert len(outbound.lms.accounts()) == 1


async def test_an_outcome_that_is_unknown_is_left_to_settle_before_it_is_looked_up(
    particular: tuple[OutboundBench, Particular],
) -> None:
    outbound, driver = particular
    driver.lose = True
    await outbound.night(somebody())
    assert outbound.of(events.AccountProvisioned) == []
    driver.lose = False
    assert await outbound.settle() == 0
    outbound.later(seconds=60)
    await outbound.settle()
    assert len(outbound.of(events.AccountProvisioned)) == 1
    assert len(outbound.lms.accounts()) == 1


# Job assignments and hierarchies

FOLLOW = {"jobs": True, "hierarchies": True}


def organisation(key: str, parent: str = "", revision: int = 1, **details: Any) -> events.HierarchyChanged:
    told = {"name": f"Ward {key}"} | details
    return events.HierarchyChanged(
        vpd=VPD, cause=FEED, kind="organisation", key=key, revision=revision, parent=parent, **told
    )


def position(key: str) -> events.HierarchyChanged:
    return events.HierarchyChanged(
        vpd=VPD, cause=FEED, kind="position", key=key, revision=1, name=f"{key}|Porter|Estates|Porter"
    )


def job(key: str, manager: str = "", manager_job: str = "", **details: Any) -> Job:
    return Job(
        assignment_id=key, primary=True, position_id="P1", position_name="P1|Porter|Estates|Porter",
        organisation_id="O1", start="2020-01-06", manager_person_id=manager, manager_assignment_id=manager_job,
        **details,
    )  # fmt: skip


async def test_organisations_positions_jobs_and_managers_follow_esr(bench: Open) -> None:
    async with bench(accounts=FOLLOW) as outbound:
        await outbound.hear(organisation("O1", parent="O0"), organisation("O0"), position("P1"))
        await outbound.night(
            somebody("9000001", jobs=(job("41", manager="9000002", manager_job="42"),)),
            somebody("9000002", jobs=(job("42"),)),
        )
        held = {item["idnumber"]: item["parent"] for item in outbound.lms.hierarchy()}
        assert held == {"999-O0": "", "999-O1": "999-O0", "999-P1": ""}
        (first, second) = outbound.lms.jobs()
        assert (first["idnumber"], first["manager"], first["manager_job"]) == ("999-41", "999-9000002", "999-42")
        assert (first["full_name"], first["organisation"], first["position"]) == ("Porter", "999-O1", "999-P1")
        assert (second["idnumber"], second["manager"]) == ("999-42", "")
        assert outbound.of(events.DeliveryFailed) == []


async def test_what_a_job_names_may_come_in_any_order(bench: Open) -> None:
    async with bench(accounts=FOLLOW) as outbound:
        await outbound.night(somebody("9000001", jobs=(job("41", manager="9000002"),)))
        assert [(one["organisation"], one["manager"]) for one in outbound.lms.jobs()] == [("", "")]
        await outbound.night(somebody("9000002", jobs=(job("42"),)))
        assert outbound.lms.jobs()[0]["manager_job"] == "999-42"
        await outbound.hear(organisation("O1", parent="O0"), position("P1"))
        await outbound.settle()
        assert {one["organisation"] for one in outbound.lms.jobs()} == {"999-O1"}
        await outbound.hear(organisation("O0"))
        await outbound.settle()
        assert {one["idnumber"]: one["parent"] for one in outbound.lms.hierarchy()}["999-O1"] == "999-O0"
        assert outbound.of(events.DeliveryFailed) == []


async def test_what_esr_has_no_more_stays_in_the_lms_and_nobody_is_placed_there(bench: Open) -> None:
    async with bench(accounts=FOLLOW) as outbound:
        await outbound.hear(organisation("O0"), organisation("O1", parent="O0"), position("P1"))
        await outbound.night(somebody(jobs=(job("41"),)))
        await outbound.hear(organisation("O1", revision=2, active=False), organisation("O0", revision=2, active=False))
        await outbound.settle()
        assert [(one["organisation"], one["position"]) for one in outbound.lms.jobs()] == [("", "999-P1")]
        assert len(outbound.lms.hierarchy()) == 3


async def test_two_who_manage_each_other_both_get_their_manager(bench: Open) -> None:
    async with bench(accounts=FOLLOW) as outbound:
        await outbound.night(
            somebody("9000001", jobs=(job("41", manager="9000002", manager_job="42"),)),
            somebody("9000002", jobs=(job("42", manager="9000001", manager_job="41"),)),
        )
        assert [one["manager_job"] for one in outbound.lms.jobs()] == ["999-42", "999-41"]


async def test_a_job_that_has_ended_is_taken_away_while_the_person_is_still_employed(bench: Open) -> None:
    async with bench(accounts=FOLLOW) as outbound:
        await outbound.night(somebody(jobs=(job("41"), job("43"))))
        await outbound.night(somebody(revision=2, jobs=(job("43"),)))
        assert [one["idnumber"] for one in outbound.lms.jobs()] == ["999-43"]


async def test_a_leavers_jobs_stay_and_show_the_last_day(bench: Open) -> None:
    async with bench(accounts=FOLLOW) as outbound:
        await outbound.night(somebody(jobs=(job("41"),)))
        await outbound.night(somebody(state="leaver", revision=2, termination_date="2026-03-02"))
        assert [(one["idnumber"], one["end"]) for one in map(_as_said, outbound.lms.jobs())] == [
            ("999-41", "2026-03-02")
        ]


async def test_a_job_that_two_seem_to_have_stays_with_whom_was_heard_of_last_until_the_other_loses_it(
    bench: Open,
) -> None:
    async with bench(accounts=FOLLOW) as outbound:
        await outbound.tell(somebody("9000001", jobs=(job("41"),)), file_no=7)
        await outbound.tell(somebody("9000002", jobs=(job("41"),)), somebody("9000003", jobs=(job("41"),)), file_no=8)
        await outbound.settle()
        (held,) = outbound.lms.jobs()
        assert held["account"] in ("999-9000002", "999-9000003")
        loser = ({"999-9000002", "999-9000003"} - {held["account"]}).pop()
        owner = held["account"].removeprefix("999-")
        await outbound.tell(somebody("9000001", revision=2), somebody(owner, revision=2), file_no=9)
        await outbound.settle()
        assert [(one["idnumber"], one["account"]) for one in outbound.lms.jobs()] == [("999-41", loser)]


async def test_an_assignment_that_is_corrected_to_be_somebody_elses_moves_with_them(bench: Open) -> None:
    async with bench(accounts=FOLLOW) as outbound:
        await outbound.night(somebody("9000001", jobs=(job("41"),)))
        await outbound.night(
            somebody("9000001", "leaver", revision=2, termination_date="2026-03-02"),
            somebody("9000002", jobs=(job("41"),)),
        )
        assert [(one["idnumber"], one["account"]) for one in outbound.lms.jobs()] == [("999-41", "999-9000002")]


async def test_a_manager_who_leaves_manages_nobody_any_more(bench: Open) -> None:
    async with bench(accounts=FOLLOW) as outbound:
        await outbound.night(
            somebody("9000001", jobs=(job("41", manager="9000002"),)), somebody("9000002", jobs=(job("42"),))
        )
        assert outbound.lms.jobs()[0]["manager_job"] == "999-42"
        await outbound.night(somebody("9000002", "leaver", revision=2, termination_date="2026-03-02"))
        assert outbound.lms.jobs()[0]["manager_job"] == ""


async def test_whoever_comes_back_has_the_jobs_they_come_back_to(bench: Open) -> None:
    async with bench(accounts=FOLLOW) as outbound:
        await outbound.night(somebody(jobs=(job("41"),)))
        await outbound.night(somebody(state="leaver", revision=2, termination_date="2026-03-02"))
        await outbound.night(somebody(revision=3, jobs=(job("43"),)))
        assert [one["idnumber"] for one in outbound.lms.jobs()] == ["999-43"]


def _as_said(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"end": row["ends"]}


async def test_a_trust_that_wants_no_jobs_gets_none(bench: Open) -> None:
    async with bench() as outbound:
        await outbound.hear(organisation("O1"))
        await outbound.night(somebody(jobs=(job("41"),)))
        assert (outbound.lms.jobs(), outbound.lms.hierarchy()) == ([], [])
