"""Real servers on this machine: what they keep, whom they let in, and that nothing stays behind."""

import asyncio
import gc
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import aio_pika
import asyncpg
import pytest

from esrbridge.local import LocalRabbitMQ, postgres, rabbitmq
from esrbridge.local.apt import install_rabbitmq
from esrbridge.local.docker import ContainerError, container, engine_answers
from esrbridge.local.processes import command_line, end_process, free_ports, read_pid, wait_until
from esrbridge.local.rabbitmq import find_server
from esrbridge.local.rabbitmq_node import running_node
from shared.errors import BackendUnavailableError

needs_rabbitmq = pytest.mark.skipif(find_server() is None, reason="rabbitmq-server is not installed here")

# Starts a backend, does something with it, says so, and then waits to be killed.
POSTGRES_OWNER = """
import asyncio, asyncpg, sys, time
from pathlib import Path
from esrbridge.local import postgres
async def insert(url):
    connection = await asyncpg.connect(url)
    await connection.execute("create table kept (line integer); insert into kept values (7)")
    await connection.close()
with postgres(Path(sys.argv[1]), prefer_wheel=True) as database:
    asyncio.run(insert(database.url))
    print("ready", flush=True)
    time.sleep(600)
"""
RABBITMQ_OWNER = """
import sys, time
from pathlib import Path
from esrbridge.local import rabbitmq
with rabbitmq(Path(sys.argv[1])):
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def without_docker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Make the Docker engine of a developer's machine invisible, so that the private node is what is tested."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalRabbitMQ, Path]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
        folder = tmp_path_factory.mktemp("broker") / "a folder with spaces"
        with rabbitmq(folder) as running:
            yield running, folder


async def ask(url: str, question: str) -> object:
    connection = await asyncpg.connect(url)  # type: ignore[no-untyped-call]
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


def owner_killed_once_ready(script: str, folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, text=True) as owner:
        try:
            assert owner.stdout is not None
            assert owner.stdout.readline() == "ready\n"
        finally:
            owner.kill()


def postmaster(folder: Path) -> int:
    pid = read_pid(folder / "pgdata" / "postmaster.pid")
    assert pid is not None
    assert "postgres" in command_line(pid)
    return pid


def node_pids(folder: Path) -> list[int]:
    pids = [read_pid(folder / f"{name}.pid") for name in ("server", "epmd")]
    running = [pid for pid in pids if pid is not None and command_line(pid)]
    assert len(running) == 2
    return running


# --- PostgreSQL -------------------------------------------------------------------------------------------------


async def test_the_wheels_postgres_keeps_its_rows_over_a_restart_in_a_folder_too_deep_for_a_socket(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "deep folder".ljust(120, "x") / "postgres"
    with postgres(folder, prefer_wheel=True) as database:
        assert database.origin == "wheel"
        await ask(database.url, "create table kept (line integer)")
        await ask(database.url, "insert into kept values (7)")
        first = postmaster(folder)
    assert not command_line(first)
    with postgres(folder, prefer_wheel=True) as database:
        assert await ask(database.url, "select line from kept") == 7
        second = postmaster(folder)
    assert not command_line(second)


async def test_a_folder_closed_to_others_serves_and_stays_closed(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with postgres(closed / "postgres", prefer_wheel=True) as database:
        await ask(database.url, "checkpoint")
    assert closed.stat().st_mode & 0o777 == 0o700


async def test_rows_survive_the_killing_of_the_process_that_owned_postgres(tmp_path: Path) -> None:
    await asyncio.to_thread(owner_killed_once_ready, POSTGRES_OWNER, tmp_path)
    orphan = postmaster(tmp_path)
    with postgres(tmp_path, prefer_wheel=True) as database:
        assert await ask(database.url, "select line from kept") == 7
        ours = postmaster(tmp_path)
        assert not command_line(orphan)
    assert not command_line(ours)


async def test_rows_survive_the_killing_of_postgres_itself_in_the_middle_of_a_query(tmp_path: Path) -> None:
    with postgres(tmp_path, prefer_wheel=True) as database:
        await ask(database.url, "create table kept (line integer)")
        await ask(database.url, "insert into kept values (7)")
        query = "select count(*) from generate_series(1, 10000000)"
        running = asyncio.create_task(ask(database.url, query))
        seen = f"select count(*) from pg_stat_activity where state = 'active' and query = '{query}'"
        while await ask(database.url, seen) == 0:
            assert not running.done()
        os.kill(postmaster(tmp_path), signal.SIGKILL)
    # The session that is at work outlives its server, and nobody else may touch the data until it has ended.
    with postgres(tmp_path, prefer_wheel=True) as database:
        assert await ask(database.url, "select line from kept") == 7
    await asyncio.gather(running, return_exceptions=True)


async def test_a_service_role_logs_in_with_its_password_only(tmp_path: Path) -> None:
    with postgres(tmp_path, prefer_wheel=True) as database:
        await ask(database.url, "create role people login password 'right'")
        superuser = database.url.split("@")[0]
        assert await ask(database.url.replace(superuser, "postgresql://people:right"), "select user") == "people"
        with pytest.raises(asyncpg.InvalidPasswordError):
            await ask(database.url.replace(superuser, "postgresql://people:wrong"), "select user")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await ask(database.url.replace(superuser, "postgresql://postgres:wrong"), "select user")


async def test_two_users_of_one_folder_share_a_server_which_the_last_to_leave_stops(tmp_path: Path) -> None:
    with postgres(tmp_path, prefer_wheel=True) as first:
        server = postmaster(tmp_path)
        with postgres(tmp_path, prefer_wheel=True) as second:
            assert second.url == first.url
        assert await ask(first.url, "select 1") == 1
    assert not command_line(server)


def test_postgres_stops_when_the_work_on_it_fails(tmp_path: Path) -> None:
    class WorkFailedError(Exception):
        pass

    servers: list[int] = []

    def fail_at_work() -> None:
        with postgres(tmp_path, prefer_wheel=True):
            servers.append(postmaster(tmp_path))
            raise WorkFailedError

    with pytest.raises(WorkFailedError):
        fail_at_work()
    assert not command_line(servers[0])


def test_a_pid_file_that_names_a_stranger_neither_bars_the_start_nor_harms_the_stranger(tmp_path: Path) -> None:
    with postgres(tmp_path, prefer_wheel=True):
        pass
    with subprocess.Popen(["/bin/sleep", "600"]) as stranger:
        try:
            (tmp_path / "pgdata" / "postmaster.pid").write_text(f"{stranger.pid}\n")
            with postgres(tmp_path, prefer_wheel=True) as database:
                assert asyncio.run(ask(database.url, "select 1")) == 1
            assert stranger.poll() is None
        finally:
            stranger.kill()


async def test_names_in_a_refused_row_do_not_reach_the_servers_log(tmp_path: Path) -> None:
    with postgres(tmp_path, prefer_wheel=True) as database:
        await ask(database.url, "create table people (name text primary key)")
        await ask(database.url, "insert into people values ('Canary')")
        with pytest.raises(asyncpg.UniqueViolationError):
            await ask(database.url, "insert into people values ('Canary')")
        log = (tmp_path / "pgdata" / "postgres.log").read_text()
    assert "duplicate key" in log
    assert "Canary" not in log


def test_data_of_a_postgres_we_do_not_have_is_refused_with_both_versions(tmp_path: Path) -> None:
    (tmp_path / "pgdata").mkdir()
    (tmp_path / "pgdata" / "PG_VERSION").write_text("9\n")
    with pytest.raises(BackendUnavailableError, match=r"written by PostgreSQL 9; here is .*18"):
        postgres(tmp_path, prefer_wheel=True).__enter__()


# --- RabbitMQ ---------------------------------------------------------------------------------------------------


@needs_rabbitmq
async def test_a_persistent_message_in_a_quorum_queue_survives_the_killing_of_the_node(
    broker: tuple[LocalRabbitMQ, Path],
) -> None:
    running, _ = broker
    assert running.origin == "private"
    async with await aio_pika.connect(running.url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        await channel.declare_queue("kept", durable=True, arguments={"x-queue-type": "quorum"})
        message = aio_pika.Message(b"line 7", delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, "kept", timeout=10)
    await asyncio.to_thread(running.kill)
    with pytest.raises(ConnectionError):
        await aio_pika.connect(running.url)
    await asyncio.to_thread(running.restart)
    async with await aio_pika.connect(running.url) as connection:
        queue = await (await connection.channel()).get_queue("kept")
        found = await queue.get(timeout=10)
        assert found.body == b"line 7"
        await found.ack()


@needs_rabbitmq
def test_a_private_node_listens_on_the_loopback_address_only(broker: tuple[LocalRabbitMQ, Path]) -> None:
    running, folder = broker
    assert running.node is not None
    own = own_address()
    if own != "127.0.0.1":
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((own, running.node.port), timeout=5)
    assert {".erlang.cookie", "data", "rabbitmq.log"} <= {path.name for path in folder.iterdir()}


def own_address() -> str:
    """Return the address this machine uses towards others; nothing is sent for it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


