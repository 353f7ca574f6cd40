"""Completion files from the LMS: what is sound, what is quarantined, and which row is faulty."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.lms_files import LmsFiles, completions_profile
from services.ingest.source import Checked, Line, Place, Report, RowKey
from shared.accounting import Fate
from shared.errors import ConfigurationError
from shared.lms_csv import FIELDS, OWN, load_lms_profile
from shared.messaging.topology import LMS

HEADER = ",".join(FIELDS)
ROW = "r1,999-9000001,FIRE,2026-03-03T10:00:00,2027-03-03,C1,E-LEARNING"
SOURCE = LmsFiles(load_lms_profile(OWN), "999")


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
    values = ["" if name == column else value for name, value in zip(FIELDS, ROW.split(","), strict=True)]
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
    odd = ROW.replace("C1", '"C\r\n1"')
    rows = [HEADER, ROW, odd, "", *(ROW.replace("r1", f"r{number}") for number in range(5)), odd]
    lines = read(tmp_path, *rows)
    assert [read(tmp_path, *rows, start=line.after) for line in lines] == [lines[n:] for n in range(1, 9)]


def test_a_place_without_an_offset_is_the_beginning(tmp_path: Path) -> None:
    rows = [HEADER, *(ROW.replace("r1", f"r{number}") for number in range(3))]
    assert read(tmp_path, *rows, start=Place(0, 2, 1)) == read(tmp_path, *rows)


def test_what_was_read_is_not_read_again(tmp_path: Path) -> None:
    place = read(tmp_path, HEADER, ROW, ROW)[0].after
    path = put(tmp_path, HEADER, ROW, ROW.replace("r1", "r2"))
    path.write_bytes(path.read_bytes().replace(b"r1,999", b'r1,"99'))  # a second reading would stumble here
    assert [line.fields["reference"] for line in SOURCE.lines(path, "done.csv", place)] == ["r2"]


def test_a_quoted_value_may_span_lines(tmp_path: Path) -> None:
    rows = (HEADER, ROW.replace("C1", '"C\r\n1, ""x"""'), ROW)
    assert check(tmp_path, *rows).records == 2
    first, second = read(tmp_path, *rows)
    assert first.fields["course_idnumber"] == 'C\r\n1, "x"'
    assert (first.line, second.line) == (2, 4)  # as an editor counts


def test_blank_lines_count_as_lines_although_they_are_no_records(tmp_path: Path) -> None:
    assert [line.line for line in read(tmp_path, HEADER, "", ROW, "", "", ROW)] == [3, 6]


@pytest.mark.parametrize("value", ["998-9000001", "9000001", "999-", "-9000001"])
def test_a_person_who_is_not_of_this_trust_is_l102(tmp_path: Path, value: str) -> None:
    assert faults(read(tmp_path, HEADER, ROW.replace("999-9000001", value))[0]) == [("L102", "user_idnumber")]


def test_a_character_that_cannot_be_stored_and_a_value_too_long_are_faults_of_their_row(tmp_path: Path) -> None:
    rows = (HEADER, ROW.replace("C1", "C\x001"), ROW.replace("FIRE", "F" * 256), ROW)
    assert [faults(line) for line in read(tmp_path, *rows)] == [
        [("R106", "course_idnumber")],
        [("L104", "certification_idnumber")],
        [],
    ]


def test_a_report_tells_of_certifications_and_says_what_each_row_is_about(tmp_path: Path) -> None:
    source = LmsFiles(load_lms_profile("totara-certification-report"), "999")
    path = put(
        tmp_path,
        "Full Name,User ID Number,Certification ID Number,Status,Completion Date,Expiry Date",
        "Fern Sampleton,999-9000001,FIRE,Certified,3 Mar 2026 at 14:05,3 Mar 2028",
        "Rowan Mockford,999-9000002,FIRE,Expired,,",
        "Ash Placeholder,999-9000003,,Expired,,",
    )
    checked = source.check(path, "done.csv", "999")
    assert (checked.faults, checked.records, checked.kind) == ((), 3, "certifications")
    assert source.report("done.csv") == Report("totara-certification-report", current=True)
    done, not_done, odd = source.lines(path, "done.csv", Place())
    assert done.fields == {
        "user_idnumber": "999-9000001",
        "certification_idnumber": "FIRE",
        "status": "certified",
        "completed_at": "2026-03-03T14:05:00",
        "expires_on": "2028-03-03",
        "method": "e-Learning",
    }
    assert (done.type, done.key) == ("certification.upsert", RowKey("999-9000001", "FIRE"))
    assert (not_done.fields["status"], not_done.faults, not_done.ignored) == ("expired", (), None)
    assert (faults(odd), odd.key) == ([("L101", "certification_idnumber")], None)


def test_a_report_without_a_status_passes_over_who_has_not_completed(tmp_path: Path) -> None:
    source = LmsFiles(load_lms_profile("totara-certification-report"), "999")
    heading = "User ID Number,Certification ID Number,Completion Date,Expiry Date"
    path = put(tmp_path, heading, "999-9000001,FIRE,3 Mar 2026,", "999-9000002,FIRE,,")
    done, not_done = source.lines(path, "done.csv", Place())
    assert (done.fields["status"], done.ignored) == ("certified", None)
    assert (not_done.ignored, not_done.key) == (Fate.IGNORED_NOT_USED, RowKey("999-9000002", "FIRE"))


def test_a_file_is_read_by_the_first_profile_whose_pattern_its_name_fits(tmp_path: Path) -> None:
    others = {
        "History*.csv": load_lms_profile("totara-certification-history"),
        "H*": load_lms_profile("totara-certification-report"),
    }
    source = LmsFiles(load_lms_profile(OWN), "999", others)
    assert source.report("History of Fire_2026-03-03_7.csv") == Report("totara-certification-history", current=False)
    assert source.report("Here.csv") == Report("totara-certification-report", current=True)
    assert source.report("history.csv") is None
    assert source.report(f"api-{'0a' * 16}.csv") is None
    heading = "User ID Number,Certification ID Number,Completion Date,Expiry Date"
    path = put(tmp_path, heading, "999-9000001,FIRE,3 Mar 2026,3 Mar 2028")
    (line,) = source.lines(path, "History.csv", Place())
    assert line.fields["status"] == "history"
    assert line.key == RowKey("999-9000001", "FIRE", "2026-03-03T00:00:00/2028-03-03")


def test_a_profile_of_other_files_is_refused() -> None:
    assert completions_profile(OWN).name == OWN
    assert completions_profile("totara-certification-history").subject.record == "certification"
    with pytest.raises(ConfigurationError, match="no profile of completion files"):
        completions_profile("esrbridge-non-staff")


def test_what_came_by_http_is_read_in_our_own_form_whatever_the_profile(tmp_path: Path) -> None:
    source = LmsFiles(load_lms_profile("totara-certification-report"), "999")
    path = put(tmp_path, HEADER, ROW)
    assert [fault.code for fault in source.check(path, "done.csv", "999").faults] == ["L002"]
    name = f"api-{'0a' * 16}.csv"
    assert source.check(path, name, "999").faults == ()
    assert [line.fields["reference"] for line in source.lines(path, name, Place())] == ["r1"]


def test_a_completion_file_speaks_of_nobody_the_feed_would_miss(tmp_path: Path) -> None:
    assert list(SOURCE.people(put(tmp_path, HEADER, ROW), "done.csv")) == []


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
