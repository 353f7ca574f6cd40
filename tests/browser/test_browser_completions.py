"""The pages of completions in each of their states, and their journey, in a real Chromium."""

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Served
from tests.browser.looking import looking, sign_in
from tests.browser.test_browser_journeys import press, tab_to, type_in
from tests.browser.test_browser_pages import look
from tests.service.test_console_web_completions import FILE, HERE, LEDGER, LIFE_PAGE, PERSON

EMPTY = {
    "confirmations/completions": [], "confirmations/completions/nights": [], "confirmations/completions/refused": [],
    "confirmations/completions/files": {"files": [], "next": ""}, "outbound/completion-cases": 503,
    "confirmations/completions/unmatched": {"unmatched": [], "next": ""},
}  # fmt: skip


@pytest.fixture
def busy(console: Served) -> Served:
    """A console over services that have sent completions."""
    console.site.said |= LEDGER
    return console


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("completions", HERE),
        ("completions-done", f"{HERE}?done=write"),
        ("completion-items", f"{HERE}/items"),
        ("completion-items-code", f"{HERE}/items?state=rejected&code=B201"),
        ("completion-refused", f"{HERE}/refused"),
        ("completion-unmatched", f"{HERE}/unmatched"),
        ("completion-cases", f"{HERE}/cases"),
        ("completion-files", f"{HERE}/files"),
        ("completion-file", f"{HERE}/files/{FILE}"),
        ("completion-life", LIFE_PAGE),
    ],
)
def test_pages_of_completions(browser: Browser, axe: str, busy: Served, name: str, path: str) -> None:
    look(browser, axe, busy, path, name, "operator")


@pytest.mark.parametrize("page", ["", "/items", "/refused", "/unmatched", "/files"])
def test_pages_of_completions_where_there_are_none(browser: Browser, axe: str, console: Served, page: str) -> None:
    console.site.said |= EMPTY
    look(browser, axe, console, f"{HERE}{page}", f"completions-none{page.replace('/', '-')}", "viewer")


def test_forms_of_completions_say_what_is_wrong(browser: Browser, axe: str, busy: Served) -> None:
    with looking(browser, axe, busy) as seen:
        sign_in(busy, seen.page.context, "operator")
        page = seen.page
        page.goto(HERE)
        for button, name in (("Find by staff number", "staff"), ("Write now", "write")):
            page.get_by_role("button", name=button).click()
            expect(page.locator(".nhsuk-error-summary")).to_be_focused()
            seen.at(f"completions-{name}-problem")
        page.fill("#staff", PERSON)
        page.get_by_role("button", name="Find by staff number").click()
        expect(page.get_by_role("heading", name=f"Completions of person {PERSON}")).to_be_visible()
        seen.at("completions-person")
        busy.site.said["POST outbound/completion-decisions"] = "no operator withdrew such a completion"
        page.get_by_role("radio", name="Give it up").first.check()
        page.fill("#life-1-why", "a test")
        page.get_by_role("button", name="Decide").first.click()
        expect(page.get_by_text("No operator withdrew such a completion").first).to_be_visible()
        seen.at("completions-refusal")


def test_from_a_refusal_to_sending_it_again_with_the_keyboard_alone(browser: Browser, axe: str, busy: Served) -> None:
    with looking(browser, axe, busy) as seen:
        sign_in(busy, seen.page.context, "operator")
        page = seen.page
        page.goto(HERE)
        press(page, f"a[href='{HERE}/refused']")
        page.wait_for_url("**/refused")
        press(page, f"main a[href^='{HERE}/items']")
        page.wait_for_url("**/items**")
        press(page, f"main a[href='{LIFE_PAGE}']")
        page.wait_for_url(f"**{LIFE_PAGE}")
        tab_to(page, "input[name=decision]")
        page.keyboard.press("Space")
        type_in(page, "#life-1-why", "mended at the trust")
        page.keyboard.press("Enter")
        expect(page.get_by_text("It is sent again with the next file")).to_be_visible()
        assert busy.site.posted[0][1]["decision"] == "resend"


def test_completions_are_found_and_decided_without_javascript(browser: Browser, axe: str, busy: Served) -> None:
    with looking(browser, axe, busy, java_script_enabled=False) as seen:
        sign_in(busy, seen.page.context, "operator")
        page = seen.page
        page.goto(f"{HERE}/cases")
        page.get_by_role("button", name="Show the completions of case 2").click()
        page.get_by_role("radio", name="Withdraw it").last.check()
        page.fill("#life-2-why", "not theirs")
        page.get_by_role("button", name="Decide").last.click()
        expect(page.get_by_text("ESR is asked to give it back")).to_be_visible()
        assert PERSON not in page.url
