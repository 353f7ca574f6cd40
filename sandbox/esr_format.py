"""The ESR file format as the sandbox's ESR writes and reads it.

This is a second, independent implementation of the ``esr-cstf`` profile, on purpose: it shares no code with the
product's reader and writer, so a mistake made there shows here. Columns are known by name; a record is a mapping of
column name to text, and absent columns are empty.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final

ENCODING: Final = "iso-8859-1"
INTERFACE_VERSION: Final = "01"

#: Oracle's open end of an effective-dated slice.
END_OF_TIME: Final = "47121231"

#: Stands for "no previous run" in the header of a full file.
NEVER: Final = "00000000 000000"

_SPARE: Final = {count: " ".join(f"unused_{n}" for n in range(1, count + 1)) for count in (1, 2, 3, 4)}

_COLUMNS: Final = {
    "ORA": "organisation_id organisation_name organisation_type effective_from effective_to hierarchy_version_id "
    "hierarchy_version_from hierarchy_version_to default_cost_centre parent_organisation_id nacs_code location_id "
    "last_update cost_centre_description " + _SPARE[1],
    "LCA": "location_id location_code location_description inactive_date address_1 address_2 address_3 town county "
    "postcode country telephone fax payslip_delivery_point site_code welsh_location welsh_address_1 welsh_address_2 "
    "welsh_address_3 welsh_town last_update",
    "POA": "position_id effective_from effective_to position_number position_name budgeted_fte subjective_code "
    "job_staff_group job_role occupation_code payscale grade_step isa_regulated_post organisation_id hiring_status "
    "position_type " + _SPARE[4] + " workplace_org_code last_update subjective_code_description",
    "CDA": "competence_id competence_name description date_from date_to behavioural_indicator "
    "certification_required rating_scale_id evaluation_method renewal_period_frequency renewal_period_units "
    "competence_cluster competence_alias vpd_code last_update",
    "PRA": "person_id effective_start effective_end employee_number title last_name first_name middle_names "
    "maiden_name preferred_name previous_last_name gender date_of_birth ni_number nhs_unique_id hire_date "
    "actual_termination_date termination_reason employee_status_flag wtr_opt_out wtr_opt_out_date ethnic_origin "
    "unused_24 country_of_birth previous_employer previous_employer_type csd_3_months csd_12_months nhs_crs_uuid "
    "applicant_number contact_email iat_status system_person_type user_person_type office_email nhs_start_date "
    "unused_38 last_update disability_flag unused_41 unused_42 unused_43 unused_44",
    "ASA": "person_id assignment_id effective_start effective_end earliest_assignment_start assignment_type "
    "assignment_number system_assignment_status user_assignment_status employee_status_flag payroll_name "
    "payroll_period_type assignment_location_id supervisor_flag supervisor_person_id supervisor_assignment_id "
    "supervisor_assignment_number department_manager_person_id employee_category assignment_category "
    "primary_assignment normal_hours frequency grade_contract_hours fte flexible_working_pattern organisation_id "
    "position_id position_name grade grade_step start_date_in_grade annual_salary_value job_name people_group "
    "ta_flag night_worker projected_hire_date vacancy_id contract_end_date increment_date maximum_part_time_flag "
    "afc_flag last_update last_working_day eksf_spinal_point manager_flag assignment_end_date " + _SPARE[2],
    "CMA": "person_id competency_element_id competency_type competency_status competency_name date_from date_to "
    "proficiency_level vpd_code certification_date certification_method next_certification_date competence_id "
    "business_group_id job_id organisation_id position_id proficiency_level_id proficiency_high_level_id "
    "essential_flag records_type last_update " + _SPARE[4],
    "ASD": "assignment_id",
    "CMD": "competency_element_id",
    "TCA": "lms_reference vpd_code person_id employee_number applicant_number assignment_number last_name "
    "date_of_birth competence_id competence_name proficiency_level date_from date_to certification_date "
    "certification_method next_certification_date source_course change_reason replaces_reference last_update "
    + _SPARE[3],
    "TCD": "lms_reference",
    "CFH": "confirmed_file file_status records_read records_success records_warning records_failed message_type "
    "message_code message_text",
    "CFD": "record_position confirmed_record_type echoed_reference load_status message_type message_code "
    "message_text person_id esr_record_id " + _SPARE[1],
}

#: Column names of each record type in file order, without the leading record type.
LAYOUTS: Final[Mapping[str, tuple[str, ...]]] = {kind: tuple(names.split()) for kind, names in _COLUMNS.items()}

_NAME = re.compile(r"CS_(?P<vpd>[0-9]{3})_CST_(?P<kind>[A-Z]{3})_(?P<date>[0-9]{8})_(?P<sequence>[0-9]{8})\.DAT")
_FORBIDDEN = re.compile(r"[~\r\n]")
_DAY = re.compile(r"[0-9]{8}")
_MOMENT = re.compile(r"[0-9]{8} [0-9]{6}")


@dataclass(frozen=True, slots=True)
class FileName:
    """The parts of ``CS_<vpd>_CST_<kind>_<YYYYMMDD>_<8 digits>.DAT``."""

    vpd: str
    kind: str
    day: date
    sequence: int

    def __str__(self) -> str:
        return f"CS_{self.vpd}_CST_{self.kind}_{day_text(self.day)}_{self.sequence:08d}.DAT"


def parse_name(name: str) -> FileName | None:
    """Return the parts of a file name, in any letter case, or None when it does not follow the pattern."""
    match = _NAME.fullmatch(name.upper())
    day = parse_day(match["date"]) if match else None
    if match is None or day is None:
        return None
    return FileName(match["vpd"], match["kind"], day, int(match["sequence"]))


def day_text(day: date) -> str:
    """Return a date as the files write it: ``YYYYMMDD``."""
    return f"{day:%Y%m%d}"


def moment_text(moment: datetime) -> str:
    """Return a UK local time as the files write it: ``YYYYMMDD HHMMSS``."""
    return f"{moment:%Y%m%d %H%M%S}"


def midnight(day: date) -> str:
    """Return 00:00 of a day as the files write it; windows run from midnight to midnight."""
    return f"{day_text(day)} 000000"


def parse_day(text: str) -> date | None:
    """Return the date written as ``YYYYMMDD``, or None when it is not a day of the calendar."""
    if not _DAY.fullmatch(text):
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None


def is_moment(text: str) -> bool:
    """Tell whether a text is a valid ``YYYYMMDD HHMMSS``."""
    if not _MOMENT.fullmatch(text) or parse_day(text[:8]) is None:
        return False
    return int(text[9:11]) < 24 and int(text[11:13]) < 60 and int(text[13:]) < 60


def add_months(day: date, months: int) -> date:
    """Return the same day some months later; the last day of the month when that month is shorter."""
    year, month0 = divmod(day.year * 12 + day.month - 1 + months, 12)
    for last in (day.day, 30, 29, 28):
        try:
            return date(year, month0 + 1, min(day.day, last))
        except ValueError:
            continue
    raise ValueError(f"no such month: {year}-{month0 + 1}")


def line(kind: str, values: Mapping[str, str]) -> str:
    """Return one record without its line end.

    Raises ValueError for a column the record type does not have, and for a value holding a delimiter or line end:
    the format has no escape, so such a value cannot be written.
    """
    columns = LAYOUTS[kind]
    if unknown := values.keys() - set(columns):
        raise ValueError(f"{kind} has no column {sorted(unknown)}")
    fields = [kind, *(values.get(column, "") for column in columns)]
    if any(map(_FORBIDDEN.search, fields)):
        raise ValueError(f"{kind} holds a value that the format cannot carry")
    return "~".join(fields)


def split(record: str) -> list[str]:
    """Return the fields of one line, record type first."""
    return record.split("~")


def values_of(fields: list[str]) -> dict[str, str]:
    """Name the fields of one record; the caller has checked their number."""
    return dict(zip(LAYOUTS[fields[0]], fields[1:], strict=True))


def lines_of(content: bytes) -> list[str]:
    """Return the lines of a file, blank ones left out. Only CR and LF end a line: 0x85 is data in ISO-8859-1."""
    text = content.decode(ENCODING).replace("\r\n", "\n").replace("\r", "\n")
    return [one for one in text.split("\n") if one]


def compose(name: FileName, *, created: str, previous: str, current: str, records: Iterable[str]) -> bytes:
    """Return the bytes of a whole file: header, records, trailer with the number of records between the two.

    Raises UnicodeEncodeError when a value does not fit ISO-8859-1.
    """
    body = list(records)
    header = "~".join(("HDR", str(name), created, name.vpd, previous, current, INTERFACE_VERSION))
    return ("\r\n".join((header, *body, f"TRL~{len(body)}")) + "\r\n").encode(ENCODING)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader of its folder sees all of it or nothing of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
