"""Signing in and out."""

from typing import Final
from urllib.parse import urlsplit

import structlog
from starlette.responses import RedirectResponse, Response

from services.console.web.oidc import ProviderUnavailableError, SignInError
from services.console.web.rights import Caller
from services.console.web.sessions import NO_TRUST
from services.console.web.site import PageError, Visit

PER_ACCOUNT: Final = 5
PER_ADDRESS: Final = 100
"""Attempts within a window. Many people may share one address."""

TOO_MANY: Final = "There were too many attempts to sign in. Try again in 15 minutes."

log = structlog.get_logger(__name__)


async def sign_in(visit: Visit) -> Response:
    """Show how to sign in, or go on where somebody is signed in."""
    if visit.session is not None:
        return RedirectResponse(safe_path(visit.asked("next")), 303)
    return _form(visit, 200, "")


async def local(visit: Visit) -> Response:
    """Sign in with an account of the demonstration."""
    demo = visit.site.demo
    if demo is None:
        raise PageError(404, "There are no local accounts here.")
    account = visit.form.get("account", "")[:60]
    allowed = await visit.site.sessions.attempt(f"account {account}", PER_ACCOUNT)
    if not allowed or not await _by_address(visit):
        return _form(visit, 429, TOO_MANY)
    caller = demo.check(account, visit.form.get("password", ""))
    if caller is None:
        return _form(visit, 403, "The account or the password is wrong.")
    await visit.site.sessions.forgive(f"account {account}")
    return await _let_in(visit, caller, visit.form.get("next", ""))


async def start(visit: Visit) -> Response:
    """Send somebody to the identity provider."""
    site = visit.site
    if site.provider is None:
        raise PageError(404, "No identity provider is configured.")
    if not await _by_address(visit):
        return _form(visit, 429, TOO_MANY)
    cookie, begun = await site.sessions.begin(safe_path(visit.asked("next")))
    try:
        answer = RedirectResponse(await site.provider.start(begun), 303)
    except ProviderUnavailableError as error:
        log.warning("sign-in", code=error.code)
        return _form(visit, 503, "The identity provider does not answer. Try again in a moment.")
    site.keep(answer, "sign-in", cookie, seconds=600)
    return answer


async def callback(visit: Visit) -> Response:
    """Take somebody back from the identity provider."""
    site = visit.site
    begun = await site.sessions.come_back(visit.request.cookies.get(site.cookie("sign-in"), ""))
    if site.provider is None or begun is None:
        return _form(visit, 403, "This sign-in has ended, or was begun in another browser. Sign in again.")
    try:
        caller = await site.provider.finish(begun, dict(visit.request.query_params))
    except SignInError as error:
        log.warning("sign-in", code=error.code, error=error.sentence)
        await site.sessions.write_down(NO_TRUST, "", "sign-in refused", why=error.sentence)
        return _form(visit, 403, "You could not be signed in. Sign in again, or ask whoever runs the bridge.")
    except ProviderUnavailableError as error:
        log.warning("sign-in", code=error.code)
        return _form(visit, 503, "The identity provider does not answer. Try again in a moment.")
    if not caller.trusts:
        await site.sessions.write_down(NO_TRUST, caller.who, "sign-in refused", why="no role at any trust")
        return _form(visit, 403, "You have no role at any trust here. Ask whoever runs the bridge for one.")
    answer = await _let_in(visit, caller, begun.next)
    site.drop(answer, "sign-in")
    return answer


async def sign_out(visit: Visit) -> Response:
    """End the session here, and at the identity provider where it offers that."""
    site = visit.site
    if visit.session is not None:
        await site.sessions.close(visit.session)
    target = "/signed-out"
    if site.provider is not None:
        try:
            target = await site.provider.sign_out() or target
        except ProviderUnavailableError as error:
            log.warning("sign-out", code=error.code)
    answer = RedirectResponse(target, 303)
    site.drop(answer, "session")
    return answer


async def signed_out(visit: Visit) -> Response:
    """Say so."""
    return visit.page("signed_out.html")


def safe_path(path: str) -> str:
    """Return a path of this site to go on to: never another site's address, however it is written."""
    parts = urlsplit(path)
    inside = path.startswith("/") and not path.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return path if inside and "\\" not in path and path.isprintable() else "/"


async def _let_in(visit: Visit, caller: Caller, path: str) -> Response:
    if visit.session is not None:
        await visit.site.sessions.close(visit.session)
    answer = RedirectResponse(safe_path(path), 303)
    visit.site.keep(answer, "session", await visit.site.sessions.open(caller))
    visit.site.drop(answer, "form")
    return answer


async def _by_address(visit: Visit) -> bool:
    client = visit.request.client
    return await visit.site.sessions.attempt(f"address {client.host if client else ''}", PER_ADDRESS)


def _form(visit: Visit, status: int, problem: str) -> Response:
    path = visit.form.get("next") or visit.asked("next")
    site = visit.site
    way = "local" if site.demo else "provider" if site.provider else ""
    return visit.page("sign_in.html", status, next=safe_path(path), problem=problem, way=way)
