"""What a row of a completion file says, by profile; what is wrong with it; and that any bytes end in named codes."""

import hashlib
import inspect
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.codes import LmsCode
from shared.esr import validate_file
from shared.esr.faults import RecordCode
from shared.lms_csv import (
    FIELDS,
    OWN,
    SUBJECTS,
    LmsProfile,
    LmsValidation,
    Reading,
    UnreadableFileError,
    lms_profiles,
    load_lms_profile,
    read_completions,
    validate_lms_file,
)
from shared.lms_csv.profile import Field
from shared.lms_csv.reading import derived_reference

OURS = load_lms_profile(OWN)
REPORT = load_lms_profile("totara-certification-report")
TOTARA = replace(
    REPORT,
    subject=SUBJECTS["completions"],
    fields=(Field("reference", derived=True), *(one for one in REPORT.fields if one.name in FIELDS)),
    ignore_rows_without="completed_at",
)
"""A report that is read for its completions alone."""
HEADER = ",".join(FIELDS)
ROW = "r1,999-9000001,FIRE,2026-03-03T10:00:00,2027-03-03,C1,E-LEARNING"
TOTARA_HEADER = "User ID Number,Certification ID Number,Completion Date,Expiry Date"
SAID = dict(zip(FIELDS, ROW.split(","), strict=True))
CODES = {*LmsCode, RecordCode.R106}


def take(profile: LmsProfile = OURS, vpd: str = "999", **values: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    fields, wrong = Reading(profile, vpd).take(SAID | values)
    return fields, [(one.code, one.field) for one in wrong]


def put(folder: Path, *rows: str, encoding: str = "utf-8") -> Path:
    path = folder / "done.csv"
    path.write_bytes("".join(f"{row}\r\n" for row in rows).encode(encoding))
    return path


def validate(folder: Path, *rows: str, profile: LmsProfile = OURS, vpd: str | None = "999") -> LmsValidation:
    return validate_lms_file(put(folder, *rows), profile, vpd=vpd)


# --- values -----------------------------------------------------------------------------------------------------


def test_what_is_in_our_own_form_stays_as_it_was_written() -> None:
    assert take() == (SAID, [])
    for moment in ("2026-03-03T10:00:00Z", "2026-03-03T10:00:00.25+01:00", "2026-03-03T10:00:00"):
        fields, wrong = take(completed_at=moment)
        assert (fields["completed_at"], wrong) == (moment, [])


def test_every_fault_of_a_completion_is_told_not_only_the_first() -> None:
    fields, wrong = take(
        reference=" ", user_idnumber="998-1", certification_idnumber="F\0", completed_at="soon", method="m" * 256
    )
    assert sorted(wrong) == [
        ("L101", "reference"),
        ("L102", "user_idnumber"),
        ("L103", "completed_at"),
        ("L104", "method"),
        ("R106", "certification_idnumber"),
    ]
    assert fields["completed_at"] == "soon"  # for an operator to mend


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("3 Mar 2026 at 14:05", "2026-03-03T14:05:00"),
        ("03 Mar 2026", "2026-03-03T00:00:00"),
        ("03/04/2026 07:30", "2026-04-03T07:30:00"),
        ("03/04/2026", "2026-04-03T00:00:00"),
        ("2026-03-03", "2026-03-03T00:00:00"),
        ("2026-03-03T10:00:00+00:00", "2026-03-03T10:00:00+00:00"),
    ],
)
def test_a_profile_lists_the_forms_a_time_may_have(said: str, told: str) -> None:
    fields, wrong = take(TOTARA, completed_at=said, expires_on="")
    assert (fields["completed_at"], wrong) == (told, [])


@pytest.mark.parametrize("said", ["31/02/2026", "13/13/2026", "3 März 2026", "03/04/٢٠٢٦", "03/04/26", "0001"])
def test_a_day_that_is_none_is_l103(said: str) -> None:
    assert take(TOTARA, completed_at=said)[1] == [("L103", "completed_at")]
    assert take(TOTARA, expires_on=said)[1] == [("L103", "expires_on")]


