"""A RabbitMQ for this machine: the one given, else a container, else a private node of the installed program."""

import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from esrbridge.local.apt import install_rabbitmq
from esrbridge.local.docker import ContainerError, container, engine_answers
from esrbridge.local.rabbitmq_node import PrivateNode, answers, running_node
from shared.errors import BackendUnavailableError

IMAGE = "rabbitmq:4-alpine"

#: Debian, Fedora, Homebrew. Before PATH, because Debian puts a wrapper there that changes to the system's account.
SERVER_PLACES = (
    Path("/usr/lib/rabbitmq/bin/rabbitmq-server"),
    Path("/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server"),
    Path("/usr/local/opt/rabbitmq/sbin/rabbitmq-server"),
)

MISSING = (
    "No RabbitMQ to be had: give the URL of one, start Docker, or install it "
    "(Debian and Ubuntu: apt-get install rabbitmq-server; macOS: brew install rabbitmq)."
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LocalRabbitMQ:
    """Where a RabbitMQ is reached: ``url`` is ``amqp://user:password@host:port/``, virtual host "/".

    ``origin`` is ``given``, ``docker`` or ``private``. Only ``private`` keeps its data after the end, and only it
    can be killed and restarted.
    """

    url: str = field(repr=False)
    origin: str
    node: PrivateNode | None = field(default=None, repr=False)

    def kill(self) -> None:
        """Cut the power: the node ends without a goodbye and writes nothing more. For tests of outages."""
        self._private().kill()

    def restart(self) -> None:
        """Start the killed node again on the same data and the same port; return when it answers."""
        self._private().start()

    def _private(self) -> PrivateNode:
        if self.node is None:
            raise BackendUnavailableError(f"Only a private RabbitMQ node can be killed; this one is {self.origin}.")
        return self.node


@contextmanager
def rabbitmq(work_dir: Path, *, given: str | None = None) -> Iterator[LocalRabbitMQ]:
    """Give a RabbitMQ while inside, and stop what was started here at the end.

    The URL ``given`` wins; else a running Docker engine; else a private node of the installed ``rabbitmq-server``,
    with all its files in ``work_dir``, which is made when missing; as root on Debian and Ubuntu the package is
    installed first when it is not there. A node whose owner was killed is ended before the new one starts.

    Raises ``BackendUnavailableError`` when none of these can be started, or when a living process already runs a
    node in ``work_dir``.
    """
    with ExitStack() as stack:
        yield _open(stack, work_dir, given)


def _open(stack: ExitStack, work_dir: Path, given: str | None) -> LocalRabbitMQ:
    if given:
        return LocalRabbitMQ(given, "given")
    if engine_answers():
        password = secrets.token_urlsafe(18)
        env = {"RABBITMQ_DEFAULT_USER": "esrbridge", "RABBITMQ_DEFAULT_PASS": password}
        try:
            host, port = stack.enter_context(container(IMAGE, 5672, env, answers))
            return LocalRabbitMQ(f"amqp://esrbridge:{password}@{host}:{port}/", "docker")
        except ContainerError as error:
            _log.warning("%s Going on with a private node.", error)
    node = stack.enter_context(running_node(work_dir, _find_or_install(work_dir)))
    return LocalRabbitMQ(f"amqp://guest:guest@127.0.0.1:{node.port}/", "private", node)


def find_server(places: tuple[Path, ...] = SERVER_PLACES, path: str | None = None) -> Path | None:
    """Return the installed ``rabbitmq-server``, or None. ``path`` is searched like PATH, which is the default."""
    for place in places:
        if place.exists():
            return place
    search = path if path is not None else f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin"
    found = shutil.which("rabbitmq-server", path=search)
    return Path(found) if found else None


def need_server(work_dir: Path) -> None:
    """Make sure that ``rabbitmq`` can start something: a Docker engine, or a server, installed now if it must be.

    Raises BackendUnavailableError with what to install.
    """
    if not engine_answers():
        _find_or_install(work_dir)


def _find_or_install(work_dir: Path) -> Path:
    server = find_server()
    apt_get = shutil.which("apt-get")
    if server is None and apt_get is not None and os.geteuid() == 0:
        work_dir.mkdir(parents=True, exist_ok=True)
        install_rabbitmq(Path(apt_get), work_dir / "apt.log")
        server = find_server()
    if server is None:
        raise BackendUnavailableError(MISSING)
    return server
