"""The sandbox's Moodle shows accounts, and answers over HTTP, as the real one was seen to."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from sandbox import moodle_http
from sandbox.moodle import SERVICE_ACCOUNT, TOKEN, SandboxMoodle
from sandbox.moodle_access import ALL_DETAILS, DETAILS, FULL_NAMES, IDENTITY, USE
from sandbox.moodle_http import create_app

PATH = "/webservice/rest/server.php"
BY_FIELD = "core_user_get_users_by_field"
SEARCH = "core_user_get_users"
INFO = "core_webservice_get_site_info"


@pytest.fixture
def moodle(tmp_path: Path) -> SandboxMoodle:
    made = SandboxMoodle(tmp_path / "moodle.sqlite")
    for name in ("a_b", "axb", "c"):
        made.add_account(username=name, firstname="F", lastname=f"Last{name}", email=f"{name}@t.example", idnumber=name)
    return made


@pytest_asyncio.fixture(loop_scope="function")
async def client(moodle: SandboxMoodle) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(moodle))
    async with httpx.AsyncClient(transport=transport, base_url="https://moodle.example") as made:
        yield made


def form(function: str, token: str = TOKEN, **pairs: str) -> dict[str, str]:
    return {"wstoken": token, "wsfunction": function, "moodlewsrestformat": "json", **pairs}


async def ask(client: httpx.AsyncClient, function: str, pairs: dict[str, str] | None = None) -> Any:
    response = await client.post(PATH, data=form(function) | (pairs or {}))
    assert response.status_code == 200
    return response.json()


async def by(client: httpx.AsyncClient, field: str, *values: str) -> Any:
    pairs = {f"values[{place}]": value for place, value in enumerate(values)}
    return await ask(client, BY_FIELD, {"field": field, **pairs})


async def search(client: httpx.AsyncClient, *criteria: tuple[str, str]) -> Any:
    pairs: dict[str, str] = {}
    for place, (key, value) in enumerate(criteria):
        pairs |= {f"criteria[{place}][key]": key, f"criteria[{place}][value]": value}
    return await ask(client, SEARCH, pairs)


def found(rows: list[dict[str, Any]]) -> list[int]:
    return [row["id"] for row in rows]


# Looking up


async def test_accounts_come_in_order_of_their_id_and_once_each(client: httpx.AsyncClient) -> None:
    assert found(await by(client, "idnumber", "c", "a_b", "c", "nobody")) == [4, 6]


async def test_all_accounts_with_an_idnumber_come_and_an_empty_one_finds_nobody(
    client: httpx.AsyncClient, moodle: SandboxMoodle
) -> None:
    moodle.change(4, idnumber="c")
    assert found(await by(client, "idnumber", "c")) == [4, 6]
    assert await by(client, "idnumber", "") == []


@pytest.mark.parametrize(("field", "value"), [("email", "C@T.example"), ("idnumber", "C")])
async def test_looking_up_by_field_minds_the_letter_case(client: httpx.AsyncClient, field: str, value: str) -> None:
    assert await by(client, field, value) == []
    assert found(await by(client, field, value.lower())) == [6]


async def test_a_username_that_can_be_none_refuses_the_whole_look_up(client: httpx.AsyncClient) -> None:
    assert (await by(client, "username", "c", "C"))["errorcode"] == "invalidparameter"


async def test_a_field_that_cannot_be_looked_up_by_is_a_coding_error(client: httpx.AsyncClient) -> None:
    assert (await by(client, "firstname", "F"))["errorcode"] == "codingerror"


async def test_a_deleted_account_is_found_by_its_id_only_and_looks_alive(
    client: httpx.AsyncClient, moodle: SandboxMoodle
) -> None:
    moodle.delete(6)
    (row,) = await by(client, "id", "6")
    assert (row["username"], len(row["email"])) == ("c@t.example.1795317979", 32)
    assert "idnumber" not in row
    assert await by(client, "idnumber", "c") == []
    assert (await search(client, ("id", "6")))["users"] == []


async def test_suspended_accounts_are_shown(client: httpx.AsyncClient, moodle: SandboxMoodle) -> None:
    moodle.change(6, suspended=1)
    assert (await by(client, "idnumber", "c"))[0]["suspended"] is True


@pytest.mark.parametrize(
    ("rights", "seen"),
    [
        ([], {"id": [], "email": [], "idnumber": [], "username": []}),
        ([DETAILS], {"id": [6], "email": [], "idnumber": [], "username": []}),
        ([DETAILS, IDENTITY], {"id": [6], "email": [6], "idnumber": [], "username": []}),
        ([DETAILS, ALL_DETAILS], {"id": [6], "email": [], "idnumber": [6], "username": [6]}),
    ],
)
async def test_without_rights_nobody_seems_to_be_there(
    client: httpx.AsyncClient, moodle: SandboxMoodle, rights: list[str], seen: dict[str, list[int]]
) -> None:
    moodle.allow(USE, *rights)
    values = {"id": "6", "email": "c@t.example", "idnumber": "c", "username": "c"}
    assert {field: found(await by(client, field, value)) for field, value in values.items()} == seen


async def test_each_right_shows_some_fields_more(client: httpx.AsyncClient, moodle: SandboxMoodle) -> None:
    hidden = {"email", "idnumber", "username", "auth", "firstname", "lastname"}
    for right, more in [
        (DETAILS, set()),
        (IDENTITY, {"email"}),
        (ALL_DETAILS, {"idnumber", "username", "auth"}),
        (FULL_NAMES, {"firstname", "lastname"}),
    ]:
        moodle.allow(USE, DETAILS, right)
        (row,) = await by(client, "id", "6")
        assert hidden & set(row) == more


async def test_a_token_always_sees_its_own_account(client: httpx.AsyncClient, moodle: SandboxMoodle) -> None:
    moodle.allow(USE)
    (row,) = await by(client, "id", str(SERVICE_ACCOUNT))
    assert row["username"] == "svc.bridge"


async def test_profile_fields_are_shown_by_their_short_names_and_empty_ones_are_not(
    client: httpx.AsyncClient, moodle: SandboxMoodle
) -> None:
    moodle.add_field("start", "datetime")
    moodle.add_field("note")
    moodle.add_field("bank", "checkbox")
    pairs = {"users[0][id]": "6"}
    for place, (name, value) in enumerate([("start", "2026-07-15"), ("note", "A<b>x</b>")]):
        pairs |= {f"users[0][customfields][{place}][type]": name, f"users[0][customfields][{place}][value]": value}
    await ask(client, "core_user_update_users", pairs)
    assert (await by(client, "id", "6"))[0]["customfields"] == [
        {
            "type": "datetime",
            "value": "1784070000",
            "displayvalue": "15 July 2026",
            "name": "Start",
            "shortname": "start",
        },
        {"type": "text", "value": "A<b>x</b>", "displayvalue": "Ax", "name": "Note", "shortname": "note"},
        {"type": "checkbox", "value": "0", "displayvalue": "No", "name": "Bank", "shortname": "bank"},
    ]
    assert [one["shortname"] for one in (await by(client, "id", "5"))[0]["customfields"]] == ["bank"]


@pytest.mark.parametrize(
    ("pattern", "ids"),
    [("A_B@t.example", [4, 5]), ("a\\_b@t.example", [4]), ("%@t.example", [4, 5, 6]), ("C@T.EXAMPLE", [6])],
)
async def test_searching_addresses_takes_patterns_and_no_regard_to_letter_case(
    client: httpx.AsyncClient, pattern: str, ids: list[int]
) -> None:
    assert found((await search(client, ("email", pattern)))["users"]) == ids


async def test_all_criteria_of_a_search_must_be_met(client: httpx.AsyncClient) -> None:
    assert found((await search(client, ("firstname", "f"), ("lastname", "lastc")))["users"]) == [6]


async def test_a_search_by_a_key_that_is_not_known_finds_everybody(client: httpx.AsyncClient) -> None:
    answer = await search(client, ("suspended", "1"))
    assert len(answer["users"]) == 6
    assert answer["warnings"][0]["warningcode"] == "invalidfieldparameter"


@pytest.mark.parametrize(
    ("criteria", "code"),
    [
        ([("profile_field_x", "1")], "invalidparameter"),
        ([("email", "a"), ("email", "b")], "keyalreadyset"),
        ([], "invalidparameter"),
    ],
)
async def test_a_wrong_search_is_refused(client: httpx.AsyncClient, criteria: list[tuple[str, str]], code: str) -> None:
    assert (await search(client, *criteria))["errorcode"] == code


async def test_a_search_by_what_the_token_may_not_see_finds_nobody(
    client: httpx.AsyncClient, moodle: SandboxMoodle
) -> None:
    moodle.allow(USE, DETAILS, ALL_DETAILS)
    assert await search(client, ("email", "c@t.example")) == {"users": [], "warnings": []}
    assert await search(client, ("lastname", "Lastc")) == {"users": [], "warnings": []}


async def test_the_site_tells_its_functions_and_nothing_of_rights(
    client: httpx.AsyncClient, moodle: SandboxMoodle
) -> None:
    moodle.allow(USE)
    moodle.offer(INFO, BY_FIELD)
    info = await ask(client, INFO)
    assert {one["name"] for one in info["functions"]} == {INFO, BY_FIELD}
    assert (info["userid"], info["userissiteadmin"], info["version"]) == (SERVICE_ACCOUNT, False, "2023100900")


# Transport and errors


async def test_an_answer_is_xml_unless_json_is_asked_for(client: httpx.AsyncClient) -> None:
    response = await client.post(PATH, data={"wstoken": "wrong", "wsfunction": INFO})
    assert response.status_code == 200
    assert "<ERRORCODE>invalidtoken</ERRORCODE>" in response.text


async def test_a_body_of_another_kind_is_not_read(client: httpx.AsyncClient) -> None:
    response = await client.post(PATH, json=form(INFO), headers={"Authorization": f"Bearer {TOKEN}"})
    assert "<ERRORCODE>invalidtoken</ERRORCODE>" in response.text


async def test_a_body_too_big_to_be_read_has_no_token_any_more(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moodle_http, "MAX_BODY", 100)
    response = await client.post(PATH, data=form(INFO) | {"more": "x" * 100})
    assert "<ERRORCODE>invalidtoken</ERRORCODE>" in response.text


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
async def test_every_method_writes_when_all_is_in_the_query(
    client: httpx.AsyncClient, moodle: SandboxMoodle, method: str
) -> None:
    pairs = form("core_user_update_users") | {"users[0][id]": "6", "users[0][lastname]": "Changed"}
    assert (await client.request(method, PATH, params=pairs)).status_code == 200
    assert moodle.accounts()[-1]["lastname"] == "Changed"


async def test_variables_beyond_the_limit_are_dropped_without_a_word(tmp_path: Path) -> None:
    moodle = SandboxMoodle(tmp_path / "small.sqlite", variables=3 + 4)
    for name in ("a", "b", "c"):
        moodle.add_account(username=name, firstname="F", lastname="L", email=f"{name}@t.example")
    pairs = {f"users[{n}][{key}]": value for n in range(3) for key, value in (("id", str(4 + n)), ("lastname", "New"))}
    transport = httpx.ASGITransport(create_app(moodle))
    async with httpx.AsyncClient(transport=transport, base_url="https://moodle.example") as client:
        assert await ask(client, "core_user_update_users", pairs) == {"warnings": []}
    assert [one["lastname"] for one in moodle.accounts()[3:]] == ["New", "New", "L"]


async def test_a_batch_of_nobody_is_refused(client: httpx.AsyncClient) -> None:
    assert (await ask(client, "core_user_update_users"))["errorcode"] == "invalidparameter"
    assert (await ask(client, "core_user_update_users", {"users": "4"}))["errorcode"] == "invalidparameter"


async def test_a_text_that_is_no_utf_8_is_refused(client: httpx.AsyncClient) -> None:
    body = str(httpx.QueryParams(form("core_user_update_users"))) + "&users[0][id]=6&users[0][lastname]=%FF"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await client.post(PATH, content=body, headers=headers)).json()["errorcode"] == "invalidparameter"


async def test_an_unknown_function_and_one_not_offered_differ(client: httpx.AsyncClient, moodle: SandboxMoodle) -> None:
    moodle.offer(INFO)
    assert (await ask(client, BY_FIELD, {"field": "id", "values[0]": "6"}))["errorcode"] == "accessexception"
    assert (await ask(client, "core_none"))["errorcode"] == "invalidrecord"
    response = await client.post(PATH, data={"wstoken": TOKEN, "moodlewsrestformat": "json"})
    assert response.json()["errorcode"] == "invalidparameter"


@pytest.mark.parametrize(
    ("disturb", "code"),
    [
        (lambda m: m.allow(), "accessexception"),
        (lambda m: m.expire_token(), "accessexception"),
        (lambda m: m.change(SERVICE_ACCOUNT, suspended=1), "wsaccessusersuspended"),
        (lambda m: m.change(SERVICE_ACCOUNT, auth="nologin"), "wsaccessusernologin"),
        (lambda m: m.change(SERVICE_ACCOUNT, must_change_password=1), "forcepasswordchangenotice"),
        (lambda m: m.delete(SERVICE_ACCOUNT), "invalidtoken"),
        (lambda m: setattr(m.faults, "state", "sitemaintenance"), "sitemaintenance"),
        (lambda m: setattr(m.faults, "state", "dbconnectionfailed"), "dbconnectionfailed"),
    ],
)
async def test_a_token_that_does_not_get_in_is_told_so_by_http_200_without_a_reason(
    client: httpx.AsyncClient, moodle: SandboxMoodle, disturb: Callable[[SandboxMoodle], None], code: str
) -> None:
    disturb(moodle)
    answer = await ask(client, INFO)
    assert answer["errorcode"] == code
    assert set(answer) == {"exception", "errorcode", "message"}


@pytest.mark.parametrize(("state", "status"), [("maintenance-page", 503), ("services-off", 403), ("busy", 429)])
async def test_a_site_that_is_shut_answers_with_a_status(
    client: httpx.AsyncClient, moodle: SandboxMoodle, state: Any, status: int
) -> None:
    moodle.faults.state = state
    response = await client.post(PATH, data=form(INFO))
    assert response.status_code == status
    assert response.headers["content-type"].startswith("text/html")
    assert (response.content == b"") is (status == 403)


async def test_another_path_is_not_there(client: httpx.AsyncClient) -> None:
    assert (await client.post("/moodle/webservice/rest/server.php", data=form(INFO))).status_code == 404


async def test_state_is_kept_in_its_file(moodle: SandboxMoodle, tmp_path: Path) -> None:
    again = SandboxMoodle(tmp_path / "moodle.sqlite")
    assert again.accounts() == moodle.accounts()
