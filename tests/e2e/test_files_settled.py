"""What becomes of whole files: confirmed, repeated, held, released, discarded, requested, watched, purged."""

import os
from collections.abc import AsyncIterator, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from esrbridge.embedded import STATE, archive_of
from esrbridge.local.postgres import postgres
from esrbridge.once import log_file
from services.ingest import answers as answers_module
from services.ingest.requests import FileActionError, Requests
from shared.errors import TransientError
from shared.esr.profile import load_profile
from tests.e2e import feed, story
from tests.e2e.trusts import Trust, act, later, open_trust, put, status

DAY = date(2026, 3, 2)
"""The day of the first full file; the story's clock stands on the evening after it."""

STAFF = range(1001, 1101)
"""A hundred people."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A one-shot folder whose PostgreSQL runs on between the tests, and whose log is written."""
    folder = tmp_path_factory.mktemp("settled")
    with log_file(folder), postgres(folder / STATE / "postgres", prefer_wheel=True):
        yield folder


@pytest.fixture(scope="module")
def vpds() -> Iterator[str]:
    """Numbers of trusts that no test has used."""
    return iter(str(number) for number in range(101, 999))


@pytest.fixture
async def new_trust(folder: Path, vpds: Iterator[str]) -> AsyncIterator[Trust]:
    """A trust that has loaded nothing."""
    async with open_trust(folder, next(vpds)) as trust:
        yield trust


@pytest.fixture
async def trust(new_trust: Trust) -> Trust:
    """A trust that has loaded the sample full file."""
    new_trust.put(story.FULL, story.sample(new_trust.vpd, story.FULL))
    await new_trust.night()
    return new_trust


@pytest.fixture
async def staffed(new_trust: Trust) -> Trust:
    """A trust of a hundred people, loaded from a full file."""
    put(new_trust, DAY, 1, STAFF, full=True)
    await new_trust.night()
    return new_trust


# --- a confirmation for every file -------------------------------------------------------------------------------


async def test_the_sample_changes_file_is_confirmed_as_the_published_sample_is(trust: Trust) -> None:
    trust.put(story.FIRST_CHANGES, story.sample(trust.vpd, story.FIRST_CHANGES))
    await trust.night()

    _, confirmation = trust.sent("CTC")
    name = f"CS_{trust.vpd}_CST_CTC_20260303_00000002.DAT"
    first = "20260303 183000"
    assert confirmation == [
        ["HDR", name, first, trust.vpd, first, first, "01"],
        ["CFH", story.FIRST_CHANGES.format(vpd=trust.vpd), "PARTIAL", "9", "8", "0", "1", "WARNING", "F000",
         "1 of 9 records was not loaded"],
        ["CFD", "8", "CMA", "12000032", "FAIL", "ERROR", "B201", "Person is not known to the receiver", "9000099",
         "", ""],
        ["TRL", "2"],
    ]  # fmt: skip


async def test_a_file_that_was_loaded_whole_is_confirmed_in_one_line(new_trust: Trust) -> None:
    name = put(new_trust, DAY, 1, STAFF, full=True)
    await new_trust.night()

    ((_, summary, trailer),) = new_trust.sent("CTC")
    assert (summary, trailer) == (["CFH", name, "SUCCESS", "200", "200", "0", "0", "", "", ""], ["TRL", "1"])


