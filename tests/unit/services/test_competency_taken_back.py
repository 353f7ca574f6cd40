"""Completions that the LMS has taken back: ESR is asked to give them back, and they do not come to life again."""

from datetime import date

import pytest

from services.competency.domain import Decision
from shared import events
from tests.unit.services.test_competency_domain import completion, decided, element, only, told, verdicts

KEY = "999-9000001|FIRE|2026-03-03T10:00:00"


def said_before() -> dict[tuple[str, str], Decision]:
    return decided(completion())


def test_a_completion_that_is_taken_back_before_it_was_told_is_told_to_nobody() -> None:
    decision = only(decided(completion(withdrawn="yes")))
    assert (decision.verdict, decision.key) == ("withdrawn", KEY)
    assert told(decision) == []


def test_what_esr_was_told_of_is_withdrawn_there() -> None:
    before = said_before()
    found = decided(completion(withdrawn="yes", line=2), before=before)
    assert verdicts(found) == {"lms": "withdrawn"}
    (gone,) = [one for identity, one in before.items() if identity not in found]
    (event,) = told(None, gone, revision=2)
    assert isinstance(event, events.CertificationWithdrawn)
    assert (event.key, event.revision, event.person_id) == (gone.key, 2, "9000001")


def test_what_comes_again_after_it_was_taken_back_is_told_anew() -> None:
    taken_back = decided(completion(withdrawn="yes", line=2), before=said_before())
    found = decided(completion(line=3), before=taken_back)
    assert [one.verdict for one in found.values()] == ["to_esr"]


@pytest.mark.parametrize("first", [True, False])
def test_esrs_copy_of_what_was_taken_back_is_not_written_to_the_lms(first: bool) -> None:
    mirrored = decided(completion(), element()) if first else said_before()
    found = decided(completion(withdrawn="yes", line=2), element(), before=mirrored)
    (copy,) = [one for one in found.values() if one.source == "esr"]
    assert copy.verdict == "mirror"


def test_esrs_own_achievement_of_another_day_is_written_to_the_lms_all_the_same() -> None:
    found = decided(completion(withdrawn="yes"), element(day=date(2026, 3, 1)))
    (own,) = [one for one in found.values() if one.source == "esr"]
    assert own.verdict == "certification"


def test_a_taken_back_completion_does_not_count_as_newer_than_what_esr_holds() -> None:
    found = decided(completion(at="2026-03-05T10:00:00", withdrawn="yes"), element(day=date(2026, 3, 1)))
    (own,) = [one for one in found.values() if one.source == "esr"]
    assert own.verdict == "certification"
