"""What the Moodle driver sends, refuses by itself, and counts."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.moodle_accounts import is_email
from sandbox.moodle_errors import MoodleError
from sandbox.moodle_lookups import like
from sandbox.moodle_params import CREATE, checked, tree
from services.outbound.lms import moodle_rules
from services.outbound.lms.moodle_form import MOST, Entry, fits, packs, slices, users_form
from services.outbound.lms.moodle_rows import candidate, differences, read_rows
from services.outbound.lms.moodle_rules import fault, tidy
from services.outbound.lms.moodle_search import escaped
from services.outbound.lms.port import Account, ProfileField
from shared.moodle.call import HEAD

ZOE = Account("999-1", "zoe", "Zoë", "O'Placeholder", "zoe@trust.example", "PERM")
MENUS = {"kind": ("TEMP", "PERM")}


def field(value: str, kind: str, name: str = "kind") -> Account:
    return replace(ZOE, fields=(ProfileField(name, value, kind),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("account", "code"),
    [
        (replace(ZOE, idnumber=""), "idnumber-invalid"),
        (replace(ZOE, idnumber="9\0"), "idnumber-invalid"),
        (replace(ZOE, idnumber="9" * 256), "value-too-long"),
        (replace(ZOE, username="Zoe"), "username-invalid"),
        (replace(ZOE, username=""), "username-invalid"),
        (replace(ZOE, username="z e"), "username-invalid"),
        (replace(ZOE, username="z+e"), "username-invalid"),
        (replace(ZOE, username="zoë"), "username-invalid"),
        (replace(ZOE, username="z" * 101), "value-too-long"),
        (replace(ZOE, username="admin"), "protected-account"),
        (replace(ZOE, username="guest"), "protected-account"),
        (replace(ZOE, first_name="  "), "name-blank"),
        (replace(ZOE, last_name=""), "name-blank"),
        (replace(ZOE, last_name="x" * 101), "value-too-long"),
        (replace(ZOE, middle_names="x" * 256), "value-too-long"),
        (replace(ZOE, first_name="A<B"), "name-invalid"),
        (replace(ZOE, last_name="Al <b>x</b>"), "name-invalid"),
        (replace(ZOE, middle_names="<3"), "name-invalid"),
        (replace(ZOE, last_name="x <"), "name-invalid"),
        (replace(ZOE, last_name="x\0y"), "name-invalid"),
        (replace(ZOE, last_name="x\ud800y"), "name-invalid"),
        (replace(ZOE, email=""), "email-invalid"),
        (replace(ZOE, email="none"), "email-invalid"),
        (replace(ZOE, email="ok@localhost"), "email-invalid"),
        (replace(ZOE, email="zoë@trust.example"), "email-invalid"),
        (replace(ZOE, email=f"{'x' * 65}@trust.example"), "email-invalid"),
        (replace(ZOE, email=f"{'x' * 60}@{'y' * 40}.example"), "value-too-long"),
        (replace(ZOE, email="a@trust..example"), "email-invalid"),
        (replace(ZOE, auth=""), "auth-invalid"),
        (replace(ZOE, auth="LDAP"), "auth-invalid"),
        (field("x", "text", "a b"), "field-name-invalid"),
        (field("x\0", "text"), "value-invalid"),
        (field("Temp", "menu"), "menu-value-unknown"),
        (field("TEMP", "menu", "other"), "menu-value-unknown"),
        (field("yes", "checkbox"), "checkbox-invalid"),
        (field("15/07/2026", "date"), "date-invalid"),
        (field("2026-02-31", "date"), "date-invalid"),
        (field("2026-7-1", "date"), "date-invalid"),
        (field("20260701", "date"), "date-invalid"),
        (replace(ZOE, fields=(ProfileField("a", "1"), ProfileField("a", "2"))), "field-twice"),
    ],
)
def test_what_moodle_would_refuse_or_lose_is_refused_with_a_code_of_its_own(account: Account, code: str) -> None:
    assert fault(tidy(account), MENUS) == code


@pytest.mark.parametrize(
    "account",
    [
        ZOE,
        replace(ZOE, last_name="A < B > C"),
        replace(ZOE, last_name="  Zoë 李 🚒 "),
        replace(ZOE, username="mail.user@ex-ample.org"),
        replace(ZOE, email="o'brien@trust.example"),
        replace(ZOE, last_name="x" * 100, username="z" * 100, idnumber="9" * 255),
        field("TEMP", "menu"),
        field("", "menu", "other"),
        field("", "date"),
        field("2026-07-15", "date"),
        field("1", "checkbox"),
        field("", "checkbox"),
    ],
)
def test_what_moodle_keeps_is_sent(account: Account) -> None:
    assert fault(tidy(account), MENUS) == ""


def test_values_are_composed_and_trimmed_as_moodle_does_neither() -> None:
    tidied = tidy(replace(ZOE, first_name=" Zoe\u0308\t", fields=(ProfileField("a", " e\u0301 "),)))
    assert tidied.first_name == "Zoë"
    assert tidied.fields[0].value == "é"


def test_a_menu_value_is_left_as_it_is_because_moodle_compares_it_exactly() -> None:
    assert tidy(field(" TEMP", "menu")).fields[0].value == " TEMP"


ODD = st.text(st.sampled_from("aZ0<> &'\t\0\ud800é@._-+%\\/李"), max_size=8)


@given(st.tuples(ODD, ODD, ODD, ODD, ODD))
def test_no_account_that_keeps_the_rules_is_refused_by_moodle_for_its_types(texts: tuple[str, ...]) -> None:
    account = tidy(Account("999-1", texts[0], texts[1], texts[2], f"{texts[3]}@{texts[4]}.example", "PERM"))
    values = {"firstname": account.first_name, "lastname": account.last_name, "email": account.email}
    form = tree(users_form([Entry({"username": account.username, **values})]))
    try:
        checked(CREATE, form)
        taken = bool(account.username and account.first_name and account.last_name and is_email(account.email))
    except MoodleError:
        taken = False
    if fault(account, {}) == "":
        assert taken


@given(st.text(st.sampled_from("a_%\\B"), max_size=6), st.text(st.sampled_from("a_%\\bx"), max_size=6))
def test_an_escaped_text_finds_itself_in_any_case_and_nothing_else(text: str, other: str) -> None:
    assert like(escaped(text)).fullmatch(text.upper())
    assert bool(like(escaped(text)).fullmatch(other)) is (text.lower() == other.lower())


ENTRIES = st.lists(
    st.builds(
        lambda values, custom: Entry({"id": "1", **dict.fromkeys(values, "x")}, [(name, "v") for name in custom]),
        st.sets(st.sampled_from("abcdefgh")),
        st.lists(st.just("field"), max_size=12),
    ),
    max_size=60,
)


@given(ENTRIES, st.integers(50, 900))
def test_no_form_is_longer_than_the_limit_and_nobody_is_left_out(entries: list[Entry], limit: int) -> None:
    numbered = list(enumerate(entries))
    made = list(packs(numbered, limit))
    assert [one for pack in made for one in pack] == numbered
    for pack in made:
        assert 0 < len(pack) <= MOST
        assert HEAD + len(users_form([entry for _, entry in pack])) <= limit


def test_an_account_that_fits_into_no_form_is_told_so() -> None:
    assert fits(Entry({"id": "1"}, [("f", "v")] * 448), 900)
    assert not fits(Entry({"id": "1"}, [("f", "v")] * 449), 900)
    assert not fits(Entry({"id": "1"}, [("f", "x" * 1_000_000)]), 900)


def test_large_values_are_spread_over_forms_that_a_server_reads() -> None:
    entries = [(number, Entry({"id": "1"}, [("f", "é" * 30_000)])) for number in range(6)]
    made = list(packs(entries, 900))
    assert [len(pack) for pack in made] == [2, 2, 2]
    assert all(len(urlencode(users_form([entry for _, entry in pack]))) < 1_000_000 for pack in made)


@given(st.integers(0, 400), st.integers(50, 900))
def test_values_to_look_up_are_spread_too(number: int, limit: int) -> None:
    values = [str(one) for one in range(number)]
    made = list(slices(values, limit, taken=2))
    assert [one for some in made for one in some] == values
    assert all(HEAD + 2 + len(some) <= limit for some in made)


@pytest.mark.parametrize(
    ("value", "shown"),
    [("0", {}), ("", {}), ("1784070000", {"dob": "2026-07-15"}), ("1784120700", {"dob": "2026-07-15T14:05:00"})],
)
def test_a_date_is_read_as_a_day_or_a_moment_in_the_site_s_zone_and_nothing_as_none(
    value: str, shown: dict[str, str]
) -> None:
    given = {"id": 7, "customfields": [{"type": "datetime", "shortname": "dob", "value": value}]}
    (row,) = read_rows([given], ZoneInfo("Europe/London"))
    assert row.fields == shown
    assert set(candidate(row).fields.values()) <= {"2026-07-15"}
    wanted = replace(ZOE, fields=(ProfileField("dob", "2026-07-15", "date"),))
    assert (differences(row, wanted).custom == []) is (shown == {"dob": "2026-07-15"})


def test_the_codes_of_the_rules_stand_in_the_manual() -> None:
    manual = (Path(__file__).parents[3] / "docs" / "lms-moodle.md").read_text(encoding="utf-8")
    source = Path(moodle_rules.__file__).read_text(encoding="utf-8")
    codes = {word for line in source.splitlines() for word in line.split('"')[1::2] if "-" in word and word.islower()}
    codes = {code for code in codes if code.replace("-", "").isalpha()}
    assert "menu-value-unknown" in codes
    assert {code for code in codes if f"`{code}`" not in manual} == set()
