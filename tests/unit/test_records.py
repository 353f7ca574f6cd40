"""Record messages: what is one of ours, and what is refused without repeating its values."""

from datetime import date, datetime

import msgspec
import pytest

from shared import records
from shared.errors import RecordError
from shared.facts import Deletion, Fact, Version
from shared.messaging.message import Message

CANARY = "Zoë Canary-Placeholder"


class Wanted(msgspec.Struct, frozen=True):
    person_id: str
    starts: date
    at: datetime | None = None
    ends: date | None = None


def message(
    body: bytes = b'{"person_id":"1"}',
    *,
    vpd: str = "999",
    file_no: int = 7,
    line: int = 3,
    type: str = "person.upsert",  # noqa: A002 - the message's own word
) -> Message:
    return Message(
        exchange="esr.records",
        message_id="m",
        body=body,
        vpd=vpd,
        file="A.DAT",
        file_no=file_no,
        line=line,
        type=type,
    )


def record(**fields: str) -> records.Record:
    return records.Record(message(), "person", "upsert", fields)


def test_a_record_says_entity_action_columns_and_version() -> None:
    read = records.decode(message(records.encode({"person_id": "1", "last_name": "O'Placeholder"})))
    assert (read.entity, read.action) == ("person", "upsert")
    assert read.fields == {"person_id": "1", "last_name": "O'Placeholder"}
    assert read.version == Version("A.DAT", 7, 3)


@pytest.mark.parametrize("lost", [message(vpd=""), message(file_no=0), message(line=0)])
def test_a_message_that_does_not_say_where_it_comes_from_is_refused_with_r900(lost: Message) -> None:
    with pytest.raises(RecordError, match=r"^R900:"):
        records.decode(lost)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"a":1}', b'{"a":null}', b'{"a":{"b":"c"}}', b"\xff"])
def test_a_body_that_is_no_flat_object_of_texts_is_refused_with_r901(body: bytes) -> None:
    with pytest.raises(RecordError, match=r"^R901:"):
        records.decode(message(body))


def test_a_nul_character_is_refused_with_r106_before_it_reaches_the_database() -> None:
    with pytest.raises(RecordError, match=r"^R106:"):
        records.decode(message(rb'{"last_name":"a\u0000b"}'))


def test_columns_are_read_as_dates() -> None:
    read = records.read(record(person_id="1", starts="2026-03-03"), Wanted)
    assert read == Wanted("1", date(2026, 3, 3))


def test_columns_that_a_service_does_not_know_are_not_looked_at() -> None:
    assert records.read(record(person_id="1", starts="2026-03-03", more="x"), Wanted).person_id == "1"


@pytest.mark.parametrize(
    ("fields", "column"),
    [({"starts": "2026-03-03"}, "person_id"), ({"person_id": "1", "starts": "03/03/2026"}, "starts")],
)
def test_a_missing_or_malformed_column_is_refused_with_r902_and_its_name(fields: dict[str, str], column: str) -> None:
    with pytest.raises(RecordError, match=rf"^R902: person: .*{column}"):
        records.read(record(**fields), Wanted)


def test_the_value_of_a_malformed_column_is_not_repeated() -> None:
    with pytest.raises(RecordError) as refused:
        records.read(record(person_id="1", starts=CANARY), Wanted)
    assert "Canary" not in str(refused.value)


@pytest.mark.parametrize(
    "wrong",
    [{"at": "20260303"}, {"at": "1772496000"}, {"at": "1772496000.5"}, {"ends": "null"}, {"starts": "20260303"}],
)
def test_what_is_read_now_can_be_read_again_from_the_stored_fact(wrong: dict[str, str]) -> None:
    """Facts are stored as texts and read strictly later: a text read leniently now would poison its person."""
    fields = {"person_id": "1", "starts": "2026-03-03"} | wrong
    with pytest.raises(RecordError, match=r"^R902:"):
        records.read(record(**fields), Wanted)


def test_one_faulty_message_does_not_take_the_others_of_its_batch_along() -> None:
    good, bad = message(), message(b"[]", line=4)

    def fact(one: records.Record) -> Fact:
        return Fact(one.message.vpd, one.entity, "1", "", "", one.version, dict(one.fields))

    def deletion(one: records.Record) -> Deletion:
        raise RecordError("X1", f"nobody deletes a {one.entity}")

    batch = records.sort_out([bad, good, bad, message(line=5, type="person.delete")], fact, deletion)

    assert [one.message for one, _ in batch.facts] == [good]
    assert batch.deletions == []
    assert [(one.line, error.record_code) for one, error in batch.faulty] == [(4, "R901"), (4, "R901"), (5, "X1")]
