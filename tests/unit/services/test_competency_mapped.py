"""What mappings make of achievements and completions: directions, days, several to several, and what is accepted."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.competency.domain import Catalogue, Decision, Definition, Known, decide
from shared.facts import Fact, Version
from shared.mapping_settings import from_json

Identity = tuple[str, str]

FIRE, NEWER, COOKING = "100", "101", "900"
NAMES = {
    FIRE: "NHS|CSTF|Fire Safety - 2 Years|",
    NEWER: "NHS|CSTF|Fire Safety - 1 Year|",
    COOKING: "999|LOCAL|Cooking|",
}
DAY = "2026-03-03"
HERE = Known("employee", "2026-01-01")


def row(competence_id: str, certification: str, direction: str = "both", **said: Any) -> dict[str, Any]:
    return {"competence_id": competence_id, "certification": certification, "direction": direction, **said}


def mapped(*rows: dict[str, Any], ended: Mapping[str, date] | None = None, **said: Any) -> Catalogue:
    known = {
        key: Definition(
            competence_id=key,
            competence_name=name,
            date_from=date(2020, 1, 1),
            date_to=(ended or {}).get(key),
        )
        for key, name in NAMES.items()
    }
    return Catalogue(known, from_json({"mappings": rows, **said}))


def achieved(competence_id: str = FIRE, day: str = DAY, key: str = "7", **said: str) -> Fact:
    data = {
        "competency_element_id": key,
        "competency_type": "PERSONAL",
        "competency_name": NAMES[competence_id],
        "competence_id": competence_id,
        "person_id": "1",
        "date_from": day,
        **said,
    }
    return Fact("999", "competency_element", key, "", "1", Version("A.DAT", 1, 1), data)


def completed(certification: str = "FIRE", day: str = DAY) -> Fact:
    at = f"{day}T10:00:00"
    data = {
        "reference": "r",
        "user_idnumber": "999-1",
        "certification_idnumber": certification,
        "completed_at": at,
    }
    return Fact("999", "completion", f"999-1|{certification}|{at}", "", "1", Version("C.csv", 7, 1), data)


def decided(
    by: Catalogue, *facts: Fact, known: Known = HERE, before: Mapping[Identity, Decision] | None = None
) -> dict[Identity, Decision]:
    return decide(known, facts, by, before or {})


def said(found: Mapping[Identity, Decision]) -> set[tuple[str, str, str]]:
    return {(one.verdict, one.competence_id, one.certification) for one in found.values()}


# Several to several


def test_one_competence_stands_for_several_certifications() -> None:
    found = decided(mapped(row(FIRE, "FIRE"), row(FIRE, "WARD")), achieved())
    assert said(found) == {("certification", FIRE, "FIRE"), ("certification", FIRE, "WARD")}
    assert set(found) == {("esr", "7"), ("esr", "7|WARD")}


def test_several_competences_stand_for_one_certification_and_it_for_all_of_them() -> None:
    both = mapped(row(FIRE, "FIRE"), row(COOKING, "FIRE"), for_esr=[COOKING])
    found = decided(both, achieved(FIRE), achieved(COOKING, key="8"))
    assert said(found) == {("certification", FIRE, "FIRE"), ("certification", COOKING, "FIRE")}
    assert said(decided(both, completed())) == {("to_esr", FIRE, "FIRE"), ("to_esr", COOKING, "FIRE")}


def test_a_certification_keeps_its_key_when_others_come_and_go() -> None:
    one = decided(mapped(row(FIRE, "FIRE")), achieved())
    two = decided(mapped(row(FIRE, "WARD"), row(FIRE, "FIRE")), achieved(), before=one)
    assert {key: one.certification for (_, key), one in two.items()} == {"7": "FIRE", "7|WARD": "WARD"}
    left = decided(mapped(row(FIRE, "WARD")), achieved(), before=two)
    assert {key: one.certification for (_, key), one in left.items()} == {"7|WARD": "WARD"}
    other = decided(mapped(row(FIRE, "WARD"), row(FIRE, "NEW")), achieved(), before=left)
    assert {key: one.certification for (_, key), one in other.items()} == {"7": "NEW", "7|WARD": "WARD"}


# Directions


def test_a_mapping_to_the_lms_only_sends_nothing_to_esr() -> None:
    only = mapped(row(FIRE, "FIRE", "to-lms"))
    assert said(decided(only, achieved())) == {("certification", FIRE, "FIRE")}
    assert said(decided(only, completed())) == {("not_for_esr", "", "FIRE")}


def test_a_mapping_to_esr_only_makes_evidence_of_achievements() -> None:
    only = mapped(row(FIRE, "FIRE", "to-esr"))
    assert said(decided(only, achieved())) == {("evidence", FIRE, "")}
    assert said(decided(only, completed())) == {("to_esr", FIRE, "FIRE")}


def test_a_competence_neither_of_the_cstf_nor_on_the_trusts_list_is_not_sent_to_esr() -> None:
    assert said(decided(mapped(row(COOKING, "COOK")), completed("COOK"))) == {("not_for_esr", "", "COOK")}
    assert said(decided(mapped(row(COOKING, "COOK")), achieved(COOKING))) == {("certification", COOKING, "COOK")}


# Days


@pytest.mark.parametrize(
    ("day", "verdicts"),
    [
        ("2026-02-28", {"evidence", "unmapped"}),
        ("2026-03-01", {"certification", "to_esr"}),
        ("2026-03-31", {"certification", "to_esr"}),
        ("2026-04-01", {"evidence", "unmapped"}),
    ],
)
def test_a_mapping_is_about_what_was_achieved_from_its_first_day_to_its_last(day: str, verdicts: set[str]) -> None:
    by = mapped(row(FIRE, "FIRE", **{"from": "2026-03-01", "until": "2026-03-31"}))
    facts = achieved(day=day), completed(day=day)
    assert {one.verdict for fact in facts for one in decided(by, fact).values()} == verdicts


def test_a_version_that_esr_ended_is_not_told_where_another_of_the_same_subject_runs() -> None:
    ended = {FIRE: date(2026, 3, 2)}
    by = mapped(row(FIRE, "FIRE"), row(NEWER, "FIRE"), ended=ended)
    assert said(decided(by, completed())) == {("to_esr", NEWER, "FIRE")}
    alone = mapped(row(FIRE, "FIRE"), ended=ended)
    assert said(decided(alone, completed())) == {("to_esr", FIRE, "FIRE")}


def test_achievements_of_an_ended_version_go_on_counting_in_the_lms() -> None:
    by = mapped(row(FIRE, "FIRE", "to-lms"), row(NEWER, "FIRE"), ended={FIRE: date(2026, 3, 2)})
    assert said(decided(by, achieved(day="2026-02-01"))) == {("certification", FIRE, "FIRE")}


# What is accepted


@pytest.mark.parametrize(
    ("known", "day", "written", "source"),
    [
        (HERE, "2026-01-01", "", "own"),
        (HERE, "2025-12-31", "2025-12-31T10:00:00", "brought_before_hire"),
        (HERE, "2025-12-31", "", "brought_before_hire"),
        (HERE, "2025-12-31", "2026-01-01T08:00:00", "brought_after_hire"),
        (Known("applicant"), "2025-12-31", "", "brought_before_hire"),
        (Known("employee"), "2025-12-31", "", "own"),
    ],
)
def test_learning_is_accepted_by_where_it_comes_from(known: Known, day: str, written: str, source: str) -> None:
    for one in ("own", "brought_before_hire", "brought_after_hire"):
        by = mapped(row(FIRE, "FIRE"), accept=[{"sources": [one]}])
        (found,) = decided(by, achieved(day=day, last_update=written), known=known).values()
        assert (found.verdict, found.why) == (("certification", "") if one == source else ("evidence", "not_accepted"))


@pytest.mark.parametrize(
    ("day", "accepted"), [("2025-01-01", True), ("2024-12-02", True), ("2024-12-01", False), ("2026-02-01", True)]
)
def test_learning_that_was_too_old_on_the_day_of_hire_is_evidence(day: str, accepted: bool) -> None:
    by = mapped(row(FIRE, "FIRE"), accept=[{"max_age_months": 12}])
    (found,) = decided(by, achieved(day=day)).values()
    assert (found.verdict == "certification") is accepted


def test_the_first_rule_that_fits_subject_and_level_decides_and_a_mappings_own_word_beats_it() -> None:
    rules = [{"subject": "fire_safety", "level": "2", "sources": []}, {"subject": "fire_safety", "sources": ["own"]}]
    everything_else: dict[str, Any] = {"sources": []}
    own, brought = achieved(day="2026-02-01"), achieved(day="2025-02-01")
    by = mapped(row(FIRE, "FIRE"), accept=[*rules, everything_else])
    assert said(decided(by, own)) == {("certification", FIRE, "FIRE")}
    assert said(decided(by, brought)) == {("evidence", FIRE, "")}
    itself = mapped(row(FIRE, "FIRE", accept={"sources": ["brought_before_hire"]}), accept=[*rules, everything_else])
    assert said(decided(itself, brought)) == {("certification", FIRE, "FIRE")}


def test_what_is_not_accepted_does_not_stop_a_completion_for_esr() -> None:
    by = mapped(row(FIRE, "FIRE"), accept=[{"sources": []}])
    assert said(decided(by, completed())) == {("to_esr", FIRE, "FIRE")}


# Other mappings, later


def test_what_esr_was_told_is_not_taken_back_by_other_mappings() -> None:
    told = decided(mapped(row(FIRE, "FIRE")), completed())
    for other in (mapped(), mapped(row(FIRE, "FIRE", "to-lms")), mapped(row(FIRE, "OTHER"))):
        assert decided(other, completed(), before=told) == told
    added = decided(mapped(row(COOKING, "FIRE"), for_esr=[COOKING]), completed(), before=told)
    assert said(added) == {("to_esr", FIRE, "FIRE"), ("to_esr", COOKING, "FIRE")}


def test_what_is_mapped_later_but_the_lms_holds_by_itself_is_not_written_to_it() -> None:
    before = decided(mapped(), achieved(), completed())
    assert {one.verdict for one in before.values()} == {"evidence", "unmapped"}
    after = decided(mapped(row(FIRE, "FIRE")), achieved(), completed(), before=before)
    assert {one.verdict for one in after.values()} == {"mirror", "held_by_esr"}


ROWS = [row(c, x, d) for c in (FIRE, NEWER, COOKING) for x in ("FIRE", "COOK") for d in ("both", "to-lms", "to-esr")]
FACTS = [achieved(), achieved(COOKING, key="8"), achieved(NEWER, "2026-01-01", "9"), completed(), completed("COOK")]
versions = st.lists(st.sampled_from(ROWS), max_size=5).map(lambda rows: mapped(*rows, for_esr=[COOKING]))
facts = st.lists(st.sampled_from(FACTS), unique_by=lambda fact: fact.identity)


@given(versions, facts, st.lists(versions, max_size=3))
def test_deciding_again_under_the_same_mappings_changes_nothing(
    last: Catalogue, facts: list[Fact], earlier: list[Catalogue]
) -> None:
    before: dict[Identity, Decision] = {}
    for by in (*earlier, last):
        before = decided(by, *facts, before=before)
    assert decided(last, *facts, before=before) == before


@given(versions, facts, versions)
def test_whatever_the_versions_on_the_way_the_lms_is_to_hold_what_the_last_one_says(
    last: Catalogue, facts: list[Fact], earlier: Catalogue
) -> None:
    def held(found: Mapping[Identity, Decision]) -> list[tuple[str, str]]:
        verdicts = ("certification", "mirror", "evidence")
        return sorted((one.competence_id, one.certification) for one in found.values() if one.verdict in verdicts)

    fresh = decided(last, *facts)
    older = {(one.competence_id, one.certification) for one in fresh.values() if one.verdict == "older"}
    on_the_way = decided(last, *facts, before=decided(earlier, *facts))
    # What was told on the way stays told, although something newer counts by now.
    assert [one for one in held(on_the_way) if one not in older] == [one for one in held(fresh) if one not in older]
    assert set(held(on_the_way)) <= {*held(fresh), *older}


@given(st.lists(versions, min_size=2, max_size=4), facts)
def test_what_was_sent_to_esr_stays_sent_under_every_version(by: list[Catalogue], facts: list[Fact]) -> None:
    before: dict[Identity, Decision] = {}
    for one in by:
        after = decided(one, *facts, before=before)
        sent = {identity: said for identity, said in before.items() if said.verdict == "to_esr"}
        assert {identity: after[identity].content for identity in sent} == {k: v.content for k, v in sent.items()}
        before = after


def test_a_competence_mapped_by_name_instead_of_by_id_is_not_sent_to_esr_again() -> None:
    by_id = decided(mapped(row(FIRE, "FIRE")), completed())
    by_name = mapped({"competence": NAMES[FIRE], "certification": "FIRE"})
    assert decided(by_name, completed(), before=by_id) == by_id
