"""Messages as AMQP properties: nothing is lost on the way, and strangers do no harm."""

import struct
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pamqp import frame
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from shared.messaging.frames import KEPT, Frames
from shared.messaging.message import Message
from shared.messaging.topology import EVENTS, RECORDS
from shared.messaging.wire import from_delivery, from_frames

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
short = st.text(alphabet="abcXYZ.-_0123456789", min_size=1, max_size=60)

messages = st.builds(
    Message,
    exchange=st.sampled_from([EVENTS, RECORDS]),
    type=short,
    message_id=short,
    vpd=st.from_regex(r"[0-9]{3,4}", fullmatch=True),
    body=st.binary() | st.integers(0, 3 * 4096).map(bytes),
    address=short,
    stream=st.sampled_from(["", "feed", "cmc", "lms"]),
    file=st.just("") | short,
    file_no=st.integers(0, 2**62),
    line=st.integers(0, 2**40),
    timestamp=st.integers(0, 2**32 - 1),
    traceparent=st.just("") | short,
    code=st.just("") | short,
    reason=words,
    queue=st.just("") | short,
    replay=st.integers(0, 1000),
)


MOST = 4096
"""The smallest size of frame a broker may ask for."""

CHANNEL = 7


def frames_of(message: Message, *, mandatory: bool = False, frame_max: int = MOST) -> list[Any]:
    """Return the frames of a message as the client library's own decoder reads them."""
    sent = Frames(CHANNEL, frame_max, lambda *_: mandatory).of(message)
    found = []
    while sent:
        size, channel, one = frame.unmarshal(sent)
        assert channel == CHANNEL
        assert size <= (frame_max or 131_072)
        found.append(one)
        sent = sent[size:]
    return found


def properties_of(message: Message) -> Basic.Properties:
    properties = frames_of(message)[1].properties
    assert isinstance(properties, Basic.Properties)
    return properties


def over_the_wire(message: Message) -> Message:
    """Write a message as a publisher does and read it as a consumer does."""
    method, content, *parts = frames_of(message)
    body = b"".join(part.value for part in parts)
    assert len(body) == content.body_size
    return from_delivery(method.exchange, method.routing_key, content.properties, body)


def delivered(exchange: str, routing_key: str, properties: Basic.Properties, body: bytes = b"{}") -> Message:
    """Read what a broker delivers with these properties, from the payloads of its frames."""
    method = frame.marshal(Basic.Deliver("tag", 1, False, exchange, routing_key), CHANNEL)[7:-1]
    return from_frames(method, ContentHeader(body_size=len(body), properties=properties).marshal(), body)


DELIVERED = frame.marshal(Basic.Deliver("tag", 1, False, RECORDS, "person.upsert"), CHANNEL)[7:-1]


def record(**said: Any) -> Message:
    values: dict[str, Any] = {"exchange": RECORDS, "type": "person.upsert", "message_id": "m", "vpd": "999"}
    return Message(**(values | {"body": b"{}"} | said))


def headers(**said: Any) -> Basic.Properties:
    return Basic.Properties(headers=said)


@given(messages)
def test_a_message_comes_off_the_wire_as_it_went_on(message: Message) -> None:
    assert over_the_wire(message) == message


@given(messages)
def test_the_frames_of_a_message_say_what_the_librarys_decoder_says(message: Message) -> None:
    method, content, *parts = frames_of(message)
    body = b"".join(part.value for part in parts)
    read = delivered(method.exchange, method.routing_key, content.properties, body)
    assert read == from_delivery(method.exchange, method.routing_key, content.properties, body) == message


names = st.sampled_from(["vpd", "stream", "code", "line", "file_no", "replay", "x-first-death-queue", "other"])
values = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(width=32), words,
    st.lists(st.integers(0, 9), max_size=2), st.dictionaries(short, words, max_size=2),
)  # fmt: skip


seconds = st.integers(0, 2**33).map(lambda after: datetime.fromtimestamp(after, UTC))
OURS = {"content_type": "application/json", "delivery_mode": 2, "timestamp": datetime(2026, 3, 3, tzinfo=UTC)}
"""What every message of ours has."""


@example({"vpd": 2**40, "line": 2**40, "x-delivery-count": 2**40}, OURS)
@example({"x-first-death-queue": "people.records", "vpd": "999"}, OURS)
@example({"x-first-death-queue": 2**40}, OURS)
@example({"line": "seven"}, OURS)
@example({"vpd": "999"}, OURS | {"content_encoding": "utf-8", "priority": 1, "message_id": "m", "app_id": "a"})
@example({"vpd": "999"}, OURS | {"reply_to": "r", "expiration": "9"})
@example({"vpd": "999"}, OURS | {"timestamp": datetime(2110, 1, 1, tzinfo=UTC)})
@given(
    st.dictionaries(names, values, max_size=5),
    st.fixed_dictionaries(
        {},
        optional={
            "content_type": short, "content_encoding": short, "delivery_mode": st.integers(1, 2), "app_id": short,
            "priority": st.integers(0, 9), "correlation_id": short, "reply_to": short, "expiration": short,
            "message_id": short, "message_type": short, "timestamp": seconds,
        },
    ) | st.fixed_dictionaries(
        {"content_type": short, "delivery_mode": st.integers(1, 2), "timestamp": seconds},
        optional={"correlation_id": short, "message_id": short, "message_type": short},
    ),
)  # fmt: skip
def test_whatever_a_stranger_writes_reads_as_the_librarys_decoder_reads_it(
    said: dict[str, Any], others: dict[str, Any]
) -> None:
    content = ContentHeader(properties=Basic.Properties(headers=said, **others)).marshal()
    read = ContentHeader()
    read.unmarshal(content)
    expected = from_delivery(RECORDS, "person.upsert", read.properties, b"")
    assert from_frames(DELIVERED, content, b"") == expected


