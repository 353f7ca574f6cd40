"""Sessions, forms, throttling, headers: what keeps a signed-in person's power in that person's hands."""

from collections.abc import AsyncIterator, Mapping

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DBAPIError

from services.console.tables import DEEDS, SESSIONS
from services.console.web.pages.sign_in import PER_ACCOUNT, safe_path
from services.console.web.rights import PAGES
from shared.console_settings import ConsoleSettings, SessionLimits
from tests.service.console_web_rig import ADDRESS, Web, web

PAGE = "/trusts/991/tonight"


@pytest.fixture
async def site(module_database: str, passwords: Mapping[str, str]) -> AsyncIterator[Web]:
    async with web(module_database, passwords["console"]) as made:
        yield made


@pytest.fixture
async def demo(module_database: str, passwords: Mapping[str, str]) -> AsyncIterator[Web]:
    settings = ConsoleSettings(session=SessionLimits(idle_minutes=30, absolute_hours=2))
    async with web(module_database, passwords["console"], demo=True, console=settings, base="http://local") as made:
        yield made


async def enter(site: Web, account: str = "operator", password: str = "", path: str = "/") -> int:
    assert site.site.demo is not None
    said = {"account": account, "password": password or site.site.demo.password, "next": path}
    return (await site.form("/sign-in", "/sign-in", **said)).status_code


# --- limits -----------------------------------------------------------------------------------------------------


async def test_a_session_ends_when_nobody_has_used_it_for_a_while(demo: Web) -> None:
    assert await enter(demo) == 303
    for _ in range(3):
        demo.moments.later(minutes=29)
        assert (await demo.browser.get(PAGE)).status_code == 200
    demo.moments.later(minutes=31)
    assert (await demo.browser.get(PAGE)).status_code == 303


async def test_a_session_ends_after_its_longest_time_however_much_it_is_used(demo: Web) -> None:
    assert await enter(demo) == 303
    for _ in range(5):
        demo.moments.later(minutes=23)
        assert (await demo.browser.get(PAGE)).status_code == 200
    demo.moments.later(minutes=6)
    assert (await demo.browser.get(PAGE)).status_code == 303


async def test_a_page_that_renews_itself_does_not_keep_a_session_alive(demo: Web) -> None:
    assert await enter(demo) == 303
    for _ in range(3):
        demo.moments.later(minutes=9)
        assert (await demo.browser.get(PAGE, headers={"HX-Request": "true"})).status_code == 200
    demo.moments.later(minutes=9)
    ended = await demo.browser.get(PAGE, headers={"HX-Request": "true"})
    assert (ended.status_code, ended.headers["hx-redirect"]) == (401, "/sign-in")


async def test_signing_out_ends_the_session_for_good_and_not_only_in_the_browser(demo: Web) -> None:
    assert await enter(demo) == 303
    kept = dict(demo.browser.cookies)
    assert (await demo.form(PAGE, "/sign-out")).headers["location"] == "/signed-out"
    demo.browser.cookies.update(kept)
    assert (await demo.browser.get(PAGE)).status_code == 303


async def test_each_sign_in_gets_a_new_session_so_that_none_can_be_planted(demo: Web) -> None:
    demo.browser.cookies.set("esrbridge-session", "planted")
    assert await enter(demo) == 303
    assert [cookie.value for cookie in demo.browser.cookies.jar if cookie.name == "esrbridge-session"] != ["planted"]


async def test_the_table_of_sessions_lets_nobody_in(demo: Web) -> None:
    assert await enter(demo) == 303
    async with demo.site.work.engine.connect() as connection:
        (row,) = (await connection.execute(select(SESSIONS))).all()
    demo.browser.cookies.clear()
    demo.browser.cookies.set("esrbridge-session", row.id)
    assert (await demo.browser.get(PAGE)).status_code == 303


async def test_no_trusts_reader_sees_a_session(demo: Web) -> None:
    assert await enter(demo) == 303
    async with demo.site.reader.trust("991") as connection:
        assert (await connection.execute(select(SESSIONS))).all() == []


# --- signing in -------------------------------------------------------------------------------------------------


async def test_outside_a_demonstration_there_is_no_local_account(site: Web) -> None:
    page = await site.browser.get("/sign-in")
    assert "password" not in page.text
    assert "names no identity provider" in page.text
    answer = await site.form_without_page("/sign-in", account="operator", password="operator")
    assert answer.status_code in (403, 404)
    assert site.site.cookie("session") not in site.browser.cookies


async def test_a_wrong_password_lets_nobody_in(demo: Web) -> None:
    assert await enter(demo, password="wrong") == 403
    assert await enter(demo, account="nobody") == 403
    assert "esrbridge-session" not in demo.browser.cookies


async def test_after_some_wrong_passwords_the_right_one_must_wait(demo: Web) -> None:
    for _ in range(PER_ACCOUNT):
        assert await enter(demo, password="wrong") == 403
    assert await enter(demo) == 429
    assert await enter(demo, account="viewer") == 303
    demo.browser.cookies.clear()
    demo.moments.later(minutes=16)
    assert await enter(demo) == 303


