"""How the sandbox's ESR answers completion files."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from sandbox import database
from sandbox.esr import SandboxEsr
from sandbox.esr_format import LAYOUTS, FileName, lines_of, split, values_of
from sandbox.esr_ledger import Ledger

PUBLISHED = Path(__file__).parent / "published"
NOW = datetime(2026, 3, 4, 6, 12)  # noqa: DTZ001 - UK local time, as the files have it
FIRE = {"competence_id": "3100001", "competence_name": "NHS|CSTF|Fire Safety - 2 Years|"}
RESUS = {
    "competence_id": "3100003",
    "competence_name": "NHS|CSTF|Resuscitation - Level 2 - Adult Basic Life Support - 1 Year|",
}

#: The first completion of the published file, by column.
COMPLETION = {
    "lms_reference": "L999-0000000101",
    "vpd_code": "999",
    "person_id": "9000001",
    "employee_number": "29900001",
    "last_name": "Sampleton",
    **FIRE,
    "date_from": "20260303",
    "date_to": "20280303",
    "certification_method": "Course Attendance",
    "source_course": "FIRE-EL-01",
    "change_reason": "NEW",
    "last_update": "20260303 142210",
}


class Trust:
    """The trust of the published files: Fern 9000001 employed, Rowan 9000002 just hired, Zoë 9000007 gone."""

    def __init__(self, folder: Path) -> None:
        self.esr = SandboxEsr(folder / "esr.sqlite", "999")
        self.to_esr = folder / "to-esr"
        self.from_esr = folder / "from-esr"
        self.to_esr.mkdir()
        self.sequence = 0
        with database.transaction(folder / "esr.sqlite") as connection:
            ledger = Ledger(connection)
            for name in ("CS_999_CST_CSF_20260302_00000001.DAT", "CS_999_CST_CSC_20260303_00000002.DAT"):
                self._load(ledger, PUBLISHED / name)
            ledger.set("counter:element", "12000100")
            ledger.set("feed window end", "2026-03-03")
            ledger.mark_sent(everything=True)

    def _load(self, ledger: Ledger, path: Path) -> None:
        for one in lines_of(path.read_bytes())[1:-1]:
            fields = split(one)
            if fields[0].endswith("A"):
                ledger.put(fields[0], values_of(fields))
            else:
                ledger.remove(fields[0][:2] + "A", fields[1])

    def send(self, *lines: str, name: str = "", now: datetime = NOW) -> list[list[str]]:
        """Send one sound completion file and return the records of its confirmation."""
        self.sequence += 1
        name = name or str(FileName("999", "CMP", date(2026, 3, 3), self.sequence))
        return self.put(name, cmp_text(name, *lines), now)

    def put(self, name: str, text: str, now: datetime = NOW) -> list[list[str]]:
        (self.to_esr / name).write_bytes(text.encode("iso-8859-1"))
        (answer,) = self.esr.answer(self.to_esr, self.from_esr, now)
        return [split(one) for one in lines_of(answer.read_bytes())][1:-1]

    def complete(self, **changes: str) -> list[str]:
        """Send one completion and return its CFD: [type, position, ..., reference, status, level, code, ...]."""
        return self.send(tca(**changes))[1]


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    return Trust(tmp_path)


def tca(**changes: str) -> str:
    values = {**COMPLETION, **changes}
    return "~".join(["TCA", *(values.get(column, "") for column in LAYOUTS["TCA"])])


def cmp_text(name: str, *lines: str) -> str:
    header = f"HDR~{name}~20260303 180000~999~20260302 180000~20260303 180000~01"
    return "\r\n".join([header, *lines, f"TRL~{len(lines)}", ""])


def said(record: list[str]) -> tuple[str, str, str]:
    """Status, level and code of a CFD."""
    return record[4], record[5], record[6]


def test_the_published_completion_file_gets_the_published_confirmation_byte_for_byte(trust: Trust) -> None:
    trust.esr.expect_completions_from(15)
    with database.transaction(trust.to_esr.parent / "esr.sqlite") as connection:
        Ledger(connection).set("counter:CMC file", "14")
    published = PUBLISHED / "CS_999_CST_CMP_20260303_00000015.DAT"
    (trust.to_esr / published.name).write_bytes(published.read_bytes())
    (answer,) = trust.esr.answer(trust.to_esr, trust.from_esr, NOW)
    expected = PUBLISHED / "CS_999_CST_CMC_20260304_00000015.DAT"
    assert answer.name == expected.name
    assert answer.read_bytes() == expected.read_bytes()


def test_a_good_completion_is_stored_and_comes_back_in_the_next_changes_file(trust: Trust) -> None:
    summary, record = trust.send(tca())
    assert summary[2:] == ["SUCCESS", "1", "1", "0", "0", "", "", ""]
    assert record == ["CFD", "1", "TCA", "L999-0000000101", "SUCCESS", "", "", "", "9000001", "12000101", ""]
    assert trust.esr.truth().loaded("L999-0000000101") == "12000101"
    changes = trust.esr.write_changes(trust.from_esr, date(2026, 3, 5))
    (mirrored,) = [values_of(split(one)) for one in lines_of(changes.read_bytes()) if "~12000101~" in one]
    assert (mirrored["person_id"], mirrored["competence_id"]) == ("9000001", "3100001")
    assert (mirrored["date_from"], mirrored["date_to"]) == ("20260303", "20280303")
    assert mirrored["competency_status"] == "ACHIEVED"


def test_a_blank_expiry_is_worked_out_from_the_renewal_period(trust: Trust) -> None:
    trust.complete(date_to="")
    assert trust.esr.truth().achievements("9000001")[-1]["date_to"] == "20280303"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"person_id": "9000099"}, "B201"),
        ({"last_name": "Sampelton"}, "B202"),
        ({"date_from": "20240301", "date_to": "20260301", **RESUS}, "B203"),
        ({"competence_id": "3100099"}, "B204"),
        ({"competence_name": "NHS|CSTF|Fire Safety - 1 Year|"}, "B205"),
        ({"date_from": "20260305", "date_to": "20280305"}, "B206"),
        ({"date_to": "20260302"}, "B207"),
        ({"change_reason": "CORRECTION", "replaces_reference": "L999-0000000009"}, "B213"),
        ({"last_name": ""}, "R101"),
        ({"employee_number": ""}, "R101"),
        ({"change_reason": "CORRECTION"}, "R101"),
        ({"source_course": "x" * 101}, "R102"),
        ({"date_from": "20260231"}, "R103"),
        ({"last_update": "20260303"}, "R103"),
        ({"last_update": "20260303 246000"}, "R103"),
        ({"vpd_code": "998"}, "R104"),
        ({"change_reason": "AGAIN"}, "R104"),
    ],
)
def test_a_bad_completion_is_refused_with_its_code_and_not_stored(
    trust: Trust, changes: dict[str, str], code: str
) -> None:
    before = trust.esr.truth().achievements("9000001")
    summary, record = trust.send(tca(**changes))
    assert said(record) == ("FAIL", "ERROR", code)
    assert record[9] == ""
    assert summary[2:9] == ["PARTIAL", "1", "0", "0", "1", "WARNING", "F000"]
    assert trust.esr.truth().achievements("9000001") == before
    assert trust.esr.truth().loaded("L999-0000000101") is None


def test_an_ended_competence_is_refused_with_b205(trust: Trust) -> None:
    with database.transaction(trust.to_esr.parent / "esr.sqlite") as connection:
        ledger = Ledger(connection)
        ledger.put("CDA", {**(ledger.latest("CDA", "3100001") or {}), "date_to": "20260302"})
    assert said(trust.complete()) == ("FAIL", "ERROR", "B205")


def test_an_interview_is_not_in_scope_but_an_offer_is(trust: Trust) -> None:
    with database.transaction(trust.to_esr.parent / "esr.sqlite") as connection:
        ledger = Ledger(connection)
        offered = ledger.of_person("ASA", "9000002")[0]
        ledger.put("ASA", {**offered, "system_assignment_status": "ACTIVE_APL"})
    rowan = {"person_id": "9000002", "last_name": "Mockford", "date_to": "", **RESUS}
    assert said(trust.complete(**rowan, date_from="20260221"))[2] == "B203"
    assert said(trust.complete(**rowan, date_from="20260228", lms_reference="L2")) == ("SUCCESS", "", "")


def test_what_is_held_already_with_the_same_dates_is_confirmed_with_a_warning_and_its_own_id(trust: Trust) -> None:
    record = trust.complete(date_from="20240410", date_to="20260410")
    assert said(record) == ("SUCCESS", "WARNING", "B208")
    assert record[9] == "12000001"


def test_an_older_achievement_does_not_overwrite_a_newer_one(trust: Trust) -> None:
    record = trust.complete(date_from="20240401", date_to="")
    assert said(record) == ("SUCCESS", "WARNING", "B209")
    assert len(trust.esr.truth().achievements("9000001")) == 1


def test_a_completion_of_somebody_who_has_left_is_stored_with_a_warning(trust: Trust) -> None:
    zoe = {"person_id": "9000007", "last_name": "Placeholder", "date_from": "20260202", "date_to": ""}
    assert said(trust.complete(**zoe)) == ("SUCCESS", "WARNING", "B211")
    assert len(trust.esr.truth().achievements("9000007")) == 1


def test_a_reference_is_loaded_once_however_often_it_comes(trust: Trust) -> None:
    first = trust.complete()
    for reason in ("NEW", "RESEND"):
        again = trust.complete(change_reason=reason)
        assert said(again) == ("SUCCESS", "WARNING", "B208")
        assert again[9] == first[9]
    assert len(trust.esr.truth().achievements("9000001")) == 2
    assert [one.code for one in trust.esr.truth().answers("L999-0000000101")] == ["", "B208", "B208"]


def test_a_used_reference_with_another_content_is_refused(trust: Trust) -> None:
    trust.complete()
    assert said(trust.complete(date_from="20260302")) == ("FAIL", "ERROR", "R104")


def test_a_refused_reference_may_come_again_in_good_order(trust: Trust) -> None:
    trust.complete(last_name="Sampelton")
    assert said(trust.complete(change_reason="RESEND")) == ("SUCCESS", "", "")


def test_a_correction_takes_the_place_of_what_it_corrects(trust: Trust) -> None:
    trust.complete()
    record = trust.complete(
        lms_reference="L999-0000000201",
        change_reason="CORRECTION",
        replaces_reference="L999-0000000101",
        date_from="20260302",
        date_to="",
    )
    assert said(record) == ("SUCCESS", "", "")
    held = [(one["competency_element_id"], one["date_from"]) for one in trust.esr.truth().achievements("9000001")]
    assert held == [("12000001", "20240410"), ("12000102", "20260302")]
    changes = trust.esr.write_changes(trust.from_esr, date(2026, 3, 5))
    assert "CMD~12000101" in lines_of(changes.read_bytes())
    assert trust.esr.truth().loaded("L999-0000000101") is None


def test_a_completion_is_withdrawn_once(trust: Trust) -> None:
    trust.complete()
    assert trust.send("TCD~L999-0000000101")[1][4:10] == ["SUCCESS", "", "", "", "9000001", "12000101"]
    assert len(trust.esr.truth().achievements("9000001")) == 1
    assert said(trust.send("TCD~L999-0000000101")[1])[2] == "B213"


def test_an_unknown_record_type_is_refused_and_the_rest_is_loaded(trust: Trust) -> None:
    summary, unknown, good = trust.send("TCX~L9~whatever", tca())
    assert said(unknown) == ("FAIL", "ERROR", "R105")
    assert said(good) == ("SUCCESS", "", "")
    assert summary[-1] == "1 of 2 records was not loaded"


Damage = Callable[[str], str]
STRUCTURAL: dict[str, tuple[str, Damage]] = {
    "no header": ("F002", lambda text: text.partition("\r\n")[2]),
    "an empty file": ("F002", lambda _: ""),
    "a short header": ("F002", lambda text: text.replace("~01\r\n", "\r\n", 1)),
    "a header without times": ("F002", lambda text: text.replace("20260302 180000", "20260302")),
    "another name in the header": ("F003", lambda text: text.replace("_00000001.DAT", "_00000007.DAT")),
    "another trust in the header": ("F004", lambda text: text.replace("~999~20260302", "~998~20260302")),
    "no trailer": ("F005", lambda text: text.replace("TRL~1\r\n", "")),
    "a wrong count": ("F005", lambda text: text.replace("TRL~1", "TRL~2")),
    "data after the trailer": ("F005", lambda text: text + "TCD~L1\r\n"),
    "another version": ("F009", lambda text: text.replace("~01\r\n", "~02\r\n", 1)),
    "a column too many": ("F010", lambda text: text.replace("~NEW~", "~NEW~~")),
}


@pytest.mark.parametrize("damage", STRUCTURAL)
def test_a_file_that_breaks_the_structure_is_refused_whole(trust: Trust, damage: str) -> None:
    code, spoil = STRUCTURAL[damage]
    name = "CS_999_CST_CMP_20260303_00000001.DAT"
    records = trust.put(name, spoil(cmp_text(name, tca())))
    assert [one[:9] for one in records] == [["CFH", name, "FAIL", "0", "0", "0", "0", "ERROR", code]]
    assert trust.esr.truth().loaded("L999-0000000101") is None


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("CS_999_CST_CMP_20260303_1.DAT", "F001"),
        ("CS_998_CST_CMP_20260303_00000001.DAT", "F004"),
        ("CS_999_CST_CMP_20260303_00000002.DAT", "F006"),
    ],
)
def test_a_file_with_a_wrong_name_is_refused_whole(trust: Trust, name: str, code: str) -> None:
    records = trust.send(tca(), name=name)
    assert [(one[2], one[8]) for one in records] == [("FAIL", code)]


def test_after_a_gap_the_count_goes_on_from_the_number_received(trust: Trust) -> None:
    trust.send(tca(), name="CS_999_CST_CMP_20260303_00000004.DAT")
    sound = trust.send(tca(), name="CS_999_CST_CMP_20260303_00000005.DAT")
    late = trust.send(tca(), name="CS_999_CST_CMP_20260303_00000003.DAT")
    assert sound[0][2] == "SUCCESS"
    assert late[0][8] == "F006"


def test_a_refused_file_uses_its_number_up(trust: Trust) -> None:
    name = "CS_999_CST_CMP_20260303_00000001.DAT"
    trust.put(name, cmp_text(name, tca()).replace("TRL~1", "TRL~2"))
    assert trust.send(tca(), name="CS_999_CST_CMP_20260303_00000002.DAT")[0][2] == "SUCCESS"


def test_a_file_lying_in_the_inbox_is_answered_once(trust: Trust) -> None:
    trust.send(tca())
    assert trust.esr.answer(trust.to_esr, trust.from_esr, NOW + timedelta(days=1)) == []


def test_a_name_with_other_bytes_is_a_duplicate_and_nothing_is_loaded(trust: Trust) -> None:
    name = "CS_999_CST_CMP_20260303_00000001.DAT"
    trust.put(name, cmp_text(name, tca()))
    records = trust.put(name, cmp_text(name, tca(lms_reference="L2", **RESUS)))
    assert [one[:9] for one in records] == [["CFH", name, "DUPLICATE", "0", "0", "0", "0", "WARNING", "F007"]]
    assert trust.esr.truth().loaded("L2") is None
    assert trust.esr.answer(trust.to_esr, trust.from_esr, NOW) == []


def test_a_file_that_was_taken_away_and_comes_again_is_a_duplicate(trust: Trust) -> None:
    name = "CS_999_CST_CMP_20260303_00000001.DAT"
    trust.put(name, cmp_text(name, tca()))
    (trust.to_esr / name).unlink()
    trust.esr.answer(trust.to_esr, trust.from_esr, NOW)
    assert trust.put(name, cmp_text(name, tca()))[0][2] == "DUPLICATE"


def test_several_files_are_answered_in_number_order_whichever_arrived_first(trust: Trust) -> None:
    first, second = FileName("999", "CMP", date(2026, 3, 1), 1), FileName("999", "CMP", date(2026, 3, 2), 2)
    for one in (second, first):
        (trust.to_esr / str(one)).write_text(cmp_text(str(one), tca(lms_reference=f"L{one.sequence}")))
    answers = trust.esr.answer(trust.to_esr, trust.from_esr, NOW)
    heads = [split(lines_of(one.read_bytes())[1]) for one in answers]
    assert [(one[1], one[2]) for one in heads] == [(str(first), "SUCCESS"), (str(second), "SUCCESS")]


def test_confirmations_have_their_own_counter_and_meeting_windows(trust: Trust) -> None:
    trust.send(tca())
    trust.send(tca(), now=NOW + timedelta(days=1))
    heads = [split(lines_of(path.read_bytes())[0]) for path in sorted(trust.from_esr.iterdir())]
    assert [one[1] for one in heads] == [
        "CS_999_CST_CMC_20260304_00000001.DAT",
        "CS_999_CST_CMC_20260305_00000002.DAT",
    ]
    assert heads[1][4] == heads[0][5]


def test_a_time_with_a_zone_is_taken_as_uk_local_time(trust: Trust) -> None:
    trust.send(tca(), now=datetime(2026, 7, 4, 23, 30, tzinfo=UTC))
    (path,) = trust.from_esr.iterdir()
    assert path.name == "CS_999_CST_CMC_20260705_00000001.DAT"
    assert split(lines_of(path.read_bytes())[0])[2] == "20260705 003000"


def test_other_files_in_the_inbox_are_left_alone(trust: Trust) -> None:
    (trust.to_esr / "CS_999_CST_CTC_20260303_00000001.DAT").write_text("HDR")
    (trust.to_esr / ".CS_999_CST_CMP_20260303_00000001.DAT.part").write_text("HDR")
    assert trust.esr.answer(trust.to_esr, trust.from_esr, NOW) == []
