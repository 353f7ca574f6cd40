"""What each achievement and each LMS completion means, derived per person from all facts. No I/O here.

ESR's achievements become certifications in the LMS where the trust maps the competence, and evidence where it does
not. Completions made in the LMS become ESR competences. Nothing is said twice: what ESR told us is not sent back to
ESR, and what ESR mirrors of our own completions is not written to the LMS again. Once a thing has been said, later
facts that mirror it do not take it back.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final, Literal

import msgspec

from services.competency.acceptance import learning_of
from services.competency.catalogue import Catalogue, Definition
from shared.accounting import Fate
from shared.clock import LONDON
from shared.events import NON_STAFF_PREFIX
from shared.facts import Fact, Version

__all__ = ["Catalogue", "Completion", "Decision", "Definition", "Element", "Known", "decide"]

Verdict = Literal[
    "parked_person", "parked_competence", "requirement", "certification", "evidence", "mirror",
    "to_esr", "held_by_esr", "unmapped", "not_for_esr", "not_staff", "removed",
]  # fmt: skip

PARKED: Final[dict[str, Fate]] = {
    "parked_person": Fate.PARKED_PERSON_UNKNOWN,
    "parked_competence": Fate.PARKED_COMPETENCE_UNKNOWN,
}

IGNORED: Final[dict[str, Fate]] = {
    "held_by_esr": Fate.IGNORED_HELD_BY_ESR,
    "unmapped": Fate.IGNORED_UNMAPPED_CERTIFICATION,
    "not_for_esr": Fate.IGNORED_NOT_USED,
    "not_staff": Fate.IGNORED_NOT_USED,
}


class Element(msgspec.Struct, frozen=True, kw_only=True):
    """A competency element (ESR ``CM`` record): an achievement of a person, or a requirement of a position."""

    competency_element_id: str
    competency_type: str
    competency_name: str
    person_id: str = ""
    competency_status: str = ""
    competence_id: str = ""
    date_from: date | None = None
    date_to: date | None = None
    last_update: str = ""

    @property
    def achieved(self) -> bool:
        """Whether this is something a person has achieved."""
        return self.competency_type == "PERSONAL" and self.competency_status in ("ACHIEVED", "")


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """A completion in the LMS, as it comes in by file."""

    reference: str
    user_idnumber: str
    certification_idnumber: str
    completed_at: datetime
    expires_on: date | None = None
    course_idnumber: str = ""
    method: str = ""

    @property
    def moment(self) -> datetime:
        """The moment of completion in UK local time; one without offset is that already."""
        said = self.completed_at
        return said if said.tzinfo is None else said.astimezone(LONDON)

    @property
    def day(self) -> date:
        """The day of completion in the UK. Raises OverflowError where the calendar has none; see ``has_day``."""
        return self.moment.date()

    @property
    def has_day(self) -> bool:
        """Whether the moment is on a day in the UK: in the first hours of year 1 it may be before the calendar."""
        try:
            return self.day >= date.min
        except OverflowError:
            return False


@dataclass(frozen=True, slots=True)
class Decision:
    """What one fact means, and the line that said it."""

    source: Literal["esr", "lms"]
    key: str
    verdict: Verdict
    version: Version
    certification: str = ""
    competence_id: str = ""
    competence_name: str = ""
    achieved_on: str = ""
    expires_on: str = ""
    completed_at: str = ""
    method: str = ""
    course: str = ""
    need: str = ""
    """What a parked decision waits for: a competence's id or name."""
    why: str = ""
    """Why an achievement is evidence only: ``unmapped`` or ``not_accepted``."""

    @property
    def identity(self) -> tuple[str, str]:
        """What makes two decisions about one person the same one."""
        return (self.source, self.key)

    @property
    def content(self) -> tuple[str, ...]:
        """What was decided, without which line said it."""
        return (
            self.verdict, self.certification, self.competence_id, self.competence_name, self.achieved_on,
            self.expires_on, self.completed_at, self.method, self.course,
        )  # fmt: skip


Before = Mapping[tuple[str, str], Decision]
"""Earlier decisions of one person by identity."""


@dataclass(frozen=True, slots=True)
class Known:
    """What ``people`` has told of a person; both are empty until it has."""

    state: str = ""
    hire_date: str = ""
    """ISO; empty for an applicant."""


def decide(
    known: Known | bool, facts: Iterable[Fact], catalogue: Catalogue, before: Before
) -> dict[tuple[str, str], Decision]:
    """Decide what every fact of one person means.

    ``known`` is what ``people`` has told of the person. ``before`` holds earlier decisions by identity.
    """
    person = known if isinstance(known, Known) else Known("employee" if known else "")
    elements: list[tuple[Fact, Element]] = []
    completions: list[tuple[Fact, Completion]] = []
    for fact in facts:
        if fact.entity == "competency_element":
            elements.append((fact, msgspec.convert(fact.data, Element)))
        elif fact.entity == "completion":
            completions.append((fact, msgspec.convert(fact.data, Completion)))
    learnt = {(one.certification_idnumber, one.day) for _, one in completions}
    said_of = _by_element(before)
    decided: list[Decision] = []
    for fact, element in elements:
        decided += _of_element(person, fact, element, catalogue, learnt, said_of.get(element.competency_element_id, {}))
    held = {(one.competence_id, one.achieved_on) for one in decided if one.verdict not in PARKED}
    for fact, completion in completions:
        decided += _of_completion(person, fact, completion, catalogue, held, before)
    return {one.identity: one for one in decided}


