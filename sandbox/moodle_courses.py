"""Courses of the sandbox's Moodle and how they are completed: at once, or by cron, late and with an older time.

With activities only, a course is complete in the moment of the last one. What was done before enrolment, and a date
that has to have passed, is noted by one run of cron and completes the course in the next; the time of completion is
then that of the latest criterion, however long ago that was.
"""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from sandbox import database
from sandbox import moodle_access as access
from sandbox.moodle_access import Caller
from sandbox.moodle_errors import invalid_parameter, no_course_access, no_record, refused
from sandbox.moodle_params import Node, Struct, Value

Json = dict[str, Any]
Work = Callable[[sqlite3.Connection, Caller, Json], Any]

SCHEMA: Final = """
create table if not exists course (
    id integer primary key autoincrement, idnumber text not null, shortname text not null, criteria text not null,
    aggregation integer not null);
create table if not exists enrolment (
    course integer not null, user integer not null, method text not null, primary key (course, user, method));
create table if not exists activity (
    course integer not null, user integer not null, name text not null, done integer not null,
    primary key (course, user, name));
create table if not exists criterion (
    course integer not null, user integer not null, name text not null, done integer not null,
    primary key (course, user, name));
create table if not exists completion (
    course integer not null, user integer not null, completed integer not null, primary key (course, user));
"""

NOBODY: Final = 0
"""The user of an enrolment method that has nobody yet."""


class Courses:
    """What administrators, learners and cron do. Times are epoch seconds; ``clock`` tells the present."""

    def __init__(self, state: Path, clock: Callable[[], float]) -> None:
        self._state = state
        self._clock = clock

    def add(
        self, idnumber: str, activities: int = 1, *, after: int = 0, any_of: bool = False, shortname: str = ""
    ) -> int:
        """Add a course that is complete when its activities are, and ``after`` has passed if there is such a date."""
        criteria: Json = {f"activity {number}": 0 for number in range(1, activities + 1)}
        criteria |= {"date": after} if after else {}
        with database.transaction(self._state) as db:
            made = db.execute(
                "insert into course (idnumber, shortname, criteria, aggregation) values (?, ?, ?, ?)",
                (idnumber, shortname or idnumber, json.dumps(criteria), 2 if any_of else 1),
            )
            return int(made.lastrowid or 0)

    def enrol(self, course: int, user: int = NOBODY, method: str = "manual") -> None:
        """Enrol somebody; without a user the method is there and has nobody."""
        with database.transaction(self._state) as db:
            db.execute("insert or ignore into enrolment values (?, ?, ?)", (course, user, method))

    def leave(self, course: int, user: int) -> None:
        """Take all enrolments of somebody away; what was completed stays, unseen."""
        with database.transaction(self._state) as db:
            db.execute("delete from enrolment where course = ? and user = ?", (course, user))

    def do(self, course: int, user: int, activity: int = 1) -> None:
        """Complete an activity now. Of those who are enrolled it counts at once."""
        name = f"activity {activity}"
        with database.transaction(self._state) as db:
            row = (course, user, name, int(self._clock()))
            db.execute("insert or ignore into activity values (?, ?, ?, ?)", row)
            if _is_enrolled(db, course, user):
                db.execute("insert or ignore into criterion select * from activity where course = ? and user = ? "
                           "and name = ?", (course, user, name))  # fmt: skip
                _complete(db, course, user)

    def reset(self, course: int, user: int) -> None:
        """Forget what somebody did in a course, as before a repetition."""
        with database.transaction(self._state) as db:
            for table in ("activity", "criterion", "completion"):
                db.execute(f"delete from {table} where course = ? and user = ?", (course, user))  # noqa: S608

    def cron(self) -> None:
        """Complete courses whose criteria were noted before, then note criteria that have come true meanwhile."""
        with database.transaction(self._state) as db:
            pairs = db.execute("select distinct course, user from enrolment where user <> ?", (NOBODY,)).fetchall()
            for pair in pairs:
                _complete(db, pair["course"], pair["user"])
            for pair in pairs:
                _note(db, pair["course"], pair["user"], int(self._clock()))


