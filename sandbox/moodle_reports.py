"""Custom reports of the sandbox's Moodle on people in courses: what they tell, and what they hide.

There is no epoch and no id in a row: times are texts to the minute, in the time zone of whoever asks. Somebody who is
enrolled in two ways is told twice, somebody who is enrolled no longer is not told at all, rows of the same second
change places, and a filter that the report does not have is taken with ``true`` and filters nothing.
"""

import json
import random
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from sandbox import database
from sandbox import moodle_access as access
from sandbox.moodle_access import Caller
from sandbox.moodle_errors import invalid_parameter, no_record, report_refused
from sandbox.moodle_params import Node, Struct, Value
from sandbox.moodle_ratings import told

Json = dict[str, Any]
Work = Callable[[sqlite3.Connection, Caller, Json], Any]

TIME: Final = "completion:timecompleted"
COLUMNS: Final = ("user:idnumber", "course:idnumber", TIME)
RANGE: Final = 3

SCHEMA: Final = """
create table if not exists report (
    id integer primary key autoincrement, name text not null, columns text not null, filters text not null,
    audience integer not null);
create table if not exists report_filter (
    report integer not null, user integer not null, said text not null, primary key (report, user));
"""

_ROWS: Final = """
select u.idnumber as "user:idnumber", u.firstname || ' ' || u.lastname as "user:fullname",
    c.idnumber as "course:idnumber", c.shortname as "course:shortname", e.method as "enrolment:method",
    p.completed as "completion:timecompleted", p.completed is not null as "completion:completed"
from enrolment e join course c on c.id = e.course
left join "user" u on u.id = e.user left join completion p on p.course = e.course and p.user = e.user
where e.user = 0 or not u.deleted
"""


class Reports:
    """What an administrator does with reports."""

    def __init__(self, state: Path) -> None:
        self._state = state

    def add(
        self,
        name: str = "Course completions",
        columns: Sequence[str] = COLUMNS,
        *,
        filters: Sequence[str] = (TIME,),
        audience: bool = True,
    ) -> int:
        """Add a report; ``audience``: whether the service account is among those who may see it."""
        with database.transaction(self._state) as db:
            made = db.execute(
                "insert into report (name, columns, filters, audience) values (?, ?, ?, ?)",
                (name, json.dumps(list(columns)), json.dumps(list(filters)), audience),
            )
            return int(made.lastrowid or 0)

    def change(self, report: int, filters: Sequence[str]) -> None:
        """Give a report other filters."""
        with database.transaction(self._state) as db:
            db.execute("update report set filters = ? where id = ?", (json.dumps(list(filters)), report))


def _report(db: sqlite3.Connection, caller: Caller, report: int) -> sqlite3.Row:
    row: sqlite3.Row | None = db.execute("select * from report where id = ?", (report,)).fetchone()
    if row is None:
        raise no_record("reportbuilder_report")
    if not caller.may(access.REPORT_VIEW) or not (row["audience"] or caller.admin):
        raise report_refused()
    return row


def _list(db: sqlite3.Connection, caller: Caller, asked: Json) -> Json:
    del asked
    rows = db.execute("select * from report order by id").fetchall() if caller.may(access.REPORT_VIEW) else []
    seen = [{"id": row["id"], "name": row["name"]} for row in rows if row["audience"] or caller.admin]
    return {"reports": seen, "warnings": []}


def _retrieve(db: sqlite3.Connection, caller: Caller, asked: Json) -> Json:
    report = _report(db, caller, asked["reportid"])
    rows = [row for row in db.execute(_ROWS).fetchall() if _passes(db, caller, report, row)]
    random.Random(database.counter(db, "report")).shuffle(rows)  # noqa: S311 - rows of one second have no order
    rows.sort(key=lambda row: row[TIME] or 0)
    page, size = max(asked.get("page", 0), 0), asked.get("perpage", 10)
    shown = rows[page * size : (page + 1) * size] if size > 0 else rows if page == 0 else []
    columns = json.loads(report["columns"])
    return {
        "details": {"id": report["id"], "name": report["name"], "source": "core_course\\reportbuilder\\participants"},
        "data": {
            "headers": [name.partition(":")[2].title() for name in columns],
            "rows": [{"columns": [_shown(row, name, caller) for name in columns]} for row in shown],
            "totalrowcount": len(rows),
        },
        "warnings": [],
    }


def _shown(row: sqlite3.Row, name: str, caller: Caller) -> str:
    value = row[name]
    if name == TIME:
        return told(value, caller) if value else ""
    if name == "completion:completed":
        return "Yes" if value else "No"
    return value or ""


def _passes(db: sqlite3.Connection, caller: Caller, report: sqlite3.Row, row: sqlite3.Row) -> bool:
    """Whether a row meets what was set by this caller. Both ends count, 0 is open; an unknown filter is no filter."""
    kept = db.execute(
        "select said from report_filter where report = ? and user = ?", (report["id"], caller.id)
    ).fetchone()
    said = json.loads(kept["said"]) if kept else {}
    if TIME not in json.loads(report["filters"]) or said.get(f"{TIME}_operator") != RANGE:
        return True
    first, last, moment = said.get(f"{TIME}_from", 0), said.get(f"{TIME}_to", 0), row[TIME]
    return moment is not None and (not first or moment >= first) and (not last or moment <= last)


def _set_filters(db: sqlite3.Connection, caller: Caller, asked: Json) -> bool:
    _report(db, caller, asked["reportid"])
    try:
        said = json.loads(asked["values"])
    except ValueError:
        raise invalid_parameter() from None
    if not isinstance(said, dict):
        raise invalid_parameter()
    db.execute("insert or replace into report_filter values (?, ?, ?)", (asked["reportid"], caller.id, asked["values"]))
    return True


def _reset(db: sqlite3.Connection, caller: Caller, asked: Json) -> bool:
    _report(db, caller, asked["reportid"])
    db.execute("delete from report_filter where report = ? and user = ?", (asked["reportid"], caller.id))
    return True


_WHOLE: Final = Value("int", required=True)

FUNCTIONS: Final[dict[str, tuple[Node, Work]]] = {
    "core_reportbuilder_list_reports": (Struct({"page": Value("int"), "perpage": Value("int")}), _list),
    "core_reportbuilder_retrieve_report": (
        Struct({"reportid": _WHOLE, "page": Value("int"), "perpage": Value("int")}),
        _retrieve,
    ),
    "core_reportbuilder_set_filters": (
        Struct({"reportid": _WHOLE, "parameters": Value("raw"), "values": Value("raw", required=True)}),
        _set_filters,
    ),
    "core_reportbuilder_filters_reset": (
        Struct({"reportid": _WHOLE, "parameters": Value("raw")}),
        _reset,
    ),
}
"""Parameters and work of each function."""
