"""Compliance without a database: what a person holds, what is required, and where that stands on a day."""

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.competency.catalogue import Catalogue, Definition
from services.competency.compliance.holdings import Holding, held_by
from services.competency.compliance.requirements import EsrRequirement, Requirements
from services.competency.compliance.staff import staff_of
from services.competency.compliance.status import CHOICES, FOR_EVER, STATUSES, status_on
from services.competency.compliance.targets import Target, meets
from services.competency.domain import Known, decide
from services.people.domain import derive
from shared.compliance_settings import ComplianceRule, ComplianceSettings
from shared.cstf import SUBJECTS, CoreSkill
from shared.events import Job, Person
from shared.facts import Fact, Version
from shared.mapping_settings import from_json

DAY = date(2026, 3, 3)
FIRE = "NHS|CSTF|Fire Safety - 2 Years|"
NAMES = {
    "1": FIRE,
    "2": "NHS|CSTF|Fire Safety - 1 Year|",
    "3": "NHS|CSTF|Safeguarding Adults - Level 2 - 3 Years|",
    "4": "991|LOCAL|Knots|",
    "5": "NHS|CSTF|Resuscitation - Level 2 - Adult Basic Life Support - 1 Year|",
}
DEFINITIONS = {
    key: Definition(competence_id=key, competence_name=name, date_from=date(2020, 1, 1)) for key, name in NAMES.items()
}
CATALOGUE = Catalogue(
    DEFINITIONS,
    from_json(
        {
            "mappings": [
                {"competence_id": "1", "certification": "FIRE"},
                {"competence_id": "4", "certification": "KNOTS", "until": "2025-12-31"},
                {"competence_id": "3", "certification": "SGA", "direction": "to-lms"},
            ]
        }
    ),
)

days = st.dates(date(2024, 1, 1), date(2027, 12, 31))


def fact(entity: str, key: str, owner: str = "7", **data: Any) -> Fact:
    return Fact("991", entity, key, "", owner, Version("F", 1, 2), data)


def element(key: str, competence: str, day: str, until: str = "", **data: Any) -> Fact:
    said = {"competency_element_id": key, "competency_type": "PERSONAL", "competency_name": NAMES[competence]}
    said |= {"competence_id": competence, "date_from": day, **({"date_to": until} if until else {})}
    return fact("competency_element", key, **said, **data)


def completion(certification: str, day: str, until: str = "") -> Fact:
    said = {"reference": "r", "user_idnumber": "991-7", "certification_idnumber": certification}
    said |= {"completed_at": f"{day}T10:00:00"}
    return fact("completion", f"{certification}{day}", **said, **({"expires_on": until} if until else {}))


def row(status: str, **said: str) -> Fact:
    return fact("certification", "7|FIRE", user_idnumber="991-7", certification_idnumber="FIRE", status=status, **said)


def held(*facts: Fact, catalogue: Catalogue = CATALOGUE) -> list[Holding]:
    return held_by(facts, catalogue, decide(Known("employee"), facts, catalogue, {}))


# --- status -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "status"),
    [(-1, "expired"), (0, "due_30"), (30, "due_30"), (31, "due_60"), (60, "due_60"), (61, "due_90"), (90, "due_90"),
     (91, "compliant")],
)  # fmt: skip
def test_each_status_begins_and_ends_on_its_day(left: int, status: str) -> None:
    assert status_on(DAY, DAY + timedelta(days=left)) == status


def test_what_does_not_expire_is_compliant_on_every_day_and_what_was_never_achieved_is_so_on_none() -> None:
    assert status_on(date.max, FOR_EVER) == "compliant"
    assert status_on(DAY, None) == "never"


@given(days, days)
def test_as_days_pass_a_status_only_moves_towards_expired(expires: date, day: date) -> None:
    order = ["compliant", "due_90", "due_60", "due_30", "expired"]
    assert order.index(status_on(day, expires)) <= order.index(status_on(day + timedelta(days=1), expires))


