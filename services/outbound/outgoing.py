"""The folder here that a connection empties: what is new in it, and what each file was when it was read."""

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.errors import StorageUnavailableError
from shared.transport.local import opened, read_block, storage_explained
from shared.transport.names import decoded, is_safe
from shared.transport.remote import make_remote
from shared.transport.rounds import Line
from shared.transport.settings import Connection

TICK_NS: Final = 2_000_000_000
"""Coarsest time stamps of file systems in use."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A file to be delivered, as it was when it was read."""

    path: Path
    size: int
    mtime_ns: int
    sha256: str

    @property
    def name(self) -> str:
        """The name it has here and there."""
        return self.path.name

    @property
    def unchanged(self) -> bool:
        """Whether it still is as it was."""
        return _state(self.path) == (self.size, self.mtime_ns)


class Place:
    """One connection, the folder here that it empties, and what is known to have been delivered."""

    def __init__(self, line: Line, connection: Connection, local: Path) -> None:
        self.line = line
        self.connection = connection
        self.folder = connection.deliver_to
        self.key = f"{line.folder}:{self.folder}"
        self.remote = make_remote(connection)
        self._local = local
        self._known: dict[str, tuple[int, int]] = {}
        self._quiet: tuple[int, int] | None = None

    def has_news(self) -> bool:
        """Whether there is something to deliver, or something wrong that a visit would tell.

        A folder that is as it was when nothing was new is not read again: files come into it by getting their names.
        """
        state = _state(self._local)
        if state is not None and state == self._quiet:
            return False
        try:
            news = any(self._new())
        except StorageUnavailableError:
            return True
        # A change within the clock's last tick may yet be followed by one that leaves the same time.
        settled = state is not None and time.time_ns() - state[1] > TICK_NS
        self._quiet = state if settled and not news else None
        return news

    def _new(self) -> Iterator[Path]:
        """Yield the files that are not known to have been delivered as they are now."""
        with storage_explained():
            if not self._local.is_dir():
                return
            with os.scandir(self._local) as items:
                names = sorted(item.name for item in items if item.is_file())
        for name in names:
            path = self._local / name
            if decoded(os.fsencode(name)) and is_safe(name) and self._known.get(name) != _state(path):
                yield path

    def read(self) -> tuple[list[Outgoing], StorageUnavailableError | None]:
        """Return the new files with their checksums, and why one could not be read, if one could not."""
        files: list[Outgoing] = []
        unreadable: StorageUnavailableError | None = None
        for path in self._new():
            try:
                if file := _read(path):
                    files.append(file)
            except StorageUnavailableError as error:
                unreadable = error
        return files, unreadable

    def know(self, files: Iterable[Outgoing]) -> None:
        """Remember that files need not be looked at again while they stay as they are."""
        self._known |= {file.name: (file.size, file.mtime_ns) for file in files}


def _state(path: Path) -> tuple[int, int] | None:
    try:
        said = path.stat()
    except FileNotFoundError:
        return None
    return said.st_size, said.st_mtime_ns


def _read(path: Path) -> Outgoing | None:
    """Read a file to the end; None when it is gone or is being written."""
    with storage_explained():
        before = _state(path)
    if before is None:
        return None
    digest = hashlib.sha256()
    with opened(path) as file:
        while block := read_block(file):
            digest.update(block)
    outgoing = Outgoing(path, *before, digest.hexdigest())
    return outgoing if outgoing.unchanged else None
