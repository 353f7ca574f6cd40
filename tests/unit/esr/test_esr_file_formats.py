"""The description of ESR's files says what the profiles say."""

from pathlib import Path

import pytest

from esrbridge.file_formats import PROFILES, as_document
from shared.esr import load_profile
from shared.esr.control import ConfirmDetail, Gap, OnBreak, TrailerCount, WindowCheck
from shared.esr.syntax import ColumnCount

DOCUMENT = Path(__file__).parents[3] / "docs" / "file-formats.md"
BUILT_IN = {path.stem for path in (Path(__file__).parents[3] / "shared/esr/profiles").glob("*.yaml")}


def test_the_document_in_docs_is_what_the_profiles_give() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == as_document(), "run: esrbridge file-formats > docs/file-formats.md"


def test_every_built_in_profile_is_described() -> None:
    assert set(PROFILES) == BUILT_IN


@pytest.mark.parametrize("name", PROFILES)
def test_every_record_kind_and_list_of_a_profile_is_described(name: str) -> None:
    profile = load_profile(name)
    part = as_document().partition(f"## Profile `{name}`")[2].partition("\n## ")[0]
    for record, layout in profile.records.items():
        assert f"**{record}**" in part or f"| `{record}` | `{layout.columns[1].name}` |" in part
        for number, column in enumerate(layout.columns, start=1):
            if column.key and len(layout.columns) > 2:
                assert f"| {number} | `{column.name}` | {column.form} | {column.use} |  | key |" in part
    for kind in profile.kinds:
        assert f"| `{kind}` |" in part
    for values in profile.lists:
        assert f"| `{values}` |" in part


@pytest.mark.parametrize("choices", [ConfirmDetail, Gap, OnBreak, TrailerCount, WindowCheck, ColumnCount])
def test_every_choice_of_a_switch_is_named(choices: object) -> None:
    for choice in choices.__args__:  # type: ignore[attr-defined]
        assert f"`{choice}`" in as_document()


def test_the_document_speaks_plainly_of_its_standing() -> None:
    assert "**Nothing here is an official ESR specification.**" in as_document()
