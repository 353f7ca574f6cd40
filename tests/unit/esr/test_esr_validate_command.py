"""``esrbridge validate``: every fault, nothing skipped in silence, nothing personal, bounded lists."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from rich.progress import Progress
from typer.testing import CliRunner, Result

from esrbridge.cli import app
from esrbridge.validation import TextOutlet, validate_path

NAME = "CS_999_CST_CSC_20260303_00000002.DAT"
HEADER = f"HDR~{NAME}~20260303 031500~999~20260302 000000~20260303 000000~01"
SEEDED = ["Qzxsampleton", "QQ999999Z", "19120304", "qzx.fern@mail.example"]


def put(folder: Path, *records: str, name: str = NAME, count: int | None = None) -> Path:
    path = folder / name
    trailer = f"TRL~{len(records) if count is None else count}"
    path.write_text("\r\n".join([HEADER.replace(NAME, name), *records, trailer, ""]), encoding="iso-8859-1")
    return path


def run(*arguments: object, code: int) -> Result:
    result = CliRunner().invoke(app, ["validate", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def told(*arguments: object, code: int) -> Any:
    return json.loads(run(*arguments, "--json", code=code).stdout)


def test_every_fault_of_a_file_is_printed_however_many_there_are(tmp_path: Path) -> None:
    lines = run(put(tmp_path, *["PRD~"] * 12_000), code=1).stdout.splitlines()
    faults = [line for line in lines if line.startswith("  line ")]
    assert len(faults) == 12_000
    assert faults[-1] == (
        "  line 12001, person_id: R101: person_id is mandatory."
        " Have the value filled in at the source, or edit the record and replay it."
    )
    assert lines[0] == NAME
    assert lines[-1] == f"{NAME}: faults, 12000 records {{'PRD': 12000}}"


def test_json_lists_so_many_faults_and_says_how_many_it_does_not_list(tmp_path: Path) -> None:
    path = put(tmp_path, *["PRD~"] * 10_005)
    result = told(path, code=1)
    assert (len(result["faults"]), result["faults_not_listed"]) == (10_000, 5)
    assert result["faults_by_code"] == {"R101": 10_005}
    result = told(path, "--max-faults", 3, code=1)
    assert ([fault["line"] for fault in result["faults"]], result["faults_not_listed"]) == ([2, 3, 4], 10_002)
    assert told(path, "--max-faults", 0, code=1)["faults"] == []


def test_a_valid_file_ends_with_zero_and_lists_nothing(tmp_path: Path) -> None:
    result = told(put(tmp_path, "PRD~1"), code=0)
    assert (result["status"], result["faults"], result["faults_not_listed"], result["records"]) == ("valid", [], 0, 1)


def test_a_refused_file_tells_the_faults_of_its_records_too(tmp_path: Path) -> None:
    result = told(put(tmp_path, "PRD~", "PRD~1~2", count=9), code=1)
    assert result["status"] == "refused"
    assert [(fault["code"], fault["line"]) for fault in result["faults"]] == [("F010", 3), ("F005", 4), ("R101", 2)]


def test_nothing_in_a_folder_is_skipped_in_silence(tmp_path: Path) -> None:
    put(tmp_path, "PRD~1")
    put(tmp_path, "PRD~1", name="CS_999_CST_CSC_20260304_00000003.DAT.part")
    put(tmp_path, "PRD~1", name=".hidden.DAT")
    (tmp_path / "older").mkdir()
    os.mkfifo(tmp_path / "pipe.DAT")
    (tmp_path / "notes.txt").write_text("Qzx")
    (tmp_path / "unreadable.DAT").symlink_to("/proc/self/mem")
    results = {result["file"]: result for result in told(tmp_path, code=1)}
    assert {name: result["status"] for name, result in results.items()} == {
        NAME: "valid",
        "CS_999_CST_CSC_20260304_00000003.DAT.part": "passed over",
        ".hidden.DAT": "passed over",
        "older": "passed over",
        "pipe.DAT": "passed over",
        "notes.txt": "refused",
        "unreadable.DAT": "unreadable",
    }
    assert results["older"]["reason"] == "a folder; name it to check what is in it"
    assert results["pipe.DAT"]["reason"] == "not a file"
    text = run(tmp_path, code=1).stdout
    assert "older: passed over, a folder" in text
    assert "unreadable.DAT: unreadable, Input/output error" in text
    assert f"{NAME}: valid, 1 records" in text


def test_what_is_passed_over_does_not_make_a_folder_bad(tmp_path: Path) -> None:
    put(tmp_path, "PRD~1")
    (tmp_path / "older").mkdir()
    assert len(told(tmp_path, code=0)) == 2


def test_a_folder_of_nothing_to_check_and_a_pipe_are_mistakes(tmp_path: Path) -> None:
    (tmp_path / "older").mkdir()
    os.mkfifo(tmp_path / "pipe.DAT")
    assert "holds no files" in run(tmp_path, code=2).stderr
    assert "is not a file" in run(tmp_path / "pipe.DAT", code=2).stderr


def test_completion_files_of_an_lms_are_checked_by_their_profile(tmp_path: Path) -> None:
    path = tmp_path / "completions.csv"
    path.write_text("reference,user_idnumber\n1,999-Qzx\n")
    result = told(path, "--profile", "esrbridge-completions", code=1)
    assert result["status"] == "refused"
    assert result["faults"][0]["code"].startswith("L")


@pytest.mark.parametrize("as_json", [True, False])
def test_personal_values_never_appear(tmp_path: Path, as_json: bool) -> None:
    lines = []
    for value in SEEDED:
        broken = (value, value + "\0", value[:4] + "\n" + value[4:], value * 60, value + "~" + value)
        lines += [f"PRA~{one}~{one}" + f"~{one}" * 41 for one in broken] + [value, f"ASD~{value}~{value}"]
    put(tmp_path, *lines)
    put(tmp_path, *lines, name="GO_999_GDW_GOC_20260303_00000002.DAT")
    for profile in ("esr-cstf", "esr-go-gdw"):
        arguments = [tmp_path, "--profile", profile, *(["--json"] if as_json else [])]
        output = run(*arguments, code=1).output
        assert output.count("R1") > 20
        assert [value for value in ("Qzx", "qzx", "QQ999", "9Z", "1912", "1904") if value in output] == []


class Bars(Progress):
    """A progress bar that remembers what it was told."""

    def __init__(self) -> None:
        super().__init__(disable=True)
        self.heard: list[tuple[int, int]] = []

    def update(self, *arguments: Any, **values: Any) -> None:
        self.heard.append((values["completed"], values["total"]))
        super().update(*arguments, **values)


def test_a_progress_bar_fills_and_is_taken_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = put(tmp_path, *["PRD~1"] * 60_000)
    bars = Bars()
    assert validate_path(path, "esr-cstf", None, bars, TextOutlet())
    done, work = zip(*bars.heard, strict=True)
    assert done[-1] == work[-1] == 2 * path.stat().st_size
    assert list(done) == sorted(done)
    assert len(bars.tasks) == 0
    assert NAME in capsys.readouterr().out
