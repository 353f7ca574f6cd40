"""Completion files and certification reports of the LMS as a source of records, by the trust's profiles."""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from services.ingest.domain import LMS as STREAM
from services.ingest.source import Checked, Line, Mention, Place, Report, RowKey
from shared.accounting import Fate
from shared.errors import ConfigurationError
from shared.lms_csv import (
    HISTORY,
    SUBJECTS,
    LmsProfile,
    check_lms_file,
    load_lms_profile,
    own_profile,
    read_completions,
)
from shared.messaging.topology import LMS

API_NAME: Final = re.compile(r"(?:api|moodle)-[0-9a-f]{32}\.csv")
"""Names of the files that we write ourselves: what came by HTTP, and what was read from Moodle.

They are always in our own form, whatever the trust's LMS exports."""

LONGEST_KEY: Final = 2_000
"""Bytes of what a row of a report is about: what an index of the database can hold. Longer ones are sent each time."""


def completions_profile(name_or_path: str) -> LmsProfile:
    """Return a profile of files of the LMS. Raises ConfigurationError, also for one of other files."""
    profile = load_lms_profile(name_or_path)
    if profile.subject not in (SUBJECTS["completions"], SUBJECTS["certifications"]):
        raise ConfigurationError(f"{name_or_path} is no profile of completion files")
    return profile


class LmsFiles:
    """Reads what the LMS of one trust exports. ``others``: profiles by patterns of the names they are for."""

    exchange = LMS

    def __init__(self, profile: LmsProfile, vpd: str, others: Mapping[str, LmsProfile] | None = None) -> None:
        self._profile = profile
        self._vpd = vpd
        self._others = others or {}

    def name_of(self, name: str) -> str:
        """Any name will do."""
        return name

    def check(self, path: Path, name: str, vpd: str) -> Checked:
        """Check that the file is text, has the profile's header, and that every row has its columns."""
        del vpd
        profile = self._profile_of(name)
        found = check_lms_file(path, profile)
        kind = f"{profile.subject.record}s"
        return Checked(STREAM, kind, "changes", 0, 0, found.data_records, found.faults)

    def report(self, name: str) -> Report | None:
        """Return what report a file is. Its profile's name tells: a profile that is renamed tells everything anew."""
        profile = self._profile_of(name)
        return Report(profile.name, profile.current) if _is_report(profile) else None

    def people(self, path: Path, name: str) -> Iterator[Mention]:
        """Completion files bring nobody."""
        del path, name
        return iter(())

    def lines(self, path: Path, name: str, start: Place) -> Iterator[Line]:
        """Yield rows, each by the line it begins on. A place's line is the last one of the row before it."""
        if not start.offset:
            start = Place()  # earlier releases kept no offset; what they sent is sent again, which does no harm
        profile = self._profile_of(name)
        rows = read_completions(path, profile, self._vpd, offset=start.offset, line=start.line, position=start.position)
        for row in rows:
            yield Line(
                line=row.line,
                type=f"{profile.subject.record}.upsert",
                fields=row.fields,
                after=Place(row.offset, row.last_line, row.position),
                faults=row.faults,
                ignored=Fate.IGNORED_NOT_USED if row.ignored else None,
                key=_key(row.fields) if _is_report(profile) else None,
            )

    def _profile_of(self, name: str) -> LmsProfile:
        if API_NAME.fullmatch(name):
            return own_profile()
        return next((one for pattern, one in self._others.items() if fnmatchcase(name, pattern)), self._profile)


def _is_report(profile: LmsProfile) -> bool:
    return profile.subject == SUBJECTS["certifications"]


def _key(fields: Mapping[str, str]) -> RowKey | None:
    """Return what a row is about; None where that cannot be told or kept.

    The history may hold one completion with more than one expiry.
    """
    parts = [fields.get("user_idnumber", ""), fields.get("certification_idnumber", "")]
    if fields.get("status") == HISTORY:
        parts.append(f"{fields.get('completed_at', '')}/{fields.get('expires_on', '')}")
    if not (parts[0] and parts[1]) or "\0" in "".join(parts) or len("".join(parts).encode()) > LONGEST_KEY:
        return None
    return RowKey(*parts)
