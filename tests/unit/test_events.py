"""The domain events: named once, written and read alike, open to additions."""

import json
from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import events
from shared.events import NAMES, TYPES, Cause, Event, Person


def tree(root: type[Event]) -> list[type[Event]]:
    return [root, *(one for child in root.__subclasses__() for one in tree(child))]


EVERY = list(TYPES.items())


def strategy(kind: Any) -> st.SearchStrategy[Any]:
    """Return values for a field of an event."""
    if kind is str:
        return st.text()
    if kind is int:
        return st.integers(0, 2**53)
    if kind is bool:
        return st.booleans()
    if get_origin(kind) is Literal:
        return st.sampled_from(get_args(kind))
    if get_origin(kind) is tuple:
        return st.lists(strategy(get_args(kind)[0]), max_size=3).map(tuple)
    assert issubclass(kind, msgspec.Struct), kind
    return st.builds(kind, **{field.name: strategy(field.type) for field in msgspec.structs.fields(kind)})


def plain(kind: type[Event], *, optional: bool) -> dict[str, Any]:
    """Return the JSON of an event with distinct values, with or without the members that have a default."""
    said: dict[str, Any] = {}
    for number, field in enumerate(msgspec.structs.fields(kind)):
        if field.required or optional:
            said[field.encode_name] = value(field.type, number)
    return said


def value(kind: Any, number: int) -> Any:
    if kind is Cause:
        return {"stream": "feed", "file": "A.DAT", "file_no": 7}
    if kind is Person:
        return {"person_id": "9000001", "state": "employee"}
    if get_origin(kind) is Literal:
        return get_args(kind)[0]
    if get_origin(kind) is tuple:
        return [value(get_args(kind)[0], number)]
    return {str: f"text {number}", int: number, bool: True}[kind]


MANDATORY = {
    "ingest.FileReceived": "status",
    "ingest.FileQuarantined": "status",
    "ingest.FileHeld": "status",
    "ingest.FileSplit": "status",
    "ingest.FileCompleted": "status records",
    "people.ApplicantOffered": "person",
    "people.ApplicantWithdrawn": "person",
    "people.EmployeeHired": "person",
    "people.EmployeeChanged": "person",
    "people.EmployeeTerminated": "person",
    "people.EmployeeRehired": "person",
    "people.NonStaffRegistered": "person",
    "people.NonStaffEnded": "person",
    "people.DuplicatePersonSuspected": "person_id other_person_id agree",
    "people.HierarchyChanged": "kind key revision",
    "competency.CompetenceAchieved": "person_id key revision competence_name achieved_on certification",
    "competency.EvidenceRecorded": "person_id key revision competence_name achieved_on",
    "competency.CompetenceWithdrawn": "person_id key revision",
    "competency.CompetenceMirrored": "person_id key revision competence_id completed_on",
    "competency.CertificationCompleted": (
        "person_id key revision certification competence_id competence_name achieved_on"
    ),
    "competency.MappingMissing": "kind name",
    "outbound.AccountProvisioned": "person_id revision account_type",
    "outbound.AccountPromoted": "person_id revision account_type",
    "outbound.AccountSuspended": "person_id revision",
    "outbound.AccountReactivated": "person_id revision",
    "outbound.PersonMatchNeeded": "person_id revision reason candidates",
    "outbound.PersonLinked": "person_id revision decided_by",
    "outbound.SuspensionsHeld": "suspensions accounts",
    "outbound.CertificationDelivered": "person_id key revision as",
    "outbound.DeliveryFailed": "subject code",
    "outbound.CompletionSent": "reference person_id key competence_id achieved_on sent_file position",
    "confirmations.CompletionConfirmed": "reference person_id key",
    "confirmations.CompletionRejected": "reference person_id key",
}
"""Members that the first release demanded, besides ``vpd`` and ``cause``. Messages of old replicas have no others."""


@pytest.mark.parametrize("name", sorted(MANDATORY))
def test_no_member_is_demanded_that_an_older_release_did_not_write(name: str) -> None:
    demanded = {field.encode_name for field in msgspec.structs.fields(TYPES[name]) if field.required}
    assert demanded <= {"vpd", "cause", *MANDATORY[name].split()}


def test_every_event_that_is_no_mere_base_has_a_name() -> None:
    unnamed = {kind for kind in tree(Event) if kind not in NAMES}
    assert all(kind.__subclasses__() for kind in unnamed), unnamed
    assert {kind.__name__ for kind in unnamed} == {
        "Event",
        "PersonEvent",
        "AchievementEvent",
        "CompletionAnswer",
        "FileEvent",
    }


def test_names_are_unique_and_say_service_and_event() -> None:
    assert len(NAMES) == len(TYPES) == sum(len(published) for published in events._PUBLISHED.values())
    assert {name.partition(".")[2] for name in TYPES} == {kind.__name__ for kind in NAMES}
    assert {name.partition(".")[0] for name in TYPES} == {"ingest", "people", "competency", "outbound", "confirmations"}


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_a_whole_event_is_read_and_written_unchanged(name: str, kind: type[Event]) -> None:
    said = plain(kind, optional=True)
    read = events.decode(name, json.dumps(said).encode())
    assert type(read) is kind
    assert json.loads(events.encode(read)) == said


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_members_of_a_newer_release_are_not_looked_at(name: str, kind: type[Event]) -> None:
    said = plain(kind, optional=True)
    newer = said | {"added_later": {"any": ["thing"]}, "cause": {**said["cause"], "added_later": 1}}
    assert events.decode(name, json.dumps(newer).encode()) == events.decode(name, json.dumps(said).encode())


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_members_that_an_older_release_left_out_have_defaults(name: str, kind: type[Event]) -> None:
    read = events.decode(name, json.dumps(plain(kind, optional=False)).encode())
    for field in msgspec.structs.fields(kind):
        if not field.required:
            assert getattr(read, field.name) == field.default


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_an_event_without_trust_or_cause_is_refused(name: str, kind: type[Event]) -> None:
    for member in ("vpd", "cause"):
        said = plain(kind, optional=True)
        del said[member]
        with pytest.raises(msgspec.ValidationError, match=member):
            events.decode(name, json.dumps(said).encode())


@given(st.data())
def test_any_event_comes_out_as_it_went_in(data: st.DataObject) -> None:
    name, kind = data.draw(st.sampled_from(EVERY))
    event = data.draw(strategy(kind))
    assert events.decode(name, events.encode(event)) == event


def test_an_event_unknown_to_this_release_is_told_apart_from_one_with_wrong_contents() -> None:
    with pytest.raises(KeyError):
        events.decode("people.EmployeePromoted", b"{}")
    with pytest.raises(msgspec.ValidationError):
        events.decode("people.EmployeeHired", b"{}")


def test_a_state_unknown_to_this_release_is_refused() -> None:
    said = plain(events.EmployeeHired, optional=True)
    said["person"]["state"] = "ghost"
    with pytest.raises(msgspec.ValidationError):
        events.decode("people.EmployeeHired", json.dumps(said).encode())


def test_a_person_travels_without_the_members_that_are_empty() -> None:
    event = events.EmployeeHired(
        vpd="999", cause=Cause("feed", "A.DAT", 7), person=Person(person_id="1", state="employee")
    )
    assert json.loads(events.encode(event))["person"] == {"person_id": "1", "state": "employee"}
