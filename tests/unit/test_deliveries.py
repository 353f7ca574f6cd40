"""Deliveries are cut out of a broker's bytes wherever the network breaks them; all else reaches the client library."""

import asyncio
from collections.abc import Iterator, Sequence

import pytest
from aiormq.connection import FrameReceiver
from aiormq.exceptions import AMQPConnectionError
from hypothesis import given
from hypothesis import strategies as st
from pamqp import body, commands, frame, header, heartbeat

from shared.messaging import deliveries
from shared.messaging.deliveries import HEARTBEAT, Delivery, DeliveryReader

OURS, THEIRS = 3, 4
"""Channels: of the first the deliveries are taken."""

Said = tuple[int, int, bytes]
"""A message that comes over a channel: channel, tag, body."""


def message(channel: int, tag: int, content: bytes, most: int = 10) -> list[bytes]:
    """Return the frames of a delivery, as a broker sends them."""
    properties = commands.Basic.Properties(headers={"vpd": "999"}, message_type="person.upsert")
    return [
        frame.marshal(commands.Basic.Deliver("tag", tag, False, "esr.records", "people.records"), channel),
        frame.marshal(header.ContentHeader(body_size=len(content), properties=properties), channel),
        *(frame.marshal(body.ContentBody(content[at : at + most]), channel) for at in range(0, len(content), most)),
    ]


def stream_of(chunks: Sequence[bytes]) -> asyncio.StreamReader:
    stream = asyncio.StreamReader()
    for chunk in chunks:
        stream.feed_data(chunk)
    stream.feed_eof()
    return stream


class Slowly:
    """A stream of which each reading gives the next chunk."""

    def __init__(self, chunks: Sequence[bytes]) -> None:
        self.chunks = [chunk for chunk in chunks if chunk]

    def at_eof(self) -> bool:
        return not self.chunks

    async def read(self, most: int = -1) -> bytes:
        if most < 0:
            rest, self.chunks = b"".join(self.chunks), []
            return rest
        return self.chunks.pop(0) if self.chunks else b""


def reader_of(chunks: Sequence[bytes], taken: list[Delivery]) -> DeliveryReader:
    return DeliveryReader(Slowly(chunks), {OURS: taken.append})  # type: ignore[arg-type]


async def heard_by_library(reader: DeliveryReader) -> list[tuple[int, str]]:
    """Read as the library does, to the end: channel and name of every frame."""
    receiver = FrameReceiver(reader)  # type: ignore[arg-type]
    found: list[tuple[int, str]] = []
    while True:
        try:
            _, channel, one = await receiver.get_frame()
        except (AMQPConnectionError, StopAsyncIteration):
            return found
        found.append((channel, one.name))


def pieces(data: bytes, cuts: Sequence[int]) -> Iterator[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        yield data[start:end]


said = st.lists(st.tuples(st.sampled_from([OURS, THEIRS]), st.integers(1, 2**60), st.binary(max_size=40)), max_size=8)


@given(said, st.lists(st.integers(0, 10_000), max_size=30))
async def test_wherever_the_bytes_are_cut_each_delivery_arrives_whole_and_the_library_gets_the_rest(
    messages: list[Said], cuts: list[int]
) -> None:
    everything = b"".join(
        b"".join(message(*one)) + frame.marshal(commands.Basic.Ack(one[1] % 99, True), one[0]) for one in messages
    )
    taken: list[Delivery] = []
    others = await heard_by_library(reader_of(list(pieces(everything, cuts)), taken))
    assert [(one.tag, one.body) for one in taken] == [(tag, text) for channel, tag, text in messages if channel == OURS]
    assert [channel for channel, name in others if name == "Basic.Ack"] == [one[0] for one in messages]
    assert [channel for channel, name in others if name == "Basic.Deliver"] == [
        one[0] for one in messages if one[0] == THEIRS
    ]
    whole = [
        name for channel, _, text in messages if channel == THEIRS
        for name in ["ContentHeader", *["ContentBody"] * -(-len(text) // 10)]
    ]  # fmt: skip
    assert [name for _, name in others if name.startswith("Content")] == whole


async def test_frames_of_two_channels_that_alternate_are_kept_apart() -> None:
    taken: list[Delivery] = []
    reader = DeliveryReader(
        Slowly([b"".join(b"".join(pair) for pair in zip(message(1, 7, b"one"), message(2, 8, b"two"), strict=True))]),  # type: ignore[arg-type]
        {1: taken.append, 2: taken.append},
    )
    assert await heard_by_library(reader) == []
    assert [(one.tag, one.body) for one in taken] == [(7, b"one"), (8, b"two")]


async def test_a_channel_that_is_no_longer_taken_is_the_librarys_again() -> None:
    taken: list[Delivery] = []
    takers = {OURS: taken.append}
    reader = DeliveryReader(Slowly([b"".join(message(OURS, 1, b"x")), b"".join(message(OURS, 2, b"y"))]), takers)  # type: ignore[arg-type]
    with pytest.raises(asyncio.IncompleteReadError):
        await reader.readexactly(1_000)
    assert [one.tag for one in taken] == [1, 2]
    takers.clear()
    reader = DeliveryReader(Slowly(message(OURS, 3, b"z")), takers)  # type: ignore[arg-type]
    assert [name for _, name in await heard_by_library(reader)] == ["Basic.Deliver", "ContentHeader", "ContentBody"]


async def test_while_there_are_only_deliveries_the_library_still_hears_that_the_broker_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter(range(0, 1_000, 2))
    monkeypatch.setattr(deliveries, "monotonic", lambda: next(clock))
    chunks = [b"".join(message(OURS, tag, b"body")) for tag in range(1, 6)]
    heard = await heard_by_library(reader_of(chunks, []))
    assert heard == [(0, heartbeat.Heartbeat.name)] * 5
    assert frame.marshal(heartbeat.Heartbeat(), 0) == HEARTBEAT


async def test_a_frame_without_its_end_is_left_to_the_library_which_refuses_it() -> None:
    broken = message(OURS, 1, b"x")[0][:-1] + b"\x00"
    taken: list[Delivery] = []
    reader = reader_of([broken], taken)
    assert await reader.readexactly(len(broken)) == broken
    assert taken == []


async def test_what_is_no_amqp_reaches_the_library_as_it_came() -> None:
    for answer in (b"AMQP\x00\x00\x09\x01", b"HTTP/1.1 400 Bad Request\r\n\r\n"):
        assert await reader_of([answer[:8], answer[8:]], []).readexactly(8) == answer[:8]
        reader = reader_of([answer], [])
        assert await reader.readexactly(1) + await reader.read() == answer
        assert reader.at_eof()


async def test_a_connection_that_ends_in_the_middle_of_a_frame_says_so() -> None:
    reader = DeliveryReader(stream_of([message(THEIRS, 1, b"x")[0][:9]]), {})
    with pytest.raises(asyncio.IncompleteReadError):
        await reader.readexactly(7)
