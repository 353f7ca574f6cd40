"""The audit in a real Chromium: axe finds nothing, and deeds are found with the keyboard."""

from pathlib import Path

from playwright.sync_api import Browser, expect

from services.console.actions import Operator
from services.console.search import Search, Selection
from tests.browser.conftest import Served
from tests.browser.looking import looking, sign_in
from tests.browser.test_browser_journeys import press, tab_to, type_in
from tests.service.console_web_rig import Web

AUDIT = "/trusts/991/audit"


async def busy(site: Web) -> None:
    """Let somebody do more than a page of deeds, and look at something."""
    for number in range(1, 61):
        await site.letter(number)
    operator = Operator(site.site.work, "busy-operator")
    await operator.assign("991", Selection(search=Search()), "person-2", "his ward")
    await operator.edit("991", "letter-1", {"last_name": "Mended"}, "typing error")
    await site.site.sessions.write_down(
        "991", "looks-at-things", "revealed", subject="letter-1", column="last_name", why="a caller asks"
    )


def test_deeds_are_looked_at_found_and_taken_home_with_the_keyboard(
    browser: Browser, axe: str, console: Served, tmp_path: Path
) -> None:
    with looking(browser, axe, console) as seen:
        sign_in(console, seen.page.context, "auditor", who="auditor-1")
        page = seen.page
        page.goto(AUDIT)
        press(page, "main summary")
        type_in(page, "#person", " ")
        page.keyboard.press("Enter")
        expect(page.locator(".nhsuk-error-summary")).to_be_focused()
        seen.at("audit-person-problem")
        page.goto(f"{AUDIT}?who=nobody")
        seen.at("audit-none")
        console.do(busy(console.site))
        page.goto(AUDIT)
        seen.at("audit")
        press(page, "a[rel=next]")
        page.wait_for_url("**before=**")
        seen.at("audit-older")
        page.goto(AUDIT)
        press(page, "main summary")
        type_in(page, "#since", "soon")
        page.keyboard.press("Enter")
        expect(page.locator(".nhsuk-error-summary")).to_be_focused()
        seen.at("audit-problem")
        press(page, "a[href='#since']")
        expect(page.locator("#since")).to_be_focused()
        page.keyboard.press("Control+A")
        page.keyboard.press("Delete")
        page.goto(AUDIT)
        press(page, "main summary")
        type_in(page, "#who", "looks-at-things")
        page.keyboard.press("Enter")
        expect(page.get_by_text("Revealed (last_name)")).to_be_visible()
        expect(page.get_by_text("his ward")).to_have_count(0)
        seen.at("audit-found")
        tab_to(page, "a[download]")
        with page.expect_download() as taken:
            page.keyboard.press("Enter")
        taken.value.save_as(tmp_path / "audit.csv")
    assert "looks-at-things,revealed,letter-1" in (tmp_path / "audit.csv").read_text(encoding="utf-8")
