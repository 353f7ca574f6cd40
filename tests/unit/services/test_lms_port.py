"""What every LMS driver promises, run against each; then what is particular to one."""

import csv
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from sandbox.lms import SandboxLms
from sandbox.lms_http import create_app
from services.outbound.lms.files import FilesDriver
from services.outbound.lms.port import Account, Answer, Candidate, Certification, Evidence, ProfileField
from services.outbound.lms.sandbox import SandboxDriver
from shared.clock import FixedClock
from shared.errors import LmsMisconfiguredError, LmsUnavailableError

Driver = SandboxDriver | FilesDriver

TOKEN = "invented-token"
CLOCK = FixedClock(datetime(2026, 3, 3, 6))  # noqa: DTZ001 - UK local time

ZOE = Account(
    "999-9000001",
    "zoe",
    "Zoë",
    "O'Placeholder",
    "zoe@trust.example",
    "PERM",
    middle_names="Ann",
    fields=(ProfileField("dob", "1990-02-01", "date"),),
)
TOM = Account("999-9000002", "tom", "Tom", 'Quote"d, Name', "tom@trust.example", "TEMP")


def held(account: Account, number: int = 1) -> Candidate:
    """What the sandbox says of an account."""
    own = {"account_type": account.account_type, "middlename": account.middle_names, "auth": account.auth}
    return Candidate(
        lms_id=str(number),
        idnumber=account.idnumber,
        username=account.username,
        first_name=account.first_name,
        last_name=account.last_name,
        email=account.email,
        suspended=account.suspended,
        fields=own | {field.name: field.value for field in account.fields},
    )


def fire(idnumber: str = ZOE.idnumber, day: str = "2026-03-03", expires: str = "2027-03-03") -> Certification:
    return Certification(idnumber, "FIRE", day, expires)


def evidence(idnumber: str = ZOE.idnumber, reference: str = "12000001", expires: str = "") -> Evidence:
    return Evidence(idnumber, reference, "Local|Course|", "2026-03-03", expires)


OPERATIONS: dict[str, Callable[[Driver], Any]] = {
    "ensure_account": lambda lms: lms.ensure_account([ZOE]),
    "update_account": lambda lms: lms.update_account([ZOE]),
    "suspend": lambda lms: lms.suspend([ZOE.idnumber]),
    "reactivate": lambda lms: lms.reactivate([ZOE.idnumber]),
    "record_completion": lambda lms: lms.record_completion([fire()]),
    "add_evidence": lambda lms: lms.add_evidence([evidence()]),
}


@pytest.fixture
def lms(tmp_path: Path) -> SandboxLms:
    made = SandboxLms(tmp_path / "lms.sqlite", "999")
    made.add_certification("FIRE", "Fire Safety", 12)
    return made


@pytest_asyncio.fixture(loop_scope="function")
async def sandbox(lms: SandboxLms) -> AsyncIterator[SandboxDriver]:
    driver = SandboxDriver("http://lms.example", TOKEN, httpx.ASGITransport(create_app(lms, token=TOKEN)))
    yield driver
    await driver.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "to-lms"


@pytest.fixture
def files(folder: Path) -> FilesDriver:
    return FilesDriver(folder, "999", CLOCK)


@pytest.fixture(params=["sandbox", "files"])
def port(request: pytest.FixtureRequest, sandbox: SandboxDriver, files: FilesDriver) -> Driver:
    return sandbox if request.param == "sandbox" else files


# What every driver promises


async def test_an_empty_batch_has_no_answers(port: Driver) -> None:
    assert await port.ensure_account([]) == []
    assert await port.update_account([]) == []
    assert await port.suspend([]) == []
    assert await port.reactivate([]) == []
    assert await port.record_completion([]) == []
    assert await port.add_evidence([]) == []


async def test_each_member_of_a_batch_has_an_answer_of_its_own(port: Driver) -> None:
    assert [one.taken for one in await port.ensure_account([ZOE, TOM])] == [True, True]
    both = [ZOE.idnumber, TOM.idnumber]
    assert [one.taken for one in await port.suspend(both)] == [True, True]
    assert [one.taken for one in await port.reactivate(both)] == [True, True]
    assert [one.taken for one in await port.update_account([TOM, ZOE])] == [True, True]
    assert [one.taken for one in await port.record_completion([fire(), fire(TOM.idnumber)])] == [True, True]
    assert [one.taken for one in await port.add_evidence([evidence(), evidence(TOM.idnumber)])] == [True, True]


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_repeating_an_operation_is_harmless(port: Driver, operation: str) -> None:
    await port.ensure_account([ZOE])
    first = await OPERATIONS[operation](port)
    again = await OPERATIONS[operation](port)
    assert [one.taken for one in first + again] == [True, True]


