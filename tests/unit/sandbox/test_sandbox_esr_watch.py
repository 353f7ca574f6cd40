"""The sandbox ESR that goes on: it takes in feed files and answers completion files as they come."""

import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import date, datetime
from pathlib import Path

import pytest

from sandbox.__main__ import main
from sandbox.esr import SandboxEsr
from sandbox.esr_format import lines_of, split
from sandbox.esr_watch import take_in, watch
from shared.clock import FixedClock

PUBLISHED = Path(__file__).parent / "published"
FULL = "CS_999_CST_CSF_20260302_00000001.DAT"
CHANGES = "CS_999_CST_CSC_20260303_00000002.DAT"
COMPLETIONS = "CS_999_CST_CMP_20260303_00000015.DAT"
CLOCK = FixedClock(datetime(2026, 3, 4, 6, 12))  # noqa: DTZ001 - UK local time


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    trust = tmp_path / "999"
    (trust / "from-esr").mkdir(parents=True)
    (trust / "to-esr").mkdir()
    return trust


def drop(folder: Path, name: str, into: str = "from-esr") -> None:
    shutil.copy(PUBLISHED / name, folder / into / name)


def look(folder: Path) -> list[str]:
    return list(watch(folder.parent / "esr.sqlite", "999", folder, rounds=1, clock=CLOCK))


def test_it_knows_the_people_of_feed_files_that_were_dropped(folder: Path) -> None:
    drop(folder, CHANGES)
    drop(folder, FULL)
    assert look(folder) == [f"took in {FULL}", f"took in {CHANGES}"]
    truth = SandboxEsr(folder.parent / "esr.sqlite", "999").truth()
    assert truth.person("9000002")["employee_number"] == "29900012"
    assert [one["competency_element_id"] for one in truth.achievements("9000001")] == ["12000001"]
    assert look(folder) == []


def test_it_judges_completions_by_what_it_took_in(folder: Path) -> None:
    SandboxEsr(folder.parent / "esr.sqlite", "999").expect_completions_from(15)
    for name in (FULL, CHANGES):
        drop(folder, name)
    drop(folder, COMPLETIONS, "to-esr")
    written = look(folder)[-1]
    assert written == "wrote CS_999_CST_CMC_20260304_00000001.DAT"
    answer = lines_of((folder / "from-esr" / written.removeprefix("wrote ")).read_bytes())
    assert [split(one)[4] for one in answer[2:-1]] == ["SUCCESS", "SUCCESS", "FAIL", "SUCCESS", "FAIL"]
    new_elements = [split(one)[9] for one in answer[2:4]]
    assert new_elements == ["12000901", "12000902"]  # the full file used 12000900


def test_a_feed_file_that_is_still_being_written_waits(folder: Path) -> None:
    whole = (PUBLISHED / FULL).read_bytes()
    (folder / "from-esr" / FULL).write_bytes(whole[: whole.rindex(b"TRL")])
    assert look(folder) == []
    drop(folder, FULL)
    assert look(folder) == [f"took in {FULL}"]


def test_a_record_that_cannot_be_held_does_not_stop_the_rest(folder: Path) -> None:
    odd = (PUBLISHED / FULL).read_bytes().replace(b"TRL~19", b"PRD~9000001\r\nPRA~9000002~cut\r\nTRL~21")
    (folder / "from-esr" / FULL).write_bytes(odd)
    assert look(folder) == [f"took in {FULL}"]
    assert SandboxEsr(folder.parent / "esr.sqlite", "999").truth().person("9000002")["last_name"] == "Mockford"


def test_an_esr_with_a_trust_of_its_own_takes_nothing_in(folder: Path) -> None:
    state = folder.parent / "esr.sqlite"
    SandboxEsr(state, "999").populate(5, date(2026, 3, 2))
    drop(folder, FULL)
    assert take_in(state, "999", folder / "from-esr") == []


def test_files_of_another_trust_are_left_alone(folder: Path) -> None:
    drop(folder, FULL)
    assert list(watch(folder.parent / "esr.sqlite", "901", folder, rounds=1, clock=CLOCK)) == []


def test_the_command_makes_the_folders_it_watches(tmp_path: Path) -> None:
    state = ["--state", str(tmp_path / "esr.sqlite"), "--vpd", "999"]
    assert main(["esr", "watch", *state, "--folder", str(tmp_path / "999"), "--rounds", "1"]) == 0
    assert sorted(path.name for path in (tmp_path / "999").iterdir()) == ["from-esr", "to-esr"]


def test_it_goes_on_until_it_is_stopped(folder: Path) -> None:
    state = ["--state", str(folder.parent / "esr.sqlite"), "--vpd", "999"]
    command = [sys.executable, "-m", "sandbox", "esr", "watch", *state, "--folder", str(folder), "--every", "0.05"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for name in (FULL, CHANGES):
                drop(folder, name)
                assert process.stdout.readline() == f"took in {name}\n"
            assert process.poll() is None
        finally:
            os.kill(process.pid, signal.SIGTERM)


def test_it_pauses_between_two_looks(folder: Path) -> None:
    began = time.monotonic()
    list(watch(folder.parent / "esr.sqlite", "999", folder, every=0.1, rounds=3, clock=CLOCK))
    assert time.monotonic() - began >= 0.2
