"""From ``bridge.yaml`` to the other sides."""

from importlib import import_module
from typing import Final

from shared.config import BridgeConfig
from shared.transport.port import Remote
from shared.transport.rounds import Line
from shared.transport.settings import Connection

_MADE_BY: Final = {
    "folder": ("shared.transport.folder", "FolderRemote"),
    "ftps": ("shared.transport.ftps", "FtpsRemote"),
    "sftp": ("shared.transport.sftp", "SftpRemote"),
}
"""By name: loading an SSH library takes half a second, which only those spend who use it."""


def connections(config: BridgeConfig) -> dict[Line, Connection]:
    """Return every connection there is: of a trust's ESR folders (``esr``) and of its LMS folders (``lms``)."""
    return {
        Line(trust.vpd, folder, connection.address): connection
        for trust in config.trusts
        for folder, connection in (("esr", trust.esr), ("lms", trust.lms.connection))
        if connection.remote
    }


def make_remote(connection: Connection) -> Remote:
    """Return the other side of a connection. Raises ConfigurationError when a secret file cannot be used."""
    module, name = _MADE_BY[connection.transport]
    made: Remote = getattr(import_module(module), name)(connection)
    return made