@pytest.mark.parametrize("said", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"])
def test_a_moment_that_has_no_day_in_the_uk_calendar_is_l103(said: str) -> None:
    assert take(completed_at=said)[1] == [("L103", "completed_at")]


def test_a_time_of_another_zone_is_told_with_its_offset() -> None:
    paris = replace(OURS, zone=ZoneInfo("Europe/Paris"))
    fields, _ = take(paris, completed_at="2026-03-04T00:30:00")
    assert fields["completed_at"] == "2026-03-03T23:30:00+00:00"
    by_pattern = replace(paris, formats={"completed_at": ("%d/%m/%Y %H:%M",), "expires_on": ("iso",)})
    assert take(by_pattern, completed_at="04/06/2026 00:30")[0]["completed_at"] == "2026-06-03T23:30:00+01:00"
    assert take(paris, completed_at="2026-03-04T00:30:00Z")[0]["completed_at"] == "2026-03-04T00:30:00Z"


@given(moment=st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1)))  # noqa: DTZ001
def test_a_time_of_any_zone_stays_the_same_moment(moment: datetime) -> None:
    moment = moment.replace(fold=0)  # of an hour that comes twice in autumn, a text can only mean the first
    new_york = ZoneInfo("America/New_York")
    fields, wrong = take(replace(OURS, zone=new_york), completed_at=moment.isoformat())
    assert wrong == []
    told = datetime.fromisoformat(fields["completed_at"])
    assert told.astimezone(UTC) == moment.replace(tzinfo=new_york).astimezone(UTC)


@pytest.mark.parametrize(("said", "told"), [("yes", "yes"), ("TRUE", "yes"), ("1", "yes"), ("No", None), ("", None)])
def test_a_completion_that_was_taken_back_says_so_and_any_other_says_nothing(said: str, told: str | None) -> None:
    fields, wrong = take(withdrawn=said)
    assert (fields.get("withdrawn"), wrong) == (told, [])


def test_what_is_neither_yes_nor_no_is_l108() -> None:
    assert take(withdrawn="perhaps")[1] == [("L108", "withdrawn")]


def test_a_person_may_be_told_by_the_person_id_alone() -> None:
    alone = replace(OURS, person="person_id")
    assert take(alone, user_idnumber="9000001") == (SAID, [])
    assert take(alone, "", user_idnumber="9000001")[0]["user_idnumber"] == "9000001"


def test_without_a_trust_only_the_form_of_the_person_is_looked_at() -> None:
    assert take(vpd="", user_idnumber="123-9000001")[1] == []
    for odd in ("9000001", "-9000001", "999-"):
        assert take(vpd="", user_idnumber=odd)[1] == [("L102", "user_idnumber")]


def test_a_derived_reference_is_the_same_for_the_same_completion_and_no_other() -> None:
    first = take(TOTARA, reference="", completed_at="3 Mar 2026 at 14:05", expires_on="")[0]["reference"]
    assert (
        first == take(TOTARA, completed_at="03/03/2026 14:05", expires_on="3 Mar 2028", method="other")[0]["reference"]
    )
    others = [
        take(TOTARA, completed_at="3 Mar 2026 at 14:06")[0],
        take(TOTARA, completed_at="3 Mar 2026 at 14:05", certification_idnumber="BLS")[0],
        take(TOTARA, completed_at="3 Mar 2026 at 14:05", user_idnumber="999-9000002")[0],
    ]
    assert len({first, *(one["reference"] for one in others)}) == 4
    assert first == derived_reference(
        {"user_idnumber": "999-9000001", "certification_idnumber": "FIRE", "completed_at": "2026-03-03T14:05:00"}
    )
    assert len(first) == 32


