"""What the Moodle driver finds wrong with a site before anything is sent to it."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from sandbox.moodle import SERVICE_ACCOUNT, TOKEN, SandboxMoodle
from sandbox.moodle_access import CAPABILITIES, FUNCTIONS
from services.outbound.lms import moodle_checks
from services.outbound.lms.moodle_rest import MoodleRest
from services.outbound.lms.port import Finding
from shared.errors import ConfigurationError, LmsBusyError
from shared.moodle import errors as moodle_errors
from tests.unit.services.rig_moodle import FIELDS, KNOWN, Moodle, furnished, moodle, settings

Disturb = Callable[[SandboxMoodle], Any]


@pytest_asyncio.fixture(loop_scope="function")
async def it(tmp_path: Path) -> AsyncIterator[Moodle]:
    async with moodle(furnished(tmp_path)) as made:
        yield made


def without(*capabilities: str) -> Disturb:
    return lambda site: site.allow(*[one for one in CAPABILITIES if one not in capabilities])


def codes(findings: list[Finding]) -> list[str]:
    return [one.code for one in findings]


async def test_a_site_that_is_set_up_has_no_findings_and_is_left_as_it_was(it: Moodle) -> None:
    before = it.site.accounts()
    assert await it.driver.check() == []
    assert it.site.accounts() == before


@pytest.mark.parametrize(
    ("disturb", "expected"),
    [
        (lambda site: site.expire_token(), ["access-refused"]),
        (without("webservice/rest:use"), ["access-refused"]),
        (lambda site: site.delete(SERVICE_ACCOUNT), ["token-invalid"]),
        (lambda site: site.change(SERVICE_ACCOUNT, suspended=1), ["service-account-locked"]),
        (lambda site: site.change(SERVICE_ACCOUNT, auth="nologin"), ["service-account-locked"]),
        (lambda site: site.change(SERVICE_ACCOUNT, must_change_password=1), ["service-account-locked"]),
        (lambda site: setattr(site.faults, "state", "services-off"), ["services-off"]),
        (lambda site: site.offer(*[one for one in FUNCTIONS if one != "core_user_get_users"]), ["functions-missing"]),
        (lambda site: site.change(SERVICE_ACCOUNT, admin=1), ["service-account-admin"]),
        (without("moodle/user:viewdetails"), ["canary-unseen"]),
        (without("moodle/user:viewalldetails"), ["canary-unseen"]),
        (without("moodle/site:viewuseridentity"), ["view-rights-missing"]),
        (without("moodle/site:viewfullnames"), ["view-rights-missing"]),
        (without("moodle/user:update"), ["update-right-missing"]),
        (without("moodle/user:create"), ["create-right-missing"]),
        (without("moodle/user:create", "moodle/user:viewdetails"), ["canary-unseen", "create-right-missing"]),
        (lambda site: site.delete(4), ["canary-unseen"]),
        (lambda site: site.change(5, idnumber=KNOWN), ["canary-ambiguous"]),
        (lambda site: site.change(SERVICE_ACCOUNT, timezone="Europe/Paris"), ["service-zone-wrong"]),
        (lambda site: site.change(SERVICE_ACCOUNT, timezone="UTC"), ["service-zone-wrong"]),
        (lambda site: site.change(SERVICE_ACCOUNT, timezone="Pacific/Auckland"), ["service-zone-wrong"]),
        (lambda site: site.change(SERVICE_ACCOUNT, timezone="Europe/London"), []),
        (lambda site: site.change(SERVICE_ACCOUNT, timezone="Europe/Belfast"), []),
    ],
)
async def test_each_thing_that_would_lose_or_falsify_data_is_found(
    it: Moodle, disturb: Disturb, expected: list[str]
) -> None:
    it.site.add_account(username="second", firstname="A", lastname="B", email="s@t.example")
    disturb(it.site)
    findings = await it.driver.check()
    assert codes(findings) == expected
    assert all(finding.sentence.endswith(".") or "(403)" in finding.sentence for finding in findings)


async def test_a_missing_right_that_looks_like_an_empty_answer_is_found_at_the_start(it: Moodle) -> None:
    it.site.allow("webservice/rest:use", "moodle/user:create", "moodle/user:update")
    assert codes(await it.driver.check()) == ["canary-unseen"]


async def test_the_functions_that_are_missing_are_named(it: Moodle) -> None:
    it.site.offer("core_webservice_get_site_info", "core_user_get_users")
    (finding,) = await it.driver.check()
    for name in ("core_user_create_users", "core_user_get_users_by_field", "core_user_update_users"):
        assert name in finding.sentence
    assert "core_user_get_users," not in finding.sentence


@pytest.mark.parametrize(("known", "code"), [("", "canary-unset"), ("own", "canary-own"), ("nobody", "canary-unseen")])
async def test_the_known_account_must_be_somebody_else(tmp_path: Path, known: str, code: str) -> None:
    site = furnished(tmp_path)
    site.change(SERVICE_ACCOUNT, idnumber="own")
    async with moodle(site, settings(known_user=known)) as it:
        assert codes(await it.driver.check()) == [code]


async def test_a_wrong_token_is_found(tmp_path: Path) -> None:
    async with moodle(furnished(tmp_path), token="wrong") as it:
        assert codes(await it.driver.check()) == ["token-invalid"]


async def test_a_site_that_asks_to_slow_down_has_no_findings_but_is_busy(it: Moodle) -> None:
    it.site.faults.state = "busy"
    with pytest.raises(LmsBusyError):
        await it.driver.check()


@pytest.mark.parametrize(
    ("url", "response", "code"),
    [
        ("https://moodle.example", httpx.Response(200, text="<html></html>"), "not-moodle"),
        ("https://moodle.example", httpx.Response(200, json=["x"]), "not-moodle"),
        ("https://moodle.example", httpx.Response(404, text="x"), "address-wrong"),
        ("https://moodle.example", httpx.Response(301, headers={"Location": "https://x.example"}), "address-wrong"),
    ],
)
async def test_an_address_that_is_not_moodle_s_is_found(url: str, response: httpx.Response, code: str) -> None:
    driver = MoodleRest(settings(url), FIELDS, lambda: TOKEN, transport=httpx.MockTransport(lambda _: response))
    assert codes(await driver.check()) == [code]
    await driver.close()


def test_a_time_zone_that_is_none_is_refused_at_once() -> None:
    for name in ("London", "../zone", ""):
        given = settings().model_copy(update={"time_zone": name})
        with pytest.raises(ConfigurationError, match="time_zone"):
            MoodleRest(given, FIELDS, lambda: TOKEN)


async def test_an_address_without_its_scheme_is_found() -> None:
    driver = MoodleRest(settings("https:moodle.example"), FIELDS, lambda: TOKEN)
    assert codes(await driver.check()) == ["address-wrong"]
    await driver.close()


async def test_an_address_may_end_in_a_stroke_and_have_a_path(tmp_path: Path) -> None:
    paths: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.path)
        return httpx.Response(403)

    driver = MoodleRest(
        settings("https://t.example/learn/"), FIELDS, lambda: TOKEN, transport=httpx.MockTransport(answer)
    )
    await driver.check()
    assert paths == ["/learn/webservice/rest/server.php"]
    await driver.close()


def test_every_finding_stands_in_the_manual() -> None:
    manual = (Path(__file__).parents[3] / "docs" / "lms-moodle.md").read_text(encoding="utf-8")
    known = {one.code for one in moodle_errors.BARRED.values()}
    known |= {one.code for one in (moodle_errors.ADDRESS, moodle_errors.SERVICES_OFF, moodle_errors.NOT_MOODLE)}
    source = Path(moodle_checks.__file__).read_text(encoding="utf-8")
    words = {word for line in source.splitlines() for word in line.split('"')[1::2]}
    known |= {word for word in words if "-" in word and word.replace("-", "").isalpha() and word.islower()}
    assert "canary-unseen" in known
    assert {code for code in known if f"`{code}`" not in manual} == set()
