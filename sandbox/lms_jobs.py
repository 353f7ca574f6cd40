"""Job assignments, organisations and positions of the sandbox's LMS.

As in Totara: an organisation, a position, a manager and the manager's own job must be there before a job can name
them, an organisation's parent before the organisation; nobody manages themself. Job idnumbers are unique on the site.
"""

import sqlite3
from typing import Final, Literal

from sandbox.lms_values import Answer, BaseOperation, RejectedError, Text, applied, require_account, require_values

SCHEMA: Final = """
create table if not exists job (idnumber text primary key, account text not null, full_name text not null,
    start text not null, ends text not null, organisation text not null, position text not null,
    manager text not null, manager_job text not null) without rowid;
create table if not exists hierarchy (kind text not null, idnumber text not null, full_name text not null,
    parent text not null, primary key (kind, idnumber)) without rowid;
"""


class PutJob(BaseOperation):
    """Create or change a job assignment; ``idnumber`` is the account's, ``job`` its own."""

    operation: Literal["put_job"]
    job: Text = ""
    full_name: Text = ""
    start: Text = ""
    end: Text = ""
    organisation: Text = ""
    position: Text = ""
    manager: Text = ""
    manager_job: Text = ""


class RemoveJob(BaseOperation):
    """Take a job assignment away; one that is not there is fine."""

    operation: Literal["remove_job"]
    job: Text = ""


class PutHierarchy(BaseOperation):
    """Create or change an organisation or a position; ``idnumber`` is its own."""

    operation: Literal["put_hierarchy"]
    kind: Literal["organisation", "position"]
    full_name: Text = ""
    parent: Text = ""


def decide(db: sqlite3.Connection, operation: PutJob | RemoveJob | PutHierarchy) -> Answer:
    """Apply one operation. Raises RejectedError."""
    match operation:
        case PutJob():
            return _put_job(db, operation)
        case RemoveJob():
            require_values(operation, "job")
            gone = db.execute("delete from job where idnumber = ? and account = ?", (operation.job, operation.idnumber))
            return applied("removed" if gone.rowcount else "unchanged")
        case PutHierarchy():
            return _put_hierarchy(db, operation)


def _put_job(db: sqlite3.Connection, given: PutJob) -> Answer:
    require_account(db, given)
    require_values(given, "job", "full_name")
    _require_item(db, "organisation", given.organisation)
    _require_item(db, "position", given.position)
    _require_manager(db, given)
    if given.start and given.end and given.start > given.end:
        raise RejectedError("start-after-end", "A job cannot end before it starts")
    before = db.execute("select * from job where idnumber = ?", (given.job,)).fetchone()
    if before is not None and before["account"] != given.idnumber:
        raise RejectedError("job-of-another", "Another account has a job with this idnumber")
    row = (
        given.job,
        given.idnumber,
        given.full_name,
        given.start,
        given.end,
        given.organisation,
        given.position,
        given.manager,
        given.manager_job,
    )
    if before is not None and tuple(before) == row:
        return applied("unchanged")
    db.execute("insert or replace into job values (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    return applied("created" if before is None else "updated")


def _require_manager(db: sqlite3.Connection, given: PutJob) -> None:
    if not given.manager and not given.manager_job:
        return
    if given.manager == given.idnumber:
        raise RejectedError("own-manager", "Nobody can be their own manager")
    known = "select 1 from job where idnumber = ? and account = ?"
    if not db.execute(known, (given.manager_job, given.manager)).fetchone():
        raise RejectedError("unknown-manager", "The manager has no such job")


def _require_item(db: sqlite3.Connection, kind: str, idnumber: str) -> None:
    known = "select 1 from hierarchy where kind = ? and idnumber = ?"
    if idnumber and not db.execute(known, (kind, idnumber)).fetchone():
        raise RejectedError(f"unknown-{kind}", f"There is no {kind} with this idnumber")


def _put_hierarchy(db: sqlite3.Connection, given: PutHierarchy) -> Answer:
    require_values(given, "idnumber", "full_name")
    _require_item(db, given.kind, given.parent)
    row = (given.kind, given.idnumber, given.full_name, given.parent)
    before = db.execute(
        "select * from hierarchy where kind = ? and idnumber = ?", (given.kind, given.idnumber)
    ).fetchone()
    if before is not None and tuple(before) == row:
        return applied("unchanged")
    db.execute("insert or replace into hierarchy values (?, ?, ?, ?)", row)
    return applied("created" if before is None else "updated")
