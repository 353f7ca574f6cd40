"""National names are read by rules, and mappings are written as YAML and read again without loss."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config import Mapping
from shared.cstf import SUBJECTS, CoreSkill, subject_of
from shared.errors import DecisionError
from shared.mapping_settings import (
    SOURCES,
    Acceptance,
    AcceptanceRule,
    Dates,
    MappingSet,
    Renewal,
    Row,
    as_yaml,
    from_yaml,
    of_config,
)


@pytest.mark.parametrize(
    ("name", "skill"),
    [
        ("NHS Conflict Resolution (England) - 3 Years|", CoreSkill("conflict_resolution", "1", "", "3 years")),
        (
            "Equality, Diversity and Human Rights - 3 Years|",
            CoreSkill("equality_diversity_human_rights", "1", "", "3 years"),
        ),
        ("Fire Safety - 1 Year|", CoreSkill("fire_safety", "1", "", "1 year")),
        ("Health, Safety and Welfare - 3 Years|", CoreSkill("health_safety_welfare", "1", "", "3 years")),
        (
            "Infection Prevention and Control - Level 2 - 1 Year|",
            CoreSkill("infection_prevention_control", "2", "", "1 year"),
        ),
        (
            "Information Governance and Data Security - 1 Year|",
            CoreSkill("information_governance", "1", "", "1 year"),
        ),
        ("Moving and Handling - Level 1|", CoreSkill("moving_handling", "1")),
        (
            "Preventing Radicalisation - Basic Prevent Awareness - 3 Years|",
            CoreSkill("preventing_radicalisation", "basic", "", "3 years"),
        ),
        (
            "Preventing Radicalisation - Levels 3, 4 & 5 - 3 Years|",
            CoreSkill("preventing_radicalisation", "3-5", "", "3 years"),
        ),
        (
            "Resuscitation - Level 2 - Adult Basic Life Support - 1 Year|",
            CoreSkill("resuscitation", "2", "Adult Basic Life Support", "1 year"),
        ),
        ("Safeguarding Adults - Level 3 - 3 Years|", CoreSkill("safeguarding_adults", "3", "", "3 years")),
        (
            "Safeguarding Children (Version 2) - Level 1 - 3 Years|",
            CoreSkill("safeguarding_children", "1", "", "3 years"),
        ),
    ],
)
def test_a_national_name_tells_subject_level_and_period(name: str, skill: CoreSkill) -> None:
    assert subject_of(f"NHS|CSTF|{name}") == skill


def test_all_eleven_subjects_have_a_name_of_their_own() -> None:
    assert len(SUBJECTS) == len(set(SUBJECTS.values())) == 11


@pytest.mark.parametrize("name", ["NHS|CSTF|Cooking - 1 Year|", "999|LOCAL|Fire Safety|", "Fire Safety", ""])
def test_what_is_of_none_of_the_subjects_is_none(name: str) -> None:
    assert subject_of(name) is None


def test_versions_of_a_competence_differ_in_period_only() -> None:
    kinds = {kind.kind for n in ("2 Years", "1 Year", "") if (kind := subject_of(f"NHS|CSTF|Fire Safety - {n}|"))}
    assert len(kinds) == 1


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=20)
PERIODS = st.sampled_from(["1 year", "18 months", "3 week", "9999 days"])
DAYS = st.none() | st.dates()
ACCEPTED: dict[str, Any] = {
    "sources": st.lists(st.sampled_from(SOURCES), unique=True).map(tuple),
    "max_age_months": st.none() | st.integers(0, 1200),
}


@st.composite
def rows(draw: st.DrawFn) -> Row:
    days = sorted(draw(st.lists(st.dates(), min_size=2, max_size=2)))
    expiry = draw(st.sampled_from(["lms", "esr", "local"]))
    said = {
        "competence": draw(TEXTS),
        "competence_id": draw(st.just("") | TEXTS),
        "certification": draw(TEXTS),
        "direction": draw(st.sampled_from(["both", "to-lms", "to-esr"])),
        "from": draw(st.sampled_from([None, days[0]])),
        "until": draw(st.sampled_from([None, days[1]])),
        "accept": draw(st.none() | st.builds(Acceptance, **ACCEPTED)),
        "expiry": expiry,
        "period": draw(st.just("") | PERIODS) if expiry == "local" else "",
    }
    return Row.model_validate(said)


SETS = st.builds(
    MappingSet,
    mappings=st.lists(rows(), max_size=4).map(tuple),
    accept=st.lists(
        st.builds(AcceptanceRule, subject=st.sampled_from(sorted(SUBJECTS.values())), level=TEXTS, **ACCEPTED),
        max_size=3,
    ).map(tuple),
    for_esr=st.lists(TEXTS, max_size=3).map(tuple),
    dates=st.builds(
        Dates,
        when_they_differ=st.sampled_from(["newest", "esr", "lms"]),
        same_within_days=st.integers(0, 31),
        months=st.sampled_from(["last-day-stays", "shorten", "overflow"]),
        day=st.sampled_from(["same-day", "day-before"]),
    ),
    renewals=st.lists(
        st.builds(
            Renewal,
            certification=TEXTS,
            method=st.sampled_from(["completion", "expiry", "fixed"]),
            active=PERIODS,
            window=PERIODS,
            minimum=st.just("") | PERIODS,
        ),
        max_size=2,
        unique_by=lambda one: one.certification,
    ).map(tuple),
    on_removal=st.sampled_from(["report", "withdraw"]),
)


@given(SETS)
def test_what_is_written_as_yaml_is_read_again_without_loss(said: MappingSet) -> None:
    assert from_yaml(as_yaml(said)) == said


def test_ids_and_dates_are_read_as_they_are_written_with_quotation_marks_or_without() -> None:
    written = "mappings: [{competence_id: 0031, certification: 12, from: 2026-04-01, until: '2027-03-31'}]"
    (row,) = from_yaml(written).mappings
    assert (row.competence_id, row.certification) == ("0031", "12")
    assert (row.starts, row.until) == (date(2026, 4, 1), date(2027, 3, 31))


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("mappings: [{certification: X}]", "mappings.0"),
        ("mappings: [{competence: A, certification: X, from: 2026-02-01, until: 2026-01-31}]", "mappings.0"),
        ("mappings: [{competence: A, certification: X, direction: up}]", "mappings.0.direction"),
        ("mappings: [{competence: A, certification: X, colour: red}]", "mappings.0.colour"),
        ("accept: [{subject: cooking}]", "accept.0"),
        ("accept: [{level: '2'}]", "accept.0"),
        ("accept: [{sources: [elsewhere]}]", "accept.0.sources.0"),
        ("mappings: [{competence: A, certification: X, period: 1 year}]", "mappings.0"),
        ("mappings: [{competence: A, certification: X, expiry: local, period: soon}]", "mappings.0.period"),
        ('mappings: [{competence: A, certification: "X\\N"}]', "mappings.0.certification"),
        ("renewals: [{certification: X, method: completion, active: 0 years, window: 1 month}]", "renewals.0.active"),
        ("dates: {same_within_days: 99}", "dates.same_within_days"),
        ("mappings: [", "line 1"),
        ("- a list", "valid dictionary"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(written: str, place: str) -> None:
    with pytest.raises(DecisionError, match=place):
        from_yaml(written)


def test_an_empty_file_says_no_mappings() -> None:
    assert from_yaml("") == MappingSet()


def test_mappings_of_bridge_yaml_go_both_ways_and_all_of_them_to_esr() -> None:
    said = of_config(
        [
            Mapping(competence="NHS|CSTF|Fire Safety - 1 Year|", certification="FIRE"),
            Mapping(competence="999|LOCAL|Cooking|", certification="COOK"),
            Mapping(competence_id="31", certification="X"),
        ]
    )
    assert {row.direction for row in said.mappings} == {"both"}
    assert said.for_esr == ("999|LOCAL|Cooking|", "31")
