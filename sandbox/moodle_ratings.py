"""The sandbox's Moodle on competencies: each rating leaves a piece of evidence, whatever was there before."""

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sandbox import moodle_access as access
from sandbox.moodle_access import Caller
from sandbox.moodle_errors import invalid_parameter, invalid_persistent, no_permission, no_record
from sandbox.moodle_params import Many, Node, Struct, Value

Json = dict[str, Any]
Work = Callable[[sqlite3.Connection, Caller, Json], Any]

GRADE: Final = "core_competency_grade_competency"

_COLUMNS: Final = {"id": "id", "idnumber": "idnumber", "shortname": "idnumber", "competencyframeworkid": "framework"}
_SCALED: Final = (
    "select c.id, c.idnumber, c.framework, c.scale as own_scale, c.config as own_config, f.scale, f.config, s.items "
    "from competency c join framework f on f.id = c.framework join scale s on s.id = coalesce(c.scale, f.scale) "
)


def _framework(db: sqlite3.Connection, caller: Caller, asked: Json) -> Json:
    if not caller.may(access.COMPETENCY_VIEW):
        raise no_permission("View competency frameworks")
    row = db.execute("select * from framework where id = ?", (asked["id"],)).fetchone()
    if row is None:
        raise no_record("competency_framework")
    return {
        "id": row["id"],
        "shortname": row["idnumber"],
        "idnumber": row["idnumber"],
        "visible": True,
        "scaleid": row["scale"],
        "scaleconfiguration": row["config"],
    }


def _list(db: sqlite3.Connection, caller: Caller, asked: Json) -> list[Json]:
    """Names of competencies are no secret: whoever gets in sees them. Filters are exact."""
    del caller
    filters = asked.get("filters", [])
    if not filters or any(one["column"] not in _COLUMNS for one in filters):
        raise invalid_parameter()
    rows = db.execute(_SCALED + "order by c.id").fetchall()
    found = [row for row in rows if all(str(row[_COLUMNS[one["column"]]]) == one["value"] for one in filters)]
    first, most = asked.get("skip", 0), asked.get("limit", 0)
    return [_competency(row) for row in found[first : first + most if most else None]]


def _competency(row: sqlite3.Row) -> Json:
    return {
        "id": row["id"],
        "shortname": row["idnumber"],
        "idnumber": row["idnumber"],
        "competencyframeworkid": row["framework"],
        "scaleid": row["own_scale"],
        "scaleconfiguration": row["own_config"],
    }


def _scale_values(db: sqlite3.Connection, caller: Caller, asked: Json) -> list[Json]:
    del caller
    row = db.execute("select items from scale where id = ?", (asked["scaleid"],)).fetchone()
    if row is None:
        raise no_record("scale")
    return [{"id": number, "name": name} for number, name in enumerate(json.loads(row["items"]), start=1)]


def _grade(db: sqlite3.Connection, caller: Caller, asked: Json) -> Json:
    """Rate somebody: the same call again leaves another piece of evidence, and deleted accounts are rated too."""
    if not caller.may(access.GRADE):
        raise no_permission("Set competency rating")
    row = _known(db, asked)
    values = json.loads(row["items"])
    if not 1 <= asked["grade"] <= len(values):
        raise invalid_persistent("Invalid rating")
    rating = _rating(db, caller, asked)
    db.execute("update rating set grade = ?, modified = ? where id = ?", (asked["grade"], caller.now, rating["id"]))
    made = db.execute(
        "insert into evidence (rating, grade, note, created, actor) values (?, ?, ?, ?, ?)",
        (rating["id"], asked["grade"], asked.get("note", ""), caller.now, caller.id),
    )
    evidence = db.execute("select * from evidence where id = ?", (made.lastrowid,)).fetchone()
    return _evidence(evidence, values, caller) | {"usercompetencyid": rating["id"], "action": 3, "candelete": True}


