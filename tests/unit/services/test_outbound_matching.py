"""Whose account is whose: linked only when everything agrees, asked when something does, never wrong."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.outbound.lms.port import Candidate, Sought
from services.outbound.matching import Match, decide, plain
from shared.account_settings import LinkSettings

BY_NI = LinkSettings(by="ni_number", ni_number_field="nino", birth_date_field="dob")
FERN = Sought(
    "999-9000001", last_name="O'Placeholder", ni_number="QQ123456A", birth_date="1990-02-01",
    email="fern@trust.example", employee_number="29000001", username="fplaceholder",
)  # fmt: skip


def account(lms_id: str = "17", **told: str) -> Candidate:
    """An account of other making that is Fern's, as far as it is not said otherwise."""
    said = {"idnumber": "", "first": "Fern", "last": "O'Placeholder", "nino": "QQ123456A", "dob": "1990-02-01"} | told
    return Candidate(
        lms_id, said["idnumber"], said.get("username", f"user{lms_id}"), said["first"], said["last"],
        said.get("email", ""), fields={"nino": said["nino"], "dob": said["dob"]},
    )  # fmt: skip


def by_ni(*candidates: Candidate) -> Match:
    return decide(FERN, "Fern", candidates, BY_NI)


def test_an_account_with_the_persons_key_is_theirs_whatever_else_it_says() -> None:
    other = account("17", idnumber="999-9000001", first="Someone", last="Else", nino="", dob="")
    assert by_ni(account("18"), other) == Match("link", "key", "17")


def test_ni_number_birth_date_and_last_name_that_agree_in_one_account_link_it() -> None:
    stranger = account("18", first="Rowan", last="Mockford", nino="QQ999999A", dob="1980-01-01")
    assert by_ni(account(), stranger) == Match("link", "all-agree", "17")


@pytest.mark.parametrize(
    "told",
    [{"nino": "qq 12 34 56 a"}, {"last": "o placeholder"}, {"last": "O\u2019PLACEHOLDER"}, {"first": "F."}],
)
def test_case_blanks_signs_and_first_names_make_no_difference(told: dict[str, str]) -> None:
    assert by_ni(account(**told)).verdict == "link"


def test_accents_make_no_difference() -> None:
    assert plain("Núñez-O'Brien") == plain("NUNEZ OBRIEN")


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"last": "Mockford"}, "ni-number-agrees-alone"),
        ({"dob": "1990-01-02"}, "ni-number-agrees-alone"),
        ({"dob": ""}, "ni-number-agrees-alone"),
        ({"nino": "QQ123465A"}, "ni-number-differs"),
        ({"nino": ""}, "ni-number-missing"),
        ({"nino": "", "dob": ""}, "ni-number-missing"),
        ({"nino": "", "last": "Mockford"}, "ni-number-missing"),
    ],
)
def test_what_agrees_in_part_is_put_to_an_operator(told: dict[str, str], reason: str) -> None:
    assert by_ni(account(**told)) == Match("ask", reason, among=("17",))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "told",
    [
        {"first": "Rowan", "nino": "QQ654321A"},
        {"first": "Rowan", "last": "Mockford", "nino": ""},
        {"nino": "", "dob": "1985-05-05"},
        {"first": "Rowan", "nino": "", "dob": ""},
        {"nino": "QQ654321A", "dob": "1985-05-05"},
    ],
    ids=["a twin", "the same birthday", "a namesake", "the same family name", "another namesake"],
)
def test_somebody_else_is_not_taken_for_the_person(told: dict[str, str]) -> None:
    assert by_ni(account(**told)) == Match("new", "no-candidate")


def test_two_accounts_that_agree_are_put_to_an_operator() -> None:
    assert by_ni(account("17"), account("18")) == Match("ask", "several-candidates", among=("17", "18"))


def test_one_account_that_agrees_and_one_that_may_are_put_to_an_operator() -> None:
    stranger = account("19", first="Rowan", last="Mockford", nino="QQ999999A", dob="1980-01-01")
    asked = by_ni(account("17"), stranger, account("18", nino=""))
    assert asked == Match("ask", "several-candidates", among=("17", "18"))


@pytest.mark.parametrize("key", ["999-9000002", "998-9000001", "1234-5"])
def test_an_account_that_the_bridge_gave_to_another_person_or_trust_is_never_taken_away(key: str) -> None:
    assert by_ni(account(idnumber=key)) == Match("new", "no-candidate")


def test_without_a_rule_nobody_is_linked() -> None:
    assert decide(FERN, "Fern", [account()], LinkSettings()) == Match("new", "no-candidate")


@pytest.mark.parametrize(
    ("by", "told"),
    [
        ("email", {"email": "Fern@Trust.example"}),
        ("directory", {"username": "FPlaceholder"}),
        ("employee_number", {"idnumber": "29000001"}),
    ],
)
def test_another_key_links_with_the_last_name_and_asks_without(by: str, told: dict[str, str]) -> None:
    settings = LinkSettings.model_validate({"by": by})
    assert decide(FERN, "Fern", [account(**told)], settings) == Match("link", "all-agree", "17")
    assert decide(FERN, "Fern", [account(**told, last="Mockford")], settings).reason == "name-differs"
    assert decide(FERN, "Fern", [account("17", **told), account("18", **told)], settings).verdict == "ask"
    assert decide(FERN, "Fern", [account(idnumber="29000009")], settings) == Match("new", "no-candidate")


