"""How ESR's answers settle what was sent, in whatever order the two are heard of."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.confirmations.domain import FileAnswer, Item, settle
from shared.facts import Fact, Version

REFERENCE = "L999-0000000001"
FIRST_FILE, SECOND_FILE = "CS_999_CST_CMP_20260303_00000015.DAT", "CS_999_CST_CMP_20260304_00000016.DAT"


def sent(file: str = FIRST_FILE, position: int = 1) -> Fact:
    data = {
        "reference": REFERENCE,
        "person_id": "9000001",
        "key": "k",
        "competence_id": "5001",
        "achieved_on": "2026-03-03",
        "sent_file": file,
        "position": position,
    }
    return Fact("999", "sent", REFERENCE, file, REFERENCE, Version(file, 1, position), data)


def answer(status: str = "SUCCESS", file_no: int = 1, line: int = 2, **said: str) -> Fact:
    data = {"echoed_reference": REFERENCE, "load_status": status} | said
    version = Version(f"CMC{file_no}.DAT", file_no, line)
    return Fact("999", "answer", REFERENCE, f"{file_no}.{line}", REFERENCE, version, data)


def whole(status: str, file: str = FIRST_FILE, code: str = "") -> dict[str, tuple[Version, FileAnswer]]:
    said = FileAnswer(confirmed_file=file, file_status=status, message_code=code)
    return {file: (Version("CMC.DAT", 9, 1), said)}


def item(*facts: Fact, files: dict[str, tuple[Version, FileAnswer]] | None = None) -> Item:
    found = settle(facts, files or {})
    assert found is not None
    return found


def test_what_was_sent_is_open_until_esr_answers() -> None:
    assert (item(sent()).state, item(sent()).version) == ("open", None)


def test_an_answer_to_something_never_sent_settles_nothing() -> None:
    assert settle([answer()], {}) is None
    assert settle([], {}) is None


@pytest.mark.parametrize("facts", list(permutations([sent(), answer()])), ids=["sent first", "answered first"])
def test_either_side_may_come_first(facts: tuple[Fact, ...]) -> None:
    assert item(*facts).state == "confirmed"


def test_success_confirms_and_carries_esrs_own_record_id() -> None:
    found = item(sent(), answer(esr_record_id="12000001"))
    assert (found.state, found.esr_record_id, found.warning) == ("confirmed", "12000001", False)
    assert found.version == Version("CMC1.DAT", 1, 2)


def test_a_warning_on_success_is_still_a_confirmation() -> None:
    found = item(sent(), answer(message_type="WARNING", message_code="B202"))
    assert (found.state, found.warning, found.code) == ("confirmed", True, "B202")


@pytest.mark.parametrize("status", ["FAIL", "REJECTED", ""])
def test_anything_but_success_rejects_with_esrs_code(status: str) -> None:
    found = item(sent(), answer(status, message_code="B204", message_type="ERROR"))
    assert (found.state, found.code, found.warning) == ("rejected", "B204", False)


def test_a_file_that_failed_as_a_whole_rejects_what_was_in_it() -> None:
    found = item(sent(), files=whole("FAIL", code="F005"))
    assert (found.state, found.code, found.version) == ("rejected", "F005", Version("CMC.DAT", 9, 1))


@pytest.mark.parametrize("status", ["SUCCESS", "PARTIAL", ""])
def test_a_file_that_did_not_fail_says_nothing_of_a_record_without_an_answer(status: str) -> None:
    assert item(sent(), files=whole(status)).state == "open"


def test_another_file_that_failed_does_not_matter() -> None:
    assert item(sent(), files=whole("FAIL", SECOND_FILE)).state == "open"


def test_an_answer_to_the_record_stands_above_the_answer_to_its_file() -> None:
    assert item(sent(), answer(), files=whole("FAIL")).state == "confirmed"


@pytest.mark.parametrize("facts", list(permutations([sent(), sent(SECOND_FILE, 4)])))
def test_of_two_sendings_the_later_one_counts(facts: tuple[Fact, ...]) -> None:
    assert (item(*facts).sent.sent_file, item(*facts).sent.position) == (SECOND_FILE, 4)
    assert item(*facts, files=whole("FAIL", SECOND_FILE)).state == "rejected"
    assert item(*facts, files=whole("FAIL", FIRST_FILE)).state == "open"


def test_the_newest_answer_counts_by_file_and_then_by_line() -> None:
    assert item(sent(), answer("FAIL", 1), answer("SUCCESS", 2)).state == "confirmed"
    assert item(sent(), answer("SUCCESS", 1, 9), answer("FAIL", 2, 1)).state == "rejected"
    assert item(sent(), answer("SUCCESS", 3, 10), answer("FAIL", 3, 9)).state == "confirmed"


@given(
    st.lists(
        st.tuples(st.sampled_from(["SUCCESS", "FAIL"]), st.integers(1, 5), st.integers(1, 12)),
        unique_by=lambda o: o[1:],
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_in_which_answers_are_heard_does_not_matter(said: list[tuple[str, int, int]], dice: object) -> None:
    facts = [sent(), *(answer(*one) for one in said)]
    expected = settle(facts, {})
    dice.shuffle(facts)  # type: ignore[attr-defined]
    assert settle(facts, {}) == expected
