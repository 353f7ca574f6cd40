"""One file checked from end to end, for an operator's eyes: every fault, whatever the size, and no value."""

import tempfile
import tracemalloc
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.esr import Fault, Validation, load_profile, validate_file

PROFILE = load_profile("esr-cstf")
GDW = load_profile("esr-go-gdw")
NAME = "CS_999_CST_CSC_20260303_00000002.DAT"
HEADER = f"HDR~{NAME}~20260303 031500~999~20260302 000000~20260303 000000~01"


def write(tmp_path: Path, *records: str, count: int | None = None) -> Path:
    path = tmp_path / NAME
    path.write_text("\r\n".join([HEADER, *records, f"TRL~{len(records) if count is None else count}"]) + "\r\n")
    return path


def validate(path: Path, vpd: str | None = None) -> tuple[Validation, list[Fault]]:
    faults: list[Fault] = []
    found = validate_file(path, PROFILE, on_fault=faults.append, vpd=vpd)
    assert found.fault_counts == Counter(fault.code for fault in faults)
    return found, faults


def test_a_file_without_faults_is_valid(tmp_path: Path) -> None:
    found, faults = validate(write(tmp_path, "PRD~1", "ASD~2"), vpd="999")
    assert (found.status, found.faulty_records, found.ignored, faults) == ("valid", 0, 0, [])


def test_warnings_are_told_but_leave_a_file_valid(tmp_path: Path) -> None:
    found, faults = validate(write(tmp_path, "PRD~1", "QQA~2", "LOV~3"))
    assert (found.status, found.faulty_records, found.ignored) == ("valid", 0, 2)
    assert [(fault.code, fault.line) for fault in faults] == [("R105", 3)]


def test_a_faulty_record_makes_a_file_one_with_faults(tmp_path: Path) -> None:
    found, faults = validate(write(tmp_path, "PRD~1", "PRD~", "ASD~" + "x" * 31))
    assert (found.status, found.faulty_records) == ("faults", 2)
    assert [(fault.code, fault.line, fault.column) for fault in faults] == [
        ("R101", 3, "person_id"),
        ("R102", 4, "assignment_id"),
    ]


def test_a_structural_fault_refuses_the_file_and_its_records_are_checked_all_the_same(tmp_path: Path) -> None:
    found, faults = validate(write(tmp_path, "PRD~1", "PRD~", "PRD~1~2", "Fern", "ASD~", count=7))
    assert (found.status, found.faulty_records) == ("refused", 2)
    assert found.records_by_type == {"PRD": 3, "ASD": 1}
    assert [(fault.code, fault.line) for fault in faults] == [
        ("F010", 4),
        ("F010", 5),
        ("F005", 7),
        ("R101", 3),
        ("R101", 6),
    ]


def test_a_file_of_no_known_name_is_refused_and_nothing_else_is_said_of_it(tmp_path: Path) -> None:
    path = tmp_path / "Fern Sampleton.txt"
    path.write_text("PRD~\n")
    found, faults = validate(path)
    assert (found.status, [fault.code for fault in faults]) == ("refused", ["F001"])


def test_another_trusts_file_is_refused(tmp_path: Path) -> None:
    assert validate(write(tmp_path, "PRD~1"), vpd="277")[0].fault_counts == {"F004": 1}


def test_every_one_of_very_many_faults_is_told_in_bounded_memory(tmp_path: Path) -> None:
    path = write(tmp_path, *["PRD~"] * 100_000)
    heard: Counter[int] = Counter()
    tracemalloc.start()
    try:
        found = validate_file(path, PROFILE, on_fault=lambda fault: heard.update((fault.line % 7,)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.fault_counts == {"R101": 100_000}
    assert (found.faulty_records, heard.total()) == (100_000, 100_000)
    assert peak < 8_000_000


def test_records_that_nothing_uses_are_checked_and_counted_as_passed_over(tmp_path: Path) -> None:
    name = "GO_999_GDW_GOC_20260303_00000002.DAT"
    path = tmp_path / name
    path.write_text("\n".join([HEADER.replace(NAME, name), "ABD~1", "ABD~", "PRD~1", "TRL~3"]))
    faults: list[Fault] = []
    found = validate_file(path, GDW, on_fault=faults.append)
    assert (found.status, found.ignored, found.faulty_records) == ("faults", 1, 1)
    assert [(fault.code, fault.line, fault.column) for fault in faults] == [("R101", 3, "absence_attendance_id")]


def test_progress_speaks_of_bytes_rises_and_ends_with_all_of_them(tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    path = write(tmp_path, *["PRD~1"] * 60_000)
    validate_file(path, PROFILE, on_fault=lambda fault: None, progress=lambda done, work: heard.append((done, work)))
    assert {work for _, work in heard} == {2 * path.stat().st_size}
    done = [done for done, _ in heard]
    assert done == sorted(done)
    assert done[-1] == 2 * path.stat().st_size
    assert len(done) >= 8


def test_a_file_that_changes_between_the_passes_is_no_crash(tmp_path: Path) -> None:
    path = write(tmp_path, *["PRD~1"] * 400_000)

    def break_it(done: int, work: int) -> None:  # well ahead of what has been read by then
        if done > work / 2:
            with path.open("r+b") as file:
                file.seek(2_500_000)
                file.write(b"~" * 100)

    found = validate_file(path, PROFILE, on_fault=lambda fault: None, progress=break_it)
    assert found.status == "valid"


SEEDED = ["Qzxsampleton", "QzxFern", "QQ999999Z", "19120304", "qzx.fern@mail.example", "Qzx Straße 7"]


@settings(max_examples=200)
@given(data=st.data())
def test_no_personal_value_appears_in_any_fault(data: st.DataObject) -> None:
    cell = st.sampled_from(SEEDED).flatmap(
        lambda value: st.sampled_from([value, value + "\0", value + "\n", "~" + value, value * 60])
    )
    codes = st.sampled_from(sorted(PROFILE.kinds["CSC"].records))
    records = st.lists(st.tuples(codes, st.lists(st.just("") | cell, max_size=52)), max_size=4)
    lines = ["~".join([code, *cells]) for code, cells in data.draw(records)] + data.draw(st.lists(cell, max_size=2))
    content = "\n".join([data.draw(st.sampled_from([HEADER, HEADER + "~" + SEEDED[0], SEEDED[1]])), *lines, "TRL~2"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / NAME
        path.write_bytes(content.encode("iso-8859-1"))
        _, faults = validate(path)
    for fault in faults:
        assert not any(value in f"{fault.text} {fault.column} {fault.code}" for value in SEEDED)
