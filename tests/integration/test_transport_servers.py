"""Every way in and out, against a real server: OpenSSH, an FTPS server, a shared folder."""

import asyncio
import gc
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from esrbridge.local.processes import free_ports
from shared.errors import BridgeError, StorageUnavailableError, TransportFolderError, TransportUnavailableError
from shared.transport.names import wanted_by
from shared.transport.port import Entry, Session
from shared.transport.remote import make_remote
from shared.transport.settings import Connection
from tests.integration.faulty_network import Network
from tests.integration.transport_servers import PASSWORD, SERVERS, Cable, Server, ftps, openssh, small_disk

EVERYTHING = wanted_by("*")
BIG = secrets.token_bytes(3_000_000)


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


@pytest.fixture(params=["sftp", "ftps"])
def far(request: pytest.FixtureRequest, servers: dict[str, Server]) -> Server:
    """A server beyond a network."""
    return servers[request.param]


@pytest.fixture
def here(request: pytest.FixtureRequest) -> str:
    """Folders of this test alone."""
    return secrets.token_hex(4)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def fetch(connection: Connection, name: str) -> bytes:
    blocks: list[bytes] = []
    async with make_remote(connection).open() as session:
        await session.fetch(connection.collect_from, name, blocks.append)
    return b"".join(blocks)


async def deliver(connection: Connection, name: str, local: Path) -> None:
    async with make_remote(connection).open() as session:
        await session.put(connection.deliver_to, f".{name}.part", local)
        await session.rename(connection.deliver_to, f".{name}.part", name)


async def entries(connection: Connection) -> list[Entry]:
    async with make_remote(connection).open() as session:
        return await session.entries(connection.collect_from, EVERYTHING)


# --- what each way can do ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"\x00\xff\r\n\n\r", BIG], ids=["empty", "odd", "large"])
async def test_a_file_travels_in_both_directions_byte_for_byte(
    server: Server, here: str, tmp_path: Path, content: bytes
) -> None:
    connection = server.connection(here)
    (server.root / here / "Out" / "A.DAT").write_bytes(content)
    (tmp_path / "B.DAT").write_bytes(content)

    assert await fetch(connection, "A.DAT") == content
    await deliver(connection, "B.DAT", tmp_path / "B.DAT")

    assert (server.root / here / "In" / "B.DAT").read_bytes() == content
    assert names(server.root / here / "In") == ["B.DAT"]


async def test_a_listing_holds_name_size_and_time_of_plain_files_only(server: Server, here: str) -> None:
    connection = server.connection(here)
    out = server.root / here / "Out"
    (out / "A b.DAT").write_bytes(b"12345")
    os.utime(out / "A b.DAT", (1_700_000_000, 1_700_000_000))
    (out / "folder.DAT").mkdir()
    (out / ".hidden.DAT").write_bytes(b"x")
    (out / "half.DAT.part").write_bytes(b"x")
    assert await entries(connection) == [Entry("A b.DAT", 5, 1_700_000_000 * 10**9)]


@pytest.mark.parametrize("kind", ["sftp", "folder"])
async def test_a_link_is_not_followed_wherever_it_leads(kind: str, servers: dict[str, Server], here: str) -> None:
    connection = servers[kind].connection(here)
    (servers[kind].root / here / "Out" / "A.DAT").symlink_to("/etc/passwd")
    assert await entries(connection) == []
    async with make_remote(connection).open() as session:
        assert await session.find(connection.collect_from, "A.DAT") is None


async def test_a_name_that_is_not_utf_8_does_not_hide_the_others(server: Server, here: str) -> None:
    connection = server.connection(here)
    for name in (b"\xe9t\xe9.DAT", "Zoë.DAT".encode(), b"A.DAT"):
        (server.root / here / "Out" / os.fsdecode(name)).write_bytes(b"x")
    assert sorted(entry.name for entry in await entries(connection)) == ["A.DAT", "Zoë.DAT"]
    assert await fetch(connection, "Zoë.DAT") == b"x"


async def test_a_file_is_found_by_name_just_as_it_is_listed(server: Server, here: str) -> None:
    connection = server.connection(here)
    (server.root / here / "Out" / "A.DAT").write_bytes(b"123")
    (server.root / here / "Out" / "folder").mkdir()
    [listed] = await entries(connection)
    async with make_remote(connection).open() as session:
        assert await session.find(connection.collect_from, "A.DAT") == listed
        assert await session.find(connection.collect_from, "B.DAT") is None
        assert await session.find(connection.collect_from, "folder") is None


async def test_what_is_removed_is_gone_and_what_is_gone_may_be_removed(server: Server, here: str) -> None:
    connection = server.connection(here)
    (server.root / here / "Out" / "A.DAT").write_bytes(b"123")
    async with make_remote(connection).open() as session:
        await session.remove(connection.collect_from, "A.DAT")
        await session.remove(connection.collect_from, "A.DAT")
    assert await entries(connection) == []


async def test_ten_thousand_names_are_listed(server: Server, here: str) -> None:
    connection = server.connection(here)
    for number in range(10_000):
        (server.root / here / "Out" / f"{number:05d}.DAT").touch()
    assert len(await entries(connection)) == 10_000


