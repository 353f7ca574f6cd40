"""Structural faults: each code has the file that earns it, and nothing from the file's values is repeated."""

import hashlib
import io
import tracemalloc
from pathlib import Path

import pytest

from shared.esr import Fault, Structure, check_structure, load_profile, read_records
from shared.esr.lines import MAX_LINE_BYTES, read_lines

PROFILE = load_profile("esr-cstf")
NAME = "CS_999_CST_CSC_20260303_00000002.DAT"
HEADER = f"HDR~{NAME}~20260303 031500~999~20260302 000000~20260303 000000~01"
RECORDS = ["PRD~9000001", "ASD~8100001", "CMD~12000001"]
TRAILER = "TRL~3"


def check(tmp_path: Path, *lines: str, name: str = NAME, end: str = "\r\n", vpd: str | None = None) -> Structure:
    path = tmp_path / name
    path.write_bytes("".join(line + end for line in lines).encode("iso-8859-1"))
    return check_structure(path, PROFILE, vpd=vpd)


def codes(structure: Structure) -> list[str]:
    return [fault.code for fault in structure.faults]


def only(structure: Structure) -> Fault:
    assert len(structure.faults) == 1, structure.faults
    return structure.faults[0]


def test_a_whole_file_has_no_fault_and_is_counted(tmp_path: Path) -> None:
    found = check(tmp_path, HEADER, *RECORDS, TRAILER)
    content = (tmp_path / NAME).read_bytes()
    assert found.faults == ()
    assert found.records_by_type == {"PRD": 1, "ASD": 1, "CMD": 1}
    assert (found.data_records, found.size) == (3, len(content))
    assert found.sha256 == hashlib.sha256(content).hexdigest()
    assert found.name is not None
    assert found.name.kind == "CSC"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n", "\r\n\r\n", "\n   \n"])
def test_any_line_ending_and_blank_lines_are_read(tmp_path: Path, end: str) -> None:
    assert check(tmp_path, HEADER, *RECORDS, TRAILER, end=end).faults == ()
    assert [r.code for r in read_records(tmp_path / NAME, PROFILE)] == ["PRD", "ASD", "CMD"]


