"""What people come for, done with the keyboard alone; and once more without JavaScript."""

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Served
from tests.browser.looking import looking, sign_in
from tests.service.console_web_rig import FIELDS, FILE, FINE

FURTHEST = 120
"""Steps of the Tab key after which something counts as out of reach."""


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until the focus is there. Whatever has the focus must show it."""
    for _ in range(FURTHEST):
        page.keyboard.press("Tab")
        if page.evaluate(
            "wanted => document.activeElement !== null && document.activeElement.matches(wanted)", selector
        ):
            shown = page.evaluate(
                "() => { const s = getComputedStyle(document.activeElement);"
                " return s.outlineStyle !== 'none' || s.boxShadow !== 'none'; }"
            )
            assert (selector, shown) == (selector, True)
            return
    raise AssertionError(f"{selector} cannot be reached with the Tab key")


def type_in(page: Page, selector: str, text: str) -> None:
    tab_to(page, selector)
    page.keyboard.type(text)


def press(page: Page, selector: str, key: str = "Enter") -> None:
    tab_to(page, selector)
    page.keyboard.press(key)


def test_signing_in_to_the_night_and_out_again(browser: Browser, axe: str, demo: Served) -> None:
    assert demo.site.site.demo is not None
    with looking(browser, axe, demo) as seen:
        page = seen.page
        page.goto("/trusts/991/files")
        type_in(page, "#account", "operator")
        type_in(page, "#password", "wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_text("The account or the password is wrong.")).to_be_visible()
        seen.at("sign-in-problem")
        page.goto("/trusts/991/files")
        type_in(page, "#account", "operator")
        type_in(page, "#password", demo.site.site.demo.password)
        page.keyboard.press("Enter")
        page.wait_for_url("**/trusts/991/files")
        press(page, "a[href='/trusts/991/tonight']")
        page.wait_for_url("**/tonight")
        press(page, ".nhsuk-header__account-button")
        page.wait_for_url("**/signed-out")


def test_the_skip_link_leads_past_the_menu(browser: Browser, axe: str, console: Served) -> None:
    with looking(browser, axe, console) as seen:
        sign_in(console, seen.page.context, "viewer")
        seen.page.goto("/trusts/991/files")
        seen.page.keyboard.press("Tab")
        expect(seen.page.locator(".nhsuk-skip-link")).to_be_focused()
        seen.page.keyboard.press("Enter")
        seen.page.keyboard.press("Tab")
        expect(seen.page.locator("#status")).to_be_focused()


def test_from_a_red_night_to_the_record_and_its_value(browser: Browser, axe: str, console: Served) -> None:
    console.do(console.site.letter())
    with looking(browser, axe, console) as seen:
        sign_in(console, seen.page.context, "operator")
        page = seen.page
        page.goto("/trusts/991/tonight")
        press(page, "main a[href='/trusts/991/dead-letters']")
        page.wait_for_url("**/dead-letters")
        press(page, "a[href='/trusts/991/dead-letters/letter-1']")
        page.wait_for_url("**/letter-1")
        type_in(page, "#reveal-column", "last_name")
        type_in(page, "#reveal-why", "a caller asks")
        page.keyboard.press("Enter")
        expect(page.locator("#shown")).to_have_text(FIELDS["last_name"])


def test_editing_replaying_and_reading_what_was_done(browser: Browser, axe: str, console: Served) -> None:
    console.do(console.site.letter())
    with looking(browser, axe, console) as seen:
        sign_in(console, seen.page.context, "operator")
        page = seen.page
        page.goto("/trusts/991/dead-letters/letter-1")
        type_in(page, "#edit-column", "date_from")
        type_in(page, "#edit-value", "2026-02-28")
        type_in(page, "#edit-why", "typing error")
        press(page, "button[name=then][value=keep]", "Space")
        expect(page.get_by_text("The record was changed. The original is kept.")).to_be_visible()
        type_in(page, "#replay-why", "mended")
        page.keyboard.press("Enter")
        expect(page.get_by_text("The record was sent to its queue.")).to_be_visible()
        expect(page.get_by_text("person-1: edit (date_from). typing error")).to_be_visible()


def test_discarding_after_being_told_what_is_missing_and_taking_it_back(
    browser: Browser, axe: str, console: Served
) -> None:
    console.do(console.site.letter())
    with looking(browser, axe, console) as seen:
        sign_in(console, seen.page.context, "operator")
        page = seen.page
        page.goto("/trusts/991/dead-letters/letter-1")
        press(page, "button.nhsuk-button--warning")
        expect(page.locator(".nhsuk-error-summary")).to_be_focused()
        press(page, "a[href='#discard-why']")
        expect(page.locator("#discard-why")).to_be_focused()
        page.keyboard.type("of a test")
        page.keyboard.press("Enter")
        expect(page.get_by_text("The case is closed without a replay.")).to_be_visible()
        type_in(page, "#undo-why", "a mistake")
        page.keyboard.press("Enter")
        expect(page.get_by_text("The case is open again.")).to_be_visible()


def test_assigning_a_record_and_finding_it_by_staff_number(browser: Browser, axe: str, console: Served) -> None:
    console.do(console.site.letter())
    with looking(browser, axe, console) as seen:
        sign_in(console, seen.page.context, "operator")
        page = seen.page
        page.goto("/trusts/991/dead-letters/letter-1")
        type_in(page, "#look-after-kind", "Who")
        type_in(page, "#look-after-value", "person-2")
        type_in(page, "#look-after-why", "knows the case")
        page.keyboard.press("Enter")
        expect(page.get_by_text("It is written down who looks after it.")).to_be_visible()
        page.goto("/trusts/991/dead-letters")
        press(page, "summary")
        type_in(page, "#staff", FIELDS["person_id"])
        page.keyboard.press("Enter")
        expect(page.get_by_role("cell", name="person-2")).to_be_visible()
        assert FIELDS["person_id"] not in page.url


def test_the_fate_of_a_line(browser: Browser, axe: str, console: Served) -> None:
    (file,) = FINE["ingest/files"]
    console.site.said[f"ingest/files/{FILE}"] = [file | {"offers": [], "confirmations": []}]
    fate = {"file": FILE, "line": 2, "fate": "applied", "rule": "applied", "reason": ""}
    console.site.said[f"ingest/files/{FILE}/lines/2"] = fate
    with looking(browser, axe, console) as seen:
        sign_in(console, seen.page.context, "viewer")
        page = seen.page
        page.goto("/trusts/991/files")
        press(page, f"a[href='/trusts/991/files/{FILE}']")
        page.wait_for_url(f"**/{FILE}")
        type_in(page, "#line", "2")
        page.keyboard.press("Enter")
        expect(page.get_by_text("Line 2: applied.")).to_be_visible()


def test_going_to_another_trust(browser: Browser, axe: str, console: Served) -> None:
    with looking(browser, axe, console) as seen:
        sign_in(console, seen.page.context, "viewer", both=True)
        page = seen.page
        page.goto("/trusts/991/tonight")
        type_in(page, "#trust", "Other")
        press(page, "form[action='/switch'] button")
        page.wait_for_url("**/trusts/992/tonight")


def test_everything_works_without_javascript(browser: Browser, axe: str, console: Served) -> None:
    console.do(console.site.letter())
    with looking(browser, axe, console, java_script_enabled=False) as seen:
        sign_in(console, seen.page.context, "operator", both=True)
        page = seen.page
        page.goto("/trusts/992/tonight")
        page.select_option("#trust", "991")
        page.get_by_role("button", name="Go to trust").click()
        page.locator("main").get_by_role("link", name="See dead letters").click()
        page.get_by_role("link", name="line 1").click()
        page.select_option("#edit-column", "date_from")
        page.fill("#edit-value", "2026-02-28")
        page.fill("#edit-why", "typing error")
        page.get_by_role("button", name="Change and replay").click()
        expect(page.get_by_text("Replayed", exact=True).or_(page.get_by_text("There is a problem"))).to_be_visible()
        page.goto("/trusts/991/dead-letters?state=open")
        page.get_by_text("Find records").click()
        page.fill("#staff", FIELDS["person_id"])
        page.get_by_role("button", name="Find by staff number").click()
        expect(page.get_by_role("link", name="line 1")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