def _is_enrolled(db: sqlite3.Connection, course: int, user: int) -> bool:
    found = db.execute("select 1 from enrolment where course = ? and user = ?", (course, user)).fetchone()
    return found is not None


def _criteria(db: sqlite3.Connection, course: int) -> Json:
    found: Json = json.loads(db.execute("select criteria from course where id = ?", (course,)).fetchone()["criteria"])
    return found


def _note(db: sqlite3.Connection, course: int, user: int, now: int) -> None:
    db.execute("insert or ignore into criterion select * from activity where course = ? and user = ?", (course, user))
    after = _criteria(db, course).get("date", 0)
    if after and after <= now:
        db.execute("insert or ignore into criterion values (?, ?, 'date', ?)", (course, user, after))


def _complete(db: sqlite3.Connection, course: int, user: int) -> None:
    done = db.execute("select name, done from criterion where course = ? and user = ?", (course, user)).fetchall()
    row = db.execute("select criteria, aggregation from course where id = ?", (course,)).fetchone()
    wanted = set(json.loads(row["criteria"]))
    enough = {one["name"] for one in done} >= wanted if row["aggregation"] == 1 else bool(done)
    if enough and done:
        moment = max(one["done"] for one in done)
        db.execute("insert or ignore into completion values (?, ?, ?)", (course, user, moment))


def _status(db: sqlite3.Connection, caller: Caller, asked: Json) -> Json:
    """Tell each criterion's time. A course has none of its own here."""
    course, user = asked["courseid"], asked["userid"]
    row = db.execute("select * from course where id = ?", (course,)).fetchone()
    if row is None:
        raise no_record("course")
    learner = db.execute('select deleted from "user" where id = ?', (user,)).fetchone()
    if learner is None or learner["deleted"]:
        raise refused("userdeleted" if learner else "invaliduser")
    if not caller.may(access.COURSE_VIEW):
        raise no_course_access()
    if not caller.may(access.COMPLETION_VIEW):
        raise refused("cannotviewreport")
    if not _is_enrolled(db, course, user):
        raise refused("usernotenroled")
    found = db.execute("select name, done from criterion where course = ? and user = ?", (course, user)).fetchall()
    done = {one["name"]: one["done"] for one in found}
    completed = db.execute("select 1 from completion where course = ? and user = ?", (course, user)).fetchone()
    return {
        "completionstatus": {
            "completed": completed is not None,
            "aggregation": row["aggregation"],
            "completions": [_criterion(name, done.get(name)) for name in json.loads(row["criteria"])],
        },
        "warnings": [],
    }


def _criterion(name: str, done: int | None) -> Json:
    return {
        "type": 2 if name == "date" else 4,
        "title": "Date" if name == "date" else "Activity completion",
        "status": "No" if done is None else "Yes",
        "complete": done is not None,
        "timecompleted": done,
        "details": {"type": "", "criteria": name, "requirement": "", "status": ""},
    }


def _courses(db: sqlite3.Connection, caller: Caller, asked: Json) -> Json:
    del caller
    if asked.get("field") not in ("id", "idnumber", "shortname"):
        raise invalid_parameter()
    rows = db.execute("select * from course order by id").fetchall()
    found = [row for row in rows if str(row[asked["field"]]) == asked.get("value", "")]
    courses = [{name: row[name] for name in ("id", "idnumber", "shortname")} for row in found]
    return {"courses": courses, "warnings": []}


_WHOLE: Final = Value("int", required=True)

FUNCTIONS: Final[dict[str, tuple[Node, Work]]] = {
    "core_completion_get_course_completion_status": (Struct({"courseid": _WHOLE, "userid": _WHOLE}), _status),
    "core_course_get_courses_by_field": (Struct({"field": Value("alpha"), "value": Value("raw")}), _courses),
}
"""Parameters and work of each function."""
