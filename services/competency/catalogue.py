"""What a trust's competences and certifications stand for: its definitions from ESR and its mappings. No I/O here."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Final

import msgspec

from services.competency.renewal.esr import Counting, DayRule, Expiry, by_esr, by_lms, by_local_period
from services.competency.renewal.periods import MonthRule, Period
from services.competency.renewal.totara import Renewal
from shared import config
from shared.cstf import CoreSkill, subject_of
from shared.mapping_settings import Acceptance, MappingSet, Row, of_config

_ANYTHING: Final = Acceptance()


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A competence definition (ESR ``CD`` record), of the columns this service needs."""

    competence_id: str
    competence_name: str
    date_from: date
    date_to: date | None = None
    renewal_period_frequency: str = ""
    renewal_period_units: str = ""

    @property
    def skill(self) -> CoreSkill | None:
        """Subject and level, where it is of the CSTF."""
        return subject_of(self.competence_name)

    def runs(self, day: date) -> bool:
        """Whether ESR has not ended it before ``day``."""
        return self.date_to is None or day <= self.date_to


class Catalogue:
    """A trust's competence definitions and mappings."""

    def __init__(
        self, definitions: Mapping[str, Definition], mappings: MappingSet | Sequence[config.Mapping] = ()
    ) -> None:
        """Index definitions by name; of several with one name the one that began last counts."""
        self.definitions = definitions
        self.said = mappings if isinstance(mappings, MappingSet) else of_config(mappings)
        ordered = sorted(definitions.values(), key=lambda one: (one.date_from, one.competence_id))
        self._by_name = {one.competence_name: one for one in ordered}
        self._for_esr = frozenset(self.said.for_esr)
        self._renewals = {one.certification: one for one in self.said.renewals}
        self._rows: dict[str, list[Row]] = {}
        self.counting = Counting(MonthRule(self.said.dates.months), DayRule(self.said.dates.day))

    def find(self, competence_id: str, name: str) -> Definition | None:
        """Return the definition meant: by id, else by exact name, since ESR may leave the id blank."""
        return self.definitions.get(competence_id) if competence_id else self._by_name.get(name)

    def defined(self, row: Row) -> Definition | None:
        """Return the definition a mapping is about."""
        return self.find(row.competence_id, row.competence)

    def rows_of(self, definition: Definition) -> list[Row]:
        """Return the mappings of a competence, in order; those by id beat those by name."""
        known = self._rows.get(definition.competence_id)
        if known is None:
            known = self._rows[definition.competence_id] = self._find_rows(definition)
        return known

    def _find_rows(self, definition: Definition) -> list[Row]:
        by_id = [row for row in self.said.mappings if row.competence_id == definition.competence_id]
        return by_id or [
            row for row in self.said.mappings if not row.competence_id and row.competence == definition.competence_name
        ]

    def certifications(self, definition: Definition, day: date) -> list[Row]:
        """Return what an achievement of that day stands for in the LMS: a row for each certification, once."""
        found: dict[str, Row] = {}
        for row in self.rows_of(definition):
            if row.to_lms and row.covers(day):
                found.setdefault(row.certification, row)
        return list(found.values())

    def acceptance(self, row: Row, definition: Definition) -> Acceptance:
        """Return what is accepted: the mapping's own word, else the trust's first rule that fits."""
        if row.accept is not None:
            return row.accept
        skill = definition.skill if self.said.accept else None
        for rule in self.said.accept:
            if not rule.subject or (
                skill is not None and rule.subject == skill.subject and rule.level in ("", skill.level)
            ):
                return rule
        return _ANYTHING

    def esr_expiry(self, definition: Definition, achieved: date) -> Expiry:
        """Return the expiry ESR works out where an achievement brings none."""
        every = definition.renewal_period_frequency
        return by_esr(
            achieved,
            int(every) if every.isdecimal() else None,
            definition.renewal_period_units,
            definition.competence_id,
            self.counting,
        )

    def expiry(self, row: Row, definition: Definition, achieved: date, shown: date | None) -> Expiry:
        """Return the expiry that ESR is told of for a completion; ``shown`` is what the LMS shows."""
        if row.expiry == "esr":
            return self.esr_expiry(definition, achieved)
        if row.expiry == "local":
            return by_local_period(achieved, Period.parse(row.period), row.certification, self.counting)
        return by_lms(shown, row.certification, self.counting.day)

    def renewal(self, certification: str) -> Renewal | None:
        """Return how the LMS renews a certification, where the trust has said so."""
        said = self._renewals.get(certification)
        return Renewal.parse(said.method, said.active, said.window, said.minimum) if said else None

    def competences(self, certification: str, day: date) -> list[tuple[Row, Definition | None]]:
        """Return the competences that a completion of that day is for in ESR: as mapped, and the definition if known.

        Two mappings that mean the same definition, one by id and one by name, count once. A version that ESR has ended
        is left out where another version of the same subject and level takes its place: ESR would refuse it.
        """
        found: dict[str, tuple[Row, Definition | None]] = {}
        for row in self.said.mappings:
            definition = self.defined(row)
            if row.certification == certification and row.to_esr and row.covers(day) and self.for_esr(row, definition):
                found.setdefault(definition.competence_id if definition else row.said, (row, definition))
        running = {kind_of(one) for _, one in found.values() if one is not None and one.runs(day)}
        return [
            (row, one) for row, one in found.values() if one is None or one.runs(day) or kind_of(one) not in running
        ]

    def knows(self, certification: str, day: date) -> bool:
        """Whether any mapping is about a certification on that day, in whichever direction."""
        return any(row.certification == certification and row.covers(day) for row in self.said.mappings)

    def for_esr(self, row: Row, definition: Definition | None) -> bool:
        """Whether ESR is told of the competence: of the CSTF, or on the trust's own list. The unknown waits."""
        names = {row.said} | ({definition.competence_id, definition.competence_name} if definition else set())
        name = definition.competence_name if definition else row.competence
        return bool(names & self._for_esr) or not name or subject_of(name) is not None


def kind_of(definition: Definition) -> tuple[str, ...]:
    """Return what versions of one competence have in common; a competence not of the CSTF has no other versions."""
    skill = definition.skill
    return skill.kind if skill else (definition.competence_id,)


def names_of(rows: Iterable[Row], catalogue: Catalogue) -> list[str]:
    """Return ids and names of the competences that mappings are about, however achievements may name them."""
    names: set[str] = set()
    for row in rows:
        names.add(row.said)
        definition = catalogue.defined(row)
        names |= {definition.competence_id, definition.competence_name} if definition else set()
    return sorted(names - {""})
