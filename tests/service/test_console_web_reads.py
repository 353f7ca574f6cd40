"""What the console asks of other services: that they answer it, that the token goes with it, and what is said else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response

from services.console.web.reads import STEPS, ReadError, Reads, over_http
from shared.console_settings import ServiceAddresses
from tests.service.conftest import Serve

ASKED: dict[str, list[tuple[str, ...]]] = {
    "ingest": [("files",), ("alarms",)],
    "confirmations": [("completions", "nights"), ("completions", "refused")],
    "outbound": [("guards",), ("matches",), ("site",)],
}
"""What *Tonight* and *Files* ask, besides the steps of the night."""


@pytest.mark.parametrize("service", STEPS)
async def test_each_service_answers_what_the_console_asks_of_it(serve: Serve, service: str) -> None:
    async with serve(service) as running:
        reads = Reads({service: running.client})
        for path in ASKED.get(service, []):
            assert await reads.get(service, "991", *path) is not None
        assert (await reads.get(service, "991", "nights"))["late"] == []
        if service == "ingest":
            assert await reads.get(service, "991", "files", "none.csv") is None
            assert await reads.get(service, "991", "files", "none.csv", "lines", "1") is None
        with pytest.raises(ReadError):
            await Reads({service: running.stranger}).get(service, "991", "nights")


@asynccontextmanager
async def listening(app: FastAPI) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="off"))
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(20):
        while not server.started:  # noqa: ASYNC110 - uvicorn tells of it in no other way
            await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


def other() -> FastAPI:
    app = FastAPI()

    @app.get("/v1/trusts/{vpd}/{path:path}")
    def answer(vpd: str, path: str, request: Request) -> Any:
        if path == "broken":
            return Response("<html>", media_type="text/html")
        if path.isdecimal():
            raise HTTPException(int(path))
        said = {"vpd": vpd, "path": path, "query": dict(request.query_params), "raw": str(request.url.path)}
        return said | {"token": request.headers.get("authorization")}

    return app


async def test_the_token_goes_with_each_question_and_names_are_kept_whole() -> None:
    async with listening(other()) as url:
        reads = over_http(ServiceAddresses(ingest=url), "the shared token")
        said = await reads.get("ingest", "991", "files", "a b?c#d", since="2026-03-04")
        assert said["token"] == "Bearer the shared token"
        assert (said["path"], said["query"]) == ("files/a b?c#d", {"since": "2026-03-04"})


async def test_what_is_not_there_is_none_and_what_goes_wrong_is_said() -> None:
    async with listening(other()) as url:
        reads = over_http(ServiceAddresses(ingest=url), "the shared token")
        assert await reads.get("ingest", "991", "404") is None
        for path in ("401", "403", "500", "503", "broken"):
            with pytest.raises(ReadError, match="ingest"):
                await reads.get("ingest", "991", path)
    with pytest.raises(ReadError, match="does not answer"):
        await reads.get("ingest", "991", "files")