def test_the_choices_of_several_statuses_are_made_of_the_single_ones() -> None:
    assert sorted((*CHOICES["valid"], *CHOICES["lacking"])) == sorted(STATUSES) == sorted(CHOICES["all"])
    assert set(CHOICES["due"]) < set(CHOICES["valid"])


# --- what a person holds ----------------------------------------------------------------------------------------


def test_an_achievement_counts_to_its_last_day_and_for_ever_without_one_and_without_a_renewal_period() -> None:
    assert held(element("E1", "1", "2026-01-01", "2028-01-01"), element("E2", "4", "2026-01-01")) == [
        Holding("1", date(2026, 1, 1), date(2028, 1, 1)),
        Holding("4", date(2026, 1, 1), None),
    ]


def test_an_achievement_without_a_last_day_counts_by_the_renewal_period_of_its_definition() -> None:
    said = {"competence_id": "1", "competence_name": FIRE, "date_from": "2020-01-01"}
    said |= {"renewal_period_frequency": "2", "renewal_period_units": "Year"}
    catalogue = Catalogue({"1": msgspec.convert(said, Definition, strict=False)})
    (one,) = held(element("E1", "1", "2026-01-01"), catalogue=catalogue)
    assert one.expires_on == date(2028, 1, 1)


def test_a_requirement_and_an_achievement_of_an_unknown_competence_are_held_by_nobody() -> None:
    unknown = fact(
        "competency_element", "E9", competency_element_id="E9", competency_type="PERSONAL", competency_name="?",
        competence_id="999", date_from="2026-01-01",
    )  # fmt: skip
    wanted = fact(
        "competency_element", "R1", competency_element_id="R1", competency_type="REQUIREMENT", competency_name=FIRE,
        competence_id="1", date_from="2026-01-01",
    )  # fmt: skip
    assert held(unknown, wanted) == []


def test_a_completion_counts_as_what_it_is_mapped_to_towards_esr_while_the_mapping_is_about_its_day() -> None:
    assert held(completion("FIRE", "2026-01-01", "2028-01-01")) == [Holding("1", date(2026, 1, 1), date(2028, 1, 1))]
    assert held(completion("KNOTS", "2025-12-31")) == [Holding("4", date(2025, 12, 31), None)]
    assert held(completion("KNOTS", "2026-01-01"), completion("SGA", "2026-01-01"), completion("X", "2026-01-01")) == []


def test_a_report_row_that_shows_a_completion_counts_and_one_that_has_lost_its_dates_does_not() -> None:
    dates = {"completed_at": "2026-01-01T10:00:00", "expires_on": "2028-01-01"}
    whole = [Holding("1", date(2026, 1, 1), date(2028, 1, 1))]
    for status in ("certified", "window-open", "expired", "history"):
        assert held(row(status, **dates)) == whole
    assert held(row("expired", completed_at="2026-01-01T10:00:00")) == held(row("assigned")) == []


def test_the_same_learning_by_two_routes_is_one_record_and_a_date_beats_none() -> None:
    both = (element("E1", "1", "2026-01-01", "2027-12-31"), completion("FIRE", "2026-01-01"))
    assert held(*both) == [Holding("1", date(2026, 1, 1), date(2027, 12, 31))]


def test_a_record_that_an_earlier_one_outlasts_is_left_out_and_a_later_one_that_lasts_longer_stays() -> None:
    first, short, last = ("2025-01-01", "2027-01-01"), ("2025-06-01", "2026-06-01"), ("2026-01-01", "2028-01-01")
    assert held(element("E1", "1", *first), element("E2", "1", *short), element("E3", "1", *last)) == [
        Holding("1", date(2025, 1, 1), date(2027, 1, 1)),
        Holding("1", date(2026, 1, 1), date(2028, 1, 1)),
    ]


def test_a_record_that_lasts_no_longer_than_an_earlier_one_is_left_out_and_nothing_outlasts_what_never_ends() -> None:
    same = (element("E1", "1", "2025-01-01", "2027-01-01"), element("E2", "1", "2025-06-01", "2027-01-01"))
    assert [one.achieved_on for one in held(*same)] == [date(2025, 1, 1)]
    ever = (element("E1", "4", "2025-01-01"), element("E2", "4", "2025-06-01", "2027-01-01"))
    assert held(*ever, element("E3", "4", "2025-07-01")) == [Holding("4", date(2025, 1, 1), None)]


