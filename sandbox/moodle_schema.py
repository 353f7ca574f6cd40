"""The tables of the sandbox's Moodle, and what stands in a new site."""

import sqlite3
from typing import Final

from sandbox.moodle_access import CAPABILITIES, FUNCTIONS
from sandbox.moodle_competencies import SCHEMA as COMPETENCIES
from sandbox.moodle_courses import SCHEMA as COURSES
from sandbox.moodle_reports import SCHEMA as REPORTS

TOKEN: Final = "invented-moodle-token"  # noqa: S105 - an invented one
SERVICE_ACCOUNT: Final = 3
"""Id of the account the token belongs to."""

_ACCOUNTS: Final = """
create table if not exists meta (name text primary key, value text not null);
create table if not exists "user" (
    id integer primary key autoincrement, username text not null unique, firstname text not null default '',
    lastname text not null default '', middlename text not null default '', alternatename text not null default '',
    email text not null default '', idnumber text not null default '', auth text not null default 'manual',
    suspended integer not null default 0, deleted integer not null default 0, admin integer not null default 0,
    must_change_password integer not null default 0, lang text not null default 'en',
    timezone text not null default '99', mailformat integer not null default 1, city text not null default '',
    country text not null default '', institution text not null default '', department text not null default '',
    phone1 text not null default '', phone2 text not null default '', address text not null default '',
    description text not null default '', preferences text not null default '{}', changes integer not null default 0);
create table if not exists field (
    shortname text primary key, name text not null, datatype text not null, options text not null,
    first_year integer not null, last_year integer not null, visible integer not null, place integer not null);
create table if not exists field_value (
    user integer not null, field text not null, value text not null, primary key (user, field));
create table if not exists token (token text primary key, user integer not null, state text not null);
create table if not exists capability (user integer not null, name text not null, primary key (user, name));
create table if not exists service (function text primary key);
create table if not exists session (user integer primary key);
"""
SCHEMA: Final = _ACCOUNTS + COMPETENCIES + COURSES + REPORTS


def furnish(db: sqlite3.Connection) -> None:
    """Put a guest, an administrator and the service account into a new site; another one is left as it is."""
    if db.execute('select 1 from "user"').fetchone():
        return
    for name, admin in (("guest", 0), ("admin", 1), ("svc.bridge", 0)):
        values = (name, name.title(), "Site", f"{name}@moodle.example", admin)
        db.execute('insert into "user" (username, firstname, lastname, email, admin) values (?, ?, ?, ?, ?)', values)
    db.execute("insert into token values (?, ?, 'valid')", (TOKEN, SERVICE_ACCOUNT))
    db.executemany("insert into capability values (?, ?)", [(SERVICE_ACCOUNT, one) for one in CAPABILITIES])
    db.executemany("insert into service values (?)", [(one,) for one in FUNCTIONS])
