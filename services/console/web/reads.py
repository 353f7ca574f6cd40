"""What the console asks other services: their read APIs and nothing else, over HTTP or within one process."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import httpx

from shared.console_settings import ServiceAddresses
from shared.errors import BridgeError

SECONDS: Final = 10.0

STEPS: Final = ("ingest", "people", "competency", "outbound", "confirmations")
"""Services that have steps of the night."""


class ReadError(BridgeError):
    """Another service could not be asked."""

    code = "READ"
    retryable = True


class Reads:
    """Asks the services."""

    def __init__(self, clients: Mapping[str, httpx.AsyncClient]) -> None:
        self._clients = clients

    async def get(self, service: str, vpd: str, *path: str, **params: str | int) -> Any:  # noqa: ANN401 - JSON
        """Return what a service says of a trust at ``path``; None when it says there is no such thing.

        Raises ReadError when it does not answer, or not as it should.
        """
        url = "/".join(("/v1/trusts", vpd, *(quote(part, safe="") for part in path)))
        try:
            answer = await self._clients[service].get(url, params=params)
        except (httpx.HTTPError, OSError) as error:
            raise ReadError(f"{service} does not answer ({type(error).__name__})") from None
        if answer.status_code == 404:
            return None
        if not answer.is_success:
            raise ReadError(f"{service} answered {answer.status_code}")
        try:
            return answer.json()
        except ValueError:
            raise ReadError(f"{service} did not answer with JSON") from None


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
