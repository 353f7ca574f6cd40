"""ESR files of any size: people, assignments and competences as 1 : 1 : 8, like the CSTF; all people are invented.

A person is a number. Full files stream to disk at several hundred thousand records a second, so that five million take
seconds. The columns are those of ``sandbox.esr_format``, spelled once into a template for each kind of record.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sandbox.catalogue import NATIONAL
from sandbox.esr_format import END_OF_TIME, NEVER, line

HELD: Final = 8
"""Competences a person holds, of the eleven subjects."""

PER_PERSON: Final = 2 + HELD
SUBJECTS: Final = NATIONAL[2:13]
"""Eleven; the last stands for no certification, so that evidence occurs."""

MAPPED: Final = [one for one in SUBJECTS if one.certification]
DAY: Final = date(2026, 3, 2)
NOW: Final = "2026-03-02T06:00"
"""Where the business clock stands."""

ORGANISATIONS: Final = 20
POSITIONS: Final = 60
PLACES: Final = 1 + ORGANISATIONS + POSITIONS + len(SUBJECTS)
"""Records of a full file that are about no person."""

_FIRST_PERSON: Final = 1_000_000
_BORN: Final = [f"{date(1958, 1, 1) + timedelta(days=day):%Y%m%d}" for day in range(16_000)]
_ACHIEVED: Final = [f"{DAY - timedelta(days=day):%Y%m%d}" for day in range(30, 330)]
_CHUNK: Final = 2_000


@dataclass(frozen=True, slots=True)
class Written:
    """A file, and what has to come of it."""

    vpd: str
    path: Path
    records: int
    people: int
    certifications: int
    evidence: int


def people_for(records: int) -> int:
    """Return how many people make a full file of about so many records."""
    return max(1, (records - PLACES) // PER_PERSON)


def trust_section(vpd: str, lms: dict[str, Any]) -> dict[str, Any]:
    """Return a trust's section of ``bridge.yaml``."""
    mappings = [{"competence": one.name, "certification": one.certification} for one in MAPPED]
    calendar = {"full_files_a_week": "0"}
    return {"vpd": vpd, "name": f"Invented Trust {vpd}", "mappings": mappings, "lms": lms, "calendar": calendar}


def write_full(folder: Path, vpd: str, people: int) -> Written:
    """Write a trust's full file, number 1, whole under its name; return it."""
    count = PLACES + people * PER_PERSON
    path = _put(folder, vpd, "CSF", 1, NEVER, _moment(0), _full(vpd, people), count)
    evidence = sum(not SUBJECTS[(n + k) % len(SUBJECTS)].certification for n in range(people) for k in range(HELD))
    return Written(vpd, path, count, people, people * HELD - evidence, evidence)


def write_changes(folder: Path, vpd: str, number: int, people: int, records: int) -> Written:
    """Write changes file ``number`` (2 and on): a tenth people, a tenth assignments, the rest learning done again."""
    some = records // 10
    chosen = [(number * some + one) % people for one in range(some)]
    learning = [(n, k) for k in range(HELD) for n in chosen]
    texts = [
        *(_PERSON % (_person(vpd, n) | {"version": number}) for n in chosen),
        *(_ASSIGNMENT % (_person(vpd, n) | {"fte": "%.2f" % (0.1 + number % 90 / 100)}) for n in chosen),
        *(_learnt(n, k, number) for n, k in learning),
    ]
    body = iter(["".join(texts).encode("iso-8859-1")])
    path = _put(folder, vpd, "CSC", number, _moment(number - 2), _moment(number - 1), body, len(texts))
    evidence = sum(not SUBJECTS[(n + k) % len(SUBJECTS)].certification for n, k in learning)
    return Written(vpd, path, len(texts), some, len(learning) - evidence, evidence)


def _put(
    folder: Path, vpd: str, kind: str, number: int, previous: str, current: str, body: Iterator[bytes], count: int
) -> Path:
    path = folder / vpd / "from-esr" / f"CS_{vpd}_CST_{kind}_{DAY:%Y%m%d}_{number:08d}.DAT"
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb", buffering=1 << 20) as file:
        file.write(f"HDR~{path.name}~{DAY:%Y%m%d} 031500~{vpd}~{previous}~{current}~01\r\n".encode())
        file.writelines(body)
        file.write(b"TRL~%d\r\n" % count)
    unfinished.rename(path)
    return path


