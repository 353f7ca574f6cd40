"""What a full file of ESR shows of what ESR confirmed."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.competency.comparison.compare import Confirmed, Shown, compare
from services.competency.learning import Element

FULL = 20260310_00000009
DAY, UNTIL = date(2026, 3, 3), date(2028, 3, 3)


def confirmed(
    element: str = "12000101", day: date = DAY, until: date | None = UNTIL, competence: str = "100"
) -> Confirmed:
    ends = until.isoformat() if until else ""
    return Confirmed("9000001", f"k{element}", f"L999-{element}", competence, day.isoformat(), ends, element)


def shown(
    element: str = "12000101",
    day: date | None = DAY,
    until: date | None = UNTIL,
    competence: str = "100",
    file_no: int = FULL,
    **said: str,
) -> Shown:
    kind = {"competency_type": "PERSONAL", "competency_name": "NHS|CSTF|Fire|"} | said
    element_of = Element(competency_element_id=element, competence_id=competence, date_from=day, date_to=until, **kind)
    return Shown(file_no, element_of)


def kinds(said: Confirmed, *held: Shown) -> list[tuple[str, str]]:
    return [(one.kind, one.held) for one in compare([said], held, FULL)]


def test_what_is_shown_as_it_was_confirmed_is_no_difference() -> None:
    assert kinds(confirmed(), shown()) == []


def test_what_the_full_file_does_not_show_is_missing() -> None:
    assert kinds(confirmed()) == [("missing", "")]


def test_what_only_an_older_file_showed_is_missing() -> None:
    assert kinds(confirmed(), shown(file_no=FULL - 1)) == [("missing", "")]


def test_what_a_later_file_shows_is_there() -> None:
    assert kinds(confirmed(), shown(file_no=FULL + 1)) == []


def test_a_requirement_of_a_post_is_not_an_achievement() -> None:
    assert kinds(confirmed(), shown(competency_type="REQUIREMENT")) == [("missing", "")]


def test_an_element_of_another_number_counts_where_competence_and_day_are_the_same() -> None:
    assert kinds(confirmed("12000101"), shown("777")) == []


def test_another_competence_on_that_day_does_not_count() -> None:
    assert kinds(confirmed("12000101"), shown("777", competence="200")) == [("missing", "")]


def test_another_day_is_told_with_what_is_shown() -> None:
    found = kinds(confirmed(), shown(day=DAY + timedelta(days=1)))
    assert found == [("other_day", "element 12000101, 2026-03-04 to 2028-03-03")]


def test_another_expiry_is_told_with_what_is_shown() -> None:
    assert kinds(confirmed(), shown(until=None)) == [("other_expiry", "element 12000101, 2026-03-03 to no end")]


def test_an_expiry_that_was_not_sent_is_esrs_own_affair() -> None:
    assert kinds(confirmed(until=None), shown()) == []


def test_of_two_elements_of_one_day_the_one_with_the_expiry_that_was_sent_counts() -> None:
    assert kinds(confirmed("1"), shown("2", until=None), shown("3")) == []


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 2)), max_size=6),
    st.sets(st.integers(0, 5), max_size=6),
)
def test_each_confirmed_item_is_told_of_at_most_once_and_exactly_if_it_is_not_shown(
    said: list[tuple[int, int, int]], left_out: set[int]
) -> None:
    asked = [
        confirmed(str(index), DAY + timedelta(days=day), None, f"c{index}") for index, (_, day, _) in enumerate(said)
    ]
    held = [
        shown(str(index), DAY + timedelta(days=day), None, f"c{index}")
        for index, (_, day, _) in enumerate(said)
        if index not in left_out
    ]
    found = compare(asked, held, FULL)
    assert [one.confirmed.reference for one in found] == [
        one.reference for index, one in enumerate(asked) if index in left_out
    ]
    assert all(one.kind == "missing" for one in found)
