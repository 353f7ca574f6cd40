"""The task behind the completion upload: what becomes of the stored rows, as a 17.3 site was observed to do it.

All rows of a file are worked out first and written together: certification records, then programme records and history.
Where the history would get the same row twice, the writing breaks off in between, and a retry goes on with what is
there: completions of others that were to be archived are lost. That is the product's fault, kept here on purpose.
"""

import sqlite3
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

from sandbox import totara_cert_file as files
from sandbox import totara_cert_state as certs
from sandbox import totara_state as state
from sandbox.totara_cert_file import UploadSettings
from sandbox.totara_cert_rules import UnusableSettingsError, recertified
from sandbox.totara_cert_state import Record

#: Seconds until a task that broke off is tried again.
RETRY_SECONDS: Final = 60

Key = tuple[int, int]


@dataclass(slots=True)
class Row:
    """A stored row with what was found for it."""

    stored: sqlite3.Row
    userid: int = 0
    certifid: int = 0
    completed: int = 0
    due: int = 0
    errors: str = ""

    @property
    def key(self) -> Key:
        """Person and certification."""
        return (self.userid, self.certifid)

    @property
    def matched(self) -> bool:
        """Whether it is a completion of someone known in a certification of the site."""
        return bool(self.certifid) and not self.errors


@dataclass(slots=True)
class Plan:
    """What a task is going to write."""

    records: dict[Key, Record] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def collides(self) -> bool:
        """Whether one history row would be written twice."""
        keys = [(row["userid"], row["certifid"], row["completed"], row["expires"]) for row in self.history]
        return len(set(keys)) < len(keys)


def run(db: sqlite3.Connection, timecreated: int, settings: UploadSettings, zone: str, now: int) -> bool:
    """Work off the rows stored at ``timecreated``; false when the task broke off and has to be tried again."""
    stored = db.execute(
        "select * from cert_import where timecreated = ? and processed = 0 order by id", (timecreated,)
    ).fetchall()
    rows = [Row(one, errors=one["importerrormsg"]) for one in stored]
    _check(db, rows, settings)
    certified = [row for row in rows if row.matched]
    for row in certified:
        certs.assign(db, *row.key, timecreated)
    try:
        plan = _plan(db, certified, settings, zone, timecreated)
    except UnusableSettingsError:
        _finish(db, rows, dict.fromkeys((row.stored["id"] for row in rows), "errorunknown;"), now)
        _alert(db, now, "failed to complete successfully")
        return True
    for (userid, certifid), record in plan.records.items():
        certs.put_own(db, userid, certifid, record, timecreated)
    if plan.collides:
        certs.event(db, now, "log", text="Task left transaction open")
        return False
    _write(db, plan, timecreated)
    _evidence(db, rows, timecreated)
    _finish(db, rows, {row.stored["id"]: row.errors for row in rows}, now)
    _alert(db, now, "completed with errors" if any(row.errors for row in rows) else "successfully completed")
    return True


def _check(db: sqlite3.Connection, rows: list[Row], settings: UploadSettings) -> None:
    doubled = files.same_idnumber([dict(row.stored) for row in rows])
    seen: set[tuple[int, int, int]] = set()
    for row in rows:
        if row.errors:
            continue
        _check_person(db, row)
        _check_dates(row, settings)
        _check_certification(db, row, doubled, settings)
        if row.matched:
            identity = (*row.key, row.completed)
            row.errors = "errorskippedduplicate;" if identity in seen else ""
            seen.add(identity)


def _check_person(db: sqlite3.Connection, row: Row) -> None:
    username = row.stored["username"]
    found = state.find(db, "user", username=username, deleted=0)
    if not username:
        row.errors += "blankusername;"
    elif not found:
        row.errors += "usernamenotfound;"
    else:
        row.userid = found[0]["id"]


