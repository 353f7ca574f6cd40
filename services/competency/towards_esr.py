"""What completions in the LMS mean for ESR: one competence for each mapping, told once. No I/O here.

What ESR told us is not told to ESR, nor what it holds by another way; and what it was told stays said.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import msgspec
from msgspec.structs import replace

from services.competency.catalogue import Catalogue, Definition
from services.competency.decision import Before, Decision, Known, Verdict
from services.competency.learning import Completion
from shared.events import NON_STAFF_PREFIX
from shared.facts import Fact
from shared.mapping_settings import Row


class InEsr(msgspec.Struct, frozen=True, gc=False):
    """An achievement of ESR: the day, and the last day it counts; None: for ever, or not known."""

    day: date
    until: date | None = None

    def covers(self, day: date) -> bool:
        """Whether it counts on ``day``."""
        return self.day <= day and (self.until is None or day <= self.until)


Held = Mapping[str, Sequence[InEsr]]
"""What ESR holds of a person by competence ID."""


def decide_completion(
    person: Known, fact: Fact, completion: Completion, catalogue: Catalogue, held: Held, before: Before
) -> list[Decision]:
    """Decide on a completion in the LMS."""
    key, certification = completion.key, completion.certification_idnumber
    if not person.state:
        return [Decision("lms", key, "parked_person", fact.version)]
    if fact.owner.startswith(NON_STAFF_PREFIX):  # ESR does not know them, whatever they are now
        return [Decision("lms", key, "not_staff", fact.version, certification=certification)]
    told = {
        known.removeprefix(f"{key}|"): one
        for (source, known), one in before.items()
        if source == "lms" and one.verdict == "to_esr" and known.startswith(f"{key}|")
    }
    sent = {one.competence_id for one in told.values()}
    competences = {
        row.said: (row, definition)
        for row, definition in catalogue.competences(certification, completion.day)
        if row.said in told or definition is None or definition.competence_id not in sent
    }
    for name, one in told.items():  # what ESR was told is not taken back by another mapping
        if name not in competences:
            plain = Row(competence_id=one.competence_id, certification=certification)
            competences[name] = (plain, catalogue.find(one.competence_id, one.competence_name))
    if not competences:
        verdict: Verdict = "not_for_esr" if catalogue.knows(certification, completion.day) else "unmapped"
        return [Decision("lms", key, verdict, fact.version, certification=certification)]
    return [
        _as_competence(f"{key}|{name}", fact, completion, row, definition, catalogue, held, before)
        for name, (row, definition) in competences.items()
    ]


def _as_competence(
    key: str,
    fact: Fact,
    completion: Completion,
    row: Row,
    definition: Definition | None,
    catalogue: Catalogue,
    held: Held,
    before: Before,
) -> Decision:
    if definition is None:
        return Decision("lms", key, "parked_competence", fact.version, need=row.said)
    expiry = catalogue.expiry(row, definition, completion.day, completion.expires_on)
    told = Decision(
        "lms",
        key,
        "to_esr",
        fact.version,
        certification=completion.certification_idnumber,
        competence_id=definition.competence_id,
        competence_name=definition.competence_name,
        achieved_on=completion.day.isoformat(),
        expires_on=expiry.day.isoformat() if expiry.day else "",
        completed_at=completion.moment.isoformat(),
        method=completion.method,
        course=completion.course_idnumber,
        reason=expiry.reason,
    )
    said = before.get(("lms", key))
    if said is not None and said.verdict == "to_esr":
        return told
    code, reason = _held_already(completion.day, held.get(definition.competence_id, ()), catalogue)
    return replace(told, verdict="held_by_esr", why=code, reason=reason) if code else told


def _held_already(day: date, held: Sequence[InEsr], catalogue: Catalogue) -> tuple[str, str]:
    """Return why ESR is not told, as a code and a sentence; empty when it is."""
    dates = catalogue.said.dates
    near = timedelta(days=dates.same_within_days)
    for one in held:
        if abs(one.day - day) <= near:
            return "same", f"ESR holds it as achieved on {one.day}"
    if dates.when_they_differ == "lms":
        return "", ""
    newest = max(held, key=lambda one: one.day, default=None)
    if newest is not None and newest.day > day:
        return "newer_in_esr", f"ESR holds a newer achievement on {newest.day}"
    if dates.when_they_differ == "esr" and newest is not None and newest.covers(day):
        return "kept_by_esr", f"what ESR holds of {newest.day} counts until {newest.until or 'it is ended there'}"
    return "", ""


def tell_once(decisions: Sequence[Decision], before: Before, near: int) -> list[Decision]:
    """Return decisions so that ESR is told once of what several certifications of the LMS stand for.

    A module may count towards two certifications that are one competence to ESR. What was told before comes first.
    """

    def order(one: Decision) -> tuple[bool, str]:
        said = before.get(one.identity)
        return (said is None or said.verdict != "to_esr", one.key)

    told: dict[str, list[date]] = defaultdict(list)
    found: list[Decision] = []
    for one in sorted(decisions, key=order):
        if one.verdict != "to_esr":
            found.append(one)
            continue
        day = date.fromisoformat(one.achieved_on)
        same = [other for other in told[one.competence_id] if abs(other - day) <= timedelta(days=near)]
        if same and order(one)[0]:
            reason = f"ESR is told of {same[0]} by another completion"
            found.append(replace(one, verdict="held_by_esr", why="told", reason=reason))
        else:
            told[one.competence_id].append(day)
            found.append(one)
    return found
