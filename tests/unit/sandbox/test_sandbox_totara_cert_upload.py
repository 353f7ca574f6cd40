"""The sandbox's completion upload: refusals, row results, the action matrix, repeats, evidence, and the data loss."""

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sandbox.totara import SandboxTotara
from sandbox.totara_cert_file import RefusedFileError, UploadSettings

LONDON = ZoneInfo("Europe/London")
HEADER = "username,certificationshortname,certificationidnumber,completiondate,duedate"
CERTIFY = UploadSettings(action=1)


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=LONDON).timestamp())


def shown(moment: int) -> str:
    return datetime.fromtimestamp(moment, LONDON).strftime("%Y-%m-%d %H:%M").removesuffix(" 00:00") if moment else ""


class Clock:
    seconds = seconds("2026-11-22 10:00")

    def __call__(self) -> float:
        return self.seconds


class Desk:
    """A site with one learner ``amy``, and an administrator who uploads."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.site = SandboxTotara(folder / "totara.sqlite", clock=self.clock)
        for name in ("amy", "bob"):
            self.site.add_user(username=name, idnumber=f"999-{name}")
        self.site.add_certification("FIRE", "completion", shortname="Fire Safety")
        self.site.add_certification("LIFE", "expiry")

    def at(self, text: str) -> None:
        self.clock.seconds = seconds(text)

    def upload(self, *rows: str, settings: UploadSettings = CERTIFY) -> list[str]:
        """Upload a file two seconds later, run its task, and return the rows' errors."""
        self.clock.seconds += 2
        count = self.site.upload_completions("\n".join([HEADER, *rows, ""]).encode(), settings=settings)
        self.site.run_adhoc()
        return [row["importerrormsg"] for row in self.site.imports()[-count:]] if count else []

    def put(self, day: str, action: int = 1, due: str = "", *, user: str = "amy", to: str = "FIRE") -> None:
        assert self.upload(f"{user},,{to},{day},{due}", settings=UploadSettings(action=action)) == [""]

    def held(self, user: str = "amy") -> tuple[str, str, str]:
        """Return state, completion and expiry of a person's only certification."""
        (row,) = [row for row in self.site.completions() if row["username"] == user]
        return row["state"], shown(row["completed"]), shown(row["expires"])

    def record(self, user: str = "amy") -> dict[str, Any]:
        (row,) = [row for row in self.site.completions() if row["username"] == user]
        return row

    def history(self, user: str = "amy") -> list[tuple[str, str]]:
        rows = [row for row in self.site.history() if row["username"] == user]
        return sorted((shown(row["completed"]), shown(row["expires"])) for row in rows)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "The CSV file is empty"),
        ("username,certificationshortname,certificationidnumber,completiondate", "Missing required column 'duedate'"),
        (f"{HEADER},extra", "Unknown column 'extra'"),
        (HEADER.replace("username", "Username"), "Unknown column 'Username'\nMissing required column 'username'"),
        (f"{HEADER}\namy,,FIRE,2026-06-01", "Invalid CSV file format - number of columns is not constant!"),
    ],
)
def test_a_file_that_is_no_such_file_is_refused_whole(desk: Desk, content: str, message: str) -> None:
    with pytest.raises(RefusedFileError) as refused:
        desk.site.upload_completions(content.encode())
    assert str(refused.value) == message
    assert desk.site.imports() == []


@pytest.mark.parametrize(
    "content",
    [
        f"\ufeff{HEADER}\r\namy,,FIRE,2026-06-01,\r\n",
        f'{HEADER}\n"amy","","FIRE","2026-06-01",""\n',
        "completiondate,duedate,username,certificationidnumber,certificationshortname\n2026-06-01,,amy,FIRE,\n",
        f" {HEADER}\n\namy,,FIRE,2026-06-01,\n",
    ],
)
def test_marks_line_ends_quotes_order_and_blank_lines_do_not_matter(desk: Desk, content: str) -> None:
    assert desk.site.upload_completions(content.encode(), settings=CERTIFY) == 1
    desk.site.run_adhoc()
    assert desk.held() == ("certified", "2026-06-01", "2027-06-01")


