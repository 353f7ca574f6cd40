"""An invented ESR for one trust: it sends people and competences and answers the completions it is sent.

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
from sandbox.esr_format import (
    END_OF_TIME,
    NEVER,
    FileName,
    compose,
    day_text,
    line,
    midnight,
    moment_text,
    parse_name,
)
from sandbox.esr_ledger import SCHEMA, Ledger, Values
from sandbox.esr_mail import Answer, Mail
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
                _check_window(books.ledger, day, least_days=0)
                records = books.ledger.lines(_FULL, changed_only=False)
                name = self._feed_name(books.ledger, "CSF", day)
                path = _queue_feed(books, folder, name, NEVER, records)
                books.ledger.mark_sent(everything=True)
        self._deliver()
        return path

    def write_changes(self, folder: Path, day: date, *, with_faults: bool = True) -> Path:
        """Live the day before ``day``, then write what changed (CSC) since the last file up to 00:00 of ``day``.

        Each file holds a competence of a person who comes only in the next file, and ``with_faults`` one record that
        can never be loaded. Returns the file made before, if this day was written already.
        """
        with self._open() as books:
            path = books.mail.file_of("CSC", day)
            if path is None:
                previous = _check_window(books.ledger, day, least_days=1)
                yesterday = day - timedelta(days=1)
                books.ledger.release_held()
                esr_trust.TrustDay(books.ledger, self._vpd, self._seed, yesterday).live()
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

        A name that was answered before and comes again, after it had gone or with other bytes, is a duplicate.
        ``now`` without a zone is UK local time. Returns the confirmations (CMC) written to ``from_esr``.
        """
        local = now.astimezone(LONDON) if now.tzinfo else now
        inbox = sorted(filter(_looks_like_completions, to_esr.glob("*")), key=_order)
        with self._open() as books:
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
            yield _Books(Ledger(connection), Mail(connection))

    def _deliver(self) -> None:
        with self._open() as books:
            books.mail.deliver()

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
    created = moment_text(datetime.combine(name.day, _CREATED))
    content = compose(name, created=created, previous=previous, current=midnight(name.day), records=records)
    return books.mail.queue_file(name, folder, content)


def _check_window(ledger: Ledger, day: date, least_days: int) -> date:
    """Return the end of the last window; a changes file needs one to go on from, and time goes forward."""
    text = ledger.setting(_SENT_UP_TO)
    if text is None and least_days:
        raise ConfigurationError("A changes file follows a full file; write the full file first.")
    previous = date.fromisoformat(text) if text else day
    if (day - previous).days < least_days:
        raise ConfigurationError(f"The last file went up to {previous}; choose a day after it, not {day}.")
    return previous


class Truth:
    """What the sandbox's ESR really holds. Reads only; every call sees the latest state."""

    def __init__(self, state: Path) -> None:
        self._state = state

    def people(self, state: str | None = None) -> list[str]:
        """Return person ids in a state: interviewed, applicant, employee, withdrawn, left; without one, all."""
        with self._ledger() as ledger:
            states = [state] if state else ["interviewed", "applicant", "employee", "withdrawn", "left"]
            return sorted(person_id for one in states for person_id in ledger.people(one))

    def person(self, person_id: str) -> Values:
        """Return the columns of a person's latest slice; raises KeyError for an unknown person."""
        with self._ledger() as ledger:
            found = ledger.latest("PRA", person_id)
        if found is None:
            raise KeyError(person_id)
        return found

    def assignments(self, person_id: str) -> list[Values]:
        """Return all slices of a person's assignments, in key and date order."""
        with self._ledger() as ledger:
            return ledger.of_person("ASA", person_id)

    def current_assignments(self, person_id: str) -> list[Values]:
        """Return the open-ended slice of each assignment of a person."""
        return [one for one in self.assignments(person_id) if one["effective_end"] == END_OF_TIME]

    def achievements(self, person_id: str) -> list[Values]:
        """Return the competences a person holds, in the order they were entered."""
        with self._ledger() as ledger:
            return ledger.of_person("CMA", person_id)

    def competences(self) -> dict[str, str]:
        """Return competence names by id."""
        with self._ledger() as ledger:
            return {one["competence_id"]: one["competence_name"] for one in ledger.all("CDA")}

    def answers(self, lms_reference: str) -> list[Answer]:
        """Return everything ESR ever said of a completion reference, oldest first."""
        with database.transaction(self._state) as connection:
            return Mail(connection).answers(lms_reference)

    def loaded(self, lms_reference: str) -> str | None:
        """Return the element id under which a completion is held because of this reference, None when it is not."""
        with self._ledger() as ledger:
            reference = ledger.reference(lms_reference)
        return reference.element_id if reference and reference.loaded else None

    @contextmanager
    def _ledger(self) -> Iterator[Ledger]:
        with database.transaction(self._state) as connection:
            yield Ledger(connection)


def _looks_like_completions(path: Path) -> bool:
    upper = path.name.upper()
    return upper.endswith(".DAT") and "_CMP_" in upper and path.is_file()


def _order(path: Path) -> tuple[date, int, str]:
    parts = parse_name(path.name)
    return (parts.day, parts.sequence, path.name) if parts else (date.max, 0, path.name)
