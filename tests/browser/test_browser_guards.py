"""The page of guards in each of its states, and its journey, in a real Chromium."""

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Served
from tests.browser.looking import looking, sign_in
from tests.browser.test_browser_journeys import tab_to, type_in
from tests.browser.test_browser_pages import look
from tests.service.test_console_web_guards import HELD, HERE, NOTHING


@pytest.fixture
def holding(console: Served) -> Served:
    """A console over services that hold something."""
    console.site.said |= HELD
    return console


def test_guards_that_hold_nothing_and_guards_that_cannot_be_asked(browser: Browser, axe: str, console: Served) -> None:
    console.site.said["outbound/guards/suspensions"] = NOTHING
    look(browser, axe, console, HERE, "guards-none", "operator")
    console.site.said |= {"outbound/guards/suspensions": 503, "ingest/files": 503}
    look(browser, axe, console, HERE, "guards-away", "operator")


def test_guards_and_their_forms(browser: Browser, axe: str, holding: Served) -> None:
    look(browser, axe, holding, HERE, "guards-viewer", "viewer")
    with looking(browser, axe, holding) as seen:
        sign_in(holding, seen.page.context, "operator")
        page = seen.page
        page.goto(HERE)
        seen.at("guards")
        page.get_by_role("button", name="Decide", exact=True).click()
        expect(page.locator(".nhsuk-error-summary")).to_be_focused()
        seen.at("guards-problem")
        page.get_by_role("radio", name="Refuse it: the file is discarded").check()
        page.fill("#file-1-why", "half a file")
        page.get_by_role("button", name="Decide about").click()
        expect(page.get_by_text("The file is discarded; nothing of it is applied.")).to_be_visible()
        seen.at("guards-done")


def test_releasing_what_is_held_with_the_keyboard_alone(browser: Browser, axe: str, holding: Served) -> None:
    with looking(browser, axe, holding) as seen:
        sign_in(holding, seen.page.context, "operator")
        page = seen.page
        page.goto(HERE)
        tab_to(page, "#suspensions-decision")
        page.keyboard.press("Space")
        type_in(page, "#suspensions-why", "agreed with workforce")
        page.keyboard.press("Enter")
        expect(page.get_by_text("They are released")).to_be_visible()
        assert holding.site.posted[0][0] == "outbound/guards/suspensions/release"


def test_refusing_what_is_held_without_javascript(browser: Browser, axe: str, holding: Served) -> None:
    with looking(browser, axe, holding, java_script_enabled=False) as seen:
        sign_in(holding, seen.page.context, "operator")
        page = seen.page
        page.goto(HERE)
        page.get_by_role("radio", name="Refuse: they stay held").check()
        page.fill("#suspensions-why", "half a file")
        page.get_by_role("button", name="Decide", exact=True).click()
        expect(page.get_by_text("They stay held until what brought them is put right.")).to_be_visible()
