"""The stage of the drill: small invented trusts, their days, and what can be seen of them afterwards.

ESR's and the LMS's files are written here, so that a drill is the same wherever and whenever it is held.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select

from esrbridge.embedded import Bridge
from esrbridge.lms import IN_PROCESS
from esrbridge.report import collect
from sandbox.lms import SandboxLms
from services.confirmations import store as confirmations
from services.console import audit, store
from services.ingest.schema import ACTIONS as FILE_ACTIONS
from services.outbound.desk import decisions
from services.outbound.towards_esr.desk import open_cases
from shared.esr.profile import load_profile
from shared.esr.writer import write_file

FIRST_DAY: Final = date(2026, 3, 4)
"""A Wednesday; the full file comes then."""

LAST_NIGHT: Final = 5
NOW: Final = "2026-03-09T11:00"
"""Monday morning, UK local time: when the operator comes in."""

COMPETENCE: Final = "NHS|CSTF|Fire Safety - 2 Years|"
CERTIFICATION: Final = "FIRE"
MAIL: Final = "mail"
"""Folder of what others have sent to the operator, by trust."""

Record = tuple[str, dict[str, str]]
PROFILE: Final = load_profile("esr-cstf")


def day(night: int) -> date:
    """Return the business day of a night, the first being 0."""
    return FIRST_DAY + timedelta(days=night)


def at(night: int, hour: int, minute: int = 0) -> datetime:
    """Return a moment of a day: naive, UK local."""
    return datetime.combine(day(night), time(hour, minute))


@dataclass(frozen=True, slots=True)
class Place:
    """One trust of the drill, and where its files lie."""

    folder: Path
    vpd: str

    @property
    def lms(self) -> Path:
        """The state of its learning management system."""
        return self.folder / f"lms-{self.vpd}.sqlite"

    def put(self, inbox: str, name: str, content: bytes) -> None:
        """Put a file into one of the trust's folders, or into the mail from this trust."""
        folder = self.folder / MAIL / self.vpd if inbox == MAIL else self.folder / self.vpd / inbox
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    def feed_name(self, night: int, *, full: bool = False) -> str:
        """Return the name of the feed file of a night; there is one every night."""
        return PROFILE.file_name(self.vpd, "CSF" if full else "CSC", day(night), night + 1)

    def feed(self, night: int, records: Iterable[Record], *, full: bool = False) -> bytes:
        """Return the feed file of a night."""
        return write_file(
            PROFILE,
            "CSF" if full else "CSC",
            vpd=self.vpd,
            date=day(night),
            seq=night + 1,
            created=at(night, 3, 15),
            previous_run=None if full else at(night - 1, 0),
            current_run=at(night, 0),
            records=records,
        )

    def correction(self, records: Iterable[Record]) -> tuple[str, bytes]:
        """Return name and bytes of a second file of the last day, made that morning."""
        number, made = LAST_NIGHT + 2, at(LAST_NIGHT, 10)
        content = write_file(
            PROFILE,
            "CSC",
            vpd=self.vpd,
            date=day(LAST_NIGHT),
            seq=number,
            created=made,
            previous_run=at(LAST_NIGHT, 0),
            current_run=made,
            records=records,
        )
        return PROFILE.file_name(self.vpd, "CSC", day(LAST_NIGHT), number), content

    def section(self) -> dict[str, Any]:
        """Return the trust's section of ``bridge.yaml``."""
        return {
            "vpd": self.vpd,
            "name": f"Drill Hospital {self.vpd}",
            "lms": {"driver": "sandbox", "url": IN_PROCESS + self.lms.name},
            "mappings": [{"competence": COMPETENCE, "certification": CERTIFICATION}],
        }

    def prepare(self) -> None:
        """Set up the trust's learning management system."""
        SandboxLms(self.lms, self.vpd).add_certification(CERTIFICATION, COMPETENCE)


def ids(number: int = 40, first: int = 1) -> list[int]:
    """Return person IDs."""
    return [7_000_000 + one for one in range(first, first + number)]


