"""Completion files from the LMS as a source of records, by the trust's profile."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from services.ingest.domain import LMS as STREAM
from services.ingest.source import Checked, Line, Mention, Place
from shared.accounting import Fate
from shared.errors import ConfigurationError
from shared.lms_csv import LmsProfile, check_lms_file, load_lms_profile, own_profile, read_completions
from shared.messaging.topology import LMS

API_NAME: Final = re.compile(r"api-[0-9a-f]{32}\.csv")
"""Names of the files that the HTTP door writes: always in our own form, whatever the trust's LMS exports."""


def completions_profile(name_or_path: str) -> LmsProfile:
    """Return a profile of completion files. Raises ConfigurationError, also for one of other files."""
    profile = load_lms_profile(name_or_path)
    if profile.subject.record != "completion":
        raise ConfigurationError(f"{name_or_path} is no profile of completion files")
    return profile


class LmsFiles:
    """Reads the completion files of one trust."""

    exchange = LMS

    def __init__(self, profile: LmsProfile, vpd: str) -> None:
        self._profile = profile
        self._vpd = vpd

    def name_of(self, name: str) -> str:
        """Any name will do."""
        return name

    def check(self, path: Path, name: str, vpd: str) -> Checked:
        """Check that the file is text, has the profile's header, and that every row has its columns."""
        del vpd
        found = check_lms_file(path, self._profile_of(name))
        return Checked(STREAM, "completions", "changes", 0, 0, found.data_records, found.faults)

    def people(self, path: Path, name: str) -> Iterator[Mention]:
        """Completion files bring nobody."""
        del path, name
        return iter(())

    def lines(self, path: Path, name: str, start: Place) -> Iterator[Line]:
        """Yield rows, each by the line it begins on. A place's line is the last one of the row before it."""
        if not start.offset:
            start = Place()  # earlier releases kept no offset; what they sent is sent again, which does no harm
        rows = read_completions(
            path, self._profile_of(name), self._vpd, offset=start.offset, line=start.line, position=start.position
        )
        for row in rows:
            yield Line(
                line=row.line,
                type="completion.upsert",
                fields=row.fields,
                after=Place(row.offset, row.last_line, row.position),
                faults=row.faults,
                ignored=Fate.IGNORED_NOT_USED if row.ignored else None,
            )

    def _profile_of(self, name: str) -> LmsProfile:
        return own_profile() if API_NAME.fullmatch(name) else self._profile
