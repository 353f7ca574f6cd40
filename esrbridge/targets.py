"""One question or action, asked of a running service by its URL or of a one-shot folder: the same answer either way."""

import getpass
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from esrbridge.embedded import Bridge
from esrbridge.once import clock_at, with_bridge
from esrbridge.remote import ask, is_url
from shared.errors import ConfigurationError

Read = Callable[[Any, str], Awaitable[Any]]
"""Reads something of a trust from a service's own tables: a connection and the VPD."""

Act = Callable[[Bridge, str], Awaitable[Any]]
"""Does something for a trust on an open bridge."""


class Target:
    """Where a command works: ``service`` is the one whose tables or API it is about."""

    def __init__(self, service: str, target: str, trust: str, now: datetime | None = None) -> None:
        self._service = service
        self._url = target if is_url(target) else ""
        self._folder = Path(target)
        self._trust = trust
        self._now = now
        self.who = getpass.getuser()

    async def get(self, path: str, read: Read, **params: Any) -> Any:  # noqa: ANN401 - JSON
        """Read something, from the service's API or from the folder's own tables."""
        if self._url:
            return await ask(self._url, self._trust, "GET", path, params=params)

        async def work(bridge: Bridge) -> dict[str, Any]:
            vpd = self._only_trust(bridge)
            async with bridge.readers[self._service].trust(vpd) as connection:
                return {"found": await read(connection, vpd)}

        return (await with_bridge(self._folder, clock_at(self._now), work))["found"]

    async def act(self, path: str, said: dict[str, Any], act: Act) -> Any:  # noqa: ANN401 - JSON
        """Do something: POST ``said`` (who is added), or run ``act`` on the folder and all that follows from it."""
        if self._url:
            return await ask(self._url, self._trust, "POST", path, json={"who": self.who, **said})

        async def work(bridge: Bridge) -> dict[str, Any]:
            done = await act(bridge, self._only_trust(bridge))
            await bridge.until_idle()
            return {"done": done}

        return (await with_bridge(self._folder, clock_at(self._now), work))["done"]

    def _only_trust(self, bridge: Bridge) -> str:
        vpds = [trust.vpd for trust in bridge.config.trusts if self._trust in ("", trust.vpd)]
        if len(vpds) != 1:
            raise ConfigurationError("name one of the trusts of bridge.yaml with --trust")
        return vpds[0]
