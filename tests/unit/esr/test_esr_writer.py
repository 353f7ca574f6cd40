"""What the writer writes, the reader reads back equal; what the reader could not read, the writer refuses."""

import io
import tempfile
import tracemalloc
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import RecordError
from shared.esr import (
    Profile,
    check_structure,
    load_profile,
    read_records,
    validate_file,
    write_file,
    write_records,
)
from tests.unit.esr import esr_writing
from tests.unit.esr.esr_writing import DAY, at, kind_with, plain_record, records_of

CSTF = load_profile("esr-cstf")
GDW = load_profile("esr-go-gdw")
COMPLETION = {
    "lms_reference": "L999-0000000101",
    "vpd_code": "999",
    "person_id": "9000001",
    "last_name": "Sampleton",
    "competence_id": "3100001",
    "competence_name": "NHS|CSTF|Fire Safety - 2 Years|",
    "date_from": "2026-03-03",
    "change_reason": "NEW",
    "last_update": "2026-03-03T14:22:10",
}


def write(records: Iterable[tuple[str, Mapping[str, str]]], kind: str = "CMP", profile: Profile = CSTF) -> bytes:
    return esr_writing.write(profile, kind, list(records))


def refusal(**changes: str) -> RecordError:
    with pytest.raises(RecordError) as refused:
        write([("TCA", COMPLETION), ("TCA", {**COMPLETION, **changes})])
    return refused.value


EVERY_TYPE = [
    (profile, code)
    for profile in (CSTF, GDW)
    for code in sorted(frozenset[str]().union(*(kind.records for kind in profile.kinds.values())))
]


def test_the_generic_outbound_profile_writes_all_sixteen_types_with_their_deletes() -> None:
    types = {code for profile, code in EVERY_TYPE if profile is GDW}
    entities = ["PR", "AS", "CD", "CM", "OR", "PO", "LC", "PI", "ET", "ST", "TR", "AB", "CO", "DT", "EL", "QL"]
    assert types == {entity + action for entity in entities for action in "AD"}


@pytest.mark.parametrize(
    ("profile", "code"), EVERY_TYPE, ids=[f"{profile.name}-{code}" for profile, code in EVERY_TYPE]
)
@settings(max_examples=25)
@given(data=st.data())
def test_any_record_written_reads_back_equal(profile: Profile, code: str, data: st.DataObject) -> None:
    kind = kind_with(profile, code)
    drawn = data.draw(st.lists(records_of(profile, code), max_size=3))
    content = esr_writing.write(profile, kind, [(code, fields) for fields in drawn])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / profile.file_name("999", kind, DAY, 15)
        path.write_bytes(content)
        found = validate_file(path, profile, vpd="999")
        records = list(read_records(path, profile))
    assert (found.status, found.fault_counts) == ("valid", {})
    columns = [column.name for column in profile.records[code].columns if column.kept]
    for record, fields in zip(records, drawn, strict=True):
        assert list(record.fields.items()) == [(name, fields[name]) for name in columns if fields[name]]
    assert [(record.code, record.position, record.faults, record.routing) for record in records] == [
        (code, position, (), profile.routing.get(code, "")) for position in range(1, len(drawn) + 1)
    ]


@settings(max_examples=30)
@given(data=st.data())
def test_a_file_of_all_types_reads_back_in_the_order_it_was_written(data: st.DataObject) -> None:
    profile = data.draw(st.sampled_from([CSTF, GDW]))
    kind = data.draw(st.sampled_from(sorted(code for code, kind in profile.kinds.items() if kind.records)))
    codes = data.draw(st.permutations(sorted(profile.kinds[kind].records)))
    written = [(code, plain_record(profile, code)) for code in codes]
    content = esr_writing.write(profile, kind, written)
    records = read_records(content, profile, name=profile.file_name("999", kind, DAY, 15))
    assert [(record.code, record.fields) for record in records] == written


