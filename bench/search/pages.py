"""What is asked over HTTP, in this process without a socket: ingest's routes, and the console's pages whole."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote

import httpx
from fastapi import FastAPI

from bench.search import letters as dead
from bench.search.asking import Ask, Question
from bench.search.filling import PEOPLE, PER_FILE, VPD
from bench.search.lines import FILES, SMALL, name_of
from esrbridge.console import pages_within
from esrbridge.embedded import Bridge
from services.console.web.demo import DemoAccounts
from services.console.web.rights import ALL_ROLES, Caller
from services.console.web.sessions import Sessions
from shared.clock import Clock

TRUST: Final = f"/trusts/{VPD}"
DICE: Final = random.Random(2)


@asynccontextmanager
async def routes(bridge: Bridge, lines: int) -> AsyncIterator[list[Question]]:
    """Give the questions to ``ingest``."""
    app = FastAPI()
    app.include_router(bridge.components["ingest"].router)
    way = httpx.ASGITransport(app)

    def file() -> str:
        return f"/files/{name_of(DICE.randrange(1, FILES))}"

    asked: dict[str, Callable[[], str]] = {
        "files": lambda: "/files",
        "files without those of requests": lambda: "/files?requests=false&limit=200",
        "a page of files in the middle": lambda: f"/files?after={_place()}",
        "files that are not settled": lambda: "/files?unsettled=true",
        "files that were refused": lambda: "/files?status=quarantined",
        "files in a state that none is in": lambda: "/files?status=discarded",
        "one file and its account": file,
        "the largest file": lambda: f"/files/{name_of(0)}",
        "one line's fate": lambda: f"{file()}/lines/{DICE.randrange(1, 2_000)}",
        "a line's fate in the largest file": lambda: f"/files/{name_of(0)}/lines/{DICE.randrange(1, lines // 5)}",
        "a dead line's fate": lambda: f"{file()}/lines/4",
        "a dead line's fate in the largest file": lambda: f"/files/{name_of(0)}/lines/4",
        "a file that is not there": lambda: "/files/other.DAT",
        "people left out": lambda: "/absent",
        "alarms of the calendar": lambda: "/alarms",
        "requests for full files": lambda: "/snapshot-requests",
    }
    async with httpx.AsyncClient(transport=way, base_url=f"http://ingest/v1{TRUST}") as client:
        # A line that is still at work has no fate to tell: to say so is an answer, too.
        yield [Question("lines and files", name, _get(client, path, 404)) for name, path in asked.items()]


@asynccontextmanager
async def pages(bridge: Bridge, clock: Clock, letters: int) -> AsyncIterator[list[Question]]:
    """Give the console's pages, asked for by somebody who is signed in."""
    app = pages_within(bridge, clock, DemoAccounts(bridge.config))
    sessions = Sessions(bridge.components["console"].work.engine, bridge.config.console.session)
    cookie = await sessions.open(Caller("person-1", "A Person", {VPD: frozenset(ALL_ROLES)}))
    way = httpx.ASGITransport(app)

    def file() -> str:
        return dead.file_of(DICE.randrange(letters // 10 // PER_FILE, letters // PER_FILE))

    asked: dict[str, Callable[[], str]] = {
        "Tonight": lambda: "/tonight",
        "Dead letters": lambda: "/dead-letters",
        "Dead letters by file and line": lambda: f"/dead-letters?file={file()}&line={DICE.randrange(2, PER_FILE)}",
        "Dead letters by cause": lambda: f"/dead-letters?cause={dead.RARE}",
        "One dead letter": lambda: f"/dead-letters/{dead.letter()}",
        "Plans and runs": lambda: "/dead-letter-runs",
        "A plan of nearly all": lambda: "/dead-letter-runs/2",
        "Files": lambda: "/files",
        "A line's fate": lambda: f"/files/{name_of(DICE.randrange(FILES))}?line={DICE.randrange(1, 2_000)}",
        "Audit": lambda: "/audit",
    }
    async with httpx.AsyncClient(transport=way, base_url=f"http://console{TRUST}") as client:
        client.cookies.set("esrbridge-session", cookie)
        token = (await client.get("/dead-letters")).text.partition('name="csrf" value="')[2].partition('"')[0]

        async def by_staff() -> None:
            form = {"csrf": token, "staff": str(DICE.randrange(PEOPLE))}
            _whole(await client.post("/dead-letters", data=form))

        found = [Question("pages", name, _get(client, path)) for name, path in asked.items()]
        yield [*found, Question("pages", "Dead letters by staff number", by_staff)]


def _place() -> str:
    moment = datetime.now(UTC) - timedelta(minutes=DICE.randrange(SMALL))
    return quote(f"{moment.isoformat()}~x~x")


def _get(client: httpx.AsyncClient, path: Callable[[], str], *more: int) -> Ask:
    async def ask() -> None:
        _whole(await client.get(path()), *more)

    return ask


def _whole(answer: httpx.Response, *more: int) -> None:
    """Raise SystemExit unless the answer is one: a redirect to the sign-in would be quick."""
    if answer.status_code not in (200, *more):
        raise SystemExit(f"{answer.request.url} answered {answer.status_code}")
