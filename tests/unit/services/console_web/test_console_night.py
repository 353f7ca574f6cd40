"""Whether last night worked, said from what the services say."""

from datetime import date
from typing import Any

import pytest

from services.console.web.night import Part, Said, day_of, night, worst

TODAY = date(2026, 3, 4)
STEPS: dict[str, Any] = {name: [] for name in ("ingest", "people", "competency", "outbound", "confirmations")}


def file(name: str = "CS_999_CST_CSC_20260304_00000003.DAT", status: str = "complete", **more: Any) -> dict[str, Any]:
    complete = {"applied": 10} if status in ("complete", "splitting", "split") else {}
    told = {"name": name, "status": status, "received_at": f"{TODAY}T06:00:00+00:00", "code": "", "records": 10}
    return told | {"accounted": complete} | {"adds_up": status == "complete"} | more


def said(**more: Any) -> Said:
    fine: dict[str, Any] = {
        "files": [file()],
        "alarms": [],
        "late": STEPS,
        "nights": [],
        "refused": [],
        "guards": [],
        "matches": [],
        "site": {"waits": False, "code": "", "findings": []},
    }
    return Said(**fine | more)


def parts(**more: Any) -> dict[str, Part]:
    return {part.key: part for part in night(said(**more), TODAY)}


def test_a_night_in_which_all_went_well_asks_nobody_to_act() -> None:
    assert {part.state for part in parts().values()} == {"good"}
    assert worst(night(said(), TODAY)) == "good"


@pytest.mark.parametrize(
    ("key", "more"),
    [
        ("files", {"files": []}),
        ("files", {"files": None}),
        ("accounted", {"files": None}),
        ("files", {"files": [file(status="quarantined", code="F001")]}),
        ("files", {"files": [file(status="held", code="F017")]}),
        ("files", {"files": [file(status="held", code="F018")]}),
        ("files", {"alarms": [{"kind": "silent", "subject": "2026-03-04T06:00:00", "raised_at": ""}]}),
        ("files", {"alarms": [{"kind": "late", "subject": "2026-03-05", "raised_at": ""}]}),
        ("sent", {"nights": None}),
        ("sent", {"nights": [{"day": "2026-03-03", "sent": 2, "confirmed": 1, "refused": 0, "open": 1, "overdue": 1}]}),
        ("steps", {"late": {"people": None}}),
        ("steps", {"late": {"people": [{"step": "new-day", "day": "2026-03-04", "code": "", "late": True}]}}),
        ("letters", {"letters": {"R103": 1}}),
        ("accounts", {"guards": None}),
        ("accounts", {"matches": [{"person_id": "1"}]}),
        ("accounts", {"guards": [{"day": "2026-03-04", "suspensions": 9, "waiting": 9}]}),
        ("accounts", {"site": {"waits": True, "code": "LMS_MISCONFIGURED", "findings": [{"sentence": "x"}]}}),
    ],
)
def test_red_is_what_somebody_must_see_to_and_what_nobody_can_tell(key: str, more: dict[str, Any]) -> None:
    found = parts(**more)
    assert found[key].state == "act"
    assert worst(list(found.values())) == "act"


@pytest.mark.parametrize(
    ("key", "more"),
    [
        ("files", {"files": [file(status="splitting", accounted={"applied": 3, "pending": 7}, adds_up=False)]}),
        ("accounted", {"files": [file(status="splitting", accounted={"applied": 3, "pending": 7}, adds_up=False)]}),
        ("files", {"files": [file(status="held", code="F006")]}),
        ("sent", {"nights": [{"day": "2026-03-03", "sent": 2, "confirmed": 1, "refused": 0, "open": 1, "overdue": 0}]}),
        ("accounts", {"site": {"waits": True, "code": "LMS_UNAVAILABLE", "findings": []}}),
    ],
)
def test_what_goes_on_by_itself_is_not_red(key: str, more: dict[str, Any]) -> None:
    assert parts(**more)[key].state == "wait"


def test_an_alarm_that_a_later_file_has_answered_is_history() -> None:
    alarms = [
        {"kind": "silent", "subject": "2026-03-01T06:00:00", "raised_at": ""},
        {"kind": "late", "subject": "2026-03-03", "raised_at": ""},
    ]
    assert parts(alarms=alarms)["files"].state == "good"


def test_a_refused_file_that_came_again_and_was_taken_is_history() -> None:
    both = [file(status="quarantined", code="F001"), file()]
    assert parts(files=both)["files"].state == "good"


def test_suspensions_that_were_released_or_are_of_another_day_wait_for_nobody() -> None:
    guards = [
        {"day": "2026-03-04", "suspensions": 9, "waiting": 0},
        {"day": "2026-03-03", "suspensions": 9, "waiting": 9},
    ]
    assert parts(guards=guards)["accounts"].state == "good"


def test_refusals_that_were_sent_again_since_are_not_red() -> None:
    nights = [{"day": "2026-03-03", "sent": 2, "confirmed": 1, "refused": 1, "open": 0, "overdue": 0}]
    refused = {"code": "E100", "meaning": "a reason", "number": 1}
    assert parts(nights=nights, refused=[refused | {"standing": 0}])["sent"].state == "good"
    stands = parts(nights=nights, refused=[refused | {"standing": 1}])["sent"]
    assert (stands.state, stands.notes[0].startswith("1 refused: E100, a reason. What to do: Ask ESR")) == ("act", True)
    [note] = parts(nights=nights, refused=[{"code": "B204", "number": 1}])["sent"].notes
    assert note.startswith("1 refused: B204, Competence ID not known in this VPD. What to do: Check the mapping")


def test_a_running_file_shows_how_far_it_is() -> None:
    (progress,) = parts(files=[file(status="splitting", accounted={"applied": 3, "pending": 7})])["files"].running
    assert (progress.done, progress.of) == (3, 10)


def test_only_the_files_of_the_newest_day_and_open_ones_are_tonights() -> None:
    files = [file("CS_999_CST_CSC_20260303_00000002.DAT"), file()]
    assert dict(parts(files=files)["accounted"].facts)["Lines"] == 10


def test_the_day_of_a_file_is_read_from_its_name() -> None:
    assert day_of("CS_999_CST_CSC_20260304_00000003.DAT") == date(2026, 3, 4)
    assert day_of("completions-20260303T1730.csv") == date(2026, 3, 3)
    assert day_of("CS_999_CST_CSC_20261399_00000003.DAT") is None
    assert day_of("batch-1234.csv") is None


def test_a_part_leads_to_the_page_on_which_it_is_seen_to() -> None:
    held = [{"day": "2026-03-04", "suspensions": 9, "waiting": 9}]
    asked = [{"person_id": "1"}]
    assert parts()["sent"].page == "completions"
    assert parts(guards=held, matches=asked)["accounts"].page == "guards"
    assert parts(matches=asked)["accounts"].page == "matches"
    assert parts()["accounts"].page == ""


def test_a_refused_file_without_a_day_in_its_name_is_history_by_the_day_on_which_it_came() -> None:
    refused = file("typed.csv", status="quarantined", code="L002")
    assert parts(files=[file(), refused])["files"].state == "act"
    old = refused | {"received_at": "2026-03-01T06:00:00+00:00"}
    assert parts(files=[file(), old])["files"].state == "good"
