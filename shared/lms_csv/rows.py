"""Rows of a CSV file with the line each begins on and the byte it ends at, in bounded memory whatever the file holds.

Python's own reader takes the rows apart. It is fed line by line and takes no more lines than the row has, so the place
behind a row is known, and reading can go on there later without reading what is before it.
"""

import csv
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import msgspec

from shared.codes import LmsCode
from shared.errors import FileRefusedError
from shared.lms_csv.profile import LmsProfile

LONGEST_ROW: Final = 512 * 1024
"""Bytes of one row, over however many lines; more is a quotation mark that is never closed, or not such a file."""

LONGEST_VALUE: Final = 64 * 1024
"""Characters of one value."""

_CHUNK: Final = 64 * 1024
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Row(msgspec.Struct, frozen=True):
    """One row that is not blank. ``line``: where it begins; ``last_line``, ``offset``: where the next may begin."""

    line: int
    last_line: int
    offset: int
    cells: list[str]


class UnreadableFileError(FileRefusedError):
    """The file cannot be read on from ``line``."""

    def __init__(self, code: LmsCode, line: int) -> None:
        super().__init__(code, code.meaning)
        self.line = line


def read_rows(file: BinaryIO, profile: LmsProfile, offset: int = 0, line: int = 0) -> Iterator[Row]:
    """Yield the rows of ``file`` from ``offset`` on, before which it has ``line`` lines; ``file`` stands there.

    A line ends with CR, LF or both. Raises UnreadableFileError (L001, L004).
    """
    lines = _Lines(file, profile.encoding, offset, line)
    rows = csv.reader(lines, strict=True, **_dialect(profile))
    while True:
        begin = lines.begin_row()
        try:
            cells = next(rows, None)
        except UnicodeDecodeError:  # its text holds what stands in the file
            raise UnreadableFileError(LmsCode.L001, lines.line) from None
        except csv.Error:
            raise UnreadableFileError(LmsCode.L004, begin) from None
        if cells is None:
            return
        if lines.row_bytes > LONGEST_VALUE and any(len(cell) > LONGEST_VALUE for cell in cells):
            raise UnreadableFileError(LmsCode.L004, begin)
        if cells:
            yield Row(begin, lines.line, lines.offset, cells)


def _dialect(profile: LmsProfile) -> dict[str, Any]:
    if not profile.quote:
        return {"delimiter": profile.delimiter, "quoting": csv.QUOTE_NONE}
    return {"delimiter": profile.delimiter, "quotechar": profile.quote}


class _Lines:
    """The decoded lines of a file, for ``csv.reader``, which asks for the next only when a row goes on."""

    def __init__(self, file: BinaryIO, encoding: str, offset: int, line: int) -> None:
        self._raw = _raw_lines(file)
        self._encoding = encoding
        self._first = line + 1
        self.offset = offset
        self.line = line
        self.row_bytes = 0

    def begin_row(self) -> int:
        """Return the number of the line that comes next."""
        self._first = self.line + 1
        self.row_bytes = 0
        return self._first

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        raw = next(self._raw)
        if raw is None or self.row_bytes + len(raw) > LONGEST_ROW:
            raise UnreadableFileError(LmsCode.L004, self._first)
        at_start = self.offset == 0
        self.line += 1
        self.offset += len(raw)
        self.row_bytes += len(raw)
        if at_start and self._encoding == "utf-8":
            raw = raw.removeprefix(_BYTE_ORDER_MARK)
        return raw.decode(self._encoding)


def _raw_lines(file: BinaryIO) -> Iterator[bytes | None]:
    """Yield lines with their ends; None for one that is too long for any row, and then no more."""
    rest = b""
    while chunk := file.read(_CHUNK):
        lines = (rest + chunk).splitlines(keepends=True)  # of bytes: at CR, LF and CR LF only
        rest = lines.pop()  # it may go on, and a CR at its end may belong to an LF
        yield from lines
        if len(rest) > LONGEST_ROW:
            yield None
            return
    if rest:
        yield rest
