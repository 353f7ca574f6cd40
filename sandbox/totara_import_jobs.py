"""``jobassignment.csv``: row by row; managers first, so that they may stand in the same file as their reports."""

import sqlite3
from collections import Counter
from typing import Any, Final

from sandbox import totara_state as state
from sandbox.totara_import_file import Journal, Rows, moment
from sandbox.totara_state import TotaraSettings

Row = dict[str, str]

#: Version 13 renamed the column. Under its other name it is one the site does not know, which nothing tells of.
OLD_MANAGER_JOB: Final = "managerjobassignmentidnumber"
MANAGER_JOB: Final = "managerjaidnumber"


class _SkippedError(Exception):
    """A row is not applied; ``cause`` stands before, ``why`` behind its name in the log."""

    def __init__(self, cause: str, why: str = "") -> None:
        super().__init__(cause)
        self.cause = f"{cause} " if cause else ""
        self.why = why


def jobs(db: sqlite3.Connection, settings: TotaraSettings, journal: Journal, rows: Rows, now: int) -> None:
    """Apply a file."""
    waiting = [row for row in _sound(journal, rows) if not _unchanged(db, settings, row)]
    while waiting:
        ready = [row for row in waiting if not _manager_comes(settings, row, waiting)]
        for row in ready or waiting:  # rows that wait for each other are refused, each for want of the other
            try:
                _apply(db, settings, journal, row, now)
            except _SkippedError as error:
                journal.refused("create/update", f"{error.cause}Skipped {_named(row)}{error.why}.")
        waiting = [row for row in waiting if row not in ready] if ready else []


def _sound(journal: Journal, rows: Rows) -> Rows:
    if any(not row["idnumber"] or not row["useridnumber"] for row in rows):
        journal.refused(
            "checksanity",
            "Some records are missing their idnumber and/or useridnumber. These records were skipped.",
        )
        rows = [row for row in rows if row["idnumber"] and row["useridnumber"]]
    pairs = Counter((row["idnumber"], row["useridnumber"]) for row in rows)
    good = []
    for row in rows:
        if pairs[row["idnumber"], row["useridnumber"]] > 1:
            journal.refused(
                "checksanity", f"Multiple entries found for {_named(row)}. No updates made to this job assignment."
            )
        elif len(row["idnumber"]) > 100 or len(row.get("fullname", "")) > 255:
            journal.refused("checksanity", f"A value is too long. Skipped {_named(row)}"[:255])
        else:
            good.append(row)
    return good


def _unchanged(db: sqlite3.Connection, settings: TotaraSettings, row: Row) -> bool:
    """Whether a row is passed over as known. Whose job assignment it was is not looked at."""
    modified = moment(row["timemodified"], settings)
    return bool(
        modified
        and row.get("deleted") != "1"
        and state.find(db, "job", idnumber=row["idnumber"], synctimemodified=modified)
    )


def _manager_comes(settings: TotaraSettings, row: Row, waiting: Rows) -> bool:
    wanted = (row.get("manageridnumber"), row.get(_manager_column(settings)))
    return all(wanted) and any((one["useridnumber"], one["idnumber"]) == wanted for one in waiting if one is not row)


def _manager_column(settings: TotaraSettings) -> str:
    return MANAGER_JOB if settings.version >= 13 else OLD_MANAGER_JOB


def _apply(db: sqlite3.Connection, settings: TotaraSettings, journal: Journal, row: Row, now: int) -> None:
    users = state.find(db, "user", idnumber=row["useridnumber"], deleted=0)
    if row.get("deleted") == "1":
        if users:
            _remove(db, journal, users[0]["id"], row)
        return
    if not users:
        raise _SkippedError(
            f"Unable to match useridnumber '{row['useridnumber']}' to a user ID number for job assignment "
            f"'{row['idnumber']}'."
        )
    values = _values(db, settings, journal, row)
    values["synctimemodified"] = moment(row["timemodified"], settings) or now
    held = state.find(db, "job", userid=users[0]["id"], idnumber=row["idnumber"])
    if not held:
        values |= {"idnumber": row["idnumber"], "userid": users[0]["id"], "totarasync": 1}
        state.insert(db, "job", values)
        journal.did("create", f"Created {_named(row)}.")
    elif not held[0]["totarasync"]:
        raise _SkippedError("", " as the HR Import setting for that job assignment is disabled")
    else:
        state.update(db, "job", held[0]["id"], values)
        journal.did("update", f"Updated {_named(row)}.")


def _remove(db: sqlite3.Connection, journal: Journal, userid: int, row: Row) -> None:
    for job in state.find(db, "job", userid=userid, idnumber=row["idnumber"], totarasync=1):
        db.execute("update job set managerjaid = null where managerjaid = ?", (job["id"],))
        db.execute("delete from job where id = ?", (job["id"],))
        journal.did("delete", f"Deleted {_named(row)}.")


def _values(db: sqlite3.Connection, settings: TotaraSettings, journal: Journal, row: Row) -> dict[str, Any]:
    values: dict[str, Any] = {"fullname": row["fullname"]} if row.get("fullname") else {}
    for column in ("startdate", "enddate"):
        if row.get(column):
            values[column] = moment(row[column], settings)
            if values[column] is None:
                del values[column]
                journal.warned(
                    "updatejobassignments",
                    f"Invalid date format for field '{column}' of {_named(row)}. "
                    "Values for this field will not be added/updated.",
                )
    if values.get("startdate") and values.get("enddate") and values["startdate"] > values["enddate"]:
        raise _SkippedError("Start date cannot be later than end date.")
    for kind, column in (("organisation", "orgidnumber"), ("position", "posidnumber")):
        if row.get(column):
            items = state.find(db, "item", kind=kind, idnumber=row[column])
            if not items:
                raise _SkippedError(f"{kind.capitalize()} '{row[column]}' does not exist.")
            values[kind] = items[0]["id"]
    if row.get("manageridnumber"):
        values["managerjaid"] = _manager(db, settings, row)
    return values


def _manager(db: sqlite3.Connection, settings: TotaraSettings, row: Row) -> int:
    manager, job = row["manageridnumber"], row.get(_manager_column(settings), "")
    if manager == row["useridnumber"]:
        raise _SkippedError(f"User '{manager}' cannot be their own manager.")
    users = state.find(db, "user", idnumber=manager, deleted=0)
    if not users:
        raise _SkippedError(f"User '{manager}' does not exist and was set to be assigned as manager.")
    if not job:
        raise _SkippedError(f"Missing manager's job assignment id number for assigning manager '{manager}'.")
    held = state.find(db, "job", userid=users[0]["id"], idnumber=job)
    if not held:
        raise _SkippedError(f"Job assignment '{job}' for manager '{manager}' does not exist.")
    return int(held[0]["id"])


def _named(row: Row) -> str:
    return f"job assignment '{row['idnumber']}' for user '{row['useridnumber']}'"