@pytest.mark.parametrize("tail", [b"", b"\r", b"\n"])
def test_a_missing_last_line_ending_is_accepted(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / NAME
    path.write_bytes("\r\n".join([HEADER, *RECORDS, TRAILER]).encode() + tail)
    assert check_structure(path, PROFILE).faults == ()


def test_the_delivered_name_may_differ_from_the_name_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "5f1c.part"
    path.write_text("\n".join([HEADER, *RECORDS, TRAILER]))
    assert check_structure(path, PROFILE, name=NAME.lower()).faults == ()
    assert len(list(read_records(path, PROFILE, name=NAME.lower()))) == 3


def test_a_foreign_name_is_f001_and_the_file_is_still_identified(tmp_path: Path) -> None:
    found = check(tmp_path, HEADER, name="Sampleton.txt")
    fault = only(found)
    assert (fault.code, fault.line) == ("F001", 0)
    assert "Sampleton" not in fault.text
    assert (found.name, found.header, found.records_by_type) == (None, None, {})
    assert found.sha256 == hashlib.sha256((tmp_path / "Sampleton.txt").read_bytes()).hexdigest()


def test_a_missing_header_is_f002(tmp_path: Path) -> None:
    found = check(tmp_path, *RECORDS, TRAILER)
    assert (only(found).code, only(found).line) == ("F002", 1)
    assert found.data_records == 3


def test_a_header_with_the_wrong_number_of_columns_is_f002(tmp_path: Path) -> None:
    assert only(check(tmp_path, HEADER + "~", *RECORDS, TRAILER)).text == "Header has 8 columns, 7 expected"


@pytest.mark.parametrize(
    ("old", "column"),
    [("20260303 031500", "created"), ("20260302 000000", "previous_run"), ("20260303 000000", "current_run")],
)
def test_a_header_time_that_is_none_is_f002(tmp_path: Path, old: str, column: str) -> None:
    for wrong in ("20260303 250000", "", "Sampleton"):
        found = check(tmp_path, HEADER.replace(old, wrong), *RECORDS, TRAILER)
        fault = only(found)
        assert (fault.code, fault.line, fault.column) == ("F002", 1, column)
        assert "Sampleton" not in fault.text
        assert found.header is None


def test_only_the_previous_run_may_be_the_null_timestamp(tmp_path: Path) -> None:
    null = "00000000 000000"
    found = check(tmp_path, HEADER.replace("20260302 000000", null), *RECORDS, TRAILER)
    assert found.header is not None
    assert (found.faults, found.header.previous_run) == ((), None)
    assert codes(check(tmp_path, HEADER.replace("20260303 000000", null), *RECORDS, TRAILER)) == ["F002"]


def test_a_second_header_is_f002(tmp_path: Path) -> None:
    fault = only(check(tmp_path, HEADER, *RECORDS, HEADER, TRAILER))
    assert (fault.code, fault.line) == ("F002", 5)


def test_another_name_in_the_header_is_f003(tmp_path: Path) -> None:
    header = HEADER.replace("_00000002.DAT", "_00000003.DAT")
    fault = only(check(tmp_path, header, *RECORDS, TRAILER))
    assert (fault.code, fault.column) == ("F003", "file_name")
    assert NAME in fault.text


def test_the_name_in_the_header_is_compared_without_case(tmp_path: Path) -> None:
    assert check(tmp_path, HEADER.replace(NAME, NAME.lower()), *RECORDS, TRAILER).faults == ()


def test_another_trusts_file_is_f004(tmp_path: Path) -> None:
    fault = only(check(tmp_path, HEADER, *RECORDS, TRAILER, vpd="277"))
    assert (fault.code, fault.text) == ("F004", "VPD 999 is not configured for this connection; expected 277")
    assert check(tmp_path, HEADER, *RECORDS, TRAILER, vpd="999").faults == ()


def test_another_vpd_in_the_header_is_f004_and_shown_only_as_a_number(tmp_path: Path) -> None:
    assert "VPD 277" in only(check(tmp_path, HEADER.replace("~999~", "~277~"), *RECORDS, TRAILER)).text
    fault = only(check(tmp_path, HEADER.replace("~999~", "~Fern~"), *RECORDS, TRAILER))
    assert fault.code == "F004"
    assert "Fern" not in fault.text


def test_a_file_without_trailer_is_refused_with_f005(tmp_path: Path) -> None:
    assert only(check(tmp_path, HEADER, *RECORDS)).text == "Trailer is missing after 3 records"


@pytest.mark.parametrize("trailer", ["TRL~4", "TRL~2"])
def test_a_wrong_count_is_f005(tmp_path: Path, trailer: str) -> None:
    fault = only(check(tmp_path, HEADER, *RECORDS, trailer))
    assert (fault.code, fault.line, fault.column) == ("F005", 5, "record_count")


@pytest.mark.parametrize("trailer", ["TRL", "TRL~", "TRL~three", "TRL~3~", "TRL~²", "TRL~-3", "TRL~1234567890"])
def test_an_unreadable_trailer_is_f005(tmp_path: Path, trailer: str) -> None:
    assert only(check(tmp_path, HEADER, *RECORDS, trailer)).code == "F005"


def test_records_after_the_trailer_are_f005(tmp_path: Path) -> None:
    found = check(tmp_path, HEADER, *RECORDS[:2], "TRL~3", RECORDS[2])
    assert (only(found).code, only(found).line) == ("F005", 5)


def test_a_second_trailer_is_f005(tmp_path: Path) -> None:
    found = check(tmp_path, HEADER, *RECORDS, TRAILER, TRAILER)
    assert [(fault.code, fault.line) for fault in found.faults] == [("F005", 6), ("F005", 5)]


def test_a_request_with_records_is_f005_where_the_profile_names_no_seed(tmp_path: Path) -> None:
    name = "CS_999_CST_CSR_20260310_00000001.DAT"
    path, changed = tmp_path / name, tmp_path / "trust.yaml"
    source = Path(__file__).parents[3] / "shared/esr/profiles/esr-cstf.yaml"
    changed.write_text(source.read_text(encoding="utf-8").replace(", seed: CSF", ""), encoding="utf-8")
    path.write_text(f"HDR~{name}~20260310 000000\nPRD~9000001\n")
    assert codes(check_structure(path, load_profile(changed))) == ["F005"]


@pytest.mark.parametrize(("mode", "count"), [("data_records", 3), ("all_lines", 5), ("ignore", 99)])
def test_what_the_trailer_counts_is_the_profiles_choice(tmp_path: Path, mode: str, count: int) -> None:
    source = Path(__file__).parents[3] / "shared/esr/profiles/esr-cstf.yaml"
    changed = tmp_path / "trust.yaml"
    text = source.read_text(encoding="utf-8").replace("trailer_count: data_records", f"trailer_count: {mode}")
    changed.write_text(text, encoding="utf-8")
    path = tmp_path / NAME
    path.write_text("\n".join([HEADER, *RECORDS, f"TRL~{count}"]))
    assert check_structure(path, load_profile(changed)).faults == ()
    path.write_text("\n".join([HEADER, *RECORDS, "TRL~7"]))
    assert codes(check_structure(path, load_profile(changed))) == ([] if mode == "ignore" else ["F005"])


def test_an_unknown_interface_version_is_f009(tmp_path: Path) -> None:
    fault = only(check(tmp_path, HEADER.removesuffix("01") + "02", *RECORDS, TRAILER))
    assert (fault.code, fault.column) == ("F009", "interface_version")


def test_a_wrong_number_of_columns_is_f010(tmp_path: Path) -> None:
    fault = only(check(tmp_path, HEADER, "PRD~9000001~Sampleton", *RECORDS[1:], TRAILER))
    assert (fault.code, fault.line, fault.text) == ("F010", 2, "Line 2: PRD has 3 columns, 2 expected")


def test_wrong_columns_are_seen_on_either_side_of_a_lost_header_or_trailer(tmp_path: Path) -> None:
    assert codes(check(tmp_path, "PRD", *RECORDS[1:], TRAILER)) == ["F002", "F010"]
    assert codes(check(tmp_path, HEADER, *RECORDS, TRAILER, "PRD")) == ["F005", "F010", "F005"]


def test_a_line_that_begins_with_no_record_type_is_f010_and_not_repeated(tmp_path: Path) -> None:
    found = check(tmp_path, HEADER, *RECORDS[:2], "Fern~CMD~12000001", TRAILER)
    assert (only(found).code, only(found).line) == ("F010", 4)
    assert "Fern" not in only(found).text
    assert found.records_by_type == {"PRD": 1, "ASD": 1}
    assert found.data_records == 3


def test_types_the_kind_does_not_know_are_counted_and_no_fault_of_the_file(tmp_path: Path) -> None:
    found = check(tmp_path, HEADER, "LOV~LKUP~x", "QQA~1", "TCD~L1", TRAILER)
    assert found.faults == ()
    assert found.records_by_type == {"LOV": 1, "QQA": 1, "TCD": 1}


def test_a_kind_that_travels_the_other_way_is_f011(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_text("\n".join([HEADER, *RECORDS, TRAILER]))
    assert check_structure(path, PROFILE, flow="esr_to_lms").faults == ()
    fault = only(check_structure(path, PROFILE, flow="lms_to_esr"))
    assert (fault.code, fault.text) == ("F011", "A CSC file goes from ESR to the LMS, not from the LMS to ESR")


def test_a_line_too_long_is_f012_and_the_next_lines_are_still_read(tmp_path: Path) -> None:
    found = check(tmp_path, HEADER, "PRD~" + "x" * 3 * MAX_LINE_BYTES, *RECORDS[1:], TRAILER)
    assert (only(found).code, only(found).line) == ("F012", 2)
    assert found.records_by_type == {"ASD": 1, "CMD": 1}


def test_the_longest_line_allowed_is_read(tmp_path: Path) -> None:
    line = "PRD~" + "9" * (MAX_LINE_BYTES - len("PRD~") - len("\r\n"))
    assert check(tmp_path, HEADER, line, *RECORDS[1:], TRAILER).faults == ()
    assert codes(check(tmp_path, HEADER, line + "9", *RECORDS[1:], TRAILER)) == ["F012"]


def test_a_huge_line_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / NAME
    with path.open("wb") as file:
        for _ in range(64):
            file.write(b"x" * 1_000_000)
    tracemalloc.start()
    try:
        found = check_structure(path, PROFILE)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert codes(found) == ["F012", "F005"]
    assert found.size == 64_000_000
    assert peak < 8_000_000


@pytest.mark.parametrize("content", [b"", b"\r\n", b"\n \n\r\n"])
def test_an_empty_file_is_f013(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    assert codes(check_structure(tmp_path / NAME, PROFILE)) == ["F013"]


def test_faults_are_listed_up_to_a_limit_and_counted_beyond(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_text("\n".join([HEADER, *["PRD"] * 50, "TRL~50"]))
    found = check_structure(path, PROFILE, max_faults=7)
    assert len(found.faults) == 7
    assert found.fault_counts == {"F010": 50}


def test_a_file_that_cannot_be_opened_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        check_structure(tmp_path / NAME, PROFILE)


def test_a_carriage_return_inside_a_line_does_not_shift_the_lines(tmp_path: Path) -> None:
    found = check(tmp_path, HEADER, "PRD~9000\r001", *RECORDS[1:], TRAILER)
    assert found.faults == ()
    assert [r.position for r in read_records(tmp_path / NAME, PROFILE)] == [1, 2, 3]


def test_offsets_are_right_after_a_line_too_long() -> None:
    content = b"a\n" + b"x" * (2 * MAX_LINE_BYTES + 5) + b"\r\nb\r\n" + b"y" * (MAX_LINE_BYTES + 1)
    lines = list(read_lines(io.BytesIO(content)))
    assert [body for body, _ in lines] == [b"a", None, b"b", None]
    assert [offset for _, offset in lines] == [2, content.index(b"b"), content.index(b"y"), len(content)]
