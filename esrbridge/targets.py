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

    @property
    def remote(self) -> bool:
        """Whether this is a running service."""
        return self._url != ""

    async def ask(self, method: str, path: str, **options: Any) -> Any:  # noqa: ANN401 - JSON
        """Call the running service."""
        return await ask(self._url, self._trust, method, path, **options)

    async def get(self, path: str, read: Read, **params: Any) -> Any:  # noqa: ANN401 - JSON
        """Read something, from the service's API or from the folder's own tables."""
        if self.remote:
            return await self.ask("GET", path, params=params)

        async def reading(bridge: Bridge, vpd: str) -> Any:  # noqa: ANN401 - JSON
            async with bridge.readers[self._service].trust(vpd) as connection:
                return await read(connection, vpd)

        return await self.on_folder(reading)

    async def act(self, path: str, said: dict[str, Any], act: Act) -> Any:  # noqa: ANN401 - JSON
        """Do something: POST ``said`` (who is added), or run ``act`` on the folder and all that follows from it."""
        if self.remote:
            return await self.ask("POST", path, json={"who": self.who, **said})

        async def acting(bridge: Bridge, vpd: str) -> Any:  # noqa: ANN401 - JSON
            done = await act(bridge, vpd)
            await bridge.until_idle()
            return done

        return await self.on_folder(acting)

    async def on_folder(self, work: Act) -> Any:  # noqa: ANN401 - JSON
        """Open the folder's bridge and do something for its trust, nothing else."""

        async def working(bridge: Bridge) -> dict[str, Any]:
            return {"done": await work(bridge, self._only_trust(bridge))}

        return (await with_bridge(self._folder, clock_at(self._now), working))["done"]

    def _only_trust(self, bridge: Bridge) -> str:
        vpds = [trust.vpd for trust in bridge.config.trusts if self._trust in ("", trust.vpd)]
        if len(vpds) != 1:
            raise ConfigurationError("name one of the trusts of bridge.yaml with --trust")
        return vpds[0]