def test_properties_that_nobody_can_read_leave_a_message_with_empty_identity() -> None:
    content = ContentHeader(properties=headers(vpd="999", line=7)).marshal()[:20]
    read = from_frames(DELIVERED, content, b"hello")
    assert (read.vpd, read.line, read.type, read.body) == ("", 0, "person.upsert", b"hello")


def test_properties_that_end_too_soon_read_as_the_librarys_decoder_reads_them() -> None:
    properties = properties_of(record(file="a.DAT", file_no=7, line=2**40, timestamp=1_772_496_000))
    content = ContentHeader(properties=properties).marshal()
    for cut in range(len(content)):
        read = ContentHeader()
        try:
            read.unmarshal(content[:cut])
        except (IndexError, ValueError, struct.error):
            read = ContentHeader()
        expected = from_delivery(RECORDS, "person.upsert", read.properties, b"")
        assert from_frames(DELIVERED, content[:cut], b"") == expected


def test_a_message_without_an_address_comes_back_addressed_by_its_type() -> None:
    assert over_the_wire(record()).routing_key == "person.upsert"


def test_messages_survive_a_restart_of_the_broker() -> None:
    assert properties_of(record()).delivery_mode == 2


def test_the_body_is_declared_as_json_and_stands_in_no_header() -> None:
    properties = properties_of(record(body=b'{"last_name":"Canary"}'))
    assert properties.content_type == "application/json"
    assert "Canary" not in str(vars(properties)) + str(properties.headers)


def test_an_event_carries_the_attributes_of_a_cloud_event() -> None:
    event = record(exchange=EVENTS, type="people.EmployeeHired", timestamp=1_772_496_000, traceparent="00-a-b-01")
    said = properties_of(event).headers or {}
    assert {name: value for name, value in said.items() if name.startswith("cloudEvents:")} == {
        "cloudEvents:specversion": "1.0",
        "cloudEvents:id": "m",
        "cloudEvents:source": "/esrbridge/999/people",
        "cloudEvents:type": "people.EmployeeHired",
        "cloudEvents:time": "2026-03-03T00:00:00Z",
        "cloudEvents:traceparent": "00-a-b-01",
    }


def test_a_record_is_no_cloud_event() -> None:
    assert not [name for name in properties_of(record()).headers or {} if name.startswith("cloudEvents:")]


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
    properties = properties_of(record(timestamp=1_772_496_000))
    assert properties.timestamp == datetime(2026, 3, 3, tzinfo=UTC)
    assert over_the_wire(over_the_wire(record(timestamp=1_772_496_000))).timestamp == 1_772_496_000


# --- the frames themselves --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", Message.__struct_fields__)
@pytest.mark.parametrize("exchange", [EVENTS, RECORDS])
def test_messages_that_differ_in_one_thing_only_are_not_mixed_up(name: str, exchange: str) -> None:
    one = record(exchange=exchange, type="a", address="b", stream="c", file="d", code="e", reason="f", queue="g")
    value = getattr(one, name)
    other = msgspec.structs.replace(one, **{name: value + 1 if isinstance(value, int) else value + value[:1]})
    encoder = Frames(CHANNEL, MOST, lambda *_: False)
    assert encoder.of(one) == Frames(CHANNEL, MOST, lambda *_: False).of(one)
    assert encoder.of(other) == Frames(CHANNEL, MOST, lambda *_: False).of(other)


def test_more_kinds_of_message_than_are_kept_come_out_right_too() -> None:
    encoder = Frames(CHANNEL, MOST, lambda *_: False)
    said = [record(type=f"person.{number}", file_no=number) for number in range(KEPT + 10)] * 2
    assert [encoder.of(one) for one in said] == [Frames(CHANNEL, MOST, lambda *_: False).of(one) for one in said]


@pytest.mark.parametrize("size", [0, 1, MOST - 9, MOST - 8, MOST - 7, 3 * MOST, 1_000_000])
def test_a_body_of_any_size_fits_the_frames_the_broker_allows(size: int) -> None:
    said = record(body=bytes(range(256)) * (size // 256) + bytes(size % 256))
    assert over_the_wire(said).body == said.body


def test_a_broker_that_sets_no_limit_gets_frames_of_the_usual_size() -> None:
    _, _, *parts = frames_of(record(body=bytes(200_000)), frame_max=0)
    assert [len(part.value) for part in parts] == [131_064, 68_936]


@pytest.mark.parametrize("mandatory", [True, False])
def test_the_broker_is_told_whether_a_message_must_have_a_queue(mandatory: bool) -> None:
    method = frames_of(record(address="people.records"), mandatory=mandatory)[0]
    assert isinstance(method, Basic.Publish)
    assert (method.exchange, method.routing_key) == (RECORDS, "people.records")
    assert (method.mandatory, method.immediate) == (mandatory, False)


def test_a_file_name_that_is_no_text_and_too_long_for_amqp_is_cut_and_not_in_the_way() -> None:
    said = over_the_wire(record(file="x" + "\ufffd" * 255))
    assert said.file == "x" + "\ufffd" * 84
    assert said.message_id == "m"
