"""What is looked at on every page: that axe finds nothing, that it fits a phone, and that nothing else goes wrong."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

from services.console.web.rights import Caller
from shared.console_settings import RoleName
from tests.browser.conftest import Served

OUTPUT: Final = Path(__file__).parent / ".output"
RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PHONE: Final = {"width": 320, "height": 640}
DESK: Final = {"width": 1280, "height": 900}
_REFUSED: Final = re.compile(
    r"Failed to load resource: the server responded with a status of (401|403|404|409|422|429|503)"
)


class Look:
    """A page under the eye."""

    def __init__(self, page: Page, axe: str, url: str) -> None:
        self.page = page
        self._axe = axe
        self._url = url
        self.troubles: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not _REFUSED.search(message.text):
            self.troubles.append(message.text)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith(self._url):
            self.troubles.append(f"asked another host: {request.url}")

    def at(self, name: str) -> None:
        """Look at the page as it is now, at a desk and on a phone, and keep pictures of it."""
        OUTPUT.mkdir(exist_ok=True)
        for width, size in (("desk", DESK), ("phone", PHONE)):
            self.page.set_viewport_size({"width": size["width"], "height": size["height"]})
            self.page.screenshot(path=OUTPUT / f"{name}-{width}.png", full_page=True)
            assert (name, self.violations()) == (name, [])
            wide = self.page.evaluate("document.documentElement.scrollWidth")
            assert (name, width, wide <= size["width"]) == (name, width, True)
        self.page.set_viewport_size({"width": DESK["width"], "height": DESK["height"]})
        assert (name, self.troubles) == (name, [])

    def violations(self) -> list[tuple[str, list[str]]]:
        """Return what axe finds: the rule, and the elements."""
        self.page.evaluate(self._axe)
        found: dict[str, Any] = self.page.evaluate(
            "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})", RULES
        )
        return [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found["violations"]]


@contextmanager
def looking(browser: Browser, axe: str, served: Served, **more: Any) -> Iterator[Look]:
    """A fresh browser that has nothing in it."""
    context = browser.new_context(base_url=served.url, **more)
    context.set_default_timeout(30_000)
    try:
        yield Look(context.new_page(), axe, served.url)
    finally:
        context.close()


def sign_in(
    served: Served, context: BrowserContext, *roles: RoleName, who: str = "person-1", both: bool = False
) -> None:
    """Sign somebody in without the way there, which is looked at on its own."""
    trusts = ("991", "992") if both else ("991",)
    caller = Caller(who, "A Person", {vpd: frozenset(roles) for vpd in trusts})
    cookie = served.do(served.site.site.sessions.open(caller))
    context.add_cookies(
        [
            {
                "name": served.site.site.cookie("session"), "value": cookie, "domain": "127.0.0.1", "path": "/",
                "secure": True, "httpOnly": True, "sameSite": "Lax",
            }
        ]
    )  # fmt: skip
