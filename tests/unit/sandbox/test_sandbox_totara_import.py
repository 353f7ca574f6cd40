"""The sandbox's HR Import: what was observed of the product, one by one."""

from pathlib import Path

import pytest

from sandbox.totara import SandboxTotara
from sandbox.totara_users import as_day

NOW = 1_795_000_000
USER = "idnumber,timemodified,username,deleted,firstname,lastname,email,auth,department,customfield_accounttype"
JOB = (
    "idnumber,useridnumber,timemodified,deleted,fullname,startdate,enddate,orgidnumber,posidnumber,manageridnumber,"
    "managerjaidnumber"
)
ORG = "idnumber,fullname,frameworkidnumber,parentidnumber,timemodified"


class Clock:
    seconds = NOW

    def __call__(self) -> float:
        return self.seconds


class Importer:
    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.site = SandboxTotara(folder / "totara.sqlite", clock=self.clock)
        self.site.define_field("accounttype", "menu", ("TEMP", "PERM"))
        self.site.define_field("esrnumber", "text", unique=True)
        self.site.define_field("dob", "date")
        for kind in ("organisation", "position"):
            self.site.add_framework(kind, "F1")
        self.ready = folder / "csv" / "ready"
        self.ready.mkdir(parents=True)
        self.folder = folder
        self.read = 0

    def run(self, element: str, header: str, *rows: str, encoding: str = "utf-8") -> list[str]:
        """Import one file and return what the log says of it, apart from its start and end."""
        return self.run_bytes(element, "\n".join([header, *rows, ""]).encode(encoding))

    def run_bytes(self, element: str, content: bytes) -> list[str]:
        (self.ready / f"{element}.csv").write_bytes(content)
        self.site.run_hr_import(self.folder)
        lines = [line for line in self.site.log()[self.read :] if line["element"] == element]
        self.read = len(self.site.log())
        return [f"{line['logtype']}: {line['info']}" for line in lines if not line["info"].startswith("HR Import ")]

    def users(self, *rows: str) -> list[str]:
        return self.run("user", USER, *rows)

    def user(self, idnumber: str) -> dict[str, object]:
        found = self.site.user(idnumber)
        assert found is not None
        return found


def row(key: str = "P1", modified: str = "0", **values: str) -> str:
    cells = {
        "username": key.lower(), "deleted": "0", "firstname": "Zoë", "lastname": "Test",
        "email": f"{key.lower()}@trust.example", "auth": "manual", "department": "", "kind": "",
    } | values  # fmt: skip
    return ",".join([key, modified, *cells.values()])


@pytest.fixture
def hr(tmp_path: Path) -> Importer:
    return Importer(tmp_path)


# Creating and changing


def test_a_new_row_makes_a_user_that_hr_import_owns(hr: Importer) -> None:
    assert hr.users(row("P1", "12345", firstname="Siân", lastname="O'Connor-李")) == ["info: created user P1"]
    user = hr.user("P1")
    assert (user["firstname"], user["lastname"], user["totarasync"]) == ("Siân", "O'Connor-李", 1)
    assert user["timemodified"] == 12345


@pytest.mark.parametrize(
    ("modified", "applied"), [("500", False), ("499", True), ("501", True), ("0", True), ("", True)]
)
def test_a_row_is_applied_when_its_time_is_another_not_when_it_is_newer(
    hr: Importer, modified: str, applied: bool
) -> None:
    hr.users(row(modified="500"))
    assert hr.users(row(modified=modified, firstname="New")) == (["info: updated user P1"] if applied else [])
    assert hr.user("P1")["firstname"] == ("New" if applied else "Zoë")


def test_an_edit_in_the_lms_is_overwritten_by_the_same_row(hr: Importer) -> None:
    hr.users(row(modified="22/11/2026"))
    assert hr.users(row(modified="22/11/2026")) == []
    hr.site.edit_user("p1", firstname="Edited")
    assert hr.users(row(modified="22/11/2026")) == ["info: updated user P1"]
    assert hr.user("P1")["firstname"] == "Zoë"


def test_keys_are_compared_by_case_and_another_case_is_a_second_person(hr: Importer) -> None:
    hr.users(row("P1"))
    hr.users(row("p1", username="other", email="other@trust.example"))
    assert len(hr.site.users()) == 2


def test_a_key_cannot_be_changed(hr: Importer) -> None:
    hr.users(row("P1"))
    assert hr.users(row("NEW", username="p1", email="p1@trust.example")) == [
        "error: Username p1 is already registered. Skipped user NEW",
        "error: Email p1@trust.example is already registered. Skipped user NEW",
    ]


