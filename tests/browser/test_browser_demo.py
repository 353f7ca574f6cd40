"""The demonstration's console, over real services: every link leads somewhere, and a mended record is applied."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import free_port, wait_for
from tests.browser.looking import Look

SECONDS = 300


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The console's address, and the password that it printed."""
    folder = tmp_path_factory.mktemp("demo")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ESRBRIDGE_")}
    demo = [sys.executable, "-m", "esrbridge.cli", "demo", str(folder), "--people", "120"]
    subprocess.run(demo, check=True, capture_output=True, timeout=SECONDS, env=clean)
    port = free_port()
    log = folder / "console.txt"
    with log.open("w", encoding="utf-8") as out:
        serve = [sys.executable, "-m", "esrbridge.console", str(folder), "--port", str(port)]
        process = subprocess.Popen(serve, stdout=out, stderr=subprocess.STDOUT, env=clean | {"PYTHONUNBUFFERED": "1"})
        try:
            wait_for(port)
            found = re.search(r"Password:\s+(\S+)", log.read_text(encoding="utf-8"))
            assert found is not None
            yield f"http://127.0.0.1:{port}", found.group(1)
        finally:
            process.terminate()
            process.wait(60)


def enter(page: Page, account: str, password: str) -> None:
    page.goto("/")
    page.fill("#account", account)
    page.fill("#password", password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/trusts/999/tonight")


def test_every_link_of_the_demonstration_leads_somewhere_and_no_page_has_a_fault(
    browser: Browser, axe: str, demonstration: tuple[str, str]
) -> None:
    url, password = demonstration
    context = browser.new_context(base_url=url)
    seen = Look(context.new_page(), axe, url)
    enter(seen.page, "everything", password)
    waiting, visited = ["/trusts/999/tonight"], set[str]()
    while waiting:
        path = waiting.pop()
        if path in visited:
            continue
        visited.add(path)
        answer = seen.page.goto(path)
        assert answer is not None
        assert (path, answer.status) == (path, 200)
        assert (path, seen.violations(), seen.troubles) == (path, [], [])
        links = seen.page.eval_on_selector_all(
            "a[href]:not([download])", "all => all.map(one => one.getAttribute('href'))"
        )
        waiting += [link for link in links if link.startswith("/") and link not in visited]
    assert len(visited) > 12
    assert any("/dead-letters/" in path for path in visited)
    context.close()


def test_a_record_that_is_mended_on_a_page_is_applied_and_its_case_closes(
    browser: Browser, axe: str, demonstration: tuple[str, str]
) -> None:
    del axe
    url, password = demonstration
    context = browser.new_context(base_url=url)
    context.set_default_timeout(60_000)
    page = context.new_page()
    enter(page, "operator", password)
    page.goto("/trusts/999/dead-letters")
    page.locator("td a[href*='/dead-letters/']").first.click()
    page.select_option("#edit-column", "date_from")
    page.fill("#edit-value", "2026-02-28")
    page.fill("#edit-why", "typing error")
    page.get_by_role("button", name="Change and replay").click()
    expect(page.get_by_text("The record was changed and sent.")).to_be_visible()
    letter = page.url
    for _ in range(60):
        page.goto(letter)
        if page.get_by_text("Resolved", exact=True).count():
            break
        page.wait_for_timeout(500)
    expect(page.get_by_text("Resolved", exact=True)).to_be_visible()
    context.close()
