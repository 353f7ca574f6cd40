"""Creating and changing accounts as Moodle does: creation all or nothing, changes account by account."""

import json
import re
import sqlite3
from collections.abc import Mapping
from typing import Any, Final

from sandbox import moodle_access, moodle_fields
from sandbox.moodle_access import Caller
from sandbox.moodle_errors import (
    MoodleError,
    invalid_parameter,
    invalid_response,
    no_permission,
    password_policy,
    write_failed,
)

Json = dict[str, Any]

LENGTHS: Final[Mapping[str, int]] = {
    "username": 100,
    "firstname": 100,
    "lastname": 100,
    "email": 100,
    "middlename": 255,
    "alternatename": 255,
    "idnumber": 255,
    "institution": 255,
    "department": 255,
    "address": 255,
    "city": 120,
    "phone1": 20,
    "phone2": 20,
}

_COLUMNS: Final = (*LENGTHS, "auth", "timezone", "lang", "description", "mailformat", "country")
_INTERNAL: Final = frozenset({"manual", "nologin"})
_LABEL = r"[A-Za-z0-9-]+"
_EMAIL = re.compile(
    rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~-]+)*@{_LABEL}(?:\.{_LABEL})+"
)
_POLICY = re.compile(r"(?=.*[0-9])(?=.*[a-z])(?=.*[A-Z])(?=.*[^A-Za-z0-9]).{8,}", re.DOTALL)


def create(db: sqlite3.Connection, caller: Caller, users: list[Json], *, raced: bool) -> list[Json]:
    """Create accounts; whatever is wrong with one undoes all. Idnumbers are not compared. Raises MoodleError.

    ``raced``: the checks for the same username and address see nothing, as when another call creates at the same time.
    """
    if not caller.may(moodle_access.CREATE):
        raise no_permission("Create users")
    return [_create(db, caller, given, raced=raced) for given in users]


def _create(db: sqlite3.Connection, caller: Caller, given: Json, *, raced: bool) -> Json:
    _require_sound(given)
    if not raced:
        _require_free(db, given)
    values = {name: given[name] for name in _COLUMNS if name in given} | {"country": _country(given.get("country"))}
    user = _write(db, None, values)
    forced = {"type": "auth_forcepasswordchange", "value": "1"}
    _finish(
        db, caller, user, given | {"preferences": [*given.get("preferences", []), forced]} if _mails(given) else given
    )
    return {"id": user, "username": given["username"]}


def _mails(given: Json) -> bool:
    return bool(given.get("createpassword"))


def _require_free(db: sqlite3.Connection, given: Json) -> None:
    if db.execute('select 1 from "user" where username = ?', (given["username"],)).fetchone():
        raise invalid_parameter()
    if shares_email(db, given["email"], 0):
        raise invalid_parameter()


def _require_sound(given: Json) -> None:
    if not given["username"] or not given["firstname"].strip() or not given["lastname"].strip():
        raise invalid_parameter()
    password = given.get("password", "")
    if given.get("auth", "manual") in _INTERNAL and not _mails(given):
        if not password:
            raise invalid_parameter()
        if not _POLICY.fullmatch(password):
            raise password_policy()
    if not is_email(given["email"]):
        raise invalid_parameter()


def is_email(text: str) -> bool:
    """Whether Moodle takes it for an e-mail address, whatever its length."""
    return _EMAIL.fullmatch(text) is not None and len(text.partition("@")[0]) <= 64


def shares_email(db: sqlite3.Connection, email: str, user: int) -> bool:
    """Whether another account has the address, in any letter case."""
    found = db.execute(
        'select 1 from "user" where lower(email) = lower(?) and id <> ? and not deleted', (email, user)
    ).fetchone()
    return found is not None


def _country(code: str | None) -> str:
    return code if code and re.fullmatch(r"[A-Z]{2}", code) and code != "XX" else "0" if code else ""


def _write(db: sqlite3.Connection, user: int | None, values: Json) -> int:
    if any(len(values[name]) > most for name, most in LENGTHS.items() if name in values):
        raise write_failed()
    try:
        if user is None:
            names = ", ".join(values)
            marks = ", ".join("?" * len(values))
            made = db.execute(f'insert into "user" ({names}) values ({marks})', tuple(values.values()))  # noqa: S608
            return int(made.lastrowid or 0)
        assigned = "".join(f"{name} = ?, " for name in values)
        db.execute(f'update "user" set {assigned} changes = changes + 1 where id = ?', (*values.values(), user))  # noqa: S608
    except sqlite3.IntegrityError as error:
        raise write_failed() from error
    return user


def _finish(db: sqlite3.Connection, caller: Caller, user: int, given: Json) -> None:
    moodle_fields.store(db, user, given.get("customfields", []), caller.zone)
    if "preferences" in given:
        kept = {one["type"]: one["value"] for one in given["preferences"]}
        db.execute('update "user" set preferences = ? where id = ?', (json.dumps(kept), user))


def update(db: sqlite3.Connection, caller: Caller, users: list[Json]) -> Json | MoodleError:
    """Change accounts, each by itself. Raises MoodleError before any work without the right.

    A password against the policy loses the answer for all, but what was done to the others stands: then the error is
    returned instead of raised.
    """
    if not caller.may(moodle_access.UPDATE):
        raise no_permission("Update user profiles")
    warnings: list[Json] = []
    spoilt = False
    for given in users:
        try:
            code = _update(db, caller, given)
        except MoodleError as error:
            code = error.errorcode
        if code:
            warnings.append({"item": "user", "itemid": given["id"], "warningcode": code, "message": f"error/{code}"})
        spoilt = spoilt or "<" in code
    return invalid_response() if spoilt else {"warnings": warnings}


def _update(db: sqlite3.Connection, caller: Caller, given: Json) -> str:
    """Change one account, or return the code of a warning: whatever can fail does so before anything is written."""
    row = db.execute('select * from "user" where id = ?', (given["id"],)).fetchone()
    refused = _protection(caller, row) or _email_fault(db, row, given.get("email"))
    if refused:
        return refused
    if "password" in given and not _POLICY.fullmatch(given["password"]):
        raise password_policy()
    names = (*_COLUMNS, "suspended")
    user = _write(db, row["id"], {name: given[name] for name in names if name in given})
    _finish(db, caller, user, given)
    if given.get("suspended"):
        db.execute("delete from session where user = ?", (user,))
    return ""


def _protection(caller: Caller, row: sqlite3.Row | None) -> str:
    if row is None:
        return "invaliduserid"
    if row["deleted"]:
        return "usernotupdateddeleted"
    if row["admin"] and not caller.admin:
        return "usernotupdatedadmin"
    return "usernotupdatedguest" if row["username"] == "guest" else ""


def _email_fault(db: sqlite3.Connection, row: sqlite3.Row, email: str | None) -> str:
    if email is None or email == row["email"]:
        return ""
    if not is_email(email):
        return "useremailinvalid"
    return "useremailduplicate" if shares_email(db, email, row["id"]) else ""