def test_an_employee_number_may_stand_in_a_profile_field() -> None:
    settings = LinkSettings(by="employee_number", employee_number_field="esr")
    held = Candidate("17", "", "x", "Fern", "OPlaceholder", fields={"esr": "29000001"})
    assert decide(FERN, "Fern", [held], settings).lms_id == "17"


@pytest.mark.parametrize("by", ["email", "directory", "employee_number"])
def test_nothing_known_agrees_with_nothing_known(by: str) -> None:
    settings = LinkSettings.model_validate({"by": by})
    blank = Sought("999-9000001", last_name="Placeholder")
    assert decide(blank, "Fern", [Candidate("17", "", "", "Fern", "Placeholder")], settings).verdict == "new"


@given(st.lists(st.sampled_from(["QQ123456A", "QQ123465A", ""]), max_size=4), st.data())
def test_the_order_of_the_candidates_makes_no_difference(numbers: list[str], data: st.DataObject) -> None:
    several = [account(str(n), nino=number) for n, number in enumerate(numbers)]
    shuffled = data.draw(st.permutations(several))
    ours, theirs = by_ni(*several), by_ni(*shuffled)
    assert (ours.verdict, ours.lms_id) == (theirs.verdict, theirs.lms_id)


# Many pairs

FIRST = ("Fern", "Rowan", "Orla", "Zoe", "Tom", "Sian", "Ivo", "Nia")
LAST = ("Placeholder", "Mockford", "Sampleton", "Specimen", "Loosestrife", "Example")


def human(dice: Random) -> dict[str, str]:
    return {
        "first": dice.choice(FIRST),
        "last": dice.choice(LAST),
        "dob": f"19{dice.randrange(60, 64)}-{dice.randrange(1, 13):02}-{dice.randrange(1, 29):02}",
        "nino": f"QQ{dice.randrange(10**6):06}{dice.choice('ABCD')}",
    }


def twin(dice: Random, of: dict[str, str]) -> dict[str, str]:
    other = dice.choice([name for name in FIRST if name != of["first"]])
    return of | {"first": other, "nino": human(dice)["nino"]}


def misspelt(dice: Random, told: dict[str, str]) -> dict[str, str]:
    """As somebody typed it in: with an error, a former name, or something left out."""
    kind = dice.choice(["nothing", "nothing", "digit", "swap", "name", "married", "no-ni", "no-dob", "day"])
    nino, last, dob = told["nino"], told["last"], told["dob"]
    place = dice.randrange(2, 7)
    changes = {
        "nothing": {},
        "digit": {"nino": nino[:place] + str(dice.randrange(10)) + nino[place + 1 :]},
        "swap": {"nino": nino[:place] + nino[place + 1] + nino[place] + nino[place + 2 :]},
        "name": {"last": last[:1] + last[2:]},
        "married": {"last": dice.choice(LAST)},
        "no-ni": {"nino": ""},
        "no-dob": {"dob": ""},
        "day": {"dob": dob[:8] + f"{dice.randrange(1, 29):02}"},
    }
    return told | changes[kind]


def test_of_100_000_pairs_with_twins_errors_and_changed_names_none_is_linked_wrongly() -> None:
    dice = Random(2026)
    linked = 0
    for number in range(100_000):
        person = human(dice)
        owners = [person, twin(dice, person), human(dice), human(dice)]
        present = [owner for owner in owners if dice.random() < 0.7]
        held = {str(n): owner for n, owner in enumerate(present)}
        typed = {lms_id: misspelt(dice, owner) for lms_id, owner in held.items()}
        candidates = [account(lms_id, **told) for lms_id, told in typed.items()]
        sought = Sought(f"999-{number}", last_name=person["last"], ni_number=person["nino"], birth_date=person["dob"])
        match = decide(sought, person["first"], candidates, BY_NI)
        if match.verdict == "link":
            linked += 1
            assert held[match.lms_id] is person
        if any(typed[lms_id] == person for lms_id, owner in held.items() if owner is person):
            assert match.verdict != "new"
    assert linked > 15_000


def test_where_nobody_mistyped_anything_no_operator_is_asked() -> None:
    dice = Random(7)
    for number in range(10_000):
        person = human(dice)
        owners = [owner for owner in (person, twin(dice, person), human(dice)) if dice.random() < 0.7]
        candidates = [account(str(n), **owner) for n, owner in enumerate(owners)]
        sought = Sought(f"999-{number}", last_name=person["last"], ni_number=person["nino"], birth_date=person["dob"])
        verdict = decide(sought, person["first"], candidates, BY_NI).verdict
        assert verdict == ("link" if any(owner is person for owner in owners) else "new")
