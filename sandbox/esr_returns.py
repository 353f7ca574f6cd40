"""What comes back to the sandbox's ESR besides completions: confirmations of its files, and requests for a full one."""

import hashlib
import sqlite3
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from datetime import date, datetime
from pathlib import Path

from sandbox.esr_confirmations import BrokenReturnError, Confirmed, Refused, read_confirmation
from sandbox.esr_format import LAYOUTS, parse_name, split
from sandbox.esr_ledger import key_column
from sandbox.esr_requests import read_request


class Returns:
    """The part of the post book that holds what was sent record by record, and what came back."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def note_sent(self, file: str, records: Iterable[str]) -> None:
        """Remember type and key of each record of a feed file, in file order."""
        body = zlib.compress("\n".join("~".join(_sent_as(split(one))) for one in records).encode())
        self._db.execute("insert or ignore into sent values (?, ?)", (file, body))

    def sent(self, file: str) -> Sequence[tuple[str, str]] | None:
        """Return type and key of each record of a feed file, None when no such file was sent."""
        row = self._db.execute("select body from sent where name = ?", (file,)).fetchone()
        if row is None:
            return None
        text = zlib.decompress(row["body"]).decode()
        return [(kind, key) for kind, _, key in (one.partition("~") for one in text.split("\n"))] if text else []

    def take(self, folder: Path, vpd: str, now: datetime, sent_up_to: date | None) -> None:
        """Read what lies in ``folder`` and has not been read; ``now`` is naive UK time.

        What is broken, or comes again under its name with other bytes, is complained of.
        """
        for path in sorted(folder.glob("*"), key=_order):
            kind = _kind(path)
            if not kind or not self._is_new(path.name, content := path.read_bytes()):
                continue
            try:
                if kind == "CTC":
                    self._keep(*read_confirmation(path.name, content, vpd, self.sent))
                else:
                    day = read_request(path.name, content, vpd, now, sent_up_to)
                    self._db.execute("insert or ignore into request values (?, '')", (day.isoformat(),))
            except BrokenReturnError as error:
                self.complain(path.name, str(error))

    def requested(self, up_to: date) -> list[date]:
        """Return the days for which a full file is due by ``up_to`` and has not been made, in order."""
        rows = self._db.execute("select day from request where file = '' and day <= ? order by day", (str(up_to),))
        return [date.fromisoformat(row["day"]) for row in rows]

    def fulfil(self, day: date, file: str) -> None:
        """Note which file a request was fulfilled by."""
        self._db.execute("update request set file = ? where day = ?", (file, day.isoformat()))

    def confirmed(self, file: str) -> Confirmed | None:
        """Return the last thing said of a feed file, other than that it came twice; None when nothing was said yet."""
        row = self._db.execute(
            "select * from confirmed where file = ? order by status = 'DUPLICATE', rowid desc", (file,)
        ).fetchone()
        return Confirmed(*row) if row else None

    def refused(self, file: str) -> list[Refused]:
        """Return the records of a feed file that were not loaded, in file order."""
        rows = self._db.execute("select position, code from refused where file = ? order by position", (file,))
        return [Refused(*row) for row in rows]

    def complain(self, file: str, text: str) -> None:
        """Note that a file is not as it should be."""
        self._db.execute("insert into complaint values (?, ?)", (file, text))

    def complaints(self) -> list[str]:
        """Return every complaint, oldest first."""
        return [f"{row['file']}: {row['text']}" for row in self._db.execute("select * from complaint order by rowid")]

    def _is_new(self, name: str, content: bytes) -> bool:
        digest = hashlib.sha256(content).hexdigest()
        heard = self._db.execute("select digest from heard where name = ?", (name,)).fetchall()
        if digest in {row["digest"] for row in heard}:
            return False
        self._db.execute("insert into heard values (?, ?)", (name, digest))
        if heard:
            self.complain(name, "came again with other bytes")
        return not heard

    def _keep(self, confirmed: Confirmed, refused: Iterable[Refused]) -> None:
        before = self.confirmed(confirmed.file)
        if confirmed.status != "DUPLICATE" and before is not None and before.status in ("SUCCESS", "PARTIAL"):
            self.complain(confirmed.confirmation, f"{before.confirmation} has confirmed {confirmed.file} before")
            return
        self._check_count(confirmed.confirmation)
        self._db.execute("insert into confirmed values (?, ?, ?, ?, ?, ?, ?)", astuple(confirmed))
        self._db.executemany(
            "insert into refused values (?, ?, ?)", [(confirmed.file, one.position, one.code) for one in refused]
        )

    def _check_count(self, name: str) -> None:
        """Complain of a gap: confirmations are numbered without one, from whatever number the first has."""
        parts = parse_name(name)
        row = self._db.execute("select confirmation from confirmed order by rowid desc").fetchone()
        last = parse_name(row["confirmation"]) if row else None
        if parts and last and parts.sequence != last.sequence + 1:
            self.complain(name, f"number {last.sequence + 1:08d} was expected")


def _sent_as(fields: list[str]) -> tuple[str, str]:
    """Return type and key of a record as it was sent; the key of a record of no known width is blank."""
    kind = fields[0]
    column = key_column(kind)
    width = len(LAYOUTS.get(kind, ())) + 1
    return (kind, fields[LAYOUTS[kind].index(column) + 1] if column and len(fields) == width else "")


def _kind(path: Path) -> str:
    """Return CTC or CSR for a file that means to be one, in any letter case; else nothing."""
    upper = path.name.upper()
    if not upper.endswith(".DAT") or not path.is_file():
        return ""
    return next((kind for kind in ("CTC", "CSR") if f"_{kind}_" in upper), "")


def _order(path: Path) -> tuple[int, date, str]:
    parts = parse_name(path.name)
    return (parts.sequence, parts.day, path.name) if parts else (0, date.min, path.name)
