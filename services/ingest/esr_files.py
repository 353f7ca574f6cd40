"""ESR's files as a source of records, by the trust's profile."""

from collections.abc import Iterator
from pathlib import Path

from services.ingest.esr_people import people_of
from services.ingest.source import Checked, Line, Mention, Place
from shared.accounting import Fate
from shared.errors import FileRefusedError
from shared.esr.profile import Profile
from shared.esr.reader import Position, Record, read_records
from shared.esr.structure import check_structure
from shared.messaging.topology import RECORDS


class EsrFiles:
    """Reads the kinds of file that travel from ESR to us."""

    exchange = RECORDS

    def __init__(self, profile: Profile) -> None:
        self._profile = profile

    def name_of(self, name: str) -> str:
        """Return the name as the profile spells it."""
        try:
            return self._profile.parse_file_name(name).name
        except FileRefusedError:
            return name

    def check(self, path: Path, name: str, vpd: str) -> Checked:
        """Check the structure of the whole file."""
        found = check_structure(path, self._profile, name=name, vpd=vpd, flow="esr_to_lms")
        if found.name is None or found.kind is None:
            return Checked("", "", "", 0, 0, 0, found.faults)
        return Checked(
            stream=found.kind.counter,
            kind=found.kind.code,
            mode=found.kind.mode,
            number=found.name.number,
            seq=found.name.seq,
            records=found.data_records,
            faults=found.faults,
            previous_run=found.header.previous_run if found.header else None,
            current_run=found.header.current_run if found.header else None,
        )

    def people(self, path: Path, name: str) -> Iterator[Mention]:
        """Yield the people of whom the person records speak; a file of another kind has none."""
        del name
        return people_of(path, self._profile)

    def lines(self, path: Path, name: str, start: Place) -> Iterator[Line]:
        """Yield data records; warnings are not faults."""
        after = Position(start.offset, start.line, start.position)
        for record in read_records(path, self._profile, start=after, name=name):
            yield Line(
                line=record.line,
                type=record.routing,
                fields=record.fields,
                after=Place(record.end_offset, record.end_line, record.position),
                faults=record.faults and tuple(fault for fault in record.faults if not fault.warning),
                ignored=_ignored(record),
                warned=bool(record.faults) and any(fault.warning for fault in record.faults),
            )


def _ignored(record: Record) -> Fate | None:
    """Return the rule by which a record is passed over, None for one that is sent."""
    if record.ignored:
        return Fate.IGNORED_UNKNOWN_TYPE if record.faults else Fate.IGNORED_LIST_OF_VALUES
    return None if record.routing else Fate.IGNORED_NOT_USED
