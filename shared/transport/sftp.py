"""SFTP, by asyncssh: the server's host key is pinned, and nothing of the machine's own SSH settings is used."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, cast

import asyncssh

from shared.errors import (
    ConfigurationError,
    TransportFolderError,
    TransportRefusedError,
    TransportUnavailableError,
    TransportUntrustedError,
)
from shared.transport.local import opened, read_block
from shared.transport.names import decoded
from shared.transport.port import BLOCK, LONGEST_LISTING, Entry, Session, Sink, Wanted
from shared.transport.secrets import read_secret, read_text
from shared.transport.settings import Connection, check_host_keys

KEEPALIVE_SECONDS: Final = 15

LEAST_BLOCK: Final = 32 * 1024
"""Bytes that every server takes and gives in one request; one that does not tell its limit gets no more."""

_SIGNATURES: Final = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
"""How a host key of each type may sign. SHA-1, which old servers use with RSA keys, is not among them."""

_PLAIN: Final = (asyncssh.FILEXFER_TYPE_REGULAR, asyncssh.FILEXFER_TYPE_UNKNOWN)
_MISSING: Final = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath)
_CLOSED: Final = (asyncssh.SFTPPermissionDenied, asyncssh.SFTPWriteProtect, *_MISSING)


class SftpRemote:
    """A folder tree on an SSH server."""

    def __init__(self, connection: Connection) -> None:
        """Check keys and passwords. Raises ConfigurationError."""
        self._connection = connection
        self._credentials()
        self._host_keys()

    def open(self) -> AbstractAsyncContextManager[Session]:
        """Connect."""
        return self._opened()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Session]:
        wait = self._connection.timeout_seconds
        with _login_explained(self._connection.address):
            async with asyncio.timeout(2 * wait):
                way = await self._connect(wait)
        try:
            with _explained(self._connection.address):
                async with asyncio.timeout(wait):
                    client = await way.start_sftp_client()
            yield SftpSession(self._connection, client)
        finally:
            way.close()
            with suppress(TimeoutError, OSError, asyncssh.Error):
                async with asyncio.timeout(min(wait, 5)):
                    await way.wait_closed()
            way.abort()

    async def _connect(self, wait: float) -> asyncssh.SSHClientConnection:
        said = self._connection
        pinned = self._host_keys()
        return await asyncssh.connect(
            said.host,
            said.port_number,
            username=said.user,
            known_hosts=(pinned, [], []),
            server_host_key_algs=_algorithms(pinned),
            x509_trusted_certs=None,
            config=None,
            agent_path=None,
            gss_host=None,
            connect_timeout=wait,
            login_timeout=wait,
            keepalive_interval=KEEPALIVE_SECONDS,
            keepalive_count_max=2,
            **self._credentials(),
        )

    def _credentials(self) -> dict[str, Any]:
        said = self._connection
        if said.password_file is not None:
            ways = ("password", "keyboard-interactive")
            return {"password": read_secret(said.password_file), "client_keys": None, "preferred_auth": ways}
        key_file = said.key_file or Path()  # never the latter: the settings see to it
        phrase = read_secret(said.key_passphrase_file) if said.key_passphrase_file else None
        try:
            key = asyncssh.import_private_key(read_text(key_file), phrase)
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
            raise ConfigurationError(
                f"{key_file}: not a private key, or not with this passphrase; a key that has one must be in PKCS 8 form"
            ) from error
        return {"client_keys": [key], "preferred_auth": ("publickey",)}

    def _host_keys(self) -> list[asyncssh.SSHKey]:
        file = self._connection.host_key_file
        try:
            lines = check_host_keys(read_text(file) if file else self._connection.host_key)
            return [asyncssh.import_public_key(line) for line in lines]
        except (ValueError, asyncssh.KeyImportError) as error:
            place = file or f"the host key of {self._connection.address}"
            raise ConfigurationError(f"{place}: {error if type(error) is ValueError else 'not a key'}") from None


class SftpSession:
    """One SFTP channel."""

    def __init__(self, connection: Connection, client: asyncssh.SFTPClient) -> None:
        self._address = connection.address
        self._step = connection.timeout_seconds
        self._whole = connection.transfer_seconds
        self._client = client
        self._read_length = min(BLOCK, max(LEAST_BLOCK, client.limits.max_read_len))
        self._write_length = min(BLOCK, max(LEAST_BLOCK, client.limits.max_write_len))

    async def entries(self, folder: str, wanted: Wanted) -> list[Entry]:
        """List by SSH_FXP_READDIR, a few names at a time."""
        found: list[Entry] = []
        seen = 0
        with _explained(self._address, folder):
            listing = cast("AsyncGenerator[asyncssh.SFTPName, None]", self._client.scandir(_path(folder)))
            async with asyncio.timeout(self._whole), aclosing(listing) as names:
                while (said := await self._next(names)) is not None:
                    seen += 1
                    name = decoded(said.filename)
                    if name and wanted(name) and (entry := _entry(name, said.attrs)):
                        found.append(entry)
                    if seen > LONGEST_LISTING:
                        break
        if seen > LONGEST_LISTING:
            raise TransportFolderError(f"{self._address}: folder '{folder}' holds more than {LONGEST_LISTING} names")
        return found

    async def _next(self, names: AsyncIterator[asyncssh.SFTPName]) -> asyncssh.SFTPName | None:
        async with asyncio.timeout(self._step):
            return await anext(names, None)

    async def find(self, folder: str, name: str) -> Entry | None:
        """Ask by SSH_FXP_LSTAT."""
        with _explained(self._address, folder):
            try:
                async with asyncio.timeout(self._step):
                    return _entry(name, await self._client.lstat(_path(folder, name)))
            except _MISSING:
                return None

    async def fetch(self, folder: str, name: str, sink: Sink) -> None:
        """Read block by block."""
        with _explained(self._address, folder):
            async with asyncio.timeout(self._whole), self._opened(folder, name, "rb") as file:
                while True:
                    async with asyncio.timeout(self._step):
                        block: bytes = await file.read(self._read_length)
                    if not block:
                        return
                    await asyncio.to_thread(sink, block)

    async def put(self, folder: str, name: str, path: Path) -> None:
        """Write block by block."""
        with opened(path) as local, _explained(self._address, folder):
            async with asyncio.timeout(self._whole), self._opened(folder, name, "wb") as file:
                while block := await asyncio.to_thread(read_block, local, self._write_length):
                    async with asyncio.timeout(self._step):
                        await file.write(block)

    async def rename(self, folder: str, name: str, to: str) -> None:
        """Rename in the old way of SFTP, which fails when the name is taken."""
        with _explained(self._address, folder):
            async with asyncio.timeout(self._step):
                await self._client.rename(_path(folder, name), _path(folder, to))

    async def remove(self, folder: str, name: str) -> None:
        """Remove a file."""
        with _explained(self._address, folder), suppress(*_MISSING):
            async with asyncio.timeout(self._step):
                await self._client.remove(_path(folder, name))

    @asynccontextmanager
    async def _opened(self, folder: str, name: str, mode: str) -> AsyncIterator[Any]:
        async with asyncio.timeout(self._step):
            # No requests side by side (block size 0): of those that are cut off together asyncssh forgets all but one,
            # whose failures then turn up where nobody can handle them.
            file = await self._client.open(_path(folder, name), mode, encoding=None, block_size=0)
        yield file  # after a failure the handle ends with the session
        async with asyncio.timeout(self._step):  # a server may tell only now that a write failed
            await file.close()


def _algorithms(pinned: Sequence[asyncssh.SSHKey]) -> list[str]:
    """Return what a server may sign with: first what the pinned keys can, so that it shows the one we know.

    The others follow because a server that finds none it has just hangs up, like one that is down.
    """
    known = {key.get_algorithm() for key in pinned}
    kinds = sorted(known | set(_SIGNATURES), key=lambda kind: kind not in known)
    return [name for kind in kinds for name in _SIGNATURES.get(kind, (kind,))]


def _path(folder: str, name: str = "") -> bytes:
    return (f"{folder.rstrip('/')}/{name}" if name else folder).encode()


def _entry(name: str, attrs: asyncssh.SFTPAttrs) -> Entry | None:
    if attrs.type not in _PLAIN or attrs.size is None:
        return None
    return Entry(name, attrs.size, (attrs.mtime or 0) * 1_000_000_000 + (attrs.mtime_ns or 0))


@contextmanager
def _login_explained(address: str) -> Iterator[None]:
    """Tell a server that is away from one that refuses us and from one that is not the one we trust.

    The server's own words are not repeated: they may hold anything.
    """
    try:
        yield
    except (asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed) as error:
        raise TransportUntrustedError(
            f"{address}: the server does not show the host key that is pinned for it; ask its owner whether it "
            f"was changed, and only then change 'host_key' ({type(error).__name__})"
        ) from None
    except (asyncssh.PermissionDenied, asyncssh.IllegalUserName):
        raise TransportRefusedError(
            f"{address}: the server refuses our login; check 'user' and the key or password with its owner"
        ) from None
    except (asyncssh.Error, OSError, TimeoutError) as error:
        raise TransportUnavailableError(f"{address}: no connection ({type(error).__name__})") from None


@contextmanager
def _explained(address: str, folder: str = "") -> Iterator[None]:
    try:
        yield
    except _CLOSED as error:
        raise TransportFolderError(
            f"{address}: folder '{folder}' or a file in it is not there, or our login may not do this there "
            f"({type(error).__name__})"
        ) from None
    except asyncssh.SFTPError as error:
        raise TransportUnavailableError(
            f"{address}: the server could not do what was asked; its disk may be full ({type(error).__name__})"
        ) from None
    except (asyncssh.Error, OSError, TimeoutError) as error:
        raise TransportUnavailableError(f"{address}: the connection broke off ({type(error).__name__})") from None
