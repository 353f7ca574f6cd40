"""Users as Totara's API lists, creates and changes them: its rules, its texts and its oddities."""

import base64
import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sandbox import totara_state as state
from sandbox.totara_engine import Json, RefusedError
from sandbox.totara_state import AUTHS, USER_COLUMNS, USER_LIMITS, TotaraSettings

NOBODY: Final = "There was a problem finding a single user record match or you do not have sufficient capabilities."
SORTS: Final = ("id", "firstname", "lastname", "username", "timemodified")
UNIQUE: Final = (
    ("username", "Username already exists"),
    ("idnumber", "Idnumber already exists"),
    ("email", "Email address already exists"),
)


def listed(db: sqlite3.Connection, settings: TotaraSettings, query: Json | None) -> Json:
    """Return a page of users. Whoever shares the last sort value of a page is passed over by the next one."""
    pagination = (query or {}).get("pagination") or {}
    sort = (query or {}).get("sort") or [{"column": "id", "direction": "ASC"}]
    if len(sort) > 1:
        raise RefusedError("Sorting by more than one column is not currently supported.")
    column, down = sort[0]["column"], sort[0].get("direction") == "DESC"
    if column not in SORTS:
        raise RefusedError("Coding error detected, it must be fixed by a programmer: invalid sort column")
    limit = pagination.get("limit") or 20
    seen = db.execute(
        f"select * from user where deleted = 0 and (? = 0 or username = 'apiservice') "  # noqa: S608 - checked above
        f"order by {column} {'desc' if down else 'asc'}",
        (int(settings.users_hidden),),
    ).fetchall()
    rest = seen
    if pagination.get("cursor"):
        last = json.loads(base64.b64decode(pagination["cursor"]))["columns"][column]
        rest = [row for row in seen if (row[column] < last if down else row[column] > last)]
    page = rest[:limit]
    cursor = ""
    if len(rest) > limit:
        held = {"limit": limit, "columns": {column: page[-1][column]}}
        cursor = base64.b64encode(json.dumps(held).encode()).decode()
    return {"items": [shown(db, settings, row) for row in page], "total": len(seen), "next_cursor": cursor}


def shown(db: sqlite3.Connection, settings: TotaraSettings, row: sqlite3.Row) -> Json:
    """Return a user as answers show them: e-mails are hidden as a rule."""
    kinds = {name: one["datatype"] for name, one in state.definitions(db).items()}
    user: Json = {name: row[name] for name in ("idnumber", "username", "firstname", "lastname", "middlename")}
    user |= {"id": str(row["id"]), "fullname": f"{row['firstname']} {row['lastname']}"}
    user |= {"email": row["email"] if settings.emails_shown else None, "department": row["department"]}
    user |= {"suspended": bool(row["suspended"]), "timezone": row["timezone"]}
    user["custom_fields"] = [
        {"shortname": name, "data": data, "data_format": None, "data_type": kinds[name]}
        for name, data in state.fields_of(db, row["id"]).items()
    ]
    user["job_assignments"] = [dict(job) | {"id": str(job["id"])} for job in state.find(db, "job", userid=row["id"])]
    return user


def referred(db: sqlite3.Connection, settings: TotaraSettings, reference: Json | None) -> sqlite3.Row:
    """Return the one user a reference means. Everything given must agree; one text for every failure."""
    wanted = {name: value for name, value in (reference or {}).items() if value not in (None, "")}
    found = state.find(db, "user", deleted=0, **wanted) if wanted else []
    if len(found) != 1 or (settings.users_hidden and found[0]["username"] != "apiservice"):
        raise RefusedError(NOBODY)
    return found[0]


def created(db: sqlite3.Connection, settings: TotaraSettings, values: Json, now: int) -> sqlite3.Row:
    """Create a user, or refuse."""
    if values.get("password") and values.get("generate_password"):
        raise RefusedError("You cannot set password and generate password at the same time.")
    if not values.get("password") and not values.get("generate_password"):
        raise RefusedError(
            "Coding error detected, it must be fixed by a programmer: Required parameter - password not being passed"
        )
    _check(db, values, 0)
    columns = {name: values[name] for name in USER_COLUMNS if values.get(name) is not None}
    userid = state.insert(db, "user", columns | {"timemodified": now})
    _store_fields(db, settings, userid, values)
    return state.find(db, "user", id=userid)[0]


