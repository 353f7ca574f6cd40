"""Which file may be applied next: strictly by number, one at a time, and each refusal under its code."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain import FEED, LMS, Absence, File, Policy, Ruling, Status, rule, snapshot_moment

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


def ruled(*files: File, stream: str = FEED, policy: Policy | None = None) -> list[tuple[int, str, str]]:
    return [(one.file.seq, one.status, one.code) for one in rule(stream, files, policy or Policy())]


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


def test_confirmations_are_taken_in_any_order_and_one_that_never_comes_keeps_back_none() -> None:
    def said(seq: int, status: Status = "checked") -> File:
        return file(seq, status, mode="confirm")

    assert ruled(said(5, "complete"), said(7), stream=CMC) == [(7, "ready", "")]
    assert ruled(said(5, "complete"), said(4), stream=CMC) == [(4, "ready", "")]
    assert ruled(said(5, "splitting"), said(7), stream=CMC) == []
    assert ruled(said(5, "complete"), replace(said(5), sha256="b"), stream=CMC) == [(5, "refused", "F014")]


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


# --- what an operator overrules, and what nobody can -------------------------------------------------------------


def released(file: File) -> File:
    return replace(file, status="held", code="", released=True)


def test_a_gap_that_an_operator_releases_is_passed_over_and_the_files_behind_follow() -> None:
    assert ruled(full(), released(file(3)), file(4)) == [(3, "ready", "")]
    assert ruled(full(), replace(file(3), status="complete"), file(4)) == [(4, "ready", "")]


def test_a_window_that_does_not_meet_can_be_released() -> None:
    assert ruled(full(), released(replace(file(2), previous_run=window(0)))) == [(2, "ready", "")]


def test_changes_without_a_full_file_can_be_released() -> None:
    assert ruled(released(file(2))) == [(2, "ready", "")]


def test_a_released_file_still_waits_for_the_one_before_it() -> None:
    assert ruled(full(status="splitting"), released(file(3))) == [(3, "checked", "")]


def test_what_is_refused_cannot_be_released() -> None:
    assert ruled(full(5), released(file(3))) == [(3, "refused", "F015")]
    assert ruled(full(), file(2, "complete"), replace(released(file(2)), sha256="b")) == [(2, "refused", "F014")]


def test_nobody_waits_for_a_number_that_was_discarded() -> None:
    follows = replace(file(3), previous_run=window(1))
    assert ruled(full(), file(2, "discarded"), follows) == [(3, "ready", "")]


def test_a_discarded_number_hides_no_other_gap() -> None:
    assert ruled(full(), file(2, "discarded"), file(4)) == [(4, "held", "F006")]


# --- switches of the profile -------------------------------------------------------------------------------------


def test_a_profile_may_say_that_numbers_have_gaps() -> None:
    follows = replace(file(5), previous_run=window(1))
    assert ruled(full(), follows, policy=Policy(hold_gaps=False)) == [(5, "ready", "")]


def test_a_profile_may_say_that_windows_need_not_meet() -> None:
    follows = replace(file(2), previous_run=window(0))
    assert ruled(full(), follows, policy=Policy(check_windows=False)) == [(2, "ready", "")]


def test_the_number_of_a_full_file_falls_only_where_the_profile_says_so() -> None:
    anew = replace(full(1, "checked"), number=file(1, day=date(2026, 4, 1)).number)
    assert ruled(full(7), anew) == [(1, "held", "F006")]
    assert ruled(full(7), anew, policy=Policy(number_may_fall=True)) == [(1, "ready", "")]


# --- too many full files, and full files with too few people -----------------------------------------------------

THREE_A_WEEK = Policy(full_files_a_week=3)


def test_full_files_beyond_the_number_agreed_wait_for_an_operator_with_f017() -> None:
    fulls = [full(seq) for seq in (1, 2, 3)]
    assert ruled(*fulls, full(4, "checked"), policy=THREE_A_WEEK) == [(4, "held", "F017")]
    assert ruled(*fulls, released(full(4)), policy=THREE_A_WEEK) == [(4, "ready", "")]


def test_full_files_of_the_week_before_do_not_count() -> None:
    assert ruled(full(1), full(2), full(3), full(8, "checked"), policy=THREE_A_WEEK) == [(8, "ready", "")]


def test_one_full_file_too_many_does_not_keep_the_changes_after_it_waiting() -> None:
    surplus = full(4, "checked")
    changes = replace(file(5), previous_run=window(3))
    assert ruled(full(1), full(2), full(3), surplus, changes, policy=THREE_A_WEEK) == [
        (4, "held", "F017"),
        (5, "ready", ""),
    ]


def test_a_full_file_that_leaves_out_too_many_people_waits_with_f018_and_says_how_many() -> None:
    guard = Policy(absent_percent=5)
    short = replace(full(2, "checked"), absence=Absence(absent=6, held=100))
    (ruling,) = rule(FEED, [full(), short], guard)
    assert (ruling.status, ruling.code) == ("held", "F018")
    assert "6 of 100" in ruling.reason
    assert ruled(full(), replace(released(short), absence=short.absence), policy=guard) == [(2, "ready", "")]


def test_a_full_file_that_leaves_out_just_the_share_allowed_is_let_in() -> None:
    bearable = replace(full(2, "checked"), absence=Absence(absent=5, held=100))
    assert ruled(full(), bearable, policy=Policy(absent_percent=5)) == [(2, "ready", "")]


def test_the_people_of_a_file_that_still_waits_its_turn_are_not_counted_yet() -> None:
    short = replace(full(2, "checked"), absence=Absence(absent=60, held=100))
    assert ruled(full(status="splitting"), short, policy=Policy(absent_percent=5)) == []


def test_where_nobody_is_held_nobody_is_missing() -> None:
    assert Absence(0, 0).percent == 0


# --- the moment a requested full file has to show ----------------------------------------------------------------


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, minute)  # noqa: DTZ001 - ESR writes UK local times


def test_a_request_names_the_coming_midnight_where_windows_end_at_midnight() -> None:
    assert snapshot_moment(at(9, 14, 30), at(9)) == at(10)


def test_a_request_before_any_file_names_the_coming_midnight() -> None:
    assert snapshot_moment(at(9, 14, 30), None) == at(10)


def test_a_request_follows_the_hour_at_which_the_windows_of_this_feed_end() -> None:
    assert snapshot_moment(at(9, 1), at(9, 2)) == at(10, 2)
    assert snapshot_moment(at(9, 14), at(9, 2)) == at(10, 2)


@given(st.datetimes(at(1), at(28)), st.datetimes(at(1), at(28)))
def test_a_request_is_never_for_the_past_and_always_for_the_end_of_a_window(now: datetime, end: datetime) -> None:
    moment = snapshot_moment(now, end)
    assert moment > max(now, end)
    assert moment - max(now, end) <= timedelta(days=1)
    assert moment.time() == end.time()
