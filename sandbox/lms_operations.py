"""What can be asked of the sandbox's LMS, and the rules it answers by.

Certification dates follow Totara's completion import with "certify if more recent", as observed: nothing current or a
newer date certifies, the same date changes nothing, an older date is kept as history only. A suspended account is
processed like any other. Not modelled: certifications expiring by themselves.
"""

import json
import re
import sqlite3
from datetime import date
from typing import Annotated, Final, Literal, NoReturn

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

SCHEMA: Final = """
create table if not exists meta (name text primary key, value text not null);
create table if not exists account (idnumber text primary key, username text not null unique, firstname text not null,
    lastname text not null, email text not null, account_type text not null, suspended integer not null default 0,
    fields text not null) without rowid;
create unique index if not exists account_email on account (lower(email));
create table if not exists certification (idnumber text primary key, name text not null, active_months integer)
    without rowid;
create table if not exists held (idnumber text not null, certification text not null, completed_on text not null,
    expires_on text, primary key (idnumber, certification)) without rowid;
create table if not exists history (idnumber text not null, certification text not null, completed_on text not null,
    expires_on text, primary key (idnumber, certification, completed_on)) without rowid;
create table if not exists evidence (idnumber text not null, reference text not null, name text not null,
    completed_on text not null, expires_on text, primary key (idnumber, reference)) without rowid;
create table if not exists completion (number integer primary key, idnumber text not null, certification text not null,
    completed_at text not null, expires_on text, export integer);
create table if not exists export (sequence integer primary key, name text not null, done integer not null);
create table if not exists lived (day text primary key, completions integer not null)
"""

_LENGTHS: Final = {"idnumber": 255, "username": 100, "firstname": 100, "lastname": 100, "email": 100}
_ACCOUNT_COLUMNS: Final = ", ".join((*_LENGTHS, "account_type", "fields"))
_USERNAME: Final = re.compile(r"[a-z0-9_.@-]+")
_ISO_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _blank_for_null(value: object) -> object:
    return "" if value is None else value


#: A text that may be missing or null; the rules then answer ``value-missing`` instead of refusing the whole request.
Text = Annotated[str, BeforeValidator(_blank_for_null)]


class _Operation(BaseModel):
    """Members other than those named are refused: a sender that invents one should see it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    idnumber: Text = ""


class _Account(_Operation):
    username: Text = ""
    firstname: Text = ""
    lastname: Text = ""
    email: Text = ""
    account_type: Literal["TEMP", "PERM"]
    fields: dict[str, str] = {}


class EnsureAccount(_Account):
    """Create an account, or update it when the idnumber exists."""

    operation: Literal["ensure_account"]


class UpdateAccount(_Account):
    """Update an account that exists."""

    operation: Literal["update_account"]


class Suspend(_Operation):
    """Bar an account from signing in; its learning stays."""

    operation: Literal["suspend"]


class Reactivate(_Operation):
    """Let a suspended account sign in again."""

    operation: Literal["reactivate"]


class RecordCompletion(_Operation):
    """Record that somebody completed a certification on a day (``YYYY-MM-DD``) elsewhere."""

    operation: Literal["record_completion"]
    certification: Text = ""
    completed_on: Text = ""
    expires_on: str | None = None


class AddEvidence(_Operation):
    """Keep learning for which there is no certification; one item per (idnumber, reference)."""

    operation: Literal["add_evidence"]
    reference: Text = ""
    name: Text = ""
    completed_on: Text = ""
    expires_on: str | None = None


Operation = Annotated[
    EnsureAccount | UpdateAccount | Suspend | Reactivate | RecordCompletion | AddEvidence,
    Field(discriminator="operation"),
]


class Answer(BaseModel):
    """What became of one operation. ``reason`` names members and codes, never a person."""

    model_config = ConfigDict(frozen=True)
    status: Literal["applied", "rejected"]
    code: str
    reason: str


class _RejectedError(Exception):
    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code)
        self.answer = Answer(status="rejected", code=code, reason=reason)


def apply(db: sqlite3.Connection, operation: Operation) -> Answer:
    """Apply one operation within the caller's transaction; a rejected one changes nothing."""
    try:
        return _decide(db, operation)
    except _RejectedError as rejected:
        return rejected.answer


def _decide(db: sqlite3.Connection, operation: Operation) -> Answer:
    match operation:
        case EnsureAccount():
            return _put_account(db, operation)
        case UpdateAccount():
            _require_account(db, operation)
            return _put_account(db, operation)
        case Suspend() | Reactivate():
            return _set_suspended(db, operation, suspended=isinstance(operation, Suspend))
        case RecordCompletion():
            return _record(db, operation)
        case AddEvidence():
            return _keep_evidence(db, operation)


def _applied(code: str, reason: str = "") -> Answer:
    return Answer(status="applied", code=code, reason=reason)


def _require_values(operation: _Operation, *names: str) -> None:
    for name in names:
        value = getattr(operation, name)
        if not value.strip():
            raise _RejectedError("value-missing", f"{name} must not be blank")
        if len(value) > _LENGTHS.get(name, 255):
            raise _RejectedError("value-too-long", f"{name} is longer than {_LENGTHS.get(name, 255)} characters")


