"""Files come in from real servers and go out to them: each once, each whole, whatever breaks on the way."""

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncssh
import httpx
import pytest
import structlog
from fastapi import FastAPI
from prometheus_client import REGISTRY
from rich.console import Console
from sqlalchemy import event, insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from esrbridge.embedded import as_role
from esrbridge.local.processes import free_ports, wait_until
from esrbridge.once import run_once
from services.ingest import main as ingest
from services.ingest.collect import Collector
from services.ingest.schema import COLLECTED
from services.outbound import main as outbound
from services.outbound.deliver import Deliverer
from services.outbound.tables import DELIVERED
from shared.clock import FixedClock
from shared.component import Component, Context
from shared.config import BridgeConfig, TrustConfig
from shared.db.engine import Reader, make_engine
from shared.db.unit import Work
from shared.lms_settings import LmsSettings
from shared.loops import Loops
from shared.messaging.memory import MemoryBroker
from shared.transport.rounds import Pace
from shared.transport.settings import Connection
from shared.web import health_routes
from tests.integration.transport_servers import PASSWORD, SERVERS, Cable, Server, ftps, make_key, openssh, small_disk

CLOCK = FixedClock(datetime(2026, 3, 3, 6, tzinfo=UTC))
BIG = secrets.token_bytes(1_000_000)
NAME = "CS_999_CST_CSF_20260302_00000001.DAT"


class Now:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture(autouse=True)
def logs_of_every_level() -> Iterator[None]:
    """Whatever a test before this one has set up; and nothing is left behind."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers.clear()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    with (
        openssh(tmp_path_factory.mktemp("sshd")) as ssh,
        ftps(tmp_path_factory.mktemp("ftpd")) as ftp,
        SERVERS["folder"](tmp_path_factory.mktemp("share")) as share,
    ):
        yield {"sftp": ssh, "ftps": ftp, "folder": share}


@pytest.fixture(params=["sftp", "ftps", "folder"])
def server(request: pytest.FixtureRequest, servers: dict[str, Server]) -> Server:
    return servers[request.param]


@pytest.fixture
def ssh(servers: dict[str, Server]) -> Server:
    return servers["sftp"]


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def vpd() -> str:
    """A trust of this test alone, whose remote folders are named like it."""
    return secrets.token_hex(6)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return tmp_path / "files"


Open = Callable[..., AsyncEngine]


@pytest.fixture
async def engine_of(module_database: str, passwords: Mapping[str, str]) -> AsyncIterator[Open]:
    """The engine of a service, with its own login; ``""`` is the administrator's."""
    opened: list[AsyncEngine] = []

    def engine(service: str, pool: int = 5) -> AsyncEngine:
        url = as_role(module_database, service, passwords[service]) if service else module_database
        opened.append(make_engine(url, name="test", pool=pool))
        return opened[-1]

    yield engine
    for one in opened:
        await one.dispose()


def config(connections: Mapping[str, Connection], folder: str = "esr") -> BridgeConfig:
    """Trusts with these connections. A test's trusts have names no trust may have, so that no two tests meet."""
    trusts = []
    for vpd, connection in connections.items():
        trust = TrustConfig(vpd="999").model_copy(update={"vpd": vpd})
        update = {"esr": connection} if folder == "esr" else {"lms": LmsSettings(connection=connection)}
        trusts.append(trust.model_copy(update=update))
    return BridgeConfig(trusts=(TrustConfig(vpd="998"),)).model_copy(update={"trusts": tuple(trusts)})


def work(service: str, engine: AsyncEngine) -> Work:
    return Work(service, engine, MemoryBroker(), CLOCK)


Collect = Callable[..., Collector]
Deliver = Callable[..., Deliverer]


@pytest.fixture
def collector(engine_of: Open, files: Path, vpd: str, now: Now) -> Collect:
    def make(connection: Connection, *, settle: float = 0, folder: str = "esr", **others: Connection) -> Collector:
        said = config({vpd: connection} | others, folder)
        return Collector(work("ingest", engine_of("ingest")), said, files, settle, Pace(clock=now))

    return make


@pytest.fixture
def deliverer(engine_of: Open, files: Path, vpd: str, now: Now) -> Deliver:
    def make(connection: Connection, *, folder: str = "esr", **others: Connection) -> Deliverer:
        said = config({vpd: connection} | others, folder)
        return Deliverer(work("outbound", engine_of("outbound")), said, files, Pace(clock=now))

    return make


async def all_of(job: Collector | Deliverer) -> None:
    """Run a job as the one-shot mode does: until it has nothing to do."""
    while await job.run():
        pass


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def carried(job: str, vpd: str) -> float | None:
    labels = {"job": job, "vpd": vpd, "folder": "esr"}
    return REGISTRY.get_sample_value("esrbridge_connection_files_total", labels)


def put(folder: Path, **contents: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / f"{name}.DAT").write_bytes(content)


# --- collecting -------------------------------------------------------------------------------------------------


async def test_files_come_in_whole_with_their_times_and_stay_on_the_server(
    server: Server, vpd: str, files: Path, collector: Collect
) -> None:
    connection = server.connection(vpd)
    put(server.root / vpd / "Out", A=b"", B=BIG)
    (server.root / vpd / "Out" / "c.dat").write_bytes(b"3")
    (server.root / vpd / "Out" / "notes.txt").write_bytes(b"4")
    os.utime(server.root / vpd / "Out" / "B.DAT", (1_700_000_000, 1_700_000_000))

    await all_of(collector(connection))

    here = files / vpd / "from-esr"
    assert names(here) == ["A.DAT", "B.DAT", "c.dat"]
    assert (here / "B.DAT").read_bytes() == BIG
    assert (here / "B.DAT").stat().st_mtime == 1_700_000_000
    assert names(server.root / vpd / "Out") == ["A.DAT", "B.DAT", "c.dat", "notes.txt"]


