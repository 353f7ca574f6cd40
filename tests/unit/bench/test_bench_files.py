"""The files that benchmarks are run on are what they say they are."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

from bench.national import files
from shared.esr.profile import load_profile
from shared.esr.reader import Record, check_structure, read_records

PROFILE = load_profile("esr-cstf")


def test_a_generated_full_file_is_sound_and_holds_what_it_was_asked_to_hold(tmp_path: Path) -> None:
    written = files.write_full(tmp_path, "901", 2_500)

    found = check_structure(written.path, PROFILE)
    records = list(read_records(written.path, PROFILE))
    kinds = Counter(record.code for record in records)
    elements = [record.fields for record in records if record.code == "CMA"]
    mapped = {one.name for one in files.MAPPED}

    assert not found.faults
    assert not [record for record in records if record.faults]
    assert (found.data_records, len(records)) == (written.records, written.records)
    assert (kinds["PRA"], kinds["ASA"], kinds["CMA"]) == (2_500, 2_500, 2_500 * files.HELD)
    assert sum(one["competency_name"] in mapped for one in elements) == written.certifications
    assert written.certifications + written.evidence == len(elements)
    assert written.evidence > 0
    assert len({one["competency_element_id"] for one in elements}) == len(elements)
    assert len({(one["person_id"], one["competence_id"]) for one in elements}) == len(elements)


def test_no_two_generated_people_could_be_taken_for_one_human(tmp_path: Path) -> None:
    written = files.write_full(tmp_path, "901", 33_000)

    people = [record.fields for record in read_records(written.path, PROFILE) if record.code == "PRA"]

    assert len({one["ni_number"] for one in people}) == len(people)
    assert len({(one["date_of_birth"], one["last_name"]) for one in people}) == len(people)
    assert all(one["ni_number"].startswith("QQ") and one["office_email"].endswith(".example") for one in people)


def test_generated_changes_files_follow_each_other_and_change_everything_they_name(tmp_path: Path) -> None:
    full = files.write_full(tmp_path, "901", 400)
    changes = [files.write_changes(tmp_path, "901", number, 400, 300) for number in (2, 3)]

    found = [check_structure(one.path, PROFILE) for one in (full, *changes)]
    headers = [one.header for one in found]
    held = {record.fields["competency_element_id"]: record.fields for record in _elements(full.path)}
    learnt = [_elements(one.path) for one in changes]

    assert not any(one.faults for one in found)
    assert [one.data_records for one in found[1:]] == [300, 300]
    for before, after in pairwise(headers):
        assert before is not None
        assert after is not None
        assert before.current_run == after.previous_run
    for one, records in zip(changes, learnt, strict=True):
        assert len(records) == one.certifications + one.evidence
        assert all(held[r.fields["competency_element_id"]]["date_from"] != r.fields["date_from"] for r in records)


def test_people_are_as_many_as_make_a_file_of_about_so_many_records() -> None:
    for records in (10_000, 1_000_000):
        made = files.PLACES + files.people_for(records) * files.PER_PERSON
        assert records - files.PER_PERSON < made <= records


def _elements(path: Path) -> list[Record]:
    return [record for record in read_records(path, PROFILE) if record.code == "CMA"]
