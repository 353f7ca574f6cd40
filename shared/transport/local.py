"""The side of a transfer that is here: files that are read, and files that appear whole or not at all."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from shared.errors import StorageUnavailableError, TransportUnavailableError
from shared.transport.port import BLOCK

_UNFINISHED: Final = ".collecting."
"""Begins the names of files that are on their way here. Nobody takes a name with a dot in front."""


class Landing:
    """A file on its way into ``folder``: hidden while it is written, and whole once it has its name."""

    def __init__(self, folder: Path, name: str, size: int) -> None:
        """Begin. Raises StorageUnavailableError, as does everything here when the disk does not want."""
        self._size = size
        self._path = folder / name
        self._part = folder / f"{_UNFINISHED}{name}.part"
        self._digest = hashlib.sha256()
        self.received = 0
        with storage_explained():
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self._part.open("wb")

    @property
    def sha256(self) -> str:
        """Checksum of what was received."""
        return self._digest.hexdigest()

    def write(self, block: bytes) -> None:
        """Take the next block. Raises TransportUnavailableError when more comes than was announced."""
        self.received += len(block)
        if self.received > self._size:
            raise TransportUnavailableError("a file grew while it was fetched")
        self._digest.update(block)
        with storage_explained():
            self._file.write(block)

    def finish(self, mtime_ns: int) -> None:
        """Give the file its name and the time it has on the other side.

        With that time a file that is fetched once more, because we were killed before we could note it, is seen to be
        the one that is here already.
        """
        with storage_explained():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            os.utime(self._part, ns=(mtime_ns, mtime_ns))
            self._part.replace(self._path)
            sync_folder(self._path.parent)

    def discard(self) -> None:
        """Leave nothing behind. Harmless after ``finish``."""
        try:
            self._file.close()
        except OSError:
            pass  # what could not be written is not wanted any more
        finally:
            self._part.unlink(missing_ok=True)


def clear_unfinished(folder: Path) -> None:
    """Remove what a process that was killed left half written. Nobody else may be fetching into the folder."""
    with storage_explained():
        for path in folder.glob(f"{_UNFINISHED}*.part"):
            path.unlink(missing_ok=True)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a local file to be read. Raises StorageUnavailableError."""
    with storage_explained():
        file = path.open("rb")
    with file:
        yield file


def read_block(file: BinaryIO, length: int = BLOCK) -> bytes:
    """Read the next block. Raises StorageUnavailableError."""
    with storage_explained():
        return file.read(length)


def sync_folder(folder: Path) -> None:
    """Make a rename outlast a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def storage_explained() -> Iterator[None]:
    """Turn what the system says of our own files into StorageUnavailableError."""
    try:
        yield
    except OSError as error:
        raise StorageUnavailableError(f"a file cannot be written or read here: {error.strerror}") from None