async def test_a_file_comes_in_once_however_often_we_look_and_start(
    server: Server, vpd: str, files: Path, collector: Collect, now: Now
) -> None:
    connection = server.connection(vpd)
    put(server.root / vpd / "Out", A=b"1")
    first = collector(connection)
    await all_of(first)
    (files / vpd / "from-esr" / "A.DAT").unlink()
    for _ in range(3):
        now.seconds += 60
        assert await first.run() in (0, 1)
        await all_of(first)
    await all_of(collector(connection))
    assert names(files / vpd / "from-esr") == []


async def test_a_name_that_comes_again_with_other_content_is_fetched_again(
    server: Server, vpd: str, files: Path, collector: Collect
) -> None:
    connection = server.connection(vpd)
    for content, mtime in ((b"first", 1_000_000_000), (b"second", 1_000_000_000), (b"SECOND", 1_000_000_060)):
        put(server.root / vpd / "Out", A=content)
        os.utime(server.root / vpd / "Out" / "A.DAT", (mtime, mtime))
        await all_of(collector(connection))
        assert (files / vpd / "from-esr" / "A.DAT").read_bytes() == content


async def test_thousands_of_old_names_cost_no_more_queries_than_one(
    servers: dict[str, Server], vpd: str, engine_of: Open, files: Path, now: Now
) -> None:
    connection = servers["folder"].connection(vpd)
    engine = engine_of("ingest")
    job = Collector(work("ingest", engine), config({vpd: connection}), files, 0, Pace(clock=now))
    out = servers["folder"].root / vpd / "Out"
    statements: list[str] = []
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *said: statements.append(said[2]))

    async def cost() -> int:
        now.seconds += 60
        statements.clear()
        await all_of(job)
        return len(statements)

    put(out, A=b"")
    for_a_new_one = await cost()
    for_an_old_one = await cost()
    put(out, **{f"{number:05d}": b"" for number in range(3_000)})
    old = {"vpd": vpd, "folder": f"esr:{vpd}/Out", "size": 0, "sha256": "", "collected_at": CLOCK.now()}
    rows = [old | {"name": path.name, "mtime_ns": path.stat().st_mtime_ns} for path in out.glob("0*")]
    async with engine.begin() as connected:
        await connected.execute(insert(COLLECTED), rows)
    assert await cost() == for_an_old_one < for_a_new_one
    assert names(files / vpd / "from-esr") == ["A.DAT"]


async def test_a_file_that_still_grows_is_left_until_it_has_stood_still(
    server: Server, vpd: str, files: Path, collector: Collect, now: Now
) -> None:
    connection = server.connection(vpd)
    job = collector(connection, settle=10)
    for content in (b"1", b"12", b"123"):
        put(server.root / vpd / "Out", A=content)
        await all_of(job)
        now.seconds += 10
    assert names(files / vpd / "from-esr") == []
    await all_of(job)
    now.seconds += 10
    await all_of(job)
    assert (files / vpd / "from-esr" / "A.DAT").read_bytes() == b"123"


async def test_two_looks_at_a_file_are_apart_by_the_time_it_must_stand_still(
    ssh: Server, vpd: str, files: Path, collector: Collect, now: Now
) -> None:
    job = collector(ssh.connection(vpd), settle=10)
    put(ssh.root / vpd / "Out", A=b"1")
    await all_of(job)
    now.seconds += 9
    await all_of(job)
    assert names(files / vpd / "from-esr") == []
    now.seconds += 1
    await all_of(job)
    assert names(files / vpd / "from-esr") == ["A.DAT"]


@pytest.mark.parametrize("change", [b"more", b""], ids=["grows", "is begun anew"])
async def test_a_file_that_changes_while_it_is_fetched_is_not_taken(
    ssh: Server, vpd: str, files: Path, collector: Collect, now: Now, change: bytes
) -> None:
    there = ssh.root / vpd / "Out" / "A.DAT"
    ssh.connection(vpd)
    there.write_bytes(BIG)
    os.utime(there, (1_000_000_000, 1_000_000_000))

    def touch() -> None:
        if change:
            with there.open("ab") as file:
                file.write(change)
        else:
            there.write_bytes(BIG[::-1])

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with Cable((port, ssh.port), at=(500_000, touch)):
        job = collector(ssh.connection(vpd, port=port))
        await all_of(job)
        assert names(files / vpd / "from-esr") == []
        now.seconds += 60
        await all_of(job)
    assert (files / vpd / "from-esr" / "A.DAT").read_bytes() == there.read_bytes()


async def test_a_connection_that_is_cut_leaves_no_half_file_and_the_next_attempt_brings_it_whole(
    ssh: Server, vpd: str, files: Path, collector: Collect, now: Now
) -> None:
    put(ssh.root / vpd / "Out", A=BIG, B=BIG)
    here = files / vpd / "from-esr"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    job = collector(ssh.connection(vpd, port=port))
    for cut_after in (100, 2_000, 6_000, 300_000, 900_000, 1_500_000):
        async with Cable((port, ssh.port), cut_after=cut_after):
            await all_of(job)
        assert job.waiting == {f"{vpd}/esr": "TRANSPORT_UNAVAILABLE"}
        assert all(path.name.startswith(".") or path.read_bytes() == BIG for path in here.glob("*"))
        now.seconds += 300
    async with Cable((port, ssh.port)):
        await all_of(job)
    assert job.waiting == {}
    assert names(here) == ["A.DAT", "B.DAT"]
    assert [(here / name).read_bytes() == BIG for name in names(here)] == [True, True]


