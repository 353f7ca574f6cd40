"""Records as facts and deletions of this service."""

from services.competency.domain import Completion, Definition, Element, ReportRow
from shared import records
from shared.codes import LmsCode, MessageCode
from shared.errors import RecordError
from shared.esr.faults import RecordCode
from shared.facts import Deletion, Fact
from shared.records import Record


def deletion_of(record: Record) -> Deletion:
    """Return what a record deletes. Raises RecordError when it names nothing."""
    name = {"competence": "competence_id", "competency_element": "competency_element_id"}.get(record.entity, "")
    key = record.fields.get(name, "")
    if not key:
        raise RecordError(RecordCode.R101, f"a deletion of a {record.entity} must name its id")
    return Deletion(record.message.vpd, record.entity, key, record.version)


def fact_of(record: Record) -> Fact:
    """Turn a record into a fact; what cannot be decided upon later is refused now."""
    vpd, data = record.message.vpd, dict(record.fields)
    if record.entity == "competence":
        definition = records.read(record, Definition)
        return Fact(vpd, record.entity, definition.competence_id, "", "", record.version, data)
    if record.entity == "competency_element":
        element = records.read(record, Element)
        if element.achieved and not (element.person_id and element.date_from):
            raise RecordError(RecordCode.R101, "an achievement must name person_id and date_from")
        return Fact(vpd, record.entity, element.competency_element_id, "", element.person_id, record.version, data)
    if record.entity == "completion":
        completion = records.read(record, Completion)
        person_id = _learner(vpd, completion.user_idnumber)
        if not completion.has_day:
            raise RecordError(LmsCode.L103, "completed_at is at the very edge of the calendar")
        return Fact(vpd, record.entity, completion.key, "", person_id, record.version, data)
    if record.entity == "certification":
        row = records.read(record, ReportRow)
        person_id = _learner(vpd, row.user_idnumber)
        if row.completion is not None and not row.completion.has_day:
            raise RecordError(LmsCode.L103, "completed_at is at the very edge of the calendar")
        key = f"{row.user_idnumber}|{row.certification_idnumber}"
        completed = row.completed_at.isoformat() if row.completed_at else ""
        # A history tells of the very completion that stands while its window is open, and must not hide that it does.
        moment = f"history {completed}" if row.status == "history" else completed
        return Fact(vpd, record.entity, key, moment, person_id, record.version, data)
    raise RecordError(MessageCode.R903, f"{record.entity} is not a record that competency handles")


def _learner(vpd: str, user_idnumber: str) -> str:
    """Return the person ID in an account's idnumber. Raises RecordError when it is none that the bridge gave here."""
    trust, _, person_id = user_idnumber.partition("-")
    if trust != vpd or not person_id:
        raise RecordError(LmsCode.L102, "user_idnumber is not '<trust>-<person ID>' of this trust")
    return person_id
