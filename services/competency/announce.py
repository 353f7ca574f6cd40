"""From a changed decision to the event that tells of it, and to the fate of its line."""

from services.competency.domain import IGNORED, PARKED, Decision
from services.competency.store import PersonKey
from shared import events
from shared.accounting import Fate
from shared.db.unit import Unit
from shared.events import Cause

_ON_ITS_WAY = ("certification", "evidence")


def fate_of(decision: Decision) -> Fate | None:
    """Return the fate that a decision gives its line, or None when it is simply applied."""
    return PARKED.get(decision.verdict) or IGNORED.get(decision.verdict)


def announce(
    unit: Unit, key: PersonKey, decision: Decision | None, before: Decision | None, revision: int, cause: Cause
) -> None:
    """Emit the event for a decision that is new, different, or gone (None)."""
    event = _event(key, decision, before, revision, cause)
    if event is not None:
        subject = decision or before
        unit.emit(event, key[1], *(subject.identity if subject else ()), revision)


def _event(
    key: PersonKey, decision: Decision | None, before: Decision | None, revision: int, cause: Cause
) -> events.Event | None:
    vpd, person_id = key
    if decision is None:
        if before is None or before.verdict not in _ON_ITS_WAY:
            return None
        return events.CompetenceWithdrawn(vpd=vpd, cause=cause, person_id=person_id, key=before.key, revision=revision)
    match decision.verdict:
        case "certification":
            return events.CompetenceAchieved(
                vpd=vpd,
                cause=cause,
                person_id=person_id,
                key=decision.key,
                revision=revision,
                competence_name=decision.competence_name,
                certification=decision.certification,
                achieved_on=decision.achieved_on,
                expires_on=decision.expires_on,
            )
        case "evidence":
            return events.EvidenceRecorded(
                vpd=vpd,
                cause=cause,
                person_id=person_id,
                key=decision.key,
                revision=revision,
                competence_name=decision.competence_name,
                achieved_on=decision.achieved_on,
                expires_on=decision.expires_on,
            )
        case "to_esr":
            return _completed(key, decision, revision)
        case "unmapped":
            version = decision.version
            return events.MappingMissing(
                vpd=vpd,
                cause=Cause("lms", version.file, version.file_no),
                kind="certification",
                name=decision.certification,
            )
        case _:
            return None


def _completed(key: PersonKey, decision: Decision, revision: int) -> events.CertificationCompleted:
    version = decision.version
    return events.CertificationCompleted(
        vpd=key[0],
        cause=Cause("lms", version.file, version.file_no),
        person_id=key[1],
        key=decision.key,
        revision=revision,
        certification=decision.certification,
        competence_id=decision.competence_id,
        competence_name=decision.competence_name,
        achieved_on=decision.achieved_on,
        expires_on=decision.expires_on,
        completed_at=decision.completed_at,
        method=decision.method,
        course=decision.course,
    )
