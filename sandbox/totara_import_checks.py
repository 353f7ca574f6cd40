"""The checks of ``user.csv`` that drop rows, each with its line in the log."""

import re
import sqlite3
from collections import Counter
from collections.abc import Callable
from typing import Final

from sandbox import totara_state as state
from sandbox.totara_import_file import Journal, Rows
from sandbox.totara_state import AUTHS, USER_LIMITS, TotaraSettings

Row = dict[str, str]
Check = Callable[["_File", Row], str]

EXCEEDED: Final = "data_exceeded_length"

_USERNAME: Final = re.compile(r"^[-._@a-z0-9]+$")
_EMAIL: Final = re.compile(r"^[^@\s]+@[^@\s.]+(\.[^@\s.]+)+$")


class _File:
    """What the checks of one file look at."""

    def __init__(self, db: sqlite3.Connection, settings: TotaraSettings, rows: Rows) -> None:
        self.db = db
        self.settings = settings
        self.fields = state.definitions(db)
        self.held = {row["idnumber"]: row for row in state.find(db, "user", deleted=0) if row["idnumber"]}
        self.users = state.find(db, "user", deleted=0)
        self.seen = {
            column: Counter(row.get(column, "").lower() if column != "idnumber" else row["idnumber"] for row in rows)
            for column in ("idnumber", "username", "email", *(f"customfield_{name}" for name in self.fields))
        }

    def of_another(self, column: str, value: str, idnumber: str) -> bool:
        return any(user[column].lower() == value.lower() and user["idnumber"] != idnumber for user in self.users)


def checked(db: sqlite3.Connection, settings: TotaraSettings, journal: Journal, rows: Rows) -> Rows:
    """Return the rows that may be applied. Of suspensions only the idnumber is looked at."""
    rows = [row for row in rows if not (row.get("deleted") == "1" and settings.delete_mode == "keep")]
    live = [row for row in rows if row.get("deleted") != "1"]
    for row in live:
        _cut(journal, row)
    file = _File(db, settings, live)
    file.seen["idnumber"] = Counter(row["idnumber"] for row in rows)
    good = []
    for row in rows:
        checks = _ALWAYS if row.get("deleted") == "1" else _ALWAYS + _LIVE
        faults = [fault for check in checks if (fault := check(file, row))]
        for fault in faults:
            journal.refused("checksanity", fault)
        if faults or (row["username"] == EXCEEDED and row["idnumber"] in file.held):
            continue
        if row["username"] != row["username"].lower():
            journal.warned(
                "checksanity",
                f"User {row['idnumber']} has a username, '{row['username']}', containing mixed case characters. "
                "It will be imported with the username converted to lower case.",
            )
        good.append(row)
    return good


def _cut(journal: Journal, row: Row) -> None:
    """Cut over-long values. The log then says "skipped", and the row goes on under a name nobody gave it."""
    for name, limit in USER_LIMITS.items():
        value = row.get(name, "")
        if len(value) > limit:
            row[name] = f"{value[:75]} ..."
            journal.refused(
                "checksanity",
                f'value "{row[name]}" is too long for "{name}" field. '
                f"It cannot be longer than {limit} characters. Skipped user {row['idnumber'][:60]}",
            )
            row["username"] = EXCEEDED


def _idnumber(file: _File, row: Row) -> str:
    if not row["idnumber"]:
        return "Idnumber cannot be empty. Skipped user "
    if file.seen["idnumber"][row["idnumber"]] > 1:
        return f"Duplicate users with idnumber {row['idnumber']}. Skipped user {row['idnumber']}"
    return ""


def _owned(file: _File, row: Row) -> str:
    user = file.held.get(row["idnumber"])
    if user is not None and not user["totarasync"]:
        return f"Skipped user {row['idnumber']} as their HR Import setting is disabled."
    return ""


def _filled(file: _File, row: Row) -> str:
    new = row["idnumber"] not in file.held
    blanks = (
        ("username", "Username cannot be empty", True),
        ("firstname", "First name cannot be empty", True),
        ("lastname", "Last name cannot be empty", True),
        ("auth", "Auth cannot be empty", "auth" in row),
        ("email", "Empty email address", new),
    )
    for column, text, matters in blanks:
        if matters and not row.get(column):
            return f"{text}. Skipped user {row['idnumber']}"
    return ""


def _username(file: _File, row: Row) -> str:
    name, idnumber = row["username"], row["idnumber"]
    if name and file.seen["username"][name.lower()] > 1:
        return f"Duplicate users with username {name.lower()}. Skipped user {idnumber}"
    if name and file.of_another("username", name, idnumber):
        return f"Username {name} is already registered. Skipped user {idnumber}"
    if name and not _USERNAME.match(name.lower()):
        return f"User {idnumber} has a username, '{name}', containing invalid characters. It will not be imported."
    return ""


def _email(file: _File, row: Row) -> str:
    email, idnumber = row["email"], row["idnumber"]
    if email and not _EMAIL.match(email):
        return f"Invalid email address. Skipped user {idnumber}"
    if not email or file.settings.duplicate_emails:
        return ""
    if file.seen["email"][email.lower()] > 1:
        return f"Duplicate users with email {email}. Skipped user {idnumber}"
    if file.of_another("email", email, idnumber):
        return f"Email {email} is already registered. Skipped user {idnumber}"
    return ""


def _auth(_: _File, row: Row) -> str:
    auth = row.get("auth")
    return f"invalid authentication plugin {auth} for user {row['idnumber']}" if auth and auth not in AUTHS else ""


def _unique(file: _File, row: Row) -> str:
    for name, definition in file.fields.items():
        value = row.get(f"customfield_{name}", "")
        if not definition["forceunique"] or not value:
            continue
        held = file.held.get(row["idnumber"])
        start = f"The value '{value}' for customfield_{name}"
        if file.seen[f"customfield_{name}"][value.lower()] > 1:
            return f"{start} is duplicated in the uploaded data and must be unique. Skipped user {row['idnumber']}"
        if state.field_taken(file.db, name, value, held["id"] if held else 0):
            return f"{start} is a duplicate of existing data and must be unique. Skipped user {row['idnumber']}"
    return ""


_ALWAYS: Final[tuple[Check, ...]] = (_idnumber, _owned)
_LIVE: Final[tuple[Check, ...]] = (_filled, _username, _email, _auth, _unique)
