"""What an operator may do with a dead letter."""

from collections.abc import Callable

import pytest

from services.console.domain import DeadLetterError, Letter, check_discard, check_edit, check_replay

ACTIONS = [(check_replay, "replayed"), (check_discard, "discarded"), (check_edit, "edited")]


@pytest.mark.parametrize(("check", "verb"), ACTIONS)
def test_an_open_letter_may_be_replayed_discarded_and_edited(check: Callable[[Letter], None], verb: str) -> None:
    assert verb
    check(Letter("abc", "open", 3))


@pytest.mark.parametrize(
    "letter", [Letter("abc", "replayed", 1), Letter("abc", "resolved", 1), Letter("abc", "discarded", 0)]
)
@pytest.mark.parametrize(("check", "verb"), ACTIONS)
def test_a_letter_that_is_not_open_is_left_alone_and_the_refusal_says_why(
    check: Callable[[Letter], None], verb: str, letter: Letter
) -> None:
    with pytest.raises(DeadLetterError) as refused:
        check(letter)
    assert str(refused.value) == f"DEAD_LETTER: dead letter abc is {letter.state}; only an open one can be {verb}"


def test_a_refusal_is_not_worth_trying_again() -> None:
    assert not DeadLetterError.retryable
