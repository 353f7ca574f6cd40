"""When steps are due, what was missed, what is late: over clock changes, outages, jumping clocks and many replicas."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.clock import LONDON
from shared.config import WEEKDAYS
from shared.schedule import MOST_EACH, Choice, Occurrence, Pending, Step, choose, due_at, is_late, pause, plan

DAY = date(2026, 3, 3)
EVENING = Step("completion-file", "18:00")
EACH = Step("files-due", "10:00", "each")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# --- the moment a step is due -----------------------------------------------------------------------------------

SPRING = (date(2024, 3, 31), date(2025, 3, 30), date(2026, 3, 29), date(2027, 3, 28), date(2030, 3, 31))
AUTUMN = (date(2024, 10, 27), date(2025, 10, 26), date(2026, 10, 25), date(2027, 10, 31), date(2030, 10, 27))


@pytest.mark.parametrize("day", SPRING)
@pytest.mark.parametrize("at", ["01:00", "01:01", "01:30", "01:59"])
def test_a_time_that_does_not_exist_is_due_at_the_first_moment_after_it(day: date, at: str) -> None:
    assert due_at(day, at) == utc(f"{day}T01:00")
    assert due_at(day, at).astimezone(LONDON).strftime("%H:%M") == "02:00"


@pytest.mark.parametrize("day", AUTUMN)
@pytest.mark.parametrize("at", ["01:00", "01:30", "01:59"])
def test_a_time_that_comes_twice_is_due_the_first_time(day: date, at: str) -> None:
    first = due_at(day, at)
    assert first == utc(f"{day}T00:{at[3:]}")
    assert (first + timedelta(hours=1)).astimezone(LONDON).strftime("%H:%M") == at


@pytest.mark.parametrize("day", SPRING)
def test_on_the_short_day_times_around_the_gap_are_what_the_clock_shows(day: date) -> None:
    shown = {at: due_at(day, at) for at in ("00:00", "00:59", "02:00", "18:00")}
    assert shown == {
        "00:00": utc(f"{day}T00:00"),
        "00:59": utc(f"{day}T00:59"),
        "02:00": utc(f"{day}T01:00"),
        "18:00": utc(f"{day}T17:00"),
    }


@pytest.mark.parametrize("day", AUTUMN)
def test_on_the_long_day_times_around_the_repeated_hour_are_what_the_clock_shows(day: date) -> None:
    before = day - timedelta(days=1)
    shown = {at: due_at(day, at) for at in ("00:00", "00:59", "02:00", "18:00")}
    assert shown == {
        "00:00": utc(f"{before}T23:00"),
        "00:59": utc(f"{before}T23:59"),
        "02:00": utc(f"{day}T02:00"),
        "18:00": utc(f"{day}T18:00"),
    }


times = st.times().map(lambda one: f"{one.hour:02}:{one.minute:02}")
days = st.dates(date(2020, 1, 1), date(2035, 12, 31)) | st.sampled_from((*SPRING, *AUTUMN))


@given(days, times)
def test_a_step_is_due_on_its_day_when_the_clock_shows_its_time_and_not_before(day: date, at: str) -> None:
    moment = due_at(day, at)
    shown = moment.astimezone(LONDON)
    before = (moment - timedelta(minutes=1)).astimezone(LONDON)
    assert shown.date() == day
    assert shown.strftime("%H:%M") >= at
    assert (before.date(), before.strftime("%H:%M")) < (day, at)


@given(days, times, st.integers(1, 400))
def test_a_later_day_is_due_later(day: date, at: str, more: int) -> None:
    assert due_at(day, at) < due_at(day + timedelta(days=more), at)


# --- what to plan -----------------------------------------------------------------------------------------------


def test_a_new_trust_begins_with_what_is_still_to_come_today() -> None:
    assert plan(EVENING, None, utc("2026-03-03T06:00")) == [Occurrence(DAY, utc("2026-03-03T18:00"))]


def test_what_has_passed_on_a_trusts_first_day_is_due_at_once_and_not_late() -> None:
    now = utc("2026-03-03T20:00")
    today, tomorrow = plan(EVENING, None, now)
    assert (today, tomorrow.due_at) == (Occurrence(DAY, now), utc("2026-03-04T18:00"))
    assert not is_late(EVENING, today.due_at, now)


def test_after_an_outage_every_missed_day_is_planned_and_the_next_one() -> None:
    found = plan(EVENING, DAY, utc("2026-03-06T19:00"))
    assert [one.day.day for one in found] == [4, 5, 6, 7]
    assert found[0].due_at == utc("2026-03-04T18:00")


def test_nothing_is_planned_while_the_next_day_is_still_ahead() -> None:
    assert plan(EVENING, DAY, utc("2026-03-03T17:59")) == []
    assert plan(EVENING, date(2030, 1, 1), utc("2026-03-03T17:59")) == []


def test_a_step_without_days_is_never_planned() -> None:
    assert plan(Step("files-due", "10:00", "each", ()), None, utc("2026-03-03T17:59")) == []


def test_a_step_of_working_days_has_no_other_days() -> None:
    step = Step("files-due", "10:00", "each", ("mon", "tue", "wed", "thu", "fri"))
    assert [str(one.day) for one in plan(step, date(2026, 3, 5), utc("2026-03-09T12:00"))] == [
        "2026-03-06",
        "2026-03-09",
        "2026-03-10",
    ]


# --- what to run ------------------------------------------------------------------------------------------------

NOW = utc("2026-03-09T12:00")


def waiting(*ages: int, ready: bool = True) -> list[Pending]:
    return [Pending(DAY - timedelta(days=age), NOW if ready else NOW + timedelta(minutes=1)) for age in ages]


def test_the_latest_missed_day_covers_those_before() -> None:
    assert choose(EVENING, waiting(0, 2, 1), NOW) == Choice(DAY, (DAY - timedelta(days=2), DAY - timedelta(days=1)))


def test_each_missed_day_is_run_oldest_first() -> None:
    assert choose(EACH, waiting(0, 2, 1), NOW) == Choice(DAY - timedelta(days=2))


def test_of_each_missed_day_those_longer_ago_than_a_month_are_covered() -> None:
    choice = choose(EACH, waiting(*range(MOST_EACH + 2)), NOW)
    assert choice is not None
    assert (DAY - choice.day).days == MOST_EACH - 1
    assert [(DAY - one).days for one in choice.covered] == [MOST_EACH + 1, MOST_EACH]


@pytest.mark.parametrize("step", [EVENING, EACH])
def test_what_waits_for_another_attempt_is_not_run_before(step: Step) -> None:
    assert choose(step, waiting(0, 1, ready=False), NOW) is None


def test_a_day_that_fails_does_not_hold_up_the_days_after_it() -> None:
    failing = waiting(1, ready=False)
    assert choose(EACH, [*failing, *waiting(0)], NOW) == Choice(DAY)
    assert choose(EVENING, [*failing, *waiting(0)], NOW) == Choice(DAY, (failing[0].day,))


def test_attempts_come_ever_later_and_at_least_every_hour() -> None:
    pauses = [pause(attempts).total_seconds() / 60 for attempts in range(10)]
    assert pauses == [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert pause(10_000) == timedelta(hours=1)


def test_a_step_is_late_when_it_has_not_ended_half_an_hour_after_it_was_due() -> None:
    due = utc("2026-03-03T18:00")
    assert not is_late(EVENING, due, utc("2026-03-03T18:30"))
    assert is_late(EVENING, due, utc("2026-03-03T18:31"))


# --- over any clock ---------------------------------------------------------------------------------------------


@dataclass
class Table:
    """What a service stores, and replicas that do with it what the runner does."""

    step: Step
    rows: dict[date, tuple[datetime, datetime, str]] = field(default_factory=dict)
    """Day to when it is due, when it may be tried, and its state."""
    attempts: dict[date, int] = field(default_factory=dict)
    runs: list[date] = field(default_factory=list)
    covered: dict[date, date] = field(default_factory=dict)

    def start(self, now: datetime) -> None:
        """A replica starts."""
        if "due" not in {state for _, _, state in self.rows.values()}:
            self.plan(now)

    def plan(self, now: datetime) -> None:
        for one in plan(self.step, max(self.rows, default=None), now):
            self.rows.setdefault(one.day, (one.due_at, one.due_at, "due"))

    def turn(self, now: datetime, *, fails: bool, dies: bool) -> bool:
        """One replica holds the step: it plans, chooses, and runs, fails or dies."""
        if not self._due(now):
            return False
        self.plan(now)
        choice = choose(self.step, self._due(now), now)
        if choice is None:
            return False
        for day in choice.covered:
            self.rows[day] = (*self.rows[day][:2], "settled")
            self.covered[day] = choice.day
        self.attempts[choice.day] = self.attempts.get(choice.day, 0) + 1
        due, _, _ = self.rows[choice.day]
        if fails or dies:
            rest = pause(self.attempts[choice.day] - dies)
            self.rows[choice.day] = (due, now + rest, "due")
            return not dies or rest > timedelta()
        self.rows[choice.day] = (due, now, "settled")
        self.runs.append(choice.day)
        return True

    def _due(self, now: datetime) -> list[Pending]:
        return [Pending(day, after) for day, (due, after, state) in self.rows.items() if state == "due" and due <= now]


clocks = st.lists(
    st.tuples(
        st.integers(-5 * 1440, 5 * 1440) | st.integers(0, 90) | st.just(40 * 1440),  # minutes the clock moves
        st.sampled_from(["works", "works", "fails", "dies", "starts"]),
    ),
    max_size=40,
)
steps = st.builds(Step, st.just("step"), times, st.sampled_from(["each", "latest"]))
starts = st.sampled_from((*SPRING, *AUTUMN, DAY)).map(lambda day: datetime.combine(day, datetime.min.time(), UTC))


@given(steps, starts, clocks)
def test_over_any_clock_restarts_and_deaths_each_day_is_run_or_covered_once_and_none_is_left_out(
    step: Step, now: datetime, clock: list[tuple[int, str]]
) -> None:
    table, latest = Table(step), now
    table.start(now)
    first = min(table.rows)
    for minutes, what in clock:
        now += timedelta(minutes=minutes)
        latest = max(latest, now)
        if what == "starts":
            table.start(now)
        else:
            table.turn(now, fails=what == "fails", dies=what == "dies")
    latest += timedelta(hours=2)  # longer than any pause
    while table.turn(latest, fails=False, dies=False):
        pass

    settled = sorted([*table.runs, *table.covered])
    last = max(day for day in table.rows if due_at(day, step.at) <= latest) if settled else first
    wanted = [first + timedelta(days=n) for n in range((last - first).days + 1)] if settled else []
    assert settled == wanted
    assert all(table.covered[day] in table.runs for day in table.covered if table.covered[day] not in table.covered)
    assert due_at(settled[-1] + timedelta(days=1) if settled else first, step.at) > latest
    assert min(day for day, row in table.rows.items() if row[2] == "due") > (settled[-1] if settled else date.min)


@given(steps, starts, st.lists(st.integers(0, 1000), min_size=5, max_size=60))
def test_with_a_clock_that_runs_on_and_nothing_failing_every_day_of_each_is_run_in_order(
    step: Step, now: datetime, clock: list[int]
) -> None:
    table = Table(step)
    table.start(now)
    for minutes in clock:
        now += timedelta(minutes=minutes)
        while table.turn(now, fails=False, dies=False):
            pass
    assert table.runs == sorted(table.runs)
    if step.missed == "each":
        assert not table.covered


@given(st.sets(st.sampled_from(WEEKDAYS), min_size=1), times, days, st.integers(0, 30))
def test_a_plan_names_exactly_the_days_of_the_step(some: set[str], at: str, newest: date, outage: int) -> None:
    step = Step("step", at, "each", tuple(some))  # type: ignore[arg-type]
    now = due_at(newest, at) + timedelta(days=outage, hours=2)
    found = plan(step, newest, now)
    between = [newest + timedelta(days=n) for n in range(1, (found[-1].day - newest).days + 1)]
    assert [one.day for one in found] == [day for day in between if WEEKDAYS[day.weekday()] in some]
    assert [one.due_at <= now for one in found] == [True] * (len(found) - 1) + [False]
