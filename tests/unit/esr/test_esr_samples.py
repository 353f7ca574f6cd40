"""The six sample files say what they are meant to say, and the writer can say it again."""

from datetime import datetime
from pathlib import Path

import pytest

from shared.esr import Record, check_structure, load_profile, read_records, validate_file, write_file

SAMPLES = Path(__file__).parents[2] / "samples"
PROFILE = load_profile("esr-cstf")
FULL = "CS_999_CST_CSF_20260302_00000001.DAT"
CHANGES = "CS_999_CST_CSC_20260303_00000002.DAT"
COMPLETIONS = "CS_999_CST_CMP_20260303_00000015.DAT"
COMPLETIONS_ANSWER = "CS_999_CST_CMC_20260304_00000015.DAT"
CHANGES_ANSWER = "CS_999_CST_CTC_20260303_00000002.DAT"
REQUEST = "CS_999_CST_CSR_20260310_00000001.DAT"
at = datetime.fromisoformat


def records_of(name: str) -> list[Record]:
    return list(read_records(SAMPLES / name, PROFILE))


@pytest.mark.parametrize(
    ("name", "by_type"),
    [
        (FULL, {"ORA": 2, "LCA": 1, "POA": 2, "CDA": 4, "PRA": 3, "ASA": 4, "CMA": 3}),
        (CHANGES, {"PRA": 2, "ASA": 3, "ASD": 1, "CMA": 2, "CMD": 1}),
        (COMPLETIONS, {"TCA": 4, "TCD": 1}),
        (COMPLETIONS_ANSWER, {"CFH": 1, "CFD": 5}),
        (CHANGES_ANSWER, {"CFH": 1, "CFD": 1}),
        (REQUEST, {}),
    ],
)
def test_a_sample_is_valid_and_has_its_records(name: str, by_type: dict[str, int]) -> None:
    found = validate_file(SAMPLES / name, PROFILE, vpd="999")
    assert (found.status, found.fault_counts, found.records_by_type) == ("valid", {}, by_type)
    assert found.structure.data_records == sum(by_type.values()) == len(records_of(name))
    assert found.structure.size == (SAMPLES / name).stat().st_size


def test_the_full_file_has_no_previous_run() -> None:
    header = check_structure(SAMPLES / FULL, PROFILE).header
    assert header is not None
    assert header.previous_run is None
    assert header.created == at("2026-03-02T03:15")
    assert header.current_run == at("2026-03-02")
    assert (header.file_name, header.vpd, header.interface_version) == (FULL, "999", "01")


def test_the_changes_file_covers_midnight_to_midnight() -> None:
    header = check_structure(SAMPLES / CHANGES, PROFILE).header
    assert header is not None
    assert (header.previous_run, header.current_run) == (at("2026-03-02"), at("2026-03-03"))


def test_a_request_is_one_line_with_one_time() -> None:
    structure = check_structure(SAMPLES / REQUEST, PROFILE)
    assert structure.header is not None
    assert structure.header.created == structure.header.current_run == at("2026-03-10")
    assert (structure.header.vpd, structure.header.previous_run) == ("999", None)


def test_an_employee_is_read_with_iso_dates_and_without_what_is_not_kept() -> None:
    fern = next(record for record in records_of(FULL) if record.code == "PRA")
    assert fern.fields == {
        "person_id": "9000001",
        "effective_start": "2024-04-01",
        "employee_number": "29900001",
        "title": "Ms.",
        "last_name": "Sampleton",
        "first_name": "Fern",
        "preferred_name": "Fern",
        "date_of_birth": "1990-01-15",
        "ni_number": "QQ123456A",
        "hire_date": "2024-04-01",
        "employee_status_flag": "E",
        "system_person_type": "EMP",
        "user_person_type": "Employee",
        "office_email": "fern.sampleton@trust.example",
        "nhs_start_date": "2015-09-07",
        "last_update": "2024-04-01",
    }
    assert (fern.line, fern.position, fern.routing, fern.faults) == (11, 10, "person.upsert", ())


def test_a_name_with_a_diaeresis_survives() -> None:
    people = [record.fields for record in records_of(FULL) if record.code == "PRA"]
    assert people[2]["first_name"] == people[2]["preferred_name"] == "Zoë"


def test_an_applicant_carries_the_fields_of_the_extension() -> None:
    rowan = [record.fields for record in records_of(FULL) if record.code == "PRA"][1]
    assert rowan["applicant_number"] == "A8800002"
    assert rowan["contact_email"] == "rowan.mockford@mail.example"
    assert (rowan["iat_status"], rowan["system_person_type"]) == ("REQUESTED", "APL")
    assert "employee_number" not in rowan


def test_the_hire_comes_as_a_new_slice_of_the_same_assignment() -> None:
    slices = [record.fields for record in records_of(CHANGES) if record.code == "ASA"]
    assert [part["assignment_id"] for part in slices] == ["8100003"] * 3
    assert [part["effective_start"] for part in slices] == ["2026-02-20", "2026-02-27", "2026-03-02"]
    assert [part.get("effective_end") for part in slices] == ["2026-02-26", "2026-03-01", None]
    assert slices[2]["last_update"] == "2026-03-02T10:10:00"


def test_deletes_carry_only_the_key() -> None:
    deletes = [(record.routing, record.fields) for record in records_of(CHANGES) if record.code.endswith("D")]
    assert deletes == [
        ("assignment.delete", {"assignment_id": "8100002"}),
        ("competency_element.delete", {"competency_element_id": "12000002"}),
    ]


def test_a_requirement_has_a_position_and_no_person() -> None:
    requirement = records_of(FULL)[-1].fields
    assert (requirement["competency_type"], requirement["position_id"]) == ("REQUIREMENT", "610001")
    assert "person_id" not in requirement


def test_the_confirmation_echoes_reference_and_position() -> None:
    fields = records_of(COMPLETIONS_ANSWER)[3].fields
    assert (fields["record_position"], fields["echoed_reference"]) == ("3", "L999-0000000103")
    assert (fields["load_status"], fields["message_code"]) == ("FAIL", "B202")


def test_a_confirmation_points_at_the_position_the_reader_gives() -> None:
    fields = records_of(CHANGES_ANSWER)[1].fields
    refused = next(r for r in records_of(CHANGES) if r.position == int(fields["record_position"]))
    assert refused.fields["competency_element_id"] == fields["echoed_reference"]


@pytest.mark.parametrize("name", sorted(path.name for path in SAMPLES.glob("*.DAT")))
def test_the_writer_repeats_a_sample_without_open_end_dates_byte_for_byte(name: str) -> None:
    parsed = PROFILE.parse_file_name(name)
    header = check_structure(SAMPLES / name, PROFILE).header
    assert header is not None
    written = write_file(
        PROFILE,
        parsed.kind,
        vpd=parsed.vpd,
        date=parsed.date,
        seq=parsed.seq,
        created=header.created,
        previous_run=header.previous_run,
        current_run=header.current_run,
        records=[(record.code, record.fields) for record in records_of(name)],
    )
    # An open end reads as no end, so it is written as an empty column; everything else is repeated exactly.
    assert written == (SAMPLES / name).read_bytes().replace(b"47121231", b"")
