"""Pages that say by which test something is shown name tests that exist, and commands that exist."""

import re
from pathlib import Path

import pytest
import typer

from esrbridge.cli import app

ROOT = Path(__file__).parents[2]
TESTS = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py")}
NAMES = {name for text in TESTS.values() for name in re.findall(r"^(?:async )?def (test_\w+)", text, re.MULTILINE)}
PAGES = ("operators-goals.md", "incidents.md", "dead-letters.md")


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_a_page_names_exists(page: str) -> None:
    said = (ROOT / "docs" / page).read_text("utf-8")
    wanting = [
        name
        for name, rest in re.findall(r"`(test_\w+?)(_?\.\.\.)?`", said)
        if not any(one.startswith(name) if rest else one == name for one in NAMES)
    ]
    assert wanting == []


@pytest.mark.parametrize("page", PAGES)
def test_every_file_of_tests_that_a_page_names_exists(page: str) -> None:
    said = (ROOT / "docs" / page).read_text("utf-8")
    assert [path for path in re.findall(r"`(tests/[\w/]+\.py)`", said) if path not in TESTS] == []


@pytest.mark.parametrize("page", ["operators-goals.md", "operating.md", "dead-letters.md"])
def test_every_command_that_a_page_for_operators_gives_exists(page: str) -> None:
    said = (ROOT / "docs" / page).read_text("utf-8")
    given = set(re.findall(r"esrbridge (accounts|completions|dead|files|people|nights) ([a-z]+)\b", said))
    whole = typer.main.get_command(app)
    known = {
        (group, name)
        for group, commands in getattr(whole, "commands", {}).items()
        for name in getattr(commands, "commands", {})
    }
    assert given
    assert sorted(given - known) == []
