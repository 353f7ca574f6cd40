"""What the figures of a run belong to: the machine, its programs, and how busy it was when the run began."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pamqp import commands

from bench.national.database import Asker
from bench.national.world import Servers
from bench.raw import Answer, RawClient


class _Greeter(RawClient):
    """Remembers how the broker introduced itself."""

    version = "unknown"

    def _expect(self, wanted: type[Answer]) -> Answer:
        said = super()._expect(wanted)
        if isinstance(said, commands.Connection.Start):
            self.version = _plain(said.server_properties.get("version", "unknown"))
        return said


def described(servers: Servers) -> dict[str, Any]:
    """Describe this machine and the servers on it."""
    client = _Greeter(servers.broker.url)
    client.close()
    asker = Asker(servers.database.url)
    postgresql = asker.value("SHOW server_version")
    asker.close()
    return {
        "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "cores": os.cpu_count(),
        "processor": _processor(),
        "memory GiB": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": platform.system() + " " + platform.release().split("-")[0],
        "python": platform.python_version(),
        "rabbitmq": client.version,
        "postgresql": postgresql,
        "load": round(os.getloadavg()[0], 2),
    }


def _plain(said: object) -> str:
    return said.decode() if isinstance(said, bytes) else str(said)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    named = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return named[0] if named else platform.machine()
