"""Lets the embedded mode reach a sandbox LMS in the same process, without a socket."""

from pathlib import Path
from typing import Final

import httpx

from sandbox.lms import SandboxLms
from sandbox.lms_http import create_app
from services.outbound.lms.sandbox import SandboxDriver
from services.outbound.site import Held, Site, make_site
from shared.clock import Clock
from shared.config import TrustConfig
from shared.secret_file import secret

IN_PROCESS: Final = "in-process:"
"""``lms.url`` beginning so names the sandbox LMS's state file, relative to the one-shot folder."""

ACCEPTED: Final = ".token"
"""Ending of the file, beside that of the state, that holds the token which such an LMS accepts, where it wants one."""

_TOKEN: Final = "in-process"  # noqa: S105 - both ends are this process


def embedded_site(trust: TrustConfig, files: Path, clock: Clock, held: Held) -> Site:
    """Return the drivers of a trust; like ``make_site``, and ``in-process:`` addresses besides."""
    if trust.lms.drivers != {"sandbox"} or not trust.lms.url.startswith(IN_PROCESS):
        return make_site(trust, files, clock, held)
    state = files / trust.lms.url.removeprefix(IN_PROCESS)
    door = Door(
        httpx.ASGITransport(create_app(SandboxLms(state, trust.vpd), token=_TOKEN)), state.with_suffix(ACCEPTED)
    )
    given = secret(trust.vpd, trust.lms.token_file)() if trust.lms.token_file else _TOKEN
    driver = SandboxDriver("http://lms", given, transport=door)
    return Site(driver, driver, driver)


class Door(httpx.AsyncBaseTransport):
    """Lets in who has the token that stands in a file just now; where there is no such file, everybody in here."""

    def __init__(self, behind: httpx.AsyncBaseTransport, accepts: Path) -> None:
        self._behind = behind
        self._accepts = accepts

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on, or answer 401."""
        accepted = self._accepts.read_text("utf-8").strip() if self._accepts.exists() else _TOKEN
        if request.headers["authorization"] != f"Bearer {accepted}":
            return httpx.Response(httpx.codes.UNAUTHORIZED, json={"error": "Unauthorized"}, request=request)
        request.headers["authorization"] = f"Bearer {_TOKEN}"
        return await self._behind.handle_async_request(request)