def _known(db: sqlite3.Connection, asked: Json) -> sqlite3.Row:
    row: sqlite3.Row | None = db.execute(_SCALED + "where c.id = ?", (asked["competencyid"],)).fetchone()
    if row is None:
        raise invalid_persistent(f"{asked['competencyid']} competency can not be found")
    if db.execute('select 1 from "user" where id = ?', (asked["userid"],)).fetchone() is None:
        raise invalid_persistent("Invalid user ID")
    return row


def _rating(db: sqlite3.Connection, caller: Caller, asked: Json) -> sqlite3.Row:
    """Return the row of an account and a competency; even looking makes one."""
    pair = (asked["userid"], asked["competencyid"])
    db.execute("insert or ignore into rating (user, competency, modified) values (?, ?, ?)", (*pair, caller.now))
    found: sqlite3.Row = db.execute("select * from rating where user = ? and competency = ?", pair).fetchone()
    return found


def _evidence(row: sqlite3.Row, values: Sequence[str], caller: Caller) -> Json:
    return {
        "id": row["id"],
        "grade": row["grade"],
        "gradename": values[row["grade"] - 1],
        "note": row["note"],
        "timecreated": row["created"],
        "userdate": told(row["created"], caller),
        "actionuserid": row["actor"],
    }


def told(second: int, caller: Caller) -> str:
    """Return a moment as Moodle prints it: to the minute, in the time zone of whoever asks."""
    moment = datetime.fromtimestamp(second, UTC).astimezone(caller.zone)
    return f"{moment:%A}, {moment.day} {moment:%B %Y}, {moment.hour % 12 or 12}:{moment:%M %p}"


def _summary(db: sqlite3.Connection, caller: Caller, asked: Json) -> Json:
    if not caller.may(access.RATING_VIEW):
        raise no_permission("View a user competency")
    row = _known(db, asked)
    rating = _rating(db, caller, asked)
    values = json.loads(row["items"])
    proficient = [one["id"] for one in json.loads(row["own_config"] or row["config"])[1:] if one["proficient"]]
    user = db.execute('select * from "user" where id = ?', (asked["userid"],)).fetchone()
    found = db.execute(
        "select * from evidence where rating = ? order by created desc, id desc", (rating["id"],)
    ).fetchall()
    grade = rating["grade"]
    return {
        "showrelatedcompetencies": True,
        "cangrade": caller.may(access.GRADE),
        "competency": {"competency": _competency(row)},
        "user": {"id": user["id"], "idnumber": user["idnumber"], "email": user["email"]},
        "usercompetency": {
            "id": rating["id"],
            "grade": grade,
            "proficiency": None if grade is None else grade in proficient,
            "timemodified": rating["modified"],
        },
        "evidence": [_evidence(one, values, caller) for one in found],
        "commentarea": {},
    }


def _delete(db: sqlite3.Connection, caller: Caller, asked: Json) -> bool:
    """Delete a piece of evidence; the rating stays as it is."""
    if not caller.may(access.GRADE):
        raise no_permission("Delete evidence")
    if not db.execute("delete from evidence where id = ?", (asked["id"],)).rowcount:
        raise no_record("competency_evidence")
    return True


_WHOLE: Final = Value("int", required=True)
_PAIR: Final[Mapping[str, Node]] = {"userid": _WHOLE, "competencyid": _WHOLE}
_FILTERS: Final = Many(Struct({"column": Value("name", required=True), "value": Value("raw", required=True)}))

FUNCTIONS: Final[dict[str, tuple[Node, Work]]] = {
    "core_competency_read_competency_framework": (Struct({"id": _WHOLE}), _framework),
    "core_competency_list_competencies": (
        Struct(
            {
                "filters": _FILTERS,
                "sort": Value("name"),
                "order": Value("alpha"),
                "skip": Value("int"),
                "limit": Value("int"),
            }
        ),
        _list,
    ),
    "core_competency_get_scale_values": (Struct({"scaleid": _WHOLE}), _scale_values),
    GRADE: (Struct({**_PAIR, "grade": _WHOLE, "note": Value("notags")}), _grade),
    "tool_lp_data_for_user_competency_summary": (Struct(_PAIR), _summary),
    "core_competency_delete_evidence": (Struct({"id": _WHOLE}), _delete),
}
"""Parameters and work of each function."""
