"""What goes into one file of HR Import, and what its log tells."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.outbound.lms.hr_import_log import outcomes, read_log, runs
from services.outbound.lms.hr_import_memory import Memory, Sent
from services.outbound.lms.hr_import_plan import plan_emails, plan_items, plan_jobs
from services.outbound.lms.hr_import_rows import encodable, user_columns, written
from services.outbound.lms.port import Account, Answer, HierarchyItem, JobAssignment
from shared.errors import LmsMisconfiguredError
from shared.lms_settings import HrImportSettings

NAMES = [f"K{number}" for number in range(7)]
LINKS = st.dictionaries(st.sampled_from(NAMES), st.sampled_from([*NAMES, ""]), min_size=1)


@given(LINKS)
def test_in_a_plan_of_jobs_every_manager_stands_before_the_report(links: dict[str, str]) -> None:
    jobs = {key: JobAssignment(key, key, "Job", manager=boss, manager_job=boss) for key, boss in links.items()}
    plan = plan_jobs(jobs)
    assert sorted(job.idnumber for job in plan.order) == sorted(jobs)
    place = {job.idnumber: number for number, job in enumerate(plan.order)}
    for key, boss in links.items():
        if boss in jobs and boss != key and key not in plan.unmanaged:
            assert place[boss] < place[key]


@given(LINKS)
def test_only_circles_lose_a_manager_and_one_each(links: dict[str, str]) -> None:
    jobs = {key: JobAssignment(key, key, "Job", manager=boss, manager_job=boss) for key, boss in links.items()}
    for key in plan_jobs(jobs).unmanaged:
        seen, step = set(), links[key]
        while step in links and step not in seen and step != key:
            seen.add(step)
            step = links[step]
        assert step == key


@given(LINKS, st.dictionaries(st.sampled_from(["OLD", "NEW"]), st.booleans()))
def test_a_plan_of_items_never_holds_one_whose_parent_is_not_there(
    links: dict[str, str], known: dict[str, bool]
) -> None:
    parents = {key: parent or "OLD" for key, parent in links.items()}
    items = {key: HierarchyItem("organisation", key, "Ward", parent) for key, parent in parents.items()}
    plan = plan_items(items, known)
    there = {key for key, sure in known.items() if sure}
    for item in plan.order:
        assert item.parent in there
        there.add(item.idnumber)
    assert {item.idnumber for item in plan.order} | set(plan.refused) | plan.later == set(items)
    assert len(plan.order) + len(plan.refused) + len(plan.later) == len(items)


@given(st.permutations(NAMES), st.permutations(NAMES))
def test_no_file_gives_an_address_that_somebody_holds_and_everybody_gets_theirs(old: list[str], new: list[str]) -> None:
    held = dict(zip(NAMES, (f"{one}@t.example" for one in old), strict=True))
    wanted = dict(zip(NAMES, (f"{one}@t.example" for one in new), strict=True))
    open_ones = {key: Account(key, key.lower(), "A", "B", wanted[key], "PERM") for key in NAMES}
    for _ in range(2 * len(NAMES)):
        plan = plan_emails(open_ones, held)
        taken = {email: key for key, email in held.items()}
        for key, account in plan.now.items():
            assert taken.get(account.email, key) == key
        held |= {key: account.email for key, account in plan.now.items()}
        open_ones = {key: open_ones[key] for key in plan.again}
    assert held == wanted


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 5), st.integers(0, 10)), max_size=20))
def test_a_time_of_change_is_the_old_one_for_the_same_row_and_else_a_new_one(
    sent: list[tuple[str, int, int]],
) -> None:
    memory = Memory()
    given_times: list[int] = []
    last: dict[str, tuple[int, int]] = {}
    for key, content, now in sent:
        time, repeated = memory.modified("user", key, [str(content)], now)
        assert repeated == (key in last and last[key][0] == content)
        if repeated:
            assert time == last[key][1]
        else:
            assert time > max(given_times, default=-1)
            given_times.append(time)
        last[key] = (content, time)


@given(st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=30), st.sampled_from(["UTF-8", "ISO-8859-1"]))
def test_what_is_encodable_is_read_back_as_it_was(value: str, encoding: str) -> None:
    settings = HrImportSettings(encoding=encoding, delimiter=";")  # type: ignore[arg-type]
    row = {"idnumber": "1", "firstname": value}
    if not encodable(row, settings):
        assert encoding == "ISO-8859-1"
        return
    columns = user_columns([row], settings)
    text = written(columns, [row], settings).decode(encoding)
    (read,) = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=";"))
    assert read["firstname"] == value


# The log


def report(*lines: tuple[object, ...]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["ID", "Time", "Element", "Log type", "Action", "Info", "Run ID"])
    for number, line in enumerate(lines, start=1):
        element, kind, action, info, *run = line
        writer.writerow([number, "22 Nov 2026", element, kind, action, info, *(run or [1])])
    return text.getvalue().encode()


START = ("user", "info", "usersync", "HR Import started")
END = ("user", "info", "usersync", "HR Import finished")


def of(info: str, kind: str = "error", element: str = "user", key: str = "P1") -> Answer:
    lines = read_log(report((element, kind, "checksanity", info), (element, "info", "sync", "HR Import finished")))
    (run,) = runs(lines, 0)
    found = outcomes(run, [Sent(key, quiet=False)])
    assert found is not None
    return found[key]


@pytest.mark.parametrize(
    ("info", "code"),
    [
        ("Duplicate users with idnumber P1. Skipped user P1", "idnumber-taken"),
        ("Duplicate users with username x. Skipped user P1", "username-taken"),
        ("Username x is already registered. Skipped user P1", "username-taken"),
        ("Duplicate users with email a@t.example. Skipped user P1", "email-taken"),
        ("Email a@t.example is already registered. Skipped user P1", "email-taken"),
        ("User P1 has a username, 'bad user!', containing invalid characters. It will not be", "username-invalid"),
        ("Username cannot be empty. Skipped user P1", "value-missing"),
        ("Empty email address. Skipped user P1", "value-missing"),
        ("Invalid email address. Skipped user P1", "email-invalid"),
        ("invalid authentication plugin nosuch for user P1", "auth-unknown"),
        ("The value 'E1' for customfield_esrnumber is a duplicate of existing data and must be unique. Skipped user P1",
         "field-taken"),
        ('value "dd ..." is too long for "department" field. It cannot be longer than 255 characters. Skipped user P1',
         "value-too-long"),
        ("Skipped user P1 as their HR Import setting is disabled.", "not-owned-by-import"),
        ("deleted user P1", "account-deleted"),
        ("A text of a later release. Skipped user P1", "refused"),
    ],
)  # fmt: skip
def test_lines_about_users_become_codes(info: str, code: str) -> None:
    assert of(info) == Answer("rejected", code)


@pytest.mark.parametrize(
    ("info", "code"),
    [
        ("User 'NOMAN' does not exist and was set to be assigned as manager. Skipped job assignment 'P1' for user 'S'.",
         "manager-unknown"),
        ("Job assignment 'J-B' for manager 'S2' does not exist. Skipped job assignment 'P1' for user 'S1'.",
         "manager-unknown"),
        ("Missing manager's job assignment id number for assigning manager M. Skipped job assignment 'P1' for user 'S'",
         "manager-job-missing"),
        ("User 'S2' cannot be their own manager. Skipped job assignment 'P1' for user 'S2'.", "own-manager"),
        ("Start date cannot be later than end date. Skipped job assignment 'P1' for user 'S2'.", "dates-reversed"),
        ("Unable to match useridnumber 'NOUSER' to a user ID number for job assignment 'P1'", "unknown-account"),
        ("Multiple entries found for job assignment 'P1' for user 'S3'. No updates made to this job assignment.",
         "job-taken"),
        ("Skipped job assignment 'P1' for user 'X' as the HR Import setting for that job assignment is disabled.",
         "not-owned-by-import"),
        ("A later text. Skipped job assignment 'P1' for user 'X'.", "refused"),
    ],
)  # fmt: skip
def test_lines_about_jobs_become_codes(info: str, code: str) -> None:
    assert of(info, element="jobassignment") == Answer("rejected", code)


def test_a_value_that_was_lost_outweighs_that_the_user_was_made() -> None:
    lost = "Option 'Casual' does not exist for customfield_accounttype field. Please check user P1"
    lines = read_log(report(START, ("user", "warn", "c", lost), ("user", "info", "createuser", "created user P1"), END))
    (run,) = runs(lines, 0)
    assert outcomes(run, [Sent("P1", quiet=False)]) == {"P1": Answer("rejected", "menu-value-unknown")}


def test_silence_is_success_only_where_a_row_changes_nothing() -> None:
    (run,) = runs(read_log(report(START, END)), 0)
    assert outcomes(run, [Sent("P1", quiet=True), Sent("P2", quiet=False)]) == {
        "P1": Answer("applied"),
        "P2": Answer("rejected", "not-imported"),
    }


def test_a_run_about_other_people_is_of_another_file() -> None:
    (run,) = runs(read_log(report(START, ("user", "info", "createuser", "created user X"), END)), 0)
    assert outcomes(run, [Sent("P1", quiet=False)]) is None


def test_a_run_that_goes_on_is_waited_for_and_one_that_broke_off_is_not() -> None:
    assert list(runs(read_log(report(START)), 0)) == []
    again = [(*START, 2), (*END, 2)]
    assert [len(run.lines) for run in runs(read_log(report(START, *again)), 0)] == [1, 2]


def test_what_was_read_is_not_read_again() -> None:
    assert list(runs(read_log(report(START, END)), 2)) == []


def test_a_file_refused_as_a_whole_is_refused_for_each_row_and_no_file_is_nobodys() -> None:
    bad = ("user", "error", "unknown", 'CSV file not valid, missing field "email"')
    (run,) = runs(read_log(report(START, bad)), 0)
    assert outcomes(run, [Sent("P1", quiet=True)]) == {"P1": Answer("rejected", "file-refused")}
    none = ("user", "error", "unknown", "No file to import (file path: /x/user.csv)")
    (run,) = runs(read_log(report(START, none)), 0)
    assert run.idle


@pytest.mark.parametrize(
    "content", [b"", b"id,element\n1,user\n", b"\xff\xfe", b"id,element,logtype,action,info,runid\nx,,,,,\n"]
)
def test_a_report_of_another_kind_is_for_a_person(content: bytes) -> None:
    with pytest.raises(LmsMisconfiguredError, match="columns"):
        read_log(content)
