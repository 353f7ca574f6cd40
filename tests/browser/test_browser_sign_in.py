"""Signing in with a real identity provider: oidc-provider, certified for OpenID Connect, on this machine."""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from shutil import which

import pytest
from playwright.sync_api import Browser, Page, expect

from shared.console_settings import ConsoleSettings, Grant, SignIn
from tests.browser.conftest import HERE, Served, free_port, serving, wait_for
from tests.browser.looking import looking

SECRET = "a secret of the tests"


@pytest.fixture
def provider(node_modules: Path) -> Iterator[tuple[str, int]]:
    """The provider's address, and the port at which it expects the console."""
    del node_modules
    node = which("node")
    assert node is not None
    port, console = free_port(), free_port()
    back = f"http://127.0.0.1:{console}"
    command = [node, "provider.mjs", str(port), f"{back}/sign-in/callback", f"{back}/signed-out"]
    process = subprocess.Popen(command, cwd=HERE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}", console
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def signed(
    provider: tuple[str, int], module_database: str, passwords: Mapping[str, str], tmp_path: Path
) -> Iterator[Served]:
    """A console that leaves signing in to the provider."""
    issuer, port = provider
    secret = tmp_path / "client-secret"
    secret.write_text(f"{SECRET}\n", encoding="utf-8")

    def settings(url: str) -> ConsoleSettings:
        return ConsoleSettings(
            address=url,
            sign_in=SignIn(issuer=issuer, client_id="console", client_secret_file=secret),
            grants=(
                Grant(group="bridge-operators", trust="991", roles=("operator",)),
                Grant(group="bridge-approvers", trust="*", roles=("approver",)),
            ),
        )

    with serving(module_database, passwords["console"], settings, port=port) as served:
        yield served


def sign_in(page: Page, name: str) -> None:
    """Go through the provider's own pages as ``name``."""
    page.get_by_role("button", name="Sign in with your organisation").click()
    page.fill("input[name=login]", name)
    page.fill("input[name=password]", "any")
    page.locator("button[type=submit]").click()
    page.get_by_role("button", name="Continue").click()


def test_somebody_with_a_role_signs_in_with_the_provider_and_out_of_both(
    browser: Browser, axe: str, signed: Served
) -> None:
    with looking(browser, axe, signed) as seen:
        page = seen.page
        page.goto("/trusts/991/files")
        seen.at("sign-in-provider")
        sign_in(page, "ann")
        page.wait_for_url("**/trusts/991/files")
        expect(page.get_by_text("ann of the tests")).to_be_visible()
        cookies = {
            cookie["name"]: cookie for cookie in page.context.cookies(signed.url) if "esrbridge" in cookie["name"]
        }
        assert set(cookies) == {"__Host-esrbridge-session"}
        assert cookies["__Host-esrbridge-session"]["httpOnly"]
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("button", name="Yes, sign me out").click()
        page.wait_for_url(f"{signed.url}/signed-out**")
        page.goto("/trusts/991/files")
        page.get_by_role("button", name="Sign in with your organisation").click()
        expect(page.locator("input[name=login]")).to_be_visible()
    deeds = [(who, deed) for _, who, deed, _, _ in signed.do(signed.site.deeds())]
    assert ("ann", "signed in") in deeds
    assert ("ann", "signed out") in deeds


def test_somebody_without_a_role_is_told_so_and_stays_outside(browser: Browser, axe: str, signed: Served) -> None:
    with looking(browser, axe, signed) as seen:
        page = seen.page
        page.goto("/")
        sign_in(page, "bob")
        expect(page.get_by_text("You have no role at any trust here.")).to_be_visible()
        assert page.context.cookies(f"{signed.url}/") == [] or "session" not in str(
            [cookie["name"] for cookie in page.context.cookies(signed.url) if "esrbridge" in cookie["name"]]
        )
        page.goto("/trusts/991/tonight")
        page.wait_for_url("**/sign-in**")


def test_a_role_at_every_trust_is_one_at_each(browser: Browser, axe: str, signed: Served) -> None:
    with looking(browser, axe, signed) as seen:
        page = seen.page
        page.goto("/")
        sign_in(page, "eve")
        expect(page.get_by_role("link", name="Example Hospital (991)")).to_be_visible()
        expect(page.get_by_role("link", name="Other Hospital (992)")).to_be_visible()


def test_an_answer_can_be_used_once_and_only_in_the_browser_that_asked(
    browser: Browser, axe: str, signed: Served
) -> None:
    with looking(browser, axe, signed) as seen, looking(browser, axe, signed) as other:
        answers: list[str] = []
        seen.page.on("request", lambda asked: answers.append(asked.url) if "/sign-in/callback" in asked.url else None)
        seen.page.goto("/trusts/991/files")
        sign_in(seen.page, "ann")
        seen.page.wait_for_url("**/trusts/991/files")
        (answer,) = set(answers)
        for page in (seen.page, other.page):
            page.goto(answer)
            expect(page.get_by_text("This sign-in has ended, or was begun in another browser.")).to_be_visible()
