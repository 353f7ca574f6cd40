"""Messages as AMQP properties: nothing is lost on the way, and strangers do no harm."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import frame, header
from pamqp.commands import Basic

from shared.messaging.message import Message
from shared.messaging.topology import EVENTS, RECORDS
from shared.messaging.wire import from_delivery, to_properties

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
short = st.text(alphabet="abcXYZ.-_0123456789", min_size=1, max_size=60)

messages = st.builds(
    Message,
    exchange=st.sampled_from([EVENTS, RECORDS]),
    type=short,
    message_id=short,
    vpd=st.from_regex(r"[0-9]{3,4}", fullmatch=True),
    body=st.binary(),
    address=short,
    stream=st.sampled_from(["", "feed", "cmc", "lms"]),
    file=st.just("") | short,
    file_no=st.integers(0, 2**62),
    line=st.integers(0, 2**40),
    timestamp=st.integers(0, 2**32),
    traceparent=st.just("") | short,
    code=st.just("") | short,
    reason=words,
    queue=st.just("") | short,
    replay=st.integers(0, 1000),
)


def over_the_wire(message: Message) -> Message:
    """Write the properties as the bytes of a content header frame and read them back."""
    sent = frame.marshal(header.ContentHeader(body_size=len(message.body), properties=to_properties(message)), 1)
    _, _, received = frame.unmarshal(sent)
    assert isinstance(received, header.ContentHeader)
    return from_delivery(message.exchange, message.routing_key, received.properties, message.body)


def record(**said: Any) -> Message:
    values: dict[str, Any] = {"exchange": RECORDS, "type": "person.upsert", "message_id": "m", "vpd": "999"}
    return Message(**(values | {"body": b"{}"} | said))


def headers(**said: Any) -> Basic.Properties:
    return Basic.Properties(headers=said)


@given(messages)
def test_a_message_comes_off_the_wire_as_it_went_on(message: Message) -> None:
    assert over_the_wire(message) == message


def test_a_message_without_an_address_comes_back_addressed_by_its_type() -> None:
    assert over_the_wire(record()).routing_key == "person.upsert"


def test_messages_survive_a_restart_of_the_broker() -> None:
    assert to_properties(record()).delivery_mode == 2


def test_the_body_is_declared_as_json_and_stands_in_no_header() -> None:
    properties = to_properties(record(body=b'{"last_name":"Canary"}'))
    assert properties.content_type == "application/json"
    assert "Canary" not in str(vars(properties)) + str(properties.headers)


def test_an_event_carries_the_attributes_of_a_cloud_event() -> None:
    event = record(exchange=EVENTS, type="people.EmployeeHired", timestamp=1_772_496_000, traceparent="00-a-b-01")
    said = to_properties(event).headers or {}
    assert {name: value for name, value in said.items() if name.startswith("cloudEvents:")} == {
        "cloudEvents:specversion": "1.0",
        "cloudEvents:id": "m",
        "cloudEvents:source": "/esrbridge/999/people",
        "cloudEvents:type": "people.EmployeeHired",
        "cloudEvents:time": "2026-03-03T00:00:00Z",
        "cloudEvents:traceparent": "00-a-b-01",
    }


def test_a_record_is_no_cloud_event() -> None:
    assert not [name for name in to_properties(record()).headers or {} if name.startswith("cloudEvents:")]


def test_what_a_stranger_published_comes_out_with_empty_identity() -> None:
    read = from_delivery(RECORDS, "person.upsert", Basic.Properties(), b"hello")
    assert (read.vpd, read.message_id, read.file, read.file_no, read.line, read.timestamp) == ("", "", "", 0, 0, 0)
    assert read.type == "person.upsert"


@pytest.mark.parametrize("nonsense", ["7", 1.5, None, [1], {"a": 1}])
def test_a_header_of_another_kind_is_no_number(nonsense: Any) -> None:
    read = from_delivery(RECORDS, "person.upsert", headers(file_no=nonsense, line=nonsense, vpd="999"), b"")
    assert (read.file_no, read.line) == (0, 0)


def test_a_message_that_the_broker_gave_up_on_says_so_in_words() -> None:
    died = headers(vpd="999", **{"x-first-death-queue": "people.records", "x-first-death-reason": "delivery_limit"})
    read = from_delivery("bridge.dead", "people.records.dead", died, b"{}")
    assert (read.queue, read.code) == ("people.records", "BROKER_DELIVERY_LIMIT")
    assert "consumer stopped" in read.reason


def test_another_reason_of_the_broker_is_told_as_it_is() -> None:
    died = headers(**{"x-first-death-queue": "people.records", "x-first-death-reason": "maxlen"})
    read = from_delivery("bridge.dead", "people.records.dead", died, b"{}")
    assert (read.code, read.reason.endswith("maxlen")) == ("BROKER_MAXLEN", True)


def test_what_our_consumer_said_stands_above_what_the_broker_says() -> None:
    died = headers(code="R101", reason="mandatory", queue="people.records", **{"x-first-death-queue": "elsewhere"})
    read = from_delivery("bridge.dead", "people.records.dead", died, b"{}")
    assert (read.code, read.reason, read.queue) == ("R101", "mandatory", "people.records")


def test_the_time_of_a_message_is_kept_when_it_is_published_again() -> None:
    properties = to_properties(record(timestamp=1_772_496_000))
    assert properties.timestamp == datetime(2026, 3, 3, tzinfo=UTC)
    assert over_the_wire(over_the_wire(record(timestamp=1_772_496_000))).timestamp == 1_772_496_000