@pytest.mark.parametrize("erases", [False, True])
def test_an_empty_cell_is_ignored_unless_the_site_says_it_erases(hr: Importer, erases: bool) -> None:
    hr.users(row(department="Ward"))
    hr.site.settings.empty_erases = erases
    hr.users(row())
    assert hr.user("P1")["department"] == ("" if erases else "Ward")


def test_what_may_not_be_created_is_passed_over_in_silence(hr: Importer) -> None:
    hr.site.settings.allow_create = False
    assert hr.users(row()) == []
    assert hr.site.users() == []


def test_tags_and_outer_blanks_are_removed(hr: Importer) -> None:
    hr.users(row(firstname=" <b>Bob</b> "))
    assert hr.user("P1")["firstname"] == "Bob"


def test_two_who_exchange_addresses_in_one_file_are_both_skipped(hr: Importer) -> None:
    hr.users(row("P1"), row("P2"))
    said = hr.users(row("P1", email="p2@trust.example"), row("P2", email="p1@trust.example"))
    assert [line.rpartition(" ")[2] for line in said if "is already registered" in line] == ["P1", "P2"]


# Suspending


def test_deleted_suspends_whatever_its_time_and_needs_no_other_column(hr: Importer) -> None:
    hr.users(row(modified="500"))
    assert hr.users("P1,500,,1,,,,,,") == ["info: suspended P1"]
    assert hr.user("P1")["suspended"] == 1
    assert hr.users("P1,0,,1,,,,,,") == []
    assert hr.users("NOBODY,0,,1,,,,,,") == []


@pytest.mark.parametrize(("modified", "suspended"), [("500", 1), ("501", 0), ("0", 0)])
def test_a_row_opens_what_an_administrator_suspended_unless_its_time_is_the_one_held(
    hr: Importer, modified: str, suspended: int
) -> None:
    hr.users(row(modified="500"))
    hr.site.edit_user("p1", suspended=1, timemodified=500)
    hr.users(row(modified=modified))
    assert hr.user("P1")["suspended"] == suspended


@pytest.mark.parametrize(("cell", "suspended"), [("1", 1), ("", 1), ("0", 0)])
def test_where_deleted_is_kept_the_column_suspended_decides(hr: Importer, cell: str, suspended: int) -> None:
    hr.site.settings.delete_mode = "keep"
    header = f"{USER},suspended"
    hr.run("user", header, f"{row()},1")
    assert hr.run("user", header, f"{row(deleted='1')},0") == []
    hr.run("user", header, f"{row()},{cell}")
    assert hr.user("P1")["suspended"] == suspended


def test_where_deleted_suspends_the_column_suspended_is_ignored(hr: Importer) -> None:
    hr.users(row())
    assert hr.run("user", f"{USER},suspended", f"{row()},1") == ["info: updated user P1"]
    assert hr.user("P1")["suspended"] == 0


def test_deleting_gives_the_returning_person_another_account(hr: Importer) -> None:
    hr.site.settings.delete_mode = "delete"
    hr.users(row())
    before = hr.user("P1")["id"]
    assert hr.users("P1,0,,1,,,,,,") == ["info: deleted user P1"]
    hr.users(row())
    assert hr.user("P1")["id"] != before


def test_a_file_of_all_records_suspends_everybody_it_leaves_out(hr: Importer) -> None:
    hr.users(*(row(f"P{number}") for number in range(30)))
    hr.site.add_user(username="byhand", idnumber="H1")
    hr.site.settings.all_records = True
    said = hr.run("user", USER.replace("deleted,", ""), row("P0").replace(",0,Zoë", ",Zoë"))
    assert len([line for line in said if line.startswith("info: suspended")]) == 29
    assert hr.user("H1")["suspended"] == 0


# Whole files


def test_a_missing_column_refuses_the_file(hr: Importer) -> None:
    said = hr.run("user", USER.replace(",email", ""), "P1,0,p1,0,A,B,manual,,")
    assert said == ['error: CSV file not valid, missing field "email"']
    hr.site.settings.import_columns["user"] = ("suspended",)
    assert hr.users(row()) == ['error: CSV file not valid, missing field "suspended"']


def test_a_header_with_other_characters_refuses_the_file(hr: Importer) -> None:
    assert 'invalid characters (".")' in hr.run("user", f"{USER},pay.band", f"{row()},1")[0]


def test_an_unknown_column_is_ignored_in_silence(hr: Importer) -> None:
    assert hr.run("user", f"{USER},nhsband", f"{row()},8a") == ["info: created user P1"]


