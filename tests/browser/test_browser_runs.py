"""Plans for many dead letters in a real Chromium: axe finds nothing; they are made by keyboard and without script."""

from collections.abc import Mapping

from playwright.sync_api import Browser, expect

from services.console.limits import Limits
from services.console.planning import Planner
from services.console.run import Runner
from shared.console_settings import RoleName
from tests.browser.conftest import Served
from tests.browser.looking import looking, sign_in
from tests.browser.test_browser_journeys import press, tab_to, type_in
from tests.service.console_web_rig import Web

LIST = "/trusts/991/dead-letters"
RUNS = "/trusts/991/dead-letter-runs"
PERSONS: Mapping[str, RoleName] = {"person-1": "operator", "person-2": "approver"}


async def run(site: Web) -> None:
    runner = Runner(site.site.work, Planner(site.site.work, limits=Limits()))
    while await runner.run():
        pass


def letters(console: Served, number: int) -> None:
    for one in range(1, number + 1):
        console.do(console.site.letter(one, code="R103"))


def test_a_plan_from_choosing_records_to_its_end_with_the_keyboard(browser: Browser, axe: str, console: Served) -> None:
    letters(console, 3)
    with looking(browser, axe, console) as seen:
        sign_in(console, seen.page.context, "operator")
        page = seen.page
        page.goto(RUNS)
        seen.at("runs-none")
        page.goto(LIST)
        press(page, "#pick-1", "Space")
        press(page, "#pick-2", "Space")
        press(page, "button[name=which][value=chosen]")
        expect(page.get_by_text("For the 2 records you chose.")).to_be_visible()
        seen.at("run-new")
        press(page, "main form button")
        expect(page.locator(".nhsuk-error-summary")).to_be_focused()
        seen.at("run-new-problem")
        press(page, "#kind", "Space")
        type_in(page, "#why", "mended at the sender")
        press(page, "main summary")
        press(page, "#insist", "Space")
        seen.at("run-new-all")
        press(page, "main form button")
        expect(page.get_by_text("The plan is made.")).to_be_visible()
        seen.at("run-planned")
        type_in(page, "#start-why", "looked at both")
        page.keyboard.press("Enter")
        expect(page.get_by_text("The plan has started.")).to_be_visible()
        tab_to(page, "#updates")
        console.do(run(console.site))
        expect(page.locator("#run-progress")).to_have_text("2 of 2 records had their turn", timeout=20_000)
        expect(page.locator("#letters")).to_contain_text("Sent, not known yet whether it was applied")
        expect(page.locator("#updates")).to_be_focused()
        seen.at("run-running")
        page.keyboard.press("Enter")
        page.wait_for_url("**updates=off**")
        type_in(page, "#pause-why", "a moment")
        page.keyboard.press("Enter")
        expect(page.get_by_text("Paused by person-1.")).to_be_visible()
        seen.at("run-paused")
        tab_to(page, "#resume-why")
        page.goto(RUNS)
        seen.at("runs")


def test_choosing_nothing_is_told_at_the_list(browser: Browser, axe: str, console: Served) -> None:
    letters(console, 2)
    with looking(browser, axe, console) as seen:
        sign_in(console, seen.page.context, "operator")
        seen.page.goto(LIST)
        press(seen.page, "button[name=which][value=chosen]")
        expect(seen.page.get_by_role("link", name="Choose at least one record")).to_be_visible()
        seen.at("letters-choose")
        press(seen.page, "a[href='#pick-1']")
        expect(seen.page.locator("#pick-1")).to_be_focused()


def test_a_large_discard_by_two_people_and_its_undo_without_javascript(
    browser: Browser, axe: str, console: Served
) -> None:
    letters(console, 12)
    with looking(browser, axe, console, java_script_enabled=False) as seen:
        page = seen.page

        def become(who: str) -> None:
            page.context.clear_cookies()
            sign_in(console, page.context, PERSONS[who], who=who)

        become("person-1")
        page.goto(LIST)
        page.get_by_role("button", name="Plan for all open records").click()
        page.get_by_label("Discard").check()
        page.fill("#why", "an old test file")
        page.get_by_role("button", name="Make the plan").click()
        expect(page.get_by_text("You made this plan, so somebody else has to approve it.")).to_be_visible()
        plan = page.url.partition("?")[0]
        become("person-2")
        page.goto(plan)
        page.fill("#approve-why", "looked at all")
        page.get_by_role("button", name="Approve the plan").click()
        expect(page.get_by_text("The plan is approved.")).to_be_visible()
        become("person-1")
        page.goto(plan)
        page.fill("#start-why", "now")
        page.get_by_role("button", name="Start").click()
        console.do(run(console.site))
        page.goto(plan)
        expect(page.get_by_text("12 discarded.")).to_be_visible()
        page.fill("#undo-why", "they are ours")
        page.get_by_role("button", name="Open them again").click()
        expect(page.get_by_text("What the plan closed is open again.")).to_be_visible()


def test_a_plan_that_waits_for_a_second_person_as_both_see_it(browser: Browser, axe: str, console: Served) -> None:
    letters(console, 12)
    with looking(browser, axe, console) as seen:
        page = seen.page
        sign_in(console, page.context, "operator")
        page.goto(LIST)
        page.get_by_role("button", name="Plan for all open records").click()
        page.get_by_label("Discard").check()
        page.fill("#why", "an old test file")
        page.get_by_role("button", name="Make the plan").click()
        seen.at("run-proposed")
        plan = page.url.partition("?")[0]
        page.context.clear_cookies()
        sign_in(console, page.context, "approver", who="person-2")
        page.goto(plan)
        seen.at("run-to-approve")
        page.get_by_role("button", name="Approve the plan").click()
        seen.at("run-approve-problem")
