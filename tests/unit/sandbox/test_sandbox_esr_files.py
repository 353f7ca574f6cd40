"""The files the sandbox's ESR sends."""

import re
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import database
from sandbox.esr import SandboxEsr
from sandbox.esr_format import (
    LAYOUTS,
    add_months,
    compose,
    line,
    lines_of,
    parse_day,
    parse_name,
    split,
    values_of,
)
from sandbox.esr_ledger import Ledger
from shared.errors import ConfigurationError

PUBLISHED = Path(__file__).parent / "published"
DAY = date(2026, 3, 2)
COLUMNS = {"ORA": 16, "LCA": 22, "POA": 24, "CDA": 16, "PRA": 44, "ASA": 51, "CMA": 27}
CONFIRMATION_COLUMNS = {"TCA": 24, "CFH": 10, "CFD": 11}


def populated(folder: Path, people: int = 60, seed: int = 1) -> SandboxEsr:
    esr = SandboxEsr(folder / "esr.sqlite", "999", seed=seed)
    esr.populate(people, DAY)
    return esr


def records(path: Path, kind: str) -> list[dict[str, str]]:
    found = [split(one) for one in lines_of(path.read_bytes())]
    return [values_of(fields) for fields in found if fields[0] == kind]


def header(path: Path) -> list[str]:
    return split(lines_of(path.read_bytes())[0])


def week(esr: SandboxEsr, folder: Path, days: int = 5) -> list[Path]:
    return [esr.write_changes(folder, DAY + timedelta(days=one)) for one in range(1, days + 1)]


@pytest.mark.parametrize("published", sorted(PUBLISHED.glob("*.DAT")), ids=lambda path: path.name)
def test_a_published_file_is_read_and_written_back_byte_for_byte(published: Path) -> None:
    head, *body, trailer = lines_of(published.read_bytes())
    name = parse_name(published.name)
    assert name is not None
    written = [line(one[:3], values_of(split(one))) for one in body]
    _, _, created, _, previous, current, _ = split(head)
    assert trailer == f"TRL~{len(body)}"
    composed = compose(name, created=created, previous=previous, current=current, records=written)
    assert composed == published.read_bytes()


@pytest.mark.parametrize(("kind", "count"), (COLUMNS | CONFIRMATION_COLUMNS).items())
def test_each_record_type_has_the_column_count_of_the_format(kind: str, count: int) -> None:
    assert len(LAYOUTS[kind]) + 1 == count


def test_the_same_seed_gives_the_same_files_byte_for_byte(tmp_path: Path) -> None:
    contents = []
    for run in ("first", "second"):
        esr = populated(tmp_path / run)
        folder = tmp_path / run / "from-esr"
        esr.write_full(folder, DAY)
        week(esr, folder)
        contents.append({path.name: path.read_bytes() for path in sorted(folder.iterdir())})
    assert contents[0] == contents[1]
    assert len(contents[0]) == 6


def test_another_seed_gives_other_people(tmp_path: Path) -> None:
    one = populated(tmp_path / "1", seed=1).write_full(tmp_path / "1" / "out", DAY)
    two = populated(tmp_path / "2", seed=2).write_full(tmp_path / "2" / "out", DAY)
    assert records(one, "PRA") != records(two, "PRA")


def test_a_state_made_with_another_seed_is_refused(tmp_path: Path) -> None:
    populated(tmp_path, seed=1)
    with pytest.raises(ConfigurationError, match="seed 1, not 2"):
        SandboxEsr(tmp_path / "esr.sqlite", "999", seed=2)


def test_every_file_ends_with_a_trailer_that_counts_its_records(tmp_path: Path) -> None:
    esr = populated(tmp_path)
    for path in [esr.write_full(tmp_path, DAY), *week(esr, tmp_path)]:
        text = path.read_bytes().decode("iso-8859-1")
        lines = text.split("\r\n")
        assert lines.pop() == ""
        assert lines[-1] == f"TRL~{len(lines) - 2}"
        assert "\n" not in text.replace("\r\n", "")


def test_names_follow_the_pattern_and_full_and_changes_share_one_counter_from_one(tmp_path: Path) -> None:
    esr = populated(tmp_path)
    paths = [esr.write_full(tmp_path, DAY), *week(esr, tmp_path, 2), esr.write_full(tmp_path, DAY + timedelta(days=2))]
    assert [path.name for path in paths] == [
        "CS_999_CST_CSF_20260302_00000001.DAT",
        "CS_999_CST_CSC_20260303_00000002.DAT",
        "CS_999_CST_CSC_20260304_00000003.DAT",
        "CS_999_CST_CSF_20260304_00000004.DAT",
    ]
    assert all(header(path)[1] == path.name for path in paths)


