"""Compliance in a real Chromium: axe finds nothing, charts have words, and names are reached with the keyboard."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, expect

from tests.browser.conftest import Served
from tests.browser.looking import looking, sign_in
from tests.browser.test_browser_journeys import press, tab_to, type_in
from tests.service.test_console_web_compliance import FIGURES, NAME, ROW, listed

PAGE = "/trusts/991/compliance"
SUBJECTS = ("Fire safety", "Resuscitation", "Infection prevention and control", "Moving and handling")
SHARES = ((10, 0, 0, 0, 0, 0), (0, 0, 0, 0, 4, 6), (5, 1, 1, 1, 1, 1), (0, 5, 5, 0, 0, 0))
NAMES = ("compliant", "due_30", "due_60", "due_90", "expired", "never")


def told(console: Served) -> None:
    rows: list[dict[str, Any]] = [
        ROW | {"key": name.lower().replace(" ", "_"), "name": name} | dict(zip(NAMES, shares, strict=True))
        for name, shares in zip(SUBJECTS, SHARES, strict=True)
    ]
    console.site.said["competency/compliance"] = FIGURES | {"rows": rows}
    console.site.said["competency/compliance/people"] = listed(120) | {"rows": listed(50)["rows"]}
    console.site.said["competency/compliance/people?reveal=true"] = listed(50, name=NAME)


def test_from_the_chart_to_the_names_with_the_keyboard(
    browser: Browser, axe: str, console: Served, tmp_path: Path
) -> None:
    told(console)
    with looking(browser, axe, console) as seen:
        sign_in(console, seen.page.context, "learning manager")
        page = seen.page
        page.goto(PAGE)
        expect(page.get_by_role("img", name="80.0% valid").first).to_be_visible()
        seen.at("compliance")
        type_in(page, "#by", "Staff")
        type_in(page, "#day", "1.6.2026")
        page.keyboard.press("Enter")
        expect(page.locator(".nhsuk-error-summary")).to_be_focused()
        seen.at("compliance-problem")
        press(page, "a[href='#day']")
        expect(page.locator("#day")).to_be_focused()
        page.goto(PAGE)
        tab_to(page, "a[download]")
        with page.expect_download() as taken:
            page.keyboard.press("Enter")
        taken.value.save_as(tmp_path / "figures.csv")
        press(page, "main a[href$='subject=resuscitation']")
        page.wait_for_url("**/compliance/people**")
        expect(page.get_by_text("Who the people are is hidden.")).to_be_visible()
        seen.at("compliance-people")
        press(page, "button[name=as][value=page]")
        expect(page.locator(".nhsuk-error-summary")).to_be_focused()
        seen.at("compliance-people-problem")
        type_in(page, "#why", "a round of reminders")
        page.keyboard.press("Enter")
        expect(page.get_by_text(NAME).first).to_be_visible()
        seen.at("compliance-people-named")
    assert "Resuscitation" in (tmp_path / "figures.csv").read_text(encoding="utf-8")


def test_where_nothing_is_required_and_where_nobody_answers(browser: Browser, axe: str, console: Served) -> None:
    with looking(browser, axe, console) as seen:
        sign_in(console, seen.page.context, "viewer")
        seen.page.goto(PAGE)
        seen.at("compliance-none")
        seen.page.goto(f"{PAGE}/people")
        seen.at("compliance-people-none")
        console.site.said["competency/compliance"] = 503
        seen.page.goto(PAGE)
        seen.at("compliance-away")


def test_figures_and_names_without_javascript(browser: Browser, axe: str, console: Served) -> None:
    told(console)
    with looking(browser, axe, console, java_script_enabled=False) as seen:
        sign_in(console, seen.page.context, "learning manager")
        page = seen.page
        page.goto(PAGE)
        page.select_option("#by", "organisation")
        page.get_by_role("button", name="Show", exact=True).click()
        page.get_by_role("link", name="Who lacks something").click()
        page.get_by_role("link", name="Page 2 of 3").click()
        page.go_back()
        page.fill("#why", "a round of reminders")
        page.get_by_role("button", name="Show the names").click()
        expect(page.get_by_text(NAME).first).to_be_visible()
