"""Driver ``totara-hr-import`` against the sandbox's HR Import: each trap of its files."""

import csv
import json
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from services.outbound.lms.hr_import import HrImport
from services.outbound.lms.hr_import_slot import FileSlot, FolderSlot, RemoteSlot, make_slot
from services.outbound.lms.port import Account, Answer, HierarchyItem, JobAssignment, News, ProfileField, Sought
from shared.errors import (
    ConfigurationError,
    LmsBusyError,
    LmsMisconfiguredError,
    LmsUnavailableError,
    TransportRefusedError,
    TransportUnavailableError,
)
from shared.lms_settings import HrImportSettings, LmsSettings
from shared.transport.folder import FolderRemote
from shared.transport.port import Session
from shared.transport.settings import Connection
from tests.unit.services.rig_totara import IMPORT, ImportSite, seen, seen_jobs

ZOE = Account("999-1", "zoe", "Zoë", "O'Placeholder", "zoe@trust.example", "PERM")
TOM = Account("999-2", "tom", "Tom", 'Quote"d, Name', "tom@trust.example", "TEMP")
ACCEPTED = Answer("accepted")
APPLIED = Answer("applied")
NURSE = JobAssignment("J1", "999-1", "Nurse", "2026-06-01", "2027-05-31", "O1", "P1", "999-2", "J2")
BOSS = JobAssignment("J2", "999-2", "Matron", "2026-06-01")


def rejected(code: str) -> Answer:
    return Answer("rejected", code)


def settings(**values: object) -> LmsSettings:
    return IMPORT.model_copy(
        update={"hr_import": HrImportSettings(**(IMPORT.hr_import.model_dump(exclude={"connection"}) | values))}
    )


@pytest.fixture
def place(tmp_path: Path) -> ImportSite:
    return ImportSite(tmp_path)


@pytest.fixture
def driver(place: ImportSite, tmp_path: Path) -> HrImport:
    return HrImport(IMPORT, place.slot, place.clock, memory=tmp_path / "memory.json")


async def told(driver: HrImport) -> dict[str, Answer]:
    return {one.key: one.answer for one in await heard(driver)}


async def heard(driver: HrImport) -> list[News]:
    """What is new, and written down."""
    told = await driver.news()
    await driver.noted()
    return told


