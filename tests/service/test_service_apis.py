"""What every service's HTTP face has alike: health, metrics, its own description, and a closed door."""

import asyncio
import base64
from collections.abc import Iterable, Iterator, Mapping

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import text
from starlette.routing import BaseRoute

from esrbridge.embedded import as_role
from shared.db.engine import make_engine
from shared.db.migrate import SERVICES
from shared.messaging.message import Message
from shared.messaging.rabbitmq import RabbitBroker
from shared.messaging.topology import QUEUES
from tests.integration.faulty_network import Network
from tests.service.conftest import Serve
from tests.service.harness import TIMEOUT, TOKEN, Running, bearer

each_service = pytest.mark.parametrize("service", SERVICES)

STEPS = {
    "ingest": "files-due",
    "people": "new-day",
    "competency": "new-day",
    "outbound": "completion-file",
    "confirmations": "answers-due",
}
"""A step of each service's nights."""
NOT_FOR_THE_SHARED_TOKEN = {"/v1/trusts/{vpd}/dead-letter-runs/{number}/approve"}
"""Routes that ask who calls; ``test_console_web_rights.py`` tries them."""
OWNED = {service: {queue.name for queue in QUEUES if queue.owner == service} for service in SERVICES}
ROUTES = {
    "ingest": {"/v1/trusts/{vpd}/files", "/v1/trusts/{vpd}/files/{name}/lines/{line}"},
    "people": {"/v1/trusts/{vpd}/people/summary", "/v1/trusts/{vpd}/people/{person_id}"},
    "competency": {"/v1/trusts/{vpd}/decisions/summary", "/v1/trusts/{vpd}/mappings/preview"},
    "outbound": {"/v1/trusts/{vpd}/outbound/summary", "/v1/trusts/{vpd}/matches/{person_id}/decision"},
    "confirmations": {"/v1/trusts/{vpd}/completions/summary", "/v1/trusts/{vpd}/completions"},
    "console": {"/v1/trusts/{vpd}/dead-letters", "/v1/trusts/{vpd}/dead-letters/{letter}/replay"},
}


async def becomes(client: httpx.AsyncClient, path: str, status: int) -> httpx.Response:
    """Ask until the answer has this status."""
    async with asyncio.timeout(TIMEOUT):
        while True:
            answer = await client.get(path)
            if answer.status_code == status:
                return answer
            await asyncio.sleep(0.02)


# --- health -----------------------------------------------------------------------------------------------------


@each_service
async def test_a_running_service_is_alive_and_ready_without_a_token(serve: Serve, service: str) -> None:
    async with serve(service) as running:
        alive = await running.stranger.get("/health/live")
        ready = await running.stranger.get("/health/ready")
    assert (alive.status_code, alive.json()) == (200, {"stuck": [], "ended": []})
    assert (ready.status_code, ready.json()) == (200, {"waiting": {}})


@each_service
async def test_a_service_whose_database_is_away_is_alive_not_ready_and_comes_back_by_itself(
    serve: Serve, service: str, module_database: str
) -> None:
    async with Network(module_database) as network, serve(service, database=network.url) as running:
        await network.cut()
        answer = await becomes(running.client, "/health/ready", 503)
        assert answer.json()["waiting"]["database"] == "DATABASE_UNAVAILABLE"
        await becomes(running.client, "/health/live", 200)
        assert (await running.client.get("/metrics")).status_code == 200
        network.mend()
        await becomes(running.client, "/health/ready", 200)


@each_service
async def test_a_service_whose_broker_is_away_is_alive_not_ready_and_comes_back_by_itself(
    serve: Serve, service: str, rabbitmq_url: str
) -> None:
    async with Network(rabbitmq_url) as network, serve(service, broker=network.url) as running:
        await network.cut()
        answer = await becomes(running.client, "/health/ready", 503)
        assert set(answer.json()["waiting"].values()) == {"BROKER_UNAVAILABLE"}
        assert (await running.client.get("/health/live")).status_code == 200
        network.mend()
        await becomes(running.client, "/health/ready", 200)


async def test_a_service_waits_for_backends_that_come_up_after_it(
    serve: Serve, module_database: str, rabbitmq_url: str
) -> None:
    async with Network(module_database) as database, Network(rabbitmq_url) as broker:
        await database.cut()
        await broker.cut()

        async def start_and_ask() -> int:
            async with serve("people", database=database.url, broker=broker.url) as running:
                return (await running.client.get("/health/ready")).status_code

        starting = asyncio.create_task(start_and_ask())
        done, _ = await asyncio.wait([starting], timeout=0.5)
        assert not done
        database.mend()
        broker.mend()
        assert await asyncio.wait_for(starting, TIMEOUT) == 200


