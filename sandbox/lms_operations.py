"""What can be asked of the sandbox's LMS, and the rules it answers by.

Certification dates follow Totara's completion import with "certify if more recent", as observed: nothing current or a
newer date certifies, the same date changes nothing, an older date is kept as history only. A suspended account is
processed like any other. Not modelled: certifications expiring by themselves.
"""

import json
import re
import sqlite3
from typing import Annotated, Final, Literal

from pydantic import Field

from sandbox import lms_jobs
from sandbox.lms_jobs import PutHierarchy, PutJob, RemoveJob
from sandbox.lms_values import (
    LENGTHS,
    Answer,
    BaseOperation,
    RejectedError,
    Text,
    applied,
    require_account,
    require_day,
    require_values,
)

SCHEMA: Final = f"""{lms_jobs.SCHEMA}
create table if not exists meta (name text primary key, value text not null);
create table if not exists account (idnumber text primary key, username text not null unique, firstname text not null,
    lastname text not null, email text not null, account_type text not null, suspended integer not null default 0,
    fields text not null, id integer not null unique) without rowid;
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
create table if not exists lived (day text primary key, completions integer not null);
"""

_ACCOUNT_COLUMNS: Final = ", ".join((*LENGTHS, "account_type", "fields"))
_USERNAME: Final = re.compile(r"[a-z0-9_.@-]+")


class _Account(BaseOperation):
    username: Text = ""
    firstname: Text = ""
    lastname: Text = ""
    email: Text = ""
    account_type: Literal["TEMP", "PERM"]
    fields: dict[str, str] = Field(default_factory=dict)


class EnsureAccount(_Account):
    """Create an account, or update it when the idnumber exists."""

    operation: Literal["ensure_account"]


class UpdateAccount(_Account):
    """Update an account that exists."""

    operation: Literal["update_account"]


class Suspend(BaseOperation):
    """Bar an account from signing in; its learning stays."""

    operation: Literal["suspend"]


class Reactivate(BaseOperation):
    """Let a suspended account sign in again."""

    operation: Literal["reactivate"]


class RecordCompletion(BaseOperation):
    """Record that somebody completed a certification on a day (``YYYY-MM-DD``) elsewhere."""

    operation: Literal["record_completion"]
    certification: Text = ""
    completed_on: Text = ""
    expires_on: str | None = None


class AddEvidence(BaseOperation):
    """Keep learning for which there is no certification; one item per (idnumber, reference)."""

    operation: Literal["add_evidence"]
    reference: Text = ""
    name: Text = ""
    completed_on: Text = ""
    expires_on: str | None = None


class WithdrawCompletion(BaseOperation):
    """Take back the completion of a day; of others the newest is current again."""

    operation: Literal["withdraw_completion"]
    certification: Text = ""
    completed_on: Text = ""
    expires_on: str | None = None


class WithdrawEvidence(BaseOperation):
    """Take back one item of evidence."""

    operation: Literal["withdraw_evidence"]
    reference: Text = ""
    name: Text = ""
    completed_on: Text = ""
    expires_on: str | None = None


class Adopt(BaseOperation):
    """Give the account with this ``id`` another idnumber."""

    operation: Literal["adopt"]
    account: int


Operation = Annotated[
    EnsureAccount
    | UpdateAccount
    | Suspend
    | Reactivate
    | Adopt
    | RecordCompletion
    | AddEvidence
    | WithdrawCompletion
    | WithdrawEvidence
    | PutJob
    | RemoveJob
    | PutHierarchy,
    Field(discriminator="operation"),
]


def apply(db: sqlite3.Connection, operation: Operation) -> Answer:
    """Apply one operation within the caller's transaction; a rejected one changes nothing."""
    try:
        return _decide(db, operation)
    except RejectedError as rejected:
        return rejected.answer


def _decide(db: sqlite3.Connection, operation: Operation) -> Answer:
    match operation:
        case EnsureAccount() | UpdateAccount() | Suspend() | Reactivate() | Adopt():
            return _decide_account(db, operation)
        case PutJob() | RemoveJob() | PutHierarchy():
            return lms_jobs.decide(db, operation)
        case _:
            return _decide_learning(db, operation)


def _decide_learning(
    db: sqlite3.Connection, operation: RecordCompletion | AddEvidence | WithdrawCompletion | WithdrawEvidence
) -> Answer:
    match operation:
        case RecordCompletion():
            return _record(db, operation)
        case AddEvidence():
            return _keep_evidence(db, operation)
        case WithdrawCompletion():
            return _withdraw(db, operation)
        case WithdrawEvidence():
            return _drop_evidence(db, operation)


def _decide_account(
    db: sqlite3.Connection, operation: EnsureAccount | UpdateAccount | Suspend | Reactivate | Adopt
) -> Answer:
    match operation:
        case EnsureAccount():
            return _put_account(db, operation)
        case UpdateAccount():
            require_account(db, operation)
            return _put_account(db, operation)
        case Suspend() | Reactivate():
            return _set_suspended(db, operation, suspended=isinstance(operation, Suspend))
        case Adopt():
            return _adopt(db, operation)