async def test_files_of_which_ftp_brought_a_part_are_neither_taken_nor_left_there(
    vpd: str, tmp_path: Path, files: Path, collector: Collect, deliverer: Deliver, now: Now
) -> None:
    """Only the data connection is cut, and in FTP its end is the end of a file."""
    port, *free = free_ports(17)
    passive = list(zip(free[:8], free[8:], strict=True))
    data = [(announced, accepted) for accepted, announced in passive]
    put(files / vpd / "to-esr", B=BIG)
    with ftps(tmp_path / "ftpd", passive=passive) as server:
        connection = server.connection(port=port, timeout_seconds=5)
        put(server.root / "Out", A=BIG)
        coming, going = collector(connection), deliverer(connection)
        async with Cable((port, server.port)):
            for job in (coming, going):
                async with Cable(*data, cut_after=700_000):
                    await all_of(job)
                assert job.waiting == {f"{vpd}/esr": "TRANSPORT_UNAVAILABLE"}
            assert names(files / vpd / "from-esr") + names(server.root / "In") == []
            now.seconds += 5
            async with Cable(*data):
                for job in (coming, going):
                    await all_of(job)
                    assert job.waiting == {}
        assert (files / vpd / "from-esr" / "A.DAT").read_bytes() == BIG
        assert (server.root / "In" / "B.DAT").read_bytes() == BIG


async def test_a_file_that_comes_back_short_to_be_compared_is_no_conflict(
    odd: Server, vpd: str, files: Path, deliverer: Deliver
) -> None:
    put(files / vpd / "to-esr", short=b"123456789")
    put(odd.root, short=b"1234")  # told to be five bytes longer than it is
    job = deliverer(Connection.model_validate(odd.settings))
    await all_of(job)
    assert job.waiting == {f"{vpd}/esr": "TRANSPORT_UNAVAILABLE"}


async def test_a_full_disk_here_leaves_nothing_half_and_is_told_as_ours(
    server: Server, vpd: str, tmp_path: Path, files: Path, collector: Collect, now: Now
) -> None:
    connection = server.connection(vpd)
    put(server.root / vpd / "Out", A=BIG)
    job = collector(connection)
    with small_disk(files, 300_000):
        await all_of(job)
        assert job.waiting == {f"{vpd}/esr": "STORAGE_UNAVAILABLE"}
        assert names(files / vpd / "from-esr") == []
    now.seconds += 5
    await all_of(job)
    assert (files / vpd / "from-esr" / "A.DAT").read_bytes() == BIG


async def test_what_a_killed_process_left_half_is_cleared_away(
    ssh: Server, vpd: str, files: Path, collector: Collect
) -> None:
    here = files / vpd / "from-esr"
    here.mkdir(parents=True)
    (here / ".collecting.gone.DAT.part").write_bytes(b"half")
    (here / ".someone-elses.part").write_bytes(b"half")
    await all_of(collector(ssh.connection(vpd)))
    assert names(here) == [".someone-elses.part"]


async def test_a_file_is_removed_from_the_server_only_once_it_is_stored_and_noted(
    server: Server, vpd: str, files: Path, collector: Collect
) -> None:
    connection = server.connection(vpd, remove=True)
    put(server.root / vpd / "Out", A=b"1")
    (server.root / vpd / "Out" / "notes.txt").write_bytes(b"2")
    with small_disk(files, 4096):
        (files / "filler").write_bytes(b"x" * 4096)
        await all_of(collector(connection))
    assert names(server.root / vpd / "Out") == ["A.DAT", "notes.txt"]
    await all_of(collector(connection))
    assert names(server.root / vpd / "Out") == ["notes.txt"]
    assert names(files / vpd / "from-esr") == ["A.DAT"]


async def test_what_was_noted_and_not_removed_before_the_end_is_removed_later(
    server: Server, vpd: str, collector: Collect
) -> None:
    put(server.root / vpd / "Out", A=b"1")
    await all_of(collector(server.connection(vpd)))
    await all_of(collector(server.connection(vpd, remove=True)))
    assert names(server.root / vpd / "Out") == []


@asynccontextmanager
async def without(admin: AsyncEngine, right: str, role: str) -> AsyncIterator[None]:
    """Take a right away for a while: a real way to fail at one statement, as a kill at that moment would."""
    async with admin.begin() as connection:
        await connection.execute(text(f"REVOKE {right} FROM {role}"))
    try:
        yield
    finally:
        async with admin.begin() as connection:
            await connection.execute(text(f"GRANT {right} TO {role}"))


async def test_a_process_that_ends_before_it_could_note_a_file_brings_it_again_as_the_same(
    ssh: Server, vpd: str, files: Path, collector: Collect, engine_of: Open
) -> None:
    connection = ssh.connection(vpd)
    put(ssh.root / vpd / "Out", A=b"1")
    async with without(engine_of(""), "INSERT ON ingest.collected", "esrbridge_ingest"):
        with pytest.raises(Exception, match="permission denied"):
            await all_of(collector(connection))
    first = (files / vpd / "from-esr" / "A.DAT").stat()
    await all_of(collector(connection))
    second = (files / vpd / "from-esr" / "A.DAT").stat()
    assert (first.st_size, first.st_mtime_ns) == (second.st_size, second.st_mtime_ns)  # the door sees no new arrival
    assert first.st_ino != second.st_ino