def test_a_large_file_is_written_in_bounded_memory(tmp_path: Path) -> None:
    moment = at("2026-03-03T18:00:00")
    path = tmp_path / CSTF.file_name("999", "CMP", DAY, 15)
    records = (("TCD", {"lms_reference": f"L999-{number}"}) for number in range(100_000))
    tracemalloc.start()
    try:
        with path.open("wb") as target:
            count = write_records(target, CSTF, "CMP", vpd="999", date=DAY, seq=15, created=moment, previous_run=None,
                                  current_run=moment, records=records)  # fmt: skip
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 100_000
    assert peak < 2_000_000
    assert validate_file(path, CSTF).records_by_type == {"TCD": 100_000}


def test_what_is_written_to_a_file_are_the_bytes_that_write_file_gives(tmp_path: Path) -> None:
    moment = at("2026-03-03T18:00:00")
    target = io.BytesIO()
    write_records(target, CSTF, "CMP", vpd="999", date=DAY, seq=15, created=moment,
                  previous_run=at("2026-03-02T18:00:00"), current_run=moment,
                  records=[("TCA", COMPLETION)])  # fmt: skip
    assert target.getvalue() == write([("TCA", COMPLETION)])


def test_without_a_version_the_first_of_the_profile_is_written(tmp_path: Path) -> None:
    source = (Path(__file__).parents[3] / "shared/esr/profiles/esr-cstf.yaml").read_text(encoding="utf-8")
    (tmp_path / "trust.yaml").write_text(source.replace('versions: ["01"]', 'versions: ["03", "01"]'), encoding="utf-8")
    assert write([], profile=load_profile(tmp_path / "trust.yaml")).split(b"\r\n")[0].endswith(b"~03")


def test_a_request_always_has_the_number_one() -> None:
    with pytest.raises(ValueError, match="always has the number 1"):
        write([], "CSR")
    assert esr_writing.write(CSTF, "CSR", [], seq=1) == b"HDR~CS_999_CST_CSR_20260303_00000001.DAT~20260303 180000\r\n"


@given(st.lists(st.datetimes(min_value=at("0001-01-02")), min_size=3, max_size=3), st.booleans())
def test_a_header_written_reads_back_equal(moments: list[datetime], full: bool) -> None:
    created, previous, current = (moment.replace(microsecond=0) for moment in moments)
    content = write_file(
        CSTF,
        "CSF",
        vpd="277",
        date=DAY,
        seq=3,
        created=created,
        previous_run=None if full else previous,
        current_run=current,
        records=[],
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / CSTF.file_name("277", "CSF", DAY, 3)
        path.write_bytes(content)
        structure = check_structure(path, CSTF, vpd="277", flow="esr_to_lms")
    assert structure.faults == ()
    assert structure.header is not None
    assert (structure.header.created, structure.header.current_run) == (created, current)
    assert structure.header.previous_run == (None if full else previous)


def test_lines_end_with_carriage_return_and_line_feed_and_the_trailer_counts_records() -> None:
    lines = write([("TCA", COMPLETION), ("TCD", {"lms_reference": "L1"})]).split(b"\r\n")
    assert lines[0].startswith(b"HDR~CS_999_CST_CMP_20260303_00000015.DAT~20260303 180000~999~")
    assert lines[2:] == [b"TCD~L1", b"TRL~2", b""]


def test_a_name_is_written_in_the_encoding_of_the_profile() -> None:
    assert b"~Zo\xeb~" in write([("TCA", {**COMPLETION, "last_name": "Zoë"})])


@pytest.mark.parametrize("name", ["O~Neil", "O\nNeil", "O\rNeil", "O\0Neil", "Łukasz", "😀", "O\ufffdNeil"])
def test_characters_no_file_can_carry_are_refused(name: str) -> None:
    error = refusal(last_name=name)
    assert error.record_code == "R106"
    assert error.sentence.startswith("Record 2 (TCA): last_name holds a character")
    assert "Neil" not in str(error)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"last_name": ""}, "R101"),
        ({"last_name": " "}, "R101"),
        ({"lms_reference": "x" * 51}, "R102"),
        ({"date_from": "03/03/2026"}, "R103"),
        ({"date_from": "20260303"}, "R103"),
        ({"date_to": "4712-12-31"}, "R103"),
        ({"change_reason": "UNDO"}, "R104"),
        ({"vpd_code": "99"}, "R107"),
    ],
)
def test_a_record_the_reader_would_fault_is_refused(changes: dict[str, str], code: str) -> None:
    assert refusal(**changes).record_code == code


