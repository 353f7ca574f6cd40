"""Checks a completion file: its structure before anything of it is taken, or everything for ``esrbridge validate``."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from shared.codes import LmsCode
from shared.esr.faults import Fault, FaultList
from shared.lms_csv.profile import LmsProfile
from shared.lms_csv.reading import header_fits, read_completions
from shared.lms_csv.rows import UnreadableFileError, read_rows

MAX_LISTED: Final = 1_000
"""How many faults ``validate_lms_file`` lists; all are counted."""

_PROGRESS_EVERY: Final = 10_000


@dataclass(frozen=True, slots=True)
class LmsStructure:
    """What one pass over a file found. ``faults`` is empty for a file whose rows may be taken."""

    data_records: int
    faults: tuple[Fault, ...]
    fault_counts: Mapping[str, int]
    sha256: str = ""
    record_type: str = "completion"

    @property
    def records_by_type(self) -> Mapping[str, int]:
        """Rows below the header, as a result for ESR files has them."""
        return {self.record_type: self.data_records}


@dataclass(frozen=True, slots=True)
class LmsValidation:
    """What a file's check found, in the shape of ``shared.esr.validate.Validation``."""

    status: Literal["valid", "faults", "refused"]
    structure: LmsStructure
    records_by_type: Mapping[str, int]
    faulty_records: int
    ignored: int
    faults: tuple[Fault, ...]
    fault_counts: Mapping[str, int]


def check_lms_file(path: Path, profile: LmsProfile, *, max_faults: int = 100) -> LmsStructure:
    """Read the whole file once, in bounded memory: is it text, is the header the profile's, has each row its columns.

    Bad content is never an exception; OSError goes through. The checksum is left out.
    """
    faults, records = FaultList(max_faults), 0
    try:
        with path.open("rb") as file:
            rows = read_rows(file, profile)
            header = next(rows, None)
            if header is None or not header_fits(profile, header.cells):
                faults.add(Fault(LmsCode.L002, header.line if header else 1, None, LmsCode.L002.meaning))
                return LmsStructure(0, tuple(faults.listed), dict(faults.counts))
            for row in rows:
                records += 1
                if len(row.cells) != len(header.cells):
                    faults.add(Fault(LmsCode.L003, row.line, None, LmsCode.L003.meaning))
    except UnreadableFileError as error:
        faults.add(Fault(error.file_code, error.line, None, error.sentence))
    return LmsStructure(records, tuple(faults.listed), dict(faults.counts))


def validate_lms_file(
    path: Path, profile: LmsProfile, *, vpd: str | None = None, progress: Callable[[int], None] | None = None
) -> LmsValidation:
    """Check structure first, then every row; ``vpd``: the trust whose people they must be.

    ``progress`` hears how many rows were checked, now and then. Bad content is never an exception; OSError goes
    through.
    """
    found = check_lms_file(path, profile, max_faults=MAX_LISTED)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    record = profile.subject.record
    structure = LmsStructure(found.data_records, found.faults, found.fault_counts, sha256, record)
    faults, verdicts = FaultList(MAX_LISTED), Counter[str]()
    try:
        for row in read_completions(path, profile, vpd or "") if not found.faults else ():
            for fault in row.faults:
                faults.add(fault)
            verdicts["ignored" if row.ignored else "faulty" if row.faults else "sound"] += 1
            if progress is not None and row.position % _PROGRESS_EVERY == 0:
                progress(row.position)
    except UnreadableFileError as error:  # the file changed between the two passes
        found = LmsStructure(0, (Fault(error.file_code, error.line, None, error.sentence),), {error.file_code: 1})
    if progress is not None:
        progress(structure.data_records)
    if found.faults:
        return _result("refused", structure, Counter(), found.faults, found.fault_counts)
    status: Literal["valid", "faults"] = "faults" if verdicts["faulty"] else "valid"
    return _result(status, structure, verdicts, tuple(faults.listed), dict(faults.counts))


def _result(
    status: Literal["valid", "faults", "refused"],
    structure: LmsStructure,
    verdicts: Counter[str],
    faults: tuple[Fault, ...],
    counts: Mapping[str, int],
) -> LmsValidation:
    by_type = structure.records_by_type
    return LmsValidation(status, structure, by_type, verdicts["faulty"], verdicts["ignored"], faults, counts)
