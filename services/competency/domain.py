"""What each achievement and each LMS completion means, derived per person from all facts. No I/O here.

ESR's achievements become certifications in the LMS where the trust maps the competence, and evidence where it does
not. Completions made in the LMS become ESR competences. Nothing is said twice: what ESR told us is not sent back to
ESR, and what ESR mirrors of our own completions is not written to the LMS again. Once a thing has been said, later
facts that mirror it do not take it back.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

import msgspec

from services.competency.catalogue import Catalogue, Definition
from services.competency.decision import IGNORED, PARKED, Before, Decision, Known
from services.competency.learning import Completion, Element, ReportRow
from services.competency.standing import standings
from services.competency.towards_esr import InEsr, decide_completion, tell_once
from services.competency.towards_lms import Achievement, Surroundings, achievement, decide_achievement
from shared.facts import Fact

__all__ = [
    "IGNORED", "PARKED", "Catalogue", "Completion", "Decision", "Definition", "Element", "Known", "ReportRow", "decide",
]  # fmt: skip


def decide(
    known: Known | bool, facts: Iterable[Fact], catalogue: Catalogue, before: Before, day: date = date.min
) -> dict[tuple[str, str], Decision]:
    """Decide what every fact of one person means.

    ``known`` is what ``people`` has told of the person. ``before`` holds earlier decisions by identity. What has run
    out before the business ``day`` is not written to the LMS as a certification.
    """
    person = known if isinstance(known, Known) else Known("employee" if known else "")
    said = list(facts)
    learnt = _of_lms(said)
    stands = standings(
        (one for _, one in learnt.completions),
        ((fact.version, row) for fact, row in learnt.rows),
        (one for _, one in learnt.taken_back),
    )
    decided, held = _of_elements(said, Surroundings(person, catalogue, stands, day), before)
    told = [
        decision
        for fact, completion in learnt.completions
        for decision in decide_completion(person, fact, completion, catalogue, held, before)
    ]
    told = tell_once(told, before, catalogue.said.dates.same_within_days)
    return {one.identity: one for one in (*decided, *told, *map(_withdrawn, learnt.taken_back))}


@dataclass(frozen=True, slots=True)
class _Learnt:
    """What the LMS told of one person, with the facts that say so."""

    completions: list[tuple[Fact, Completion]] = field(default_factory=list)
    taken_back: list[tuple[Fact, Completion]] = field(default_factory=list)
    rows: list[tuple[Fact, ReportRow]] = field(default_factory=list)


def _of_lms(facts: Iterable[Fact]) -> _Learnt:
    """Read the LMS's facts; what a report tells counts as a completion where no completion file has told of it."""
    learnt = _Learnt()
    for fact in facts:
        if fact.entity == "completion":
            completion = msgspec.convert(fact.data, Completion)
            (learnt.taken_back if completion.withdrawn else learnt.completions).append((fact, completion))
        elif fact.entity == "certification":
            learnt.rows.append((fact, msgspec.convert(fact.data, ReportRow)))
    known = {completion.key for _, completion in (*learnt.completions, *learnt.taken_back)}
    learnt.completions.extend(_of_reports(learnt.rows, known))
    return learnt


def _withdrawn(said: tuple[Fact, Completion]) -> Decision:
    fact, completion = said
    certification = completion.certification_idnumber
    return Decision("lms", completion.key, "withdrawn", fact.version, certification=certification)


def _of_reports(rows: Iterable[tuple[Fact, ReportRow]], told: set[str]) -> list[tuple[Fact, Completion]]:
    """Return the completions that only reports tell of: the same one may come by a completion file too."""
    found: dict[str, tuple[Fact, Completion]] = {}
    for fact, row in sorted(rows, key=lambda one: one[0].version.order):
        completion = row.completion
        if completion is not None and completion.has_day and completion.key not in told:
            found[completion.key] = (fact, completion)
    return list(found.values())


def _of_elements(
    facts: Iterable[Fact], around: Surroundings, before: Before
) -> tuple[list[Decision], Mapping[str, list[InEsr]]]:
    """Return the decisions on ESR's elements, and what ESR holds of each competence."""
    decided: list[Decision] = []
    achieved: list[Achievement] = []
    held: dict[str, list[InEsr]] = defaultdict(list)
    newest: dict[str, date] = {}
    for fact in facts:
        if fact.entity != "competency_element":
            continue
        read = achievement(fact, msgspec.convert(fact.data, Element), around)
        if isinstance(read, Decision):
            decided.append(read)
            continue
        achieved.append(read)
        held[read.definition.competence_id].append(InEsr(read.day, read.expiry.day))
        for one in read.accepted:
            newest[one] = max(newest.get(one, read.day), read.day)
    said = _by_element(before)
    for one_of in achieved:
        element = one_of.element.competency_element_id
        decided += decide_achievement(one_of, around, newest, said.get(element, {}))
    return decided, held


def _by_element(before: Before) -> dict[str, dict[str, Decision]]:
    """Return earlier decisions on achievements by competency element and key: it has a key for each certification."""
    found: dict[str, dict[str, Decision]] = defaultdict(dict)
    for (source, key), said in before.items():
        if source == "esr":
            found[key.partition("|")[0]][key] = said
    return found
