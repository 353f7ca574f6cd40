"""What one sandbox Totara site holds: one sqlite file, the same users behind its API and its HR Import."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

FieldType = Literal["text", "menu", "checkbox", "date"]

SCHEMA: Final = """
create table if not exists meta (name text primary key, value text not null);
create table if not exists user (
    id integer primary key autoincrement, idnumber text not null default '', username text not null,
    email text not null default '', firstname text not null default '', lastname text not null default '',
    middlename text not null default '', department text not null default '', auth text not null default 'manual',
    suspended integer not null default 0, deleted integer not null default 0, totarasync integer not null default 0,
    timemodified integer not null default 0, timezone text not null default '');
create table if not exists user_field (
    userid integer not null, shortname text not null, data text not null, primary key (userid, shortname));
create table if not exists field (
    shortname text primary key, datatype text not null, options text not null, forceunique integer not null);
create table if not exists job (
    id integer primary key autoincrement, idnumber text not null, userid integer not null,
    fullname text not null default '', startdate integer, enddate integer, organisation integer, position integer,
    managerjaid integer, totarasync integer not null default 0, synctimemodified integer not null default 0,
    unique (userid, idnumber));
create table if not exists framework (kind text not null, idnumber text not null, primary key (kind, idnumber));
create table if not exists item (
    id integer primary key autoincrement, kind text not null, idnumber text not null, fullname text not null,
    framework text not null, parent text not null default '', timemodified integer not null,
    unique (kind, idnumber));
create table if not exists log (
    id integer primary key autoincrement, time integer not null, element text not null, logtype text not null,
    action text not null, info text not null, runid integer not null);
"""

#: Columns of ``user`` that files and the API may set.
USER_COLUMNS: Final = (
    "idnumber", "username", "email", "firstname", "lastname", "middlename", "department", "auth", "suspended",
    "timezone",
)  # fmt: skip

#: Longest value of each column that has a limit.
USER_LIMITS: Final = {
    "idnumber": 255, "username": 100, "firstname": 100, "lastname": 100, "middlename": 255, "email": 100,
    "department": 255, "auth": 20,
}  # fmt: skip

#: Authentication plugins of the site, and whether each can change a password.
AUTHS: Final = {"manual": True, "approved": True, "connect": True, "oauth2": False, "shibboleth": False, "ldap": False}

Row = Mapping[str, Any]


@dataclass(slots=True)
class TotaraSettings:
    """The site's settings, and the faults it can be given. A test or demo changes them while the site runs."""

    client_id: str = "esr-bridge"
    client_secret: str = "invented-secret"  # noqa: S105 - of an invented site
    client_disabled: bool = False
    service_suspended: bool = False
    service_zone: str = "Europe/Paris"
    """Time zone of the service account; ahead of UTC keeps profile dates on their day."""
    users_hidden: bool = False
    """The service account lacks the right to see others: lists hold nobody but itself, and no error says so."""
    jobs_allowed: bool = True
    error_level: Literal["none", "normal", "developer"] = "normal"
    emails_shown: bool = False
    points_per_minute: int = 250_000
    points_per_request: int = 6_000
    shortened_output: frozenset[str] = frozenset()
    """Fields of a user that this version of the site does not know: they are missing from answers."""
    out: bool = False
    lose_replies: int = 0
    """So many of the next calls that write are done, and their replies do not arrive."""
    write_errors: int = 0
    """So many of the next creations lose a race in the database: half of them were done by the other side."""
    zone: str = "Europe/London"
    date_format: str = "d/m/Y"
    delimiter: str = ","
    encoding: str = "UTF-8"
    delete_mode: Literal["suspend", "keep", "delete"] = "suspend"
    all_records: bool = False
    allow_create: bool = True
    allow_update: bool = True
    empty_erases: bool = False
    duplicate_emails: bool = False
    update_job_idnumbers: bool = False
    version: int = 17
    import_columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Optional columns enabled for each element; without an entry those that a file has are taken."""


def insert(db: sqlite3.Connection, table: str, values: Row) -> int:
    """Add a row and return its id."""
    names = ", ".join(values)
    marks = ", ".join("?" * len(values))
    cursor = db.execute(f"insert into {table} ({names}) values ({marks})", tuple(values.values()))  # noqa: S608
    return int(cursor.lastrowid or 0)


def update(db: sqlite3.Connection, table: str, key: int, values: Row) -> None:
    """Change columns of a row; no columns is no change."""
    if values:
        names = ", ".join(f"{name} = ?" for name in values)
        db.execute(f"update {table} set {names} where id = ?", (*values.values(), key))  # noqa: S608


def find(db: sqlite3.Connection, table: str, **wanted: str | int) -> list[sqlite3.Row]:
    """Return rows of a table by values of columns, compared exactly, in id order."""
    condition = " and ".join(f"{name} = ?" for name in wanted) or "1"
    return db.execute(f"select * from {table} where {condition} order by id", tuple(wanted.values())).fetchall()  # noqa: S608


def fields_of(db: sqlite3.Connection, userid: int) -> dict[str, str]:
    """Return a user's profile fields as stored: dates in seconds since 1970."""
    rows = db.execute("select shortname, data from user_field where userid = ? order by shortname", (userid,))
    return {row["shortname"]: row["data"] for row in rows}


def put_field(db: sqlite3.Connection, userid: int, shortname: str, data: str | None) -> None:
    """Store a profile field as it is; None removes it."""
    db.execute("delete from user_field where userid = ? and shortname = ?", (userid, shortname))
    if data is not None:
        db.execute("insert into user_field values (?, ?, ?)", (userid, shortname, data))


def define_field(
    db: sqlite3.Connection, shortname: str, kind: FieldType, options: Iterable[str] = (), *, unique: bool = False
) -> None:
    """Add a profile field to the site, or change what it may hold."""
    db.execute(
        "insert or replace into field values (?, ?, ?, ?)", (shortname, kind, json.dumps(list(options)), int(unique))
    )


def definitions(db: sqlite3.Connection) -> dict[str, sqlite3.Row]:
    """Return the site's profile fields by short name."""
    return {row["shortname"]: row for row in db.execute("select * from field")}


def field_taken(db: sqlite3.Connection, shortname: str, data: str, userid: int) -> bool:
    """Whether another user has this value in a profile field."""
    return bool(
        db.execute(
            "select 1 from user_field where shortname = ? and data = ? and userid != ?", (shortname, data, userid)
        ).fetchone()
    )


def options_of(definition: sqlite3.Row) -> list[str]:
    """Return what a menu offers."""
    offered: list[str] = json.loads(definition["options"])
    return offered
