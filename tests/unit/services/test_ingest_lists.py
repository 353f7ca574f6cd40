"""What lists of files rely on."""

from services.ingest.batch import BY_REQUEST, FROM_MOODLE
from services.ingest.schema import OF_FOLDERS


def test_the_index_of_files_from_folders_leaves_out_what_the_list_without_requests_leaves_out() -> None:
    left_out = [f"name NOT LIKE '{begins}%'" for begins in (BY_REQUEST, FROM_MOODLE)]
    assert " AND ".join(left_out) == OF_FOLDERS
