"""What every page is made with: who visits, whether they may, the form they sent, and the frame around the answer."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from services.console.web import uploads, words
from services.console.web.demo import DemoAccounts
from services.console.web.oidc import Provider
from services.console.web.reads import Reads
from services.console.web.rights import PAGES, Caller, Open, Right
from services.console.web.sessions import Session, Sessions, hashed
from shared.clock import Clock
from shared.config import BridgeConfig, TrustConfig
from shared.db.engine import Reader
from shared.db.unit import Work

LONGEST_FORM: Final = 64 * 1024
HERE: Final = Path(__file__).parent


class PageError(Exception):
    """What was asked for is answered with a page that says why not."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Site:
    """What all pages share."""

    config: BridgeConfig
    work: Work
    reader: Reader
    clock: Clock
    reads: Reads
    sessions: Sessions
    provider: Provider | None = None
    demo: DemoAccounts | None = None
    """Local accounts: of a demonstration only."""
    templates: Environment = field(init=False)

    def __post_init__(self) -> None:
        """Load the templates; a name that a template does not know is an error, never an empty place."""
        loader = FileSystemLoader(HERE / "templates")
        made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
        made.lstrip_blocks = True
        made.filters |= words.FILTERS
        made.globals |= {"Right": Right}
        object.__setattr__(self, "templates", made)

    @property
    def secure(self) -> bool:
        """Whether cookies are for https alone. A demonstration is on this machine, where some browsers want http."""
        return self.demo is None

    def cookie(self, name: str) -> str:
        """Return a cookie's whole name; the prefix makes browsers refuse one that another host has set."""
        return f"{'__Host-' if self.secure else ''}esrbridge-{name}"

    def keep(self, answer: Response, name: str, value: str, seconds: int | None = None) -> None:
        """Set a cookie that no script sees and no other site sends."""
        answer.set_cookie(
            self.cookie(name), value, max_age=seconds, path="/", secure=self.secure, httponly=True, samesite="lax"
        )

    def drop(self, answer: Response, name: str) -> None:
        """Remove a cookie."""
        answer.delete_cookie(self.cookie(name), path="/", secure=self.secure, httponly=True, samesite="lax")


@dataclass(slots=True)
class Visit:
    """One request, and who makes it."""

    site: Site
    request: Request
    session: Session | None
    form: Mapping[str, str] = field(default_factory=dict)
    fresh: str = ""
    """Value for the cookie that guards the sign-in's form, when it has none yet."""

    @property
    def caller(self) -> Caller:
        """Who is signed in. Pages that are open to anybody must not ask."""
        if self.session is None:
            raise PageError(401, "You need to sign in.")
        return self.session.caller

    @property
    def vpd(self) -> str:
        """The trust that the address names."""
        return str(self.request.path_params.get("vpd", ""))

    @property
    def trust(self) -> TrustConfig:
        """The trust that the address names, as configured."""
        found = self.site.config.trust(self.vpd)
        if found is None:
            raise PageError(404, "There is no such trust here.")
        return found

    def may(self, right: Right) -> bool:
        """Whether the visitor may do this at the trust the address names."""
        return self.session is not None and self.caller.may(self.vpd, right)

    def path(self, *parts: str, **params: str) -> str:
        """Return the address of a page of this trust."""
        said = {name: value for name, value in params.items() if value}
        url = "/".join(("/trusts", self.vpd, *(quote(part, safe="") for part in parts)))
        return f"{url}?{urlencode(said)}" if said else url

    def asked(self, name: str) -> str:
        """Return what the address's query says of a name, without what no database can hold."""
        return self.request.query_params.get(name, "").replace("\0", "").strip()[:300]

    @property
    def csrf(self) -> str:
        """The token that this visitor's forms carry."""
        if self.session is not None:
            return self.session.csrf
        cookie = self.request.cookies.get(self.site.cookie("form"), "")
        if not cookie and not self.fresh:
            self.fresh = secrets.token_urlsafe(24)
        return hashed(f"form {cookie or self.fresh}")

    def page(self, template: str, status: int = 200, **said: Any) -> Response:  # noqa: ANN401 - for a template
        """Return a page."""
        frame = {
            "visit": self,
            "signed_in": self.session.caller if self.session else None,
            "csrf": self.csrf,
            "trusts": self._trusts(),
            "here": self.request.url.path,
            "demo": self.site.demo is not None,
        }
        answer = HTMLResponse(self.site.templates.get_template(template).render(**frame | said), status)
        if self.fresh:
            self.site.keep(answer, "form", self.fresh)
        return answer

    def _trusts(self) -> list[TrustConfig]:
        mine = self.session.caller.trusts if self.session else []
        return [trust for trust in self.site.config.trusts if trust.vpd in mine]