def changed(db: sqlite3.Connection, settings: TotaraSettings, target: Json, values: Json, now: int) -> sqlite3.Row:
    """Change a user, or refuse. What is null is left as it is."""
    row = referred(db, settings, target)
    if values.get("suspended") and row["username"] == "apiservice":
        raise RefusedError("A service account user is not allowed to suspend itself when making a request.")
    _check(db, values, row["id"])
    columns: Json = {name: values[name] for name in USER_COLUMNS if values.get(name) is not None}
    state.update(db, "user", row["id"], columns | ({"timemodified": now} if values else {}))
    _store_fields(db, settings, row["id"], values)
    return state.find(db, "user", id=row["id"])[0]


def _check(db: sqlite3.Connection, values: Json, userid: int) -> None:
    username = values.get("username")
    if username is not None and username != username.lower():
        raise RefusedError("The username must be in lower case")
    for name, limit in USER_LIMITS.items():
        value = values.get(name) or ""
        if len(value) > (200 if name == "lastname" else limit):
            raise RefusedError(f"Field {value} should be less than {limit} characters")
    for name, text in UNIQUE:  # users deleted in part are among them
        value = values.get(name)
        if value and any(one["id"] != userid for one in state.find(db, "user", **{name: value})):
            raise RefusedError(f"{text}: {value}")
    auth = values.get("auth")
    if auth is not None and auth not in AUTHS:
        raise RefusedError(f"Auth plugin does not exist: {auth}")
    if auth is not None and not AUTHS[auth]:
        raise RefusedError("The authentication plugin dose not support password creation.")


def _store_fields(db: sqlite3.Connection, settings: TotaraSettings, userid: int, values: Json) -> None:
    known = state.definitions(db)
    for one in values.get("custom_fields") or []:
        name = one["shortname"]
        if name not in known:
            raise RefusedError("The custom field does not exist.")
        if one.get("delete"):
            state.put_field(db, userid, name, None)
            continue
        data = _STORED[known[name]["datatype"]](settings, name, one.get("data") or "", known[name])
        if known[name]["forceunique"] and state.field_taken(db, name, data, userid):
            raise RefusedError(f"Custom field errors: \n{name}: This value has already been used.\n")
        state.put_field(db, userid, name, data)


def _date(settings: TotaraSettings, name: str, data: str, _: sqlite3.Row) -> str:
    """Store noon UTC of a day. The site adds a day before it goes from the service account's zone to UTC."""
    try:
        day = date.fromisoformat(data)
    except ValueError:
        raise RefusedError(f"{name}: You must pass valid date values that represent an actual date.") from None
    local = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(settings.service_zone))
    return str(int(datetime.combine(local.astimezone(UTC).date(), time(12), UTC).timestamp()))


def _menu(_: TotaraSettings, name: str, data: str, row: sqlite3.Row) -> str:
    if data not in json.loads(row["options"]):
        raise RefusedError(f"{name}: You must pass a valid menu option.")
    return data


def _checkbox(_: TotaraSettings, name: str, data: str, __: sqlite3.Row) -> str:
    if data not in ("0", "1"):
        raise RefusedError(f"{name}: You must pass a valid checkbox value.")
    return data


def _text(_: TotaraSettings, __: str, data: str, ___: sqlite3.Row) -> str:
    return data


_STORED: Final[dict[str, Callable[[TotaraSettings, str, str, sqlite3.Row], str]]] = {
    "date": _date,
    "menu": _menu,
    "checkbox": _checkbox,
    "text": _text,
}


def as_stored(day: str) -> str:
    """Return an ISO day as a profile date is stored where nothing shifts it: noon UTC in seconds."""
    return str(int(datetime.combine(date.fromisoformat(day), time(12), UTC).timestamp()))


def as_day(data: str) -> str:
    """Return the ISO day of a stored profile date."""
    return datetime.fromtimestamp(int(data), UTC).date().isoformat()
