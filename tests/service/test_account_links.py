"""Accounts that were in the LMS before: found, taken over, asked about, decided, and given back."""

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from sandbox.lms import SandboxLms
from sandbox.lms_operations import Adopt, EnsureAccount, Suspend
from services.outbound import desk, matches
from services.outbound.directory import Directory
from services.outbound.matches import Decision
from shared import events
from shared.account_settings import DirectorySettings
from shared.errors import DecisionError, DirectoryUnavailableError
from tests.service.outbound_bench import FEED, VPD, OutboundBench, outbound_bench, somebody

Open = Callable[..., AbstractAsyncContextManager[OutboundBench]]

BY_NI = {"link": {"by": "ni_number", "ni_number_field": "nino", "birth_date_field": "dob"}}
FERN = somebody(ni_number="QQ123456A")


@pytest.fixture
def bench(database: str, passwords: Mapping[str, str], tmp_path: Path) -> Open:
    def open_(**settings: Any) -> AbstractAsyncContextManager[OutboundBench]:
        return outbound_bench(database, passwords, tmp_path, **({"accounts": BY_NI} | settings))

    return open_


def already(lms: SandboxLms, key: str = "old-17", **told: str) -> None:
    """Put an account into the LMS that somebody made by hand; Fern's, unless it is said otherwise."""
    said = {"username": f"u-{key}", "last": "Placeholder", "nino": "QQ123456A", "dob": "1990-02-01"} | told
    made = lms.apply([
        EnsureAccount(
            operation="ensure_account", idnumber=key, username=said["username"], firstname="Fern",
            lastname=said["last"], email=said.get("email", f"{key}@lms.example"), account_type="PERM",
            fields={"nino": said["nino"], "dob": said["dob"]},
        )
    ])  # fmt: skip
    assert made[0].status == "applied"


def keys(outbound: OutboundBench) -> set[str]:
    return {account["idnumber"] for account in outbound.lms.accounts()}


async def waiting(outbound: OutboundBench, *, reveal: bool = False) -> list[dict[str, Any]]:
    async with outbound.work.engine.connect() as connection:
        return await desk.open_matches(connection, VPD, reveal=reveal)


async def test_an_account_that_agrees_in_everything_is_taken_over_with_what_it_holds(bench: Open) -> None:
    async with bench() as outbound:
        already(outbound.lms)
        await outbound.night(FERN)
        assert keys(outbound) == {"999-9000001"}
        assert (outbound.account()["username"], outbound.account()["fields"]["nino"]) == ("29000001", "QQ123456A")
        assert [one.decided_by for one in outbound.of(events.PersonLinked)] == ["all-agree"]
        assert outbound.of(events.AccountProvisioned) == []


async def test_an_account_that_was_suspended_is_opened_when_it_is_taken_over(bench: Open) -> None:
    async with bench() as outbound:
        already(outbound.lms)
        outbound.lms.apply([Suspend(operation="suspend", idnumber="old-17")])
        await outbound.night(FERN)
        assert not outbound.account()["suspended"]


async def test_whoever_has_no_account_gets_a_new_one(bench: Open) -> None:
    async with bench() as outbound:
        already(outbound.lms, last="Mockford", nino="QQ999999A", dob="1980-01-01")
        await outbound.night(FERN)
        assert keys(outbound) == {"old-17", "999-9000001"}


async def test_what_is_not_certain_is_asked_and_until_then_nothing_is_done(bench: Open) -> None:
    async with bench() as outbound:
        already(outbound.lms, last="Mockford")
        await outbound.night(FERN)
        assert keys(outbound) == {"old-17"}
        needed = outbound.of(events.PersonMatchNeeded)
        assert [(one.person_id, one.reason, one.candidates) for one in needed] == [
            ("9000001", "ni-number-agrees-alone", 1)
        ]
        assert await outbound.settle() == 0
        (asked,) = await waiting(outbound)
        assert (asked["person_id"], asked["reason"]) == ("9000001", "ni-number-agrees-alone")
        assert asked["candidates"][0]["agrees"] == ["first_name"]


async def test_what_an_operator_sees_is_hidden_unless_they_ask_for_it(bench: Open) -> None:
    async with bench() as outbound:
        already(outbound.lms, last="Mockford")
        await outbound.night(FERN)
        hidden = json.dumps(await waiting(outbound))
        assert [secret for secret in ("Fern", "Mockford", "QQ123456A", "1990-02-01") if secret in hidden] == []
        assert "Mockford" in json.dumps(await waiting(outbound, reveal=True))


async def test_an_operator_links_the_account_they_choose(bench: Open) -> None:
    async with bench() as outbound:
        already(outbound.lms, last="Mockford")
        await outbound.night(FERN)
        await outbound.desk.decide(VPD, "9000001", "link", "changed her name", "1")
        await outbound.settle()
        assert keys(outbound) == {"999-9000001"}
        assert outbound.account()["lastname"] == "Placeholder"
        assert await waiting(outbound) == []
        assert [one.decided_by for one in outbound.of(events.PersonLinked)] == ["operator"]


