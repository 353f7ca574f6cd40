"""A folder that another system shares with us, such as a mounted file share."""

import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar

from shared.errors import TransportFolderError, TransportUnavailableError
from shared.transport.aside import Aside
from shared.transport.local import opened, read_block, sync_folder
from shared.transport.names import decoded
from shared.transport.port import BLOCK, LONGEST_LISTING, Entry, Session, Sink, Wanted
from shared.transport.settings import Connection

T = TypeVar("T")


class FolderRemote:
    """A tree of folders that is there like any other."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def open(self) -> AbstractAsyncContextManager[Session]:
        """Begin; there is nothing to connect."""
        return self._opened()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Session]:
        # Nothing ends a call into a share whose server is gone but the system itself.
        aside = Aside(hang_up=lambda: None, clean_up=lambda: None)
        try:
            yield FolderSession(self._connection, aside)
        finally:
            aside.close()


class FolderSession:
    """Works on the folders in a thread, because a share may hang."""

    def __init__(self, connection: Connection, aside: Aside) -> None:
        self._root = connection.path or Path()
        self._step = connection.timeout_seconds
        self._whole = connection.transfer_seconds
        self._aside = aside

    async def entries(self, folder: str, wanted: Wanted) -> list[Entry]:
        """Read the folder."""
        return await self._run(self._whole, folder, lambda: self._entries(folder, wanted))

    async def find(self, folder: str, name: str) -> Entry | None:
        """Ask the system."""
        return await self._run(self._step, folder, lambda: _entry(name, self._path(folder, name)))

    async def fetch(self, folder: str, name: str, sink: Sink) -> None:
        """Read block by block."""
        await self._run(self._whole, folder, lambda: _pour(self._path(folder, name), sink))

    async def put(self, folder: str, name: str, path: Path) -> None:
        """Write block by block, and to the disk."""
        with opened(path) as local:
            await self._run(self._whole, folder, lambda: _write(self._path(folder, name), lambda: read_block(local)))

    async def rename(self, folder: str, name: str, to: str) -> None:
        """Rename, and to the disk."""
        await self._run(self._step, folder, lambda: self._rename(folder, name, to))

    async def remove(self, folder: str, name: str) -> None:
        """Remove a file."""
        await self._run(self._step, folder, lambda: self._path(folder, name).unlink(missing_ok=True))

    async def _run(self, seconds: float, folder: str, call: Callable[[], T]) -> T:
        with _explained(self._root / folder):
            return await self._aside.run(seconds, call)

    def _path(self, folder: str, name: str) -> Path:
        return self._root / folder / name

    def _entries(self, folder: str, wanted: Wanted) -> list[Entry]:
        found: list[Entry] = []
        with os.scandir(self._root / folder) as items:
            for seen, item in enumerate(items, start=1):
                if seen > LONGEST_LISTING:
                    raise TransportFolderError(f"{self._root / folder} holds more than {LONGEST_LISTING} names")
                name = decoded(os.fsencode(item.name))
                if name and wanted(name) and (entry := _entry(name, Path(item.path))):
                    found.append(entry)
        return found

    def _rename(self, folder: str, name: str, to: str) -> None:
        self._path(folder, name).rename(self._path(folder, to))
        sync_folder(self._root / folder)


def _entry(name: str, path: Path) -> Entry | None:
    try:
        said = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return Entry(name, said.st_size, said.st_mtime_ns) if stat.S_ISREG(said.st_mode) else None


def _pour(path: Path, sink: Sink) -> None:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            sink(block)


def _write(path: Path, read: Callable[[], bytes]) -> None:
    with path.open("wb") as file:
        while block := read():
            file.write(block)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _explained(place: Path) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise TransportFolderError(
            f"{place} or a file in it is not there, or we may not do this there ({type(error).__name__}); "
            "is the share mounted?"
        ) from None
    except OSError as error:  # among them TimeoutError
        raise TransportUnavailableError(f"{place}: {error.strerror or 'the share does not answer'}") from None
