"""What a service is made of, and what it is made from: the terms in which every ``main.py`` wires its parts."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from fastapi import APIRouter
from starlette.types import ASGIApp

from shared.clock import Clock
from shared.config import BridgeConfig
from shared.db.engine import Reader
from shared.db.unit import Work
from shared.messaging.broker import Broker
from shared.messaging.consumer import Consumer
from shared.nights.runner import Nights


@dataclass(frozen=True, slots=True)
class Context:
    """Everything a service is built from."""

    config: BridgeConfig
    work: Work
    broker: Broker
    clock: Clock
    reader: Reader
    files: Path
    archive: Path
    settle_seconds: float = 0.0
    claim_seconds: float = 15.0
    lanes: int = 1
    """Batches that each busy consumer has in hand at once."""
    api_token: str = ""
    """The token that services show each other."""


@dataclass(frozen=True, slots=True)
class Job:
    """Background work that is not caused by a message. ``run`` returns how much it did, zero when idle."""

    name: str
    run: Callable[[], Awaitable[int]]
    waiting: Callable[[], Mapping[str, str]] = dict
    """Which of many things the work is about wait, and the code why. The service is ready all the same."""
    prompt: bool = False
    """Whether it looks for work as soon as a consumer or another job of its service has done something."""


@dataclass(frozen=True, slots=True)
class Component:
    """A service, built but not running."""

    name: str
    work: Work
    consumers: tuple[Consumer, ...] = ()
    jobs: tuple[Job, ...] = ()
    on_demand: tuple[Job, ...] = ()
    """Work that is done when asked for, not by the clock: the one-shot mode asks."""
    nights: Nights | None = None
    """The steps of its nights; running them is one of the jobs."""
    router: APIRouter = field(default_factory=APIRouter)
    guard: Callable[..., Any] | None = None
    """A FastAPI dependency that decides who may use the router, in place of the check of the one token."""
    pages: ASGIApp | None = None
    """Pages for people, below the router; they see to themselves who may see them."""


class Build(Protocol):
    """What each service's ``main.py`` offers."""

    def __call__(self, context: Context) -> Component:
        """Wire the service."""
        ...