def _check_dates(row: Row, settings: UploadSettings) -> None:
    text = row.stored["completiondate"]
    day = files.day_of(text, settings.date_format)
    if day:
        row.completed = files.midnight(day, settings.uploader_zone)
    else:
        row.errors += "invalidcompletiondate;" if text else "blankcompletiondate;"
    due = files.rolled(row.stored["duedate"], settings.date_format)
    row.due = files.midnight(due, settings.task_zone) if due else 0


def _check_certification(db: sqlite3.Connection, row: Row, doubled: set[str], settings: UploadSettings) -> None:
    shortname = row.stored["certificationshortname"].strip()
    idnumber = row.stored["certificationidnumber"].strip()
    if idnumber in doubled:
        row.errors += "duplicateidnumber;"
        return
    given = {name: text for name, text in (("shortname", shortname), ("idnumber", idnumber)) if text}
    if not given:
        row.errors += "certificationblankrefs;"
    found = state.find(db, "certif", **given) if given else []
    if found:
        row.certifid = found[0]["id"]
    elif not settings.create_evidence:
        row.errors += "nomatchingcertification;"


def _plan(db: sqlite3.Connection, rows: list[Row], settings: UploadSettings, zone: str, now: int) -> Plan:
    """Newest completion first for each person and certification; those after it are history."""
    plan = Plan()
    grouped: dict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row.key].append(row)
    for (userid, certifid), group in grouped.items():
        newest, *others = sorted(group, key=lambda row: row.completed, reverse=True)
        held = certs.record(db, userid, certifid)
        terms = certs.terms(db, certifid, zone)
        if _certifies(held, settings.action, newest.completed):
            if held.completed and (held.state == certs.CERTIFIED or not held.sound):
                plan.history.append(certs.history_row(userid, certifid, held, now))
            expires, opens = recertified(terms, newest.completed, held.baseline if held.sound else 0, newest.due)
            new = Record(certs.CERTIFIED, newest.completed, opens, expires, expires, expires)
            plan.records[userid, certifid] = new
        else:
            others = group
        for row in others:
            expires, opens = recertified(terms, row.completed, 0, row.due)
            old = Record(certs.CERTIFIED, row.completed, opens, expires, expires)
            plan.history.append(certs.history_row(userid, certifid, old, now))
    return plan


def _certifies(held: Record, action: int, completed: int) -> bool:
    if action == 0:
        return False
    if not held.dated or not held.sound:
        return True
    return action == 1 and completed > held.completed


def _write(db: sqlite3.Connection, plan: Plan, now: int) -> None:
    for row in plan.history:
        certs.forget_history(db, row)
    for row in plan.history:
        state.insert(db, "certif_history", row)
    for (userid, certifid), record in plan.records.items():
        certs.put_programme(db, userid, certifid, record, now)
        certs.event(db, now, "log", userid, certifid, "User certified during import")


def _evidence(db: sqlite3.Connection, rows: list[Row], now: int) -> None:
    """Make an item for each row without a certification, the last row first. A row that comes again makes another."""
    for row in reversed(rows):
        if row.certifid or row.errors:
            continue
        shortname, idnumber = row.stored["certificationshortname"].strip(), row.stored["certificationidnumber"].strip()
        name = f"Completed certification : {shortname}" if shortname else f"Completed certification ID : {idnumber}"
        values = {"userid": row.userid, "name": name, "imported": 1, "timecreated": now, "shortname": shortname}
        values |= {"idnumber": idnumber, "completiondate": row.completed, "duedate": row.due}
        item = state.insert(db, "cert_evidence", values | {"importid": row.stored["id"]})
        state.update(db, "cert_import", row.stored["id"], {"evidenceid": item})


def _finish(db: sqlite3.Connection, rows: list[Row], errors: dict[int, str], now: int) -> None:
    for row in rows:
        text = errors[row.stored["id"]]
        done = {"importerrormsg": text, "importerror": int(bool(text)), "timeupdated": 0 if text else now}
        state.update(db, "cert_import", row.stored["id"], done | {"processed": 1})


def _alert(db: sqlite3.Connection, now: int, how: str) -> None:
    certs.event(db, now, "alert", text=f"Certification completion import {how}")
