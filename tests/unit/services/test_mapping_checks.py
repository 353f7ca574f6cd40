"""What a check finds in mappings, and which mappings are proposed when ESR ends a competence and starts another."""

from datetime import date
from typing import Any

import pytest

from services.competency.catalogue import Catalogue, Definition
from services.competency.checking import Finding, check
from services.competency.preview import changed_rows
from services.competency.proposing import propose
from shared.mapping_settings import MappingSet, Row, from_json

TODAY = date(2026, 3, 3)

FIRE, NEWER, SAFE, COOKING = "100", "101", "200", "900"


def defined(key: str, name: str, start: str = "2020-01-01", end: str = "") -> Definition:
    until = date.fromisoformat(end) if end else None
    return Definition(competence_id=key, competence_name=name, date_from=date.fromisoformat(start), date_to=until)


KNOWN = [
    defined(FIRE, "NHS|CSTF|Fire Safety - 2 Years|"),
    defined(SAFE, "NHS|CSTF|Safeguarding Adults - Level 1 - 3 Years|"),
    defined(COOKING, "999|LOCAL|Cooking|"),
]


def row(competence_id: str, certification: str, direction: str = "both", **said: Any) -> dict[str, Any]:
    return {"competence_id": competence_id, "certification": certification, "direction": direction, **said}


def catalogue(*rows: dict[str, Any], known: list[Definition] = KNOWN, **said: Any) -> Catalogue:
    return Catalogue({one.competence_id: one for one in known}, from_json({"mappings": rows, **said}))


def found(*rows: dict[str, Any], **said: Any) -> list[tuple[str, tuple[int, ...]]]:
    return [(str(one.code), one.rows) for one in check(catalogue(*rows, **said), TODAY)]


COVERED = (row(FIRE, "FIRE"), row(SAFE, "SGA"))


def test_mappings_that_cover_every_subject_are_found_fine() -> None:
    assert found(*COVERED) == []


def test_an_id_that_esr_never_sent_is_an_error() -> None:
    assert found(*COVERED, row("777", "X"))[0] == ("ME01", (3,))


def test_the_same_mapping_twice_at_the_same_time_is_an_error() -> None:
    assert ("ME02", (1, 3)) in found(*COVERED, row(FIRE, "FIRE", "to-lms"))


def test_the_same_mapping_by_id_and_by_name_is_an_error() -> None:
    by_name = {"competence": KNOWN[0].competence_name, "certification": "FIRE"}
    assert ("ME02", (1, 3)) in found(*COVERED, by_name)


def test_the_same_mapping_one_time_after_the_other_is_fine() -> None:
    first, then = row(FIRE, "FIRE", until="2026-01-31"), row(FIRE, "FIRE", **{"from": "2026-02-01"})
    assert found(first, then, row(SAFE, "SGA")) == []
    assert ("ME02", (1, 2)) in found(row(FIRE, "FIRE", until="2026-02-01"), then, row(SAFE, "SGA"))


def test_the_same_mapping_in_different_directions_is_fine() -> None:
    assert found(row(FIRE, "FIRE", "to-lms"), row(FIRE, "FIRE", "to-esr"), row(SAFE, "SGA")) == []


def test_one_to_many_and_many_to_one_are_no_circles() -> None:
    assert found(*COVERED, row(FIRE, "FIRE-WARD")) == []
    assert found(row(FIRE, "BOTH"), row(SAFE, "BOTH")) == []


def test_mappings_that_lead_in_a_circle_are_an_error() -> None:
    rows = (row(FIRE, "A", "to-lms"), row(SAFE, "A", "to-esr"), row(SAFE, "B", "to-lms"), row(FIRE, "B", "to-esr"))
    assert ("ME03", (1, 2, 3, 4)) in found(*rows)
    assert "ME03" not in [code for code, _ in found(*rows[:3])]


VERSIONS = [*KNOWN, defined(NEWER, "NHS|CSTF|Fire Safety - 1 Year|", "2026-04-01")]


def test_one_completion_told_as_two_running_versions_is_an_error() -> None:
    both = (*COVERED, row(NEWER, "FIRE"))
    assert found(*both, known=VERSIONS) == [("ME04", (1, 3))]
    older = defined(FIRE, KNOWN[0].competence_name, end="2026-03-31")
    later = row(NEWER, "FIRE", **{"from": "2026-04-01"})
    assert found(*COVERED, later, known=[older, *VERSIONS[1:]]) == []


def test_a_certification_that_goes_back_as_something_else_is_an_error() -> None:
    assert ("ME05", (1, 2)) in found(row(FIRE, "X", "to-lms"), row(SAFE, "X", "to-esr"))


