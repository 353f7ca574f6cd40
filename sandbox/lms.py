"""An invented learning management system for one trust.

Everything it knows lies in one sqlite file; every batch of operations is one transaction, so a killed process has
applied a batch or not, never half of it. An account's idnumber is ``<vpd>-<person id>``.
"""

import json
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from sandbox import database, lms_learners, lms_operations
from sandbox.catalogue import CATALOGUE, COMPETENCES
from sandbox.lms_operations import Operation
from sandbox.lms_values import Answer

__all__ = ["CATALOGUE", "MAX_OPERATIONS", "SandboxLms"]

#: Most operations one batch may hold.
MAX_OPERATIONS: Final = 200

Json = dict[str, Any]

_SOUGHT: Final = ("username", "email", "firstname", "lastname")


class SandboxLms:
    """The LMS of the trust ``vpd``, with its state in the sqlite file ``state``.

    A new state begins with the certifications of ``CATALOGUE``. Raises ConfigurationError when the file was made for
    another trust or seed. ``clock`` counts seconds and serves the rate limit only.
    """

    def __init__(self, state: Path, vpd: str, *, seed: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._state = state
        self._vpd = vpd
        self._seed = seed
        self._clock = clock
        self._out = False
        self._limit: int | None = None
        self._admitted: deque[float] = deque()
        self._lock = threading.Lock()
        database.create(state, lms_operations.SCHEMA, {"vpd": vpd, "seed": str(seed)})
        offered = [(one.certification, one.name.split("|")[2], one.months) for one in COMPETENCES if one.certification]
        with database.transaction(state) as db:
            db.executemany("insert or ignore into certification values (?, ?, ?)", offered)

    def add_certification(self, idnumber: str, name: str, active_months: int | None = None) -> None:
        """Add a certification that lasts some months, or for ever; one that exists is left as it is."""
        with database.transaction(self._state) as db:
            db.execute("insert or ignore into certification values (?, ?, ?)", (idnumber, name, active_months))

    def apply(self, operations: Sequence[Operation]) -> list[Answer]:
        """Apply a batch in order, each operation by itself: one that is rejected does not stop the rest."""
        with database.transaction(self._state) as db:
            return [lms_operations.apply(db, one) for one in operations]

    def account(self, idnumber: str) -> Json | None:
        """Return an account, None when there is none with this idnumber."""
        found = self._rows("select * from account where idnumber = ?", idnumber)
        return _account(found[0]) if found else None

    def accounts(self) -> list[Json]:
        """Return all accounts in idnumber order."""
        return [_account(row) for row in self._rows("select * from account order by idnumber")]

    def find(self, **known: str) -> list[Json]:
        """Return accounts that share any of these (user name, e-mail, first or last name, in whatever case)."""
        shared = {name: value for name, value in known.items() if name in _SOUGHT and value}
        if not shared:
            return []
        condition = " or ".join(f"lower({name}) = lower(?)" for name in shared)
        query = f"select * from account where {condition} order by idnumber"  # noqa: S608
        return [_account(row) for row in self._rows(query, *shared.values())]

    def jobs(self, account: str | None = None) -> list[Json]:
        """Return the job assignments of one account, or of all."""
        condition = "where account = ?" if account is not None else ""
        query = f"select * from job {condition} order by idnumber"  # noqa: S608
        return [dict(row) for row in self._rows(query, *([] if account is None else [account]))]

    def hierarchy(self) -> list[Json]:
        """Return organisations and positions."""
        return [dict(row) for row in self._rows("select * from hierarchy order by kind, idnumber")]

    def certifications(self, idnumber: str | None = None) -> dict[str, list[Json]]:
        """Return current and past certifications of one account, or of all: ``{"current": [], "history": []}``."""
        return {
            "current": self._of("held", idnumber, "certification"),
            "history": self._of("history", idnumber, "certification, completed_on"),
        }

    def evidence(self, idnumber: str | None = None) -> list[Json]:
        """Return the evidence items of one account, or of all."""
        return self._of("evidence", idnumber, "reference")

    def live(self, day: date, share: float = 0.02) -> int:
        """Let a share of the active accounts (0 to 1, at least one account) complete something on a day.

        They choose a certification that is expired, near expiry or not held. A day is lived once: asked again, the
        LMS returns the same number of completions and makes none.
        """
        with database.transaction(self._state) as db:
            return lms_learners.live(db, f"{self._seed}|{self._vpd}", day, share)

    def export_completions(self, folder: Path, now: datetime) -> Path | None:
        """Write the learners' own completions not exported before as CSV; None when there are none.

        The export counts as done only after the file has its final name. After a crash in between, the next call
        writes the same rows again, under the same name and with the same bytes.
        """
        with database.transaction(self._state) as db:
            export = lms_learners.next_export(db, self._vpd, now)
        if export is None:
            return None
        path = lms_learners.write_export(export, folder)
        with database.transaction(self._state) as db:
            lms_learners.finish_export(db, export)
        return path

    def outage(self, on: bool) -> None:
        """Answer every request with 503 from now on, or serve again."""
        self._out = on

    def limit_per_minute(self, requests: int | None) -> None:
        """Answer 429 to more than this many requests within 60 seconds; None lifts the limit."""
        with self._lock:
            self._limit = requests
            self._admitted.clear()

    @property
    def is_out(self) -> bool:
        """Whether the outage switch is on."""
        return self._out

    def admit(self) -> bool:
        """Count one request; tell whether the rate limit lets it through."""
        with self._lock:
            if self._limit is None:
                return True
            now = self._clock()
            while self._admitted and now - self._admitted[0] >= 60:
                self._admitted.popleft()
            if len(self._admitted) >= self._limit:
                return False
            self._admitted.append(now)
            return True

    def _of(self, table: str, idnumber: str | None, order: str) -> list[Json]:
        condition = "where idnumber = ?" if idnumber is not None else ""
        query = f"select * from {table} {condition} order by idnumber, {order}"  # noqa: S608
        return [dict(row) for row in self._rows(query, *([] if idnumber is None else [idnumber]))]

    def _rows(self, query: str, *values: str) -> list[sqlite3.Row]:
        with database.transaction(self._state) as db:
            return db.execute(query, values).fetchall()


def _account(row: sqlite3.Row) -> Json:
    return {**dict(row), "suspended": bool(row["suspended"]), "fields": json.loads(row["fields"])}