def rows(place: ImportSite, element: str) -> list[dict[str, str]]:
    with (place.ready / f"{element}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def stored(place: ImportSite, idnumber: str) -> dict[str, object]:
    found = place.site.user(idnumber)
    assert found is not None
    return found


# Accounts


async def test_accounts_are_accepted_and_the_log_tells_later_that_they_are_there(
    place: ImportSite, driver: HrImport
) -> None:
    assert await driver.ensure_account([ZOE, TOM]) == [ACCEPTED, ACCEPTED]
    assert await heard(driver) == []
    place.run()
    assert await heard(driver) == [News("account", "999-1", APPLIED), News("account", "999-2", APPLIED)]
    assert await heard(driver) == []
    held = seen(place.site, "999-2")
    assert held is not None
    assert (held.username, held.last_name, held.email) == ("tom", 'Quote"d, Name', "tom@trust.example")


async def test_profile_fields_go_in_the_sites_own_format(place: ImportSite, driver: HrImport) -> None:
    fields = (ProfileField("dob", "1990-02-01", "date"), ProfileField("accounttype", "PERM", "menu"))
    await driver.ensure_account([replace(ZOE, fields=fields), TOM])
    assert [row["customfield_dob"] for row in rows(place, "user")] == ["01/02/1990", ""]
    place.run()
    held = seen(place.site, "999-1")
    assert held is not None
    assert held.fields == {"dob": "1990-02-01", "accounttype": "PERM"}


async def test_single_sign_on_accounts_can_be_made(place: ImportSite, driver: HrImport) -> None:
    await driver.ensure_account([replace(ZOE, auth="oauth2")])
    place.run()
    assert stored(place, "999-1")["auth"] == "oauth2"


async def test_files_always_say_of_each_row_whether_it_is_deleted(place: ImportSite, driver: HrImport) -> None:
    await driver.ensure_account([ZOE])
    await driver.put_job_assignment([BOSS])
    await driver.put_hierarchy([HierarchyItem("organisation", "O2", "Ward")])
    assert [rows(place, element)[0]["deleted"] for element in ("user", "jobassignment", "org")] == ["0", "0", "0"]


async def test_nobody_but_those_in_a_file_is_touched(place: ImportSite, driver: HrImport) -> None:
    await driver.ensure_account([ZOE, TOM])
    place.run()
    await driver.update_account([replace(ZOE, last_name="New")])
    place.run()
    assert (stored(place, "999-1")["lastname"], stored(place, "999-2")["suspended"]) == ("New", 0)


async def test_columns_the_site_has_enabled_are_sent_though_empty(place: ImportSite, tmp_path: Path) -> None:
    place.site.settings.import_columns["user"] = ("department", "customfield_dob")
    plain = HrImport(IMPORT, place.slot, place.clock)
    await plain.ensure_account([ZOE])
    place.run()
    assert await told(plain) == {"999-1": rejected("file-refused")}
    whole = HrImport(settings(columns=("department", "customfield_dob")), place.slot, place.clock)
    await whole.ensure_account([ZOE])
    place.run()
    assert await told(whole) == {"999-1": APPLIED}


@pytest.mark.parametrize(
    ("account", "code"),
    [
        (replace(ZOE, username="Upper"), "username-invalid"),
        (replace(ZOE, username="u" * 101), "value-too-long"),
        (replace(ZOE, first_name="f" * 101), "value-too-long"),
        (replace(ZOE, last_name=""), "name-blank"),
        (replace(ZOE, email="nonsense"), "email-invalid"),
        (replace(ZOE, last_name="<b>Bob</b>"), "name-invalid"),
        (replace(ZOE, first_name="a\tb"), "name-invalid"),
        (replace(ZOE, auth=""), "auth-invalid"),
        (replace(ZOE, fields=(ProfileField("dob", "1990-02-31", "date"),)), "date-invalid"),
        (replace(ZOE, fields=(ProfileField("ninumber", "x" * 256),)), "value-too-long"),
    ],
)
async def test_what_the_import_would_spoil_is_never_written(
    place: ImportSite, driver: HrImport, account: Account, code: str
) -> None:
    assert await driver.ensure_account([account, TOM]) == [rejected(code), ACCEPTED]
    assert [row["idnumber"] for row in rows(place, "user")] == ["999-2"]


async def test_names_are_written_without_outer_blanks_and_with_composed_letters(
    place: ImportSite, driver: HrImport
) -> None:
    await driver.ensure_account([replace(ZOE, first_name=" Zoe\u0308 ")])
    assert rows(place, "user")[0]["firstname"] == "Zoë"


async def test_letters_the_sources_encoding_lacks_are_refused_and_the_others_arrive(place: ImportSite) -> None:
    place.site.settings.encoding = "ISO-8859-1"
    driver = HrImport(settings(encoding="ISO-8859-1"), place.slot, place.clock)
    answers = await driver.ensure_account([ZOE, replace(TOM, first_name="Đorđe")])
    assert answers == [ACCEPTED, rejected("encoding")]
    place.run()
    assert stored(place, "999-1")["firstname"] == "Zoë"


async def test_whoever_wants_what_another_of_the_file_wants_is_refused_alone(
    place: ImportSite, driver: HrImport
) -> None:
    twins = [ZOE, replace(TOM, username="zoe"), replace(TOM, idnumber="999-3", email="ZOE@trust.example")]
    assert await driver.ensure_account(twins) == [ACCEPTED, rejected("username-taken"), rejected("email-taken")]


async def test_refusals_of_the_import_come_as_news(place: ImportSite, driver: HrImport) -> None:
    place.site.add_user(username="zoe", email="other@trust.example")
    place.site.add_user(username="tom", idnumber="999-2", email="tom@trust.example")
    menu = replace(ZOE, idnumber="999-3", username="c", email="c@t.example")
    menu = replace(menu, fields=(ProfileField("accounttype", "Casual", "menu"),))
    await driver.ensure_account([ZOE, TOM, menu])
    place.run()
    assert await told(driver) == {
        "999-1": rejected("username-taken"),
        "999-2": rejected("not-owned-by-import"),
        "999-3": rejected("menu-value-unknown"),
    }


async def test_a_row_that_lost_a_value_is_not_passed_over_when_it_comes_again(
    place: ImportSite, driver: HrImport
) -> None:
    account = replace(ZOE, fields=(ProfileField("accounttype", "Casual", "menu"),))
    await driver.ensure_account([account])
    place.run()
    assert await told(driver) == {"999-1": rejected("menu-value-unknown")}
    place.site.define_field("accounttype", "menu", ("Casual",))
    await driver.ensure_account([account])
    place.run()
    assert await told(driver) == {"999-1": APPLIED}
    held = seen(place.site, "999-1")
    assert held is not None
    assert held.fields == {"accounttype": "Casual"}


async def test_a_row_of_which_the_log_says_nothing_is_not_taken_for_done(place: ImportSite, driver: HrImport) -> None:
    place.site.settings.allow_create = False
    await driver.ensure_account([ZOE])
    place.run()
    assert await told(driver) == {"999-1": rejected("not-imported")}


# Suspending


async def test_a_suspension_stands_alone_and_works_whatever_the_time(place: ImportSite, driver: HrImport) -> None:
    await driver.ensure_account([ZOE])
    place.run()
    assert await driver.suspend(["999-1", "999-77"]) == [ACCEPTED, ACCEPTED]
    row = rows(place, "user")[0]
    assert {name for name, value in row.items() if value} == {"idnumber", "timemodified", "deleted"}
    place.run()
    assert await told(driver) == {"999-1": APPLIED, "999-77": APPLIED}
    assert stored(place, "999-1")["suspended"] == 1


async def test_opening_an_account_takes_its_whole_row_and_is_forced(place: ImportSite, driver: HrImport) -> None:
    await driver.ensure_account([ZOE])
    place.run()
    await driver.suspend(["999-1"])
    place.run()
    assert await driver.reactivate(["999-1", "999-5"]) == [ACCEPTED, rejected("account-not-known")]
    assert rows(place, "user")[0]["timemodified"] == "0"
    place.run()
    assert stored(place, "999-1")["suspended"] == 0


async def test_after_a_restart_accounts_are_opened_from_what_was_last_sent(place: ImportSite) -> None:
    async def held(idnumber: str) -> Account | None:
        return ZOE if idnumber == "999-1" else None

    driver = HrImport(IMPORT, place.slot, place.clock, held=held)
    assert await driver.reactivate(["999-1", "999-2"]) == [ACCEPTED, rejected("account-not-known")]


async def test_where_the_column_suspended_decides_it_is_used_and_left_empty_otherwise(place: ImportSite) -> None:
    place.site.settings.delete_mode = "keep"
    place.site.settings.import_columns["user"] = ("suspended",)
    driver = HrImport(settings(delete_mode="keep"), place.slot, place.clock)
    await driver.ensure_account([ZOE, TOM])
    place.run()
    await driver.suspend(["999-1"])
    place.run()
    assert stored(place, "999-1")["suspended"] == 1
    await driver.update_account([replace(ZOE, last_name="New")])
    assert rows(place, "user")[0]["suspended"] == ""
    place.run()
    assert (stored(place, "999-1")["suspended"], stored(place, "999-1")["lastname"]) == (1, "New")
    await driver.reactivate(["999-1"])
    place.run()
    assert stored(place, "999-1")["suspended"] == 0


async def test_a_repeated_row_keeps_its_time_so_that_a_local_suspension_survives(
    place: ImportSite, driver: HrImport
) -> None:
    await driver.ensure_account([ZOE])
    sent = rows(place, "user")[0]["timemodified"]
    place.run()
    place.site.edit_user("zoe", suspended=1, timemodified=int(sent))
    place.clock.set(place.clock.now() + timedelta(days=1))
    await driver.ensure_account([ZOE])
    assert rows(place, "user")[0]["timemodified"] == sent
    await heard(driver)
    place.run()
    assert await told(driver) == {"999-1": APPLIED}
    assert stored(place, "999-1")["suspended"] == 1


async def test_times_of_change_are_real_and_always_grow(place: ImportSite, driver: HrImport) -> None:
    await driver.ensure_account([ZOE, TOM])
    first = [int(row["timemodified"]) for row in rows(place, "user")]
    assert first[0] == int(place.clock.now().timestamp())
    place.site.run_hr_import(place.files)
    place.clock.set(place.clock.now() - timedelta(hours=2))
    await driver.ensure_account([replace(ZOE, last_name="New")])
    assert first[0] < first[1] < int(rows(place, "user")[0]["timemodified"])


async def test_a_site_that_deletes_in_place_of_suspending_is_found_at_once(place: ImportSite, driver: HrImport) -> None:
    place.site.settings.delete_mode = "delete"
    await driver.ensure_account([ZOE])
    place.run()
    assert await driver.check() == []
    await driver.suspend(["999-1"])
    place.run()
    assert [one.code for one in await driver.check()] == ["delete-mode"]
    assert (await told(driver))["999-1"] == rejected("account-deleted")


# Addresses that change hands


async def test_two_who_exchange_addresses_never_do_so_in_one_file_and_both_arrive(
    place: ImportSite, driver: HrImport
) -> None:
    await driver.ensure_account([ZOE, TOM])
    place.run()
    await heard(driver)
    wanted = {"999-1": replace(ZOE, email=TOM.email), "999-2": replace(TOM, email=ZOE.email)}
    open_ones = dict(wanted)
    for _ in range(4):
        answers = dict(zip(open_ones, await driver.update_account(list(open_ones.values())), strict=True))
        place.run()
        news = await told(driver)
        assert set(news.values()) <= {APPLIED}
        assert not [key for key in news if answers[key].status == "unknown"]
        open_ones = {key: wanted[key] for key in open_ones if answers[key] != ACCEPTED}
        if not open_ones:
            break
    assert [stored(place, key)["email"] for key in wanted] == [TOM.email, ZOE.email]


async def test_an_address_is_not_given_on_before_it_was_given_up(place: ImportSite, driver: HrImport) -> None:
    await driver.ensure_account([ZOE, TOM])
    place.run()
    heir = replace(TOM, email=ZOE.email)
    giver = replace(ZOE, email="new@trust.example")
    assert await driver.update_account([heir, giver]) == [Answer("unknown", "email-later"), ACCEPTED]
    place.run()
    assert await driver.update_account([heir]) == [ACCEPTED]


# The slot


async def test_a_file_pending_in_the_slot_is_never_overwritten(place: ImportSite, driver: HrImport) -> None:
    await driver.ensure_account([ZOE])
    before = (place.ready / "user.csv").read_bytes()
    with pytest.raises(LmsBusyError, match=r"user\.csv"):
        await driver.suspend(["999-1"])
    assert (place.ready / "user.csv").read_bytes() == before
    place.run()
    assert await driver.suspend(["999-1"]) == [ACCEPTED]


async def test_a_file_that_comes_between_the_look_and_the_writing_is_not_overwritten(place: ImportSite) -> None:
    place.ready.joinpath("user.csv").write_text("somebody's")
    with pytest.raises(LmsBusyError):
        await place.slot.place("user.csv", b"ours")
    assert place.ready.joinpath("user.csv").read_text() == "somebody's"
    assert [path.name for path in place.ready.iterdir()] == ["user.csv"]


async def test_a_batch_that_waits_is_forgotten_and_its_news_are_not_another_files(
    place: ImportSite, driver: HrImport
) -> None:
    await driver.ensure_account([ZOE])
    with pytest.raises(LmsBusyError):
        await driver.ensure_account([TOM])
    place.run()
    assert await told(driver) == {"999-1": APPLIED}


async def test_a_file_that_could_not_be_written_is_forgotten_and_its_news_are_not_another_files(
    place: ImportSite, tmp_path: Path
) -> None:
    class Full(FolderSlot):
        full = True

        async def place(self, name: str, content: bytes) -> None:
            if self.full:
                raise LmsUnavailableError("the disk is full")
            await super().place(name, content)

    slot = Full(place.ready, place.reports)
    driver = HrImport(IMPORT, slot, place.clock, memory=tmp_path / "memory.json")
    with pytest.raises(LmsUnavailableError):
        await driver.suspend(["999-1"])
    assert json.loads((tmp_path / "memory.json").read_text())["shipments"] == {"user": []}
    slot.full = False
    await driver.ensure_account([replace(TOM, auth="nosuch")])
    place.run()
    assert await told(driver) == {"999-2": rejected("auth-unknown")}


async def test_of_two_remembered_files_the_log_tells_which_was_imported(place: ImportSite, driver: HrImport) -> None:
    await driver.ensure_account([ZOE])
    (place.ready / "user.csv").unlink()  # somebody removed it
    await driver.ensure_account([TOM])
    place.run()
    assert await told(driver) == {"999-2": APPLIED}


async def test_nothing_to_say_writes_no_file(place: ImportSite, driver: HrImport) -> None:
    assert await driver.ensure_account([]) == []
    assert await driver.suspend([]) == []
    assert await driver.put_job_assignment([]) == []
    assert await driver.put_hierarchy([]) == []
    assert await driver.ensure_account([replace(ZOE, email="")]) == [rejected("email-invalid")]
    assert list(place.ready.iterdir()) == []


async def test_a_folder_that_is_away_is_waited_for(place: ImportSite, driver: HrImport) -> None:
    place.slot.away = True
    for call in (driver.check, driver.news, lambda: driver.ensure_account([ZOE])):
        with pytest.raises(LmsUnavailableError):
            await call()
    place.slot.away = False
    assert await driver.ensure_account([ZOE]) == [ACCEPTED]


def remote_slot(folder: Path) -> RemoteSlot:
    return RemoteSlot(FolderRemote(Connection(path=folder)), "ready", "reports")


@pytest.fixture(params=["folder", "remote"])
def slot(request: pytest.FixtureRequest, tmp_path: Path) -> FileSlot:
    for name in ("ready", "reports"):
        (tmp_path / name).mkdir()
    if request.param == "folder":
        return FolderSlot(tmp_path / "ready", tmp_path / "reports")
    return remote_slot(tmp_path)


async def test_every_slot_takes_one_file_and_gives_the_newest_report(slot: FileSlot, tmp_path: Path) -> None:
    assert not await slot.pending("user.csv")
    await slot.place("user.csv", b"rows")
    assert await slot.pending("user.csv")
    with pytest.raises(LmsBusyError):
        await slot.place("user.csv", b"others")
    assert [(path.name, path.read_bytes()) for path in (tmp_path / "ready").iterdir()] == [("user.csv", b"rows")]
    assert await slot.report("log*.csv") is None
    for number in (1, 2):
        (tmp_path / "reports" / f"log_{number}.csv").write_bytes(f"{number}".encode())
        (tmp_path / "reports" / "other.csv").write_bytes(b"other")
    assert await slot.report("log*.csv") == b"2"


async def test_a_trusts_connection_decides_where_files_go(tmp_path: Path) -> None:
    for name in ("there/ready", "there/reports"):
        (tmp_path / name).mkdir(parents=True)
    there = Connection(path=tmp_path / "there", deliver_to="ready", collect_from="reports")
    for connection in (there, Connection()):
        await make_slot(connection, tmp_path / "here", tmp_path / "from").place("user.csv", b"rows")
    assert (tmp_path / "there" / "ready" / "user.csv").exists()
    assert (tmp_path / "here" / "user.csv").exists()


async def test_a_remote_that_is_away_or_closed_is_told_apart() -> None:
    class Shut:
        def __init__(self, error: Exception) -> None:
            self.error = error

        def open(self) -> AbstractAsyncContextManager[Session]:
            raise self.error

    with pytest.raises(LmsUnavailableError):
        await RemoteSlot(Shut(TransportUnavailableError("away")), "r", "l").pending("user.csv")
    with pytest.raises(LmsMisconfiguredError):
        await RemoteSlot(Shut(TransportRefusedError("closed")), "r", "l").pending("user.csv")


async def test_a_remote_folder_that_is_not_there_is_for_a_person(tmp_path: Path) -> None:
    with pytest.raises(LmsMisconfiguredError):
        await remote_slot(tmp_path).place("user.csv", b"rows")


# Job assignments


@pytest.fixture
async def staffed(place: ImportSite, driver: HrImport) -> HrImport:
    await driver.ensure_account([ZOE, TOM])
    place.run()
    await heard(driver)
    return driver


async def test_managers_stand_before_their_reports(place: ImportSite, staffed: HrImport) -> None:
    assert await staffed.put_job_assignment([NURSE, BOSS]) == [ACCEPTED, ACCEPTED]
    assert [row["idnumber"] for row in rows(place, "jobassignment")] == ["J2", "J1"]
    place.run()
    assert await told(staffed) == {"J2": APPLIED, "J1": APPLIED}
    assert seen_jobs(place.site, "999-1") == [NURSE]


async def test_a_circle_of_managers_is_broken_and_closed_by_the_next_file(place: ImportSite, staffed: HrImport) -> None:
    boss = replace(BOSS, manager="999-1", manager_job="J1")
    assert await staffed.put_job_assignment([NURSE, boss]) == [Answer("unknown", "manager-later"), ACCEPTED]
    place.run()
    assert await told(staffed) == {"J2": APPLIED}
    assert await staffed.put_job_assignment([NURSE]) == [ACCEPTED]
    place.run()
    assert seen_jobs(place.site, "999-1") == [NURSE]
    assert seen_jobs(place.site, "999-2") == [boss]


@pytest.mark.parametrize("version", [12, 13, 17])
async def test_the_column_of_a_managers_job_is_the_one_of_the_sites_version(
    place: ImportSite, staffed: HrImport, version: int
) -> None:
    place.site.settings.version = version
    driver = HrImport(settings(totara_version=version), place.slot, place.clock)
    await driver.put_job_assignment([NURSE, BOSS])
    place.run()
    assert seen_jobs(place.site, "999-1") == [NURSE]


async def test_one_persons_job_is_never_masked_by_anothers(place: ImportSite, staffed: HrImport) -> None:
    same = replace(BOSS, idnumber="J9")
    other = replace(same, account="999-1")
    assert await staffed.put_job_assignment([same, other]) == [ACCEPTED, rejected("job-taken")]
    place.run()
    assert await staffed.put_job_assignment([other]) == [ACCEPTED]
    place.run()
    assert len(seen_jobs(place.site, "999-1")) == 1


async def test_a_job_or_an_item_whose_name_the_encoding_lacks_is_refused(place: ImportSite) -> None:
    driver = HrImport(settings(encoding="ISO-8859-1"), place.slot, place.clock)
    assert await driver.put_job_assignment([replace(BOSS, full_name="Đ"), NURSE]) == [rejected("encoding"), ACCEPTED]
    item = HierarchyItem("organisation", "O2", "Đ")
    assert await driver.put_hierarchy([item]) == [rejected("encoding")]


async def test_refusals_of_jobs_come_as_news(place: ImportSite, staffed: HrImport) -> None:
    place.site.add_user(username="api", idnumber="999-9")
    wanted = {
        "organisation-unknown": replace(BOSS, idnumber="A", organisation="NO"),
        "position-unknown": replace(BOSS, idnumber="B", position="NO"),
        "manager-unknown": replace(BOSS, idnumber="C", manager="999-1", manager_job="NO"),
        "unknown-account": replace(BOSS, idnumber="D", account="NOBODY"),
    }
    await staffed.put_job_assignment(list(wanted.values()))
    place.run()
    assert await told(staffed) == {job.idnumber: rejected(code) for code, job in wanted.items()}


async def test_jobs_are_removed_and_those_not_there_are_done(place: ImportSite, staffed: HrImport) -> None:
    await staffed.put_job_assignment([BOSS])
    place.run()
    await heard(staffed)
    assert await staffed.remove_job_assignment([BOSS, NURSE]) == [ACCEPTED, ACCEPTED]
    place.run()
    assert await told(staffed) == {"J2": APPLIED, "J1": APPLIED}
    assert seen_jobs(place.site, "999-2") == []


# Hierarchies


def ward(idnumber: str, parent: str = "") -> HierarchyItem:
    return HierarchyItem("organisation", idnumber, f"Ward {idnumber}", parent)


async def test_hierarchies_go_parents_first_and_by_kind(place: ImportSite, driver: HrImport) -> None:
    post = HierarchyItem("position", "P2", "Nurse")
    assert await driver.put_hierarchy([ward("W2", "W1"), ward("W1"), post]) == [ACCEPTED] * 3
    assert [row["idnumber"] for row in rows(place, "org")] == ["W1", "W2"]
    place.run()
    assert await told(driver) == {"W1": APPLIED, "W2": APPLIED, "P2": APPLIED}


async def test_one_item_without_a_known_parent_does_not_spoil_the_file(place: ImportSite, driver: HrImport) -> None:
    items = [ward("W1"), ward("W2", "NOPE"), ward("W3", "W2"), ward("W4", "W5"), ward("W5", "W4"), ward("W6", "W6")]
    assert await driver.put_hierarchy(items) == [
        ACCEPTED, rejected("parent-unknown"), rejected("parent-unknown"), rejected("parent-circle"),
        rejected("parent-circle"), rejected("own-parent"),
    ]  # fmt: skip
    place.run()
    assert await told(driver) == {"W1": APPLIED}


async def test_a_parent_of_an_earlier_file_is_built_on_once_the_log_has_it(
    place: ImportSite, driver: HrImport, tmp_path: Path
) -> None:
    await driver.put_hierarchy([ward("W1")])
    place.site.run_hr_import(place.files)
    assert await driver.put_hierarchy([ward("W2", "W1")]) == [Answer("unknown", "parent-later")]
    place.site.write_log_report(place.reports / "hr-import-log_2.csv")
    await heard(driver)
    later = HrImport(IMPORT, place.slot, place.clock, memory=tmp_path / "memory.json")
    assert await later.put_hierarchy([ward("W2", "W1")]) == [ACCEPTED]


async def test_a_file_the_import_refused_as_a_whole_is_refused_for_each_of_its_rows(
    place: ImportSite, tmp_path: Path
) -> None:
    driver = HrImport(settings(organisation_framework="NOPE"), place.slot, place.clock)
    await driver.put_hierarchy([ward("W1"), ward("W2")])
    place.run()
    assert await told(driver) == {"W1": rejected("hierarchy-aborted"), "W2": rejected("hierarchy-aborted")}
    assert await driver.put_hierarchy([ward("W3", "W1")]) == [rejected("parent-unknown")]


async def test_without_a_framework_nothing_is_sent(place: ImportSite) -> None:
    driver = HrImport(settings(organisation_framework=""), place.slot, place.clock)
    assert await driver.put_hierarchy([ward("W1")]) == [rejected("framework-missing")]
    assert list(place.ready.iterdir()) == []


async def test_while_one_hierarchy_file_waits_neither_is_written(place: ImportSite, driver: HrImport) -> None:
    await driver.put_hierarchy([HierarchyItem("position", "P2", "Nurse")])
    with pytest.raises(LmsBusyError):
        await driver.put_hierarchy([ward("W1"), HierarchyItem("position", "P3", "Nurse")])
    assert not (place.ready / "org.csv").exists()


# Memory


async def test_news_of_an_earlier_process_come_to_the_next(place: ImportSite, driver: HrImport, tmp_path: Path) -> None:
    await driver.ensure_account([ZOE])
    place.run()
    later = HrImport(IMPORT, place.slot, place.clock, memory=tmp_path / "memory.json")
    assert await told(later) == {"999-1": APPLIED}
    assert await HrImport(IMPORT, place.slot, place.clock, memory=tmp_path / "memory.json").news() == []


async def test_news_that_nobody_noted_come_again_to_the_next_process(
    place: ImportSite, driver: HrImport, tmp_path: Path
) -> None:
    await driver.ensure_account([ZOE])
    place.run()
    first = await driver.news()
    assert first == await driver.news() != []
    later = HrImport(IMPORT, place.slot, place.clock, memory=tmp_path / "memory.json")
    assert await heard(later) == first
    assert await HrImport(IMPORT, place.slot, place.clock, memory=tmp_path / "memory.json").news() == []


async def test_news_that_come_between_asking_and_noting_are_told_the_next_time(
    place: ImportSite, driver: HrImport
) -> None:
    await driver.ensure_account([ZOE])
    place.run()
    assert [one.key for one in await driver.news()] == ["999-1"]
    await driver.ensure_account([TOM])
    place.run()
    await driver.check()
    await driver.noted()
    assert [one.key for one in await driver.news()] == ["999-2"]


async def test_a_memory_of_before_news_were_kept_is_read(place: ImportSite, driver: HrImport, tmp_path: Path) -> None:
    await driver.ensure_account([ZOE])
    memory = tmp_path / "memory.json"
    held = json.loads(memory.read_text())
    del held["heard"]
    memory.write_text(json.dumps(held))
    place.run()
    assert await told(HrImport(IMPORT, place.slot, place.clock, memory=memory)) == {"999-1": APPLIED}


async def test_the_memory_holds_no_names_and_no_addresses(driver: HrImport, tmp_path: Path) -> None:
    await driver.ensure_account([replace(ZOE, fields=(ProfileField("dob", "1990-02-01", "date"),))])
    text = (tmp_path / "memory.json").read_text()
    assert "999-1" in text
    assert not any(word in text for word in ("Zo", "Placeholder", "@", "1990"))


async def test_a_memory_that_is_none_of_ours_is_refused(place: ImportSite, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(ConfigurationError):
        HrImport(IMPORT, place.slot, place.clock, memory=tmp_path / "other.json")


async def test_without_a_log_nothing_is_told(place: ImportSite) -> None:
    driver = HrImport(settings(log=""), place.slot, place.clock)
    await driver.put_hierarchy([ward("W1")])
    place.run()
    assert await heard(driver) == []
    assert await driver.put_hierarchy([ward("W2", "W1")]) == [ACCEPTED]


async def test_a_folder_cannot_be_asked(driver: HrImport) -> None:
    assert await driver.find_account("999-1") is None
    assert await driver.candidates([Sought("999-1"), Sought("999-2")]) == [[], []]
    assert await driver.adopt("4", "999-1") == rejected("not-by-this-driver")
    await driver.close()
