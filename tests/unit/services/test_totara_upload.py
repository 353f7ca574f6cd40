"""Driver ``totara-completion-upload`` against the sandbox's Totara: each file goes through the form and its task."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.totara import SandboxTotara
from sandbox.totara_cert_file import UploadSettings
from services.outbound.lms.hr_import_slot import FileSlot, FolderSlot, RemoteSlot
from services.outbound.lms.port import Account, Answer, Certification, Evidence
from services.outbound.lms.totara_upload import ACCEPTED, PATTERN, CompletionUpload
from services.outbound.lms.totara_upload_rows import COLUMNS, choose, completion_row, written
from services.outbound.site import make_site
from shared.clock import LONDON, FixedClock
from shared.config import TrustConfig
from shared.errors import ConfigurationError, LmsBusyError, LmsUnavailableError
from shared.lms_settings import CompletionUploadSettings, LmsSettings, Routes
from shared.transport.remote import make_remote
from shared.transport.settings import Connection

AMY, BOB = "999-1", "999-2"
LATER: Final = Answer("unknown", "later-file")
NOON: Final = datetime(2026, 11, 22, 12, tzinfo=LONDON)


def account(idnumber: str, username: str) -> Account:
    return Account(idnumber, username, "Fern", "Sampleton", f"{idnumber}@trust.example", "PERM")


class Slot(FolderSlot):
    """A folder on a share that can be away."""

    away = False

    async def place(self, name: str, content: bytes) -> None:
        if self.away:
            raise LmsUnavailableError("the share is away")
        await super().place(name, content)


class Site:
    """A site, the folder between, and somebody who uploads."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.clock = FixedClock(NOON)
        self.totara = SandboxTotara(folder / "totara.sqlite", clock=lambda: self.clock.now().timestamp())
        self.people = {AMY: account(AMY, "amy"), BOB: account(BOB, "bob")}
        for one in self.people.values():
            self.totara.add_user(username=one.username, idnumber=one.idnumber)
        self.slot = Slot(folder / "ready", folder / "ready")
        (folder / "ready").mkdir()
        self.settings = CompletionUploadSettings(**settings)
        self.driver = self.start()

    def start(self) -> CompletionUpload:
        """A process of the bridge, with what an earlier one left behind."""

        async def held(idnumber: str) -> Account | None:
            return self.people.get(idnumber)

        memory = self.folder / "memory.json"
        return CompletionUpload(self.settings, "999", self.slot, self.clock, held, memory=memory)

    def files(self) -> list[Path]:
        return sorted((self.folder / "ready").iterdir())

    def rows(self) -> list[list[str]]:
        (file,) = self.files()
        return list(csv.reader(io.StringIO(file.read_text(), newline="")))[1:]

    def wait(self, seconds: float) -> None:
        self.clock.set(self.clock.now() + timedelta(seconds=seconds))

    def take(self) -> str:
        """Upload the file that waits, and let the task run; return its name."""
        (file,) = self.files()
        evidence = file.name.startswith("esrbridge-evidence")
        settings = UploadSettings(action=1, create_evidence=evidence, date_format=self.settings.date_format)
        self.totara.upload_completions(file.read_bytes(), settings=settings)
        file.unlink()
        assert self.totara.run_adhoc() == 1
        return file.name

    async def free(self) -> None:
        """Let the driver see that the folder is empty, and the gap pass."""
        with pytest.raises(LmsBusyError):
            await self.driver.record_completion([fire(BOB, "2020-01-01")])
        self.wait(2)

    def state(self, username: str = "amy") -> tuple[str, str, str]:
        (row,) = [row for row in self.totara.completions("FIRE") if row["username"] == username]
        return row["state"], day(row["completed"]), day(row["expires"])

    def history(self) -> list[tuple[str, str]]:
        return [(day(row["completed"]), day(row["expires"])) for row in self.totara.history("FIRE")]

    def errors(self) -> list[str]:
        return [row["importerrormsg"] for row in self.totara.imports()]


def day(moment: int) -> str:
    return datetime.fromtimestamp(moment, LONDON).date().isoformat() if moment else ""


def fire(idnumber: str, on: str, due: str = "", expires: str = "") -> Certification:
    return Certification(idnumber, "FIRE", on, expires, due)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    made.totara.add_certification("FIRE", "expiry")
    return made


