"""From record messages to facts and deletions. What cannot be derived from later is refused now."""

from collections.abc import Callable
from typing import Final

from services.people.slices import AssignmentSlice, NonStaff, Organisation, PersonSlice, PositionSlice
from shared import records
from shared.codes import MessageCode
from shared.errors import RecordError
from shared.esr.faults import RecordCode
from shared.events import NON_STAFF_PREFIX
from shared.facts import Deletion, Fact
from shared.records import Record

_KEYS: Final = {
    "person": "person_id",
    "assignment": "assignment_id",
    "position": "position_id",
    "organisation": "organisation_id",
    "location": "location_id",
    "non_staff": "reference",
}


def deletion_of(record: Record) -> Deletion:
    """Return what a record deletes: all that was said under its key. Raises RecordError."""
    return Deletion(record.message.vpd, record.entity, _key(record), record.version)


def fact_of(record: Record) -> Fact:
    """Return the fact a record states. Raises RecordError naming the column that is missing or malformed."""
    key = _key(record)
    owner, start = _READ.get(record.entity, _nobody)(record)
    return Fact(record.message.vpd, record.entity, key, start, owner, record.version, dict(record.fields))


def _key(record: Record) -> str:
    name = _KEYS.get(record.entity)
    if name is None:
        raise RecordError(MessageCode.R903, f"{record.entity} is not a record that people handles")
    key = record.fields.get(name, "")
    if not key:
        raise RecordError(RecordCode.R101, f"{name} is mandatory")
    return key


def _person(record: Record) -> tuple[str, str]:
    read = records.read(record, PersonSlice)
    return _of_esr(read.person_id), read.effective_start.isoformat()


def _assignment(record: Record) -> tuple[str, str]:
    read = records.read(record, AssignmentSlice)
    return _of_esr(read.person_id), read.effective_start.isoformat()


def _position(record: Record) -> tuple[str, str]:
    return "", records.read(record, PositionSlice).effective_from.isoformat()


def _organisation(record: Record) -> tuple[str, str]:
    records.read(record, Organisation)
    return "", ""


def _non_staff(record: Record) -> tuple[str, str]:
    return f"{NON_STAFF_PREFIX}{records.read(record, NonStaff).reference}", ""


def _nobody(record: Record) -> tuple[str, str]:
    del record
    return "", ""


_READ: Final[dict[str, Callable[[Record], tuple[str, str]]]] = {
    "person": _person,
    "assignment": _assignment,
    "position": _position,
    "organisation": _organisation,
    "non_staff": _non_staff,
}
"""By entity: who a record is about, and which of the date slices of its key it is."""


def _of_esr(person_id: str) -> str:
    """An ID that begins like those of non-staff would be taken for one of them, and never be told of to ESR."""
    if person_id.startswith(NON_STAFF_PREFIX):
        raise RecordError(RecordCode.R107, f"person_id begins with '{NON_STAFF_PREFIX}', which is kept for non-staff")
    return person_id
