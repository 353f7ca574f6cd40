"""Whom we trust and who lets us in: host keys, certificates, keys, passwords."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from cryptography import x509

from shared.errors import (
    ConfigurationError,
    TransportFolderError,
    TransportRefusedError,
    TransportUnavailableError,
    TransportUntrustedError,
)
from shared.transport.remote import make_remote
from shared.transport.settings import Connection
from tests.integration.transport_servers import PASSWORD, Server, ftps, make_authority, make_key, openssh


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with openssh(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(scope="module")
def ftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with ftps(tmp_path_factory.mktemp("ftpd")) as server:
        yield server


async def look(connection: Connection) -> list[str]:
    async with make_remote(connection).open() as session:
        return [entry.name for entry in await session.entries(connection.collect_from, lambda name: True)]


def secret(folder: Path, text: str) -> Path:
    path = folder / "secret"
    path.write_text(text)
    return path


async def refusal(connection: Connection, kind: type[TransportRefusedError] = TransportRefusedError) -> str:
    with pytest.raises(kind) as refused:
        await look(connection)
    assert type(refused.value) is kind
    assert PASSWORD not in str(refused.value)
    return str(refused.value)


# --- host keys --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"])
async def test_a_server_with_another_host_key_than_the_pinned_one_is_refused(
    ssh: Server, tmp_path: Path, kind: str
) -> None:
    other = make_key(tmp_path / "other", kind)
    said = await refusal(ssh.connection(host_key=other), TransportUntrustedError)
    assert said.startswith("TRANSPORT_UNTRUSTED: 127.0.0.1:")
    assert "host_key" in said


async def test_a_server_whose_host_key_is_changed_is_refused_until_the_new_key_is_pinned(tmp_path: Path) -> None:
    with openssh(tmp_path / "sshd") as server:
        connection = server.connection()
        assert await look(connection) == []
        server.kill()
        renewed = make_key(tmp_path / "sshd" / "host")
        server.restart()
        await refusal(connection, TransportUntrustedError)
        assert await look(server.connection(host_key=renewed)) == []


@pytest.mark.parametrize("kind", ["ecdsa-sha2-nistp384", "ssh-rsa"])
async def test_any_one_of_a_servers_host_keys_may_be_pinned(tmp_path: Path, kind: str) -> None:
    with openssh(tmp_path / "sshd") as server:
        server.kill()
        pinned = make_key(tmp_path / "another", kind)
        config = tmp_path / "sshd" / "config"
        config.write_text(f"{config.read_text()}HostKey {tmp_path / 'another'}\n")
        server.restart()
        assert await look(server.connection(host_key=pinned)) == []
        assert await look(server.connection()) == []


async def test_while_a_host_key_is_changed_both_may_be_pinned(ssh: Server, tmp_path: Path) -> None:
    both = f"# the new one\n{make_key(tmp_path / 'other')}\n\n{ssh.settings['host_key']} the old one\n"
    assert await look(ssh.connection(host_key=both)) == []
    (tmp_path / "keys").write_text(both)
    assert await look(ssh.connection(host_key=None, host_key_file=tmp_path / "keys")) == []


async def test_what_the_machines_own_ssh_settings_trust_counts_for_nothing(
    ssh: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / ".ssh"
    home.mkdir()
    (home / "known_hosts").write_text(f"[127.0.0.1]:{ssh.port} {ssh.settings['host_key']}\n")
    (home / "config").write_text("Host *\n  StrictHostKeyChecking no\n  ProxyCommand false\n")
    (home / "id_ed25519").write_bytes((ssh.root.parent / "client").read_bytes())
    monkeypatch.setenv("HOME", str(tmp_path))
    await refusal(ssh.connection(host_key=make_key(tmp_path / "other")), TransportUntrustedError)
    await refusal(ssh.connection(key_file=tmp_path / "other"))
    assert await look(ssh.connection()) == []


# --- SSH logins -------------------------------------------------------------------------------------------------


async def test_a_key_the_server_does_not_know_is_refused(ssh: Server, tmp_path: Path) -> None:
    make_key(tmp_path / "stranger")
    assert "user" in await refusal(ssh.connection(key_file=tmp_path / "stranger"))


async def test_a_wrong_password_for_ssh_is_refused(ssh: Server, tmp_path: Path) -> None:
    await refusal(ssh.connection(key_file=None, password_file=secret(tmp_path, "wrong")))


async def test_an_unknown_user_is_refused_like_a_known_one(ssh: Server) -> None:
    await refusal(ssh.connection(user="nobody-of-that-name"))


class PasswordsOnly(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("trust", PASSWORD)


class QuestionsOnly(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True

    def kbdint_auth_supported(self) -> bool:
        return True

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
        return "", "", "", [("Password: ", False)]

    def validate_kbdint_response(self, username: str, responses: Any) -> bool:
        return list(responses) == [PASSWORD]


@asynccontextmanager
async def passwords(kind: type[asyncssh.SSHServer], folder: Path) -> AsyncIterator[dict[str, Any]]:
    """An SSH server that takes passwords; OpenSSH would need an account of this machine for it."""
    host_key = make_key(folder / "host")

    def below(channel: Any) -> asyncssh.SFTPServer:
        return asyncssh.SFTPServer(channel, chroot=str(folder).encode())

    async with asyncssh.listen(
        "127.0.0.1", 0, server_factory=kind, server_host_keys=[folder / "host"], sftp_factory=below
    ) as server:
        yield {
            "transport": "sftp",
            "host": "127.0.0.1",
            "port": server.get_port(),
            "user": "trust",
            "host_key": host_key,
            "collect_from": "/",
        }


@pytest.mark.parametrize("kind", [PasswordsOnly, QuestionsOnly])
async def test_a_right_password_for_ssh_lets_in_whether_asked_for_or_sent(
    kind: type[asyncssh.SSHServer], tmp_path: Path
) -> None:
    async with passwords(kind, tmp_path) as said:
        right = Connection.model_validate(said | {"password_file": secret(tmp_path, PASSWORD + "\n")})
        assert "host" in await look(right)
        secret(tmp_path, "wrong")
        await refusal(right)


async def test_a_key_may_have_a_passphrase(ssh: Server, tmp_path: Path) -> None:
    shown = make_key(tmp_path / "locked", phrase="canary-phrase")
    authorized = ssh.root.parent / "authorized"
    authorized.write_text(authorized.read_text() + shown + "\n")
    said: dict[str, Any] = {"key_file": tmp_path / "locked", "key_passphrase_file": secret(tmp_path, "canary-phrase")}
    assert await look(ssh.connection(**said)) == []


@pytest.mark.parametrize("phrase", [None, "wrong", ""], ids=["none", "wrong", "empty"])
def test_a_key_with_another_passphrase_is_refused_at_start(ssh: Server, tmp_path: Path, phrase: str | None) -> None:
    make_key(tmp_path / "locked", phrase="canary-phrase")
    said: dict[str, Any] = {"key_passphrase_file": None if phrase is None else secret(tmp_path, phrase)}
    with pytest.raises(ConfigurationError) as refused:
        make_remote(ssh.connection(key_file=tmp_path / "locked", **said))
    assert "canary" not in str(refused.value)


async def test_a_secret_that_is_changed_is_used_from_the_next_connection_on(ssh: Server, tmp_path: Path) -> None:
    key = tmp_path / "key"
    make_key(key)
    remote = make_remote(ssh.connection(key_file=key))
    with pytest.raises(TransportRefusedError):
        async with remote.open():
            pass
    key.write_bytes((ssh.root.parent / "client").read_bytes())
    async with remote.open():
        pass


# --- secret files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ({"key_file": "absent"}, "absent cannot be read"),
        ({"key_file": "garbage"}, "not a private key"),
        ({"key_file": None, "password_file": "absent"}, "absent cannot be read"),
        ({"key_file": None, "password_file": "empty"}, "one line"),
        ({"key_file": None, "password_file": "garbage"}, "one line"),
        ({"host_key": None, "host_key_file": "absent"}, "absent cannot be read"),
        ({"host_key": None, "host_key_file": "empty"}, "no host key"),
        ({"host_key": None, "host_key_file": "garbage"}, "a host key cannot be read"),
    ],
)
def test_a_secret_file_of_sftp_that_cannot_be_used_is_refused_at_start(
    ssh: Server, tmp_path: Path, said: dict[str, str | None], word: str
) -> None:
    (tmp_path / "empty").write_text("")
    (tmp_path / "garbage").write_text("canary\nmore\n")
    files: dict[str, Any] = {key: value and tmp_path / value for key, value in said.items()}
    with pytest.raises(ConfigurationError, match=word) as refused:
        make_remote(ssh.connection(**files))
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("said", "word"),
    [({"password_file": "absent"}, "absent"), ({"ca_file": "absent"}, "absent"), ({"ca_file": "garbage"}, "PEM")],
)
def test_a_secret_file_of_ftps_that_cannot_be_used_is_refused_at_start(
    ftp: Server, tmp_path: Path, said: dict[str, str], word: str
) -> None:
    (tmp_path / "garbage").write_text("canary\nmore\n")
    files: dict[str, Any] = {key: tmp_path / value for key, value in said.items()}
    with pytest.raises(ConfigurationError, match=word):
        make_remote(ftp.connection(**files))


# --- certificates -----------------------------------------------------------------------------------------------


async def test_a_certificate_of_an_authority_we_do_not_know_is_refused(ftp: Server, tmp_path: Path) -> None:
    stranger = make_authority(tmp_path / "other")
    assert "ca_file" in await refusal(ftp.connection(ca_file=stranger.file), TransportUntrustedError)


async def test_the_systems_authorities_do_not_vouch_for_a_private_server(ftp: Server) -> None:
    await refusal(ftp.connection(ca_file=None), TransportUntrustedError)


async def test_a_certificate_for_another_host_is_refused(tmp_path: Path) -> None:
    with ftps(tmp_path, names=(x509.DNSName("elsewhere.example"),)) as server:
        await refusal(server.connection(), TransportUntrustedError)


async def test_a_certificate_that_has_run_out_is_refused(tmp_path: Path) -> None:
    with ftps(tmp_path, days=-1) as server:
        assert "expired" in await refusal(server.connection(), TransportUntrustedError)


async def test_the_servers_own_certificate_may_be_what_is_trusted(ftp: Server, tmp_path: Path) -> None:
    whole = (ftp.root.parent / "server.pem").read_text()
    (tmp_path / "own.pem").write_text(whole[whole.index("-----BEGIN CERT") :])
    assert await look(ftp.connection(ca_file=tmp_path / "own.pem")) == []


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def pretending(talk: Talk, folder: Path) -> AsyncIterator[Connection]:
    """An FTP server that says what the test wants, and a connection to it."""
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await talk(reader, writer)
        writer.close()
        await asyncio.wait([asyncio.ensure_future(writer.wait_closed())])
        ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield Connection(
        transport="ftps",
        host="127.0.0.1",
        port=server.sockets[0].getsockname()[1],
        user="trust",
        password_file=secret(folder, PASSWORD),
    )
    await asyncio.wait_for(ended.wait(), 10)
    server.close()


async def test_a_server_without_tls_hears_neither_user_nor_password(tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        while line := await reader.readline():
            heard.append(line)
            writer.write(b"500 what?\r\n")

    async with pretending(plain, tmp_path) as connection:
        await refusal(connection, TransportUntrustedError)
    assert heard[:1] == [b"AUTH TLS\r\n"]
    assert b"trust" not in b"".join(heard)


async def test_a_real_server_without_tls_is_refused(tmp_path: Path) -> None:
    with ftps(tmp_path, without_tls=True) as server:
        await refusal(server.connection(), TransportUntrustedError)


# --- FTPS logins and servers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("user", "password"), [("trust", "wrong"), ("nobody", PASSWORD)])
async def test_a_wrong_password_or_user_for_ftps_is_refused(
    ftp: Server, tmp_path: Path, user: str, password: str
) -> None:
    await refusal(ftp.connection(user=user, password_file=secret(tmp_path, password)))


async def test_a_password_that_is_not_ascii_is_sent_as_utf_8(tmp_path: Path) -> None:
    with ftps(tmp_path, password="pâss wörd") as server:
        assert await look(server.connection(password_file=secret(tmp_path, "pâss wörd\n"))) == []


@pytest.mark.parametrize("tls_1_2", [True, False], ids=["tls-1.2", "tls-1.3"])
async def test_data_connections_resume_the_session_as_servers_demand(tmp_path: Path, tls_1_2: bool) -> None:
    with ftps(tmp_path, demand_resumption=True, tls_1_2=tls_1_2) as server:
        connection = server.connection()
        (server.root / "Out" / "A.DAT").write_bytes(b"x" * 100_000)
        (tmp_path / "B.DAT").write_bytes(b"x")
        async with make_remote(connection).open() as session:
            for _ in range(3):
                assert len(await session.entries("Out", lambda name: True)) == 1
                await session.fetch("Out", "A.DAT", lambda block: None)
                await session.put("In", "B.DAT", tmp_path / "B.DAT")


async def test_a_server_that_cannot_list_for_machines_is_asked_name_by_name(tmp_path: Path) -> None:
    with ftps(tmp_path / "plain", without_facts=True) as plain, ftps(tmp_path / "full") as full:
        listed = []
        for server in (plain, full):
            connection = server.connection()
            async with make_remote(connection).open() as session:
                assert await session.entries("Out", lambda name: True) == []
            for name, size in (("A.DAT", 3), ("B.DAT", 0), ("skipped.txt", 1)):
                (server.root / "Out" / name).write_bytes(b"x" * size)
            (server.root / "Out" / "folder.DAT").mkdir()
            async with make_remote(connection).open() as session:
                found = await session.entries("Out", lambda name: name.endswith(".DAT"))
                assert [await session.find("Out", entry.name) for entry in found] == found
                assert await session.find("Out", "C.DAT") is None
            listed.append(sorted((entry.name, entry.size) for entry in found))
    assert listed == [[("A.DAT", 3), ("B.DAT", 0)]] * 2


async def test_data_connections_that_end_as_soon_as_they_begin_are_no_failure(tmp_path: Path) -> None:
    """A list of nothing is over before TLS has quite settled, now and then: hence so many."""
    with ftps(tmp_path, without_facts=True) as server:
        async with make_remote(server.connection()).open() as session:
            for _ in range(300):
                assert await session.entries("Out", lambda name: True) == []


async def test_a_login_that_may_not_write_is_told_so(ftp: Server, tmp_path: Path) -> None:
    (tmp_path / "A.DAT").write_bytes(b"x")
    async with make_remote(ftp.connection(user="reader")).open() as session:
        with pytest.raises(TransportFolderError, match="In"):
            await session.put("In", "A.DAT", tmp_path / "A.DAT")


async def test_what_breaks_off_in_a_tls_handshake_is_no_reason_to_stay_away_long(tmp_path: Path) -> None:
    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        await reader.readline()
        writer.write(b"234 go on\r\n")
        await reader.read(100)

    async with pretending(rude, tmp_path) as connection:
        with pytest.raises(TransportUnavailableError):
            await look(connection)


def test_no_tls_older_than_1_2_is_spoken(ftp: Server) -> None:
    remote = make_remote(ftp.connection())
    assert remote._context().minimum_version == ssl.TLSVersion.TLSv1_2  # type: ignore[attr-defined]