def test_windows_meet_from_midnight_to_midnight(tmp_path: Path) -> None:
    esr = populated(tmp_path)
    full = header(esr.write_full(tmp_path, DAY))
    assert full[2:] == ["20260302 031500", "999", "00000000 000000", "20260302 000000", "01"]
    changes = [header(path) for path in week(esr, tmp_path)]
    for before, after in pairwise([full, *changes]):
        assert after[4] == before[5]
        assert after[5].endswith(" 000000")


def test_a_day_that_was_missed_is_covered_by_the_next_window(tmp_path: Path) -> None:
    esr = populated(tmp_path)
    esr.write_full(tmp_path, DAY)
    later = header(esr.write_changes(tmp_path, DAY + timedelta(days=4)))
    assert later[4:6] == ["20260302 000000", "20260306 000000"]


def test_changes_without_a_full_file_before_them_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="full file first"):
        populated(tmp_path).write_changes(tmp_path, DAY)


def test_a_window_does_not_go_back(tmp_path: Path) -> None:
    esr = populated(tmp_path)
    esr.write_full(tmp_path, DAY)
    with pytest.raises(ConfigurationError, match="choose a day after it"):
        esr.write_changes(tmp_path, DAY)


def test_populating_and_writing_again_changes_nothing(tmp_path: Path) -> None:
    esr = populated(tmp_path)
    first = esr.write_full(tmp_path, DAY)
    changes = esr.write_changes(tmp_path, DAY + timedelta(days=1))
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.DAT")}
    esr.populate(500, DAY)
    assert esr.write_full(tmp_path, DAY) == first
    assert esr.write_changes(tmp_path, DAY + timedelta(days=1)) == changes
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.DAT")} == before


def test_a_trust_of_two_hundred_has_the_promised_mix(tmp_path: Path) -> None:
    esr = populated(tmp_path, people=200)
    truth = esr.truth()
    counts = {state: len(truth.people(state)) for state in ("interviewed", "applicant", "employee", "left")}
    assert counts == {"interviewed": 2, "applicant": 10, "employee": 176, "left": 12}
    held = [len(truth.achievements(person_id)) for person_id in truth.people()]
    assert 6 <= sum(held) / len(held) <= 8
    statuses = {one["user_assignment_status"] for who in truth.people() for one in truth.current_assignments(who)}
    assert statuses >= {"Offered Post Conditional", "Offered Post Unconditional", "Offer Accepted", "Interview"}
    assert statuses >= {"Terminated", "Active Assignment"}
    assert statuses & {"Maternity", "Career Break"}
    assert any(len(truth.current_assignments(who)) == 2 for who in truth.people("employee"))
    names = "".join(truth.person(who)["last_name"] + truth.person(who)["first_name"] for who in truth.people())
    assert "'" in names
    assert any(ord(one) > 127 for one in names)


def test_most_competences_of_a_new_trust_are_current_and_were_achieved_before_it_was_made(tmp_path: Path) -> None:
    full = populated(tmp_path, people=200).write_full(tmp_path, DAY)
    achieved = [one for one in records(full, "CMA") if one["competency_type"] == "PERSONAL"]
    assert all(one["date_from"] < "20260302" for one in achieved)
    current = sum(one["date_to"] >= "20260302" for one in achieved)
    assert current / len(achieved) > 0.8


def test_mail_addresses_and_ni_numbers_are_invented_and_unique(tmp_path: Path) -> None:
    full = populated(tmp_path, people=300).write_full(tmp_path, DAY)
    people = {one["person_id"]: one for one in records(full, "PRA")}.values()
    ni_numbers = [one["ni_number"] for one in people]
    addresses = [one["contact_email"] or one["office_email"] for one in people if one["system_person_type"] != "EX_EMP"]
    assert all(re.fullmatch(r"QQ[0-9]{6}[A-D]", one) for one in ni_numbers)
    assert all(one.endswith(".example") for one in addresses)
    assert len(set(ni_numbers)) == len(ni_numbers)
    assert len(set(addresses)) == len(addresses)


