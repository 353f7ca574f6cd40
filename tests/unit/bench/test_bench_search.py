"""What the benchmark of lists and searches says of its figures."""

import pytest

from bench.search.asking import Asked, percentile
from bench.search.report import BEGIN, END, Results, put, table

FIGURES = Results(
    1_000, 5_000, "18", 0.5, [Asked("letters", "open", 2.04, 9.0), Asked("letters", "all", 300.0, 1_234.5)]
)


@pytest.mark.parametrize(("number", "place"), [(1, 1), (2, 2), (20, 19), (40, 38), (100, 95)])
def test_the_percentile_is_the_least_value_that_the_share_does_not_exceed(number: int, place: int) -> None:
    assert percentile([float(one) for one in range(number, 0, -1)]) == place


def test_the_table_counts_what_meets_the_goal_and_marks_what_does_not() -> None:
    said = table(FIGURES)
    assert "Of 2 questions" in said
    assert "1 are answered within 300 ms" in said
    assert said.splitlines()[-2:] == ["| letters | open | 2.0 | 9.0 |", "| letters | all | **300** | **1234** |"]


def test_the_table_stands_between_its_marks_and_is_replaced_the_next_time() -> None:
    document = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    once = put(document, "new\n")
    assert once == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    assert put(once, "new\n") == once


def test_a_document_without_the_marks_is_left_alone() -> None:
    with pytest.raises(SystemExit, match="no place"):
        put("nothing here", "new")
