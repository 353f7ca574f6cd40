"""What learners do in the sandbox's LMS by themselves, and the files that tell of it."""

import csv
import io
import sqlite3
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from sandbox.database import counter
from sandbox.esr_format import add_months, write_atomically
from sandbox.invented import dice_for
from sandbox.lms_operations import certify

LONDON: Final = ZoneInfo("Europe/London")
HEADER: Final = (
    "reference",
    "user_idnumber",
    "certification_idnumber",
    "completed_at",
    "expires_on",
    "course_idnumber",
    "method",
)

#: A certification that ends within so many days is worth renewing.
NEAR_EXPIRY: Final = timedelta(days=60)
_OPENS: Final = time(8, 30)
_OFFICE_SECONDS: Final = 9 * 3600
_METHOD: Final = "e-Learning"


@dataclass(frozen=True, slots=True)
class Export:
    """One export file: its number, its name and its bytes."""

    sequence: int
    name: str
    content: bytes


def live(db: sqlite3.Connection, seed: str, day: date, share: float) -> int:
    """Let learners complete things on a day, once; returns how many completions that day has."""
    lived = db.execute("select completions from lived where day = ?", (day.isoformat(),)).fetchone()
    if lived is not None:
        return int(lived["completions"])
    dice = dice_for(seed, "learners", day)
    rows = db.execute("select idnumber from account where suspended = 0 order by idnumber")
    active = [row["idnumber"] for row in rows]
    chosen = dice.sample(active, min(len(active), max(1, round(len(active) * share))))
    made = sum(_learn(db, dice, idnumber, day) for idnumber in chosen)
    db.execute("insert into lived values (?, ?)", (day.isoformat(), made))
    return made


def _learn(db: sqlite3.Connection, dice: Random, idnumber: str, day: date) -> bool:
    """Complete one certification that is expired, near expiry or not held; False when there is none."""
    due = db.execute(
        "select c.idnumber, c.active_months from certification c "
        "left join held h on h.certification = c.idnumber and h.idnumber = ? "
        "where h.idnumber is null or (h.expires_on <= ? and h.completed_on < ?) order by c.idnumber",
        (idnumber, (day + NEAR_EXPIRY).isoformat(), day.isoformat()),
    ).fetchall()
    if not due:
        return False
    certification, months = dice.choice(due)
    moment = datetime.combine(day, _OPENS, LONDON) + timedelta(seconds=dice.randrange(_OFFICE_SECONDS))
    expires = add_months(day, months).isoformat() if months else None
    certify(db, idnumber, certification, day.isoformat(), expires)
    db.execute(
        "insert into completion (number, idnumber, certification, completed_at, expires_on) values (?, ?, ?, ?, ?)",
        (counter(db, "completion"), idnumber, certification, moment.isoformat(timespec="seconds"), expires),
    )
    return True


def next_export(db: sqlite3.Connection, vpd: str, now: datetime) -> Export | None:
    """Return the export a crash left unfinished, else a new one of everything not exported; None when there is none."""
    row = db.execute("select sequence, name from export where done = 0").fetchone()
    if row is None:
        if db.execute("select 1 from completion where export is null").fetchone() is None:
            return None
        row = _begin_export(db, vpd, now)
    rows = db.execute("select * from completion where export = ? order by number", (row["sequence"],))
    return Export(row["sequence"], row["name"], _csv(rows.fetchall()))


def _begin_export(db: sqlite3.Connection, vpd: str, now: datetime) -> sqlite3.Row:
    sequence = counter(db, "export")
    local = now.astimezone(LONDON) if now.tzinfo else now
    name = f"completions_{vpd}_{local:%Y%m%d}_{sequence:08d}.csv"
    db.execute("update completion set export = ? where export is null", (sequence,))
    begun: sqlite3.Row = db.execute(
        "insert into export values (?, ?, 0) returning sequence, name", (sequence, name)
    ).fetchone()
    return begun


def write_export(export: Export, folder: Path) -> Path:
    """Write an export file under its final name, whole."""
    path = folder / export.name
    write_atomically(path, export.content)
    return path


def finish_export(db: sqlite3.Connection, export: Export) -> None:
    """Note that an export file is in its folder."""
    db.execute("update export set done = 1 where sequence = ?", (export.sequence,))


def _csv(completions: list[sqlite3.Row]) -> bytes:
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow(HEADER)
    for one in completions:
        reference, course = f"C{one['number']:010d}", f"{one['certification']}-EL"
        when, until = one["completed_at"], one["expires_on"] or ""
        rows.writerow((reference, one["idnumber"], one["certification"], when, until, course, _METHOD))
    return text.getvalue().encode()
