"""The HTTP face of the sandbox's LMS."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from sandbox.lms import SandboxLms
from sandbox.lms_http import create_app

TOKEN = "invented-token"
ACCOUNT: dict[str, Any] = {
    "operation": "ensure_account",
    "idnumber": "999-9000001",
    "username": "zoe",
    "firstname": "Zoë",
    "lastname": "O'Placeholder",
    "email": "zoe@trust.example",
    "account_type": "PERM",
    "fields": {},
}
PATHS = ["/api/accounts", "/api/accounts/999-9000001", "/api/certifications", "/api/evidence", "/nowhere"]


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lms(tmp_path: Path, clock: Clock) -> SandboxLms:
    return SandboxLms(tmp_path / "lms.sqlite", "999", clock=clock)


@pytest_asyncio.fixture(loop_scope="function")
async def client(lms: SandboxLms) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(lms, token=TOKEN))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://lms.example", headers=headers) as made:
        yield made


async def post(client: httpx.AsyncClient, *operations: dict[str, Any]) -> httpx.Response:
    return await client.post("/api/operations", json={"operations": operations})


async def test_operations_are_answered_in_order(client: httpx.AsyncClient) -> None:
    answer = await post(client, ACCOUNT, {"operation": "suspend", "idnumber": "999-9"}, ACCOUNT)
    assert answer.status_code == 200
    assert [(one["status"], one["code"]) for one in answer.json()["answers"]] == [
        ("applied", "created"),
        ("rejected", "unknown-account"),
        ("applied", "unchanged"),
    ]
    assert set(answer.json()["answers"][1]) == {"status", "code", "reason"}


async def test_what_was_applied_can_be_read(client: httpx.AsyncClient) -> None:
    idnumber = ACCOUNT["idnumber"]
    certified = {"certification": "IG-1Y", "completed_on": "2026-03-03", "expires_on": "2027-03-03"}
    item = {"reference": "E1", "name": "Gases", "completed_on": "2026-03-03", "expires_on": None}
    await post(
        client,
        ACCOUNT,
        {"operation": "record_completion", "idnumber": idnumber, **certified},
        {"operation": "add_evidence", "idnumber": idnumber, **item},
    )
    account = {name: value for name, value in ACCOUNT.items() if name != "operation"} | {"suspended": False, "id": 1}
    assert (await client.get(f"/api/accounts/{idnumber}")).json() == account
    assert (await client.get("/api/accounts")).json() == {"accounts": [account]}
    held = (await client.get("/api/certifications", params={"idnumber": idnumber})).json()
    assert held == {"current": [{"idnumber": idnumber, **certified}], "history": []}
    assert (await client.get("/api/certifications", params={"idnumber": "999-9"})).json()["current"] == []
    kept = (await client.get("/api/evidence", params={"idnumber": idnumber})).json()
    assert kept == {"evidence": [{"idnumber": idnumber, **item}]}


async def test_an_unknown_account_is_not_found(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/accounts/999-9")).status_code == 404


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("header", ["", "Bearer wrong", f"Basic {TOKEN}", TOKEN])
async def test_without_the_token_every_path_but_health_answers_401(
    client: httpx.AsyncClient, path: str, header: str
) -> None:
    assert (await client.get(path, headers={"Authorization": header})).status_code == 401
    assert (await client.post("/api/operations", headers={"Authorization": header}, json={})).status_code == 401
    assert (await client.get("/health", headers={"Authorization": header})).status_code == 200


async def test_two_hundred_operations_are_taken_and_one_more_is_413(client: httpx.AsyncClient, lms: SandboxLms) -> None:
    assert len((await post(client, *[ACCOUNT] * 200)).json()["answers"]) == 200
    other = {**ACCOUNT, "idnumber": "999-2"}
    assert (await post(client, *[other] * 201)).status_code == 413
    assert lms.account("999-2") is None


@pytest.mark.parametrize(
    "operation",
    [{**ACCOUNT, "account_type": "GUEST"}, {**ACCOUNT, "operation": "erase"}, {**ACCOUNT, "surname": "Placeholder"}],
)
async def test_a_body_of_the_wrong_shape_is_422_and_not_repeated(
    client: httpx.AsyncClient, operation: dict[str, Any]
) -> None:
    answer = await post(client, operation)
    assert answer.status_code == 422
    assert "Placeholder" not in answer.text
    assert "trust.example" not in answer.text


@pytest.mark.parametrize("path", ["/health", *PATHS])
async def test_during_an_outage_every_path_answers_503_until_it_ends(
    client: httpx.AsyncClient, lms: SandboxLms, path: str
) -> None:
    before = (await client.get(path)).status_code
    lms.outage(True)
    assert (await client.get(path)).status_code == 503
    lms.outage(False)
    assert (await client.get(path)).status_code == before


async def test_nothing_is_applied_during_an_outage(client: httpx.AsyncClient, lms: SandboxLms) -> None:
    lms.outage(True)
    assert (await post(client, ACCOUNT)).status_code == 503
    assert lms.accounts() == []


async def test_over_the_limit_requests_answer_429_until_a_minute_has_gone(
    client: httpx.AsyncClient, lms: SandboxLms, clock: Clock
) -> None:
    lms.limit_per_minute(2)

    async def status() -> int:
        return (await client.get("/api/accounts")).status_code

    assert [await status() for _ in range(3)] == [200, 200, 429]
    clock.seconds = 59.9
    assert await status() == 429
    assert (await client.get("/health")).status_code == 200
    clock.seconds = 60.0
    assert await status() == 200
    lms.limit_per_minute(None)
    assert [await status() for _ in range(5)] == [200] * 5