def test_a_value_outside_an_open_list_is_written() -> None:
    definition = {
        "competence_id": "1",
        "competence_name": "n",
        "date_from": "2020-01-01",
        "renewal_period_units": "Fortnight",
    }
    assert b"~Fortnight~" in write([("CDA", definition)], "CSF")


@pytest.mark.parametrize("name", ["shoe_size", "spare_22", "record_type"])
def test_a_field_the_record_does_not_have_is_a_mistake_of_the_caller(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is not a field of TCA records"):
        write([("TCA", {**COMPLETION, name: "44"})])


def test_a_record_of_another_kind_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="PRD is not a record of CMP files"):
        write([("PRD", {"person_id": "1"})])
    with pytest.raises(ValueError, match="XXX is not a kind"):
        write([], "XXX")


def test_unsupported_versions_and_zoned_times_are_mistakes_of_the_caller() -> None:
    moment = at("2026-03-03T18:00:00")
    with pytest.raises(ValueError, match="interface version 02"):
        write_file(CSTF, "CMP", vpd="999", date=DAY, seq=1, created=moment, previous_run=None, current_run=moment,
                   records=[], interface_version="02")  # fmt: skip
    with pytest.raises(ValueError, match="naive"):
        write_file(CSTF, "CMP", vpd="999", date=DAY, seq=1, created=moment.replace(tzinfo=UTC), previous_run=None,
                   current_run=moment, records=[])  # fmt: skip


def test_a_profile_decides_delimiter_dates_line_ends_and_the_trailers_count(tmp_path: Path) -> None:
    source = (Path(__file__).parents[3] / "shared/esr/profiles/esr-cstf.yaml").read_text(encoding="utf-8")
    for old, new in [
        ('delimiter: "~"', 'delimiter: "^"'),
        ("write: crlf", "write: lf"),
        ('date: "YYYYMMDD"', 'date: "DD/MM/YYYY"'),
        ('timestamp: "YYYYMMDD HHMMSS"', 'timestamp: "DD/MM/YYYY HH:MM:SS"'),
        ('null_timestamp: "00000000 000000"', 'null_timestamp: "none"'),
        ("trailer_count: data_records", "trailer_count: all_lines"),
    ]:
        assert old in source
        source = source.replace(old, new)
    (tmp_path / "trust.yaml").write_text(source, encoding="utf-8")
    profile = load_profile(tmp_path / "trust.yaml")
    content = write([("TCA", {**COMPLETION, "last_name": "Tilde~d"})], profile=profile)
    assert b"^03/03/2026^" in content
    assert b"^03/03/2026 14:22:10^" in content
    assert content.endswith(b"\nTRL^3\n")
    assert b"\r" not in content
    path = tmp_path / "CS_999_CST_CMP_20260303_00000015.DAT"
    path.write_bytes(content)
    assert validate_file(path, profile).status == "valid"
    assert next(read_records(path, profile)).fields == {**COMPLETION, "last_name": "Tilde~d"}


def test_a_line_no_reader_would_take_is_refused(tmp_path: Path) -> None:
    source = (Path(__file__).parents[3] / "shared/esr/profiles/esr-cstf.yaml").read_text(encoding="utf-8")
    wide = source.replace(
        "TCD: [record_type F(3) M, lms_reference X(50)", "TCD: [record_type F(3) M, lms_reference X(90000)"
    )
    (tmp_path / "trust.yaml").write_text(wide, encoding="utf-8")
    with pytest.raises(RecordError, match="too long for a line"):
        write([("TCD", {"lms_reference": "x" * 70_000})], profile=load_profile(tmp_path / "trust.yaml"))
