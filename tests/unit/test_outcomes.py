"""Fates on their way between services."""

import msgspec
import pytest

from shared import outcomes
from shared.accounting import Fate, LineFate
from shared.outcomes import Outcomes

FATES = [
    LineFate(1, Fate.APPLIED, 1),
    LineFate(2, Fate.APPLIED, 1),
    LineFate(3, Fate.PARKED_PERSON_UNKNOWN, 4),
    LineFate(700, Fate.DEAD_LETTERED, 0),
]


def test_fates_come_out_as_they_went_in() -> None:
    read = outcomes.decode(outcomes.encode(Outcomes.of("999", "A.DAT", FATES)))
    assert (read.vpd, read.file) == ("999", "A.DAT")
    assert list(read.fates()) == FATES


def test_a_whole_file_that_was_applied_is_one_range() -> None:
    said = Outcomes.of("999", "A.DAT", [LineFate(line, Fate.APPLIED, 1) for line in range(1, 5001)])
    assert said.ranges == [(1, 5000, Fate.APPLIED, 1)]


def test_a_fate_of_a_newer_release_is_refused_when_it_is_unfolded() -> None:
    read = outcomes.decode(b'{"vpd":"999","file":"A.DAT","ranges":[[1,2,239,1]]}')
    with pytest.raises(ValueError, match="239"):
        list(read.fates())


def test_a_member_added_by_a_newer_release_is_not_looked_at() -> None:
    read = outcomes.decode(b'{"vpd":"999","file":"A.DAT","ranges":[[1,1,16,1]],"new":true}')
    assert list(read.fates()) == [LineFate(1, Fate.APPLIED, 1)]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"vpd":"999"}', b'{"vpd":"9","file":"A","ranges":[[1,1]]}'])
def test_a_body_of_another_shape_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        outcomes.decode(body)