def test_rows_of_another_width_are_skipped_and_the_others_applied(hr: Importer) -> None:
    said = hr.users("P9,0,p9", "", row())
    assert [line.partition(" - ")[0] for line in said[:2]] == [
        "error: Skipping row 1 in CSV file",
        "error: Skipping row 2 in CSV file",
    ]
    assert said[2:] == ["info: created user P1"]


def test_an_idle_day_is_an_error_in_the_log(hr: Importer) -> None:
    hr.site.run_hr_import(hr.folder)
    assert [line["info"] for line in hr.site.log() if line["action"] == "unknown"] == [
        f"No file to import (file path: {name}.csv)" for name in ("org", "pos", "user", "jobassignment")
    ]


def test_a_file_of_no_bytes_ends_the_run_before_the_elements_that_follow(hr: Importer) -> None:
    (hr.ready / "jobassignment.csv").write_text(JOB)
    assert hr.run_bytes("user", b"") == []
    assert [line["element"] for line in hr.site.log()][-1] == "user"
    assert (hr.ready / "jobassignment.csv").exists()


def test_a_header_alone_starts_and_ends(hr: Importer) -> None:
    assert hr.users() == []
    assert [line["info"] for line in hr.site.log() if line["element"] == "user"] == [
        "HR Import started",
        "HR Import finished",
    ]


def test_letters_of_another_encoding_vanish_without_a_word(hr: Importer) -> None:
    hr.run("user", USER, row(firstname="Siân", lastname="Núñez"), encoding="latin-1")
    assert (hr.user("P1")["firstname"], hr.user("P1")["lastname"]) == ("Sin", "Nez")
    hr.site.settings.encoding = "ISO-8859-1"
    hr.run("user", USER, row(firstname="Siân"), encoding="latin-1")
    assert hr.user("P1")["firstname"] == "Siân"


def test_byte_order_mark_line_ends_and_quotes_are_read(hr: Importer) -> None:
    quoted = '"O, ""T"""'
    hr.run_bytes("user", b"\xef\xbb\xbf" + f"{USER}\r\n{row(lastname=quoted)}\r\n".encode())
    assert hr.user("P1")["lastname"] == 'O, "T"'


def test_a_file_is_moved_to_the_store_under_the_second_it_was_taken(hr: Importer) -> None:
    hr.users(row())
    assert (hr.folder / "csv" / "store" / f"{NOW}.user.csv").exists()
    assert not list(hr.ready.iterdir())


# Rows that are refused


REFUSED = [
    ([row("D1"), row("D1")], "Duplicate users with idnumber D1. Skipped user D1"),
    ([row("D2", username="dupx"), row("D3", username="DUPX")], "Duplicate users with username dupx. Skipped user D3"),
    ([row("D5", email="s@t.example"), row("D6", email="S@t.example")], "Duplicate users with email"),
    ([row("D8", username="HELD")], "Username HELD is already registered. Skipped user D8"),
    ([row("D9", email="HELD@trust.example")], "Email HELD@trust.example is already registered. Skipped user D9"),
    ([row("D11", username="bad user!")], "User D11 has a username, 'bad user!', containing invalid characters."),
    ([row("", username="x1", email="x1@t.example")], "Idnumber cannot be empty. Skipped user "),
    ([row("D19", username="")], "Username cannot be empty. Skipped user D19"),
    ([row("D19", auth="")], "Auth cannot be empty. Skipped user D19"),
    ([row("D19", firstname="")], "First name cannot be empty. Skipped user D19"),
    ([row("D19", email="")], "Empty email address. Skipped user D19"),
    ([row("D13", email="nonsense")], "Invalid email address. Skipped user D13"),
    ([row("D15", auth="nosuch")], "invalid authentication plugin nosuch for user D15"),
    ([row("G1")], "Skipped user G1 as their HR Import setting is disabled."),
]


@pytest.mark.parametrize(("rows", "text"), REFUSED, ids=[text[:36] for _, text in REFUSED])
def test_a_bad_row_is_skipped_and_the_others_are_done(hr: Importer, rows: list[str], text: str) -> None:
    hr.users(row("HELD"))
    hr.site.add_user(username="g1", idnumber="G1")
    said = hr.users(row("GOOD"), *rows)
    assert any(line.startswith(f"error: {text}") for line in said)
    assert len([user for user in hr.site.users() if user["idnumber"] not in ("HELD", "G1", "GOOD")]) == 0
    assert hr.user("GOOD")


def test_single_sign_on_accounts_can_be_made_here(hr: Importer) -> None:
    hr.users(row(auth="oauth2"))
    assert hr.user("P1")["auth"] == "oauth2"


