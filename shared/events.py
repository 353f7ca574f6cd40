"""The domain events: their names, their contents, how they are written.

A type name is the routing key on ``bridge.events`` (``people.EmployeeHired``). Contents are JSON. Changes are
additive: a field may be added with a default; anything else is a new type with ``.v2`` in its name.

Events carry what consumers need and no more, and they carry state: each has a ``revision`` that grows with every
change of the thing it speaks of, so a consumer keeps the newest and needs no order.
"""

from typing import Final, Literal

import msgspec

PersonState = Literal["unknown", "out_of_scope", "applicant", "employee", "leaver", "non_staff"]
"""``non_staff``: volunteers, students, bank and honorary staff whom a trust adds itself; ESR never hears of them."""


NON_STAFF_PREFIX: Final = "N-"
"""How the person IDs of those begin whom a trust adds itself, so that they never meet one of ESR's."""


class Cause(msgspec.Struct, frozen=True, gc=False):
    """The newest file that the event rests on. Effects wait until that file is wholly accounted for."""

    stream: str
    file: str
    file_no: int


class Job(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """An assignment that is in force: what an LMS's job assignment needs of it. Days are ISO."""

    assignment_id: str
    assignment_number: str = ""
    primary: bool = False
    paused: bool = False
    position_id: str = ""
    position_name: str = ""
    organisation_id: str = ""
    start: str = ""
    end: str = ""
    manager_person_id: str = ""
    manager_assignment_id: str = ""


class Person(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
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
    birth_date: str = ""
    ni_number: str = ""
    """Only where the trust links accounts by it."""
    position_id: str = ""
    organisation_name: str = ""
    location_id: str = ""
    staff_group: str = ""
    assignment_category: str = ""
    job_role: str = ""
    grade: str = ""
    payroll: str = ""
    manager_person_id: str = ""
    applying: bool = False
    """An employee who also holds an offer from the same trust."""
    same_as: str = ""
    """Person ID of the record that stands for this human, where an operator said that two records are one human."""
    kind: str = ""
    """What a person who is no staff is: ``volunteer``, ``student``, ``bank``, ``honorary`` or ``other``."""
    jobs: tuple[Job, ...] = ()
    """Assignments in force, the one that stands for the person first. None of an applicant's."""


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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


class NonStaffRegistered(PersonEvent, frozen=True, kw_only=True):
    """A trust added someone who is not in ESR, or changed their details."""


class NonStaffEnded(PersonEvent, frozen=True, kw_only=True):
    """Someone who is not in ESR is no longer with the trust."""


class DuplicatePersonSuspected(Event, frozen=True, kw_only=True):
    """Two of ESR's records seem to be one human. An operator decides; until then both stand for themselves."""

    person_id: str
    other_person_id: str
    agree: tuple[str, ...]
    """What the two have in common: names of columns, never their values."""


class HierarchyChanged(Event, frozen=True, kw_only=True):
    """An organisation or a position, as it is on the business day. ``revision`` grows with every change of it."""

    kind: Literal["organisation", "position"]
    key: str
    revision: int
    name: str = ""
    parent: str = ""
    """The organisation above an organisation, or the organisation a position belongs to."""
    active: bool = True


class AchievementEvent(Event, frozen=True, kw_only=True):
    """Something ESR says a person has achieved.

    ``key`` is ESR's competency element ID; where one achievement stands for several certifications, the second and
    later ones have ``<element>|<certification>``.
    """

    person_id: str
    key: str
    revision: int
    competence_name: str
    achieved_on: str
    expires_on: str = ""
    reason: str = ""
    """Why it expires on that day, or why it is evidence only."""


class CompetenceAchieved(AchievementEvent, frozen=True, kw_only=True):
    """An achievement that stands for a certification in the LMS."""

    certification: str
    due_on: str = ""
    """The last expiry of a certification that has expired in the LMS; Totara counts the next one from it."""


class EvidenceRecorded(AchievementEvent, frozen=True, kw_only=True):
    """An achievement that stands for no certification: it goes into the person's evidence bank."""


class CompetenceWithdrawn(Event, frozen=True, kw_only=True):
    """ESR no longer holds an achievement it told us of."""

    person_id: str
    key: str
    revision: int
    withdraw: bool = False
    """Whether the LMS is to give it back; by the trust's own rule. Else it stays, and is reported."""


class CompetenceMirrored(Event, frozen=True, kw_only=True):
    """ESR holds by itself what the LMS holds too: the completion of that day need not be sent if it has not left."""

    person_id: str
    key: str
    revision: int
    competence_id: str
    completed_on: str
    """The day of the LMS's completion; mostly ESR's own day."""


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
    reason: str = ""
    """Why it expires on that day."""


class CertificationWithdrawn(Event, frozen=True, kw_only=True):
    """A completion that ESR was, or was to be, told of does not stand: the LMS took it back. ``key`` is its key."""

    person_id: str
    key: str
    revision: int
    reason: str = ""


class AchievementMissing(Event, frozen=True, kw_only=True):
    """A full file of ESR, newer than ESR's confirmation, does not show what it confirmed, or shows other dates."""

    person_id: str
    key: str
    reference: str
    competence_id: str
    achieved_on: str
    difference: str
    """``missing``, ``other_expiry`` or ``other_day``."""
    held: str = ""
    """What the file shows instead, as dates and ids."""


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


class PersonMatchNeeded(Event, frozen=True, kw_only=True):
    """It is not certain which LMS account is a person's. Nothing is done for them until an operator has decided."""

    person_id: str
    revision: int
    reason: str
    """A stable code: see docs/people.md."""
    candidates: int


class PersonLinked(Event, frozen=True, kw_only=True):
    """An account that was in the LMS before is now known to be a person's; ``decided_by`` is a rule or an operator."""

    person_id: str
    revision: int
    decided_by: str


class SuspensionsHeld(Event, frozen=True, kw_only=True):
    """A round would suspend more accounts than the trust's guard allows; an operator has to release them."""

    suspensions: int
    accounts: int


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


Change = Literal["new", "correction", "resend", "withdrawal"]
"""What an item asks ESR to do: load it; load it in place of an earlier one; look again at one it may not have seen;
give one back. The first three are ``TCA`` records, the last is a ``TCD``."""


class CompletionSent(Event, frozen=True, kw_only=True):
    """An item left for ESR: it stands where ESR collects. ``sent_file`` and ``position`` are its own for ever.

    ``reference`` is what ESR echoes. A resend and a withdrawal carry the reference of what they repeat or take back;
    anything else has one of its own, unique in the trust for ever.
    """

    reference: str
    person_id: str
    key: str
    competence_id: str
    achieved_on: str
    sent_file: str
    position: int
    resend: bool = False
    """The same as ``change`` being ``resend``; for consumers of earlier releases."""
    change: Change = "new"
    replaces: str = ""
    """The reference of what a correction replaces."""
    expires_on: str = ""
    sent_at: str = ""
    """ISO moment at which the file was delivered."""


class CompletionWithheld(Event, frozen=True, kw_only=True):
    """A completion is not sent, for now or for ever; ``code`` says why. It may yet be sent when the cause goes away."""

    person_id: str
    key: str
    revision: int
    code: str


class CompletionAnswer(Event, frozen=True, kw_only=True):
    """ESR's answer to one item. The newest answer to an item counts: ``revision`` orders them."""

    reference: str
    person_id: str
    key: str
    code: str = ""
    warning: bool = False
    sent_file: str = ""
    position: int = 0
    change: Change = "new"
    revision: int = 0


class CompletionConfirmed(CompletionAnswer, frozen=True, kw_only=True):
    """ESR loaded the item, or gave it back; ``esr_record_id`` is its competency element ID where it gave one."""

    esr_record_id: str = ""
    competence_id: str = ""
    """With the two days: what the item said, as it was sent."""
    achieved_on: str = ""
    expires_on: str = ""


class CompletionRejected(CompletionAnswer, frozen=True, kw_only=True):
    """ESR did not load the item; ``code`` says why."""


class ConfirmationOverdue(Event, frozen=True, kw_only=True):
    """ESR has not answered an item by the time agreed. It stays open: a late answer settles it all the same."""

    reference: str
    person_id: str
    key: str
    sent_file: str
    position: int
    change: Change = "new"
    sent_at: str
    due_at: str
    """ISO moment by which the answer was due."""


class CompletionFileAnswered(Event, frozen=True, kw_only=True):
    """ESR told of a completion file as a whole (``CFH``)."""

    sent_file: str
    status: str
    """``SUCCESS``, ``PARTIAL``, ``FAIL`` or ``DUPLICATE``, as ESR says."""
    code: str = ""


class ConfirmationUnmatched(Event, frozen=True, kw_only=True):
    """An answer of ESR fits nothing that was sent, or contradicts an earlier one. ``cause`` names the file it is in."""

    line: int
    reason: str
    """A code of ``docs/confirmations.md``."""
    reference: str = ""
    sent_file: str = ""
    position: int = 0


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
    mode: str = ""
    """``full``, ``changes`` or ``confirm``, as the profile says of its kind; empty for files that are not ESR's."""
    shows: str = ""
    """UK local time, ISO, up to which the file tells; empty where it does not say."""


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
        NonStaffRegistered,
        NonStaffEnded,
        DuplicatePersonSuspected,
        HierarchyChanged,
    ),
    "competency": (
        CompetenceAchieved,
        EvidenceRecorded,
        CompetenceWithdrawn,
        CompetenceMirrored,
        CertificationCompleted,
        CertificationWithdrawn,
        AchievementMissing,
        MappingMissing,
    ),
    "outbound": (
        AccountProvisioned,
        AccountPromoted,
        AccountSuspended,
        AccountReactivated,
        PersonMatchNeeded,
        PersonLinked,
        SuspensionsHeld,
        CertificationDelivered,
        DeliveryFailed,
        CompletionSent,
        CompletionWithheld,
    ),
    "confirmations": (
        CompletionConfirmed,
        CompletionRejected,
        ConfirmationOverdue,
        CompletionFileAnswered,
        ConfirmationUnmatched,
    ),
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
