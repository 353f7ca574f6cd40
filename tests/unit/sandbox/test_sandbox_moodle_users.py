"""The sandbox's Moodle creates and changes accounts as the real one was seen to."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from sandbox.moodle import SERVICE_ACCOUNT, TOKEN, SandboxMoodle
from sandbox.moodle_access import CAPABILITIES
from sandbox.moodle_http import create_app

IP = {
    "exception": "invalid_parameter_exception",
    "errorcode": "invalidparameter",
    "message": "Invalid parameter value detected",
}
DW = {
    "exception": "dml_write_exception",
    "errorcode": "dmlwriteexception",
    "message": "Error writing to database",
}
GOOD = "Passw0rd!x"
CREATE = "core_user_create_users"
UPDATE = "core_user_update_users"
Call = Any


def user(name: str = "u1", /, **values: str) -> dict[str, str]:
    made = {"username": name, "password": GOOD, "firstname": "A", "lastname": "B", "email": f"{name}@t.example"}
    return {key: value for key, value in (made | values).items() if value != "-"}


def form(*users: dict[str, str], custom: tuple[tuple[str, str], ...] = ()) -> dict[str, str]:
    pairs = {f"users[{place}][{key}]": value for place, one in enumerate(users) for key, value in one.items()}
    for number, (name, value) in enumerate(custom):
        pairs[f"users[0][customfields][{number}][type]"] = name
        pairs[f"users[0][customfields][{number}][value]"] = value
    return pairs


@pytest.fixture
def moodle(tmp_path: Path) -> SandboxMoodle:
    return SandboxMoodle(tmp_path / "moodle.sqlite")


@pytest_asyncio.fixture(loop_scope="function")
async def call(moodle: SandboxMoodle) -> AsyncIterator[Call]:
    transport = httpx.ASGITransport(create_app(moodle))
    async with httpx.AsyncClient(transport=transport, base_url="https://moodle.example") as client:

        async def one(function: str, pairs: dict[str, str]) -> Any:
            head = {"wstoken": TOKEN, "wsfunction": function, "moodlewsrestformat": "json"}
            response = await client.post("/webservice/rest/server.php", data=head | pairs)
            assert response.status_code == 200
            return response.json()

        yield one


def row(moodle: SandboxMoodle, username: str = "u1") -> dict[str, Any]:
    (found,) = [one for one in moodle.accounts() if one["username"] == username]
    return found


def names(moodle: SandboxMoodle) -> set[str]:
    return {one["username"] for one in moodle.accounts()} - {"admin", "guest", "svc.bridge"}


async def test_created_accounts_are_answered_in_the_order_asked(call: Call) -> None:
    assert await call(CREATE, form(user("u2"), user("u1"))) == [
        {"id": 4, "username": "u2"},
        {"id": 5, "username": "u1"},
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {"username": "UPPER"},
        {"username": "a b"},
        {"username": "a+b"},
        {"username": ""},
        {"email": "notanemail"},
        {"email": ""},
        {"email": "ok@localhost"},
        {"email": "zoë@t.example"},
        {"email": f"{'x' * 65}@t.example"},
        {"email": " a@t.example"},
        {"email": "-"},
        {"firstname": " "},
        {"lastname": ""},
        {"lastname": "Al <b>x</b>"},
        {"lastname": "A<B"},
        {"lastname": "x <"},
        {"lastname": "nul\0"},
        {"password": "-"},
        {"password": "-", "auth": "nologin"},
        {"auth": "saml2"},
        {"auth": ""},
        {"lang": "xx"},
        {"suspended": "1"},
        {"createpassword": "true"},
        {"country": "G1"},
    ],
)
async def test_a_creation_that_breaks_a_rule_is_refused_without_a_reason(
    call: Call, moodle: SandboxMoodle, changed: dict[str, str]
) -> None:
    assert await call(CREATE, form(user(**changed))) == IP
    assert names(moodle) == set()


@pytest.mark.parametrize(
    "changed",
    [
        {"username": "mail.user@ex-ample.org"},
        {"email": "o'brien@t.example"},
        {"email": "MiXed@T.example"},
        {"firstname": "  Pad "},
        {"lastname": "a\tb\nc"},
        {"lastname": "O'Brien-Łukasz & Co 🚒"},
        {"lastname": "A < B"},
        {"lastname": "e\u0301"},
        {"idnumber": " EMP 7/é "},
        {"idnumber": "<b>EMP</b>"},
        {"password": "-", "createpassword": "1"},
        {"password": "-", "auth": "oauth2"},
        {"password": "-", "auth": "ldap"},
        {"timezone": "Mars/Base"},
    ],
)
async def test_what_a_creation_takes_is_kept_as_it_was_sent(
    call: Call, moodle: SandboxMoodle, changed: dict[str, str]
) -> None:
    (made,) = await call(CREATE, form(user(**changed)))
    held = next(one for one in moodle.accounts() if one["id"] == made["id"])
    kept = {name: value for name, value in changed.items() if name not in ("password", "createpassword")}
    assert {name: held[name] for name in kept} == kept


@pytest.mark.parametrize(
    ("name", "most"), [("username", 100), ("firstname", 100), ("lastname", 100), ("idnumber", 255), ("phone1", 20)]
)
async def test_one_sign_too_many_is_a_database_error(call: Call, name: str, most: int) -> None:
    assert "id" in (await call(CREATE, form(user(**{name: "x" * most}))))[0]
    assert await call(CREATE, form(user("u2", **{name: "x" * (most + 1)}))) == DW


async def test_an_idnumber_can_be_given_to_several_people(call: Call, moodle: SandboxMoodle) -> None:
    await call(CREATE, form(user("u1", idnumber="7")))
    assert "id" in (await call(CREATE, form(user("u2", idnumber="7"))))[0]
    assert [one["idnumber"] for one in moodle.accounts()].count("7") == 2


@pytest.mark.parametrize("changed", [{"email": "other@t.example"}, {"username": "u2", "email": "U1@T.EXAMPLE"}])
async def test_a_username_or_address_of_another_in_any_case_refuses_a_creation(
    call: Call, changed: dict[str, str]
) -> None:
    await call(CREATE, form(user("u1")))
    assert await call(CREATE, form(user(**{"username": "u1"} | changed))) == IP


@pytest.mark.parametrize("second", [user("u1", email="x@t.example"), user("BAD"), user("u2", firstname="x" * 101)])
async def test_a_creation_is_all_or_nothing(call: Call, moodle: SandboxMoodle, second: dict[str, str]) -> None:
    assert "exception" in await call(CREATE, form(user("u1"), second, user("u3")))
    assert names(moodle) == set()


async def test_a_password_against_the_policy_has_html_in_its_code(call: Call, moodle: SandboxMoodle) -> None:
    answer = await call(CREATE, form(user(password="short")))
    assert answer["exception"] == "moodle_exception"
    assert answer["errorcode"].startswith("<div>")
    assert names(moodle) == set()


async def test_a_password_that_moodle_makes_must_be_changed(call: Call, moodle: SandboxMoodle) -> None:
    await call(CREATE, form(user(password="-", createpassword="1")))
    assert row(moodle)["preferences"] == '{"auth_forcepasswordchange": "1"}'


async def test_a_country_that_is_none_is_kept_as_zero(call: Call, moodle: SandboxMoodle) -> None:
    await call(CREATE, form(user(country="XX")))
    assert row(moodle)["country"] == "0"


async def test_who_loses_the_race_for_a_username_gets_a_database_error(call: Call, moodle: SandboxMoodle) -> None:
    moodle.faults.rivals = [{"idnumber": "another"}]
    assert await call(CREATE, form(user("u1", idnumber="7"))) == DW
    assert row(moodle)["idnumber"] == "another"


async def test_a_race_with_another_username_makes_two_people_of_one(call: Call, moodle: SandboxMoodle) -> None:
    moodle.faults.rivals = [{"username": "u2"}]
    assert "id" in (await call(CREATE, form(user("u1", idnumber="7"))))[0]
    assert [(one["email"], one["idnumber"]) for one in moodle.accounts()].count(("u1@t.example", "7")) == 2


# Changes


@pytest.fixture
def two(moodle: SandboxMoodle) -> SandboxMoodle:
    for name in ("u1", "u2"):
        moodle.add_account(username=name, firstname="A", lastname="B", email=f"{name}@t.example", idnumber=name)
    return moodle


async def test_a_change_has_no_answer_but_warnings_and_counts_even_if_nothing_changes(
    call: Call, two: SandboxMoodle
) -> None:
    assert await call(UPDATE, form({"id": "4", "lastname": "B"}, {"id": "5"})) == {"warnings": []}
    assert (row(two)["changes"], row(two, "u2")["changes"]) == (1, 1)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"id": "99"}, "invaliduserid"),
        ({"id": "-1"}, "invaliduserid"),
        ({"id": "1", "lastname": "X"}, "usernotupdatedguest"),
        ({"id": "2", "lastname": "X"}, "usernotupdatedadmin"),
        ({"id": "4", "email": "U2@T.example", "suspended": "1"}, "useremailduplicate"),
        ({"id": "4", "email": "none"}, "useremailinvalid"),
        ({"id": "4", "email": ""}, "useremailinvalid"),
        ({"id": "4", "username": "u2"}, "dmlwriteexception"),
        ({"id": "4", "firstname": "x" * 101, "suspended": "1"}, "dmlwriteexception"),
    ],
)
async def test_a_change_that_fails_warns_by_the_account_id_and_leaves_that_account_as_it_was(
    call: Call, two: SandboxMoodle, values: dict[str, str], code: str
) -> None:
    answer = await call(UPDATE, form(values, {"id": "5", "lastname": "New"}))
    (warning,) = answer["warnings"]
    assert (warning["item"], warning["itemid"], warning["warningcode"]) == ("user", int(values["id"]), code)
    assert row(two, "u2")["lastname"] == "New"
    assert (row(two)["changes"], row(two)["suspended"]) == (0, 0)


async def test_a_deleted_account_cannot_be_changed(call: Call, two: SandboxMoodle) -> None:
    two.delete(4)
    answer = await call(UPDATE, form({"id": "4", "lastname": "X"}))
    assert answer["warnings"][0]["warningcode"] == "usernotupdateddeleted"


@pytest.mark.parametrize(
    "values",
    [
        {"id": "5", "suspended": "true"},
        {"id": "5", "suspended": "2"},
        {"id": "5", "suspended": ""},
        {"id": "5", "username": "UPPER"},
        {"id": "5", "lastname": "<b>"},
        {"id": "5", "auth": "saml2"},
        {"id": "5", "unknown": "1"},
        {"id": "abc"},
        {"lastname": "X"},
    ],
)
async def test_a_change_of_the_wrong_type_refuses_the_whole_call_before_any_work(
    call: Call, two: SandboxMoodle, values: dict[str, str]
) -> None:
    assert await call(UPDATE, form({"id": "4", "lastname": "New"}, values)) == IP
    assert row(two)["lastname"] == "B"


async def test_a_bad_password_hides_the_outcome_of_the_others_which_are_changed(call: Call, two: SandboxMoodle) -> None:
    answer = await call(UPDATE, form({"id": "4", "password": "short", "lastname": "X"}, {"id": "5", "lastname": "New"}))
    assert answer["errorcode"] == "invalidresponse"
    assert (row(two)["lastname"], row(two, "u2")["lastname"]) == ("B", "New")


async def test_a_change_may_blank_names_and_username(call: Call, two: SandboxMoodle) -> None:
    blank = {"firstname": "", "lastname": "", "username": ""}
    assert await call(UPDATE, form({"id": "4", **blank})) == {"warnings": []}
    assert row(two, "")["firstname"] == ""


async def test_a_change_may_take_an_idnumber_that_another_has(call: Call, two: SandboxMoodle) -> None:
    assert await call(UPDATE, form({"id": "4", "idnumber": "u2"})) == {"warnings": []}
    assert row(two)["idnumber"] == "u2"


async def test_suspension_ends_open_sessions_and_nologin_does_not(call: Call, two: SandboxMoodle) -> None:
    two.sign_in(4)
    two.sign_in(5)
    await call(UPDATE, form({"id": "4", "suspended": "1"}, {"id": "5", "auth": "nologin"}))
    assert (two.signed_in(4), two.signed_in(5)) == (False, True)
    assert row(two)["suspended"] == 1


async def test_the_service_account_can_lock_itself_out(call: Call, moodle: SandboxMoodle) -> None:
    assert await call(UPDATE, form({"id": str(SERVICE_ACCOUNT), "suspended": "1"})) == {"warnings": []}
    assert (await call(UPDATE, form({"id": "4"})))["errorcode"] == "wsaccessusersuspended"


async def test_of_the_same_account_twice_the_last_wins(call: Call, two: SandboxMoodle) -> None:
    await call(UPDATE, form({"id": "4", "lastname": "First"}, {"id": "4", "lastname": "Last"}))
    assert row(two)["lastname"] == "Last"


@pytest.mark.parametrize("capability", [CREATE, UPDATE])
async def test_writing_without_the_right_is_refused_but_a_wrong_form_is_refused_first(
    call: Call, moodle: SandboxMoodle, capability: str
) -> None:
    moodle.allow(*[one for one in CAPABILITIES if not one.startswith(("moodle/user:create", "moodle/user:update"))])
    whole = user() if capability == CREATE else {"id": "4"}
    assert (await call(capability, form(whole)))["errorcode"] == "nopermissions"
    assert await call(capability, form({"unknown": "1"})) == IP


# Profile fields


@pytest.fixture
def fields(two: SandboxMoodle) -> SandboxMoodle:
    two.add_field("kind", "menu", options=["TEMP", "PERM"])
    two.add_field("start", "datetime", years=(2000, 2050))
    two.add_field("bank", "checkbox")
    two.add_field("note")
    return two


async def keep(call: Call, fields: SandboxMoodle, *custom: tuple[str, str]) -> dict[str, str]:
    assert await call(UPDATE, form({"id": "4"}, custom=custom)) == {"warnings": []}
    held: dict[str, str] = row(fields)["fields"]
    return held


async def test_a_field_that_is_not_there_is_ignored_without_a_word(call: Call, fields: SandboxMoodle) -> None:
    assert await keep(call, fields, ("Note", "x"), ("nothere", "x")) == {"bank": "0"}


async def test_a_menu_value_that_is_not_there_erases_the_one_held(call: Call, fields: SandboxMoodle) -> None:
    assert (await keep(call, fields, ("kind", "TEMP")))["kind"] == "TEMP"
    assert "kind" not in await keep(call, fields, ("kind", "Temp"))


async def test_the_last_of_two_values_for_a_field_wins(call: Call, fields: SandboxMoodle) -> None:
    assert (await keep(call, fields, ("note", "1"), ("note", "2")))["note"] == "2"


async def test_a_checkbox_keeps_whatever_it_is_sent(call: Call, fields: SandboxMoodle) -> None:
    assert (await keep(call, fields, ("bank", "no")))["bank"] == "no"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("2026-07-15", "1784070000"),
        ("1784069100", "1783983600"),
        ("2026-07-15T10:00:00", "1784070000"),
        ("15/07/2026", "943920000"),
        ("2026-02-31", "1772496000"),
        ("1999-07-15", "963615600"),
        ("", None),
    ],
)
async def test_a_date_is_kept_as_php_reads_it_and_never_refused(
    call: Call, fields: SandboxMoodle, sent: str, kept: str | None
) -> None:
    assert (await keep(call, fields, ("start", sent))).get("start") == kept


async def test_a_date_is_a_midnight_where_the_service_account_lives(call: Call, fields: SandboxMoodle) -> None:
    fields.change(SERVICE_ACCOUNT, timezone="Pacific/Auckland")
    assert (await keep(call, fields, ("start", "2026-07-15")))["start"] == "1784030400"


async def test_a_field_name_with_a_blank_refuses_the_whole_call(call: Call, fields: SandboxMoodle) -> None:
    assert await call(UPDATE, form({"id": "4"}, custom=(("a b", "x"),))) == IP