async def test_replicas_leave_a_connection_to_whoever_is_at_work_on_it(
    ssh: Server, vpd: str, files: Path, collector: Collect, engine_of: Open
) -> None:
    put(ssh.root / vpd / "Out", **{f"{number:03d}": b"x" for number in range(20)})
    replicas = [collector(ssh.connection(vpd)) for _ in range(3)]
    await asyncio.gather(*map(all_of, replicas))
    assert len(names(files / vpd / "from-esr")) == 20
    assert carried("collect", vpd) == 20
    assert [job.waiting for job in replicas] == [{}, {}, {}]
    inodes = {path.stat().st_ino for path in (files / vpd / "from-esr").iterdir()}
    await asyncio.gather(*map(all_of, [collector(ssh.connection(vpd)) for _ in range(3)]))
    assert {path.stat().st_ino for path in (files / vpd / "from-esr").iterdir()} == inodes
    async with engine_of("").connect() as connection:
        noted = await connection.scalars(select(COLLECTED.c.name).where(COLLECTED.c.vpd == vpd))
        assert len(noted.all()) == 20


async def test_completion_files_are_collected_for_the_lms(
    server: Server, vpd: str, files: Path, collector: Collect
) -> None:
    connection = server.connection(vpd)
    (server.root / vpd / "Out" / "completions.CSV").write_bytes(b"reference\n")
    put(server.root / vpd / "Out", A=b"1")
    await all_of(collector(connection, folder="lms"))
    assert names(files / vpd / "from-lms") == ["completions.CSV"]


class Odd(asyncssh.SFTPServer):
    """An SFTP server that does odd things, and with files of certain names odder ones."""

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        attrs = asyncssh.SFTPAttrs(type=asyncssh.FILEXFER_TYPE_REGULAR, size=1, mtime=1, atime=1, permissions=0o100644)
        for name in (b"../escaped.DAT", b"/tmp/escaped.DAT", b"..", b"a/b.DAT", b"\xff.DAT", b"gone.DAT"):
            yield asyncssh.SFTPName(name, attrs=attrs)
        async for found in super().scandir(path):
            found.attrs = told(found.filename, found.attrs)
            if b"stale" in os.fsencode(found.filename):
                found.attrs.mtime = found.attrs.atime = 1  # as it was a moment ago
            yield found

    def lstat(self, path: bytes) -> asyncssh.SFTPAttrs:
        there = super().lstat(path)
        assert isinstance(there, os.stat_result)
        return told(path, asyncssh.SFTPAttrs.from_local(there))

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        if b"closed" in path or (b"secret" in path and pflags & asyncssh.FXF_READ):
            raise asyncssh.SFTPPermissionDenied("no")
        return super().open(path, pflags, attrs)

    def write(self, file_obj: object, offset: int, data: bytes) -> int:
        kept = data[:3] if b"lossy" in os.fsencode(getattr(file_obj, "name", "")) else data
        super().write(file_obj, offset, kept)
        return len(data)

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        super().rename(oldpath, newpath)
        if b"crumbling" in newpath:
            os.truncate(self.map_path(newpath), 1)


def told(path: bytes | str, attrs: asyncssh.SFTPAttrs) -> asyncssh.SFTPAttrs:
    if b"short" in os.fsencode(path) and attrs.size:
        attrs.size += 5
    return attrs


class Anybody(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return False


@pytest.fixture
async def odd(tmp_path: Path) -> AsyncIterator[Server]:
    """Such a server. What it serves lies in ``root``, and that is the folder for both directions."""
    folder = tmp_path / "odd"
    put(folder / "root")
    settings = {"transport": "sftp", "host": "127.0.0.1", "user": "anybody", "key_file": folder / "host"}
    settings |= {"collect_from": "/", "deliver_to": "/", "host_key": make_key(folder / "host")}

    def serve(channel: Any) -> asyncssh.SFTPServer:
        return Odd(channel, chroot=os.fsencode(folder / "root"))

    server = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=Anybody, server_host_keys=[folder / "host"], sftp_factory=serve
    )
    async with server:
        yield Server(folder / "root", server.get_port(), settings | {"port": server.get_port()})


async def test_a_hostile_server_can_put_nothing_outside_its_folder_and_the_rest_still_comes(
    odd: Server, vpd: str, tmp_path: Path, files: Path, collector: Collect
) -> None:
    put(odd.root, B=b"x")
    job = collector(Connection.model_validate(odd.settings))
    await all_of(job)
    assert names(files / vpd / "from-esr") == ["B.DAT"]
    assert names(files / vpd) == ["from-esr"]
    assert "escaped.DAT" not in names(tmp_path) + names(files) + names(Path("/tmp"))
    assert job.waiting == {}  # "gone.DAT" was listed and is not there: somebody else has it


async def test_a_file_that_ends_before_its_listed_size_is_not_taken(
    odd: Server, vpd: str, files: Path, collector: Collect
) -> None:
    put(odd.root, short=b"x")
    job = collector(Connection.model_validate(odd.settings))
    await all_of(job)
    assert names(files / vpd / "from-esr") == []
    assert job.waiting == {f"{vpd}/esr": "TRANSPORT_UNAVAILABLE"}


async def test_a_file_that_is_closed_to_us_keeps_no_other_back(
    odd: Server, vpd: str, files: Path, collector: Collect
) -> None:
    put(odd.root, a_closed=b"x", b=b"x")
    job = collector(Connection.model_validate(odd.settings))
    await all_of(job)
    assert names(files / vpd / "from-esr") == ["b.DAT"]
    assert job.waiting == {f"{vpd}/esr": "TRANSPORT_FOLDER"}


async def test_a_file_that_became_another_since_it_was_listed_is_not_removed(
    odd: Server, vpd: str, files: Path, collector: Collect
) -> None:
    for name in ("stale", "other"):
        put(odd.root, **{name: b"1"})
        os.utime(odd.root / f"{name}.DAT", (1, 1))
    await all_of(collector(Connection.model_validate(odd.settings)))
    assert names(files / vpd / "from-esr") == ["other.DAT", "stale.DAT"]
    put(odd.root, stale=b"2")
    await all_of(collector(Connection.model_validate(odd.settings | {"remove": True})))
    assert names(odd.root) == ["stale.DAT"]