def _moment(minutes: int) -> str:
    """Return the end of a window: each file's is a minute after the one before."""
    return f"{datetime(2026, 3, 2) + timedelta(minutes=minutes):%Y%m%d %H%M%S}"


def _full(vpd: str, people: int) -> Iterator[bytes]:
    yield "".join(_places()).encode()
    for template in (_PERSON, _ASSIGNMENT):
        for start in range(0, people, _CHUNK):
            numbers = range(start, min(start + _CHUNK, people))
            yield "".join([template % _person(vpd, n) for n in numbers]).encode("iso-8859-1")
    for start in range(0, people, _CHUNK):
        numbers = range(start, min(start + _CHUNK, people))
        yield "".join([_learnt(n, k) for n in numbers for k in range(HELD)]).encode("iso-8859-1")


def _person(vpd: str, n: int) -> dict[str, Any]:
    """Return what templates say of person ``n``: nobody shares an NI number, nor a birthday and a name."""
    family, given = divmod(n, len(_BORN))
    return {
        "id": _FIRST_PERSON + n,
        "n": n,
        "vpd": vpd,
        "born": _BORN[given],
        "name": "Sample" + chr(97 + family // 26 % 26) + chr(97 + family % 26),
        "ni": f"QQ{n % 1_000_000:06d}{'ABCD'[n // 1_000_000 % 4]}",
        "position": 600_000 + n % POSITIONS,
        "organisation": 500_000 + n % ORGANISATIONS,
        "fte": "1",
        "version": 1,
    }


def _learnt(n: int, k: int, version: int = 0) -> str:
    """Return what person ``n`` has learnt as their ``k``-th; a higher version learnt it again, later."""
    subject = (n + k) % len(SUBJECTS)
    achieved = _ACHIEVED[-1 - (n + version) % len(_ACHIEVED)]
    return _ELEMENTS[subject] % (_FIRST_PERSON + n, 10_000_000 + n * HELD + k, achieved, version % 60)


def _places() -> Iterator[str]:
    since = {"effective_from": "20200401", "last_update": "20200401 091200"}
    for n in range(ORGANISATIONS):
        yield _line("ORA", organisation_id=500_000 + n, organisation_name=f"Invented Ward {n}", **since)
    yield _line("LCA", location_id=700_000, location_code="Invented Site", last_update=since["last_update"])
    for n in range(POSITIONS):
        at = {"organisation_id": 500_000 + n % ORGANISATIONS, "hiring_status": "Active"}
        yield _line("POA", position_id=600_000 + n, position_name=f"{n}|Staff Nurse|001|", **since, **at)
    for one in SUBJECTS:
        period = {"renewal_period_frequency": one.months // 12, "renewal_period_units": "Year"}
        yield _line(
            "CDA", competence_id=one.competence_id, competence_name=one.name, date_from="20200101", **period,
            last_update=since["last_update"],
        )  # fmt: skip


def _line(code: str, **values: object) -> str:
    return line(code, {name: str(value) for name, value in values.items()}) + "\r\n"


_PERSON: Final = _line(
    "PRA", person_id="%(id)d", effective_start="20200401", effective_end=END_OF_TIME, employee_number="2%(id)d",
    title="Dr.", last_name="%(name)s", first_name="Alder", date_of_birth="%(born)s", ni_number="%(ni)s",
    hire_date="20200401", employee_status_flag="E", system_person_type="EMP", user_person_type="Employee",
    office_email="%(name)s.%(n)d.%(version)d@trust%(vpd)s.example", nhs_start_date="20200401",
    last_update="20260301 091200",
)  # fmt: skip

_ASSIGNMENT: Final = _line(
    "ASA", person_id="%(id)d", assignment_id="8%(id)d", effective_start="20200401", effective_end=END_OF_TIME,
    earliest_assignment_start="20200401", assignment_type="E", assignment_number="2%(id)d",
    system_assignment_status="ACTIVE_ASSIGN", user_assignment_status="Active Assignment", primary_assignment="Y",
    fte="%(fte)s", organisation_id="%(organisation)d", position_id="%(position)d", position_name="Staff Nurse",
    last_update="20260301 091200",
)  # fmt: skip

_ELEMENTS: Final = [
    _line(
        "CMA", person_id="%d", competency_element_id="%d", competency_type="PERSONAL", competency_status="ACHIEVED",
        competency_name=one.name, date_from="%s", competence_id=one.competence_id, last_update="20260301 0912%02d",
    )
    for one in SUBJECTS
]  # fmt: skip