def person(person_id: int, **columns: str) -> Record:
    """Return an employee's record."""
    fields = {
        "person_id": str(person_id),
        "effective_start": "2020-01-06",
        "employee_number": str(person_id + 20_000_000),
        "last_name": "Invented",
        "first_name": "Staff",
        "date_of_birth": "1980-01-01",
        "hire_date": "2020-01-06",
        "system_person_type": "EMP",
        "user_person_type": "Employee",
        "last_update": "2026-03-01",
    }
    return "PRA", fields | columns


def assignment(person_id: int) -> Record:
    """Return the record of an employee's one assignment."""
    return "ASA", {
        "person_id": str(person_id),
        "assignment_id": str(person_id + 40_000_000),
        "effective_start": "2020-01-06",
        "assignment_type": "E",
        "assignment_number": str(person_id + 20_000_000),
        "system_assignment_status": "ACTIVE_ASSIGN",
        "user_assignment_status": "Active Assignment",
        "primary_assignment": "Y",
    }


def everybody(people: Sequence[int]) -> list[Record]:
    """Return what a full file says of these people."""
    competence = {
        "competence_id": "3100001",
        "competence_name": COMPETENCE,
        "date_from": "2020-01-01",
        "certification_required": "No",
        "renewal_period_frequency": "2",
        "renewal_period_units": "Year",
    }
    return [("CDA", competence), *(record for one in people for record in (person(one), assignment(one)))]


@dataclass(frozen=True, slots=True)
class Seen:
    """What is to be seen of one trust. ``accounts``: of its LMS, by person ID."""

    report: Mapping[str, Any]
    letters: Sequence[store.AnyRow]
    deeds: Sequence[Mapping[str, Any]]
    decisions: Sequence[Mapping[str, Any]]
    cases: Sequence[Mapping[str, Any]]
    items: Sequence[Mapping[str, Any]]
    accounts: Mapping[str, Mapping[str, Any]]

    def file(self, name: str) -> Mapping[str, Any]:
        """Return what became of a file that came, or did not."""
        none = {"status": "not there", "code": "", "released": False}
        return next((one for one in self.report["files"] if one["name"] == name), none)

    def settled(self) -> bool:
        """Whether every line of every file has its fate, and no file, letter or line waits."""
        ended = all(one["status"] in ("complete", "discarded") for one in self.report["files"])
        return ended and not self.report["dead_letters"] and not self.report["parked"]

    def did(self, *actions: str) -> list[Mapping[str, Any]]:
        """Return what somebody did to files or letters."""
        return [one for one in self.deeds if one["action"] in actions]

    def decided(self, *words: str) -> list[Mapping[str, Any]]:
        """Return what somebody decided on accounts or completions."""
        return [one for one in self.decisions if one["decision"] in words]

    def closed(self) -> set[str]:
        """Return whose accounts are closed in the LMS."""
        return {key for key, one in self.accounts.items() if one["suspended"]}


async def look(bridge: Bridge, place: Place) -> Seen:
    """Return what is to be seen of a trust now."""
    vpd = place.vpd
    report = (await collect(bridge))["trusts"][vpd]
    async with bridge.readers["console"].trust(vpd) as connection:
        letters = (await connection.execute(select(store.LETTERS).where(store.LETTERS.c.vpd == vpd))).all()
        deeds = await audit.read(connection, vpd, limit=1_000)
    async with bridge.readers["ingest"].trust(vpd) as connection:
        found = await connection.execute(select(FILE_ACTIONS).where(FILE_ACTIONS.c.vpd == vpd))
        deeds += [dict(row) for row in found.mappings()]
    async with bridge.readers["outbound"].trust(vpd) as connection:
        decided, cases = await decisions(connection, vpd), await open_cases(connection, vpd)
    async with bridge.readers["confirmations"].trust(vpd) as connection:
        items = await confirmations.items(connection, vpd)
    accounts = {one["idnumber"].partition("-")[2]: one for one in SandboxLms(place.lms, vpd).accounts()}
    return Seen(report, letters, deeds, decided, cases, items, accounts)
