"""The HTTP face of the sandbox's Totara: its token page and its GraphQL endpoint.

Errors come with status 200, as from the product: only its rate limit (429), a wrong method (400) and an outage (503)
show in the status.
"""

import base64
import binascii
import json
from typing import Any, Final
from urllib.parse import parse_qs

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from sandbox.totara import SandboxTotara

TOKEN: Final = "/totara/oauth2/token.php"  # noqa: S105 - a path
API: Final = "/api/graphql.php"


def create_app(site: SandboxTotara) -> FastAPI:
    """Return the web application of one site."""
    app = FastAPI(title="Sandbox Totara", docs_url=None, redoc_url=None)

    @app.api_route(TOKEN, methods=["GET", "POST"])
    async def token(request: Request) -> Response:
        if site.settings.out:
            return _away()
        form = _form(request, await request.body())
        answer = site.token(form.get("client_id", ""), form.get("client_secret", ""), form.get("grant_type", ""))
        return Response(json.dumps(answer), media_type="text/html")

    @app.api_route(API, methods=["GET", "POST"])
    async def api(request: Request) -> Response:
        if site.settings.out:
            return _away()
        if request.method != "POST":
            return JSONResponse({"message": "Invalid webapi request, only POST method is allowed"}, 400)
        if not site.admit():
            return Response("Too many requests", 429)
        body = await request.body()
        answer = site.call(request.headers.get("authorization", ""), _json(body))
        if site.settings.lose_replies and b"mutation" in body:
            site.settings.lose_replies -= 1
            return Response("Gateway Timeout", 504)  # as a proxy in front of the site answers for it
        return JSONResponse(answer)

    return app


def _away() -> Response:
    return Response("Service Unavailable", 503)


def _form(request: Request, body: bytes) -> dict[str, str]:
    """Return a form's fields. Credentials may come as Basic authorization instead; a JSON body is no form."""
    form = {name: values[-1] for name, values in parse_qs(body.decode(errors="replace")).items()}
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme == "Basic":
        try:
            client, _, secret = base64.b64decode(text, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return form
        form |= {"client_id": client, "client_secret": secret}
    return form


def _json(body: bytes) -> Any:  # noqa: ANN401
    try:
        return json.loads(body)
    except ValueError:
        return None
