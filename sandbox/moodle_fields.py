"""Custom profile fields of the sandbox's Moodle: nothing wrong with a value is ever said, and much of it is lost."""

import json
import re
import sqlite3
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Json = dict[str, Any]


def store(db: sqlite3.Connection, user: int, given: list[dict[str, str]], zone: ZoneInfo) -> None:
    """Keep the values of one account. An unknown field is ignored, a menu's unknown value erases the one held.

    ``zone`` is that of whoever calls: days are midnights there, whoever they are about.
    """
    for one in given:
        field = db.execute("select * from field where shortname = ?", (one["type"],)).fetchone()
        if field is None:
            continue
        value = _stored(field, one["value"], zone)
        db.execute("insert or replace into field_value values (?, ?, ?)", (user, one["type"], value))


def shown(db: sqlite3.Connection, user: int, zone: ZoneInfo, *, everything: bool) -> list[Json]:
    """Return the values of one account; empty ones are left out, except checkboxes."""
    rows = db.execute(
        "select field.*, value from field left join field_value on field = shortname and user = ? order by place",
        (user,),
    ).fetchall()
    return [_row(row, zone) for row in rows if (everything or row["visible"]) and _is_shown(row)]


def _is_shown(row: sqlite3.Row) -> bool:
    if row["datatype"] == "checkbox":
        return True
    empty = ("", "0") if row["datatype"] == "datetime" else ("",)
    return row["value"] is not None and row["value"] not in empty


def _row(row: sqlite3.Row, zone: ZoneInfo) -> Json:
    value = row["value"] if row["value"] is not None else "0"
    display = re.sub(r"<[^>]*>", "", value)
    if row["datatype"] == "datetime":
        day = datetime.fromtimestamp(int(value), UTC).astimezone(zone)
        display = f"{day.day} {day:%B %Y}"
    elif row["datatype"] == "checkbox":
        display = "Yes" if value == "1" else "No"
    return {
        "type": row["datatype"],
        "value": value,
        "displayvalue": display,
        "name": row["name"],
        "shortname": row["shortname"],
    }


def _stored(field: sqlite3.Row, value: str, zone: ZoneInfo) -> str:
    if field["datatype"] == "menu":
        return value if value in json.loads(field["options"]) else ""
    if field["datatype"] == "datetime":
        return str(_moment(value, (field["first_year"], field["last_year"]), zone))
    return value


def _moment(value: str, years: tuple[int, int], zone: ZoneInfo) -> int:
    """Return epoch seconds of a day as PHP makes it of what was sent: no value is refused."""
    if not value or value == "0":
        return 0
    if re.fullmatch(r"-?[0-9]+", value):
        value = datetime.fromtimestamp(int(value), UTC).astimezone(zone).strftime("%Y-%m-%d")
    parts = [_leading(part) for part in value.split("-")] + [0, 0]
    year = min(max(parts[0], years[0]), years[1])
    carried, month = divmod(parts[1] - 1, 12)
    day = date(year + carried, month + 1, 1) + timedelta(days=parts[2] - 1)
    return int(datetime.combine(day, time(), zone).timestamp())


def _leading(text: str) -> int:
    digits = re.match(r"[0-9]+", text)
    return int(digits[0]) if digits else 0
