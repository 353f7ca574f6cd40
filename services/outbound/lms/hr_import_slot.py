"""The folder HR Import takes its files from: one pending file of each kind, and never one over another.

There is no lock on the other side. It takes a file once its checksum stands still, so a file has to appear whole; and
one that is written over before it was taken is lost.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Protocol

from shared.errors import (
    BridgeError,
    LmsBusyError,
    LmsMisconfiguredError,
    LmsUnavailableError,
    TransientError,
)
from shared.transport.port import Remote, Session
from shared.transport.remote import make_remote
from shared.transport.settings import Connection


class FileSlot(Protocol):
    """Where files are put for HR Import, and where its log report is found.

    Raises LmsUnavailableError while the place cannot be reached, LmsMisconfiguredError when we are not let in.
    """

    async def pending(self, name: str) -> bool:
        """Whether a file of this name still waits to be taken."""
        ...

    async def place(self, name: str, content: bytes) -> None:
        """Put a file there, whole. Raises LmsBusyError while one waits."""
        ...

    async def report(self, pattern: str) -> bytes | None:
        """Return the newest report whose name is like ``pattern`` (``*`` stands for anything), or None."""
        ...

    async def waiting(self, pattern: str) -> bool:
        """Whether any file whose name is like ``pattern`` still waits to be taken."""
        ...


class FolderSlot:
    """Folders of this machine: ``ready`` for files, ``reports`` for the log report."""

    def __init__(self, ready: Path, reports: Path) -> None:
        self._ready = ready
        self._reports = reports

    async def pending(self, name: str) -> bool:
        """Look for the file."""
        return await asyncio.to_thread((self._ready / name).exists)

    async def place(self, name: str, content: bytes) -> None:
        """Write under a hidden name, then give it its own in one step, which fails where one is."""
        await asyncio.to_thread(self._place, name, content)

    async def report(self, pattern: str) -> bytes | None:
        """Read the newest."""
        return await asyncio.to_thread(self._report, pattern)

    async def waiting(self, pattern: str) -> bool:
        """Look for such files."""
        return await asyncio.to_thread(self._waiting, pattern)

    def _place(self, name: str, content: bytes) -> None:
        path, part = self._ready / name, self._ready / f".{name}.part"
        try:
            self._ready.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            try:
                _link(part, path)
            finally:
                part.unlink(missing_ok=True)
        except FileExistsError:
            raise _busy(name) from None
        except OSError as error:
            raise LmsUnavailableError(f"{self._ready} cannot be written to: {error.strerror}") from None

    def _waiting(self, pattern: str) -> bool:
        try:
            return any(fnmatch(path.name, pattern) for path in self._ready.iterdir())
        except OSError as error:
            raise LmsUnavailableError(f"{self._ready} cannot be read: {error.strerror}") from None

    def _report(self, pattern: str) -> bytes | None:
        try:
            found = [path for path in self._reports.glob("*") if fnmatch(path.name, pattern) and path.is_file()]
            newest = max(found, key=lambda path: (path.stat().st_mtime_ns, path.name), default=None)
            return newest.read_bytes() if newest else None
        except OSError as error:
            raise LmsUnavailableError(f"{self._reports} cannot be read: {error.strerror}") from None


class RemoteSlot:
    """Folders of another side, as ``shared.transport`` reaches them."""

    def __init__(self, remote: Remote, ready: str, reports: str) -> None:
        self._remote = remote
        self._ready = ready
        self._reports = reports

    async def pending(self, name: str) -> bool:
        """Ask the other side."""
        async with self._session() as session:
            return await session.find(self._ready, name) is not None

    async def place(self, name: str, content: bytes) -> None:
        """Upload under a hidden name, measure, then rename."""
        async with self._session() as session:
            if await session.find(self._ready, name) is not None:
                raise _busy(name)
            part = f".{name}.part"
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "file"
                await asyncio.to_thread(path.write_bytes, content)
                await session.put(self._ready, part, path)
            arrived = await session.find(self._ready, part)
            if arrived is None or arrived.size != len(content):
                with suppress(BridgeError):  # the next attempt writes over it
                    await session.remove(self._ready, part)
                raise LmsUnavailableError("a file did not arrive whole")
            if await session.find(self._ready, name) is not None:
                raise _busy(name)
            await session.rename(self._ready, part, name)

    async def report(self, pattern: str) -> bytes | None:
        """Fetch the newest."""
        async with self._session() as session:
            found = await session.entries(self._reports, lambda name: fnmatch(name, pattern))
            newest = max(found, key=lambda entry: (entry.mtime_ns, entry.name), default=None)
            if newest is None:
                return None
            content = bytearray()
            await session.fetch(self._reports, newest.name, content.extend)
            if len(content) < newest.size:
                raise LmsUnavailableError("the HR Import log did not come whole")
            return bytes(content)

    async def waiting(self, pattern: str) -> bool:
        """Ask the other side."""
        async with self._session() as session:
            return bool(await session.entries(self._ready, lambda name: fnmatch(name, pattern)))

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Session]:
        try:
            async with self._remote.open() as session:
                yield session
        except (LmsUnavailableError, LmsMisconfiguredError):
            raise
        except TransientError as error:
            raise LmsUnavailableError(error.sentence) from None
        except BridgeError as error:
            raise LmsMisconfiguredError(error.sentence) from None


def make_slot(connection: Connection, ready: Path, reports: Path) -> FileSlot:
    """Return where a trust's files go: its connection's folders, or without one those of this machine.

    Raises ConfigurationError when a secret file of the connection cannot be used.
    """
    if connection.remote:
        return RemoteSlot(make_remote(connection), connection.deliver_to, connection.collect_from)
    return FolderSlot(ready, reports)


def _link(part: Path, path: Path) -> None:
    """Give a file its name in one step. Raises FileExistsError where another has it."""
    try:
        path.hardlink_to(part)
    except FileExistsError:
        raise
    except OSError:  # a share that has no hard links
        if path.exists():
            raise FileExistsError from None
        part.rename(path)


def _busy(name: str) -> LmsBusyError:
    return LmsBusyError(f"'{name}' still waits to be imported; another would overwrite it")