def test_subjects_without_a_mapping_are_warned_of_for_each_direction() -> None:
    assert found(row(FIRE, "FIRE")) == [("MW01", ()), ("MW02", ())]
    assert found(row(FIRE, "FIRE"), row(SAFE, "SGA", "to-lms")) == [("MW02", ())]


def test_a_mapping_that_ran_out_covers_nothing() -> None:
    assert ("MW02", ()) in found(row(FIRE, "FIRE", until="2026-03-02"), row(SAFE, "SGA"))


def test_a_competence_that_esr_is_not_told_of_is_warned_of_until_it_is_on_the_trusts_list() -> None:
    assert found(*COVERED, row(COOKING, "COOK")) == [("MW03", (3,))]
    assert found(*COVERED, row(COOKING, "COOK"), for_esr=[COOKING]) == []
    assert found(*COVERED, row(COOKING, "COOK"), for_esr=["999|LOCAL|Cooking|"]) == []
    assert found(*COVERED, row(COOKING, "COOK", "to-lms")) == []


def test_errors_come_first_and_each_finding_says_what_to_do() -> None:
    told = [one.as_json() for one in check(catalogue(row("777", "X")), TODAY)]
    assert [one["level"] for one in told] == ["error", "warning", "warning", "warning", "warning"]
    assert all(one["sentence"].endswith(".") for one in told)


# New versions


ENDED = [defined(FIRE, KNOWN[0].competence_name, end="2026-03-31"), *VERSIONS[1:]]


def proposed(*rows: dict[str, Any], known: list[Definition] = ENDED, **said: Any) -> tuple[tuple[Row, ...], str]:
    content, why = propose(catalogue(*rows, known=known, **said))
    return content.mappings, why


def test_a_successor_is_proposed_when_esr_ends_a_definition_and_starts_another() -> None:
    rows, why = proposed(*COVERED)
    said = [(one.competence_id, one.certification, one.direction, str(one.starts), str(one.until)) for one in rows]
    assert said == [
        (FIRE, "FIRE", "to-lms", "None", "None"),
        (FIRE, "FIRE", "to-esr", "None", "2026-03-31"),
        (NEWER, "FIRE", "both", "2026-04-01", "None"),
        (SAFE, "SGA", "both", "None", "None"),
    ]
    assert why == "ESR ended 100 and started 101"


def test_what_is_proposed_passes_the_check_and_proposes_nothing_more() -> None:
    content, _ = propose(catalogue(*COVERED, known=ENDED))
    after = Catalogue({one.competence_id: one for one in ENDED}, content)
    assert check(after, TODAY) == []
    assert propose(after)[1] == ""


def test_a_successor_that_is_not_mapped_yet_is_warned_of() -> None:
    assert "MW04" in [code for code, _ in found(*COVERED, known=ENDED)]


@pytest.mark.parametrize(
    "known",
    [
        KNOWN,
        VERSIONS,
        [ENDED[0], *KNOWN[1:]],
        [ENDED[0], *KNOWN[1:], defined(NEWER, "NHS|CSTF|Fire Safety - 1 Year|", "2019-01-01")],
        [ENDED[0], *KNOWN[1:], defined(NEWER, "NHS|CSTF|Fire Safety - 1 Year|", "2026-01-01", "2026-03-30")],
        [ENDED[0], *KNOWN[1:], defined(NEWER, "NHS|CSTF|Fire Safety - Level 2 - 1 Year|", "2026-04-01")],
    ],
    ids=["nothing new", "the old one goes on", "no other", "an older one", "one that ended before", "another level"],
)
def test_what_is_no_successor_is_not_proposed(known: list[Definition]) -> None:
    rows, why = proposed(*COVERED, known=known)
    assert (len(rows), why) == (2, "")


def test_a_successor_of_the_same_name_is_known_where_the_mapping_is_by_name() -> None:
    name = KNOWN[0].competence_name
    same = [ENDED[0], *KNOWN[1:], defined(NEWER, name, "2026-04-01")]
    assert proposed({"competence": name, "certification": "FIRE"}, row(SAFE, "SGA"), known=same)[1] == ""


def test_only_mappings_that_differ_are_looked_at_unless_acceptance_does() -> None:
    one, other = from_json({"mappings": COVERED}), from_json({"mappings": [COVERED[0], row(SAFE, "OTHER")]})
    assert {row.certification for row in changed_rows(one, other)} == {"SGA", "OTHER"}
    stricter = MappingSet(mappings=one.mappings, accept=from_json({"accept": [{"sources": ["own"]}]}).accept)
    assert {row.certification for row in changed_rows(one, stricter)} == {"FIRE", "SGA"}


def test_a_finding_forbids_when_it_is_an_error() -> None:
    (first, *rest) = check(catalogue(row("777", "X")), TODAY)
    assert isinstance(first, Finding)
    assert first.forbids
    assert not any(one.forbids for one in rest)