async def test_a_completion_certifies_and_nothing_is_said_of_it_later(site: Site) -> None:
    assert await site.driver.check() == []
    assert await site.driver.record_completion([fire(AMY, "2026-06-01"), fire(BOB, "2026-07-01")]) == [ACCEPTED] * 2
    assert site.rows() == [["amy", "", "FIRE", "2026-06-01", ""], ["bob", "", "FIRE", "2026-07-01", ""]]
    site.take()
    assert site.errors() == ["", ""]
    assert site.state("amy") == ("certified", "2026-06-01", "2027-06-01")
    assert site.state("bob") == ("certified", "2026-07-01", "2027-07-01")
    assert await site.driver.news() == []
    await site.driver.noted()
    await site.driver.close()


@pytest.mark.parametrize("form", ["Y-m-d", "Y/m/d", "d/m/Y", "d-m-Y", "d.m.Y", "m/d/Y"])
async def test_dates_are_written_as_the_form_reads_them(tmp_path: Path, form: str) -> None:
    site = Site(tmp_path, date_format=form)
    site.totara.add_certification("FIRE")
    await site.driver.record_completion([fire(AMY, "2026-02-03")])
    site.take()
    assert site.state() == ("certified", "2026-02-03", "2027-02-03")


async def test_while_a_file_waits_no_other_comes_and_its_own_rows_are_not_sent_twice(site: Site) -> None:
    await site.driver.record_completion([fire(AMY, "2026-06-01")])
    assert await site.driver.record_completion([fire(AMY, "2026-06-01")]) == [ACCEPTED]
    with pytest.raises(LmsBusyError):
        await site.driver.record_completion([fire(AMY, "2026-06-01"), fire(BOB, "2026-06-01")])
    with pytest.raises(LmsBusyError):
        await site.driver.add_evidence([Evidence(AMY, "E1", "Tea", "2026-06-01", "")])
    assert len(site.rows()) == 1


async def test_the_next_file_comes_two_seconds_after_the_last_was_seen_to_be_gone(site: Site) -> None:
    await site.driver.record_completion([fire(AMY, "2026-06-01")])
    first = site.take()
    for seconds in (60, 1.5):
        site.wait(seconds)
        with pytest.raises(LmsBusyError):
            await site.driver.record_completion([fire(BOB, "2026-06-01")])
    site.wait(0.5)
    assert await site.driver.record_completion([fire(BOB, "2026-06-01")]) == [ACCEPTED]
    second = site.take()
    assert (first, second) == (
        "esrbridge-completions-999-20261122-120000-000001.csv",
        "esrbridge-completions-999-20261122-120102-000002.csv",
    )


async def test_a_clock_that_was_set_back_does_not_keep_files_waiting(site: Site) -> None:
    await site.driver.record_completion([fire(AMY, "2026-06-01")])
    site.take()
    await site.free()
    site.wait(-86400)
    assert await site.driver.record_completion([fire(BOB, "2026-06-01")]) == [ACCEPTED]


async def test_a_repeated_delivery_leaves_the_certification_and_adds_one_history_row_at_most(site: Site) -> None:
    for _ in range(3):
        assert await site.driver.record_completion([fire(AMY, "2026-06-01")]) == [ACCEPTED]
        site.take()
        await site.free()
    assert site.state() == ("certified", "2026-06-01", "2027-06-01")
    assert site.history() == [("2026-06-01", "2027-06-01")]


async def test_two_dates_of_one_person_go_in_two_files_the_older_first(site: Site) -> None:
    both = [fire(AMY, "2026-06-10"), fire(AMY, "2025-06-15")]
    assert await site.driver.record_completion(both) == [LATER, ACCEPTED]
    site.take()
    await site.free()
    assert await site.driver.record_completion(both[:1]) == [ACCEPTED]
    site.take()
    # The expiry is chained: counted from 15 June, not from the second completion.
    assert site.state() == ("certified", "2026-06-10", "2027-06-15")
    assert site.history() == [("2025-06-15", "2026-06-15")]


async def test_the_current_date_and_a_newer_one_never_share_a_file_and_nobody_s_history_is_lost(site: Site) -> None:
    await site.driver.record_completion([fire(AMY, "2026-01-01"), fire(BOB, "2026-01-02")])
    site.take()
    await site.free()
    again = [fire(AMY, "2026-01-01"), fire(AMY, "2026-10-01"), fire(BOB, "2026-10-02")]
    assert await site.driver.record_completion(again) == [ACCEPTED, LATER, ACCEPTED]
    site.take()
    await site.free()
    assert await site.driver.record_completion(again[1:2]) == [ACCEPTED]
    site.take()
    assert "Task left transaction open" not in [one["text"] for one in site.totara.events("log")]
    assert (site.state("amy")[1], site.state("bob")[1]) == ("2026-10-01", "2026-10-02")
    assert sorted(completed for completed, _ in site.history()) == ["2026-01-01", "2026-01-02"]


