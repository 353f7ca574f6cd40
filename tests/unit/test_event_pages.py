"""A page for every event, and none that differs from the code."""

from pathlib import Path

from esrbridge.event_pages import INDEX, pages, write
from shared import events

DOCS = Path(__file__).parents[2] / "docs" / "events"


def test_the_pages_in_docs_are_what_the_code_gives() -> None:
    held = {path.name: path.read_text("utf-8") for path in DOCS.glob("*.md")}
    assert held == pages(), "run: esrbridge events docs/events"


def test_every_event_has_a_page_that_tells_each_of_its_members() -> None:
    made = pages()
    assert set(made) == {INDEX, *(f"{name}.md" for name in events.TYPES)}
    for name, kind in events.TYPES.items():
        page = made[f"{name}.md"]
        assert [one for one in kind.__struct_encode_fields__ if f"| `{one}` |" not in page] == []
        assert (kind.__doc__ or "").splitlines()[0] in page


def test_a_page_says_who_hears_the_event() -> None:
    assert "Heard by `competency.events`, `outbound.events`." in pages()["people.EmployeeHired.md"]


def test_what_stands_under_a_member_in_the_code_stands_in_the_page() -> None:
    assert "Only where the trust links accounts by it." in pages()["people.ApplicantOffered.md"]


def test_pages_of_events_that_are_no_more_are_removed(tmp_path: Path) -> None:
    (tmp_path / "people.Gone.md").write_text("old")
    assert write(tmp_path) == len(pages())
    assert not (tmp_path / "people.Gone.md").exists()