def test_a_header_alone_is_a_success_of_no_rows(desk: Desk) -> None:
    assert desk.upload() == []
    assert desk.site.events("alert")[-1]["text"].endswith("successfully completed")


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ("amy,,FIRE,2026-06-01,", ""),
        ("amy,Fire Safety,,2026-06-01,", ""),
        ("amy,Fire Safety,FIRE,2026-06-01,", ""),
        ("amy,, FIRE ,2026-06-01,", ""),
        ("amy,Other,FIRE,2026-06-01,", "nomatchingcertification;"),
        ("amy,Fire Safety,OTHER,2026-06-01,", "nomatchingcertification;"),
        ("amy,,fire,2026-06-01,", "nomatchingcertification;"),
        ("Amy,,FIRE,2026-06-01,", "usernamenotfound;"),
        ("amy ,,FIRE,2026-06-01,", "usernamenotfound;"),
        ("zoe,,FIRE,2026-06-01,", "usernamenotfound;"),
        (",,FIRE,2026-06-01,", "blankusername;"),
        ("amy,,FIRE,,", "blankcompletiondate;"),
        ("amy,,,2026-06-01,", "certificationblankrefs;nomatchingcertification;"),
        ("amy,,FIRE,2026-13-01,", "invalidcompletiondate;"),
        ("amy,,FIRE,2026-06-31,", "invalidcompletiondate;"),
        ("amy,,FIRE,26-06-07,", "invalidcompletiondate;"),
        ("amy,,FIRE,09/06/2026,", "invalidcompletiondate;"),
        ("amy,,FIRE,20260611,", "invalidcompletiondate;"),
        ("amy,,FIRE,2026-6-8,", ""),
        ("amy,,FIRE,2027-12-31,", ""),
        ("amy,,FIRE,2026-06-01,garbage", ""),
        ("amy,,FIRE,2026-06-01 ,", "fieldtoolarge_completiondate;"),
        (f"{'a' * 101},,FIRE,2026-06-01,", "fieldtoolarge_username;"),
        (f"amy,,{'F' * 101},2026-06-01,", "fieldtoolarge_certificationidnumber;"),
    ],
)
def test_each_row_gets_its_own_result(desk: Desk, row: str, error: str) -> None:
    assert desk.upload(row) == [error]
    stored = desk.site.imports()[0]
    assert (stored["processed"], bool(stored["importerror"]), stored["timeupdated"] > 0) == (1, bool(error), not error)


@pytest.mark.parametrize(
    ("date_format", "text", "day"),
    [
        ("d/m/Y", "1/2/2026", "2026-02-01"),
        ("d/m/Y", "2026-03-01", ""),
        ("d/m/Y", "03/13/2026", ""),
        ("d/m/y", "05/04/26", "2026-04-05"),
        ("d/m/y", "05/04/99", "1999-04-05"),
        ("d/m/y", "05/04/2026", ""),
        ("m.d.Y", "03.13.2026", "2026-03-13"),
    ],
)
def test_dates_are_read_in_the_format_of_the_form(desk: Desk, date_format: str, text: str, day: str) -> None:
    error = desk.upload(f"amy,,FIRE,{text},", settings=UploadSettings(action=1, date_format=date_format))
    assert error == ["" if day else "invalidcompletiondate;"]
    if day:
        assert desk.held()[1] == day


def test_an_impossible_due_date_rolls_over(desk: Desk) -> None:
    desk.put("2026-02-20", due="2026-02-31", to="LIFE")
    assert desk.held() == ("certified", "2026-02-20", "2027-03-03")


def test_a_deleted_user_is_not_found_and_a_suspended_one_is_assigned_and_certified(desk: Desk) -> None:
    desk.site.edit_user("bob", deleted=1)
    assert desk.upload("bob,,FIRE,2026-06-01,") == ["usernamenotfound;"]
    desk.site.edit_user("amy", suspended=1)
    desk.put("2026-06-01")
    assert desk.held()[0] == "certified"
    assert [one["name"] for one in desk.site.events()][:2] == ["alert", "program_assigned"]


