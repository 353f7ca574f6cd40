"""The HTTP face of the sandbox's Moodle: ``/webservice/rest/server.php``.

Nearly every error is HTTP 200. A request that does not ask for JSON is answered in XML; one that is too big to be read
has no token any more.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from sandbox import moodle_params
from sandbox.moodle import SandboxMoodle
from sandbox.moodle_errors import MoodleError, invalid_response

MAX_BODY: Final = 64 * 1024 * 1024
"""Bytes of a body (``post_max_size``); a longer one is dropped whole."""

_WRITES: Final = (
    "core_user_create_users",
    "core_user_update_users",
    "core_competency_grade_competency",
    "core_competency_delete_evidence",
)
_FORM: Final = "application/x-www-form-urlencoded"
_PAGE: Final = "<!DOCTYPE html><html><body><h1>{}</h1></body></html>"


def create_app(moodle: SandboxMoodle) -> FastAPI:
    """Return the web application of one site."""
    app = FastAPI(title="Sandbox Moodle", docs_url=None, redoc_url=None)

    @app.api_route("/webservice/rest/server.php", methods=["GET", "POST", "PUT", "DELETE", "HEAD"])
    async def server(request: Request) -> Response:
        return _closed(moodle) or await _answer(moodle, await _pairs(moodle, request))

    return app


def _closed(moodle: SandboxMoodle) -> Response | None:
    """Return the answer of a site that is shut as a whole, whoever asks."""
    match moodle.faults.state:
        case "maintenance-page":
            page = _PAGE.format("This site is undergoing maintenance")
            return Response(page, HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "300"}, "text/html")
        case "services-off":
            return Response(b"", HTTPStatus.FORBIDDEN, media_type="text/html")
        case "busy":
            return Response(_PAGE.format("Too Many Requests"), HTTPStatus.TOO_MANY_REQUESTS, media_type="text/html")
        case _:
            return None


async def _pairs(moodle: SandboxMoodle, request: Request) -> moodle_params.Pairs:
    """Return the variables of query and form; the body of another kind, or of PUT, is not looked at."""
    pairs = moodle_params.read_form(request.url.query.encode(), moodle.variables)
    body = await request.body()
    is_form = request.method == "POST" and request.headers.get("content-type", "").startswith(_FORM)
    return pairs + moodle_params.read_form(body, moodle.variables) if is_form and len(body) <= MAX_BODY else pairs


async def _answer(moodle: SandboxMoodle, pairs: moodle_params.Pairs) -> Response:
    form = moodle_params.tree(pairs)
    function = str(form.get("wsfunction", ""))
    moodle.calls.append((function, len(pairs)))
    writes = function in _WRITES
    if writes and moodle.faults.late_commit:
        # Nobody's going away stops it: the call is done when its time has come.
        await asyncio.sleep(moodle.faults.late_commit)
    as_json = form.get("moodlewsrestformat") == "json"
    try:
        result = await run_in_threadpool(moodle.call, str(form.get("wstoken", "")), form)
    except MoodleError as error:
        return _error(error, as_json=as_json)
    if writes and moodle.faults.invalid_responses:
        moodle.faults.invalid_responses -= 1
        return _error(invalid_response(), as_json=as_json)
    return (_spoilt(moodle) if writes else None) or (_json(result) if as_json else _xml(result))


def _error(error: MoodleError, *, as_json: bool) -> Response:
    return _json(error.body) if as_json else Response(error.xml, media_type="application/xml")


def _spoilt(moodle: SandboxMoodle) -> Response | None:
    if moodle.faults.lose_replies:
        moodle.faults.lose_replies -= 1
        return StreamingResponse(_broken_off(), headers={"Content-Length": "1000"}, media_type="application/json")
    if moodle.faults.proxy_pages:
        moodle.faults.proxy_pages -= 1
        return Response(_PAGE.format("504 Gateway Time-out"), HTTPStatus.GATEWAY_TIMEOUT, media_type="text/html")
    return None


async def _broken_off() -> AsyncIterator[bytes]:
    yield b'{"warn'


def _json(result: Any) -> Response:  # noqa: ANN401 - whatever a function returns
    return Response(json.dumps(result, ensure_ascii=False).encode(), media_type="application/json")


def _xml(result: Any) -> Response:  # noqa: ANN401 - whatever a function returns
    """A success in XML: only that it is no JSON matters here."""
    text = json.dumps(result).replace("&", "&amp;").replace("<", "&lt;")
    head = '<?xml version="1.0" encoding="UTF-8" ?>'
    return Response(f"{head}\n<RESPONSE>{text}</RESPONSE>\n", media_type="application/xml")