async def test_a_missing_folder_is_told_by_its_name(server: Server, here: str, tmp_path: Path) -> None:
    gone = server.connection(here, collect_from="nowhere", deliver_to="nowhere")
    (tmp_path / "A.DAT").write_bytes(b"x")
    with pytest.raises(TransportFolderError, match="nowhere"):
        await entries(gone)
    with pytest.raises(TransportFolderError, match="nowhere"):
        await deliver(gone, "A.DAT", tmp_path / "A.DAT")
    with pytest.raises(TransportFolderError, match="nowhere"):
        await fetch(gone, "A.DAT")


async def test_a_file_that_is_gone_when_it_is_fetched_does_not_end_the_session(server: Server, here: str) -> None:
    connection = server.connection(here)
    (server.root / here / "Out" / "A.DAT").write_bytes(b"123")
    async with make_remote(connection).open() as session:
        with pytest.raises(TransportFolderError):
            await session.fetch(connection.collect_from, "B.DAT", lambda block: None)
        blocks: list[bytes] = []
        await session.fetch(connection.collect_from, "A.DAT", blocks.append)
    assert b"".join(blocks) == b"123"


async def test_a_local_file_that_cannot_be_read_is_not_the_servers_fault(
    server: Server, here: str, tmp_path: Path
) -> None:
    with pytest.raises(StorageUnavailableError):
        await deliver(server.connection(here), "A.DAT", tmp_path / "absent")


async def test_what_the_receiver_of_a_file_raises_comes_through(server: Server, here: str) -> None:
    connection = server.connection(here)
    (server.root / here / "Out" / "A.DAT").write_bytes(BIG)

    def full(block: bytes) -> None:
        raise StorageUnavailableError("full")

    with pytest.raises(StorageUnavailableError):
        async with make_remote(connection).open() as session:
            await session.fetch(connection.collect_from, "A.DAT", full)


