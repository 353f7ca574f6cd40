"""Checks one file from end to end and changes nothing: for the command ``esrbridge validate``."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shared.esr.faults import Fault
from shared.esr.profile import Profile
from shared.esr.reader import Record, read_records
from shared.esr.structure import Structure, check_structure

_PROGRESS_EVERY = 10_000


@dataclass(frozen=True, slots=True)
class Validation:
    """What a file's check found.

    ``status``: "valid" (every record may be loaded; there may be warnings), "faults" (some records may not), or
    "refused" (the file as a whole cannot be taken). ``fault_counts`` counts by code everything that ``on_fault`` was
    told. ``faulty_records`` counts records that are not as the profile says, ``ignored`` the others that are passed
    over: their type is not known, is passed over by the profile, or is used by nothing.
    """

    status: Literal["valid", "faults", "refused"]
    structure: Structure
    records_by_type: Mapping[str, int]
    faulty_records: int
    ignored: int
    fault_counts: Mapping[str, int]


def validate_file(
    path: Path,
    profile: Profile,
    *,
    on_fault: Callable[[Fault], None] | None = None,
    vpd: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Validation:
    """Check the structure, then every record that can be read, also where the file as a whole must be refused.

    ``on_fault`` hears of every fault, those of the structure first, warnings among them; without it they are only
    counted. ``progress`` hears now and
    then how many bytes are done, of how many. Bad content is never an exception; OSError goes through.
    """
    work = 2 * path.stat().st_size

    def tell(done: int) -> None:
        if progress is not None:
            progress(done, max(done, work))

    structure = check_structure(path, profile, vpd=vpd, on_fault=on_fault, on_read=tell)
    counts, verdicts = Counter(structure.fault_counts), Counter[str]()
    if structure.name is not None:
        for record in read_records(path, profile, leave_out_broken=True):
            for fault in record.faults:
                counts[fault.code] += 1
                if on_fault is not None:
                    on_fault(fault)
            verdicts[_verdict(record)] += 1
            if record.position % _PROGRESS_EVERY == 0:
                tell(structure.size + record.end_offset)
    tell(2 * structure.size)
    return Validation(
        status="refused" if structure.faults else "faults" if verdicts["faulty"] else "valid",
        structure=structure,
        records_by_type=structure.records_by_type,
        faulty_records=verdicts["faulty"],
        ignored=verdicts["ignored"],
        fault_counts=dict(counts),
    )


def _verdict(record: Record) -> str:
    if record.ignored:
        return "ignored"
    if not record.sound:
        return "faulty"
    return "sound" if record.routing else "ignored"
