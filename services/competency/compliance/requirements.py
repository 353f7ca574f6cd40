"""What is required of whom, and which competences meet it. No I/O here.

Requirements come from ESR (competency elements of type ``REQUIREMENT``, of a position, an organisation, one person, or
of everybody) or from the trust's rules in ``bridge.yaml``; without any rule, from the CSTF: its eleven subjects.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import msgspec

from services.competency.catalogue import Definition
from services.competency.compliance.staff import EVERYONE, trait
from services.competency.compliance.targets import Target, meets
from shared.compliance_settings import ComplianceRule, ComplianceSettings
from shared.cstf import SUBJECTS, CoreSkill, subject_of

_NO: Final = ("N", "NO")


class EsrRequirement(msgspec.Struct, frozen=True, kw_only=True):
    """A requirement as ESR states it (``CM`` record). ``essential_flag`` N: a wish only."""

    competency_name: str
    competence_id: str = ""
    person_id: str = ""
    position_id: str = ""
    organisation_id: str = ""
    job_id: str = ""
    date_from: date | None = None
    date_to: date | None = None
    essential_flag: str = ""

    def runs(self, day: date) -> bool:
        """Whether it is in force on ``day``, its first and last day included."""
        return (self.date_from is None or self.date_from <= day) and (self.date_to is None or day <= self.date_to)

    @property
    def of_whom(self) -> str:
        """The trait of those it is about: the closest that it names. Empty for a job: no record says who has it.

        One that names nobody is the whole employer's (Oracle's core competences).
        """
        for kind, value in (
            ("person", self.person_id),
            ("position", self.position_id),
            ("organisation", self.organisation_id),
        ):
            if value:
                return trait(kind, value)
        return "" if self.job_id else EVERYONE


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """Whoever has this trait needs this. ``by_esr``: and nothing that the trust's rules say."""

    trait: str
    target: Target
    by_esr: bool = False


class Requirements:
    """What is required in a trust on a day, and what meets it."""

    def __init__(
        self,
        settings: ComplianceSettings,
        required: Iterable[EsrRequirement],
        definitions: Mapping[str, Definition],
        day: date,
    ) -> None:
        """Put together what ESR requires and what the trust's rules say, as the trust wants it."""
        self._settings = settings
        self._definitions = definitions
        ordered = sorted(definitions.values(), key=lambda one: (one.date_from, one.competence_id))
        self._by_name = {one.competence_name: one for one in ordered}
        self.needs = sorted({*self._of_esr(required, day), *self._of_rules()})
        self.targets = sorted({one.target for one in self.needs})

    def met_by(self) -> list[tuple[Target, str]]:
        """Return which competence, by its ID, meets which target; ended versions do as long as they last."""
        higher = self._settings.higher_levels
        known = [(one.competence_id, one.skill) for one in self._definitions.values()]
        return sorted(
            (target, competence)
            for target in self.targets
            for competence, skill in known
            if competence == target.competence_id or (skill is not None and meets(skill, target, higher_levels=higher))
        )

    def implied(self) -> list[tuple[Target, Target]]:
        """Return pairs of which the first is met by whoever meets the second: who needs both needs the second only.

        So a subject that everybody needs at any level is not counted twice for those who need it at level 2.
        """
        pairs = {
            (one, other) for one in self.targets for other in self.targets if one != other and self._met(one, other)
        }
        return sorted(pair for pair in pairs if pair[::-1] not in pairs or pair[0] > pair[1])

    def _met(self, one: Target, other: Target) -> bool:
        if not other.level:
            return False
        return meets(
            CoreSkill(other.subject, other.level, other.topic), one, higher_levels=self._settings.higher_levels
        )

    def _of_esr(self, required: Iterable[EsrRequirement], day: date) -> list[Need]:
        wanted = self._settings.esr_requirements
        if wanted == "ignored":
            return []
        return [
            Need(one.of_whom, self._target(one.competence_id, one.competency_name), by_esr=wanted == "first")
            for one in required
            if one.runs(day) and one.of_whom and one.essential_flag.upper() not in _NO
        ]

    def _of_rules(self) -> list[Need]:
        if self._settings.esr_requirements == "only":
            return []
        rules = self._settings.rules or [ComplianceRule(subject=one) for one in SUBJECTS.values()]
        return [Need(of_whom, self._of_rule(rule)) for rule in rules for of_whom in traits_of(rule)]

    def _of_rule(self, rule: ComplianceRule) -> Target:
        if rule.subject:
            return Target(rule.subject, rule.level.strip().casefold())
        return self._target(rule.competence_id, rule.competence)

    def _target(self, competence_id: str, name: str) -> Target:
        """A competence of the CSTF stands for its subject, level and topic, so that a new version of it will do."""
        definition = self._definitions.get(competence_id) if competence_id else self._by_name.get(name)
        name = definition.competence_name if definition else name
        skill = subject_of(name)
        if skill is not None:
            return Target(skill.subject, skill.level, skill.topic.casefold())
        return Target(name or competence_id, competence_id=definition.competence_id if definition else competence_id)


def traits_of(rule: ComplianceRule) -> Sequence[str]:
    """Return the traits of those a rule is about; any of them will do."""
    lists = {
        "position": rule.positions,
        "organisation": rule.organisations,
        "staff_group": rule.staff_groups,
        "assignment_category": rule.assignment_categories,
        "non_staff": rule.non_staff,
    }
    return [trait(kind, value) for kind, values in lists.items() for value in values] or [EVERYONE]
