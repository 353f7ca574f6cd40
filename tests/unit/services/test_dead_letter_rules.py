"""The rules of dead letters that need no database: forecasts, stages, halting, two people, hashes, checks of form."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.checking import Finding, Schemas, advice, meaning, worse
from services.console.domain import (
    DeadLetterError,
    Letter,
    Operation,
    check_approve,
    check_resume,
    check_reverse,
    check_start,
    check_undo,
    large,
    next_stage,
    same_person,
    too_many_failed,
)
from services.console.identity import identify, new_key, staff_hash
from shared import events, records
from shared.config import BridgeConfig
from shared.messaging.message import Message

CONFIG = BridgeConfig.model_validate({"trusts": [{"vpd": "991"}]})
SCHEMAS = Schemas(CONFIG)
SOUND = {
    "person_id": "1",
    "effective_start": "2026-03-01",
    "last_name": "Sample",
    "first_name": "Fern",
    "system_person_type": "EMP",
    "user_person_type": "Employee",
}


def message(fields: dict[str, str], type_: str = "person.upsert", stream: str = "feed") -> Message:
    return Message(
        exchange="bridge.dead", type=type_, message_id="1", vpd="991", body=records.encode(fields), stream=stream
    )


# --- stages and halting -----------------------------------------------------------------------------------------


@given(total=st.integers(1, 2_000_000), canary=st.integers(1, 100))
def test_the_stages_of_a_run_grow_end_at_the_whole_and_are_few(total: int, canary: int) -> None:
    stage, end, ends = "canary", min(canary, total), []
    while end < total:
        before = end
        stage, end = next_stage(stage, end, end, total, canary)
        assert before < end <= total
        ends.append(end)
        assert len(ends) < 20
    assert end == total


def test_a_canary_of_five_ramps_to_fifteen_forty_five_and_so_on() -> None:
    assert next_stage("canary", 5, 5, 10_000, 5) == ("ramp", 15)
    assert next_stage("ramp", 15, 15, 10_000, 5) == ("ramp", 45)
    assert next_stage("ramp", 900, 900, 10_000, 5) == ("rest", 10_000)
    assert next_stage("canary", 5, 5, 12, 5) == ("rest", 12)


@pytest.mark.parametrize(
    ("failed", "told", "waiting", "forgiven", "halts"),
    [
        (0, 5, 0, 0, False),
        (1, 1, 4, 0, False),  # the first of a canary does not decide alone
        (1, 5, 0, 0, True),
        (1, 10, 90, 0, False),  # exactly what is allowed
        (2, 10, 90, 0, True),
        (5, 5, 0, 5, False),  # forgiven
        (6, 8, 0, 5, True),
        (1, 1, 0, 0, True),  # all that was sent
    ],
)
def test_a_run_halts_when_more_fail_than_is_allowed(
    failed: int, told: int, waiting: int, forgiven: int, halts: bool
) -> None:
    said = too_many_failed(failed=failed, told=told, waiting=waiting, forgiven=forgiven, allowed_percent=10, canary=5)
    assert said is halts


# --- two people -------------------------------------------------------------------------------------------------


@given(st.text(max_size=20))
def test_capitals_and_blanks_make_nobody_another_person(name: str) -> None:
    assert same_person(name, f"  {name} ")
    assert same_person("Ann Other", " ann   OTHER")
    assert not same_person(f"a{name}", f"b{name}")


def test_what_may_be_done_to_an_operation_follows_from_its_state() -> None:
    proposed = Operation(1, "discard", "proposed", "ann", 50)
    with pytest.raises(DeadLetterError, match="a second person must approve"):
        check_start(proposed)
    with pytest.raises(DeadLetterError, match="somebody else"):
        check_approve(proposed, "ANN")
    check_approve(proposed, "bob")
    for state in ("planned", "running", "done", "stopped"):
        with pytest.raises(DeadLetterError, match="can be resumed"):
            check_resume(Operation(1, "replay", state, "ann", 5))
    with pytest.raises(DeadLetterError, match="cannot be taken back"):
        check_reverse(Operation(1, "replay", "done", "ann", 5))
    with pytest.raises(DeadLetterError, match="only a discarded one"):
        check_undo(Letter("a", "resolved", 0))


def test_the_limits_of_one_person_differ_between_replays_and_discards() -> None:
    limits = {"replays_alone": 500, "discards_alone": 10}
    assert [large("replay", number, **limits) for number in (500, 501)] == [False, True]
    assert [large("discard", number, **limits) for number in (10, 11)] == [False, True]


# --- hashes -----------------------------------------------------------------------------------------------------


@given(st.text(min_size=1, max_size=30))
def test_a_staff_number_has_one_hash_however_it_is_written_and_another_under_another_key(number: str) -> None:
    key = new_key()
    said = staff_hash(key, "991", number)
    assert said == staff_hash(key, "991", f" {number} ")
    assert said != staff_hash(new_key(), "991", number)
    assert len(said) == 32


def test_staff_numbers_are_found_in_records_and_within_events() -> None:
    key = new_key()
    found = identify(key, message({**SOUND, "employee_number": "E1"}), ("person_id", "effective_start"))
    assert set(found.staff) == {staff_hash(key, "991", "1"), staff_hash(key, "991", "E1")}
    nested = msgspec.structs.replace(message({}), body=msgspec.json.encode({"person": {"person_id": "7"}, "more": [1]}))
    assert identify(key, nested).staff == (staff_hash(key, "991", "7"),)
    assert identify(key, msgspec.structs.replace(nested, body=b"\xff")).staff == ()


def test_a_completion_of_an_account_is_found_by_the_person_id_alone() -> None:
    key = new_key()
    found = identify(key, message({"user_idnumber": "991-77", "reference": "r"}, "completion.upsert", "lms"))
    assert found.staff == (staff_hash(key, "991", "77"),)


def test_two_letters_about_the_same_record_have_the_same_subject() -> None:
    key, own = new_key(), ("person_id", "effective_start")
    one = identify(key, message(SOUND), own).subject
    assert one
    assert one == identify(key, message({**SOUND, "last_name": "Other"}), own).subject
    assert one != identify(key, message({**SOUND, "effective_start": "2026-04-01"}), own).subject


# --- checks of form ---------------------------------------------------------------------------------------------


def test_a_sound_record_has_no_findings() -> None:
    assert SCHEMAS.check(message(SOUND)) == ()


@pytest.mark.parametrize(
    ("changes", "code", "column"),
    [
        ({"effective_start": "31 February"}, "R103", "effective_start"),
        ({"last_name": "x" * 151}, "R102", "last_name"),
        ({"no_such_column": "x"}, "R108", "no_such_column"),
        ({"last_name": " "}, "R101", "last_name"),
        ({"last_name": "a\0b"}, "R106", ""),
    ],
)
def test_what_is_wrong_with_a_record_of_esr_is_found_by_the_trusts_profile(
    changes: dict[str, str], code: str, column: str
) -> None:
    assert [(one.code, one.column) for one in SCHEMAS.check(message(SOUND | changes))] == [(code, column)]


DONE = {
    "reference": "r",
    "user_idnumber": "991-1",
    "certification_idnumber": "FIRE",
    "completed_at": "2026-03-03T10:00:00+00:00",
}


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({}, []),
        ({"completed_at": "yesterday"}, ["L103"]),
        ({"reference": ""}, ["L101"]),
        ({"odd": "x"}, ["R108"]),
        ({"method": "x" * 256}, ["L104"]),
    ],
)
def test_what_is_wrong_with_a_row_of_the_lms_is_found(changes: dict[str, str], codes: list[str]) -> None:
    found = SCHEMAS.check(message(DONE | changes, "completion.upsert", "lms"))
    assert [one.code for one in found] == codes


def test_events_and_strange_things_are_checked_by_their_types() -> None:
    silent = events.FeedSilent(vpd="991", cause=events.Cause("feed", "f", 1), status="silent", days=3)
    event = msgspec.structs.replace(message({}), type="ingest.FeedSilent", body=events.encode(silent))
    assert SCHEMAS.check(event) == ()
    assert [one.code for one in SCHEMAS.check(msgspec.structs.replace(event, body=b"{}"))] == ["R901"]
    assert [one.code for one in SCHEMAS.check(message(SOUND, "odd.upsert"))] == ["R903"]
    assert [one.code for one in SCHEMAS.check(msgspec.structs.replace(message({}), body=b"[1]"))] == ["R901"]
    assert SCHEMAS.check(msgspec.structs.replace(message(SOUND | {"odd": "x"}), vpd="992")) == ()  # no profile known


def test_only_what_an_edit_made_wrong_is_held_against_it() -> None:
    old, new = Finding("R101", "last_name", "x"), Finding("R103", "hire_date", "x")
    assert worse((old,), (old, new)) == (new,)
    assert worse((old, new), ()) == ()


def test_codes_are_told_in_plain_words_and_unknown_ones_not_at_all() -> None:
    assert meaning("R103")
    assert advice("BROKER_DELIVERY_LIMIT")
    assert (meaning("X"), advice("X")) == ("", "")