def test_a_mixed_case_username_is_lowered_with_a_warning(hr: Importer) -> None:
    assert hr.users(row(username="Upper.Case"))[0].startswith("warn: User P1 has a username, 'Upper.Case',")
    assert hr.user("P1")["username"] == "upper.case"


def test_an_unknown_menu_value_makes_the_user_without_it_and_case_does_not_matter(hr: Importer) -> None:
    said = hr.users(row("P1", kind="Casual"), row("P2", kind="temp"))
    assert any(line.startswith("warn: Option 'Casual' does not exist") for line in said)
    assert hr.user("P1")["fields"] == {}
    assert hr.user("P2")["fields"] == {"accounttype": "TEMP"}


def test_a_value_of_a_unique_field_is_refused_twice(hr: Importer) -> None:
    header = f"{USER},customfield_esrnumber"
    hr.run("user", header, f"{row('P1')},E1")
    assert "is a duplicate of existing data" in hr.run("user", header, f"{row('P2')},E1")[0]
    said = hr.run("user", header, f"{row('P3')},E3", f"{row('P4')},E3")
    assert all("is duplicated in the uploaded data" in line for line in said)


@pytest.mark.parametrize(
    ("cell", "kept"), [("31/02/1990", "1990-03-03"), ("1990-02-01", ""), ("01/02/1990", "1990-02-01")]
)
def test_impossible_dates_roll_over_and_others_are_dropped_in_silence(hr: Importer, cell: str, kept: str) -> None:
    assert hr.run("user", f"{USER},customfield_dob", f"{row()},{cell}") == ["info: created user P1"]
    fields = hr.site.users()[0]["fields"]
    assert (as_day(fields["dob"]) if fields else "") == kept


def test_one_overlong_value_makes_a_user_under_a_name_nobody_gave(hr: Importer) -> None:
    said = hr.users(row("L7", department="d" * 256))
    assert said[0].endswith("It cannot be longer than 255 characters. Skipped user L7")
    assert said[1] == "info: created user L7"
    assert hr.user("L7")["username"] == "data_exceeded_length"
    assert hr.user("L7")["department"] == "d" * 75 + " ..."
    again = hr.users(row("L20", department="d" * 256))
    assert again[1] == "error: Username data_exceeded_length is already registered. Skipped user L20"


def test_two_overlong_rows_are_both_dropped_and_so_is_one_of_an_existing_user(hr: Importer) -> None:
    hr.users(row("L1"))
    hr.users(row("L1", department="d" * 256))
    assert hr.user("L1")["username"] == "l1"
    hr.users(row("L2", department="d" * 256), row("L3", department="d" * 256))
    assert len(hr.site.users()) == 1


# Job assignments


def jobs(hr: Importer, *rows: str) -> list[str]:
    return hr.run("jobassignment", JOB, *rows)


@pytest.fixture
def staff(hr: Importer) -> Importer:
    hr.users(*(row(key) for key in ("M1", "S1", "S2")))
    hr.site.add_item("organisation", "O1")
    return hr


@pytest.mark.parametrize("turned", [False, True])
def test_a_manager_and_a_report_may_stand_in_one_file_in_any_order(staff: Importer, turned: bool) -> None:
    rows = ["J-M1,M1,0,0,Boss,,,O1,,,", "J-S1,S1,0,0,Nurse,01/06/2026,,,,M1,J-M1"]
    assert jobs(staff, *(rows[::-1] if turned else rows)) == [
        "info: Created job assignment 'J-M1' for user 'M1'.",
        "info: Created job assignment 'J-S1' for user 'S1'.",
    ]
    assert staff.site.jobs("S1")[0]["manager_job"] == "J-M1"


