"""``user.csv``: creates, changes and suspends users; a bad row is skipped, the others are done."""

import sqlite3
from typing import Any, Final

from sandbox import totara_state as state
from sandbox.totara_import_checks import checked
from sandbox.totara_import_file import Journal, Rows, day, moment, noon
from sandbox.totara_state import TotaraSettings

COLUMNS: Final = ("username", "email", "firstname", "lastname", "middlename", "department", "auth")


def users(db: sqlite3.Connection, settings: TotaraSettings, journal: Journal, rows: Rows, now: int) -> None:
    """Apply a file. Only users that HR Import made itself are touched."""
    rows = checked(db, settings, journal, rows)
    for row in rows:
        if row.get("deleted") == "1":
            _leave(db, settings, journal, row["idnumber"], now)
        else:
            _arrive(db, settings, journal, row, now)
    if settings.all_records:
        named = {row["idnumber"] for row in rows}
        for user in state.find(db, "user", deleted=0, totarasync=1):
            if user["idnumber"] not in named:
                _leave(db, settings, journal, user["idnumber"], now)


def _leave(db: sqlite3.Connection, settings: TotaraSettings, journal: Journal, idnumber: str, now: int) -> None:
    """Suspend or delete, whatever ``timemodified`` says; of an unknown or suspended user nothing is logged."""
    found = state.find(db, "user", idnumber=idnumber, deleted=0, totarasync=1)
    if not found or settings.delete_mode == "keep":
        return
    user = found[0]
    if settings.delete_mode == "delete":
        gone = {"username": f"deleted_{user['id']}", "email": "", "idnumber": "", "deleted": 1}
        state.update(db, "user", user["id"], gone)
        journal.did("deleteuser", f"deleted user {idnumber}")
    elif not user["suspended"]:
        state.update(db, "user", user["id"], {"suspended": 1, "timemodified": now})
        journal.did("suspenduser", f"suspended {idnumber}")


def _arrive(db: sqlite3.Connection, settings: TotaraSettings, journal: Journal, row: dict[str, str], now: int) -> None:
    modified = moment(row["timemodified"], settings) or 0
    found = state.find(db, "user", idnumber=row["idnumber"], deleted=0)
    if not found:
        if settings.allow_create:
            values = _values(settings, row, found=False) | {"idnumber": row["idnumber"], "totarasync": 1}
            userid = state.insert(db, "user", values | {"timemodified": modified or now})
            _store(db, settings, journal, userid, row)
            journal.did("createuser", f"created user {row['idnumber']}")
        return
    user = found[0]
    if not settings.allow_update or (modified and modified == user["timemodified"]):
        return
    state.update(db, "user", user["id"], _values(settings, row, found=True) | {"timemodified": modified or now})
    _store(db, settings, journal, user["id"], row)
    journal.did("updateusers", f"updated user {row['idnumber']}")


def _values(settings: TotaraSettings, row: dict[str, str], *, found: bool) -> dict[str, Any]:
    values: dict[str, Any] = {
        name: row[name] for name in COLUMNS if name in row and (row[name] or (settings.empty_erases and found))
    }
    values["username"] = row["username"].lower()
    if settings.delete_mode == "suspend" and found:
        values["suspended"] = 0  # a row that is not deleted opens the account again, and no line of the log says so
    elif settings.delete_mode == "keep" and row.get("suspended"):
        values["suspended"] = int(row["suspended"] != "0")
    return values


def _store(
    db: sqlite3.Connection, settings: TotaraSettings, journal: Journal, userid: int, row: dict[str, str]
) -> None:
    for name, definition in state.definitions(db).items():
        value = row.get(f"customfield_{name}")
        if value is None or (not value and not settings.empty_erases):
            continue
        data: str | None = value or None
        if definition["datatype"] == "date" and value:
            found = day(value, settings.date_format)
            if found is None:
                continue  # without a word
            data = noon(found)
        elif definition["datatype"] == "checkbox" and value:
            data = "0" if value == "0" else "1"
        elif definition["datatype"] == "menu" and value:
            data = _option(journal, definition, row["idnumber"], value)
            if data is None:
                continue
        state.put_field(db, userid, name, data)


def _option(journal: Journal, definition: sqlite3.Row, idnumber: str, value: str) -> str | None:
    for option in state.options_of(definition):
        if option.lower() == value.lower():
            return option
    journal.warned(
        "checksanity",
        f"Option '{value}' does not exist for customfield_{definition['shortname']} field. "
        f"Please check user {idnumber}",
    )
    return None