def test_a_hire_keeps_person_id_and_assignment_id_with_a_new_slice(tmp_path: Path) -> None:
    esr = populated(tmp_path)
    esr.write_full(tmp_path, DAY)
    applicants = set(esr.truth().people("applicant"))
    changes = esr.write_changes(tmp_path, DAY + timedelta(days=1))
    hired = applicants & set(esr.truth().people("employee"))
    assert hired
    for person_id in hired:
        was, is_now = [one for one in records(changes, "PRA") if one["person_id"] == person_id]
        assert (was["system_person_type"], was["effective_end"]) == ("APL", "20260301")
        assert (is_now["system_person_type"], is_now["effective_start"]) == ("EMP", "20260302")
        assert is_now["applicant_number"] == was["applicant_number"]
        slices = [one for one in records(changes, "ASA") if one["person_id"] == person_id]
        assert len({one["assignment_id"] for one in slices}) == 1
        assert [one["assignment_type"] for one in slices][-2:] == ["A", "E"]
        assert slices[-1]["assignment_number"] == is_now["employee_number"] != ""


def test_a_leaver_is_sent_as_former_employee_with_every_assignment_terminated(tmp_path: Path) -> None:
    esr = populated(tmp_path)
    esr.write_full(tmp_path, DAY)
    before = set(esr.truth().people("left"))
    changes = esr.write_changes(tmp_path, DAY + timedelta(days=1))
    (leaver,) = set(esr.truth().people("left")) - before
    last = [one for one in records(changes, "PRA") if one["person_id"] == leaver][-1]
    assert (last["system_person_type"], last["actual_termination_date"]) == ("EX_EMP", "20260302")
    ended = [
        one for one in records(changes, "ASA") if one["person_id"] == leaver and one["effective_end"] == "47121231"
    ]
    assert ended
    assert {one["system_assignment_status"] for one in ended} == {"TERM_ASSIGN"}


def test_a_competence_comes_one_file_before_its_person(tmp_path: Path) -> None:
    esr = populated(tmp_path)
    known = {one["person_id"] for one in records(esr.write_full(tmp_path, DAY), "PRA")}
    first, second = week(esr, tmp_path, 2)
    known |= {one["person_id"] for one in records(first, "PRA")}
    early = {one["person_id"] for one in records(first, "CMA") if one["person_id"] not in known}
    assert len(early) == 1
    assert early <= {one["person_id"] for one in records(second, "PRA")}


def test_a_changes_file_holds_one_record_that_can_never_be_loaded_unless_told_not_to(tmp_path: Path) -> None:
    esr = populated(tmp_path)
    esr.write_full(tmp_path, DAY)
    faulty = esr.write_changes(tmp_path, DAY + timedelta(days=1))
    sound = esr.write_changes(tmp_path, DAY + timedelta(days=2), with_faults=False)
    assert [one["date_from"] for one in records(faulty, "CMA") if parse_day(one["date_from"]) is None] == ["20260231"]
    assert [one for one in records(sound, "CMA") if parse_day(one["date_from"]) is None] == []


def test_a_month_of_changes_applied_to_the_full_file_gives_the_next_full_file(tmp_path: Path) -> None:
    esr = populated(tmp_path, people=120)
    held: dict[tuple[str, str, str], str] = {}
    full = esr.write_full(tmp_path, DAY)
    changes = [esr.write_changes(tmp_path, DAY + timedelta(days=one), with_faults=False) for one in range(1, 31)]
    for path in [full, *changes]:
        _apply(held, path)
    esr.write_full(tmp_path, DAY + timedelta(days=30))
    last: dict[tuple[str, str, str], str] = {}
    _apply(last, next(tmp_path.glob("*CSF*00000032.DAT")))
    late = set(last) - set(held)
    assert {key: held[key] for key in held} == {key: last[key] for key in last if key not in late}
    assert {kind for kind, _, _ in late} == {"PRA", "ASA"}  # of the one person held back for the next file
    assert len(late) == 2


def _apply(held: dict[tuple[str, str, str], str], path: Path) -> None:
    keys = {"PRA": (1, 2), "ASA": (2, 3), "CMA": (2, None)}
    for one in lines_of(path.read_bytes()):
        fields = split(one)
        if fields[0] in keys:
            key, start = keys[fields[0]]
            held[fields[0], fields[key], fields[start] if start else ""] = one
        elif fields[0] in {"ASD", "CMD"}:
            for found in [one for one in held if one[:2] == (fields[0][:2] + "A", fields[1])]:
                del held[found]


