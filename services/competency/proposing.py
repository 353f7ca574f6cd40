"""New versions of competences: found in ESR's definitions, and proposed as mappings. No I/O here."""

from collections.abc import Iterator
from datetime import date, timedelta

from services.competency.catalogue import Catalogue, Definition, kind_of
from shared.mapping_settings import MappingSet, Row

Succession = tuple[int, Row, Definition, Definition]
"""Number of a mapping, from 1; the mapping; the definition it is about, which ESR ended; the one that follows."""


def successions(catalogue: Catalogue) -> Iterator[Succession]:
    """Return the mappings whose competence ESR ended and whose successor they do not know.

    A successor is of the same subject and level, began later, and lasts longer; of several the newest counts.
    """
    for number, row in enumerate(catalogue.said.mappings, start=1):
        old = catalogue.defined(row)
        if old is None or old.date_to is None or old.skill is None:
            continue
        later = [one for one in catalogue.definitions.values() if _follows(one, old, old.date_to)]
        new = max(later, key=lambda one: (one.date_from, one.competence_id), default=None)
        if new and all(one.certification != row.certification for one in catalogue.rows_of(new)):
            yield number, row, old, new


def propose(catalogue: Catalogue) -> tuple[MappingSet, str]:
    """Return mappings that know all successors, and a sentence that says why; an empty one when nothing is to do.

    Achievements of the older version go on counting in the LMS until they run out. Completions are told to ESR as the
    older version up to the day before the newer begins, and as the newer from then on.
    """
    found = {number: (old, new) for number, _, old, new in successions(catalogue)}
    rows: list[Row] = []
    for number, row in enumerate(catalogue.said.mappings, start=1):
        rows += _succeeded(row, found[number][1]) if number in found else [row]
    said = catalogue.said.model_copy(update={"mappings": tuple(rows), "for_esr": _listed(catalogue, found)})
    pairs = sorted({(old.competence_id, new.competence_id) for old, new in found.values()})
    why = "; ".join(f"ESR ended {old} and started {new}" for old, new in pairs)
    return said, why


def _follows(one: Definition, old: Definition, ended: date) -> bool:
    if one.competence_id == old.competence_id or kind_of(one) != kind_of(old):
        return False
    return one.date_from > old.date_from and (one.date_to is None or one.date_to > ended)


def _succeeded(row: Row, new: Definition) -> list[Row]:
    rows: list[Row] = []
    last = new.date_from - timedelta(days=1)
    if row.to_lms:
        rows.append(row.model_copy(update={"direction": "to-lms"}))
    if row.to_esr and (row.starts is None or row.starts <= last):
        until = min(row.until, last) if row.until else last
        rows.append(row.model_copy(update={"direction": "to-esr", "until": until}))
    by_id = {"competence_id": new.competence_id if row.competence_id else "", "competence": new.competence_name}
    rows.append(row.model_copy(update=by_id | {"starts": new.date_from, "until": None}))
    return rows


def _listed(catalogue: Catalogue, found: dict[int, tuple[Definition, Definition]]) -> tuple[str, ...]:
    """A successor goes to ESR where its predecessor was on the trust's own list."""
    listed = list(catalogue.said.for_esr)
    for old, new in found.values():
        if {old.competence_id, old.competence_name} & set(listed) and new.competence_id not in listed:
            listed.append(new.competence_id)
    return tuple(listed)
