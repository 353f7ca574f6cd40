"""The rules the sandbox's LMS answers operations by."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from sandbox.lms import CATALOGUE, SandboxLms
from sandbox.lms_operations import Operation
from sandbox.lms_values import Answer
from shared.errors import ConfigurationError

OPERATIONS: TypeAdapter[list[Operation]] = TypeAdapter(list[Operation])
FERN = {
    "idnumber": "999-9000001",
    "username": "fern.sampleton",
    "firstname": "Fern",
    "lastname": "Sampleton",
    "email": "fern.sampleton@trust.example",
    "account_type": "PERM",
    "fields": {"employee_number": "29900001"},
}
ROWAN = {**FERN, "idnumber": "999-9000002", "username": "rowan", "email": "rowan@mail.example", "account_type": "TEMP"}


@pytest.fixture
def lms(tmp_path: Path) -> SandboxLms:
    made = SandboxLms(tmp_path / "lms.sqlite", "999")
    apply(made, ensure())
    return made


def apply(lms: SandboxLms, *operations: dict[str, Any]) -> list[Answer]:
    return lms.apply(OPERATIONS.validate_python(operations))


def ensure(**changes: Any) -> dict[str, Any]:
    return {"operation": "ensure_account", **FERN, **changes}


def complete(completed_on: str, expires_on: str | None = None, **changes: Any) -> dict[str, Any]:
    given = {"certification": "FIRE-2Y", "completed_on": completed_on, "expires_on": expires_on}
    return {"operation": "record_completion", "idnumber": FERN["idnumber"], **given, **changes}


def evidence(**changes: Any) -> dict[str, Any]:
    item = {"reference": "E1", "name": "Medical Gases", "completed_on": "2026-03-03", "expires_on": None}
    return {"operation": "add_evidence", "idnumber": FERN["idnumber"], **item, **changes}


def codes(answers: list[Answer]) -> list[tuple[str, str]]:
    return [(one.status, one.code) for one in answers]


def dates(rows: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    return [(row["completed_on"], row["expires_on"]) for row in rows]


def test_an_account_is_created_once_and_stays_the_same_when_asked_again(lms: SandboxLms) -> None:
    assert codes(apply(lms, ensure())) == [("applied", "unchanged")]
    assert lms.accounts() == [{**FERN, "suspended": False, "id": 1}]


def test_ensuring_an_existing_account_updates_it_and_keeps_fields_not_named(lms: SandboxLms) -> None:
    assert codes(apply(lms, ensure(lastname="Mockford", fields={"ward": "7"}))) == [("applied", "updated")]
    found = lms.account("999-9000001")
    assert found is not None
    assert (found["lastname"], found["fields"]) == ("Mockford", {"employee_number": "29900001", "ward": "7"})


def test_updating_promotes_a_temporary_account(lms: SandboxLms) -> None:
    apply(lms, {**ROWAN, "operation": "ensure_account"})
    assert codes(apply(lms, {**ROWAN, "operation": "update_account", "account_type": "PERM"})) == [
        ("applied", "updated")
    ]
    assert (lms.account("999-9000002") or {})["account_type"] == "PERM"


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        (ensure(idnumber="999-9", email="x@mail.example"), "username-taken"),
        (ensure(idnumber="999-9", username="x"), "email-taken"),
        (ensure(idnumber="999-9", username="x", email="FERN.sampleton@Trust.example"), "email-taken"),
        (ensure(username="Fern"), "username-invalid"),
        (ensure(username="fern sampleton"), "username-invalid"),
        (ensure(username="f" * 101), "value-too-long"),
        (ensure(firstname="f" * 101), "value-too-long"),
        (ensure(lastname="f" * 101), "value-too-long"),
        (ensure(email="f" * 101), "value-too-long"),
        (ensure(idnumber="9" * 256), "value-too-long"),
        (ensure(email=None), "value-missing"),
        (ensure(lastname=" "), "value-missing"),
        ({"operation": "ensure_account", "account_type": "PERM"}, "value-missing"),
        ({**ROWAN, "operation": "update_account"}, "unknown-account"),
        ({"operation": "suspend", "idnumber": "999-9"}, "unknown-account"),
        ({"operation": "reactivate", "idnumber": "999-9"}, "unknown-account"),
        (complete("2026-03-03", idnumber="999-9"), "unknown-account"),
        (complete("2026-03-03", certification="NOSUCH"), "unknown-certification"),
        (complete("2026-03-03", certification="fire-2y"), "unknown-certification"),
        (complete(""), "value-missing"),
        (complete("20260303"), "invalid-date"),
        (complete("2026-02-31"), "invalid-date"),
        (complete("2026-3-3"), "invalid-date"),
        (complete("2026-03-03", "soon"), "invalid-date"),
        (evidence(idnumber="999-9"), "unknown-account"),
        (evidence(reference=""), "value-missing"),
        (evidence(name=""), "value-missing"),
        (evidence(completed_on="2026-02-29"), "invalid-date"),
        (evidence(expires_on=""), "invalid-date"),
    ],
)
def test_a_bad_operation_is_rejected_with_its_code_and_changes_nothing(
    lms: SandboxLms, operation: dict[str, Any], code: str
) -> None:
    before = (lms.accounts(), lms.certifications(), lms.evidence())
    (answer,) = apply(lms, operation)
    assert (answer.status, answer.code) == ("rejected", code)
    assert (lms.accounts(), lms.certifications(), lms.evidence()) == before
    said = answer.reason.lower()
    assert not any(str(FERN[name]).lower() in said for name in ("username", "firstname", "lastname", "email"))


def test_values_of_the_greatest_length_are_accepted(lms: SandboxLms) -> None:
    longest = ensure(idnumber="9" * 255, username="u" * 100, firstname="f" * 100, lastname="l" * 100, email="e" * 100)
    assert codes(apply(lms, longest)) == [("applied", "created")]


def test_a_rejected_operation_does_not_stop_the_rest(lms: SandboxLms) -> None:
    answers = apply(lms, complete("2026-03-03"), complete("2026-03-03", certification="NOSUCH"), evidence())
    assert codes(answers) == [("applied", "certified"), ("rejected", "unknown-certification"), ("applied", "recorded")]


def test_suspending_and_reactivating_twice_changes_nothing_the_second_time(lms: SandboxLms) -> None:
    suspend, reactivate = ({"operation": name, "idnumber": FERN["idnumber"]} for name in ("suspend", "reactivate"))
    assert codes(apply(lms, suspend, suspend)) == [("applied", "suspended"), ("applied", "unchanged")]
    assert (lms.account("999-9000001") or {})["suspended"] is True
    assert codes(apply(lms, reactivate, reactivate)) == [("applied", "reactivated"), ("applied", "unchanged")]
    assert (lms.account("999-9000001") or {})["suspended"] is False


def test_ensuring_a_suspended_account_leaves_it_suspended(lms: SandboxLms) -> None:
    apply(lms, {"operation": "suspend", "idnumber": FERN["idnumber"]}, ensure(lastname="Mockford"))
    assert (lms.account("999-9000001") or {})["suspended"] is True


def test_a_first_completion_certifies(lms: SandboxLms) -> None:
    assert codes(apply(lms, complete("2024-04-10", "2026-04-10"))) == [("applied", "certified")]
    assert dates(lms.certifications("999-9000001")["current"]) == [("2024-04-10", "2026-04-10")]
    assert lms.certifications("999-9000001")["history"] == []


def test_a_newer_completion_certifies_and_the_former_goes_to_history(lms: SandboxLms) -> None:
    answers = apply(lms, complete("2024-04-10", "2026-04-10"), complete("2026-03-03", "2028-03-03"))
    assert codes(answers) == [("applied", "certified")] * 2
    assert dates(lms.certifications()["current"]) == [("2026-03-03", "2028-03-03")]
    assert dates(lms.certifications()["history"]) == [("2024-04-10", "2026-04-10")]


def test_the_same_date_changes_nothing_whatever_the_expiry(lms: SandboxLms) -> None:
    answers = apply(lms, complete("2026-03-03", "2028-03-03"), complete("2026-03-03", "2027-03-03"))
    assert codes(answers)[1] == ("applied", "unchanged")
    assert dates(lms.certifications()["current"]) == [("2026-03-03", "2028-03-03")]
    assert lms.certifications()["history"] == []


def test_an_older_completion_is_history_only_and_repeats_do_not_pile_up(lms: SandboxLms) -> None:
    answers = apply(lms, complete("2026-03-03"), complete("2024-04-10"), complete("2024-04-10"))
    assert codes(answers)[1:] == [("applied", "history")] * 2
    assert dates(lms.certifications()["current"]) == [("2026-03-03", None)]
    assert dates(lms.certifications()["history"]) == [("2024-04-10", None)]


def test_a_suspended_account_is_certified_like_any_other(lms: SandboxLms) -> None:
    answers = apply(lms, {"operation": "suspend", "idnumber": FERN["idnumber"]}, complete("2026-03-03"))
    assert codes(answers)[1] == ("applied", "certified")


def test_evidence_is_kept_once_for_each_reference(lms: SandboxLms) -> None:
    answers = apply(lms, evidence(), evidence(), evidence(reference="E2"), evidence(name="Gases"))
    assert [one.code for one in answers] == ["recorded", "unchanged", "recorded", "updated"]
    assert [(one["reference"], one["name"]) for one in lms.evidence("999-9000001")] == [
        ("E1", "Gases"),
        ("E2", "Medical Gases"),
    ]


def test_an_unknown_member_is_refused() -> None:
    with pytest.raises(ValidationError):
        OPERATIONS.validate_python([ensure(nickname="Ferny")])


def test_a_new_lms_offers_the_catalogue_and_a_state_of_another_trust_is_refused(tmp_path: Path) -> None:
    lms = SandboxLms(tmp_path / "lms.sqlite", "999")
    apply(lms, ensure())
    answers = apply(lms, *(complete("2026-03-03", certification=idnumber) for idnumber, _ in CATALOGUE))
    assert {one.code for one in answers} == {"certified"}
    with pytest.raises(ConfigurationError, match="vpd 999, not 998"):
        SandboxLms(tmp_path / "lms.sqlite", "998")


def test_a_certification_can_be_added(lms: SandboxLms) -> None:
    lms.add_certification("GAS-2Y", "Ward Medical Gases", 24)
    assert codes(apply(lms, complete("2026-03-03", certification="GAS-2Y"))) == [("applied", "certified")]


def test_the_state_outlives_the_object(tmp_path: Path, lms: SandboxLms) -> None:
    apply(lms, complete("2026-03-03"))
    again = SandboxLms(tmp_path / "lms.sqlite", "999")
    assert (again.accounts(), again.certifications()) == (lms.accounts(), lms.certifications())


@settings(max_examples=30)
@given(st.permutations(["2024-01-01", "2025-01-01", "2026-01-01", "2026-01-01"]))
def test_in_whatever_order_dates_come_the_newest_is_current_and_each_other_is_history_once(order: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lms = SandboxLms(Path(folder, "lms.sqlite"), "999")
        apply(lms, ensure(), *map(complete, order))
        held = lms.certifications()
    assert dates(held["current"]) == [("2026-01-01", None)]
    assert dates(held["history"]) == [("2024-01-01", None), ("2025-01-01", None)]
