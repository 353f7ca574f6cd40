"""What Totara can hold, and what its answers mean."""

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.outbound.lms.port import Account, Answer, HierarchyItem, JobAssignment, ProfileField
from services.outbound.lms.totara_index import stored_day
from services.outbound.lms.totara_replies import fields, lacks, read_reply
from services.outbound.lms.totara_rules import (
    account_fault,
    field_fault,
    is_day,
    item_fault,
    job_fault,
    text_fault,
    tidy_account,
    tidy_item,
    tidy_job,
)
from shared.errors import LmsUnavailableError

ZOE = Account("999-1", "zoe", "Zoë", "O'Placeholder", "zoe@trust.example", "PERM")
JOB = JobAssignment("J1", "999-1", "Nurse")


def error(text: str, **more: Any) -> dict[str, Any]:
    one = {"message": "Internal server error", "debugMessage": text, "extensions": {"category": "internal"}}
    return {"errors": [one | more], "error": "Internal server error"}


def test_a_plain_account_has_no_fault() -> None:
    assert account_fault(ZOE) == ""
    assert account_fault(replace(ZOE, username="a.b-c_d@trust.example", first_name="Đorđević 李")) == ""


@pytest.mark.parametrize("username", ["Zoe", "zo e", "zoë", "zoe!", "zoe+1"])
def test_usernames_have_small_letters_figures_and_four_signs(username: str) -> None:
    assert account_fault(replace(ZOE, username=username)) == "username-invalid"


@pytest.mark.parametrize(
    "email", ["zoe", "zoe@trust", "zoe@@t.example", "z oe@t.example", "@t.example", "zoe@t..example"]
)
def test_an_address_that_is_none_is_refused(email: str) -> None:
    assert account_fault(replace(ZOE, email=email)) == "email-invalid"


@pytest.mark.parametrize(
    ("part", "limit"),
    [
        ("idnumber", 255),
        ("username", 100),
        ("first_name", 100),
        ("last_name", 100),
        ("middle_names", 255),
        ("auth", 20),
    ],
)
def test_a_value_may_be_as_long_as_its_column_and_no_longer(part: str, limit: int) -> None:
    for letters, fault in ((limit, ""), (limit + 1, "value-too-long")):
        values: dict[str, Any] = {part: "a" * letters}
        assert account_fault(replace(ZOE, **values)) == fault


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"idnumber": ""}, "idnumber-invalid"), ({"first_name": ""}, "name-blank"),
        ({"last_name": "<b>"}, "name-invalid"),
        ({"email": ""}, "email-invalid"), ({"auth": "O A"}, "auth-invalid"), ({"username": ""}, "username-invalid"),
        ({"fields": (ProfileField("a", "1"), ProfileField("a", "2"))}, "field-twice"),
        ({"fields": (ProfileField("a", "<1"),)}, "value-invalid"),
    ],
)  # fmt: skip
def test_each_fault_of_an_account_has_its_code(values: dict[str, Any], code: str) -> None:
    assert account_fault(replace(ZOE, **values)) == code


def test_texts_are_sent_without_outer_blanks_and_with_composed_letters() -> None:
    untidy = replace(ZOE, first_name=" Zoe\u0308 ", fields=(ProfileField("a", " 1 "),))
    assert tidy_account(untidy) == replace(ZOE, fields=(ProfileField("a", "1"),))
    assert tidy_job(replace(JOB, full_name=" Nurse ")) == JOB
    assert tidy_item(HierarchyItem("position", "P", " Nurse ")) == HierarchyItem("position", "P", "Nurse")


@pytest.mark.parametrize("value", ["a\nb", "a\x00b", "<b>", " a", "a ", "a\x7f"])
def test_what_would_be_cleaned_away_is_refused(value: str) -> None:
    assert text_fault(value, 100, needed=True) == "characters"


def test_nothing_is_a_fault_only_where_something_is_needed() -> None:
    assert text_fault("", 100, needed=True) == "missing"
    assert text_fault("", 100, needed=False) == ""
    assert text_fault("  ", 100, needed=False) == "missing"


@given(st.text(max_size=300), st.integers(1, 255))
def test_what_has_no_fault_is_short_clean_and_there(value: str, limit: int) -> None:
    if text_fault(value, limit, needed=True) == "":
        assert 0 < len(value) <= limit
        assert value == value.strip()
        assert not set("<>\n\t\r\x00") & set(value)


@given(st.dates())
def test_every_day_of_the_calendar_is_a_day(day: Any) -> None:
    assert is_day(day.isoformat())


@pytest.mark.parametrize("text", ["1990-02-30", "1990-2-1", "01/02/1990", "19900201", "1990-02-01T00:00", ""])
def test_whatever_else_is_none(text: str) -> None:
    assert not is_day(text)


