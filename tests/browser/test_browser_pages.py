"""Every page in each of its states, in a real Chromium: axe finds nothing, and a phone is wide enough."""

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from shared.console_settings import RoleName
from tests.browser.conftest import Served
from tests.browser.looking import Look, looking, sign_in
from tests.service.console_web_rig import FILE, FINE

(SOUND,) = FINE["ingest/files"]
NIGHT = {"day": "2026-03-03", "sent": 5, "confirmed": 1, "refused": 1, "open": 3, "overdue": 2}
WRONG: dict[str, Any] = {
    "ingest/files": [
        SOUND
        | {"name": "CS_991_CST_CSC_20260303_00000002.DAT", "status": "quarantined", "code": "F001", "accounted": {}},
        SOUND | {"name": "CS_991_CST_CSF_20260304_00000004.DAT", "status": "held", "code": "F018", "accounted": {}},
        SOUND | {"status": "splitting", "accounted": {"applied": 1, "pending": 2}, "adds_up": False},
    ],
    "ingest/alarms": [{"kind": "silent", "subject": "2026-03-04T06:00:00", "raised_at": "2026-03-04T10:00:00"}],
    "confirmations/completions/nights": [NIGHT],
    "confirmations/completions/refused": [
        {"code": "E100", "meaning": "ESR does not know the person", "number": 1, "standing": 1}
    ],
    "outbound/guards": [{"day": "2026-03-04", "suspensions": 40, "waiting": 40}],
    "outbound/matches": [{"person_id": "1"}],
    "people/nights": {"late": [{"step": "new-day", "day": "2026-03-04", "code": "DATABASE", "late": True}]},
    "competency/nights": 503,
}
"""What services say in a night in which everything goes wrong that can."""

RUNNING = {
    "ingest/files": [SOUND | {"status": "splitting", "accounted": {"applied": 1, "pending": 2}, "adds_up": False}],
    "outbound/site": {"waits": True, "code": "LMS_UNAVAILABLE", "failures": 3, "findings": []},
}


@pytest.fixture
def busy(console: Served) -> Served:
    """A console with letters in each state, and a file with an account."""
    for number in range(1, 56):
        console.do(console.site.letter(number, code="R103" if number % 2 else "R104"))
    refused = SOUND | {
        "status": "quarantined", "code": "F001", "reason": "the trailer is missing", "accounted": {},
        "offers": ["recheck"], "confirmations": [],
        "faults": [{"line": 3, "column": "", "code": "F001", "text": "the trailer is missing"}],
    }  # fmt: skip
    held = SOUND | {"offers": [], "confirmations": [], "reasons": {"person_unknown": 2}, "released": True}
    console.site.said[f"ingest/files/{FILE}"] = [refused, held]
    fate = {"file": FILE, "line": 2, "fate": "dead_lettered", "rule": "dead_lettered", "reason": "", "code": "R103"}
    console.site.said[f"ingest/files/{FILE}/lines/2"] = fate
    many = [SOUND | {"name": f"file-{n:03}.csv"} for n in range(60)]
    console.site.said |= {"ingest/files": many[:51], "ingest/files?after=x": many[50:], "ingest/files?status=held": []}
    return console


def look(browser: Browser, axe: str, served: Served, path: str, name: str, *roles: RoleName) -> None:
    with looking(browser, axe, served) as seen:
        if roles:
            sign_in(served, seen.page.context, *roles)
        seen.page.goto(path)
        seen.at(name)


@pytest.mark.parametrize(
    ("name", "said"), [("tonight-good", {}), ("tonight-running", RUNNING), ("tonight-wrong", WRONG)]
)
def test_tonight(browser: Browser, axe: str, console: Served, name: str, said: dict[str, Any]) -> None:
    console.site.said |= said
    look(browser, axe, console, "/trusts/991/tonight", name, "operator")


def test_pages_that_need_no_sign_in(browser: Browser, axe: str, console: Served, demo: Served) -> None:
    for name, path in (
        ("sign-in-nobody", "/sign-in"),
        ("signed-out", "/signed-out"),
        ("accessibility", "/accessibility"),
    ):
        look(browser, axe, console, path, name)
    look(browser, axe, console, "/nothing-here", "not-found")
    look(browser, axe, demo, "/sign-in", "sign-in-demo")


