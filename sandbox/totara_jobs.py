"""Job assignments as Totara's API creates, changes and removes them."""

import sqlite3
from datetime import date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

from sandbox import totara_state as state
from sandbox.totara_engine import Json, RefusedError
from sandbox.totara_state import TotaraSettings
from sandbox.totara_users import referred

NO_JOB: Final = "Job assignment does not exist or you do not have permission to manage it."


def created(db: sqlite3.Connection, settings: TotaraSettings, values: Json) -> Json:
    """Create a job assignment, or refuse."""
    if not settings.jobs_allowed:
        raise RefusedError("No permission to create job assignments for this user.")
    user = referred(db, settings, values.get("user"))
    if state.find(db, "job", userid=user["id"], idnumber=values["idnumber"]):
        raise RefusedError("Tried to create job assignment idnumber which is not unique for this user")
    columns = _columns(db, settings, values, user["id"])
    _check_days(columns.get("startdate"), columns.get("enddate"))
    name = values.get("fullname") or f"Unnamed job assignment (ID: {values['idnumber']})"
    job = state.insert(
        db, "job", columns | {"idnumber": values["idnumber"], "userid": user["id"], "fullname": name, "totarasync": 0}
    )
    return _shown(db, job)


def changed(db: sqlite3.Connection, settings: TotaraSettings, target: Json, values: Json) -> Json:
    """Change a job assignment, or refuse. Null clears, other than with users. Who owns it stays as it is."""
    row = found(db, settings, target)
    columns = _columns(db, settings, values, row["userid"])
    _check_days(columns.get("startdate", row["startdate"]), columns.get("enddate", row["enddate"]))
    for name in ("fullname", "idnumber"):
        if values.get(name):
            columns[name] = values[name]
    state.update(db, "job", row["id"], columns)
    return _shown(db, row["id"])


def removed(db: sqlite3.Connection, settings: TotaraSettings, target: Json) -> Json:
    """Remove a job assignment; those it manages lose their manager."""
    row = found(db, settings, target)
    db.execute("update job set managerjaid = null where managerjaid = ?", (row["id"],))
    db.execute("delete from job where id = ?", (row["id"],))
    return {"job_assignment_id": str(row["id"])}


def found(db: sqlite3.Connection, settings: TotaraSettings, target: Json | None) -> sqlite3.Row:
    """Return the one job assignment a reference means."""
    wanted: dict[str, str | int] = {}
    for name in ("id", "idnumber"):
        if (target or {}).get(name):
            wanted[name] = (target or {})[name]
    if (target or {}).get("user"):
        wanted["userid"] = referred(db, settings, (target or {})["user"])["id"]
    rows = state.find(db, "job", **wanted) if wanted and settings.jobs_allowed else []
    if len(rows) != 1:
        raise RefusedError(NO_JOB)
    return rows[0]


def _columns(db: sqlite3.Connection, settings: TotaraSettings, values: Json, userid: int) -> Json:
    columns: Json = {}
    for name, column in (("start_date", "startdate"), ("end_date", "enddate")):
        if name in values:
            columns[column] = _moment(settings, values[name])
    for kind in ("organisation", "position"):
        if kind in values:
            columns[kind] = _item(db, kind, values[kind])
    if "manager" in values:
        columns["managerjaid"] = _manager(db, settings, values["manager"], userid)
    return columns


def _item(db: sqlite3.Connection, kind: str, reference: Json | None) -> int | None:
    if reference is None:
        return None
    rows = state.find(db, "item", kind=kind, **{name: value for name, value in reference.items() if value})
    if len(rows) != 1:
        raise RefusedError(f"{kind.capitalize()} reference not found")
    return int(rows[0]["id"])


def _manager(db: sqlite3.Connection, settings: TotaraSettings, reference: Json | None, userid: int) -> int | None:
    if reference is None:
        return None
    try:
        row = found(db, settings, reference)
    except RefusedError:
        raise RefusedError("Manager reference not found") from None
    if row["userid"] == userid:
        raise RefusedError("The user cannot be assigned as their own manager.")
    return int(row["id"])


def _moment(settings: TotaraSettings, value: int | str | None) -> int | None:
    """Return seconds since 1970; a day is midnight in the site's zone."""
    if value is None or isinstance(value, int):
        return value
    if value.isdigit():
        return int(value)
    return int(datetime.combine(date.fromisoformat(value), time(), ZoneInfo(settings.zone)).timestamp())


def _check_days(start: int | None, end: int | None) -> None:
    if start and end and start > end:
        raise RefusedError("The start date can not be later than the end date.")


def _shown(db: sqlite3.Connection, job: int) -> Json:
    row = state.find(db, "job", id=job)[0]
    shown = dict(row) | {"id": str(job), "positionid": row["position"], "organisationid": row["organisation"]}
    return {"job_assignment": shown}
