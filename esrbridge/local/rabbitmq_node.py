"""A private RabbitMQ node: own ports, own data, own cookie, nothing outside its folder, only on 127.0.0.1."""

import fcntl
import hashlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from esrbridge.local.processes import end_process, free_ports, last_lines, read_pid, wait_until
from shared.errors import BackendUnavailableError

#: Seconds until the node has to answer; it takes four to six on two cores.
START_SECONDS = 90.0
#: Seconds for an orderly stop, which takes about two.
STOP_SECONDS = 30.0

#: How an AMQP 0-9-1 client opens; a broker that is up answers with a method frame, whose first byte is 1.
_AMQP_HEADER = b"AMQP\x00\x00\x09\x01"


def answers(host: str, port: int) -> bool:
    """Say whether a broker at this address speaks AMQP 0-9-1 by now."""
    try:
        with socket.create_connection((host, port), timeout=2) as connection:
            connection.sendall(_AMQP_HEADER)
            return connection.recv(1) == b"\x01"
    except OSError:
        return False


@contextmanager
def running_node(folder: Path, server: Path) -> Iterator["PrivateNode"]:
    """Run a node on the data in ``folder`` while inside; see ``esrbridge.local.rabbitmq``.

    ``server`` is the program ``rabbitmq-server``. The lock on the folder tells a node somebody uses from one whose
    owner was killed: the system takes the lock back from the dead.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "owner.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackendUnavailableError(
                f"Another process runs RabbitMQ in {folder}: use that one, or another folder."
            ) from None
        node = PrivateNode(folder.resolve(), server)
        node.end_orphans()
        try:
            node.start()
            yield node
        finally:
            node.stop()


class PrivateNode:
    """One node and its port mapper (epmd). ``port`` is the AMQP port, the same over ``kill`` and ``start``."""

    def __init__(self, folder: Path, server: Path) -> None:
        self.folder = folder
        self.port, self._epmd_port, self._distribution_port = free_ports(3)
        self._server = server
        self._mark = f"-esrbridge_folder {hashlib.sha256(bytes(folder)).hexdigest()[:16]}"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def end_orphans(self) -> None:
        """End what an owner that was killed has left behind in this folder."""
        for name, mark in (("server", self._mark), ("epmd", "epmd -port")):
            pid = read_pid(self._pid_file(name))
            if pid is not None:
                end_process(pid, mark, (signal.SIGTERM,), STOP_SECONDS)
                self._pid_file(name).unlink()

    def start(self) -> None:
        """Start the node and return when it answers; raise ``BackendUnavailableError`` with its log when not."""
        self._write_files()
        environment = self._environment()
        if "epmd" not in self._processes:
            self._launch("epmd", [_epmd(), "-port", str(self._epmd_port), "-address", "127.0.0.1"], environment)
        server = self._launch("server", [str(self._server)], environment)
        wait_until(lambda: server.poll() is not None or answers("127.0.0.1", self.port), START_SECONDS)
        if not answers("127.0.0.1", self.port):
            self.stop()
            raise BackendUnavailableError(
                f"RabbitMQ did not start within {START_SECONDS:.0f} s. Its last words:\n"
                f"{last_lines(self.folder / 'server.out')}\n{last_lines(self.folder / 'rabbitmq.log')}"
            )

    def kill(self) -> None:
        """End the node at once, as a power cut would; epmd stays.

        Waits before that until the declarations of quorum queues are on disk: before Ra 2.11 (RabbitMQ 3.13) they get
        there up to four seconds late, and a queue whose declaration is lost comes back without a leader for ever
        (rabbitmq/ra pull request 443). Messages need no such care.
        """
        if not wait_until(self._declarations_on_disk, STOP_SECONDS):
            raise BackendUnavailableError(f"RabbitMQ has not written its queue declarations in {self.folder}.")
        self._end("server", signal.SIGKILL)

    def _declarations_on_disk(self) -> bool:
        """Say whether each quorum queue, which has a folder of its own, stands in the register of its node."""
        for register in (self.folder / "data").glob("*/quorum/*/names.dets"):
            known = register.read_bytes()
            queues = [path.name for path in register.parent.iterdir() if path.is_dir()]
            if any(queue.encode() not in known for queue in queues):
                return False
        return True

    def stop(self) -> None:
        """Stop the node in order, and its epmd. Does nothing to what does not run."""
        self._end("server", signal.SIGTERM)
        self._end("epmd", signal.SIGTERM)

    def _end(self, name: str, first: signal.Signals) -> None:
        process = self._processes.get(name)
        if process is None:
            return
        process.send_signal(first)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._pid_file(name).unlink()
        del self._processes[name]

    def _launch(self, name: str, command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.out").open("wb") as output:
            # A session of its own: Ctrl-C in the terminal reaches us, who stop things in order, and not the broker.
            process = subprocess.Popen(  # noqa: S603
                command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes[name] = process
        self._pid_file(name).write_text(f"{process.pid}\n")
        return process

    def _pid_file(self, name: str) -> Path:
        return self.folder / f"{name}.pid"

    def _write_files(self) -> None:
        (self.folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{self.port}\n")
        (self.folder / "enabled_plugins").write_text("[].\n")
        (self.folder / "env.conf").write_text("")
        cookie = self.folder / ".erlang.cookie"
        if not cookie.exists():
            cookie.touch(mode=0o600)
            cookie.write_text(secrets.token_hex(20))

    def _environment(self) -> dict[str, str]:
        """Our own environment without anything that speaks to RabbitMQ or Erlang, and the node's settings."""
        ours = ("RABBITMQ_", "ERL_", "XDG_", "NOTIFY_SOCKET")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return kept | {
            "HOME": str(self.folder),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_NODENAME": "esrbridge@localhost",
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_LOGS": str(self.folder / "rabbitmq.log"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "advanced.config"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "env.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            # Two schedulers, for small machines; the last flag means nothing to Erlang, it marks the process as ours.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                f"+S 2:2 -kernel inet_dist_use_interface {{127,0,0,1}} {self._mark}"
            ),
            # Makes the start script become the broker instead of staying above it, so the pid we hold is the broker's.
            "RUNNING_UNDER_SYSTEMD": "true",
        }


def _epmd() -> str:
    found = shutil.which("epmd")
    if found is None:
        raise BackendUnavailableError("RabbitMQ is installed, but Erlang's program epmd is not in PATH.")
    return found
