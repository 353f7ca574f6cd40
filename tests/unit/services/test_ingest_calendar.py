"""The file calendar: silence, late files and early files, each told from what came and when."""

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.calendar import Alarm, Arrival, look
from shared.config import FileCalendar

CALENDAR = FileCalendar()
START = datetime(2026, 3, 1, 12)  # noqa: DTZ001 - naive UK local times


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, minute)  # noqa: DTZ001


def came(day: int, received: datetime | None = None) -> Arrival:
    on = date(2026, 3, day)
    return Arrival(f"CSC {on}", int(f"{on:%Y%m%d}") * 10**8 + day, on, received or at(day, 3, 15))


def alarms(now: datetime, *arrivals: Arrival, calendar: FileCalendar = CALENDAR) -> list[tuple[str, str]]:
    return [(one.kind, one.subject) for one in look(calendar, arrivals, START, now)]


def test_files_that_come_day_by_day_raise_no_alarm() -> None:
    assert alarms(at(4, 23), came(2), came(3), came(4)) == []


def test_a_file_is_late_once_its_hour_has_passed_and_not_before() -> None:
    assert alarms(at(3, 9, 59), came(2)) == []
    assert alarms(at(3, 10), came(2)) == [("late", "2026-03-03")]


def test_a_late_alarm_names_the_last_file_that_came() -> None:
    assert look(CALENDAR, [came(2)], START, at(3, 10)) == [
        Alarm("late", "2026-03-03", came(2).name, came(2).number),
    ]


def test_every_day_without_a_file_is_late_for_itself() -> None:
    assert alarms(at(4, 10), came(2)) == [("late", "2026-03-03"), ("late", "2026-03-04")]


def test_days_that_have_no_file_of_their_own_are_not_missed() -> None:
    weekdays = FileCalendar(days=("mon", "tue", "wed", "thu", "fri"))
    friday = came(6)
    assert alarms(at(8, 12), friday, calendar=weekdays) == []
    assert alarms(at(9, 12), friday, calendar=weekdays) == [("late", "2026-03-09"), ("silent", "2026-03-06T03:15:00")]


def test_nothing_is_missed_from_before_the_bridge_began_to_look() -> None:
    assert alarms(START + timedelta(hours=1)) == []


def test_a_file_of_a_later_day_closes_the_matter_because_the_gap_is_told_as_a_gap() -> None:
    assert alarms(at(4, 9), came(2), came(4)) == []


def test_three_days_without_any_file_are_silence() -> None:
    last = came(2, at(2, 3, 15))
    assert ("silent", "2026-03-02T03:15:00") not in alarms(at(5, 3, 14), last)
    assert ("silent", "2026-03-02T03:15:00") in alarms(at(5, 3, 15), last)


def test_silence_counts_its_days_and_stays_one_alarm_until_a_file_comes() -> None:
    silent = [one for one in look(CALENDAR, [came(2)], START, at(7, 4)) if one.kind == "silent"]
    assert silent == [Alarm("silent", "2026-03-02T03:15:00", came(2).name, came(2).number, days=5)]
    assert [one for one in alarms(at(7, 4), came(2), came(7)) if one[0] == "silent"] == []


def test_a_trust_of_which_nothing_ever_came_is_silent_from_the_day_it_was_set_up() -> None:
    assert ("silent", START.isoformat()) in alarms(START + timedelta(days=3))


def test_a_file_before_its_day_or_its_hour_is_early() -> None:
    assert alarms(at(2, 20), came(3, at(2, 19)), came(2)) == [("early", "CSC 2026-03-03")]
    opens_at_two = FileCalendar(earliest="02:00")
    assert alarms(at(2, 9), came(2, at(2, 1, 59)), calendar=opens_at_two) == [("early", "CSC 2026-03-02")]
    assert alarms(at(2, 9), came(2, at(2, 2)), calendar=opens_at_two) == []


@pytest.mark.parametrize("days", [1, 2, 5])
def test_how_long_silence_takes_is_the_trusts_own_choice(days: int) -> None:
    calendar = FileCalendar(silent_after_days=days)
    last = came(2, at(2))
    assert ("silent", at(2).isoformat()) not in alarms(at(2 + days) - timedelta(minutes=1), last, calendar=calendar)
    assert ("silent", at(2).isoformat()) in alarms(at(2 + days), last, calendar=calendar)


@given(st.sets(st.integers(2, 20)), st.integers(2, 20), st.integers(0, 23))
def test_alarms_do_not_depend_on_the_order_of_arrivals_and_each_has_its_own_subject(
    days: set[int], day: int, hour: int
) -> None:
    arrivals = [came(one) for one in sorted(days)]
    found = look(CALENDAR, arrivals, START, at(day, hour))
    assert found == look(CALENDAR, arrivals[::-1], START, at(day, hour))
    assert len({(one.kind, one.subject) for one in found}) == len(found)
