"""What the console asks other services, and has them do, by their APIs: over HTTP or within one process.

What a page does is what the command line does with the same route: the service itself checks it and writes it down.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import httpx

from shared.console_settings import ServiceAddresses
from shared.errors import BridgeError

SECONDS: Final = 10.0
PATIENCE: Final = 120.0
"""Seconds for what takes its time: a preview decides for everybody anew, a file is written and delivered."""

SAYS_NO: Final = frozenset({400, 409, 422})
"""Statuses by which a service refuses what it was asked, with a reason that a person can act on."""

_CODE: Final = re.compile(r"[A-Z_]+: ")

STEPS: Final = ("ingest", "people", "competency", "outbound", "confirmations")
"""Services that have steps of the night."""


class ReadError(BridgeError):
    """Another service could not be asked."""

    code = "READ"
    retryable = True


class RefusedError(ReadError):
    """Another service said no; the sentence is its own."""

    code = "REFUSED"
    retryable = False


class Reads:
    """Asks the services."""

    def __init__(self, clients: Mapping[str, httpx.AsyncClient]) -> None:
        self._clients = clients

    async def get(self, service: str, vpd: str, *path: str, **params: str | int) -> Any:  # noqa: ANN401 - JSON
        """Return what a service says of a trust at ``path``; None when it says there is no such thing.

        Raises RefusedError when it says no, ReadError when it does not answer, or not as it should.
        """
        answer = await self._ask(
            "GET", service, vpd, path, params=params, timeout=PATIENCE if path[-1:] == ("preview",) else SECONDS
        )
        return None if answer.status_code == 404 else _said(service, answer)

    async def act(self, service: str, vpd: str, *path: str, who: str, said: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
        """Have a service do something in the name of ``who``; return what it says of it.

        Raises RefusedError when it says no, ReadError when it is not known whether it was done.
        """
        answer = await self._ask("POST", service, vpd, path, json={"who": who, **said}, timeout=PATIENCE)
        if answer.status_code == 404:
            raise RefusedError(_reason(answer))
        return _said(service, answer)

    async def _ask(self, method: str, service: str, vpd: str, path: Sequence[str], **more: Any) -> httpx.Response:  # noqa: ANN401 - JSON
        url = "/".join(("/v1/trusts", vpd, *(quote(part, safe="") for part in path)))
        try:
            return await self._clients[service].request(method, url, **more)
        except (httpx.HTTPError, OSError) as error:
            raise ReadError(f"{service} does not answer ({type(error).__name__})") from None


def _said(service: str, answer: httpx.Response) -> Any:  # noqa: ANN401 - JSON
    if answer.status_code in SAYS_NO:
        raise RefusedError(_reason(answer))
    if not answer.is_success:
        raise ReadError(f"{service} answered {answer.status_code}")
    try:
        return answer.json()
    except ValueError:
        raise ReadError(f"{service} did not answer with JSON") from None


def _reason(answer: httpx.Response) -> str:
    """Return a refusal in the service's own sentence; of a field that is wrong the name, never the value."""
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return "The service gives no reason."
    if isinstance(detail, str):
        said = detail.partition(": ")[2] if _CODE.match(detail) else detail
        return said[:1].upper() + said[1:] if said else "The service gives no reason."
    names = [str(one["loc"][-1]) for one in detail if isinstance(one, dict) and one.get("loc")]
    return f"What was entered is not as it should be: {', '.join(names) or 'a field'}."


def over_http(addresses: ServiceAddresses, token: str) -> Reads:
    """Return a way to ask services at their addresses, with the token they share."""
    alone = httpx.Limits(max_keepalive_connections=0)  # nothing is left open that somebody would have to close
    return Reads(
        {
            service: httpx.AsyncClient(
                base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=SECONDS, limits=alone
            )
            for service, url in addresses.model_dump().items()
        }
    )