async def test_one_date_told_twice_in_a_batch_is_one_row(site: Site) -> None:
    twice = [fire(AMY, "2026-06-01"), fire(AMY, "2026-06-01", due="2026-05-01")]
    assert await site.driver.record_completion(twice) == [ACCEPTED] * 2
    assert len(site.rows()) == 1


@pytest.mark.parametrize(("due", "expires"), [("2026-01-15", "2027-01-15"), ("", "2027-01-10")])
async def test_an_expired_person_is_counted_on_from_the_expiry_that_is_given(
    site: Site, due: str, expires: str
) -> None:
    site.clock.set(datetime(2025, 1, 15, 9, tzinfo=LONDON))
    await site.driver.record_completion([fire(AMY, "2025-01-15")])
    site.take()
    site.clock.set(datetime(2026, 1, 16, 9, tzinfo=LONDON))
    site.totara.cron()
    assert site.state()[0] == "expired"
    await site.free()
    await site.driver.record_completion([fire(AMY, "2026-01-10", due=due)])
    site.take()
    assert site.state() == ("certified", "2026-01-10", expires)


async def test_an_account_nobody_knows_is_refused_and_the_others_go_on(site: Site) -> None:
    assert await site.driver.record_completion([fire("999-7", "2026-06-01"), fire(AMY, "2026-06-01")]) == [
        Answer("rejected", "account-not-known"),
        ACCEPTED,
    ]
    assert [row[0] for row in site.rows()] == ["amy"]


