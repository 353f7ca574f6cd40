"""Records that Hypothesis makes from a profile, and files made of them, for the tests of this folder."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from hypothesis import strategies as st

from shared.esr import Column, Profile, write_file

DAY = date(2026, 3, 3)
at = datetime.fromisoformat

Fields = Mapping[str, str]


def values_of(column: Column, profile: Profile) -> st.SearchStrategy[str]:
    """Any value the column may hold, "" for none among them where it may be empty."""
    letters = st.characters(codec=profile.encoding, exclude_characters="~\0\r\n")
    strategy: st.SearchStrategy[str]
    if column.list is not None:
        strategy = st.sampled_from(sorted(column.list.values))
    elif column.type == "D":
        strategy = st.dates(max_value=date(4712, 12, 30)).map(date.isoformat)
    elif column.type in ("T", "DT"):
        strategy = st.datetimes(max_value=at("4712-12-30")).map(
            lambda moment: moment.replace(microsecond=0).isoformat()
        )
        if column.type == "DT":
            strategy |= st.dates(max_value=date(4712, 12, 30)).map(date.isoformat)
    elif column.type == "N":
        scaled = st.decimals(0, 10 ** (column.length - column.scale) - 1, places=column.scale)
        strategy = scaled.map(lambda number: f"{number:f}")
    elif column.type == "L":
        strategy = st.text("0123456789", min_size=column.length, max_size=column.length)
    else:
        strategy = st.text(letters, min_size=1, max_size=column.length)
    if column.required:
        return strategy.filter(lambda value: bool(value.strip()))
    return strategy | st.just("")


def records_of(profile: Profile, code: str) -> st.SearchStrategy[dict[str, str]]:
    """Any record of a type that can be written, its empty fields among its fields."""
    columns = [column for column in profile.records[code].columns if column.kept]
    return st.fixed_dictionaries({column.name: values_of(column, profile) for column in columns})


def plain_record(profile: Profile, code: str) -> dict[str, str]:
    """A record of a type with something simple in every kept column."""
    plain = {"D": "2026-03-03", "T": "2026-03-03T10:20:30", "DT": "2026-03-03T10:20:30", "N": "1"}
    return {
        column.name: min(column.list.values)
        if column.list
        else plain.get(column.type, "0" * column.length if column.type == "L" else "a"[: column.length])
        for column in profile.records[code].columns
        if column.kept
    }


def kind_with(profile: Profile, code: str) -> str:
    """A kind of file that holds records of a type."""
    return next(kind.code for kind in profile.kinds.values() if code in kind.records)


def write(profile: Profile, kind: str, records: Sequence[tuple[str, Fields]], seq: int = 15) -> bytes:
    """A file of VPD 999."""
    return write_file(
        profile,
        kind,
        vpd="999",
        date=DAY,
        seq=seq,
        created=at("2026-03-03T18:00:00"),
        previous_run=at("2026-03-02T18:00:00"),
        current_run=at("2026-03-03T18:00:00"),
        records=records,
    )
