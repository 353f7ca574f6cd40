"""The pages of matches in each of their states, and their journey, in a real Chromium."""

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Served
from tests.browser.looking import looking, sign_in
from tests.browser.test_browser_journeys import press, tab_to, type_in
from tests.browser.test_browser_pages import look
from tests.service.test_console_web_matches import HERE, QUESTIONS


@pytest.fixture
def asking(console: Served) -> Served:
    """A console over services that have a question."""
    console.site.said |= QUESTIONS
    return console


def test_matches_where_there_are_none_and_where_they_cannot_be_told(
    browser: Browser, axe: str, console: Served
) -> None:
    look(browser, axe, console, HERE, "matches-none", "viewer")
    console.site.said["outbound/decisions"] = 503
    look(browser, axe, console, f"{HERE}?done=new", "matches-done", "viewer")


def test_matches_and_their_forms(browser: Browser, axe: str, asking: Served) -> None:
    with looking(browser, axe, asking) as seen:
        sign_in(asking, seen.page.context, "learning manager")
        page = seen.page
        page.goto(HERE)
        seen.at("matches")
        page.get_by_role("link", name="9000001").click()
        seen.at("match")
        page.get_by_role("button", name="Show the field").click()
        seen.at("match-reveal-problem")
        page.select_option("#reveal-field", "last_name")
        page.fill("#reveal-why", "compares the names")
        page.get_by_role("button", name="Show the field").click()
        expect(page.get_by_role("cell", name="Placeholder")).to_be_visible()
        seen.at("match-revealed")
        page.get_by_role("button", name="Decide").click()
        expect(page.locator(".nhsuk-error-summary")).to_be_focused()
        seen.at("match-decide-problem")
        page.goto(HERE)
        page.get_by_role("button", name="Find").click()
        expect(page.locator(".nhsuk-error-summary")).to_be_focused()
        seen.at("matches-find-problem")
        page.fill("#staff", "9000002")
        page.get_by_role("button", name="Find").click()
        expect(page.get_by_role("heading", name="What was decided about person 9000002")).to_be_visible()
        seen.at("matches-found")
        page.get_by_role("link", name="Take back").click()
        seen.at("match-undo")
        page.get_by_role("button", name="Take the link back").click()
        seen.at("match-undo-problem")


def test_revealing_a_field_and_deciding_with_the_keyboard_alone(browser: Browser, axe: str, asking: Served) -> None:
    with looking(browser, axe, asking) as seen:
        sign_in(asking, seen.page.context, "operator")
        page = seen.page
        page.goto(HERE)
        press(page, f"main a[href^='{HERE}/']")
        page.wait_for_url(f"**{HERE}/*")
        type_in(page, "#reveal-field", "Last")
        type_in(page, "#reveal-why", "compares the names")
        page.keyboard.press("Enter")
        expect(page.get_by_role("cell", name="Different")).to_be_visible()
        tab_to(page, "input[name=decision]")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Space")
        type_in(page, "#decide-why", "asked them")
        page.keyboard.press("Enter")
        expect(page.get_by_text("The account is theirs.")).to_be_visible()
        assert asking.site.posted[0][1]["lms_id"] == "18"


def test_a_link_is_taken_back_without_javascript(browser: Browser, axe: str, asking: Served) -> None:
    with looking(browser, axe, asking, java_script_enabled=False) as seen:
        sign_in(asking, seen.page.context, "operator")
        page = seen.page
        page.goto(HERE)
        page.get_by_role("link", name="Take back").click()
        page.fill("#undo-why", "it was her twin")
        page.get_by_role("button", name="Take the link back").click()
        expect(page.get_by_text("The link is taken back")).to_be_visible()