WRONG: Final = {
    "tomorrow": (fire(AMY, "2026-11-23"), "date-in-future"),
    "no such day": (fire(AMY, "2026-06-31"), "date-invalid"),
    "no date": (fire(AMY, ""), "date-invalid"),
    "other form": (fire(AMY, "20260601"), "date-invalid"),
    "before time": (fire(AMY, "1970-01-01"), "date-invalid"),
    "due on no day": (fire(AMY, "2026-06-01", due="2026-02-31"), "due-date-invalid"),
    "no certification": (Certification(AMY, " ", "2026-06-01", ""), "certification-missing"),
    "long certification": (Certification(AMY, "F" * 101, "2026-06-01", ""), "value-too-long"),
    "odd certification": (Certification(AMY, "F\x00", "2026-06-01", ""), "value-invalid"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_what_the_upload_would_spoil_is_refused_and_no_file_is_written(site: Site, case: str) -> None:
    wrong, code = WRONG[case]
    assert await site.driver.record_completion([wrong]) == [Answer("rejected", code)]
    assert site.files() == []


async def test_a_completion_of_the_day_itself_is_sent_and_esr_s_expiry_is_not(site: Site) -> None:
    assert await site.driver.record_completion([fire(AMY, "2026-11-22", expires="2026-11-21")]) == [ACCEPTED]
    assert site.rows() == [["amy", "", "FIRE", "2026-11-22", ""]]


@pytest.mark.parametrize(
    ("username", "code"), [("Amy", "username-invalid"), ("", "username-invalid"), ("a" * 101, "value-too-long")]
)
async def test_a_user_name_the_upload_cannot_match_is_refused(site: Site, username: str, code: str) -> None:
    site.people[AMY] = account(AMY, username)
    assert await site.driver.record_completion([fire(AMY, "2026-06-01")]) == [Answer("rejected", code)]


async def test_a_letter_the_encoding_lacks_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path, encoding="ISO-8859-1")
    wrong = Evidence(AMY, "E1", "Łifting", "2026-06-01", "")
    right = Evidence(BOB, "E2", "Lífting", "2026-06-01", "")
    assert await site.driver.add_evidence([wrong, right]) == [Answer("rejected", "encoding"), ACCEPTED]
    assert "Lífting" in site.files()[0].read_text("iso-8859-1")


async def test_a_file_has_so_many_rows_and_the_rest_waits(tmp_path: Path) -> None:
    site = Site(tmp_path, rows=1)
    batch = [fire(AMY, "2026-06-01"), fire(BOB, "2026-06-01")]
    assert await site.driver.record_completion(batch) == [ACCEPTED, LATER]
    assert len(site.rows()) == 1


async def test_evidence_goes_in_a_file_of_its_own_and_becomes_an_item(site: Site) -> None:
    site.totara.add_certification("TEA", shortname="Tea")
    one = Evidence(AMY, "300-7", "Tea", "2026-06-01", "2027-06-01")
    assert await site.driver.add_evidence([one]) == [ACCEPTED]
    assert site.rows() == [["amy", "Tea", "ESR-300-7", "2026-06-01", ""]]
    assert site.take().startswith("esrbridge-evidence-999-")
    (item,) = site.totara.evidence()
    assert (item["name"], item["idnumber"], day(item["completiondate"])) == (
        "Completed certification : Tea",
        "ESR-300-7",
        "2026-06-01",
    )
    assert site.totara.completions() == []  # although a certification has that short name


async def test_evidence_is_sent_once_whatever_happens_to_the_process(site: Site) -> None:
    one, other = (Evidence(AMY, key, "Tea", "2026-06-01", "") for key in ("E1", "E2"))
    assert await site.driver.add_evidence([one, one]) == [ACCEPTED] * 2
    site.take()
    for driver in (site.driver, site.start()):
        assert await driver.add_evidence([one]) == [ACCEPTED]
    await site.free()
    assert await site.driver.add_evidence([one, other]) == [ACCEPTED] * 2
    site.take()
    assert [item["idnumber"] for item in site.totara.evidence()] == ["ESR-E1", "ESR-E2"]


async def test_one_reference_of_two_people_does_not_share_a_file(site: Site) -> None:
    """An idnumber beside two short names fails in all its rows."""
    both = [Evidence(AMY, "E1", "Tea", "2026-06-01", ""), Evidence(BOB, "E1", "Coffee", "2026-06-01", "")]
    assert await site.driver.add_evidence(both) == [ACCEPTED, LATER]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (Evidence(AMY, " ", "Tea", "2026-06-01", ""), "reference-missing"),
        (Evidence(AMY, "E" * 97, "Tea", "2026-06-01", ""), "value-too-long"),
        (Evidence(AMY, "E1", "", "2026-06-01", ""), "name-blank"),
        (Evidence(AMY, "E1", "T" * 256, "2026-06-01", ""), "value-too-long"),
        (Evidence(AMY, "E1", "Tea", "2026-11-23", ""), "date-in-future"),
        (Evidence("999-7", "E1", "Tea", "2026-06-01", ""), "account-not-known"),
    ],
)
async def test_evidence_the_upload_would_spoil_is_refused(site: Site, wrong: Evidence, code: str) -> None:
    assert await site.driver.add_evidence([wrong]) == [Answer("rejected", code)]
    assert site.files() == []


async def test_a_process_that_dies_as_it_places_a_file_neither_loses_nor_doubles_it(site: Site) -> None:
    one = Evidence(AMY, "E1", "Tea", "2026-06-01", "")
    place = site.slot.place

    async def die(name: str, content: bytes) -> None:
        await place(name, content)
        raise SystemExit

    site.slot.place = die  # type: ignore[method-assign]
    with pytest.raises(SystemExit):
        await site.driver.add_evidence([one])
    site.slot.place = place  # type: ignore[method-assign]
    site.driver = site.start()
    assert await site.driver.add_evidence([one]) == [ACCEPTED]  # it is there: seen by its name
    site.take()
    assert await site.driver.add_evidence([one]) == [ACCEPTED]
    assert len(site.totara.evidence()) == 1


async def test_what_did_not_get_into_the_folder_is_sent_again(site: Site) -> None:
    site.slot.away = True
    with pytest.raises(LmsUnavailableError):
        await site.driver.record_completion([fire(AMY, "2026-06-01")])
    site.slot.away = False
    await site.free()
    assert await site.driver.record_completion([fire(AMY, "2026-06-01")]) == [ACCEPTED]
    assert len(site.rows()) == 1


async def test_a_file_of_another_trust_that_waits_is_not_taken_for_ours(site: Site) -> None:
    site.slot.away = True
    with pytest.raises(LmsUnavailableError):
        await site.driver.record_completion([fire(AMY, "2026-06-01")])
    site.slot.away = False
    (site.folder / "ready" / "esrbridge-completions-998-20261122-120000-000001.csv").write_bytes(b"")
    with pytest.raises(LmsBusyError):
        await site.driver.record_completion([fire(AMY, "2026-06-01")])


