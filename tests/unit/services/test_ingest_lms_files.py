"""Completion files from the LMS: what is sound, what is quarantined, and which row is faulty."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.lms_files import COLUMNS, LmsFiles
from services.ingest.source import Checked, Line, Place
from shared.messaging.topology import LMS

HEADER = ",".join(COLUMNS)
ROW = "r1,999-9000001,FIRE,2026-03-03T10:00:00,2027-03-03,C1,E-LEARNING"
SOURCE = LmsFiles()


def put(folder: Path, *rows: str, encoding: str = "utf-8", end: str = "\r\n") -> Path:
    path = folder / "done.csv"
    path.write_bytes("".join(row + end for row in rows).encode(encoding))
    return path


def check(folder: Path, *rows: str, encoding: str = "utf-8", end: str = "\r\n") -> Checked:
    return SOURCE.check(put(folder, *rows, encoding=encoding, end=end), "done.csv", "999")


def codes(checked: Checked) -> list[tuple[str, int | None]]:
    return [(fault.code, fault.line) for fault in checked.faults]


def read(folder: Path, *rows: str, start: Place | None = None) -> list[Line]:
    return list(SOURCE.lines(put(folder, *rows), "done.csv", start or Place()))


def faults(line: Line) -> list[tuple[str, str | None]]:
    return [(fault.code, fault.column) for fault in line.faults]


def test_a_sound_file_is_counted(tmp_path: Path) -> None:
    found = check(tmp_path, HEADER, ROW, ROW)
    assert (found.faults, found.records, found.kind) == ((), 2, "completions")
    assert (found.stream, found.mode, SOURCE.exchange) == ("lms", "changes", LMS)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_line_ends_and_a_byte_order_mark_make_no_difference(tmp_path: Path, encoding: str, end: str) -> None:
    assert codes(check(tmp_path, HEADER, ROW, encoding=encoding, end=end)) == []


def test_a_header_alone_is_an_empty_but_sound_file(tmp_path: Path) -> None:
    found = check(tmp_path, HEADER)
    assert (found.faults, found.records) == ((), 0)


@pytest.mark.parametrize("rows", [[], [""], ["", ""]])
def test_a_file_without_a_header_row_is_l002(tmp_path: Path, rows: list[str]) -> None:
    assert codes(check(tmp_path, *rows)) == [("L002", 1)]


@pytest.mark.parametrize(
    "header",
    [ROW, HEADER.replace(",method", ""), f"{HEADER},more", HEADER.replace("method", "reference"), HEADER.upper()],
)
def test_another_header_is_l002(tmp_path: Path, header: str) -> None:
    assert codes(check(tmp_path, header, ROW)) == [("L002", 1)]


def test_a_row_that_is_cut_short_is_l003_with_its_line(tmp_path: Path) -> None:
    assert codes(check(tmp_path, HEADER, ROW, "r2,999-9000001,FI")) == [("L003", 3)]
    assert codes(check(tmp_path, HEADER, f"{ROW},more", ROW)) == [("L003", 2)]


def test_what_is_not_utf_8_is_l001(tmp_path: Path) -> None:
    assert [code for code, _ in codes(check(tmp_path, HEADER, ROW.replace("C1", "Zoë"), encoding="iso-8859-1"))] == [
        "L001"
    ]


def test_a_quoted_value_that_is_never_closed_is_l004(tmp_path: Path) -> None:
    assert codes(check(tmp_path, HEADER, ROW, 'r2,999-9000001,FIRE,2026-03-03T10:00:00,,"C1')) == [("L004", 3)]


def test_a_value_longer_than_any_is_l004(tmp_path: Path) -> None:
    assert codes(check(tmp_path, HEADER, ROW.replace("C1", "x" * 70_000))) == [("L004", 2)]


def test_blank_lines_do_not_count(tmp_path: Path) -> None:
    assert check(tmp_path, HEADER, "", ROW, "", ROW).records == 2


def test_a_row_is_read_by_the_names_in_the_header(tmp_path: Path) -> None:
    names, values = HEADER.split(","), ROW.split(",")
    line = read(tmp_path, ",".join(reversed(names)), ",".join(reversed(values)))[0]
    assert line.fields == dict(zip(names, values, strict=True))
    assert (line.type, line.line, line.faults, line.ignored) == ("completion.upsert", 2, (), None)


def test_blank_values_are_left_out_and_others_trimmed(tmp_path: Path) -> None:
    fields = read(tmp_path, HEADER, "r1 ,999-9000001, FIRE,2026-03-03T10:00:00, ,,")[0].fields
    assert fields == {
        "reference": "r1",
        "user_idnumber": "999-9000001",
        "certification_idnumber": "FIRE",
        "completed_at": "2026-03-03T10:00:00",
    }


@pytest.mark.parametrize("column", ["reference", "user_idnumber", "certification_idnumber", "completed_at"])
def test_an_empty_mandatory_column_is_l101_by_its_name(tmp_path: Path, column: str) -> None:
    values = ["" if name == column else value for name, value in zip(COLUMNS, ROW.split(","), strict=True)]
    assert faults(read(tmp_path, HEADER, ",".join(values))[0]) == [("L101", column)]


@pytest.mark.parametrize("value", ["03/03/2026", "2026-02-30T10:00:00", "2026-03-03T25:00:00", "yesterday"])
def test_a_moment_that_is_none_is_l103(tmp_path: Path, value: str) -> None:
    assert faults(read(tmp_path, HEADER, ROW.replace("2026-03-03T10:00:00", value))[0]) == [("L103", "completed_at")]


def test_an_expiry_that_is_no_day_is_l103(tmp_path: Path) -> None:
    assert faults(read(tmp_path, HEADER, ROW.replace("2027-03-03", "soon"))[0]) == [("L103", "expires_on")]


def test_one_faulty_row_leaves_the_others_alone_and_repeats_no_value(tmp_path: Path) -> None:
    lines = read(tmp_path, HEADER, ROW, ROW.replace("2026-03-03T10:00:00", "Canary"), ROW)
    assert [bool(line.faults) for line in lines] == [False, True, False]
    assert "Canary" not in str(lines[1].faults)


def test_reading_goes_on_from_where_it_stopped(tmp_path: Path) -> None:
    rows = [HEADER, *(ROW.replace("r1", f"r{number}") for number in range(5))]
    lines = read(tmp_path, *rows)
    assert read(tmp_path, *rows, start=lines[2].after) == lines[3:]


def test_a_quoted_value_may_span_lines(tmp_path: Path) -> None:
    rows = (HEADER, ROW.replace("C1", '"C\r\n1, ""x"""'), ROW)
    assert check(tmp_path, *rows).records == 2
    first, second = read(tmp_path, *rows)
    assert first.fields["course_idnumber"] == 'C\r\n1, "x"'
    assert (first.line, second.line) == (2, 3)


def test_any_name_will_do() -> None:
    assert SOURCE.name_of("Completions March.csv") == "Completions March.csv"


@given(content=st.binary(max_size=300))
def test_no_content_whatever_makes_the_check_fail(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("any") / "any.csv"
    for bytes_ in (content, HEADER.encode() + b"\n" + content):
        path.write_bytes(bytes_)
        found = SOURCE.check(path, "any.csv", "999")
        if not found.faults:
            assert len(list(SOURCE.lines(path, "any.csv", Place()))) == found.records
