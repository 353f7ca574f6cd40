"""The console's pages on a real database, without a socket; the other services' answers are laid out by the test."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import httpx
from fastapi import FastAPI, HTTPException, Request
from sqlalchemy import delete, select

from esrbridge.embedded import as_role
from services.console.keeping import keep
from services.console.tables import ATTEMPTS, DEEDS, LETTERS, SESSIONS, SIGN_INS
from services.console.web.app import make_pages
from services.console.web.demo import DemoAccounts
from services.console.web.headers import SecurityHeaders
from services.console.web.oidc import Provider
from services.console.web.reads import Reads
from services.console.web.rights import Caller
from services.console.web.sessions import Sessions
from services.console.web.site import Site
from shared import records
from shared.clock import LONDON, FixedClock
from shared.config import BridgeConfig, TrustConfig
from shared.console_settings import ConsoleSettings, RoleName
from shared.db.engine import Reader, make_engine
from shared.db.unit import Work
from shared.messaging.memory import MemoryBroker
from shared.messaging.message import Message
from tests.service.dead_rig import forget

ADDRESS = "https://console.example"
NOON = datetime(2026, 3, 4, 12, tzinfo=LONDON)
FILE = "CS_991_CST_CSC_20260304_00000003.DAT"
FIELDS = {"person_id": "1000001", "last_name": "Placeholder", "date_from": "not a date"}
_CSRF = re.compile(r'name="csrf" value="([^"]+)"')

FINE: dict[str, Any] = {
    "ingest/files": [
        {
            "vpd": "991", "name": FILE, "received_at": "2026-03-04T06:10:00+00:00", "kind": "CSC",
            "status": "complete", "code": "", "reason": "", "faults": [],
            "repeats": 0, "records": 3, "accounted": {"applied": 2, "dead_lettered": 1}, "reasons": {},
            "adds_up": True, "released": False, "answered": True, "sha256": "0" * 64,
        }
    ],
    "ingest/alarms": [],
    "confirmations/completions": [],
    "confirmations/completions/nights": [],
    "confirmations/completions/unmatched": {"unmatched": [], "next": ""},
    "confirmations/completions/files": {"files": [], "next": ""},
    "confirmations/completions/ledger": {"completions": [], "next": ""},
    "outbound/completion-cases": [],
    "outbound/decisions": [],
    "people/people": [],
    "people/duplicates": [],
    "competency/compliance": {"day": "2026-03-04", "by": "subject", "rows": [], "total": {}},
    "competency/compliance/people": {"day": "2026-03-04", "status": "due", "total": 0, "rows": []},
    "confirmations/completions/refused": [],
    "outbound/guards": [],
    "outbound/matches": [],
    "outbound/site": {"waits": False, "code": "", "failures": 0, "findings": []},
    **{f"{name}/nights": {"late": []} for name in ("ingest", "people", "competency", "outbound", "confirmations")},
}  # fmt: skip
"""What every service says when all is well, by service and path."""

Posted = list[tuple[str, dict[str, Any]]]
"""What services were asked to do: service and path, and what was said."""


def reads_of(said: Mapping[str, Any], posted: Posted | None = None) -> Reads:
    """Services that say what the test lays out; of anything else that there is no such thing.

    A number is a status, a text a refusal with 409. ``service/path?name=value`` stands for questions that say so, and
    ``POST service/path`` for what is to be done.
    """
    done: Posted = [] if posted is None else posted

    def service(name: str) -> FastAPI:
        app = FastAPI()

        @app.get("/v1/trusts/{vpd}/{path:path}")
        def answer(vpd: str, path: str, request: Request) -> Any:
            asked = set(request.query_params.items())
            begins = f"{name}/{path}?"
            narrow = [key for key in said if key.startswith(begins) and set(parse_qsl(key[len(begins) :])) <= asked]
            return _answer(said.get(narrow[0] if narrow else f"{name}/{path}"))

        @app.post("/v1/trusts/{vpd}/{path:path}")
        async def do(vpd: str, path: str, request: Request) -> Any:
            done.append((f"{name}/{path}", await request.json()))
            return _answer(said.get(f"POST {name}/{path}"))

        return app

    names = ("ingest", "people", "competency", "outbound", "confirmations")
    return Reads(
        {
            name: httpx.AsyncClient(transport=httpx.ASGITransport(service(name)), base_url=f"http://{name}")
            for name in names
        }
    )


def _answer(told: Any) -> Any:
    if told is None:
        raise HTTPException(404)
    if isinstance(told, int):
        raise HTTPException(told)
    if isinstance(told, str):
        raise HTTPException(409, told)
    return told


@dataclass(slots=True)
class Moments:
    """The present, as the sessions see it."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.now

    def later(self, **more: float) -> None:
        self.now += timedelta(**more)


