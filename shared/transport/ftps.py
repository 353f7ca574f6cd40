"""FTP over explicit TLS (RFC 4217): the server's certificate is verified, and nothing ever travels in the clear.

Made of the standard library's ``ftplib``, in a thread.
"""

import ftplib
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

from shared.errors import (
    ConfigurationError,
    TransportFolderError,
    TransportRefusedError,
    TransportUnavailableError,
    TransportUntrustedError,
)
from shared.transport.aside import Aside
from shared.transport.ftp_client import DataSocket, FtpClient, wire
from shared.transport.local import opened, read_block
from shared.transport.port import BLOCK, Entry, Session, Sink, Wanted
from shared.transport.secrets import read_secret
from shared.transport.settings import Connection

_CLOSED: Final = ("550", "553")
"""Answers that a file or folder is not there, or not for us."""

T = TypeVar("T")


class FtpsRemote:
    """A folder tree on an FTP server that speaks TLS."""

    def __init__(self, connection: Connection) -> None:
        """Check certificates and password. Raises ConfigurationError."""
        self._connection = connection
        self._password()
        self._context()

    def open(self) -> AbstractAsyncContextManager[Session]:
        """Connect."""
        return self._opened()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Session]:
        said = self._connection
        ftp = FtpClient(self._context(), said.timeout_seconds)
        aside = Aside(ftp.hang_up, ftp.close)
        try:
            password = self._password()
            with _login_explained(said.address):
                # Each step has the socket's deadline; all of them together may take a few such.
                await aside.run(4 * said.timeout_seconds, lambda: ftp.enter(said, password))
            yield FtpsSession(said, ftp, aside)
            with suppress(*ftplib.all_errors):
                await aside.run(min(said.timeout_seconds, 5), ftp.quit)
        finally:
            aside.close()

    def _password(self) -> str:
        return read_secret(self._connection.password_file or Path())  # never the latter: the settings see to it

    def _context(self) -> ssl.SSLContext:
        file = self._connection.ca_file
        try:
            context = ssl.create_default_context(cafile=file)
        except OSError as error:  # among them ssl.SSLError
            raise ConfigurationError(f"{file}: no certificates (PEM) can be read from it") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.sslsocket_class = DataSocket
        if file is not None:
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the file may hold the server's own certificate
        return context


class FtpsSession:
    """One control connection, logged in."""

    def __init__(self, connection: Connection, ftp: FtpClient, aside: Aside) -> None:
        self._address = connection.address
        self._whole = connection.transfer_seconds
        self._ftp = ftp
        self._aside = aside

    async def entries(self, folder: str, wanted: Wanted) -> list[Entry]:
        """List by MLSD, or by asking for each wanted name's size and time where the server does not have that."""
        return await self._run(folder, lambda: self._ftp.entries(wanted, f"{self._address}: folder '{folder}'"))

    async def find(self, folder: str, name: str) -> Entry | None:
        """Ask for size and time."""
        return await self._run(folder, lambda: self._ftp.find(name))

    async def fetch(self, folder: str, name: str, sink: Sink) -> None:
        """Retrieve (RETR)."""
        await self._run(folder, lambda: self._ftp.retrbinary(f"RETR {wire(name)}", sink, BLOCK))

    async def put(self, folder: str, name: str, path: Path) -> None:
        """Store (STOR)."""
        with opened(path) as local:
            source = _Source(lambda: read_block(local))
            await self._run(folder, lambda: self._ftp.storbinary(f"STOR {wire(name)}", source, BLOCK))

    async def rename(self, folder: str, name: str, to: str) -> None:
        """Rename (RNFR, RNTO)."""
        await self._run(folder, lambda: self._ftp.rename(wire(name), wire(to)))

    async def remove(self, folder: str, name: str) -> None:
        """Delete (DELE). A refusal counts only when the file is still there."""

        def remove() -> None:
            try:
                self._ftp.delete(wire(name))
            except ftplib.error_perm:
                if self._ftp.find(name) is not None:
                    raise

        await self._run(folder, remove)

    async def _run(self, folder: str, call: Callable[[], T]) -> T:
        def in_folder() -> T:
            self._ftp.enter_folder(folder)
            return call()

        with _explained(self._address, folder):
            return await self._aside.run(self._whole, in_folder)


class _Source:
    """What ``storbinary`` takes for a file."""

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._read = read

    def read(self, _size: int = -1, /) -> bytes:
        """Return the next block, whatever its size; empty at the end."""
        return self._read()


@contextmanager
def _login_explained(address: str) -> Iterator[None]:
    """Tell a server that is away from one that refuses us and from one that is not the one we trust.

    The server's own words are not repeated: they may hold anything.
    """
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise TransportUntrustedError(
            f"{address}: the server's certificate is not trusted for this host ({error.verify_message}); check 'host' "
            "and 'ca_file' with its owner"
        ) from None
    except ftplib.error_perm:
        raise TransportRefusedError(
            f"{address}: the server refuses our login; check 'user' and the password with its owner"
        ) from None
    except (ftplib.Error, OSError, EOFError) as error:  # among them TimeoutError and ssl.SSLError
        raise TransportUnavailableError(f"{address}: no connection ({type(error).__name__})") from None


@contextmanager
def _explained(address: str, folder: str) -> Iterator[None]:
    try:
        yield
    except ftplib.Error as error:
        answer = str(error)[:3]
        if answer in _CLOSED:
            raise TransportFolderError(
                f"{address}: folder '{folder}' or a file in it is not there, or our login may not do this there "
                f"(answer {answer})"
            ) from None
        raise TransportUnavailableError(
            f"{address}: the server could not do what was asked; its disk may be full (answer {answer})"
        ) from None
    except (OSError, EOFError) as error:  # among them TimeoutError and ssl.SSLError
        raise TransportUnavailableError(f"{address}: the connection broke off ({type(error).__name__})") from None