def test_a_fixed_value_stands_in_every_completion() -> None:
    assert take(TOTARA, completed_at="3 Mar 2026")[0]["method"] == "e-Learning"


def test_a_fault_names_our_field_and_the_column_and_repeats_no_value() -> None:
    _, wrong = Reading(TOTARA, "999").take({"completed_at": "Canary", "user_idnumber": "Canary"})
    assert {one.text for one in wrong} == {
        f"completed_at (column 'Completion Date'): {LmsCode.L103.meaning}",
        f"user_idnumber (column 'User ID Number'): {LmsCode.L102.meaning}",
        f"certification_idnumber (column 'Certification ID Number'): {LmsCode.L101.meaning}",
    }
    _, wrong = Reading(OURS, "999").take(SAID | {"completed_at": "Canary"})
    assert [one.text for one in wrong] == [f"completed_at: {LmsCode.L103.meaning}"]


# --- files ------------------------------------------------------------------------------------------------------


def test_columns_that_a_profile_does_not_know_are_refused_or_never_kept(tmp_path: Path) -> None:
    path = put(tmp_path, f"National Insurance,{HEADER}", f"QQ123456C,{ROW}")
    with pytest.raises(UnreadableFileError, match="L002"):
        list(read_completions(path, OURS, "999"))
    [row] = read_completions(path, replace(OURS, further_columns="ignore"), "999")
    assert row.fields == SAID


def test_a_column_that_nothing_needs_may_be_missing_but_not_stand_twice(tmp_path: Path) -> None:
    row = "999-9000001,FIRE,3 Mar 2026,"
    assert validate(tmp_path, TOTARA_HEADER, row, profile=TOTARA).status == "valid"
    assert validate(tmp_path, f"{TOTARA_HEADER},Course ID Number", f"{row},C", profile=TOTARA).status == "valid"
    twice = validate(tmp_path, f"{TOTARA_HEADER},Course ID Number,Course ID Number", f"{row},C,C", profile=TOTARA)
    assert dict(twice.fault_counts) == {"L002": 1}
    cut = validate(tmp_path, TOTARA_HEADER.replace(",Expiry Date", ""), profile=TOTARA)
    assert dict(cut.fault_counts) == {"L002": 1}


@pytest.mark.parametrize(("encoding", "text"), [("windows-1252", "Zoë’s"), ("iso-8859-1", "Zoë"), ("utf-8", "Zoë")])
def test_a_profile_says_the_encoding(tmp_path: Path, encoding: str, text: str) -> None:
    path = put(tmp_path, HEADER, ROW.replace("C1", text), encoding=encoding)
    [row] = read_completions(path, replace(OURS, encoding=encoding), "999")
    assert row.fields["course_idnumber"] == text


def test_a_byte_that_the_encoding_does_not_have_is_l001(tmp_path: Path) -> None:
    path = tmp_path / "done.csv"
    path.write_bytes(f"{HEADER}\n{ROW}".encode() + b"\x81")
    assert [
        (fault.code, fault.line)
        for fault in validate_lms_file(path, replace(OURS, encoding="windows-1252")).faults
    ] == [("L001", 2)]  # fmt: skip


def test_a_profile_says_delimiter_and_quotation_mark(tmp_path: Path) -> None:
    path = put(tmp_path, HEADER.replace(",", "\t"), ROW.replace(",", "\t").replace("C1", "'C\t1'"))
    [row] = read_completions(path, replace(OURS, delimiter="\t", quote="'"), "999")
    assert row.fields == SAID | {"course_idnumber": "C\t1"}


def test_rows_without_completion_are_passed_over_and_counted(tmp_path: Path) -> None:
    rows = ("999-9000001,FIRE,3 Mar 2026,", "999-9000002,FIRE, ,", ",,,")
    found = validate(tmp_path, TOTARA_HEADER, *rows, profile=TOTARA)
    assert (found.status, found.ignored, found.faulty_records, found.structure.data_records) == ("valid", 2, 0, 3)


