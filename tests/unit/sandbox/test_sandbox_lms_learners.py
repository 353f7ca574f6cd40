"""What learners do in the sandbox's LMS, and the files that tell of it."""

import csv
import io
import sqlite3
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from sandbox import lms_learners
from sandbox.catalogue import CATALOGUE
from sandbox.lms import SandboxLms
from sandbox.lms_operations import Operation

DAY = date(2026, 3, 3)
NOW = datetime(2026, 3, 3, 18, 0, tzinfo=UTC)
HEADER = "reference,user_idnumber,certification_idnumber,completed_at,expires_on,course_idnumber,method"
OPERATIONS: TypeAdapter[list[Operation]] = TypeAdapter(list[Operation])


def lms_with(folder: Path, people: int = 10) -> SandboxLms:
    lms = SandboxLms(folder / "lms.sqlite", "999")
    accounts = [
        {
            "operation": "ensure_account",
            "idnumber": f"999-900000{number}",
            "username": f"u{number}",
            "firstname": "Ash",
            "lastname": "Mockham",
            "email": f"u{number}@trust.example",
            "account_type": "PERM",
        }
        for number in range(people)
    ]
    lms.apply(OPERATIONS.validate_python(accounts))
    return lms


def record(lms: SandboxLms, certification: str, completed_on: str, expires_on: str | None) -> None:
    given = {"certification": certification, "completed_on": completed_on, "expires_on": expires_on}
    operation = {"operation": "record_completion", "idnumber": "999-9000000", **given}
    lms.apply(OPERATIONS.validate_python([operation]))


def rows(path: Path | None) -> list[dict[str, str]]:
    assert path is not None
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode())))


def test_a_share_of_accounts_learns_something_within_office_hours(tmp_path: Path) -> None:
    lms = lms_with(tmp_path)
    assert lms.live(DAY, 0.5) == 5
    done = rows(lms.export_completions(tmp_path, NOW))
    assert len({one["user_idnumber"] for one in done}) == 5
    for one in done:
        moment = datetime.fromisoformat(one["completed_at"])
        assert moment.date() == DAY
        assert (8, 30) <= (moment.hour, moment.minute) <= (17, 30)
        assert one["certification_idnumber"] in dict(CATALOGUE)
        (held,) = lms.certifications(one["user_idnumber"])["current"]
        assert (held["completed_on"], held["expires_on"]) == ("2026-03-03", one["expires_on"])


def test_completion_times_carry_the_uk_offset_of_their_day(tmp_path: Path) -> None:
    lms = lms_with(tmp_path)
    lms.live(date(2026, 3, 3), 0.1)
    lms.live(date(2026, 7, 3), 0.1)
    winter, summer = rows(lms.export_completions(tmp_path, NOW))
    assert winter["completed_at"].endswith("+00:00")
    assert summer["completed_at"].endswith("+01:00")


def test_the_same_seed_gives_the_same_completions(tmp_path: Path) -> None:
    contents = []
    for run in ("one", "two"):
        lms = lms_with(tmp_path / run)
        lms.live(DAY, 1.0)
        path = lms.export_completions(tmp_path / run, NOW)
        assert path is not None
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]


def test_a_day_is_lived_once(tmp_path: Path) -> None:
    lms = lms_with(tmp_path)
    assert lms.live(DAY, 1.0) == lms.live(DAY, 1.0) == 10
    assert len(rows(lms.export_completions(tmp_path, NOW))) == 10


def test_suspended_accounts_do_not_learn(tmp_path: Path) -> None:
    lms = lms_with(tmp_path, people=2)
    lms.apply(OPERATIONS.validate_python([{"operation": "suspend", "idnumber": "999-9000000"}]))
    assert lms.live(DAY, 1.0) == 1
    assert rows(lms.export_completions(tmp_path, NOW))[0]["user_idnumber"] == "999-9000001"


@pytest.mark.parametrize(
    ("expires_on", "learns"), [("2026-03-01", True), ("2026-05-02", True), ("2026-05-03", False), (None, False)]
)
def test_only_what_is_expired_or_near_expiry_or_not_held_is_learnt(
    tmp_path: Path, expires_on: str | None, learns: bool
) -> None:
    lms = lms_with(tmp_path, people=1)
    for idnumber, _ in CATALOGUE:
        record(lms, idnumber, "2025-06-01", None)
    record(lms, "IG-1Y", "2025-07-01", expires_on)
    assert lms.live(DAY, 1.0) == int(learns)


def test_a_renewal_archives_what_was_held(tmp_path: Path) -> None:
    lms = lms_with(tmp_path, people=1)
    for idnumber, _ in CATALOGUE:
        record(lms, idnumber, "2025-01-01", None if idnumber != "FIRE-2Y" else "2026-03-01")
    lms.live(DAY, 1.0)
    held = lms.certifications()
    assert [(one["certification"], one["completed_on"]) for one in held["history"]] == [("FIRE-2Y", "2025-01-01")]
    (fire,) = [one for one in held["current"] if one["certification"] == "FIRE-2Y"]
    assert (fire["completed_on"], fire["expires_on"]) == ("2026-03-03", "2028-03-03")


def test_the_export_file_has_the_agreed_name_header_and_references(tmp_path: Path) -> None:
    lms = lms_with(tmp_path, people=3)
    lms.live(DAY, 1.0)
    path = lms.export_completions(tmp_path / "out", NOW)
    assert path == tmp_path / "out" / "completions_999_20260303_00000001.csv"
    assert path.read_bytes().decode().splitlines()[0] == HEADER
    assert [one["reference"] for one in rows(path)] == ["C0000000001", "C0000000002", "C0000000003"]


def test_each_completion_is_exported_once_and_an_idle_day_makes_no_file(tmp_path: Path) -> None:
    lms = lms_with(tmp_path, people=3)
    lms.live(DAY, 1.0)
    first = rows(lms.export_completions(tmp_path, NOW))
    assert lms.export_completions(tmp_path, NOW) is None
    lms.live(DAY + timedelta(days=1), 1.0)
    second = lms.export_completions(tmp_path, NOW + timedelta(days=1))
    assert second is not None
    assert second.name == "completions_999_20260304_00000002.csv"
    assert not {one["reference"] for one in first} & {one["reference"] for one in rows(second)}


def test_what_was_recorded_from_outside_is_never_exported(tmp_path: Path) -> None:
    lms = lms_with(tmp_path, people=1)
    record(lms, "FIRE-2Y", "2026-03-03", None)
    assert lms.export_completions(tmp_path, NOW) is None


@pytest.mark.parametrize("step", ["write_export", "finish_export"])
def test_after_a_crash_the_same_file_is_exported_again_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    lms = lms_with(tmp_path, people=3)
    lms.live(DAY, 1.0)
    with monkeypatch.context() as patch:
        patch.setattr(lms_learners, step, _crash)
        with pytest.raises(sqlite3.OperationalError):
            lms.export_completions(tmp_path / "out", NOW)
    left = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*")}
    lms.live(DAY + timedelta(days=1), 1.0)
    again = SandboxLms(tmp_path / "lms.sqlite", "999").export_completions(tmp_path / "out", NOW + timedelta(days=1))
    assert again is not None
    assert again.name == "completions_999_20260303_00000001.csv"
    assert len(rows(again)) == 3
    assert left in ({}, {again.name: again.read_bytes()})
    following = lms.export_completions(tmp_path / "out", NOW + timedelta(days=1))
    assert [one["reference"] for one in rows(following)] == ["C0000000004", "C0000000005", "C0000000006"]


def _crash(*_: object) -> None:
    raise sqlite3.OperationalError("killed here")
