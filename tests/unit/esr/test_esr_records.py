"""Record faults: each code has the record that earns it; only that record is touched; no value is repeated."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import FileRefusedError
from shared.esr import Fault, FileCode, Position, Record, RecordCode, check_fields, load_profile, read_records
from shared.esr.lines import MAX_LINE_BYTES

PROFILE = load_profile("esr-cstf")
NAMES = {"full": "CS_999_CST_CSF_20260302_00000001.DAT", "changes": "CS_999_CST_CSC_20260303_00000002.DAT"}
PERSON = {
    "person_id": "9000001",
    "effective_start": "20240401",
    "last_name": "Sampleton",
    "first_name": "Fern",
    "system_person_type": "EMP",
    "user_person_type": "Employee",
}
ASSIGNMENT = {
    "person_id": "9000001",
    "assignment_id": "8100001",
    "effective_start": "20240401",
    "assignment_type": "E",
    "system_assignment_status": "ACTIVE_ASSIGN",
    "user_assignment_status": "Active Assignment",
}
SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.DAT"))


def raw_line(code: str, values: dict[str, str]) -> str:
    columns = PROFILE.records[code].columns[1:]
    assert values.keys() <= {column.name for column in columns}
    return "~".join([code, *(values.get(column.name, "") for column in columns)])


def read_lines(tmp_path: Path, *lines: str, name: str = NAMES["full"]) -> list[Record]:
    path = tmp_path / name
    text = "\r\n".join([f"HDR~{name}", *lines, f"TRL~{len(lines)}", ""])
    path.write_bytes(text.encode("iso-8859-1"))
    return list(read_records(path, PROFILE))


def read_one(tmp_path: Path, code: str, values: dict[str, str]) -> Record:
    records = read_lines(tmp_path, raw_line(code, values))
    assert len(records) == 1
    return records[0]


def found(record: Record) -> list[tuple[str, str | None]]:
    return [(fault.code, fault.column) for fault in record.faults]


def test_an_empty_mandatory_field_is_r101(tmp_path: Path) -> None:
    for blank in ("", "   ", "\u00a0"):
        record = read_one(tmp_path, "PRA", {**PERSON, "last_name": blank})
        assert found(record) == [("R101", "last_name")]
        assert record.faults[0] == Fault("R101", 2, "last_name", "last_name is mandatory")
        assert not record.sound


def test_every_fault_of_a_record_is_told_at_once(tmp_path: Path) -> None:
    wrong = {
        **ASSIGNMENT,
        "assignment_id": "",
        "effective_start": "20240431",
        "assignment_type": "X",
        "payroll_period_type": "x" * 500,  # not kept, so not checked
        "fte": "full",
        "last_update": "yesterday",
        "grade": "g" * 81,
    }
    assert found(read_one(tmp_path, "ASA", wrong)) == [
        ("R101", "assignment_id"),
        ("R103", "effective_start"),
        ("R104", "assignment_type"),
        ("R107", "fte"),
        ("R102", "grade"),
        ("R103", "last_update"),
    ]


def test_a_field_may_be_as_long_as_its_column_and_no_longer(tmp_path: Path) -> None:
    assert read_one(tmp_path, "PRA", {**PERSON, "last_name": "ë" * 150}).faults == ()
    record = read_one(tmp_path, "PRA", {**PERSON, "last_name": "ë" * 151})
    assert record.faults == (Fault("R102", 2, "last_name", "last_name is longer than 150"),)


@pytest.mark.parametrize("wrong", ["20240431", "2024-04-01", "240401", "20240401 101500", "00000000", "2024040²"])
def test_a_date_that_is_none_is_r103_and_stays_as_it_was(tmp_path: Path, wrong: str) -> None:
    record = read_one(tmp_path, "PRA", {**PERSON, "hire_date": wrong})
    assert found(record) == [("R103", "hire_date")]
    assert record.fields["hire_date"] == wrong
    assert record.fields["effective_start"] == "2024-04-01"


def test_two_wrong_dates_are_two_faults(tmp_path: Path) -> None:
    record = read_one(tmp_path, "PRA", {**PERSON, "hire_date": "x", "date_of_birth": "y"})
    assert found(record) == [("R103", "date_of_birth"), ("R103", "hire_date")]


def test_a_last_update_may_be_a_date_or_a_time(tmp_path: Path) -> None:
    assert read_one(tmp_path, "PRA", {**PERSON, "last_update": "20240401"}).fields["last_update"] == "2024-04-01"
    record = read_one(tmp_path, "PRA", {**PERSON, "last_update": "20240401 101500"})
    assert record.fields["last_update"] == "2024-04-01T10:15:00"


def test_an_open_end_is_dropped_where_a_date_may_be_missing(tmp_path: Path) -> None:
    record = read_one(tmp_path, "PRA", {**PERSON, "effective_end": "47121231", "last_update": "00000000 000000"})
    assert record.faults == ()
    assert not {"effective_end", "last_update"} & record.fields.keys()
    record = read_one(tmp_path, "PRA", {**PERSON, "effective_start": "47121231"})
    assert record.fields["effective_start"] == "4712-12-31"


def test_a_value_outside_a_closed_list_is_r104(tmp_path: Path) -> None:
    record = read_one(tmp_path, "ASA", {**ASSIGNMENT, "assignment_type": "Z"})
    assert found(record) == [("R104", "assignment_type")]
    assert not record.sound


def test_a_value_outside_an_open_list_is_the_warning_r109(tmp_path: Path) -> None:
    record = read_one(tmp_path, "PRA", {**PERSON, "system_person_type": "VOLUNTEER"})
    assert found(record) == [("R109", "system_person_type")]
    assert record.sound
    assert record.fields["system_person_type"] == "VOLUNTEER"


def test_an_unknown_record_type_is_the_warning_r105_and_is_ignored(tmp_path: Path) -> None:
    for line in ("QQA~1~Sampleton", raw_line("TCD", {"lms_reference": "Sampleton"})):
        record = read_lines(tmp_path, line)[0]
        assert (record.ignored, record.routing, record.fields, record.sound) == (True, "", {}, False)
        assert found(record) == [("R105", None)]
        assert record.faults[0].warning
        assert "Sampleton" not in record.faults[0].text


def test_list_of_value_rows_are_ignored_without_a_word_and_keep_their_position(tmp_path: Path) -> None:
    records = read_lines(tmp_path, "LOV~LKUP~a~b", raw_line("PRA", PERSON))
    assert [(r.code, r.position, r.line, r.ignored, r.faults) for r in records] == [
        ("LOV", 1, 2, True, ()),
        ("PRA", 2, 3, False, ()),
    ]


@pytest.mark.parametrize("character", ["\0", "\r"])
def test_a_forbidden_character_is_r106_and_touches_only_its_record(tmp_path: Path, character: str) -> None:
    broken = raw_line("PRA", {**PERSON, "last_name": f"Sample{character}ton"})
    records = read_lines(tmp_path, raw_line("PRA", PERSON), broken, raw_line("PRA", PERSON))
    assert [found(record) for record in records] == [[], [("R106", "last_name")], []]
    assert records[1].fields["last_name"] == "Sample\ufffdton"


def test_a_forbidden_character_in_a_column_that_is_not_kept_is_no_fault(tmp_path: Path) -> None:
    assert read_one(tmp_path, "PRA", {**PERSON, "ethnic_origin": "\0"}).faults == ()


def test_quotes_backslashes_and_every_other_byte_are_data(tmp_path: Path) -> None:
    odd = "".join(chr(number) for number in range(256) if chr(number) not in "\0\r\n~")
    parts = {"last_name": odd[:120], "first_name": odd[120:], "preferred_name": '"\\"'}
    record = read_one(tmp_path, "PRA", {**PERSON, **parts})
    assert record.faults == ()
    assert {name: record.fields[name] for name in parts} == parts


@pytest.mark.parametrize("wrong", ["1,0", "1e3", "123456.0", "0.12345", " 1"])
def test_a_malformed_number_is_r107(tmp_path: Path, wrong: str) -> None:
    record = read_one(tmp_path, "ASA", {**ASSIGNMENT, "fte": wrong})
    assert record.faults == (Fault("R107", 2, "fte", "fte is not of the form N(9,4)"),)


def test_a_fixed_number_without_its_zeros_is_r107() -> None:
    faults = check_fields(PROFILE, "TCA", {"vpd_code": "99"})
    assert ("R107", "vpd_code") in [(fault.code, fault.column) for fault in faults]


def test_an_undeclared_field_of_an_edited_record_is_r108() -> None:
    fields = {"person_id": "9000001", "shoe_size": "44", "Fern Sampleton": "x", "ethnic_origin": "x"}
    faults = check_fields(PROFILE, "PRD", fields)
    assert [(fault.code, fault.column) for fault in faults] == [
        ("R108", "shoe_size"),
        ("R108", None),
        ("R108", "ethnic_origin"),
    ]
    assert "Sampleton" not in faults[1].text


def test_a_record_type_without_layout_is_r110() -> None:
    assert [fault.code for fault in check_fields(PROFILE, "QQA", {})] == ["R110"]
    assert [fault.code for fault in check_fields(PROFILE, "HDR", {})] == ["R110"]


def test_what_was_read_checks_as_it_read(tmp_path: Path) -> None:
    good = read_one(tmp_path, "PRA", {**PERSON, "hire_date": "20240401", "last_update": "20240401 101500"})
    assert check_fields(PROFILE, "PRA", good.fields) == ()
    bad = read_one(tmp_path, "PRA", {**PERSON, "hire_date": "20240431", "last_name": "", "title": "t" * 31})
    assert {fault.code for fault in check_fields(PROFILE, "PRA", bad.fields)} == {"R101", "R102", "R103"}
    mended = {**bad.fields, "hire_date": "2024-04-30", "last_name": "Sampleton", "title": "Ms."}
    assert check_fields(PROFILE, "PRA", mended) == ()


@pytest.mark.parametrize("value", ["a~b", "a\nb", "a\rb", "a\0b", "a\ufffdb", "Łukasz"])
def test_an_edited_value_no_file_can_carry_is_r106(tmp_path: Path, value: str) -> None:
    fields = {**read_one(tmp_path, "PRA", PERSON).fields, "last_name": value}
    assert [(fault.code, fault.column) for fault in check_fields(PROFILE, "PRA", fields)] == [("R106", "last_name")]


@pytest.mark.parametrize("value", ["20240401", "2024-4-1", "4712-12-31", "2024-04-31", "2024-04-01T00:00:00"])
def test_an_edited_date_must_be_an_iso_date_and_an_open_end_empty(tmp_path: Path, value: str) -> None:
    fields = {**read_one(tmp_path, "PRA", PERSON).fields, "effective_end": value}
    faults = check_fields(PROFILE, "PRA", fields)
    assert [(fault.code, fault.column) for fault in faults] == [("R103", "effective_end")]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name[11:14])
def test_reading_on_from_any_record_equals_the_full_read(path: Path) -> None:
    full = list(read_records(path, PROFILE))
    for index, record in enumerate(full):
        assert list(read_records(path, PROFILE, start=record.after)) == full[index + 1 :]
    assert list(read_records(path, PROFILE, start=Position(path.stat().st_size, 99, 99))) == []


def test_reading_on_works_across_blank_lines_and_without_a_last_line_ending(tmp_path: Path) -> None:
    path = tmp_path / NAMES["changes"]
    path.write_bytes(b"\nHDR~x\n\nPRD~1\r\n\r\nPRD~2\nQQA~3\nLOV~4\n\nPRD~5")
    full = list(read_records(path, PROFILE))
    assert [(r.line, r.position) for r in full] == [(4, 1), (6, 2), (7, 3), (8, 4), (10, 5)]
    assert full[-1].end_offset == path.stat().st_size
    for index, record in enumerate(full):
        assert list(read_records(path, PROFILE, start=record.after)) == full[index + 1 :]


def test_bytes_the_encoding_cannot_decode_are_r106_in_their_column(tmp_path: Path) -> None:
    source = Path(__file__).parents[3] / "shared/esr/profiles/esr-cstf.yaml"
    text = source.read_text(encoding="utf-8").replace("encoding: iso-8859-1", "encoding: utf-8", 1)
    (tmp_path / "trust.yaml").write_text(text, encoding="utf-8")
    path = tmp_path / NAMES["full"]
    line = raw_line("PRA", {**PERSON, "last_name": "Zoë", "first_name": "Zo\udceb"})
    path.write_bytes(f"HDR~x\n{line}\nTRL~1\n".encode("utf-8", "surrogateescape"))
    record = next(read_records(path, load_profile(tmp_path / "trust.yaml")))
    assert found(record) == [("R106", "first_name")]
    assert record.fields["last_name"] == "Zoë"


@pytest.mark.parametrize(
    ("line", "code"),
    [("PRD~1~2", "F010"), ("Sampleton~1", "F010"), ("PRD~" + "x" * MAX_LINE_BYTES, "F012")],
    ids=["columns", "type", "length"],
)
def test_a_broken_line_met_while_reading_refuses_the_file(tmp_path: Path, line: str, code: str) -> None:
    with pytest.raises(FileRefusedError) as refused:
        read_lines(tmp_path, line, name=NAMES["changes"])
    assert refused.value.file_code == code
    assert "Sampleton" not in str(refused.value)


def test_reading_a_file_with_a_foreign_name_is_f001(tmp_path: Path) -> None:
    with pytest.raises(FileRefusedError) as refused:
        next(read_records(tmp_path / "notes.txt", PROFILE))
    assert refused.value.file_code == "F001"


@pytest.mark.parametrize("code", sorted(PROFILE.routing))
def test_columns_that_are_not_kept_never_leave_the_parser(tmp_path: Path, code: str) -> None:
    kind = next(kind for kind in PROFILE.kinds.values() if code in kind.records)
    columns = PROFILE.records[code].columns
    path = tmp_path / PROFILE.file_name("999", kind.code, PROFILE.parse_file_name(NAMES["full"]).date, 1)
    dropped = [column.name for column in columns if not column.kept]
    path.write_text("HDR~x\n" + "~".join([code, *("secret" if not c.kept else "kept" for c in columns[1:])]) + "\n")
    record = next(read_records(path, PROFILE))
    assert record.fields == {column.name: "kept" for column in columns if column.kept}
    assert not set(dropped) & record.fields.keys()
    assert "secret" not in repr(record)


@given(data=st.data())
def test_no_value_of_a_record_appears_in_a_fault_text(data: st.DataObject) -> None:
    code = data.draw(st.sampled_from(sorted(PROFILE.routing)))
    row = PROFILE.rows[code]
    marker = "qzx"  # in no column name, code or sentence
    signs = data.draw(st.sampled_from(["\0\r09azZë 1", "~\0\r\n09azZë 1"]))  # with columns that fit, and with any
    value = st.text(st.sampled_from(signs), max_size=300).map(lambda text: f"{marker}{text}{marker}")
    parts = [code, *data.draw(st.lists(value, min_size=row.width - 1, max_size=row.width - 1))]
    _, faults = row.read("~".join(parts), 7)
    fields = dict(zip((column.name for column in row.layout.columns[1:]), parts[1:], strict=True))
    for fault in (*faults, *check_fields(PROFILE, code, fields)):
        assert marker not in fault.text
        assert marker not in (fault.column or "")


def test_every_code_says_what_it_means_and_how_to_mend_it() -> None:
    for code in (*FileCode, *RecordCode):
        assert code == code.value == code.name
        assert code.meaning
        assert code.advice.endswith(".")
    expected = {"R105", "R109", "B208", "B209"}
    assert {code for code in RecordCode if code.warning} == expected
    assert {code for code in RecordCode if Fault(code, 0, None, "").warning} == expected
    assert all("(warning)" in code.meaning for code in RecordCode if code.warning)