async def test_an_operator_says_that_none_is_theirs_and_is_not_asked_again(bench: Open) -> None:
    async with bench() as outbound:
        already(outbound.lms, last="Mockford")
        await outbound.night(FERN)
        await outbound.desk.decide(VPD, "9000001", "new", "another person")
        await outbound.settle()
        assert keys(outbound) == {"old-17", "999-9000001"}
        await outbound.night(somebody(revision=2, ni_number="QQ123456A", last_name="Other"))
        assert len(outbound.of(events.PersonMatchNeeded)) == 1


async def test_a_link_that_is_undone_gives_the_account_back_and_asks_again(bench: Open) -> None:
    async with bench() as outbound:
        already(outbound.lms)
        await outbound.night(FERN)
        evidence = events.EvidenceRecorded(
            vpd=VPD, cause=FEED, person_id="9000001", key="12000001", revision=1, competence_name="Local|Course|",
            achieved_on="2026-02-01",
        )  # fmt: skip
        await outbound.hear(evidence)
        await outbound.settle()
        await outbound.desk.decide(VPD, "9000001", "undo", "it was her twin")
        await outbound.settle()
        assert keys(outbound) == {"old-17"}
        (asked,) = await waiting(outbound)
        assert asked["excluded"] == ["1"]
        await outbound.desk.decide(VPD, "9000001", "new", "it was her twin")
        await outbound.settle()
        assert keys(outbound) == {"old-17", "999-9000001"}
        assert {item["idnumber"] for item in outbound.lms.evidence()} == {"old-17", "999-9000001"}


