"""Answers of a broker to what was published: by tag, one by one or many at once, in any order it likes."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.messaging.confirms import Confirms, Window
from shared.messaging.message import Message


def message(number: int) -> Message:
    return Message(exchange="x", type="person.upsert", message_id=f"id-{number}", vpd="999", body=b"")


def sent(confirms: Confirms, *sizes: int, done: list[int] | None = None) -> list[Window]:
    """Note windows of these sizes as written; ``done`` collects which of them came to their end."""
    ended = done if done is not None else []
    number = 0
    windows = []
    for index, size in enumerate(sizes):
        window = [message(number + place) for place in range(size)]
        windows.append(confirms.sent(window, lambda index=index: ended.append(index)))  # type: ignore[misc]
        number += size
    return windows


def states(windows: Sequence[Window]) -> list[str]:
    """Tell each window as ``open``, ``taken`` or by what went wrong."""
    said = []
    for one in windows:
        wrong = [name for name in ("refused", "unroutable", "lost") if getattr(one, name)]
        said.append("+".join(wrong) or ("taken" if one.done.is_set() else "open"))
    return said


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.data())
def test_whatever_the_order_of_answers_each_window_ends_with_its_last_and_no_sooner(
    sizes: list[int], data: st.DataObject
) -> None:
    confirms, done = Confirms(), list[int]()
    windows = sent(confirms, *sizes, done=done)
    pending = set(range(1, sum(sizes) + 1))
    refused: set[int] = set()
    firsts = [1 + sum(sizes[:index]) for index in range(len(sizes))]
    while pending:
        tag = data.draw(st.sampled_from(sorted(pending)))
        multiple, taken = data.draw(st.booleans()), data.draw(st.booleans())
        answered = {one for one in pending if one <= tag} if multiple else {tag}
        pending -= answered
        refused |= set() if taken else answered
        confirms.answer(tag, multiple=multiple, taken=taken)
        for window, first, size in zip(windows, firsts, sizes, strict=True):
            own = set(range(first, first + size))
            assert window.done.is_set() == (not own & pending)
            assert window.refused == bool(own & refused)
    assert sorted(done) == list(range(len(sizes)))


def test_one_answer_may_be_for_several_windows() -> None:
    confirms = Confirms()
    windows = sent(confirms, 2, 2, 2)
    confirms.answer(4, multiple=True, taken=True)
    assert states(windows) == ["taken", "taken", "open"]


def test_tag_zero_answers_for_everything_written_so_far() -> None:
    confirms = Confirms()
    windows = sent(confirms, 2, 3)
    confirms.answer(0, multiple=True, taken=True)
    assert states(windows) == ["taken", "taken"]
    (later,) = sent(confirms, 1)
    assert states([later]) == ["open"]


def test_a_refusal_in_the_middle_concerns_its_window_only_and_waits_for_the_rest_of_it() -> None:
    confirms = Confirms()
    windows = sent(confirms, 3, 3, 3)
    confirms.answer(5, multiple=False, taken=False)
    assert not windows[1].done.is_set()
    confirms.answer(9, multiple=True, taken=True)
    assert states(windows) == ["taken", "refused", "taken"]


def test_a_refusal_of_many_concerns_every_window_it_reaches() -> None:
    confirms = Confirms()
    windows = sent(confirms, 2, 2, 2)
    confirms.answer(1, multiple=False, taken=True)
    confirms.answer(3, multiple=True, taken=False)
    confirms.answer(6, multiple=True, taken=True)
    assert states(windows) == ["refused", "refused", "taken"]


def test_a_message_that_comes_back_makes_its_window_unroutable_though_the_broker_confirms_it() -> None:
    confirms = Confirms()
    windows = sent(confirms, 2, 2)
    confirms.returned("x", "person.upsert", "id-3")
    confirms.answer(4, multiple=True, taken=True)
    assert states(windows) == ["taken", "unroutable"]


@pytest.mark.parametrize(
    "stranger", [("y", "person.upsert", "id-0"), ("x", "person", "id-0"), ("x", "person.upsert", "")]
)
def test_a_message_that_comes_back_and_is_not_ours_concerns_nobody(stranger: tuple[str, str, str]) -> None:
    confirms = Confirms()
    windows = sent(confirms, 2)
    confirms.returned(*stranger)
    confirms.answer(2, multiple=True, taken=True)
    assert states(windows) == ["taken"]


def test_when_the_channel_ends_what_has_no_answer_is_lost_and_what_has_one_is_not() -> None:
    confirms, done = Confirms(), list[int]()
    windows = sent(confirms, 2, 2, 2, done=done)
    confirms.answer(4, multiple=False, taken=True)
    confirms.answer(2, multiple=True, taken=True)
    confirms.end()
    assert states(windows) == ["taken", "lost", "lost"]
    assert done == [0, 1, 2]


def test_an_answer_that_comes_twice_or_too_late_changes_nothing() -> None:
    confirms, done = Confirms(), list[int]()
    windows = sent(confirms, 2, 2, done=done)
    for _ in range(2):
        confirms.answer(2, multiple=True, taken=True)
        confirms.answer(1, multiple=False, taken=False)
    confirms.end()
    confirms.answer(4, multiple=True, taken=True)
    assert states(windows) == ["taken", "lost"]
    assert done == [0, 1]
