"""What collecting and delivering ask of the other side, whichever way it is reached.

Everything may raise ``TransportUnavailableError`` (try again later), ``TransportRefusedError`` (we are not let in),
``TransportUntrustedError`` (it is not who it should be) or ``TransportFolderError`` (folder or file missing, or closed
to us), and nothing else from outside. Every step has a deadline. A session is used by one task at a time.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

BLOCK: Final = 256 * 1024
"""Bytes moved in one step."""

LONGEST_LISTING: Final = 100_000
"""Names looked at in one folder. More means that nobody clears it; the memory for a listing stays bounded."""

Wanted = Callable[[str], bool]
Sink = Callable[[bytes], None]
"""Takes the blocks of a file in order; called from whatever thread has them. What it raises ends the transfer."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as the other side lists it."""

    name: str
    size: int
    mtime_ns: int
    """As exact as the way there tells it; often whole seconds. Compared for equality only."""


class Session(Protocol):
    """The other side, while we are connected to it. ``folder`` is as in the connection's settings."""

    async def entries(self, folder: str, wanted: Wanted) -> list[Entry]:
        """Return the plain files of a folder whose names are wanted, in no order."""
        ...

    async def find(self, folder: str, name: str) -> Entry | None:
        """Return a file of a folder, or None when there is none of that name."""
        ...

    async def fetch(self, folder: str, name: str, sink: Sink) -> None:
        """Pass a whole file to ``sink``. It may have been cut short all the same: compare its size."""
        ...

    async def put(self, folder: str, name: str, path: Path) -> None:
        """Write the local file ``path`` under ``name``, over anything that is there. Not atomic: rename afterwards."""
        ...

    async def rename(self, folder: str, name: str, to: str) -> None:
        """Give a file its final name, in one step where the other side can. The name must be free."""
        ...

    async def remove(self, folder: str, name: str) -> None:
        """Remove a file; one that is gone already is fine."""
        ...


class Remote(Protocol):
    """A configured other side. Making one reads and checks its secret files (ConfigurationError)."""

    def open(self) -> AbstractAsyncContextManager[Session]:
        """Connect. Secret files are read anew each time, so that what they hold can be changed while we run."""
        ...
