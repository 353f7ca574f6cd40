"""One call of Moodle's web service, and what its answer means.

The HTTP status says next to nothing, so the body decides: an object with ``exception`` is an error. Only POST is used,
with the token first in the body, so that neither it nor personal data stands in anybody's access log.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Literal
from urllib.parse import urlencode

import httpx

from shared.errors import LmsBusyError, LmsMisconfiguredError, LmsUnavailableError
from shared.finding import Finding
from shared.moodle import errors

Verdict = Literal["done", "refused", "conflict", "odd", "lost", "barred"]

HEAD: Final = 3
"""Variables every form begins with: token, function, format."""

MAX_BYTES: Final = 1_000_000
"""Bytes of a form; servers drop one over their limit whole (8 MB is PHP's own) and then ask for the token."""

_PATH: Final = "/webservice/rest/server.php"
_BEFORE: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
"""Failures before anything was sent."""
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a call.

    done: ``value`` is what the function returned. refused: nothing was done, the reason is not told. conflict: the
    database refused. odd: another error; the call is over, but what it did must be looked up. lost: nobody can tell
    yet, it may still be going on. barred: ``finding`` has to be put right first.
    """

    verdict: Verdict
    value: Any = None
    finding: Finding | None = None


class MoodleCall:
    """Calls functions of one site. ``variables``: the longest form it may be sent."""

    def __init__(
        self,
        url: str,
        token: Callable[[], str],
        *,
        timeout: float,
        variables: int,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._url = url.rstrip("/") + _PATH
        self._token = token
        self._client = httpx.AsyncClient(timeout=timeout, transport=transport, follow_redirects=False)
        self.variables = variables

    async def close(self) -> None:
        """Close the connection pool."""
        await self._client.aclose()

    async def ask(self, function: str, pairs: Sequence[tuple[str, str]] = ()) -> Any:  # noqa: ANN401 - any JSON
        """Call a function that changes nothing and return its value.

        Raises LmsUnavailableError, LmsBusyError and LmsMisconfiguredError.
        """
        reply = await self.call(function, pairs)
        if reply.verdict == "lost":
            raise LmsUnavailableError("Moodle's answer to a look-up did not arrive, or was none of Moodle's")
        if reply.verdict != "done":
            raise LmsMisconfiguredError(f"Moodle refused {function} ({reply.verdict}); its version may not be known.")
        return reply.value

    async def call(self, function: str, pairs: Sequence[tuple[str, str]]) -> Reply:
        """Call a function. Raises LmsUnavailableError, LmsBusyError and, when barred, LmsMisconfiguredError."""
        reply = await self.exchange(function, pairs)
        if reply.finding is not None and reply.verdict == "barred":
            raise LmsMisconfiguredError(f"{reply.finding.sentence} ({reply.finding.code})")
        return reply

    async def exchange(self, function: str, pairs: Sequence[tuple[str, str]]) -> Reply:
        """Call a function; what a person has to put right is a reply like the others.

        Raises LmsUnavailableError when the site is away, and LmsBusyError when it asks us to slow down: then nothing
        was done. Raises LmsMisconfiguredError for a form too long to be read whole, which is not sent.
        """
        form = [("wstoken", self._token()), ("wsfunction", function), ("moodlewsrestformat", "json"), *pairs]
        body = urlencode(form, encoding="utf-8").encode()
        if len(form) > self.variables or len(body) > MAX_BYTES:
            raise LmsMisconfiguredError(
                f"A form of {len(form) - HEAD} variables for {function} is too long to be read whole; it was not sent."
            )
        try:
            response = await self._client.post(self._url, content=body, headers=_FORM)
        except _BEFORE as error:
            raise LmsUnavailableError(f"Moodle cannot be reached ({type(error).__name__})") from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            return Reply("barred", finding=errors.ADDRESS)
        except httpx.HTTPError:
            return Reply("lost")
        return _reply(response)


def _reply(response: httpx.Response) -> Reply:
    status = response.status_code
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise LmsBusyError("Moodle, or what stands before it, asks us to slow down")
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        raise LmsUnavailableError("Moodle is under maintenance or overloaded (HTTP 503)")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        # A proxy that would not wait any longer; behind it the call may go on.
        return Reply("lost")
    if status == HTTPStatus.FORBIDDEN:
        return Reply("barred", finding=errors.SERVICES_OFF)
    if status != HTTPStatus.OK:
        return Reply("barred", finding=errors.ADDRESS)
    try:
        value = response.json()
    except ValueError:
        return Reply("lost", finding=errors.NOT_MOODLE)
    if isinstance(value, dict) and "exception" in value:
        return _error(value.get("errorcode"))
    return Reply("done", value)


def _error(code: object) -> Reply:
    if not isinstance(code, str):
        return Reply("odd")
    if code in errors.AWAY:
        raise LmsUnavailableError(f"Moodle is away for the moment ({code})")
    if code in errors.BARRED:
        return Reply("barred", finding=errors.BARRED[code])
    if code == errors.REFUSED:
        return Reply("refused")
    return Reply("conflict") if code == errors.CONFLICT else Reply("odd")
