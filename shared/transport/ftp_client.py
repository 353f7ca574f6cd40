"""The FTP client: the standard library's, with TLS sessions that are resumed and listings that machines can read.

Names travel as the bytes they are: ``ftplib`` would give up on a listing with a single name that is not UTF-8, so it is
told ISO-8859-1, which keeps every byte.
"""

import ftplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Final

from shared.errors import TransportFolderError, TransportUntrustedError
from shared.transport.names import decoded
from shared.transport.port import LONGEST_LISTING, Entry, Wanted
from shared.transport.settings import Connection

WIRE: Final = "iso-8859-1"

GOODBYE_SECONDS: Final = 2.0

_FACTS: Final = ["type", "size", "modify"]
_NOT_KNOWN: Final = ("500", "501", "502", "504")
"""Answers to a command that a server does not have."""


class DataSocket(ssl.SSLSocket):
    """A data connection whose end in TLS is offered and not insisted on.

    Servers that hang up without it, or before a short transfer has quite begun, are common. Whether a transfer was
    whole is told by the answer to its command, and by the file's size.
    """

    def unwrap(self) -> socket.socket:
        """Say goodbye, and wait for an answer only briefly."""
        with suppress(OSError):  # among them ssl.SSLError
            self.settimeout(GOODBYE_SECONDS)
            super().unwrap()
        return self


class FtpClient(ftplib.FTP_TLS):
    """Speaks to one server. Every answer is waited for no longer than ``timeout`` seconds.

    Data connections resume the TLS session of the control connection: a server that insists on it knows by that the
    two to come from the same client.
    """

    def __init__(self, context: ssl.SSLContext, timeout: float) -> None:
        super().__init__(context=context, timeout=timeout, encoding=WIRE)
        self._home = ""
        self._folder: str | None = None
        self._data: socket.socket | None = None
        self._tells_facts = True
        """Whether the server has MLSD and MLST. Where it has not, times come from MDTM, in lists too: servers are known
        whose two clocks differ."""

    def enter(self, said: Connection, password: str) -> None:
        """Connect, secure, log in. Raises TransportUntrustedError and what ``ftplib`` raises."""
        self.connect(said.host, said.port_number)
        if self.sock is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        with _refusal_means_no_tls(said.address):
            self.auth()
        self.login(wire(said.user), wire(password))
        with _refusal_means_no_tls(said.address):
            self.prot_p()
        self.voidcmd("TYPE I")
        self._home = self.pwd()

    def enter_folder(self, folder: str) -> None:
        """Change to a folder that is named from where the login began."""
        if self._folder != folder:
            self._folder = None
            self.cwd(self._home)
            self.cwd(wire(folder))
            self._folder = folder

    def entries(self, wanted: Wanted, place: str) -> list[Entry]:
        """Return the plain files of the current folder: by MLSD, else one by one."""
        try:
            found = self._list_facts(wanted, place)
        except ftplib.error_perm as error:
            if not str(error).startswith(_NOT_KNOWN):
                raise
            self._tells_facts = False
            found = [self.find(name) for name in self._list_names(wanted, place)]
        return [entry for entry in found if entry]

    def _list_facts(self, wanted: Wanted, place: str) -> list[Entry | None]:
        found = []
        for seen, (raw, facts) in enumerate(self.mlsd(facts=_FACTS), start=1):
            _check_length(seen, place)
            name = _unwired(raw)
            if name and wanted(name):
                found.append(_entry(name, facts))
        self.voidcmd("TYPE I")  # lists are text, and in text files have no size
        return found

    def _list_names(self, wanted: Wanted, place: str) -> list[str]:
        names: list[str] = []

        def take(line: str) -> None:
            names.append(line)
            _check_length(len(names), place)

        try:
            self.retrlines("NLST", take)
        except ftplib.error_perm as error:
            if not str(error).startswith("550"):  # how many servers say that there is none
                raise
        self.voidcmd("TYPE I")
        return [name for name in map(_unwired, names) if name and wanted(name)]

    def find(self, name: str) -> Entry | None:
        """Return a file of the current folder by name, None when there is no file of that name."""
        try:
            if self._tells_facts:
                try:
                    return _entry(name, _facts(self.sendcmd(f"MLST {wire(name)}")))
                except ftplib.error_perm as error:
                    if not str(error).startswith(_NOT_KNOWN):
                        raise
                    self._tells_facts = False
            size = self.size(wire(name))
            time = self.voidcmd(f"MDTM {wire(name)}")
        except ftplib.error_perm as error:
            if str(error).startswith("550"):
                return None
            raise
        return _entry(name, {"type": "file", "size": str(size), "modify": time[3:].strip()})

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[socket.socket, int | None]:
        """Open a data connection in the TLS session of the control connection."""
        # FTP_TLS's own way here knows no sessions, so its parent's is taken.
        self._data, size = super(ftplib.FTP_TLS, self).ntransfercmd(cmd, rest)
        session = self.sock.session if isinstance(self.sock, ssl.SSLSocket) else None
        try:
            self._data = self.context.wrap_socket(self._data, server_hostname=self.host, session=session)
        except BaseException:
            self._data.close()
            raise
        return self._data, size

    def hang_up(self) -> None:
        """Break both connections, so that whatever call is under way in another thread ends."""
        for end in (self._data, self.sock):
            if end is not None:
                with suppress(OSError):
                    socket.socket.shutdown(end, socket.SHUT_RDWR)  # not SSLSocket's: another thread is at work on it


def wire(text: str) -> str:
    """Return a text as ``ftplib`` has to be given it to send it in UTF-8."""
    return text.encode().decode(WIRE)


def _unwired(text: str) -> str:
    return decoded(text.encode(WIRE))


def _facts(answer: str) -> dict[str, str]:
    """Read the facts of an MLST answer: a line between two others, ``type=file;size=3;modify=20260303072050; name``."""
    lines = answer.splitlines()
    facts = lines[1].strip().partition(" ")[0] if len(lines) > 2 else ""
    return {key.lower(): value for key, _, value in (fact.partition("=") for fact in facts.split(";"))}


def _entry(name: str, facts: dict[str, str]) -> Entry | None:
    """Return a plain file, None for a folder or the like, and for what comes without size and time."""
    try:
        if facts["type"].lower() == "file":
            return Entry(name, int(facts["size"]), _nanoseconds(facts["modify"]))
    except (KeyError, ValueError):
        pass
    return None


def _nanoseconds(text: str) -> int:
    """Read ``YYYYMMDDHHMMSS[.sss]``, which is UTC (RFC 3659 2.3)."""
    whole, _, part = text.partition(".")
    moment = datetime.strptime(whole, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000 + int(f"{part[:9]:0<9}")


def _check_length(seen: int, place: str) -> None:
    if seen > LONGEST_LISTING:
        raise TransportFolderError(f"{place} holds more than {LONGEST_LISTING} names")


@contextmanager
def _refusal_means_no_tls(address: str) -> Iterator[None]:
    try:
        yield
    except (ssl.SSLCertVerificationError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
        raise
    except (ftplib.error_perm, ftplib.error_proto, ssl.SSLError) as error:
        raise TransportUntrustedError(
            f"{address}: the server does not agree to TLS of version 1.2 or newer for both commands and files; nothing "
            f"was sent in the clear ({type(error).__name__})"
        ) from None