Record = tuple[date, date | None]


def best(records: list[Record], day: date) -> date | None:
    """The best expiry by all records of a day, worked out plainly."""
    begun = [FOR_EVER if until is None else until for start, until in records if start <= day]
    return max(begun, default=None)


@given(st.dictionaries(days, st.one_of(st.none(), days), max_size=6), days)
def test_what_is_left_out_would_never_have_counted_on_any_day(said: dict[date, date | None], day: date) -> None:
    facts = [
        element(f"E{n}", "4", start.isoformat(), until.isoformat() if until else "")
        for n, (start, until) in enumerate(said.items())
    ]
    kept = [(one.achieved_on, one.expires_on) for one in held(*facts)]
    assert best(kept, day) == best(list(said.items()), day)


SEVERAL = [
    element("E1", "1", "2025-01-01", "2027-01-01"),
    completion("FIRE", "2025-01-01", "2026-01-01"),
    element("E2", "1", "2025-02-01", "2029-01-01"),
    completion("KNOTS", "2025-03-01"),
]


@given(st.permutations(SEVERAL))
def test_the_order_of_facts_does_not_matter(facts: list[Fact]) -> None:
    assert held(*facts) == [
        Holding("1", date(2025, 1, 1), date(2027, 1, 1)),
        Holding("1", date(2025, 2, 1), date(2029, 1, 1)),
        Holding("4", date(2025, 3, 1), None),
    ]


# --- what is required -------------------------------------------------------------------------------------------


def rules(*said: dict[str, Any], **more: Any) -> ComplianceSettings:
    return ComplianceSettings.model_validate({"rules": said, **more})


def requirements(settings: ComplianceSettings, *by_esr: EsrRequirement, day: date = DAY) -> Requirements:
    return Requirements(settings, by_esr, DEFINITIONS, day)


def test_a_new_version_of_a_competence_of_the_cstf_meets_what_asks_for_the_old_one() -> None:
    asked = requirements(rules({"competence_id": "1"}))
    assert [competence for _, competence in asked.met_by()] == ["1", "2"]


def test_a_competence_of_the_trusts_own_is_met_by_itself_only_by_id_or_by_name() -> None:
    for rule in ({"competence_id": "4"}, {"competence": NAMES["4"]}):
        assert [competence for _, competence in requirements(rules(rule)).met_by()] == ["4"]


def test_what_is_not_defined_is_met_by_nothing_unless_its_name_tells_the_subject() -> None:
    asked = requirements(
        rules({"competence_id": "1"}, esr_requirements="added"),
        EsrRequirement(competency_name=NAMES["2"], position_id="P1"),
    )
    assert asked.targets == [Target("fire_safety", "1")]
    assert [one.trait for one in asked.needs] == ["everyone:", "position:p1"]


def test_esr_may_come_first_be_added_stand_alone_or_be_ignored() -> None:
    by_esr = EsrRequirement(competency_name=NAMES["4"], position_id="P1")
    found = {}
    for choice in ("first", "added", "only", "ignored"):
        asked = requirements(rules({"subject": "fire_safety"}, esr_requirements=choice), by_esr)
        found[choice] = [(one.target.subject, one.by_esr) for one in asked.needs]
    assert found == {
        "first": [("fire_safety", False), (NAMES["4"], True)],
        "added": [("fire_safety", False), (NAMES["4"], False)],
        "only": [(NAMES["4"], False)],
        "ignored": [("fire_safety", False)],
    }


@pytest.mark.parametrize(
    ("said", "counts"),
    [({}, True), ({"date_from": DAY}, True), ({"date_from": DAY + timedelta(days=1)}, False), ({"date_to": DAY}, True),
     ({"date_to": DAY - timedelta(days=1)}, False), ({"essential_flag": "Y"}, True), ({"essential_flag": "n"}, False),
     ({"essential_flag": "No"}, False), ({"job_id": "J1"}, False)],
)  # fmt: skip
def test_a_requirement_of_esr_counts_on_its_days_unless_it_is_a_wish(said: dict[str, Any], counts: bool) -> None:
    asked = requirements(rules(esr_requirements="only"), EsrRequirement(competency_name=FIRE, **said))
    assert [one.trait for one in asked.needs] == (["everyone:"] if counts else [])


