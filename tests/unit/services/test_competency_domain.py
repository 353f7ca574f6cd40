"""What achievements and completions mean, and that nothing is said twice."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.competency.announce import announce, fate_of
from services.competency.domain import Catalogue, Completion, Decision, Definition, decide
from shared import config, events
from shared.accounting import Fate
from shared.db.unit import Unit
from shared.events import Cause
from shared.facts import Fact, Version

FIRE, FIRE_NAME = "5001", "NHS|CSTF|Fire Safety - 1 Year|"
MOVING, MOVING_NAME = "5002", "NHS|CSTF|Moving and Handling - Level 1|"
DAY = date(2026, 3, 3)

Identity = tuple[str, str]


def definition(key: str, name: str, start: date = date(2020, 1, 1)) -> Definition:
    return Definition(competence_id=key, competence_name=name, date_from=start)


KNOWN = {FIRE: definition(FIRE, FIRE_NAME), MOVING: definition(MOVING, MOVING_NAME)}


def mapped(certification: str, *, name: str = "", key: str = "") -> config.Mapping:
    return config.Mapping(competence=name, competence_id=key, certification=certification)


def catalogue(*mappings: config.Mapping, known: Mapping[str, Definition] = KNOWN) -> Catalogue:
    return Catalogue(known, mappings)


MAPPED = catalogue(mapped("FIRE", name=FIRE_NAME))


def element(key: str = "12000001", name: str = FIRE_NAME, day: date = DAY, *, line: int = 1, **said: str) -> Fact:
    data = {
        "competency_element_id": key,
        "competency_type": "PERSONAL",
        "competency_status": "ACHIEVED",
        "competency_name": name,
        "person_id": "9000001",
        "date_from": day.isoformat(),
    } | said
    data = {name: value for name, value in data.items() if value}
    return Fact("999", "competency_element", key, "", "9000001", Version("A.DAT", 1, line), data)


def completion(certification: str = "FIRE", at: str = "2026-03-03T10:00:00", *, line: int = 1, **said: str) -> Fact:
    data = {
        "reference": f"r{line}",
        "user_idnumber": "999-9000001",
        "certification_idnumber": certification,
        "completed_at": at,
    } | said
    key = f"999-9000001|{certification}|{at}"
    return Fact("999", "completion", key, "", "9000001", Version("C.csv", 7, line), data)


def decided(
    *facts: Fact, known: bool = True, by: Catalogue = MAPPED, before: Mapping[Identity, Decision] | None = None
) -> dict[Identity, Decision]:
    return decide(known, facts, by, before or {})


def only(found: Mapping[Identity, Decision]) -> Decision:
    assert len(found) == 1, found
    return next(iter(found.values()))


def verdicts(found: Mapping[Identity, Decision]) -> dict[str, str]:
    return {source: one.verdict for (source, _), one in found.items()}


# What ESR says


def test_an_achievement_of_a_mapped_competence_is_a_certification() -> None:
    said = only(decided(element(date_to="2027-03-03")))
    assert (said.verdict, said.certification, said.competence_id) == ("certification", "FIRE", FIRE)
    assert (said.achieved_on, said.expires_on) == ("2026-03-03", "2027-03-03")
    assert said.version == Version("A.DAT", 1, 1)


def test_an_achievement_of_an_unmapped_competence_is_evidence() -> None:
    said = only(decided(element(name=MOVING_NAME)))
    assert (said.verdict, said.certification, said.competence_name) == ("evidence", "", MOVING_NAME)


def test_an_achievement_of_someone_unknown_waits_for_the_person() -> None:
    assert only(decided(element(), known=False)).verdict == "parked_person"


def test_an_achievement_of_an_unknown_competence_waits_and_says_for_what() -> None:
    by_name = only(decided(element(name="NHS|CSTF|New|")))
    assert (by_name.verdict, by_name.need) == ("parked_competence", "NHS|CSTF|New|")
    assert only(decided(element(competence_id="5999"))).need == "5999"


@pytest.mark.parametrize(
    "said",
    [{"competency_type": "REQUIREMENT"}, {"competency_status": "PROPOSED"}, {"date_from": ""}],
    ids=["a requirement of a position", "not achieved yet", "without a day"],
)
@pytest.mark.parametrize("known", [True, False])
def test_what_nobody_achieved_is_stored_and_waits_for_nobody(said: dict[str, Any], known: bool) -> None:
    assert only(decided(element(**said), known=known)).verdict == "requirement"


def test_a_blank_status_of_a_personal_element_means_achieved() -> None:
    assert only(decided(element(competency_status=""))).verdict == "certification"


def test_a_blank_competence_id_is_found_by_its_exact_name() -> None:
    assert only(decided(element(name=FIRE_NAME))).competence_id == FIRE
    assert only(decided(element(name=FIRE_NAME.rstrip("|")))).verdict == "parked_competence"
    assert only(decided(element(name=FIRE_NAME.upper()))).verdict == "parked_competence"


def test_a_competence_id_beats_the_name_beside_it() -> None:
    assert only(decided(element(name=FIRE_NAME, competence_id=MOVING))).competence_id == MOVING


def test_an_unknown_competence_id_is_not_replaced_by_a_name_that_is_known() -> None:
    assert only(decided(element(name=FIRE_NAME, competence_id="5999"))).verdict == "parked_competence"


def test_of_two_definitions_with_one_name_the_one_that_began_last_is_meant() -> None:
    newer = definition("4009", FIRE_NAME, date(2025, 1, 1))
    for known in ({FIRE: KNOWN[FIRE], "4009": newer}, {"4009": newer, FIRE: KNOWN[FIRE]}):
        assert only(decided(element(), by=catalogue(known=known))).competence_id == "4009"


def test_a_mapping_by_id_beats_one_by_name_wherever_it_stands() -> None:
    by_name, by_id = mapped("NAMED", name=FIRE_NAME), mapped("NUMBERED", key=FIRE)
    for mappings in ((by_name, by_id), (by_id, by_name)):
        assert only(decided(element(), by=catalogue(*mappings))).certification == "NUMBERED"


def test_the_name_beside_an_id_in_a_mapping_is_a_remark_only() -> None:
    assert only(decided(element(), by=catalogue(mapped("X", name=FIRE_NAME, key=MOVING)))).verdict == "evidence"


# What the LMS says


def test_a_completion_of_a_mapped_certification_goes_to_esr() -> None:
    said = only(decided(completion(method="E-LEARNING", course_idnumber="C1", expires_on="2027-03-03")))
    assert (said.verdict, said.competence_id, said.competence_name) == ("to_esr", FIRE, FIRE_NAME)
    assert (said.achieved_on, said.expires_on) == ("2026-03-03", "2027-03-03")
    assert (said.method, said.course, said.certification) == ("E-LEARNING", "C1", "FIRE")


def test_a_completion_that_no_mapping_covers_is_unmapped() -> None:
    assert only(decided(completion("COOKING"))).verdict == "unmapped"


def test_a_completion_of_someone_unknown_waits_for_the_person_even_when_unmapped() -> None:
    assert only(decided(completion("COOKING"), known=False)).verdict == "parked_person"


def test_a_completion_whose_competence_is_not_defined_yet_waits_for_it() -> None:
    waits = only(decided(completion(), by=catalogue(mapped("FIRE", key="5999"))))
    assert (waits.verdict, waits.need) == ("parked_competence", "5999")
    waits = only(decided(completion(), by=catalogue(mapped("FIRE", name=FIRE_NAME), known={})))
    assert (waits.verdict, waits.need) == ("parked_competence", FIRE_NAME)


def test_one_certification_mapped_to_several_competences_is_told_of_each() -> None:
    both = catalogue(mapped("FIRE", name=FIRE_NAME), mapped("FIRE", key=MOVING))
    found = decided(completion(), by=both)
    assert {(one.verdict, one.competence_id) for one in found.values()} == {("to_esr", FIRE), ("to_esr", MOVING)}


def test_of_several_competences_the_known_ones_go_and_the_others_wait() -> None:
    both = catalogue(mapped("FIRE", name=FIRE_NAME), mapped("FIRE", key="5999"))
    assert sorted(one.verdict for one in decided(completion(), by=both).values()) == ["parked_competence", "to_esr"]


@pytest.mark.parametrize(
    ("at", "day"),
    [
        ("2026-06-01T23:30:00Z", "2026-06-02"),
        ("2026-06-01T23:30:00+00:00", "2026-06-02"),
        ("2026-06-01T23:30:00+01:00", "2026-06-01"),
        ("2026-06-01T23:30:00", "2026-06-01"),
        ("2026-01-01T23:30:00Z", "2026-01-01"),
        ("2026-06-02T00:30:00+02:00", "2026-06-01"),
    ],
)
def test_the_day_of_a_completion_is_the_day_in_london(at: str, day: str) -> None:
    said = only(decided(completion(at=at)))
    assert said.achieved_on == day
    assert said.completed_at.startswith(day)


def test_a_completion_without_offset_is_uk_local_time_already() -> None:
    read = msgspec.convert(completion(at="2026-06-01T23:30:00").data, Completion)
    assert (read.moment, read.day) == (datetime(2026, 6, 1, 23, 30), date(2026, 6, 1))  # noqa: DTZ001 - naive


# Nothing is said twice


def test_what_both_hold_already_is_told_to_neither() -> None:
    assert verdicts(decided(element(), completion())) == {"esr": "mirror", "lms": "held_by_esr"}


def test_an_achievement_of_a_later_day_is_another_one() -> None:
    found = decided(element(day=date(2026, 3, 4)), completion(at="2026-03-03T10:00:00"))
    assert found["esr", "12000001"].verdict == "certification"
    earlier = decided(completion(at="2026-03-03T10:00:00"))
    after = decided(element(day=date(2026, 3, 4)), completion(at="2026-03-03T10:00:00"), before=earlier)
    assert verdicts(after) == {"esr": "certification", "lms": "to_esr"}


def test_the_same_day_in_london_is_the_same_day() -> None:
    found = decided(element(day=date(2026, 6, 2)), completion(at="2026-06-01T23:30:00Z"))
    assert verdicts(found) == {"esr": "mirror", "lms": "held_by_esr"}


def test_what_esr_mirrors_of_our_completion_is_not_written_to_the_lms_and_the_completion_stays_said() -> None:
    sent = decided(completion())
    assert verdicts(decided(element(), completion(), before=sent)) == {"esr": "mirror", "lms": "to_esr"}


def test_what_the_lms_mirrors_of_esrs_achievement_is_not_sent_back_and_the_certification_stays_said() -> None:
    told = decided(element())
    found = decided(element(), completion(), before=told)
    assert verdicts(found) == {"esr": "certification", "lms": "held_by_esr"}


def test_a_mirror_stays_a_mirror_when_the_completion_is_gone() -> None:
    both = decided(element(), completion())
    assert verdicts(decided(element(), before=both)) == {"esr": "mirror"}


def test_a_mirror_whose_day_esr_corrects_is_news_for_the_lms() -> None:
    both = decided(element(), completion())
    corrected = decided(element(day=date(2026, 4, 4)), completion(), before=both)
    assert corrected["esr", "12000001"].verdict == "certification"
    assert corrected["esr", "12000001"].achieved_on == "2026-04-04"


def test_an_element_that_esr_moves_to_the_day_of_our_completion_is_its_mirror() -> None:
    told = decided(element(day=date(2025, 3, 1)))
    sent = decided(element(day=date(2025, 3, 1)), completion(), before=told)
    assert verdicts(sent) == {"esr": "certification", "lms": "to_esr"}
    assert verdicts(decided(element(), completion(), before=sent)) == {"esr": "mirror", "lms": "to_esr"}


def test_an_element_that_becomes_achieved_by_our_completion_is_its_mirror() -> None:
    planned = decided(element(competency_status="PROPOSED"), completion())
    assert verdicts(planned) == {"esr": "requirement", "lms": "to_esr"}
    assert verdicts(decided(element(), completion(), before=planned)) == {"esr": "mirror", "lms": "to_esr"}


def test_a_completion_that_waited_while_esr_told_of_it_is_not_sent() -> None:
    waiting = decided(completion(), known=False)
    assert verdicts(decided(element(), completion(), before=waiting))["lms"] == "held_by_esr"


def test_an_achievement_that_is_parked_holds_nothing() -> None:
    unknown = catalogue(mapped("FIRE", name=FIRE_NAME), known={MOVING: KNOWN[MOVING]})
    assert verdicts(decided(element(), completion(), by=unknown)) == {
        "esr": "parked_competence",
        "lms": "parked_competence",
    }


def test_a_completion_held_by_esr_is_sent_once_esr_holds_it_no_more() -> None:
    both = decided(element(), completion())
    assert verdicts(decided(completion(), before=both)) == {"lms": "to_esr"}


def test_evidence_of_the_same_day_does_not_hold_back_a_completion_of_another_competence() -> None:
    assert verdicts(decided(element(name=MOVING_NAME), completion())) == {"esr": "evidence", "lms": "to_esr"}


# Rules that hold for any facts

FACTS = [
    element("1", line=1),
    element("2", MOVING_NAME, line=2),
    element("3", "NHS|CSTF|New|", line=3),
    element("4", day=date(2026, 6, 2), line=4),
    element("5", line=5, competency_type="REQUIREMENT"),
    completion(line=6),
    completion(at="2026-06-01T23:30:00Z", line=7),
    completion("COOKING", line=8),
    completion("BOTH", line=9),
]
ALL = catalogue(mapped("FIRE", name=FIRE_NAME), mapped("BOTH", key=FIRE), mapped("BOTH", key="5999"))
subsets = st.lists(st.sampled_from(FACTS), unique_by=lambda fact: fact.identity)


@given(subsets.flatmap(lambda facts: st.tuples(st.just(facts), st.permutations(facts))), st.booleans(), subsets)
def test_the_order_of_facts_does_not_matter(
    both: tuple[Sequence[Fact], Sequence[Fact]], known: bool, earlier: Sequence[Fact]
) -> None:
    before = decide(known, earlier, ALL, {})
    assert decide(known, both[0], ALL, before) == decide(known, both[1], ALL, before)


@given(subsets, st.booleans())
def test_deciding_again_with_what_was_decided_changes_nothing(facts: Sequence[Fact], known: bool) -> None:
    first = decide(known, facts, ALL, {})
    assert decide(known, facts, ALL, first) == first


@given(st.lists(subsets, min_size=1, max_size=4))
def test_what_was_said_is_never_taken_back_by_facts_that_come_later(batches: list[list[Fact]]) -> None:
    held: dict[tuple[str, ...], Fact] = {}
    before: dict[Identity, Decision] = {}
    for batch in batches:
        held |= {fact.identity: fact for fact in batch}
        after = decide(True, held.values(), ALL, before)
        for identity, said in before.items():
            if said.verdict in ("certification", "evidence", "mirror", "to_esr"):
                assert after[identity].content == said.content
        before = after


@given(st.lists(subsets, min_size=1, max_size=4))
def test_no_achievement_is_told_to_a_side_that_had_it_before(batches: list[list[Fact]]) -> None:
    held: dict[tuple[str, ...], Fact] = {}
    before: dict[Identity, Decision] = {}
    for batch in batches:
        held |= {fact.identity: fact for fact in batch}
        after = decide(True, held.values(), ALL, before)
        new = [one for identity, one in after.items() if identity not in before]
        in_esr = pairs(one for one in after.values() if one.source == "esr" and one.competence_id)
        in_lms = {(one.certification, one.achieved_on) for one in after.values() if one.source == "lms"}
        assert not pairs(one for one in new if one.verdict == "to_esr") & in_esr
        assert not {(one.certification, one.achieved_on) for one in new if one.verdict == "certification"} & in_lms
        before = after


def pairs(decisions: Iterable[Decision]) -> set[tuple[str, str]]:
    return {(one.competence_id, one.achieved_on) for one in decisions}


# Events and fates

CAUSE = Cause("feed", "A.DAT", 1)


def told(decision: Decision | None, before: Decision | None = None, revision: int = 1) -> list[events.Event]:
    """Return the events that a decision is announced by."""
    unit = Unit(None, 0)  # type: ignore[arg-type] # nothing is written here
    announce(unit, ("999", "9000001"), decision, before, revision, CAUSE)
    return [events.decode(message.type, message.body) for message in unit.messages]


def test_a_certification_is_announced_as_achieved() -> None:
    event = told(only(decided(element(date_to="2027-03-03"))), revision=4)[0]
    assert event == events.CompetenceAchieved(
        vpd="999", cause=CAUSE, person_id="9000001", key="12000001", revision=4, competence_name=FIRE_NAME,
        achieved_on="2026-03-03", expires_on="2027-03-03", reason="ESR says 2027-03-03", certification="FIRE",
    )  # fmt: skip


def test_evidence_is_announced_as_evidence() -> None:
    assert [type(one) for one in told(only(decided(element(name=MOVING_NAME))))] == [events.EvidenceRecorded]


def test_a_completion_is_announced_with_its_own_file_as_the_cause() -> None:
    event = told(only(decided(completion(method="E-LEARNING", course_idnumber="C1"))), revision=2)[0]
    assert isinstance(event, events.CertificationCompleted)
    assert event.cause == Cause("lms", "C.csv", 7)
    assert (event.revision, event.certification, event.competence_id) == (2, "FIRE", FIRE)
    assert (event.completed_at[:19], event.method, event.course) == ("2026-03-03T10:00:00", "E-LEARNING", "C1")


def test_a_missing_mapping_is_announced_by_the_certifications_name() -> None:
    event = told(only(decided(completion("COOKING"))))[0]
    assert isinstance(event, events.MappingMissing)
    assert (event.kind, event.name) == ("certification", "COOKING")


def quiet() -> list[Any]:
    both = decided(element(), completion())
    return [
        pytest.param(next(one for one in both.values() if one.source == "lms"), id="held by ESR"),
        pytest.param(only(decided(element(), known=False)), id="parked"),
        pytest.param(only(decided(element(competency_type="REQUIREMENT"))), id="requirement"),
    ]


def test_what_both_hold_is_told_so_that_it_need_not_be_sent() -> None:
    (event,) = told(decided(element(), completion())["esr", "12000001"])
    assert event == events.CompetenceMirrored(
        vpd="999", cause=CAUSE, person_id="9000001", key="12000001", revision=1, competence_id=FIRE,
        completed_on="2026-03-03",
    )  # fmt: skip


@pytest.mark.parametrize("decision", quiet())
def test_what_concerns_nobody_outside_is_not_announced(decision: Decision) -> None:
    assert told(decision) == []
    assert told(None, decision) == []


@pytest.mark.parametrize("name", [FIRE_NAME, MOVING_NAME])
def test_an_achievement_that_esr_deletes_is_announced_as_withdrawn(name: str) -> None:
    before = only(decided(element(name=name)))
    event = told(None, before, revision=2)[0]
    assert event == events.CompetenceWithdrawn(vpd="999", cause=CAUSE, person_id="9000001", key="12000001", revision=2)


def test_an_achievement_that_esr_turns_into_a_mere_plan_is_announced_as_withdrawn() -> None:
    before, after = only(decided(element())), only(decided(element(competency_status="PROPOSED")))
    assert [type(one) for one in told(after, before, revision=2)] == [events.CompetenceWithdrawn]


def test_saying_it_again_is_recognisably_the_same_event_and_a_new_revision_is_not() -> None:
    decision = only(decided(element()))
    unit = Unit(None, 0)  # type: ignore[arg-type] # nothing is written here
    for revision in (1, 1, 2):
        announce(unit, ("999", "9000001"), decision, None, revision, CAUSE)
    first, again, newer = (message.message_id for message in unit.messages)
    assert first == again != newer


@pytest.mark.parametrize(
    ("found", "fate"),
    [
        (decided(element(), known=False), Fate.PARKED_PERSON_UNKNOWN),
        (decided(element(name="NHS|CSTF|New|")), Fate.PARKED_COMPETENCE_UNKNOWN),
        (decided(completion("COOKING")), Fate.IGNORED_UNMAPPED_CERTIFICATION),
        (decided(completion()), None),
        (decided(element()), None),
        (decided(element(competency_type="REQUIREMENT")), None),
    ],
)
def test_the_fate_of_a_line_follows_from_the_decision(found: dict[Identity, Decision], fate: Fate | None) -> None:
    assert fate_of(only(found)) is fate


def test_a_line_about_what_esr_holds_is_ignored_by_that_rule() -> None:
    found = decided(element(), completion())
    assert fate_of(next(one for one in found.values() if one.source == "lms")) is Fate.IGNORED_HELD_BY_ESR


@pytest.mark.parametrize(
    ("at", "has_day"),
    [
        ("0001-01-01T00:00:00+05:00", False),  # before the calendar begins, in the UK
        ("9999-12-31T23:59:59-05:00", False),
        ("0001-01-02T00:00:00+00:00", True),
        ("2026-03-03T10:00:00", True),
    ],
)
def test_a_completion_at_the_edge_of_the_calendar_is_told_from_one_that_has_a_day(at: str, has_day: bool) -> None:
    said = msgspec.convert(completion(at=at).data, Completion)
    assert said.has_day is has_day