Page = Callable[[Visit], Awaitable[Response]]


def endpoint(site: Site, method: str, path: str, page: Page) -> Callable[[Request], Awaitable[Response]]:
    """Return a page as a route: who visits is known, and may, before the page is asked for anything.

    Raises KeyError for a page that does not stand in the table of rights.
    """
    wanted = PAGES[method, path]

    async def answer(request: Request) -> Response:
        # htmx asks by itself, at intervals: that is no sign of a person.
        by_hand = "HX-Request" not in request.headers
        session = await site.sessions.find(request.cookies.get(site.cookie("session"), ""), by_hand=by_hand)
        visit = Visit(site, request, session)
        try:
            if session is None and wanted is not Open.PUBLIC:
                return _to_sign_in(request)
            _check_right(visit, wanted)
            if method == "POST":
                visit.form = await _form(request)
                _check_form(visit)
            return await page(visit)
        except PageError as error:
            return error_page(visit, error.status, error.sentence)

    return answer


def _check_right(visit: Visit, wanted: Right | Open) -> None:
    if isinstance(wanted, Open):
        return
    if visit.vpd not in visit.caller.trusts or visit.site.config.trust(visit.vpd) is None:
        raise PageError(404, "There is no such page, or it is about a trust you have no role at.")
    if not visit.may(wanted):
        raise PageError(403, "Your roles at this trust do not include this.")


def _to_sign_in(request: Request) -> Response:
    if request.method != "GET":
        return RedirectResponse("/sign-in", 303)
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if "HX-Request" in request.headers:
        return Response(status_code=401, headers={"HX-Redirect": "/sign-in"})
    return RedirectResponse(f"/sign-in?{urlencode({'next': path})}", 303)


async def _form(request: Request) -> dict[str, str]:
    """Read a form as browsers send it. Raises PageError."""
    kind = request.headers.get("content-type", "")
    with_file = kind.partition(";")[0] == "multipart/form-data"
    if not with_file and kind.partition(";")[0] != "application/x-www-form-urlencoded":
        raise PageError(415, "This is not a form of ours.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > (uploads.LONGEST if with_file else LONGEST_FORM):
            raise PageError(413, "The form is too large.")
    try:
        if with_file:
            said = uploads.fields_of(kind, bytes(body))
        else:
            said = dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=200))
    except ValueError:
        raise PageError(400, "The form cannot be read.") from None
    if any("\0" in value for value in said.values()):
        raise PageError(400, "The form holds something that cannot be stored.")
    return said


def _check_form(visit: Visit) -> None:
    """Take forms from our own pages only: by where the browser says it comes from, and by the token it carries."""
    headers = visit.request.headers
    address = visit.site.config.console.address or ""
    mine = {headers.get("host", ""), urlsplit(address).netloc}
    origin = headers.get("origin", "")
    strange = headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
    if strange or (origin and urlsplit(origin).netloc not in mine):
        raise PageError(403, "The form comes from another site.")
    if not secrets.compare_digest(visit.form.get("csrf", "").encode(), visit.csrf.encode()):
        raise PageError(403, "The form is out of date. Go back, load the page again and send it once more.")


def error_page(visit: Visit, status: int, sentence: str) -> Response:
    """Return a page that says what went wrong."""
    title = {403: "You cannot do this", 404: "Page not found", 429: "Too many attempts", 503: "Sorry, there is a fault"}
    return visit.page("error.html", status, title=title.get(status, HTTPStatus(status).phrase), sentence=sentence)
