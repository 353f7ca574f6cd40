"""Fates of lines: what may change them, and that every listener ends with the same ones."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.accounting import (
    BLOCK,
    GROUPS,
    MAX_REVISION,
    REASONS,
    Block,
    Fate,
    LineFate,
    block_of,
    from_ranges,
    summary,
    to_ranges,
)

DECIDED = [fate for fate in Fate if fate is not Fate.PENDING]
UNSETTLED = [fate for fate in DECIDED if not fate.settled]

lines = st.integers(1, 6)
decisions = st.lists(st.tuples(lines, st.sampled_from(DECIDED)), max_size=30)


def said_by_owner(decided: list[tuple[int, Fate]]) -> tuple[Block, list[LineFate]]:
    """Return the owner's block after these decisions, and everything it said on the way."""
    block = Block.empty(0)
    return block, [block.decide(line, fate) for line, fate in decided]


@pytest.mark.parametrize("fate", list(Fate))
def test_every_fate_has_a_group_and_a_sentence(fate: Fate) -> None:
    assert fate.group in GROUPS
    assert fate.reason == REASONS[fate]
    assert fate.reason


def test_the_group_is_the_first_word_of_the_fate() -> None:
    names = {fate: fate.group for fate in Fate}
    assert names[Fate.DEAD_LETTERED] == "dead_lettered"
    assert all(fate.name.lower().startswith(group) for fate, group in names.items())


def test_parked_dead_lettered_and_pending_lines_may_still_change() -> None:
    assert {fate.group for fate in Fate if not fate.settled} == {"pending", "parked", "dead_lettered"}


def test_a_block_fits_one_small_row() -> None:
    assert len(Block.empty(3).cells) == 1024


def test_an_empty_block_has_no_fates() -> None:
    assert list(Block.empty(0).lines()) == []


def test_the_first_and_the_last_line_of_a_block_do_not_touch_each_other() -> None:
    block = Block.empty(2)
    first, last = 2 * BLOCK + 1, 3 * BLOCK
    block.decide(first, Fate.APPLIED)
    block.decide(last, Fate.UNCHANGED)
    assert [(one.line, one.fate) for one in block.lines()] == [(first, Fate.APPLIED), (last, Fate.UNCHANGED)]
    assert block_of(first) == block_of(last) == 2
    assert (block_of(first - 1), block_of(last + 1)) == (1, 3)


def test_a_first_fate_has_revision_one() -> None:
    assert Block.empty(0).decide(1, Fate.APPLIED) == LineFate(1, Fate.APPLIED, 1)


def test_a_parked_line_that_is_applied_later_gets_a_higher_revision() -> None:
    block = Block.empty(0)
    block.decide(1, Fate.PARKED_PERSON_UNKNOWN)
    assert block.decide(1, Fate.APPLIED) == LineFate(1, Fate.APPLIED, 2)


def test_a_redelivered_record_does_not_park_again_what_was_settled() -> None:
    block = Block.empty(0)
    block.decide(1, Fate.APPLIED)
    assert block.decide(1, Fate.PARKED_PERSON_UNKNOWN) == LineFate(1, Fate.APPLIED, 1)


def test_a_replayed_dead_letter_can_be_applied() -> None:
    block = Block.empty(0)
    block.decide(1, Fate.DEAD_LETTERED)
    assert block.decide(1, Fate.APPLIED).fate is Fate.APPLIED


def test_the_owner_speaks_above_one_who_spoke_for_it() -> None:
    block = Block.empty(0)
    assert block.adopt(LineFate(1, Fate.DEAD_LETTERED, 0)) == LineFate(1, Fate.PENDING, 0)
    assert block.adopt(LineFate(1, Fate.APPLIED, 1)) == LineFate(1, Fate.DEAD_LETTERED, 0)
    assert block.adopt(LineFate(1, Fate.DEAD_LETTERED, 0)) is None
    assert block.get(1) == LineFate(1, Fate.APPLIED, 1)


def test_the_owner_may_confirm_what_was_said_for_it() -> None:
    block = Block.empty(0)
    block.adopt(LineFate(1, Fate.DEAD_LETTERED, 0))
    assert block.decide(1, Fate.DEAD_LETTERED) == LineFate(1, Fate.DEAD_LETTERED, 1)


def test_adopting_the_same_statement_twice_changes_nothing_the_second_time() -> None:
    block = Block.empty(0)
    block.adopt(LineFate(4, Fate.PARKED_COMPETENCE_UNKNOWN, 1))
    assert block.adopt(LineFate(4, Fate.PARKED_COMPETENCE_UNKNOWN, 1)) is None


