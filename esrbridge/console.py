"""Serves the console of a one-shot folder, with local accounts: for a demonstration on one's own machine.

Run with ``python -m esrbridge.console demo``. The other services are asked through their own routes, in this process.
"""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
import typer
import uvicorn
from fastapi import FastAPI
from rich.console import Console
from starlette.types import ASGIApp

from esrbridge.embedded import Bridge
from esrbridge.once import clock_at, with_bridge
from esrbridge.options import failing
from services.console.web.demo import ACCOUNTS, DemoAccounts
from services.console.web.reads import Reads
from services.console.web.wiring import demo_pages
from shared.clock import Clock
from shared.nights.api import make_nights_router

HOST: Final = "127.0.0.1"
AFTER_THE_DEMO: Final = "2026-03-04 06:45"
"""Just after the demonstration's last night: what the pages call tonight."""


def reads_within(bridge: Bridge, clock: Clock) -> Reads:
    """Return a way to ask the services of this process by their own routes."""
    clients = {}
    for name, component in bridge.components.items():
        app = FastAPI()
        app.include_router(component.router)
        if component.nights is not None:
            app.include_router(make_nights_router(component.nights, bridge.readers[name], clock))
        clients[name] = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{name}")
    return Reads(clients)


def pages_within(bridge: Bridge, clock: Clock, accounts: DemoAccounts) -> ASGIApp:
    """Return the console's pages over an embedded bridge."""
    console = bridge.components["console"]
    reads = reads_within(bridge, clock)
    return demo_pages(bridge.config, console.work, bridge.readers["console"], clock, reads, accounts)


async def serve_console(folder: Path, now: datetime | None, port: int, screen: Console) -> None:
    """Serve until told to stop, and let the bridge work meanwhile. Raises ConfigurationError."""
    clock = clock_at(now)

    async def work(bridge: Bridge) -> dict[str, Any]:
        accounts = DemoAccounts(bridge.config)
        pages = pages_within(bridge, clock, accounts)
        server = uvicorn.Server(uvicorn.Config(pages, host=HOST, port=port, log_config=None, access_log=False))
        screen.print(f"The console: http://{HOST}:{port}/   (Ctrl-C ends it)")
        screen.print(f"Accounts:    {', '.join(ACCOUNTS)}")
        screen.print(f"Password:    {accounts.password}")
        bridge_work = asyncio.create_task(_keep_working(bridge))
        try:
            await server.serve()
        finally:
            bridge_work.cancel()
            await asyncio.gather(bridge_work, return_exceptions=True)
        return {}

    await with_bridge(folder, clock, work)


async def _keep_working(bridge: Bridge) -> None:
    """Let what people do on the pages go its way: a replayed record is applied within seconds."""
    while True:
        await bridge.until_idle(at_once=False)
        await asyncio.sleep(1)


def console(
    folder: Annotated[Path, typer.Argument(help="A folder that `esrbridge demo` or `once` has worked on.")] = Path(
        "demo"
    ),
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8106,
    now: Annotated[str, typer.Option(help="What time it is on the pages: a moment, or 'now'.")] = AFTER_THE_DEMO,
) -> None:
    """Serve the console of a folder on this machine, with invented accounts."""
    with failing():
        moment = None if now == "now" else datetime.fromisoformat(now)
        asyncio.run(serve_console(folder, moment, port, Console(soft_wrap=True)))


if __name__ == "__main__":
    typer.run(console)
