"""What the invented trust's ESR knows, and what of it has not been sent yet.

The ledger holds records as ESR sends them: one row per key and date slice, with the columns by name. Each row is
sent, waiting for the next changes file, or held back until the one after it.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from datetime import date, timedelta
from typing import Final

from sandbox import database
from sandbox.esr_format import END_OF_TIME, day_text, line

SENT: Final = 0
NEXT_FILE: Final = 1
FILE_AFTER_NEXT: Final = 2

SCHEMA: Final = """
create table if not exists meta (name text primary key, value text not null);
create table if not exists record (
    kind text not null, key text not null, start text not null, person text not null, body text not null,
    pending integer not null, primary key (kind, key, start)) without rowid;
create index if not exists record_of_person on record (person, kind);
create index if not exists record_pending on record (pending) where pending > 0;
create table if not exists deletion (kind text not null, key text not null, pending integer not null,
    primary key (kind, key)) without rowid;
create table if not exists person (person_id text primary key, state text not null) without rowid;
create table if not exists outgoing (name text primary key, kind text not null, day text not null,
    folder text not null, content blob, unique (kind, day, name));
create table if not exists answered (name text not null, digest text not null, present integer not null,
    primary key (name, digest)) without rowid;
create table if not exists reference (lms_reference text primary key, person_id text not null,
    element_id text not null, claim text not null, loaded integer not null) without rowid;
create table if not exists answer (confirmation text not null, position integer not null, lms_reference text not null,
    status text not null, code text not null, person_id text not null, element_id text not null,
    primary key (confirmation, position)) without rowid;
create table if not exists sent (name text primary key, body blob not null);
create table if not exists heard (name text not null, digest text not null, primary key (name, digest)) without rowid;
create table if not exists confirmed (confirmation text not null, file text not null, status text not null,
    records_read integer not null, records_success integer not null, records_warning integer not null,
    records_failed integer not null);
create table if not exists refused (file text not null, position integer not null, code text not null,
    primary key (file, position)) without rowid;
