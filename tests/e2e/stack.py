"""The bridge as it is deployed: every service a process of its own, on a real RabbitMQ and a real PostgreSQL."""

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from esrbridge.embedded import as_role
from esrbridge.local import LocalRabbitMQ, postgres
from esrbridge.local.cluster import Cluster
from shared.db.engine import make_engine
from shared.db.migrate import SERVICES, migrate_now
from tests.e2e import story

TOKEN = "a-token-of-this-test-only"
DEADLINE = 90.0
"""Seconds within which each step of the story must be done, kills and restarts included."""


@dataclass
class Stack:
    """Running processes, by name: the services, and an LMS per trust (``lms-901``)."""

    folder: Path
    database: str
    passwords: Mapping[str, str]
    ports: Mapping[str, int]
    broker: LocalRabbitMQ
    cluster: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    client: httpx.Client = field(
        default_factory=lambda: httpx.Client(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10)
    )

    def start(self, name: str) -> None:
        """Start a process; its log goes to a file of its name."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                self._command(name), env=self._environment(name), stderr=log, stdout=log
            )

    def kill(self, name: str) -> None:
        """Kill a process as a power cut would."""
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait()

    def kill_and_restart(self, name: str) -> None:
        """Kill a process, the broker (``rabbitmq``) or the database server (``postgres``), and start it again."""
        if name == "rabbitmq":
            self.broker.kill()
            self.broker.restart()
        elif name == "postgres":
            self._restart_postgres()
        else:
            self.kill(name)
            self.start(name)

    def _restart_postgres(self) -> None:
        cluster = Cluster(self.cluster.resolve())
        pid, port = (int((cluster.data / "postmaster.pid").read_text().splitlines()[line]) for line in (0, 3))
        os.kill(pid, signal.SIGKILL)
        cluster.stop()  # clears what the killed server left
        cluster.start(port)

    def stop(self) -> None:
        """End every process."""
        self.client.close()
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    async def ask(self, service: str, path: str, method: str = "GET", **options: Any) -> Any:
        """Ask a service; None while it does not answer."""
        url = f"http://127.0.0.1:{self.ports[service]}{path}"
        try:
            response = await asyncio.to_thread(self.client.request, method, url, **options)
        except httpx.HTTPError:
            return None
        return response.json() if response.is_success else None

    async def until(self, what: str, condition: Callable[[], Awaitable[bool]]) -> None:
        """Wait until a condition holds; fail with the logs' last lines when it does not in time."""
        end = time.monotonic() + DEADLINE
        while not await condition():
            if time.monotonic() > end:
                raise AssertionError(f"not within {DEADLINE} s: {what}\n{self.logs()}")
            await asyncio.sleep(0.1)

    def logs(self) -> str:
        """Return the last lines of every log."""
        logs = {
            log.name: log.read_text(errors="replace").splitlines()[-8:] for log in sorted(self.folder.glob("*.log"))
        }
        return "\n".join("\n".join([f"--- {name}", *lines]) for name, lines in logs.items())

    def _command(self, name: str) -> list[str]:
        if name.startswith("lms-"):
            vpd = name.removeprefix("lms-")
            return [
                sys.executable, "-m", "sandbox", "lms", "--state", str(self.folder / f"{name}.sqlite"), "--vpd", vpd,
                "--token-file", str(self.folder / "lms-token"), "--port", str(self.ports[name]),
            ]  # fmt: skip
        return [sys.executable, "-m", f"services.{name}.main"]

    def _environment(self, name: str) -> dict[str, str]:
        if name not in SERVICES:
            return dict(os.environ)
        return os.environ | {
            "ESRBRIDGE_DATABASE_URL": as_role(self.database, name, self.passwords[name]),
            "ESRBRIDGE_BROKER_URL": self.broker.url,
            "ESRBRIDGE_CONFIG": str(self.folder / "bridge.yaml"),
            "ESRBRIDGE_FILES": str(self.folder),
            "ESRBRIDGE_ARCHIVE": str(self.folder / "archive"),
            "ESRBRIDGE_PORT": str(self.ports[name]),
            "ESRBRIDGE_API_TOKEN": TOKEN,
            "ESRBRIDGE_SCAN_SECONDS": "0.2",
            "ESRBRIDGE_SETTLE_SECONDS": "0",
            "ESRBRIDGE_CLAIM_SECONDS": "2",
            "ESRBRIDGE_NOW": story.NOW,
        }


@contextmanager
def running_stack(folder: Path, cluster: Path, broker: LocalRabbitMQ, vpds: Sequence[str]) -> Iterator[Stack]:
    """Start a database server and every service, and prepare an LMS per trust, which its story will start."""
    passwords = {service: secrets.token_urlsafe(18) for service in SERVICES}
    names = [*SERVICES, *(f"lms-{vpd}" for vpd in vpds)]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    (folder / "lms-token").write_text(TOKEN)
    trusts = []
    for vpd in vpds:
        story.prepare_lms(folder / f"lms-{vpd}.sqlite", vpd)
        lms = {"driver": "sandbox", "url": f"http://127.0.0.1:{ports[f'lms-{vpd}']}", "token_file": "lms-token"}
        trusts.append(story.trust(vpd, lms))
    (folder / "bridge.yaml").write_text(yaml.safe_dump({"trusts": trusts}))
    with postgres(cluster, prefer_wheel=True) as server:
        migrate_now(make_engine(server.url, name="migrate"), passwords)
        stack = Stack(folder, server.url, passwords, ports, broker, cluster)
        try:
            for name in SERVICES:
                stack.start(name)
            yield stack
        finally:
            stack.stop()


def free_ports(number: int) -> list[int]:
    """Return ports that are free now."""
    sockets = [socket.socket() for _ in range(number)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