async def test_a_record_refused_for_its_form_and_one_given_up_by_its_owner_are_both_confirmed_as_failures(
    staffed: Trust,
) -> None:
    records = [
        feed.person(2001, last_name="x" * 150),
        feed.person(2002),
        feed.person(2003, system_person_type="NEW"),
    ]
    content = feed.feed(staffed.vpd, DAY + timedelta(days=1), 2, records)
    content = content.replace(b"x" * 150, b"x" * 151)  # over-long: ingest refuses it
    content = content.replace(b"~2002~20200106~", b"~2002~~")  # without its key: it can have no place among the facts
    staffed.put(feed.name(staffed.vpd, DAY + timedelta(days=1), 2), content)
    await staffed.night()

    _, (_, summary, *details, _) = staffed.sent("CTC")
    assert summary[2:7] == ["PARTIAL", "3", "1", "1", "2"]
    assert [(line[1], line[3], line[4], line[6]) for line in details] == [
        ("1", "2001", "FAIL", "R102"),
        ("2", "2002", "FAIL", "R101"),
        ("3", "2003", "SUCCESS", "R109"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        (story.FIRST_CHANGES, lambda vpd: story.sample(vpd, story.FIRST_CHANGES).rpartition(b"TRL")[0], "F005"),
        ("notes of the meeting.txt", lambda _: b"nothing ESR wrote", "F001"),
    ],
)
async def test_a_quarantined_file_is_answered_with_fail_and_its_code(
    trust: Trust, name: str, content: Any, code: str
) -> None:
    path = trust.put(name, content(trust.vpd))
    report = await trust.night()

    assert status(report, path.name) == ("quarantined", code)
    _, (_, summary, trailer) = trust.sent("CTC")
    assert summary[:9] == ["CFH", path.name, "FAIL", "0", "0", "0", "0", "ERROR", code]
    assert trailer == ["TRL", "1"]


async def test_the_same_file_again_is_ignored_with_notice_and_answered_as_a_duplicate(trust: Trust) -> None:
    path = trust.folder / trust.vpd / "from-esr" / story.FULL.format(vpd=trust.vpd)
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime + 60))
    report = await trust.night()

    assert (report["files"][0]["repeats"], report["events"]["ingest.FileRepeated"]) == (1, 1)
    _, (_, summary, _) = trust.sent("CTC")
    assert summary[1:3] + summary[7:9] == [path.name, "DUPLICATE", "WARNING", "F007"]


async def test_a_file_that_only_waits_is_not_answered_yet(trust: Trust) -> None:
    put(trust, date(2026, 3, 5), 4, [1])
    await trust.night()

    assert len(trust.sent("CTC")) == 1


async def test_our_own_files_in_the_wrong_folder_are_quarantined_and_not_answered(trust: Trust) -> None:
    sent = trust.folder / trust.vpd / "to-esr" / f"CS_{trust.vpd}_CST_CTC_20260303_00000001.DAT"
    trust.put(sent.name, sent.read_bytes())
    report = await trust.night()

    assert status(report, sent.name) == ("quarantined", "F011")
    assert len(trust.sent("CTC")) == 1


async def test_confirmations_are_numbered_without_gaps_and_each_window_begins_where_the_last_ended(
    trust: Trust,
) -> None:
    for seq in range(2, 5):
        later(trust, minutes=7)
        put(trust, date(2026, 3, seq + 1), seq, [1000 + seq])
        await trust.night()

    headers = [confirmation[0] for confirmation in trust.sent("CTC")]
    assert [int(header[1][-12:-4]) for header in headers] == [1, 2, 3, 4]
    assert [header[4] for header in headers] == ["00000000 000000", *(header[5] for header in headers[:-1])]


