"""A real Chromium, axe, and consoles to look at.

Chromium comes from the system (``ESRBRIDGE_TEST_CHROMIUM`` names another one); axe and the identity provider come from
npm, by the lock file beside this one. Where there is no Chromium or no npm, these tests are skipped and say so.
"""

import asyncio
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import uvicorn
from playwright.sync_api import Browser, sync_playwright

from services.console.web.app import provider_of
from shared.config import BridgeConfig, TrustConfig
from shared.console_settings import ConsoleSettings
from tests.service.console_web_rig import Web, web

HERE: Final = Path(__file__).parent
SECONDS: Final = 60


@pytest.fixture(scope="session")
def chromium() -> str:
    found = os.environ.get("ESRBRIDGE_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        pytest.skip("no Chromium: install it (Debian, Ubuntu: apt-get install chromium)")
    return found


@pytest.fixture(scope="session")
def node_modules() -> Path:
    folder = HERE / "node_modules"
    wanted = ("axe-core/axe.min.js", "oidc-provider/package.json")
    if not all((folder / name).exists() for name in wanted):
        npm = shutil.which("npm")
        if not npm:
            pytest.skip("no npm: install it (Debian, Ubuntu: apt-get install npm)")
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=HERE, check=True, capture_output=True, timeout=600)
    return folder


@pytest.fixture(scope="session")
def axe(node_modules: Path) -> str:
    """The source of axe."""
    return (node_modules / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """For a module, no longer: while Playwright runs, its event loop is in the way of asynchronous tests."""
    sandbox = [] if os.geteuid() else ["--no-sandbox"]  # Chromium's sandbox does not run as root
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=[*sandbox, "--disable-dev-shm-usage"])
        yield started
        started.close()


@dataclass(slots=True)
class Served:
    """A console on a port of this machine, in a thread of its own."""

    site: Web
    url: str
    loop: asyncio.AbstractEventLoop

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do something on the console's side."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(SECONDS)


Serve = Callable[[Callable[[str], ConsoleSettings] | None], Served]


@pytest.fixture
def console(module_database: str, passwords: Mapping[str, str]) -> Iterator[Served]:
    """A console as it is run in earnest."""
    with serving(module_database, passwords["console"], lambda url: ConsoleSettings(address=url)) as served:
        yield served


@pytest.fixture
def demo(module_database: str, passwords: Mapping[str, str]) -> Iterator[Served]:
    """A console with the local accounts of a demonstration."""
    with serving(module_database, passwords["console"], lambda _: ConsoleSettings(), demo=True) as served:
        yield served


@contextmanager
def serving(
    database: str, password: str, settings: Callable[[str], ConsoleSettings], *, demo: bool = False, port: int = 0
) -> Iterator[Served]:
    """Serve until the test is done. ``settings`` are made for the address."""
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    ready = threading.Event()
    made: list[Served] = []
    failed: list[BaseException] = []
    server: list[uvicorn.Server] = []

    async def serve() -> None:
        console = settings(url)
        trusts = (TrustConfig(vpd="991"), TrustConfig(vpd="992"))
        provider = provider_of(BridgeConfig(trusts=trusts, console=console))
        async with web(database, password, demo=demo, console=console, provider=provider) as site:
            config = uvicorn.Config(site.pages, host="127.0.0.1", port=port, log_config=None, lifespan="off")
            server.append(uvicorn.Server(config))
            made.append(Served(site, url, asyncio.get_running_loop()))
            ready.set()
            await server[0].serve()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            failed.append(error)
            raise
        finally:
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait(SECONDS)
    try:
        assert not failed
        wait_for(port)
        yield made[0]
    finally:
        if server:
            server[0].should_exit = True
        thread.join(SECONDS)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for(port: int) -> None:
    """Wait until something listens."""
    for _ in range(SECONDS * 20):
        with socket.socket() as one:
            one.settimeout(1)
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        threading.Event().wait(0.05)
    raise TimeoutError(port)
