"""From a changed decision to the event that tells of it, and to the fate of its line."""

from typing import Any

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
    unit: Unit,
    key: PersonKey,
    decision: Decision | None,
    before: Decision | None,
    revision: int,
    cause: Cause,
    withdraws: bool = False,
) -> None:
    """Emit the event for a decision that is new, different, or gone (None).

    ``withdraws``: whether the trust has the LMS give back what ESR has deleted.
    """
    event = _event(key, decision, before, revision, cause, withdraws)
    if event is not None:
        subject = decision or before
        unit.emit(event, key[1], *(subject.identity if subject else ()), revision)


def _event(
    key: PersonKey, decision: Decision | None, before: Decision | None, revision: int, cause: Cause, withdraws: bool
) -> events.Event | None:
    vpd, person_id = key
    if decision is None or decision.verdict == "requirement":
        return _gone(key, before, revision, cause, withdraws) if before is not None else None
    if decision.verdict == "mirror":
        return events.CompetenceMirrored(
            vpd=vpd, cause=cause, person_id=person_id, key=decision.key, revision=revision,
            competence_id=decision.competence_id, completed_on=decision.completed_at,
        )  # fmt: skip
    if decision.verdict == "to_esr":
        return _completed(key, decision, revision)
    if decision.verdict == "unmapped":
        missing = Cause("lms", decision.version.file, decision.version.file_no)
        return events.MappingMissing(vpd=vpd, cause=missing, kind="certification", name=decision.certification)
    return _achieved(key, decision, revision, cause) if decision.verdict in _ON_ITS_WAY else None


def _gone(
    key: PersonKey, before: Decision, revision: int, cause: Cause, withdraws: bool
) -> events.CertificationWithdrawn | events.CompetenceWithdrawn | None:
    """Return what tells that something said before stands no more: to ESR, or to the LMS."""
    vpd, person_id = key
    if before.verdict == "to_esr":
        return events.CertificationWithdrawn(
            vpd=vpd, cause=cause, person_id=person_id, key=before.key, revision=revision,
            reason="the LMS has taken the completion back",
        )  # fmt: skip
    if before.verdict not in _ON_ITS_WAY:
        return None
    return events.CompetenceWithdrawn(
        vpd=vpd, cause=cause, person_id=person_id, key=before.key, revision=revision, withdraw=withdraws
    )


def _achieved(key: PersonKey, decision: Decision, revision: int, cause: Cause) -> events.AchievementEvent:
    said: dict[str, Any] = {
        "vpd": key[0],
        "cause": cause,
        "person_id": key[1],
        "key": decision.key,
        "revision": revision,
        "competence_name": decision.competence_name,
        "achieved_on": decision.achieved_on,
        "expires_on": decision.expires_on,
        "reason": decision.reason,
    }
    if decision.verdict == "certification":
        return events.CompetenceAchieved(**said, certification=decision.certification, due_on=decision.due_on)
    return events.EvidenceRecorded(**said)


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
        reason=decision.reason,
    )
