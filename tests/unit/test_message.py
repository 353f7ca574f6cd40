"""Messages: where they go, and ids that follow from their cause."""

import re

from hypothesis import given
from hypothesis import strategies as st

from shared.messaging.message import Message, Origin, derived_id, trace_of

HIRED = Message(exchange="bridge.events", type="people.EmployeeHired", message_id="m", vpd="999", body=b"{}")


def test_a_message_goes_by_its_type_unless_it_is_addressed_elsewhere() -> None:
    assert HIRED.routing_key == "people.EmployeeHired"
    replayed = HIRED.to("", "outbound.events")
    assert (replayed.exchange, replayed.routing_key) == ("", "outbound.events")


def test_addressing_a_message_elsewhere_keeps_what_it_is() -> None:
    moved = HIRED.to("bridge.dead", "people.records.dead")
    assert moved.to("bridge.events", "") == HIRED


def test_ids_repeat_with_their_cause_and_differ_with_it() -> None:
    assert derived_id("a", 1) == derived_id("a", 1)
    assert derived_id("a", 1) != derived_id("a", 2)


@given(st.lists(st.text(alphabet="ab1", max_size=3), max_size=4), st.lists(st.text(alphabet="ab1", max_size=3)))
def test_parts_of_a_cause_do_not_run_into_each_other(one: list[str], other: list[str]) -> None:
    assert (derived_id("x", *one) == derived_id("x", *other)) == (one == other)


def test_one_trace_for_a_file_and_one_span_for_a_line() -> None:
    first, second = trace_of("999", "A.DAT", 1), trace_of("999", "A.DAT", 2)
    assert first.split("-")[1] == second.split("-")[1]
    assert first.split("-")[2] != second.split("-")[2]
    assert trace_of("998", "A.DAT", 1).split("-")[1] != first.split("-")[1]


@given(st.text(), st.text(), st.integers(0, 2**40))
def test_a_trace_has_the_form_of_w3c_and_is_never_all_zero(vpd: str, file: str, line: int) -> None:
    trace = trace_of(vpd, file, line)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", trace)
    assert set(trace.split("-")[2]) != {"0"}


@given(st.text(), st.text(), st.integers(0, 2**40), st.integers(0, 2**40))
def test_the_origin_of_a_file_derives_the_same_ids_and_traces_in_less_time(
    vpd: str, file: str, number: int, line: int
) -> None:
    origin = Origin(vpd, file, number)
    assert origin.message_id(line) == derived_id(vpd, file, number, line) == origin.message_id(line)
    assert origin.trace(line) == trace_of(vpd, file, line)
