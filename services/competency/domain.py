"""What each achievement and each LMS completion means, derived per person from all facts. No I/O here.

ESR's achievements become certifications in the LMS where the trust maps the competence, and evidence where it does
not. Completions made in the LMS become ESR competences. Nothing is said twice: what ESR told us is not sent back to
ESR, and what ESR mirrors of our own completions is not written to the LMS again. Once a thing has been said, later
facts that mirror it do not take it back.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final, Literal

import msgspec

from shared import config
from shared.accounting import Fate
from shared.clock import LONDON
from shared.events import NON_STAFF_PREFIX
from shared.facts import Fact, Version

Verdict = Literal[
    "parked_person", "parked_competence", "requirement", "certification", "evidence", "mirror",
    "to_esr", "held_by_esr", "unmapped", "not_staff", "removed",
]  # fmt: skip

PARKED: Final[dict[str, Fate]] = {
    "parked_person": Fate.PARKED_PERSON_UNKNOWN,
    "parked_competence": Fate.PARKED_COMPETENCE_UNKNOWN,
}

IGNORED: Final[dict[str, Fate]] = {
    "held_by_esr": Fate.IGNORED_HELD_BY_ESR,
    "unmapped": Fate.IGNORED_UNMAPPED_CERTIFICATION,
    "not_staff": Fate.IGNORED_NOT_USED,
}


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A competence definition (ESR ``CD`` record), of the columns this service needs."""

    competence_id: str
    competence_name: str
    date_from: date
    date_to: date | None = None


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


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A trust's competence definitions and mappings."""

    definitions: Mapping[str, Definition]
    mappings: Sequence[config.Mapping] = ()
    _by_name: dict[str, Definition] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Index definitions by name; of several with one name the one that began last counts."""
        for definition in sorted(self.definitions.values(), key=lambda one: (one.date_from, one.competence_id)):
            self._by_name[definition.competence_name] = definition

    def find(self, competence_id: str, name: str) -> Definition | None:
        """Return the definition meant: by id, else by exact name, since ESR may leave the id blank."""
        return self.definitions.get(competence_id) if competence_id else self._by_name.get(name)

    def certification(self, definition: Definition) -> str:
        """Return the certification a competence stands for, empty when unmapped. An id beats a name."""
        by_name = ""
        for mapping in self.mappings:
            if mapping.competence_id == definition.competence_id:
                return mapping.certification
            if not mapping.competence_id and mapping.competence == definition.competence_name:
                by_name = by_name or mapping.certification
        return by_name

    def competences(self, certification: str) -> list[tuple[str, Definition | None]]:
        """Return the competences a certification stands for: what the mapping says, and the definition if known.

        Two mappings that mean the same definition, one by id and one by name, count once.
        """
        found: dict[str, tuple[str, Definition | None]] = {}
        for mapping in self.mappings:
            if mapping.certification == certification:
                said = mapping.competence_id or mapping.competence
                definition = self.find(mapping.competence_id, mapping.competence)
                found.setdefault(definition.competence_id if definition else said, (said, definition))
        return list(found.values())


def decide(
    known: bool, facts: Iterable[Fact], catalogue: Catalogue, before: Mapping[tuple[str, str], Decision]
) -> dict[tuple[str, str], Decision]:
    """Decide what every fact of one person means.

    ``known`` says whether ``people`` has told of the person. ``before`` holds earlier decisions by identity.
    """
    elements: list[tuple[Fact, Element]] = []
    completions: list[tuple[Fact, Completion]] = []
    for fact in facts:
        if fact.entity == "competency_element":
            elements.append((fact, msgspec.convert(fact.data, Element)))
        elif fact.entity == "completion":
            completions.append((fact, msgspec.convert(fact.data, Completion)))
    learnt = {(one.certification_idnumber, one.day) for _, one in completions}
    decided = [_of_element(known, fact, element, catalogue, learnt, before) for fact, element in elements]
    held = {(one.competence_id, one.achieved_on) for one in decided if one.verdict not in PARKED}
    for fact, completion in completions:
        decided += _of_completion(known, fact, completion, catalogue, held, before)
    return {one.identity: one for one in decided}


def _of_element(
    known: bool,
    fact: Fact,
    element: Element,
    catalogue: Catalogue,
    learnt: set[tuple[str, date]],
    before: Mapping[tuple[str, str], Decision],
) -> Decision:
    key = element.competency_element_id
    if not element.achieved or element.date_from is None:
        return Decision("esr", key, "requirement", fact.version)
    definition = catalogue.find(element.competence_id, element.competency_name)
    if not known:
        return Decision("esr", key, "parked_person", fact.version)
    if definition is None:
        need = element.competence_id or element.competency_name
        return Decision("esr", key, "parked_competence", fact.version, need=need)
    certification = catalogue.certification(definition)
    verdict: Verdict = "certification" if certification else "evidence"
    said = before.get(("esr", key))
    if said is not None and said.verdict not in PARKED and said.achieved_on == element.date_from.isoformat():
        verdict = "mirror" if said.verdict == "mirror" else verdict
    elif (certification, element.date_from) in learnt:
        verdict = "mirror"
    return Decision(
        "esr",
        key,
        verdict,
        fact.version,
        certification=certification,
        competence_id=definition.competence_id,
        competence_name=definition.competence_name,
        achieved_on=element.date_from.isoformat(),
        expires_on=element.date_to.isoformat() if element.date_to else "",
    )


def _of_completion(
    known: bool,
    fact: Fact,
    completion: Completion,
    catalogue: Catalogue,
    held: set[tuple[str, str]],
    before: Mapping[tuple[str, str], Decision],
) -> list[Decision]:
    key = fact.key
    if not known:
        return [Decision("lms", key, "parked_person", fact.version)]
    if fact.owner.startswith(NON_STAFF_PREFIX):  # ESR does not know them, whatever they are now
        return [Decision("lms", key, "not_staff", fact.version, certification=completion.certification_idnumber)]
    competences = catalogue.competences(completion.certification_idnumber)
    if not competences:
        return [Decision("lms", key, "unmapped", fact.version, certification=completion.certification_idnumber)]
    return [
        _to_esr(f"{key}|{name}", fact, completion, definition, name, held, before) for name, definition in competences
    ]


def _to_esr(
    key: str,
    fact: Fact,
    completion: Completion,
    definition: Definition | None,
    name: str,
    held: set[tuple[str, str]],
    before: Mapping[tuple[str, str], Decision],
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