@pytest.mark.parametrize("name", ["lossy", "crumbling"])
async def test_a_server_that_loses_the_end_of_a_file_is_noticed(
    odd: Server, vpd: str, files: Path, deliverer: Deliver, engine_of: Open, name: str
) -> None:
    put(files / vpd / "to-esr", **{name: b"whole file"})
    job = deliverer(Connection.model_validate(odd.settings))
    await all_of(job)
    assert job.waiting == {f"{vpd}/esr": "TRANSPORT_UNAVAILABLE"}
    assert names(odd.root) == ([] if name == "lossy" else ["crumbling.DAT"])
    async with engine_of("").connect() as connection:
        assert not (await connection.scalars(select(DELIVERED.c.name).where(DELIVERED.c.vpd == vpd))).all()


async def test_where_we_may_write_and_not_read_a_file_that_arrived_is_recognised_by_its_size(
    odd: Server, vpd: str, files: Path, deliverer: Deliver
) -> None:
    put(files / vpd / "to-esr", secret1=b"123", secret2=b"123")
    put(odd.root, secret1=b"123", secret2=b"1234")
    job = deliverer(Connection.model_validate(odd.settings))
    await all_of(job)
    assert job.waiting == {f"{vpd}/esr": "TRANSPORT_CONFLICT"}
    assert (odd.root / "secret2.DAT").read_bytes() == b"1234"
    (odd.root / "secret2.DAT").unlink()
    again = deliverer(Connection.model_validate(odd.settings))
    await all_of(again)
    assert (odd.root / "secret2.DAT").read_bytes() == b"123"
    assert again.waiting == {}


async def test_a_dead_server_delays_no_other_trust(
    ssh: Server, vpd: str, files: Path, collector: Collect, now: Now
) -> None:
    put(ssh.root / vpd / "Out", A=b"1")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        dead = ssh.connection(f"{vpd}-dead", port=silent.getsockname()[1], timeout_seconds=3)
        job = collector(ssh.connection(vpd, every_seconds=1), dead=dead)
        begin = time.monotonic()
        while names(files / vpd / "from-esr") != ["A.DAT"]:
            await job.run()
        put(ssh.root / vpd / "Out", B=b"1")
        now.seconds += 1
        while len(names(files / vpd / "from-esr")) < 2:
            await job.run()
        assert time.monotonic() - begin < 2.5
        await all_of(job)
    assert job.waiting == {"dead/esr": "TRANSPORT_UNAVAILABLE"}


async def test_a_refused_login_waits_a_quarter_of_an_hour_and_neither_password_nor_names_are_logged(
    servers: dict[str, Server], vpd: str, tmp_path: Path, collector: Collect, now: Now
) -> None:
    ftp = servers["ftps"]
    (tmp_path / "password").write_text("wrong-canary-password")
    connection = ftp.connection(vpd, password_file=tmp_path / "password")
    (ftp.root / vpd / "Out" / "Jane Canary.DAT").write_bytes(b"x")
    job = collector(connection)
    with capture_logs() as logs:
        await all_of(job)
        assert job.waiting == {f"{vpd}/esr": "TRANSPORT_REFUSED"}
        (tmp_path / "password").write_text(PASSWORD)
        now.seconds += 899
        await all_of(job)
        assert job.waiting == {f"{vpd}/esr": "TRANSPORT_REFUSED"}
        now.seconds += 1
        await all_of(job)
    assert job.waiting == {}
    assert [entry["event"] for entry in logs] == ["connection waits", "files collected", "connection is back"]
    assert "anary" not in repr(logs)


async def test_a_missing_folder_is_told_and_found_once_it_is_there(
    server: Server, vpd: str, files: Path, collector: Collect, now: Now
) -> None:
    job = collector(server.connection(vpd, collect_from=f"{vpd}/Later"))
    await all_of(job)
    assert job.waiting == {f"{vpd}/esr": "TRANSPORT_FOLDER"}
    put(server.root / vpd / "Later", A=b"1")
    now.seconds += 5
    await all_of(job)
    assert job.waiting == {}
    assert names(files / vpd / "from-esr") == ["A.DAT"]


# --- delivering -------------------------------------------------------------------------------------------------


async def test_a_file_is_delivered_once_under_its_own_name_and_stays_here(
    server: Server, vpd: str, files: Path, deliverer: Deliver
) -> None:
    connection = server.connection(vpd)
    here, there = files / vpd / "to-esr", server.root / vpd / "In"
    put(here, A=BIG, B=b"")
    (here / ".C.DAT.part").write_bytes(b"half")
    first = deliverer(connection)
    await all_of(first)
    assert names(there) == ["A.DAT", "B.DAT"]
    assert (there / "A.DAT").read_bytes() == BIG
    assert names(here) == [".C.DAT.part", "A.DAT", "B.DAT"]
    (there / "A.DAT").unlink()  # collected
    await all_of(first)
    await all_of(deliverer(connection))
    assert names(there) == ["B.DAT"]


async def test_a_file_that_appears_while_we_run_is_delivered_at_the_next_look(
    ssh: Server, vpd: str, files: Path, deliverer: Deliver
) -> None:
    job = deliverer(ssh.connection(vpd))
    assert await job.run() == 0
    put(files / vpd / "to-esr", A=b"1")
    await all_of(job)
    put(files / vpd / "to-esr", B=b"2")
    await all_of(job)
    assert names(ssh.root / vpd / "In") == ["A.DAT", "B.DAT"]