create table if not exists request (day text primary key, file text not null) without rowid;
create table if not exists complaint (file text not null, text text not null)
"""

#: Where each record type keeps its key and, when it is effective-dated, the start of its slice.
_KEYS: Final[Mapping[str, tuple[str, str | None]]] = {
    "ORA": ("organisation_id", None),
    "LCA": ("location_id", None),
    "POA": ("position_id", "effective_from"),
    "CDA": ("competence_id", None),
    "PRA": ("person_id", "effective_start"),
    "ASA": ("assignment_id", "effective_start"),
    "CMA": ("competency_element_id", None),
}
_DELETES: Final = {"ASA": "ASD", "CMA": "CMD"}
_FIRST_NUMBERS: Final = {
    "person": 9000001,
    "assignment": 8100001,
    "employee": 29900001,
    "applicant": 8800001,
    "vacancy": 2200001,
    "element": 12000001,
    "requirement": 11000001,
}

Values = dict[str, str]


def key_column(kind: str) -> str:
    """Return the column that holds the key of a record type, empty for a type that is no record of a feed file."""
    deleted = next((added for added, delete in _DELETES.items() if delete == kind), kind)
    return _KEYS[deleted][0] if deleted in _KEYS else ""


@dataclass(frozen=True, slots=True)
class Reference:
    """A completion reference that has been loaded once.

    ``claim`` says what was completed (person, competence, date achieved); ``loaded`` turns false when the completion
    is withdrawn or corrected, and ``element_id`` is no longer in the trust's records then.
    """

    lms_reference: str
    person_id: str
    element_id: str
    claim: str
    loaded: bool


class Ledger:
    """The trust's records within one open transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def number(self, name: str) -> int:
        """Return the next number of a kind: person, assignment, employee, element, feed, ..."""
        return database.counter(self._db, name, _FIRST_NUMBERS.get(name, 1))

    def setting(self, name: str) -> str | None:
        """Return a remembered value, None when it was never set."""
        row = self._db.execute("select value from meta where name = ?", (name,)).fetchone()
        return str(row["value"]) if row else None

    def set(self, name: str, value: str) -> None:
        """Remember a value under a name."""
        self._db.execute("insert or replace into meta (name, value) values (?, ?)", (name, value))

    def put(self, kind: str, values: Mapping[str, str], pending: int = NEXT_FILE) -> None:
        """Store one record, or one slice of it, in place of an earlier version of the same slice."""
        key, start = _KEYS[kind]
        body = {name: value for name, value in values.items() if value}
        self._db.execute(
            "insert or replace into record (kind, key, start, person, body, pending) values (?, ?, ?, ?, ?, ?)",
            (
                kind,
                body[key],
                body[start] if start else "",
                body.get("person_id", ""),
                json.dumps(body, ensure_ascii=False),
                pending,
            ),
        )

    def new_slice(self, kind: str, old: Mapping[str, str], start: date, changes: Mapping[str, str]) -> None:
        """End a slice the day before ``start`` and begin another with changed columns.

        A slice that began on the same day is replaced: two slices of one record never begin together.
        """
        ended = {"effective_end": day_text(start - timedelta(days=1)), "last_update": changes["last_update"]}
        self.put(kind, {**old, **ended})
        self.put(kind, {**old, "effective_end": END_OF_TIME, **changes, "effective_start": day_text(start)})

    def remove(self, kind: str, key: str) -> None:
        """Delete all slices of a record; the next changes file says so in a delete record."""
        self._db.execute("delete from record where kind = ? and key = ?", (kind, key))
        self._db.execute("insert or replace into deletion values (?, ?, ?)", (_DELETES[kind], key, NEXT_FILE))

    def latest(self, kind: str, key: str) -> Values | None:
        """Return the slice of a record that begins last."""
        row = self._db.execute(
            "select body from record where kind = ? and key = ? order by start desc limit 1", (kind, key)
        ).fetchone()
        return json.loads(row["body"]) if row else None

    def of_person(self, kind: str, person_id: str) -> list[Values]:
        """Return a person's records of one type, all slices, in key and date order."""
        rows = self._db.execute(
            "select body from record where person = ? and kind = ? order by key, start", (person_id, kind)
        )
        return [json.loads(row["body"]) for row in rows]

    def all(self, kind: str) -> list[Values]:
        """Return every record of one type."""
        rows = self._db.execute("select body from record where kind = ? order by key, start", (kind,))
        return [json.loads(row["body"]) for row in rows]

    def keys(self, kind: str, *, sent: bool) -> list[str]:
        """Return the keys of one type; with ``sent``, only of records that a file has already carried."""
        condition = " and pending = 0" if sent else ""
        rows = self._db.execute(f"select key from record where kind = ?{condition} order by key", (kind,))  # noqa: S608
        return [row["key"] for row in rows]

    def deletable_achievements(self) -> list[str]:
        """Return the element ids of competences that were entered in ESR itself and have been sent."""
        rows = self._db.execute(
            "select key from record where kind = 'CMA' and person <> '' and pending = 0 "
            "and key not in (select element_id from reference) order by key"
        )
        return [row["key"] for row in rows]

    def move(self, person_id: str, state: str) -> None:
        """Note what a person now is: interviewed, applicant, employee, withdrawn or left."""
        self._db.execute("insert or replace into person values (?, ?)", (person_id, state))

    def people(self, state: str) -> list[str]:
        """Return the person ids in a state."""
        rows = self._db.execute("select person_id from person where state = ? order by person_id", (state,))
        return [row["person_id"] for row in rows]

    def lines(self, kinds: Iterable[str], *, changed_only: bool) -> list[str]:
        """Return the records of a file: types in the given order, delete records after the type they delete."""
        condition = f" and pending = {NEXT_FILE}" if changed_only else ""
        found: list[str] = []
        for kind in kinds:
            query = f"select body from record where kind = ?{condition} order by key, start"  # noqa: S608
            found += [line(kind, json.loads(row["body"])) for row in self._db.execute(query, (kind,))]
            if changed_only and (delete := _DELETES.get(kind)):
                found += self._deletions(delete)
        return found

    def mark_sent(self, *, everything: bool) -> None:
        """Take the records just written off the waiting list; ``everything`` also those held back."""
        limit = FILE_AFTER_NEXT if everything else NEXT_FILE
        for table in ("record", "deletion"):
            self._db.execute(f"update {table} set pending = {SENT} where pending between 1 and ?", (limit,))  # noqa: S608

    def release_held(self) -> None:
        """Let records held back for one file go into the next."""
        self._db.execute(f"update record set pending = {NEXT_FILE} where pending = {FILE_AFTER_NEXT}")  # noqa: S608

    def reference(self, lms_reference: str) -> Reference | None:
        """Return a completion reference that has been loaded, None when it never was."""
        row = self._db.execute("select * from reference where lms_reference = ?", (lms_reference,)).fetchone()
        return Reference(*row) if row else None

    def remember(self, reference: Reference) -> None:
        """Store that a completion reference has been loaded, or taken back."""
        self._db.execute("insert or replace into reference values (?, ?, ?, ?, ?)", astuple(reference))

    def _deletions(self, kind: str) -> list[str]:
        rows = self._db.execute(
            "select key from deletion where kind = ? and pending = ? order by key", (kind, NEXT_FILE)
        )
        return [f"{kind}~{row['key']}" for row in rows]
