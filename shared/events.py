"""The domain events: their names, their contents, how they are written.

A type name is the routing key on ``bridge.events`` (``people.EmployeeHired``). Contents are JSON. Changes are
additive: a field may be added with a default; anything else is a new type with ``.v2`` in its name.

Events carry what consumers need and no more, and they carry state: each has a ``revision`` that grows with every
change of the thing it speaks of, so a consumer keeps the newest and needs no order.
"""

from typing import Final, Literal

import msgspec

PersonState = Literal["unknown", "out_of_scope", "applicant", "employee", "leaver"]


class Cause(msgspec.Struct, frozen=True):
    """The newest file that the event rests on. Effects wait until that file is wholly accounted for."""

    stream: str
    file: str
    file_no: int


class Person(msgspec.Struct, frozen=True, omit_defaults=True):
    """A person as derived for a business day: what accounts and completion records need of them."""

    person_id: str
    state: PersonState
    revision: int = 0
    employee_number: str = ""
    applicant_number: str = ""
    title: str = ""
    first_name: str = ""
    middle_names: str = ""
    last_name: str = ""
    preferred_name: str = ""
    email: str = ""
    hire_date: str = ""
    termination_date: str = ""
    assignment_number: str = ""
    position_name: str = ""
    organisation_id: str = ""
    paused: bool = False
    """On maternity leave, career break or the like: still an employee."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What every event says: whose trust, and caused by which file."""

    vpd: str
    cause: Cause


class PersonEvent(Event, frozen=True, kw_only=True):
    """An event about a person, with the person as they now are."""

    person: Person


class ApplicantOffered(PersonEvent, frozen=True, kw_only=True):
    """Someone holds an offer from this trust (conditional, unconditional or accepted), or their details changed."""


class ApplicantWithdrawn(PersonEvent, frozen=True, kw_only=True):
    """An applicant no longer has an application in scope, and was not hired."""


class EmployeeHired(PersonEvent, frozen=True, kw_only=True):
    """Someone is now an employee."""


class EmployeeChanged(PersonEvent, frozen=True, kw_only=True):
    """An employee's details changed."""


class EmployeeTerminated(PersonEvent, frozen=True, kw_only=True):
    """Someone has left, or the details of a leaver changed."""


class EmployeeRehired(PersonEvent, frozen=True, kw_only=True):
    """A leaver is an employee again, under the same person ID."""


class AchievementEvent(Event, frozen=True, kw_only=True):
    """Something ESR says a person has achieved. ``key`` is ESR's competency element ID."""

    person_id: str
    key: str
    revision: int
    competence_name: str
    achieved_on: str
    expires_on: str = ""


class CompetenceAchieved(AchievementEvent, frozen=True, kw_only=True):
    """An achievement that stands for a certification in the LMS."""

    certification: str


class EvidenceRecorded(AchievementEvent, frozen=True, kw_only=True):
    """An achievement that stands for no certification: it goes into the person's evidence bank."""


class CompetenceWithdrawn(Event, frozen=True, kw_only=True):
    """ESR no longer holds an achievement it told us of. The trust decides; the LMS record is left as it is."""

    person_id: str
    key: str
    revision: int


class CertificationCompleted(Event, frozen=True, kw_only=True):
    """A completion in the LMS that ESR has to be told of. ``key`` is the LMS's own reference."""

    person_id: str
    key: str
    revision: int
    certification: str
    competence_id: str
    competence_name: str
    achieved_on: str
    expires_on: str = ""
    completed_at: str = ""
    method: str = ""
    course: str = ""


class MappingMissing(Event, frozen=True, kw_only=True):
    """Something arrived that no mapping covers: an ESR competence or an LMS certification."""

    kind: Literal["competence", "certification"]
    name: str


class AccountProvisioned(Event, frozen=True, kw_only=True):
    """The LMS has an account for the person. ``account_type`` is ``TEMP`` or ``PERM``."""

    person_id: str
    revision: int
    account_type: str


class AccountPromoted(AccountProvisioned, frozen=True, kw_only=True):
    """A temporary account became permanent."""


class AccountSuspended(Event, frozen=True, kw_only=True):
    """The LMS account is suspended; nothing of it is deleted."""

    person_id: str
    revision: int


class AccountReactivated(AccountSuspended, frozen=True, kw_only=True):
    """A suspended account is open again."""


class CertificationDelivered(Event, frozen=True, kw_only=True):
    """The LMS took an achievement, as a certification or as evidence."""

    person_id: str
    key: str
    revision: int
    as_: Literal["certification", "evidence"] = msgspec.field(name="as")


class DeliveryFailed(Event, frozen=True, kw_only=True):
    """The LMS refused something; ``code`` is the driver's, ``subject`` a person ID or an achievement's key."""

    subject: str
    code: str


