"""What a person holds, by the facts of both sides. No I/O here.

* An achievement in ESR counts from the day achieved to its *Date To*; where it has none, by the renewal period of the
  competence's definition; where that has none either, for ever. Achievements that the trust does not accept (see
  docs/mapping.md) do not count.
* A completion in the LMS counts as the competences that it is mapped to in direction ESR, whether or not ESR is told of
  them, with the expiry the mapping says. So does one that only a report of certifications tells of; but a row that
  stands as expired or assigned and shows no expiry has lost its dates and says nothing.
* The same competence achieved on the same day is the same learning by two routes: an expiry beats none, the later one
  beats the earlier.
* Of several records the one that lasts longest counts. What neither comes earlier nor lasts longer than another record
  never counts on any day, and is left out.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date

import msgspec

from services.competency.catalogue import Catalogue
from services.competency.domain import Completion, Decision, ReportRow
from shared.facts import Fact


class Holding(msgspec.Struct, frozen=True, order=True, gc=False):
    """A competence held from a day on, to ``expires_on`` inclusive; None: for ever."""

    competence_id: str
    achieved_on: date
    expires_on: date | None


def held_by(facts: Iterable[Fact], catalogue: Catalogue, decided: Mapping[tuple[str, str], Decision]) -> list[Holding]:
    """Return what a person holds: one record for each competence and day that may count, in order.

    ``facts`` are the person's, live; ``decided`` is what ``decide`` made of them.
    """
    found: dict[tuple[str, date], set[date | None]] = defaultdict(set)
    for one in (*_in_esr(decided.values()), *_in_lms(facts, catalogue)):
        found[one.competence_id, one.achieved_on].add(one.expires_on)
    records = (Holding(competence, day, _of_same(said)) for (competence, day), said in found.items())
    return _without_useless(sorted(records, key=lambda one: (one.competence_id, one.achieved_on)))


def _in_esr(decisions: Iterable[Decision]) -> Iterator[Holding]:
    for one in decisions:
        if one.source == "esr" and one.achieved_on and one.why != "not_accepted":
            expires = date.fromisoformat(one.expires_on) if one.expires_on else None
            yield Holding(one.competence_id, date.fromisoformat(one.achieved_on), expires)


def _in_lms(facts: Iterable[Fact], catalogue: Catalogue) -> Iterator[Holding]:
    for fact in facts:
        completion = _completion(fact)
        if completion is None or not completion.has_day:
            continue
        certification, day = completion.certification_idnumber, completion.day
        for row in catalogue.said.mappings:
            definition = catalogue.defined(row)
            if definition and row.certification == certification and row.to_esr and row.covers(day):
                expiry = catalogue.expiry(row, definition, day, completion.expires_on)
                yield Holding(definition.competence_id, day, expiry.day)


def _completion(fact: Fact) -> Completion | None:
    if fact.entity == "completion":
        return msgspec.convert(fact.data, Completion)
    if fact.entity != "certification":
        return None
    row = msgspec.convert(fact.data, ReportRow)
    lost = row.status in ("assigned", "expired") and row.expires_on is None
    return None if lost else row.completion


def _of_same(said: Iterable[date | None]) -> date | None:
    return max([one for one in said if one is not None], default=None)


def _without_useless(ordered: Iterable[Holding]) -> list[Holding]:
    """Leave out records that an earlier one of the same competence outlasts."""
    kept: list[Holding] = []
    for one in ordered:
        last = kept[-1] if kept and kept[-1].competence_id == one.competence_id else None
        if last is None or _outlasts(one, last):
            kept.append(one)
    return kept


def _outlasts(one: Holding, other: Holding) -> bool:
    if other.expires_on is None:
        return False
    return one.expires_on is None or one.expires_on > other.expires_on
