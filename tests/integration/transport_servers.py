"""Real servers for connections: OpenSSH's sshd, an FTPS server, and a network between them and us that breaks."""

import asyncio
import getpass
import inspect
import ipaddress
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import asyncssh
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from esrbridge.local.processes import free_ports, wait_until
from shared.transport.settings import Connection

PASSWORD = "canary-password-4711"
ANSWER_SECONDS = 30.0


@dataclass(slots=True)
class Server:
    """A server between its start and its end. What it serves lies below ``root``."""

    root: Path
    port: int
    settings: dict[str, Any]
    """What a connection to it says besides its folders."""
    process: subprocess.Popen[bytes] | None = None
    start: Callable[[], "subprocess.Popen[bytes]"] | None = field(default=None, repr=False)

    def connection(self, name: str = "", **more: Any) -> Connection:
        """A connection to the folders ``<name>/Out`` and ``<name>/In``, which are made."""
        below = Path(name)
        for folder in ("Out", "In"):
            (self.root / below / folder).mkdir(parents=True, exist_ok=True)
        said = {"collect_from": str(below / "Out"), "deliver_to": str(below / "In")} | self.settings | more
        return Connection.model_validate({key: value for key, value in said.items() if value is not None})

    def kill(self) -> None:
        """End the server, and whatever serves a connection, without a goodbye."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def restart(self) -> None:
        assert self.start is not None
        self.process = self.start()
        _wait_for(self)


def _wait_for(server: Server) -> None:
    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", server.port)) == 0

    assert server.process is not None
    process = server.process
    wait_until(lambda: answers() or process.poll() is not None, ANSWER_SECONDS)
    assert process.poll() is None, "the server ended at once"


@contextmanager
def _running(server: Server) -> Iterator[Server]:
    try:
        server.restart()
        yield server
    finally:
        server.kill()


# --- OpenSSH ----------------------------------------------------------------------------------------------------


def sshd_program() -> str:
    found = shutil.which("sshd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.fail("OpenSSH's server is not installed: see deploy/local/need-server")
    return found


def make_key(path: Path, kind: str = "ssh-ed25519", phrase: str | None = None) -> str:
    """Make a key pair; return the line of its public half."""
    key = asyncssh.generate_private_key(kind)
    path.write_bytes(key.export_private_key("pkcs8-pem" if phrase else "openssh", passphrase=phrase))
    path.chmod(0o600)
    return key.export_public_key().decode().strip()


@contextmanager
def openssh(folder: Path, *, root: Path | None = None) -> Iterator[Server]:
    """A private sshd that lets the key in ``folder/client`` in, as whoever runs the tests, for SFTP only."""
    program = sshd_program()
    root = root or folder / "root"
    for path in (folder, root):
        path.mkdir(parents=True, exist_ok=True)
    host_key = make_key(folder / "host")
    (folder / "authorized").write_text(make_key(folder / "client") + "\n")
    (folder / "password").write_text(PASSWORD + "\n")
    (port,) = free_ports(1)
    (folder / "config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder / 'host'}\nPidFile none\n"
        f"AuthorizedKeysFile {folder / 'authorized'}\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
        f"PasswordAuthentication yes\nSubsystem sftp internal-sftp -d {root}\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd's own demand

    def start() -> subprocess.Popen[bytes]:
        with (folder / "log").open("ab") as log:
            return subprocess.Popen(
                [program, "-D", "-e", "-f", str(folder / "config")],
                stderr=log,
                start_new_session=True,
            )

    settings = {
        "transport": "sftp",
        "host": "127.0.0.1",
        "port": port,
        "user": getpass.getuser(),
        "key_file": folder / "client",
        "host_key": host_key,
    }
    with _running(Server(root, port, settings, start=start)) as server:
        yield server


# --- FTPS -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Authority:
    """Vouches for servers. ``file`` is what clients are told to trust."""

    file: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def certify(self, path: Path, *names: x509.GeneralName, days: int = 1) -> Path:
        """Write key and certificate of a server of these names into one file."""
        key = ec.generate_private_key(ec.SECP256R1())
        issued = _certificate("server", key, "authority", self.key, days, authority=False)
        signed = issued.add_extension(x509.SubjectAlternativeName(names), critical=False).sign(
            self.key, hashes.SHA256()
        )
        path.write_bytes(_pem(key) + signed.public_bytes(serialization.Encoding.PEM))
        return path


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _certificate(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    days: int,
    *,
    authority: bool,
) -> x509.CertificateBuilder:
    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    end = datetime.now(UTC) + timedelta(days=days)
    return (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - timedelta(days=3))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=authority,
                crl_sign=authority,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )


def make_authority(folder: Path) -> Authority:
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate("authority", key, "authority", key, 1, authority=True).sign(key, hashes.SHA256())
    file = folder / "authority.pem"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return Authority(file, key, certificate)


LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


@contextmanager
def ftps(
    folder: Path,
    *,
    root: Path | None = None,
    names: tuple[x509.GeneralName, ...] = (LOOPBACK,),
    days: int = 1,
    passive: list[tuple[int, int]] | None = None,
    **more: Any,
) -> Iterator[Server]:
    """A private FTPS server. ``more`` are keys of ``ftps_server``."""
    root = root or folder / "root"
    root.mkdir(parents=True, exist_ok=True)
    authority = make_authority(folder)
    (folder / "password").write_text(PASSWORD + "\n")
    port, *data = free_ports(9)
    said = {
        "root": str(root),
        "certificate": str(authority.certify(folder / "server.pem", *names, days=days)),
        "user": "trust",
        "password": PASSWORD,
        "port": port,
        "passive": passive or [(one, one) for one in data],
    } | more

    def start() -> subprocess.Popen[bytes]:
        with (folder / "log").open("ab") as log:
            program = Path(__file__).with_name("ftps_server.py")
            return subprocess.Popen([sys.executable, program, json.dumps(said)], stderr=log, start_new_session=True)

    settings = {
        "transport": "ftps",
        "host": "127.0.0.1",
        "port": port,
        "user": "trust",
        "password_file": folder / "password",
        "ca_file": authority.file,
    }
    with _running(Server(root, port, settings, start=start)) as server:
        yield server


@contextmanager
def shared_folder(folder: Path, *, root: Path | None = None) -> Iterator[Server]:
    root = root or folder / "root"
    root.mkdir(parents=True, exist_ok=True)
    yield Server(root, 0, {"transport": "folder", "path": root})


SERVERS: dict[str, Callable[..., Any]] = {"sftp": openssh, "ftps": ftps, "folder": shared_folder}


# --- a small disk -----------------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A file system of its own with room for ``size`` bytes.

    Where we may not mount one, no file that we or a server started inside writes may grow beyond ``size``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() == 0 and subprocess.run(mount, check=False).returncode == 0:
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)
    else:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield folder
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)


# --- a network --------------------------------------------------------------------------------------------------


class Cable:
    """Passes TCP on, from ports of its own to others, until so many bytes have gone through: then it is cut.

    All its links share one budget and end together. ``cut_after`` None: never. ``cut`` cuts now. ``at`` calls something
    once, and awaits it if it can, when that many bytes have come and before they go on.
    """

    def __init__(
        self, *ways: tuple[int, int], cut_after: int | None = None, at: tuple[int, Callable[[], Any]] | None = None
    ) -> None:
        """Each way is the port to listen on and the one to pass on to."""
        self._ways = ways
        self._at = at
        self._left = cut_after
        self._servers: list[asyncio.Server] = []
        self._links: set[asyncio.Task[None]] = set()
        self.passed = 0
        self.was_cut = False

    async def __aenter__(self) -> Self:
        for here, there in self._ways:

            async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to: int = there) -> None:
                link = asyncio.create_task(self._join(reader, writer, to))
                self._links.add(link)
                link.add_done_callback(self._links.discard)

            self._servers.append(await asyncio.start_server(accept, "127.0.0.1", here))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self._servers:
            server.close()
        await self.cut()

    async def cut(self) -> None:
        self.was_cut = True
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to: int) -> None:
        with ExitStack() as stack:
            stack.callback(writer.transport.abort)
            if self.was_cut:
                return
            answers, away = await asyncio.open_connection("127.0.0.1", to)
            stack.callback(away.transport.abort)
            ways = [asyncio.create_task(self._pass_on(*way)) for way in ((reader, away), (answers, writer))]
            stack.callback(lambda: [way.cancel() for way in ways])
            await asyncio.gather(*ways)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(4096):
                whole = len(data)
                if self._left is not None:
                    data = data[: self._left]
                    self._left -= len(data)
                self.passed += len(data)
                if self._at is not None and self.passed >= self._at[0]:
                    (_, call), self._at = self._at, None
                    if inspect.isawaitable(waiting := call()):
                        await waiting
                writer.write(data)
                await writer.drain()
                if len(data) < whole or self._left == 0:
                    asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(self.cut()))
                    return
            if writer.can_write_eof():
                writer.write_eof()