@needs_rabbitmq
@pytest.mark.usefixtures("without_docker")
def test_a_folder_whose_node_is_in_use_is_refused(broker: tuple[LocalRabbitMQ, Path]) -> None:
    _, folder = broker
    with pytest.raises(BackendUnavailableError, match="Another process runs RabbitMQ"):
        rabbitmq(folder).__enter__()


@needs_rabbitmq
@pytest.mark.usefixtures("without_docker")
def test_a_node_whose_owner_was_killed_is_ended_before_the_next_and_none_stays_behind(tmp_path: Path) -> None:
    owner_killed_once_ready(RABBITMQ_OWNER, tmp_path)
    orphans = node_pids(tmp_path)
    with rabbitmq(tmp_path):
        ours = node_pids(tmp_path)
        assert not [pid for pid in orphans if command_line(pid)]
    assert not [pid for pid in ours if command_line(pid)]


def test_a_server_that_does_not_start_is_reported_with_its_last_words_and_its_epmd_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = tmp_path / "rabbitmq-server"
    server.write_text("#!/bin/sh\ncp epmd.pid seen.pid\necho no room on the disk\nexit 1\n")
    server.chmod(0o755)
    tools = tmp_path / "epmd"
    tools.write_text("#!/bin/sh\nexec /bin/sleep 600\n")
    tools.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(BackendUnavailableError, match="no room on the disk"):
        running_node(tmp_path, server).__enter__()
    epmd = read_pid(tmp_path / "seen.pid")
    assert epmd is not None
    assert not command_line(epmd)


