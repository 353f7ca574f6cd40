"""From rows to completions under our own names, with what is wrong with each."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import msgspec

from shared.clock import LONDON
from shared.codes import Code, LmsCode
from shared.esr.faults import Fault, RecordCode
from shared.lms_csv.non_staff import NonStaffReading
from shared.lms_csv.profile import ISO, MANDATORY, SUBJECTS, LmsProfile
from shared.lms_csv.rows import Row, UnreadableFileError, read_rows
from shared.lms_csv.wrong import LONGEST_TEXT, Wrong

_DERIVED_FROM: Final = ("user_idnumber", "certification_idnumber", "completed_at")


class Completion(msgspec.Struct, frozen=True):
    """One row, read. ``line``: where it begins; ``last_line`` and ``offset``: where reading can go on.

    ``fields`` holds what is not blank, under our own names and in our own form; a value that is at fault stays as it
    was written. ``ignored``: the row tells of no completion.
    """

    line: int
    last_line: int
    offset: int
    position: int
    fields: dict[str, str]
    faults: tuple[Fault, ...]
    ignored: bool = False


class Reading:
    """How the values of one profile, for one trust, are understood. ``vpd`` empty: of any trust."""

    def __init__(self, profile: LmsProfile, vpd: str) -> None:
        self._profile = profile
        self._vpd = vpd
        self._fixed = {field.name: field.fixed for field in profile.fields if field.fixed}
        self._derives = any(field.derived for field in profile.fields)
        self._headers = {field.name: field.header for field in profile.fields}

    def take(self, values: Mapping[str, str]) -> tuple[dict[str, str], list[Wrong]]:
        """Return a completion's fields and everything that is wrong with them. Blank values count as missing."""
        fields: dict[str, str] = {}
        wrong: list[Wrong] = []
        for name, value in values.items():
            if text := value.strip():
                fields[name] = text
                if "\0" in text:
                    wrong.append(self._wrong(RecordCode.R106, name))
                if len(text) > LONGEST_TEXT:
                    wrong.append(self._wrong(LmsCode.L104, name))
        fields |= self._fixed
        self._identify(fields, wrong)
        for name in ("completed_at", "expires_on"):
            self._tell_time(name, fields, wrong)
        if self._derives:
            fields["reference"] = derived_reference(fields)
        wrong += [self._wrong(LmsCode.L101, name) for name in MANDATORY if name not in fields]
        return fields, wrong

    def _identify(self, fields: dict[str, str], wrong: list[Wrong]) -> None:
        """Bring the person into the form ``<vpd>-<person id>``."""
        said = fields.get("user_idnumber")
        if said is None:
            return
        if self._profile.person == "person_id":
            fields["user_idnumber"] = f"{self._vpd}-{said}" if self._vpd else said
            return
        vpd, _, person_id = said.partition("-")
        if not person_id or (vpd != self._vpd if self._vpd else not vpd):
            wrong.append(self._wrong(LmsCode.L102, "user_idnumber"))

    def _tell_time(self, name: str, fields: dict[str, str], wrong: list[Wrong]) -> None:
        said = fields.get(name)
        if said is None:
            return
        kind = datetime if name == "completed_at" else date
        for form in self._profile.formats[name]:
            told = self._iso(said, kind) if form == ISO else self._by_pattern(said, form, kind)
            if told:
                fields[name] = told
                return
        wrong.append(self._wrong(LmsCode.L103, name))

    def _iso(self, said: str, kind: type[date]) -> str:
        """Return the text, empty when it is not what the service that owns the record will accept."""
        try:
            told = msgspec.convert(said, kind)
            if not isinstance(told, datetime):
                return said
            if told.tzinfo is None:
                return said if self._profile.zone == LONDON else self._placed(told)
            told.astimezone(LONDON)  # its day is asked for later, and the first and last days of all have none
        except (msgspec.ValidationError, OverflowError):
            return ""
        return said

    def _by_pattern(self, said: str, pattern: str, kind: type[date]) -> str:
        try:
            told = datetime.strptime(said, pattern)  # noqa: DTZ007 - the zone is the profile's
            if not said.isascii():  # strptime takes digits of any script
                return ""
            if kind is date:
                return told.date().isoformat()
            return told.isoformat() if self._profile.zone == LONDON else self._placed(told)
        except (ValueError, OverflowError):
            return ""

    def _placed(self, told: datetime) -> str:
        """Say a time of the profile's zone with its offset. Without one a time is taken for UK time, and may stay."""
        return told.replace(tzinfo=self._profile.zone).astimezone(UTC).astimezone(LONDON).isoformat()

    def _wrong(self, code: Code, name: str) -> Wrong:
        header = self._headers.get(name, "")
        shown = f"{name} (column '{header}')" if header not in ("", name) else name
        return Wrong(code, name, f"{shown}: {code.meaning}")


def reading_of(profile: LmsProfile, vpd: str) -> "Reading | NonStaffReading":
    """Return how the values of a profile are understood, by what its files tell of."""
    return Reading(profile, vpd) if profile.subject == SUBJECTS["completions"] else NonStaffReading(profile)


def derived_reference(fields: Mapping[str, str]) -> str:
    """Return the reference of a completion that has none: the same for the same person, certification and time."""
    said = "|".join(fields.get(name, "") for name in _DERIVED_FROM)
    return f"D{hashlib.sha256(said.encode()).hexdigest()[:31]}"


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
    return Completion(row.line, row.last_line, row.offset, position, fields, faults)
