"""``org.csv`` and ``pos.csv``: one bad row and nothing of the file is applied."""

import sqlite3
from collections import Counter

from sandbox import totara_state as state
from sandbox.totara_import_file import Journal, Rows, moment
from sandbox.totara_state import TotaraSettings


def organisations(db: sqlite3.Connection, settings: TotaraSettings, journal: Journal, rows: Rows, now: int) -> None:
    """Apply a file of organisations."""
    _items(db, settings, journal, rows, now, "organisation", "org")


def positions(db: sqlite3.Connection, settings: TotaraSettings, journal: Journal, rows: Rows, now: int) -> None:
    """Apply a file of positions."""
    _items(db, settings, journal, rows, now, "position", "pos")


def _items(
    db: sqlite3.Connection, settings: TotaraSettings, journal: Journal, rows: Rows, now: int, kind: str, word: str
) -> None:
    if not _sane(db, journal, rows, kind):
        return
    for row in rows:
        held = state.find(db, "item", kind=kind, idnumber=row["idnumber"])
        modified = moment(row["timemodified"], settings) or 0
        if row.get("deleted") == "1":
            _remove(db, journal, held, kind, word)
        elif not held:
            values = {"kind": kind, "idnumber": row["idnumber"], "fullname": row["fullname"], "timemodified": now}
            values |= {"framework": row["frameworkidnumber"], "parent": row.get("parentidnumber", "")}
            state.insert(db, "item", values)
            journal.did("syncitem", f"created {word} {row['idnumber']}")
        elif not modified or modified != held[0]["timemodified"]:
            values = {"fullname": row["fullname"], "parent": row.get("parentidnumber", "")}
            state.update(db, "item", held[0]["id"], values | {"timemodified": modified or now})
            journal.did("syncitem", f"updated {word} {row['idnumber']}")


def _sane(db: sqlite3.Connection, journal: Journal, rows: Rows, kind: str) -> bool:
    if any(not row["idnumber"] for row in rows):
        journal.refused(
            "populatesynctablecsv", "could not import all records. Error details: Error writing to database"
        )
        return False
    known = {row["idnumber"] for row in state.find(db, "item", kind=kind)} | {row["idnumber"] for row in rows}
    frameworks = {row["idnumber"] for row in db.execute("select idnumber from framework where kind = ?", (kind,))}
    faults = []
    for row in rows:
        if row["frameworkidnumber"] not in frameworks:
            faults.append(f"framework {row['frameworkidnumber']} does not exist")
        if row.get("parentidnumber") and row["parentidnumber"] not in known:
            faults.append(f"parent {row['parentidnumber']} does not exist")
    for fault in faults:
        journal.refused("checksanity", fault)
    if faults:
        journal.refused("checksanity", "sanity check failed, aborting...")
        return False
    for idnumber, times in Counter(row["idnumber"] for row in rows).items():
        if times > 1:
            journal.warned("checksanity", f"Duplicate idnumber {idnumber}")
    return True


def _remove(db: sqlite3.Connection, journal: Journal, held: list[sqlite3.Row], kind: str, word: str) -> None:
    for item in held:
        db.execute(f"update job set {kind} = null where {kind} = ?", (item["id"],))  # noqa: S608 - one of two words
        db.execute("delete from item where id = ?", (item["id"],))
        journal.did("syncitem", f"deleted {word} {item['idnumber']}")
