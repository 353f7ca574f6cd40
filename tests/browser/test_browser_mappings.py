"""The pages of mappings in each of their states, and their journey, in a real Chromium."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Served
from tests.browser.looking import looking, sign_in
from tests.browser.test_browser_journeys import press, type_in
from tests.browser.test_browser_pages import look
from tests.service.test_console_web_mappings import CONTENT, DRAFT, HERE, LINE, MAPPINGS, SHOWN

EMPTY = {
    "competency/mappings": {"version": 0, "in_force": {}, "later": None, "draft": None},
    "competency/mappings/missing": [], "competency/mappings/history": [],
}  # fmt: skip


@pytest.fixture
def mapped(console: Served) -> Served:
    """A console over services that have mappings in force and a draft."""
    console.site.said |= MAPPINGS
    return console


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("mappings", HERE),
        ("mappings-done", f"{HERE}?done=undo"),
        ("mapping-draft", DRAFT),
        ("mapping-line", LINE),
        ("mapping-line-new", f"{DRAFT}/lines/new?competence_id=3100002"),
        ("mapping-yaml", f"{HERE}/yaml"),
        ("mapping-preview", f"{HERE}/preview"),
        ("mapping-version", f"{HERE}/versions/3"),
    ],
)
def test_pages_of_mappings(browser: Browser, axe: str, mapped: Served, name: str, path: str) -> None:
    look(browser, axe, mapped, path, name, "learning manager", "approver")


def test_mappings_where_there_is_nothing_and_where_one_is_to_come(browser: Browser, axe: str, console: Served) -> None:
    console.site.said |= EMPTY
    look(browser, axe, console, HERE, "mappings-none", "learning manager")
    look(browser, axe, console, HERE, "mappings-none-viewer", "viewer")
    console.site.said |= MAPPINGS
    console.site.said["competency/mappings"] = SHOWN | {"later": {"version": 4, "from": "2026-04-01"}}
    look(browser, axe, console, HERE, "mappings-later", "approver")
    console.site.said["competency/mappings/check"] = 503
    look(browser, axe, console, DRAFT, "mapping-draft-unchecked", "viewer")


def test_forms_of_mappings_say_what_is_wrong(browser: Browser, axe: str, mapped: Served) -> None:
    with looking(browser, axe, mapped) as seen:
        sign_in(mapped, seen.page.context, "learning manager", "approver")
        page = seen.page
        for path, button, name in (
            (HERE, "Go back", "undo"),
            (DRAFT, "Apply", "apply"),
            (DRAFT, "Throw the draft away", "discard"),
            (LINE, "Take it out", "remove"),
            (f"{DRAFT}/lines/new", "Keep in the draft", "line"),
            (f"{HERE}/yaml", "Keep in the draft", "yaml"),
        ):
            page.goto(path)
            page.get_by_role("button", name=button, exact=True).click()
            expect(page.locator(".nhsuk-error-summary")).to_be_focused()
            seen.at(f"mapping-{name}-problem")
        page.fill("#yaml-content", "mappings: [")
        page.get_by_role("button", name="Keep in the draft").click()
        expect(page.locator("#yaml-content-error")).to_be_visible()
        seen.at("mapping-yaml-wrong")


def test_mapping_what_is_missing_and_applying_it_with_the_keyboard_alone(
    browser: Browser, axe: str, mapped: Served
) -> None:
    with looking(browser, axe, mapped) as seen:
        sign_in(mapped, seen.page.context, "learning manager", "approver")
        page = seen.page
        page.goto(HERE)
        press(page, "main a[href*='competence_id=3100002']")
        page.wait_for_url("**/lines/new**")
        type_in(page, "#certification", "SGA1")
        type_in(page, "#line-why", "our course")
        page.keyboard.press("Enter")
        expect(page.get_by_text("The draft is changed.")).to_be_visible()
        press(page, f"a[href='{HERE}/preview']")
        page.wait_for_url("**/preview")
        press(page, f"a[href='{DRAFT}'].nhsuk-back-link")
        page.wait_for_url(f"**{DRAFT}")
        type_in(page, "#apply-why", "agreed by the board")
        page.keyboard.press("Enter")
        expect(page.get_by_text("The draft is in force")).to_be_visible()
        assert [path for path, _ in mapped.site.posted] == ["competency/mappings/draft", "competency/mappings/apply"]


def test_mappings_are_downloaded_and_put_in_again_without_javascript(
    browser: Browser, axe: str, mapped: Served, tmp_path: Path
) -> None:
    with looking(browser, axe, mapped, java_script_enabled=False) as seen:
        sign_in(mapped, seen.page.context, "learning manager")
        page = seen.page
        page.goto(f"{HERE}/yaml")
        with page.expect_download() as downloading:
            page.get_by_role("button", name="Download this").click()
        file = tmp_path / "mappings.yaml"
        downloading.value.save_as(file)
        page.set_input_files("#yaml-file", file)
        page.fill("#yaml-why", "back again")
        page.get_by_role("button", name="Keep in the draft").click()
        expect(page.get_by_text("The draft is changed.")).to_be_visible()
        assert mapped.site.posted[0][1]["content"] == CONTENT
