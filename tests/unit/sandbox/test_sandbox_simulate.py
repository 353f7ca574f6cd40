"""Simulated trusts, the command line, and what a killed process leaves behind."""

import os
import signal
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from sandbox.__main__ import main
from sandbox.catalogue import CATALOGUE, COMPETENCES
from sandbox.esr import SandboxEsr
from sandbox.esr_format import lines_of, split
from sandbox.simulate import mappings, simulate
from shared.errors import ConfigurationError

START = date(2026, 3, 2)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.DAT"))}


def test_each_trust_gets_one_full_file_and_a_changes_file_a_day(tmp_path: Path) -> None:
    assert simulate(tmp_path, trusts=2, people=30, days=3, seed=7, start=START) == ["901", "902"]
    for vpd in ("901", "902"):
        kinds = [
            path.name[11:14] for path in sorted((tmp_path / vpd / "from-esr").iterdir(), key=lambda one: one.name[15:])
        ]
        assert kinds == ["CSF", "CSC", "CSC", "CSC"]
        assert (tmp_path / vpd / "sandbox-esr.sqlite").exists()


def test_simulating_again_anywhere_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b", "b"):
        simulate(tmp_path / folder, trusts=2, people=30, days=2, seed=7, start=START)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_trusts_differ_from_each_other(tmp_path: Path) -> None:
    simulate(tmp_path, trusts=2, people=30, days=0, seed=7, start=START)
    one, two = (SandboxEsr(tmp_path / vpd / "sandbox-esr.sqlite", vpd, seed=7).truth() for vpd in ("901", "902"))
    assert one.person("9000001") != two.person("9000001")


def test_more_trusts_than_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not 100"):
        simulate(tmp_path, trusts=100, people=1, days=0, seed=1, start=START)


def test_a_trust_of_one_person_can_be_simulated(tmp_path: Path) -> None:
    simulate(tmp_path, trusts=1, people=1, days=5, seed=1, start=START)
    assert len(contents(tmp_path)) == 6


def test_the_mapping_leaves_one_national_and_every_local_competence_out() -> None:
    mapped = {one["competence"]: one["certification"] for one in mappings()}
    unmapped = [one.name for one in COMPETENCES if one.name not in mapped]
    assert [one.split("|")[0] for one in unmapped] == ["NHS", "{vpd}", "{vpd}"]
    assert len(set(mapped.values())) == len(mapped) == len(CATALOGUE)
    assert mapped["NHS|CSTF|Fire Safety - 2 Years|"] == "FIRE-2Y"


def test_the_catalogue_covers_the_eleven_subjects() -> None:
    subjects = {
        "NHS Conflict Resolution",
        "Equality, Diversity and Human Rights",
        "Fire Safety",
        "Health, Safety and Welfare",
        "Infection Prevention and Control",
        "Information Governance and Data Security",
        "Moving and Handling",
        "Preventing Radicalisation",
        "Resuscitation",
        "Safeguarding Adults",
        "Safeguarding Children",
    }
    names = [name for _, name in CATALOGUE]
    assert all(any(name.startswith(f"NHS|CSTF|{subject}") for name in names) for subject in subjects)


def test_the_command_line_acts_as_esr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = ["--state", str(tmp_path / "esr.sqlite"), "--vpd", "999"]
    out = ["--folder", str(tmp_path / "from-esr")]
    assert main(["esr", "populate", *state, "--people", "20", "--day", "2026-03-02"]) == 0
    assert main(["esr", "full", *state, *out, "--day", "2026-03-02"]) == 0
    assert main(["esr", "changes", *state, *out, "--day", "2026-03-03", "--no-faults"]) == 0
    (tmp_path / "to-esr").mkdir()
    answer = ["--to-esr", str(tmp_path / "to-esr"), "--from-esr", str(tmp_path / "from-esr")]
    assert main(["esr", "answer", *state, *answer, "--now", "2026-03-04T06:12"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "20 people"
    assert [Path(one).name for one in lines[1:]] == [
        "CS_999_CST_CSF_20260302_00000001.DAT",
        "CS_999_CST_CSC_20260303_00000002.DAT",
    ]


def test_the_command_line_says_what_is_wrong_and_returns_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = ["--state", str(tmp_path / "esr.sqlite"), "--vpd", "999"]
    assert main(["esr", "changes", *state, "--folder", str(tmp_path), "--day", "2026-03-03"]) == 2
    no_token = ["--token-file", str(tmp_path / "token"), "--port", "1"]
    assert main(["lms", *state, *no_token]) == 2
    errors = capsys.readouterr().err
    assert "write the full file first" in errors
    assert "holds no token" in errors


def test_learners_can_be_driven_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    day = ["--folder", str(tmp_path), "--day", "2026-03-03", "--now", "2026-03-03T18:00"]
    assert main(["learn", "--state", str(tmp_path / "lms.sqlite"), "--vpd", "999", *day]) == 0
    assert capsys.readouterr().out == "0 completions\n"


_WRITER = """
import sys
from datetime import date, timedelta
from pathlib import Path
from sandbox.esr import SandboxEsr
folder = Path(sys.argv[1])
esr = SandboxEsr(folder / "esr.sqlite", "999")
esr.populate(40, date(2026, 3, 2))
esr.write_full(folder / "out", date(2026, 3, 2))
for day in range(1, 400):
    print(day, flush=True)
    esr.write_changes(folder / "out", date(2026, 3, 2) + timedelta(days=day))
"""


@pytest.mark.parametrize("after", [1, 5, 12])
def test_a_killed_esr_goes_on_with_the_very_files_it_would_have_written(tmp_path: Path, after: int) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    command = [sys.executable, "-c", _WRITER, str(killed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= after:
                os.kill(process.pid, signal.SIGKILL)
                break
    for folder in (killed, whole):
        esr = SandboxEsr(folder / "esr.sqlite", "999")
        esr.populate(40, START)
        esr.write_full(folder / "out", START)
        for day in range(1, 31):
            esr.write_changes(folder / "out", START + timedelta(days=day))
    assert contents(killed) == contents(whole)
    assert not list(killed.rglob("*.part"))


def test_a_file_that_was_noted_but_not_written_is_written_by_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    esr = SandboxEsr(tmp_path / "esr.sqlite", "999")
    esr.populate(20, START)
    with monkeypatch.context() as patch:
        patch.setattr("sandbox.esr_mail.write_atomically", _no_disk)
        with pytest.raises(OSError, match="disk gone"):
            esr.write_full(tmp_path / "out", START)
    assert contents(tmp_path) == {}
    changes = SandboxEsr(tmp_path / "esr.sqlite", "999").write_changes(tmp_path / "out", START + timedelta(days=1))
    assert len(contents(tmp_path)) == 2
    assert split(lines_of(changes.read_bytes())[0])[4] == "20260302 000000"


def _no_disk(*_: object) -> None:
    raise OSError("disk gone")
