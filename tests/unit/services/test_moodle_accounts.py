"""The Moodle driver against the sandbox's Moodle: accounts are made once, and kept as they are wanted."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from sandbox.moodle import SERVICE_ACCOUNT
from services.outbound.lms.port import Account, Answer, ProfileField, Sought
from shared.errors import LmsMisconfiguredError
from tests.unit.services.rig_moodle import KNOWN, Moodle, furnished, moodle, seen, settings

APPLIED = Answer("applied")
ZOE = Account(
    "999-1",
    "zoe",
    "Zoë",
    "O'Placeholder",
    "Zoe@trust.example",
    "TEMP",
    middle_names="Ann",
    fields=(
        ProfileField("accounttype", "TEMP", "menu"),
        ProfileField("dob", "1990-07-01", "date"),
        ProfileField("volunteer", "1", "checkbox"),
        ProfileField("ninumber", "QQ123456C"),
    ),
)
TOM = Account("999-2", "tom", "Tom", "Quote", "tom@trust.example", "PERM")


@pytest_asyncio.fixture(loop_scope="function")
async def it(tmp_path: Path) -> AsyncIterator[Moodle]:
    async with moodle(furnished(tmp_path)) as made:
        yield made


def rejected(code: str) -> Answer:
    return Answer("rejected", code)


def with_field(account: Account, name: str, value: str, kind: str = "text") -> Account:
    return replace(account, fields=(ProfileField(name, value, kind),))  # type: ignore[arg-type]


async def test_an_account_is_created_with_all_its_values_and_a_password_moodle_sends(it: Moodle) -> None:
    assert await it.driver.ensure_account([ZOE]) == [APPLIED]
    held = it.account("999-1")
    assert (held["username"], held["firstname"], held["lastname"]) == ("zoe", "Zoë", "O'Placeholder")
    assert (held["middlename"], held["email"], held["auth"]) == ("Ann", "Zoe@trust.example", "manual")
    assert held["fields"] == {"accounttype": "TEMP", "dob": "646786800", "volunteer": "1", "ninumber": "QQ123456C"}
    assert "auth_forcepasswordchange" in held["preferences"]


@pytest.mark.parametrize("auth", ["oauth2", "ldap", "nologin"])
async def test_an_account_of_any_method_is_created(it: Moodle, auth: str) -> None:
    assert await it.driver.ensure_account([replace(ZOE, auth=auth)]) == [APPLIED]
    assert it.account("999-1")["auth"] == auth


async def test_creating_again_finds_the_account_and_writes_nothing(it: Moodle) -> None:
    await it.driver.ensure_account([ZOE])
    writes = it.writes()
    assert await it.driver.ensure_account([ZOE]) == [APPLIED]
    assert (it.writes(), it.account("999-1")["changes"]) == (writes, 0)


async def test_the_same_person_twice_in_a_batch_is_made_once_and_the_last_word_stands(it: Moodle) -> None:
    assert await it.driver.ensure_account([ZOE, TOM, replace(ZOE, last_name="Newname")]) == [APPLIED] * 3
    assert it.account("999-1")["lastname"] == "Newname"


async def test_two_batches_at_the_same_time_make_a_person_once(it: Moodle) -> None:
    other = replace(ZOE, username="zoe.other")
    first, second = await asyncio.gather(it.driver.ensure_account([ZOE, TOM]), it.driver.ensure_account([TOM, other]))
    assert [*first, *second] == [APPLIED] * 4
    assert it.account("999-1")["username"] in ("zoe", "zoe.other")
    assert it.account("999-2")


async def test_only_what_differs_is_written(it: Moodle) -> None:
    await it.driver.ensure_account([ZOE, TOM])
    it.site.calls.clear()
    assert await it.driver.update_account([replace(ZOE, last_name="Married"), TOM]) == [APPLIED] * 2
    assert [count for name, count in it.site.calls if name == "core_user_update_users"] == [3 + 2]
    assert it.account("999-2")["changes"] == 0


async def test_middle_names_that_moodle_never_shows_are_sent_until_they_were_taken_once(tmp_path: Path) -> None:
    site = furnished(tmp_path)
    async with moodle(site) as first:
        await first.driver.ensure_account([ZOE])
    async with moodle(site) as later:
        assert await later.driver.update_account([replace(ZOE, middle_names="")]) == [APPLIED]
        assert later.account("999-1")["middlename"] == ""
        writes = later.writes()
        await later.driver.update_account([replace(ZOE, middle_names="")])
        assert later.writes() == writes


async def test_a_key_that_several_accounts_have_stops_everything_about_it(it: Moodle) -> None:
    for name in ("one", "two"):
        it.site.add_account(username=name, firstname="A", lastname="B", email=f"{name}@t.example", idnumber="999-1")
    assert await it.driver.ensure_account([ZOE, TOM]) == [rejected("idnumber-ambiguous"), APPLIED]
    assert await it.driver.suspend(["999-1"]) == [rejected("idnumber-ambiguous")]
    assert await it.driver.update_account([ZOE]) == [rejected("idnumber-ambiguous")]


@pytest.mark.parametrize("idnumber", ["", "EMP7"])
@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"username": "zoe", "email": "x@t.example"}, "username-taken"),
        ({"username": "other", "email": "zOE@TRUST.example"}, "email-taken"),
    ],
)
async def test_a_login_or_address_of_somebody_else_is_left_to_a_decision(
    it: Moodle, idnumber: str, values: dict[str, str], code: str
) -> None:
    it.site.add_account(firstname="A", lastname="B", idnumber=idnumber, **values)
    assert await it.driver.ensure_account([ZOE]) == [rejected(code)]
    assert it.writes() == 0


async def test_an_address_that_differs_where_a_pattern_would_not_is_not_taken(it: Moodle) -> None:
    it.site.add_account(username="x", firstname="A", lastname="B", email="zoexo@t.example")
    assert await it.driver.ensure_account([replace(ZOE, email="zoe_o@t.example")]) == [APPLIED]


async def test_one_of_a_batch_that_is_refused_stops_no_other(it: Moodle) -> None:
    it.site.add_account(username="taken", firstname="A", lastname="B", email="x@t.example")
    batch = [replace(ZOE, username="BAD"), TOM, replace(ZOE, username="taken"), replace(ZOE, idnumber="999-3")]
    assert await it.driver.ensure_account(batch) == [
        rejected("username-invalid"),
        APPLIED,
        rejected("username-taken"),
        APPLIED,
    ]


async def test_a_lost_race_against_ourselves_is_no_second_person(it: Moodle) -> None:
    it.site.faults.rivals = [{"lastname": "Older"}]
    assert await it.driver.ensure_account([ZOE]) == [APPLIED]
    assert it.account("999-1")["lastname"] == "O'Placeholder"


async def test_a_lost_race_against_somebody_else_is_named(it: Moodle) -> None:
    it.site.faults.rivals = [{"idnumber": "EMP7"}]
    assert await it.driver.ensure_account([ZOE]) == [rejected("username-taken")]


async def test_a_race_that_made_two_people_is_seen_at_once(it: Moodle) -> None:
    it.site.faults.rivals = [{"username": "rival"}]
    assert await it.driver.ensure_account([ZOE]) == [rejected("idnumber-ambiguous")]


async def test_a_login_method_that_is_not_installed_refuses_that_account_alone(it: Moodle) -> None:
    assert await it.driver.ensure_account([replace(ZOE, auth="saml2"), TOM]) == [
        rejected("refused-by-moodle"),
        APPLIED,
    ]


# Changing


async def test_a_change_that_moodle_refuses_whole_is_halved_until_it_stands_alone(it: Moodle) -> None:
    people = [replace(TOM, idnumber=f"999-{n}", username=f"u{n}", email=f"u{n}@t.example") for n in range(1, 8)]
    await it.driver.ensure_account(people)
    changed = [replace(one, last_name="New", auth="saml2" if one.username == "u3" else "manual") for one in people]
    expected = [APPLIED] * 7
    expected[2] = rejected("refused-by-moodle")
    assert await it.driver.update_account(changed) == expected
    assert [it.account(one.idnumber)["lastname"] for one in people].count("New") == 6


@pytest.mark.parametrize(
    ("changed", "code"),
    [({"email": "TOM@trust.example"}, "email-taken"), ({"username": "tom"}, "username-taken")],
)
async def test_a_warning_is_mapped_to_the_account_it_is_about(it: Moodle, changed: dict[str, str], code: str) -> None:
    eve = replace(TOM, idnumber="999-3", username="eve", email="eve@t.example")
    await it.driver.ensure_account([ZOE, TOM, eve])
    asked = [replace(eve, last_name="New"), replace(ZOE, **changed), replace(TOM, last_name="New")]  # type: ignore[arg-type]
    assert await it.driver.update_account(asked) == [APPLIED, rejected(code), APPLIED]
    assert it.account("999-3")["lastname"] == it.account("999-2")["lastname"] == "New"


async def test_an_account_that_is_not_there_is_not_made_by_a_change(it: Moodle) -> None:
    assert await it.driver.update_account([ZOE]) == [rejected("unknown-account")]
    assert await it.driver.suspend(["999-1"]) == [rejected("unknown-account")]
    assert await it.driver.reactivate(["999-1"]) == [rejected("unknown-account")]
    assert it.writes() == 0


async def test_suspension_is_a_call_of_its_own_and_ends_sessions(it: Moodle) -> None:
    await it.driver.ensure_account([ZOE, TOM])
    user = it.account("999-1")["id"]
    it.site.sign_in(user)
    it.site.calls.clear()
    assert await it.driver.suspend(["999-1", "999-2", "999-1"]) == [APPLIED] * 3
    assert [count for name, count in it.site.calls if name == "core_user_update_users"] == [3 + 2 * 2]
    assert not it.site.signed_in(user)
    assert await it.driver.suspend(["999-1"]) == [APPLIED]
    assert await it.driver.reactivate(["999-1"]) == [APPLIED]
    assert (it.account("999-1")["suspended"], it.account("999-2")["suspended"]) == (0, 1)
    assert it.account("999-1")["changes"] == 2


async def test_an_account_wanted_suspended_is_suspended_but_only_reactivation_opens_one(it: Moodle) -> None:
    await it.driver.ensure_account([replace(ZOE, suspended=True)])
    assert it.account("999-1")["suspended"] == 1
    await it.driver.update_account([replace(ZOE, last_name="New")])
    assert (it.account("999-1")["suspended"], it.account("999-1")["lastname"]) == (1, "New")
    assert await it.driver.ensure_account([ZOE]) == [APPLIED]
    assert it.account("999-1")["suspended"] == 1
    await it.driver.ensure_account([TOM])
    assert await it.driver.update_account([replace(TOM, suspended=True)]) == [APPLIED]
    assert it.account("999-2")["suspended"] == 1


async def test_the_service_account_never_changes_itself_or_the_site_s_own(it: Moodle) -> None:
    it.site.change(SERVICE_ACCOUNT, idnumber="999-1")
    it.site.change(2, idnumber="999-2")
    it.site.change(1, idnumber="999-3")
    keys = ["999-1", "999-2", "999-3"]
    assert await it.driver.suspend(keys) == [rejected("protected-account")] * 3
    assert await it.driver.ensure_account([ZOE]) == [rejected("protected-account")]
    assert await it.driver.adopt(str(SERVICE_ACCOUNT), "999-9") == rejected("protected-account")
    assert it.writes() == 0


async def test_an_administrator_of_another_name_is_refused_by_moodle_and_named(it: Moodle) -> None:
    it.site.add_account(username="boss", firstname="A", lastname="B", email="b@t.example", idnumber="999-1", admin=1)
    assert await it.driver.suspend(["999-1"]) == [rejected("protected-account")]


# Profile fields


async def test_a_menu_value_that_is_no_option_is_never_sent(it: Moodle) -> None:
    await it.driver.ensure_account([ZOE])
    wrong = with_field(ZOE, "accounttype", "Permanent", "menu")
    assert await it.driver.update_account([wrong]) == [rejected("menu-value-unknown")]
    assert it.account("999-1")["fields"]["accounttype"] == "TEMP"


async def test_an_option_that_the_site_has_no_more_is_noticed_by_reading_back(it: Moodle) -> None:
    it.site.add_field("accounttype", "menu", options=["Other"])
    assert await it.driver.ensure_account([ZOE]) == [rejected("field-not-kept")]


@pytest.mark.parametrize("name", ["nothere", "NiNumber"])
async def test_a_field_that_moodle_ignores_is_noticed_by_reading_back(it: Moodle, name: str) -> None:
    await it.driver.ensure_account([ZOE])
    assert await it.driver.update_account([with_field(ZOE, name, "x"), TOM]) == [
        rejected("field-not-kept"),
        rejected("unknown-account"),
    ]


async def test_a_date_outside_the_range_of_its_field_is_noticed(it: Moodle) -> None:
    it.site.add_field("dob", "datetime", years=(2000, 2050))
    assert await it.driver.ensure_account([ZOE]) == [rejected("field-not-kept")]


@pytest.mark.parametrize(
    "day",
    ["1901-01-01", "1941-05-04", "1969-07-01", "1970-01-01", "2000-02-29", "2026-03-29", "2026-10-25", "2100-12-31"],
)
async def test_a_day_comes_back_as_the_same_day_summer_or_winter(it: Moodle, day: str) -> None:
    assert await it.driver.ensure_account([with_field(ZOE, "dob", day, "date")]) == [APPLIED]
    found = await it.driver.find_account("999-1")
    assert found is not None
    assert found.fields["dob"] == day
    assert it.writes() == 1


async def test_emptied_fields_are_erased_and_need_not_be_there(it: Moodle) -> None:
    await it.driver.ensure_account([ZOE])
    empty = replace(ZOE, fields=tuple(replace(one, value="") for one in ZOE.fields))
    assert await it.driver.update_account([empty]) == [APPLIED]
    assert it.account("999-1")["fields"] == {"volunteer": "0"}
    writes = it.writes()
    assert await it.driver.update_account([with_field(ZOE, "nothere", "")]) == [APPLIED]
    assert it.writes() == writes


async def test_values_of_several_signs_and_scripts_come_back_as_they_were_sent(it: Moodle) -> None:
    odd = replace(ZOE, first_name="Zoe\u0308 李", last_name="O'Brien-Łukasz & Co", middle_names="A < B")
    assert await it.driver.ensure_account([odd]) == [APPLIED]
    assert it.account("999-1")["firstname"] == "Zoë 李"


async def test_dates_that_come_back_as_another_zone_s_midnight_stop_all_work(it: Moodle) -> None:
    it.site.change(SERVICE_ACCOUNT, timezone="Pacific/Auckland")
    with pytest.raises(LmsMisconfiguredError, match="time zone"):
        await it.driver.ensure_account([ZOE])


# Forms


async def test_a_form_too_long_to_be_read_whole_is_never_sent(tmp_path: Path) -> None:
    people = [replace(TOM, idnumber=f"999-{n}", username=f"u{n}", email=f"u{n}@t.example") for n in range(40)]
    given = settings(variables=50)
    async with moodle(furnished(tmp_path, variables=50), given) as it:
        assert await it.driver.ensure_account(people) == [APPLIED] * 40
        changed = [
            with_field(replace(one, last_name="New", first_name="New"), "ninumber", "QQ123456C") for one in people
        ]
        assert await it.driver.update_account(changed) == [APPLIED] * 40
        assert await it.driver.suspend([one.idnumber for one in people]) == [APPLIED] * 40
        assert max(count for _, count in it.site.calls) <= 50
        assert all(it.account(one.idnumber)["lastname"] == "New" for one in people)
        assert all(it.account(one.idnumber)["suspended"] for one in people)


async def test_a_site_that_reads_less_of_a_form_than_we_were_told_is_found_out_before_anybody_is_missed(
    tmp_path: Path,
) -> None:
    async with moodle(furnished(tmp_path, variables=20)) as it:
        keys = [f"999-{number}" for number in range(16)]
        with pytest.raises(LmsMisconfiguredError, match="known_user"):
            await it.driver.suspend(keys)
        assert await it.driver.suspend(keys[:10]) == [rejected("unknown-account")] * 10


async def test_an_account_that_fits_into_no_form_is_refused_and_not_cut(tmp_path: Path) -> None:
    many = replace(ZOE, fields=tuple(ProfileField(f"f{n}", "x") for n in range(30)))
    async with moodle(furnished(tmp_path), settings(variables=50)) as it:
        assert await it.driver.ensure_account([many, TOM]) == [rejected("form-too-long"), APPLIED]
        assert await it.driver.update_account([replace(TOM, fields=many.fields)]) == [rejected("form-too-long")]
        assert it.writes() == 1


# Accounts of other making


async def test_candidates_share_something_and_bring_their_profile_fields(it: Moodle) -> None:
    await it.driver.ensure_account([ZOE])
    for name, values in {
        "emp7": {"idnumber": "x1", "lastname": "Other"},
        "b": {"idnumber": "EMP7", "lastname": "Other"},
        "c": {"idnumber": "", "lastname": "o'PLACEHOLDER"},
        "d": {"idnumber": "", "lastname": "O'Placeholder2"},
    }.items():
        it.site.add_account(username=name, firstname="A", email=f"{name}@t.example", **values)
    sought = Sought("999-5", username="b", email="ZOE@trust.example", last_name="O'Placeholder", employee_number="EMP7")
    (found, none) = await it.driver.candidates([sought, Sought("999-6")])
    assert [one.username for one in found] == ["zoe", "emp7", "b", "c"]
    assert found[0] == seen(it.site, "999-1")
    assert dict(found[0].fields) == {
        "accounttype": "TEMP",
        "dob": "1990-07-01",
        "volunteer": "1",
        "ninumber": "QQ123456C",
    }
    assert none == []


async def test_signs_that_stand_for_anything_find_nobody_by_themselves(it: Moodle) -> None:
    await it.driver.ensure_account([ZOE])
    assert await it.driver.candidates(
        [Sought("9", email="%", last_name="%"), Sought("8", last_name="_'Placeholder")]
    ) == [
        [],
        [],
    ]


async def test_the_site_s_own_accounts_are_nobody_s_candidates(it: Moodle) -> None:
    assert await it.driver.candidates([Sought("9", username="admin", last_name="Site")]) == [[]]


async def test_an_account_is_found_by_its_key(it: Moodle) -> None:
    await it.driver.ensure_account([ZOE])
    assert await it.driver.find_account("999-1") == seen(it.site, "999-1")
    assert await it.driver.find_account("999-2") is None
    assert await it.driver.find_account("") is None


async def test_adopting_gives_an_account_our_key_once(it: Moodle) -> None:
    user = it.site.add_account(username="b", firstname="A", lastname="B", email="b@t.example", idnumber="EMP7")
    assert await it.driver.adopt(str(user), "999-1") == APPLIED
    assert it.account("999-1")["id"] == user
    writes = it.writes()
    assert await it.driver.adopt(str(user), "999-1") == APPLIED
    assert it.writes() == writes


async def test_adopting_never_makes_a_key_or_an_account_two_people_s(it: Moodle) -> None:
    await it.driver.ensure_account([ZOE, TOM])
    free = it.site.add_account(username="b", firstname="A", lastname="B", email="b@t.example")
    zoe = str(it.account("999-1")["id"])
    assert await it.driver.adopt(str(free), "999-1") == rejected("idnumber-taken")
    assert await it.driver.adopt(zoe, "999-7") == rejected("account-taken")
    for absent in ("4711", "nonsense", ""):
        assert await it.driver.adopt(absent, "999-7") == rejected("unknown-account")
    assert await it.driver.adopt(str(free), "") == rejected("idnumber-invalid")


async def test_a_deleted_account_that_moodle_shows_by_its_id_is_not_adopted(it: Moodle) -> None:
    user = it.site.add_account(username="b", firstname="A", lastname="B", email="b@t.example")
    it.site.delete(user)
    assert await it.driver.adopt(str(user), "999-1") == rejected("unknown-account")


# Rights


async def test_rights_lost_in_the_middle_of_work_stop_it_before_anybody_is_made_twice(it: Moodle) -> None:
    await it.driver.ensure_account([ZOE])
    it.site.allow("webservice/rest:use", "moodle/user:create", "moodle/user:update")
    with pytest.raises(LmsMisconfiguredError, match="known_user"):
        await it.driver.ensure_account([replace(ZOE, username="zoe.new", email="new@t.example")])
    assert sum(one["idnumber"] == "999-1" for one in it.site.accounts()) == 1


async def test_values_that_are_hidden_all_of_a_sudden_are_not_taken_for_empty_ones(it: Moodle) -> None:
    await it.driver.ensure_account([ZOE])
    it.site.allow(*[one for one in _VIEWS if "fullnames" not in one], "moodle/user:update")
    with pytest.raises(LmsMisconfiguredError, match="known_user"):
        await it.driver.update_account([ZOE])
    assert it.account("999-1")["changes"] == 0


async def test_without_a_known_account_nothing_is_looked_up(tmp_path: Path) -> None:
    async with moodle(furnished(tmp_path), settings(known_user="")) as it:
        with pytest.raises(LmsMisconfiguredError, match="known_user"):
            await it.driver.ensure_account([ZOE])
        assert it.writes() == 0


async def test_the_known_account_itself_can_be_looked_up(it: Moodle) -> None:
    found = await it.driver.find_account(KNOWN)
    assert found is not None
    assert found.username == "known"


async def test_a_right_to_write_that_is_missing_is_for_a_person_to_mend(it: Moodle) -> None:
    it.site.allow(*_VIEWS)
    with pytest.raises(LmsMisconfiguredError, match="right-missing"):
        await it.driver.ensure_account([ZOE])


_VIEWS = (
    "webservice/rest:use",
    "moodle/user:viewdetails",
    "moodle/user:viewalldetails",
    "moodle/site:viewuseridentity",
    "moodle/site:viewfullnames",
)


async def test_an_empty_batch_asks_nothing(it: Moodle) -> None:
    assert await it.driver.ensure_account([]) == []
    assert await it.driver.update_account([]) == []
    assert await it.driver.suspend([]) == await it.driver.reactivate([]) == []
    assert await it.driver.candidates([]) == []
    assert await it.driver.news() == []
    assert it.site.calls == []
