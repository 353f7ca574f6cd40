"""The hourly step of certifications, in the product's order: repair, open windows, expire."""

import sqlite3
from dataclasses import replace
from typing import Final

from sandbox import totara_cert_state as certs
from sandbox import totara_state as state
from sandbox.totara_cert_state import Record

#: Who is suspended or deleted is passed over until that is undone.
_ACTIVE: Final = (
    "select c.* from certif_completion c join user u on u.id = c.userid where u.suspended = 0 and u.deleted = 0 "
    "and c.state = ? and c.{} < ? order by c.id"
)


def run(db: sqlite3.Connection, now: int) -> None:
    """Do the hourly step at ``now``. A record long past window and expiry goes through both at once."""
    _repair(db, now)
    for row in db.execute(_ACTIVE.format("opens"), (certs.CERTIFIED, now)).fetchall():
        _open(db, row["userid"], row["certifid"], now)
    for row in db.execute(_ACTIVE.format("expires"), (certs.WINDOW_OPEN, now)).fetchall():
        _expire(db, row["userid"], row["certifid"], now)


def _repair(db: sqlite3.Connection, now: int) -> None:
    """Give people who are assigned the record they miss."""
    missing = (
        "select a.userid, a.certifid from certif_assignment a left join certif_completion c "
        "on c.userid = a.userid and c.certifid = a.certifid where c.id is null"
    )
    for row in db.execute(missing).fetchall():
        due = certs.record(db, row["userid"], row["certifid"]).due
        certs.put_record(db, row["userid"], row["certifid"], Record(due=due), now)


def _open(db: sqlite3.Connection, userid: int, certifid: int, now: int) -> None:
    """Open a window: a copy to the history, the programme incomplete. The record's own ``timemodified`` stays."""
    held = certs.record(db, userid, certifid)
    if not held.sound:
        text = "Tried to set state to Window open, but failed"
        certs.event(db, now, "log", userid, certifid, text)
        return
    row = certs.history_row(userid, certifid, held, now)
    certs.forget_history(db, row)
    state.insert(db, "certif_history", row)
    key = (userid, certifid)
    db.execute("update certif_completion set state = ? where userid = ? and certifid = ?", (certs.WINDOW_OPEN, *key))
    certs.put_programme(db, userid, certifid, replace(held, state=certs.WINDOW_OPEN), now)


def _expire(db: sqlite3.Connection, userid: int, certifid: int, now: int) -> None:
    """Expire: all dates of the record go; the programme's due date keeps the old expiry."""
    held = certs.record(db, userid, certifid)
    db.execute(
        "update certif_completion set state = ?, completed = 0, opens = 0, expires = 0, baseline = 0, "
        "timemodified = ? where userid = ? and certifid = ?",
        (certs.EXPIRED, now, userid, certifid),
    )
    certs.put_programme(db, userid, certifid, Record(certs.EXPIRED, due=held.due), now)
    certs.event(db, now, "failure_to_recertify", userid, certifid)
