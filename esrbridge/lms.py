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

IN_PROCESS: Final = "in-process:"
"""``lms.url`` beginning so names the sandbox LMS's state file, relative to the one-shot folder."""

_TOKEN: Final = "in-process"  # noqa: S105 - both ends are this process


def embedded_site(trust: TrustConfig, files: Path, clock: Clock, held: Held) -> Site:
    """Return the drivers of a trust; like ``make_site``, and ``in-process:`` addresses besides."""
    if trust.lms.drivers != {"sandbox"} or not trust.lms.url.startswith(IN_PROCESS):
        return make_site(trust, files, clock, held)
    lms = SandboxLms(files / trust.lms.url.removeprefix(IN_PROCESS), trust.vpd)
    driver = SandboxDriver("http://lms", _TOKEN, transport=httpx.ASGITransport(create_app(lms, token=_TOKEN)))
    return Site(driver, driver, driver)