def test_a_broker_that_is_not_ours_cannot_be_killed(tmp_path: Path) -> None:
    with (
        rabbitmq(tmp_path, given="amqp://broker.example/") as running,
        pytest.raises(BackendUnavailableError, match="this one is given"),
    ):
        running.kill()


def test_the_debian_wrapper_in_path_is_the_last_place_looked_for(tmp_path: Path) -> None:
    plain, wrapper = tmp_path / "lib" / "rabbitmq-server", tmp_path / "sbin" / "rabbitmq-server"
    for file in (plain, wrapper):
        file.parent.mkdir()
        file.touch(mode=0o755)
    assert find_server((plain,), str(wrapper.parent)) == plain
    assert find_server((), str(wrapper.parent)) == wrapper
    assert find_server((), str(tmp_path)) is None


# --- both -------------------------------------------------------------------------------------------------------


def test_given_urls_are_passed_through_and_nothing_is_started(tmp_path: Path) -> None:
    folder = tmp_path / "untouched"
    with (
        postgres(folder, given="postgresql://db.example/bridge") as database,
        rabbitmq(folder, given="amqp://broker.example/") as running,
    ):
        assert (database.url, database.origin) == ("postgresql://db.example/bridge", "given")
        assert (running.url, running.origin) == ("amqp://broker.example/", "given")
    assert not folder.exists()