async def test_a_folder_is_read_again_only_when_a_name_came_into_it(
    ssh: Server, vpd: str, files: Path, deliverer: Deliver
) -> None:
    folder = files / vpd / "to-esr"
    put(folder, A=b"first")
    job = deliverer(ssh.connection(vpd))
    await all_of(job)
    os.utime(folder, (1_000_000_000, 1_000_000_000))
    await all_of(job)
    (folder / "A.DAT").write_bytes(b"other")  # in place: nobody may, and it would be a conflict
    await all_of(job)
    assert job.waiting == {}
    put(folder, B=b"new")
    await all_of(job)
    assert job.waiting == {f"{vpd}/esr": "TRANSPORT_CONFLICT"}
    assert names(ssh.root / vpd / "In") == ["A.DAT", "B.DAT"]


async def test_a_name_that_comes_within_the_same_tick_of_the_clock_is_seen(
    ssh: Server, vpd: str, files: Path, deliverer: Deliver
) -> None:
    folder = files / vpd / "to-esr"
    put(folder, A=b"1", B=b"2")
    job = deliverer(ssh.connection(vpd))
    await all_of(job)
    await all_of(job)
    tick = folder.stat().st_mtime_ns
    (folder / "B.DAT").rename(folder / "C.DAT")
    os.utime(folder, ns=(tick, tick))
    await all_of(job)
    assert names(ssh.root / vpd / "In") == ["A.DAT", "B.DAT", "C.DAT"]


async def test_a_file_that_a_replica_delivered_while_we_were_connecting_is_not_sent_again(
    ssh: Server, vpd: str, files: Path, deliverer: Deliver
) -> None:
    put(files / vpd / "to-esr", A=b"1")
    there = ssh.root / vpd / "In"
    replica = deliverer(ssh.connection(vpd))

    async def overtake() -> None:
        await all_of(replica)
        (there / "A.DAT").unlink()  # and the receiver has taken it away

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with Cable((port, ssh.port), at=(1_000, overtake)):
        job = deliverer(ssh.connection(vpd, port=port))
        await all_of(job)
    assert job.waiting == {}
    assert names(there) == []
    assert carried("deliver", vpd) == 1


async def test_many_connections_at_once_do_not_wait_for_each_others_database(
    ssh: Server, vpd: str, files: Path, engine_of: Open, now: Now
) -> None:
    several = {f"{vpd}-{number}": ssh.connection(f"{vpd}-{number}") for number in range(12)}
    for one in several:
        put(ssh.root / one / "Out", A=b"1")
        put(files / one / "to-esr", B=b"1")
    for service, make in (("ingest", Collector), ("outbound", Deliverer)):
        more = {"settle_seconds": 0} if make is Collector else {}
        job = make(work(service, engine_of(service, pool=3)), config(several), files, **more, pace=Pace(clock=now))
        await asyncio.wait_for(all_of(job), 30)
        assert job.waiting == {}
    assert [names(files / one / "from-esr") + names(ssh.root / one / "In") for one in several] == [
        ["A.DAT", "B.DAT"]
    ] * 12


async def test_with_nothing_new_nobody_is_called(vpd: str, tmp_path: Path, files: Path, deliverer: Deliver) -> None:
    with openssh(tmp_path / "sshd") as server:
        connection = server.connection()
        put(files / vpd / "to-esr", A=b"1")
        await all_of(deliverer(connection))
        server.kill()
        job = deliverer(connection)
        await all_of(job)
        assert job.waiting == {}
        put(files / vpd / "to-esr", B=b"1")
        await all_of(job)
        assert job.waiting == {f"{vpd}/esr": "TRANSPORT_UNAVAILABLE"}


async def test_another_file_of_a_delivered_name_is_not_written_over_the_first(
    server: Server, vpd: str, files: Path, deliverer: Deliver
) -> None:
    connection = server.connection(vpd)
    put(files / vpd / "to-esr", A=b"first")
    await all_of(deliverer(connection))
    put(files / vpd / "to-esr", A=b"other", B=b"new")
    job = deliverer(connection)
    await all_of(job)
    assert job.waiting == {f"{vpd}/esr": "TRANSPORT_CONFLICT"}
    assert (server.root / vpd / "In" / "A.DAT").read_bytes() == b"first"
    assert (server.root / vpd / "In" / "B.DAT").read_bytes() == b"new"
    assert names(server.root / vpd / "In") == ["A.DAT", "B.DAT"]


async def test_a_file_that_arrived_before_it_could_be_noted_is_recognised_and_not_sent_again(
    server: Server, vpd: str, files: Path, deliverer: Deliver, engine_of: Open
) -> None:
    connection = server.connection(vpd)
    put(files / vpd / "to-esr", A=BIG)
    async with without(engine_of(""), "INSERT ON outbound.delivered", "esrbridge_outbound"):
        with pytest.raises(Exception, match="permission denied"):
            await all_of(deliverer(connection))
    first = (server.root / vpd / "In" / "A.DAT").stat()
    job = deliverer(connection)
    await all_of(job)
    assert (server.root / vpd / "In" / "A.DAT").stat() == first or job.waiting == {}
    assert (server.root / vpd / "In" / "A.DAT").stat().st_ino == first.st_ino
    async with engine_of("").connect() as connected:
        [noted] = (await connected.execute(select(DELIVERED).where(DELIVERED.c.vpd == vpd))).all()
    assert (noted.name, noted.size, noted.folder) == ("A.DAT", len(BIG), f"esr:{vpd}/In")


async def test_what_was_left_half_under_its_temporary_name_is_written_over(
    server: Server, vpd: str, files: Path, deliverer: Deliver
) -> None:
    connection = server.connection(vpd)
    (server.root / vpd / "In" / ".A.DAT.part").write_bytes(BIG + b"too long")
    put(files / vpd / "to-esr", A=BIG)
    await all_of(deliverer(connection))
    assert names(server.root / vpd / "In") == ["A.DAT"]
    assert (server.root / vpd / "In" / "A.DAT").read_bytes() == BIG


