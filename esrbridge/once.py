"""The one-shot run: everything there is to do for a folder of trusts, in one process, to the end."""

import fcntl
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from esrbridge.embedded import STATE, Bridge, open_bridge
from esrbridge.lms import embedded_site
from esrbridge.progress import progress_bars
from esrbridge.report import collect
from shared.clock import Clock, FixedClock, SystemClock
from shared.config import load_config
from shared.errors import ConfigurationError
from shared.telemetry import configure_logging

CONFIG: Final = "bridge.yaml"

NOW: Final = "ESRBRIDGE_NOW"
"""Stops the business clock for every command, as it does for the services: for rehearsals only."""


async def run_once(folder: Path, now: datetime | None, screen: Console, *, bars: bool) -> dict[str, Any]:
    """Work on ``folder`` until nothing is left to do, and return the report."""

    async def work(bridge: Bridge) -> dict[str, Any]:
        with progress_bars(screen, shown=bars) as on_progress:
            await bridge.until_idle(on_progress)
        return await collect(bridge)

    return await with_bridge(folder, clock_at(now), work)


async def with_bridge(
    folder: Path, clock: Clock, work: Callable[[Bridge], Awaitable[dict[str, Any]]]
) -> dict[str, Any]:
    """Open the embedded bridge of a folder and do something with it. Raises ConfigurationError."""
    config = load_config(folder / CONFIG)
    with _alone(folder), log_file(folder):
        async with open_bridge(config, folder, clock, site=embedded_site) as bridge:
            return await work(bridge)


def clock_at(now: datetime | None) -> Clock:
    """Return a clock that stands still at ``now``, or where ``ESRBRIDGE_NOW`` says; otherwise the machine's.

    Raises ConfigurationError when that is no moment.
    """
    if now is None and (said := os.environ.get(NOW)):
        try:
            now = datetime.fromisoformat(said)
        except ValueError:
            raise ConfigurationError(f"{NOW} is {said!r}, which is no moment such as 2026-03-03T06:00") from None
    return FixedClock(now) if now else SystemClock()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other commands off a folder: each has a broker of its own and would not see what this one is about.

    The system lets go of the lock when the process ends, however it ends. Raises ConfigurationError.
    """
    state = folder / STATE
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(f"another command is at work on {folder}; try again when it has ended") from None
        yield


@contextmanager
def log_file(folder: Path) -> Iterator[None]:
    """Send logs to ``state/bridge.log``, so that the screen shows results only."""
    state = folder / STATE
    state.mkdir(parents=True, exist_ok=True)
    with (state / "bridge.log").open("a", encoding="utf-8") as file:
        configure_logging("once", to=file)
        try:
            yield
        finally:
            configure_logging("once", "ERROR")
