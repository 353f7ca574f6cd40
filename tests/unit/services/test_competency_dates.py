"""Whose date counts, what has run out, what expires when and why; and where the LMS's report says somebody stands."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.competency.domain import Catalogue, Decision, Definition, Known, decide
from shared.facts import Fact, Version
from shared.mapping_settings import Dates, MappingSet, Renewal, Row

FIRE = "3100006"
NAME = "NHS|CSTF|Fire Safety - 1 Year|"
YEARLY = Definition(
    competence_id=FIRE,
    competence_name=NAME,
    date_from=date(2020, 1, 1),
    renewal_period_frequency="1",
    renewal_period_units="Year",
)
TODAY = date(2026, 3, 10)
STAFF = Known("employee", "2020-01-01")
ANNUAL = Renewal(certification="FIRE", method="completion", active="1 year", window="2 months")

Identity = tuple[str, str]


def said(*renewals: Renewal, row: Mapping[str, Any] | None = None, **dates: Any) -> Catalogue:
    one = Row.model_validate({"competence_id": FIRE, "certification": "FIRE"} | dict(row or {}))
    return Catalogue({FIRE: YEARLY}, MappingSet(mappings=(one,), dates=Dates(**dates), renewals=renewals))


def element(day: str, until: str = "", key: str = "1") -> Fact:
    data = {
        "competency_element_id": key, "competency_type": "PERSONAL", "competency_status": "ACHIEVED",
        "competency_name": NAME, "competence_id": FIRE, "person_id": "1", "date_from": day,
    } | ({"date_to": until} if until else {})  # fmt: skip
    return Fact("999", "competency_element", key, "", "1", Version("A.DAT", 1, int(key)), data)


def completion(at: str, expires: str = "", of: str = "FIRE") -> Fact:
    data = {"reference": "r", "user_idnumber": "999-1", "certification_idnumber": of, "completed_at": at}
    data |= {"expires_on": expires} if expires else {}
    return Fact("999", "completion", f"999-1|{of}|{at}", "", "1", Version("C.csv", 7, 2), data)


def row(status: str, at: str = "", expires: str = "", opens: str = "", file_no: int = 8) -> Fact:
    data = {"user_idnumber": "999-1", "certification_idnumber": "FIRE", "status": status}
    data |= {"completed_at": at} if at else {}
    data |= {"expires_on": expires} if expires else {}
    data |= {"window_opens_on": opens} if opens else {}
    return Fact("999", "certification", "999-1|FIRE", at, "1", Version("R.csv", file_no, 2), data)


def decided(*facts: Fact, by: Catalogue | None = None, before: Mapping[Identity, Decision] | None = None) -> Any:
    return decide(STAFF, facts, by or said(), before or {}, TODAY)


def to_lms(*facts: Fact, by: Catalogue | None = None, key: str = "1") -> Decision:
    found: Decision = decided(*facts, by=by)["esr", key]
    return found


def to_esr(*facts: Fact, by: Catalogue | None = None) -> Decision:
    (found,) = [one for one in decided(*facts, by=by).values() if one.source == "lms"]
    assert isinstance(found, Decision)
    return found


# Whose date counts


def test_an_achievement_older_than_what_the_lms_holds_is_not_written_over_it() -> None:
    found = to_lms(element("2026-02-01"), completion("2026-03-01T14:05:00"))
    assert (found.verdict, found.why) == ("older", "newer_in_lms")
    assert found.reason == "the LMS holds a newer completion on 2026-03-01"


def test_of_two_achievements_only_the_newer_one_is_told_to_the_lms() -> None:
    found = decided(element("2025-06-01"), element("2026-02-01", key="2"))
    assert [found["esr", key].verdict for key in ("1", "2")] == ["older", "certification"]
    assert found["esr", "1"].why == "newer_in_esr"


def test_a_newer_achievement_that_is_deleted_makes_room_for_the_one_before() -> None:
    both = decided(element("2025-06-01"), element("2026-02-01", key="2"))
    assert decided(element("2025-06-01"), before=both)["esr", "1"].verdict == "certification"


def test_a_completion_older_than_what_esr_holds_is_not_sent() -> None:
    found = to_esr(element("2026-03-01"), completion("2026-02-01T14:05:00"))
    assert (found.verdict, found.why) == ("held_by_esr", "newer_in_esr")
    assert found.reason == "ESR holds a newer achievement on 2026-03-01"


def test_a_completion_newer_than_what_esr_holds_is_sent() -> None:
    assert to_esr(element("2026-02-01"), completion("2026-03-01T14:05:00")).verdict == "to_esr"


def test_by_the_rule_for_esr_what_esr_holds_stands_as_long_as_it_runs() -> None:
    by = said(when_they_differ="esr")
    found = to_esr(element("2026-02-01"), completion("2026-03-01T14:05:00"), by=by)
    assert (found.verdict, found.why, found.reason) == (
        "held_by_esr", "kept_by_esr", "what ESR holds of 2026-02-01 counts until 2027-02-01",
    )  # fmt: skip
    assert to_esr(element("2024-02-01"), completion("2026-03-01T14:05:00"), by=by).verdict == "to_esr"
    late = to_esr(element("2025-03-01"), completion("2026-03-01T00:00:00"), by=by)
    assert late.verdict == "held_by_esr"  # the last day still counts


def test_by_the_rule_for_the_lms_it_is_not_written_to_while_it_is_certified_and_tells_esr_everything() -> None:
    by = said(when_they_differ="lms")
    held = row("certified", "2026-01-05T09:00:00+00:00", "2027-01-05", "2026-11-05")
    assert to_lms(element("2026-03-01"), held, by=by).why == "kept_by_lms"
    assert to_esr(element("2026-03-01"), held, by=by).verdict == "to_esr"
    gone = row("expired", file_no=9)
    assert to_lms(element("2026-03-01"), held, gone, by=by).verdict == "certification"


def test_a_bare_date_is_not_newer_than_the_same_day_in_the_afternoon() -> None:
    found = decided(element("2026-03-01"), completion("2026-03-01T14:05:00"))
    assert {one.verdict for one in found.values()} == {"mirror", "held_by_esr"}


@pytest.mark.parametrize(("apart", "verdicts"), [(2, {"mirror", "held_by_esr"}), (3, {"older", "to_esr"})])
def test_the_same_learning_by_two_routes_some_days_apart_is_one_where_a_trust_says_so(
    apart: int, verdicts: set[str]
) -> None:
    later = date(2026, 3, 1) + timedelta(days=apart)
    found = decided(element("2026-03-01"), completion(f"{later}T10:00:00"), by=said(same_within_days=2))
    assert {one.verdict for one in found.values()} == verdicts


def test_a_completion_that_comes_by_a_report_and_by_a_file_is_one() -> None:
    by_file = completion("2026-03-01T14:05:00+00:00")
    by_report = row("certified", "2026-03-01T14:05:00+00:00", "2027-03-01")
    first = decided(by_file)
    assert decided(by_file, by_report, before=first) == first
    assert len(decided(by_report)) == 1


def test_a_history_row_that_appears_when_the_window_opens_is_no_new_completion() -> None:
    current = row("certified", "2025-04-01T14:05:00+00:00", "2026-04-01", "2026-02-01")
    first = decided(current)
    opened = row("window-open", "2025-04-01T14:05:00+00:00", "2026-04-01", "2026-02-01", file_no=9)
    again = row("history", "2025-04-01T14:05:00+00:00", "2026-04-01", file_no=10)
    assert {k: one.content for k, one in decided(opened, before=first).items()} == {
        k: one.content for k, one in first.items()
    }
    assert {k: one.content for k, one in decided(again, before=first).items()} == {
        k: one.content for k, one in first.items()
    }


def two_certifications(*facts: Fact, before: Mapping[Identity, Decision] | None = None) -> Any:
    rows = tuple(Row(competence_id=FIRE, certification=name) for name in ("FIRE", "DRILL"))
    return decided(*facts, by=Catalogue({FIRE: YEARLY}, MappingSet(mappings=rows)), before=before)


def test_two_certifications_that_are_one_competence_tell_esr_once() -> None:
    drill, fire = completion("2026-03-01T14:05:00", of="DRILL"), completion("2026-03-01T09:00:00")
    both = two_certifications(drill, fire)
    assert sorted((one.verdict, one.why) for one in both.values()) == [("held_by_esr", "told"), ("to_esr", "")]
    first = two_certifications(fire)
    after = two_certifications(drill, fire, before=first)
    assert [one.certification for one in after.values() if one.verdict == "to_esr"] == ["FIRE"]


# What has run out


def test_what_has_run_out_is_evidence_and_certifies_nobody() -> None:
    found = to_lms(element("2025-03-01", "2026-03-09"))
    assert (found.verdict, found.why, found.reason) == ("evidence", "run_out", "it ran out on 2026-03-09")


def test_on_its_last_day_it_still_counts() -> None:
    assert to_lms(element("2025-03-10", "2026-03-10")).verdict == "certification"


def test_without_a_date_of_its_own_an_achievement_runs_as_long_as_esrs_definition_says() -> None:
    found = to_lms(element("2025-06-01"))
    assert (found.expires_on, found.reason) == ("2026-06-01", f"1 year from 2025-06-01 by ESR definition {FIRE}")
    assert to_lms(element("2025-03-01")).why == "run_out"


def test_what_the_lms_would_show_as_run_out_is_evidence_although_esr_counts_longer() -> None:
    found = to_lms(element("2025-03-01", "2027-03-01"), by=said(ANNUAL))
    assert (found.why, found.reason) == ("run_out", "the LMS would show that it ran out on 2026-03-01")


def test_past_the_opening_of_its_window_it_certifies_whoever_is_not_certified() -> None:
    found = to_lms(element("2025-04-01"), by=said(ANNUAL))
    assert found.verdict == "certification"
    assert [warning[:4] for warning in found.warnings] == ["RW04"]


def test_past_the_opening_of_its_window_it_does_not_reset_a_learner_who_is_certified() -> None:
    held = row("certified", "2025-03-20T10:00:00+00:00", "2026-03-20", "2026-06-20")
    found = to_lms(element("2025-04-01"), held, by=said(ANNUAL))
    assert (found.verdict, found.why) == ("evidence", "window_open")


def test_what_was_told_stays_told_when_it_runs_out() -> None:
    first = decide(STAFF, [element("2025-06-01")], said(), {}, TODAY)
    later = decide(STAFF, [element("2025-06-01")], said(), first, TODAY + timedelta(days=400))
    assert later == first


def test_what_became_evidence_as_it_had_run_out_stays_evidence_when_something_newer_comes() -> None:
    first = decided(element("2025-03-01"))
    after = decided(element("2025-03-01"), completion("2026-03-01T10:00:00"), before=first)
    assert after["esr", "1"].content == first["esr", "1"].content


# Where somebody stands


def test_an_old_completion_in_the_history_does_not_hide_what_stands_now() -> None:
    held = row("certified", "2026-01-05T09:00:00+00:00", "2027-01-05", "2026-11-05")
    older = row("history", "2024-12-01T10:00:00+00:00", "2025-12-01", file_no=9)
    assert to_lms(element("2026-03-01"), held, older, by=said(when_they_differ="lms")).why == "kept_by_lms"


def test_the_newest_report_tells_where_somebody_stands_whichever_is_looked_at_first() -> None:
    held = row("certified", "2024-12-01T10:00:00+00:00", "2025-12-01", "2025-10-01")
    assert to_lms(element("2026-02-01"), row("expired", file_no=9), held).due_on == "2025-12-01"


def test_an_expired_certification_renewed_by_expiry_is_foretold_from_its_last_expiry() -> None:
    by_expiry = Renewal(certification="FIRE", method="expiry", active="1 year", window="2 months")
    held = row("certified", "2025-03-05T10:00:00+00:00", "2026-03-05", "2026-01-05")
    found = to_lms(element("2026-02-01", "2027-03-05"), held, row("expired", file_no=9), by=said(by_expiry))
    assert found.warnings == ()  # counted from 2026-03-05, as it was completed before that


def test_the_last_expiry_of_somebody_whose_certification_has_expired_goes_with_the_achievement() -> None:
    held = row("certified", "2024-12-01T10:00:00+00:00", "2025-12-01", "2025-10-01")
    gone = row("expired", file_no=9)
    assert to_lms(element("2026-02-01"), held, gone).due_on == "2025-12-01"
    assert to_lms(element("2026-02-01"), held).due_on == ""


def test_esr_and_lms_that_would_disagree_are_warned_of() -> None:
    found = to_lms(element("2026-02-01", "2029-02-01"), by=said(ANNUAL))
    (warning,) = found.warnings
    assert warning.startswith("RW01 731 days apart: the LMS would expire on 2027-02-01")


def test_the_same_learning_with_different_expiries_is_warned_of() -> None:
    found = to_lms(element("2026-03-01", "2027-03-01"), completion("2026-03-01T10:00:00", "2027-03-20"))
    (warning,) = found.warnings
    assert warning == "RW01 19 days apart: the LMS shows 2027-03-20, ESR 2027-03-01 (ESR says 2027-03-01)."
    assert to_lms(element("2026-03-01"), completion("2026-03-01T10:00:00", "2027-03-01")).warnings == ()


def test_where_both_agree_nothing_is_warned_of() -> None:
    assert to_lms(element("2026-02-01"), by=said(ANNUAL)).warnings == ()


def test_a_row_that_was_never_certified_says_nothing_of_completions() -> None:
    assert decided(row("assigned")) == {}


# What ESR is told, and why


@pytest.mark.parametrize(
    ("rule", "expires", "reason"),
    [
        ({}, "2029-01-01", "the LMS shows 2029-01-01 for FIRE"),
        ({"expiry": "esr"}, "2027-03-01", f"1 year from 2026-03-01 by ESR definition {FIRE}"),
        (
            {"expiry": "local", "period": "2 years"},
            "2028-03-01",
            "2 years from 2026-03-01 by the trust's rule for FIRE",
        ),
        ({"expiry": "local"}, "", "does not expire: the trust's rule for FIRE has no period"),
    ],
)
def test_the_expiry_esr_is_told_is_by_the_mappings_rule_and_says_why(
    rule: dict[str, str], expires: str, reason: str
) -> None:
    found = to_esr(completion("2026-03-01T14:05:00", "2029-01-01"), by=said(row=rule))
    assert (found.expires_on, found.reason) == (expires, reason)


def test_days_are_counted_as_the_trust_says() -> None:
    by = said(row={"expiry": "local", "period": "1 month"}, months="shorten", day="day-before")
    assert to_esr(completion("2026-01-31T14:05:00"), by=by).expires_on == "2026-02-27"


DAYS = st.dates(date(2024, 1, 1), date(2026, 3, 9)).map(date.isoformat)


@given(st.lists(DAYS, min_size=1, max_size=4), st.lists(DAYS, max_size=4), st.sampled_from(["newest", "esr", "lms"]))
def test_a_side_that_holds_something_is_never_told_the_same_and_never_something_older(
    achieved: list[str], completed: list[str], rule: str
) -> None:
    facts = [element(day, key=str(number)) for number, day in enumerate(achieved, start=1)]
    facts += [completion(f"{day}T10:00:00") for day in set(completed)]
    found = decided(*facts, by=said(when_they_differ=rule)).values()
    written = {one.achieved_on for one in found if one.verdict == "certification"}
    sent = {one.achieved_on for one in found if one.verdict == "to_esr"}
    assert not written & set(completed)
    assert not sent & set(achieved)
    assert all(day >= max(completed, default="") for day in written)
    assert rule == "lms" or all(day > max(achieved) for day in sent)
    assert len(written) <= 1