def test_two_new_rows_that_manage_each_other_are_both_refused(staff: Importer) -> None:
    assert jobs(staff, "J-A,S1,0,0,A,,,,,S2,J-B", "J-B,S2,0,0,B,,,,,S1,J-A") == [
        "error: Job assignment 'J-B' for manager 'S2' does not exist. Skipped job assignment 'J-A' for user 'S1'.",
        "error: Job assignment 'J-A' for manager 'S1' does not exist. Skipped job assignment 'J-B' for user 'S2'.",
    ]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("J,S1,0,0,A,,,NOORG,,,", "error: Organisation 'NOORG' does not exist. Skipped job assignment 'J'"),
        ("J,S1,0,0,A,,,,NOPOS,,", "error: Position 'NOPOS' does not exist. Skipped"),
        ("J,S1,0,0,A,,,,,NOMAN,J-M1", "error: User 'NOMAN' does not exist and was set to be assigned as manager."),
        ("J,S1,0,0,A,,,,,M1,J-NOPE", "error: Job assignment 'J-NOPE' for manager 'M1' does not exist."),
        ("J,S1,0,0,A,,,,,M1,", "error: Missing manager's job assignment id number for assigning manager 'M1'."),
        ("J,S1,0,0,A,,,,,S1,J", "error: User 'S1' cannot be their own manager."),
        ("J,S1,0,0,A,02/01/2026,01/01/2026,,,,", "error: Start date cannot be later than end date."),
        ("J,NOUSER,0,0,A,,,,,,", "error: Unable to match useridnumber 'NOUSER' to a user ID number"),
        (",S1,0,0,A,,,,,,", "error: Some records are missing their idnumber and/or useridnumber."),
    ],
)
def test_a_bad_job_assignment_is_skipped(staff: Importer, line: str, text: str) -> None:
    assert jobs(staff, line)[0].startswith(text)
    assert staff.site.jobs() == []


def test_a_date_of_another_format_is_left_out_with_a_warning(staff: Importer) -> None:
    said = jobs(staff, "J,S1,0,0,A,,2026-01-01,,,,")
    assert said[0].startswith("warn: Invalid date format for field 'enddate'")
    assert said[1] == "info: Created job assignment 'J' for user 'S1'."


def test_the_same_pair_twice_is_not_taken_at_all(staff: Importer) -> None:
    said = jobs(staff, "J,S1,0,0,A,,,,,,", "J,S1,0,0,B,,,,,,")
    text = "Multiple entries found for job assignment 'J' for user 'S1'. No updates made to this job assignment."
    assert said == [f"error: {text}"] * 2
    assert staff.site.jobs() == []


def test_one_persons_job_assignment_masks_that_of_another_with_the_same_key_and_time(staff: Importer) -> None:
    jobs(staff, "J,S1,500,0,A,,,,,,")
    assert jobs(staff, "J,S2,500,0,A,,,,,,") == []
    assert staff.site.jobs("S2") == []
    assert jobs(staff, "J,S2,501,0,A,,,,,,") == ["info: Created job assignment 'J' for user 'S2'."]


def test_removing_a_manager_leaves_the_reports_without_one_and_no_line_tells(staff: Importer) -> None:
    jobs(staff, "J-M1,M1,0,0,Boss,,,,,,", "J-S1,S1,0,0,Nurse,,,,,M1,J-M1")
    assert jobs(staff, "J-M1,M1,0,1,,,,,,,") == ["info: Deleted job assignment 'J-M1' for user 'M1'."]
    assert staff.site.jobs("S1")[0]["manager_job"] is None
    assert jobs(staff, "J-M1,M1,0,1,,,,,,,") == []


def test_the_column_of_a_managers_job_has_another_name_in_version_12(staff: Importer) -> None:
    staff.site.settings.version = 12
    said = jobs(staff, "J-M1,M1,0,0,Boss,,,,,,", "J-S1,S1,0,0,Nurse,,,,,M1,J-M1")
    assert said[1].startswith("error: Missing manager's job assignment id number")


# Organisations


def test_a_parent_may_stand_in_the_same_file(hr: Importer) -> None:
    assert hr.run("org", ORG, "O2,Two,F1,O1,0", "O1,One,F1,,0") == ["info: created org O2", "info: created org O1"]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("O2,Two,F1,NOPE,0", "parent NOPE does not exist"),
        ("O2,Two,XX,,0", "framework XX does not exist"),
        (",Two,F1,,0", "could not import all records. Error details: Error writing to database"),
    ],
)
def test_one_bad_row_and_nothing_of_a_hierarchy_file_is_applied(hr: Importer, line: str, text: str) -> None:
    assert hr.run("org", ORG, "O1,One,F1,,0", line)[0] == f"error: {text}"
    assert hr.site.items("organisation") == []


def test_of_a_duplicate_in_a_hierarchy_file_the_last_wins(hr: Importer) -> None:
    assert hr.run("pos", ORG, "P1,One,F1,,0", "P1,Two,F1,,0")[0] == "warn: Duplicate idnumber P1"
    assert [item["fullname"] for item in hr.site.items("position")] == ["Two"]


def test_removing_a_position_in_use_takes_it_from_job_assignments(staff: Importer) -> None:
    staff.run("pos", ORG, "P1,One,F1,,0")
    jobs(staff, "J,S1,0,0,A,,,,P1,,")
    staff.run("pos", f"{ORG},deleted", "P1,One,F1,,0,1")
    assert staff.site.jobs("S1")[0]["position_key"] is None
