"""ESR's files as a source: what is told of a file, and its records with their faults."""

from pathlib import Path

from services.ingest.esr_files import EsrFiles
from services.ingest.source import Line, Place
from shared.accounting import Fate
from shared.esr import load_profile
from shared.messaging.topology import RECORDS

PROFILE = load_profile("esr-cstf")
SOURCE = EsrFiles(PROFILE)
NAME = "CS_999_CST_CSC_20260303_00000002.DAT"
HEADER = f"HDR~{NAME}~20260303 031500~999~20260302 000000~20260303 000000~01"
IGNORED = min(PROFILE.ignored_types)


def put(folder: Path, *lines: str, name: str = NAME) -> Path:
    path = folder / name
    text = "\r\n".join([HEADER.replace(NAME, name), *lines, f"TRL~{len(lines)}", ""])
    path.write_bytes(text.encode("iso-8859-1"))
    return path


def person(**values: str) -> str:
    said = {
        "person_id": "9000001",
        "effective_start": "20240401",
        "last_name": "Sampleton",
        "first_name": "Fern",
        "system_person_type": "EMP",
        "user_person_type": "Employee",
    } | values
    return "~".join(["PRA", *(said.get(column.name, "") for column in PROFILE.records["PRA"].columns[1:])])


def read(path: Path, start: Place | None = None) -> list[Line]:
    return list(SOURCE.lines(path, path.name, start or Place()))


def test_a_sound_file_tells_its_counter_number_window_and_records(tmp_path: Path) -> None:
    found = SOURCE.check(put(tmp_path, person(), "ASD~8100001"), NAME, "999")
    assert found.faults == ()
    assert (found.stream, found.kind, found.mode) == ("feed", "CSC", "changes")
    assert (found.number, found.seq, found.records) == (2026030300000002, 2, 2)
    assert str(found.previous_run) == "2026-03-02 00:00:00"
    assert str(found.current_run) == "2026-03-03 00:00:00"
    assert SOURCE.exchange == RECORDS


def test_a_file_of_another_trust_has_a_fault(tmp_path: Path) -> None:
    assert [fault.code for fault in SOURCE.check(put(tmp_path, person()), NAME, "998").faults] == ["F004"]


def test_a_file_with_a_name_of_no_profile_has_a_fault_and_no_counter(tmp_path: Path) -> None:
    found = SOURCE.check(put(tmp_path, person(), name="notes.txt"), "notes.txt", "999")
    assert [fault.code for fault in found.faults] == ["F001"]
    assert (found.stream, found.number, found.records) == ("", 0, 0)


def test_a_file_that_travels_the_other_way_has_a_fault(tmp_path: Path) -> None:
    name = NAME.replace("CSC", "CMP")
    assert "F011" in [fault.code for fault in SOURCE.check(put(tmp_path, name=name), name, "999").faults]


def test_a_name_that_is_not_of_the_profile_is_left_as_it_is() -> None:
    assert SOURCE.name_of("notes.txt") == "notes.txt"
    assert SOURCE.name_of(NAME) == NAME


def test_records_carry_routing_line_and_filled_columns(tmp_path: Path) -> None:
    first, second = read(put(tmp_path, person(), "ASD~8100001"))
    assert (first.type, first.line, first.faults) == ("person.upsert", 2, ())
    assert first.fields["effective_start"] == "2024-04-01"
    assert "" not in first.fields.values()
    assert (second.type, second.line, second.fields) == ("assignment.delete", 3, {"assignment_id": "8100001"})


def test_columns_that_are_not_needed_never_leave_the_parser(tmp_path: Path) -> None:
    unkept = [column.name for column in PROFILE.records["PRA"].columns[1:] if not column.kept]
    line = read(put(tmp_path, person(**dict.fromkeys(unkept, "QQ123456C"))))[0]
    assert unkept
    assert "QQ123456C" not in str(line)


def test_a_faulty_record_has_its_faults_and_the_others_none(tmp_path: Path) -> None:
    lines = read(put(tmp_path, person(), person(last_name=""), person()))
    assert [[(one.code, one.column) for one in line.faults] for line in lines] == [[], [("R101", "last_name")], []]


def test_a_warning_is_no_fault(tmp_path: Path) -> None:
    line = read(put(tmp_path, person(system_person_type="NEW_TYPE")))[0]
    assert (line.faults, line.ignored) == ((), None)


def test_what_the_profile_ignores_is_told_apart_from_what_it_does_not_know(tmp_path: Path) -> None:
    listed, unknown = read(put(tmp_path, f"{IGNORED}~1", "ZZA~1"))
    assert (listed.ignored, listed.warned) == (Fate.IGNORED_LIST_OF_VALUES, False)
    assert (unknown.ignored, unknown.warned, unknown.faults) == (Fate.IGNORED_UNKNOWN_TYPE, True, ())


def test_reading_goes_on_from_where_it_stopped(tmp_path: Path) -> None:
    path = put(tmp_path, person(), person(), "ASD~8100001", person())
    lines = read(path)
    for number, line in enumerate(lines, start=1):
        assert read(path, line.after) == lines[number:]


def test_reading_goes_on_behind_a_record_with_a_line_break_in_a_value(tmp_path: Path) -> None:
    path = put(tmp_path, person(last_name="Sample\nton"), "ASD~8100001")
    assert SOURCE.check(path, NAME, "999").records == 2
    broken, sound = lines = read(path)
    assert [(one.code, one.column) for one in broken.faults] == [("R106", "last_name")]
    assert (broken.line, sound.line) == (2, 4)
    for number, line in enumerate(lines, start=1):
        assert read(path, line.after) == lines[number:]


def test_a_record_that_nothing_uses_is_passed_over_with_a_reason_of_its_own(tmp_path: Path) -> None:
    name = "GO_999_GDW_GOC_20260303_00000002.DAT"
    source = EsrFiles(load_profile("esr-go-gdw"))
    path = put(tmp_path, "ABD~1", "ABD~", "LOV~x", "PRD~1", name=name)
    assert source.check(path, name, "999").faults == ()
    assert [(line.ignored, line.type) for line in source.lines(path, name, Place())] == [
        (Fate.IGNORED_NOT_USED, ""),
        (Fate.IGNORED_NOT_USED, ""),
        (Fate.IGNORED_LIST_OF_VALUES, ""),
        (None, "person.delete"),
    ]


def test_a_full_file_named_like_a_request_is_a_full_file_of_the_feed(tmp_path: Path) -> None:
    name = "GO_999_GDW_GDR_20260303_00001632.DAT"
    source = EsrFiles(load_profile("esr-go-gdw"))
    found = source.check(put(tmp_path, "ORA~500001~Example~~20200401~~~~~~~~~~~", name=name), name, "999")
    assert found.faults == ()
    assert (found.stream, found.kind, found.mode) == ("feed", "GOF", "full")
    assert (found.number, found.seq, found.records) == (2026030300001632, 1632, 1)
    assert source.name_of(name.lower()) == name


def test_a_request_among_the_files_from_esr_has_a_fault(tmp_path: Path) -> None:
    name = "GO_999_GDW_GDR_20260303_00000001.DAT"
    path = tmp_path / name
    path.write_text(f"HDR~{name}~20260303 000000\r\n")
    found = EsrFiles(load_profile("esr-go-gdw")).check(path, name, "999")
    assert [fault.code for fault in found.faults] == ["F011"]
    assert (found.stream, found.mode) == ("fixed_1", "request")
