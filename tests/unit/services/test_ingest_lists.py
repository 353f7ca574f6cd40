"""What lists of files rely on."""

from pathlib import Path

from services.ingest import migrations
from services.ingest.schema import OF_FOLDERS


def test_the_list_without_requests_asks_as_its_index_was_made() -> None:
    (folder,) = migrations.__path__
    assert f'"{OF_FOLDERS}"' in (Path(folder) / "versions" / "0007_lists.py").read_text()
