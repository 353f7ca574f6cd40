"""PostgreSQL and RabbitMQ in containers, when a Docker engine runs on this machine.

Uses testcontainers, which comes with the development dependencies; without it there is no Docker route.
"""

import http.client
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from urllib.parse import urlsplit

from esrbridge.local.processes import wait_until
from shared.errors import BackendUnavailableError

#: Seconds within which an engine on this machine answers a ping; one that is slower would not serve tests either.
PING_SECONDS = 1.0
#: Seconds a container may take from its start to its first answer, image already pulled.
START_SECONDS = 60.0

_log = logging.getLogger(__name__)


class ContainerError(BackendUnavailableError):
    """The Docker engine runs, but the container did not start: image not to be had, no space, no rights."""

    code = "CONTAINER"


def engine_answers() -> bool:
    """Say whether a Docker engine can be used, within about a second and without a word.

    Follows DOCKER_HOST and the current Docker context. An engine reached by another way than a socket or TCP (ssh,
    named pipe) is one that somebody set up on purpose, so it counts as running.
    """
    if find_spec("testcontainers") is None:
        return False
    # Imported here: it takes half a second and is not installed in production images.
    from testcontainers.core.docker_client import get_docker_host  # noqa: PLC0415

    address = urlsplit(get_docker_host() or "unix:///var/run/docker.sock")
    if address.scheme not in {"unix", "tcp", "http"}:
        return True
    try:
        with _connect(address.scheme, address.path, address.hostname, address.port) as connection:
            connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            return answer.status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


def _connect(scheme: str, path: str, host: str | None, port: int | None) -> socket.socket:
    if scheme != "unix":
        return socket.create_connection((host or "127.0.0.1", port or 2375), timeout=PING_SECONDS)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(PING_SECONDS)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection


@contextmanager
def container(
    image: str, port: int, env: dict[str, str], ready: Callable[[str, int], bool]
) -> Iterator[tuple[str, int]]:
    """Run ``image`` while inside and yield the host and port at which ``port`` of the container is reached.

    ``ready(host, port)`` is asked until it says yes. The container and its data are removed at the end.
    Raises ``ContainerError`` when the container does not start or does not become ready.
    """
    from docker.errors import DockerException  # type: ignore[import-untyped]  # noqa: PLC0415
    from requests import RequestException  # noqa: PLC0415
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415

    # RuntimeError is the root of what testcontainers itself raises.
    failures = (DockerException, RequestException, OSError, RuntimeError)
    try:
        running = DockerContainer(image, env=env, ports=[port])
    except failures as error:
        raise ContainerError(f"The Docker engine did not answer: {type(error).__name__}.") from error
    try:
        try:
            running.start()
            host, outside = running.get_container_host_ip(), running.get_exposed_port(port)
        except failures as error:
            raise ContainerError(
                f"Docker could not start {image}: {type(error).__name__}. Is the image to be had?"
            ) from error
        if not wait_until(lambda: ready(host, outside), START_SECONDS):
            raise ContainerError(f"{image} did not answer on {host}:{outside} within {START_SECONDS:.0f} s.")
        _log.info("container ready", extra={"image": image, "port": outside})
        yield host, outside
    finally:
        running.stop()