def test_what_one_changes_file_said_the_next_does_not_repeat(tmp_path: Path) -> None:
    esr = populated(tmp_path)
    esr.write_full(tmp_path, DAY)
    first, second = (set(lines_of(path.read_bytes())[1:-1]) for path in week(esr, tmp_path, 2))
    assert not first & second


def test_a_second_change_on_one_day_leaves_one_slice_for_that_day(tmp_path: Path) -> None:
    esr = populated(tmp_path)
    person_id = esr.truth().people("employee")[0]
    with database.transaction(tmp_path / "esr.sqlite") as connection:
        ledger = Ledger(connection)
        for name in ("Firstchange", "Secondchange"):
            changes = {"last_name": name, "last_update": "20260302"}
            ledger.new_slice("PRA", ledger.latest("PRA", person_id) or {}, DAY, changes)
        slices = [(one["effective_start"], one["last_name"]) for one in ledger.of_person("PRA", person_id)]
    assert slices[1:] == [("20260302", "Secondchange")]


def test_a_transaction_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    esr = populated(tmp_path)
    before = esr.truth().people()
    with pytest.raises(RuntimeError):
        _move_and_fail(tmp_path / "esr.sqlite")
    assert esr.truth().people() == before


def _move_and_fail(state: Path) -> None:
    with database.transaction(state) as connection:
        Ledger(connection).move("9999999", "employee")
        raise RuntimeError


def test_each_kind_of_change_happens_within_a_month(tmp_path: Path) -> None:
    esr = populated(tmp_path, people=120)
    esr.write_full(tmp_path, DAY)
    kinds: set[str] = set()
    types: dict[str, list[str]] = {}
    renamed = False
    for path in week(esr, tmp_path, 30):
        kinds |= {one[:3] for one in lines_of(path.read_bytes())}
        for person in records(path, "PRA"):
            renamed |= bool(person["previous_last_name"])
            types.setdefault(person["person_id"], []).append(person["system_person_type"])
    assert kinds == {"HDR", "PRA", "ASA", "ASD", "CMA", "CMD", "TRL"}
    assert renamed
    assert any(("EX_EMP", "EMP") in pairwise(one) for one in types.values())  # somebody was rehired


def test_date_slices_of_one_key_never_overlap(tmp_path: Path) -> None:
    esr = populated(tmp_path, people=120)
    esr.write_full(tmp_path, DAY)
    week(esr, tmp_path, 30)
    truth = esr.truth()
    for person_id in truth.people():
        slices = truth.assignments(person_id)
        for before, after in pairwise(slices):
            if before["assignment_id"] == after["assignment_id"]:
                assert before["effective_end"] < after["effective_start"]
        assert all(one["effective_start"] <= one["effective_end"] for one in slices)


def test_a_trust_of_two_thousand_people_is_written_whole(tmp_path: Path) -> None:
    full = populated(tmp_path, people=2000).write_full(tmp_path, DAY)
    assert len({one["person_id"] for one in records(full, "PRA")}) == 2000


def test_a_value_with_a_delimiter_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot carry"):
        line("PRA", {"last_name": "Mock~ford"})


def test_a_column_the_record_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="has no column"):
        line("PRA", {"surname": "Mockford"})


@pytest.mark.parametrize(
    "name", ["CS_99_CST_CSF_20260302_00000001.DAT", "CS_999_CST_CSF_20260231_00000001.DAT", "CS_999_CST_CSF_1.DAT"]
)
def test_a_name_outside_the_pattern_is_not_parsed(name: str) -> None:
    assert parse_name(name) is None


@given(st.dates(min_value=date(1990, 1, 1), max_value=date(2050, 1, 1)), st.integers(1, 60))
def test_adding_months_keeps_the_day_or_takes_the_last_of_the_month(day: date, months: int) -> None:
    later = add_months(day, months)
    assert (later.year * 12 + later.month) - (day.year * 12 + day.month) == months
    assert later.day == day.day or (later.day < day.day and (later + timedelta(days=1)).day == 1)


@given(st.text(st.characters(max_codepoint=255, exclude_characters="~\r\n"), max_size=30))
def test_any_latin_1_text_survives_a_file(text: str) -> None:
    name = parse_name("CS_999_CST_CSF_20260302_00000001.DAT")
    assert name is not None
    record = line("PRA", {"person_id": "1", "last_name": text})
    content = compose(name, created="", previous="", current="", records=[record])
    assert values_of(split(lines_of(content)[1]))["last_name"] == text