# --- metrics ----------------------------------------------------------------------------------------------------


def series(answer: httpx.Response) -> dict[str, float]:
    lines = [line for line in answer.text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


@each_service
async def test_metrics_name_the_service_and_every_loop_it_has(serve: Serve, service: str) -> None:
    async with serve(service) as running:
        answer = await running.stranger.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    found = series(answer)
    loops = OWNED[service] | {"sweep"}
    if service == "console":
        loops |= {queue.dead for queue in QUEUES}
    for loop in loops:
        assert found[f'esrbridge_loop_waiting{{loop="{loop}",service="{service}"}}'] == 0
    assert found[f'esrbridge_outbox_rows{{service="{service}"}}'] == 0
    for metric in ("messages_handled", "messages_emitted", "job_failures"):
        assert f"# TYPE esrbridge_{metric}_total counter" in answer.text


async def test_metrics_count_what_was_handled_what_was_said_and_what_waits(
    serve: Serve, rabbitmq_url: str, module_database: str, passwords: Mapping[str, str]
) -> None:
    handled = 'esrbridge_messages_handled_total{queue="people.records",service="people"}'
    emitted = 'esrbridge_messages_emitted_total{service="people",type="people.outcomes"}'
    async with serve("people") as running:
        before = series(await running.client.get("/metrics"))
        sender = RabbitBroker(rabbitmq_url)
        await sender.publish([bad_record(line) for line in (1, 2, 3)])
        await sender.stop()
        async with asyncio.timeout(TIMEOUT):
            while True:
                after = series(await running.client.get("/metrics"))
                if after.get(handled, 0) >= before.get(handled, 0) + 3:
                    break
                await asyncio.sleep(0.02)
        assert after.get(emitted, 0) > before.get(emitted, 0)
    engine = make_engine(as_role(module_database, "people", passwords["people"]), name="test")
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM people.line_fates WHERE vpd = '990'")) == 1
    await engine.dispose()


def bad_record(line: int) -> Message:
    return Message(
        exchange="esr.records",
        type="person.upsert",
        message_id=f"metrics-{line}",
        vpd="990",  # a trust that no other test asks about
        body=b"{}",
        stream="feed",
        file="CS_990_CST_CSF_20260302_00000001.DAT",
        file_no=1,
        line=line,
    )


async def test_a_job_that_fails_because_the_database_is_away_is_counted(serve: Serve, module_database: str) -> None:
    name = 'esrbridge_job_failures_total{job="tick",service="people"}'
    async with Network(module_database) as network, serve("people", database=network.url) as running:
        before = series(await running.client.get("/metrics")).get(name, 0)
        await network.cut()
        async with asyncio.timeout(TIMEOUT):
            while True:
                found = series(await running.client.get("/metrics"))
                if found.get(name, 0) > before and found['esrbridge_loop_waiting{loop="tick",service="people"}']:
                    break
                await asyncio.sleep(0.02)
        network.mend()


# --- description and door ---------------------------------------------------------------------------------------


def api_routes(found: Iterable[BaseRoute]) -> Iterator[APIRoute]:
    """Every route with its whole path; FastAPI may keep included routers as branches of a tree."""
    for route in found:
        if isinstance(route, APIRoute):
            yield route
        else:
            branch = getattr(route, "original_router", route)
            yield from api_routes(getattr(branch, "routes", ()))


def routes(app: FastAPI, word: str = "a") -> list[tuple[str, str]]:
    """Every method and path under ``/v1``, for trust 991, parameters filled in so that only the token is missing."""
    receipt = "0" * 32 if word == "a" else word
    filled = {"vpd": "991", "name": word, "line": "1", "person_id": word, "letter": word, "receipt": receipt}
    filled |= {"one": word, "other": f"{word}x", "number": "1"}
    step = STEPS.get(app.title.rpartition(" ")[2], "")
    filled |= {"step": step if word == "a" else word, "day": "2026-03-03"}
    found = [
        (method, route.path.replace(":path", "").format(**filled))
        for route in api_routes(app.routes)
        if route.path.startswith("/v1") and route.path not in NOT_FOR_THE_SHARED_TOKEN
        for method in sorted(route.methods or ())
    ]
    assert len(found) >= 2
    return found


@each_service
async def test_the_openapi_document_is_served_and_describes_every_route(serve: Serve, service: str) -> None:
    async with serve(service) as running:
        answer = await running.stranger.get("/openapi.json")
        offered = {route.path.replace(":path", "") for route in api_routes(running.app.routes)}
    document = answer.json()
    assert answer.status_code == 200
    assert document["info"]["title"] == f"ESR Bridge: {service}"
    assert document["openapi"].startswith("3.")
    assert set(document["paths"]) == offered
    assert set(document["paths"]) >= ROUTES[service] | {"/health/live", "/health/ready", "/metrics"}
    described = [path for path in document["paths"] if path.startswith("/v1")]
    for path in described:
        for operation in document["paths"][path].values():
            assert operation["security"] == [{"HTTPBearer": []}]
            assert operation["description"]


@each_service
async def test_nothing_under_v1_answers_without_the_right_token(serve: Serve, service: str) -> None:
    async with serve(service) as running:
        basic = base64.b64encode(f"{TOKEN}:{TOKEN}".encode()).decode()
        for method, path in routes(running.app):
            for headers in (
                {},
                bearer("wrong"),
                bearer(TOKEN + "x"),
                bearer(TOKEN.upper()),
                bearer(""),
                {"Authorization": f"Basic {basic}"},
                {"Authorization": TOKEN},
            ):
                answer = await running.stranger.request(method, path, headers=headers, json={"who": "x", "why": "x"})
                assert (method, path, headers, answer.status_code) == (method, path, headers, 401)
                assert answer.headers["www-authenticate"] == "Bearer"
                assert TOKEN not in answer.text


@each_service
async def test_without_a_configured_token_nobody_is_let_in(serve: Serve, service: str) -> None:
    async with serve(service, token="") as running:
        for method, path in routes(running.app):
            for headers in ({}, bearer(""), bearer("None"), {"Authorization": "Bearer"}):
                answer = await running.stranger.request(method, path, headers=headers)
                assert answer.status_code == 401
        assert (await running.stranger.get("/health/ready")).status_code == 200


@each_service
async def test_a_trust_that_is_no_number_is_refused_and_a_strange_path_is_not_found(serve: Serve, service: str) -> None:
    async with serve(service) as running:
        for method, path in routes(running.app):
            for odd in ("99", "99999", "abc", "99%31%0a", "991%27", "991 "):
                answer = await asked(running, method, path.replace("991", odd))
                assert (path, odd, answer.status_code) == (path, odd, 422)
        assert (await running.client.get("/v1/trusts/991/nothing-here")).status_code == 404
        assert (await running.client.get("/v2")).status_code == 404


@each_service
async def test_text_that_cannot_be_stored_is_the_callers_mistake_and_not_ours(serve: Serve, service: str) -> None:
    async with serve(service) as running:
        for method, path in routes(running.app, word="a%00b"):
            answer = await asked(running, method, f"{path}?code=a%00b")
            if "%00" in path or service == "console":
                assert (path, answer.status_code) == (path, 422)
        if service == "console":
            body = {"who": "an\0operator", "why": "a test"}
            answer = await running.client.post("/v1/trusts/991/dead-letters/a%00b/replay", json=body)
            assert answer.status_code == 422


@each_service
async def test_while_the_database_is_away_the_api_says_so_and_blames_nobody(
    serve: Serve, service: str, module_database: str
) -> None:
    async with Network(module_database) as network, serve(service, database=network.url) as running:
        await network.cut()
        for method, path in routes(running.app):
            if path.endswith("/site"):  # what the process itself knows of the LMS
                continue
            answer = await asked(running, method, f"{path}?q=1")
            assert (path, answer.status_code) == (path, 503)
            assert answer.json() == {"detail": "the database or the broker is away; try again later"}
        network.mend()


DONE = {"reference": "1", "person_id": "1", "certification_idnumber": "1", "completed_at": "2026-03-03T10:00:00"}
VOLUNTEER = {
    "reference": "1",
    "kind": "volunteer",
    "first_name": "Fern",
    "last_name": "Placeholder",
    "start": "2026-03-03",
}
BODIES = {
    "/completions": {"completions": [DONE]},
    "/non-staff": {"people": [VOLUNTEER]},
    "/decision": {"who": "an operator", "why": "a test", "decision": "new"},
    "/completion-files": {"who": "an operator", "why": "a test"},
    "/completion-decisions": {"who": "an operator", "why": "a test", "decision": "resend", "code": "B201"},
    "/release": {"who": "an operator", "why": "a test", "expected": 1},
    "/refuse": {"who": "an operator", "why": "a test", "expected": 1},
    "/people/file": {"who": "an operator", "why": "a test", "person_id": "1"},
    "/draft": {"who": "an operator", "why": "a test", "content": {}},
    "/a/ax": {"who": "an operator", "why": "a test", "decision": "same"},
}
"""What a request to a path that ends so says."""


async def asked(running: Running, method: str, path: str) -> httpx.Response:
    ends = [body for end, body in BODIES.items() if path.partition("?")[0].endswith(end)]
    body = ends[0] if ends else {"who": "an operator", "why": "a test", "columns": {}}
    return await running.client.request(method, path, json=body if method == "POST" else None)
