"""Any byte in any field parks one record at most: a line break inside a value breaks a record, not the file."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import FileRefusedError
from shared.esr import START, Fault, Profile, Record, Structure, check_structure, load_profile, read_records
from shared.esr.framing import MAX_PARTS
from shared.esr.lines import MAX_LINE_BYTES
from tests.unit.esr.esr_writing import DAY, plain_record, write

CSTF = load_profile("esr-cstf")
GDW = load_profile("esr-go-gdw")
NAME = "CS_999_CST_CSC_20260303_00000002.DAT"
HEADER = f"HDR~{NAME}~20260303 031500~999~20260302 000000~20260303 000000~01"
VALUES = {"record_type": "PRA", "person_id": "9000001", "effective_start": "20240401", "last_name": "Sampleton",
          "first_name": "Fern", "system_person_type": "EMP", "user_person_type": "Employee"}  # fmt: skip
PERSON = "~".join(VALUES.get(column.name, "") for column in CSTF.records["PRA"].columns)
ORGANISATION = "ORA~500001~Example~~20200401~~~~~~~~~~~"


@pytest.fixture(scope="module")
def by_record(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    """The profile with ``column_count: record``."""
    path = tmp_path_factory.mktemp("profile") / "trust.yaml"
    source = Path(__file__).parents[3] / "shared/esr/profiles/esr-cstf.yaml"
    path.write_text(source.read_text(encoding="utf-8").replace("column_count: strict", "column_count: record"))
    return load_profile(path)


def look(*lines: str, profile: Profile = CSTF, count: int | None = None) -> tuple[Structure, list[Record]]:
    """Structure and records of a file with these lines between header and trailer; reading on anywhere is checked."""
    trailer = f"TRL~{len(lines) if count is None else count}"
    content = "\r\n".join([HEADER, *lines, trailer, ""]).encode("iso-8859-1")
    return examine(content, NAME, profile)


def examine(content: bytes, name: str, profile: Profile) -> tuple[Structure, list[Record]]:
    found = check_structure(content, profile, name=name)
    if found.faults:
        return found, []
    records = list(read_records(content, profile, name=name))
    assert len(records) == found.data_records
    for index, record in enumerate([None, *records]):
        after = record.after if record else START
        assert list(read_records(content, profile, name=name, start=after)) == records[index:]
    return found, records


def told(faults: tuple[Fault, ...]) -> list[tuple[str, int, str | None]]:
    return [(fault.code, fault.line, fault.column) for fault in faults]


FILES = [
    (
        profile,
        kind,
        write(profile, kind, [(code, plain_record(profile, code)) for code in sorted(profile.kinds[kind].records)]),
    )
    for profile, kind in ((CSTF, "CSC"), (CSTF, "CMC"), (CSTF, "CMP"), (GDW, "GOC"))
]


@settings(max_examples=400)
@given(data=st.data())
def test_a_line_break_anywhere_behind_the_record_type_parks_that_record_at_most(data: st.DataObject) -> None:
    profile, kind, content = data.draw(st.sampled_from(FILES))
    name = profile.file_name("999", kind, DAY, 15)
    _, sound = examine(content, name, profile)
    lines = content.split(b"\r\n")
    number = data.draw(st.integers(1, len(sound)))
    line = lines[number]
    place = data.draw(st.integers(line.index(b"~") + 1, len(line)))
    breaks = data.draw(st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\n \r\n", b"\n\0\n"]))
    lines[number] = line[:place] + breaks + line[place:]
    found, records = examine(b"\r\n".join(lines), name, profile)
    assert found.faults == ()
    broken = records[number - 1]
    for before, after in zip(sound, records, strict=True):
        if after is not broken:
            assert (after.code, after.fields, after.faults) == (before.code, before.fields, ())
    if broken.end_line > broken.line:
        column = profile.records[broken.code].columns[line[:place].count(b"~")].name
        assert ("R106", column) in [(fault.code, fault.column) for fault in broken.faults]
        assert not any(character in value for value in broken.fields.values() for character in "\0\r\n")
    else:
        assert broken.fields == sound[number - 1].fields


def test_a_broken_record_counts_once_and_says_where_it_begins_and_ends() -> None:
    found, records = look(PERSON.replace("Sampleton", "Sample\nton"), "ASD~8100001", count=2)
    assert (found.data_records, found.records_by_type) == (2, {"PRA": 1, "ASD": 1})
    assert [(record.line, record.end_line, record.position) for record in records] == [(2, 3, 1), (4, 4, 2)]
    assert told(records[0].faults) == [("R106", 2, "last_name")]
    assert records[0].fields["last_name"] == "Sample\ufffdton"
    assert records[0].fields["first_name"] == "Fern"


def test_a_break_in_the_last_column_is_mended_too() -> None:
    found, records = look("ASD~81\n00001", "CMD~12000001\nrest\n", count=2)
    assert found.faults == ()
    assert [told(record.faults) for record in records] == [
        [("R106", 2, "assignment_id")],
        [("R106", 4, "competency_element_id")],
    ]


def test_a_break_in_a_column_that_is_not_kept_is_told_and_its_value_is_not() -> None:
    parts = PERSON.split("~")
    parts[22] = "Qzx\nqzx"  # ethnic origin
    _, records = look("~".join(parts), count=1)
    assert told(records[0].faults) == [("R106", 2, "ethnic_origin")]
    assert "qzx" not in repr(records[0]).lower()


@pytest.mark.parametrize("only", ["\n", "\r", "\0"])
def test_a_required_value_that_is_nothing_but_a_forbidden_character_is_never_kept_as_it_came(only: str) -> None:
    _, records = look(PERSON.replace("Sampleton", only), count=1)
    assert told(records[0].faults) == [("R106", 2, "last_name")]
    assert records[0].fields["last_name"] == "\ufffd"


def test_several_breaks_are_mended_and_each_column_is_told_once() -> None:
    broken = PERSON.replace("Sampleton", "Sa\nmple\r\nton").replace("Fern", "\nFern")
    _, records = look(broken, count=1)
    assert told(records[0].faults) == [("R106", 2, "last_name"), ("R106", 2, "first_name")]
    assert records[0].end_line == 5


def test_a_rest_that_looks_like_an_unknown_record_type_is_mended_where_it_completes_the_record() -> None:
    found, records = look(PERSON.replace("~Sampleton~", "~Sam\nQQA~"), count=1)
    assert found.faults == ()
    assert records[0].fields["last_name"] == "Sam\ufffdQQA"


def test_a_rest_that_begins_with_a_record_type_of_the_file_is_a_record_of_its_own() -> None:
    found, _ = look(PERSON.replace("~Sampleton~", "~Sam\nCMA~"), count=2)
    assert told(found.faults) == [("F010", 2, None), ("F010", 3, None)]


def test_an_unknown_record_after_a_whole_one_stays_a_record_of_its_own() -> None:
    found, records = look("ASD~8100001", "QQA", "QQA~1")
    assert found.faults == ()
    assert [(record.code, told(record.faults)) for record in records] == [
        ("ASD", []),
        ("QQA", [("R105", 3, None)]),
        ("QQA", [("R105", 4, None)]),
    ]


def test_rests_that_do_not_complete_the_record_leave_the_file_refused() -> None:
    found, _ = look(PERSON.replace("Sampleton~", "Sample\nton"), "ASD~1", count=2)
    assert told(found.faults) == [("F010", 2, None), ("F010", 3, None), ("F005", 5, "record_count")]
    found, _ = look(PERSON.replace("Sampleton", "Sample\nt~on"), count=1)
    assert told(found.faults)[:2] == [("F010", 2, None), ("F010", 3, None)]


def test_a_record_type_cut_in_two_is_no_line_break_in_a_value() -> None:
    found, _ = look("PR\nA~" + PERSON.removeprefix("PRA~"), count=1)
    assert [code for code, _, _ in told(found.faults)] == ["F010", "F010", "F005"]
    for rest in ("9000001", "~9000001", "x~9000001"):
        found, _ = look("PRD", rest, count=1)
        assert [code for code, _, _ in told(found.faults)] == ["F010", "F010", "F005"]


def test_list_of_value_rows_may_be_broken_as_they_like() -> None:
    found, records = look("LOV~LKUP~a\nb~c\nd", "ASD~8100001", count=2)
    assert found.faults == ()
    assert [(record.code, record.line, record.end_line, record.ignored) for record in records] == [
        ("LOV", 2, 4, True),
        ("ASD", 5, 5, False),
    ]


def test_a_record_is_mended_from_a_handful_of_lines_and_not_from_more() -> None:
    few = PERSON.replace("Sampleton", "\n".join("x" * MAX_PARTS))
    many = PERSON.replace("Sampleton", "\n".join("x" * (MAX_PARTS + 1)))
    assert look(few, count=1)[0].faults == ()
    found, _ = look(many, count=1)
    assert [code for code, _, _ in told(found.faults)] == ["F010"] * (MAX_PARTS + 1) + ["F005"]


def test_a_record_is_not_mended_beyond_the_length_of_a_line() -> None:
    half = "x" * (MAX_LINE_BYTES // 2)
    found, _ = look(PERSON.replace("Sampleton", f"{half}\n{half}"), count=1)
    assert [code for code, _, _ in told(found.faults)] == ["F010", "F010", "F005"]


def test_a_broken_header_or_trailer_is_not_mended() -> None:
    content = f"{HEADER}\nASD~1\nTRL~1\nrest\n".encode()
    assert told(check_structure(content, CSTF, name=NAME).faults)[:1] == [("F005", 4, None)]
    content = f"{HEADER[:-2]}\n01\nASD~1\nTRL~1\n".encode()
    assert told(check_structure(content, CSTF, name=NAME).faults)[0] == ("F009", 1, "interface_version")


def test_a_rest_before_any_record_is_f010_under_either_rule(by_record: Profile) -> None:
    for profile in (CSTF, by_record):
        found, _ = look("rest", "ASD~1", profile=profile)
        assert told(found.faults) == [("F010", 2, None)]


def test_the_profile_may_make_a_wrong_number_of_columns_a_fault_of_its_record_only(by_record: Profile) -> None:
    lines = ["ASD~8100001", "PRD~1~Sampleton", "PRD", PERSON + "~", ORGANISATION]
    assert [code for code, _, _ in told(look(*lines)[0].faults)] == ["F010"] * 3
    found, records = look(*lines, profile=by_record)
    assert found.faults == ()
    assert [told(record.faults) for record in records] == [
        [],
        [("R111", 3, None)],
        [("R111", 4, None)],
        [("R111", 5, None)],
        [],
    ]
    assert records[1].faults[0].text == "PRD has 3 columns, 2 expected"
    assert not records[1].sound


def test_under_that_rule_lines_without_a_record_type_belong_to_the_record_before_them(by_record: Profile) -> None:
    found, records = look(
        "ASD~8100001", "Fern~Sampleton", "PRD~1", "a~b", "c", "QQA~1", "d", profile=by_record, count=3
    )
    assert found.faults == ()
    assert [(record.code, record.line, record.end_line) for record in records] == [
        ("ASD", 2, 3),
        ("PRD", 4, 6),
        ("QQA", 7, 8),
    ]
    assert [told(record.faults) for record in records] == [
        [("R111", 2, None)],
        [("R111", 4, None)],
        [("R105", 7, None)],
    ]


def test_under_that_rule_a_line_break_alone_is_still_mended(by_record: Profile) -> None:
    _, records = look(PERSON.replace("Sampleton", "Sample\nton"), profile=by_record, count=1)
    assert told(records[0].faults) == [("R106", 2, "last_name")]


@settings(max_examples=300)
@given(data=st.data())
def test_a_row_with_a_wrong_number_of_columns_keeps_nothing_that_might_be_of_a_dropped_column(
    by_record: Profile, data: st.DataObject
) -> None:
    code = data.draw(st.sampled_from(["PRA", "ASA", "CMA", "ORA", "TCA"]))
    columns = by_record.records[code].columns
    odd = data.draw(st.sampled_from(["", "\0", "\r", "\n"]))
    cells = [f"{'kept' if column.kept else 'secret'}{index}{odd}" for index, column in enumerate(columns)]
    place = data.draw(st.integers(1, len(columns) - 1))
    if data.draw(st.booleans()):
        cells[place:place] = ["surplus"] * data.draw(st.integers(1, 3))
    else:
        del cells[place : place + data.draw(st.integers(1, 3))]
    row = by_record.rows[code]
    fields, faults = row.read("~".join([code, *cells[1:]]), 7)
    assert [fault.code for fault in faults] == ["R111"]
    assert not any("secret" in value or set(value) & set("\0\r\n") for value in fields.values())
    assert fields.keys() <= {column.name for column in columns if column.kept}


def test_a_row_with_a_column_too_many_shows_what_can_be_shown_so_that_a_person_can_mend_it(by_record: Profile) -> None:
    fields, _ = by_record.rows["PRA"].read(PERSON.replace("Sampleton", "Sample~ton"), 7)
    assert fields == {
        "person_id": "9000001",
        "effective_start": "2024-04-01",
        "last_name": "Sample",
        "first_name": "ton",
        "middle_names": "Fern",
        "user_person_type": "EMP",
        "office_email": "Employee",
    }


def test_reading_a_file_that_was_refused_raises_at_the_broken_line() -> None:
    content = "\n".join([HEADER, "ASD~1", PERSON[:40], "TRL~2"]).encode()
    with pytest.raises(FileRefusedError, match="Line 3: PRA has 10 columns, 44 expected") as refused:
        list(read_records(content, CSTF, name=NAME))
    assert refused.value.file_code == "F010"


@settings(max_examples=400)
@given(data=st.data())
def test_structure_and_reader_count_the_same_records_whatever_the_lines(
    by_record: Profile, data: st.DataObject
) -> None:
    pieces = ["ASD~8100001", "PRD", "PRD~1~2", PERSON, PERSON[:60], PERSON[60:], "rest", "re~st", "QQA~1", "QQA",
              "LOV~x", "", "  ", "TCA~1", "~", "~~~~~~~~~~~~~", "x" * 30_000]  # fmt: skip
    lines = data.draw(st.lists(st.sampled_from(pieces), max_size=14))
    profile = data.draw(st.sampled_from([CSTF, by_record]))
    content = "\n".join([HEADER, *lines, "TRL~0"]).encode()
    found = check_structure(content, profile, name=NAME)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / NAME
        path.write_bytes(content)
        records = list(read_records(path, profile, leave_out_broken=True))
    assert sum(found.records_by_type.values()) >= len(records)
    if not set(found.fault_counts) - {"F005"}:
        assert len(records) == found.data_records
        assert [record.position for record in records] == list(range(1, len(records) + 1))
        for index, record in enumerate(records):
            assert list(read_records(content, profile, name=NAME, start=record.after)) == records[index + 1 :]