def _put_account(db: sqlite3.Connection, wanted: _Account) -> Answer:
    """Create or update an account. Profile fields not named keep their value; suspension is not touched."""
    require_values(wanted, *LENGTHS)
    if not _USERNAME.fullmatch(wanted.username):
        raise RejectedError("username-invalid", "username must be lower case, without spaces or other signs")
    _require_free(db, wanted)
    before = db.execute("select * from account where idnumber = ?", (wanted.idnumber,)).fetchone()
    fields = {**(json.loads(before["fields"]) if before else {}), **wanted.fields}
    columns = (*(getattr(wanted, name) for name in LENGTHS), wanted.account_type, json.dumps(fields, sort_keys=True))
    if before is None:
        number = "(select coalesce(max(id), 0) + 1 from account)"
        db.execute(f"insert into account ({_ACCOUNT_COLUMNS}, id) values (?, ?, ?, ?, ?, ?, ?, {number})", columns)  # noqa: S608
        return applied("created")
    if columns == tuple(before[name] for name in _ACCOUNT_COLUMNS.split(", ")):
        return applied("unchanged")
    assignments = ", ".join(f"{name} = ?" for name in _ACCOUNT_COLUMNS.split(", "))
    db.execute(f"update account set {assignments} where idnumber = ?", (*columns, wanted.idnumber))  # noqa: S608
    return applied("updated")


def _require_free(db: sqlite3.Connection, wanted: _Account) -> None:
    """Refuse a username or an e-mail address, in any letter case, that another account has."""
    others = "select 1 from account where idnumber <> ? and "
    if db.execute(f"{others} username = ?", (wanted.idnumber, wanted.username)).fetchone():
        raise RejectedError("username-taken", "Another account has this username")
    if db.execute(f"{others} lower(email) = lower(?)", (wanted.idnumber, wanted.email)).fetchone():
        raise RejectedError("email-taken", "Another account has this e-mail address")


def _set_suspended(db: sqlite3.Connection, operation: BaseOperation, *, suspended: bool) -> Answer:
    account = require_account(db, operation)
    if bool(account["suspended"]) == suspended:
        return applied("unchanged")
    db.execute("update account set suspended = ? where idnumber = ?", (suspended, operation.idnumber))
    return applied("suspended" if suspended else "reactivated")


def _adopt(db: sqlite3.Connection, given: Adopt) -> Answer:
    require_values(given, "idnumber")
    found = db.execute("select idnumber from account where id = ?", (given.account,)).fetchone()
    if found is None:
        raise RejectedError("unknown-account", "There is no account with this id")
    before = found["idnumber"]
    if given.idnumber == before:
        return applied("unchanged")
    if db.execute("select 1 from account where idnumber = ?", (given.idnumber,)).fetchone():
        raise RejectedError("idnumber-taken", "Another account has this idnumber")
    for table in ("account", "held", "history", "evidence", "completion"):
        db.execute(f"update {table} set idnumber = ? where idnumber = ?", (given.idnumber, before))  # noqa: S608
    db.execute("update job set account = ? where account = ?", (given.idnumber, before))
    db.execute("update job set manager = ? where manager = ?", (given.idnumber, before))
    return applied("adopted")


def _record(db: sqlite3.Connection, given: RecordCompletion) -> Answer:
    require_account(db, given)
    require_values(given, "certification", "completed_on")
    if not db.execute("select 1 from certification where idnumber = ?", (given.certification,)).fetchone():
        raise RejectedError("unknown-certification", "There is no certification with this idnumber")
    completed = require_day("completed_on", given.completed_on)
    expires = require_day("expires_on", given.expires_on) if given.expires_on is not None else None
    current = db.execute(
        "select completed_on from held where idnumber = ? and certification = ?", (given.idnumber, given.certification)
    ).fetchone()
    if current is None or completed > current["completed_on"]:
        certify(db, given.idnumber, given.certification, completed, expires)
        return applied("certified")
    if completed == current["completed_on"]:
        return applied("unchanged")
    db.execute(
        "insert or replace into history values (?, ?, ?, ?)", (given.idnumber, given.certification, completed, expires)
    )
    return applied("history")


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
    require_account(db, given)
    require_values(given, "reference", "completed_on")
    if not given.name.strip():
        raise RejectedError("value-missing", "name must not be blank")
    completed = require_day("completed_on", given.completed_on)
    expires = require_day("expires_on", given.expires_on) if given.expires_on is not None else None
    row = (given.idnumber, given.reference, given.name, completed, expires)
    before = db.execute(
        "select * from evidence where idnumber = ? and reference = ?", (given.idnumber, given.reference)
    ).fetchone()
    if before is not None and tuple(before) == row:
        return applied("unchanged")
    db.execute("insert or replace into evidence values (?, ?, ?, ?, ?)", row)
    return applied("recorded" if before is None else "updated")


def _withdraw(db: sqlite3.Connection, given: WithdrawCompletion) -> Answer:
    require_account(db, given)
    key = (given.idnumber, given.certification)
    mine = "where idnumber = ? and certification = ?"
    gone = sum(
        db.execute(f"delete from {table} {mine} and completed_on = ?", (*key, given.completed_on)).rowcount  # noqa: S608
        for table in ("held", "history")
    )
    if not db.execute(f"select 1 from held {mine}", key).fetchone():  # noqa: S608
        db.execute(f"insert into held select * from history {mine} order by completed_on desc limit 1", key)  # noqa: S608
        db.execute(
            f"delete from history {mine} and completed_on = (select completed_on from held {mine})",  # noqa: S608
            (*key, *key),
        )
    return applied("withdrawn" if gone else "unchanged")


def _drop_evidence(db: sqlite3.Connection, given: WithdrawEvidence) -> Answer:
    require_account(db, given)
    found = db.execute(
        "delete from evidence where idnumber = ? and reference = ?", (given.idnumber, given.reference)
    ).rowcount
    return applied("withdrawn" if found else "unchanged")
