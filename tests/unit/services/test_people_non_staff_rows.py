"""A trust's own list of people: what a row may say, what is wrong with it, and that ESR is never told of them."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from services.competency.announce import announce, fate_of
from services.competency.domain import Catalogue, Definition, decide
from services.ingest.batch import Batch, TooManyError
from services.ingest.domain import TRUST, File, Ruling, rule
from services.ingest.lms_files import completions_profile
from services.ingest.non_staff_batch import COLUMNS, read_people
from services.ingest.non_staff_files import NonStaffFiles
from services.ingest.source import Line, Place
from shared import config, events
from shared.accounting import Fate
from shared.db.unit import Unit
from shared.errors import ConfigurationError
from shared.facts import Fact, Version
from shared.lms_csv import validate_lms_file
from shared.lms_csv.profile import non_staff_profile
from shared.messaging.topology import LMS, Topology

HEADER = "reference,kind,first_name,last_name,start,end,birth_date,action"
SOUND = {"reference": "V1", "kind": "volunteer", "first_name": "Orla", "last_name": "Specimen", "start": "2026-01-01"}


def put(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "list.csv"
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return path


def lines(path: Path) -> list[Line]:
    return list(NonStaffFiles().lines(path, path.name, Place()))


def test_a_row_puts_someone_on_the_list_with_dates_in_our_form(tmp_path: Path) -> None:
    (row,) = lines(put(tmp_path, "V1,Volunteer,Orla,Specimen,01/02/2026,2026-12-31,15/01/1990,"))
    assert (row.type, row.line, row.faults) == ("non_staff.upsert", 2, ())
    assert row.fields == {
        "reference": "V1", "kind": "volunteer", "first_name": "Orla", "last_name": "Specimen",
        "start": "2026-02-01", "end": "2026-12-31", "date_of_birth": "1990-01-15",
    }  # fmt: skip


def test_a_row_takes_someone_off_the_list_by_reference_alone(tmp_path: Path) -> None:
    (row,) = lines(put(tmp_path, "V1,,,,,,,Remove"))
    assert (row.type, row.fields, row.faults) == ("non_staff.delete", {"reference": "V1"}, ())


@pytest.mark.parametrize(
    ("row", "faults"),
    [
        ("V1,volunteer,,Specimen,2026-01-01,,,", [("L101", "first_name")]),
        ("V1,,Orla,Specimen,,,,", [("L101", "kind"), ("L101", "start")]),
        (",volunteer,Orla,Specimen,2026-01-01,,,", [("L101", "reference")]),
        ("V1,ghost,Orla,Specimen,2026-01-01,,,", [("R104", "kind")]),
        ("V1,bank,Orla,Specimen,2026-01-01,,,perhaps", [("R104", "action")]),
        ("V 1,bank,Orla,Specimen,2026-01-01,,,", [("R107", "reference")]),
        ("V1,bank,Orla,Specimen,2026-02-30,,,", [("L103", "start")]),
        ("V1,bank,Orla,Specimen,2026-02-02,2026-02-01,,", [("L103", "end")]),
        (f"V1,bank,Orla,{'x' * 256},2026-01-01,,,", [("L104", "last_name")]),
    ],
)
def test_a_faulty_row_is_told_with_its_columns_and_never_its_values(
    tmp_path: Path, row: str, faults: list[tuple[str, str]]
) -> None:
    (found,) = lines(put(tmp_path, row))
    assert [(one.code, one.column) for one in found.faults] == faults
    assert [one for one in found.faults if "Specimen" in one.text or "ghost" in one.text] == []


def test_the_file_is_checked_before_anything_of_it_is_taken(tmp_path: Path) -> None:
    sound = put(tmp_path, "V1,bank,Orla,Specimen,2026-01-01,,,")
    checked = NonStaffFiles().check(sound, "list.csv", "999")
    assert (checked.stream, checked.kind, checked.records, checked.faults) == (TRUST, "non_staff", 1, ())
    for wrong in ("reference,kind", HEADER + ",shoe_size"):
        assert NonStaffFiles().check(put(tmp_path, header=wrong), "list.csv", "999").faults[0].code == "L002"


def test_validate_counts_rows_as_people_who_are_not_in_esr(tmp_path: Path) -> None:
    found = validate_lms_file(put(tmp_path, "V1,bank,Orla,Specimen,2026-01-01,,,", "V2,,,,,,,"), non_staff_profile())
    assert (found.status, found.records_by_type, found.faulty_records) == ("faults", {"non_staff": 2}, 1)


def test_lists_may_come_in_any_order_and_wait_for_no_number() -> None:
    def file(number: int, status: Any) -> File:
        return File(f"{number}.csv", "x", number, number, "changes", status)

    late = file(3, "checked")
    assert rule(TRUST, [file(9, "complete"), late]) == [Ruling(late, "ready")]


def test_rows_reach_people_and_nobody_else() -> None:
    assert [Topology().routes(LMS, f"non_staff.{action}") for action in ("upsert", "delete")] == [
        ("people.records",)
    ] * 2


def test_a_profile_of_people_is_none_of_completions() -> None:
    with pytest.raises(ConfigurationError):
        completions_profile("esrbridge-non-staff")
    assert completions_profile("esrbridge-completions").subject.record == "completion"


# By HTTP


def said(*people: object) -> bytes:
    return json.dumps({"people": people}).encode()


def test_a_batch_becomes_a_file_that_reads_the_same(tmp_path: Path) -> None:
    batch = read_people(
        said(
            SOUND | {"birth_date": "15/01/1990"},
            {"reference": "V2", "action": "remove"},
            SOUND | {"birth_date": "1990-01-15"},
        )
    )
    assert isinstance(batch, Batch)
    assert batch.records == 2
    path = tmp_path / batch.name
    path.write_bytes(batch.content)
    assert [(row.type, row.faults) for row in lines(path)] == [("non_staff.upsert", ()), ("non_staff.delete", ())]
    assert lines(path)[0].fields["date_of_birth"] == "1990-01-15"


@pytest.mark.parametrize(
    ("people", "code", "field"),
    [
        ([], "L005", "people"),
        (["x"], "L105", ""),
        ([SOUND | {"shoe_size": "43"}], "L105", "shoe_size"),
        ([SOUND | {"kind": 7}], "L105", "kind"),
        ([SOUND | {"start": "soon"}], "L103", "start"),
        ([SOUND, SOUND | {"last_name": "Rowan"}], "L106", "reference"),
    ],
)
def test_a_faulty_request_is_refused_whole(people: list[object], code: str, field: str) -> None:
    faults = read_people(said(*people))
    assert isinstance(faults, list)
    assert (faults[0].code, faults[0].field) == (code, field)


def test_a_request_with_too_many_people_is_refused() -> None:
    with pytest.raises(TooManyError):
        read_people(said(*[SOUND] * 5001))
    assert "birth_date" in COLUMNS


# Never to ESR


def test_a_completion_of_someone_who_is_not_in_esr_is_never_told_to_esr() -> None:
    at = "2026-03-03T10:00:00"
    definition = Definition(competence_id="5001", competence_name="Fire", date_from=datetime(2020, 1, 1).date())  # noqa: DTZ001
    catalogue = Catalogue({"5001": definition}, [config.Mapping(competence_id="5001", certification="FIRE")])
    outcome = {}
    for person in ("N-V1", "9000001"):
        data = {
            "reference": "r",
            "user_idnumber": f"999-{person}",
            "certification_idnumber": "FIRE",
            "completed_at": at,
        }
        fact = Fact("999", "completion", f"999-{person}|FIRE|{at}", "", person, Version("C.csv", 7, 2), data)
        (decision,) = decide(True, [fact], catalogue, {}).values()
        unit = Unit(None, 0)  # type: ignore[arg-type]
        announce(unit, ("999", person), decision, None, 1, events.Cause("", "", 0))
        outcome[person] = (decision.verdict, fate_of(decision), [message.type for message in unit.messages])
    assert outcome == {
        "N-V1": ("not_staff", Fate.IGNORED_NOT_USED, []),
        "9000001": ("to_esr", None, ["competency.CertificationCompleted"]),
    }
