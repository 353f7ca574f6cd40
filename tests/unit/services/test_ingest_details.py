"""What a confirmation says of records: failures always, warnings, and the rest only when asked for."""

from collections.abc import Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.ingest.details import Detail, details, verdict, writable
from shared.accounting import Fate
from shared.esr import RecordCode, load_profile
from shared.esr.faults import Fault
from shared.esr.reader import Record, check_fields

PROFILE = load_profile("esr-cstf")
LONG = Fault(RecordCode.R102, 4, "last_name", "last_name is longer than 150")
UNLISTED = Fault(RecordCode.R109, 4, "system_person_type", "system_person_type value is not in the list")


def record(*faults: Fault, line: int = 4, key: str = "12000032") -> Record:
    fields = {"competency_element_id": key, "person_id": "9000099"}
    return Record(line, line - 1, "CMA", "competency_element.upsert", fields, faults, 0, line)


def told(
    *records: Record,
    fates: Mapping[int, Fate],
    codes: Mapping[int, str] | None = None,
    detail: Detail = "exceptions_only",
) -> list[dict[str, str]]:
    found = details(PROFILE, records, lambda line: fates.get(line, Fate.APPLIED), codes or {}, detail)
    return [columns for _, columns in found]


def test_a_record_that_was_taken_is_not_worth_a_word() -> None:
    assert told(record(), fates={}) == []


def test_a_record_whose_person_is_unknown_is_reported_as_in_the_published_sample() -> None:
    assert told(record(line=9), fates={9: Fate.PARKED_PERSON_UNKNOWN}) == [
        {
            "record_position": "8",
            "confirmed_record_type": "CMA",
            "echoed_reference": "12000032",
            "load_status": "FAIL",
            "message_type": "ERROR",
            "message_code": "B201",
            "message_text": RecordCode.B201.meaning,
            "person_id": "9000099",
        }
    ]


@pytest.mark.parametrize(
    ("fate", "code"),
    [
        (Fate.PARKED_PERSON_UNKNOWN, "B201"),
        (Fate.PARKED_COMPETENCE_UNKNOWN, "B204"),
        (Fate.PARKED_NOTHING_SENT, "B213"),
    ],
)
def test_every_reason_to_park_has_its_code(fate: Fate, code: str) -> None:
    said = verdict(record(), fate, "")
    assert (said.failed, said.kind, said.code) == (True, "ERROR", code)


def test_a_record_that_broke_a_rule_of_form_is_reported_with_that_rule() -> None:
    said = verdict(record(UNLISTED, LONG), Fate.DEAD_LETTERED, "")
    assert (said.failed, said.code, said.text) == (True, "R102", LONG.text)


def test_a_record_that_its_owner_gave_up_is_reported_with_the_owners_code() -> None:
    assert verdict(record(), Fate.DEAD_LETTERED, "R902").code == "R902"


@pytest.mark.parametrize("code", ["", "BROKER_DELIVERY_LIMIT", "SOMETHING_NEW"])
def test_a_code_that_esr_could_not_read_is_reported_as_unexpected(code: str) -> None:
    assert verdict(record(), Fate.DEAD_LETTERED, code).code == "UNEXPECTED"


def test_a_record_that_was_mended_and_applied_is_no_failure_any_more() -> None:
    assert not verdict(record(LONG), Fate.APPLIED, "R902").failed


def test_a_warning_is_told_of_a_record_that_was_taken() -> None:
    (columns,) = told(record(UNLISTED), fates={})
    assert (columns["load_status"], columns["message_type"], columns["message_code"]) == ("SUCCESS", "WARNING", "R109")


def test_a_profile_may_ask_for_every_record_or_for_none() -> None:
    records = [record(line=4), record(LONG, line=5)]
    fates = {5: Fate.DEAD_LETTERED}
    assert [one["load_status"] for one in told(*records, fates=fates, detail="every_record")] == ["SUCCESS", "FAIL"]
    assert told(*records, fates=fates, detail="file_only") == []


def test_a_record_without_its_key_is_echoed_by_its_line() -> None:
    (columns,) = told(record(LONG, key=""), fates={4: Fate.DEAD_LETTERED})
    assert columns["echoed_reference"] == "line 4"


@example("k" * 60, Fate.DEAD_LETTERED, "")
@given(st.text(), st.sampled_from(list(Fate)), st.sampled_from(["", "R902", "L101", "UNEXPECTED"]))
def test_whatever_a_record_holds_what_is_said_of_it_can_be_written(key: str, fate: Fate, code: str) -> None:
    one = record(LONG, UNLISTED, key=key)
    for columns in told(one, fates={4: fate}, codes={4: code}, detail="every_record"):
        assert [fault for fault in check_fields(PROFILE, "CFD", columns) if not fault.warning] == []


@given(st.text())
def test_a_text_made_writable_holds_nothing_that_no_file_could_carry(value: str) -> None:
    safe = writable(PROFILE, value)
    assert not set(safe) & set("~\0\r\n\ufffd")
    assert safe.encode("iso-8859-1").decode("iso-8859-1") == safe
