"""Asks a running service over HTTP, with one sentence for whatever goes wrong."""

import json
import os
from typing import Any

import httpx

from shared.errors import BridgeError, ConfigurationError


async def ask(url: str, vpd: str, method: str, path: str, **options: Any) -> Any:  # noqa: ANN401 - JSON
    """Call ``<url>/v1/trusts/<vpd><path>`` with the token of ESRBRIDGE_API_TOKEN and return the JSON it answers.

    Raises ConfigurationError without a trust, BridgeError when there is no answer or a refusal.
    """
    if not vpd:
        raise ConfigurationError("name the trust with --trust when you work on a running service")
    headers = {"Authorization": f"Bearer {os.environ.get('ESRBRIDGE_API_TOKEN', '')}"}
    async with httpx.AsyncClient(headers=headers, timeout=30) as client:
        try:
            response = await client.request(method, f"{url.rstrip('/')}/v1/trusts/{vpd}{path}", **options)
        except httpx.HTTPError as error:
            raise BridgeError(f"the service did not answer ({type(error).__name__})") from error
    if not response.is_success:
        raise BridgeError(f"the service answered HTTP {response.status_code}: {_detail(response)}")
    return response.json()


def is_url(target: str) -> bool:
    """Whether a command's target is a running service, not a folder."""
    return target.startswith(("http://", "https://"))


def _detail(response: httpx.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (json.JSONDecodeError, KeyError, TypeError):
        return "no reason given"
