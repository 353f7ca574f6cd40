"""Looking accounts up as Moodle does: without a right to see, there is nobody."""

import re
import sqlite3
from collections.abc import Callable
from typing import Any, Final

from sandbox import moodle_fields
from sandbox.moodle_access import ALL_DETAILS, DETAILS, FULL_NAMES, IDENTITY, Caller
from sandbox.moodle_errors import coding_error, invalid_parameter, key_already_set

Json = dict[str, Any]

_NEEDED: Final = {"username": ALL_DETAILS, "idnumber": ALL_DETAILS, "auth": ALL_DETAILS, "email": IDENTITY}
_NAMES: Final = ("firstname", "lastname")
_KEYS: Final = ("id", "idnumber", "username", "email", "firstname", "lastname", "auth")


def by_field(db: sqlite3.Connection, caller: Caller, field: str, values: list[str]) -> list[Json]:
    """Return accounts whose field is exactly one of the values, in order of id. Raises MoodleError.

    Deleted ones are found by their id only; without the right to see the field only the caller's own account is.
    """
    if field not in ("id", "idnumber", "username", "email"):
        raise coding_error()
    if field == "username" and any(not re.fullmatch(r"[a-z0-9._@-]*", value) for value in values):
        raise invalid_parameter()
    if field == "id" and any(not re.fullmatch(r"-?[0-9]+", value) for value in values):
        raise invalid_parameter()
    wanted = {value for value in values if value}
    rows = db.execute('select * from "user" order by id').fetchall()
    return [
        view(db, caller, row)
        for row in rows
        if str(row[field]) in wanted and (field == "id" or not row["deleted"]) and _finds(caller, row, field)
    ]


def search(db: sqlite3.Connection, caller: Caller, criteria: list[Json]) -> Json:
    """Return the accounts that meet all criteria. Raises MoodleError.

    Names and addresses are patterns in which ``%`` and ``_`` stand for anything; a key that is not known is passed over
    with a warning, so that alone it finds everybody.
    """
    keys = [one["key"] for one in criteria]
    if not keys:
        raise invalid_parameter()
    if len(set(keys)) < len(keys):
        raise key_already_set()
    warnings = [
        {"item": key, "warningcode": "invalidfieldparameter", "message": "The search key is not supported"}
        for key in keys
        if key not in _KEYS
    ]
    tests = [_test(one["key"], one["value"]) for one in criteria if one["key"] in _KEYS]
    rows = db.execute('select * from "user" where not deleted order by id').fetchall()
    found = [
        view(db, caller, row)
        for row in rows
        if all(test(row) for test in tests) and all(_finds(caller, row, key) for key in keys)
    ]
    return {"users": found, "warnings": warnings}


def _finds(caller: Caller, row: sqlite3.Row, field: str) -> bool:
    if row["id"] == caller.id:
        return True
    needed = FULL_NAMES if field in _NAMES else _NEEDED.get(field, DETAILS)
    return caller.may(DETAILS) and caller.may(needed)


def _test(key: str, value: str) -> Callable[[sqlite3.Row], bool]:
    if key in ("email", *_NAMES):
        pattern = like(value)
        return lambda row: pattern.fullmatch(row[key]) is not None
    return lambda row: str(row[key]) == value


def like(pattern: str) -> re.Pattern[str]:
    """Return SQL's LIKE without regard to case: ``%`` any text, ``_`` any sign, a backslash takes the next as it is."""
    signs = {"%": ".*", "_": "."}
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    text = "".join(re.escape(part[1:]) if len(part) > 1 else signs.get(part, re.escape(part)) for part in parts)
    return re.compile(text, re.IGNORECASE | re.DOTALL)


def view(db: sqlite3.Connection, caller: Caller, row: sqlite3.Row) -> Json:
    """Return what the caller sees of an account: of its own, everything."""
    own = row["id"] == caller.id
    everything = own or caller.may(ALL_DETAILS)
    seen: Json = {
        "id": row["id"],
        "fullname": f"{row['firstname']} {row['lastname']}",
        "firstaccess": 0,
        "lastaccess": 0,
        "suspended": bool(row["suspended"]),
        "timezone": row["timezone"],
        "profileimageurlsmall": "",
        "profileimageurl": "",
    }
    seen |= {name: row[name] for name in ("city", "country", "institution") if row[name]}
    if own or caller.may(IDENTITY):
        seen["email"] = row["email"]
    if everything:
        seen |= {name: row[name] for name in ("username", "department", "auth", "lang", "mailformat")}
        seen |= {"confirmed": True, "theme": ""} | ({"idnumber": row["idnumber"]} if row["idnumber"] else {})
    if own or caller.may(FULL_NAMES):
        seen |= {name: row[name] for name in _NAMES}
    custom = moodle_fields.shown(db, row["id"], caller.zone, everything=everything)
    return seen | ({"customfields": custom} if custom else {})


def site_info(db: sqlite3.Connection, caller: Caller) -> Json:
    """Return what the site says of itself: the functions of the service, but nothing about capabilities."""
    row = db.execute('select * from "user" where id = ?', (caller.id,)).fetchone()
    functions = [{"name": one["function"], "version": "2023100900"} for one in db.execute("select * from service")]
    return {
        "sitename": "Invented Learning",
        "username": row["username"],
        "firstname": row["firstname"],
        "lastname": row["lastname"],
        "fullname": f"{row['firstname']} {row['lastname']}",
        "lang": row["lang"],
        "userid": row["id"],
        "siteurl": "https://moodle.example",
        "functions": functions,
        "release": "4.3 (Build: 20231009)",
        "version": "2023100900",
        "userprivateaccesskey": "invented-private-key",
        "userissiteadmin": bool(row["admin"]),
        "siteid": 1,
    }
