"""HR Import: takes the files of ``csv/ready``, one of each kind, and says what it did in a log only.

A run ends without a word when a file is empty; the elements after it are then not reached.
"""

import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sandbox import totara_import_items, totara_import_jobs, totara_import_users
from sandbox.totara_import_file import EmptyFileError, InvalidFileError, Journal, Rows, read
from sandbox.totara_state import TotaraSettings

Apply = Callable[[sqlite3.Connection, TotaraSettings, Journal, Rows, int], None]

#: File name of each element, in the order they are imported: job assignments come last.
ELEMENTS: Final[tuple[tuple[str, Apply], ...]] = (
    ("org", totara_import_items.organisations),
    ("pos", totara_import_items.positions),
    ("user", totara_import_users.users),
    ("jobassignment", totara_import_jobs.jobs),
)

ALWAYS: Final = {
    "org": ("idnumber", "fullname", "frameworkidnumber", "timemodified"),
    "pos": ("idnumber", "fullname", "frameworkidnumber", "timemodified"),
    "user": ("idnumber", "timemodified", "username", "firstname", "lastname", "email"),
    "jobassignment": ("idnumber", "useridnumber", "timemodified"),
}


def run(db: sqlite3.Connection, settings: TotaraSettings, files: Path, now: int) -> None:
    """Import every element once."""
    (latest,) = db.execute("select coalesce(max(runid), 0) from log").fetchone()
    for element, apply in ELEMENTS:
        journal = Journal(db, element, latest + 1, now)
        journal.did(f"{element}sync", "HR Import started")
        try:
            rows = _taken(settings, files, element, journal, now)
        except EmptyFileError:
            return
        except InvalidFileError as error:
            journal.refused("unknown", str(error))
            continue
        if rows:
            apply(db, settings, journal, rows, now)
        journal.did(f"{element}sync", "HR Import finished")


def _taken(settings: TotaraSettings, files: Path, element: str, journal: Journal, now: int) -> Rows:
    """Read a file and move it away."""
    path = files / "csv" / "ready" / f"{element}.csv"
    if not path.exists():
        raise InvalidFileError(f"No file to import (file path: {path.name})")
    content = path.read_bytes()
    if hashlib.sha256(path.read_bytes()).digest() != hashlib.sha256(content).digest():
        raise InvalidFileError("The file is still being written")
    store = files / "csv" / "store"
    store.mkdir(parents=True, exist_ok=True)
    path.rename(store / f"{now}.{element}.csv")
    wanted = ALWAYS[element] + settings.import_columns.get(element, ())
    if not settings.all_records and element in ("user", "jobassignment"):
        wanted += ("deleted",)
    return read(content, settings, wanted, journal)
