"""Shares of what took how long."""

import pytest

from bench.national.latency import _share


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [(100, 0.99, 99), (100, 0.50, 50), (101, 0.99, 100), (50, 0.99, 50), (1, 0.99, 1), (200, 0.99, 198)],
)
def test_a_share_is_the_smallest_value_that_so_many_do_not_exceed(values: int, share: float, expected: int) -> None:
    assert _share([float(one) for one in range(1, values + 1)], share) == expected
