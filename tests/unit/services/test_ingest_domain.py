"""Which file may be applied next: strictly by number, one at a time, and each refusal under its code."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain import FEED, LMS, File, Ruling, Status, rule

CMC = "cmc"
FIRST = date(2026, 3, 2)


def window(seq: int) -> datetime:
    """Return the end of the window of file ``seq``: midnight of its day."""
    return datetime(2026, 3, 1) + timedelta(days=seq)  # noqa: DTZ001 - ESR writes UK local times


def file(
    seq: int,
    status: Status = "checked",
    *,
    mode: str = "changes",
    code: str = "",
    day: date | None = None,
    sha: str = "a",
) -> File:
    """Return file ``seq`` of a feed in which a file comes each day and each window begins where the last ended."""
    on = day or FIRST + timedelta(days=seq - 1)
    return File(
        name=f"CS_999_CST_CSC_{on:%Y%m%d}_{seq:08d}.DAT",
        sha256=sha,
        number=int(f"{on:%Y%m%d}{seq:08d}"),
        seq=seq,
        mode=mode,
        status=status,
        code=code,
        previous_run=window(seq - 1) if mode == "changes" else None,
        current_run=window(seq),
    )


def full(seq: int = 1, status: Status = "complete") -> File:
    return file(seq, status, mode="full")


def ruled(*files: File, stream: str = FEED) -> list[tuple[int, str, str]]:
    return [(one.file.seq, one.status, one.code) for one in rule(stream, files)]


def applied(files: Sequence[File], rulings: Sequence[Ruling]) -> list[File]:
    """Return the files after the rulings."""
    changes = {(one.file.name, one.file.sha256): one for one in rulings}
    return [
        replace(one, status=changes[key].status, code=changes[key].code)
        if (key := (one.name, one.sha256)) in changes
        else one
        for one in files
    ]


def test_nothing_waits_and_nothing_is_ruled() -> None:
    assert ruled() == []
    assert ruled(full(), file(2, "splitting"), file(3, "quarantined"), file(4, "refused")) == []


def test_the_first_full_file_is_let_in() -> None:
    assert ruled(full(status="checked")) == [(1, "ready", "")]


def test_the_first_full_file_may_have_any_number() -> None:
    assert ruled(full(7, "checked")) == [(7, "ready", "")]


def test_changes_before_any_full_file_wait_with_f016() -> None:
    assert ruled(file(2)) == [(2, "held", "F016")]


def test_changes_that_waited_for_a_full_file_are_let_in_after_it() -> None:
    assert ruled(full(), file(2, "held", code="F016")) == [(2, "ready", "")]


def test_the_next_file_is_let_in_when_the_one_before_is_complete() -> None:
    assert ruled(full(), file(2)) == [(2, "ready", "")]


@pytest.mark.parametrize("status", ["ready", "splitting", "split"])
def test_only_one_file_at_a_time_is_let_in(status: Status) -> None:
    assert ruled(full(status=status), file(2)) == []


def test_of_two_files_that_could_follow_only_the_first_is_let_in_now() -> None:
    assert ruled(full(), file(3), file(2)) == [(2, "ready", "")]


def test_a_gap_holds_with_f006_and_says_which_number_is_missing() -> None:
    rulings = rule(FEED, [full(), file(3)])
    assert [(one.status, one.code) for one in rulings] == [("held", "F006")]
    assert "00000002" in rulings[0].reason
    assert "00000003" in rulings[0].reason


def test_a_file_that_is_held_already_is_not_told_again() -> None:
    assert ruled(full(), file(3, "held", code="F006")) == []


def test_a_gap_that_fills_releases_those_behind_it_one_after_the_other() -> None:
    files = [full(), file(4, "held", code="F006"), file(3, "held", code="F006"), file(2)]
    order = []
    for _ in range(3):
        files = applied(files, rule(FEED, files))
        ready = [one for one in files if one.status == "ready"]
        order += [one.seq for one in ready]
        files = [replace(one, status="complete") if one in ready else one for one in files]
    assert order == [2, 3, 4]


def test_files_that_come_together_and_merely_wait_their_turn_are_no_gap() -> None:
    """An operator told of F006 would ask the sender for a file that is already here."""
    assert ruled(full(status="splitting"), file(2), file(3), file(4)) == []
    assert ruled(full(), file(2), file(3), file(4)) == [(2, "ready", "")]


def test_a_gap_behind_files_that_wait_their_turn_is_still_a_gap() -> None:
    assert ruled(full(status="splitting"), file(2), file(4)) == [(4, "held", "F006")]


def test_a_window_that_does_not_begin_where_the_last_ended_is_held_with_f008() -> None:
    assert ruled(full(), replace(file(2), previous_run=window(0))) == [(2, "held", "F008")]


def test_a_full_file_has_no_window_to_meet() -> None:
    assert ruled(full(), full(2, "checked")) == [(2, "ready", "")]


def test_the_window_counts_for_the_feed_alone() -> None:
    assert ruled(file(1, "complete"), replace(file(2), previous_run=window(0)), stream=CMC) == [(2, "ready", "")]


def test_a_file_older_than_the_last_one_is_refused_with_f015() -> None:
    assert ruled(full(5), file(3)) == [(3, "refused", "F015")]


def test_another_file_under_the_name_of_an_applied_one_is_refused_with_f014() -> None:
    assert ruled(full(), file(2, "complete"), file(2, sha="b")) == [(2, "refused", "F014")]


def test_of_two_files_of_one_name_that_wait_only_one_is_let_in_and_always_the_same() -> None:
    for files in ((file(2, sha="a"), file(2, sha="b")), (file(2, sha="b"), file(2, sha="a"))):
        rulings = rule(FEED, [full(), *files])
        assert [(one.file.sha256, one.status, one.code) for one in rulings] == [
            ("a", "ready", ""),
            ("b", "refused", "F014"),
        ]


def test_the_date_comes_before_the_number_and_the_name_decides_nothing() -> None:
    later = replace(file(2, day=date(2026, 3, 9)), name="A.DAT")
    earlier = replace(file(9, day=date(2026, 3, 3)), name="Z.DAT")
    assert ruled(full(), later, earlier) == [(9, "held", "F006"), (2, "ready", "")]


def test_a_higher_number_with_an_older_date_is_too_old() -> None:
    assert ruled(full(3), file(4, day=date(2026, 3, 1))) == [(4, "refused", "F015")]


def test_another_counter_needs_no_full_file_first() -> None:
    assert ruled(file(5), stream=CMC) == [(5, "ready", "")]


def test_another_counter_is_in_order_all_the_same() -> None:
    assert ruled(file(5, "complete"), file(7), stream=CMC) == [(7, "held", "F006")]
    assert ruled(file(5, "complete"), file(4), stream=CMC) == [(4, "refused", "F015")]


def lms(name: str, number: int, status: Status = "checked", sha: str = "a") -> File:
    return File(name, sha, number, 0, "changes", status)


def test_completion_files_are_taken_in_any_order_one_at_a_time() -> None:
    assert rule(LMS, [lms("b.csv", 2, "complete"), lms("a.csv", 1)])[0].status == "ready"
    assert [one.file.name for one in rule(LMS, [lms("b.csv", 2), lms("a.csv", 1)])] == ["a.csv"]
    assert rule(LMS, [lms("a.csv", 1, "splitting"), lms("b.csv", 2)]) == []


def test_a_completion_file_of_a_known_name_with_other_content_is_refused() -> None:
    rulings = rule(LMS, [lms("a.csv", 1, "complete"), lms("a.csv", 2, sha="b")])
    assert [(one.status, one.code) for one in rulings] == [("refused", "F014")]


@given(st.integers(2, 8).flatmap(lambda last: st.permutations(range(1, last + 1))), st.randoms(use_true_random=False))
def test_in_whatever_order_files_arrive_they_are_accepted_by_number_without_gaps(
    arrivals: list[int], dice: random.Random
) -> None:
    files: list[File] = []
    accepted: list[int] = []

    def step() -> None:
        nonlocal files
        files = applied(files, rule(FEED, files))
        assert sum(one.status in ("ready", "splitting", "split") for one in files) <= 1
        assert rule(FEED, files) == []  # ruling again changes nothing
        accepted.extend(one.seq for one in files if one.status == "ready" and one.seq not in accepted)

    def finish() -> None:
        nonlocal files
        files = [replace(one, status="complete") if one.status == "ready" else one for one in files]

    for seq in arrivals:
        files.append(full(seq, "checked") if seq == 1 else file(seq))
        step()
        if dice.random() < 0.5:
            finish()
    for _ in arrivals:
        finish()
        step()
    assert accepted == sorted(arrivals)
    assert not [one for one in files if one.status in ("checked", "held", "refused")]


@given(st.lists(st.integers(1, 6), min_size=1, max_size=10), st.sampled_from([FEED, CMC]))
def test_accepted_numbers_have_no_gaps_when_files_are_missing_or_come_again(arrivals: list[int], stream: str) -> None:
    files: list[File] = []
    for time, seq in enumerate(arrivals):
        files.append(replace(full(seq, "checked") if seq == 1 else file(seq), sha256=str(time)))
        files = applied(files, rule(stream, files))
        files = [replace(one, status="complete") if one.status == "ready" else one for one in files]
    accepted = [one.seq for one in files if one.status == "complete"]
    assert sorted(accepted) == list(range(min(accepted, default=0), min(accepted, default=0) + len(accepted)))
