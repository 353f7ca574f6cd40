"""What ESR's achievements mean for the LMS: certifications where the trust maps and accepts them, else evidence.

Nothing is written to the LMS that is there, that something newer stands above, or that would do harm there: an upload
of a date that has run out is certified and expired again within the hour, night after night (Totara). No I/O here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import msgspec
from msgspec.structs import replace

from services.competency.acceptance import learning_of
from services.competency.catalogue import Catalogue, Definition
from services.competency.decision import Decision, Known, Verdict
from services.competency.foretelling import apart_now, foretell
from services.competency.learning import Element
from services.competency.renewal.esr import Expiry
from services.competency.standing import NOWHERE, Standing
from shared.facts import Fact


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What else is known of the person whose achievement is looked at. ``day``: the business day."""

    person: Known
    catalogue: Catalogue
    standings: Mapping[str, Standing]
    day: date


class Achievement(msgspec.Struct, frozen=True, gc=False):
    """An achievement of ESR with its definition, and the certifications it is accepted as."""

    fact: Fact
    element: Element
    definition: Definition
    day: date
    expiry: Expiry
    mapped: bool
    accepted: Sequence[str]


def achievement(fact: Fact, element: Element, around: Surroundings) -> Achievement | Decision:
    """Read an element, or decide at once where it is none, or its person or competence is not known yet."""
    key, day = element.competency_element_id, element.date_from
    if not element.achieved or day is None:
        return Decision("esr", key, "requirement", fact.version)
    if not around.person.state:
        return Decision("esr", key, "parked_person", fact.version)
    definition = around.catalogue.find(element.competence_id, element.competency_name)
    if definition is None:
        need = element.competence_id or element.competency_name
        return Decision("esr", key, "parked_competence", fact.version, need=need)
    rows = around.catalogue.certifications(definition, day)
    learning = learning_of(day, element.last_update, around.person.state, around.person.hire_date)
    accepted = [row.certification for row in rows if learning.meets(around.catalogue.acceptance(row, definition))]
    expiry = Expiry(element.date_to, f"ESR says {element.date_to}") if element.date_to else (
        around.catalogue.esr_expiry(definition, day)
    )  # fmt: skip
    return Achievement(fact, element, definition, day, expiry, bool(rows), accepted)


def decide_achievement(
    one: Achievement, around: Surroundings, newest: Mapping[str, date], said: Mapping[str, Decision]
) -> list[Decision]:
    """Decide on an achievement. ``newest``: ESR's newest by certification; ``said``: earlier decisions by key."""
    key = one.element.competency_element_id
    plain = Decision(
        "esr",
        key,
        "evidence",
        one.fact.version,
        competence_id=one.definition.competence_id,
        competence_name=one.definition.competence_name,
        achieved_on=one.day.isoformat(),
        expires_on=one.expiry.day.isoformat() if one.expiry.day else "",
        reason=one.expiry.reason,
    )
    if not one.accepted:
        why = ("not_accepted", "the trust does not accept it") if one.mapped else ("unmapped", "no mapping covers it")
        return [replace(plain, why=why[0], reason=f"{why[1]}; {plain.reason}")]
    keys = _keys(key, one.accepted, said)
    return [_as_certification(plain, one, name, keys[name], around, newest, said) for name in one.accepted]


def _keys(element: str, certifications: Sequence[str], said: Mapping[str, Decision]) -> dict[str, str]:
    """Return under which key each certification of an achievement is told: the one it has, or a new one.

    The first goes under the element's own ID, where no other has it; so a mapping to one is told as ever.
    """
    keys = {one.certification: key for key, one in said.items() if one.certification in certifications}
    for one in certifications:
        if one not in keys:
            keys[one] = f"{element}|{one}" if element in keys.values() else element
    return keys


def _as_certification(
    plain: Decision,
    one: Achievement,
    name: str,
    key: str,
    around: Surroundings,
    newest: Mapping[str, date],
    said: Mapping[str, Decision],
) -> Decision:
    mine, before = replace(plain, key=key, certification=name), said.get(key)
    if before is not None and _said_already(before, mine):
        return replace(
            mine, verdict=before.verdict, why=before.why, completed_at=before.completed_at, due_on=before.due_on,
            reason=before.reason, warnings=before.warnings,
        )  # fmt: skip
    stands = around.standings.get(name, NOWHERE)
    if gone := _nearest(one.day, stands.taken_back, around):
        # ESR shows what it was told before it is asked to give it back: it must not come to life again in the LMS.
        reason = f"the LMS has taken back its completion of {gone}"
        return replace(mine, verdict="mirror", why="taken_back", completed_at=gone.isoformat(), reason=reason)
    if same := _nearest(one.day, stands.days, around):
        reason, apart = f"the LMS holds a completion on {same}", apart_now(one.expiry, stands.expiry_of(same))
        return replace(mine, verdict="mirror", completed_at=same.isoformat(), reason=reason, warnings=apart)
    verdict, why, reason = _verdict(one, stands, newest.get(name), around)
    if verdict != "certification":
        return replace(mine, verdict=verdict, why=why, reason=reason)
    foretold = foretell(one.day, one.expiry, stands, around.catalogue.renewal(name), around.day)
    if foretold.lost:
        return replace(mine, verdict="evidence", why=foretold.lost, reason=foretold.reason)
    due = stands.due_on.isoformat() if stands.due_on else ""
    return replace(mine, verdict="certification", due_on=due, warnings=foretold.warnings)


def _said_already(before: Decision, mine: Decision) -> bool:
    """Whether the LMS was told of it, in whichever way, or held it before: that stays so."""
    same = (before.certification, before.achieved_on) == (mine.certification, mine.achieved_on)
    return same and (before.verdict in ("certification", "mirror") or before.why in ("run_out", "window_open"))


def _nearest(day: date, days: Iterable[date], around: Surroundings) -> date | None:
    """Return the day of a completion that is the same learning as an achievement of ``day``, if there is one."""
    near = timedelta(days=around.catalogue.said.dates.same_within_days)
    return max((other for other in days if abs(other - day) <= near), default=None)


def _verdict(
    one: Achievement, stands: Standing, newest_in_esr: date | None, around: Surroundings
) -> tuple[Verdict, str, str]:
    """Return verdict, code and sentence, before it is looked at whether the date has run out."""
    dates = around.catalogue.said.dates
    if dates.when_they_differ == "lms" and stands.certified:
        return "older", "kept_by_lms", "the LMS is certified, and its date counts"
    if stands.newest is not None and stands.newest > one.day:
        return "older", "newer_in_lms", f"the LMS holds a newer completion on {stands.newest}"
    if newest_in_esr is not None and newest_in_esr > one.day:
        return "older", "newer_in_esr", f"ESR holds a newer achievement on {newest_in_esr}"
    return "certification", "", ""
