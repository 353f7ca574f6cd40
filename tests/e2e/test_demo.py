"""The demo: what it prints adds up, and a second run finds everything done."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

PEOPLE = 150


@dataclass(frozen=True)
class Shown:
    """What the demo printed, and the files it left."""

    printed: str
    rows: dict[str, int]
    """The figures of the table by what they count; indented ones as ``people/employee``."""
    files: dict[str, bytes]


def _demo(folder: Path) -> Shown:
    command = [sys.executable, "-m", "esrbridge.cli", "demo", str(folder), "--people", str(PEOPLE)]
    environment = os.environ | {"COLUMNS": "160"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for part in ("from-esr", "from-lms", "to-esr")
        for path in sorted(folder.glob(f"*/{part}/*"))
    }
    return Shown(done.stdout, _rows(done.stdout), files)


def _rows(printed: str) -> dict[str, int]:
    rows: dict[str, int] = {}
    group = ""
    for indent, what, number in re.findall(r"^\u2502 ( *)(\S.*?) *\u2502 *([0-9,]+) \u2502", printed, re.MULTILINE):
        name = what.lower()
        if not indent:
            group = name
        rows[f"{group}/{name}" if indent else name] = int(number.replace(",", ""))
    return rows


def _sum(rows: dict[str, int], group: str, *without: str) -> int:
    parts = {name.partition("/")[2]: number for name, number in rows.items() if name.startswith(f"{group}/")}
    return sum(number for name, number in parts.items() if name not in without)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shown, Shown]:
    """The demo, and the demo once more in the same folder."""
    folder = tmp_path_factory.mktemp("demo")
    return _demo(folder), _demo(folder)


def test_the_figures_that_the_demo_prints_add_up(shown: tuple[Shown, Shown]) -> None:
    rows = shown[0].rows

    assert rows["people"] == _sum(rows, "people") >= PEOPLE
    assert rows["accounts"] == _sum(rows, "accounts")
    # People who applied and never held an offer are known to no one else: they need no account.
    assert 0 <= rows["people"] - rows["accounts"] <= rows["people/out of scope"]
    assert rows["accounts/permanent"] == rows["people/employee"]
    assert rows["accounts/temporary"] == rows["people/applicant"]
    assert rows["completions sent to esr"] == _sum(rows, "completions sent to esr") > 0


def test_every_line_is_accounted_for(shown: tuple[Shown, Shown]) -> None:
    rows = shown[0].rows

    assert rows["lines received"] == rows["lines received/accounted for"] > PEOPLE
    assert rows["lines received"] == _sum(rows, "lines received", "accounted for")
    data = [
        line
        for name, content in shown[0].files.items()
        if "/from-" in name
        for line in content.splitlines()
        if not line.startswith((b"HDR~", b"TRL~", b"reference,"))
    ]
    assert rows["lines received"] == len(data)
    assert "MISSING" not in shown[0].printed


def test_esr_confirms_completions_and_says_why_it_refuses_the_others(shown: tuple[Shown, Shown]) -> None:
    rows = shown[0].rows

    assert rows["completions sent to esr/confirmed"] > 0
    assert rows["completions sent to esr/open"] == 0
    refused = re.findall(r"^refused by ESR: ([0-9]+) with B2[0-9]{2}: \S", shown[0].printed, re.MULTILINE)
    assert sum(map(int, refused)) == rows["completions sent to esr/failed"]
    sent = [name for name in shown[0].files if "/to-esr/" in name]
    lines = [line for name in sent for line in shown[0].files[name].splitlines() if line.startswith(b"TCA~")]
    assert rows["completions sent to esr"] == len(lines)


def test_running_the_demo_again_shows_the_same_figures_and_makes_nothing_new(shown: tuple[Shown, Shown]) -> None:
    first, second = shown

    assert second.rows == first.rows
    assert second.files == first.files
    assert second.printed == first.printed