def test_a_revision_never_overflows_its_byte() -> None:
    block = Block.empty(0)
    for number in range(MAX_REVISION + 10):
        block.decide(1, UNSETTLED[number % len(UNSETTLED)])
    assert block.get(1).revision == MAX_REVISION


def test_neighbours_that_agree_travel_as_one_range() -> None:
    fates = [LineFate(line, Fate.APPLIED, 1) for line in (3, 1, 2, 5)]
    assert to_ranges(fates) == [(1, 3, Fate.APPLIED, 1), (5, 5, Fate.APPLIED, 1)]


def test_neighbours_of_another_revision_travel_apart() -> None:
    assert len(to_ranges([LineFate(1, Fate.APPLIED, 1), LineFate(2, Fate.APPLIED, 2)])) == 2


def test_a_fate_unknown_to_this_release_is_refused() -> None:
    with pytest.raises(ValueError, match="255"):
        list(from_ranges([(1, 1, 255, 1)]))


def test_a_summary_names_every_group_and_leaves_out_what_is_pending() -> None:
    assert summary(Counter({Fate.PENDING: 3, Fate.PARKED_PERSON_UNKNOWN: 1, Fate.PARKED_COMPETENCE_UNKNOWN: 2})) == {
        "applied": 0,
        "unchanged": 0,
        "superseded": 0,
        "parked": 3,
        "ignored": 0,
        "dead_lettered": 0,
    }


@given(decisions)
def test_deciding_again_what_stands_changes_nothing(decided: list[tuple[int, Fate]]) -> None:
    block, _ = said_by_owner(decided)
    before = bytes(block.cells)
    for held in list(block.lines()):
        assert block.decide(held.line, held.fate) == held
    assert bytes(block.cells) == before


@given(decisions, lines, st.sampled_from(DECIDED))
def test_a_settled_fate_never_changes(decided: list[tuple[int, Fate]], line: int, fate: Fate) -> None:
    block, _ = said_by_owner(decided)
    held = block.get(line)
    stands = block.decide(line, fate)
    assert stands == block.get(line)
    assert (stands == held) if held.fate.settled else (stands.fate is fate)


@given(decisions, st.randoms(use_true_random=False), st.sets(lines))
def test_listeners_end_with_the_owners_block_in_any_order_and_number_of_statements(
    decided: list[tuple[int, Fate]], dice: object, refused: set[int]
) -> None:
    owner, statements = said_by_owner(decided)
    spoken = {one.line for one in statements}
    # Those who speak for an owner that never speaks: revision 0, below everything the owner says.
    statements += [LineFate(line, Fate.DEAD_LETTERED, 0) for line in refused]
    for line in refused - spoken:
        owner.adopt(LineFate(line, Fate.DEAD_LETTERED, 0))
    heard = statements + statements[::2]
    dice.shuffle(heard)  # type: ignore[attr-defined]
    listener = Block.empty(0)
    for said in heard:
        listener.adopt(said)
    assert listener.cells == owner.cells


@given(decisions, st.randoms(use_true_random=False))
def test_counts_kept_by_what_adopt_replaced_are_those_of_the_block(
    decided: list[tuple[int, Fate]], dice: object
) -> None:
    _, statements = said_by_owner(decided)
    dice.shuffle(statements)  # type: ignore[attr-defined]
    listener = Block.empty(0)
    counts: Counter[Fate] = Counter({Fate.PENDING: BLOCK})
    for said in statements:
        replaced = listener.adopt(said)
        if replaced is not None:
            counts[replaced.fate] -= 1
            counts[said.fate] += 1
    assert counts.total() == BLOCK
    assert +counts - Counter({Fate.PENDING: BLOCK}) == Counter(one.fate for one in listener.lines())


@given(st.dictionaries(st.integers(1, 2000), st.tuples(st.sampled_from(DECIDED), st.integers(0, MAX_REVISION))))
def test_ranges_unfold_to_what_was_folded(held: dict[int, tuple[Fate, int]]) -> None:
    fates = [LineFate(line, fate, revision) for line, (fate, revision) in held.items()]
    ranges = to_ranges(fates)
    assert list(from_ranges(ranges)) == sorted(fates, key=lambda one: one.line)
    assert len(ranges) <= len(fates)


@given(st.dictionaries(st.sampled_from(list(Fate)), st.integers(0, 10_000)))
def test_a_summary_adds_up_to_the_lines_that_have_a_fate(held: dict[Fate, int]) -> None:
    counts = Counter(held)
    assert sum(summary(counts).values()) == counts.total() - counts[Fate.PENDING]
