"""A PostgreSQL for this machine: the one given, else a container, else the one that comes in a Python wheel."""

import logging
import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from esrbridge.local.cluster import running_cluster
from esrbridge.local.docker import ContainerError, container, engine_answers

IMAGE = "postgres:17-alpine"

#: The request a client sends before anything else when it would like TLS; a server that is up answers S or N.
_SSL_REQUEST = bytes.fromhex("0000000804d2162f")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LocalPostgres:
    """Where a PostgreSQL is reached.

    ``url`` is a superuser's ``postgresql://user:password@host:port/dbname``. psql, libpq and asyncpg take it as it
    is; for SQLAlchemy use ``make_url(url).set(drivername="postgresql+asyncpg")``. It always names a TCP port (a
    given URL is passed on unread), and every role logs in with a password there (scram-sha-256), the superuser too.

    ``origin`` is ``given``, ``docker`` or ``wheel``. Only ``wheel`` keeps its data after the end.
    """

    url: str = field(repr=False)
    origin: str


@contextmanager
def postgres(data_dir: Path, *, given: str | None = None, prefer_wheel: bool = False) -> Iterator[LocalPostgres]:
    """Give a PostgreSQL while inside, and stop what was started here at the end.

    The URL ``given`` wins; else a running Docker engine, unless ``prefer_wheel``; else the PostgreSQL from the
    wheel with its data in ``data_dir``, which is made when missing. Several processes may use one ``data_dir`` at
    once: they share one server, and the last to leave stops it. A server whose users were all killed is stopped and
    started afresh.

    Raises ``BackendUnavailableError`` when none of these can be started.
    """
    with ExitStack() as stack:
        yield _open(stack, data_dir, given, prefer_wheel)


def _open(stack: ExitStack, data_dir: Path, given: str | None, prefer_wheel: bool) -> LocalPostgres:
    if given:
        return LocalPostgres(given, "given")
    if not prefer_wheel and engine_answers():
        password = secrets.token_urlsafe(18)
        try:
            host, port = stack.enter_context(container(IMAGE, 5432, {"POSTGRES_PASSWORD": password}, _answers))
            return LocalPostgres(f"postgresql://postgres:{password}@{host}:{port}/postgres", "docker")
        except ContainerError as error:
            _log.warning("%s Going on with the PostgreSQL from the wheel.", error)
    return LocalPostgres(stack.enter_context(running_cluster(data_dir)), "wheel")


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=2) as connection:
            connection.sendall(_SSL_REQUEST)
            return connection.recv(1) in {b"S", b"N"}
    except OSError:
        return False