async def test_what_is_remembered_names_nobody(site: Site) -> None:
    await site.driver.add_evidence([Evidence(AMY, "E1", "Tea", "2026-06-01", "")])
    text = (site.folder / "memory.json").read_text()
    assert not any(word in text for word in ("amy", AMY, "Tea", "2026-06-01"))


@pytest.mark.parametrize("content", ["", "[]", '{"number": 1}', '{"number": "x", "name": "", "pending": []}'])
def test_a_memory_that_is_none_of_ours_is_told(site: Site, content: str) -> None:
    (site.folder / "memory.json").write_text(content)
    with pytest.raises(ConfigurationError, match="remove it"):
        site.start()


async def test_a_folder_that_is_not_there_is_found_before_anything_is_sent(site: Site) -> None:
    (site.folder / "ready").rmdir()
    with pytest.raises(LmsUnavailableError):
        await site.driver.check()


async def test_an_empty_batch_has_no_answers(site: Site) -> None:
    assert await site.driver.record_completion([]) == []
    assert await site.driver.add_evidence([]) == []


@pytest.mark.parametrize("remote", [False, True])
async def test_every_slot_knows_whether_a_file_of_a_kind_waits(tmp_path: Path, remote: bool) -> None:
    slot: FileSlot = FolderSlot(tmp_path / "In", tmp_path / "Out")
    (tmp_path / "In").mkdir()
    if remote:
        slot = RemoteSlot(make_remote(Connection(path=tmp_path)), "In", "Out")
    assert not await slot.waiting(PATTERN)
    await slot.place("other.csv", b"x")
    assert not await slot.waiting(PATTERN)
    await slot.place("esrbridge-evidence-1.csv", b"x")
    assert await slot.waiting(PATTERN)


async def test_a_trust_may_name_it_for_learning_and_for_nothing_else(tmp_path: Path) -> None:
    lms = LmsSettings(routes=Routes(learning="totara-completion-upload"))

    async def held(vpd: str, idnumber: str) -> Account | None:
        return account(idnumber, f"user-{vpd}")

    site = make_site(TrustConfig(vpd="999", lms=lms), tmp_path, FixedClock(NOON), held)
    assert site.learning is not None
    assert await site.learning.record_completion([fire(AMY, "2026-06-01")]) == [ACCEPTED]
    (file,) = (tmp_path / "999" / "completion-upload" / "ready").iterdir()
    assert "user-999,,FIRE,2026-06-01," in file.read_text()
    with pytest.raises(ValueError, match="keeps no accounts"):
        LmsSettings(driver="totara-completion-upload")
    with pytest.raises(ValueError, match="no job assignments"):
        LmsSettings(routes=Routes(jobs="totara-completion-upload"))


DAYS = st.dates(datetime(2025, 1, 1).date(), datetime(2026, 11, 22).date()).map(lambda one: one.isoformat())  # noqa: DTZ001
BATCH = st.lists(st.tuples(st.sampled_from(["amy", "bob"]), st.sampled_from(["FIRE", "SGA"]), DAYS), max_size=12)


@given(batch=BATCH, limit=st.integers(1, 4))
def test_no_file_holds_two_rows_of_one_person_and_certification(
    batch: Sequence[tuple[str, str, str]], limit: int
) -> None:
    settings = CompletionUploadSettings()
    made = [
        completion_row(Certification("", certification, on, ""), username, NOON.date(), settings)
        for username, certification, on in batch
    ]
    rows = [row for row in made if not isinstance(row, str)]
    assert len(rows) == len(batch)
    files = []
    while rows:  # what is chosen is taken; the rest waits for the next file
        chosen = choose(rows, limit)
        files.append(list(csv.reader(io.StringIO(written(chosen, settings).decode(), newline=""))))
        rows = [row for row in rows if row.digest not in {one.digest for one in chosen}]
    sent = [(row[0], row[2], row[3]) for file in files for row in file[1:]]
    assert all(file[0] == list(COLUMNS) and 1 < len(file) <= limit + 1 for file in files)
    assert all(len({(row[0], row[2]) for row in file[1:]}) == len(file) - 1 for file in files)
    assert sorted(sent) == sorted(set(batch))
    for pair in {(username, certification) for username, certification, _ in batch}:
        days = [on for username, certification, on in sent if (username, certification) == pair]
        assert days == sorted(days)