# --- validate ---------------------------------------------------------------------------------------------------


def test_a_sound_file_is_valid_and_known_by_its_checksum(tmp_path: Path) -> None:
    found = validate(tmp_path, HEADER, ROW, ROW)
    assert (found.status, dict(found.records_by_type), found.faults) == ("valid", {"completion": 2}, ())
    assert found.structure.sha256 == hashlib.sha256((tmp_path / "done.csv").read_bytes()).hexdigest()


def test_faults_of_rows_are_listed_with_line_column_and_code(tmp_path: Path) -> None:
    odd = ROW.replace("C1", '"C\r\n1"').replace("FIRE", "")
    found = validate(tmp_path, HEADER, odd, ROW, ROW.replace("999-", "998-"))
    assert (found.status, found.faulty_records) == ("faults", 2)
    assert [(fault.line, fault.column, fault.code) for fault in found.faults] == [
        (2, "certification_idnumber", "L101"),
        (5, "user_idnumber", "L102"),
    ]
    assert dict(found.fault_counts) == {"L101": 1, "L102": 1}
    assert validate(tmp_path, HEADER, ROW.replace("999-", "998-"), vpd=None).status == "valid"


def test_a_structural_fault_refuses_the_file_and_every_row_at_fault_is_named(tmp_path: Path) -> None:
    found = validate(tmp_path, HEADER, f"{ROW},more", ROW.replace("FIRE", ""), ROW, "r2,cut")
    assert (found.status, found.faulty_records) == ("refused", 0)
    assert [(fault.line, fault.code) for fault in found.faults] == [(2, "L003"), (5, "L003")]


def test_no_more_than_a_thousand_faults_are_listed_and_all_are_counted(tmp_path: Path) -> None:
    found = validate(tmp_path, HEADER, *["cut"] * 1200)
    assert (len(found.faults), dict(found.fault_counts)) == (1000, {"L003": 1200})
    found = validate(tmp_path, HEADER, *[ROW.replace("FIRE", "")] * 1200)
    assert (len(found.faults), dict(found.fault_counts)) == (1000, {"L101": 1200})


def test_progress_is_heard_now_and_then_and_at_the_end(tmp_path: Path) -> None:
    heard: list[int] = []
    path = put(tmp_path, HEADER, *[ROW] * 25_000)
    validate_lms_file(path, OURS, vpd="999", progress=heard.append)
    assert heard == [10_000, 20_000, 25_000]


def test_a_result_has_what_a_result_for_an_esr_file_has(tmp_path: Path) -> None:
    returned = inspect.signature(validate_file).return_annotation
    found = validate(tmp_path, HEADER, ROW)
    assert set(returned.__dataclass_fields__) <= {name for name in dir(found) if name[0] != "_"}


@pytest.mark.parametrize("name", lms_profiles())
@given(content=st.binary(max_size=300), headed=st.booleans(), bytes_of=st.sampled_from(["any", "text"]), seed=st.data())
def test_any_bytes_end_in_a_result_with_named_codes_only(
    name: str,
    content: bytes,
    headed: bool,
    bytes_of: str,
    seed: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    profile = load_lms_profile(name)
    if bytes_of == "text":
        content = seed.draw(st.text(st.sampled_from('ab,"\n\r-:9 \0é/2026'), max_size=300)).encode()
    path = tmp_path_factory.mktemp("any") / "any.csv"
    header = HEADER if name == OWN else TOTARA_HEADER
    path.write_bytes(header.encode() + b"\n" + content if headed else content)
    found = validate_lms_file(path, profile, vpd="999")
    assert set(found.fault_counts) <= CODES
    if found.status != "refused":
        rows = list(read_completions(path, profile, "999"))
        assert len(rows) == found.structure.data_records
        for row in rows:
            rest = read_completions(path, profile, "999", offset=row.offset, line=row.last_line, position=row.position)
            assert list(rest) == rows[row.position :]