async def test_an_account_that_cannot_be_given_back_yet_is_tried_again_later(
    bench: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000.0
    monkeypatch.setattr("services.outbound.linking.monotonic", lambda: now)
    async with bench() as outbound:
        already(outbound.lms)
        await outbound.night(FERN)
        await outbound.desk.decide(VPD, "9000001", "undo", "it was her twin")
        already(outbound.lms, "old-17", username="somebody.else", email="other@lms.example", last="Mockford")
        assert await outbound.settle() == 0
        assert keys(outbound) == {"999-9000001", "old-17"}
        other = next(one["id"] for one in outbound.lms.accounts() if one["idnumber"] == "old-17")
        outbound.lms.apply([Adopt(operation="adopt", account=other, idnumber="elsewhere")])
        assert await outbound.settle() == 0
        now += 60
        await outbound.settle()
        assert keys(outbound) == {"elsewhere", "old-17"}


async def test_a_changed_rule_asks_anew_about_those_who_were_asked_about(
    database: str, passwords: Mapping[str, str], tmp_path: Path
) -> None:
    async with outbound_bench(database, passwords, tmp_path, accounts=BY_NI) as outbound:
        already(outbound.lms, last="Mockford")
        await outbound.night(FERN)
        assert len(await waiting(outbound)) == 1
    async with outbound_bench(database, passwords, tmp_path, accounts={"suspend_after_days": 7} | BY_NI) as outbound:
        await outbound.settle()
        assert len(await waiting(outbound)) == 1
        assert await outbound.settle() == 0


async def test_every_decision_is_kept_with_who_and_why(bench: Open) -> None:
    async with bench() as outbound:
        already(outbound.lms)
        await outbound.night(FERN)
        await outbound.desk.decide(VPD, "9000001", "undo", "it was her twin")
        async with outbound.work.engine.connect() as connection:
            kept = await desk.decisions(connection, VPD, "9000001")
        assert [(one["decision"], one["who"], one["why"]) for one in kept] == [
            ("undo", "a.nother", "it was her twin"),
            ("link", "rule", "all-agree"),
        ]
        assert [one["stands"] for one in kept] == [True, False]


async def test_decisions_come_in_pages_and_those_on_accounts_alone_so_that_any_link_is_found(bench: Open) -> None:
    async with bench() as outbound:
        already(outbound.lms)
        await outbound.night(FERN)
        now = outbound.work.clock.now()
        async with outbound.work.engine.begin() as connection:
            for number in range(4):
                other = Decision(f"L{number}", "resend", "a.nother", "lost", {})
                await matches.decided(connection, VPD, other, now)
                await matches.decided(connection, VPD, Decision("9000009", "link", "rule", "all-agree", {}), now)
            everything = await desk.decisions(connection, VPD)
            assert [one["number"] for one in everything] == sorted((one["number"] for one in everything), reverse=True)
            of_accounts = [one for one in everything if one["decision"] == "link"]
            assert await desk.decisions(connection, VPD, accounts=True) == of_accounts
            first = await desk.decisions(connection, VPD, accounts=True, limit=3)
            rest = await desk.decisions(connection, VPD, accounts=True, after=first[-1]["number"])
            assert (len(first), first + rest) == (3, of_accounts)
            assert await desk.decisions(connection, VPD, after=rest[-1]["number"] + 1, limit=1) == rest[-1:]
        assert [(one["subject"], one["stands"]) for one in (*of_accounts[:2], of_accounts[-1])] == [
            ("9000009", True),
            ("9000009", False),
            ("9000001", True),
        ]
        assert not any(one["stands"] for one in everything if one["decision"] == "resend")


@pytest.mark.parametrize(
    ("verdict", "lms_id"), [("link", "77"), ("undo", "")], ids=["an unknown account", "nothing to undo"]
)
async def test_what_cannot_be_decided_so_is_refused_and_changes_nothing(bench: Open, verdict: Any, lms_id: str) -> None:
    async with bench() as outbound:
        already(outbound.lms, last="Mockford")
        await outbound.night(FERN)
        with pytest.raises(DecisionError):
            await outbound.desk.decide(VPD, "9000001", verdict, "why not", lms_id)
        with pytest.raises(DecisionError):
            await outbound.desk.decide(VPD, "9000009", "new", "nobody asked")
        assert len(await waiting(outbound)) == 1


async def test_two_people_never_get_one_account(bench: Open) -> None:
    async with bench() as outbound:
        already(outbound.lms)
        twin = somebody("9000002", ni_number="QQ123456A", email="two@trust.example")
        await outbound.night(FERN, twin)
        assert keys(outbound) == {"999-9000001"}
        assert [one.reason for one in outbound.of(events.PersonMatchNeeded)] == ["belongs-to-another"]
        with pytest.raises(DecisionError, match="9000001"):
            await outbound.desk.decide(VPD, "9000002", "link", "why not", "1")


async def test_somebody_elses_user_name_is_no_dead_end(bench: Open) -> None:
    async with bench(accounts={}) as outbound:
        already(outbound.lms, username="29000001")
        await outbound.night(FERN)
        assert [one.reason for one in outbound.of(events.PersonMatchNeeded)] == ["username-taken"]
        await outbound.desk.decide(VPD, "9000001", "link", "made by hand before", "1")
        await outbound.settle()
        assert keys(outbound) == {"999-9000001"}


async def test_news_of_the_person_are_looked_at_anew(bench: Open) -> None:
    async with bench() as outbound:
        already(outbound.lms, last="Mockford")
        await outbound.night(FERN)
        await outbound.night(somebody(revision=2, ni_number="QQ123456A", last_name="Mockford"))
        assert keys(outbound) == {"999-9000001"}
        assert await waiting(outbound) == []


# User names from the directory


class Names(Directory):
    """A directory in memory; the real one has tests of its own."""

    def __init__(self, found: dict[str, str]) -> None:
        super().__init__(DirectorySettings(url="ldaps://directory.example", base="dc=example"), str)
        self.found = found
        self.away = False
        self.asked = 0

    async def names(self, employee_numbers: Any) -> dict[str, str]:
        self.asked += 1
        if self.away:
            raise DirectoryUnavailableError("the directory did not answer")
        return {number: self.found[number] for number in employee_numbers if number in self.found}


LOOKED_UP = {"username": "directory", "directory": {"url": "ldaps://directory.example", "base": "dc=example"}}


async def test_user_names_come_from_the_directory_and_are_asked_for_once(bench: Open) -> None:
    names = Names({"29000001": "fplaceholder"})
    async with bench(accounts=LOOKED_UP, directory=names) as outbound:
        await outbound.night(FERN)
        await outbound.night(somebody(revision=2, last_name="Other"))
        assert outbound.account()["username"] == "fplaceholder"
        assert names.asked == 1


async def test_another_employee_number_is_looked_up_anew(bench: Open) -> None:
    names = Names({"29000001": "fplaceholder", "3": "fern.p"})
    async with bench(accounts=LOOKED_UP, directory=names) as outbound:
        await outbound.night(FERN)
        await outbound.night(somebody(revision=2, employee_number="3"))
        assert outbound.account()["username"] == "fern.p"


async def test_who_is_not_in_the_directory_yet_is_looked_up_again_the_next_day(bench: Open) -> None:
    names = Names({})
    async with bench(accounts=LOOKED_UP, directory=names) as outbound:
        await outbound.night(FERN)
        assert outbound.account()["username"] == "999-9000001"
        names.found["29000001"] = "fplaceholder"
        await outbound.settle()
        assert outbound.account()["username"] == "999-9000001"
        outbound.later(days=1)
        await outbound.settle()
        assert outbound.account()["username"] == "fplaceholder"


async def test_while_the_directory_is_away_accounts_wait(bench: Open) -> None:
    names = Names({"29000001": "fplaceholder"})
    names.away = True
    async with bench(accounts=LOOKED_UP, directory=names) as outbound:
        await outbound.night(FERN)
        assert outbound.reconciler.waiting == {VPD: "DIRECTORY_UNAVAILABLE"}
        assert keys(outbound) == set()