def test_fields_are_judged_by_kind_and_empty_ones_erase() -> None:
    assert field_fault(ProfileField("volunteer", "2", "checkbox")) == "checkbox-invalid"
    assert field_fault(ProfileField("dob", "1990-02-30", "date")) == "date-invalid"
    assert field_fault(ProfileField("dob", "", "date")) == ""
    assert field_fault(ProfileField("kind", "1990-02-30", "menu")) == ""


def test_jobs_and_items_are_judged_too() -> None:
    assert job_fault(JOB) == ""
    assert job_fault(replace(JOB, start="2026-02-02", end="2026-02-01")) == "dates-reversed"
    assert job_fault(replace(JOB, end="2026-02-31")) == "date-invalid"
    assert job_fault(replace(JOB, manager="999-1", manager_job="J1")) == "own-manager"
    assert job_fault(replace(JOB, manager="999-2")) == "manager-job-missing"
    assert item_fault(HierarchyItem("organisation", "", "Ward")) == "item-missing"
    assert item_fault(HierarchyItem("organisation", "W", "")) == "name-blank"
    assert item_fault(HierarchyItem("organisation", "W", "Ward", "W")) == "own-parent"


TEXTS = [
    ("Username already exists: gq1", "username-taken"),
    ("Idnumber already exists: G-gq1", "idnumber-taken"),
    ("Email address already exists: a@t.example", "email-taken"),
    ("The authentication plugin dose not support password creation.", "auth-not-by-api"),
    ("The authentication plugin does not support password creation.", "auth-not-by-api"),
    ("Custom field errors: \nesrnumber: This value has already been used.\n", "field-taken"),
    ("Field ffff should be less than 100 characters", "value-too-long"),
    ("Tried to create job assignment idnumber which is not unique for this user", "job-taken"),
    ("A text of a later release", "refused"),
]


@pytest.mark.parametrize(("text", "code"), TEXTS)
def test_texts_of_refusals_become_codes(text: str, code: str) -> None:
    assert read_reply(error(text)).answer() == Answer("rejected", code)


@pytest.mark.parametrize(
    "text",
    [
        "Error writing to database",
        "Error reading from database",
        "Lock timeout",
        "Missing, expired or invalid access token. x",
    ],
)
def test_what_leaves_it_open_is_unknown(text: str) -> None:
    assert read_reply(error(text)).answer().status == "unknown"


def test_a_person_cannot_be_named_so_as_to_be_taken_for_another_error() -> None:
    text = "Email address already exists: username already exists: @t.example"
    assert read_reply(error(text)).code == "email-taken"
    assert (
        read_reply(error("Field Error writing to database should be less than 100 characters")).code == "value-too-long"
    )


def test_an_error_that_tells_nothing_is_unknown_and_one_of_another_schema_a_refusal() -> None:
    silent = {"errors": [{"message": "Internal server error", "extensions": {"category": "internal"}}]}
    assert read_reply(silent).answer() == Answer("unknown", "untold")
    schema = {"errors": [{"message": "Variable canary", "extensions": {"category": "graphql"}}]}
    assert read_reply(schema).answer() == Answer("rejected", "schema-differs")


def test_other_releases_put_the_detail_elsewhere() -> None:
    one = {"message": "x", "extensions": {"category": "internal", "debugMessage": "Username already exists: a"}}
    assert read_reply({"errors": [one]}).code == "username-taken"


def test_no_data_is_unknown_and_another_shape_is_nobodys_answer() -> None:
    assert read_reply({"data": None}).answer().status == "unknown"
    assert read_reply({"data": {"a": 1}}).data == {"a": 1}
    strangers: list[Any] = [None, "canary", [], {"errors": "canary"}, {"errors": ["canary"]}]
    for strange in strangers:
        with pytest.raises(LmsUnavailableError) as refused:
            read_reply(strange)
        assert "canary" not in str(refused.value)


def test_what_is_asked_for_and_missing_is_seen_at_any_depth() -> None:
    wanted: dict[str, Any] = {"items": {"id": {}, "custom_fields": {"data": {}}}, "total": {}}
    assert fields(wanted) == "items { id custom_fields { data } } total"
    assert not lacks({"items": [{"id": 1, "custom_fields": None}], "total": 1}, wanted)
    assert not lacks({"items": [], "total": 0}, wanted)
    assert lacks({"items": []}, wanted)
    assert lacks({"items": [{"id": 1}], "total": 1}, wanted)
    assert lacks({"items": [{"id": 1, "custom_fields": [{}]}], "total": 1}, wanted)


def test_stored_dates_are_days_of_utc_and_stored_moments_days_of_the_site() -> None:
    zone = ZoneInfo("Pacific/Auckland")
    assert stored_day("633873600", "date", zone) == "1990-02-01"  # noon UTC
    assert stored_day("633873600", "datetime", zone) == "1990-02-02"
    assert stored_day("0", "date", zone) == "0"
    assert stored_day("12345678", "text", zone) == "12345678"