def test_one_idnumber_beside_two_short_names_fails_in_all_rows(desk: Desk) -> None:
    rows = ("amy,Fire Safety,FIRE,2026-06-01,", "bob,Other,FIRE,2026-06-01,", "amy,,LIFE,2026-06-01,")
    assert desk.upload(*rows) == ["duplicateidnumber;", "duplicateidnumber;", ""]


def test_the_same_person_certification_and_date_twice_counts_once(desk: Desk) -> None:
    assert desk.upload("amy,,FIRE,2026-06-01,", "amy,Fire Safety,,2026-06-01,") == ["", "errorskippedduplicate;"]


def test_saving_to_history_assigns_and_certifies_nobody(desk: Desk) -> None:
    desk.put("2026-06-01", action=0)
    assert desk.held() == ("assigned", "", "")
    assert desk.history() == [("2026-06-01", "2027-06-01")]


def test_the_form_s_settings_stay_and_at_first_save_to_history(desk: Desk) -> None:
    desk.site.upload_completions(f"{HEADER}\namy,,FIRE,2026-06-01,".encode())
    desk.site.run_adhoc()
    assert desk.held()[0] == "assigned"
    desk.put("2026-07-01", action=1)
    desk.clock.seconds += 2
    desk.site.upload_completions(f"{HEADER}\namy,,FIRE,2026-08-01,".encode())
    desk.site.run_adhoc()
    assert desk.held()[1] == "2026-08-01"


STATES = {"assigned": "", "certified": "2025-07-01", "window open": "2026-05-15", "expired": "2026-07-01"}


