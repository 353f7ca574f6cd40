"""What a row of a certification report says, and what profiles of such reports may look like."""

from dataclasses import replace
from pathlib import Path

import pytest

from shared.errors import ConfigurationError
from shared.lms_csv import LmsProfile, load_lms_profile, read_completions, validate_lms_file
from shared.lms_csv.certifications import CertificationReading

REPORT = load_lms_profile("totara-certification-report")
HISTORY = load_lms_profile("totara-certification-history")
SAID = {"user_idnumber": "999-9000001", "certification_idnumber": "FIRE"}
DONE = "3 Mar 2026 at 14:05"


def take(profile: LmsProfile = REPORT, **values: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    fields, wrong = CertificationReading(profile, "999").take(SAID | values)
    return fields, [(one.code, one.field) for one in wrong]


def status(**values: str) -> str:
    fields, wrong = take(REPORT, **values)
    assert wrong == []
    return fields["status"]


def put(folder: Path, text: str, name: str = "report.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_certified_person_has_all_that_the_report_tells() -> None:
    fields, wrong = take(
        status="Certified", completed_at=DONE, expires_on="3 Mar 2028", window_opens_on="03/12/2027", renewal=""
    )
    assert wrong == []
    assert fields == SAID | {
        "status": "certified",
        "completed_at": "2026-03-03T14:05:00",
        "expires_on": "2028-03-03",
        "window_opens_on": "2027-12-03",
        "method": "e-Learning",
    }


def test_who_has_completed_nothing_is_told_too_without_a_date() -> None:
    for said in ("Assigned", "In progress", "not certified"):
        assert take(status=said) == (SAID | {"status": "assigned", "method": "e-Learning"}, [])
    assert take(status="Expired")[0]["status"] == "expired"


@pytest.mark.parametrize(
    ("said", "renewal", "dated", "told"),
    [
        ("Certified", "Not due for renewal", True, "certified"),
        ("Certified", "Due for renewal", True, "window-open"),
        ("In progress", "Due for renewal", True, "window-open"),
        ("In progress", "Renewal expired", False, "expired"),
        ("Expired", "Renewal expired", False, "expired"),
        ("In progress", "Not due for renewal", False, "assigned"),
        ("In progress", "", True, "window-open"),
        ("WINDOW OPEN", "", True, "window-open"),
        ("Certified, before window opens", "", True, "certified"),
        ("Certified, window is open", "", True, "window-open"),
        ("", "Renewal expired", False, "expired"),
        ("", "", True, "certified"),
    ],
)
def test_a_state_follows_from_status_renewal_and_date(said: str, renewal: str, dated: bool, told: str) -> None:
    assert status(status=said, renewal=renewal, completed_at=DONE if dated else "") == told


def test_a_report_without_a_status_tells_of_completions_only(tmp_path: Path) -> None:
    heading = "User ID Number,Certification ID Number,Completion Date,Expiry Date\n"
    text = heading + "999-9000001,FIRE,3 Mar 2026,\n999-9000002,FIRE,,\n"
    done, open_ = read_completions(put(tmp_path, text), REPORT, "999")
    assert (done.fields["status"], done.ignored, done.faults) == ("certified", False, ())
    assert (open_.fields["user_idnumber"], open_.ignored, open_.faults) == ("999-9000002", True, ())


def test_a_status_that_the_profile_does_not_name_is_l107() -> None:
    assert take(status="Certifié", completed_at=DONE)[1] == [("L107", "status")]


@pytest.mark.parametrize("said", ["Certified", "Window open"])
def test_who_is_certified_has_a_date(said: str) -> None:
    assert take(status=said)[1] == [("L101", "completed_at")]
    assert take(status=said, completed_at="soon")[1] == [("L103", "completed_at")]


def test_a_person_of_another_trust_and_a_missing_certification_are_told_together() -> None:
    assert take(user_idnumber="998-1", certification_idnumber="", status="Expired")[1] == [
        ("L102", "user_idnumber"),
        ("L101", "certification_idnumber"),
    ]


def test_every_row_of_the_history_is_history_and_has_a_date() -> None:
    assert take(HISTORY, completed_at=DONE)[0]["status"] == "history"
    assert take(HISTORY)[1] == [("L101", "completed_at")]


def test_only_a_report_of_what_stands_now_says_who_is_gone() -> None:
    assert REPORT.current
    assert not HISTORY.current
    assert not load_lms_profile("esrbridge-completions").current


def test_times_are_those_of_the_profile_s_zone(tmp_path: Path) -> None:
    assert take(status="Certified", completed_at="3 Jun 2026 at 00:00")[0]["completed_at"] == "2026-06-03T00:00:00"
    assert REPORT.zone.key == "Europe/London"


def test_validation_counts_certifications(tmp_path: Path) -> None:
    heading = "User ID Number,Certification ID Number,Status,Completion Date,Expiry Date\n"
    found = validate_lms_file(put(tmp_path, f"{heading}999-1,FIRE,Expired,,\n999-1,BLS,Lost,,\n"), REPORT, vpd="999")
    assert (dict(found.records_by_type), found.faulty_records) == ({"certification": 2}, 1)
    assert dict(found.fault_counts) == {"L107": 1}


SOUND = """
lms_profile: ours
profile_version: "1"
subject: certifications
file: {}
times: {}
columns:
  user_idnumber: {header: User, needed: value}
  certification_idnumber: {header: Certification, needed: value}
  status: {header: Status}
  completed_at: {header: Completed}
statuses:
  certified: [Fait]
"""


def test_a_trust_s_own_words_are_a_matter_of_its_profile(tmp_path: Path) -> None:
    ours = load_lms_profile(put(tmp_path, SOUND, "ours.yaml"))
    assert take(ours, status="FAIT", completed_at="2026-03-03")[0]["status"] == "certified"
    assert take(replace(ours, person="person_id"), user_idnumber="7", status="fait", completed_at="2026-03-03")[0][
        "user_idnumber"
    ] == "999-7"  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("certified: [Fait]", "certified: [Fait]\n  expired: [fait]", "more than one status"),
        ("certified: [Fait]", "done: [Fait]", "done is not a setting"),
        ("{header: Status}", "{fixed: done}", "status may be fixed as one of"),
        ("subject: certifications", "subject: completions", "not a setting"),
    ],
)
def test_a_mistake_in_such_a_profile_is_told(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        load_lms_profile(put(tmp_path, SOUND.replace(old, new), "ours.yaml"))


def test_statuses_are_said_of_certifications_only(tmp_path: Path) -> None:
    text = SOUND.replace("subject: certifications", "subject: non_staff")
    columns = text.index("columns:")
    text = f"{text[:columns]}columns:\n  reference: {{header: R, needed: value}}\nstatuses: {{certified: [Fait]}}\n"
    with pytest.raises(ConfigurationError, match="of certifications only"):
        load_lms_profile(put(tmp_path, text, "ours.yaml"))
