"""One file checked from end to end, for an operator's eyes."""

from pathlib import Path

from shared.esr import load_profile, validate_file
from shared.esr.validate import MAX_LISTED

PROFILE = load_profile("esr-cstf")
NAME = "CS_999_CST_CSC_20260303_00000002.DAT"
HEADER = f"HDR~{NAME}~20260303 031500~999~20260302 000000~20260303 000000~01"


def write(tmp_path: Path, *records: str, count: int | None = None) -> Path:
    path = tmp_path / NAME
    path.write_text("\r\n".join([HEADER, *records, f"TRL~{len(records) if count is None else count}"]) + "\r\n")
    return path


def test_a_file_without_faults_is_valid(tmp_path: Path) -> None:
    found = validate_file(write(tmp_path, "PRD~1", "ASD~2"), PROFILE, vpd="999")
    assert (found.status, found.faulty_records, found.ignored, found.faults) == ("valid", 0, 0, ())


def test_warnings_are_listed_but_leave_a_file_valid(tmp_path: Path) -> None:
    found = validate_file(write(tmp_path, "PRD~1", "QQA~2", "LOV~3"), PROFILE)
    assert (found.status, found.faulty_records, found.ignored) == ("valid", 0, 2)
    assert [(fault.code, fault.line) for fault in found.faults] == [("R105", 3)]


def test_a_faulty_record_makes_a_file_one_with_faults(tmp_path: Path) -> None:
    found = validate_file(write(tmp_path, "PRD~1", "PRD~", "ASD~" + "x" * 31), PROFILE)
    assert (found.status, found.faulty_records) == ("faults", 2)
    assert [(fault.code, fault.line, fault.column) for fault in found.faults] == [
        ("R101", 3, "person_id"),
        ("R102", 4, "assignment_id"),
    ]


def test_a_structural_fault_refuses_the_file(tmp_path: Path) -> None:
    found = validate_file(write(tmp_path, "PRD~1", "PRD~", count=3), PROFILE)
    assert (found.status, found.fault_counts) == ("refused", {"F005": 1})
    assert found.records_by_type == {"PRD": 2}


def test_another_trusts_file_is_refused(tmp_path: Path) -> None:
    assert validate_file(write(tmp_path, "PRD~1"), PROFILE, vpd="277").fault_counts == {"F004": 1}


def test_faults_are_listed_up_to_a_limit_and_all_counted(tmp_path: Path) -> None:
    found = validate_file(write(tmp_path, *["PRD~"] * (MAX_LISTED + 5)), PROFILE)
    assert len(found.faults) == MAX_LISTED
    assert found.fault_counts == {"R101": MAX_LISTED + 5}
    assert found.faulty_records == MAX_LISTED + 5


def test_progress_is_told_every_ten_thousand_records_and_at_the_end(tmp_path: Path) -> None:
    heard: list[int] = []
    validate_file(write(tmp_path, *["PRD~1"] * 25_000), PROFILE, progress=heard.append)
    assert heard == [10_000, 20_000, 25_000]


def test_a_file_that_changes_between_the_passes_is_refused_not_a_crash(tmp_path: Path) -> None:
    path = write(tmp_path, *["PRD~1"] * 400_000)

    def break_it(_: int) -> None:  # well ahead of what has been read by then
        with path.open("r+b") as file:
            file.seek(2_500_000)
            file.write(b"~" * 100)

    found = validate_file(path, PROFILE, progress=break_it)
    assert (found.status, found.fault_counts) == ("refused", {"F010": 1})
