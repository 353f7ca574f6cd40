"""An invented ESR for one trust: it sends people and competences, answers the completions it is sent, and reads what
is said of its own files.

Everything it knows lies in one sqlite file. Each call is one transaction, and a file is noted in that transaction
before it is written, so a killed process loses nothing and says nothing twice. The same seed gives the same files.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from sandbox import database, esr_inbox, esr_trust
from sandbox.esr_format import NEVER, FileName, compose, day_text, line, midnight, moment_text, parse_name
from sandbox.esr_ledger import SCHEMA, Ledger
from sandbox.esr_mail import Mail
from sandbox.esr_returns import Returns
from sandbox.esr_truth import Truth
from shared.errors import ConfigurationError, FileRefusedError

LONDON: Final = ZoneInfo("Europe/London")
_FULL: Final = ("ORA", "LCA", "POA", "CDA", "PRA", "ASA", "CMA")
_SENT_UP_TO: Final = "feed window end"
_LAST_CONFIRMATION: Final = "last CMC run"

#: ESR makes its feed files at this time of the morning, for the window that ended at midnight.
_CREATED: Final = time(3, 15)


@dataclass(frozen=True, slots=True)
class _Books:
    """The trust's records and post book, open for one transaction."""

    ledger: Ledger
    mail: Mail
    returns: Returns


class SandboxEsr:
    """The ESR of the trust ``vpd`` (three digits), with its state in the sqlite file ``state``.

    Raises ConfigurationError when the state file was made for another trust or seed, or when days do not go forward.
    """

    def __init__(self, state: Path, vpd: str, *, seed: int = 1) -> None:
        self._state = state
        self._vpd = vpd
        self._seed = seed
        database.create(state, SCHEMA, {"vpd": vpd, "seed": str(seed)})

    def populate(self, people: int, day: date) -> None:
        """Invent the trust as it stands at 00:00 of ``day``. A trust that has been populated stays as it is."""
        with self._open() as books:
            if books.ledger.setting("populated") is None:
                esr_trust.found(books.ledger, self._vpd, self._seed, people, day)
                books.ledger.set("populated", day.isoformat())

    def write_full(self, folder: Path, day: date) -> Path:
        """Write the full file (CSF) whose window ends at 00:00 of ``day``; returns the one made before, if any."""
        with self._open() as books:
            path = books.mail.file_of("CSF", day)
            if path is None:
                _check_window(books, day, least_days=0)
                path = self._full(books, folder, day)
        self._deliver()
        return path

    def write_requested(self, folder: Path, now: datetime) -> list[Path]:
        """Write the full files that were asked for and whose moment has come by ``now``; without a zone UK time.

        Each shows the trust as it stands at the midnight that was asked for, so the day before it is lived first, if
        no changes file has done so; the next changes file begins there. Call it on that morning instead of
        ``write_changes``, or after it.
        """
        local = now.astimezone(LONDON) if now.tzinfo else now
        with self._open() as books:
            paths = []
            for day in books.returns.requested(local.date()):
                self._live_up_to(books.ledger, day)
                paths.append(self._full(books, folder, day))
                books.returns.fulfil(day, paths[-1].name)
        self._deliver()
        return paths

    def write_changes(self, folder: Path, day: date, *, with_faults: bool = True) -> Path:
        """Live the day before ``day``, then write what changed (CSC) since the last file up to 00:00 of ``day``.

        Each file holds a competence of a person who comes only in the next file, and ``with_faults`` one record that
        can never be loaded. Returns the file made before, if this day was written already.
        """
        with self._open() as books:
            path = books.mail.file_of("CSC", day)
            if path is None:
                previous = _check_window(books, day, least_days=1)
                yesterday = day - timedelta(days=1)
                self._live(books.ledger, yesterday)
                records = books.ledger.lines(_FULL, changed_only=True)
                if with_faults:
                    records.append(line("CMA", esr_trust.impossible_record(books.ledger, self._vpd, yesterday)))
                name = self._feed_name(books.ledger, "CSC", day)
                path = _queue_feed(books, folder, name, midnight(previous), records)
                books.ledger.mark_sent(everything=False)
        self._deliver()
        return path

    def answer(self, to_esr: Path, from_esr: Path, now: datetime) -> list[Path]:
        """Answer every completion file (CMP) in ``to_esr`` that has not been answered, in date and number order.

        Confirmations (CTC) and requests (CSR) that lie there are read first and remembered: see ``truth``. A name that
        was answered before and comes again, after it had gone or with other bytes, is a duplicate. ``now`` without a
        zone is UK local time. Returns the confirmations (CMC) written to ``from_esr``.
        """
        local = now.astimezone(LONDON) if now.tzinfo else now
        inbox = sorted(filter(_looks_like_completions, to_esr.glob("*")), key=_order)
        with self._open() as books:
            books.returns.take(to_esr, self._vpd, local.replace(tzinfo=None), _sent_up_to(books.ledger))
            books.mail.see_inbox(one.name for one in inbox)
            paths = [path for one in inbox if (path := self._answer_one(books, one, from_esr, local))]
        self._deliver()
        return paths

    def end_competence(self, competence_id: str, last_day: date) -> None:
        """End a competence's definition; the next changes file says so, and later completions of it are refused (B205).

        Raises ConfigurationError when there is no such competence. Ending it again on that day changes nothing.
        """
        with self._open() as books:
            held = books.ledger.latest("CDA", competence_id)
            if held is None:
                raise ConfigurationError(f"This ESR has no competence {competence_id}.")
            ended = day_text(last_day)
            if held.get("date_to") != ended:
                books.ledger.put("CDA", held | {"date_to": ended})

    def expect_completions_from(self, sequence: int) -> None:
        """Set the number of the next completion file, for a trust that joins while the count is running."""
        with self._open() as books:
            books.ledger.set(esr_inbox.EXPECTED, str(sequence))

    def truth(self) -> "Truth":
        """Return a view on what this ESR holds, for tests."""
        return Truth(self._state)

    @contextmanager
    def _open(self) -> Iterator[_Books]:
        with database.transaction(self._state) as connection:
            yield _Books(Ledger(connection), Mail(connection), Returns(connection))

    def _deliver(self) -> None:
        with self._open() as books:
            books.mail.deliver()

    def _full(self, books: _Books, folder: Path, day: date) -> Path:
        records = books.ledger.lines(_FULL, changed_only=False)
        path = _queue_feed(books, folder, self._feed_name(books.ledger, "CSF", day), NEVER, records)
        books.ledger.mark_sent(everything=True)
        return path

    def _live_up_to(self, ledger: Ledger, day: date) -> None:
        """Let the day before ``day`` happen, unless it has; nothing happens in a trust that was not invented here."""
        last = _sent_up_to(ledger)
        if last is not None and last < day and ledger.setting("populated") is not None:
            self._live(ledger, day - timedelta(days=1))

    def _live(self, ledger: Ledger, today: date) -> None:
        ledger.release_held()
        esr_trust.TrustDay(ledger, self._vpd, self._seed, today).live()

    def _feed_name(self, ledger: Ledger, kind: str, day: date) -> FileName:
        return FileName(self._vpd, kind, day, ledger.number("feed file"))

    def _answer_one(self, books: _Books, path: Path, folder: Path, now: datetime) -> Path | None:
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if books.mail.is_answered(path.name, digest):
            return None
        name = FileName(self._vpd, "CMC", now.date(), books.ledger.number("CMC file"))
        records = self._judge(books, path.name, content, now, name)
        books.mail.note_answered(path.name, digest)
        run = now.replace(minute=0, second=0)
        previous = books.ledger.setting(_LAST_CONFIRMATION) or moment_text(run - timedelta(days=1))
        current = moment_text(run)
        books.ledger.set(_LAST_CONFIRMATION, current)
        confirmation = compose(name, created=moment_text(now), previous=previous, current=current, records=records)
        return books.mail.queue_file(name, folder, confirmation)

    def _judge(self, books: _Books, name: str, content: bytes, now: datetime, confirmation: FileName) -> list[str]:
        """Return the records of the confirmation of one completion file."""
        try:
            esr_inbox.check_repeat(name, books.mail)
            records = esr_inbox.open_file(name, content, self._vpd, books.ledger)
        except FileRefusedError as refusal:
            return [esr_inbox.refused(name, refusal)]
        lines = esr_inbox.judge_all(records, books.ledger, self._vpd, now)
        for one in lines:
            books.mail.note_answer(one.answer(str(confirmation)))
        return [esr_inbox.summary(name, lines), *(one.record() for one in lines)]


