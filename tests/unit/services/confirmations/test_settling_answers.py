"""How ESR's answers settle items, whatever order the two are heard in."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.confirmations.domain import (
    NOTHING,
    Answer,
    Detail,
    FileAnswer,
    Item,
    Outcome,
    Said,
    Settled,
    Whole,
    outcome_of,
    settle,
)
from services.confirmations.file_answers import head_findings, whole_file
from shared.accounting import Fate
from shared.facts import Version

YES, NO = Outcome("confirmed", esr_record_id="12000001"), Outcome("rejected", "B204")


def at(file_no: int = 1, line: int = 3) -> Version:
    return Version(f"CMC{file_no}.DAT", file_no, line)


def answer(outcome: Outcome = YES, file_no: int = 1, line: int = 3, *, position: int = 1, kind: str = "TCA") -> Answer:
    return Answer(at(file_no, line), outcome, position, kind)


def one(result: Settled) -> Item:
    (item,) = result.items
    return item


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (("SUCCESS", "", "", "7"), Outcome("confirmed", "", False, "7")),
        (("SUCCESS", "WARNING", "B209", ""), Outcome("confirmed", "B209", True)),
        (("SUCCESS", "INFO", "R109", ""), Outcome("confirmed", "R109", False)),
        (("FAIL", "ERROR", "B204", "7"), Outcome("rejected", "B204")),
        (("", "WARNING", "X", ""), Outcome("rejected", "X")),
    ],
)
def test_anything_but_success_is_a_refusal_and_only_a_success_has_esrs_id(
    said: tuple[str, str, str, str], expected: Outcome
) -> None:
    status, kind, code, element = said
    heard = Said(echoed_reference="R", load_status=status, message_type=kind, message_code=code, esr_record_id=element)
    assert outcome_of(heard) == expected


def test_what_has_no_answer_is_open_and_an_answer_to_nothing_is_parked() -> None:
    assert one(settle([Item(1)], [], None)) == Item(1)
    assert settle([], [answer()], None).fates == {at(): Fate.PARKED_NOTHING_SENT}


def test_an_answer_to_the_record_stands_above_one_to_its_file_even_an_older_one() -> None:
    whole = Whole(Outcome("rejected", "F005"), at(9, 2))
    assert one(settle([Item(1)], [answer()], whole)).outcome == YES
    assert one(settle([Item(1)], [], whole)).outcome == whole.outcome


def test_of_the_same_answer_several_times_the_first_is_named_and_the_others_change_nothing() -> None:
    for said in permutations([answer(NO, 1), answer(YES, 2), answer(YES, 3), answer(YES, 4)]):
        result = settle([Item(1)], said, None)
        assert (one(result).outcome, one(result).version) == (YES, at(2))
        assert result.fates == {
            at(1): Fate.SUPERSEDED, at(2): Fate.APPLIED, at(3): Fate.UNCHANGED, at(4): Fate.UNCHANGED
        }  # fmt: skip
        assert result.findings == set()


def test_each_turn_from_success_to_refusal_is_odd() -> None:
    said = [answer(YES, 1), answer(NO, 2), answer(YES, 3), answer(NO, 4)]
    assert settle([Item(1)], said, None).findings == {(at(2), "C106"), (at(4), "C106")}


def test_the_place_tells_two_items_of_one_reference_apart_and_else_the_type_does() -> None:
    items = [Item(1), Item(2, "withdrawal")]
    result = settle(items, [answer(NO, line=3, position=1), answer(YES, line=4, position=2, kind="TCD")], None)
    assert ([item.outcome for item in result.items], result.findings) == ([NO, YES], set())
    by_type = settle(items, [answer(YES, position=1, kind="TCD")], None)
    assert ([item.outcome.state for item in by_type.items], by_type.findings) == (
        ["open", "confirmed"], {(at(), "C104")}
    )  # fmt: skip


def test_what_was_settled_is_never_open_again() -> None:
    assert one(settle([Item(1, "new", YES, at(), own=True)], [], None)).outcome == YES


outcomes = st.sampled_from([YES, NO, Outcome("confirmed", "B208", True)])
answered = st.builds(
    answer,
    outcomes,
    st.integers(1, 4),
    st.integers(3, 9),
    position=st.integers(1, 3),
    kind=st.sampled_from(["TCA", "TCD"]),
)


@given(st.lists(answered, unique_by=lambda said: said.version, max_size=7), st.randoms(use_true_random=False))
def test_the_order_in_which_answers_are_heard_does_not_matter(said: list[Answer], dice: object) -> None:
    items = [Item(1), Item(2, "resend"), Item(3, "withdrawal")]
    expected = settle(items, said, None)
    dice.shuffle(said)  # type: ignore[attr-defined]
    found = settle(items, said, None)
    assert (found.items, found.fates, found.findings) == (expected.items, expected.fates, expected.findings)
    # and settling again what was settled changes nothing
    assert settle(expected.items, said, None).items == expected.items


# --- answers to files -------------------------------------------------------------------------------------------


def told(
    status: str, file_no: int = 1, *, complete: bool = True, counts: int = 0, seen: int = 0, code: str = ""
) -> FileAnswer:
    return FileAnswer(at(file_no, 2), status, code, (0, 0, counts), (0, 0, seen), complete)


@pytest.mark.parametrize(
    ("detail", "status", "state"),
    [
        ("every_record", "SUCCESS", None), ("every_record", "PARTIAL", None), ("every_record", "FAIL", "rejected"),
        ("exceptions_only", "SUCCESS", "confirmed"), ("exceptions_only", "PARTIAL", "confirmed"),
        ("exceptions_only", "FAIL", "rejected"), ("file_only", "SUCCESS", "confirmed"),
        ("file_only", "PARTIAL", None), ("file_only", "FAIL", "rejected"), ("file_only", "DUPLICATE", None),
        ("exceptions_only", "DUPLICATE", None), ("every_record", "DUPLICATE", None),
    ],
)  # fmt: skip
def test_what_an_answer_to_a_file_says_of_records_depends_on_what_is_listed(
    detail: Detail, status: str, state: str | None
) -> None:
    found = whole_file([told(status)], detail)
    assert (found.outcome.state if found else None) == state


def test_with_exceptions_only_nothing_follows_before_the_answer_is_whole() -> None:
    assert whole_file([told("SUCCESS", complete=False)], "exceptions_only") is None
    assert whole_file([told("PARTIAL", counts=2, seen=1)], "exceptions_only") is None


def test_the_newest_answer_to_a_file_that_says_something_counts() -> None:
    for heads in permutations([told("FAIL", 1, code="F005"), told("DUPLICATE", 2), told("FAIL", 3, code="F006")]):
        assert whole_file(heads, "every_record") == Whole(Outcome("rejected", "F006"), at(3, 2))
    assert whole_file([told("FAIL", 2, code="F005"), told("FAIL", 1, code="F005")], "file_only") == Whole(
        Outcome("rejected", "F005"), at(1, 2)
    )
    assert whole_file([], "every_record") is None


@pytest.mark.parametrize(
    ("head", "detail", "found"),
    [
        (FileAnswer(NOTHING, "SUCCESS", "", (2, 0, 0), (1, 0, 0), True), "every_record", {"C107"}),
        (FileAnswer(NOTHING, "SUCCESS", "", (2, 0, 0), (1, 0, 0), False), "every_record", set()),
        (FileAnswer(NOTHING, "SUCCESS", "", (2, 0, 0), (0, 0, 0), True), "exceptions_only", set()),
        (FileAnswer(NOTHING, "PARTIAL", "", (2, 1, 1), (1, 0, 1), True), "exceptions_only", {"C107"}),
        (FileAnswer(NOTHING, "PARTIAL", "", (2, 1, 1), (1, 1, 1), True), "exceptions_only", set()),
        (FileAnswer(NOTHING, "PARTIAL", "", (2, 1, 1), (0, 0, 0), True), "file_only", {"C109"}),
        (FileAnswer(NOTHING, "PARTIAL", "", (2, 1, 2), (0, 0, 1), True), "file_only", {"C107"}),
        (FileAnswer(NOTHING, "DUPLICATE", "", (2, 1, 2), (0, 0, 1), True), "every_record", set()),
        (FileAnswer(NOTHING, "FAIL", "", (0, 0, 0), (0, 0, 1), True), "every_record", set()),
    ],
)
def test_what_is_odd_about_an_answer_to_a_file(head: FileAnswer, detail: Detail, found: set[str]) -> None:
    assert head_findings(head, detail, confirmed=False) == found


def test_a_refusal_of_a_file_with_confirmed_records_is_odd() -> None:
    assert head_findings(told("FAIL"), "every_record", confirmed=True) == {"C110"}
    assert head_findings(told("SUCCESS"), "every_record", confirmed=True) == set()
