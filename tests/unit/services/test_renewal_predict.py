"""What Totara will hold: the action matrix, repeats, expiring, the hourly step."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.competency.renewal.periods import Period, Unit, instant, midnight
from services.competency.renewal.predict import (
    Action,
    Effect,
    Held,
    State,
    Step,
    Upload,
    after_learner,
    after_upload,
    hourly,
    predict,
)
from services.competency.renewal.totara import Method, Renewal

COMPLETION = Renewal.parse("completion", "1 year", "1 month")
EXPIRY = Renewal.parse("expiry", "1 year", "1 month")
FIXED = Renewal.parse("fixed", "1 year", "2 month", "6 month")
H, R, C, AC = Effect.HISTORY_ROW, Effect.HISTORY_REPLACED, Effect.CERTIFIED, Effect.ARCHIVED_AND_CERTIFIED


def at(text: str) -> datetime:
    return instant(datetime.fromisoformat(text))


def put(held: Held, day: str, renewal: Renewal = COMPLETION, action: int = 1, due: str = "") -> Held:
    return after_upload(held, renewal, upload(day, action, due)).held


def upload(day: str, action: int = 1, due: str = "") -> Upload:
    return Upload(Action(action), at(day), at(due) if due else None)


def standing(state: State) -> Held:
    """Someone whose last completion was on 1 June 2025, with a year to run."""
    certified = put(Held(), "2025-06-01")
    by_then = {State.CERTIFIED: "2025-07-01", State.WINDOW_OPEN: "2026-05-15", State.EXPIRED: "2026-07-01"}
    return Held() if state is State.ASSIGNED else hourly(certified, at(by_then[state]))[0]


@pytest.mark.parametrize(
    ("state", "action", "effects"),
    [
        (State.ASSIGNED, 0, (H, H, H)),
        (State.ASSIGNED, 1, (C, C, C)),
        (State.ASSIGNED, 2, (C, C, C)),
        (State.CERTIFIED, 0, (H, H, H)),
        (State.CERTIFIED, 1, (H, H, AC)),
        (State.CERTIFIED, 2, (H, H, H)),
        (State.WINDOW_OPEN, 0, (H, R, H)),
        (State.WINDOW_OPEN, 1, (H, R, C)),
        (State.WINDOW_OPEN, 2, (H, R, H)),
        (State.EXPIRED, 0, (H, R, H)),
        (State.EXPIRED, 1, (C, C, C)),
        (State.EXPIRED, 2, (C, C, C)),
    ],
)
def test_the_action_matrix_holds_in_all_its_cells(state: State, action: int, effects: tuple[Effect, ...]) -> None:
    held = standing(state)
    assert held.state is state
    days = ("2025-05-01", "2025-06-01", "2025-08-01")
    outcomes = [after_upload(held, COMPLETION, upload(day, action)) for day in days]
    assert tuple(one.effect for one in outcomes) == effects
    for day, one in zip(days, outcomes, strict=True):
        if one.effect in (C, AC):
            assert (one.held.state, one.held.completed) == (State.CERTIFIED, at(day))
        else:
            assert replace(one.held, history=held.history) == held


def test_a_newer_completion_archives_the_current_one() -> None:
    held = put(put(Held(), "2025-06-01"), "2026-01-10")
    assert held.history == {(at("2025-06-01"), at("2026-06-01"))}
    assert (held.completed, held.expires, held.due) == (at("2026-01-10"), at("2027-01-10"), at("2027-01-10"))


def test_the_same_file_three_times_leaves_one_history_copy() -> None:
    held = put(Held(), "2026-06-01")
    outcomes = [after_upload(held, COMPLETION, upload("2026-06-01"))]
    outcomes += [after_upload(outcomes[0].held, COMPLETION, upload("2026-06-01"))]
    assert [one.effect for one in outcomes] == [H, R]
    assert outcomes[1].held == replace(held, history=frozenset({(at("2026-06-01"), at("2027-06-01"))}))


def test_by_expiry_a_repeat_is_stored_with_another_expiry_than_the_record() -> None:
    held = put(put(Held(), "2025-06-10", EXPIRY), "2026-06-01", EXPIRY)
    assert held.expires == at("2027-06-10")
    echoed = put(held, "2026-06-01", EXPIRY)
    assert (at("2026-06-01"), at("2027-06-01")) in echoed.history
    assert echoed.expires == at("2027-06-10")


def test_an_echo_without_the_first_one_s_due_date_is_a_second_history_row() -> None:
    held = put(Held(), "2026-06-01", EXPIRY, due="2026-06-15")
    with_due = put(held, "2026-06-01", EXPIRY, due="2026-06-15")
    assert len(put(with_due, "2026-06-01", EXPIRY).history) == 2


def test_a_bare_date_is_older_than_the_learner_s_completion_that_day_and_tomorrow_s_is_newer() -> None:
    held = after_learner(Held(), COMPLETION, at("2026-11-22 03:46:41")).held
    today = after_upload(held, COMPLETION, upload("2026-11-22"))
    assert (today.effect, today.held.completed) == (H, at("2026-11-22 03:46:41"))
    assert after_upload(held, COMPLETION, upload("2026-11-23")).effect is AC


def test_a_learner_completes_only_when_the_window_is_open_or_nothing_stands() -> None:
    assert after_learner(standing(State.CERTIFIED), COMPLETION, at("2025-08-01")).effect is Effect.NOTHING
    for state in (State.ASSIGNED, State.WINDOW_OPEN, State.EXPIRED):
        assert after_learner(standing(state), COMPLETION, at("2026-07-02")).held.completed == at("2026-07-02")


def test_the_hourly_step_opens_the_window_with_a_copy_to_the_history() -> None:
    held, steps = hourly(put(Held(), "2025-06-01"), at("2026-05-15"))
    assert (held.state, steps) == (State.WINDOW_OPEN, (Step.WINDOW_OPENED,))
    assert held.history == {(at("2025-06-01"), at("2026-06-01"))}
    assert held.completed == at("2025-06-01")


def test_expiring_erases_the_dates_and_keeps_the_old_expiry_as_due_date() -> None:
    held, steps = hourly(put(Held(), "2025-06-01"), at("2027-01-01"))
    assert steps == (Step.WINDOW_OPENED, Step.EXPIRED)
    assert (held.state, held.completed, held.expires, held.baseline) == (State.EXPIRED, None, None, None)
    assert held.due == at("2026-06-01")


def test_a_window_does_not_open_in_the_very_second_it_begins() -> None:
    held = put(Held(), "2025-06-01")
    assert hourly(held, at("2026-05-01"))[1] == ()
    assert hourly(held, at("2026-05-01 00:00:01"))[1] == (Step.WINDOW_OPENED,)


def test_a_suspended_person_is_frozen_and_caught_up_on_at_once() -> None:
    held = replace(put(Held(), "2025-06-01"), suspended=True)
    assert hourly(held, at("2030-01-01")) == (held, ())
    assert hourly(replace(held, suspended=False), at("2030-01-01"))[1] == (Step.WINDOW_OPENED, Step.EXPIRED)


def test_a_window_longer_than_the_active_period_is_stuck_and_any_date_replaces_it() -> None:
    stuck = Renewal.parse("completion", "1 month", "1 year")
    held = put(Held(), "2025-06-01", stuck)
    assert hourly(held, at("2030-01-01")) == (held, (Step.STUCK,))
    older = after_upload(held, stuck, upload("2024-01-01"))
    assert (older.effect, older.held.completed) == (AC, at("2024-01-01"))
    assert (at("2025-06-01"), at("2025-07-01")) in older.held.history
    assert after_upload(held, stuck, upload("2024-01-01", 0)).effect is H


def test_a_stale_date_for_an_expired_person_certifies_and_expires_again_every_day() -> None:
    held, days = standing(State.EXPIRED), []
    for day in range(1, 4):
        outcome = predict(held, COMPLETION, upload("2025-06-01"), at(f"2026-07-0{day}"))
        days.append(outcome.steps)
        held = outcome.held
    assert days == [(Step.WINDOW_OPENED, Step.EXPIRED)] * 3
    assert held == standing(State.EXPIRED)


def test_a_far_older_date_moves_an_expired_person_s_due_date_back_by_years() -> None:
    outcome = predict(standing(State.EXPIRED), COMPLETION, upload("2021-06-01"), at("2026-07-01"))
    assert (outcome.held.state, outcome.held.due) == (State.EXPIRED, at("2022-06-01"))


def test_before_the_hourly_step_the_old_expiry_counts_and_after_it_the_due_date_restores_it() -> None:
    held = put(Held(), "2025-01-15", EXPIRY)
    assert held.expires == at("2026-01-15")
    expired = hourly(held, at("2026-06-01"))[0]
    assert put(held, "2026-01-10", EXPIRY).expires == at("2027-01-15")
    assert put(expired, "2026-01-10", EXPIRY).expires == at("2027-01-10")
    assert put(expired, "2026-01-10", EXPIRY, due="2026-01-15").expires == at("2027-01-15")


def test_a_completion_before_the_window_leaves_the_expiry_and_the_window_opens_again_at_once() -> None:
    held = put(Held(), "2025-12-01", EXPIRY)
    opened = hourly(held, at("2026-11-02"))[0]
    outcome = predict(opened, EXPIRY, upload("2026-10-20"), at("2026-11-22"))
    assert (outcome.held.expires, outcome.steps) == (at("2026-12-01"), (Step.WINDOW_OPENED,))


def test_an_extended_expiry_is_ignored_by_an_upload_and_used_for_the_learner() -> None:
    opened = hourly(put(Held(), "2025-12-01", EXPIRY), at("2026-11-02"))[0]
    extended = replace(opened, expires=at("2027-01-15"), due=at("2027-01-15"))
    assert put(extended, "2026-11-10", EXPIRY).expires == at("2027-12-01")
    assert after_learner(extended, EXPIRY, at("2026-11-22")).held.expires == at("2027-01-15")


def test_an_inconsistent_record_is_replaced_without_regard_to_its_expiry() -> None:
    held = replace(put(Held(), "2025-12-01", EXPIRY), due=at("2020-01-01"))
    assert put(held, "2025-11-20", EXPIRY).expires == at("2026-11-20")
    assert not replace(held, baseline=None).sound
    assert not Held(State.EXPIRED, completed=at("2020-01-01")).sound


def test_an_outcome_says_why() -> None:
    assert after_upload(standing(State.CERTIFIED), COMPLETION, upload("2025-05-01")).reason == (
        "history only: it is not newer than the current completion"
    )
    assert after_upload(standing(State.EXPIRED), COMPLETION, upload("2025-05-01")).reason == (
        "1 year from 2025-05-01, the completion; the person is expired, and any date certifies"
    )


DAYS = st.dates(datetime(2015, 1, 1).date(), datetime(2035, 1, 1).date()).map(midnight)  # noqa: DTZ001
SPANS = st.builds(Period, st.integers(2, 40), st.sampled_from([Unit.MONTH, Unit.WEEK])) | st.builds(
    Period, st.integers(1, 4), st.just(Unit.YEAR)
)
RENEWALS = st.builds(Renewal, st.sampled_from(Method), SPANS, SPANS, st.none() | SPANS)
UPLOADS = st.builds(Upload, st.sampled_from(Action), DAYS, st.none() | DAYS)
LIVES = st.lists(UPLOADS | DAYS, max_size=8)


def lived(renewal: Renewal, life: list[Upload | datetime]) -> Held:
    held = Held()
    for one in life:
        held = after_upload(held, renewal, one).held if isinstance(one, Upload) else hourly(held, one)[0]
    return held


@given(RENEWALS, LIVES, DAYS)
def test_the_hourly_step_done_twice_is_done_once(
    renewal: Renewal, life: list[Upload | datetime], now: datetime
) -> None:
    once, _ = hourly(lived(renewal, life), now)
    twice, steps = hourly(once, now)
    assert twice == once
    assert steps in ((), (Step.STUCK,))


@given(RENEWALS, LIVES, UPLOADS)
def test_an_upload_that_leaves_a_sound_record_changes_nothing_when_done_a_third_time(
    renewal: Renewal, life: list[Upload | datetime], row: Upload
) -> None:
    once = after_upload(lived(renewal, life), renewal, row).held
    twice = after_upload(once, renewal, row).held
    if once.sound:
        assert replace(twice, history=once.history) == once
        assert after_upload(twice, renewal, row).held == twice


@given(RENEWALS, LIVES, DAYS)
def test_what_is_held_is_whole_and_history_never_shrinks(
    renewal: Renewal, life: list[Upload | datetime], now: datetime
) -> None:
    held = lived(renewal, life)
    after, _ = hourly(held, now)
    assert held.history <= after.history
    assert (held.completed is None) == (held.state in (State.ASSIGNED, State.EXPIRED))
    if held.expires and held.window_opens:
        assert held.window_opens < held.expires


@given(RENEWALS, LIVES, DAYS, st.integers(1, 4000))
def test_time_moves_a_state_forward_only(
    renewal: Renewal, life: list[Upload | datetime], now: datetime, days: int
) -> None:
    order = [State.ASSIGNED, State.CERTIFIED, State.WINDOW_OPEN, State.EXPIRED]
    first, _ = hourly(lived(renewal, life), now)
    later, _ = hourly(first, now + timedelta(days=days))
    assert order.index(first.state) <= order.index(later.state)


@given(RENEWALS, LIVES, UPLOADS)
def test_history_is_all_that_saving_to_history_changes(
    renewal: Renewal, life: list[Upload | datetime], row: Upload
) -> None:
    held = lived(renewal, life)
    after = after_upload(held, renewal, replace(row, action=Action.HISTORY)).held
    assert replace(after, history=held.history) == held