# --- what goes wrong --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sftp", "ftps", "folder"])
async def test_a_full_disk_on_the_other_side_is_waited_for(kind: str, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(BIG)
    (tmp_path / "small").write_bytes(b"x")
    with (
        small_disk(tmp_path / "disk", 1_000_000) as disk,
        SERVERS[kind](tmp_path / "server", root=disk / "root") as server,
    ):
        connection = server.connection()
        with pytest.raises(TransportUnavailableError):
            await deliver(connection, "A.DAT", tmp_path / "big")
        assert not (server.root / "In" / "A.DAT").exists()
        await deliver(connection, "A.DAT", tmp_path / "small")  # the half file is written over
        assert (server.root / "In" / "A.DAT").read_bytes() == b"x"


async def test_a_server_that_is_down_is_waited_for(far: Server, here: str) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        closed = far.connection(here, port=nobody.getsockname()[1])
        with pytest.raises(TransportUnavailableError, match=r"127\.0\.0\.1"):
            await entries(closed)


async def test_a_server_that_accepts_and_says_nothing_costs_no_more_than_the_deadline(far: Server, here: str) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        mute = far.connection(here, port=silent.getsockname()[1], timeout_seconds=0.5)
        begin = time.monotonic()
        with pytest.raises(TransportUnavailableError):
            await entries(mute)
        assert time.monotonic() - begin < 5


async def test_a_network_that_goes_dead_under_a_session_costs_no_more_than_the_deadline(far: Server, here: str) -> None:
    far.connection(here)
    async with Network(f"tcp://127.0.0.1:{far.port}") as network:
        port = int(network.url.rpartition(":")[2])
        connection = far.connection(here, port=port, timeout_seconds=1.0, transfer_seconds=2.0)
        async with make_remote(connection).open() as session:
            await session.find(connection.collect_from, "A.DAT")
            network.freeze()
            begin = time.monotonic()
            with pytest.raises(TransportUnavailableError):
                await session.find(connection.collect_from, "A.DAT")
            assert time.monotonic() - begin < 5
        assert time.monotonic() - begin < 10


async def test_a_network_that_goes_dead_within_a_file_costs_no_more_than_the_deadline(
    servers: dict[str, Server], here: str, tmp_path: Path
) -> None:
    server = servers["sftp"]
    server.connection(here)
    (server.root / here / "Out" / "A.DAT").write_bytes(BIG)
    (tmp_path / "B.DAT").write_bytes(BIG)

    async def put_for_ever(session: Session) -> None:
        while True:
            await session.put(f"{here}/In", "B.DAT", tmp_path / "B.DAT")

    for way in ("fetch", "put"):
        async with Network(f"tcp://127.0.0.1:{server.port}") as network:
            port = int(network.url.rpartition(":")[2])
            async with make_remote(server.connection(here, port=port, timeout_seconds=1.0)).open() as session:
                begin = time.monotonic()
                if way == "fetch":
                    moving = session.fetch(f"{here}/Out", "A.DAT", lambda block: network.freeze())
                else:
                    moving = put_for_ever(session)
                    asyncio.get_running_loop().call_later(0.02, network.freeze)
                with pytest.raises(TransportUnavailableError):
                    await moving
                assert time.monotonic() - begin < 5


async def test_a_server_that_sends_a_file_drop_by_drop_is_given_up_in_the_end(servers: dict[str, Server]) -> None:
    connection = servers["sftp"].connection("slow", transfer_seconds=0.3)
    (servers["sftp"].root / "slow" / "Out" / "A.DAT").write_bytes(BIG)

    def slow(block: bytes) -> None:
        time.sleep(0.1)

    async with make_remote(connection).open() as session:
        with pytest.raises(TransportUnavailableError):
            await session.fetch(connection.collect_from, "A.DAT", slow)


def ways_to(server: Server, passive: list[tuple[int, int]], port: int) -> list[tuple[int, int]]:
    """How a cable passes on a server's ports: (port that is listened on, port of the server)."""
    return [(port, server.port), *((announced, accepted) for accepted, announced in passive)]


async def story(connection: Connection, here: Path, name: str) -> None:
    """List, fetch, deliver."""
    async with make_remote(connection).open() as session:
        assert [entry.name for entry in await session.entries(connection.collect_from, EVERYTHING)] == ["A.DAT"]
        blocks: list[bytes] = []
        await session.fetch(connection.collect_from, "A.DAT", blocks.append)
        fetched = b"".join(blocks)
        assert BIG.startswith(fetched)
        if len(fetched) < 300_000:  # as FTP may end; whoever fetches compares sizes
            raise TransportUnavailableError("short")
        await session.put(connection.deliver_to, f".{name}.part", here)
        await session.rename(connection.deliver_to, f".{name}.part", name)


@pytest.mark.parametrize("kind", ["sftp", "ftps"])
async def test_a_connection_may_be_cut_after_any_number_of_bytes(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In the greeting, the handshake, the login, the listing, a file on its way here, a file on its way there.

    It ends soon, in the one error that means "try again", no half file ever has its final name, and no failure turns up
    where nobody can handle it.
    """
    port, *free = free_ports(17)
    passive = list(zip(free[:8], free[8:], strict=True))
    more: dict[str, Any] = {"passive": passive} if kind == "ftps" else {}
    (tmp_path / "B.DAT").write_bytes(BIG[:300_000])
    with SERVERS[kind](tmp_path / "server", **more) as server:
        connection = server.connection(port=port, timeout_seconds=5)
        (server.root / "Out" / "A.DAT").write_bytes(BIG[:300_000])
        ways = ways_to(server, passive if kind == "ftps" else [], port)
        async with Cable(*ways) as cable:
            await story(connection, tmp_path / "B.DAT", "first.DAT")
        whole = cable.passed
        assert whole > 600_000
        few = [1, 20, 100, 300, 700, 1_200, 1_800, 2_500, 3_500, 5_000, 7_000]
        for cut_after in (*few, *range(10_000, whole, whole // 12), whole - 40):
            async with Cable(*ways, cut_after=cut_after) as cable:
                begin = time.monotonic()
                with suppress(TransportUnavailableError):  # cut in the goodbye, it may even succeed
                    await story(connection, tmp_path / "B.DAT", f"{cut_after}.DAT")
                    assert cut_after > whole * 0.9
                assert time.monotonic() - begin < 10
                assert cable.was_cut
        async with Cable(*ways):
            await story(connection, tmp_path / "B.DAT", "last.DAT")
        arrived = list((server.root / "In").glob("[!.]*"))
        assert {path.name for path in arrived} >= {"first.DAT", "last.DAT"}
        assert [path.name for path in arrived if path.read_bytes() != BIG[:300_000]] == []
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


async def test_where_a_data_connection_of_ftp_is_cut_alone_size_or_error_tell(tmp_path: Path) -> None:
    """In FTP the end of the data connection is the end of the file, so a cut may look like a short file."""
    port, *free = free_ports(17)
    passive = list(zip(free[:8], free[8:], strict=True))
    (tmp_path / "B.DAT").write_bytes(BIG)
    with ftps(tmp_path / "server", passive=passive) as server:
        connection = server.connection(port=port, timeout_seconds=5)
        (server.root / "Out" / "A.DAT").write_bytes(BIG)
        commands, *data = ways_to(server, passive, port)
        async with Cable(commands), Cable(*data, cut_after=1_000_000):
            with suppress(TransportUnavailableError):
                assert len(await fetch(connection, "A.DAT")) < len(BIG)
        async with (
            Cable(commands),
            Cable(*data, cut_after=1_000_000),
            make_remote(connection).open() as session,
        ):
            with suppress(TransportUnavailableError):
                await session.put("In", "B.DAT", tmp_path / "B.DAT")
            arrived = await session.find("In", "B.DAT")
            assert arrived is None or arrived.size < len(BIG)


@pytest.mark.parametrize("kind", ["sftp", "ftps"])
def test_errors_tell_where_and_never_the_password(kind: str, servers: dict[str, Server]) -> None:
    connection = servers[kind].connection("secret", collect_from=f"{PASSWORD[::-1]}")
    with pytest.raises(BridgeError) as failed:
        asyncio.run(entries(connection))
    assert PASSWORD not in repr(failed.value) + repr(connection)
