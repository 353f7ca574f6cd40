"""Small feed files of invented employees, a line each for person and assignment, for tests about whole files."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

from shared.esr.profile import load_profile
from shared.esr.writer import write_file

PROFILE = load_profile("esr-cstf")


def name(vpd: str, day: date, seq: int, *, full: bool = False) -> str:
    """Return the name of a feed file."""
    return PROFILE.file_name(vpd, "CSF" if full else "CSC", day, seq)


def person(person_id: int, **columns: str) -> tuple[str, dict[str, str]]:
    """Return the record of an employee."""
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


def assignment(person_id: int, **columns: str) -> tuple[str, dict[str, str]]:
    """Return the record of an employee's one assignment."""
    fields = {
        "person_id": str(person_id),
        "assignment_id": str(person_id + 40_000_000),
        "effective_start": "2020-01-06",
        "assignment_type": "E",
        "assignment_number": str(person_id + 20_000_000),
        "system_assignment_status": "ACTIVE_ASSIGN",
        "user_assignment_status": "Active Assignment",
        "primary_assignment": "Y",
    }
    return "ASA", fields | columns


def staff(people: Iterable[int]) -> list[tuple[str, dict[str, str]]]:
    """Return the records of employees."""
    return [record for one in people for record in (person(one), assignment(one))]


def feed(
    vpd: str,
    day: date,
    seq: int,
    records: Sequence[tuple[str, dict[str, str]]],
    *,
    full: bool = False,
    since: date | None = None,
) -> bytes:
    """Return a feed file whose window ends at the midnight that begins ``day`` and began a day before, or ``since``."""
    end = midnight(day)
    return write_file(
        PROFILE,
        "CSF" if full else "CSC",
        vpd=vpd,
        date=day,
        seq=seq,
        created=end + timedelta(hours=3, minutes=15),
        previous_run=None if full else midnight(since or day - timedelta(days=1)),
        current_run=end,
        records=records,
    )


def midnight(day: date) -> datetime:
    """Return the beginning of a day as ESR writes it: naive, UK local time."""
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001