async def test_a_connection_that_is_cut_delivers_no_half_file_and_the_next_attempt_delivers_it_once(
    ssh: Server, vpd: str, files: Path, deliverer: Deliver, now: Now
) -> None:
    put(files / vpd / "to-esr", A=BIG)
    there = ssh.root / vpd / "In"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    job = deliverer(ssh.connection(vpd, port=port))
    for cut_after in (100, 3_000, 6_000, 300_000, 900_000):
        async with Cable((port, ssh.port), cut_after=cut_after):
            await all_of(job)
        assert job.waiting == {f"{vpd}/esr": "TRANSPORT_UNAVAILABLE"}
        assert not (there / "A.DAT").exists()
        now.seconds += 300
    async with Cable((port, ssh.port)):
        await all_of(job)
    assert (job.waiting, names(there)) == ({}, ["A.DAT"])
    assert (there / "A.DAT").read_bytes() == BIG


@pytest.mark.parametrize("kind", ["sftp", "ftps", "folder"])
async def test_a_full_disk_on_the_other_side_is_waited_for_and_not_left_full(
    kind: str, vpd: str, tmp_path: Path, files: Path, deliverer: Deliver, now: Now
) -> None:
    put(files / vpd / "to-esr", A=BIG)
    with (
        small_disk(tmp_path / "disk", 300_000) as disk,
        SERVERS[kind](tmp_path / "server", root=disk / "root") as server,
    ):
        job = deliverer(server.connection())
        await all_of(job)
        assert job.waiting == {f"{vpd}/esr": "TRANSPORT_UNAVAILABLE"}
        assert names(server.root / "In") == []


async def test_whoever_collects_a_file_the_moment_it_arrives_gets_it_once(
    ssh: Server, vpd: str, files: Path, deliverer: Deliver
) -> None:
    put(files / vpd / "to-esr", **{f"{number:03d}": b"x" for number in range(30)})
    there = ssh.root / vpd / "In"
    job = deliverer(ssh.connection(vpd))
    collected: list[str] = []

    async def collect() -> None:
        while len(collected) < 30:
            for path in there.glob("*.DAT"):
                path.unlink()
                collected.append(path.name)
            await asyncio.sleep(0)

    collecting = asyncio.create_task(collect())
    await all_of(job)
    await asyncio.wait_for(collecting, 10)
    await all_of(deliverer(ssh.connection(vpd)))
    assert sorted(collected) == [f"{number:03d}.DAT" for number in range(30)]
    assert names(there) == []


async def test_a_file_here_that_cannot_be_read_keeps_no_other_back(
    ssh: Server, vpd: str, files: Path, deliverer: Deliver
) -> None:
    put(files / vpd / "to-esr", B=b"1")
    (files / vpd / "to-esr" / "A.DAT").symlink_to("/proc/self/mem")  # its first byte cannot be read
    job = deliverer(ssh.connection(vpd))
    await all_of(job)
    assert job.waiting == {f"{vpd}/esr": "STORAGE_UNAVAILABLE"}
    assert names(ssh.root / vpd / "In") == ["B.DAT"]


async def test_a_missing_folder_on_the_other_side_is_told_and_filled_once_it_is_there(
    server: Server, vpd: str, files: Path, deliverer: Deliver, now: Now
) -> None:
    put(files / vpd / "to-esr", A=b"1")
    job = deliverer(server.connection(vpd, deliver_to=f"{vpd}/Later"))
    await all_of(job)
    assert job.waiting == {f"{vpd}/esr": "TRANSPORT_FOLDER"}
    (server.root / vpd / "Later").mkdir()
    now.seconds += 5
    await all_of(job)
    assert names(server.root / vpd / "Later") == ["A.DAT"]


async def test_a_file_that_changes_here_while_it_is_delivered_does_not_arrive_mixed(
    ssh: Server, vpd: str, files: Path, deliverer: Deliver, now: Now
) -> None:
    put(files / vpd / "to-esr", A=BIG)
    here, there = files / vpd / "to-esr" / "A.DAT", ssh.root / vpd / "In"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with Cable((port, ssh.port), at=(300_000, lambda: here.write_bytes(BIG[::-1]))):
        job = deliverer(ssh.connection(vpd, port=port))
        await all_of(job)
        assert job.waiting == {f"{vpd}/esr": "STORAGE_UNAVAILABLE"}
        assert names(there) == []
        now.seconds += 5
        await all_of(job)
    assert (there / "A.DAT").read_bytes() == BIG[::-1]


async def test_replicas_deliver_each_file_once(
    ssh: Server, vpd: str, files: Path, deliverer: Deliver, engine_of: Open
) -> None:
    put(files / vpd / "to-esr", **{f"{number:03d}": b"x" for number in range(20)})
    await asyncio.gather(*[all_of(deliverer(ssh.connection(vpd))) for _ in range(3)])
    assert len(names(ssh.root / vpd / "In")) == 20
    assert carried("deliver", vpd) == 20
    async with engine_of("").connect() as connection:
        noted = await connection.scalars(select(DELIVERED.c.name).where(DELIVERED.c.vpd == vpd))
        assert len(noted.all()) == 20


async def test_files_for_the_lms_are_delivered_too(ssh: Server, vpd: str, files: Path, deliverer: Deliver) -> None:
    folder = files / vpd / "to-lms"
    folder.mkdir(parents=True)
    (folder / "suspend_999_20260303_0001.csv").write_bytes(b"idnumber\n")
    await all_of(deliverer(ssh.connection(vpd), folder="lms"))
    assert names(ssh.root / vpd / "In") == ["suspend_999_20260303_0001.csv"]