def test_a_competence_is_required_with_its_level_and_its_topic() -> None:
    asked = requirements(rules({"competence_id": "5"}))
    assert asked.targets == [Target("resuscitation", "2", "adult basic life support")]


def test_a_rule_names_whom_it_is_about_and_every_employee_only_when_it_names_nobody() -> None:
    def about(**said: Any) -> list[str]:
        return [one.trait for one in requirements(rules({"subject": "fire_safety", **said})).needs]

    assert about() == ["everyone:"]
    assert about(non_staff=["bank"]) == ["non_staff:bank"]
    assert about(positions=["Matron"], staff_groups=["Nursing"]) == ["position:matron", "staff_group:nursing"]


def test_a_requirement_of_esr_is_about_the_closest_it_names_and_one_of_a_job_about_nobody() -> None:
    of = {"person_id": "7", "position_id": "P1", "organisation_id": "O1", "job_id": "J1"}
    found = []
    for missing in range(5):
        said = dict(list(of.items())[missing:])
        found.append(msgspec.convert({"competency_name": FIRE, **said}, EsrRequirement).of_whom)
    assert found == ["person:7", "position:p1", "organisation:o1", "", "everyone:"]


@pytest.mark.parametrize(
    ("held_level", "wanted", "exactly", "with_higher"),
    [("1", "", True, True), ("1", "1", True, True), ("2", "1", False, True), ("1", "2", False, False),
     ("3-5", "4", True, True), ("3-5", "3-5", True, True), ("3", "3-5", False, False), ("basic", "1", True, True),
     ("3-5", "basic", False, True), ("basic", "3-5", False, False), ("odd", "odd", True, True),
     ("odd", "1", False, False)],
)  # fmt: skip
def test_a_level_is_met_exactly_or_by_a_higher_one_where_the_trust_says_so(
    held_level: str, wanted: str, exactly: bool, with_higher: bool
) -> None:
    skill, target = CoreSkill("resuscitation", held_level), Target("resuscitation", wanted)
    assert meets(skill, target, higher_levels=False) is exactly
    assert meets(skill, target, higher_levels=True) is with_higher


def test_another_topic_of_the_same_level_does_not_meet_a_requirement_and_another_subject_never_does() -> None:
    adult = Target("resuscitation", "2", "adult basic life support")
    assert meets(CoreSkill("resuscitation", "2", "Adult Basic Life Support"), adult, higher_levels=False)
    assert not meets(CoreSkill("resuscitation", "2", "Newborn Basic Life Support"), adult, higher_levels=True)
    assert meets(CoreSkill("resuscitation", "3"), adult, higher_levels=True)
    assert not meets(CoreSkill("fire_safety", "3"), adult, higher_levels=True)


@given(st.sampled_from(sorted(SUBJECTS.values())), st.sampled_from(["1", "2", "3", "4", "3-5", "basic"]), st.booleans())
def test_a_competence_always_meets_its_own_subject_level_and_topic(subject: str, level: str, higher: bool) -> None:
    assert meets(CoreSkill(subject, level, "A Topic"), Target(subject, level, "a topic"), higher_levels=higher)


def test_a_subject_at_any_level_is_implied_by_it_at_a_level_and_a_lower_level_only_where_higher_ones_count() -> None:
    said = [{"subject": "resuscitation"}, {"subject": "resuscitation", "level": "2"}, {"competence_id": "5"}]
    said += [{"subject": "resuscitation", "level": "3"}, {"subject": "fire_safety"}, {"competence_id": "4"}]
    whole, second, third = (Target("resuscitation", level) for level in ("", "2", "3"))
    adult = Target("resuscitation", "2", "adult basic life support")
    exactly = [(whole, second), (whole, adult), (whole, third), (second, adult)]
    assert requirements(rules(*said)).implied() == exactly
    assert requirements(rules(*said, higher_levels=True)).implied() == [*exactly, (second, third), (adult, third)]