def _by_element(before: Before) -> dict[str, dict[str, Decision]]:
    """Return earlier decisions on achievements by competency element and key: it has a key for each certification."""
    found: dict[str, dict[str, Decision]] = defaultdict(dict)
    for (source, key), said in before.items():
        if source == "esr":
            found[key.partition("|")[0]][key] = said
    return found


def _of_element(
    person: Known,
    fact: Fact,
    element: Element,
    catalogue: Catalogue,
    learnt: set[tuple[str, date]],
    said: Mapping[str, Decision],
) -> list[Decision]:
    key, day = element.competency_element_id, element.date_from
    if not element.achieved or day is None:
        return [Decision("esr", key, "requirement", fact.version)]
    definition = catalogue.find(element.competence_id, element.competency_name)
    if not person.state:
        return [Decision("esr", key, "parked_person", fact.version)]
    if definition is None:
        need = element.competence_id or element.competency_name
        return [Decision("esr", key, "parked_competence", fact.version, need=need)]
    achieved = Decision(
        "esr",
        key,
        "evidence",
        fact.version,
        competence_id=definition.competence_id,
        competence_name=definition.competence_name,
        achieved_on=day.isoformat(),
        expires_on=element.date_to.isoformat() if element.date_to else "",
    )
    rows = catalogue.certifications(definition, day)
    learning = learning_of(day, element.last_update, person.state, person.hire_date)
    accepted = [row.certification for row in rows if learning.meets(catalogue.acceptance(row, definition))]
    if not accepted:
        return [replace(achieved, why="not_accepted" if rows else "unmapped")]
    keys = _keys(key, accepted, said)
    return [
        replace(achieved, key=keys[one], certification=one, verdict=_told(one, day, learnt, said.get(keys[one])))
        for one in accepted
    ]


def _keys(element: str, certifications: Sequence[str], said: Mapping[str, Decision]) -> dict[str, str]:
    """Return under which key each certification of an achievement is told: the one it has, or a new one.

    The first goes under the element's own ID, where no other has it; so a mapping to one is told as ever.
    """
    keys = {one.certification: key for key, one in said.items() if one.certification in certifications}
    for one in certifications:
        if one not in keys:
            keys[one] = f"{element}|{one}" if element in keys.values() else element
    return keys


def _told(certification: str, day: date, learnt: set[tuple[str, date]], said: Decision | None) -> Verdict:
    """Whether a certification is told to the LMS, or mirrors what is there. What was said stays so."""
    if said is not None and (said.certification, said.achieved_on) == (certification, day.isoformat()):
        return "mirror" if said.verdict == "mirror" else "certification"
    return "mirror" if (certification, day) in learnt else "certification"


def _of_completion(
    person: Known,
    fact: Fact,
    completion: Completion,
    catalogue: Catalogue,
    held: set[tuple[str, str]],
    before: Before,
) -> list[Decision]:
    key, certification = fact.key, completion.certification_idnumber
    if not person.state:
        return [Decision("lms", key, "parked_person", fact.version)]
    if fact.owner.startswith(NON_STAFF_PREFIX):  # ESR does not know them, whatever they are now
        return [Decision("lms", key, "not_staff", fact.version, certification=certification)]
    told = {
        one.key.removeprefix(f"{key}|"): one
        for (source, known), one in before.items()
        if source == "lms" and one.verdict == "to_esr" and known.startswith(f"{key}|")
    }
    sent = {one.competence_id for one in told.values()}
    competences = {
        name: definition
        for name, definition in catalogue.competences(certification, completion.day)
        if name in told or definition is None or definition.competence_id not in sent
    }
    for name, one in told.items():  # what ESR was told is not taken back by another mapping
        competences.setdefault(name, catalogue.find(one.competence_id, one.competence_name))
    if not competences:
        verdict: Verdict = "not_for_esr" if catalogue.knows(certification, completion.day) else "unmapped"
        return [Decision("lms", key, verdict, fact.version, certification=certification)]
    return [
        _to_esr(f"{key}|{name}", fact, completion, definition, name, held, before)
        for name, definition in competences.items()
    ]


def _to_esr(
    key: str,
    fact: Fact,
    completion: Completion,
    definition: Definition | None,
    name: str,
    held: set[tuple[str, str]],
    before: Before,
) -> Decision:
    if definition is None:
        return Decision("lms", key, "parked_competence", fact.version, need=name)
    day = completion.day.isoformat()
    said = before.get(("lms", key))
    already = (definition.competence_id, day) in held and (said is None or said.verdict != "to_esr")
    return Decision(
        "lms",
        key,
        "held_by_esr" if already else "to_esr",
        fact.version,
        certification=completion.certification_idnumber,
        competence_id=definition.competence_id,
        competence_name=definition.competence_name,
        achieved_on=day,
        expires_on=completion.expires_on.isoformat() if completion.expires_on else "",
        completed_at=completion.moment.isoformat(),
        method=completion.method,
        course=completion.course_idnumber,
    )