async def test_an_achievement_without_an_end_is_taken(port: Driver) -> None:
    await port.ensure_account([ZOE])
    assert [one.taken for one in await port.record_completion([fire(expires="")])] == [True]
    assert [one.taken for one in await port.add_evidence([evidence(expires="")])] == [True]


async def test_nobody_is_found_under_a_key_that_was_never_used(port: Driver) -> None:
    assert await port.find_account("999-0") is None


async def test_a_driver_can_be_closed_unused(port: Driver) -> None:
    await port.close()


def test_only_a_refusal_leaves_something_to_be_done() -> None:
    assert [Answer(status).taken for status in ("applied", "accepted", "rejected")] == [True, True, False]


# The sandbox


async def test_an_account_is_found_as_it_was_made(sandbox: SandboxDriver) -> None:
    await sandbox.ensure_account([ZOE, TOM])
    assert await sandbox.find_account(ZOE.idnumber) == held(ZOE)
    assert await sandbox.find_account(TOM.idnumber) == held(TOM, 2)


async def test_ensuring_an_account_that_exists_brings_it_to_these_values(sandbox: SandboxDriver) -> None:
    hired = replace(TOM, username="20000002", account_type="PERM")
    await sandbox.ensure_account([TOM])
    assert [one.status for one in await sandbox.ensure_account([hired])] == ["applied"]
    assert await sandbox.find_account(TOM.idnumber) == held(hired)


async def test_suspending_and_reactivating_leave_the_rest_of_the_account_alone(sandbox: SandboxDriver) -> None:
    await sandbox.ensure_account([ZOE])
    await sandbox.suspend([ZOE.idnumber])
    assert await sandbox.find_account(ZOE.idnumber) == held(replace(ZOE, suspended=True))
    await sandbox.reactivate([ZOE.idnumber])
    assert await sandbox.find_account(ZOE.idnumber) == held(ZOE)


async def test_one_refused_member_never_stops_the_others(sandbox: SandboxDriver) -> None:
    taken = replace(TOM, username=ZOE.username)
    answers = await sandbox.ensure_account([ZOE, taken, replace(TOM, email=ZOE.email), TOM])
    assert [(one.status, one.code) for one in answers] == [
        ("applied", "created"),
        ("rejected", "username-taken"),
        ("rejected", "email-taken"),
        ("applied", "created"),
    ]


@pytest.mark.parametrize("operation", ["update_account", "suspend", "reactivate", "record_completion", "add_evidence"])
async def test_what_is_meant_for_an_account_that_is_not_there_is_refused(
    sandbox: SandboxDriver, operation: str
) -> None:
    assert await OPERATIONS[operation](sandbox) == [Answer("rejected", "unknown-account")]


async def test_a_completion_is_held_by_the_lms_with_its_days(sandbox: SandboxDriver, lms: SandboxLms) -> None:
    await sandbox.ensure_account([ZOE])
    assert await sandbox.record_completion([fire()]) == [Answer("applied", "certified")]
    held = [held for several in lms.certifications(ZOE.idnumber).values() for held in several]
    assert ("FIRE", "2026-03-03", "2027-03-03") in [
        (one.get("certification"), one.get("completed_on"), one.get("expires_on")) for one in held
    ]


async def test_an_unknown_certification_is_refused_by_its_code(sandbox: SandboxDriver) -> None:
    await sandbox.ensure_account([ZOE])
    unknown = Certification(ZOE.idnumber, "COOKING", "2026-03-03", "")
    assert await sandbox.record_completion([unknown]) == [Answer("rejected", "unknown-certification")]


async def test_the_same_evidence_is_added_once(sandbox: SandboxDriver, lms: SandboxLms) -> None:
    await sandbox.ensure_account([ZOE])
    assert [one.code for one in await sandbox.add_evidence([evidence(), evidence()])] == ["recorded", "unchanged"]
    assert len(lms.evidence(ZOE.idnumber)) == 1


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_during_an_outage_the_outcome_is_unknown(sandbox: SandboxDriver, lms: SandboxLms, operation: str) -> None:
    lms.outage(True)
    with pytest.raises(LmsUnavailableError, match="503"):
        await OPERATIONS[operation](sandbox)
    with pytest.raises(LmsUnavailableError, match="503"):
        await sandbox.find_account(ZOE.idnumber)


async def test_an_empty_batch_does_not_bother_the_lms(sandbox: SandboxDriver, lms: SandboxLms) -> None:
    lms.outage(True)
    assert await sandbox.ensure_account([]) == []


async def test_being_asked_to_slow_down_is_waited_for(sandbox: SandboxDriver, lms: SandboxLms) -> None:
    lms.limit_per_minute(1)
    await sandbox.ensure_account([ZOE])
    with pytest.raises(LmsUnavailableError, match="429"):
        await sandbox.ensure_account([TOM])


