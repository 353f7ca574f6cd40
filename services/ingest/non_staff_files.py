"""A trust's lists of people who are not in ESR, as a source of records."""

from collections.abc import Iterator
from pathlib import Path

from services.ingest.domain import TRUST
from services.ingest.source import Checked, Line, Mention, Place
from shared.lms_csv import check_lms_file, non_staff_profile, read_completions
from shared.messaging.topology import LMS


class NonStaffFiles:
    """Reads lists of volunteers, students, bank and honorary staff; each row puts one on the list, or takes one off."""

    exchange = LMS

    def name_of(self, name: str) -> str:
        """Any name will do."""
        return name

    def check(self, path: Path, name: str, vpd: str) -> Checked:
        """Check that the file is text, has the profile's header, and that every row has its columns."""
        del name, vpd
        found = check_lms_file(path, non_staff_profile())
        return Checked(TRUST, "non_staff", "changes", 0, 0, found.data_records, found.faults)

    def people(self, path: Path, name: str) -> Iterator[Mention]:
        """Such files bring none of ESR's people."""
        del path, name
        return iter(())

    def lines(self, path: Path, name: str, start: Place) -> Iterator[Line]:
        """Yield rows, each by the line it begins on. A place's line is the last one of the row before it."""
        del name
        rows = read_completions(
            path, non_staff_profile(), offset=start.offset, line=start.line, position=start.position
        )
        for row in rows:
            action = row.fields.pop("action", "put")
            yield Line(
                line=row.line,
                type="non_staff.delete" if action == "remove" else "non_staff.upsert",
                fields=row.fields,
                after=Place(row.offset, row.last_line, row.position),
                faults=row.faults,
            )
