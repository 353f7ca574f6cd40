"""Driver ``totara-graphql`` against the sandbox's Totara: each trap of that API."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.totara import SandboxTotara
from sandbox.totara_http import API, create_app
from services.outbound.lms.port import Account, Answer, HierarchyItem, JobAssignment, ProfileField, Sought
from services.outbound.lms.totara_graphql import TotaraGraphql
from shared.errors import LmsBusyError, LmsMisconfiguredError, LmsUnavailableError
from tests.unit.services.rig_totara import GRAPHQL, new_graphql, new_site, seen, seen_jobs

ZOE = Account("999-1", "zoe", "Zoë", "O'Placeholder", "zoe@trust.example", "PERM", middle_names="Ann")
TOM = Account("999-2", "tom", "Tom", "Test", "tom@trust.example", "TEMP")
APPLIED = Answer("applied")


def rejected(code: str) -> Answer:
    return Answer("rejected", code)


class Wire(httpx.AsyncBaseTransport):
    """Counts what goes over it, and can break what comes back."""

    def __init__(self, site: SandboxTotara) -> None:
        self.inner = httpx.ASGITransport(create_app(site))
        self.bodies: list[Any] = []
        self.breaks: Callable[[httpx.Request], None] = lambda _: None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == API:
            self.bodies.append(json.loads(request.content))
        response = await self.inner.handle_async_request(request)
        await response.aread()
        self.breaks(request)
        return response

    @property
    def documents(self) -> list[str]:
        return [one["query"] for body in self.bodies for one in body]

    def mutations(self, name: str) -> int:
        return len([text for text in self.documents if name in text])


@pytest.fixture
def site(tmp_path: Path) -> SandboxTotara:
    return new_site(tmp_path)


@pytest.fixture
def wire(site: SandboxTotara) -> Wire:
    return Wire(site)


@pytest.fixture
def driver(site: SandboxTotara, wire: Wire) -> TotaraGraphql:
    return TotaraGraphql(GRAPHQL, lambda: site.settings.client_secret, transport=wire)


# Accounts


async def test_an_account_is_made_found_and_changed(site: SandboxTotara, driver: TotaraGraphql) -> None:
    assert await driver.ensure_account([ZOE, TOM]) == [APPLIED, APPLIED]
    assert await driver.update_account([replace(ZOE, username="20000001", last_name="Neu")]) == [APPLIED]
    held = seen(site, "999-1")
    assert held is not None
    assert (held.username, held.last_name, held.email) == ("20000001", "Neu", "zoe@trust.example")
    found = await driver.find_account("999-1")
    assert found is not None
    assert (found.lms_id, found.username, found.email) == (held.lms_id, "20000001", "")  # addresses are hidden


async def test_ensuring_twice_changes_and_does_not_create_again(site: SandboxTotara, driver: TotaraGraphql) -> None:
    await driver.ensure_account([ZOE])
    assert await new_graphql(site).ensure_account([replace(ZOE, first_name="Zoe")]) == [APPLIED]
    assert [user["firstname"] for user in site.users()] == ["Zoe"]


async def test_one_mutation_goes_in_each_document_and_some_documents_in_each_request(
    site: SandboxTotara, wire: Wire
) -> None:
    settings = GRAPHQL.model_copy(update={"graphql": GRAPHQL.graphql.model_copy(update={"batch": 2})})
    driver = TotaraGraphql(settings, lambda: site.settings.client_secret, transport=wire)
    accounts = [replace(ZOE, idnumber=f"999-{n}", username=f"u{n}", email=f"u{n}@trust.example") for n in range(5)]
    await driver.ensure_account(accounts)
    writing = [body for body in wire.bodies if "core_user_create_user" in body[0]["query"]]
    assert [len(body) for body in writing] == [2, 2, 1]
    assert all(one["query"].count("core_user_create_user(") == 1 for body in writing for one in body)


async def test_names_are_sent_without_outer_blanks_and_with_composed_letters(
    site: SandboxTotara, driver: TotaraGraphql
) -> None:
    assert await driver.ensure_account([replace(ZOE, first_name=" Zoe\u0308 ")]) == [APPLIED]
    assert site.users()[0]["firstname"] == "Zoë"


async def test_one_refused_member_never_stops_the_others(site: SandboxTotara, driver: TotaraGraphql) -> None:
    accounts = [ZOE, replace(TOM, username="zoe"), replace(TOM, username="Bad Name"), TOM]
    assert await driver.ensure_account(accounts) == [
        APPLIED, rejected("username-taken"), rejected("username-invalid"), APPLIED,
    ]  # fmt: skip
    assert len(site.users()) == 2


async def test_an_address_in_another_case_is_taken_for_the_same(site: SandboxTotara, driver: TotaraGraphql) -> None:
    site.settings.emails_shown = True
    site.add_user(username="other", email="ZOE@trust.example")
    twin = replace(TOM, email="TOM@trust.example", idnumber="999-3", username="tom3")
    assert await driver.ensure_account([ZOE, TOM, twin]) == [rejected("email-taken"), APPLIED, rejected("email-taken")]


async def test_the_key_of_an_account_deleted_in_part_is_told_as_taken(
    site: SandboxTotara, driver: TotaraGraphql
) -> None:
    site.add_user(username="gone", idnumber="999-1", deleted=1)
    assert await driver.ensure_account([ZOE]) == [rejected("idnumber-taken")]


async def test_an_account_that_somebody_else_made_meanwhile_is_changed(
    site: SandboxTotara, driver: TotaraGraphql
) -> None:
    await driver.find_account("999-1")
    site.add_user(username="zoe", idnumber="999-1", email="zoe@trust.example")
    assert await driver.ensure_account([ZOE]) == [APPLIED]
    assert [user["firstname"] for user in site.users()] == ["Zoë"]


async def test_an_account_that_comes_between_the_look_and_the_creation_is_changed(
    site: SandboxTotara, driver: TotaraGraphql, wire: Wire
) -> None:
    await driver.find_account("999-1")

    def meanwhile(request: httpx.Request) -> None:
        if b"core_user_users" in request.content and not site.users():
            site.add_user(username="zoe", idnumber="999-1", email="zoe@trust.example")

    wire.breaks = meanwhile
    assert await driver.ensure_account([ZOE]) == [APPLIED]
    assert [user["firstname"] for user in site.users()] == ["Zoë"]


async def test_an_account_that_was_deleted_is_made_again_when_that_is_asked_for(
    site: SandboxTotara, driver: TotaraGraphql
) -> None:
    await driver.ensure_account([ZOE])
    site.edit_user("zoe", deleted=1, idnumber="", email="", username="deleted_1")
    assert await driver.update_account([ZOE]) == [rejected("unknown-account")]
    assert await driver.ensure_account([ZOE, TOM]) == [APPLIED, APPLIED]
    site.edit_user("tom", deleted=1, idnumber="", email="", username="deleted_2")
    assert await driver.ensure_account([TOM]) == [APPLIED]


async def test_an_account_whose_key_was_taken_away_is_not_changed(site: SandboxTotara, driver: TotaraGraphql) -> None:
    await driver.ensure_account([ZOE])
    site.edit_user("zoe", idnumber="")
    assert await driver.update_account([replace(ZOE, first_name="New")]) == [rejected("unknown-account")]
    assert site.users()[0]["firstname"] == "Zoë"


async def test_only_ensuring_creates(site: SandboxTotara, driver: TotaraGraphql) -> None:
    unknown = [rejected("unknown-account")]
    assert await driver.update_account([ZOE]) == unknown
    assert await driver.suspend(["999-1"]) == unknown
    assert await driver.reactivate(["999-1"]) == unknown
    assert site.users() == []


async def test_suspending_and_opening_leave_the_rest_alone_and_can_be_repeated(
    site: SandboxTotara, driver: TotaraGraphql
) -> None:
    await driver.ensure_account([ZOE])
    before = site.users()[0]
    for _ in range(2):
        assert await driver.suspend(["999-1"]) == [APPLIED]
        assert site.users()[0] == before | {"suspended": 1}
    assert await driver.reactivate(["999-1"]) == [APPLIED]
    assert site.users()[0] == before


async def test_a_change_does_not_open_an_account_an_administrator_suspended(
    site: SandboxTotara, driver: TotaraGraphql
) -> None:
    await driver.ensure_account([ZOE])
    site.edit_user("zoe", suspended=1)
    assert await driver.update_account([replace(ZOE, last_name="New")]) == [APPLIED]
    assert (site.users()[0]["suspended"], site.users()[0]["lastname"]) == (1, "New")


async def test_single_sign_on_accounts_cannot_be_made_and_can_be_changed(
    site: SandboxTotara, driver: TotaraGraphql
) -> None:
    assert await driver.ensure_account([replace(ZOE, auth="oauth2")]) == [rejected("auth-not-by-api")]
    assert await driver.ensure_account([replace(ZOE, auth="nosuch")]) == [rejected("auth-unknown")]
    site.add_user(username="zoe", idnumber="999-1", email="zoe@trust.example", auth="oauth2")
    assert await driver.ensure_account([replace(ZOE, auth="oauth2")]) == [APPLIED]
    assert site.users()[0]["auth"] == "oauth2"


@pytest.mark.parametrize(
    ("field", "code"),
    [
        (ProfileField("nosuch", "1"), "field-unknown"),
        (ProfileField("accounttype", "perm", "menu"), "menu-value-unknown"),
        (ProfileField("esrnumber", "E1"), "field-taken"),
        (ProfileField("dob", "1990-02-31", "date"), "date-invalid"),
        (ProfileField("volunteer", "yes", "checkbox"), "checkbox-invalid"),
        (ProfileField("ninumber", "x" * 256), "value-too-long"),
    ],
)
async def test_a_profile_field_the_site_cannot_hold_is_refused_with_the_account(
    site: SandboxTotara, driver: TotaraGraphql, field: ProfileField, code: str
) -> None:
    await driver.ensure_account([replace(TOM, fields=(ProfileField("esrnumber", "E1"),))])
    assert await driver.ensure_account([replace(ZOE, fields=(field,))]) == [rejected(code)]
    assert seen(site, "999-1") is None


async def test_profile_fields_are_kept_and_empty_ones_erased(site: SandboxTotara, driver: TotaraGraphql) -> None:
    fields = (
        ProfileField("accounttype", "PERM", "menu"),
        ProfileField("esrnumber", "E9"),
        ProfileField("volunteer", "1", "checkbox"),
        ProfileField("dob", "1990-02-01", "date"),
    )
    assert await driver.ensure_account([replace(ZOE, fields=fields)]) == [APPLIED]
    held = seen(site, "999-1")
    assert held is not None
    assert held.fields == {one.name: one.value for one in fields}
    erased = tuple(replace(one, value="") for one in fields)
    assert await driver.update_account([replace(ZOE, fields=erased)]) == [APPLIED]
    held = seen(site, "999-1")
    assert held is not None
    assert held.fields == {}


# What is not known


@pytest.mark.parametrize("done", [True, False])
async def test_a_lost_race_is_unknown_and_looked_up_before_it_is_tried_again(
    site: SandboxTotara, driver: TotaraGraphql, wire: Wire, done: bool
) -> None:
    site.settings.write_errors = 2 if done else 1
    assert await driver.ensure_account([ZOE]) == [Answer("unknown", "outcome-unknown")]
    site.settings.write_errors = 0
    assert await driver.ensure_account([ZOE]) == [APPLIED]
    assert wire.mutations("core_user_create_user") == (1 if done else 2)
    assert len(site.users()) == 1


async def test_an_outcome_unknown_after_a_time_out_is_looked_up_and_never_blindly_repeated(
    site: SandboxTotara, driver: TotaraGraphql, wire: Wire
) -> None:
    def slow(request: httpx.Request) -> None:
        if b"core_user_create_user" in request.content:
            raise httpx.ReadTimeout("slow", request=request)

    wire.breaks = slow
    assert await driver.ensure_account([ZOE, TOM]) == [Answer("unknown", "outcome-unknown")] * 2
    assert await driver.ensure_account([ZOE, TOM]) == [APPLIED, APPLIED]
    assert wire.mutations("core_user_create_user") == 2
    assert len(site.users()) == 2
    assert driver.settling > GRAPHQL.timeout_seconds


@pytest.mark.parametrize("operation", ["suspend", "update"])
async def test_a_change_whose_outcome_is_unknown_is_looked_at_before_it_is_made_again(
    site: SandboxTotara, driver: TotaraGraphql, wire: Wire, operation: str
) -> None:
    async def change() -> list[Answer]:
        return await (driver.suspend(["999-1"]) if operation == "suspend" else driver.update_account([ZOE]))

    await driver.ensure_account([ZOE])
    site.settings.lose_replies = 1
    assert await change() == [Answer("unknown", "outcome-unknown")]
    wire.bodies.clear()
    assert await change() == [APPLIED]
    assert ["core_user_users" in text for text in wire.documents] == [True, False]
    wire.bodies.clear()
    assert await change() == [APPLIED]
    assert ["core_user_users" in text for text in wire.documents] == [False]


async def test_a_gateway_that_gave_up_waiting_tells_nothing(site: SandboxTotara, driver: TotaraGraphql) -> None:
    site.settings.lose_replies = 1
    assert await driver.ensure_account([ZOE]) == [Answer("unknown", "outcome-unknown")]
    site.settings.lose_replies = 1
    assert await driver.suspend(["999-1"]) == [Answer("unknown", "outcome-unknown")]
    found = await driver.find_account("999-1")
    assert found is not None
    assert found.suspended


async def test_a_reply_without_data_is_not_taken_for_success(site: SandboxTotara, wire: Wire) -> None:
    class Hollow(Wire):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            response = await super().handle_async_request(request)
            if b"core_user_create_user" in request.content:
                return httpx.Response(200, json=[{"data": None}])
            return response

    hollow = TotaraGraphql(GRAPHQL, lambda: site.settings.client_secret, transport=Hollow(site))
    assert await hollow.ensure_account([ZOE]) == [Answer("unknown", "outcome-unknown")]


async def test_fields_that_do_not_come_back_are_noticed(site: SandboxTotara, driver: TotaraGraphql) -> None:
    await driver.ensure_account([ZOE])
    site.settings.shortened_output = frozenset({"suspended"})
    assert await driver.ensure_account([ZOE]) == [Answer("unknown", "fields-missing")]
    assert [one.code for one in await driver.check()] == ["fields-missing"]
    with pytest.raises(LmsMisconfiguredError, match="leaves out fields"):
        await new_graphql(site).find_account("999-1")


async def test_a_value_the_site_changed_is_not_taken_for_kept(site: SandboxTotara) -> None:
    class Cleaning(Wire):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            changed = request.content.replace(b"Zo\\u00eb", b"Zo").replace("Zoë".encode(), b"Zo")
            headers = {name: value for name, value in request.headers.items() if name != "content-length"}
            return await super().handle_async_request(
                httpx.Request(request.method, request.url, headers=headers, content=changed)
            )

    cleaning = TotaraGraphql(GRAPHQL, lambda: site.settings.client_secret, transport=Cleaning(site))
    assert await cleaning.ensure_account([ZOE]) == [rejected("not-kept")]


# Away, busy, not let in


async def test_an_outage_is_raised_and_nothing_is_answered_for(site: SandboxTotara, driver: TotaraGraphql) -> None:
    site.settings.out = True
    for call in (driver.check, lambda: driver.ensure_account([ZOE]), lambda: driver.suspend(["999-1"])):
        with pytest.raises(LmsUnavailableError, match="503"):
            await call()


async def test_over_the_rate_limit_the_driver_is_told_to_wait(site: SandboxTotara, driver: TotaraGraphql) -> None:
    await driver.find_account("999-1")
    site.settings.points_per_minute = 1
    with pytest.raises(LmsBusyError):
        await driver.ensure_account([ZOE])
    assert site.users() == []


async def test_what_was_answered_before_the_rate_limit_struck_is_kept(site: SandboxTotara, wire: Wire) -> None:
    settings = GRAPHQL.model_copy(update={"graphql": GRAPHQL.graphql.model_copy(update={"batch": 1})})
    driver = TotaraGraphql(settings, lambda: site.settings.client_secret, transport=wire)
    await driver.find_account("999-1")
    site.settings.points_per_minute = 90
    accounts = [replace(ZOE, idnumber=f"999-{n}", username=f"u{n}", email=f"u{n}@trust.example") for n in range(9)]
    answers = await driver.ensure_account(accounts)
    assert answers[0] == APPLIED
    assert answers[-1] == Answer("unknown", "outcome-unknown")
    assert len(site.users()) == answers.count(APPLIED)


async def test_a_token_that_ran_out_is_renewed_once_and_unseen(
    site: SandboxTotara, driver: TotaraGraphql, wire: Wire
) -> None:
    await driver.check()
    site.revoke_tokens()
    assert await driver.ensure_account([ZOE]) == [APPLIED]
    site.settings.error_level = "none"
    site.revoke_tokens()
    assert await driver.suspend(["999-1"]) == [APPLIED]


async def test_a_client_or_service_account_that_is_not_let_in_is_for_a_person(
    site: SandboxTotara, driver: TotaraGraphql
) -> None:
    site.settings.service_suspended = True
    with pytest.raises(LmsMisconfiguredError, match="service account"):
        await driver.check()
    site.settings.service_suspended = False
    site.settings.client_disabled = True
    with pytest.raises(LmsMisconfiguredError, match="token"):
        await driver.check()
    site.settings.client_disabled = False
    site.settings.client_secret = "changed"
    assert await driver.check() == []


STRANGERS = [
    pytest.param(lambda _: httpx.Response(200, text="<html>canary</html>"), id="a proxy's page"),
    pytest.param(lambda _: httpx.Response(200, json=["canary"]), id="another shape"),
    pytest.param(lambda _: httpx.Response(302, headers={"location": "/login"}), id="sent elsewhere"),
    pytest.param(lambda _: httpx.Response(404, text="canary"), id="no such path"),
    pytest.param(lambda _: httpx.Response(500, text="canary"), id="broken"),
]


@pytest.mark.parametrize("answer", STRANGERS)
async def test_whatever_else_answers_it_is_away_and_its_words_are_not_repeated(
    answer: Callable[[httpx.Request], httpx.Response],
) -> None:
    driver = TotaraGraphql(GRAPHQL, lambda: "secret", transport=httpx.MockTransport(answer))
    with pytest.raises((LmsUnavailableError, LmsMisconfiguredError)) as refused:
        await driver.ensure_account([ZOE])
    assert "canary" not in str(refused.value)


async def test_error_texts_with_personal_data_go_nowhere(
    site: SandboxTotara, driver: TotaraGraphql, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    await driver.ensure_account([ZOE])
    answers = await driver.ensure_account([replace(TOM, email=ZOE.email), replace(TOM, username=ZOE.username)])
    told = repr(answers) + caplog.text + "".join(capsys.readouterr())
    assert not any(word in told for word in ("Placeholder", "zoe@", "invented-secret"))


# The check


async def test_a_sound_site_has_no_findings_and_checking_changes_nothing(
    site: SandboxTotara, driver: TotaraGraphql
) -> None:
    await driver.ensure_account([ZOE])
    before = site.users()
    assert await driver.check() == []
    assert site.users() == before


@pytest.mark.parametrize("level", ["none", "developer"])
async def test_an_error_level_that_hides_or_tells_too_much_is_found(
    site: SandboxTotara, driver: TotaraGraphql, level: Any
) -> None:
    site.settings.error_level = level
    assert [one.code for one in await driver.check()] == ["error-level"]


async def test_a_missing_permission_that_looks_like_an_empty_answer_is_found(
    site: SandboxTotara, driver: TotaraGraphql
) -> None:
    site.settings.users_hidden = True
    assert [one.code for one in await driver.check()] == ["users-hidden"]


# Profile dates


DATED = replace(ZOE, fields=(ProfileField("dob", "1990-02-01", "date"), ProfileField("esrnumber", "E1")))


@pytest.mark.parametrize("zone", ["Europe/London", "UTC", "America/New_York"])
async def test_the_wrong_time_zone_of_the_service_account_is_found_before_a_date_is_falsified(
    site: SandboxTotara, driver: TotaraGraphql, zone: str
) -> None:
    site.settings.service_zone = zone
    with pytest.raises(LmsMisconfiguredError, match="a day late"):
        await driver.ensure_account([DATED, TOM])
    assert [one.code for one in await driver.check()] == ["date-fields-shift"]
    assert all("dob" not in user["fields"] for user in site.users())
    site.settings.service_zone = "Europe/Paris"
    assert await driver.check() == []
    assert await driver.ensure_account([DATED, TOM]) == [APPLIED, APPLIED]
    held = seen(site, "999-1")
    assert held is not None
    assert held.fields == {"dob": "1990-02-01", "esrnumber": "E1"}


async def test_a_date_that_was_right_before_is_so_again_after_it_served_to_find_the_wrong_zone(
    site: SandboxTotara, driver: TotaraGraphql
) -> None:
    await driver.ensure_account([DATED])
    site.settings.service_zone = "Europe/London"
    with pytest.raises(LmsMisconfiguredError):
        await new_graphql(site).ensure_account([DATED])
    held = seen(site, "999-1")
    assert held is not None
    assert held.fields["dob"] == "1990-02-01"


async def test_a_zone_that_turns_wrong_later_is_seen_from_the_date_that_comes_back(
    site: SandboxTotara, driver: TotaraGraphql
) -> None:
    await driver.ensure_account([DATED])
    site.settings.service_zone = "Europe/London"
    assert await driver.update_account([DATED]) == [Answer("unknown", "date-fields-shift")]
    with pytest.raises(LmsMisconfiguredError):
        await driver.update_account([DATED])


async def test_accounts_without_dates_do_not_care_for_the_zone(site: SandboxTotara, driver: TotaraGraphql) -> None:
    site.settings.service_zone = "Europe/London"
    assert await driver.ensure_account([ZOE]) == [APPLIED]
    assert await driver.check() == []


# Finding people


async def test_users_are_walked_by_id_so_that_none_is_lost(site: SandboxTotara, driver: TotaraGraphql) -> None:
    for number in range(350):
        site.add_user(username=f"u{number}", idnumber=f"998-{number}", timemodified=1000)
    assert await driver.find_account("998-349")
    assert await driver.find_account("998-0")
    found = await driver.candidates([Sought("999-1", username=f"u{number}") for number in range(350)])
    assert all(len(one) == 1 for one in found)


async def test_only_the_last_page_is_read_for_newcomers_and_one_page_for_a_known_account(
    site: SandboxTotara, driver: TotaraGraphql, wire: Wire
) -> None:
    for number in range(350):
        site.add_user(username=f"u{number}", idnumber=f"998-{number}")
    await driver.find_account("998-1")
    wire.bodies.clear()
    site.edit_user("u120", suspended=1)
    found = await driver.find_account("998-120")
    assert found is not None
    assert found.suspended
    assert await driver.ensure_account([ZOE]) == [APPLIED]
    assert wire.mutations("core_user_users") == 2


async def test_a_page_too_dear_for_the_site_is_asked_for_in_smaller_ones(
    site: SandboxTotara, driver: TotaraGraphql
) -> None:
    for number in range(60):
        site.add_user(username=f"u{number}", idnumber=f"998-{number}")
        site.put_field(f"u{number}", "esrnumber", f"E{number}")
    site.settings.points_per_request = 300
    found = await driver.find_account("998-59")
    assert found is not None
    assert found.fields == {"esrnumber": "E59"}


async def test_an_account_is_found_again_when_pages_have_become_smaller(
    site: SandboxTotara, driver: TotaraGraphql
) -> None:
    for number in range(150):
        site.add_user(username=f"u{number}", idnumber=f"998-{number}")
    await driver.find_account("998-1")
    site.settings.points_per_request = 300
    site.edit_user("u90", suspended=1)
    found = await driver.find_account("998-90")
    assert found is not None
    assert found.suspended


async def test_an_account_that_was_deleted_is_not_found_any_more(site: SandboxTotara, driver: TotaraGraphql) -> None:
    await driver.ensure_account([ZOE, TOM])
    site.edit_user("zoe", deleted=1, idnumber="", username="deleted_1")
    assert await driver.find_account("999-1") is None
    assert await driver.find_account("999-2")


async def test_a_walk_that_was_interrupted_goes_on_where_it_stood(
    site: SandboxTotara, driver: TotaraGraphql, wire: Wire
) -> None:
    for number in range(350):
        site.add_user(username=f"u{number}", idnumber=f"998-{number}")
    pages = 0

    def breaks(request: httpx.Request) -> None:
        nonlocal pages
        pages += 1
        if pages == 3:
            raise httpx.ReadTimeout("slow", request=request)

    wire.breaks = breaks
    with pytest.raises(LmsUnavailableError):
        await driver.find_account("998-349")
    before = len(wire.bodies)
    assert await driver.find_account("998-349")
    assert len(wire.bodies) - before == 3


async def test_candidates_share_a_number_an_address_or_name_and_birth_date(
    site: SandboxTotara, driver: TotaraGraphql
) -> None:
    site.settings.emails_shown = True
    site.add_user(username="a", lastname="Smith", email="Zoe@Trust.example", idnumber="")
    site.add_user(username="b", lastname="Smith")
    site.put_field("b", "ninumber", "QQ 12 34 56 C")
    site.add_user(username="c", lastname="SMITH")
    site.put_field("c", "dob", "633873600")  # noon UTC of 1990-02-01
    site.add_user(username="20000001", lastname="Smith")
    sought = [
        Sought("999-1", email="zoe@trust.example"),
        Sought("999-1", ni_number="QQ123456C"),
        Sought("999-1", last_name="Smith", birth_date="1990-02-01"),
        Sought("999-1", last_name="Jones", birth_date="1990-02-01"),
        Sought("999-1", last_name="Smith"),
        Sought("999-1", employee_number="20000001"),
        Sought("999-1"),
    ]
    found = await driver.candidates(sought)
    assert [[one.username for one in each] for each in found] == [["a"], ["b"], ["c"], [], [], ["20000001"], []]


async def test_adopting_gives_an_account_our_key_once(site: SandboxTotara, driver: TotaraGraphql) -> None:
    first, second = site.add_user(username="a"), site.add_user(username="b")
    assert await driver.adopt(str(first), "999-1") == APPLIED
    assert await driver.adopt(str(second), "999-1") == rejected("idnumber-taken")
    assert await driver.adopt("4711", "999-9") == rejected("unknown-account")
    assert await driver.adopt("nonsense", "999-9") == rejected("unknown-account")
    found = await driver.find_account("999-1")
    assert found is not None
    assert found.lms_id == str(first)


async def test_the_sites_guest_and_administrator_are_nobody_of_ours(site: SandboxTotara, driver: TotaraGraphql) -> None:
    sought = [Sought("999-1", username="admin"), Sought("999-1", username="guest")]
    assert await driver.candidates(sought) == [[], []]
    assert await driver.adopt("1", "999-1") == await driver.adopt("2", "999-1") == rejected("protected-account")
    assert await driver.find_account("999-1") is None


# Job assignments


NURSE = JobAssignment("J1", "999-1", "Nurse", "2026-06-01", "2027-05-31", "O1", "P1", "999-2", "J2")
BOSS = JobAssignment("J2", "999-2", "Matron", "2026-06-01", manager="999-1", manager_job="J1")


async def test_jobs_are_made_whoever_manages_whom_and_can_be_repeated(
    site: SandboxTotara, driver: TotaraGraphql
) -> None:
    await driver.ensure_account([ZOE, TOM])
    for _ in range(2):
        assert await driver.put_job_assignment([NURSE, BOSS]) == [APPLIED, APPLIED]
        assert seen_jobs(site, "999-1") == [NURSE]
        assert seen_jobs(site, "999-2") == [BOSS]


@pytest.mark.parametrize("zone", ["Europe/London", "Europe/Paris", "America/New_York"])
async def test_days_of_jobs_are_the_sites_days_wherever_the_service_account_is(
    site: SandboxTotara, driver: TotaraGraphql, zone: str
) -> None:
    site.settings.service_zone = zone
    await driver.ensure_account([ZOE])
    alone = replace(NURSE, manager="", manager_job="")
    assert await driver.put_job_assignment([alone]) == [APPLIED]
    assert seen_jobs(site, "999-1") == [alone]
    assert site.jobs()[0]["startdate"] == 1_780_268_400  # midnight in London


async def test_what_a_job_no_longer_has_is_cleared(site: SandboxTotara, driver: TotaraGraphql) -> None:
    await driver.ensure_account([ZOE, TOM])
    await driver.put_job_assignment([NURSE, BOSS])
    bare = JobAssignment("J1", "999-1", "Nurse")
    assert await driver.put_job_assignment([bare]) == [APPLIED]
    assert seen_jobs(site, "999-1") == [bare]


@pytest.mark.parametrize(
    ("job", "code"),
    [
        (replace(NURSE, organisation="NO"), "organisation-unknown"),
        (replace(NURSE, position="NO"), "position-unknown"),
        (replace(NURSE, manager_job="NO"), "manager-unknown"),
        (replace(NURSE, account="NO", manager="", manager_job=""), "unknown-account"),
        (replace(NURSE, start="2028-01-01"), "dates-reversed"),
        (replace(NURSE, start="2026-02-30"), "date-invalid"),
        (replace(NURSE, manager="999-1"), "own-manager"),
        (replace(NURSE, manager_job=""), "manager-job-missing"),
        (replace(NURSE, full_name=" "), "name-blank"),
        (replace(NURSE, idnumber="J" * 101), "value-too-long"),
    ],
)
async def test_a_job_that_cannot_be_is_refused_by_its_code(
    site: SandboxTotara, driver: TotaraGraphql, job: JobAssignment, code: str
) -> None:
    await driver.ensure_account([ZOE, TOM])
    assert await driver.put_job_assignment([BOSS, job])
    assert (await driver.put_job_assignment([job]))[0] == rejected(code)


async def test_jobs_the_service_account_may_not_manage_are_not_taken_for_missing(
    site: SandboxTotara, driver: TotaraGraphql
) -> None:
    await driver.ensure_account([ZOE, TOM])
    await driver.put_job_assignment([BOSS, NURSE])
    site.settings.jobs_allowed = False
    assert (await driver.put_job_assignment([NURSE]))[0].status == "rejected"


async def test_removing_a_job_twice_is_done_twice(site: SandboxTotara, driver: TotaraGraphql) -> None:
    await driver.ensure_account([ZOE, TOM])
    await driver.put_job_assignment([NURSE, BOSS])
    assert await driver.remove_job_assignment([NURSE]) == [APPLIED]
    assert await driver.remove_job_assignment([NURSE]) == [APPLIED]
    assert [job["idnumber"] for job in site.jobs()] == ["J2"]


async def test_a_lost_reply_about_a_job_is_unknown(site: SandboxTotara, driver: TotaraGraphql) -> None:
    await driver.ensure_account([ZOE])
    alone = replace(NURSE, manager="", manager_job="")
    site.settings.lose_replies = 1
    assert await driver.put_job_assignment([alone]) == [Answer("unknown", "outcome-unknown")]
    assert await driver.put_job_assignment([alone]) == [APPLIED]
    assert len(site.jobs()) == 1


async def test_hierarchies_are_not_for_this_driver(driver: TotaraGraphql) -> None:
    item = HierarchyItem("organisation", "O2", "Ward")
    assert await driver.put_hierarchy([item]) == [rejected("not-by-this-driver")]


async def test_empty_batches_call_nobody(site: SandboxTotara, driver: TotaraGraphql) -> None:
    site.settings.out = True
    assert await driver.ensure_account([]) == []
    assert await driver.update_account([]) == []
    assert await driver.suspend([]) == []
    assert await driver.put_job_assignment([]) == []
    assert await driver.remove_job_assignment([]) == []
    assert await driver.news() == []
    await driver.close()