async def test_a_wrong_token_leaves_everything_to_be_done_and_is_not_repeated(lms: SandboxLms) -> None:
    driver = SandboxDriver("http://lms.example", "wrong-canary", httpx.ASGITransport(create_app(lms, token=TOKEN)))
    with pytest.raises(LmsMisconfiguredError, match="401") as refused:
        await driver.ensure_account([ZOE])
    assert "canary" not in str(refused.value)
    await driver.close()
    assert lms.accounts() == []


def answering(answer: Callable[[httpx.Request], httpx.Response]) -> SandboxDriver:
    return SandboxDriver("http://lms.example", TOKEN, httpx.MockTransport(answer))


def broken_connection(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("slow Canary", request=request)


STRANGERS = [
    pytest.param(broken_connection, id="no answer in time"),
    pytest.param(lambda _: httpx.Response(200, text="<html>Canary</html>"), id="a proxy's page"),
    pytest.param(lambda _: httpx.Response(200, json=["Canary"]), id="another shape"),
    pytest.param(lambda _: httpx.Response(200, json={"answers": []}), id="too few answers"),
    pytest.param(lambda _: httpx.Response(200, json={"answers": [{"status": "applied"}]}), id="answers without code"),
    pytest.param(lambda _: httpx.Response(302, headers={"location": "/login"}), id="sent elsewhere"),
    pytest.param(lambda _: httpx.Response(404, json={"detail": "Canary"}), id="no such path"),
    pytest.param(lambda _: httpx.Response(500, text="Canary"), id="broken"),
]


@pytest.mark.parametrize("answer", STRANGERS)
async def test_whatever_else_answers_the_outcome_is_unknown_and_its_words_are_not_repeated(
    answer: Callable[[httpx.Request], httpx.Response],
) -> None:
    driver = answering(answer)
    with pytest.raises(LmsUnavailableError) as refused:
        await driver.ensure_account([ZOE])
    assert "Canary" not in str(refused.value)
    await driver.close()


async def test_an_account_of_another_shape_is_not_taken_for_one() -> None:
    driver = answering(lambda _: httpx.Response(200, json={"idnumber": "999-9000001"}))
    with pytest.raises(LmsUnavailableError):
        await driver.find_account("999-9000001")
    await driver.close()


# Files


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


async def test_a_batch_is_one_file_with_a_header_and_a_row_for_each_member(files: FilesDriver, folder: Path) -> None:
    assert await files.ensure_account([ZOE, TOM]) == [Answer("accepted")] * 2
    assert names(folder) == ["ensure_account_999_20260303_0001.csv"]
    assert rows(folder / "ensure_account_999_20260303_0001.csv") == [
        [
            *("idnumber", "username", "firstname", "middlename", "lastname", "email", "auth", "account_type"),
            "profile_dob",
        ],
        [
            *("999-9000001", "zoe", "Zoë", "Ann", "O'Placeholder", "zoe@trust.example", "manual", "PERM"),
            "1990-02-01",
        ],
        ["999-9000002", "tom", "Tom", "", 'Quote"d, Name', "tom@trust.example", "manual", "TEMP", ""],
    ]


async def test_each_operation_has_its_own_files_and_columns(files: FilesDriver, folder: Path) -> None:
    await files.suspend([ZOE.idnumber])
    await files.reactivate([ZOE.idnumber])
    await files.record_completion([fire()])
    await files.add_evidence([evidence()])
    written = {name.removesuffix("_999_20260303_0001.csv"): rows(folder / name) for name in names(folder)}
    assert written == {
        "suspend": [["idnumber"], ["999-9000001"]],
        "reactivate": [["idnumber"], ["999-9000001"]],
        "record_completion": [
            ["idnumber", "certification", "completed_on", "expires_on"],
            ["999-9000001", "FIRE", "2026-03-03", "2027-03-03"],
        ],
        "add_evidence": [
            ["idnumber", "reference", "name", "completed_on", "expires_on"],
            ["999-9000001", "12000001", "Local|Course|", "2026-03-03", ""],
        ],
    }


async def test_nothing_to_do_writes_no_file(files: FilesDriver, folder: Path) -> None:
    await files.ensure_account([])
    assert names(folder) == []


async def test_files_of_a_day_are_numbered_on(files: FilesDriver, folder: Path) -> None:
    for idnumber in ("999-1", "999-2", "999-3"):
        await files.suspend([idnumber])
    assert names(folder) == [f"suspend_999_20260303_000{n}.csv" for n in (1, 2, 3)]


async def test_a_file_that_was_not_collected_yet_is_never_written_over(files: FilesDriver, folder: Path) -> None:
    for idnumber in ("999-1", "999-2"):
        await files.suspend([idnumber])
    (folder / "suspend_999_20260303_0001.csv").unlink()
    await files.suspend(["999-3"])
    held = [row for name in names(folder) for row in rows(folder / name)[1:]]
    assert held == [["999-2"], ["999-3"]]