def _require_account(db: sqlite3.Connection, operation: _Operation) -> sqlite3.Row:
    _require_values(operation, "idnumber")
    row: sqlite3.Row | None = db.execute("select * from account where idnumber = ?", (operation.idnumber,)).fetchone()
    if row is None:
        raise _RejectedError("unknown-account", "There is no account with this idnumber")
    return row


def _require_day(name: str, value: str) -> str:
    try:
        return date.fromisoformat(value).isoformat() if _ISO_DAY.fullmatch(value) else _no_day(name)
    except ValueError:
        return _no_day(name)


def _no_day(name: str) -> NoReturn:
    raise _RejectedError("invalid-date", f"{name} is not a date of the form YYYY-MM-DD")


def _put_account(db: sqlite3.Connection, wanted: _Account) -> Answer:
    """Create or update an account. Profile fields not named keep their value; suspension is not touched."""
    _require_values(wanted, *_LENGTHS)
    if not _USERNAME.fullmatch(wanted.username):
        raise _RejectedError("username-invalid", "username must be lower case, without spaces or other signs")
    _require_free(db, wanted)
    before = db.execute("select * from account where idnumber = ?", (wanted.idnumber,)).fetchone()
    fields = {**(json.loads(before["fields"]) if before else {}), **wanted.fields}
    columns = (*(getattr(wanted, name) for name in _LENGTHS), wanted.account_type, json.dumps(fields, sort_keys=True))
    if before is None:
        db.execute(f"insert into account ({_ACCOUNT_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?)", columns)  # noqa: S608
        return _applied("created")
    if columns == tuple(before[name] for name in _ACCOUNT_COLUMNS.split(", ")):
        return _applied("unchanged")
    assignments = ", ".join(f"{name} = ?" for name in _ACCOUNT_COLUMNS.split(", "))
    db.execute(f"update account set {assignments} where idnumber = ?", (*columns, wanted.idnumber))  # noqa: S608
    return _applied("updated")


def _require_free(db: sqlite3.Connection, wanted: _Account) -> None:
    """Refuse a username or an e-mail address, in any letter case, that another account has."""
    others = "select 1 from account where idnumber <> ? and "
    if db.execute(f"{others} username = ?", (wanted.idnumber, wanted.username)).fetchone():
        raise _RejectedError("username-taken", "Another account has this username")
    if db.execute(f"{others} lower(email) = lower(?)", (wanted.idnumber, wanted.email)).fetchone():
        raise _RejectedError("email-taken", "Another account has this e-mail address")


def _set_suspended(db: sqlite3.Connection, operation: _Operation, *, suspended: bool) -> Answer:
    account = _require_account(db, operation)
    if bool(account["suspended"]) == suspended:
        return _applied("unchanged")
    db.execute("update account set suspended = ? where idnumber = ?", (suspended, operation.idnumber))
    return _applied("suspended" if suspended else "reactivated")


def _record(db: sqlite3.Connection, given: RecordCompletion) -> Answer:
    _require_account(db, given)
    _require_values(given, "certification", "completed_on")
    if not db.execute("select 1 from certification where idnumber = ?", (given.certification,)).fetchone():
        raise _RejectedError("unknown-certification", "There is no certification with this idnumber")
    completed = _require_day("completed_on", given.completed_on)
    expires = _require_day("expires_on", given.expires_on) if given.expires_on is not None else None
    current = db.execute(
        "select completed_on from held where idnumber = ? and certification = ?", (given.idnumber, given.certification)
    ).fetchone()
    if current is None or completed > current["completed_on"]:
        certify(db, given.idnumber, given.certification, completed, expires)
        return _applied("certified")
    if completed == current["completed_on"]:
        return _applied("unchanged")
    db.execute(
        "insert or replace into history values (?, ?, ?, ?)", (given.idnumber, given.certification, completed, expires)
    )
    return _applied("history")


def certify(
    db: sqlite3.Connection, idnumber: str, certification: str, completed_on: str, expires_on: str | None
) -> None:
    """Make a completion the current one; what was current goes to history."""
    key = (idnumber, certification)
    db.execute(
        "insert or replace into history select idnumber, certification, completed_on, expires_on from held "
        "where idnumber = ? and certification = ?",
        key,
    )
    db.execute("insert or replace into held values (?, ?, ?, ?)", (*key, completed_on, expires_on))


def _keep_evidence(db: sqlite3.Connection, given: AddEvidence) -> Answer:
    _require_account(db, given)
    _require_values(given, "reference", "completed_on")
    if not given.name.strip():
        raise _RejectedError("value-missing", "name must not be blank")
    completed = _require_day("completed_on", given.completed_on)
    expires = _require_day("expires_on", given.expires_on) if given.expires_on is not None else None
    row = (given.idnumber, given.reference, given.name, completed, expires)
    before = db.execute(
        "select * from evidence where idnumber = ? and reference = ?", (given.idnumber, given.reference)
    ).fetchone()
    if before is not None and tuple(before) == row:
        return _applied("unchanged")
    db.execute("insert or replace into evidence values (?, ?, ?, ?, ?)", row)
    return _applied("recorded" if before is None else "updated")