def _queue_feed(books: _Books, folder: Path, name: FileName, previous: str, records: list[str]) -> Path:
    """Note a feed file to be written; the end of its window is where the next one begins."""
    books.ledger.set(_SENT_UP_TO, name.day.isoformat())
    books.returns.note_sent(str(name), records)
    created = moment_text(datetime.combine(name.day, _CREATED))
    content = compose(name, created=created, previous=previous, current=midnight(name.day), records=records)
    return books.mail.queue_file(name, folder, content)


def _sent_up_to(ledger: Ledger) -> date | None:
    text = ledger.setting(_SENT_UP_TO)
    return date.fromisoformat(text) if text else None


def _check_window(books: _Books, day: date, least_days: int) -> date:
    """Return the end of the last window; a changes file needs one to go on from, and time goes forward."""
    last = _sent_up_to(books.ledger)
    if last is None and least_days:
        raise ConfigurationError("A changes file follows a full file; write the full file first.")
    if asked := books.returns.requested(day - timedelta(days=1)):
        raise ConfigurationError(f"A full file as at {asked[0]} was asked for; write it first (write_requested).")
    previous = last or day
    if (day - previous).days < least_days:
        raise ConfigurationError(f"The last file went up to {previous}; choose a day after it, not {day}.")
    return previous


def _looks_like_completions(path: Path) -> bool:
    upper = path.name.upper()
    return upper.endswith(".DAT") and "_CMP_" in upper and path.is_file()


def _order(path: Path) -> tuple[date, int, str]:
    parts = parse_name(path.name)
    return (parts.day, parts.sequence, path.name) if parts else (date.max, 0, path.name)
