"""What is wrong, or worth a look, in a trust's mappings. No I/O here."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from typing import Any

from services.competency.catalogue import Catalogue, Definition, kind_of
from services.competency.proposing import successions
from shared.mapping_settings import MappingCode, Row

Numbered = tuple[int, Row, Definition | None]
"""A mapping with its number, from 1, and the definition it is about."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found. ``rows`` are the numbers of the mappings it is about, from 1."""

    code: MappingCode
    sentence: str
    rows: tuple[int, ...] = ()

    @property
    def forbids(self) -> bool:
        """Whether the mappings cannot be applied like that."""
        return self.code.startswith("ME")

    def as_json(self) -> dict[str, Any]:
        """Return the finding for people and programs."""
        level = "error" if self.forbids else "warning"
        said = f"{self.sentence}. {self.code.advice}"
        return {"code": str(self.code), "level": level, "mappings": list(self.rows), "sentence": said}


def check(catalogue: Catalogue, day: date) -> list[Finding]:
    """Return everything found, errors first; ``day`` is the business day."""
    rows = [(number, row, catalogue.defined(row)) for number, row in enumerate(catalogue.said.mappings, start=1)]
    found = [
        *_unknown(rows),
        *_overlaps(rows),
        *_circles(rows),
        *_two_versions(rows, catalogue),
        *_other_way(rows),
        *_uncovered(rows, catalogue, day),
        *_out_of_scope(rows, catalogue),
        *_successors(catalogue),
    ]
    return sorted(found, key=lambda one: (not one.forbids, one.code, one.rows))


def _unknown(rows: Iterable[Numbered]) -> Iterator[Finding]:
    for number, row, definition in rows:
        if definition is None:
            yield Finding(MappingCode.ME01, f"no definition '{row.said}' has come from ESR", (number,))


def _overlaps(rows: Iterable[Numbered]) -> Iterator[Finding]:
    for (one, a, first), (other, b, second) in combinations(rows, 2):
        same = a.said == b.said or (first is not None and first == second)
        ways = (a.to_lms and b.to_lms) or (a.to_esr and b.to_esr)
        if same and ways and a.certification == b.certification and _meet(_span(a), _span(b)):
            what = f"'{a.said}' and '{a.certification}' are mapped twice in one direction at the same time"
            yield Finding(MappingCode.ME02, what, (one, other))


def _circles(rows: list[Numbered]) -> Iterator[Finding]:
    """ESR's A becomes X, X is told to ESR as B, B becomes Y, and Y is told as A again."""
    steps: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for _, row, definition in rows:
        for _, back, target in rows:
            start, end = _key(row, definition), _key(back, target)
            if row.to_lms and back.to_esr and row.certification == back.certification and start != end:
                steps[start].add((row.certification, end))
    reach = {start: _reachable(start, steps) for start in steps}
    for start in sorted(steps):
        ring = {start} | {one for one in reach[start] if start in reach.get(one, ())}
        used = {certification for one in ring for certification, end in steps.get(one, ()) if end in ring}
        if start == min(ring) and len(ring) > 1 and len(used) > 1:
            numbers = tuple(n for n, row, one in rows if row.certification in used and _key(row, one) in ring)
            yield Finding(MappingCode.ME03, f"{', '.join(sorted(used))} lead to one another through ESR", numbers)


def _two_versions(rows: Iterable[Numbered], catalogue: Catalogue) -> Iterator[Finding]:
    told = [(number, row, one) for number, row, one in rows if one and row.to_esr and catalogue.for_esr(row, one)]
    for (number, a, one), (other, b, second) in combinations(told, 2):
        versions = one != second and kind_of(one) == kind_of(second)
        if versions and a.certification == b.certification and _meet(_span(a, one), _span(b, second)):
            what = (
                f"a completion of '{a.certification}' would be told as {one.competence_id} and {second.competence_id}"
            )
            yield Finding(MappingCode.ME04, what, (number, other))


def _other_way(rows: list[Numbered]) -> Iterator[Finding]:
    by_certification: dict[str, list[Numbered]] = defaultdict(list)
    for one in rows:
        by_certification[one[1].certification].append(one)
    for certification, mine in sorted(by_certification.items()):
        comes = {_subject(row, one) for _, row, one in mine if row.to_lms}
        goes = {_subject(row, one) for _, row, one in mine if row.to_esr}
        if comes and goes and not comes & goes:
            what = f"'{certification}' comes from ESR as one competence and goes back as another"
            yield Finding(MappingCode.ME05, what, tuple(number for number, _, _ in mine))


def _uncovered(rows: Iterable[Numbered], catalogue: Catalogue, day: date) -> Iterator[Finding]:
    covering = [(row, one) for _, row, one in rows if one is not None and (row.until is None or day <= row.until)]
    in_lms = {one.competence_id for row, one in covering if row.to_lms}
    in_esr = {kind_of(one) for row, one in covering if row.to_esr}
    for definition in sorted(catalogue.definitions.values(), key=lambda one: one.competence_name):
        if definition.skill is None or not definition.runs(day):
            continue
        name = f"'{definition.competence_name}' ({definition.competence_id})"
        if not catalogue.rows_of(definition) and definition.competence_id not in in_lms:
            yield Finding(MappingCode.MW01, f"{name} has no mapping to the LMS")
        if kind_of(definition) not in in_esr:
            yield Finding(MappingCode.MW02, f"no certification is told to ESR as {name}")


def _out_of_scope(rows: Iterable[Numbered], catalogue: Catalogue) -> Iterator[Finding]:
    for number, row, definition in rows:
        if row.to_esr and not catalogue.for_esr(row, definition):
            yield Finding(MappingCode.MW03, f"'{row.said}' is not one of those that ESR is told of", (number,))


def _successors(catalogue: Catalogue) -> Iterator[Finding]:
    for number, row, old, new in successions(catalogue):
        ended = f"ESR ended {old.competence_id} on {old.date_to} and started {new.competence_id} on {new.date_from}"
        yield Finding(MappingCode.MW04, f"{ended}; '{row.certification}' does not know it yet", (number,))


def _key(row: Row, definition: Definition | None) -> str:
    return definition.competence_id if definition else row.said


def _subject(row: Row, definition: Definition | None) -> tuple[str, ...]:
    return kind_of(definition) if definition else (row.said,)


def _reachable(start: str, steps: dict[str, set[tuple[str, str]]]) -> set[str]:
    seen: set[str] = set()
    ahead = [start]
    while ahead:
        for _, end in steps.get(ahead.pop(), ()):
            if end not in seen:
                seen.add(end)
                ahead.append(end)
    return seen


def _span(row: Row, definition: Definition | None = None) -> tuple[date, date]:
    ends = [day for day in (row.until, definition.date_to if definition else None) if day]
    return (row.starts or date.min, min(ends, default=date.max))


def _meet(one: tuple[date, date], other: tuple[date, date]) -> bool:
    return max(one[0], other[0]) <= min(one[1], other[1])
