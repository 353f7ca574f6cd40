"""Dates and numbers between the text of a file and ISO form."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.esr import values
from shared.esr.values import IsoTable, TimeFormat, fixed_number_pattern, number_pattern

DATE = TimeFormat("YYYYMMDD")
STAMP = TimeFormat("YYYYMMDD HHMMSS")


@given(st.datetimes())
def test_a_time_written_reads_back_to_the_second(moment: datetime) -> None:
    for pattern in ("YYYYMMDD HHMMSS", "DD/MM/YYYY HH:MM:SS", "{YYYY}MMDD[HHMMSS]"):
        stamp = TimeFormat(pattern)
        assert stamp.to_iso(stamp.write(moment)) == moment.replace(microsecond=0).isoformat()


@given(st.dates())
def test_a_date_written_reads_back(day: date) -> None:
    assert DATE.to_iso(DATE.write(day)) == day.isoformat()
    assert DATE.from_iso(day.isoformat()) == DATE.write(day)


@pytest.mark.parametrize(
    "text", ["", "20260230", "2026030", "202603011", "2026-03-01", "00000000", "2026030１", "2026030²", "20260301\n"]
)
def test_text_that_is_no_date_is_not_guessed(text: str) -> None:
    assert DATE.to_iso(text) is None


@pytest.mark.parametrize("text", ["20260301 240000", "20260301 126000", "20260301", "00000000 000000"])
def test_text_that_is_no_timestamp_is_not_guessed(text: str) -> None:
    assert STAMP.to_iso(text) is None


@pytest.mark.parametrize(
    "iso", ["", "20260301", "2026-W10-1", "2026-3-1", "2026-02-30", "2026-03-01T00:00:00", "٢٠٢٦-٠٣-٠١"]
)
def test_only_the_strict_spelling_of_an_iso_date_is_written(iso: str) -> None:
    assert DATE.from_iso(iso) is None


@pytest.mark.parametrize("iso", ["2026-03-01", "2026-03-01 10:00:00", "2026-03-01T10:00Z   ", "20260301T10:00:00Z"])
def test_only_the_strict_spelling_of_an_iso_timestamp_is_written(iso: str) -> None:
    assert STAMP.from_iso(iso) is None


def test_a_time_with_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        STAMP.write(datetime(2026, 3, 1, tzinfo=UTC))


@pytest.mark.parametrize("pattern", ["", "YYYYMM", "YYYYMMDDHH", "YYYYMMDDYYYY"])
def test_a_pattern_that_is_no_whole_date_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="is not made of"):
        TimeFormat(pattern)


def test_a_table_reads_what_stands_for_nothing_as_empty() -> None:
    table = IsoTable([STAMP, DATE], ["47121231"])
    assert (table["47121231"], table["20260301"], table["20260301 101500"], table["x"]) == (
        "",
        "2026-03-01",
        "2026-03-01T10:15:00",
        None,
    )
    assert table.text_of("4712-12-31") is None
    assert table.text_of("2026-03-01T10:15:00") == "20260301 101500"


@settings(max_examples=300)
@given(data=st.data())
def test_what_a_table_remembers_changes_nothing_of_what_it_says(data: st.DataObject) -> None:
    patterns = ["YYYYMMDD HHMMSS", "DD/MM/YYYY HH:MM:SS", "YYYYMMDD HHSSMM", "YYYY-MM-DDTHH:MM:SSZ"]
    stamp = TimeFormat(data.draw(st.sampled_from(patterns)))
    table = IsoTable([stamp, DATE], [])
    texts = [stamp.write(moment) for moment in data.draw(st.lists(st.datetimes(), min_size=1, max_size=6))]
    cut = data.draw(st.integers(0, 20))
    texts += [one[:cut] + other[cut:] for one in texts for other in reversed(texts)]
    texts += ["".join(data.draw(st.permutations(texts[0]))), "20260301"]
    for text in texts * 2:
        assert table[text] == (stamp.to_iso(text) or DATE.to_iso(text))


@pytest.mark.parametrize("clock", ["240000", "236000", "235960", "23596", "2359590", ""])
def test_a_time_that_no_clock_shows_is_none_however_many_good_ones_came_before(clock: str) -> None:
    table = IsoTable([STAMP], [])
    assert (table["20260301 235959"], table["20260301 000000"]) == ("2026-03-01T23:59:59", "2026-03-01T00:00:00")
    assert table[f"20260301 {clock}"] is None
    assert table["20260230 000000"] is None


def test_a_table_stays_bounded_and_right_when_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "_TABLE_LIMIT", 3)
    table = IsoTable([DATE], ["47121231"])
    for day in range(1, 29):
        assert table[f"202603{day:02d}"] == f"2026-03-{day:02d}"
        assert table.text_of(f"2026-03-{day:02d}") == f"202603{day:02d}"
        assert table["47121231"] == ""
        assert len(table) <= 3


@pytest.mark.parametrize(
    ("length", "scale", "good", "bad"),
    [
        (4, 0, ["0", "-12", "0002", "9999"], ["10000", "1.5", "", "²", " 1", "1 ", "+1", "1\n"]),
        (9, 4, ["1", "37.5", ".6", "-0.25", "99999.9999"], ["100000", "1.", "0.12345", ".", "1,5", "NaN"]),
        (2, 2, ["0.25", ".5", "-.5"], ["1.5", "1"]),
    ],
)
def test_numbers_have_their_declared_form(length: int, scale: int, good: list[str], bad: list[str]) -> None:
    pattern = number_pattern(length, scale)
    assert all(pattern.fullmatch(text) for text in good)
    assert not any(pattern.fullmatch(text) for text in bad)


def test_fixed_numbers_are_padded_to_their_length() -> None:
    assert fixed_number_pattern(3).fullmatch("007")
    assert not any(fixed_number_pattern(3).fullmatch(text) for text in ("7", "0007", "00a", "00²"))
