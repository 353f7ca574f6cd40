"""Lines of a file as bytes, in bounded memory whatever the file holds.

A line ends at a line feed; one carriage return before it, or before the end of the file, belongs to the ending. A
carriage return anywhere else is data (and a fault of its record), so that one stray byte never shifts the lines.
"""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

#: Far above the longest record a profile declares (about 4 KB); longer lines are damage, not data.
MAX_LINE_BYTES = 64 * 1024
#: A line of nothing but these is blank and is passed over.
BLANKS = " \t\n\r\v\f"
#: One read from disk. Large reads keep the number of system calls small against a file of 100 MB.
READ_BYTES = 1024 * 1024


def read_lines(file: BinaryIO, offset: int = 0) -> Iterator[tuple[bytes | None, int]]:
    """Each line without its ending and the byte offset just after it; None for a line that is too long.

    ``offset`` is where ``file`` stands.
    """
    readline = file.readline
    while raw := readline(MAX_LINE_BYTES):
        offset += len(raw)
        if raw.endswith(b"\r\n"):
            yield raw[:-2], offset
        elif raw.endswith(b"\n"):
            yield raw[:-1], offset
        elif len(raw) < MAX_LINE_BYTES:  # the last line, without an ending
            yield raw.removesuffix(b"\r"), offset
        else:
            offset += _skip_rest_of_line(file)
            yield None, offset


def _skip_rest_of_line(file: BinaryIO) -> int:
    skipped = 0
    while raw := file.readline(MAX_LINE_BYTES):
        skipped += len(raw)
        if raw.endswith(b"\n"):
            break
    return skipped


class HashingFile:
    """A file opened for one pass, with the SHA-256 and size of all that has been read from it.

    After the last line both speak of the whole file. Raises OSError like ``open``.
    """

    def __init__(self, path: Path) -> None:
        self._raw = _HashingRaw(path)
        self.file: BinaryIO = io.BufferedReader(self._raw, READ_BYTES)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()

    @property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of what has been read."""
        return self._raw.digest.hexdigest()

    @property
    def size(self) -> int:
        """Bytes read."""
        return self._raw.size


class _HashingRaw(io.FileIO):
    """Hashes each block on its way into the buffer: cheaper than hashing each line, and no second pass."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "rb")
        self.digest = hashlib.sha256()
        self.size = 0

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = super().readinto(buffer)
        self.digest.update(buffer[:count])
        self.size += count
        return count
