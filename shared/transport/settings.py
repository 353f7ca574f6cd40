"""The connection of a folder pair in ``bridge.yaml``: where files are collected from and delivered to.

Secrets never stand in ``bridge.yaml``: it names the files that hold them. Everything that can be told without reading
those files is checked when ``bridge.yaml`` is loaded; the files themselves when a service that uses them is built, so
that the other services need not see them.
"""

import base64
import binascii
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Folder = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$")]
"""A folder on the other side, relative to where the login begins or absolute; empty: not used."""

_PORTS: Final = {"sftp": 22, "ftps": 21}

_ONLY_FOR: Final = {
    "path": ("folder",),
    "host": ("sftp", "ftps"),
    "port": ("sftp", "ftps"),
    "user": ("sftp", "ftps"),
    "password_file": ("sftp", "ftps"),
    "key_file": ("sftp",),
    "key_passphrase_file": ("sftp",),
    "host_key": ("sftp",),
    "host_key_file": ("sftp",),
    "ca_file": ("ftps",),
}

_KEY_LINE: Final = "a line as OpenSSH writes public keys is needed, such as 'ssh-ed25519 AAAA...'"

_FILES: Final = ("password_file", "key_file", "key_passphrase_file", "host_key_file", "ca_file", "path")


class Connection(BaseModel):
    """How a trust's files reach us and leave us. Nothing said: somebody else fills and empties the local folders."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    transport: Literal["folder", "sftp", "ftps"] = "folder"
    path: Path | None = None
    """Transport ``folder``: a folder that another system shares, for example a mounted file share."""
    host: Annotated[str, StringConstraints(pattern=r"^[^\s/@]*$")] = ""
    port: int | None = Field(default=None, ge=1, le=65535)
    """22 for SFTP and 21 for FTPS when nothing is said."""
    user: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    password_file: Path | None = None
    key_file: Path | None = None
    """A private key in any form OpenSSH writes."""
    key_passphrase_file: Path | None = None
    host_key: str = ""
    """The server's public key as OpenSSH writes it (``ssh-ed25519 AAAA...``); several lines while it is changed."""
    host_key_file: Path | None = None
    """A file of such lines, in place of ``host_key``."""
    ca_file: Path | None = None
    """Certificates (PEM) that vouch for an FTPS server; without it the system's own are trusted."""
    collect_from: Folder = "Out"
    deliver_to: Folder = "In"
    pattern: Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\x00-\x1f\x7f/]*$")] | None = None
    """Names that are collected, with ``*``, ``?`` and ``[...]``, whatever their case."""
    remove: bool = False
    """Whether a file is removed from the server once it is stored here."""
    every_seconds: float = Field(default=60.0, ge=1, le=86400)
    """How often the server is looked at."""
    timeout_seconds: float = Field(default=30.0, gt=0, le=100)
    """How long the server may take for one step: to be reached, to let us in, to answer, to send the next block."""
    transfer_seconds: float = Field(default=3600.0, gt=0)
    """How long one file may take altogether."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        for name, transports in _ONLY_FOR.items():
            if getattr(self, name) and self.transport not in transports:
                raise ValueError(f"'{name}' is not for transport '{self.transport}'")
        if not self.remote and self.model_fields_set - {"transport"}:
            raise ValueError("nothing is connected: say 'path', or transport 'sftp' or 'ftps'")
        if not (self.collect_from or self.deliver_to):
            raise ValueError("'collect_from' and 'deliver_to' are both empty: there is nothing to do")
        missing = [name for name in ("host", "user") if self.transport != "folder" and not getattr(self, name)]
        if missing:
            raise ValueError(f"transport '{self.transport}' needs {' and '.join(repr(name) for name in missing)}")
        self._check_secrets()
        return self

    def _check_secrets(self) -> None:
        if self.transport == "ftps" and self.password_file is None:
            raise ValueError("transport 'ftps' needs 'password_file'")
        if self.transport != "sftp":
            return
        if (self.password_file is None) == (self.key_file is None):
            raise ValueError("transport 'sftp' needs either 'key_file' or 'password_file', and not both")
        if self.key_passphrase_file and not self.key_file:
            raise ValueError("'key_passphrase_file' is for 'key_file'")
        if bool(self.host_key) == (self.host_key_file is not None):
            raise ValueError("transport 'sftp' needs either 'host_key' or 'host_key_file', and not both")
        if self.host_key:
            check_host_keys(self.host_key)

    @property
    def remote(self) -> bool:
        """Whether there is another side at all."""
        return self.transport != "folder" or self.path is not None

    @property
    def address(self) -> str:
        """Where the other side is, for logs and sentences: nothing secret."""
        return f"{self.host}:{self.port_number}" if self.host else str(self.path or "")

    @property
    def port_number(self) -> int:
        """The port, or the transport's usual one."""
        return self.port or _PORTS.get(self.transport, 0)

    def beside(self, folder: Path) -> "Connection":
        """Return the same with relative paths read as relative to ``folder``."""
        said = {name: value for name in _FILES if (value := getattr(self, name)) is not None}
        return self.model_copy(update={name: folder / value for name, value in said.items()})


def check_host_keys(text: str) -> list[str]:
    """Return the public key lines of a text, one a key. Raises ValueError, which tells nothing of the text."""
    lines = [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]
    if not lines:
        raise ValueError(f"no host key: {_KEY_LINE}")
    if not all(map(_is_public_key, lines)):
        raise ValueError(f"a host key cannot be read: {_KEY_LINE}")
    return lines


def _is_public_key(line: str) -> bool:
    """Whether a line is type, key and perhaps a comment, with a whole key in it of the type that is said.

    A public key is a row of texts, each after its length in four bytes, of which the first is the type (RFC 4253 6.6).
    """
    kind, _, rest = line.partition(" ")
    try:
        blob = base64.b64decode(rest.split()[0] if rest else "", validate=True)
    except (binascii.Error, ValueError):
        return False
    parts = []
    while len(blob) >= 4:
        size = int.from_bytes(blob[:4])
        parts.append(blob[4 : 4 + size])
        if len(parts[-1]) < size:
            return False
        blob = blob[4 + size :]
    return not blob and len(parts) > 1 and parts[0] == kind.encode()
