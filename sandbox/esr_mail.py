"""The files ESR has sent and answered, remembered so that a crash neither loses one nor sends one twice."""

import sqlite3
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from datetime import date
from pathlib import Path

from sandbox.esr_format import FileName, write_atomically


@dataclass(frozen=True, slots=True)
class Answer:
    """What one confirmation file said of one record."""

    confirmation: str
    position: int
    lms_reference: str
    status: str
    code: str
    person_id: str
    element_id: str


class Mail:
    """The trust's post book within one open transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def queue_file(self, name: FileName, folder: Path, content: bytes) -> Path:
        """Note a file to be written once this transaction is committed, so that a crash cannot lose it."""
        self._db.execute(
            "insert into outgoing values (?, ?, ?, ?, ?)",
            (str(name), name.kind, name.day.isoformat(), str(folder), content),
        )
        return folder / str(name)

    def is_ours(self, name: str) -> bool:
        """Tell whether this ESR made a file of this name."""
        return self._db.execute("select 1 from outgoing where name = ?", (name,)).fetchone() is not None

    def file_of(self, kind: str, day: date) -> Path | None:
        """Return the file of a kind made for a day, None when there is none yet."""
        row = self._db.execute(
            "select folder, name from outgoing where kind = ? and day = ?", (kind, day.isoformat())
        ).fetchone()
        return Path(row["folder"], row["name"]) if row else None

    def deliver(self) -> None:
        """Write the files noted but not known to be written; again after a crash, with the same bytes."""
        rows = self._db.execute("select folder, name, content from outgoing where content is not null order by rowid")
        for folder, name, content in rows.fetchall():
            write_atomically(Path(folder, name), content)
            self._db.execute("update outgoing set content = null where name = ?", (name,))

    def see_inbox(self, names: Iterable[str]) -> None:
        """Note which answered files are gone from the inbox: a name that comes back later is a repeat."""
        present = set(names)
        known = {row["name"] for row in self._db.execute("select distinct name from answered where present = 1")}
        self._db.executemany("update answered set present = 0 where name = ?", [(one,) for one in known - present])

    def is_answered(self, name: str, digest: str) -> bool:
        """Tell whether exactly this file was answered and has been lying in the inbox since."""
        row = self._db.execute(
            "select 1 from answered where name = ? and digest = ? and present = 1", (name, digest)
        ).fetchone()
        return row is not None

    def is_name_known(self, name: str) -> bool:
        """Tell whether a file of this name was answered before, whatever it held."""
        return self._db.execute("select 1 from answered where name = ?", (name,)).fetchone() is not None

    def note_answered(self, name: str, digest: str) -> None:
        """Note that a file has been answered."""
        self._db.execute("insert or replace into answered values (?, ?, 1)", (name, digest))

    def note_answer(self, answer: Answer) -> None:
        """Store what was said of one record."""
        self._db.execute("insert into answer values (?, ?, ?, ?, ?, ?, ?)", astuple(answer))

    def answers(self, lms_reference: str) -> list[Answer]:
        """Return everything ever said of a reference, oldest first."""
        rows = self._db.execute(
            "select * from answer where lms_reference = ? order by confirmation, position", (lms_reference,)
        )
        return [Answer(*row) for row in rows]