@pytest.mark.usefixtures("without_docker")
def test_the_foreground_command_prints_exports_and_stops_postgres_when_told_to(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ESRBRIDGE_")}
    command = [sys.executable, "-m", "esrbridge.local", "--dir", str(tmp_path)]
    with subprocess.Popen(
        command, env=environment | {"ESRBRIDGE_BROKER_URL": "amqp://broker.example/"}, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            database, broker_line = process.stdout.readline(), process.stdout.readline()
            server = postmaster(tmp_path / "postgres")
            process.terminate()
            assert process.wait(30) == 0
        finally:
            process.kill()
    assert database.startswith("export ESRBRIDGE_ADMIN_DATABASE_URL=postgresql://postgres:")
    assert broker_line == "export ESRBRIDGE_BROKER_URL=amqp://broker.example/\n"
    assert not command_line(server)


@pytest.mark.parametrize(("status", "running"), [("200 OK", True), ("503 Service Unavailable", False)])
def test_a_docker_engine_counts_as_running_when_it_answers_a_ping(
    monkeypatch: pytest.MonkeyPatch, status: str, running: bool
) -> None:
    # Not in tmp_path: the path of a unix socket may be 107 bytes at most.
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as engine:
        engine.bind(f"{folder}/engine.sock")
        engine.listen()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{folder}/engine.sock")
        answering = threading.Thread(target=answer_once, args=(engine, status))
        answering.start()
        assert engine_answers() is running
        answering.join()


def answer_once(engine: socket.socket, status: str) -> None:
    connection, _ = engine.accept()
    with connection:
        assert connection.recv(1024).startswith(b"GET /_ping")
        connection.sendall(f"HTTP/1.0 {status}\r\nContent-Length: 2\r\n\r\nOK".encode())


@pytest.mark.usefixtures("without_docker")
def test_a_docker_client_without_an_engine_counts_as_no_docker() -> None:
    assert not engine_answers()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # docker's client forgets its socket
@pytest.mark.usefixtures("without_docker")
def test_a_container_without_an_engine_is_an_error_of_its_own() -> None:
    with pytest.raises(ContainerError, match="engine did not answer"):
        container("postgres:17-alpine", 5432, {}, lambda _host, _port: True).__enter__()
    gc.collect()


# --- the helpers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [None, "#!/bin/sh\nexit 0\n"])
@pytest.mark.parametrize("result", [0, 100])
def test_no_service_may_start_while_apt_installs_and_the_old_policy_returns(
    tmp_path: Path, before: str | None, result: int
) -> None:
    policy, apt_get, log = tmp_path / "policy-rc.d", tmp_path / "apt-get", tmp_path / "apt.log"
    if before is not None:
        policy.write_text(before)
        policy.chmod(0o755)
    apt_get.write_text(f"#!/bin/sh\n{policy} rabbitmq-server start\necho policy $?, $*\nexit {result}\n")
    apt_get.chmod(0o755)
    if result == 0:
        install_rabbitmq(apt_get, log, policy)
        assert "install --yes --no-install-recommends rabbitmq-server" in log.read_text()
    else:
        with pytest.raises(BackendUnavailableError, match="apt-get update failed"):
            install_rabbitmq(apt_get, log, policy)
    assert "policy 101" in log.read_text()
    assert (policy.read_text() if policy.exists() else None) == before


def test_a_process_that_ignores_the_first_signal_is_killed() -> None:
    script = "trap '' TERM; echo ready; while :; do sleep 1; done"
    with subprocess.Popen(["/bin/sh", "-c", script], stdout=subprocess.PIPE, text=True) as stubborn:
        try:
            assert stubborn.stdout is not None
            assert stubborn.stdout.readline() == "ready\n"
            end_process(stubborn.pid, "echo ready", (signal.SIGTERM,), seconds=0.3)
            assert stubborn.wait(5) == -signal.SIGKILL
        finally:
            stubborn.kill()


def test_free_ports_are_different_and_outside_the_range_for_outgoing_connections() -> None:
    ports = free_ports(50)
    assert len(set(ports)) == 50
    assert all(20_000 <= port < 32_000 for port in ports)


def test_waiting_ends_at_the_deadline() -> None:
    assert wait_until(lambda: True, 0)
    assert not wait_until(lambda: False, 0.01, pause=0.001)
