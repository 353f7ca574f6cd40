"""Installing RabbitMQ from the package archive of Debian or Ubuntu, for a CI machine where we are root."""

import logging
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from esrbridge.local.processes import last_lines
from shared.errors import BackendUnavailableError

#: Asked by Debian's packages before they start a service; 101 means "not allowed".
POLICY = Path("/usr/sbin/policy-rc.d")
_FORBID = b"#!/bin/sh\nexit 101\n"

#: Seconds for one run of apt-get; a slow mirror takes a few minutes.
APT_SECONDS = 600

_log = logging.getLogger(__name__)


def install_rabbitmq(apt_get: Path, log: Path, policy: Path = POLICY) -> None:
    """Install the package ``rabbitmq-server`` without starting the system's own broker.

    What the package manager says goes to ``log``. Debian's package enables its service for the next boot all the
    same; on a machine that is kept, disable it with ``systemctl disable rabbitmq-server``.

    Raises ``BackendUnavailableError`` with the end of apt-get's output when that fails.
    """
    _log.warning("RabbitMQ is not installed; installing the package rabbitmq-server.")
    with _services_forbidden(policy), log.open("wb") as output:
        for command in (["update"], ["install", "--yes", "--no-install-recommends", "rabbitmq-server"]):
            try:
                subprocess.run(  # noqa: S603
                    [apt_get, "--quiet", *command],
                    env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=APT_SECONDS,
                    check=True,
                )
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
                raise BackendUnavailableError(
                    f"apt-get {command[0]} failed, so there is no RabbitMQ to start:\n{last_lines(log)}"
                ) from error


@contextmanager
def _services_forbidden(policy: Path) -> Iterator[None]:
    """Forbid packages to start services while inside; put back afterwards what stood there."""
    before = (policy.read_bytes(), policy.stat().st_mode) if policy.exists() else None
    policy.write_bytes(_FORBID)
    policy.chmod(0o755)
    try:
        yield
    finally:
        if before is None:
            policy.unlink()
        else:
            policy.write_bytes(before[0])
            policy.chmod(before[1])