class CompletionSent(Event, frozen=True, kw_only=True):
    """A completion left for ESR. ``reference`` is unique in the trust for ever; ESR echoes it."""

    reference: str
    person_id: str
    key: str
    competence_id: str
    achieved_on: str
    sent_file: str
    position: int
    resend: bool = False


class CompletionAnswer(Event, frozen=True, kw_only=True):
    """ESR's answer to a completion."""

    reference: str
    person_id: str
    key: str
    code: str = ""
    warning: bool = False


class CompletionConfirmed(CompletionAnswer, frozen=True, kw_only=True):
    """ESR loaded the completion; ``esr_record_id`` is its competency element ID where it gave one."""

    esr_record_id: str = ""


class CompletionRejected(CompletionAnswer, frozen=True, kw_only=True):
    """ESR did not load the completion; ``code`` says why."""


class FileEvent(Event, frozen=True, kw_only=True):
    """An event about a file; ``cause`` names it."""

    status: str
    code: str = ""


class FileReceived(FileEvent, frozen=True, kw_only=True):
    """A file was taken and archived."""


class FileQuarantined(FileEvent, frozen=True, kw_only=True):
    """A file is refused as a whole; nothing of it was applied."""


class FileHeld(FileEvent, frozen=True, kw_only=True):
    """A file is good but may not be applied yet; it waits."""


class FileSplit(FileEvent, frozen=True, kw_only=True):
    """Every record of a file is on the broker."""


class FileCompleted(FileEvent, frozen=True, kw_only=True):
    """Every record of a file has a fate. Effects of the file may now leave the building."""

    records: int


class FileRepeated(FileEvent, frozen=True, kw_only=True):
    """The same file came again, byte for byte; it is ignored (F007)."""


class FileConfirmed(FileEvent, frozen=True, kw_only=True):
    """The sender is told what became of a file; ``status`` is what the confirmation says of it."""

    confirmation: str


class FullFilesSurplus(FileEvent, frozen=True, kw_only=True):
    """More full files came than were agreed; this one is held (F017)."""


class FileLate(FileEvent, frozen=True, kw_only=True):
    """The file of a day is not there although it is due. ``cause`` names the last file that came."""

    day: str


class FileEarly(FileEvent, frozen=True, kw_only=True):
    """A file came before its day or its hour; it is taken all the same."""


class FeedSilent(FileEvent, frozen=True, kw_only=True):
    """No file has come from ESR for days. ``cause`` names the last file that came."""

    days: int


class PeopleAbsent(FileEvent, frozen=True, kw_only=True):
    """A full file leaves out people whom earlier files brought. Nobody is deleted for it."""

    absent: int
    """People left out now who were not left out before."""


class SnapshotRequested(FileEvent, frozen=True, kw_only=True):
    """ESR is asked for a full file that shows the moment ``as_at`` (UK local time)."""

    as_at: str


class ArchivePurged(Event, frozen=True, kw_only=True):
    """Raw files were removed from the archive at the end of their retention."""

    files: int
    size: int
    """Bytes."""


_PUBLISHED: Final = {
    "ingest": (
        FileReceived,
        FileRepeated,
        FileQuarantined,
        FileHeld,
        FullFilesSurplus,
        FileSplit,
        FileCompleted,
        FileConfirmed,
        FileLate,
        FileEarly,
        FeedSilent,
        PeopleAbsent,
        SnapshotRequested,
        ArchivePurged,
    ),
    "people": (
        ApplicantOffered,
        ApplicantWithdrawn,
        EmployeeHired,
        EmployeeChanged,
        EmployeeTerminated,
        EmployeeRehired,
    ),
    "competency": (CompetenceAchieved, EvidenceRecorded, CompetenceWithdrawn, CertificationCompleted, MappingMissing),
    "outbound": (
        AccountProvisioned,
        AccountPromoted,
        AccountSuspended,
        AccountReactivated,
        CertificationDelivered,
        DeliveryFailed,
        CompletionSent,
    ),
    "confirmations": (CompletionConfirmed, CompletionRejected),
}

TYPES: Final[dict[str, type[Event]]] = {
    f"{service}.{event.__name__}": event for service, events in _PUBLISHED.items() for event in events
}
"""Every event type by its name on the broker."""

NAMES: Final = {event: name for name, event in TYPES.items()}

_ENCODER: Final = msgspec.json.Encoder()
_DECODERS: Final = {name: msgspec.json.Decoder(event) for name, event in TYPES.items()}


def encode(event: Event) -> bytes:
    """Return the event's body as JSON."""
    return _ENCODER.encode(event)


def decode(type_name: str, body: bytes) -> Event:
    """Read an event. Raises KeyError for a type unknown to this release, msgspec.ValidationError for wrong contents."""
    return _DECODERS[type_name].decode(body)
