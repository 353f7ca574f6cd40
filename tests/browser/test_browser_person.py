"""One person's file in a real Chromium: axe finds nothing, and it is found, seen and taken with the keyboard."""

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, expect

from services.console.person_file import SERVICES
from tests.browser.conftest import Served
from tests.browser.looking import looking, sign_in
from tests.browser.test_browser_journeys import press, type_in
from tests.service.console_web_rig import FIELDS

PERSON = "/trusts/991/person"
ID = FIELDS["person_id"]
FACTS = {
    "name": "facts", "about": "what ESR said", "kept": "until the owner of the database deletes it",
    "rows": [{"entity": "person", "key": ID, "data": {"last_name": "Placeholder", "employee_number": "E77"}}],
}  # fmt: skip
LEARNING = {
    "name": "holdings", "about": "what was achieved", "kept": "while it is so",
    "rows": [{"competence_id": "3190001", "achieved_on": f"20{year}-03-01"} for year in range(10, 26)],
}  # fmt: skip


def held(console: Served) -> None:
    parts: dict[str, list[dict[str, Any]]] = {"people": [FACTS], "competency": [LEARNING]}
    for service in SERVICES:
        said = {"service": service, "sections": parts.get(service, [])}
        console.site.said[f"{service}/people/{ID}/file"] = said
    console.site.said["people/people"] = [{"person_id": ID, "state": "employee"}]
    console.do(console.site.letter())


def test_a_file_is_found_seen_and_taken_with_the_keyboard(
    browser: Browser, axe: str, console: Served, tmp_path: Path
) -> None:
    held(console)
    with looking(browser, axe, console) as seen:
        sign_in(console, seen.page.context, "learning manager")
        page = seen.page
        page.goto(PERSON)
        seen.at("person")
        press(page, "main form button")
        expect(page.locator(".nhsuk-error-summary")).to_be_focused()
        seen.at("person-problem")
        press(page, "a[href='#number']")
        expect(page.locator("#number")).to_be_focused()
        page.keyboard.type("E77")
        page.keyboard.press("Enter")
        expect(page.get_by_text("Values are hidden until you say why you need them.")).to_be_visible()
        expect(page.get_by_text("Placeholder")).to_have_count(0)
        press(page, "main summary")
        seen.at("person-masked")
        press(page, "button[name=as][value=page]")
        expect(page.locator(".nhsuk-error-summary")).to_be_focused()
        seen.at("person-why")
        type_in(page, "#why", "request 12")
        page.keyboard.press("Enter")
        expect(page.get_by_text("It is written down that you looked, and why.")).to_be_visible()
        expect(page.get_by_text("Placeholder").first).to_be_visible()
        seen.at("person-revealed")
        assert ID not in page.url
        page.goto(PERSON)
        type_in(page, "#number", "E77")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="See the values")).to_be_visible()
        type_in(page, "#why", "request 12")
        with page.expect_download() as taken:
            press(page, "button[name=as][value=json]")
        taken.value.save_as(tmp_path / "file.json")
        page.goto(PERSON)
        type_in(page, "#number", "E77")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="See the values")).to_be_visible()
        type_in(page, "#why", "request 12")
        with page.expect_download() as taken:
            press(page, "button[name=as][value=html]")
        taken.value.save_as(tmp_path / "file.html")
    assert json.loads((tmp_path / "file.json").read_text(encoding="utf-8"))["person_id"] == ID
    assert "Placeholder" in (tmp_path / "file.html").read_text(encoding="utf-8")


def test_what_is_handed_out_to_read_is_itself_without_fault(
    browser: Browser, axe: str, console: Served, tmp_path: Path
) -> None:
    held(console)
    with looking(browser, axe, console) as seen:
        sign_in(console, seen.page.context, "operator")
        page = seen.page
        page.goto(PERSON)
        page.fill("#number", "E77")
        page.get_by_role("button", name="Find").click()
        page.fill("#why", "request 12")
        with page.expect_download() as taken:
            page.get_by_role("button", name="Download to read (HTML)").click()
        taken.value.save_as(tmp_path / "file.html")
        other = page.context.new_page()
        other.set_content((tmp_path / "file.html").read_text(encoding="utf-8"))
        seen.page = other
        seen.at("person-download")


def test_of_two_one_is_chosen_and_who_is_away_is_named(browser: Browser, axe: str, console: Served) -> None:
    held(console)
    console.site.said["people/people"] = [{"person_id": ID, "state": "employee"}, {"person_id": "9", "state": "leaver"}]
    with looking(browser, axe, console, java_script_enabled=False) as seen:
        sign_in(console, seen.page.context, "operator")
        page = seen.page
        page.goto(PERSON)
        page.fill("#number", "E77")
        page.get_by_role("button", name="Find").click()
        page.get_by_role("button", name=f"Person ID {ID}").click()
        expect(page.get_by_text("Values are hidden until you say why you need them.")).to_be_visible()
        console.site.said[f"ingest/people/{ID}/file"] = 503
        page.fill("#why", "request 12")
        page.get_by_role("button", name="Show the file").click()
        expect(page.get_by_text("The service ingest does not answer")).to_be_visible()


def test_choosing_and_being_away_look_right(browser: Browser, axe: str, console: Served) -> None:
    held(console)
    console.site.said["people/people"] = [{"person_id": ID, "state": "employee"}, {"person_id": "9", "state": "leaver"}]
    with looking(browser, axe, console) as seen:
        sign_in(console, seen.page.context, "operator")
        page = seen.page
        page.goto(PERSON)
        page.fill("#number", "E77")
        page.get_by_role("button", name="Find").click()
        seen.at("person-choose")
        console.site.said[f"ingest/people/{ID}/file"] = 503
        page.get_by_role("button", name=f"Person ID {ID}").click()
        seen.at("person-away")
