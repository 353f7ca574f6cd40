"""The pages of duplicates in each of their states, and their journey, in a real Chromium."""

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Served
from tests.browser.looking import looking, sign_in
from tests.browser.test_browser_journeys import press, tab_to, type_in
from tests.browser.test_browser_pages import look
from tests.service.test_console_web_duplicates import HERE, PAIR, PAIRS


@pytest.fixture
def suspecting(console: Served) -> Served:
    """A console over services that suspect two records."""
    console.site.said |= PAIRS
    return console


def test_duplicates_where_there_are_none_and_where_they_go_on(browser: Browser, axe: str, console: Served) -> None:
    look(browser, axe, console, HERE, "duplicates-none", "operator")
    console.site.said["people/duplicates"] = [PAIR | {"person_id": f"{number:07}"} for number in range(51)]
    look(browser, axe, console, f"{HERE}?done=same", "duplicates-many", "operator")


def test_duplicates_and_their_forms(browser: Browser, axe: str, suspecting: Served) -> None:
    with looking(browser, axe, suspecting) as seen:
        sign_in(suspecting, seen.page.context, "operator")
        page = seen.page
        page.goto(f"{HERE}?state=same")
        seen.at("duplicates-decided")
        page.goto(HERE)
        seen.at("duplicates")
        page.get_by_role("button", name="Compare").click()
        seen.at("duplicate")
        page.get_by_role("button", name="Show the field").click()
        seen.at("duplicate-reveal-problem")
        page.select_option("#reveal-field", "last_name")
        page.fill("#reveal-why", "compares the names")
        page.get_by_role("button", name="Show the field").click()
        expect(page.get_by_role("cell", name="Different")).to_be_visible()
        seen.at("duplicate-revealed")
        page.get_by_role("button", name="Decide").click()
        expect(page.locator(".nhsuk-error-summary")).to_be_focused()
        seen.at("duplicate-decide-problem")


def test_comparing_and_deciding_with_the_keyboard_alone(browser: Browser, axe: str, suspecting: Served) -> None:
    with looking(browser, axe, suspecting) as seen:
        sign_in(suspecting, seen.page.context, "operator")
        page = seen.page
        page.goto(HERE)
        press(page, f"form[action='{HERE}/pair'] button")
        page.wait_for_url("**/pair")
        tab_to(page, "input[name=decision]")
        page.keyboard.press("Space")
        type_in(page, "#decide-why", "asked her")
        page.keyboard.press("Enter")
        expect(page.get_by_text("One record stands for both now.")).to_be_visible()
        assert suspecting.site.posted[0][1]["decision"] == "same"


def test_two_records_are_said_to_be_different_without_javascript(
    browser: Browser, axe: str, suspecting: Served
) -> None:
    with looking(browser, axe, suspecting, java_script_enabled=False) as seen:
        sign_in(suspecting, seen.page.context, "operator")
        page = seen.page
        page.goto(HERE)
        page.get_by_role("button", name="Compare").click()
        page.get_by_role("radio", name="They are different humans").check()
        page.fill("#decide-why", "twins")
        page.get_by_role("button", name="Decide").click()
        expect(page.get_by_text("They stay apart")).to_be_visible()