async def test_after_signing_in_one_goes_on_to_where_one_wanted_to_go(demo: Web) -> None:
    refused = await demo.browser.get("/trusts/991/files?status=held")
    assert refused.headers["location"] == "/sign-in?next=%2Ftrusts%2F991%2Ffiles%3Fstatus%3Dheld"
    assert demo.site.demo is not None
    said = {"account": "viewer", "password": demo.site.demo.password, "next": "/trusts/991/files?status=held"}
    assert (await demo.form("/sign-in", "/sign-in", **said)).headers["location"] == "/trusts/991/files?status=held"


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "\\/evil.example",
        "javascript:alert(1)",
        "",
        "/a\nb",
    ],
)
def test_no_way_of_writing_it_leads_to_another_site(path: str) -> None:
    assert safe_path(path) == "/"
    assert safe_path("/trusts/991/files?status=held") == "/trusts/991/files?status=held"


async def test_signing_in_and_out_is_written_down(demo: Web) -> None:
    assert await enter(demo, account="auditor") == 303
    await demo.form(PAGE, "/sign-out")
    assert [deed for deed in await demo.deeds() if deed[1] == "demo:auditor"][-2:] == [
        ("", "demo:auditor", "signed in", "", ""),
        ("", "demo:auditor", "signed out", "", ""),
    ]


# --- forms ------------------------------------------------------------------------------------------------------


async def test_no_form_is_taken_without_its_token(site: Web) -> None:
    await site.sign_in("operator", "approver", "auditor", "learning manager")
    await site.letter()
    for method, path in PAGES:
        if method == "POST":
            target = path.replace("{vpd}", "991").replace("{letter}", "letter-1")
            for said in ({"why": "a test"}, {"csrf": ""}, {"csrf": "x" * 43}):
                assert (path, (await site.browser.post(target, data=said)).status_code) == (path, 403)
    assert (await site.browser.get(PAGE)).status_code == 200


async def test_the_token_of_one_session_is_of_no_use_in_another(site: Web) -> None:
    await site.sign_in("viewer", who="one")
    mine = await site.csrf(PAGE)
    site.browser.cookies.clear()
    await site.sign_in("viewer", who="two")
    assert (await site.browser.post("/sign-out", data={"csrf": mine})).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
)
async def test_a_form_of_another_site_is_refused_whatever_it_carries(site: Web, headers: dict[str, str]) -> None:
    await site.sign_in("viewer")
    said = {"csrf": await site.csrf(PAGE)}
    assert (await site.browser.post("/sign-out", data=said, headers=headers)).status_code == 403
    answer = await site.browser.post("/sign-out", data=said, headers={"Origin": ADDRESS})
    assert answer.status_code == 303


async def test_what_is_no_form_of_ours_is_refused(site: Web) -> None:
    await site.sign_in("viewer")
    url = "/sign-out"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await site.browser.post(url, json={"csrf": "x"})).status_code == 415
    assert (await site.browser.post(url, content=b"a=" + b"x" * 70_000, headers=form)).status_code == 413
    assert (await site.browser.post(url, content=b"csrf=%00", headers=form)).status_code == 400
    assert (await site.browser.post(url, content=b"&".join([b"a=b"] * 300), headers=form)).status_code == 400


# --- headers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/sign-in", "/nothing-here", "/static/console.css", PAGE])
async def test_every_answer_forbids_what_pages_do_not_do(site: Web, path: str) -> None:
    headers = (await site.browser.get(path)).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert (policy["frame-ancestors"], policy["base-uri"]) == ("'none'", "'none'")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["strict-transport-security"].startswith("max-age=")
    assert headers["cache-control"] == ("public, max-age=3600" if path.startswith("/static") else "no-store")


async def test_no_page_holds_a_script_or_a_style_of_its_own(site: Web) -> None:
    await site.sign_in("operator", "learning manager")
    await site.letter()
    pages = ["/sign-in", "/accessibility", "/nothing-here", PAGE, "/trusts/991/files", "/trusts/991/dead-letters"]
    for path in [*pages, "/trusts/991/dead-letters/letter-1", "/trusts/991/settings"]:
        body = (await site.browser.get(path)).text
        assert "<style" not in body
        assert " style=" not in body
        assert " onclick=" not in body
        assert body.count("<script") == body.count('<script type="module" src=') + body.count("<script defer src=")


async def test_cookies_are_for_https_for_this_host_and_for_no_script(site: Web) -> None:
    answer = await site.browser.get("/sign-in")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-esrbridge-form=")
    assert {"HttpOnly", "Secure", "Path=/", "SameSite=lax"} <= {part.strip() for part in cookie.split(";")}


# --- the record of deeds ----------------------------------------------------------------------------------------


async def test_what_was_done_can_be_added_to_and_not_changed(site: Web) -> None:
    await site.site.sessions.write_down("991", "a-person", "tried", why="a test")
    for statement in (update(DEEDS).values(who="another"), delete(DEEDS)):
        with pytest.raises(DBAPIError, match="added to only"):
            async with site.site.work.engine.begin() as connection:
                await connection.execute(statement)
    with pytest.raises(DBAPIError, match="permission denied"):
        async with site.site.work.engine.begin() as connection:
            await connection.execute(text("TRUNCATE console.deeds"))
