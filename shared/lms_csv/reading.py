"""From rows to completions under our own names, with what is wrong with each."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from shared.codes import LmsCode
from shared.esr.faults import Fault
from shared.lms_csv.certifications import CertificationReading
from shared.lms_csv.non_staff import NonStaffReading
from shared.lms_csv.profile import LmsProfile
from shared.lms_csv.rows import Row, UnreadableFileError, read_rows
from shared.lms_csv.subjects import SUBJECTS
from shared.lms_csv.values import Reading, derived_reference

__all__ = ["Completion", "Reading", "derived_reference", "header_fits", "read_completions", "reading_of"]


class Completion(msgspec.Struct, frozen=True):
    """One row, read. ``line``: where it begins; ``last_line`` and ``offset``: where reading can go on.

    ``fields`` holds what is not blank, under our own names and in our own form; a value that is at fault stays as it
    was written. ``ignored``: the row tells of no completion; of a report's row the fields are there all the same.
    """

    line: int
    last_line: int
    offset: int
    position: int
    fields: dict[str, str]
    faults: tuple[Fault, ...]
    ignored: bool = False


def reading_of(profile: LmsProfile, vpd: str) -> "Reading | NonStaffReading":
    """Return how the values of a profile are understood, by what its files tell of."""
    if profile.subject == SUBJECTS["certifications"]:
        return CertificationReading(profile, vpd)
    return Reading(profile, vpd) if profile.subject == SUBJECTS["completions"] else NonStaffReading(profile)


def header_fits(profile: LmsProfile, cells: list[str]) -> bool:
    """Tell whether a header row has each column it must have, none of ours twice, and none that is refused."""
    ours = [field for field in profile.fields if field.header]
    if any(cells.count(field.header) != 1 for field in ours if field.header in cells or field.needed != "nothing"):
        return False
    return profile.further_columns == "ignore" or set(cells) <= {field.header for field in ours}


def read_completions(
    path: Path, profile: LmsProfile, vpd: str = "", *, offset: int = 0, line: int = 0, position: int = 0
) -> Iterator[Completion]:
    """Yield the rows of a file whose structure is sound, from the place behind an earlier one on.

    ``position`` counts completions from 1. Raises UnreadableFileError when the structure is not sound after all;
    OSError goes through.
    """
    reading = reading_of(profile, vpd)
    with path.open("rb") as file:
        rows = read_rows(file, profile)
        header = next(rows, None)
        if header is None:
            return
        if not header_fits(profile, header.cells):
            raise UnreadableFileError(LmsCode.L002, header.line)
        picks = [
            (field.name, header.cells.index(field.header)) for field in profile.fields if field.header in header.cells
        ]
        if offset:
            file.seek(offset)
            rows = read_rows(file, profile, offset, line)
        for number, row in enumerate(rows, start=position + 1):
            if len(row.cells) != len(header.cells):
                raise UnreadableFileError(LmsCode.L003, row.line)
            yield _completion(reading, profile, picks, row, number)


def _completion(
    reading: Reading | NonStaffReading, profile: LmsProfile, picks: list[tuple[str, int]], row: Row, position: int
) -> Completion:
    values = {name: row.cells[index] for name, index in picks}
    without = profile.ignore_rows_without
    if without and not values.get(without, "").strip():
        return Completion(row.line, row.last_line, row.offset, position, {}, (), ignored=True)
    fields, wrong = reading.take(values)
    faults = tuple(Fault(one.code, row.line, one.field, one.text) for one in wrong)
    ignored = profile.subject == SUBJECTS["certifications"] and "status" not in fields and not faults
    return Completion(row.line, row.last_line, row.offset, position, fields, faults, ignored=ignored)
