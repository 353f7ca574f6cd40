"""One match of an expression says whether a row is sound; going through it column by column must say the same."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.esr import Profile, load_profile
from shared.esr.layout import Column, RecordLayout, ValueList
from shared.esr.row_pattern import row_pattern
from shared.esr.rows import RowFormat
from shared.esr.syntax import Syntax
from tests.unit.esr.esr_writing import plain_record

CSTF = load_profile("esr-cstf")
GDW = load_profile("esr-go-gdw")
ODD = ["", " ", "\u00a0", " x", "x ", "\0", "\r", "\ufffd", "20240431", "20240401", "20240401 101500", "47121231", "²",
       "00000000 000000", "-1", "1.5", ".5", "1,5", "Y", "y", "Yes", "EMP", "x" * 31, "x" * 241, "x" * 701, '"',
       "\\"]  # fmt: skip


def closely(row: RowFormat, text: str) -> tuple[dict[str, str], list[tuple[str, str | None]]]:
    fields, faults = row._read_closely(text.split("~"), 7)
    return fields, [(fault.code, fault.column) for fault in faults]


@pytest.mark.parametrize("profile", [CSTF, GDW], ids=lambda profile: profile.name)
@settings(max_examples=400)
@given(data=st.data())
def test_both_ways_of_reading_a_row_say_the_same(profile: Profile, data: st.DataObject) -> None:
    code = data.draw(st.sampled_from(sorted(profile.rows)))
    row = profile.rows[code]
    plain = plain_record(profile, code)
    text = row.line({name: plain[name] for name in plain}).split("~")
    for _ in range(data.draw(st.integers(0, 3))):
        text[data.draw(st.integers(1, row.width - 1))] = data.draw(st.sampled_from(ODD) | st.text(max_size=4))
    text = [cell.replace("~", "").replace("\n", "") for cell in text]
    fields, faults = row.read("~".join(text), 7)
    assert (fields, [(fault.code, fault.column) for fault in faults]) == closely(row, "~".join(text))


@pytest.mark.parametrize(("profile", "code"), [(one, code) for one in (CSTF, GDW) for code in sorted(one.rows)])
def test_a_sound_row_is_read_at_one_go(profile: Profile, code: str) -> None:
    row = profile.rows[code]
    assert row_pattern(row.layout, "~").fullmatch(row.line(plain_record(profile, code)))


def table_row(column: Column) -> RowFormat:
    record_type = Column("record_type", "F", 3, 0, "M", None, key=False)
    syntax = CSTF.syntax
    assert isinstance(syntax, Syntax)
    return RowFormat(RecordLayout("XXA", (record_type, column), (), ""), syntax)


@pytest.mark.parametrize("use", ["M", "O"])
@pytest.mark.parametrize("value", ["", " ", "a", "ab", "abc", "A", "B~", "12", "0.5", "1"])
@pytest.mark.parametrize("kind", ["X", "F", "N", "L"])
@pytest.mark.parametrize("values", [None, ["a", "ab"], ["1", "0.5", ""], ["too long for it"], ["a~b"]])
def test_a_list_is_kept_apart_from_the_form_of_its_column(
    use: str, value: str, kind: str, values: list[str] | None
) -> None:
    listed = ValueList("things", frozenset(values), closed=True) if values is not None else None
    column = Column("thing", kind, 2, 1 if kind == "N" else 0, use, listed, key=False)  # type: ignore[arg-type]
    row = table_row(column)
    fields, faults = row.read(f"XXA~{value}", 7)
    assert (fields, [(fault.code, fault.column) for fault in faults]) == closely(row, f"XXA~{value}")


def test_an_expression_has_no_place_for_a_delimiter_in_a_value() -> None:
    for profile in (CSTF, GDW):
        for code, row in profile.rows.items():
            pattern = row_pattern(row.layout, "~")
            assert pattern.fullmatch("~".join([row.layout.code, *["~"] * (row.width - 1)])) is None, code
            assert re.compile(pattern).groups == sum(column.kept for column in row.layout.columns)
