"""Competency frameworks of the sandbox's Moodle, as an administrator sets them up, and the ratings they hold."""

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from sandbox import database

Json = dict[str, Any]
SCHEMA: Final = """
create table if not exists scale (id integer primary key autoincrement, items text not null);
create table if not exists framework (
    id integer primary key autoincrement, idnumber text not null unique, scale integer not null, config text not null);
create table if not exists competency (
    id integer primary key autoincrement, framework integer not null, idnumber text not null, scale integer,
    config text, unique (framework, idnumber));
create table if not exists rating (
    id integer primary key autoincrement, user integer not null, competency integer not null, grade integer,
    modified integer not null, unique (user, competency));
create table if not exists evidence (
    id integer primary key autoincrement, rating integer not null, grade integer not null, note text not null,
    created integer not null, actor integer not null);
"""


class Competencies:
    """What an administrator does with competencies, and what can be seen of ratings."""

    def __init__(self, state: Path) -> None:
        self._state = state

    def add_framework(
        self,
        idnumber: str,
        values: Sequence[str] = ("Not yet", "Competent"),
        proficient: Sequence[int] = (2,),
    ) -> int:
        """Add a framework with a scale of its own; ``proficient`` are the places of its values, from 1."""
        with database.transaction(self._state) as db:
            scale, config = _add_scale(db, values, proficient)
            made = db.execute(
                "insert into framework (idnumber, scale, config) values (?, ?, ?)", (idnumber, scale, config)
            )
            return int(made.lastrowid or 0)

    def add(self, framework: int, idnumber: str, values: Sequence[str] = (), proficient: Sequence[int] = ()) -> int:
        """Add a competency, with a scale of its own if ``values`` are given."""
        with database.transaction(self._state) as db:
            scale, config = _add_scale(db, values, proficient) if values else (None, None)
            made = db.execute(
                "insert into competency (framework, idnumber, scale, config) values (?, ?, ?, ?)",
                (framework, idnumber, scale, config),
            )
            return int(made.lastrowid or 0)

    def rating(self, user: int, competency: int) -> int | None:
        """Return the current rating of an account."""
        with database.transaction(self._state) as db:
            row = db.execute(
                "select grade from rating where user = ? and competency = ?", (user, competency)
            ).fetchone()
            return row["grade"] if row else None

    def notes(self, user: int, competency: int) -> list[str]:
        """Return the notes of all ratings of an account, oldest first."""
        with database.transaction(self._state) as db:
            rows = db.execute(
                "select note from evidence join rating on rating.id = evidence.rating "
                "where user = ? and competency = ? order by evidence.id",
                (user, competency),
            )
            return [row["note"] for row in rows]


def _add_scale(db: sqlite3.Connection, values: Sequence[str], proficient: Sequence[int]) -> tuple[int, str]:
    scale = int(db.execute("insert into scale (items) values (?)", (json.dumps(list(values)),)).lastrowid or 0)
    config: list[Json] = [{"scaleid": str(scale)}]
    config += [
        {"id": number, "scaledefault": int(number == 1), "proficient": int(number in proficient)}
        for number in range(1, len(values) + 1)
    ]
    return scale, json.dumps(config)
