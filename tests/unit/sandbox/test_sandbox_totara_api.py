"""The sandbox's Totara over HTTP: what was observed of the product's API, one by one."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from sandbox.totara import SandboxTotara
from sandbox.totara_http import API, TOKEN, create_app
from sandbox.totara_users import as_day

CREATE = "mutation($input: core_user_create_user_input!) { core_user_create_user(input: $input) { user { id } } }"
UPDATE = (
    "mutation($target: core_user_user_reference!, $input: core_user_update_user_input!) "
    "{ core_user_update_user(target_user: $target, input: $input) { user { id } } }"
)
USERS = "query($query: core_user_users_query) { core_user_users(query: $query) { items { id } total next_cursor } }"
JOB = (
    "mutation($input: totara_job_create_job_assignment_input!) "
    "{ totara_job_create_job_assignment(input: $input) { job_assignment { id fullname startdate } } }"
)
CHANGE_JOB = (
    "mutation($target: totara_job_job_assignment_reference!, $input: totara_job_update_job_assignment_input!) "
    "{ totara_job_update_job_assignment(target_job: $target, input: $input) { job_assignment { id } } }"
)

Json = dict[str, Any]


class Clock:
    seconds = 1_795_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def site(tmp_path: Path, clock: Clock) -> SandboxTotara:
    made = SandboxTotara(tmp_path / "totara.sqlite", clock=clock)
    made.define_field("accounttype", "menu", ("TEMP", "PERM"))
    made.define_field("esrnumber", "text", unique=True)
    made.define_field("dob", "date")
    return made


class Caller:
    """A client with a token."""

    def __init__(self, http: httpx.AsyncClient, token: str) -> None:
        self.http = http
        self.headers = {"Authorization": f"Bearer {token}"}

    async def send(self, body: object) -> Any:
        response = await self.http.post(API, json=body, headers=self.headers)
        assert response.status_code == 200
        return response.json()

    async def ask(self, document: str, /, **variables: Any) -> Json:
        answer: Json = await self.send({"query": document, "variables": variables})
        return answer

    async def refusal(self, document: str, /, **variables: Any) -> str:
        answer = await self.ask(document, **variables)
        assert "data" not in answer
        return str(answer["errors"][0]["debugMessage"])


@pytest_asyncio.fixture(loop_scope="function")
async def http(site: SandboxTotara) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(site))
    async with httpx.AsyncClient(transport=transport, base_url="https://totara.example") as made:
        yield made


@pytest_asyncio.fixture(loop_scope="function")
async def caller(http: httpx.AsyncClient) -> Caller:
    return Caller(http, (await http.post(TOKEN, data=credentials())).json()["access_token"])


def credentials(secret: str = "invented-secret") -> dict[str, str]:
    return {"grant_type": "client_credentials", "client_id": "esr-bridge", "client_secret": secret}


def person(number: int = 1, **values: Any) -> Json:
    names = {"username": f"gq{number}", "email": f"gq{number}@trust.example", "firstname": "Zoë", "lastname": "Test"}
    return {**names, "idnumber": f"G-{number}", "generate_password": True} | values


def many(*keys: str) -> str:
    """One document that changes users, each to the number of its place."""
    parts = [
        f'm{n}: core_user_update_user(target_user: {{idnumber: "{key}"}}, input: {{department: "{n}"}}) '
        "{ user { id } }"
        for n, key in enumerate(keys)
    ]
    return f"mutation {{ {' '.join(parts)} }}"


# Tokens


async def test_a_token_comes_as_text_html(http: httpx.AsyncClient) -> None:
    answer = await http.post(TOKEN, data=credentials())
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert set(answer.json()) == {"token_type", "expires_in", "access_token"}


async def test_a_wrong_secret_is_told_with_status_200(http: httpx.AsyncClient) -> None:
    answer = await http.post(TOKEN, data=credentials("wrong"))
    assert (answer.status_code, answer.json()["error"]) == (200, "invalid_client")


async def test_a_json_body_is_no_form(http: httpx.AsyncClient) -> None:
    assert (await http.post(TOKEN, json=credentials())).json()["error"] == "unsupported_grant_type"
    assert (await http.get(TOKEN)).json()["error"] == "unsupported_grant_type"


async def test_credentials_may_come_as_basic_authorization(http: httpx.AsyncClient) -> None:
    answer = await http.post(TOKEN, data={"grant_type": "client_credentials"}, auth=("esr-bridge", "invented-secret"))
    assert "access_token" in answer.json()


async def test_a_suspended_service_account_gets_a_token_that_is_of_no_use(
    site: SandboxTotara, http: httpx.AsyncClient
) -> None:
    site.settings.service_suspended = True
    caller = Caller(http, (await http.post(TOKEN, data=credentials())).json()["access_token"])
    assert await caller.refusal(USERS) == "API user is invalid."


@pytest.mark.parametrize(
    ("header", "text"),
    [("", "The request did not contain"), ("Bearer wrong", "Missing, expired or invalid"), ("bearer {}", "Missing,")],
)
async def test_without_its_token_a_call_fails_with_status_200(
    http: httpx.AsyncClient, caller: Caller, header: str, text: str
) -> None:
    caller.headers = {"Authorization": header.format(caller.headers["Authorization"][7:])} if header else {}
    assert (await caller.refusal(USERS)).startswith(text)


# Calls


async def test_another_method_is_400_and_an_outage_503(site: SandboxTotara, http: httpx.AsyncClient) -> None:
    assert (await http.get(API)).status_code == 400
    site.settings.out = True
    assert (await http.post(API, json={})).status_code == 503
    assert (await http.post(TOKEN)).status_code == 503


async def test_an_error_has_its_text_beside_a_general_message(caller: Caller) -> None:
    await caller.ask(CREATE, input=person())
    answer = await caller.ask(CREATE, input=person())
    error = answer["errors"][0]
    assert error["message"] == answer["error"] == "Internal server error"
    assert error["debugMessage"] == "Username already exists: gq1"
    assert error["extensions"] == {"category": "internal"}


async def test_at_error_level_none_nothing_is_told_and_at_developer_too_much(
    site: SandboxTotara, caller: Caller
) -> None:
    site.settings.error_level = "none"
    error = (await caller.ask(UPDATE, target={"id": "99"}, input={}))["errors"][0]
    assert "debugMessage" not in error
    site.settings.error_level = "developer"
    assert "trace" in (await caller.ask(UPDATE, target={"id": "99"}, input={}))["errors"][0]


async def test_a_wrong_key_repeats_the_whole_input_password_included(caller: Caller) -> None:
    answer = await caller.ask(CREATE, input=person(password="canary-password", nosuch="1"))
    assert "canary-password" in answer["errors"][0]["message"]
    assert answer["errors"][0]["extensions"] == {"category": "graphql"}


async def test_an_unknown_output_field_is_missing_without_an_error(caller: Caller) -> None:
    answer = await caller.ask("query { core_user_users { items { id nosuch } total } }")
    assert set(answer["data"]["core_user_users"]["items"][0]) == {"id"}


async def test_introspection_and_mixed_case_operation_names_are_refused(caller: Caller) -> None:
    answer = await caller.ask("query { __schema { types { name } } }")
    assert answer["errors"][0]["message"] == "GraphQL introspection is not enabled."
    named = await caller.send({"query": USERS, "operationName": "myOp"})
    assert "operationName" in named["errors"][0]["debugMessage"]


# Batches and limits


async def test_a_list_of_documents_is_answered_one_by_one(site: SandboxTotara, caller: Caller) -> None:
    bodies = [{"query": CREATE, "variables": {"input": person(number)}} for number in (1, 1, 2)]
    assert ["data" in one for one in await caller.send(bodies)] == [True, False, True]
    assert len(site.users()) == 2


async def test_mutations_in_one_document_stop_at_the_first_failure_and_hide_what_was_done(
    site: SandboxTotara, caller: Caller
) -> None:
    await caller.ask(CREATE, input=person())
    answer = await caller.ask(many("G-1", "nobody", "G-1"))
    assert "data" not in answer
    assert answer["errors"][0]["path"] == ["m1"]
    assert site.users()[0]["department"] == "0"


async def test_the_complexity_limit_strikes_while_the_document_runs(site: SandboxTotara, caller: Caller) -> None:
    await caller.ask(CREATE, input=person())
    answer = await caller.ask(many(*["G-1"] * 600))
    assert "data" not in answer
    assert answer["errors"][0]["message"] == "Query complexity exceeded maximum allowed complexity of 6000."
    assert answer["errors"][0]["path"] == ["m545"]
    assert site.users()[0]["department"] == "544"


async def test_the_rate_limit_is_overshot_by_one_request_and_says_nothing_of_when_to_come_back(
    site: SandboxTotara, http: httpx.AsyncClient, caller: Caller, clock: Clock
) -> None:
    site.settings.points_per_minute = 9
    for status in (200, 200, 429):
        answer = await http.post(API, json={"query": USERS}, headers=caller.headers)
        assert answer.status_code == status
    assert "retry-after" not in answer.headers
    clock.seconds += 60
    assert (await http.post(API, json={"query": USERS}, headers=caller.headers)).status_code == 200


async def test_a_lost_reply_is_of_work_that_was_done(
    site: SandboxTotara, http: httpx.AsyncClient, caller: Caller
) -> None:
    site.settings.lose_replies = 1
    body = {"query": CREATE, "variables": {"input": person()}}
    assert (await http.post(API, json=body, headers=caller.headers)).status_code == 504
    assert len(site.users()) == 1


# Users


REFUSED = [
    (person(2, username="gq1"), "Username already exists: gq1"),
    (person(2, idnumber="G-1"), "Idnumber already exists: G-1"),
    (person(2, email="gq1@trust.example"), "Email address already exists: gq1@trust.example"),
    (person(2, username="Gq2"), "The username must be in lower case"),
    (person(2, firstname="f" * 101), f"Field {'f' * 101} should be less than 100 characters"),
    (person(2, generate_password=False), "Coding error detected"),
    (person(2, password="Secret-1!"), "You cannot set password and generate password"),
    (person(2, auth="oauth2"), "The authentication plugin dose not support password creation."),
    (person(2, auth="nosuch"), "Auth plugin does not exist: nosuch"),
    (person(2, custom_fields=[{"shortname": "nosuch", "data": "1"}]), "The custom field does not exist."),
    (
        person(2, custom_fields=[{"shortname": "accounttype", "data": "temp"}]),
        "accounttype: You must pass a valid menu",
    ),
    (person(2, custom_fields=[{"shortname": "dob", "data": "1990-02-31"}]), "dob: You must pass valid date values"),
    (person(2, custom_fields=[{"shortname": "esrnumber", "data": "E1"}]), "Custom field errors: \nesrnumber: "),
]


@pytest.mark.parametrize(("values", "text"), REFUSED, ids=[text[:40] for _, text in REFUSED])
async def test_what_cannot_be_created_is_refused_and_nothing_of_it_stays(
    site: SandboxTotara, caller: Caller, values: Json, text: str
) -> None:
    await caller.ask(CREATE, input=person(1, custom_fields=[{"shortname": "esrnumber", "data": "E1"}]))
    assert (await caller.refusal(CREATE, input=values)).startswith(text)
    assert len(site.users()) == 1


async def test_keys_that_differ_in_case_only_are_other_keys(site: SandboxTotara, caller: Caller) -> None:
    await caller.ask(CREATE, input=person())
    other = person(2, idnumber="g-1", email="GQ1@trust.example")
    assert "data" in await caller.ask(CREATE, input=other)
    assert len(site.users()) == 2


async def test_the_idnumber_of_a_user_deleted_in_part_is_still_taken(site: SandboxTotara, caller: Caller) -> None:
    site.add_user(username="gone", idnumber="G-1", deleted=1)
    assert await caller.refusal(CREATE, input=person()) == "Idnumber already exists: G-1"


@pytest.mark.parametrize("target", [{"idnumber": "nobody"}, {"idnumber": ""}, {}, {"id": "4", "username": "admin"}])
async def test_a_reference_that_does_not_fit_has_one_text_for_all(caller: Caller, target: Json) -> None:
    await caller.ask(CREATE, input=person())
    text = await caller.refusal(UPDATE, target=target, input={})
    assert text.startswith("There was a problem finding a single user record match")


async def test_a_user_of_single_sign_on_can_be_changed_but_not_made_one(site: SandboxTotara, caller: Caller) -> None:
    site.add_user(username="sso", idnumber="G-9", auth="oauth2")
    assert "data" in await caller.ask(UPDATE, target={"idnumber": "G-9"}, input={"firstname": "New"})
    await caller.ask(CREATE, input=person())
    assert "dose not" in await caller.refusal(UPDATE, target={"idnumber": "G-1"}, input={"auth": "oauth2"})


async def test_null_leaves_an_idnumber_and_nothing_at_all_changes_nothing(site: SandboxTotara, caller: Caller) -> None:
    await caller.ask(CREATE, input=person())
    before = site.users()
    assert "data" in await caller.ask(UPDATE, target={"idnumber": "G-1"}, input={})
    assert site.users() == before
    await caller.ask(UPDATE, target={"idnumber": "G-1"}, input={"idnumber": None})
    assert site.users()[0]["idnumber"] == "G-1"


async def test_the_service_account_cannot_suspend_itself(caller: Caller) -> None:
    text = await caller.refusal(UPDATE, target={"username": "apiservice"}, input={"suspended": True})
    assert text.startswith("A service account user is not allowed to suspend itself")


async def test_the_administrator_can_be_changed_like_anybody(caller: Caller) -> None:
    assert "data" in await caller.ask(UPDATE, target={"username": "admin"}, input={"firstname": "New"})


async def test_addresses_are_hidden_and_users_made_here_are_not_hr_imports(site: SandboxTotara, caller: Caller) -> None:
    await caller.ask(CREATE, input=person())
    answer = await caller.ask("query { core_user_users { items { email } } }")
    assert {user["email"] for user in answer["data"]["core_user_users"]["items"]} == {None}
    assert site.users()[0]["totarasync"] == 0


@pytest.mark.parametrize("done", [True, False])
async def test_a_lost_race_is_told_as_a_database_error_whether_the_user_is_there_or_not(
    site: SandboxTotara, caller: Caller, done: bool
) -> None:
    site.settings.write_errors = 2 if done else 1
    assert await caller.refusal(CREATE, input=person()) == "Error writing to database"
    assert len(site.users()) == int(done)


@pytest.mark.parametrize(
    ("zone", "winter", "summer"),
    [
        ("Europe/London", "1990-02-02", "2000-06-15"),
        ("UTC", "1990-02-02", "2000-06-16"),
        ("America/New_York", "1990-02-02", "2000-06-16"),
        ("Europe/Paris", "1990-02-01", "2000-06-15"),
    ],
)
async def test_profile_dates_are_a_day_late_unless_the_service_account_is_ahead_of_utc(
    site: SandboxTotara, caller: Caller, zone: str, winter: str, summer: str
) -> None:
    site.settings.service_zone = zone
    kept = []
    for number, day in enumerate(("1990-02-01", "2000-06-15")):
        await caller.ask(CREATE, input=person(number, custom_fields=[{"shortname": "dob", "data": day}]))
        kept.append(as_day(site.users()[number]["fields"]["dob"]))
    assert kept == [winter, summer]


# Lists


def page(limit: int, cursor: str = "", column: str = "id") -> Json:
    return {"pagination": {"limit": limit, "cursor": cursor}, "sort": [{"column": column, "direction": "ASC"}]}


async def walked(caller: Caller, column: str) -> list[str]:
    found: list[str] = []
    cursor = ""
    while True:
        listed = (await caller.ask(USERS, query=page(10, cursor, column)))["data"]["core_user_users"]
        found += [user["id"] for user in listed["items"]]
        cursor = listed["next_cursor"]
        if not cursor:
            return found


async def test_walking_by_id_finds_everybody_and_by_time_of_change_loses_people(
    site: SandboxTotara, caller: Caller
) -> None:
    for number in range(60):
        site.add_user(username=f"u{number}", timemodified=1000 + number // 25)
    assert len(await walked(caller, "id")) == 63
    assert len(await walked(caller, "timemodified")) < 63


async def test_a_missing_right_looks_like_a_site_with_nobody_else(site: SandboxTotara, caller: Caller) -> None:
    site.add_user(username="other", idnumber="G-1")
    site.settings.users_hidden = True
    listed = (await caller.ask(USERS))["data"]["core_user_users"]
    assert (len(listed["items"]), listed["total"]) == (1, 1)


async def test_a_list_can_be_sorted_by_one_column_only(caller: Caller) -> None:
    query = {"sort": [{"column": "id"}, {"column": "username"}]}
    assert "more than one column" in await caller.refusal(USERS, query=query)


# Job assignments


async def test_a_job_assignment_is_made_changed_and_cleared(site: SandboxTotara, caller: Caller) -> None:
    await caller.ask(CREATE, input=person())
    site.add_item("position", "P1")
    own = {"idnumber": "J1", "user": {"idnumber": "G-1"}, "position": {"idnumber": "P1"}, "start_date": "2026-06-01"}
    made = (await caller.ask(JOB, input=own))["data"]["totara_job_create_job_assignment"]["job_assignment"]
    assert made["fullname"] == "Unnamed job assignment (ID: J1)"
    assert made["startdate"] == 1_780_268_400  # midnight in London
    await caller.ask(CHANGE_JOB, target={"idnumber": "J1"}, input={"position": None})
    assert site.jobs("G-1")[0]["position_key"] is None
    assert site.jobs("G-1")[0]["totarasync"] == 0


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"idnumber": "J1"}, "Tried to create job assignment idnumber which is not unique for this user"),
        ({"position": {"idnumber": "NO"}}, "Position reference not found"),
        ({"organisation": {"idnumber": "NO"}}, "Organisation reference not found"),
        ({"manager": {"idnumber": "NO"}}, "Manager reference not found"),
        ({"manager": {"idnumber": "J1"}}, "The user cannot be assigned as their own manager."),
        ({"start_date": 20, "end_date": 10}, "The start date can not be later than the end date."),
        ({"user": {"idnumber": "NO"}}, "There was a problem finding a single user record match"),
    ],
)
async def test_a_job_assignment_that_cannot_be_is_refused(caller: Caller, values: Json, text: str) -> None:
    await caller.ask(CREATE, input=person())
    own: Json = {"idnumber": "J1", "user": {"idnumber": "G-1"}}
    await caller.ask(JOB, input=own)
    assert (await caller.refusal(JOB, input=own | {"idnumber": "J2"} | values)).startswith(text)


async def test_an_unknown_job_assignment_cannot_be_told_from_a_forbidden_one(
    site: SandboxTotara, caller: Caller
) -> None:
    await caller.ask(CREATE, input=person())
    unknown = await caller.refusal(CHANGE_JOB, target={"idnumber": "J1"}, input={})
    await caller.ask(JOB, input={"idnumber": "J1", "user": {"idnumber": "G-1"}})
    site.settings.jobs_allowed = False
    assert await caller.refusal(CHANGE_JOB, target={"idnumber": "J1"}, input={}) == unknown
