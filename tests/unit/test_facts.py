"""Versions of facts compare as ESR's order of files."""

from hypothesis import given
from hypothesis import strategies as st

from shared.facts import Fact, Version, newest


def fact(file_no: int, line: int, file: str = "A.DAT") -> Fact:
    return Fact("999", "person", "1", "2026-01-01", "1", Version(file, file_no, line), {})


def test_a_later_file_is_newer_whatever_the_line() -> None:
    assert Version("B", 2, 1).order > Version("A", 1, 900).order


def test_a_later_line_of_one_file_is_newer() -> None:
    assert Version("A", 1, 10).order > Version("A", 1, 9).order


def test_the_name_of_the_file_decides_nothing() -> None:
    assert newest([fact(2, 1, "A"), fact(1, 1, "Z")]).file == "A"


def test_no_facts_rest_on_version_zero() -> None:
    assert newest([]) == Version("", 0, 0)


def test_the_slice_is_part_of_a_facts_identity_and_the_version_is_not() -> None:
    assert fact(1, 1).identity == fact(2, 2).identity == ("999", "person", "1", "2026-01-01")


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1))
def test_the_newest_is_the_highest_file_and_then_line(said: list[tuple[int, int]]) -> None:
    assert newest([fact(*one) for one in said]).order == max(said)