@dataclass(slots=True)
class Web:
    """Pages, and a browser without anything in it."""

    site: Site
    pages: SecurityHeaders
    browser: httpx.AsyncClient
    moments: Moments
    said: dict[str, Any]
    posted: Posted = field(default_factory=list)

    async def sign_in(self, *roles: RoleName, vpd: str = "991", who: str = "person-1") -> None:
        caller = Caller(who, "A Person", {vpd: frozenset(roles)} if roles else {})
        self.browser.cookies.set(self.site.cookie("session"), await self.site.sessions.open(caller))

    async def form(self, page: str, to: str, **said: str) -> httpx.Response:
        """Send a form as the page at ``page`` would."""
        return await self.browser.post(to, data={"csrf": await self.csrf(page), **said})

    async def form_without_page(self, to: str, **said: str) -> httpx.Response:
        """Send a form that no page of ours has made."""
        return await self.browser.post(to, data={"csrf": "made up", **said})

    async def csrf(self, page: str) -> str:
        found = _CSRF.search((await self.browser.get(page)).text)
        assert found is not None
        return found.group(1)

    async def deeds(self) -> list[tuple[str, str, str, str, str]]:
        async with self.site.work.engine.connect() as connection:
            rows = await connection.execute(select(DEEDS).order_by(DEEDS.c.id))
            return [(row.vpd, row.who, row.deed, row.column, row.why) for row in rows]

    async def letter(self, number: int = 1, vpd: str = "991", code: str = "R103") -> str:
        """Put a dead letter there; return its id."""
        message = Message(
            exchange="", type="element.upsert", message_id=f"letter-{number}", vpd=vpd, body=records.encode(FIELDS),
            stream="feed", file=FILE.replace("991", vpd), file_no=3, line=number, code=code,
            reason="date_from is not a valid date", queue="competency.records",
        )  # fmt: skip
        async with self.site.work.engine.begin() as connection:
            await keep(connection, [message], NOON)
        return message.message_id


@asynccontextmanager
async def web(
    database: str,
    password: str,
    *,
    said: Mapping[str, Any] | None = None,
    demo: bool = False,
    console: ConsoleSettings | None = None,
    provider: Provider | None = None,
    base: str = ADDRESS,
) -> AsyncIterator[Web]:
    """Pages over the database of the test's module, which is empty again afterwards."""
    engine = make_engine(as_role(database, "console", password), name="test", pool=3)
    trusts = (TrustConfig(vpd="991", name="Example Hospital"), TrustConfig(vpd="992", name="Other Hospital"))
    config = BridgeConfig(trusts=trusts, console=console or ConsoleSettings(address=ADDRESS))
    clock, moments = FixedClock(NOON), Moments()
    laid_out = dict(FINE if said is None else said)
    posted: Posted = []
    site = Site(
        config,
        Work("console", engine, MemoryBroker(), clock),
        Reader(engine, "console"),
        clock,
        reads_of(laid_out, posted),
        Sessions(engine, config.console.session, moments),
        provider=provider,
        demo=DemoAccounts(config) if demo else None,
    )
    pages = make_pages(site)
    way = httpx.ASGITransport(pages, raise_app_exceptions=False)
    try:
        async with httpx.AsyncClient(transport=way, base_url=base) as browser:
            yield Web(site, pages, browser, moments, laid_out, posted)
    finally:
        async with engine.begin() as connection:
            for table in (SESSIONS, SIGN_INS, ATTEMPTS, LETTERS):
                await connection.execute(delete(table))
        await engine.dispose()
        await forget(database)
