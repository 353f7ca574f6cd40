"""What the sandbox's Totara stores of certifications: records, programme records, history, uploads, events."""

import sqlite3
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

from sandbox import totara_state as state
from sandbox.totara_cert_rules import Terms

SCHEMA: Final = """
create table if not exists certif (
    id integer primary key autoincrement, idnumber text not null, shortname text not null, method integer not null,
    active text not null, minimum text not null, window text not null);
create table if not exists certif_assignment (
    id integer primary key autoincrement, userid integer not null, certifid integer not null,
    unique (userid, certifid));
create table if not exists certif_completion (
    id integer primary key autoincrement, userid integer not null, certifid integer not null, state text not null,
    completed integer not null default 0, opens integer not null default 0, expires integer not null default 0,
    baseline integer not null default 0, timemodified integer not null, unique (userid, certifid));
create table if not exists prog_completion (
    id integer primary key autoincrement, userid integer not null, certifid integer not null,
    completed integer not null default 0, due integer not null default 0, timemodified integer not null,
    unique (userid, certifid));
create table if not exists certif_history (
    id integer primary key autoincrement, userid integer not null, certifid integer not null,
    completed integer not null, expires integer not null, opens integer not null, baseline integer not null,
    state text not null, unassigned integer not null default 0, timemodified integer not null,
    unique (userid, certifid, completed, expires));
create table if not exists cert_import (
    id integer primary key autoincrement, timecreated integer not null, username text not null,
    certificationshortname text not null, certificationidnumber text not null, completiondate text not null,
    duedate text not null, importerrormsg text not null default '', importerror integer not null default 0,
    processed integer not null default 0, timeupdated integer not null default 0,
    evidenceid integer not null default 0);
create table if not exists cert_task (
    id integer primary key autoincrement, timecreated integer not null, runs_at integer not null,
    settings text not null, done integer not null default 0);
create table if not exists cert_evidence (
    id integer primary key autoincrement, userid integer not null, name text not null, imported integer not null,
    timecreated integer not null, shortname text not null, idnumber text not null, completiondate integer not null,
    duedate integer not null, importid integer not null);
create table if not exists cert_event (
    id integer primary key autoincrement, time integer not null, name text not null, userid integer not null,
    certifid integer not null, text text not null default '')
"""

ASSIGNED: Final = "assigned"
CERTIFIED: Final = "certified"
WINDOW_OPEN: Final = "window open"
EXPIRED: Final = "expired"


@dataclass(frozen=True, slots=True)
class Record:
    """A certification's record of a person and its programme record; 0 is no date."""

    state: str = ASSIGNED
    completed: int = 0
    opens: int = 0
    expires: int = 0
    baseline: int = 0
    due: int = 0
    missing: bool = False

    @property
    def dated(self) -> bool:
        """Whether it is certified, window open or not."""
        return self.state in (CERTIFIED, WINDOW_OPEN)

    @property
    def sound(self) -> bool:
        """Whether the product finds no fault in it."""
        if self.missing:
            return False
        if not self.dated:
            return not (self.completed or self.opens or self.expires)
        return 0 < self.completed <= self.opens <= self.expires == self.due and self.baseline > 0


def terms(db: sqlite3.Connection, certifid: int, zone: str) -> Terms:
    """Return how a certification is renewed."""
    row = db.execute("select * from certif where id = ?", (certifid,)).fetchone()
    return Terms(row["method"], row["active"], row["minimum"], row["window"], ZoneInfo(zone))


def record(db: sqlite3.Connection, userid: int, certifid: int) -> Record:
    """Return what stands; one half that is not there makes it ``missing``."""
    own = state.find(db, "certif_completion", userid=userid, certifid=certifid)
    programme = state.find(db, "prog_completion", userid=userid, certifid=certifid)
    due = programme[0]["due"] if programme else 0
    if not own:
        return Record(due=due, missing=True)
    row = own[0]
    return Record(
        row["state"], row["completed"], row["opens"], row["expires"], row["baseline"], due, missing=not programme
    )


def put_record(db: sqlite3.Connection, userid: int, certifid: int, new: Record, now: int) -> None:
    """Replace both records, which get new ids."""
    put_own(db, userid, certifid, new, now)
    put_programme(db, userid, certifid, new, now)


def put_own(db: sqlite3.Connection, userid: int, certifid: int, new: Record, now: int) -> None:
    """Replace the certification's record only."""
    db.execute("delete from certif_completion where userid = ? and certifid = ?", (userid, certifid))
    values = {"state": new.state, "completed": new.completed, "opens": new.opens, "expires": new.expires}
    keys = {"userid": userid, "certifid": certifid, "timemodified": now}
    state.insert(db, "certif_completion", keys | values | {"baseline": new.baseline})


def put_programme(db: sqlite3.Connection, userid: int, certifid: int, new: Record, now: int) -> None:
    """Replace the programme's record only; it is complete while certified and the window is shut."""
    db.execute("delete from prog_completion where userid = ? and certifid = ?", (userid, certifid))
    keys = {"userid": userid, "certifid": certifid, "timemodified": now}
    completed = new.completed if new.state == CERTIFIED else 0
    state.insert(db, "prog_completion", keys | {"completed": completed, "due": new.due})


def history_row(userid: int, certifid: int, old: Record, now: int) -> dict[str, Any]:
    """Return the history row of a record."""
    return {
        "userid": userid, "certifid": certifid, "completed": old.completed, "expires": old.expires, "opens": old.opens,
        "baseline": old.baseline, "state": old.state, "timemodified": now,
    }  # fmt: skip


def forget_history(db: sqlite3.Connection, row: dict[str, Any]) -> None:
    """Remove the history row with the same dates, where there is one."""
    db.execute(
        "delete from certif_history where userid = ? and certifid = ? and completed = ? and expires = ?",
        (row["userid"], row["certifid"], row["completed"], row["expires"]),
    )


def event(db: sqlite3.Connection, now: int, name: str, userid: int = 0, certifid: int = 0, text: str = "") -> None:
    """Note an event or a line of the completion log."""
    values = {"time": now, "name": name, "userid": userid, "certifid": certifid, "text": text}
    state.insert(db, "cert_event", values)


def assign(db: sqlite3.Connection, userid: int, certifid: int, now: int, due: int = 0) -> bool:
    """Assign a person; false when they are already. Who was un-assigned gets the old record back from the history."""
    if state.find(db, "certif_assignment", userid=userid, certifid=certifid):
        return False
    state.insert(db, "certif_assignment", {"userid": userid, "certifid": certifid})
    old = state.find(db, "certif_history", userid=userid, certifid=certifid, unassigned=1)
    new = Record(due=due)
    if old:
        row = old[-1]
        new = Record(row["state"], row["completed"], row["opens"], row["expires"], row["baseline"], row["expires"])
        db.execute("delete from certif_history where id = ?", (row["id"],))
    put_record(db, userid, certifid, new, now)
    event(db, now, "program_assigned", userid, certifid)
    return True


def unassign(db: sqlite3.Connection, userid: int, certifid: int, now: int) -> None:
    """Take a person off; a record with dates goes to the history, marked ``unassigned``."""
    old = record(db, userid, certifid)
    if old.dated:
        row = history_row(userid, certifid, old, now)
        forget_history(db, row)
        state.insert(db, "certif_history", row | {"unassigned": 1})
    for table in ("certif_assignment", "certif_completion", "prog_completion"):
        db.execute(f"delete from {table} where userid = ? and certifid = ?", (userid, certifid))  # noqa: S608
