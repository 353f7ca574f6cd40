"""What a replay or a discard of a letter would do, and the edges of the check of form that it rests on."""

from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.console.checking import Finding, Schemas, forget_profiles, worse
from services.console.forecast import OF_FORM, Expected, Known, forecast, forecast_discard
from shared import records
from shared.accounting import Fate
from shared.codes import MessageCode
from shared.config import BridgeConfig
from shared.lms_csv.wrong import LONGEST_TEXT
from shared.messaging.message import Message

NOW = datetime(2026, 3, 9, 11, tzinfo=UTC)
FAULT = Finding("R103", "hire_date", "hire_date is not a valid date")
LETTER: dict[str, Any] = {
    "state": "open", "code": "R103", "queue": "people.records", "edited_since": False, "hold_until": None,
    "fate": Fate.DEAD_LETTERED, "newer": False, "findings": (),
}  # fmt: skip


def known(**more: Any) -> Known:
    return Known(**(LETTER | more))


@pytest.mark.parametrize(
    ("more", "expected", "because"),
    [
        ({}, "apply", "it failed with R103, which today's profile no longer finds"),
        ({"code": "L103"}, "apply", "it failed with L103"),
        ({"findings": (FAULT,)}, "fail_again", "R103: hire_date is not a valid date"),
        ({"findings": (FAULT,), "edited_since": True}, "fail_again", "R103: hire_date is not a valid date"),
        ({"code": "R902"}, "fail_again", "nothing about it has changed since it failed with R902"),
        ({"code": "B202"}, "fail_again", "nothing about it has changed since it failed with B202"),
        ({"code": "R902", "edited_since": True}, "apply", "it was edited, and its form is sound"),
        ({"code": "B202", "edited_since": True}, "apply", "it was edited, and its form is sound"),
        ({"code": "UNEXPECTED"}, "unknown", "its cause lay outside of the record"),
        ({"code": "UNEXPECTED", "edited_since": True}, "apply", "it was edited"),
        ({"newer": True, "findings": (FAULT,)}, "superseded", "a newer line about the same record was applied"),
        (
            {"fate": Fate.APPLIED, "newer": True},
            "unchanged",
            "its line has been settled meanwhile: stored and acted on",
        ),
        ({"fate": Fate.PARKED_PERSON_UNKNOWN}, "apply", "it failed with R103"),
        ({"queue": "", "fate": Fate.APPLIED}, "left_out", "it does not say which queue it came from"),
        ({"state": "replayed", "fate": Fate.APPLIED}, "left_out", "it is replayed"),
        ({"hold_until": NOW + timedelta(minutes=1)}, "left_out", "it is held until 2026-03-09T11:01+00:00"),
        ({"hold_until": NOW}, "apply", "it failed with R103"),
    ],
)
def test_what_a_replay_would_do_follows_from_what_is_known(
    more: dict[str, Any], expected: Expected, because: str
) -> None:
    told = forecast(known(**more), NOW)
    assert told.expected == expected
    assert told.because.startswith(because)


def test_a_discard_closes_what_is_open_and_leaves_out_the_rest_held_or_not() -> None:
    assert forecast_discard(known(hold_until=NOW + timedelta(days=1), queue=""), NOW).expected == "close"
    for state in ("replayed", "resolved", "discarded"):
        told = forecast_discard(known(state=state), NOW)
        assert (told.expected, told.because) == ("left_out", f"it is {state}")


def test_refusals_of_an_owner_are_no_faults_of_form() -> None:
    assert [code for code in OF_FORM if code.startswith(("R9", "B2", "F"))] == []
    assert {"R101", "R108", "L103"} <= OF_FORM


# --- checks of form, at their edges -----------------------------------------------------------------------------

SCHEMAS = Schemas(BridgeConfig.model_validate({"trusts": [{"vpd": "991"}]}))
DONE = {
    "reference": "r",
    "user_idnumber": "991-1",
    "certification_idnumber": "FIRE",
    "completed_at": "2026-03-03T10:00:00+00:00",
}


def message(fields: dict[str, str], type_: str, stream: str) -> Message:
    return Message(
        exchange="bridge.dead", type=type_, message_id="1", vpd="991", body=records.encode(fields), stream=stream
    )


def test_a_text_of_the_lms_may_be_as_long_as_is_allowed_and_no_longer() -> None:
    fits = DONE | {"method": "x" * LONGEST_TEXT}
    assert SCHEMAS.check(message(fits, "completion.upsert", "lms")) == ()
    longer = DONE | {"method": "x" * (LONGEST_TEXT + 1)}
    assert [one.code for one in SCHEMAS.check(message(longer, "completion.upsert", "lms"))] == ["L104"]


def test_a_nul_is_found_in_rows_of_the_lms_too() -> None:
    found = SCHEMAS.check(message(DONE | {"course_idnumber": "a\0b"}, "completion.upsert", "lms"))
    assert [(one.code, one.column) for one in found] == [("R106", "")]


def test_a_value_that_no_open_list_knows_is_no_finding() -> None:
    person = {
        "person_id": "1", "effective_start": "2026-03-01", "last_name": "Sample", "first_name": "Fern",
        "system_person_type": "SOMETHING_NEW", "user_person_type": "Employee",
    }  # fmt: skip
    assert SCHEMAS.check(message(person, "person.upsert", "feed")) == ()


def test_a_completion_that_esr_speaks_of_is_held_to_esrs_form_and_not_to_that_of_the_lms() -> None:
    by_esr = SCHEMAS.check(message(DONE, "completion.upsert", "feed"))
    assert by_esr
    assert by_esr != SCHEMAS.check(message(DONE, "completion.upsert", "lms"))


def test_a_fault_that_moves_to_another_column_is_a_new_one() -> None:
    here, there = Finding("R103", "hire_date", "x"), Finding("R103", "date_of_birth", "x")
    assert worse((here,), (there,)) == (there,)
    assert worse((here,), (Finding("R103", "hire_date", "said otherwise"),)) == ()


def test_a_profile_that_was_mended_is_read_anew_when_it_is_forgotten(tmp_path: Path) -> None:
    whole = resources.files("shared.esr.profiles").joinpath("esr-cstf.yaml").read_text("utf-8")
    own = tmp_path / "own.yaml"
    own.write_text(whole.replace("user_person_type X(80)", "user_person_type X(5)"), "utf-8")
    schemas = Schemas(BridgeConfig.model_validate({"trusts": [{"vpd": "991", "profile": str(own)}]}))
    person = {
        "person_id": "1", "effective_start": "2026-03-01", "last_name": "Sample", "first_name": "Fern",
        "system_person_type": "EMP", "user_person_type": "Employee",
    }  # fmt: skip
    letter = message(person, "person.upsert", "feed")
    assert [one.code for one in schemas.check(letter)] == ["R102"]
    own.write_text(whole, "utf-8")
    forget_profiles()
    assert schemas.check(letter) == ()
    assert [one.code for one in schemas.check(msgspec.structs.replace(letter, body=b"{"))] == [MessageCode.R901]