def test_pages_that_say_no(browser: Browser, axe: str, console: Served) -> None:
    look(browser, axe, console, "/trusts/991/settings", "forbidden", "viewer")
    look(browser, axe, console, "/trusts/992/tonight", "no-such-trust", "viewer")
    console.site.said["ingest/files"] = 503
    look(browser, axe, console, "/trusts/991/files", "service-away", "viewer")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("files", "/trusts/991/files"),
        ("files-last", "/trusts/991/files?after=x"),
        ("files-none", "/trusts/991/files?status=held"),
        ("file", f"/trusts/991/files/{FILE}"),
        ("file-line", f"/trusts/991/files/{FILE}?line=2"),
        ("file-line-wrong", f"/trusts/991/files/{FILE}?line=x"),
        ("letters", "/trusts/991/dead-letters"),
        ("letters-next", "/trusts/991/dead-letters?after=letter-50"),
        ("letters-found", "/trusts/991/dead-letters?code=R104&line=2"),
        ("letters-none", "/trusts/991/dead-letters?state=discarded"),
        ("letters-wrong", "/trusts/991/dead-letters?line=x"),
        ("letter", "/trusts/991/dead-letters/letter-1"),
        ("letter-done", "/trusts/991/dead-letters/letter-1?done=note"),
        ("settings", "/trusts/991/settings"),
    ],
)
def test_pages_of_a_trust(browser: Browser, axe: str, busy: Served, name: str, path: str) -> None:
    look(browser, axe, busy, path, name, "operator")


def test_a_viewer_sees_a_letter_without_any_form(browser: Browser, axe: str, busy: Served) -> None:
    with looking(browser, axe, busy) as seen:
        sign_in(busy, seen.page.context, "viewer")
        seen.page.goto("/trusts/991/dead-letters/letter-1")
        seen.at("letter-viewer")
        expect(seen.page.locator("main form")).to_have_count(0)


def test_a_list_of_trusts_and_the_switcher(browser: Browser, axe: str, console: Served) -> None:
    with looking(browser, axe, console) as seen:
        sign_in(console, seen.page.context, "viewer", both=True)
        seen.page.goto("/")
        seen.at("trusts")
        seen.page.goto("/trusts/991/tonight")
        seen.at("tonight-switcher")


def forms(seen: Look) -> None:
    page = seen.page
    page.goto("/trusts/991/dead-letters/letter-1")
    for button, name in (("Show the value", "reveal"), ("Change the record", "edit"), ("Replay", "replay")):
        page.get_by_role("button", name=button, exact=True).click()
        seen.at(f"letter-{name}-problem")
    page.select_option("#reveal-column", "last_name")
    page.fill("#reveal-why", "a test")
    page.get_by_role("button", name="Show the value").click()
    expect(page.locator("#shown")).to_have_text("Placeholder")
    seen.at("letter-revealed")
    page.fill("#discard-why", "of a test")
    page.get_by_role("button", name="Discard").click()
    expect(page.get_by_role("heading", name="Open it again")).to_be_visible()
    seen.at("letter-discarded")


def test_a_letters_forms_in_each_of_their_states(browser: Browser, axe: str, busy: Served) -> None:
    with looking(browser, axe, busy) as seen:
        sign_in(busy, seen.page.context, "operator")
        forms(seen)


def test_the_night_renews_itself_in_place_and_stops_when_asked(browser: Browser, axe: str, console: Served) -> None:
    with looking(browser, axe, console) as seen:
        sign_in(console, seen.page.context, "viewer")
        page = seen.page
        page.clock.install()
        page.goto("/trusts/991/tonight")
        expect(page.locator("#night-state")).to_have_text("Everything is in order.")
        page.get_by_role("link", name="Settings").or_(page.get_by_role("link", name="Files", exact=True)).first.focus()
        console.do(console.site.letter())
        page.clock.fast_forward(16_000)
        expect(page.locator("#night-state")).to_have_text("Somebody has to act.")
        expect(page.get_by_role("link", name="Files", exact=True)).to_be_focused()
        seen.at("tonight-renewed")
        page.get_by_role("link", name="Stop updating this page").click()
        console.do(console.site.letter(2))
        page.clock.fast_forward(60_000)
        expect(page.get_by_text("1 record waits for an operator.")).to_be_visible()


def test_a_session_that_ends_while_a_page_renews_itself_leads_to_the_sign_in(
    browser: Browser, axe: str, console: Served
) -> None:
    with looking(browser, axe, console) as seen:
        sign_in(console, seen.page.context, "viewer")
        seen.page.clock.install()
        seen.page.goto("/trusts/991/tonight")
        console.site.moments.later(minutes=31)
        seen.page.clock.fast_forward(16_000)
        seen.page.wait_for_url("**/sign-in")
