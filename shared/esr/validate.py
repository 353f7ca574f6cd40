"""Checks one file from end to end and changes nothing: for the command ``esrbridge validate``."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shared.errors import FileRefusedError
from shared.esr.faults import Fault, FaultList
from shared.esr.profile import Profile
from shared.esr.reader import read_records
from shared.esr.structure import Structure, check_structure

#: How many faults are listed; all are counted.
MAX_LISTED = 1_000
_PROGRESS_EVERY = 10_000


@dataclass(frozen=True, slots=True)
class Validation:
    """What a file's check found.

    ``status``: "valid" (every record may be loaded; there may be warnings), "faults" (some records may not), or
    "refused" (the file as a whole cannot be taken and its records were not looked at). ``faults`` lists structural
    faults or, in a readable file, those of its records, warnings among them, at most ``MAX_LISTED``;
    ``fault_counts`` counts all by code. ``faulty_records`` counts records that may not be loaded, ``ignored`` those
    of types that are passed over.
    """

    status: Literal["valid", "faults", "refused"]
    structure: Structure
    records_by_type: Mapping[str, int]
    faulty_records: int
    ignored: int
    faults: tuple[Fault, ...]
    fault_counts: Mapping[str, int]


def validate_file(
    path: Path, profile: Profile, *, vpd: str | None = None, progress: Callable[[int], None] | None = None
) -> Validation:
    """Check structure first, then every record. ``progress`` hears how many records were checked, now and then.

    Bad content is never an exception; OSError goes through.
    """
    structure = check_structure(path, profile, vpd=vpd, max_faults=MAX_LISTED)
    if structure.faults:
        return _refused(structure, structure.faults, structure.fault_counts)
    faults, verdicts = FaultList(MAX_LISTED), Counter[str]()
    try:
        for record in read_records(path, profile):
            for fault in record.faults:
                faults.add(fault)
            verdicts["ignored" if record.ignored else "sound" if record.sound else "faulty"] += 1
            if progress is not None and record.position % _PROGRESS_EVERY == 0:
                progress(record.position)
    except FileRefusedError as error:  # the file changed between the two passes
        fault = Fault(error.file_code, 0, None, error.sentence)
        return _refused(structure, (fault,), {error.file_code: 1})
    if progress is not None:
        progress(structure.data_records)
    return Validation(
        status="faults" if verdicts["faulty"] else "valid",
        structure=structure,
        records_by_type=structure.records_by_type,
        faulty_records=verdicts["faulty"],
        ignored=verdicts["ignored"],
        faults=tuple(faults.listed),
        fault_counts=dict(faults.counts),
    )


def _refused(structure: Structure, faults: tuple[Fault, ...], counts: Mapping[str, int]) -> Validation:
    return Validation("refused", structure, structure.records_by_type, 0, 0, faults, counts)
