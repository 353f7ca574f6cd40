"""Every route of the console asks for a right; nobody gets further than theirs."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx
import pytest
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from services.console.main import build
from services.console.web.guard import Machine, api_guard
from services.console.web.headers import SecurityHeaders
from services.console.web.rights import API, PAGES, ROLES, Caller, Open, Right
from shared.component import Context
from shared.console_settings import RoleName
from shared.messaging.memory import MemoryBroker
from tests.service.conftest import Serve
from tests.service.console_web_rig import Web, web
from tests.service.harness import bearer
from tests.service.test_service_apis import api_routes

NEEDS_NO_RIGHT = {"/health/live", "/health/ready", "/metrics", "/openapi.json"}
"""What every service tells anybody; nothing personal."""


@pytest.fixture
async def site(module_database: str, passwords: Mapping[str, str]) -> AsyncIterator[Web]:
    async with web(module_database, passwords["console"]) as made:
        yield made


def everything(app: FastAPI) -> set[tuple[str, str]]:
    """Every method and path of the console, pages and API, mounted parts included."""
    found = {(method, route.path) for route in api_routes(app.routes) for method in route.methods or ()}
    for route in app.routes:
        if isinstance(route, Mount):
            assert isinstance(route.app, SecurityHeaders)
            assert isinstance(route.app.app, Starlette)
            for page in route.app.app.routes:
                if isinstance(page, Mount):
                    found.add(("GET", f"{page.path}/{{path:path}}"))
                else:
                    assert isinstance(page, Route)
                    found |= {(method, page.path) for method in page.methods or () if method != "HEAD"}
        elif isinstance(route, Route):
            found |= {(method, route.path) for method in route.methods or () if method != "HEAD"}
    return found


async def test_every_route_of_the_console_asks_for_a_right(serve: Serve) -> None:
    async with serve("console") as running:
        offered = {(method, path) for method, path in everything(running.app) if path not in NEEDS_NO_RIGHT}
    assert offered - API.keys() - PAGES.keys() == set()
    assert (API.keys() | PAGES.keys()) - offered == set()


async def test_there_is_no_page_of_documentation_that_loads_scripts_of_another_host(serve: Serve) -> None:
    async with serve("console") as running:
        for path in ("/docs", "/redoc"):
            assert (await running.stranger.get(path)).status_code == 404
        assert (await running.stranger.get("/openapi.json")).status_code == 200


async def test_a_route_that_stands_in_no_table_is_closed_even_to_the_bridges_token() -> None:
    app = FastAPI()

    @app.get("/v1/trusts/{vpd}/new")
    def new(vpd: str) -> str:
        return vpd

    closed = FastAPI()
    closed.include_router(app.router, dependencies=[Depends(api_guard("a bridge's token", []))])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(closed), base_url="http://x") as client:
        assert (await client.get("/v1/trusts/991/new", headers=bearer("a bridge's token"))).status_code == 403


def filled(path: str, vpd: str = "991") -> str:
    values = {
        "{vpd}": vpd,
        "{letter}": "letter-1",
        "{name}": "a-file",
        "{path:path}": "console.css",
        "{number}": "1",
        "{reference}": "L991-0000000001",
        "{person}": "0" * 32,
        "{line}": "new",
        "{version}": "1",
    }
    for name, value in values.items():
        path = path.replace(name, value)
    return path


async def test_without_a_session_every_page_but_the_way_in_leads_to_the_sign_in(site: Web) -> None:
    for (method, path), right in PAGES.items():
        answer = await site.browser.request(method, filled(path))
        if right is not Open.PUBLIC:
            assert (path, answer.status_code) == (path, 303)
            assert answer.headers["location"].startswith("/sign-in")


@pytest.mark.parametrize("role", list(ROLES))
async def test_each_role_opens_the_pages_of_its_rights_and_no_other(site: Web, role: RoleName) -> None:
    await site.sign_in(role)
    await site.letter()
    csrf = await site.csrf("/trusts/991/tonight")
    for (method, path), right in PAGES.items():
        if isinstance(right, Right):
            data = {"csrf": csrf} if method == "POST" else None
            answer = await site.browser.request(method, filled(path), data=data)
            denied = answer.status_code == 403
            assert (role, path, denied) == (role, path, right not in ROLES[role])
            assert answer.status_code in (403, 200, 303, 404, 409, 422)


async def test_a_trust_without_a_role_looks_as_if_it_did_not_exist(site: Web) -> None:
    await site.sign_in("viewer", "operator", "auditor", "approver", "learning manager")
    csrf = await site.csrf("/trusts/991/tonight")
    bodies = set()
    for vpd in ("992", "123", "abc"):
        for (method, path), right in PAGES.items():
            if isinstance(right, Right):
                data = {"csrf": csrf} if method == "POST" else None
                answer = await site.browser.request(method, filled(path, vpd), data=data)
                assert (path, answer.status_code) == (path, 404)
                bodies.add(answer.text.replace(csrf, ""))
    assert len(bodies) == 1
    assert (await site.browser.get("/switch?trust=992")).status_code == 404


async def test_the_trust_switcher_offers_only_trusts_with_a_role(site: Web) -> None:
    await site.sign_in("viewer")
    assert "Other Hospital" not in (await site.browser.get("/trusts/991/tonight")).text
    caller = Caller("two", "Two", {"991": frozenset({"viewer"}), "992": frozenset({"viewer"})})
    site.browser.cookies.clear()
    site.browser.cookies.set(site.site.cookie("session"), await site.site.sessions.open(caller))
    assert "Other Hospital" in (await site.browser.get("/trusts/991/tonight")).text
    assert (await site.browser.get("/switch?trust=992")).headers["location"] == "/trusts/992/tonight"


# --- machines ---------------------------------------------------------------------------------------------------

ROBOT = Caller("robot", "robot", {"991": frozenset({"operator"}), "992": frozenset({"viewer"})})


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/trusts/991/dead-letters", 200),
        ("GET", "/v1/trusts/992/dead-letters", 200),
        ("GET", "/v1/trusts/993/dead-letters", 403),
        ("POST", "/v1/trusts/991/dead-letters/none/replay", 409),
        ("POST", "/v1/trusts/992/dead-letters/none/replay", 403),
        ("POST", "/v1/trusts/991/dead-letter-runs/1/approve", 403),
        ("GET", "/v1/trusts/991/dead-letters/audit", 403),
    ],
)
async def test_a_machine_may_do_what_its_roles_say(site: Web, method: str, path: str, status: int) -> None:
    async with guarded(site) as client:
        body = {"who": "robot", "why": "a test"} if method == "POST" else None
        assert (await client.request(method, path, json=body)).status_code == status


async def test_a_machine_acts_in_its_own_name_and_in_nobody_elses(site: Web) -> None:
    async with guarded(site) as client:
        url = "/v1/trusts/991/dead-letters/none/discard"
        assert (await client.post(url, json={"who": "somebody", "why": "a test"})).status_code == 403
        assert (await client.post(url, json={"who": "robot", "why": "a test"})).status_code == 409
        assert (await client.post(url, content=b"{", headers={"Content-Type": "application/json"})).status_code == 422


async def test_the_bridges_token_may_mend_and_never_approve(serve: Serve) -> None:
    async with serve("console") as running:
        body = {"who": "anybody", "why": "a test"}
        approved = await running.client.post("/v1/trusts/991/dead-letter-runs/1/approve", json=body)
        replayed = await running.client.post("/v1/trusts/991/dead-letters/none/replay", json=body)
        refused = await running.stranger.post("/v1/trusts/991/dead-letter-runs/1/approve", json=body)
    assert (approved.status_code, replayed.status_code) == (403, 409)
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")


def guarded(site: Web) -> httpx.AsyncClient:
    """The API of a console that knows one machine."""
    component = build(
        Context(
            config=site.site.config,
            work=site.site.work,
            broker=MemoryBroker(),
            clock=site.site.clock,
            reader=site.site.reader,
            files=Path(),
            archive=Path(),
        )
    )
    app = FastAPI()
    check = api_guard("", [Machine("a robot's token", ROBOT)])
    app.include_router(component.router, dependencies=[Depends(check)])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x", headers=bearer("a robot's token"))
