"""Lines of a file as bytes, in bounded memory whatever the file holds.

A line ends at a line feed; one carriage return before it, or before the end of the file, belongs to the ending. A
carriage return anywhere else is data (and a fault of its record), so that one stray byte never shifts the lines.
"""

import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

#: Far above the longest record a profile declares (about 10 KB); longer lines are damage, not data.
MAX_LINE_BYTES = 64 * 1024
#: A line of nothing but these is blank and is passed over.
BLANKS = " \t\n\r\v\f"
#: One read from disk: large enough to keep system calls few, small enough to keep its lines in the processor's cache.
READ_BYTES = 128 * 1024


class Readable(Protocol):
    """What lines are read from: an open file, or ``Content``."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""
        ...


def read_lines(file: Readable, offset: int = 0) -> Iterator[tuple[bytes | None, int]]:
    """Each line without its ending and the byte offset just after it; None for a line that is too long.

    ``offset`` is where ``file`` stands.
    """
    for lines, more in read_blocks(file):
        offset += more
        for line in lines:
            offset += len(line) + 1
            yield (line.removesuffix(b"\r") if len(line) < MAX_LINE_BYTES else None), offset


def read_blocks(file: Readable) -> Iterator[tuple[list[bytes], int]]:
    """Many lines at a time, without their line feeds, and how many bytes longer the first of them was than it is here.

    Of a line too long, ``MAX_LINE_BYTES`` are given; so one that has as many is too long. The last line of a file may
    have no line feed; then it comes alone, and is "longer" by minus one.
    """
    rest, dropped = b"", 0
    while block := file.read(READ_BYTES):
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        if lines:
            yield lines, dropped
            dropped = 0
        if len(rest) > MAX_LINE_BYTES:
            dropped += len(rest) - MAX_LINE_BYTES
            rest = rest[:MAX_LINE_BYTES]
    if rest:
        yield [rest], dropped - 1


class Content:
    """A file, or its bytes, opened for one pass, with the SHA-256 and size of all that has been read.

    After the last line both speak of the whole file. ``on_read`` hears the size after every block. Raises OSError
    like ``open``.
    """

    def __init__(self, content: Path | bytes, on_read: Callable[[int], None] | None = None) -> None:
        self._file = open_content(content)
        self._digest = hashlib.sha256()
        self._on_read = on_read
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of what has been read."""
        return self._digest.hexdigest()

    def read(self, size: int, /) -> bytes:
        """The next bytes; none at the end."""
        block = self._file.read(size)
        self._digest.update(block)
        self.size += len(block)
        if self._on_read is not None:
            self._on_read(self.size)
        return block


def open_content(content: Path | bytes) -> BinaryIO:
    """A file, or its bytes, open for reading. Raises OSError."""
    return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb", buffering=0)
