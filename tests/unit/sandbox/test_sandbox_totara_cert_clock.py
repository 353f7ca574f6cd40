"""The sandbox's certifications over time: the hourly step, learners, extensions, the report."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from sandbox.totara import SandboxTotara
from sandbox.totara_cert_file import UploadSettings
from sandbox.totara_cert_rules import METHODS, Terms, UnusableSettingsError, recertified
from shared.lms_csv import load_lms_profile, read_completions

LONDON = ZoneInfo("Europe/London")


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=LONDON).timestamp()) if text else 0


def shown(moment: int) -> str:
    return datetime.fromtimestamp(moment, LONDON).strftime("%Y-%m-%d %H:%M").removesuffix(" 00:00") if moment else ""


class Clock:
    seconds = seconds("2026-01-01 09:00")

    def __call__(self) -> float:
        return self.seconds


class Site:
    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.totara = SandboxTotara(folder / "totara.sqlite", clock=self.clock)
        self.totara.add_user(username="amy", idnumber="999-1")

    def at(self, text: str) -> None:
        self.clock.seconds = seconds(text)

    def certification(self, method: str = "completion", **periods: str) -> None:
        assert method in ("completion", "expiry", "fixed")
        self.totara.add_certification("C1", method, **periods)  # type: ignore[arg-type]

    def put(self, day: str, due: str = "") -> None:
        self.clock.seconds += 2
        text = f"username,certificationshortname,certificationidnumber,completiondate,duedate\namy,,C1,{day},{due}\n"
        self.totara.upload_completions(text.encode(), settings=UploadSettings(action=1))
        self.totara.run_adhoc()

    def cron(self, text: str) -> None:
        self.at(text)
        self.totara.cron()

    def held(self) -> tuple[str, str, str, str]:
        (row,) = self.totara.completions()
        return row["state"], shown(row["completed"]), shown(row["expires"]), shown(row["due"])

    def history(self) -> list[tuple[str, str]]:
        return [(shown(row["completed"]), shown(row["expires"])) for row in self.totara.history()]

    def failures(self) -> int:
        return len(self.totara.events("failure_to_recertify"))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.mark.parametrize(
    ("method", "expires", "completed", "due", "window", "new", "opens"),
    [
        ("expiry", "2013-05-03 08:14", "2013-04-15 12:01", "", "1 month", "2014-05-03 08:14", "2014-04-03 08:14"),
        ("expiry", "2013-05-03 08:14", "2013-02-15 12:01", "", "1 month", "2013-05-03 08:14", "2013-04-03 08:14"),
        ("expiry", "", "2013-04-15 12:01", "2013-05-03 08:14", "1 month", "2014-05-03 08:14", "2014-04-03 08:14"),
        ("expiry", "", "2013-04-15 12:01", "", "1 month", "2014-04-15 12:01", "2014-03-15 12:01"),
        ("completion", "2013-01-01", "2013-04-15 12:01", "2013-02-01", "1 month", "2014-04-15 12:01",
         "2014-03-15 12:01"),
        ("completion", "", "2013-04-15 12:01", "", "3 week", "2014-04-15 12:01", "2014-03-25 12:01"),
        ("fixed", "", "2012-01-04 08:14", "2012-12-31", "2 month", "2012-12-31", "2012-10-31"),
        ("fixed", "2012-12-31", "2012-11-05 08:14", "2012-12-31", "2 month", "2013-12-31", "2013-10-31"),
        ("fixed", "", "2013-02-04 08:14", "2012-12-31", "2 month", "2013-12-31", "2013-10-31"),
        ("fixed", "", "2012-06-15", "2012-12-15", "2 month", "2012-12-15", "2012-10-15"),  # exactly the least time
    ],
)  # fmt: skip
def test_the_product_s_own_vectors_hold_and_the_least_time_is_enough(
    method: str, expires: str, completed: str, due: str, window: str, new: str, opens: str
) -> None:
    terms = Terms(METHODS[method], "1 year", "6 month" if method == "fixed" else "", window, LONDON)
    found = recertified(terms, seconds(completed), seconds(expires), seconds(due))
    assert tuple(map(shown, found)) == (new, opens)


def test_a_fixed_date_that_takes_for_ever_to_find_is_refused() -> None:
    terms = Terms(METHODS["fixed"], "1 day", "1 day", "1 day", LONDON)
    with pytest.raises(UnusableSettingsError):
        recertified(terms, seconds("2026-01-01"), seconds("1980-01-01"), 0)


def test_opening_a_window_copies_to_the_history_and_leaves_the_record_as_it_was(site: Site) -> None:
    site.certification()
    site.put("2026-01-01")
    before = site.totara.completions()[0]
    site.cron("2026-12-01 00:00")
    assert site.held()[0] == "certified"  # not in the very second
    site.cron("2026-12-01 01:00")
    after = site.totara.completions()[0]
    assert after["state"] == "window open"
    assert {name: after[name] for name in ("id", "timemodified", "completed", "expires", "due")} == {
        name: before[name] for name in ("id", "timemodified", "completed", "expires", "due")
    }
    assert site.history() == [("2026-01-01", "2027-01-01")]
    assert site.totara.history()[0]["timemodified"] == seconds("2026-12-01 01:00")


def test_a_copy_that_is_there_is_overwritten_when_the_window_opens(site: Site) -> None:
    site.certification()
    site.put("2026-01-01")
    site.put("2026-01-01")
    first = site.totara.history()[0]["id"]
    site.cron("2026-12-15")
    assert site.history() == [("2026-01-01", "2027-01-01")]
    assert site.totara.history()[0]["id"] > first


def test_expiring_erases_the_dates_and_the_due_date_keeps_the_old_expiry(site: Site) -> None:
    site.certification()
    site.put("2026-01-01")
    site.cron("2028-01-01")
    assert site.held() == ("expired", "", "", "2027-01-01")
    assert site.totara.completions()[0]["timemodified"] == seconds("2028-01-01")
    assert site.history() == [("2026-01-01", "2027-01-01")]
    assert site.failures() == 1
    site.totara.cron()
    assert site.failures() == 1


@pytest.mark.parametrize("column", ["suspended", "deleted"])
def test_who_is_suspended_is_frozen_and_caught_up_on_in_one_run(site: Site, column: str) -> None:
    site.certification()
    site.put("2026-01-01")
    site.totara.edit_user("amy", **{column: 1})
    site.cron("2028-01-01")
    assert site.totara.completions()[0]["state"] == "certified"
    site.totara.edit_user("amy", **{column: 0})
    site.totara.cron()
    assert site.held()[0] == "expired"


def test_a_window_longer_than_the_active_period_never_opens_and_is_logged_every_hour(site: Site) -> None:
    site.certification(active="1 month", window="1 year")
    site.put("2026-01-01")
    for _ in range(2):
        site.cron("2030-01-01")
    assert site.held()[0] == "certified"
    logged = [one["text"] for one in site.totara.events("log") if one["text"].startswith("Tried")]
    assert logged == ["Tried to set state to Window open, but failed"] * 2


def test_a_newer_upload_before_the_hourly_step_leaves_it_nothing_to_do(site: Site) -> None:
    site.certification()
    site.put("2025-12-20")
    site.at("2026-12-15")
    site.put("2026-12-10")
    site.totara.cron()
    assert site.held() == ("certified", "2026-12-10", "2027-12-10", "2027-12-10")
    assert site.history() == [("2025-12-20", "2026-12-20")]


def test_a_stale_date_sent_every_day_certifies_and_expires_every_day(site: Site) -> None:
    site.certification()
    site.put("2025-01-01")
    site.cron("2026-06-01")
    for day in range(2, 5):
        site.at(f"2026-06-0{day}")
        site.put("2025-01-01")
        assert site.held()[0] == "certified"
        site.totara.cron()
        assert site.held() == ("expired", "", "", "2026-01-01")
    assert site.failures() == 4
    assert site.history() == [("2025-01-01", "2026-01-01")]
    site.put("2020-01-01")
    site.totara.cron()
    assert site.held() == ("expired", "", "", "2021-01-01")


def test_an_expired_person_s_next_expiry_depends_on_the_hourly_step_and_the_due_date(site: Site) -> None:
    site.certification("expiry")
    site.put("2025-01-15")
    site.at("2026-06-01")
    site.put("2026-01-10")
    assert site.held()[2] == "2027-01-15"
    site.cron("2028-01-01")
    site.put("2027-01-10")
    assert site.held()[2] == "2028-01-10"
    site.cron("2029-01-01")
    site.put("2028-01-05", due="2028-01-15")
    assert site.held()[2] == "2029-01-15"


def test_a_learner_keeps_the_fixed_anniversary_an_upload_loses(site: Site) -> None:
    site.certification("fixed", window="2 month", minimum="6 month")
    site.put("2024-03-01", due="2024-03-31")
    assert site.held()[2] == "2025-03-31"
    site.cron("2025-10-01")
    site.put("2025-10-15")
    assert site.held()[2] == "2026-10-15"
    site.totara.damage("amy", "C1", state="expired", completed=0, opens=0, expires=0, due=seconds("2025-03-31"))
    assert site.totara.learner_completes("amy", "C1", seconds("2026-11-22 11:00"))
    assert site.held()[2] == "2028-03-31"
    assert len(site.totara.events("program_completed")) == 1


@pytest.mark.parametrize(
    ("done", "by_learner", "expires"), [("2026-11-10", False, "2027-12-01"), ("2026-11-22", True, "2027-01-15")]
)
def test_after_an_extension_upload_and_learner_count_differently(
    site: Site, done: str, by_learner: bool, expires: str
) -> None:
    site.certification("expiry")
    site.put("2025-12-01")
    site.cron("2026-11-02")
    site.totara.extend("amy", "C1", seconds("2027-01-15"))
    if by_learner:
        assert site.totara.learner_completes("amy", "C1", seconds(done))
    else:
        site.put(done)
    assert site.held()[2] == expires


def test_a_learner_cannot_recertify_before_the_window_is_open(site: Site) -> None:
    site.certification()
    assert site.totara.learner_completes("amy", "C1")
    assert not site.totara.learner_completes("amy", "C1")
    site.cron("2026-12-15")
    assert site.totara.learner_completes("amy", "C1")
    assert site.held()[1] == "2026-12-15"


def test_a_lost_record_is_repaired_by_the_hourly_step_and_certified_by_any_date(site: Site) -> None:
    site.certification()
    site.put("2026-01-01")
    site.totara.lose_record("amy", "C1")
    assert site.totara.completions() == []
    site.cron("2026-02-01")
    assert site.held() == ("assigned", "", "", "2027-01-01")
    site.totara.lose_record("amy", "C1")
    site.put("2025-12-01")
    assert site.held()[:2] == ("certified", "2025-12-01")
    assert site.history() == []


def test_a_due_date_of_an_assignment_is_the_programme_s(site: Site) -> None:
    site.certification("expiry")
    site.totara.assign("amy", "C1", due=seconds("2026-03-01"))
    assert site.totara.learner_completes("amy", "C1", seconds("2026-02-01"))
    assert site.held()[2] == "2027-03-01"


def told(site: Site, folder: Path, *, history: bool = False) -> list[dict[str, str]]:
    """What the built-in profile reads of a report, without what is the same in all rows."""
    report = folder / "report.csv"
    assert site.totara.write_certification_report(report, history=history)
    profile = load_lms_profile("totara-certification-history" if history else "totara-certification-report")
    read = list(read_completions(report, profile, "999"))
    assert [one.faults for one in read] == [()] * len(read)
    assert not any(one.ignored for one in read)
    same = {"user_idnumber": "999-1", "certification_idnumber": "C1", "method": "e-Learning"}
    assert all(one.fields.items() >= same.items() for one in read)
    return [{name: value for name, value in one.fields.items() if name not in same} for one in read]


def test_the_report_is_what_the_built_in_profile_reads_in_every_state(site: Site, tmp_path: Path) -> None:
    site.certification()
    assert not site.totara.write_certification_report(tmp_path / "none.csv")
    assert not (tmp_path / "none.csv").exists()  # without rows the product writes no file
    site.totara.assign("amy", "C1")
    assert told(site, tmp_path) == [{"status": "assigned"}]
    site.put("2026-06-15")
    dates = {"completed_at": "2026-06-15T00:00:00", "expires_on": "2027-06-15", "window_opens_on": "2027-05-15"}
    assert told(site, tmp_path) == [{"status": "certified"} | dates]
    site.cron("2027-05-20")
    assert told(site, tmp_path) == [{"status": "window-open"} | dates]
    site.cron("2028-01-01")
    assert told(site, tmp_path) == [{"status": "expired"}]
    assert told(site, tmp_path, history=True) == [{"status": "history"} | dates]


def test_the_history_report_has_every_earlier_completion_and_not_the_current_one(site: Site, tmp_path: Path) -> None:
    site.certification()
    for day in ("2026-06-01", "2026-06-15", "2026-06-20"):
        site.at(f"{day} 14:05")
        site.put(day)
    assert [one["completed_at"] for one in told(site, tmp_path, history=True)] == [
        "2026-06-01T00:00:00",
        "2026-06-15T00:00:00",
    ]
    assert [one["completed_at"] for one in told(site, tmp_path)] == ["2026-06-20T00:00:00"]


def test_the_state_outlives_the_process(site: Site, tmp_path: Path) -> None:
    site.certification()
    site.put("2026-06-01")
    again = SandboxTotara(tmp_path / "totara.sqlite", clock=site.clock)
    assert again.completions() == site.totara.completions()