def test_of_two_targets_that_imply_each_other_one_stays() -> None:
    said = [{"subject": "preventing_radicalisation", "level": level} for level in ("basic", "1-2")]
    assert len(requirements(rules(*said)).implied()) == 1


levels = st.sampled_from(["1", "2", "3", "1-2", "3-5", "basic", "odd"])
topics = st.sampled_from(["", "adult"])


@given(levels, topics, st.one_of(st.just(""), levels), topics, levels, topics, st.booleans())
def test_whoever_meets_a_target_meets_what_it_implies(
    level: str, topic: str, one_level: str, one_topic: str, other_level: str, other_topic: str, higher: bool
) -> None:
    one, other = Target("fire_safety", one_level, one_topic), Target("fire_safety", other_level, other_topic)
    implies = meets(CoreSkill("fire_safety", other_level, other_topic), one, higher_levels=higher)
    skill = CoreSkill("fire_safety", level, topic)
    if implies and meets(skill, other, higher_levels=higher):
        assert meets(skill, one, higher_levels=higher)


def test_a_target_is_told_in_words() -> None:
    assert Target("equality_diversity_human_rights").title == "Equality, diversity and human rights"
    assert Target("resuscitation", "2", "adult basic life support").title == (
        "Resuscitation, level 2, adult basic life support"
    )


# --- whom requirements are about --------------------------------------------------------------------------------


def test_an_employee_has_the_traits_of_every_job() -> None:
    told = staff_of(
        Person(
            person_id="7", state="employee", staff_group="Nursing", assignment_category="Permanent",
            organisation_id="O1", position_id="P1", position_name="Nurse",
            jobs=(Job("A1", position_id="P1", organisation_id="O1"), Job("A2", position_id="P2", organisation_id="O2")),
        )
    )  # fmt: skip
    assert sorted(told.traits) == [
        "assignment_category:permanent", "everyone:", "organisation:o1", "organisation:o2", "person:7",
        "position:nurse", "position:p1", "position:p2", "staff_group:nursing",
    ]  # fmt: skip


@pytest.mark.parametrize("state", ["unknown", "out_of_scope", "applicant", "leaver"])
def test_nothing_is_required_of_who_is_not_an_employee(state: Any) -> None:
    assert staff_of(Person(person_id="7", state=state, staff_group="Nursing")).traits == ()


def test_people_who_are_no_staff_have_the_trait_of_their_kind_only() -> None:
    assert staff_of(Person(person_id="N-7", state="non_staff", kind="student")).traits == ("non_staff:student",)


def test_people_tell_the_category_of_the_assignment_that_stands_for_somebody() -> None:
    said = {"person_id": "7", "effective_start": "2020-01-01"}
    of_person = {**said, "system_person_type": "EMP", "last_name": "Mockford", "first_name": "Rowan"}
    of_job = {
        **said, "assignment_id": "8", "assignment_type": "E", "user_assignment_status": "Active Assignment",
        "system_assignment_status": "ACTIVE_ASSIGN", "assignment_category": "Fixed Term Temp",
    }  # fmt: skip
    facts = [
        Fact("991", "person", "7", "2020-01-01", "7", Version("F", 1, 2), of_person),
        Fact("991", "assignment", "8", "2020-01-01", "7", Version("F", 1, 3), of_job),
    ]
    assert "assignment_category:fixed term temp" in staff_of(derive("7", facts, DAY).person).traits


# --- bridge.yaml ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [{}, {"subject": "fire_safety", "competence_id": "1"}, {"subject": "cooking"}, {"level": "2"},
     {"competence_id": "1", "level": "2"}, {"subject": "fire_safety", "staff_groups": [""]},
     {"subject": "fire_safety", "non_staff": ["robot"]}, {"subject": "fire_safety", "grade": ["5"]}],
)  # fmt: skip
def test_a_rule_that_does_not_require_one_thing_of_somebody_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ComplianceRule.model_validate(wrong)
