"""The console's pages as one application, below the API."""

from collections.abc import Callable
from typing import Final

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from services.console.web.headers import SecurityHeaders
from services.console.web.oidc import Provider
from services.console.web.pages import (
    audit,
    completions,
    compliance,
    duplicates,
    files,
    guards,
    letters,
    mappings,
    matches,
    person,
    runs,
    settings,
    sign_in,
    tonight,
)
from services.console.web.site import HERE, Page, Site, Visit, endpoint, error_page
from shared.config import BridgeConfig
from shared.errors import ConfigurationError, TransientError
from shared.transient import is_transient

log = structlog.get_logger(__name__)


async def accessibility(visit: Visit) -> Response:
    """Say how accessible the console is."""
    return visit.page("accessibility.html")


_TRUST: Final = "/trusts/{vpd}"
_RUN: Final = f"{_TRUST}/dead-letter-runs/{{number}}"
_LETTER: Final = f"{_TRUST}/dead-letters/{{letter}}"
_PAGES: Final[dict[tuple[str, str], Page]] = {
    ("GET", "/sign-in"): sign_in.sign_in,
    ("POST", "/sign-in"): sign_in.local,
    ("GET", "/sign-in/start"): sign_in.start,
    ("GET", "/sign-in/callback"): sign_in.callback,
    ("GET", "/signed-out"): sign_in.signed_out,
    ("GET", "/accessibility"): accessibility,
    ("POST", "/sign-out"): sign_in.sign_out,
    ("GET", "/"): tonight.home,
    ("GET", "/switch"): tonight.switch,
    ("GET", f"{_TRUST}/tonight"): tonight.tonight,
    ("GET", f"{_TRUST}/files"): files.listing,
    ("GET", f"{_TRUST}/files/{{name}}"): files.show,
    ("GET", f"{_TRUST}/dead-letters"): letters.listing,
    ("POST", f"{_TRUST}/dead-letters"): letters.find_staff,
    ("GET", _LETTER): letters.show,
    ("POST", f"{_LETTER}/reveal"): letters.reveal,
    ("POST", f"{_LETTER}/edit"): letters.edit,
    ("POST", f"{_LETTER}/replay"): letters.replay,
    ("POST", f"{_LETTER}/discard"): letters.discard,
    ("POST", f"{_LETTER}/undo"): letters.undo,
    ("POST", f"{_LETTER}/look-after"): letters.look_after,
    ("GET", f"{_TRUST}/dead-letter-runs"): runs.listing,
    ("POST", f"{_TRUST}/dead-letter-runs"): runs.make,
    ("POST", f"{_TRUST}/dead-letter-runs/new"): runs.prepare,
    ("GET", _RUN): runs.show,
    ("POST", f"{_RUN}/approve"): runs.approve,
    ("POST", f"{_RUN}/start"): runs.start,
    ("POST", f"{_RUN}/pause"): runs.pause,
    ("POST", f"{_RUN}/resume"): runs.resume,
    ("POST", f"{_RUN}/stop"): runs.stop,
    ("POST", f"{_RUN}/undo"): runs.undo,
    ("GET", f"{_TRUST}/audit"): audit.listing,
    ("POST", f"{_TRUST}/audit"): audit.find_person,
    ("GET", f"{_TRUST}/audit/download"): audit.download,
    ("GET", f"{_TRUST}/compliance"): compliance.show,
    ("GET", f"{_TRUST}/compliance/download"): compliance.download,
    ("GET", f"{_TRUST}/compliance/people"): compliance.people,
    ("POST", f"{_TRUST}/compliance/people"): compliance.names,
    ("GET", f"{_TRUST}/person"): person.ask,
    ("POST", f"{_TRUST}/person"): person.find,
    ("POST", f"{_TRUST}/person/file"): person.reveal,
    ("GET", f"{_TRUST}/settings"): settings.show,
    **completions.PAGES,
    **matches.PAGES,
    **duplicates.PAGES,
    **guards.PAGES,
    **mappings.PAGES,
}


def make_pages(site: Site) -> SecurityHeaders:
    """Return the application. Raises KeyError for a page that no right stands for."""
    routes: list[Route | Mount] = [
        Route(path, endpoint(site, method, path, page), methods=[method]) for (method, path), page in _PAGES.items()
    ]
    routes.append(Mount("/static", StaticFiles(directory=HERE / "static")))
    pages = Starlette(routes=routes, exception_handlers=_handlers(site))
    https = site.demo is None and (site.config.console.address or "").startswith("https")
    return SecurityHeaders(pages, (site.provider.origin,) if site.provider else (), https=https)


def provider_of(config: BridgeConfig) -> Provider | None:
    """Return the identity provider of the settings. Raises ConfigurationError when its secret cannot be read."""
    console = config.console
    if console.sign_in is None:
        return None
    path = console.sign_in.client_secret_file

    def secret() -> str:
        try:
            return path.read_text(encoding="utf-8").strip() if path else ""
        except OSError as error:
            raise ConfigurationError(f"'console.sign_in.client_secret_file': {path}: {error.strerror}") from None

    secret()
    return Provider(console, secret, [trust.vpd for trust in config.trusts])


def _handlers(site: Site) -> dict[int | type[Exception], Callable[[Request, Exception], Response]]:
    def told(request: Request, status: int, sentence: str) -> Response:
        return error_page(Visit(site, request, None), status, sentence)

    def refused(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        words = {404: "Check the address, or begin at the first page.", 405: "A page cannot be asked for in this way."}
        return told(request, status, words.get(status, "This cannot be answered."))

    def away(request: Request, error: Exception) -> Response:
        state = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
        if is_transient(error):
            return told(request, 503, "The database is away. Nothing is lost; try again in a moment.")
        if state.startswith("22"):
            return told(request, 422, "A value holds something that cannot be stored.")
        return failed(request, error)

    def failed(_: Request, error: Exception) -> Response:
        log.error("page failed", error=type(error).__name__)
        return HTMLResponse(site.templates.get_template("failed.html").render(), 500)

    kinds = (DBAPIError, PoolTimeoutError, TransientError, OSError)
    return {HTTPException: refused, 500: failed, **dict.fromkeys(kinds, away)}
