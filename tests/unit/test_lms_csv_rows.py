"""Rows of completion files: where each begins and ends, whatever the file holds, in bounded memory."""

import csv
import io
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.lms_csv import OWN, UnreadableFileError, load_lms_profile
from shared.lms_csv.rows import LONGEST_ROW, LONGEST_VALUE, Row, read_rows

PROFILE = load_lms_profile(OWN)
CHUNK = 64 * 1024


def rows(content: bytes, offset: int = 0, line: int = 0) -> list[Row]:
    file = io.BytesIO(content)
    file.seek(offset)
    return list(read_rows(file, PROFILE, offset, line))


def places(content: bytes) -> list[tuple[int, int, int]]:
    return [(row.line, row.last_line, row.offset) for row in rows(content)]


def refused(content: bytes) -> tuple[str, int]:
    with pytest.raises(UnreadableFileError) as raised:
        rows(content)
    return raised.value.file_code, raised.value.line


def test_a_row_is_told_with_the_line_it_begins_on_and_the_byte_it_ends_at() -> None:
    content = b'a,b\r\n"1\r\n1",2\r\n\r\n3,"x\n\ny"\n4,5'
    assert [row.cells for row in rows(content)] == [["a", "b"], ["1\r\n1", "2"], ["3", "x\n\ny"], ["4", "5"]]
    assert places(content) == [(1, 1, 5), (2, 3, 15), (5, 7, 26), (8, 8, 29)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_kind_of_line_end_counts_once_wherever_a_read_ends(end: bytes) -> None:
    for short in range(3):
        first = b"x" * (CHUNK - len(end) - short)  # the line end lies across the edge of a read
        content = end.join([first, b"a,b", b'"c' + end + b'd",e', b""])
        found = rows(content)
        assert [row.cells[-1] for row in found] == [first.decode(), "b", "e"]
        assert [row.line for row in found] == [1, 2, 3]
        assert found[-1].offset == len(content)


def test_reading_goes_on_from_behind_any_row() -> None:
    content = b'a,b\n"1\n1",2\n\n3,"x\n\ny"\n4,5\n'
    found = rows(content)
    for number, row in enumerate(found, start=1):
        assert rows(content, row.offset, row.last_line) == found[number:]


def test_a_byte_order_mark_is_no_part_of_the_first_value_and_is_data_elsewhere() -> None:
    mark = b"\xef\xbb\xbf"
    assert [row.cells for row in rows(mark + b"a\n" + mark + b"b")] == [["a"], ["\ufeffb"]]
    assert [row.cells for row in rows(mark)] == []


def test_bytes_that_are_no_text_are_l001_with_their_own_line() -> None:
    assert refused(b'a\n"1\n\xff",2\n') == ("L001", 3)


def test_a_quotation_mark_that_is_never_closed_is_l004_where_its_row_begins() -> None:
    assert refused(b'a\n1\n"2\n3\n4\n') == ("L004", 3)
    assert refused(b'a\n1\n"2"x\n') == ("L004", 3)


def test_a_value_or_row_that_is_too_long_is_l004_where_its_row_begins() -> None:
    long = b"x" * LONGEST_VALUE
    assert len(rows(b"a\n" + b",".join([long] * 7) + b"\n")) == 2
    assert refused(b"a\n\n" + long + b"x\n") == ("L004", 3)
    assert refused(b"a\n" + b",".join([long] * 9) + b"\n") == ("L004", 2)
    assert refused(b'a\n"' + b"xyz\n" * (LONGEST_ROW // 4 + 1)) == ("L004", 2)
    lines = b'"' + b"x" * (LONGEST_VALUE - 1) + b'\n"'
    assert len(rows(b"a\n" + b",".join([lines] * 7))) == 2
    assert refused(b"a\n" + b",".join([lines] * 8)) == ("L004", 2)


class Endless(io.RawIOBase):
    """A file of 100 MB that is never in memory: a start, then one piece again and again."""

    def __init__(self, start: bytes, piece: bytes) -> None:
        super().__init__()
        self._content = self._generate(start, piece)
        self.read_bytes = 0

    @staticmethod
    def _generate(start: bytes, piece: bytes) -> Iterator[bytes]:
        yield start
        for _ in range(100 * 1024 * 1024 // len(piece)):
            yield piece

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        del size
        chunk = next(self._content, b"")
        self.read_bytes += len(chunk)
        return chunk


@pytest.mark.parametrize("piece", [b"x" * CHUNK, b"\n" * CHUNK, b"\r" * CHUNK, b'""' * CHUNK, b"x\n" * CHUNK])
def test_a_quoted_value_of_100_mb_is_l004_before_it_fills_the_memory(piece: bytes) -> None:
    file = Endless(b'a,b\n1,"', piece)
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableFileError) as raised:
            list(read_rows(file, PROFILE))  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (raised.value.file_code, raised.value.line) == ("L004", 2)
    assert peak < 16 * 1024 * 1024
    assert file.read_bytes < 4 * LONGEST_ROW


def test_without_quoting_a_quotation_mark_is_data() -> None:
    profile = replace(PROFILE, quote="", delimiter=";")
    found = list(read_rows(io.BytesIO(b'a;"b\n"c";d\n'), profile))
    assert [row.cells for row in found] == [["a", '"b'], ['"c"', "d"]]


@pytest.mark.parametrize(("encoding", "byte"), [("iso-8859-1", b"\x85"), ("windows-1252", b"\x85"), ("utf-8", b"\x0b")])
def test_only_cr_and_lf_end_a_line(encoding: str, byte: bytes) -> None:
    [row] = read_rows(io.BytesIO(b"a" + byte + b"b\n"), replace(PROFILE, encoding=encoding))
    assert row.cells == [(b"a" + byte + b"b").decode(encoding)]


TEXTS = st.text(st.sampled_from('ab",;\r\n é\x85\0'), max_size=60)


@given(text=TEXTS)
@example(text="\r\n\r\n")
@example(text='"\r')
def test_rows_are_those_of_pythons_own_reader_for_any_text(text: str) -> None:
    assert cells_or_code(text) == cells_or_none(text)


def cells_or_code(text: str) -> list[list[str]] | None:
    try:
        return [row.cells for row in rows(text.encode())]
    except UnreadableFileError as error:
        return None if error.file_code == "L004" else [[error.file_code]]


def cells_or_none(text: str) -> list[list[str]] | None:
    try:
        return [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error:
        return None


@given(text=TEXTS)
def test_from_behind_any_row_of_any_text_the_same_rows_follow(text: str) -> None:
    content = text.encode()
    found = []
    try:
        for row in read_rows(io.BytesIO(content), PROFILE):
            found.append(row)
            lines = content[: row.offset].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            assert row.last_line == lines.count(b"\n") + (not lines.endswith(b"\n"))
    except UnreadableFileError:
        return
    for number, row in enumerate(found, start=1):
        assert rows(content, row.offset, row.last_line) == found[number:]
