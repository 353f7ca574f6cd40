"""One service, running as it does in a container, but in this process and without a socket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import httpx
from fastapi import FastAPI
from sqlalchemy.engine import make_url

from shared.config import BridgeConfig, TrustConfig
from shared.db.migrate import login
from shared.runtime import make_app
from shared.settings import Settings

TOKEN = "a token for tests"
TRUSTS = ("991", "992")
TIMEOUT = 20.0
"""Seconds in which a change of state must show."""


@dataclass(frozen=True, slots=True)
class Running:
    """A service between its start and its end. ``client`` carries the token, ``stranger`` carries none."""

    app: FastAPI
    client: httpx.AsyncClient
    stranger: httpx.AsyncClient


@asynccontextmanager
async def running(
    service: str,
    *,
    database: str,
    password: str,
    broker: str,
    files: Path,
    token: str = TOKEN,
    config: BridgeConfig | None = None,
) -> AsyncIterator[Running]:
    settings = Settings(
        database_url=make_url(database)
        .set(username=login(service), password=password)
        .render_as_string(hide_password=False),
        broker_url=broker,
        config=files / "bridge.yaml",
        files=files,
        archive=files / "archive",
        api_token=token,
        scan_seconds=0.05,
        settle_seconds=0,
    )
    config = config or BridgeConfig(trusts=tuple(TrustConfig(vpd=vpd) for vpd in TRUSTS))
    app = make_app(service, import_module(f"services.{service}.main").build, settings, config)
    way = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=way, base_url="http://service", headers=bearer(token)) as client,
        httpx.AsyncClient(transport=way, base_url="http://service") as stranger,
    ):
        yield Running(app, client, stranger)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