async def test_a_confirmation_that_could_not_be_put_down_is_delivered_later_byte_for_byte(
    trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(source: Path, path: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(answers_module, "copy_file", full_disk)
        trust.put(story.FIRST_CHANGES, story.sample(trust.vpd, story.FIRST_CHANGES))
        with pytest.raises(OSError, match="No space"):
            await trust.night()
    assert len(trust.sent("CTC")) == 1
    (staged,) = (archive_of(trust.folder) / trust.vpd / "answers").glob("*_00000002.DAT")
    frozen = staged.read_bytes()

    later(trust, hours=3)
    await trust.night()

    assert len(trust.sent("CTC")) == 2
    assert (trust.folder / trust.vpd / "to-esr" / staged.name).read_bytes() == frozen


async def test_a_profile_without_confirmations_gets_none(folder: Path, vpds: Iterator[str]) -> None:
    async with open_trust(folder, next(vpds), profile="esr-go-gdw") as trust:
        profile = load_profile("esr-go-gdw")
        name = profile.file_name(trust.vpd, "GOF", DAY, 1)
        header = f"HDR~{name}~20260302 031500~{trust.vpd}~00000000 000000~20260302 000000~01"
        trust.put(name, f"{header}\r\nTRL~0\r\n".encode())
        report = await trust.night()

        assert [(file["status"], file["answered"]) for file in report["files"]] == [("complete", True)]
        assert not (folder / trust.vpd / "to-esr").exists()


# --- a full file: who is absent ----------------------------------------------------------------------------------


async def test_who_is_absent_from_a_full_file_is_reported_and_never_deleted(staffed: Trust) -> None:
    name = put(staffed, DAY + timedelta(days=1), 2, STAFF[:-3], full=True)
    report = await staffed.night()

    assert status(report, name) == ("complete", "")
    assert [one["person_id"] for one in report["absent"]] == ["1098", "1099", "1100"]
    assert {one["absent_from"] for one in report["absent"]} == {name}
    assert report["people"] == {"employee": 100}
    assert report["accounts"] == {"permanent": 100}
    assert report["events"]["ingest.PeopleAbsent"] == 1


async def test_a_person_whom_a_later_file_brings_back_is_no_longer_absent(staffed: Trust) -> None:
    put(staffed, DAY + timedelta(days=1), 2, STAFF[:-3], full=True)
    put(staffed, DAY + timedelta(days=2), 3, [1099])
    report = await staffed.night()

    assert [one["person_id"] for one in report["absent"]] == ["1098", "1100"]


async def test_a_person_whom_esr_deletes_is_not_missed(staffed: Trust) -> None:
    on = DAY + timedelta(days=1)
    content = feed.feed(staffed.vpd, on, 2, [("PRD", {"person_id": "1100"})])
    staffed.put(feed.name(staffed.vpd, on, 2), content)
    put(staffed, on + timedelta(days=1), 3, STAFF[:-1], full=True)
    report = await staffed.night()

    assert report["absent"] == []


async def test_a_full_file_that_would_lose_more_than_the_share_allowed_waits_for_an_operator(staffed: Trust) -> None:
    name = put(staffed, DAY + timedelta(days=1), 2, STAFF[:-6], full=True)
    report = await staffed.night()

    assert status(report, name) == ("held", "F018")
    assert (report["exit"], report["absent"]) == (1, [])

    await act(staffed, "release", name, "a ward moved to the neighbouring trust")
    report = await staffed.night()

    assert status(report, name) == ("complete", "")
    assert len(report["absent"]) == 6
    assert report["people"] == {"employee": 100}


# --- what operators do -------------------------------------------------------------------------------------------


async def test_a_gap_is_released_by_an_operator_and_the_files_behind_it_follow(staffed: Trust) -> None:
    third = put(staffed, DAY + timedelta(days=2), 3, [2003])
    fourth = put(staffed, DAY + timedelta(days=3), 4, [2004])
    report = await staffed.night()
    assert status(report, third) == status(report, fourth) == ("held", "F006")

    await act(staffed, "release", third)
    report = await staffed.night()

    assert status(report, third) == status(report, fourth) == ("complete", "")
    assert report["people"] == {"employee": 102}


async def test_a_gap_that_fills_needs_no_operator(staffed: Trust) -> None:
    third = put(staffed, DAY + timedelta(days=2), 3, [2003])
    await staffed.night()
    put(staffed, DAY + timedelta(days=1), 2, [2002])
    report = await staffed.night()

    assert status(report, third) == ("complete", "")
    assert report["people"] == {"employee": 102}


async def test_a_discarded_file_is_never_applied_and_its_sender_is_told(staffed: Trust) -> None:
    third = put(staffed, DAY + timedelta(days=2), 3, [2003])
    await staffed.night()
    await act(staffed, "discard", third)
    report = await staffed.night()

    assert status(report, third) == ("discarded", "F006")
    assert report["exit"] == 0
    assert report["people"] == {"employee": 100}
    _, (_, summary, _) = staffed.sent("CTC")
    assert summary[1:3] + summary[7:9] == [third, "FAIL", "ERROR", "F006"]


async def test_changes_that_do_not_begin_where_the_last_file_ended_wait_and_offer_what_can_be_done(
    staffed: Trust,
) -> None:
    name = put(staffed, DAY + timedelta(days=2), 2, [2002])
    report = await staffed.night()

    assert status(report, name) == ("held", "F008")
    assert "request a full file" in report["files"][1]["reason"]


async def test_a_file_that_was_refused_for_its_profile_is_taken_once_the_profile_is_mended(
    folder: Path, vpds: Iterator[str]
) -> None:
    vpd = next(vpds)
    content = feed.feed(vpd, DAY, 1, feed.staff(STAFF), full=True).replace(b"~01\r\n", b"~02\r\n", 1)
    name = feed.name(vpd, DAY, 1, full=True)
    async with open_trust(folder, vpd) as trust:
        trust.put(name, content)
        assert status(await trust.night(), name) == ("quarantined", "F009")
    source = Path(answers_module.__file__).parents[2] / "shared" / "esr" / "profiles" / "esr-cstf.yaml"
    mended = folder / "mended.yaml"
    mended.write_text(
        source.read_text("utf-8").replace('interface_versions: ["01"]', 'interface_versions: ["01", "02"]')
    )

    async with open_trust(folder, vpd, profile=str(mended)) as trust:
        await act(trust, "recheck", name, "version 02 was agreed")
        report = await trust.night()

        assert status(report, name) == ("complete", "")
        assert [said[1][2] for said in trust.sent("CTC")] == ["FAIL", "SUCCESS"]


async def test_what_is_not_possible_is_refused_in_a_sentence(staffed: Trust) -> None:
    name = feed.name(staffed.vpd, DAY, 1, full=True)
    with pytest.raises(FileActionError, match="is complete; release is not possible"):
        await act(staffed, "release", name)
    with pytest.raises(FileActionError, match="0 files"):
        await act(staffed, "discard", "CS_999_CST_CSC_20260303_00000009.DAT")
    with pytest.raises(FileActionError, match="reason"):
        await act(staffed, "discard", name, " ")


# --- the request for a full file ---------------------------------------------------------------------------------


async def test_a_requested_full_file_leaves_neither_gap_nor_overlap(staffed: Trust) -> None:
    lost = put(staffed, DAY + timedelta(days=2), 2, [2002])  # the window before it never came
    await staffed.night()
    profiles = {staffed.vpd: load_profile("esr-cstf")}
    desk = Requests(staffed.bridge.components["ingest"].work, profiles, staffed.folder)

    asked = await desk.ask(staffed.vpd, "a.nother", "a day is missing")
    again = await desk.ask(staffed.vpd, "a.nother", "asked twice")
    report = await staffed.night()

    assert asked == again
    moment = date.fromisoformat(asked["as_at"][:10])
    assert asked["as_at"] == f"{moment}T00:00:00"
    assert moment == DAY + timedelta(days=3)  # after the newest window that is known, and not before tonight
    (request,) = (staffed.folder / staffed.vpd / "to-esr").glob("*_CSR_*")
    assert request.name == f"CS_{staffed.vpd}_CST_CSR_{moment:%Y%m%d}_00000001.DAT"
    assert request.read_bytes() == f"HDR~{request.name}~{moment:%Y%m%d} 000000\r\n".encode()
    assert report["events"]["ingest.SnapshotRequested"] == 1

    later(staffed, days=2)
    put(staffed, moment, 3, [*STAFF, 2002], full=True)
    following = put(staffed, moment + timedelta(days=1), 4, [2004])
    report = await staffed.night()

    assert status(report, following) == ("complete", "")
    assert status(report, lost) == ("refused", "F015")
    assert report["people"] == {"employee": 102}


# --- the file calendar -------------------------------------------------------------------------------------------


async def test_silence_lateness_and_earliness_each_have_their_own_event_and_are_told_once(staffed: Trust) -> None:
    later(staffed, days=3)  # 6 March, 18:30
    await staffed.night()
    report = await staffed.night()

    assert {kind: report["events"][f"ingest.{kind}"] for kind in ("FeedSilent", "FileLate")} == {
        "FeedSilent": 1,
        "FileLate": 3,
    }
    put(staffed, date(2026, 3, 7), 2, [2002], since=DAY)
    report = await staffed.night()
    assert report["events"]["ingest.FileEarly"] == 1
    assert sorted(one["kind"] for one in report["alarms"]) == ["early", "late", "late", "late", "silent"]


async def test_a_feed_that_comes_as_agreed_raises_no_alarm(staffed: Trust) -> None:
    staffed.clock.set(datetime.fromisoformat("2026-03-03T06:00"))
    for days in range(1, 6):
        staffed.clock.set(datetime(2026, 3, 2 + days, 6))  # noqa: DTZ001 - read as UK local time
        put(staffed, DAY + timedelta(days=days), 1 + days, [2000 + days])
        report = await staffed.night()
    assert report["alarms"] == []


# --- the archive -------------------------------------------------------------------------------------------------


async def test_raw_files_are_kept_under_their_checksum_until_their_retention_ends_and_the_purge_reports(
    folder: Path, vpds: Iterator[str]
) -> None:
    async with open_trust(folder, next(vpds), archive_days=30, calendar={"silent_after_days": 365}) as trust:
        name = put(trust, DAY, 1, STAFF, full=True)
        held = put(trust, DAY + timedelta(days=5), 9, [2009])
        report = await trust.night()
        archive = archive_of(folder) / trust.vpd
        kept = {file["name"]: archive / f"{file['sha256']}.dat" for file in report["files"]}
        original = folder / trust.vpd / "from-esr" / name
        assert kept[name].read_bytes() == original.read_bytes()

        later(trust, days=29)
        await trust.night()
        assert kept[name].exists()

        later(trust, days=2)
        report = await trust.night()
        assert not kept[name].exists()
        assert kept[held].exists()  # it waits for somebody, however long that takes
        assert report["events"]["ingest.ArchivePurged"] == 1

        report = await trust.night()
        assert not kept[name].exists()
        assert [file["repeats"] for file in report["files"]] == [0, 0]


async def test_names_of_files_that_stay_in_the_folder_are_remembered_for_ever(
    folder: Path, vpds: Iterator[str]
) -> None:
    vpd = next(vpds)
    async with open_trust(folder, vpd) as trust:
        put(trust, DAY, 1, STAFF, full=True)
        await trust.night()
        for kept in (archive_of(folder) / vpd).glob("*.dat"):
            kept.unlink()
    async with open_trust(folder, vpd) as trust:
        report = await trust.night()

        assert [(file["status"], file["repeats"]) for file in report["files"]] == [("complete", 0)]
        assert list((archive_of(folder) / vpd).glob("*.dat")) == []  # it was not even read again


async def test_an_archive_that_cannot_be_written_stops_the_door_and_loses_nothing(
    new_trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    name = put(new_trust, DAY, 1, STAFF, full=True)
    with monkeypatch.context() as patch:
        patch.setattr("services.ingest.archive.os.fsync", no_space)
        with pytest.raises(TransientError, match="STORAGE_UNAVAILABLE"):
            await new_trust.night()
    assert list((archive_of(new_trust.folder) / new_trust.vpd).glob(".*.part")) == []

    assert status(await new_trust.night(), name) == ("complete", "")