# --- the services -----------------------------------------------------------------------------------------------


def context(service: str, engine: AsyncEngine, said: BridgeConfig, files: Path) -> Context:
    broker = MemoryBroker()
    return Context(
        config=said,
        work=Work(service, engine, broker, CLOCK),
        broker=broker,
        clock=CLOCK,
        reader=Reader(engine, service),
        files=files,
        archive=files / "archive",
    )


def only(job: str, component: Component) -> Component:
    [chosen] = [one for one in component.jobs if one.name == job]
    return replace(component, consumers=(), jobs=(chosen,))


async def test_the_services_collect_and_deliver_by_themselves(ssh: Server, files: Path, engine_of: Open) -> None:
    vpd = "997"
    said = config({vpd: ssh.connection(vpd)})
    put(ssh.root / vpd / "Out", A=b"1")
    put(files / vpd / "to-esr", B=b"2")
    coming = ingest.build(context("ingest", engine_of("ingest"), said, files))
    going = outbound.build(context("outbound", engine_of("outbound"), said, files))
    assert [job.name for job in coming.jobs][:3] == [
        "collect",
        "moodle-completions",
        "door",
    ]  # what comes is taken at once

    def arrived() -> bool:
        return names(files / vpd / "from-esr") == ["A.DAT"] and names(ssh.root / vpd / "In") == ["B.DAT"]

    async with Loops(only("collect", coming), 0.05).running(), Loops(only("deliver", going), 0.05).running():
        assert await asyncio.to_thread(wait_until, arrived, 20)


SAMPLES = Path(__file__).parents[1] / "samples"

BRIDGE = """
trusts:
  - vpd: "999"
    esr: {{transport: sftp, host: 127.0.0.1, port: {port}, user: {user}, key_file: {key}, host_key: {host_key}}}
    mappings:
      - {{competence: "NHS|CSTF|Fire Safety - 2 Years|", certification: FIRE-2Y}}
"""

COMPLETION = """reference,user_idnumber,certification_idnumber,completed_at,expires_on,course_idnumber,method
C0000000001,999-9000001,FIRE-2Y,2026-03-03T14:22:10+00:00,2028-03-03,FIRE-EL-01,Course Attendance
"""


async def test_a_one_shot_run_collects_works_and_delivers_and_a_second_does_nothing(tmp_path: Path) -> None:
    once = tmp_path / "once"
    put(once / "999" / "from-lms")
    (once / "999" / "from-lms" / "completions.csv").write_text(COMPLETION)
    with openssh(tmp_path / "sshd") as server:
        server.connection()
        said = server.settings
        text = BRIDGE.format(port=said["port"], user=said["user"], key=said["key_file"], host_key=said["host_key"])
        (once / "bridge.yaml").write_text(text)
        for sample in SAMPLES.glob("*_CS[FC]_*"):
            (server.root / "Out" / sample.name).write_bytes(sample.read_bytes())
        reports = []
        for _ in range(2):
            reports.append(await run_once(once, datetime(2026, 3, 3, 18, tzinfo=UTC), Console(quiet=True), bars=False))
            delivered = [name for name in names(server.root / "In") if "_CMP_" in name]
            assert len(delivered) == 1
            assert names(server.root / "In") == names(once / "999" / "to-esr")
    files = [file for file in reports[1]["trusts"]["999"]["files"] if file["kind"] in ("CSF", "CSC")]
    assert [file["status"] for file in files] == ["complete", "complete"]
    assert [file["repeats"] for file in files] == [0, 0]


async def test_a_one_shot_run_whose_server_is_down_does_the_rest_and_tells(tmp_path: Path) -> None:
    once = tmp_path / "once"
    put(once / "999" / "from-esr")
    for sample in SAMPLES.glob("*_CSF_*"):
        (once / "999" / "from-esr" / sample.name).write_bytes(sample.read_bytes())
    with openssh(tmp_path / "sshd") as server:
        server.kill()
        said = server.settings
        text = BRIDGE.format(port=said["port"], user=said["user"], key=said["key_file"], host_key=said["host_key"])
        (once / "bridge.yaml").write_text(text)
        report = await run_once(once, datetime(2026, 3, 3, 18, tzinfo=UTC), Console(quiet=True), bars=False)
    assert (report["exit"], report["waiting_for"]) == (1, "TRANSPORT_UNAVAILABLE")
    assert [file["status"] for file in report["trusts"]["999"]["files"]] == ["complete"]


async def test_health_tells_which_connection_waits_and_the_service_is_ready_all_the_same(
    ssh: Server, tmp_path: Path, files: Path, engine_of: Open
) -> None:
    make_key(tmp_path / "stranger")
    said = config({"997": ssh.connection("997", key_file=tmp_path / "stranger")})
    built = context("ingest", engine_of("ingest"), said, files)
    loops = Loops(only("collect", ingest.build(built)), 0.05)
    app = FastAPI()
    app.include_router(health_routes("ingest", built, loops))
    async with (
        loops.running(),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client,
    ):
        assert await asyncio.to_thread(wait_until, lambda: bool(loops.waits), 20)
        ready = await client.get("/health/ready")
    assert (ready.status_code, ready.json()) == (200, {"waiting": {"collect 997/esr": "TRANSPORT_REFUSED"}})


def test_a_service_does_not_start_with_a_secret_file_that_cannot_be_read(
    ssh: Server, tmp_path: Path, files: Path, module_database: str
) -> None:
    said = config({"997": ssh.connection("997", key_file=tmp_path / "absent")})
    engine = make_engine(module_database, name="test")
    for service, build in (("ingest", ingest.build), ("outbound", outbound.build)):
        with pytest.raises(Exception, match="absent cannot be read"):
            build(context(service, engine, said, files))