@pytest.mark.parametrize(
    ("state", "action", "effects"),
    [
        ("assigned", 0, "HHH"), ("assigned", 1, "CCC"), ("assigned", 2, "CCC"),
        ("certified", 0, "HHH"), ("certified", 1, "HHA"), ("certified", 2, "HHH"),
        ("window open", 0, "HRH"), ("window open", 1, "HRC"), ("window open", 2, "HRH"),
        ("expired", 0, "HRH"), ("expired", 1, "CCC"), ("expired", 2, "CCC"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("cell", [0, 1, 2])
def test_the_action_matrix_holds_in_every_cell(desk: Desk, state: str, action: int, effects: str, cell: int) -> None:
    desk.at("2025-06-01 12:00")
    if state == "assigned":
        desk.site.assign("amy", "FIRE")
    else:
        desk.put("2025-06-01")
        desk.at(STATES[state])
        desk.site.cron()
    before, old, ids = desk.held(), desk.history(), {row["id"] for row in desk.site.history()}
    assert before[0] == state
    day = ("2025-05-01", "2025-06-01", "2025-08-01")[cell]
    desk.put(day, action)
    effect = effects[cell]
    if effect in "CA":
        assert desk.held()[:2] == ("certified", day)
        assert desk.history() == (sorted([*old, before[1:]]) if effect == "A" else old)
    else:
        assert desk.held() == before
        assert len(desk.history()) == len(old) + (effect == "H")
        assert effect == "H" or not ids & {row["id"] for row in desk.site.history()}


def test_a_certify_makes_new_records_with_the_time_of_the_upload(desk: Desk) -> None:
    desk.put("2026-06-01")
    first = desk.record()
    desk.clock.seconds += 100
    desk.site.upload_completions(f"{HEADER}\namy,,FIRE,2026-08-01,".encode(), settings=CERTIFY)
    uploaded = desk.clock.seconds
    desk.clock.seconds += 500
    desk.site.run_adhoc()
    second = desk.record()
    assert second["id"] > first["id"]
    assert second["timemodified"] == uploaded


def test_the_same_file_again_leaves_the_record_and_one_history_copy_with_a_new_id(desk: Desk) -> None:
    desk.put("2026-06-01")
    record, ids = desk.record(), []
    for _ in range(2):
        desk.put("2026-06-01")
        ids += [row["id"] for row in desk.site.history()]
    assert desk.record() == record
    assert desk.history() == [("2026-06-01", "2027-06-01")]
    assert len(set(ids)) == 2


def test_by_expiry_the_copy_has_another_expiry_and_with_a_due_date_there_are_two(desk: Desk) -> None:
    desk.put("2025-06-10", to="LIFE")
    desk.put("2026-06-01", to="LIFE")
    desk.put("2026-06-01", to="LIFE")
    assert desk.held() == ("certified", "2026-06-01", "2027-06-10")
    assert ("2026-06-01", "2027-06-01") in desk.history()
    desk.put("2026-06-01", due="2026-06-20", to="LIFE")
    assert ("2026-06-01", "2027-06-20") in desk.history()


def test_two_dates_in_one_first_file_certify_on_the_newest_counted_without_the_older(desk: Desk) -> None:
    assert desk.upload("amy,,LIFE,2025-06-10,", "amy,,LIFE,2026-06-01,") == ["", ""]
    assert desk.held() == ("certified", "2026-06-01", "2027-06-01")
    assert desk.history() == [("2025-06-10", "2026-06-10")]


def test_a_bare_date_is_older_than_the_learner_s_own_completion_of_that_day(desk: Desk) -> None:
    desk.at("2026-11-22 03:46")
    assert desk.site.learner_completes("amy", "FIRE")
    desk.put("2026-11-22")
    assert desk.held()[1] == "2026-11-22 03:46"
    assert desk.history() == [("2026-11-22", "2027-11-22")]
    desk.put("2026-11-23")
    assert desk.held()[1] == "2026-11-23"
    assert ("2026-11-22 03:46", "2027-11-22 03:46") in desk.history()


@pytest.mark.parametrize("active", ["", "0 year"])
def test_a_certification_without_active_period_fails_every_row_of_the_file(desk: Desk, active: str) -> None:
    desk.site.add_certification("BAD", active=active)
    rows = ("amy,,FIRE,2026-06-01,", "bob,,BAD,2026-06-01,", "zoe,,FIRE,2026-06-01,")
    assert desk.upload(*rows) == ["errorunknown;"] * 3
    assert desk.held() == ("assigned", "", "")
    assert desk.held("bob") == ("assigned", "", "")
    assert desk.site.events("alert")[-1]["text"].endswith("failed to complete successfully")
    assert desk.site.run_adhoc() == 0


def test_a_newer_and_the_current_date_of_one_person_lose_the_completions_of_others(desk: Desk) -> None:
    desk.put("2026-01-10")
    desk.put("2026-01-20", user="bob")
    rows = ("amy,,FIRE,2026-06-01,", "amy,,FIRE,2026-01-10,", "bob,,FIRE,2026-06-02,")
    assert desk.upload(*rows) == ["", "", ""]
    assert {row["processed"] for row in desk.site.imports()[-3:]} == {0}
    assert desk.held("bob")[:2] == ("certified", "2026-06-02")
    assert shown(desk.record("bob")["due"]) == "2027-01-20"  # the programme's record is not written
    assert desk.history("bob") == []
    assert desk.site.run_adhoc() == 0  # only after a minute
    desk.clock.seconds += 60
    assert desk.site.run_adhoc() == 1
    assert [row["importerrormsg"] for row in desk.site.imports()] == [""] * 5
    assert desk.history("bob") == [("2026-06-02", "2027-06-02")]  # and 20 January is gone for good
    assert desk.history() == [("2026-01-10", "2027-01-10"), ("2026-06-01", "2027-06-01")]
    assert shown(desk.record("bob")["due"]) == "2027-06-02"
    assert desk.site.run_adhoc() == 0


@pytest.mark.parametrize("when", ["2026-12-20", "2027-02-01"])
def test_the_same_two_rows_do_no_harm_when_the_window_is_open_or_the_person_expired(desk: Desk, when: str) -> None:
    desk.put("2026-01-10")
    desk.at(when)
    desk.site.cron()
    assert desk.upload("amy,,FIRE,2026-06-01,", "amy,,FIRE,2026-01-10,") == ["", ""]
    assert desk.held()[1] == "2026-06-01"
    assert desk.history() == [("2026-01-10", "2027-01-10")]


def test_two_uploads_in_one_second_are_one_batch(desk: Desk) -> None:
    for row in ("amy,,FIRE,2026-06-01,", "bob,,FIRE,2026-06-02,"):
        desk.site.upload_completions(f"{HEADER}\n{row}".encode(), settings=CERTIFY)
    assert desk.site.run_adhoc() == 2
    assert [desk.held(user)[1] for user in ("amy", "bob")] == ["2026-06-01", "2026-06-02"]
    assert len(desk.site.events("alert")) == 2


def test_the_zones_of_uploader_and_task_decide_what_midnight_is(desk: Desk) -> None:
    away = UploadSettings(action=1, uploader_zone="America/New_York")
    assert desk.upload("amy,,LIFE,2026-06-01,2026-06-15", settings=away) == [""]
    assert desk.held() == ("certified", "2026-06-01 05:00", "2027-06-15")


def test_a_person_who_was_un_assigned_gets_the_old_record_back_before_the_upload_is_compared(desk: Desk) -> None:
    desk.put("2026-06-01")
    desk.site.unassign("amy", "FIRE")
    assert desk.site.completions() == []
    assert [row["unassigned"] for row in desk.site.history()] == [1]
    desk.put("2026-05-01")
    assert desk.held() == ("certified", "2026-06-01", "2027-06-01")
    assert desk.history() == [("2026-05-01", "2027-05-01")]


def test_an_inconsistent_record_is_archived_and_replaced_by_an_older_date(desk: Desk) -> None:
    desk.put("2026-06-10", to="LIFE")
    desk.site.damage("amy", "LIFE", due=seconds("2026-01-01"))
    desk.put("2026-06-01", to="LIFE")
    assert desk.held() == ("certified", "2026-06-01", "2027-06-01")
    assert desk.history() == [("2026-06-10", "2027-06-10")]


EVIDENCE = UploadSettings(action=1, create_evidence=True)


def test_unmatched_rows_become_evidence_last_row_first_and_again_when_sent_again(desk: Desk) -> None:
    rows = ("amy,,NOSUCH,2026-06-01,2026-07-01", "amy,My Short,,2026-06-02,", "amy,,fire,2026-06-03,")
    assert desk.upload(*rows, settings=EVIDENCE) == ["", "", ""]
    assert [one["name"] for one in desk.site.evidence()] == [
        "Completed certification ID : fire",
        "Completed certification : My Short",
        "Completed certification ID : NOSUCH",
    ]
    item = desk.site.evidence()[2]
    stored = desk.site.imports()[0]
    assert (stored["evidenceid"], item["importid"], item["imported"]) == (item["id"], stored["id"], 1)
    assert (shown(item["completiondate"]), shown(item["duedate"])) == ("2026-06-01", "2026-07-01")
    desk.upload(rows[0], settings=EVIDENCE)
    assert len(desk.site.evidence()) == 4
    assert desk.site.completions() == []


def test_blank_references_and_unknown_users_make_no_evidence(desk: Desk) -> None:
    rows = ("amy,,,2026-06-01,", "zoe,,NOSUCH,2026-06-01,", "amy,,FIRE,2026-06-01,")
    assert desk.upload(*rows, settings=EVIDENCE) == ["certificationblankrefs;", "usernamenotfound;", ""]
    assert desk.site.evidence() == []
    assert desk.held()[0] == "certified"


def test_an_import_tells_nobody_but_the_uploader(desk: Desk) -> None:
    desk.put("2026-06-01")
    assert {one["name"] for one in desk.site.events()} == {"program_assigned", "log", "alert"}
    assert desk.site.events("log")[0]["text"] == "User certified during import"
