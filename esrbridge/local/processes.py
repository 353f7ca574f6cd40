"""Small helpers for looking after server processes: ports, locks, pids, waiting. Linux and macOS."""

import fcntl
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from shared.errors import BackendUnavailableError

#: Below the ranges from which Linux and macOS take ports for outgoing connections. A client that keeps trying to
#: reconnect to a stopped server could otherwise be given the server's own port and hold it.
PORTS = range(20_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Return ``count`` different TCP ports nobody listens on at 127.0.0.1 at this moment.

    Raises ``BackendUnavailableError`` when no free port turns up in a thousand tries.
    """
    found: list[int] = []
    with ExitStack() as held:
        for _ in range(1000):
            if len(found) == count:
                return found
            probe = held.enter_context(socket.socket())
            port = PORTS.start + secrets.randbelow(len(PORTS))
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue  # taken: try another
            found.append(port)
    raise BackendUnavailableError(f"No free TCP port between {PORTS.start} and {PORTS.stop} on 127.0.0.1.")


def wait_until(ready: Callable[[], bool], seconds: float, pause: float = 0.05) -> bool:
    """Ask ``ready`` every ``pause`` seconds until it says yes; return False when ``seconds`` have passed."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause)
    return True


def command_line(pid: int) -> str:
    """Return the command line of a live process, or an empty text when it is gone or only waits to be reaped."""
    proc = Path("/proc") / str(pid) / "cmdline"
    if Path("/proc/self").exists():
        try:
            return proc.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    answer = subprocess.run(["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603
    return answer.stdout.strip()


def read_pid(path: Path) -> int | None:
    """Return the process id on the first line of a pid file, or None when there is no such file or number."""
    try:
        return int(path.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


def end_process(pid: int, mark: str, signals: tuple[signal.Signals, ...], seconds: float) -> None:
    """End a process that is not our child: send the signals in turn, ``seconds`` apart, and a kill at the last.

    ``mark`` is a text its command line must hold, so that a process id the system has given to somebody else since
    is never touched. Raises ``BackendUnavailableError`` when it survives even the kill.
    """
    for number in (*signals, signal.SIGKILL):
        if mark not in command_line(pid):
            return
        with suppress(ProcessLookupError):  # it ended between the two lines
            os.kill(pid, number)
        if wait_until(lambda: mark not in command_line(pid), seconds):
            return
    raise BackendUnavailableError(f"Process {pid} does not end; end it by hand and start again.")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file while inside; wait for it. The system frees it when the holder dies."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def last_lines(path: Path, count: int = 15) -> str:
    """Return the last lines of a log for an error sentence, or a remark that there is no log."""
    if not path.exists():
        return f"(no log at {path})"
    return "\n".join(path.read_text(errors="replace").splitlines()[-count:])
