"""Servers, and the bridge on them as it is deployed: each service a process of its own, or several of one service."""

import itertools
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from bench.national import files
from bench.national.database import Asker, execute
from bench.national.queues import Queues
from esrbridge.embedded import as_role
from esrbridge.local import LocalPostgres, LocalRabbitMQ, postgres, rabbitmq
from esrbridge.local.cluster import Cluster
from esrbridge.local.processes import free_ports
from shared.db.engine import make_engine
from shared.db.migrate import SERVICES, migrate_now

TOKEN: Final = "a-token-of-this-benchmark-only"
AWAY: Final = {"driver": "sandbox", "url": "http://127.0.0.1:9", "token_file": "lms-token"}
"""An LMS that does not answer: outbound keeps what is desired and tries again every few minutes, which costs least."""

FILES: Final = {"driver": "files"}
"""An LMS that is a folder: effects leave as CSV files, so that it can be seen when."""

SCAN_SECONDS: Final = 2.0
"""How often jobs look for work unprompted: what a service does unless told otherwise."""

START_SECONDS: Final = 600
"""Seconds a service may take to start, on a machine that does much else as well."""

_numbers = itertools.count(1)


@dataclass
class Servers:
    """One PostgreSQL and one RabbitMQ for a whole run. ``connect`` reaches the database of the moment."""

    folder: Path
    database: LocalPostgres
    broker: LocalRabbitMQ

    def pids(self) -> dict[str, int]:
        """Return the process ids of both servers, by name; none of a server that is not ours."""
        found = {}
        postmaster = self.folder / "postgres" / "pgdata" / "postmaster.pid"
        if postmaster.exists():
            found["postgres"] = int(postmaster.read_text().splitlines()[0])
        if self.broker.node is not None:
            found["rabbitmq"] = int((self.broker.node.folder / "server.pid").read_text())
        return found

    def url(self, database: str) -> str:
        return self.database.url.rpartition("/")[0] + f"/{database}"

    def kill_database(self) -> Callable[[], None]:
        """End the database server at once; return what starts it again on its port."""
        cluster = Cluster((self.folder / "postgres").resolve())
        pid, port = (int((cluster.data / "postmaster.pid").read_text().splitlines()[line]) for line in (0, 3))
        os.kill(pid, signal.SIGKILL)
        cluster.stop()  # clears what the killed server left
        return lambda: cluster.start(port)


@contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    """Start a database server and a broker node of their own."""
    with postgres(folder / "postgres", prefer_wheel=True) as database, rabbitmq(folder / "rabbitmq") as broker:
        yield Servers(folder, database, broker)


@dataclass
class World:
    """A bridge with a database of its own and empty queues. Processes are known by names like ``people-2``."""

    servers: Servers
    folder: Path
    name: str
    url: str
    passwords: Mapping[str, str]
    queues: Queues
    asker: Asker
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(
        self,
        *names: str,
        replicas: Mapping[str, int] | None = None,
        module: str = "",
        wait: bool = True,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Start services, each so many times as said; return when all of them take part, or at once.

        ``module``: run in place of ``esrbridge serve``. ``settings``: more of them, by their names in the environment.
        """
        wanted = names or SERVICES
        started = [
            self._launch(service, number, module, settings or {})
            for service in wanted
            for number in range(1, 1 + (replicas or {}).get(service, 1))
        ]
        if wait:
            self._wait_ready(started)

    def _launch(self, service: str, number: int, module: str, settings: Mapping[str, str]) -> str:
        name = f"{service}-{number}" if number > 1 else service
        (self.ports[name],) = free_ports(1)
        command = ["-m", module] if module else ["-m", "esrbridge.cli", "serve", service]
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *command],
                env=os.environ | self._environment(service, name) | dict(settings), stdout=log, stderr=log,
            )  # fmt: skip
        return name

    def _environment(self, service: str, name: str) -> dict[str, str]:
        return {
            "ESRBRIDGE_DATABASE_URL": as_role(self.url, service, self.passwords[service]),
            "ESRBRIDGE_BROKER_URL": self.servers.broker.url,
            "ESRBRIDGE_CONFIG": str(self.folder / "bridge.yaml"),
            "ESRBRIDGE_FILES": str(self.folder),
            "ESRBRIDGE_ARCHIVE": str(self.folder / "archive"),
            "ESRBRIDGE_PORT": str(self.ports[name]),
            "ESRBRIDGE_API_TOKEN": TOKEN,
            "ESRBRIDGE_SCAN_SECONDS": str(SCAN_SECONDS),
            "ESRBRIDGE_SETTLE_SECONDS": "0",
            "ESRBRIDGE_NOW": files.NOW,
        }

    def _wait_ready(self, names: Sequence[str]) -> None:
        end = time.monotonic() + START_SECONDS
        for name in names:
            while '"started"' not in self.log(name):
                if time.monotonic() > end or self.processes[name].poll() is not None:
                    raise SystemExit(f"{name} did not start:\n{self.log(name)[-2000:]}")
                time.sleep(0.1)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def stop(self, *names: str) -> None:
        """End processes: these, or all."""
        ending = {name: self.processes.pop(name) for name in names or tuple(self.processes)}
        for process in ending.values():
            process.terminate()
        for process in ending.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def ask(self, query: str, *arguments: object) -> list[Any]:
        """Ask the database, as its administrator, and return rows."""
        return self.asker.rows(query, *arguments)

    def close(self) -> None:
        """End every process and leave the database."""
        self.stop()
        self.asker.close()


@contextmanager
def world(servers: Servers, trusts: Mapping[str, Mapping[str, Any]]) -> Iterator[World]:
    """Make a bridge for these trusts, each with an LMS; nothing runs yet. Ends its processes at the end."""
    name = f"world_{next(_numbers)}"
    folder = servers.folder / name
    folder.mkdir()
    (folder / "lms-token").write_text(TOKEN)
    sections = [files.trust_section(vpd, dict(lms)) for vpd, lms in trusts.items()]
    (folder / "bridge.yaml").write_text(yaml.safe_dump({"trusts": sections}))
    passwords = {service: secrets.token_urlsafe(18) for service in SERVICES}
    execute(servers.database.url, f"CREATE DATABASE {name}")
    url = servers.url(name)
    migrate_now(make_engine(url, name="migrate", statement_seconds=None), passwords)
    queues = Queues(servers.broker.url)
    queues.clear()
    made = World(servers, folder, name, url, passwords, queues, Asker(url))
    try:
        yield made
    finally:
        made.close()
        made.queues.clear()
        made.queues.close()
        execute(servers.database.url, f"DROP DATABASE {name} WITH (FORCE)")
