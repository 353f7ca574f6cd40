"""Runs the peers: a database of their own on the same server, the same broker, the same file as the bridge's."""

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from bench.national import files
from bench.national.database import Asker, execute
from bench.national.peers.models import Base
from bench.national.queues import Queues
from bench.national.watching import until, watching
from bench.national.world import START_SECONDS, Servers

PATIENCE: Final = 3600.0
MODULE: Final = "bench.national.peers"
_CELERY: Final = ("-m", "celery", "-A", f"{MODULE}.celery_peer", "worker", "--loglevel", "ERROR", "--concurrency")
WORKERS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "faststream": (("-m", f"{MODULE}.faststream_peer", "people"), ("-m", f"{MODULE}.faststream_peer", "desire")),
    "celery": (
        (*_CELERY, "4", "-Q", "peer.celery.records", "-n", "records@bench"),
        (*_CELERY, "4", "-Q", "peer.celery.events", "-n", "events@bench"),
    ),
}
"""The processes that consume, by peer."""


def installed(peer: str) -> bool:
    """Tell whether a peer's libraries are there (dependency group ``bench``)."""
    return importlib.util.find_spec(peer) is not None


def run(servers: Servers, peer: str, records: int) -> dict[str, Any]:
    """Let a full file of so many records in through a peer; return the rate until everything is desired."""
    folder = servers.folder / f"peer-{peer}"
    one = files.write_full(folder, "901", files.people_for(records))
    database = f"peer_{peer}"
    execute(servers.database.url, f"CREATE DATABASE {database}")
    url = servers.url(database)
    execute(url, _tables())
    environment = os.environ | {"PEER_DATABASE_URL": url, "PEER_BROKER_URL": servers.broker.url}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(Path.cwd()), os.environ.get("PYTHONPATH"))))
    queues, asker = Queues(servers.broker.url), Asker(url)
    names = (f"peer.{peer}.records", f"peer.{peer}.events")
    for name in names:
        queues.declare_plain(name)
    logs = [folder / f"{number}.log" for number in range(len(WORKERS[peer]))]
    workers = [_start(command, environment, log) for command, log in zip(WORKERS[peer], logs, strict=True)]

    def at_work() -> bool:
        for worker, log in zip(workers, logs, strict=True):
            if worker.poll() is not None:
                raise SystemExit(f"a worker of {peer} ended:\n{log.read_text()[-2000:]}")
        return all(map(queues.consumers, names))

    wanted = one.people * 2 + one.certifications + one.evidence
    try:
        until("both workers at work", START_SECONDS, at_work)
        pids = {"people": workers[0].pid, "desire": workers[1].pid} | servers.pids()
        with watching(pids) as watch:
            start = time.perf_counter()
            splitter = _start(("-m", f"{MODULE}.{peer}_peer", "split", str(one.path)), environment, folder / "s.log")
            if splitter.wait():
                raise SystemExit((folder / "s.log").read_text()[-2000:])
            split = time.perf_counter()
            end = until(
                "everything desired", PATIENCE, lambda: asker.value("SELECT count(*) FROM peer_desired") >= wanted
            )
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait(30)
        for name in names:
            queues.delete(name)
        queues.close()
        asker.close()
        execute(servers.database.url, f"DROP DATABASE {database} WITH (FORCE)")
    return {
        "records": one.records,
        "seconds": round(end - start, 3),
        "seconds until split": round(split - start, 3),
        "per second": round(one.records / (end - start), 1),
        "cpu seconds": watch.cpu,
        "peak MiB": watch.peaks(),
    }


def _start(command: tuple[str, ...], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen([sys.executable, *command], env=environment, stdout=output, stderr=output)


def _tables() -> str:
    dialect = postgresql.dialect()
    return ";".join(str(CreateTable(table).compile(dialect=dialect)) for table in Base.metadata.sorted_tables)
